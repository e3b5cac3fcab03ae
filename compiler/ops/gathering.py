"""Gathering: elements picked by computed positions.

Positions are checked: one that is out of range is an error that names the index, the
axis and its size, never a clamp. The gradients add up what went to the same place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, OutOfRangeError, ShapeError

from ..batchrules import all_repeated, axes_shift
from ..dispatch import apply
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, public, require_kind
from ..tensortype import Shape, TensorShape, TensorType, int32, int64, normalize_axis
from .shaping import moveaxis
from .sizes import shape_of, size_along, static_integer

Array = np.ndarray[Any, Any]


def check_range(op: str, indices: Array, size: int, axis: int) -> None:
    """Refuse positions outside of [0, size).

    Raises:
      OutOfRangeError: naming the first of them.
    """
    outside = (indices < 0) | (indices >= size)
    if outside.any():
        place = tuple(int(one) for one in np.argwhere(outside)[0])
        where = f" (at position {list(place)} of the indices)" if place else ""
        raise OutOfRangeError(f"{op}: index {indices[place]}{where} is out of range for axis {axis} of size {size}")


# --- gather -----------------------------------------------------------------------------------------


def _gather_shape(shape: Shape, indices: Shape, axis: int, batch_dims: int) -> Shape:
    return (*shape[:axis], *indices[batch_dims:], *shape[axis + 1 :])


def _require_batch(shape: Shape, indices: Shape, axis: int, batch_dims: int) -> None:
    fits = all(a is None or b is None or a == b for a, b in zip(shape[:batch_dims], indices[:batch_dims], strict=False))
    if batch_dims > axis or batch_dims > len(indices) or not fits:
        raise ShapeError(
            f"batch_dims {batch_dims} does not go with axis {axis}, shape {shape} and indices of shape {indices}"
        )


def _gather_type(types: tuple[TensorType, ...], *, axis: int, batch_dims: int) -> tuple[TensorType, ...]:
    type, indices = types
    require_kind(indices, "iu", "indices")
    normalize_axis(axis, type.rank)
    _require_batch(type.shape, indices.shape, axis, batch_dims)
    return (TensorType(type.dtype, _gather_shape(type.shape, indices.shape, axis, batch_dims)),)


def _places_along(shape: Sequence[int], indices: Array, axis: int, batch_dims: int) -> tuple[Any, ...]:
    """What indexes an array of this shape with `indices` along `axis`, batch by batch."""
    inner = len(indices.shape) - batch_dims
    count = axis + inner
    places: list[Any] = []
    for batch in range(axis):
        size = shape[batch]
        places.append(np.arange(size).reshape([-1 if one == batch else 1 for one in range(count)]))
    batch_shape = indices.shape[:batch_dims] + (1,) * (axis - batch_dims)
    places.append(indices.reshape(batch_shape + indices.shape[batch_dims:]))
    return tuple(places)


def _gathered_array(x: Array, indices: Array, *, axis: int, batch_dims: int) -> Array:
    check_range("gather", indices, x.shape[axis], axis)
    if batch_dims == 0:
        return np.take(x, indices, axis=axis)
    return np.array(x[_places_along(x.shape, indices, axis, batch_dims)])


@public()
def ungather(g: Any, indices: Any, like: Any, axis: int, batch_dims: int = 0) -> Any:
    """Zeros of the shape of `like` to which the slices of `g` are added at their positions along `axis`."""
    size = like.type.shape[axis]
    if size is None:
        return apply(ungather_like_op, g, indices, like, axis=axis, batch_dims=batch_dims)
    return apply(ungather_op, g, indices, size=size, axis=axis, batch_dims=batch_dims)


def _gather_gradient(g: Any, y: Any, x: Any, indices: Any, *, axis: int, batch_dims: int) -> Any:
    return ungather(g, indices, x, axis, batch_dims)


def _gather_example(operand: str, indices: Any, axis: int, batch_dims: int = 0) -> Example:
    return Example((operand, indices), {"axis": axis, "batch_dims": batch_dims})


def _gather_each(
    op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
) -> Sequence[Operand]:
    """All pick from one tensor, or all pick the same, without copies of what they share."""
    axis, batch_dims = attributes["axis"], attributes["batch_dims"]
    if batch_dims == 0 and not is_batched[0]:
        return (moveaxis(apply(op, *operands, axis=axis, batch_dims=0), axis, 0),)
    if batch_dims == 0 and not is_batched[1]:
        return (apply(op, *operands, axis=axis + 1, batch_dims=0),)
    given = all_repeated(operands, is_batched, size)
    return (apply(op, *given, axis=axis + 1, batch_dims=batch_dims + 1),)


gather_op: Op = declare(
    Op(
        name="gather",
        kind=Kind.INDEXING,
        batch=_gather_each,
        infer=_gather_type,
        numpy=_gathered_array,
        gradient=[_gather_gradient, None],
        fails=True,
        index_kernel="gather",
        error_type=OutOfRangeError,
        examples=(
            _gather_example("f64[4,3]", np.array([2, 0, 2], np.int32), 0),
            _gather_example("f64[2,4,3]", np.array([[1, 3], [0, 0]], np.int64), 1),
            _gather_example("f64[2,4]", np.array([[1], [3]], np.int32), 1, 1),
            _gather_example("f64[2,3,4]", np.array([[1, 0], [3, 3]], np.int32), 2, 1),
            _gather_example("f64[4]", np.int32(3), 0),
            _gather_example("f64[4,2]", np.zeros((0, 2), np.int32), 0),
        ),
        doc="The slices along an axis at the positions that the second operand holds.",
    )
)


def _ungather_type(types: tuple[TensorType, ...], *, size: int, axis: int, batch_dims: int) -> tuple[TensorType, ...]:
    g, indices = types
    require_kind(indices, "iu", "indices")
    inner = indices.rank - batch_dims
    if not TensorShape(g.shape[axis : axis + inner]).is_compatible_with(indices.shape[batch_dims:]):
        raise ShapeError(f"rows of shape {g.shape} do not belong to indices of shape {indices.shape} at axis {axis}")
    return (TensorType(g.dtype, (*g.shape[:axis], size, *g.shape[axis + inner :])),)


def _ungathered_array(g: Array, indices: Array, *, size: int, axis: int, batch_dims: int) -> Array:
    check_range("ungather", indices, size, axis)
    inner = indices.ndim - batch_dims
    result = np.zeros((*g.shape[:axis], size, *g.shape[axis + inner :]), g.dtype)
    np.add.at(result, _places_along(result.shape, indices, axis, batch_dims), g)
    return result


ungather_op: Op = declare(
    Op(
        name="ungather",
        kind=Kind.INDEXING,
        batch=axes_shift("axis", "batch_dims"),
        infer=_ungather_type,
        numpy=_ungathered_array,
        gradient=[
            lambda h, y, g, indices, *, size, axis, batch_dims: apply(
                gather_op, h, indices, axis=axis, batch_dims=batch_dims
            ),
            None,
        ],
        fails=True,
        index_kernel="add",
        error_type=OutOfRangeError,
        examples=(
            Example(("f64[3,2]", np.array([2, 0, 2], np.int32)), {"size": 4, "axis": 0, "batch_dims": 0}),
            Example(("f64[3,20]", np.array([2, 0, 2], np.int64)), {"size": 4, "axis": 0, "batch_dims": 0}),
            Example(("f64[2,3,2]", np.array([2, 0, 2], np.int32)), {"size": 4, "axis": 1, "batch_dims": 0}),
            Example(("f64[2,2,3]", np.array([[1, 3], [0, 0]], np.int32)), {"size": 4, "axis": 1, "batch_dims": 1}),
            Example(("f64[0]", np.zeros(0, np.int32)), {"size": 3, "axis": 0, "batch_dims": 0}),
        ),
        doc="Zeros to which the slices of g are added at their positions: the gradient of gather.",
    )
)

ungather_like_op: Op = declare(
    Op(
        name="ungather_like",
        kind=Kind.COMPOSED,
        infer=lambda types, **_attributes: (TensorType(types[0].dtype, types[2].shape),),
        numpy=lambda g, indices, like, *, axis, batch_dims: _ungathered_array(
            g, indices, size=like.shape[axis], axis=axis, batch_dims=batch_dims
        ),
        definition=lambda g, indices, like, *, axis, batch_dims: (
            None
            if like.type.shape[axis] is None
            else apply(ungather_op, g, indices, size=like.type.shape[axis], axis=axis, batch_dims=batch_dims)
        ),
        gradient=[
            lambda h, y, g, indices, like, *, axis, batch_dims: apply(
                gather_op, h, indices, axis=axis, batch_dims=batch_dims
            ),
            None,
            None,
        ],
        fails=True,
        examples=(Example(("f64[3,2]", np.array([2, 0, 2], np.int32), "f64[4,2]"), {"axis": 0, "batch_dims": 0}),),
        doc="ungather, with the size of another operand's axis.",
    )
)


@public()
def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Any:
    """The slices of `params` along `axis` at the positions `indices`.

    Args:
      params: any shape but a scalar.
      indices: integers of any shape, which takes the place of the axis in the result. Negative ones are errors.
      axis: by default `batch_dims`.
      batch_dims: so many leading axes are shared by `params` and `indices`.

    Raises:
      OutOfRangeError: if an index is not in [0, size of the axis).

    >>> import graphjit as gj
    >>> print(gj.gather([10, 20, 30], [2, 0]))
    gj.Tensor([30 10], shape=(2,), dtype=int32)
    """
    operand, index = as_operand(params), as_operand(indices, int32)
    batch = batch_dims + index.type.rank if batch_dims < 0 else batch_dims
    where = batch if axis is None else static_integer(axis)
    if where is None:
        raise InvalidArgumentError("gather needs an axis that is known when the function is traced")
    return apply(gather_op, operand, index, axis=normalize_axis(where, operand.type.rank), batch_dims=batch)


# --- gather_nd ----------------------------------------------------------------------------------------


def tuple_length(indices: TensorType, rank: int) -> int:
    """How many axes each index tuple covers."""
    require_kind(indices, "iu", "indices")
    if not indices.rank or indices.shape[-1] is None:
        raise ShapeError(f"indices hold tuples of positions along their last axis, whose size is known, not {indices}")
    if indices.shape[-1] > rank:
        raise ShapeError(f"indices of {indices.shape[-1]} positions are too long for {rank} axes")
    return indices.shape[-1]


def _gather_nd_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    type, indices = types
    depth = tuple_length(indices, type.rank)
    return (TensorType(type.dtype, (*indices.shape[:-1], *type.shape[depth:])),)


def checked_tuples(op: str, indices: Array, shape: Sequence[int]) -> tuple[Array, ...]:
    """The positions along each axis, checked.

    Raises:
      OutOfRangeError: if one is out of range.
    """
    places = tuple(indices[..., axis] for axis in range(indices.shape[-1]))
    for axis, place in enumerate(places):
        check_range(op, place, shape[axis], axis)
    return places


def _gather_nd_array(x: Array, indices: Array) -> Array:
    places = checked_tuples("gather_nd", indices, x.shape)
    if not places:
        return np.broadcast_to(x, (*indices.shape[:-1], *x.shape)).copy()
    return np.array(x[places])


gather_nd_op: Op = declare(
    Op(
        name="gather_nd",
        kind=Kind.INDEXING,
        infer=_gather_nd_type,
        numpy=_gather_nd_array,
        gradient=[lambda g, y, x, indices: PUBLIC["scatter_nd"](indices, g, shape_of(x)), None],
        fails=True,
        examples=(
            Example(("f64[4,3]", np.array([[2, 0], [3, 2], [2, 0]], np.int32))),
            Example(("f64[4,3,2]", np.array([[[1]], [[0]]], np.int64))),
            Example(("f64[3]", np.zeros((2, 0), np.int32))),
            Example(("f64[0,3]", np.zeros((0, 1), np.int32))),
        ),
        doc="The slices at the positions that the last axis of the second operand holds.",
    )
)


def _batched(indices: Any, batch_dims: int) -> Any:
    """Index tuples that begin with their own batch position."""
    index = PUBLIC["cast"](indices, int64)
    inner = PUBLIC["zeros_like"](index[..., :1])
    rank = indices.type.rank
    parts = []
    for batch in range(batch_dims):
        places = PUBLIC["range_"](PUBLIC["cast"](as_operand(size_along(indices, batch)), int64))
        parts.append(inner + PUBLIC["reshape"](places, [-1 if one == batch else 1 for one in range(rank)]))
    return PUBLIC["concat"]([*parts, index], axis=-1)


@public()
def gather_nd(params: Any, indices: Any, batch_dims: int = 0, name: str | None = None) -> Any:
    """The elements or slices of `params` at index tuples, which the last axis of `indices` holds.

    Args:
      params: any shape.
      indices: integers of shape [..., k]; the result's shape is [..., *params.shape[k:]].
      batch_dims: so many leading axes are shared by `params` and `indices`.

    Raises:
      OutOfRangeError: if an index is out of range.

    >>> import graphjit as gj
    >>> print(gj.gather_nd([[1, 2], [3, 4]], [[1, 0], [0, 1]]))
    gj.Tensor([3 2], shape=(2,), dtype=int32)
    """
    operand, index = as_operand(params), as_operand(indices, int32)
    if batch_dims:
        _require_batch(operand.type.shape, index.type.shape[:-1], batch_dims, batch_dims)
        index = _batched(index, batch_dims)
    return apply(gather_nd_op, operand, index)


# --- along an axis, as NumPy has it -------------------------------------------------------------------


def gather_along(x: Any, indices: Any, axis: int) -> Any:
    """For each element of `indices` the element of `x` at that position along `axis`; other axes are equal."""
    last = x.type.rank - 1
    rows, places = moveaxis(x, axis, last), moveaxis(indices, axis, last)
    return moveaxis(apply(gather_op, rows, places, axis=last, batch_dims=last), last, axis)


@public()
def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> Any:
    """NumPy's: for each element of `indices` the element of `arr` at that position along `axis`.

    Args:
      arr: any shape but a scalar.
      indices: integers; the other axes broadcast against those of `arr`. Negative ones count from the end.
      axis: None: both are flattened first.

    Raises:
      OutOfRangeError: if an index is out of range.

    >>> import graphjit as gj
    >>> print(gj.take_along_axis([[3, 1, 2]], [[1, 2, -3]], axis=1))
    gj.Tensor([[1 2 3]], shape=(1, 3), dtype=int32)
    """
    x, index = as_operand(arr), as_operand(indices, int32)
    if axis is None:
        x, index, axis = PUBLIC["ravel"](x), PUBLIC["ravel"](index), 0
    where = normalize_axis(axis, x.type.rank)
    if index.type.rank != x.type.rank:
        raise ShapeError(f"take_along_axis: indices of shape {index.shape} need the rank of shape {x.shape}")
    x, index = _same_but(x, index, where)
    return gather_along(x, PUBLIC["from_front"](index, size_along(x, where)), where)


def _same_but(x: Any, index: Any, axis: int) -> tuple[Any, Any]:
    """Both broadcast to equal sizes in all axes but one."""
    ours, theirs = list(x.type.shape), list(index.type.shape)
    if all(a == b for one, (a, b) in enumerate(zip(ours, theirs, strict=True)) if one != axis):
        return x, index
    if not (x.type.is_static and index.type.is_static):
        raise ShapeError(f"take_along_axis cannot broadcast unknown sizes: {x.shape} and {index.shape}")
    common = np.broadcast_shapes(*(tuple(shape[:axis] + shape[axis + 1 :]) for shape in (ours, theirs)))
    wanted = [(*common[:axis], shape[axis], *common[axis:]) for shape in (ours, theirs)]
    return PUBLIC["broadcast_to"](x, wanted[0]), PUBLIC["broadcast_to"](index, wanted[1])


__all__ = ["gather", "gather_nd", "take_along_axis"]
