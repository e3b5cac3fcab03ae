"""The layer that makes a mask of its input."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.comparing import not_equal
from graphjit.compiler.ops.reduction import reduce_any
from graphjit.compiler.ops.selecting import where
from graphjit.compiler.ops.shaping import squeeze
from graphjit.compiler.tensortype import TensorShape

from ..byname import serialize
from ..masks import set_mask
from .layer import Layer


class Masking(Layer):
    """Steps whose elements all equal `mask_value` do not count in the layers behind; they become zeros.

    Input: shape [batch, steps, ...]; output: the same.

    >>> import graphjit as gj
    >>> layers = gj.keras.layers
    >>> model = gj.keras.Sequential([layers.Masking(), layers.SimpleRNN(1, kernel_initializer="ones", seed=1)])
    >>> print(model([[[0.5], [0.0]], [[0.5], [-0.5]]]).numpy()[0] == gj.tanh(0.5).numpy())
    [ True]
    """

    supports_masking = True

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.mask_value = mask_value

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """True for each step that counts."""
        return reduce_any(not_equal(as_operand(inputs), self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        """The input with zeros for steps that do not count."""
        counts = reduce_any(not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        outputs = where(counts, inputs, 0.0)
        set_mask(outputs, squeeze(counts, -1))
        return outputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape."""
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "mask_value": serialize(self.mask_value)}


__all__ = ["Masking"]
