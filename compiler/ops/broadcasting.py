"""Broadcasting on purpose, and its reverse: summing over the axes that were broadcast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..batchrules import ranked
from ..dispatch import apply
from ..layout import Layout
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, public
from ..tensortype import TensorType, broadcast_shapes
from .shaping import reshape_op
from .sizes import fitting, length_of_shape, static_shape, when_known


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


def _broadcast_each(
    op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
) -> Sequence[Operand]:
    shape = attributes["shape"]
    return (apply(op, ranked(operands[0], len(shape)), shape=(size, *shape)),)


broadcast_to_op: Op = declare(
    Op(
        name="broadcast_to",
        kind=Kind.VIEW,
        batch=_broadcast_each,
        infer=_broadcast_type,
        numpy=fitting(lambda x, *, shape: np.broadcast_to(x, shape)),
        kernel=_broadcast_layout,
        gradient=[lambda g, y, x, *, shape: PUBLIC["sum_to_shape_of"](g, x)],
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

broadcast_like_op: Op = declare(
    Op(
        name="broadcast_like",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, types[1].shape),),
        numpy=fitting(lambda x, like: np.broadcast_to(x, like.shape)),
        definition=lambda x, like: apply(broadcast_to_op, x, shape=like.type.sizes) if like.type.is_static else None,
        gradient=[lambda g, y, x, like: PUBLIC["sum_to_shape_of"](g, x), None],
        examples=(Example(("f64[3]", "f64[2,3]")),),
        doc="broadcast_to, with the shape of another operand.",
    )
)


def _known_broadcast(x: Any, shape: Any) -> Any:
    return when_known([shape], lambda sizes: apply(broadcast_to_op, x, shape=tuple(int(size) for size in sizes)))


broadcast_to_sizes_op: Op = declare(
    Op(
        name="broadcast_to_sizes",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, (None,) * length_of_shape(types[1])),),
        numpy=fitting(lambda x, shape: np.broadcast_to(x, tuple(int(size) for size in shape))),
        definition=_known_broadcast,
        gradient=[lambda g, y, x, shape: PUBLIC["sum_to_shape_of"](g, x), None],
        fails=True,
        static_operands=(1,),
        examples=(Example(("f64[3]", np.array([2, 3], np.int32))),),
        doc="broadcast_to, where the shape is an operand.",
    )
)


@public()
def broadcast_to(input: Any, shape: Any, name: str | None = None) -> Any:
    """The tensor repeated along axes of size 1 until it has the shape.

    Raises:
      ShapeError: if the tensor's shape does not broadcast to `shape`.

    >>> import graphjit as gj
    >>> print(gj.broadcast_to([1, 2], [3, 2]).shape)
    (3, 2)
    """
    operand = as_operand(input)
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return apply(broadcast_to_sizes_op, operand, sizes)
    if any(size < 0 for size in sizes):
        raise ShapeError(f"cannot broadcast to {list(sizes)}: sizes are not negative")
    return apply(broadcast_to_op, operand, shape=sizes)


@public()
def broadcast_to_shape_of(x: Any, like: Any) -> Any:
    """`x` broadcast to the shape of `like`."""
    if like.type.is_static:
        return x if x.type.shape == like.type.shape else apply(broadcast_to_op, x, shape=like.type.sizes)
    return apply(broadcast_like_op, x, like)


def _broadcast_axes(shape: tuple[int, ...], wanted: tuple[int, ...]) -> tuple[int, ...]:
    """The axes of `shape` along which something of shape `wanted` was broadcast."""
    added = len(shape) - len(wanted)
    repeated = (axis + added for axis, size in enumerate(wanted) if size == 1 and shape[axis + added] != 1)
    return (*range(added), *repeated)


def _sum_array(g: np.ndarray[Any, Any], shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    return np.asarray(np.sum(g, axis=_broadcast_axes(g.shape, shape), dtype=g.dtype)).reshape(shape)


def _sum_to_sizes(g: Any, shape: tuple[int, ...]) -> Any:
    axes = _broadcast_axes(g.type.sizes, shape)
    summed = PUBLIC["reduce_sum"](g, axis=axes) if axes else g
    return summed if summed.type.shape == shape else apply(reshape_op, summed, shape=shape)


sum_like_op: Op = declare(
    Op(
        name="sum_like",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, types[1].shape),),
        numpy=lambda g, like: _sum_array(g, like.shape),
        definition=lambda g, like: (
            _sum_to_sizes(g, like.type.sizes) if like.type.is_static and g.type.is_static else None
        ),
        gradient=[lambda h, y, g, like: PUBLIC["broadcast_to_shape_of"](h, g), None],
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


__all__ = ["broadcast_to"]
