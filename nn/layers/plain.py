"""Layers without weights: functions, shapes, noise."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.broadcasting import broadcast_to
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.selecting import minimum, where
from graphjit.compiler.ops.shaping import expand_dims, reshape, transpose
from graphjit.compiler.ops.sizes import shape_value, size_along
from graphjit.compiler.tensortype import TensorShape, as_dtype
from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.tracer.converting import as_called
from graphjit.tracer.generator import normal

from .. import activations
from ..byname import find, serialize
from ..functional import dropout
from ..precision import floatx
from .connecting import KerasTensor
from .layer import Layer


class InputLayer(Layer):
    """Says what a model's input looks like; as a layer it gives back what it gets.

    Args:
      input_shape, shape: the shape of one example.
      batch_size: of the batch, where it is known.
      dtype: of the input.
    """

    def __init__(
        self,
        input_shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        shape: Any = None,
        name: str | None = None,
        batch_shape: Any = None,
        batch_input_shape: Any = None,
        **kwargs: Any,
    ) -> None:
        example = shape if input_shape is None else input_shape
        whole = batch_shape if batch_input_shape is None else batch_input_shape
        if whole is None and example is not None:
            whole = (batch_size, *([example] if isinstance(example, int) else example))
        super().__init__(name=name, batch_input_shape=whole, autocast=False, **kwargs)
        self.batch_shape = TensorShape(whole)
        self.input_dtype = as_dtype(dtype or floatx()).name
        self.built = True
        self._record.output_shape = self.batch_shape

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape."""
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"name": self.name, "dtype": self.input_dtype, "batch_shape": serialize(self.batch_shape)}


def Input(  # noqa: N802 -- Keras's name
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    batch_shape: Any = None,
) -> KerasTensor:
    """The description of a model's input, on which layers can be called; see `Model`.

    >>> Input([3]).shape
    TensorShape([None, 3])
    """
    layer = InputLayer(shape, batch_size, dtype, name=name, batch_shape=batch_shape)
    described = KerasTensor(layer.batch_shape, layer.input_dtype, layer.name)
    described.source = layer
    return described


class Activation(Layer):
    """An activation as a layer: a name or a function."""

    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = activations.get(activation)

    def call(self, inputs: Any) -> Any:
        """activation(inputs)."""
        return as_called(self.activation)(inputs)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape."""
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "activation": serialize(self.activation)}


class ReLU(Layer):
    """max(x, 0), with a slope below 0 and a greatest value if wanted."""

    supports_masking = True

    def __init__(self, max_value: float | None = None, negative_slope: float = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_value, self.negative_slope = max_value, negative_slope

    def call(self, inputs: Any) -> Any:
        """The rectified input."""
        slope = self.negative_slope
        result = activations.leaky_relu(inputs, slope) if slope else activations.relu(inputs)
        return result if self.max_value is None else minimum(result, self.max_value)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "max_value": self.max_value, "negative_slope": self.negative_slope}


class LeakyReLU(Layer):
    """x where it is positive, `negative_slope` times x elsewhere."""

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, alpha: float | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope if alpha is None else alpha

    def call(self, inputs: Any) -> Any:
        """The rectified input."""
        return activations.leaky_relu(inputs, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


class Softmax(Layer):
    """exp(x) / sum(exp(x)) along an axis; where `mask`, given to the call, is False, the result is 0."""

    supports_masking = True

    def __init__(self, axis: int = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The probabilities; a mask of the input's rank says which elements count, one of steps is handed on."""
        if mask is None or as_operand(mask).type.rank != inputs.type.rank:
            return activations.softmax(inputs, self.axis)
        counts = cast(as_operand(mask), "bool")
        lowest = np.finfo(inputs.dtype.numpy).min / 2
        return where(counts, activations.softmax(where(counts, inputs, lowest), self.axis), 0.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "axis": self.axis}


class Lambda(Layer):
    """A function as a layer.

    Args:
      function: of the input, and of `training` if it has a parameter of that name.
      output_shape: accepted for Keras's sake; the shape is found out.
      mask: the mask of what the function returns, or a function of the input and its mask that gives it.
      arguments: further keyword arguments of the function.

    >>> import graphjit as gj
    >>> print(Lambda(lambda x: 2 * x)([1.0]).numpy())
    [2.]
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise InvalidArgumentError(f"Lambda takes a function, not {function!r}")
        self.function = function
        self.arguments = dict(arguments or {})
        self.mask = mask
        self.supports_masking = mask is not None

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """function(inputs)."""
        taken = _names(self.function)
        more = {name: value for name, value in (("training", training), ("mask", mask)) if name in taken}
        return as_called(self.function)(inputs, **self.arguments, **more)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """What the argument `mask` says."""
        return as_called(self.mask)(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        """The arguments; the function by its name.

        Raises:
          InvalidArgumentError: if the function is a lambda, which has no name to find it by.
        """
        if getattr(self.function, "__name__", "<lambda>") == "<lambda>":
            raise InvalidArgumentError(
                f"the function of the layer {self.name!r} is a lambda, which cannot be saved by name; define it with "
                "def, and hand it to load_model(custom_objects={...})"
            )
        return {**super().get_config(), "function": serialize(self.function), "arguments": serialize(self.arguments)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer of the function with that name."""
        function = config.pop("function")
        return cls(function if callable(function) else find(function, activations.ACTIVATIONS, "function"), **config)


