"""Indexing: elements picked and put by computed positions.

Positions are checked: one that is out of range is an error that names the index, the
axis and its size, never a clamp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, OutOfRangeError, ShapeError

from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, public, require_kind, require_same_dtype
from ..tensortype import Shape, TensorShape, TensorType, int32, int64, normalize_axis
from .shaping import moveaxis
from .sizes import constant, length_of_shape, shape_of, size_along, static_integer, static_shape, when_known

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


gather_op: Op = declare(
    Op(
        name="gather",
        kind=Kind.INDEXING,
        infer=_gather_type,
        numpy=_gathered_array,
        gradient=[_gather_gradient, None],
        fails=True,
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
        infer=_ungather_type,
        numpy=_ungathered_array,
        gradient=[
            lambda h, y, g, indices, *, size, axis, batch_dims: apply(
                gather_op, h, indices, axis=axis, batch_dims=batch_dims
            ),
            None,
        ],
        fails=True,
        examples=(
            Example(("f64[3,2]", np.array([2, 0, 2], np.int32)), {"size": 4, "axis": 0, "batch_dims": 0}),
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


# --- gather_nd and scatter_nd -------------------------------------------------------------------------


def _depth(indices: TensorType, rank: int) -> int:
    """How many axes each index tuple covers."""
    require_kind(indices, "iu", "indices")
    if not indices.rank or indices.shape[-1] is None:
        raise ShapeError(f"indices hold tuples of positions along their last axis, whose size is known, not {indices}")
    if indices.shape[-1] > rank:
        raise ShapeError(f"indices of {indices.shape[-1]} positions are too long for {rank} axes")
    return indices.shape[-1]


def _gather_nd_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    type, indices = types
    depth = _depth(indices, type.rank)
    return (TensorType(type.dtype, (*indices.shape[:-1], *type.shape[depth:])),)


def _tuples(op: str, indices: Array, shape: Sequence[int]) -> tuple[Array, ...]:
    """The positions along each axis, checked.

    Raises:
      OutOfRangeError: if one is out of range.
    """
    places = tuple(indices[..., axis] for axis in range(indices.shape[-1]))
    for axis, place in enumerate(places):
        check_range(op, place, shape[axis], axis)
    return places


def _gather_nd_array(x: Array, indices: Array) -> Array:
    places = _tuples("gather_nd", indices, x.shape)
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


def _check_updates(indices: TensorType, updates: TensorType, shape: Shape) -> None:
    depth = _depth(indices, len(shape))
    wanted = (*indices.shape[:-1], *shape[depth:])
    fits = len(wanted) == updates.rank and all(
        a is None or b is None or a == b for a, b in zip(wanted, updates.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"updates of shape {updates.shape} do not fit indices of shape {indices.shape} "
            f"into shape {tuple(shape)}: {wanted} is needed"
        )


def _scatter_nd_type(types: tuple[TensorType, ...], *, shape: tuple[int, ...]) -> tuple[TensorType, ...]:
    indices, updates = types
    _check_updates(indices, updates, shape)
    return (TensorType(updates.dtype, tuple(shape)),)


def _scatter_array(op: str, result: Array, indices: Array, updates: Array, put: np.ufunc | None) -> Array:
    """`result` with the updates put in; `put` combines, None replaces (the last of duplicates stays)."""
    places = _tuples(op, indices, result.shape)
    if not places:
        for update in updates.reshape(-1, *result.shape):
            result[...] = update if put is None else put(result, update)
    elif put is None:
        result[places] = updates
    else:
        put.at(result, places, updates)
    return result


scatter_nd_op: Op = declare(
    Op(
        name="scatter_nd",
        kind=Kind.INDEXING,
        infer=_scatter_nd_type,
        numpy=lambda indices, updates, *, shape: _scatter_array(
            "scatter_nd", np.zeros(shape, updates.dtype), indices, updates, np.add
        ),
        gradient=[None, lambda g, y, indices, updates, *, shape: gather_nd(g, indices)],
        fails=True,
        examples=(
            Example((np.array([[2, 0], [3, 2], [2, 0]], np.int32), "f64[3]"), {"shape": (4, 3)}),
            Example((np.array([[1], [0]], np.int64), "f64[2,3]"), {"shape": (2, 3)}),
            Example((np.zeros((0, 1), np.int32), "f64[0]"), {"shape": (5,)}),
            Example((np.zeros((2, 0), np.int32), "f64[2,3]"), {"shape": (3,)}),
        ),
        doc="Zeros of a shape to which the updates are added at index tuples.",
    )
)


def _scatter_nd_to_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    indices, updates, shape = types
    sizes: Shape = (None,) * length_of_shape(shape)
    _check_updates(indices, updates, sizes)
    return (TensorType(updates.dtype, sizes),)


scatter_nd_to_op: Op = declare(
    Op(
        name="scatter_nd_to",
        kind=Kind.COMPOSED,
        infer=_scatter_nd_to_type,
        numpy=lambda indices, updates, shape: _scatter_array(
            "scatter_nd", np.zeros(shape, updates.dtype), indices, updates, np.add
        ),
        definition=lambda indices, updates, shape: when_known(
            [shape], lambda sizes: PUBLIC["scatter_nd"](indices, updates, sizes)
        ),
        gradient=[None, lambda g, y, indices, updates, shape: gather_nd(g, indices), None],
        fails=True,
        static_operands=(2,),
        examples=(Example((np.array([[2], [0]], np.int32), "f64[2]", np.array([4], np.int32))),),
        doc="scatter_nd, where the shape is an operand.",
    )
)


@public()
def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros of `shape` to which `updates` are added at index tuples; duplicates add up.

    Raises:
      OutOfRangeError: if an index is out of range.
      ShapeError: if the updates do not fit.

    >>> import graphjit as gj
    >>> print(gj.scatter_nd([[1], [3], [1]], [10, 20, 30], [4]))
    gj.Tensor([ 0 40  0 20], shape=(4,), dtype=int32)
    """
    index, values = as_operand(indices, int32), as_operand(updates)
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return apply(scatter_nd_to_op, index, values, sizes)
    return apply(scatter_nd_op, index, values, shape=sizes)


