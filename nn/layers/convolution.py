"""Layers of convolutions and pooling. Inputs are [batch, ...sizes, channels] unless `data_format` says otherwise."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import divide_no_nan
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.convolution import convolution
from graphjit.compiler.ops.neural import bias_add
from graphjit.compiler.ops.padding import pad
from graphjit.compiler.ops.pooling import avg_pool, max_pool
from graphjit.compiler.ops.reduction import reduce_max, reduce_mean, reduce_sum
from graphjit.compiler.ops.selecting import where
from graphjit.compiler.ops.shaping import expand_dims
from graphjit.compiler.ops.windows import as_integers, is_channels_first
from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from .. import activations, constraints, initializers, regularizers
from ..byname import serialize
from .dense import last_size
from .layer import Layer


class _Convolution(Layer):
    """What convolutions over one axis or several have in common."""

    rank = 2

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
        groups: int = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if int(filters) != filters or filters < 1 or filters % groups:
            raise InvalidArgumentError(f"filters is a positive multiple of groups={groups}, not {filters!r}")
        self.filters, self.groups = int(filters), groups
        self.kernel_size = as_integers(kernel_size, self.rank, "kernel_size")
        self.strides = as_integers(strides, self.rank, "strides")
        self.dilation_rate = as_integers(dilation_rate, self.rank, "dilation_rate")
        self.padding, self.data_format = padding.lower(), data_format or "channels_last"
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def build(self, input_shape: Any) -> None:
        """Make kernel and bias."""
        channels = last_size(input_shape, self, 1 if is_channels_first(self.data_format) else -1)
        if channels % self.groups:
            raise ShapeError(f"{self.name!r}: {channels} channels do not fall into {self.groups} groups")
        self.kernel = self.add_weight(
            "kernel",
            (*self.kernel_size, channels // self.groups, self.filters),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = (
            self.add_weight(
                "bias",
                (self.filters,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            if self.use_bias
            else None
        )

    def call(self, inputs: Any) -> Any:
        """activation(convolution(inputs, kernel) + bias)."""
        result = convolution(inputs, self.kernel, self.strides, self.padding, self.data_format, self.dilation_rate)
        if self.bias is not None:
            result = bias_add(result, self.bias, "NCW" if is_channels_first(self.data_format) else None)
        return result if self.activation is activations.linear else self.activation(result)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        plain = ("filters", "kernel_size", "strides", "padding", "data_format", "dilation_rate", "groups", "use_bias")
        objects = (
            "activation",
            "kernel_initializer",
            "bias_initializer",
            "kernel_regularizer",
            "bias_regularizer",
            "activity_regularizer",
            "kernel_constraint",
            "bias_constraint",
        )
        return {**super().get_config(), **{name: serialize(getattr(self, name)) for name in (*plain, *objects)}}


class Conv1D(_Convolution):
    """A convolution over one axis: input [batch, width, channels]; arguments: see `Conv2D`.

    Padding "causal" adds zeros before the axis only.
    """

    rank = 1


class Conv2D(_Convolution):
    """A convolution over two axes.

    Args:
      filters: how many outputs each place has.
      kernel_size: the window: one number or two.
      strides, dilation_rate: from window to window, and from element to element within one.
      padding: "valid", or "same" to add zeros so that stride 1 keeps sizes.
      data_format: "channels_last" or "channels_first".
      groups: into how many groups channels and filters fall.
      others: see `Dense`.

    >>> import graphjit as gj
    >>> Conv2D(4, 3, padding="same")(gj.zeros([1, 8, 8, 3])).shape
    TensorShape([1, 8, 8, 4])
    """

    rank = 2


class Conv3D(_Convolution):
    """A convolution over three axes; arguments: see `Conv2D`."""

    rank = 3


# --- pooling --------------------------------------------------------------------------------------


class _Pooling(Layer):
    """What pooling over one axis or several has in common."""

    rank = 2
    _function: Any = None

    def __init__(
        self,
        pool_size: Any = 2,
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.pool_size = as_integers(pool_size, self.rank, "pool_size")
        self.strides = self.pool_size if strides is None else as_integers(strides, self.rank, "strides")
        self.padding, self.data_format = padding.lower(), data_format or "channels_last"

    def call(self, inputs: Any) -> Any:
        """The windows' values."""
        return type(self)._function(inputs, self.pool_size, self.strides, self.padding, self.data_format)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        names = ("pool_size", "strides", "padding", "data_format")
        return {**super().get_config(), **{name: serialize(getattr(self, name)) for name in names}}


