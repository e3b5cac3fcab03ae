"""Slices: boxes of a tensor with a step along each axis, and what is made of them. They are views."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, OutOfRangeError, ShapeError

from ..batchrules import prefixed
from ..dispatch import apply
from ..layout import Layout
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, public
from ..tensortype import Dimension, Shape, TensorType, int32, normalize_axes
from .shaping import expand_dims_op, identity_op
from .sizes import constant, shape_of, static_shape

Bound = int | None
Bounds = tuple[Bound, ...]
Steps = tuple[int, ...]

# --- slices whose bounds are known ----------------------------------------------------------------


def _sliced_size(size: Dimension, begin: Bound, end: Bound, step: int) -> Dimension:
    if size is None:
        known = begin is not None and end is not None and step > 0 and 0 <= end <= begin
        return 0 if known else None
    return len(range(*slice(begin, end, step).indices(size)))


def _check_drop(axis: int, size: Dimension, begin: Bound, shape: Shape) -> None:
    if size not in (1, None):
        raise OutOfRangeError(f"index {begin} is out of range for axis {axis} of size {shape[axis]}")


def _slice_type(
    types: tuple[TensorType, ...], *, begin: Bounds, end: Bounds, step: Steps, drop: tuple[int, ...]
) -> tuple[TensorType, ...]:
    (type,) = types
    if not len(begin) == len(end) == len(step) == type.rank or 0 in step:
        raise ShapeError(f"a slice of shape {type.shape} needs bounds and a step, not 0, for each axis")
    sizes = [_sliced_size(*one) for one in zip(type.shape, begin, end, step, strict=True)]
    for axis in drop:
        _check_drop(axis, sizes[axis], begin[axis], type.shape)
    return (TensorType(type.dtype, tuple(size for axis, size in enumerate(sizes) if axis not in drop)),)


def _sliced_array(
    x: np.ndarray[Any, Any], *, begin: Bounds, end: Bounds, step: Steps, drop: tuple[int, ...]
) -> np.ndarray[Any, Any]:
    part = x[tuple(slice(*one) for one in zip(begin, end, step, strict=True))]
    for axis in drop:
        _check_drop(axis, part.shape[axis], begin[axis], x.shape)
    return np.squeeze(part, drop)


def _slice_layout(
    layout: Layout, type: TensorType, *, begin: Bounds, end: Bounds, step: Steps, drop: tuple[int, ...]
) -> Layout:
    offset = layout.offset
    strides: list[int] = []
    for axis, size in enumerate(type.sizes):
        places = range(*slice(begin[axis], end[axis], step[axis]).indices(size))
        offset += layout.strides[axis] * (places.start if places else 0)
        if axis not in drop:
            strides.append(layout.strides[axis] * step[axis])
    return Layout(offset, tuple(strides))


def _slice_gradient(g: Any, y: Any, x: Any, *, begin: Bounds, end: Bounds, step: Steps, drop: tuple[int, ...]) -> Any:
    for axis in sorted(drop):
        g = apply(expand_dims_op, g, axis=axis)
    if x.type.is_static:
        return _put_slice(g, x.type.sizes, begin, end, step)
    return apply(unslice_op, g, x, begin=begin, end=end, step=step)


def _slice_example(operand: str, begin: Bounds, end: Bounds, step: Steps, drop: tuple[int, ...] = ()) -> Example:
    return Example((operand,), {"begin": begin, "end": end, "step": step, "drop": drop})


strided_slice_op: Op = declare(
    Op(
        name="strided_slice",
        kind=Kind.VIEW,
        batch=prefixed(("drop",), begin=None, end=None, step=1),
        infer=_slice_type,
        numpy=_sliced_array,
        kernel=_slice_layout,
        gradient=[_slice_gradient],
        fails=lambda types, attributes: any(types[0].shape[axis] is None for axis in attributes["drop"]),
        examples=(
            _slice_example("f64[4,5]", (1, 0), (3, 5), (1, 2)),
            _slice_example("f64[4,5]", (None, -2), (None, None), (-1, 1)),
            _slice_example("f64[4,5]", (2, 4), (3, None), (1, -2), (0,)),
            _slice_example("f64[3]", (2,), (3,), (1,), (0,)),
            _slice_example("f64[5]", (3,), (1,), (1,)),
            _slice_example("f64[0,2]", (None, 0), (None, 1), (-1, 1)),
            _slice_example("f64[]", (), (), ()),
        ),
        doc="A box of the tensor by Python's slices; axes in `drop` have one element there and go.",
    )
)


def _placed(size: int, begin: Bound, end: Bound, step: int) -> tuple[tuple[int, int], int]:
    """Padding before and after, and the gap, that put a slice back to where it was taken from."""
    places = range(*slice(begin, end, step).indices(size))
    if not places:
        return (size, 0), 0
    first, last = sorted((places[0], places[-1]))
    return (first, size - 1 - last), abs(step) - 1 if len(places) > 1 else 0


def _put_slice(g: Any, sizes: Sequence[int], begin: Bounds, end: Bounds, step: Steps) -> Any:
    """Zeros of shape `sizes` with `g` where the slice was."""
    backward = [axis for axis, one in enumerate(step) if one < 0]
    if backward:
        g = PUBLIC["reverse"](g, backward)
    places = [_placed(*one) for one in zip(sizes, begin, end, step, strict=True)]
    paddings, gaps = [padding for padding, _ in places], [gap for _, gap in places]
    return PUBLIC["pad_with"](g, constant(0, g.type.dtype), paddings, gaps)


def _put_slice_array(
    g: np.ndarray[Any, Any], like: np.ndarray[Any, Any], *, begin: Bounds, end: Bounds, step: Steps
) -> np.ndarray[Any, Any]:
    result = np.zeros(like.shape, g.dtype)
    result[tuple(slice(*one) for one in zip(begin, end, step, strict=True))] = g
    return result


unslice_op: Op = declare(
    Op(
        name="unslice",
        kind=Kind.COMPOSED,
        batch=prefixed(begin=None, end=None, step=1),
        infer=lambda types, **_attributes: (TensorType(types[0].dtype, types[1].shape),),
        numpy=_put_slice_array,
        definition=lambda g, like, *, begin, end, step: (
            _put_slice(g, like.type.sizes, begin, end, step) if like.type.is_static and g.type.is_static else None
        ),
        gradient=[
            lambda h, y, g, like, *, begin, end, step: apply(
                strided_slice_op, h, begin=begin, end=end, step=step, drop=()
            ),
            None,
        ],
        examples=(
            Example(("f64[2,3]", "f64[4,3]"), {"begin": (1, None), "end": (3, None), "step": (1, -1)}),
            Example(("f64[2]", "f64[5]"), {"begin": (4,), "end": (None,), "step": (-3,)}),
        ),
        doc="Zeros of the shape of `like`, with g where the slice was taken: its gradient.",
    )
)


def _canonical(size: Dimension, begin: Bound, end: Bound, step: int) -> tuple[Bound, Bound]:
    """Bounds counted from the front where the size is known, so that equal slices are written equally."""
    if size is None:
        return begin, end
    start, stop, _ = slice(begin, end, step).indices(size)
    return start, None if stop < 0 else stop


def take_slice(x: Any, begin: Bounds, end: Bounds, step: Steps, drop: tuple[int, ...] = ()) -> Any:
    """The box of `x` by Python's slices; `x` as another value where that is all of it."""
    bounds = [_canonical(*one) for one in zip(x.type.shape, begin, end, step, strict=True)]
    starts, ends = tuple(one for one, _ in bounds), tuple(one for _, one in bounds)
    whole = (
        (one in (None, 0) and stop in (None, size) and by == 1)
        for size, one, stop, by in zip(x.type.shape, starts, ends, step, strict=True)
    )
    if not drop and all(whole):
        return apply(identity_op, x)
    return apply(strided_slice_op, x, begin=starts, end=ends, step=step, drop=drop)


