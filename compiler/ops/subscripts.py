"""`tensor[...]`: NumPy's subscripts, in terms of slices, gathers and masks.

Integers, slices, `...` and new axes are views. An array of integers picks by NumPy's
rules, and so does a list: `t[[0, 1]]` is rows 0 and 1, as `np.asarray(t)[[0, 1]]` is
(TensorFlow reads it as `t[0, 1]`). A mask of booleans picks where it is true, which
makes a result whose size is known only when it runs. A traced scalar picks one
position when the graph runs, and is checked there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError, InvalidArgumentError, OutOfRangeError
from graphjit.runtime.fields import dataclass, field

from ..operand import PUBLIC, Operand, as_operand, is_operand_like, public
from ..tensortype import int32, int64
from ..writer import static_value
from .broadcasting import broadcast_to
from .dynamicslices import slice_between
from .shaping import expand_dims, moveaxis, transpose
from .sizes import shape_value, size_along, sizes_of
from .slicing import take_slice


@dataclass(slots=True)
class _Subscripts:
    """What is asked of each axis of the operand, and where the result gets new axes.

    `axes` holds a slice, an integer, or an operand (an index) for each axis of the operand;
    `order` holds an axis of the operand or None (a new axis) for each subscript, in the order written.
    """

    axes: list[Any] = field(default_factory=list)
    order: list[int | None] = field(default_factory=list)

    def add(self, entry: Any) -> None:
        self.order.append(len(self.axes))
        self.axes.append(entry)


@public()
def getitem(x: Any, key: Any) -> Any:
    """`x[key]`: see this module's head for what a key may hold.

    Raises:
      OutOfRangeError: if an index is out of range, or there are too many.
      DtypeError: if a subscript is something else.

    >>> import graphjit as gj
    >>> x = gj.constant([[1, 2, 3], [4, 5, 6]])
    >>> print(x[1, ::-1], x[..., 0], x[[1, 0], 2], x[x > 4])  # doctest: +NORMALIZE_WHITESPACE
    gj.Tensor([6 5 4], shape=(3,), dtype=int32) gj.Tensor([1 4], shape=(2,), dtype=int32)
    gj.Tensor([6 3], shape=(2,), dtype=int32) gj.Tensor([5 6], shape=(2,), dtype=int32)
    """
    operand = as_operand(x)
    entries = [_read(entry) for entry in (key if isinstance(key, tuple) else (key,))]
    masks = [entry for entry in entries if _is_mask(entry)]
    arrays = [entry for entry in entries if _is_array(entry)]
    if len(masks) == 1 and not arrays and all(_is_open(entry) for entry in entries):
        return _by_mask(operand, entries)
    if masks:
        entries = [part for entry in entries for part in (_places(entry) if _is_mask(entry) else [entry])]
    subscripts = _assign(operand, entries)
    if arrays or masks:
        return _by_arrays(operand, subscripts)
    return _new_axes(_by_scalars(_by_slices(operand, subscripts.axes), subscripts.axes), subscripts)


def _is_open(entry: Any) -> bool:
    """Whether the entry leaves axes as they are, or is a mask."""
    return entry is Ellipsis or _is_mask(entry) or (isinstance(entry, slice) and entry == slice(None))


# --- reading the key ------------------------------------------------------------------------------


def _read(entry: Any) -> Any:
    """An entry as None, Ellipsis, a slice, an integer, or an operand of integers or booleans."""
    if type(entry) is int:
        return entry
    if entry is None or entry is Ellipsis or isinstance(entry, slice):
        return entry
    if isinstance(entry, bool | np.bool_):
        raise DtypeError(f"a subscript is an integer, a slice, an array or a mask, not {entry!r}")
    if not is_operand_like(entry) and hasattr(entry, "__index__") and np.ndim(entry) == 0:
        return int(entry.__index__())
    if is_operand_like(entry) or isinstance(entry, np.ndarray | list | np.generic):
        return _read_array(as_operand(entry, int32) if isinstance(entry, list) and not entry else as_operand(entry))
    raise DtypeError(f"a subscript is an integer, a slice, an array or a mask, not {entry!r}")


def _read_array(entry: Operand) -> Any:
    if not (entry.type.dtype.is_integer or entry.type.dtype.is_bool):
        raise DtypeError(f"a subscript holds integers or booleans, not {entry.type.dtype.name}")
    if entry.type.rank == 0:
        if entry.type.dtype.is_bool:
            raise DtypeError("a scalar boolean tensor is no subscript; use gj.where or gj.boolean_mask")
        known = static_value(entry)
        return entry if known is None else int(known)
    return entry


def _is_mask(entry: Any) -> bool:
    return isinstance(entry, Operand) and entry.type.dtype.is_bool


def _is_array(entry: Any) -> bool:
    return isinstance(entry, Operand) and not entry.type.dtype.is_bool and entry.type.rank > 0


def _assign(x: Operand, entries: Sequence[Any]) -> _Subscripts:
    """Spread the entries over the axes of `x`."""
    rank = x.type.rank
    named = sum(entry is not None and entry is not Ellipsis for entry in entries)
    if named > rank:
        raise OutOfRangeError(f"{named} subscripts for a tensor of shape {x.shape}, which has {rank} axes")
    if sum(entry is Ellipsis for entry in entries) > 1:
        raise InvalidArgumentError("a subscript may hold one ellipsis (...) only")
    complete = list(entries) if any(entry is Ellipsis for entry in entries) else [*entries, Ellipsis]
    found = _Subscripts()
    for entry in complete:
        if entry is None:
            found.order.append(None)
        elif entry is Ellipsis:
            for _ in range(rank - named):
                found.add(slice(None))
        else:
            found.add(entry)
    return found


# --- views ----------------------------------------------------------------------------------------


def _bound(value: Any) -> Any:
    """A bound of a slice as an integer, None, or a scalar operand."""
    if value is None:
        return None
    entry = _read(value)
    if isinstance(entry, int) or (isinstance(entry, Operand) and entry.type.rank == 0):
        return entry
    raise DtypeError(f"the bound of a slice is an integer or a scalar integer tensor, not {value!r}")


def _step(value: Any) -> int:
    step = _bound(value)
    if step is None:
        return 1
    if not isinstance(step, int):
        raise InvalidArgumentError("the step of a slice must be known when the function is traced")
    if step == 0:
        raise InvalidArgumentError("the step of a slice cannot be 0")
    return step


def _by_slices(x: Any, axes: Sequence[Any]) -> Any:
    """Slices and integers at once, then slices whose bounds are traced; axes with other entries stay."""
    bounds: list[tuple[int | None, int | None, int]] = []
    traced: list[tuple[int, Any, Any, int]] = []
    drop: list[int] = []
    for axis, entry in enumerate(axes):
        if isinstance(entry, int):
            _check_index(x, axis, entry)
            bounds.append((entry, None if entry == -1 else entry + 1, 1))
            drop.append(axis)
            continue
        begin, end, step = _slice_of(entry)
        if isinstance(begin, Operand) or isinstance(end, Operand):
            traced.append((axis - len(drop), begin, end, step))
            begin, end, step = None, None, 1
        bounds.append((begin, end, step))
    begins, ends, steps = (tuple(bound[part] for bound in bounds) for part in range(3))
    result = take_slice(x, begins, ends, steps, tuple(drop))  # type: ignore[arg-type]  # the third column holds steps
    for axis, begin, end, step in traced:
        result = slice_between(result, axis, begin, end, step)
    return result


def _slice_of(entry: Any) -> tuple[Any, Any, int]:
    if not isinstance(entry, slice):
        return None, None, 1
    return _bound(entry.start), _bound(entry.stop), _step(entry.step)


def _check_index(x: Operand, axis: int, index: int) -> None:
    size = x.type.shape[axis]
    if size is not None and not -size <= index < size:
        raise OutOfRangeError(f"index {index} is out of range for axis {axis} of size {size} of shape {x.shape}")


def _new_axes(x: Any, subscripts: _Subscripts) -> Any:
    """`x`, whose scalar subscripts are done, with the new axes that were asked for."""
    position = 0
    for axis in subscripts.order:
        if axis is None:
            x = expand_dims(x, position)
            position += 1
        elif isinstance(subscripts.axes[axis], slice):
            position += 1
    return x


# --- positions that are values ----------------------------------------------------------------------


@public()
def from_front(index: Any, size: Any) -> Any:
    """`index` with negative positions counted from the front; those out of range stay out of range."""
    wide = index if index.type.dtype in (int32, int64) else PUBLIC["cast"](index, _wider(index))
    known = static_value(wide)
    if known is not None and not (np.asarray(known) < 0).any():
        return wide
    whole = PUBLIC["cast"](as_operand(size), wide.type.dtype)
    return PUBLIC["where"]((wide < 0) & (wide >= -whole), wide + whole, wide)


def _wider(index: Any) -> Any:
    return int32 if index.type.dtype.size < 4 else int64


def _by_scalars(x: Any, axes: Sequence[Any]) -> Any:
    """Traced scalars, each by a gather of one position; integers are gone from `x` already."""
    axis = 0
    for entry in axes:
        if isinstance(entry, Operand):
            x = PUBLIC["gather"](x, from_front(entry, size_along(x, axis)), axis=axis)
        elif not isinstance(entry, int):
            axis += 1
    return x


def _by_mask(x: Any, entries: Sequence[Any]) -> Any:
    axis, ahead = 0, True
    mask = next(entry for entry in entries if _is_mask(entry))
    after = 0
    for entry in entries:
        if _is_mask(entry):
            ahead = False
        elif isinstance(entry, slice):
            axis += ahead
            after += not ahead
        elif ahead:
            axis = x.type.rank - mask.type.rank - sum(isinstance(one, slice) for one in entries) + axis
    if axis < 0 or axis + mask.type.rank + after > x.type.rank:
        raise OutOfRangeError(f"a mask of shape {mask.shape} does not fit a tensor of shape {x.shape}")
    return PUBLIC["boolean_mask"](x, mask, axis=axis)


def _places(mask: Any) -> list[Any]:
    """A mask as one vector of positions for each of its axes."""
    places = PUBLIC["where_indices"](mask)
    return [places[:, axis] for axis in range(mask.type.rank)]


def _by_arrays(x: Any, subscripts: _Subscripts) -> Any:
    """NumPy's rule: positions broadcast together; their axes come in their place if they stand together, else first."""
    axes = subscripts.axes
    picked = [axis for axis, entry in enumerate(axes) if not isinstance(entry, slice)]
    for axis in picked:
        if isinstance(axes[axis], int):
            _check_index(x, axis, axes[axis])
    sliced = _by_slices(x, [entry if isinstance(entry, slice) else slice(None) for entry in axes])
    indices = [from_front(as_operand(axes[axis], int32), size_along(x, axis)) for axis in picked]
    result, added = _gathered(sliced, picked, indices)
    return _in_place(result, subscripts, picked, added)


