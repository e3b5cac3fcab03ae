"""Dense layers and tables of vectors: layers that are one product or one look-up."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.comparing import not_equal
from graphjit.compiler.ops.gathering import gather
from graphjit.compiler.ops.linear import matmul, tensordot
from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.tracer.converting import as_called

from .. import activations, constraints, initializers, regularizers
from ..byname import serialize
from .layer import Layer


class Dense(Layer):
    """activation(x @ kernel + bias): every output is connected with every input.

    Args:
      units: the number of outputs.
      activation: a name or a function; none by default.
      use_bias: whether there is a bias.
      kernel_initializer, bias_initializer: names, functions or initializers.
      kernel_regularizer, bias_regularizer, activity_regularizer: penalties, which are added to the loss.
      kernel_constraint, bias_constraint: applied after each update.

    Input: shape [..., inputs]; output: shape [..., units].

    >>> import graphjit as gj
    >>> layer = Dense(2, kernel_initializer="ones", activation="relu")
    >>> print(layer([[1.0, 2.0], [-1.0, -2.0]]).numpy())
    [[3. 3.]
     [0. 0.]]
    """

    def __init__(
        self,
        units: int,
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
        if isinstance(units, bool) or int(units) != units or units < 1:
            raise InvalidArgumentError(f"Dense: units is a positive integer, not {units!r}")
        self.units = int(units)
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
        inputs = last_size(input_shape, self)
        self.kernel = self.add_weight(
            "kernel",
            (inputs, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = (
            self.add_weight(
                "bias",
                (self.units,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
            if self.use_bias
            else None
        )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """activation(inputs @ kernel + bias)."""
        x = cast(inputs, self.compute_dtype)
        product = matmul(x, self.kernel) if x.type.rank == 2 else tensordot(x, self.kernel, 1)
        if self.bias is not None:
            product = product + self.bias
        return product if self.activation is activations.linear else as_called(self.activation)(product)

    supports_masking = True

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape with `units` as the last size."""
        return TensorShape([*TensorShape(input_shape).as_list()[:-1], self.units])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": serialize(self.kernel_initializer),
            "bias_initializer": serialize(self.bias_initializer),
            "kernel_regularizer": serialize(self.kernel_regularizer),
            "bias_regularizer": serialize(self.bias_regularizer),
            "activity_regularizer": serialize(self.activity_regularizer),
            "kernel_constraint": serialize(self.kernel_constraint),
            "bias_constraint": serialize(self.bias_constraint),
        }


def last_size(input_shape: Any, layer: Layer, axis: int = -1) -> int:
    """The size of the input's last axis, or of another one, which a weight's shape needs.

    Raises:
      ShapeError: if it is not known.
    """
    shape = TensorShape(input_shape)
    size = shape[axis] if shape.rank else None
    if size is None:
        raise ShapeError(
            f"{type(layer).__name__} {layer.name!r} needs the size of its input's axis {axis}, but its input has "
            f"shape {shape}; give the model an Input with that size, or add the axis"
        )
    return int(size)


class Embedding(Layer):
    """Rows of a table that integers name.

    Args:
      input_dim: the number of rows.
      output_dim: the length of a row.
      embeddings_initializer, embeddings_regularizer, embeddings_constraint: of the table.
      mask_zero: whether 0 stands for a step that was only filled in: layers behind get a mask.

    Input: integers in [0, input_dim) of any shape; output: that shape with `output_dim` behind it.

    Raises, when called:
      OutOfRangeError: if an integer is no row.

    >>> Embedding(10, 4)([[1, 2, 3]]).shape
    TensorShape([1, 3, 4])
    """

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        embeddings_initializer: Any = "uniform",
        embeddings_regularizer: Any = None,
        embeddings_constraint: Any = None,
        mask_zero: bool = False,
        input_length: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.mask_zero = self.supports_masking = mask_zero
        self.input_dim, self.output_dim = int(input_dim), int(output_dim)
        self.embeddings_initializer = initializers.get(embeddings_initializer)
        self.embeddings_regularizer = regularizers.get(embeddings_regularizer)
        self.embeddings_constraint = constraints.get(embeddings_constraint)

    def build(self, input_shape: Any) -> None:
        """Make the table."""
        self.embeddings = self.add_weight(
            "embeddings",
            (self.input_dim, self.output_dim),
            initializer=self.embeddings_initializer,
            regularizer=self.embeddings_regularizer,
            constraint=self.embeddings_constraint,
        )

    def call(self, inputs: Any) -> Any:
        """The rows."""
        places = inputs if inputs.dtype.name in ("int32", "int64") else cast(inputs, "int32")
        return gather(self.embeddings, places)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """With mask_zero, True where the input is not 0."""
        return not_equal(as_operand(inputs), 0) if self.mask_zero else None

    def compute_output_shape(self, input_shape: Any) -> TensorShape:
        """The input's shape with the length of a row behind it."""
        return TensorShape([*TensorShape(input_shape), self.output_dim])

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {
            **super().get_config(),
            "input_dim": self.input_dim,
            "output_dim": self.output_dim,
            "embeddings_initializer": serialize(self.embeddings_initializer),
            "embeddings_regularizer": serialize(self.embeddings_regularizer),
            "embeddings_constraint": serialize(self.embeddings_constraint),
            "mask_zero": self.mask_zero,
        }


__all__ = ["Dense", "Embedding"]
