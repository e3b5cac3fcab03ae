"""Shapes that a layer is told, and those of what it is given: single ones, or structures of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from graphjit.compiler.operand import Operand
from graphjit.compiler.ops.shaping import ensure_shape
from graphjit.compiler.ops.sizes import shape_value
from graphjit.compiler.tensortype import TensorShape
from graphjit.tracer.variable import Variable

from .connecting import KerasTensor


def shapes_of(value: Any) -> Any:
    """The shapes of tensors, in their structure."""
    if isinstance(value, Operand | Variable | KerasTensor):
        return TensorShape(value.shape)
    if isinstance(value, list | tuple):
        return [shapes_of(one) for one in value]
    if isinstance(value, Mapping):
        return {name: shapes_of(one) for name, one in value.items()}
    return TensorShape(None)


def as_shapes(given: Any) -> Any:
    """A shape as users write it, or a list of such, as `TensorShape`s."""
    if isinstance(given, dict):
        return {name: as_shapes(one) for name, one in given.items()}
    if isinstance(given, list | tuple) and any(isinstance(one, list | tuple | TensorShape) for one in given):
        return [as_shapes(one) for one in given]
    return TensorShape(given)


def of_any_batch(shapes: Any) -> Any:
    if isinstance(shapes, TensorShape):
        return TensorShape([None, *shapes[1:]]) if shapes.rank else shapes
    if isinstance(shapes, list):
        return [of_any_batch(one) for one in shapes]
    return shapes


def descriptions(shape: Any, dtype: str) -> Any:
    if isinstance(shape, list | tuple) and any(isinstance(one, list | tuple | TensorShape) for one in shape):
        return [descriptions(one, dtype) for one in shape]
    return KerasTensor(shape, dtype)


def batch_shape(input_shape: Any, input_dim: int | None, batch_input_shape: Any) -> Any:
    if batch_input_shape is not None:
        return TensorShape(batch_input_shape)
    if input_shape is None and input_dim is None:
        return None
    sizes = (input_dim,) if input_shape is None else input_shape
    return TensorShape((None, *([sizes] if isinstance(sizes, int) else sizes)))


def of_sizes(make: Callable[..., Any], sizes: Sequence[Any], *args: Any) -> Any:
    """make(shape, ...), of whose result those sizes are known that are numbers."""
    made = make(shape_value(sizes), *args)
    return ensure_shape(made, [size if isinstance(size, int) and size >= 0 else None for size in sizes])


__all__: list[str] = []