def _gathered(x: Any, picked: Sequence[int], indices: Sequence[Any]) -> tuple[Any, int]:
    """The picked elements with the indices' axes first, and how many those are."""
    if len(picked) == 1:
        (index,) = indices
        front = moveaxis(x, picked[0], 0) if picked[0] else x
        return PUBLIC["gather"](front, index, axis=0), index.type.rank
    rest = [axis for axis in range(x.type.rank) if axis not in picked]
    front = transpose(x, [*picked, *rest])
    together = _stacked(indices)
    return PUBLIC["gather_nd"](front, together), together.type.rank - 1


def _stacked(indices: Sequence[Any]) -> Any:
    wide = int64 if any(index.type.dtype is int64 for index in indices) else int32
    total = PUBLIC["cast"](indices[0], wide)
    for index in indices[1:]:
        total = total + PUBLIC["zeros_like"](PUBLIC["cast"](index, wide))
    shape = shape_value(sizes_of(total))
    same = [broadcast_to(PUBLIC["cast"](index, wide), shape) for index in indices]
    return PUBLIC["stack"](same, axis=-1)


def _in_place(x: Any, subscripts: _Subscripts, picked: Sequence[int], added: int) -> Any:
    """Move the indices' axes, which are first, to where they belong, and put in new axes."""
    places = [place for place, axis in enumerate(subscripts.order) if axis in picked]
    together = places[-1] - places[0] == len(places) - 1
    position = places[0] if together else 0
    if together and position:
        before = sum(axis is not None for axis in subscripts.order[:position])
        if before and added:
            x = moveaxis(x, list(range(added)), list(range(before, before + added)))
    others = [axis for axis in subscripts.order if axis not in picked]
    for place, axis in enumerate(others):
        if axis is None:
            x = expand_dims(x, place if place < position else place + added)
    return x


__all__: list[str] = []
