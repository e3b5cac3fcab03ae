"""What `gj.save` writes of layers and models: attributes, weights, and the call as a compiled function."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.tensortype import TensorShape, TensorSpec
from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError
from graphjit.tracer.compiling import compile as compile_function
from graphjit.tracer.parts import Parts
from graphjit.tracer.structure import flatten, unflatten

from ..module import compiled_methods


def layer_parts(layer: Any, with_call: bool) -> Parts:
    """What a layer is made of.

    Args:
      with_call: whether its call, as in prediction, is among it.

    Raises:
      FailedPreconditionError: if it is, and the layer was never built.
    """
    kept = {name: value for name, value in vars(layer).items() if name not in layer._untracked}
    parts = {**kept, "name": layer.name, "weights": list(layer._record.weights), **compiled_methods(layer)}
    if with_call and "__call__" not in parts:
        parts["__call__"] = _call(layer)
    return Parts("layer", {"class": type(layer).__name__}, parts)


def _call(layer: Any) -> Any:
    """The layer's call, traced for batches of any size."""
    spec = _input_spec(layer)

    def call(inputs: Any, training: bool = False) -> Any:
        return layer(inputs, training=training)

    function = compile_function(call, name=layer.name)
    function.get_concrete_function(spec)
    return function


def _input_spec(layer: Any) -> Any:
    """Specifications of what the layer was built for."""
    network = getattr(layer, "_network", None)
    if network is not None:
        described, structure = flatten(network.inputs)
        return unflatten(structure, [TensorSpec(one.shape, one.dtype) for one in described])
    shapes = layer._record.built_for or _described_shape(layer)
    if shapes is None:
        raise FailedPreconditionError(
            f"{layer.name!r} was never called, so nobody knows what its input looks like: call it once, or "
            "build(input_shape), before it is saved"
        )
    leaves, structure = flatten(shapes)
    dtypes = layer._record.input_dtypes or [_first_dtype(layer)] * len(leaves)
    if len(dtypes) != len(leaves) or any(not isinstance(one, TensorShape) or one.rank is None for one in leaves):
        raise InvalidArgumentError(
            f"{layer.name!r} takes something else than tensors of known ranks, so its call cannot be traced for any "
            "batch; give it a method that is compiled with an input_signature"
        )
    pairs = zip(leaves, dtypes, strict=True)
    return unflatten(structure, [TensorSpec([None, *tuple(shape)[1:]], dtype) for shape, dtype in pairs])


def _described_shape(layer: Any) -> Any:
    first = getattr(layer, "_first_shape", None)
    return layer._record.input_shape if first is None else first()


def _first_dtype(layer: Any) -> Any:
    """The dtype of what goes in, where nobody has called the layer."""
    stack = getattr(layer, "_stack", None)
    first = stack[0] if stack else layer
    # What an Input says; other layers say what they compute in.
    return getattr(first, "input_dtype", first.dtype)


__all__: list[str] = []
