"""Reductions of ragged tensors: of each row, of each column, of everything."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC
from graphjit.compiler.ops.rows import row_max_op, row_min_op, row_prod_op, row_sum_op
from graphjit.compiler.tensortype import int32
from graphjit.runtime.errors import ShapeError, UnimplementedError

from .raggedtensor import RaggedTensor

_ROW_OPS = {"reduce_sum": row_sum_op, "reduce_prod": row_prod_op, "reduce_max": row_max_op, "reduce_min": row_min_op}
_BY_EXTREME = {"reduce_all": row_min_op, "reduce_any": row_max_op}


def reduce_ragged(ragged: RaggedTensor, function: Callable[..., Any], axis: Any, keepdims: bool) -> Any:
    """What a reduction function gives for a ragged tensor.

    Axis 1 reduces each row, axis 0 each column over the rows that reach it, None everything; deeper axes
    belong to the rows of rows.

    Raises:
      ShapeError: if there is no such axis.
      UnimplementedError: for several axes at once.
    """
    if axis is None:
        return function(ragged.flat_values, axis=None)
    if isinstance(axis, list | tuple):
        return _along_all(ragged, function, list(axis), keepdims)
    rank = len(ragged.shape)
    place = int(axis) + rank if int(axis) < 0 else int(axis)
    if not 0 <= place < rank:
        raise ShapeError(
            f"{function.__name__}: axis {axis} is out of range for a ragged tensor of shape {ragged.shape}"
        )
    if place == 0:
        return _kept(_columns(ragged, function), 0, keepdims)
    if place == 1:
        return _kept(_rows(ragged, function), 1, keepdims)
    return ragged.with_values(function(ragged.values, axis=place - 1, keepdims=keepdims))


def _along_all(ragged: RaggedTensor, function: Callable[..., Any], axes: list[int], keepdims: bool) -> Any:
    if len(axes) == 1:
        return reduce_ragged(ragged, function, axes[0], keepdims)
    if sorted(axes) == list(range(len(ragged.shape))) and not keepdims:
        return function(ragged.flat_values, axis=None)
    raise UnimplementedError(
        f"{function.__name__}: a ragged tensor is reduced along one axis or all, not {axes}; reduce one after the other"
    )


def _kept(result: Any, axis: int, keepdims: bool) -> Any:
    if not keepdims:
        return result
    if isinstance(result, RaggedTensor):
        raise UnimplementedError("keepdims: the result is ragged; leave keepdims out")
    return PUBLIC["expand_dims"](result, axis)


def _rows(ragged: RaggedTensor, function: Callable[..., Any]) -> Any:
    if isinstance(ragged.values, RaggedTensor):
        return _rows_of_rows(ragged, function)
    name, values, splits = function.__name__, ragged.values, ragged.row_splits
    if name in _ROW_OPS:
        return apply(_ROW_OPS[name], values, splits)
    if name in _BY_EXTREME:
        found = apply(_BY_EXTREME[name], PUBLIC["cast"](values, int32), splits)
        return PUBLIC["greater"](found, 0)
    if name == "reduce_mean":
        return _mean(apply(row_sum_op, values, splits), ragged.row_lengths())
    raise UnimplementedError(f"{name} of the rows of a ragged tensor; reduce_sum, mean, prod, min, max, all, any are")


def _mean(total: Any, count: Any) -> Any:
    number = PUBLIC["cast"](count, total.dtype)
    for _ in range(total.type.rank - count.type.rank):
        number = PUBLIC["expand_dims"](number, -1)
    return total / number if total.dtype.is_floating else total // number


def _rows_of_rows(ragged: RaggedTensor, function: Callable[..., Any]) -> Any:
    """Rows are combined element by element, where each is as long as the longest: rows of columns."""
    from .rows import rows_at_same_place

    return reduce_ragged(rows_at_same_place(ragged), function, 2, False)


def _columns(ragged: RaggedTensor, function: Callable[..., Any]) -> Any:
    from .rows import rows_at_same_place, under_one_row

    return reduce_ragged(rows_at_same_place(under_one_row(ragged)), function, 2, False)[0]


__all__: list[str] = []
