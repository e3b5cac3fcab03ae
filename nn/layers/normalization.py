"""Layers that bring their input to mean 0 and variance 1."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import divide_no_nan, square
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.filling import ones_like
from graphjit.compiler.ops.moments import moments
from graphjit.compiler.ops.neural import batch_normalization
from graphjit.compiler.ops.reduction import reduce_sum
from graphjit.compiler.ops.selecting import where
from graphjit.compiler.ops.shaping import expand_dims, reshape
from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import InvalidArgumentError

from .. import constraints, initializers, regularizers
from ..byname import serialize
from .dense import last_size
from .layer import Layer


class BatchNormalization(Layer):
    """In training the moments of the batch, otherwise their running means, bring the input to mean 0 and variance 1.

    Args:
      axis: the axis of the features, each of which has moments of its own.
      momentum: how much of the running means is kept at each step.
      epsilon: added to the variance.
      center, scale: whether a trained number is added, and whether the result is multiplied by one.
      beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer: what these start with.
      beta_regularizer, gamma_regularizer, beta_constraint, gamma_constraint: see `Dense`.

    Steps that do not count (see `Masking`) are left out of the moments.
    A layer that is not trainable uses the running means in training too. Ioffe and Szegedy 2015.
    """

    supports_masking = True

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, int):
            raise InvalidArgumentError(f"BatchNormalization: axis is one integer, not {axis!r}")
        self.axis, self.momentum, self.epsilon, self.center, self.scale = axis, momentum, epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def build(self, input_shape: Any) -> None:
        """Make the trained numbers and the running means."""
        shape = (last_size(input_shape, self, self.axis),)
        self.gamma = _trained(self, "gamma", shape) if self.scale else None
        self.beta = _trained(self, "beta", shape) if self.center else None
        self.moving_mean = self.add_weight(
            "moving_mean", shape, initializer=self.moving_mean_initializer, trainable=False
        )
        self.moving_variance = self.add_weight(
            "moving_variance", shape, initializer=self.moving_variance_initializer, trainable=False
        )

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        """The normalised input."""
        rank = inputs.type.rank
        axis = self.axis % rank
        if training and self.trainable:
            others = [one for one in range(rank) if one != axis]
            mean, variance = moments(inputs, others) if mask is None else _counted_moments(inputs, others, mask)
            self._remember(self.moving_mean, mean)
            self._remember(self.moving_variance, variance)
        else:
            mean, variance = self.moving_mean.read_value(), self.moving_variance.read_value()
        shape = [-1 if one == axis else 1 for one in range(rank)]
        parts = [mean, variance, self.beta, self.gamma]
        if axis != rank - 1:
            parts = [None if one is None else reshape(one, shape) for one in parts]
        mean, variance, offset, factor = parts
        return batch_normalization(inputs, mean, variance, offset, factor, self.epsilon)

    def _remember(self, variable: Any, value: Any) -> None:
        variable.assign(variable * self.momentum + value * (1.0 - self.momentum))

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape."""
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("axis", "momentum", "epsilon", "center", "scale")
        objects = [
            f"{weight}_{what}" for weight in ("beta", "gamma") for what in ("initializer", "regularizer", "constraint")
        ]
        objects += ["moving_mean_initializer", "moving_variance_initializer"]
        return {**super().get_config(), **{name: serialize(getattr(self, name)) for name in (*names, *objects)}}


def _counted_moments(inputs: Any, axes: list[int], mask: Any) -> tuple[Any, Any]:
    """Mean and variance over the elements for which the mask is true."""
    counted = as_operand(mask)
    while counted.type.rank < inputs.type.rank:
        counted = expand_dims(counted, -1)
    weights = cast(counted, inputs.dtype) * ones_like(inputs)
    count = reduce_sum(weights, axes)
    mean = divide_no_nan(reduce_sum(where(counted, inputs, 0.0), axes), count)
    shape = [1 if one in axes else -1 for one in range(inputs.type.rank)]
    distance = where(counted, inputs - reshape(mean, shape), 0.0)
    return mean, divide_no_nan(reduce_sum(square(distance), axes), count)


class LayerNormalization(Layer):
    """The moments of each example along `axis` bring it to mean 0 and variance 1 (Ba et al. 2016).

    Args:
      axis: one axis or several.
      epsilon: added to the variance.
      center, scale: whether trained numbers are added, and whether the result is multiplied by some.
      others: see `BatchNormalization`.
    """

    supports_masking = True

    def __init__(
        self,
        axis: Any = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon, self.center, self.scale = axis, epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)

    def _axes(self, rank: int) -> list[int]:
        given = [self.axis] if isinstance(self.axis, int) else list(self.axis)
        return sorted(one % rank for one in given)

    def build(self, input_shape: Any) -> None:
        """Make the trained numbers."""
        shape = TensorShape(input_shape)
        sizes = tuple(last_size(shape, self, axis) for axis in self._axes(len(shape)))
        self.gamma = _trained(self, "gamma", sizes) if self.scale else None
        self.beta = _trained(self, "beta", sizes) if self.center else None

    def call(self, inputs: Any) -> Any:
        """The normalised input."""
        rank = inputs.type.rank
        axes = self._axes(rank)
        mean, variance = moments(inputs, axes, keepdims=True)
        parts = [self.beta, self.gamma]
        if axes != list(range(rank - len(axes), rank)):
            shape = [int(inputs.type.shape[axis] or 1) if axis in axes else 1 for axis in range(rank)]
            parts = [None if one is None else reshape(one, shape) for one in parts]
        offset, factor = parts
        return batch_normalization(inputs, mean, variance, offset, factor, self.epsilon)

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape."""
        return TensorShape(input_shape)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("axis", "epsilon", "center", "scale")
        objects = [
            f"{weight}_{what}" for weight in ("beta", "gamma") for what in ("initializer", "regularizer", "constraint")
        ]
        return {**super().get_config(), **{name: serialize(getattr(self, name)) for name in (*names, *objects)}}


def _trained(layer: Any, name: str, shape: tuple[int, ...]) -> Any:
    """The weight `gamma` or `beta` of a layer."""
    return layer.add_weight(
        name,
        shape,
        initializer=getattr(layer, f"{name}_initializer"),
        regularizer=getattr(layer, f"{name}_regularizer"),
        constraint=getattr(layer, f"{name}_constraint"),
    )


__all__ = ["BatchNormalization", "LayerNormalization"]
