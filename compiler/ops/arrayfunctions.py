"""What NumPy's own shaping and indexing functions do when they are called on operands.

`np.concatenate([t, u])` and its like come here with NumPy's argument names and NumPy's
meaning; the public ops have TensorFlow's.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError, UnimplementedError

from ..operand import PUBLIC, as_operand, for_numpy, require_rank
from ..tensortype import DType, as_dtype, normalize_axes, normalize_axis
from .broadcasting import broadcast_to
from .diagonals import diag, diag_part
from .filling import fill, ones_like, range_, zeros_like
from .gathering import take_along_axis
from .grouping import bincount
from .joining import concat, listed, meshgrid, repeat, stack, tile
from .masking import where_indices
from .ordering import argsort, searchsorted, sort
from .padding import pad
from .shaping import expand_dims, moveaxis, ravel, reshape, squeeze, swapaxes, transpose
from .sizes import shape_value, sizes_of
from .slicing import reverse, roll, slice_along

for_numpy(np.moveaxis)(moveaxis)
for_numpy(np.swapaxes)(swapaxes)
for_numpy(np.take_along_axis)(take_along_axis)


def _require_row_major(order: str, what: str) -> None:
    if order not in ("C", "K", "A"):
        raise UnimplementedError(f"{what}(order={order!r}): tensors have row-major order only")


def _require_default(what: str, **given: Any) -> None:
    """Refuse arguments of NumPy's that have no meaning here."""
    for name, value in given.items():
        if value is not None:
            raise UnimplementedError(f"{what}({name}={value!r}) is not supported for tensors")


# --- shapes -----------------------------------------------------------------------------------------


@for_numpy(np.shape)
def shape_tuple(a: Any) -> tuple[int | None, ...]:
    """np.shape: the static shape as a tuple."""
    return as_operand(a).type.shape


@for_numpy(np.ndim)
def axis_count(a: Any) -> int:
    """np.ndim."""
    return as_operand(a).type.rank


@for_numpy(np.size)
def element_total(a: Any, axis: int | None = None) -> int:
    """np.size: how many elements there are, or along one axis; an error while a size is unknown."""
    sizes = as_operand(a).type.sizes
    return int(np.prod(sizes)) if axis is None else sizes[normalize_axis(axis, len(sizes))]


@for_numpy(np.reshape)
def numpy_reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Any:
    """np.reshape."""
    _require_row_major(order, "np.reshape")
    return reshape(a, newshape if shape is None else shape)


@for_numpy(np.ravel)
def numpy_ravel(a: Any, order: str = "C") -> Any:
    """np.ravel."""
    _require_row_major(order, "np.ravel")
    return ravel(a)


@for_numpy(np.transpose)
def numpy_transpose(a: Any, axes: Any = None) -> Any:
    """np.transpose."""
    return transpose(a, axes)


@for_numpy(np.matrix_transpose)
def numpy_matrix_transpose(x: Any, /) -> Any:
    """np.matrix_transpose: the last two axes exchanged."""
    return swapaxes(x, -1, -2)


@for_numpy(np.squeeze)
def numpy_squeeze(a: Any, axis: Any = None) -> Any:
    """np.squeeze."""
    return squeeze(a, axis)


@for_numpy(np.expand_dims)
def numpy_expand_dims(a: Any, axis: Any) -> Any:
    """np.expand_dims, also with several axes."""
    x = as_operand(a)
    if hasattr(axis, "__index__"):
        return expand_dims(x, axis)
    for one in normalize_axes(axis, x.type.rank + len(axis)):
        x = expand_dims(x, one)
    return x


@for_numpy(np.broadcast_to)
def numpy_broadcast_to(array: Any, shape: Any, subok: bool = False) -> Any:
    """np.broadcast_to."""
    return broadcast_to(array, shape)


@for_numpy(np.atleast_1d)
def numpy_atleast_1d(*arrays: Any) -> Any:
    """np.atleast_1d."""
    found = tuple(reshape(one, [1]) if one.type.rank == 0 else one for one in map(as_operand, arrays))
    return found[0] if len(found) == 1 else found


# --- joining ----------------------------------------------------------------------------------------


