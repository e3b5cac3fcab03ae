"""Making ragged tensors of lists, and of other ragged tensors: functions of `gj.ragged`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, as_operand, holds_operand
from graphjit.compiler.ops.rows import row_sum_op
from graphjit.compiler.tensortype import DType, as_dtype, int64
from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..structure import flatten, unflatten
from .raggedtensor import RaggedTensor, splits_of_lengths
from .rows import picked_rows


def constant(
    pylist: Any,
    dtype: Any = None,
    ragged_rank: int | None = None,
    inner_shape: Any = None,
    name: str | None = None,
    row_splits_dtype: Any = int64,
) -> Any:
    """A ragged tensor of nested lists, whose rows may be of different lengths.

    Args:
      pylist: nested lists of numbers or strings, equally deep everywhere.
      dtype: the element type; by default that of the elements.
      ragged_rank: how many axes behind the first are ragged; by default all.
      inner_shape: the shape of each element, if these are lists in turn.
      row_splits_dtype: accepted for TensorFlow's sake; row splits are int64.

    Raises:
      InvalidArgumentError: if the lists are not equally deep, or not as deep as asked for.

    >>> import graphjit as gj
    >>> gj.ragged.constant([[3, 1], [], [5, 9, 2]])
    <gj.RaggedTensor [[3, 1], [], [5, 9, 2]]>
    """
    depth = _depth(pylist)
    inner = 0 if inner_shape is None else len(tuple(inner_shape))
    rank = max(depth - 1 - inner, 0) if ragged_rank is None else int(ragged_rank)
    if rank > max(depth - 1, 0) or rank < 0:
        raise InvalidArgumentError(f"ragged.constant: ragged_rank {rank} for lists that are {depth} deep")
    wanted = None if dtype is None else as_dtype(dtype)
    if rank == 0:
        return as_operand(pylist, wanted)
    return _nested(pylist, rank, wanted, () if inner_shape is None else tuple(inner_shape))


def _depth(value: Any) -> int:
    """How deep lists are nested.

    Raises:
      InvalidArgumentError: if that differs.
    """
    if not isinstance(value, list | tuple):
        return 0
    depths = {_depth(one) for one in value if not (isinstance(one, list | tuple) and not one)}
    known = max(depths, default=1 if any(isinstance(one, list | tuple) for one in value) else 0)
    if len(depths) > 1 and (min(depths) == 0 or not _empty_below(value, known)):
        raise InvalidArgumentError(f"ragged.constant: the lists are not equally deep: {sorted(depths)} levels")
    if 0 in depths and any(isinstance(one, list | tuple) for one in value):
        raise InvalidArgumentError("ragged.constant: lists and single elements stand side by side")
    return 1 + known


def _empty_below(value: Any, depth: int) -> bool:
    """Whether lists that are less deep than others end in empty ones."""
    if not isinstance(value, list | tuple):
        return depth < 0
    return not value or depth < 0 or all(_empty_below(one, depth - 1) for one in value)


def _nested(rows: Any, rank: int, dtype: DType | None, inner_shape: tuple[int, ...]) -> RaggedTensor:
    lengths = as_operand([len(row) for row in rows], int64)
    elements = [element for row in rows for element in row]
    values: Any
    if rank > 1:
        values = _nested(elements, rank - 1, dtype, inner_shape)
    elif elements or holds_operand(elements):
        values = as_operand(elements, dtype)
    else:
        values = PUBLIC["zeros"]((0, *inner_shape), dtype or "float32")
    return RaggedTensor(values, splits_of_lengths(lengths))


def map_flat_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What a function gives for the elements of ragged tensors, in their rows.

    Args:
      op: a function that keeps the number of elements.
      args, kwargs: its arguments; ragged tensors among them, however nested, have equal rows.

    Raises:
      InvalidArgumentError: if no argument is ragged.
      ShapeError: if the number of elements changes.

    >>> import graphjit as gj
    >>> gj.ragged.map_flat_values(gj.square, gj.ragged.constant([[1, 2], [3]]))
    <gj.RaggedTensor [[1, 4], [9]]>
    """
    from ..structure import flatten_down_to

    leaves, structure = flatten_down_to((args, kwargs), RaggedTensor)
    ragged = [leaf for leaf in leaves if isinstance(leaf, RaggedTensor)]
    if not ragged:
        raise InvalidArgumentError("map_flat_values: no argument is a ragged tensor")
    flat = [one._beside(ragged[0]) if isinstance(one, RaggedTensor) else one for one in leaves]
    positional, named = unflatten(structure, flat)
    return ragged[0].with_flat_values(op(*positional, **named))


