"""Rows of different lengths: one tensor with the elements of all rows, and where each row begins and ends.

Row i holds the elements from `splits[i]` to `splits[i + 1]`; splits ascend from 0 to the number of elements.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..dispatch import apply
from ..op import Differentiability, Example, Gradient, Kind, Op, declare
from ..operand import PUBLIC, require_kind, require_same_dtype
from ..tensortype import Dimension, DType, Shape, TensorType, as_dtype, int64
from .gathering import gather
from .sizes import constant

Array = np.ndarray[Any, Any]

_SPLITS = np.array([0, 2, 2, 5], np.int64)


def _require_rows(values: TensorType, splits: TensorType) -> Dimension:
    """How many rows there are."""
    require_kind(splits, "iu", "row splits")
    if splits.rank != 1 or splits.shape[0] == 0:
        raise ShapeError(f"row splits are a vector of one number more than there are rows, not {splits}")
    if not values.rank:
        raise ShapeError("the elements of rows are no scalar")
    return None if splits.shape[0] is None else splits.shape[0] - 1


def check_splits(splits: Array, count: int) -> None:
    """Refuse what does not ascend from 0 to the number of elements.

    Raises:
      InvalidArgumentError: saying where.
    """
    falls = np.flatnonzero(np.diff(splits) < 0)
    if falls.size:
        place = int(falls[0])
        raise InvalidArgumentError(
            f"row splits ascend, but {splits[place]} is followed by {splits[place + 1]} at position {place + 1}"
        )
    if splits[0] != 0 or splits[-1] != count:
        raise InvalidArgumentError(
            f"row splits go from 0 to {count}, the number of elements, but from {splits[0]} to {splits[-1]}"
        )


def _ids(splits: Array) -> Array:
    return np.repeat(np.arange(len(splits) - 1, dtype=np.int64), np.diff(splits))


def _offsets(splits: Array) -> Array:
    starts = np.repeat(splits[:-1], np.diff(splits))
    return np.asarray(np.arange(splits[-1], dtype=np.int64) - starts, np.int64)


def _checked(function: Callable[[Array], Array]) -> Callable[[Array, Array], Array]:
    def checked(values: Array, splits: Array) -> Array:
        check_splits(splits, len(values))
        return function(splits)

    return checked


def _per_element(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    values, splits = types
    _require_rows(values, splits)
    return (TensorType(int64, values.shape[:1]),)


def _declare_positions(name: str, function: Callable[[Array], Array], doc: str) -> Op:
    return declare(
        Op(
            name=name,
            kind=Kind.CALL,
            infer=_per_element,
            numpy=_checked(function),
            gradient=Differentiability.NONE,
            fails=True,
            examples=(Example((np.ones(5), _SPLITS)), Example((np.ones((0, 2)), np.zeros(3, np.int32)))),
            doc=doc,
        )
    )


row_ids_op = _declare_positions("row_ids", _ids, "For each element the number of its row.")
row_offsets_op = _declare_positions("row_offsets", _offsets, "For each element its position in its row.")

checked_splits_op = declare(
    Op(
        name="checked_splits",
        kind=Kind.CALL,
        infer=lambda types: (_require_rows(*types), types[1])[1:],
        numpy=_checked(lambda splits: splits.copy()),
        gradient=Differentiability.NONE,
        fails=True,
        examples=(Example((np.ones(5), _SPLITS)),),
        doc="The row splits, which ascend from 0 to the number of elements.",
    )
)


def _same_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    mine, theirs = types
    if mine.rank != 1 or theirs.rank != 1:
        raise ShapeError(f"row splits are vectors, not {mine} and {theirs}")
    return (mine,)


def _same_array(mine: Array, theirs: Array) -> Array:
    if mine.shape != theirs.shape or (mine != theirs).any():
        rows = [np.diff(one).tolist() for one in (mine, theirs)]
        raise ShapeError(f"the rows of two ragged tensors have different lengths: {rows[0]} and {rows[1]}")
    return mine.copy()


same_splits_op = declare(
    Op(
        name="same_splits",
        kind=Kind.CALL,
        infer=_same_type,
        numpy=_same_array,
        gradient=Differentiability.NONE,
        fails=True,
        examples=(Example((_SPLITS, _SPLITS)),),
        doc="The row splits that two ragged tensors share.",
    )
)


def spread(per_row: Any, values: Any, splits: Any) -> Any:
    """For each element what its row holds."""
    return gather(per_row, apply(row_ids_op, values, splits), axis=0)


# --- reductions of each row -----------------------------------------------------------------------------


def _reduced_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    values, splits = types
    rows = _require_rows(values, splits)
    require_kind(values, "iuf", "the elements of rows")
    return (TensorType(values.dtype, (rows, *values.shape[1:])),)


def _extreme_gradient(g: Any, y: Any, values: Any, splits: Any) -> Any:
    """Elements that are the extreme of their row share its cotangent evenly."""
    dtype = values.type.dtype
    chosen = PUBLIC["cast"](PUBLIC["equal"](values, spread(y, values, splits)), dtype)
    count = PUBLIC["maximum"](apply(row_sum_op, chosen, splits), constant(1, dtype))
    return chosen * spread(g / count, values, splits)


def _product_gradient(g: Any, y: Any, values: Any, splits: Any) -> Any:
    """The product of the row's other elements, exact where some are zero."""
    dtype = values.type.dtype
    is_zero = PUBLIC["equal"](values, constant(0, dtype))
    others = PUBLIC["where"](is_zero, constant(1, dtype), values)
    zeros = PUBLIC["cast"](is_zero, dtype)
    alone = PUBLIC["equal"](spread(apply(row_sum_op, zeros, splits), values, splits) - zeros, constant(0, dtype))
    factor = spread(g * apply(row_prod_op, others, splits), values, splits) / others
    return PUBLIC["where"](alone, factor, constant(0, dtype))