class _GlobalPooling(Layer):
    """What pooling over whole axes has in common."""

    rank = 2
    _function: Any = None

    def __init__(self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format, self.keepdims = data_format or "channels_last", keepdims

    def call(self, inputs: Any) -> Any:
        """One value for each example and channel."""
        return type(self)._function(inputs, self._axes(), self.keepdims)

    def _axes(self) -> list[int]:
        first = 2 if is_channels_first(self.data_format) else 1
        return list(range(first, first + self.rank))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


def _pooling(name: str, parent: type, rank: int, function: Any, doc: str) -> Any:
    members = {"rank": rank, "_function": staticmethod(function), "__doc__": doc, "__module__": __name__}
    return type(name, (parent,), members)


_AXES = {1: "one axis", 2: "two axes", 3: "three axes"}


def _pair(kind: str, rank: int, function: Any, over_all: Any, what: str) -> tuple[Any, Any]:
    doc = f"The {what} of each window over {_AXES[rank]}; arguments: see `gj.nn.{function.__name__}`."
    whole = f"The {what} over {_AXES[rank]} as a whole."
    return (
        _pooling(f"{kind}Pooling{rank}D", _Pooling, rank, function, doc),
        _pooling(f"Global{kind}Pooling{rank}D", _GlobalPooling, rank, over_all, whole),
    )


MaxPooling1D, GlobalMaxPooling1D = _pair("Max", 1, max_pool, reduce_max, "greatest element")
MaxPooling2D, GlobalMaxPooling2D = _pair("Max", 2, max_pool, reduce_max, "greatest element")
MaxPooling3D, GlobalMaxPooling3D = _pair("Max", 3, max_pool, reduce_max, "greatest element")
AveragePooling1D, _ = _pair("Average", 1, avg_pool, reduce_mean, "mean")
AveragePooling2D, GlobalAveragePooling2D = _pair("Average", 2, avg_pool, reduce_mean, "mean")
AveragePooling3D, GlobalAveragePooling3D = _pair("Average", 3, avg_pool, reduce_mean, "mean")


class GlobalAveragePooling1D(_GlobalPooling):
    """The mean over all steps of a sequence; steps that do not count (see `Masking`) are left out."""

    rank = 1
    supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """One value for each example and channel."""
        axes = self._axes()
        if mask is None:
            return reduce_mean(inputs, axes, self.keepdims)
        counted = expand_dims(as_operand(mask), 1 if is_channels_first(self.data_format) else 2)
        total = reduce_sum(where(counted, inputs, 0.0), axes, self.keepdims)
        return divide_no_nan(total, reduce_sum(cast(counted, inputs.dtype), axes, self.keepdims))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> None:
        """None: there are no steps left."""


MaxPool1D, MaxPool2D, MaxPool3D = MaxPooling1D, MaxPooling2D, MaxPooling3D
AvgPool1D, AvgPool2D, AvgPool3D = AveragePooling1D, AveragePooling2D, AveragePooling3D


class ZeroPadding2D(Layer):
    """Zeros around images: one number for all sides, (rows, columns), or ((top, bottom), (left, right))."""

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        both = (padding, padding) if isinstance(padding, int) else padding
        self.padding = tuple((one, one) if isinstance(one, int) else tuple(one) for one in both)
        self.data_format = data_format or "channels_last"

    def call(self, inputs: Any) -> Any:
        """The images with zeros around them."""
        first = is_channels_first(self.data_format)
        pairs = [(0, 0), (0, 0), *self.padding] if first else [(0, 0), *self.padding, (0, 0)]
        return pad(inputs, pairs)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "padding": serialize(self.padding), "data_format": self.data_format}


__all__ = [
    "AveragePooling1D",
    "AveragePooling2D",
    "AveragePooling3D",
    "AvgPool1D",
    "AvgPool2D",
    "AvgPool3D",
    "Conv1D",
    "Conv2D",
    "Conv3D",
    "GlobalAveragePooling1D",
    "GlobalAveragePooling2D",
    "GlobalAveragePooling3D",
    "GlobalMaxPooling1D",
    "GlobalMaxPooling2D",
    "GlobalMaxPooling3D",
    "MaxPool1D",
    "MaxPool2D",
    "MaxPool3D",
    "MaxPooling1D",
    "MaxPooling2D",
    "MaxPooling3D",
    "ZeroPadding2D",
]
