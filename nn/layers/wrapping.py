"""Layers around another layer: over every step, or in both directions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.joining import concat
from graphjit.compiler.ops.shaping import reshape, transpose
from graphjit.compiler.ops.sizes import sizes_of
from graphjit.compiler.ops.slicing import reverse
from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.tracer.scanning import loop_over_rows

from ..byname import deserialize, serialize
from .layer import Layer
from .record import facts_of
from .shapes import of_sizes

_MERGES: dict[str | None, Callable[[Any, Any], Any]] = {
    "concat": lambda forth, back: concat([forth, back], -1),
    "sum": lambda forth, back: forth + back,
    "ave": lambda forth, back: (forth + back) / 2.0,
    "mul": lambda forth, back: forth * back,
    None: lambda forth, back: (forth, back),
}


class Bidirectional(Layer):
    """A recurrent layer twice: one goes forwards, the other backwards (Schuster and Paliwal 1997).

    Args:
      layer: an `RNN`, such as an `LSTM`; it serves as a pattern, of which two layers with weights of their own are
        made.
      merge_mode: what is done with the two results: "concat", "sum", "ave", "mul", or None for a tuple of both.
      backward_layer: the one that goes backwards, where it is to be another.

    >>> import graphjit as gj
    >>> Bidirectional(gj.keras.layers.GRU(4, return_sequences=True))(gj.zeros([2, 5, 3])).shape
    TensorShape([2, 5, 8])
    """

    supports_masking = True

    def __init__(
        self, layer: Any, merge_mode: str | None = "concat", backward_layer: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer) or not hasattr(layer, "go_backwards"):
            raise InvalidArgumentError(f"Bidirectional goes around a recurrent layer, not {layer!r}")
        if merge_mode not in _MERGES:
            raise InvalidArgumentError(f"merge_mode is one of {', '.join(map(repr, _MERGES))}, not {merge_mode!r}")
        self.merge_mode = merge_mode
        self.forward_layer = _copy(layer, "forward", layer.go_backwards)
        self.backward_layer = (
            _copy(layer, "backward", not layer.go_backwards) if backward_layer is None else backward_layer
        )
        for name in ("return_sequences", "return_state", "stateful"):
            if getattr(self.forward_layer, name) != getattr(self.backward_layer, name):
                raise InvalidArgumentError(f"Bidirectional: both layers have the same {name}, but theirs differ")
        if self.forward_layer.go_backwards == self.backward_layer.go_backwards:
            raise InvalidArgumentError("Bidirectional: one layer goes backwards (go_backwards=True), the other not")
        for one in (self.forward_layer, self.backward_layer):
            one.zero_output_for_mask = one.return_sequences

    def build(self, input_shape: Any) -> None:
        """Make the weights of both layers."""
        for one in (self.forward_layer, self.backward_layer):
            one.build_with(input_shape)

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        """What both layers give, merged; then, with return_state, the states of the first and of the second."""
        given = [None, None]
        if initial_state is not None:
            half = len(initial_state) // 2
            given = [initial_state[:half], initial_state[half:]]
        both = [
            one(sequences, initial_state=states, mask=mask, training=training)
            for one, states in zip((self.forward_layer, self.backward_layer), given, strict=True)
        ]
        (forth, *first), (back, *second) = both if self.forward_layer.return_state else ([one] for one in both)
        if self.forward_layer.return_sequences:
            back = reverse(back, [1])
        merged = _MERGES[self.merge_mode](forth, back)
        if not self.forward_layer.return_state:
            return merged
        return (*(merged if self.merge_mode is None else [merged]), *first, *second)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The input's mask, if all steps are returned."""
        kept = previous_mask if self.forward_layer.return_sequences else None
        return [kept, kept] if self.merge_mode is None else [kept]

    def reset_state(self) -> None:
        """Let the states that are kept be zeros."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    def get_config(self) -> dict[str, Any]:
        """The two layers and how they are merged."""
        layers = {"layer": serialize(self.forward_layer), "backward_layer": serialize(self.backward_layer)}
        return {**super().get_config(), "merge_mode": self.merge_mode, **layers}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The same with new layers."""
        return cls(**{**config, **_revived(config, ("layer", "backward_layer"))})


def _copy(layer: Any, prefix: str, backwards: bool) -> Any:
    """A new layer of the same arguments, for one direction."""
    config = {**layer.get_config(), "go_backwards": backwards}
    config["name"] = f"{prefix}_{layer.name.removeprefix(f'{prefix}_')}"
    return type(layer).from_config(config)


def _revived(config: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    from . import LAYERS

    return {name: deserialize(config[name], LAYERS, "layer") for name in names if config.get(name) is not None}


class TimeDistributed(Layer):
    """A layer for every step of sequences, with the same weights.

    Args:
      layer: any layer; batch and steps become one axis of examples for it.

    Input: shape [batch, steps, ...]. A layer that takes a mask is called step by step.

    >>> import graphjit as gj
    >>> TimeDistributed(gj.keras.layers.Flatten())(gj.zeros([2, 5, 3, 4])).shape
    TensorShape([2, 5, 12])
    """

    supports_masking = True

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(layer, Layer):
            raise InvalidArgumentError(f"TimeDistributed goes around a layer, not {layer!r}")
        self.layer = layer

    def build(self, input_shape: Any) -> None:
        """Make the weights of the layer."""
        shape = TensorShape(input_shape)
        if shape.rank is not None and shape.rank < 3:
            raise ShapeError(
                f"{self.name!r} goes through sequences of shape [batch, steps, ...], but its input has shape {shape}"
            )
        if not self.layer.built:
            self.layer.build_with(TensorShape([shape[0], *shape.as_list()[2:]]))

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """What the layer gives for every step."""
        if mask is not None and "mask" in facts_of(type(self.layer)).names:
            return self._by_steps(inputs, mask, training)
        sizes = sizes_of(inputs)
        flat = self.layer(_reshaped(inputs, [-1, *sizes[2:]]), training=training)
        return _reshaped(flat, [*sizes[:2], *sizes_of(flat)[1:]])

    def _by_steps(self, inputs: Any, mask: Any, training: Any) -> Any:
        def body(carried: tuple[Any, ...], rows: list[Any]) -> tuple[tuple[Any, ...], Any]:
            return (), self.layer(rows[0], mask=rows[1], training=training)

        over = [_steps_first(inputs), _steps_first(as_operand(mask))]
        return _steps_first(loop_over_rows(body, (), over)[1])

    def get_config(self) -> dict[str, Any]:
        """The layer."""
        return {**super().get_config(), "layer": serialize(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The same with a new layer."""
        return cls(**{**config, **_revived(config, ("layer",))})


def _reshaped(value: Any, sizes: list[Any]) -> Any:
    return of_sizes(partial(reshape, value), sizes)


def _steps_first(value: Any) -> Any:
    return transpose(value, [1, 0, *range(2, value.type.rank)])


__all__ = ["Bidirectional", "TimeDistributed"]
