"""Slices whose place is an operand.

Where only the begin is one, the elements are picked when the graph runs; where the size is
one too, the size of the result is known only then.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import OutOfRangeError, ShapeError

from ..dispatch import apply
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, as_operand, public, require_kind, require_same_dtype
from ..tensortype import TensorType, int64
from .sizes import constant, shape_of, static_shape, when_known
from .slicing import slice_along, take_slice, unslice_op

# --- slices that begin where a value says ----------------------------------------------------------


def _require_begin(type: TensorType, rank: int) -> None:
    require_kind(type, "iu", "the begin of a slice")
    if type.shape not in ((rank,), (None,)):
        raise ShapeError(f"the begin of a slice is a vector of {rank} positions, not {type}")


def _dynamic_slice_type(types: tuple[TensorType, ...], *, sizes: tuple[int, ...]) -> tuple[TensorType, ...]:
    type, begin = types
    _require_begin(begin, type.rank)
    if len(sizes) != type.rank or any(one < 0 for one in sizes):
        raise ShapeError(f"a slice of shape {type.shape} needs {type.rank} sizes, not {list(sizes)}")
    for axis, (size, wanted) in enumerate(zip(type.shape, sizes, strict=True)):
        if size is not None and wanted > size:
            raise OutOfRangeError(f"a slice of {wanted} does not fit axis {axis} of size {size}")
    return (TensorType(type.dtype, tuple(sizes)),)


def _box(shape: Sequence[int], begin: np.ndarray[Any, Any], sizes: Sequence[int]) -> tuple[slice, ...]:
    """The box of `sizes` elements from `begin`.

    Raises:
      OutOfRangeError: if it does not lie inside of the shape.
    """
    for axis, (size, first, count) in enumerate(zip(shape, begin.tolist(), sizes, strict=True)):
        if first < 0 or count < 0 or first + count > size:
            raise OutOfRangeError(f"a slice of {count} from {first} is out of range for axis {axis} of size {size}")
    return tuple(slice(first, first + count) for first, count in zip(begin.tolist(), sizes, strict=True))


dynamic_slice_op: Op = declare(
    Op(
        name="dynamic_slice",
        kind=Kind.INDEXING,
        infer=_dynamic_slice_type,
        numpy=lambda x, begin, *, sizes: x[_box(x.shape, begin, sizes)].copy(),
        gradient=[
            lambda g, y, x, begin, *, sizes: apply(dynamic_update_slice_op, PUBLIC["zeros_like"](x), g, begin),
            None,
        ],
        fails=True,
        examples=(
            Example(("f64[4,5]", np.array([1, 2], np.int32)), {"sizes": (2, 3)}),
            Example(("f64[3]", np.array([3], np.int64)), {"sizes": (0,)}),
            Example(("f64[]", np.zeros(0, np.int32)), {"sizes": ()}),
        ),
        doc="A box of known size that begins where the second operand says.",
    )
)


def _update_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    type, update, begin = types
    require_same_dtype(types[:2])
    _require_begin(begin, type.rank)
    if update.rank != type.rank:
        raise ShapeError(f"an update of shape {update.shape} does not fit into shape {type.shape}")
    return (type,)


def _updated_array(
    x: np.ndarray[Any, Any], update: np.ndarray[Any, Any], begin: np.ndarray[Any, Any]
) -> np.ndarray[Any, Any]:
    result = x.copy()
    result[_box(x.shape, begin, update.shape)] = update
    return result


dynamic_update_slice_op: Op = declare(
    Op(
        name="dynamic_update_slice",
        kind=Kind.INDEXING,
        infer=_update_type,
        numpy=_updated_array,
        gradient=[
            lambda g, y, x, update, begin: apply(dynamic_update_slice_op, g, PUBLIC["zeros_like"](update), begin),
            lambda g, y, x, update, begin: PUBLIC["slice_"](g, begin, shape_of(update)),
            None,
        ],
        error="a box that begins at {0} is out of range",
        error_type=OutOfRangeError,
        fails=True,
        examples=(
            Example(("f64[4,5]", "f64[2,3]", np.array([1, 2], np.int32))),
            Example(("f64[3]", "f64[0]", np.array([3], np.int32))),
        ),
        doc="The tensor with a box replaced that begins where the third operand says.",
    )
)


def _complete_sizes(shape: Sequence[int], begin: np.ndarray[Any, Any], sizes: np.ndarray[Any, Any]) -> list[int]:
    """Sizes with -1, everything that is left, replaced."""
    return [
        whole - first if size == -1 else size
        for whole, first, size in zip(shape, begin.tolist(), sizes.tolist(), strict=True)
    ]


def _known_dynamic_slice(x: Any, begin: Any, sizes: Any) -> Any:
    if not x.type.is_static:
        return None

    def write(counts: np.ndarray[Any, Any]) -> Any:
        if -1 in counts:
            return when_known([begin], lambda first: slice_(x, first, counts))
        return slice_(x, begin, counts)

    return when_known([sizes], write)


def _slice_sizes_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    type, begin, sizes = types
    _require_begin(begin, type.rank)
    _require_begin(sizes, type.rank)
    return (TensorType(type.dtype, (None,) * type.rank),)


slice_sizes_op: Op = declare(
    Op(
        name="slice_sizes",
        kind=Kind.COMPOSED,
        infer=_slice_sizes_type,
        numpy=lambda x, begin, sizes: x[_box(x.shape, begin, _complete_sizes(x.shape, begin, sizes))].copy(),
        definition=_known_dynamic_slice,
        gradient=[
            lambda g, y, x, begin, sizes: apply(dynamic_update_slice_op, PUBLIC["zeros_like"](x), g, begin),
            None,
            None,
        ],
        fails=True,
        static_operands=(2,),
        examples=(Example(("f64[4,5]", np.array([1, 2], np.int32), np.array([2, -1], np.int32))),),
        doc="A box whose begin and size are operands; -1 means all that is left.",
    )
)


@public()
def slice_(input_: Any, begin: Any, size: Any, name: str | None = None) -> Any:
    """The box of `size` elements from position `begin`, per axis (exported as `gj.slice`).

    Args:
      input_: any shape.
      begin: for each axis the first position; may be traced.
      size: for each axis how many, -1 for all that are left; may be traced.

    Raises:
      OutOfRangeError: if the box does not lie inside of the tensor.

    >>> import graphjit as gj
    >>> print(gj.slice([[1, 2, 3], [4, 5, 6]], [0, 1], [-1, 2]))
    gj.Tensor(
    [[2 3]
     [5 6]], shape=(2, 2), dtype=int32)
    """
    x = as_operand(input_)
    starts, counts = static_shape(begin), static_shape(size)
    if isinstance(starts, tuple) and isinstance(counts, tuple):
        return _static_slice(x, starts, counts)
    first = constant(starts, int64) if isinstance(starts, tuple) else starts
    if not isinstance(counts, tuple):
        return apply(slice_sizes_op, x, first, counts)
    if -1 in counts:
        return apply(slice_sizes_op, x, first, constant(counts, int64))
    return apply(dynamic_slice_op, x, first, sizes=counts)


def _static_slice(x: Any, begin: tuple[int, ...], size: tuple[int, ...]) -> Any:
    rank = x.type.rank
    if len(begin) != rank or len(size) != rank:
        raise ShapeError(
            f"slice: begin {list(begin)} and size {list(size)} need {rank} entries each for shape {x.shape}"
        )
    if not x.type.is_static:
        result = apply(slice_sizes_op, x, constant(begin, int64), constant(size, int64))
        return PUBLIC["ensure_shape"](result, tuple(None if one == -1 else one for one in size))
    _box(x.type.sizes, np.array(begin), _complete_sizes(x.type.sizes, np.array(begin), np.array(size)))
    ends = tuple(None if one == -1 else first + one for first, one in zip(begin, size, strict=True))
    return take_slice(x, begin, ends, (1,) * rank)


# --- slices between bounds that are values ----------------------------------------------------------


def _between_type(types: tuple[TensorType, ...], *, axis: int, step: int) -> tuple[TensorType, ...]:
    type = types[0]
    for bound in types[1:]:
        require_kind(bound, "iu", "the bound of a slice")
        if bound.rank:
            raise ShapeError(f"the bound of a slice is a scalar, not {bound}")
    return (TensorType(type.dtype, (*type.shape[:axis], None, *type.shape[axis + 1 :])),)


def _between(rank: int, axis: int, begin: Any, end: Any, step: int) -> tuple[slice, ...]:
    return tuple(slice(int(begin), int(end), step) if one == axis else slice(None) for one in range(rank))


def _known_between(x: Any, begin: Any, end: Any, *, axis: int, step: int) -> Any:
    return when_known([begin, end], lambda first, last: slice_along(x, axis, int(first), int(last), step))


slice_between_op: Op = declare(
    Op(
        name="slice_between",
        kind=Kind.COMPOSED,
        infer=_between_type,
        numpy=lambda x, begin, end, *, axis, step: x[_between(x.ndim, axis, begin, end, step)].copy(),
        definition=_known_between,
        gradient=[
            lambda g, y, x, begin, end, *, axis, step: apply(
                unslice_between_op, g, x, begin, end, axis=axis, step=step
            ),
            None,
            None,
        ],
        static_operands=(1, 2),
        examples=(
            Example(("f64[4,5]", np.int64(1), np.int64(-1)), {"axis": 1, "step": 2}),
            Example(("f64[4]", np.int64(3), np.int64(-(2**62))), {"axis": 0, "step": -1}),
        ),
        doc="A slice along one axis between bounds that are operands, by Python's rules.",
    )
)


def _put_between(
    g: np.ndarray[Any, Any], like: np.ndarray[Any, Any], begin: Any, end: Any, *, axis: int, step: int
) -> np.ndarray[Any, Any]:
    result = np.zeros(like.shape, g.dtype)
    result[_between(like.ndim, axis, begin, end, step)] = g
    return result


def _known_unslice(g: Any, like: Any, begin: Any, end: Any, *, axis: int, step: int) -> Any:
    def write(first: Any, last: Any) -> Any:
        rank = like.type.rank
        bounds = [(int(first), int(last), step) if one == axis else (None, None, 1) for one in range(rank)]
        begins, ends, steps = (tuple(column) for column in zip(*bounds, strict=True))
        return apply(unslice_op, g, like, begin=begins, end=ends, step=steps)

    return when_known([begin, end], write)


unslice_between_op: Op = declare(
    Op(
        name="unslice_between",
        kind=Kind.COMPOSED,
        infer=lambda types, **_attributes: (TensorType(types[0].dtype, types[1].shape),),
        numpy=_put_between,
        definition=_known_unslice,
        gradient=[
            lambda h, y, g, like, begin, end, *, axis, step: apply(
                slice_between_op, h, begin, end, axis=axis, step=step
            ),
            None,
            None,
            None,
        ],
        static_operands=(2, 3),
        examples=(Example(("f64[4,2]", "f64[4,5]", np.int64(1), np.int64(4)), {"axis": 1, "step": 2}),),
        doc="Zeros of the shape of `like`, with g where the slice was taken: its gradient.",
    )
)

_FAR = 2**62


def slice_between(x: Any, axis: int, begin: Any, end: Any, step: int) -> Any:
    """A slice along one axis whose bounds are integers, scalar operands or None."""
    open_bounds = (-_FAR, _FAR) if step > 0 else (_FAR, -_FAR)
    bounds = [
        constant(beyond, int64) if bound is None else PUBLIC["cast"](as_operand(bound, int64), int64)
        for bound, beyond in zip((begin, end), open_bounds, strict=True)
    ]
    return apply(slice_between_op, x, *bounds, axis=axis, step=step)


__all__: list[str] = []
