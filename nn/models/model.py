"""Model: a layer that can be trained, asked and saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.parts import Parts
from graphjit.tracer.structure import flatten

from ..byname import serialize
from ..layers.exporting import layer_parts
from ..layers.layer import Layer
from ..layers.shapes import shapes_of
from ..masks import set_masks
from ..precision import floatx
from .network import Network, from_config
from .passes import Passes
from .summary import summary_of


class Model(Passes):
    """A layer that can be trained (`compile`, `fit`), measured (`evaluate`), asked (`predict`) and saved.

    A subclass makes its layers in `__init__` and defines `call(inputs, training=None)`. Or layers are called on
    `Input`s, and the model is made of what comes out: `Model(inputs, outputs)`.

    Args:
      inputs, outputs: descriptions, for a model of that second kind.
      others: see `Layer`.

    >>> import graphjit as gj
    >>> inputs = gj.keras.Input([3])
    >>> hidden = gj.keras.layers.Dense(4, activation="relu")(inputs)
    >>> model = gj.keras.Model(inputs, gj.keras.layers.Dense(1)(hidden))
    >>> model(gj.zeros([2, 3])).shape
    TensorShape([2, 1])
    """

    _untracked = Layer._untracked | {"_training", "_network", "optimizer", "history"}
    _network: Network | None = None

    def __init__(self, *args: Any, inputs: Any = None, outputs: Any = None, name: str | None = None, **kw: Any) -> None:
        if args and not isinstance(args[0], str) and args[0] is not None:
            inputs, outputs = args[0], args[1] if len(args) > 1 else outputs
        elif args:
            name = name or args[0]
        super().__init__(name=name, **kw)
        if inputs is not None:
            self._network = Network(inputs, outputs)
            self._stack = self._network.layers
            self.output_names = self._network.output_names
            self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the model computes; a subclass defines it."""
        if self._network is None:
            raise NotImplementedError(f"{type(self).__name__} must define call(inputs)")
        set_masks(inputs, kwargs.get("mask"))
        return self._network.run(inputs)

    def build(self, input_shape: Any) -> None:
        """Make the weights of all layers, by calling the model on zeros of this shape."""
        if not self._record.building:
            with init_scope():
                self(_zeros(input_shape))
        self.built = True

    def _hand_on(self, args: tuple[Any, ...], masks: Any, outputs: Any) -> None:
        """What the layers inside return has its masks already."""

    def _naming(self) -> AbstractContextManager[Any]:
        """Variables in layers have the layers' names, and nothing before them."""
        return nullcontext()

    # --- what it is made of ---

    @property
    def layers(self) -> list[Any]:
        """The layers directly inside; in a functional model those of its inputs first."""
        return super().layers if self._network is None else [*self._network.sources, *self._stack]

    def describe(self) -> Network:
        """Its inputs, its outputs and the calls between them, in a functional model.

        Raises:
          FailedPreconditionError: for a model of another kind.
        """
        if self._network is None:
            raise FailedPreconditionError(
                f"{self.name!r} is defined by its call(), so nobody knows its inputs and outputs; a model made by "
                "Model(inputs, outputs), or a Sequential that begins with an Input, has them"
            )
        return self._network

    @property
    def inputs(self) -> list[Any]:
        """Descriptions of its inputs, as a list."""
        return flatten(self.describe().inputs)[0]

    @property
    def outputs(self) -> list[Any]:
        """Descriptions of its outputs, as a list."""
        return flatten(self.describe().outputs)[0]

    @property
    def input(self) -> Any:
        """The description of its input, or the structure of several."""
        return self.describe().inputs

    @property
    def output(self) -> Any:
        """The description of its output, or the structure of several."""
        return self.describe().outputs

    @property
    def input_shape(self) -> Any:
        """The shape of its input, or the structure of several."""
        return shapes_of(self.describe().inputs)

    @property
    def output_shape(self) -> Any:
        """The shape of what it gives, or the structure of several."""
        return shapes_of(self.describe().outputs)

    # --- saving ---

    def parts_to_save(self, is_root: bool) -> Parts:
        """What `gj.save` writes: see `Layer`; the call is always saved."""
        return layer_parts(self, with_call=True)

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the model into one file, from which `gj.keras.models.load_model` makes it again.

        Args:
          filepath: any name; the content is the same whatever it ends with: weights as safetensors, what the model is
            made of and how it is trained as JSON beside them.
          overwrite: whether a file of that name is replaced.

        Raises:
          InvalidArgumentError: if something in the model cannot be written down, such as a lambda.
        """
        from .saving import save_model

        save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights into a file, by their places in the model; the name needs no ending."""
        from .saving import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False) -> None:
        """Read weights that a model of the same structure saved.

        Layers that are not built yet get theirs when they are.

        Args:
          filepath: the file.
          skip_mismatch: whether weights that are missing or have another shape keep what they hold.

        Raises:
          NotFoundError: if there is no such file.
          FormatError: if it is no file of weights.
          InvalidArgumentError: if it does not fit the model.
        """
        from .saving import load_weights

        load_weights(self, filepath, skip_mismatch)

    def get_config(self) -> dict[str, Any]:
        """What the model is made of; for a subclass the arguments that it was made with."""
        if self._network is not None and type(self) is Model:
            return {"name": self.name, **self._network.get_config()}
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A model of what `get_config` gave."""
        if cls is Model and "calls" in config:
            from ..layers import LAYERS

            inputs, outputs = from_config(config, {**LAYERS, "model": Model})
            return cls(inputs=inputs, outputs=outputs, name=config.get("name"))
        return cls(**config)

    def to_json(self, **kwargs: Any) -> str:
        """What the model is made of, without its weights, as text for `model_from_json`."""
        return json.dumps(serialize(self), **kwargs)

    # --- looking ---

    def summary(self, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None, **_: Any) -> None:
        """Print the layers, the shapes of what they return, and how many numbers their weights hold.

        Raises:
          FailedPreconditionError: before the weights exist.
        """
        (print_fn or print)(summary_of(self, line_length))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer with a name, or at a position.

        Raises:
          InvalidArgumentError: if there is none.
        """
        layers = self.layers
        if index is not None:
            if -len(layers) <= index < len(layers):
                return layers[index]
            raise InvalidArgumentError(f"{self.name!r} has {len(layers)} layers, none at {index}")
        found = next((layer for layer in layers if layer.name == name), None)
        if found is None:
            raise InvalidArgumentError(
                f"{self.name!r} has no layer {name!r}; there are: {', '.join(layer.name for layer in layers)}"
            )
        return found


def _zeros(shape: Any) -> Any:
    """Zeros for a shape, or for a structure of shapes; a batch of unknown size has one example."""
    if isinstance(shape, list | tuple) and any(isinstance(one, list | tuple | TensorShape) for one in shape):
        return [_zeros(one) for one in shape]
    return np.zeros([1 if size is None else size for size in TensorShape(shape)], floatx())


__all__ = ["Model"]
