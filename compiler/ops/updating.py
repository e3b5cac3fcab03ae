"""`x` with `x[key]` replaced: what assigning to a slice of a variable does."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..batchrules import prefixed
from ..dispatch import apply
from ..op import Example, Kind, Op, Piece, declare
from ..operand import PUBLIC, Operand, as_operand, public, require_same_dtype
from ..tensortype import TensorType, broadcast_shapes, element_count
from .slicing import take_slice

Places = tuple[int, ...]


def _put_type(types: tuple[TensorType, ...], *, begin: Places, step: Places) -> tuple[TensorType, ...]:
    type, part = types
    require_same_dtype(types)
    if not type.rank == part.rank == len(begin) == len(step):
        raise ShapeError(f"a part of shape {part.shape} is put into shape {type.shape} with {len(begin)} begins")
    for size, count, first, by in zip(type.sizes, part.sizes, begin, step, strict=True):
        if by < 1 or first < 0 or (count and first + (count - 1) * by >= size):
            raise ShapeError(f"a part of shape {part.shape} from {begin} by {step} does not lie in shape {type.shape}")
    return (type,)


def _box(shape: Sequence[int], begin: Places, step: Places) -> tuple[slice, ...]:
    return tuple(slice(first, first + count * by, by) for count, first, by in zip(shape, begin, step, strict=True))


def _put_array(
    x: np.ndarray[Any, Any], part: np.ndarray[Any, Any], *, begin: Places, step: Places
) -> np.ndarray[Any, Any]:
    result = x.copy()
    result[_box(part.shape, begin, step)] = part
    return result


def _put_pieces(types: tuple[TensorType, ...], *, begin: Places, step: Places) -> list[Piece]:
    whole, part = types
    everything = Piece(0, (0,) * whole.rank, whole.sizes, (1,) * whole.rank)
    return [everything, Piece(1, begin, part.sizes, step)] if part.element_count else [everything]


def _part_gradient(g: Any, y: Any, x: Any, part: Any, *, begin: Places, step: Places) -> Any:
    ends = tuple(first + count * by for first, count, by in zip(begin, part.type.sizes, step, strict=True))
    return take_slice(g, begin, ends, step)


put_slice_op: Op = declare(
    Op(
        name="put_slice",
        kind=Kind.JOIN,
        batch=prefixed(begin=0, step=1),
        infer=_put_type,
        numpy=_put_array,
        pieces=_put_pieces,
        gradient=[
            lambda g, y, x, part, *, begin, step: apply(
                put_slice_op, g, PUBLIC["zeros_like"](part), begin=begin, step=step
            ),
            _part_gradient,
        ],
        examples=(
            Example(("f64[4,5]", "f64[2,3]"), {"begin": (1, 0), "step": (1, 2)}),
            Example(("f64[3]", "f64[1]"), {"begin": (2,), "step": (1,)}),
            Example(("f64[3]", "f64[0]"), {"begin": (3,), "step": (1,)}),
            Example(("f64[]", "f64[]"), {"begin": (), "step": ()}),
        ),
        doc="The tensor with the box replaced that begins at `begin` and goes in steps.",
    )
)


@public()
def put_item(x: Any, key: Any, value: Any) -> Any:
    """`x` with `x[key]` replaced by `value`, which is broadcast to the shape of `x[key]`.

    Raises:
      OutOfRangeError: if a subscript is out of range.
      ShapeError: if the value does not broadcast to the shape of the part.

    >>> import graphjit as gj
    >>> from graphjit.compiler.ops.updating import put_item
    >>> print(put_item(gj.constant([1, 2, 3]), slice(0, 2), 9))
    gj.Tensor([9 9 3], shape=(3,), dtype=int32)
    """
    operand = as_operand(x)
    given = as_operand(value, operand.type.dtype)
    part = PUBLIC["getitem"](operand, key)
    if part.type.is_static and broadcast_shapes(part.type.shape, given.type.shape) != part.type.shape:
        raise ShapeError(f"a value of shape {given.shape} does not fit a part of shape {part.shape}")
    spread = PUBLIC["broadcast_to_shape_of"](given, part)
    boxes = _boxes(operand, key)
    if boxes is None:
        return _put_by_position(operand, key, spread)
    return _put_boxes(operand, spread, boxes)


def _boxes(x: Operand, key: Any) -> list[range] | None:
    """The positions along each axis that the key names, where they are known and it has no index arrays."""
    entries = key if isinstance(key, tuple) else (key,)
    if not x.type.is_static or not all(_is_plain(entry) for entry in entries):
        return None
    named = [entry for entry in entries if entry is not None and entry is not Ellipsis]
    missing = [slice(None)] * (x.type.rank - len(named))
    kept = [entry for entry in entries if entry is not None]
    cut = next((place for place, entry in enumerate(kept) if entry is Ellipsis), len(kept))
    complete = [*kept[:cut], *missing, *kept[cut + 1 :]]
    return [_positions(entry, size) for entry, size in zip(complete, x.type.sizes, strict=True)]


def _is_plain(entry: Any) -> bool:
    if isinstance(entry, slice):
        return all(bound is None or _is_integer(bound) for bound in (entry.start, entry.stop, entry.step))
    return entry is None or entry is Ellipsis or _is_integer(entry)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int | np.integer)


def _positions(entry: Any, size: int) -> range:
    if isinstance(entry, slice):
        return range(size)[entry]
    first = int(entry) % size
    return range(first, first + 1)


def _put_boxes(x: Operand, part: Any, boxes: Sequence[range]) -> Any:
    sized = PUBLIC["reshape"](part, tuple(len(box) for box in boxes))
    backward = [axis for axis, box in enumerate(boxes) if box.step < 0]
    if backward:
        sized = PUBLIC["reverse"](sized, backward)
        boxes = [box[::-1] if box.step < 0 else box for box in boxes]
    begin = tuple(box.start if box else 0 for box in boxes)
    return apply(put_slice_op, x, sized, begin=begin, step=tuple(box.step for box in boxes))


def _put_by_position(x: Operand, key: Any, part: Any) -> Any:
    """For keys of any kind: pick from the positions of all elements as the key picks from the elements."""
    count = element_count(x.type.sizes) if x.type.is_static else PUBLIC["size_of"](x)
    positions = PUBLIC["getitem"](PUBLIC["reshape_to_shape_of"](PUBLIC["range_"](count), x), key)
    flat = PUBLIC["tensor_scatter_nd_update"](
        PUBLIC["reshape"](x, [-1]), PUBLIC["reshape"](positions, [-1, 1]), PUBLIC["reshape"](part, [-1])
    )
    return PUBLIC["reshape_to_shape_of"](flat, x)


__all__: list[str] = []
