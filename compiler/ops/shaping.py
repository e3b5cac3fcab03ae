"""Shaping ops: the same elements under another shape; most are views.

Where a size is only known when the graph runs, an op "like" another operand, or
with the shape as an operand, is written instead; it becomes the static op as soon
as the sizes are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..dispatch import apply, current_interpreter
from ..layout import Layout, contiguous
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, public, require_kind
from ..tensortype import (
    DType,
    Shape,
    TensorType,
    as_dtype,
    broadcast_shapes,
    element_count,
    int32,
    normalize_axis,
)
from ..writer import static_value

# --- the same elements ------------------------------------------------------------------------


def _same_type(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
    return (types[0],)


def _same_layout(layout: Layout, type: TensorType, **_attributes: Any) -> Layout:
    return layout


identity_op = declare(
    Op(
        name="identity",
        kind=Kind.VIEW,
        infer=_same_type,
        numpy=lambda x: x,
        kernel=_same_layout,
        gradient=[lambda g, y, x: g],
        examples=(Example(("f64[2,3]",)), Example(("f64[]",))),
        doc="The tensor itself, as another value to differentiate by.",
    )
)

stop_gradient_op = declare(
    Op(
        name="stop_gradient",
        kind=Kind.VIEW,
        infer=_same_type,
        numpy=lambda x: x,
        kernel=_same_layout,
        gradient=Differentiability.NONE,
        examples=(Example(("f64[2,3]",)),),
        doc="The tensor itself, through which no gradient flows.",
    )
)


@public()
def identity(input: Any, name: str | None = None) -> Any:
    """A tensor equal to the input that is another value to differentiate by."""
    return apply(identity_op, as_operand(input))


@public()
def stop_gradient(input: Any, name: str | None = None) -> Any:
    """A tensor equal to the input through which no gradient flows.

    >>> import graphjit as gj
    >>> x = gj.Variable(3.0)
    >>> with gj.GradientTape() as tape:
    ...     y = x * gj.stop_gradient(x)
    >>> print(tape.gradient(y, x))
    gj.Tensor(3.0, shape=(), dtype=float32)
    """
    return apply(stop_gradient_op, as_operand(input))


# --- reshape ----------------------------------------------------------------------------------


def resolve_shape(shape: Shape, wanted: Sequence[int]) -> Shape:
    """`wanted` with its -1 replaced by the size that keeps the element count of `shape`.

    Raises:
      ShapeError: if the counts differ, or more than one size is -1.

    >>> resolve_shape((2, 6), (3, -1))
    (3, 4)
    """
    if sum(size == -1 for size in wanted) > 1 or any(size < -1 for size in wanted):
        raise ShapeError(f"cannot reshape to {list(wanted)}: at most one size may be -1, none less")
    if None in shape:
        return tuple(None if size == -1 else size for size in wanted)
    count = element_count(shape)
    known = element_count([size for size in wanted if size != -1])
    if -1 in wanted:
        if known == 0 or count % known:
            raise ShapeError(f"cannot reshape {shape} ({count} elements) to {list(wanted)}")
        return tuple(count // known if size == -1 else size for size in wanted)
    if known != count:
        raise ShapeError(f"cannot reshape {shape} ({count} elements) to {list(wanted)} ({known})")
    return tuple(wanted)


def _reshape_type(types: tuple[TensorType, ...], *, shape: tuple[int, ...]) -> tuple[TensorType, ...]:
    return (TensorType(types[0].dtype, resolve_shape(types[0].shape, shape)),)


def _reshape_layout(layout: Layout, type: TensorType, *, shape: tuple[int, ...]) -> Layout | None:
    if not Layout(0, layout.strides).is_contiguous(type.sizes):
        return None
    target = resolve_shape(type.shape, shape)
    return Layout(layout.offset, contiguous([size or 0 for size in target]).strides)


def _reshape_gradient(g: Any, y: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    return reshape_to_shape_of(g, x)


reshape_op = declare(
    Op(
        name="reshape",
        kind=Kind.VIEW,
        infer=_reshape_type,
        numpy=lambda x, *, shape: np.reshape(x, resolve_shape(x.shape, shape)),
        kernel=_reshape_layout,
        gradient=[_reshape_gradient],
        fails=lambda types, attributes: not types[0].is_static,
        examples=(
            Example(("f64[2,6]",), {"shape": (3, -1)}),
            Example(("f64[]",), {"shape": (1, 1)}),
            Example(("f64[0,3]",), {"shape": (3, 0)}),
        ),
        doc="The same elements in row-major order under another shape.",
    )
)

reshape_to_op = declare(
    Op(
        name="reshape_to",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, (None,) * _length(types[1])),),
        numpy=lambda x, shape: np.reshape(x, resolve_shape(x.shape, [int(size) for size in shape])),
        definition=lambda x, shape: _when_known(shape, lambda sizes: apply(reshape_op, x, shape=sizes)),
        gradient=[lambda g, y, x, shape: reshape_to_shape_of(g, x), None],
        fails=True,
        examples=(Example(("f64[2,6]", np.int32([3, -1]))),),
        doc="reshape, where the shape is an operand.",
    )
)


def _length(type: TensorType) -> int:
    """How many sizes a shape operand holds."""
    require_kind(type, "iu", "a shape")
    if type.rank != 1 or type.shape[0] is None:
        raise ShapeError(f"a shape is a vector of known length, not {type}")
    return type.shape[0]


def _when_known(shape: Operand, then: Any) -> Any:
    """`then(sizes)` if the shape operand is a constant, else None: it stays as it is."""
    sizes = static_value(shape)
    return None if sizes is None else then(tuple(int(size) for size in sizes))


def static_shape(shape: Any) -> tuple[int, ...] | Operand:
    """A shape argument as a tuple of integers, or as an operand where it is not known yet."""
    if isinstance(shape, Operand):
        known = static_value(shape)
        return shape if known is None else tuple(int(size) for size in np.atleast_1d(known))
    if hasattr(shape, "__index__"):
        return (int(shape),)
    if isinstance(shape, Sequence | np.ndarray) or hasattr(shape, "as_list"):
        sizes = list(shape)
        if any(isinstance(size, Operand) for size in sizes):
            operands = [as_operand(size, int32) for size in sizes]
            values = [static_value(operand) for operand in operands]
            if all(value is not None for value in values):
                return tuple(int(value) for value in values if value is not None)
            return PUBLIC["stack"]([PUBLIC["cast"](one, int32) for one in operands])  # type: ignore[no-any-return]
        if all(hasattr(size, "__index__") and not isinstance(size, bool) for size in sizes):
            return tuple(int(size) for size in sizes)
    raise ShapeError(f"a shape is a sequence of integers, not {shape!r}")


@public()
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The same elements, in row-major order, under another shape; one size may be -1.

    Raises:
      ShapeError: if the element counts differ.

    >>> import graphjit as gj
    >>> print(gj.reshape([[1, 2], [3, 4]], [-1]))
    gj.Tensor([1 2 3 4], shape=(4,), dtype=int32)
    """
    operand = as_operand(tensor)
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return apply(reshape_to_op, operand, sizes)
    return apply(reshape_op, operand, shape=sizes)


