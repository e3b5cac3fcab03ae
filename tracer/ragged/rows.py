"""The rows of ragged tensors: from tensors and back, picked, cut, and read column by column."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, Operand, as_operand, is_operand_like
from graphjit.compiler.ops.rows import pad_rows_op, row_max_op, spread, unpad_rows_op
from graphjit.compiler.ops.sizes import constant
from graphjit.compiler.tensortype import TensorShape, int64
from graphjit.runtime.errors import InvalidArgumentError, OutOfRangeError, ShapeError

from .raggedtensor import RaggedTensor, splits_of_lengths

# --- from tensors and back ------------------------------------------------------------------------------


def rows_of_tensor(x: Operand, lengths: Any, padding: Any, ragged_rank: int) -> RaggedTensor:
    """See `RaggedTensor.from_tensor`."""
    if x.type.rank <= ragged_rank or ragged_rank < 1:
        raise ShapeError(f"from_tensor: {ragged_rank} ragged axes need a tensor of higher rank than shape {x.shape}")
    if lengths is not None and padding is not None:
        raise InvalidArgumentError("from_tensor: give lengths or padding, not both")
    if (lengths is not None or padding is not None) and ragged_rank > 1:
        raise InvalidArgumentError("from_tensor: lengths and padding go with a ragged_rank of 1")
    if padding is not None:
        lengths = _lengths_before(x, as_operand(padding, x.type.dtype))
    if lengths is not None:
        splits = splits_of_lengths(PUBLIC["cast"](as_operand(lengths, int64), int64))
        return RaggedTensor(apply(unpad_rows_op, x, splits), splits)
    return _whole_rows(x, ragged_rank)


def _lengths_before(x: Operand, padding: Operand) -> Any:
    """How long rows are without what they end with."""
    used = PUBLIC["not_equal"](x, padding)
    if x.type.rank > 2:
        used = PUBLIC["reduce_any"](used, axis=list(range(2, x.type.rank)))
    places = PUBLIC["range_"](1, PUBLIC["shape_of"](x, out_type=int64)[1] + 1, dtype=int64)
    return PUBLIC["maximum"](PUBLIC["reduce_max"](PUBLIC["cast"](used, int64) * places, axis=1), 0)


def _whole_rows(x: Operand, ragged_rank: int) -> RaggedTensor:
    shape = PUBLIC["shape_of"](x, out_type=int64)
    values: Any = PUBLIC["reshape"](x, PUBLIC["concat"]([[-1], shape[2:]], 0))
    if x.type.is_static:
        values = PUBLIC["reshape"](x, (x.type.sizes[0] * x.type.sizes[1], *x.type.sizes[2:]))
    splits = PUBLIC["range_"](0, shape[0] + 1, dtype=int64) * shape[1]
    if x.type.is_static:
        splits = PUBLIC["ensure_shape"](splits, (x.type.sizes[0] + 1,))
    return RaggedTensor(values if ragged_rank == 1 else _whole_rows(values, ragged_rank - 1), splits)


def filled_up(ragged: RaggedTensor, default: Any, shape: Any) -> Any:
    """See `RaggedTensor.to_tensor`."""
    wanted = [None] * len(ragged.shape) if shape is None else TensorShape(shape).as_list()
    if len(wanted) != len(ragged.shape):
        raise ShapeError(f"to_tensor: shape {wanted} for a ragged tensor of shape {ragged.shape}")
    filler = constant(b"" if ragged.dtype.is_string else 0, ragged.dtype)
    if default is not None:
        filler = as_operand(default, ragged.dtype, "default_value")
    return _with_rows(_filled_up(ragged, filler, wanted[1:]), wanted[0], filler)


def _filled_up(ragged: RaggedTensor, filler: Operand, wanted: Sequence[int | None]) -> Any:
    values = ragged.values
    if isinstance(values, RaggedTensor):
        values = _filled_up(values, filler, wanted[1:])
    for place, size in enumerate(wanted[1:], 1):
        if size is not None and size != values.type.shape[place]:
            raise ShapeError(f"to_tensor: axis {place + 1} is not ragged and has size {values.type.shape[place]}")
    return apply(pad_rows_op, values, ragged.row_splits, filler, width=wanted[0])


def _with_rows(x: Any, count: int | None, filler: Operand) -> Any:
    """A tensor with so many rows, filled up or cut."""
    have = x.type.shape[0]
    if count is None or count == have:
        return x
    if have is None or not x.type.rank:
        raise ShapeError("to_tensor: a shape with a number of rows needs rows whose number is known; use None for it")
    if count < have:
        return x[:count]
    shape = PUBLIC["concat"]([[count - have], PUBLIC["shape_of"](x)[1:]], 0)
    return PUBLIC["concat"]([x, PUBLIC["broadcast_to"](filler, shape)], 0)


# --- picking --------------------------------------------------------------------------------------------


def picked_rows(values: Any, order: Any) -> Any:
    """The rows of a tensor or a ragged tensor at these positions.

    Raises:
      OutOfRangeError: if there is no such row.
    """
    if not isinstance(values, RaggedTensor):
        return PUBLIC["gather"](values, order, axis=0)
    lengths = PUBLIC["gather"](values.row_lengths(), order)
    starts = PUBLIC["gather"](values.row_starts(), order)
    splits = splits_of_lengths(lengths)
    positions = PUBLIC["range_"](0, splits[-1], dtype=int64)
    within = positions - spread(splits[:-1], positions, splits)
    return RaggedTensor(picked_rows(values.values, spread(starts, positions, splits) + within), splits)


def part_of(ragged: RaggedTensor, key: Any) -> Any:
    """What `ragged[key]` is: a row, rows, and elements or parts of rows."""
    keys = key if isinstance(key, tuple) else (key,)
    if len(keys) > len(ragged.shape) or any(one is None or one is Ellipsis for one in keys):
        raise ShapeError(
            f"a ragged tensor of shape {ragged.shape} is indexed by a row, or by slices and numbers per axis, not {key}"
        )
    first, rest = keys[0], keys[1:]
    if not isinstance(first, slice):
        row = _row(ragged, first)
        return row[rest] if rest else row
    rows = _rows_between(ragged, first)
    if not rest:
        return rows
    return _inside(rows, rest)


def _row(ragged: RaggedTensor, place: Any) -> Any:
    index = place if is_operand_like(place) else int(place)
    count = ragged.known_rows
    if isinstance(index, int) and count is not None and not -count <= index < count:
        raise OutOfRangeError(f"row {index} is out of range for a ragged tensor of {count} rows")
    if isinstance(index, int) and index < 0:
        index = index + ragged.nrows()
    limits = ragged.row_splits[index], ragged.row_splits[index + 1]
    if isinstance(ragged.values, RaggedTensor):
        return _rows_between(ragged.values, slice(*limits))
    return ragged.values[limits[0] : limits[1]]


def _rows_between(ragged: RaggedTensor, part: slice) -> RaggedTensor:
    if part == slice(None):
        return ragged
    return picked_rows(ragged, PUBLIC["range_"](0, ragged.nrows(), dtype=int64)[part])  # type: ignore[no-any-return]  # the rows of a ragged tensor are one


def _inside(ragged: RaggedTensor, keys: tuple[Any, ...]) -> Any:
    """The same part of each row."""
    first, rest = keys[0], keys[1:]
    lengths = ragged.row_lengths()
    if not isinstance(first, slice):
        places = lengths + first if isinstance(first, int) and first < 0 else PUBLIC["zeros_like"](lengths) + first
        inside = PUBLIC["logical_and"](PUBLIC["less"](places, lengths), PUBLIC["greater_equal"](places, 0))
        PUBLIC["Assert"](
            PUBLIC["reduce_all"](inside), [f"element {first} is asked of each row, but a row is too short", lengths]
        )
        found = picked_rows(ragged.values, ragged.row_starts() + places)
        return found[(slice(None), *rest)] if rest else found
    if first.step not in (None, 1):
        raise InvalidArgumentError("parts of rows are taken without a step; use to_tensor() for others")
    begin, end = (_bounded(bound, lengths, whole) for bound, whole in ((first.start, False), (first.stop, True)))
    offsets = ragged.row_offsets()
    low, high = (spread(one, offsets, ragged.row_splits) for one in (begin, end))
    kept = PUBLIC["logical_and"](PUBLIC["greater_equal"](offsets, low), PUBLIC["less"](offsets, high))
    order = PUBLIC["where"](kept)[:, 0]
    found = RaggedTensor(picked_rows(ragged.values, order), splits_of_lengths(PUBLIC["maximum"](end - begin, 0)))
    return found.with_values(_inside_values(found.values, rest)) if rest else found


def _inside_values(values: Any, keys: tuple[Any, ...]) -> Any:
    return values[(slice(None), *keys)]


def _bounded(bound: Any, lengths: Any, whole: bool) -> Any:
    """For each row the position that a bound of a slice stands for."""
    if bound is None:
        return lengths if whole else PUBLIC["zeros_like"](lengths)
    place = lengths + bound if isinstance(bound, int) and bound < 0 else PUBLIC["zeros_like"](lengths) + bound
    return PUBLIC["minimum"](PUBLIC["maximum"](place, 0), lengths)


# --- columns --------------------------------------------------------------------------------------------


def under_one_row(ragged: RaggedTensor) -> RaggedTensor:
    """All rows as the rows of a single row."""
    return RaggedTensor(ragged, PUBLIC["stack"]([PUBLIC["zeros"]((), int64), ragged.nrows()]))


def rows_at_same_place(ragged: RaggedTensor) -> RaggedTensor:
    """Of rows of rows: for each outer row its columns, each with the elements of the rows that are long enough.

    >>> import graphjit as gj
    >>> print(rows_at_same_place(gj.ragged.constant([[[1, 2], [3]], [[4]]])))
    <gj.RaggedTensor [[[1, 3], [2]], [[4]]]>
    """
    inner = ragged.values
    outer = PUBLIC["gather"](ragged.value_rowids(), inner.value_rowids())
    offsets = inner.row_offsets()
    widths = PUBLIC["maximum"](apply(row_max_op, inner.row_lengths(), ragged.row_splits), 0)
    splits = splits_of_lengths(widths)
    columns = PUBLIC["gather"](splits, outer) + offsets
    order = PUBLIC["argsort"](columns, stable=True)
    values = picked_rows(inner.values, order)
    return RaggedTensor(RaggedTensor.from_value_rowids(values, PUBLIC["gather"](columns, order)), splits)


__all__: list[str] = []