@for_numpy(np.concatenate)
def numpy_concatenate(arrays: Any, /, axis: int | None = 0, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """np.concatenate, also with axis=None: flattened."""
    parts: Sequence[Any] = listed(arrays, "np.concatenate")
    if axis is None:
        parts, axis = [ravel(part) for part in parts], 0
    return _cast(concat(parts, axis), dtype)


def _cast(x: Any, dtype: Any) -> Any:
    return x if dtype is None or x.type.dtype is as_dtype(dtype) else PUBLIC["cast"](x, dtype)


@for_numpy(np.stack)
def numpy_stack(arrays: Any, axis: int = 0, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """np.stack."""
    return _cast(stack(arrays, axis), dtype)


@for_numpy(np.vstack)
def numpy_vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """np.vstack: rows one below another."""
    rows = [reshape(one, [1, -1]) if one.type.rank < 2 else one for one in listed(tup, "np.vstack")]
    return _cast(concat(rows, 0), dtype)


@for_numpy(np.hstack)
def numpy_hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Any:
    """np.hstack: along axis 1, vectors along axis 0."""
    parts = [numpy_atleast_1d(one) for one in listed(tup, "np.hstack")]
    return _cast(concat(parts, 0 if parts[0].type.rank == 1 else 1), dtype)


@for_numpy(np.append)
def numpy_append(arr: Any, values: Any, axis: int | None = None) -> Any:
    """np.append."""
    return numpy_concatenate([arr, values], axis)


def _cut(x: Any, cuts: Sequence[int], axis: int) -> list[Any]:
    bounds = [0, *cuts, None]
    return [slice_along(x, axis, begin, end) for begin, end in pairwise(bounds)]


@for_numpy(np.split)
def numpy_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """np.split: into equal parts, or at positions (not sizes, as gj.split has them)."""
    x = as_operand(ary)
    if np.ndim(indices_or_sections) == 0:
        return PUBLIC["split"](x, int(indices_or_sections), axis)  # type: ignore[no-any-return]  # it returns a list
    return _cut(x, [int(one) for one in indices_or_sections], normalize_axis(axis, x.type.rank))


@for_numpy(np.array_split)
def numpy_array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """np.array_split: as np.split, but the parts may differ by one in size."""
    x = as_operand(ary)
    if np.ndim(indices_or_sections) != 0:
        return numpy_split(x, indices_or_sections, axis)
    count, where = int(indices_or_sections), normalize_axis(axis, x.type.rank)
    size = x.type.sizes[where]
    if count < 1:
        raise InvalidArgumentError(f"np.array_split: the number of parts is at least 1, not {count}")
    short, longer = divmod(size, count)
    sizes = [short + 1] * longer + [short] * (count - longer)
    return _cut(x, [int(one) for one in np.cumsum(sizes)[:-1]], where)


@for_numpy(np.tile)
def numpy_tile(A: Any, reps: Any) -> Any:  # noqa: N803 -- NumPy's name
    """np.tile, whose repetitions may be fewer or more than the axes."""
    x = as_operand(A)
    counts = [int(one) for one in np.atleast_1d(reps)]
    lacking = len(counts) - x.type.rank
    if lacking > 0:
        x = reshape(x, shape_value([*[1] * lacking, *sizes_of(x)]))
    return tile(x, [1] * -lacking + counts)


@for_numpy(np.repeat)
def numpy_repeat(a: Any, repeats: Any, axis: int | None = None) -> Any:
    """np.repeat."""
    return repeat(a, repeats, axis)


@for_numpy(np.meshgrid)
def numpy_meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """np.meshgrid."""
    if sparse:
        raise UnimplementedError("np.meshgrid(sparse=True) is not supported for tensors; use gj.reshape")
    return tuple(meshgrid(*xi, indexing=indexing))


_PAD_MODES = {"constant": "CONSTANT", "reflect": "REFLECT", "symmetric": "SYMMETRIC"}


@for_numpy(np.pad)
def numpy_pad(array: Any, pad_width: Any, mode: str = "constant", *, constant_values: Any = 0) -> Any:
    """np.pad with mode constant, reflect or symmetric."""
    if mode not in _PAD_MODES:
        raise UnimplementedError(f"np.pad: mode is one of {', '.join(_PAD_MODES)} for tensors, not {mode!r}")
    x = as_operand(array)
    pairs = np.broadcast_to(np.asarray(pad_width), (x.type.rank, 2)).tolist()
    return pad(x, pairs, _PAD_MODES[mode], constant_values)


# --- order of the elements --------------------------------------------------------------------------


@for_numpy(np.flip)
def numpy_flip(m: Any, axis: Any = None) -> Any:
    """np.flip: along all axes by default."""
    return reverse(m, axis)


@for_numpy(np.flipud)
def numpy_flipud(m: Any) -> Any:
    """np.flipud."""
    return reverse(m, [0])


@for_numpy(np.fliplr)
def numpy_fliplr(m: Any) -> Any:
    """np.fliplr."""
    return reverse(m, [1])


@for_numpy(np.rot90)
def numpy_rot90(m: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """np.rot90."""
    x = as_operand(m)
    first, second = (normalize_axis(axis, x.type.rank) for axis in axes)
    turns = k % 4
    if turns == 2:
        return reverse(x, [first, second])
    if turns == 1:
        return swapaxes(reverse(x, [second]), first, second)
    return reverse(swapaxes(x, first, second), [second]) if turns else PUBLIC["identity"](x)


@for_numpy(np.roll)
def numpy_roll(a: Any, shift: Any, axis: Any = None) -> Any:
    """np.roll, also with axis=None: as if flattened."""
    if axis is None:
        x = as_operand(a)
        return PUBLIC["reshape_to_shape_of"](roll(ravel(x), int(np.sum(shift)), 0), x)
    axes = [axis] if hasattr(axis, "__index__") else list(axis)
    shifts, places = np.broadcast_arrays(shift, axes)
    return roll(a, shifts.tolist(), places.tolist())


@for_numpy(np.sort)
def numpy_sort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """np.sort."""
    _require_default("np.sort", order=order)
    return sort(ravel(a), 0) if axis is None else sort(a, axis)


@for_numpy(np.argsort)
def numpy_argsort(a: Any, axis: int | None = -1, kind: Any = None, order: Any = None, *, stable: Any = None) -> Any:
    """np.argsort; the positions are int64, as NumPy has them."""
    _require_default("np.argsort", order=order)
    found = argsort(ravel(a), 0) if axis is None else argsort(a, axis)
    return PUBLIC["cast"](found, np.int64)


@for_numpy(np.searchsorted)
def numpy_searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Any:
    """np.searchsorted; the positions are int64, as NumPy has them."""
    _require_default("np.searchsorted", sorter=sorter)
    return searchsorted(a, v, side, np.int64)


# --- filling ----------------------------------------------------------------------------------------


def _require_plain_like(what: str, order: str, shape: Any) -> None:
    _require_row_major(order, what)
    _require_default(what, shape=shape)


@for_numpy(np.zeros_like)
def numpy_zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """np.zeros_like."""
    _require_plain_like("np.zeros_like", order, shape)
    return zeros_like(a, dtype)


@for_numpy(np.ones_like)
def numpy_ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> Any:
    """np.ones_like."""
    _require_plain_like("np.ones_like", order, shape)
    return ones_like(a, dtype)


@for_numpy(np.full_like)
def numpy_full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> Any:
    """np.full_like, of a scalar."""
    _require_plain_like("np.full_like", order, shape)
    x = as_operand(a)
    wanted: DType = x.type.dtype if dtype is None else as_dtype(dtype)
    return fill(shape_value(sizes_of(x)), _cast(as_operand(fill_value), wanted))


# --- picking ----------------------------------------------------------------------------------------


@for_numpy(np.take)
def numpy_take(a: Any, indices: Any, axis: int | None = None, out: None = None, mode: str = "raise") -> Any:
    """np.take; negative indices count from the end."""
    if mode != "raise":
        raise UnimplementedError(f"np.take(mode={mode!r}) is not supported for tensors; clip the indices")
    x = ravel(a) if axis is None else as_operand(a)
    where = 0 if axis is None else normalize_axis(axis, x.type.rank)
    return x[(slice(None),) * where + (np.asarray(indices) if isinstance(indices, list | tuple) else indices,)]


@for_numpy(np.argwhere)
def numpy_argwhere(a: Any) -> Any:
    """np.argwhere."""
    return where_indices(a)


@for_numpy(np.nonzero)
def numpy_nonzero(a: Any) -> tuple[Any, ...]:
    """np.nonzero: the positions along each axis of the elements that are not zero."""
    places = where_indices(a)
    return tuple(places[:, axis] for axis in range(as_operand(a).type.rank))


@for_numpy(np.bincount)
def numpy_bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> Any:
    """np.bincount; counts are int64, as NumPy has them."""
    return bincount(x, weights, minlength, dtype=np.int64)


@for_numpy(np.diagonal)
def numpy_diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """np.diagonal."""
    return diag_part(moveaxis(a, (axis1, axis2), (-2, -1)), k=offset)


@for_numpy(np.diag)
def numpy_diag(v: Any, k: int = 0) -> Any:
    """np.diag: the matrix of a vector, or a diagonal of a matrix."""
    x = as_operand(v)
    if x.type.rank not in (1, 2):
        raise ShapeError(f"np.diag needs a vector or a matrix, not shape {x.shape}")
    return diag(x, k=k) if x.type.rank == 1 else diag_part(x, k=k)


@for_numpy(np.tril)
def numpy_tril(m: Any, k: int = 0) -> Any:
    """np.tril: zero above diagonal `k`."""
    return _triangle(m, k, lower=True)


@for_numpy(np.triu)
def numpy_triu(m: Any, k: int = 0) -> Any:
    """np.triu: zero below diagonal `k`."""
    return _triangle(m, k, lower=False)


def _triangle(m: Any, k: int, lower: bool) -> Any:
    x = as_operand(m)
    require_rank(x.type, 2)
    rows, columns = sizes_of(x)[-2:]
    offset = range_(columns) - expand_dims(range_(rows), 1)
    kept = PUBLIC["less_equal"](offset, k) if lower else PUBLIC["greater_equal"](offset, k)
    return PUBLIC["where"](kept, x, zeros_like(x))


__all__: list[str] = []