def slice_along(x: Any, axis: int, begin: Bound, end: Bound, step: int = 1) -> Any:
    """`x[..., begin:end:step, ...]` along one axis."""
    rank = x.type.rank
    bounds = [(begin, end, step) if one == axis else (None, None, 1) for one in range(rank)]
    return take_slice(x, *(tuple(parts) for parts in zip(*bounds, strict=True)))


def index_along(x: Any, axis: int, index: int) -> Any:
    """`x[..., index, ...]`, without the axis; a negative index counts from the end.

    Raises:
      OutOfRangeError: if there is no such index.
    """
    size = x.type.shape[axis]
    if size is not None and not -size <= index < size:
        raise OutOfRangeError(
            f"index {index} is out of range for axis {axis} of size {size} of a tensor of shape {x.shape}"
        )
    rank = x.type.rank
    end = None if index == -1 else index + 1
    begins = tuple(index if one == axis else None for one in range(rank))
    ends = tuple(end if one == axis else None for one in range(rank))
    return take_slice(x, begins, ends, (1,) * rank, (axis,))


# --- functions made of slices ---------------------------------------------------------------------


@public()
def reverse(tensor: Any, axis: Any, name: str | None = None) -> Any:
    """The tensor with the order of its elements reversed along the axes.

    >>> import graphjit as gj
    >>> print(gj.reverse([[1, 2, 3]], [1]))
    gj.Tensor([[3 2 1]], shape=(1, 3), dtype=int32)
    """
    operand = as_operand(tensor)
    axes = normalize_axes(axis, operand.type.rank)
    rank = operand.type.rank
    step = tuple(-1 if one in axes else 1 for one in range(rank))
    return take_slice(operand, (None,) * rank, (None,) * rank, step)