@public()
def reshape_to_shape_of(x: Any, like: Any) -> Any:
    """`x` under the shape of `like`."""
    if like.type.is_static:
        return x if x.type.shape == like.type.shape else apply(reshape_op, x, shape=like.type.sizes)
    return apply(reshape_to_op, x, shape_of(like))


# --- transpose, expand_dims, squeeze -------------------------------------------------------------


def _transpose_type(types: tuple[TensorType, ...], *, perm: tuple[int, ...]) -> tuple[TensorType, ...]:
    (type,) = types
    if sorted(perm) != list(range(type.rank)):
        raise ShapeError(f"perm {list(perm)} is no permutation of the axes of shape {type.shape}")
    return (TensorType(type.dtype, tuple(type.shape[axis] for axis in perm)),)


def _transpose_gradient(g: Any, y: Any, x: Any, *, perm: tuple[int, ...]) -> Any:
    return apply(transpose_op, g, perm=tuple(int(axis) for axis in np.argsort(perm)))


transpose_op = declare(
    Op(
        name="transpose",
        kind=Kind.VIEW,
        infer=_transpose_type,
        numpy=lambda x, *, perm: np.transpose(x, perm),
        kernel=lambda layout, type, *, perm: Layout(layout.offset, tuple(layout.strides[axis] for axis in perm)),
        gradient=[_transpose_gradient],
        examples=(
            Example(("f64[2,3]",), {"perm": (1, 0)}),
            Example(("f64[2,3,4]",), {"perm": (2, 0, 1)}),
            Example(("f64[]",), {"perm": ()}),
        ),
        doc="The axes in another order.",
    )
)


@public(numpy=np.transpose)
def transpose(a: Any, perm: Any = None, name: str | None = None) -> Any:
    """The axes in the order `perm`, reversed by default."""
    operand = as_operand(a)
    rank = operand.type.rank
    axes = range(rank)[::-1] if perm is None else [normalize_axis(axis, rank, "perm") for axis in perm]
    return apply(transpose_op, operand, perm=tuple(axes))


