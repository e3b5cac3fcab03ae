"""Sequential: layers one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import ref

from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError

from ..byname import deserialize, serialize
from ..layers.connecting import KerasTensor
from ..layers.layer import Layer
from ..layers.plain import Input, InputLayer
from ..masks import set_masks
from .model import Model
from .network import Network


class Sequential(Model):
    """A model whose layers follow each other.

    Args:
      layers: a list; more can be added by `add`. Where the first one says what its input looks like (an
        `InputLayer`, or `input_shape=`), the weights exist at once; else they do after the first call.

    >>> import graphjit as gj
    >>> model = gj.keras.Sequential([
    ...     gj.keras.layers.Flatten(input_shape=(2, 2)), gj.keras.layers.Dense(3, activation="relu")
    ... ])
    >>> model(gj.zeros([5, 2, 2])).shape, len(model.weights)
    (TensorShape([5, 3]), 2)
    """

    def __init__(self, layers: Iterable[Any] | None = None, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name, **kwargs)
        self._stack: list[Any] = []
        self._shape: Any = None
        self._described: Network | None = None
        for layer in layers or ():
            self.add(layer)

    _untracked = Model._untracked | {"_shape", "_described"}

    @property
    def layers(self) -> list[Any]:
        """The layers, without the description of the input."""
        return [layer for layer in self._stack if not isinstance(layer, InputLayer)]

    def add(self, layer: Any) -> None:
        """Put a layer behind the others.

        Raises:
          InvalidArgumentError: if it is no layer, or the first one describes an input behind others.
        """
        if isinstance(layer, KerasTensor):
            layer = InputLayer(batch_shape=layer.shape, dtype=layer.dtype, name=layer.name)
        if not isinstance(layer, Layer):
            if not callable(layer) or isinstance(layer, type):
                raise InvalidArgumentError(f"a Sequential holds layers, not {layer!r}")
            from ..layers.plain import Lambda

            layer = Lambda(layer)
        if any(layer is other for other in self._stack):
            raise InvalidArgumentError(
                f"the layer {layer.name!r} is in this Sequential already; use a functional model"
            )
        given = layer._record.input_shape
        if not self._stack and given is not None:
            self._shape = TensorShape(given)
        self._stack.append(layer)
        layer._record.owner = ref(self)
        self._described = None
        if self._shape is not None:
            self._shape = _built(layer, self._shape)
            self.built = True

    def pop(self) -> Any:
        """Take the last layer away, and return it."""
        if not self._stack:
            raise InvalidArgumentError("there is no layer in this Sequential")
        layer = self._stack.pop()
        self._described = None
        first = self._stack[0]._record.input_shape if self._stack else None
        self._shape = None if first is None else TensorShape(first)
        for one in self._stack if self._shape is not None else ():
            self._shape = TensorShape(one.compute_output_shape(self._shape))
        self._forget_steps()
        return layer

    def build(self, input_shape: Any = None) -> None:
        """Make the weights of all layers for inputs of a shape, whose batch may be None."""
        shape: Any = TensorShape(input_shape) if not isinstance(input_shape, list) else input_shape
        for layer in self._stack:
            shape = _built(layer, shape)
        self._shape = shape
        self.built = True

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """What the last layer gives."""
        set_masks(inputs, mask)
        for layer in self._stack:
            inputs = layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of what the last layer gives."""
        for layer in self._stack:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def describe(self) -> Network:
        """Its input, its output and the calls between them.

        Raises:
          FailedPreconditionError: before it is built.
        """
        shape = self._first_shape()
        if shape is None:
            raise FailedPreconditionError(
                f"{self.name!r} does not know its input yet: begin with an Input, call it, or build(input_shape)"
            )
        if self._described is None:
            first = self._stack[0] if self._stack else None
            dtype = first.input_dtype if isinstance(first, InputLayer) else None
            described = result = Input(batch_shape=shape, dtype=dtype)
            for layer in self.layers:
                result = layer(result)
            self._described = Network(described, result)
        return self._described

    def get_config(self) -> dict[str, Any]:
        """The layers, and the shape of the input."""
        layers = [serialize(layer) for layer in self._stack]
        return {"name": self.name, "layers": layers, "input_shape": serialize(self._first_shape())}

    def _first_shape(self) -> Any:
        """The shape for which the model was built, None before."""
        given = self._stack[0]._record.input_shape if self._stack else None
        return self._record.built_for if given is None else given

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A model of these layers."""
        from ..layers import LAYERS

        table = {**LAYERS, "model": Model, "sequential": Sequential}
        model = cls([deserialize(one, table, "layer") for one in config["layers"]], name=config.get("name"))
        if config.get("input_shape") is not None and not model.built:
            model.build_with(TensorShape(config["input_shape"]))
        return model


def _built(layer: Layer, shape: Any) -> Any:
    """Build a layer for an input of a shape; returns the shape of what it gives."""
    if not layer.built:
        layer.build_with(shape)
    after = layer.compute_output_shape(shape)
    layer._record.output_shape = layer._record.output_shape or after
    return after


__all__ = ["Sequential"]