def _names(function: Callable[..., Any]) -> frozenset[str]:
    try:
        return frozenset(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return frozenset()


class Flatten(Layer):
    """All axes but that of the batch become one.

    >>> import graphjit as gj
    >>> Flatten()(gj.zeros([2, 3, 4])).shape
    TensorShape([2, 12])
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = data_format or "channels_last"

    def call(self, inputs: Any) -> Any:
        """The input as a matrix."""
        rank = inputs.type.rank
        if rank <= 1:
            return expand_dims(inputs, -1) if rank else reshape(inputs, [1, 1])
        if self.data_format == "channels_first" and rank > 2:
            inputs = transpose(inputs, [0, *range(2, rank), 1])
        sizes = inputs.type.shape[1:]
        if None not in sizes:
            return reshape(inputs, [-1 if inputs.type.shape[0] is None else inputs.type.shape[0], math.prod(sizes)])
        return reshape(inputs, shape_value([size_along(inputs, 0), -1]))

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The batch, and the product of the other sizes."""
        first, *sizes = TensorShape(input_shape).as_list()
        return TensorShape([first, None if None in sizes else math.prod(size or 0 for size in sizes)])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "data_format": self.data_format}


class Reshape(Layer):
    """Another shape for each example; one size may be -1."""

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)

    def call(self, inputs: Any) -> Any:
        """The reshaped input."""
        sizes = inputs.type.shape
        if -1 in self.target_shape or None not in sizes[1:]:
            if -1 not in self.target_shape and math.prod(sizes[1:]) != math.prod(self.target_shape):
                raise ShapeError(f"Reshape: {list(sizes[1:])} cannot become {list(self.target_shape)}")
            first = sizes[0]
            if first is not None:
                return reshape(inputs, [first, *self.target_shape])
        return reshape(inputs, shape_value([size_along(inputs, 0), *self.target_shape]))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Permute(Layer):
    """Another order of the axes of an example, which count from 1."""

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)

    def call(self, inputs: Any) -> Any:
        """The transposed input."""
        return transpose(inputs, [0, *self.dims])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "dims": list(self.dims)}


class RepeatVector(Layer):
    """A matrix [batch, n] becomes [batch, times, n]."""

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.n = n

    def call(self, inputs: Any) -> Any:
        """The repeated rows."""
        sizes = [size_along(inputs, 0), self.n, size_along(inputs, 1)]
        return broadcast_to(expand_dims(inputs, 1), shape_value(sizes))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "n": self.n}


class Dropout(Layer):
    """In training, elements become 0 at random, and the others are divided by 1 - rate (Srivastava et al. 2014).

    Args:
      rate: the probability that an element becomes 0.
      noise_shape: the shape of what is drawn; it broadcasts against the input.
      seed: a stream of its own in place of the global one.

    >>> print(Dropout(0.5)([1.0, 2.0]).numpy())
    [1. 2.]
    """

    supports_masking = True

    def __init__(self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise InvalidArgumentError(f"Dropout: the rate is a probability, not {rate!r}")
        self.rate, self.noise_shape, self.seed = rate, noise_shape, seed

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The input, with elements dropped in training."""
        if not training or self.rate == 0:
            return inputs
        if self.rate == 1:
            return inputs * 0
        return dropout(inputs, self.rate, self.noise_shape, self.seed)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape."""
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "rate": self.rate, "noise_shape": self.noise_shape, "seed": self.seed}


class GaussianNoise(Layer):
    """In training, normal numbers are added."""

    supports_masking = True

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.stddev, self.seed = stddev, seed

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The input, with noise in training."""
        if not training:
            return inputs
        sizes = shape_value([size_along(inputs, axis) for axis in range(inputs.type.rank)])
        return inputs + normal(sizes, 0.0, self.stddev, inputs.dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


__all__ = [
    "Activation",
    "Dropout",
    "Flatten",
    "GaussianNoise",
    "Input",
    "InputLayer",
    "Lambda",
    "LeakyReLU",
    "Permute",
    "ReLU",
    "RepeatVector",
    "Reshape",
    "Softmax",
]