def _bits(mask: int, position: int) -> bool:
    return bool(mask >> position & 1)


@public()
def strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    name: str | None = None,
) -> Any:
    """TensorFlow's spelling of `input_[begin:end:strides]`; a bit of a mask changes an entry's meaning.

    Args:
      begin, end, strides: vectors of integers, one entry for each subscript.
      begin_mask, end_mask: the bound of that entry is left out.
      ellipsis_mask, new_axis_mask: the entry is `...` or a new axis.
      shrink_axis_mask: the entry is the single index `begin`.

    >>> import graphjit as gj
    >>> print(gj.strided_slice([1, 2, 3, 4], [0], [4], [2]))
    gj.Tensor([1 3], shape=(2,), dtype=int32)
    """
    starts, ends = _scalars(begin), _scalars(end)
    steps = [1] * len(starts) if strides is None else _scalars(strides)
    if not len(starts) == len(ends) == len(steps):
        raise InvalidArgumentError(
            f"strided_slice: begin, end and strides have {len(starts)}, {len(ends)}, {len(steps)} entries"
        )
    subscripts: list[Any] = []
    for position, (first, last, step) in enumerate(zip(starts, ends, steps, strict=True)):
        if _bits(ellipsis_mask, position):
            subscripts.append(Ellipsis)
        elif _bits(new_axis_mask, position):
            subscripts.append(None)
        elif _bits(shrink_axis_mask, position):
            subscripts.append(first)
        else:
            lower = None if _bits(begin_mask, position) else first
            upper = None if _bits(end_mask, position) else last
            subscripts.append(slice(lower, upper, step))
    return PUBLIC["getitem"](input_, tuple(subscripts))


def _scalars(vector: Any) -> list[Any]:
    """The entries of a vector of integers, as integers or as scalar operands; of a scalar the scalar."""
    known = static_shape(vector)
    if isinstance(known, tuple):
        return list(known)
    if known.type.rank == 0:
        return [known]
    count = known.type.shape[0]
    if known.type.rank != 1 or count is None:
        raise ShapeError(f"bounds are a vector of known length, not {known.type}")
    return [index_along(known, 0, position) for position in range(count)]


def _roll_one(x: Any, shift: Any, axis: int) -> Any:
    size = x.type.shape[axis]
    if not isinstance(shift, Operand) and size is not None:
        cut = -int(shift) % size if size else 0
        parts = [slice_along(x, axis, cut, None), slice_along(x, axis, None, cut)]
        return PUBLIC["concat"](parts, axis) if cut else apply(identity_op, x)
    length = as_operand(shape_of(x)[axis])
    places = PUBLIC["range_"](length) - PUBLIC["cast"](as_operand(shift, int32), int32)
    return PUBLIC["gather"](x, PUBLIC["mod"](places, PUBLIC["maximum"](length, 1)), axis=axis)


@public()
def roll(input: Any, shift: Any, axis: Any, name: str | None = None) -> Any:
    """The elements moved by `shift` places along the axes; what leaves one end comes in at the other.

    Args:
      input: any shape.
      shift: an integer, or one for each axis; may be traced.
      axis: an axis, or several; one that is named twice is rolled twice.

    >>> import graphjit as gj
    >>> print(gj.roll([1, 2, 3, 4], 1, 0))
    gj.Tensor([4 1 2 3], shape=(4,), dtype=int32)
    """
    result = as_operand(input)
    axes = [axis] if hasattr(axis, "__index__") else list(axis)
    shifts = _scalars(shift)
    if len(shifts) == 1:
        shifts = shifts * len(axes)
    if len(shifts) != len(axes):
        raise InvalidArgumentError(f"roll: {len(shifts)} shifts for {len(axes)} axes")
    for one, where in zip(shifts, axes, strict=True):
        (position,) = normalize_axes(where, result.type.rank)
        result = _roll_one(result, one, position)
    return apply(identity_op, result) if not axes else result


__all__ = ["reverse", "roll", "strided_slice"]