# --- tensors with elements put in ---------------------------------------------------------------------


def _put_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    type, indices, updates = types
    require_same_dtype((type, updates))
    _check_updates(indices, updates, type.shape)
    return (type,)


_PUT_EXAMPLES = (
    Example(("f64[4,3]", np.array([[2], [0]], np.int32), "f64[2,3]")),
    Example(("f64[4,3]", np.array([[2, 1], [0, 0]], np.int64), "f64[2]")),
    Example(("f64[3]", np.zeros((0, 1), np.int32), "f64[0]")),
)


def _declare_put(name: str, put: np.ufunc | None, gradient: Any, doc: str) -> Op:
    return declare(
        Op(
            name=name,
            kind=Kind.INDEXING,
            infer=_put_type,
            numpy=lambda x, indices, updates: _scatter_array(name, x.copy(), indices, updates, put),
            gradient=gradient,
            fails=True,
            examples=_PUT_EXAMPLES,
            doc=doc,
        )
    )


def _share_of_ties(g: Any, y: Any, x: Any, indices: Any, updates: Any) -> tuple[Any, Any]:
    """The cotangent for the kept elements and for the updates, shared evenly where several are the result."""
    dtype = x.type.dtype
    kept = PUBLIC["cast"](PUBLIC["equal"](x, y), dtype)
    put = PUBLIC["cast"](PUBLIC["equal"](updates, gather_nd(y, indices)), dtype)
    count = PUBLIC["maximum"](apply(add_nd_op, kept, indices, put), constant(1, dtype))
    share = g / count
    return kept * share, put * gather_nd(share, indices)


_TIES = [
    lambda g, y, x, indices, updates: _share_of_ties(g, y, x, indices, updates)[0],
    None,
    lambda g, y, x, indices, updates: _share_of_ties(g, y, x, indices, updates)[1],
]

update_nd_op: Op = _declare_put(
    "tensor_scatter_nd_update",
    None,
    [
        lambda g, y, x, indices, updates: apply(update_nd_op, g, indices, PUBLIC["zeros_like"](updates)),
        None,
        lambda g, y, x, indices, updates: gather_nd(g, indices),
    ],
    "The tensor with elements replaced at index tuples.",
)
add_nd_op: Op = _declare_put(
    "tensor_scatter_nd_add",
    np.add,
    [lambda g, y, x, indices, updates: g, None, lambda g, y, x, indices, updates: gather_nd(g, indices)],
    "The tensor with updates added at index tuples.",
)
min_nd_op: Op = _declare_put(
    "tensor_scatter_nd_min", np.minimum, _TIES, "The tensor with the lesser of element and update at index tuples."
)
max_nd_op: Op = _declare_put(
    "tensor_scatter_nd_max", np.maximum, _TIES, "The tensor with the greater of element and update at index tuples."
)


def _put(op: Op, tensor: Any, indices: Any, updates: Any) -> Any:
    x, values = as_operand(tensor), as_operand(updates, as_operand(tensor).type.dtype)
    return apply(op, x, as_operand(indices, int32), values)


@public()
def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with elements replaced at index tuples; of duplicates the last one stays.

    Raises:
      OutOfRangeError: if an index is out of range.
      ShapeError: if the updates do not fit.

    >>> import graphjit as gj
    >>> print(gj.tensor_scatter_nd_update([1, 2, 3], [[0], [2]], [7, 8]))
    gj.Tensor([7 2 8], shape=(3,), dtype=int32)
    """
    return _put(update_nd_op, tensor, indices, updates)


@public()
def tensor_scatter_nd_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with `updates` added at index tuples; duplicates add up. Raises as the update does."""
    return _put(add_nd_op, tensor, indices, updates)