def _declare_reduction(name: str, put: np.ufunc, empty: Callable[[DType], Any], gradient: Gradient, doc: str) -> Op:
    def numpy(values: Array, splits: Array) -> Array:
        check_splits(splits, len(values))
        shape = (len(splits) - 1, *values.shape[1:])
        result = np.full(shape, empty(as_dtype(values.dtype)), values.dtype)
        put.at(result, _ids(splits), values)
        return result

    return declare(
        Op(
            name=name,
            kind=Kind.CALL,
            infer=_reduced_type,
            numpy=numpy,
            gradient=gradient,
            fails=True,
            examples=(
                Example(("f64[5]", _SPLITS), differentiable=name in ("row_sum", "row_prod")),
                Example(("f64[4,2]", np.array([0, 1, 4]))),
                Example(("f64[0]", np.zeros(1, np.int64))),
            ),
            doc=doc,
        )
    )


row_sum_op: Op = _declare_reduction(
    "row_sum", np.add, lambda dtype: 0, [lambda g, y, values, splits: spread(g, values, splits), None],
    "The sum of each row.",
)  # fmt: skip
row_prod_op: Op = _declare_reduction(
    "row_prod", np.multiply, lambda dtype: 1, [_product_gradient, None], "The product of each row."
)
row_max_op: Op = _declare_reduction(
    "row_max", np.maximum, lambda dtype: dtype.min, [_extreme_gradient, None],
    "The greatest of each row; the least number for empty ones.",
)  # fmt: skip
row_min_op: Op = _declare_reduction(
    "row_min", np.minimum, lambda dtype: dtype.max, [_extreme_gradient, None],
    "The least of each row; the greatest number for empty ones.",
)  # fmt: skip


# --- rows of equal lengths ------------------------------------------------------------------------------


def _padded_type(types: tuple[TensorType, ...], *, width: int | None) -> tuple[TensorType, ...]:
    values, splits, default = types
    rows = _require_rows(values, splits)
    require_same_dtype((values, default))
    if default.rank:
        raise ShapeError(f"what rows are filled up with is a scalar, not {default}")
    return (TensorType(values.dtype, (rows, width, *values.shape[1:])),)


def _padded(values: Array, splits: Array, default: Array, *, width: int | None) -> Array:
    check_splits(splits, len(values))
    longest = int(np.diff(splits).max(initial=0))
    wide = longest if width is None else width
    result = np.full((len(splits) - 1, wide, *values.shape[1:]), default[()], values.dtype)
    ids, offsets = _ids(splits), _offsets(splits)
    kept = offsets < wide
    result[ids[kept], offsets[kept]] = values[kept]
    return result


pad_rows_op: Op = declare(
    Op(
        name="pad_rows",
        kind=Kind.CALL,
        infer=_padded_type,
        numpy=_padded,
        gradient=[lambda g, y, values, splits, default, *, width: apply(unpad_rows_op, g, splits), None, None],
        fails=True,
        examples=(
            Example(("f64[5]", _SPLITS, np.float64(0)), {"width": None}, differentiable=False),
            Example(("f64[5,2]", _SPLITS, np.float64(7)), {"width": 4}, differentiable=False),
            Example(("f64[5]", _SPLITS, np.float64(0)), {"width": 2}, differentiable=False),
        ),
        doc="Rows as a tensor, filled up to one length or cut.",
    )
)


def _unpadded_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    x, splits = types
    if x.rank < 2:
        raise ShapeError(f"a tensor with rows has rank 2 or more, not shape {x.shape}")
    rows = _require_rows(x, splits)
    if None not in (rows, x.shape[0]) and rows != x.shape[0]:
        raise ShapeError(f"row splits of {rows} rows do not go with shape {x.shape}")
    shape: Shape = (None, *x.shape[2:])
    return (TensorType(x.dtype, shape),)


def _unpadded(x: Array, splits: Array) -> Array:
    """The rows' elements; zero where rows were cut."""
    if len(splits) != len(x) + 1:
        raise ShapeError(f"row splits of {len(splits) - 1} rows do not go with shape {x.shape}")
    check_splits(splits, int(splits[-1]))
    ids, offsets = _ids(splits), _offsets(splits)
    kept = offsets < x.shape[1]
    result = np.zeros((len(ids), *x.shape[2:]), x.dtype)
    result[kept] = x[ids[kept], offsets[kept]]
    return result


def _unpad_gradient(g: Any, y: Any, x: Any, splits: Any) -> Any:
    width = x.type.shape[1]
    if width is not None:
        return apply(pad_rows_op, g, splits, constant(0, g.type.dtype), width=width)
    places = [apply(row_ids_op, g, splits), apply(row_offsets_op, g, splits)]
    return PUBLIC["scatter_nd"](PUBLIC["stack"](places, axis=1), g, PUBLIC["shape_of"](x))


unpad_rows_op: Op = declare(
    Op(
        name="unpad_rows",
        kind=Kind.CALL,
        infer=_unpadded_type,
        numpy=_unpadded,
        gradient=[_unpad_gradient, None],
        fails=True,
        examples=(
            Example(("f64[3,3]", _SPLITS), differentiable=False),
            Example(("f64[3,2,2]", _SPLITS), differentiable=False),
        ),
        doc="The elements of rows that were filled up to one length.",
    )
)

__all__: list[str] = []
