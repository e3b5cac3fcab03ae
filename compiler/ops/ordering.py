"""Ordering: sort, argsort, top_k, searchsorted.

NaN counts as greater than every number, as in NumPy: last in ascending order, first in descending.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..batchrules import axes_shift
from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, as_operand, as_operands, public, require_kind, require_rank, require_same_dtype
from ..tensortype import DType, TensorType, as_dtype, int32, int64, normalize_axis
from .gathering import gather_along
from .shaping import moveaxis, reshape
from .sizes import static_integer

Array = np.ndarray[Any, Any]

# --- sort and argsort -----------------------------------------------------------------------------


def _sort_type(types: tuple[TensorType, ...], *, axis: int, descending: bool) -> tuple[TensorType, ...]:
    require_rank(types[0], 1)
    require_kind(types[0], "biuf")
    return (types[0],)


def _argsorted(x: Array, axis: int, descending: bool) -> Array:
    """Stable: equal elements keep their order, in descending order too."""
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    backward = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return np.flip(x.shape[axis] - 1 - backward, axis)


def _sorted_array(x: Array, *, axis: int, descending: bool) -> Array:
    ordered = np.sort(x, axis=axis)
    return np.flip(ordered, axis).copy() if descending else ordered


def _put_along(g: Any, x: Any, places: Any, axis: int) -> Any:
    """Zeros of the shape of `x` to which `g` is added at positions along `axis`."""
    last = x.type.rank - 1
    ungather = {"axis": last, "batch_dims": last}
    rows, index = moveaxis(g, axis, last), moveaxis(places, axis, last)
    like = moveaxis(x, axis, last)
    return moveaxis(PUBLIC["ungather"](rows, index, like, **ungather), last, axis)


def _sort_gradient(g: Any, y: Any, x: Any, *, axis: int, descending: bool) -> Any:
    order = apply(argsort_op, x, axis=axis, descending=descending)
    return _put_along(g, x, order, axis)


_SORT_EXAMPLES = (
    Example(("f64[4,3]",), {"axis": 1, "descending": False}),
    Example(("f64[4,3]",), {"axis": 0, "descending": True}),
    Example(("f64[1]",), {"axis": 0, "descending": True}),
    Example(("f64[2,0]",), {"axis": 1, "descending": False}),
)

sort_op: Op = declare(
    Op(
        name="sort",
        kind=Kind.CALL,
        batch=axes_shift("axis"),
        infer=_sort_type,
        numpy=_sorted_array,
        gradient=[_sort_gradient],
        examples=_SORT_EXAMPLES,
        dtypes="iuf",
        doc="The elements in order along an axis.",
    )
)

argsort_op: Op = declare(
    Op(
        name="argsort",
        kind=Kind.CALL,
        batch=axes_shift("axis"),
        infer=lambda types, *, axis, descending: (
            TensorType(int32, _sort_type(types, axis=axis, descending=descending)[0].shape),
        ),
        numpy=lambda x, *, axis, descending: _argsorted(x, axis, descending).astype(np.int32),
        gradient=Differentiability.NONE,
        examples=_SORT_EXAMPLES,
        dtypes="iuf",
        doc="The positions along an axis that put the elements in order.",
    )
)


def _descending(direction: str, what: str) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise InvalidArgumentError(f"{what}: direction is ASCENDING or DESCENDING, not {direction!r}")
    return direction == "DESCENDING"


@public()
def sort(values: Any, axis: int = -1, direction: str = "ASCENDING", name: str | None = None) -> Any:
    """The elements in order along an axis; NaN counts as greater than every number.

    Raises:
      ShapeError: if it is a scalar, or there is no such axis.

    >>> import graphjit as gj
    >>> print(gj.sort([3, 1, 2], direction="DESCENDING"))
    gj.Tensor([3 2 1], shape=(3,), dtype=int32)
    """
    x = as_operand(values)
    where = normalize_axis(axis, x.type.rank)
    return apply(sort_op, x, axis=where, descending=_descending(direction, "sort"))


@public()
def argsort(
    values: Any, axis: int = -1, direction: str = "ASCENDING", stable: bool = False, name: str | None = None
) -> Any:
    """The positions along an axis, as int32, that put the elements in order.

    Equal elements keep their order, whatever `stable` says.

    >>> import graphjit as gj
    >>> print(gj.argsort([3, 1, 2]))
    gj.Tensor([1 2 0], shape=(3,), dtype=int32)
    """
    x = as_operand(values)
    where = normalize_axis(axis, x.type.rank)
    return apply(argsort_op, x, axis=where, descending=_descending(direction, "argsort"))


# --- top_k ------------------------------------------------------------------------------------------


class TopK(NamedTuple):
    """The greatest elements of each row, greatest first, and their positions."""

    values: Any
    indices: Any


@public()
def top_k(
    input: Any,
    k: Any = 1,
    sorted: bool = True,  # noqa: A002 -- TensorFlow's name; the order is the same either way
    index_type: Any = int32,
    name: str | None = None,
) -> TopK:
    """The `k` greatest elements along the last axis, greatest first, and their positions.

    Of equal elements the first ones are taken. NaN counts as greater than every number.

    Raises:
      InvalidArgumentError: if `k` is negative or greater than the size of the axis, or is traced.

    >>> import graphjit as gj
    >>> gj.math.top_k([1, 5, 3], k=2).indices.numpy().tolist()
    [1, 2]
    """
    x = as_operand(input)
    require_rank(x.type, 1, "input")
    count, size = static_integer(k), x.type.shape[-1]
    if count is None:
        raise InvalidArgumentError("top_k needs a k that is known when the function is traced")
    if count < 0 or (size is not None and count > size):
        raise InvalidArgumentError(f"top_k: k is {count}, but the last axis of shape {x.shape} has {size} elements")
    axis = x.type.rank - 1
    order = apply(argsort_op, x, axis=axis, descending=True)
    indices = PUBLIC["ensure_shape"](order[..., :count], (*x.type.shape[:-1], count))
    return TopK(gather_along(x, indices, axis), PUBLIC["cast"](indices, as_dtype(index_type)))


# --- searchsorted -----------------------------------------------------------------------------------


def _search_type(types: tuple[TensorType, ...], *, side: str, dtype: DType) -> tuple[TensorType, ...]:
    sequence, values = types
    require_same_dtype(types)
    if sequence.rank < 1 or sequence.rank != values.rank or sequence.shape[:-1] != values.shape[:-1]:
        raise ShapeError(
            "searchsorted needs the same leading axes in the sorted sequence and the values; "
            f"the shapes are {sequence.shape} and {values.shape}"
        )
    return (TensorType(dtype, values.shape),)


def _searched_array(sequence: Array, values: Array, *, side: Any, dtype: DType) -> Array:
    found = np.empty(values.shape, dtype.numpy)
    for row in np.ndindex(*sequence.shape[:-1]):
        found[row] = np.searchsorted(sequence[row], values[row], side)
    return found


searchsorted_op: Op = declare(
    Op(
        name="searchsorted",
        kind=Kind.CALL,
        infer=_search_type,
        numpy=_searched_array,
        gradient=Differentiability.NONE,
        examples=(
            Example((np.array([1.0, 2.0, 4.0]), "f64[5]"), {"side": "left", "dtype": int32}),
            Example((np.array([[1, 2], [0, 0]]), np.array([[2], [0]])), {"side": "right", "dtype": int64}),
            Example((np.zeros(0), "f64[2]"), {"side": "left", "dtype": int32}),
        ),
        doc="Where each value would go into a sorted sequence.",
    )
)


@public()
def searchsorted(
    sorted_sequence: Any, values: Any, side: str = "left", out_type: Any = int32, name: str | None = None
) -> Any:
    """Where each value would go into the sorted sequence so that it stays sorted.

    Args:
      sorted_sequence: ascending along its last axis, shape [..., n].
      values: shape [..., m], with the same leading axes; with a sequence of rank 1, any shape.
      side: "left": before equal elements; "right": after them.

    >>> import graphjit as gj
    >>> print(gj.searchsorted([1, 3, 5], [3, 4]))
    gj.Tensor([1 2], shape=(2,), dtype=int32)
    """
    if side not in ("left", "right"):
        raise InvalidArgumentError(f"searchsorted: side is 'left' or 'right', not {side!r}")
    sequence, wanted = as_operands(sorted_sequence, values)
    attributes = {"side": side, "dtype": as_dtype(out_type)}
    if sequence.type.rank == 1 and wanted.type.rank != 1:
        flat = apply(searchsorted_op, sequence, reshape(wanted, [-1]), **attributes)
        return PUBLIC["reshape_to_shape_of"](flat, wanted)
    return apply(searchsorted_op, sequence, wanted, **attributes)


__all__ = ["argsort", "searchsorted", "sort", "top_k"]