@public()
def tensor_scatter_nd_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with `updates` subtracted at index tuples; duplicates add up. Raises as the update does."""
    x = as_operand(tensor)
    return _put(add_nd_op, x, indices, PUBLIC["negative"](as_operand(updates, x.type.dtype)))


@public()
def tensor_scatter_nd_min(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with the lesser of element and update at index tuples. Raises as the update does."""
    return _put(min_nd_op, tensor, indices, updates)


@public()
def tensor_scatter_nd_max(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with the greater of element and update at index tuples. Raises as the update does."""
    return _put(max_nd_op, tensor, indices, updates)


# --- masks ----------------------------------------------------------------------------------------------


def _mask_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    type, mask = types
    _require_mask(type, mask, axis)
    return (TensorType(type.dtype, (*type.shape[:axis], None, *type.shape[axis + mask.rank :])),)


def _require_mask(type: TensorType, mask: TensorType, axis: int) -> None:
    require_kind(mask, "b", "the mask")
    covered = type.shape[axis : axis + mask.rank]
    fits = len(covered) == mask.rank and all(
        a is None or b is None or a == b for a, b in zip(covered, mask.shape, strict=True)
    )
    if not mask.rank or not fits:
        raise ShapeError(f"a mask of shape {mask.shape} does not fit axis {axis} of shape {type.shape}")


def _masked_array(x: Array, mask: Array, *, axis: int) -> Array:
    if x.shape[axis : axis + mask.ndim] != mask.shape:
        raise ShapeError(f"boolean_mask: a mask of shape {mask.shape} does not fit axis {axis} of shape {x.shape}")
    return np.array(x[(slice(None),) * axis + (mask,)])


boolean_mask_op: Op = declare(
    Op(
        name="boolean_mask",
        kind=Kind.CALL,
        infer=_mask_type,
        numpy=_masked_array,
        gradient=[lambda g, y, x, mask, *, axis: apply(unmask_op, g, mask, axis=axis), None],
        fails=lambda types, attributes: not all(type.is_static for type in types),
        examples=(
            Example(("f64[3,2]", np.array([True, False, True])), {"axis": 0}),
            Example(("f64[2,2]", np.array([[True, False], [True, True]])), {"axis": 0}),
            Example(("f64[2,3]", np.array([False, False, False])), {"axis": 1}),
        ),
        doc="The slices where the mask is true.",
    )
)


def _unmask_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    g, mask = types
    return (TensorType(g.dtype, (*g.shape[:axis], *mask.shape, *g.shape[axis + 1 :])),)


def _unmasked_array(g: Array, mask: Array, *, axis: int) -> Array:
    result = np.zeros((*g.shape[:axis], *mask.shape, *g.shape[axis + 1 :]), g.dtype)
    result[(slice(None),) * axis + (mask,)] = g
    return result


unmask_op: Op = declare(
    Op(
        name="unmask",
        kind=Kind.CALL,
        infer=_unmask_type,
        numpy=_unmasked_array,
        gradient=[lambda h, y, g, mask, *, axis: apply(boolean_mask_op, h, mask, axis=axis), None],
        examples=(Example(("f64[2,2]", np.array([True, False, True])), {"axis": 0}),),
        doc="Zeros with the slices of g where the mask is true: the gradient of boolean_mask.",
    )
)


@public()
def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: str = "boolean_mask") -> Any:
    """The slices of `tensor` where `mask` is true, along `axis` (0 by default).

    The size of the result is known only when it runs.

    Raises:
      ShapeError: if the mask's shape does not fit.

    >>> import graphjit as gj
    >>> print(gj.boolean_mask([1, 2, 3], [True, False, True]))
    gj.Tensor([1 3], shape=(2,), dtype=int32)
    """
    operand = as_operand(tensor)
    where = 0 if axis is None else normalize_axis(axis, operand.type.rank)
    return apply(boolean_mask_op, operand, as_operand(mask), axis=where)


where_indices_op: Op = declare(
    Op(
        name="where_indices",
        kind=Kind.CALL,
        infer=lambda types: (TensorType(int64, (None, types[0].rank)),),
        numpy=lambda condition: np.argwhere(condition).astype(np.int64),
        gradient=Differentiability.NONE,
        examples=(
            Example((np.array([[True, False], [True, True]]),)),
            Example((np.array([False, False]),)),
        ),
        doc="The index tuples at which the condition is true (not zero), in row-major order.",
    )
)


@public()
def where_indices(condition: Any, name: str | None = None) -> Any:
    """The index tuples at which `condition` is true, or not zero, as int64 of shape [n, rank]: `gj.where(condition)`.

    >>> import graphjit as gj
    >>> print(gj.where([True, False, True]))
    gj.Tensor(
    [[0]
     [2]], shape=(2, 1), dtype=int64)
    """
    return apply(where_indices_op, as_operand(condition))


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


__all__ = [
    "boolean_mask",
    "gather",
    "gather_nd",
    "scatter_nd",
    "take_along_axis",
    "tensor_scatter_nd_add",
    "tensor_scatter_nd_max",
    "tensor_scatter_nd_min",
    "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update",
]