def _expand_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    (type,) = types
    return (TensorType(type.dtype, (*type.shape[:axis], 1, *type.shape[axis:])),)


expand_dims_op = declare(
    Op(
        name="expand_dims",
        kind=Kind.VIEW,
        infer=_expand_type,
        numpy=lambda x, *, axis: np.expand_dims(x, axis),
        kernel=lambda layout, type, *, axis: Layout(
            layout.offset, (*layout.strides[:axis], 0, *layout.strides[axis:])
        ),
        gradient=[lambda g, y, x, *, axis: reshape_to_shape_of(g, x)],
        examples=(Example(("f64[2,3]",), {"axis": 1}), Example(("f64[]",), {"axis": 0})),
        doc="A new axis of size 1.",
    )
)


@public(numpy=np.expand_dims)
def expand_dims(input: Any, axis: int, name: str | None = None) -> Any:
    """The tensor with a new axis of size 1 at position `axis`."""
    operand = as_operand(input)
    return apply(expand_dims_op, operand, axis=normalize_axis(axis, operand.type.rank + 1))


# --- broadcasting and its reverse ----------------------------------------------------------------


def _broadcast_type(types: tuple[TensorType, ...], *, shape: tuple[int, ...]) -> tuple[TensorType, ...]:
    (type,) = types
    if broadcast_shapes(type.shape, shape) != tuple(shape):
        raise ShapeError(f"shape {type.shape} does not broadcast to {shape}")
    return (TensorType(type.dtype, shape),)


def _broadcast_layout(layout: Layout, type: TensorType, *, shape: tuple[int, ...]) -> Layout:
    added = len(shape) - type.rank
    kept = tuple(
        0 if size == 1 and target != 1 else stride
        for size, target, stride in zip(type.shape, shape[added:], layout.strides, strict=True)
    )
    return Layout(layout.offset, (0,) * added + kept)


broadcast_to_op = declare(
    Op(
        name="broadcast_to",
        kind=Kind.VIEW,
        infer=_broadcast_type,
        numpy=lambda x, *, shape: np.broadcast_to(x, shape),
        kernel=_broadcast_layout,
        gradient=[lambda g, y, x, *, shape: sum_to_shape_of(g, x)],
        fails=lambda types, attributes: not types[0].is_static,
        examples=(
            Example(("f64[3]",), {"shape": (2, 3)}),
            Example(("f64[2,1]",), {"shape": (2, 3)}),
            Example(("f64[]",), {"shape": (4,)}),
            Example(("f64[1]",), {"shape": (0,)}),
        ),
        doc="The tensor repeated along axes of size 1 until it has the shape.",
    )
)

broadcast_like_op = declare(
    Op(
        name="broadcast_like",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, types[1].shape),),
        numpy=lambda x, like: np.broadcast_to(x, like.shape),
        definition=lambda x, like: (
            apply(broadcast_to_op, x, shape=like.type.sizes) if like.type.is_static else None
        ),
        gradient=[lambda g, y, x, like: sum_to_shape_of(g, x), None],
        examples=(Example(("f64[3]", "f64[2,3]")),),
        doc="broadcast_to, with the shape of another operand.",
    )
)

broadcast_dynamic_op = declare(
    Op(
        name="broadcast_to_sizes",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, (None,) * _length(types[1])),),
        numpy=lambda x, shape: np.broadcast_to(x, tuple(int(size) for size in shape)),
        definition=lambda x, shape: _when_known(shape, lambda sizes: apply(broadcast_to_op, x, shape=sizes)),
        gradient=[lambda g, y, x, shape: sum_to_shape_of(g, x), None],
        fails=True,
        examples=(Example(("f64[3]", np.int32([2, 3]))),),
        doc="broadcast_to, where the shape is an operand.",
    )
)


@public(numpy=np.broadcast_to)
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """The tensor repeated along axes of size 1 until it has the shape."""
    operand = as_operand(input)
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return apply(broadcast_dynamic_op, operand, sizes)
    if any(size < 0 for size in sizes):
        raise ShapeError(f"cannot broadcast to {list(sizes)}: sizes are not negative")
    return apply(broadcast_to_op, operand, shape=sizes)


@public()
def broadcast_to_shape_of(x: Any, like: Any) -> Any:
    """`x` broadcast to the shape of `like`."""
    if like.type.is_static:
        return x if x.type.shape == like.type.shape else apply(broadcast_to_op, x, shape=like.type.sizes)
    return apply(broadcast_like_op, x, like)