def map_fn(fn: Callable[[Any], Any], elems: Any) -> Any:
    """What `fn` returns for each row, stacked; as rows of a ragged tensor where `fn` returns vectors of other lengths.

    Args:
      fn: called with a row, a tensor; returns a tensor.
      elems: a ragged tensor whose number of rows is known; in a compiled function the rows are written out.

    >>> import graphjit as gj
    >>> print(gj.ragged.map_fn(gj.reduce_max, gj.ragged.constant([[1, 5], [3]])))
    gj.Tensor([5 3], shape=(2,), dtype=int32)
    """
    results = [fn(row) for row in elems]
    if not results:
        raise InvalidArgumentError("ragged.map_fn: there are no rows, so it is unknown what fn returns")
    leaves, structure = zip(*(flatten(one) for one in results), strict=True)
    if any(one != structure[0] for one in structure):
        raise InvalidArgumentError("ragged.map_fn: fn returned different structures for the rows")
    return unflatten(structure[0], [_stacked(list(column)) for column in zip(*leaves, strict=True)])


def _stacked(results: list[Any]) -> Any:
    operands = [as_operand(one) for one in results]
    shapes = {one.type.shape for one in operands}
    if len(shapes) == 1 and operands[0].type.is_static:
        return PUBLIC["stack"](operands)
    return stack(operands)


def stack(values: Any, axis: int = 0, name: str | None = None) -> Any:
    """Tensors of rank 1 or more, or ragged tensors, as the rows of a ragged tensor.

    >>> import graphjit as gj
    >>> gj.ragged.stack([gj.constant([1, 2]), gj.constant([3])])
    <gj.RaggedTensor [[1, 2], [3]]>
    """
    if axis != 0:
        raise InvalidArgumentError(f"ragged.stack: axis is 0, not {axis}")
    given = [one if isinstance(one, RaggedTensor) else as_operand(one) for one in values]
    if not given or any(not isinstance(one, RaggedTensor) and not one.type.rank for one in given):
        raise ShapeError("ragged.stack: give tensors of rank 1 or more; gj.stack takes scalars")
    lengths = [
        one.nrows() if isinstance(one, RaggedTensor) else PUBLIC["shape_of"](one, out_type=int64)[0] for one in given
    ]
    return RaggedTensor(concat(given, 0), splits_of_lengths(PUBLIC["stack"](lengths)))


def concat(values: Any, axis: int = 0, name: str | None = None) -> Any:
    """Ragged tensors one behind the other: their rows (axis 0), or the elements of equal rows (axis 1).

    >>> import graphjit as gj
    >>> one, other = gj.ragged.constant([[1, 2], [3]]), gj.ragged.constant([[4], []])
    >>> print(gj.ragged.concat([one, other], 0), gj.ragged.concat([one, other], 1))
    <gj.RaggedTensor [[1, 2], [3], [4], []]> <gj.RaggedTensor [[1, 2, 4], [3]]>
    """
    given = list(values)
    if axis not in (0, 1):
        raise InvalidArgumentError(f"ragged.concat: axis is 0 or 1, not {axis}")
    ragged = [one for one in given if isinstance(one, RaggedTensor)]
    if not ragged and axis == 0:
        return PUBLIC["concat"](given, 0)
    if len(ragged) < len(given):
        given = [one if isinstance(one, RaggedTensor) else RaggedTensor.from_tensor(one) for one in given]
    if len({one.ragged_rank for one in given}) > 1:
        raise ShapeError(f"ragged.concat: shapes {', '.join(str(one.shape) for one in given)} do not go together")
    return _one_behind_other(given) if axis == 0 else _side_by_side(given)


def _one_behind_other(given: list[RaggedTensor]) -> RaggedTensor:
    lengths = PUBLIC["concat"]([one.row_lengths() for one in given], 0)
    return RaggedTensor(concat([one.values for one in given], 0), splits_of_lengths(lengths))


def _side_by_side(given: list[RaggedTensor]) -> RaggedTensor:
    lengths = given[0].row_lengths()
    for one in given[1:]:
        lengths = lengths + one.row_lengths()
    ids = PUBLIC["concat"]([one.value_rowids() for one in given], 0)
    order = PUBLIC["argsort"](ids, stable=True)
    return RaggedTensor(picked_rows(concat([one.values for one in given], 0), order), splits_of_lengths(lengths))


def boolean_mask(data: Any, mask: Any, name: str | None = None) -> Any:
    """The elements of rows at which the mask is true, in rows of their own.

    Args:
      data: a ragged tensor, or a tensor of rank 2 or more.
      mask: truth values in equal rows, ragged or not.

    >>> import graphjit as gj
    >>> gj.ragged.boolean_mask(gj.ragged.constant([[1, 2], [3]]), gj.ragged.constant([[False, True], [True]]))
    <gj.RaggedTensor [[2], [3]]>
    """
    chosen = mask if isinstance(mask, RaggedTensor) else RaggedTensor.from_tensor(mask)
    rows = data if isinstance(data, RaggedTensor) else RaggedTensor.from_tensor(data)
    if chosen.ragged_rank != 1 or rows.ragged_rank != 1:
        raise ShapeError("ragged.boolean_mask: data and mask have one ragged axis")
    truth = chosen._beside(rows)
    counts = apply(row_sum_op, PUBLIC["cast"](truth, int64), rows.row_splits)
    return RaggedTensor(PUBLIC["boolean_mask"](rows.values, truth), splits_of_lengths(counts))


__all__ = ["boolean_mask", "concat", "constant", "map_flat_values", "map_fn", "stack"]