def _sum_array(g: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    added = g.ndim - len(shape)
    axes = tuple(range(added)) + tuple(
        axis + added for axis, size in enumerate(shape) if size == 1 and g.shape[axis + added] != 1
    )
    return np.asarray(np.sum(g, axis=axes, dtype=g.dtype)).reshape(shape)


def _sum_to_sizes(g: Any, shape: tuple[int, ...]) -> Any:
    added = g.type.rank - len(shape)
    axes = tuple(range(added)) + tuple(
        axis + added for axis, size in enumerate(shape) if size == 1 and g.type.shape[axis + added] != 1
    )
    summed = PUBLIC["reduce_sum"](g, axis=axes) if axes else g
    return summed if summed.type.shape == shape else apply(reshape_op, summed, shape=shape)


sum_like_op = declare(
    Op(
        name="sum_like",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, types[1].shape),),
        numpy=lambda g, like: _sum_array(g, like.shape),
        definition=lambda g, like: (
            _sum_to_sizes(g, like.type.sizes) if like.type.is_static and g.type.is_static else None
        ),
        gradient=[lambda h, y, g, like: broadcast_to_shape_of(h, g), None],
        examples=(Example(("f64[4,2,3]", "f64[2,1]")),),
        doc="The sum over the axes along which `like` was broadcast: broadcasting's gradient.",
    )
)


@public()
def sum_to_shape_of(g: Any, like: Any) -> Any:
    """`g` summed over the axes along which `like` was broadcast to g's shape."""
    if g.type.is_static and like.type.is_static:
        return g if g.type.shape == like.type.shape else _sum_to_sizes(g, like.type.sizes)
    return apply(sum_like_op, g, like)


# --- shapes as values, filled tensors --------------------------------------------------------------

shape_op = declare(
    Op(
        name="shape",
        kind=Kind.COMPOSED,
        infer=lambda types, *, dtype: (TensorType(dtype, (types[0].rank,)),),
        numpy=lambda x, *, dtype: np.array(x.shape, dtype=dtype.numpy),
        definition=lambda x, *, dtype: (
            current_interpreter().constant(np.array(x.type.sizes, dtype=dtype.numpy)) if x.type.is_static else None
        ),
        gradient=Differentiability.NONE,
        examples=(Example(("f64[2,3]",), {"dtype": int32}),),
        doc="The sizes of a tensor.",
    )
)


@public()
def shape_of(input: Any, out_type: Any = int32) -> Any:
    """The sizes of a tensor, as a vector."""
    operand = as_operand(input)
    dtype = as_dtype(out_type)
    if operand.type.is_static:
        return current_interpreter().constant(np.array(operand.type.sizes, dtype=dtype.numpy))
    return apply(shape_op, operand, dtype=dtype)


fill_like_op = declare(
    Op(
        name="fill_like",
        kind=Kind.COMPOSED,
        infer=lambda types, *, value, dtype: (TensorType(dtype, types[0].shape),),
        numpy=lambda x, *, value, dtype: np.full(x.shape, value, dtype=dtype.numpy),
        definition=lambda x, *, value, dtype: (
            _filled(x.type.sizes, value, dtype) if x.type.is_static else None
        ),
        gradient=Differentiability.NONE,
        examples=(Example(("f64[2,3]",), {"value": 1, "dtype": int32}),),
        doc="A tensor of another one's shape, filled with one value.",
    )
)


def _filled(shape: tuple[int, ...], value: Any, dtype: DType) -> Any:
    scalar = current_interpreter().constant(np.array(value, dtype=dtype.numpy))
    return scalar if shape == () else apply(broadcast_to_op, scalar, shape=shape)


def _fill_like(x: Any, value: int, dtype: Any) -> Any:
    operand = as_operand(x)
    wanted = operand.type.dtype if dtype is None else as_dtype(dtype)
    if operand.type.is_static:
        return _filled(operand.type.sizes, value, wanted)
    return apply(fill_like_op, operand, value=value, dtype=wanted)


@public(numpy=np.zeros_like)
def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of the input's shape, and dtype unless another is given."""
    return _fill_like(input, 0, dtype)


@public(numpy=np.ones_like)
def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of the input's shape, and dtype unless another is given."""
    return _fill_like(input, 1, dtype)


@public()
def fill(dims: Any, value: Any, name: str | None = None) -> Any:
    """A tensor of shape `dims` in which every element is `value`."""
    operand = as_operand(value)
    if operand.type.rank:
        raise InvalidArgumentError(f"fill needs a scalar value, not one of shape {operand.type.shape}")
    return broadcast_to(operand, dims)
