"""One step of a recurrent network: what a cell makes of an input and of its states.

Weights have the order and the shapes of Keras 3 (`keras.layers.GRUCell` and its like), so that numbers can be carried
over by `get_weights` and `set_weights`. What a cell does to an input alone is apart from what it does in a step
(`project`, `advance`), so that a layer can do the first for all steps in one product.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphjit.compiler.ops.filling import ones, zeros
from graphjit.compiler.ops.joining import concat
from graphjit.compiler.ops.linear import matmul, tensordot
from graphjit.compiler.ops.sizes import size_along
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.converting import as_called

from .. import activations, constraints, initializers, regularizers
from ..byname import serialize
from ..functional import dropout as drop
from .dense import last_size
from .holding import initial_value
from .layer import Layer
from .shapes import of_sizes

Noise = tuple[Any, Any]
"""What inputs and states are multiplied by in training, None for nothing; the same for all steps of a sequence."""

_OBJECTS = (
    "activation",
    "kernel_initializer",
    "recurrent_initializer",
    "bias_initializer",
    "kernel_regularizer",
    "recurrent_regularizer",
    "bias_regularizer",
    "kernel_constraint",
    "recurrent_constraint",
    "bias_constraint",
)


class RecurrentCell(Layer):
    """What the cells here have in common: kernel, recurrent kernel, bias, dropout. Abstract."""

    gates = 1
    """How many blocks of `units` columns the kernels have."""
    can_project = True
    """Whether `project` can be called for all steps before the first one."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        what = type(self).__name__
        if isinstance(units, bool) or int(units) != units or units < 1:
            raise InvalidArgumentError(f"{what}: units is a positive integer, not {units!r}")
        for name, rate in (("dropout", dropout), ("recurrent_dropout", recurrent_dropout)):
            if not 0 <= rate < 1:
                raise InvalidArgumentError(f"{what}: {name} is a probability below 1, not {rate!r}")
        self.units, self.use_bias = int(units), use_bias
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.recurrent_initializer = initializers.get(recurrent_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.recurrent_regularizer = regularizers.get(recurrent_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.recurrent_constraint = constraints.get(recurrent_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.dropout, self.recurrent_dropout, self.seed = dropout, recurrent_dropout, seed

    @property
    def state_size(self) -> Any:
        """The length of the state of an example, or a list of several."""
        return self.units

    @property
    def output_size(self) -> int:
        """The length of what a step gives for an example."""
        return self.units

    # --- weights ---

    def build(self, input_shape: Any) -> None:
        """Make kernel, recurrent kernel and bias."""
        columns = self.gates * self.units
        self.kernel = self._weight("kernel", "kernel", (last_size(input_shape, self), columns))
        self.recurrent_kernel = self._weight("recurrent_kernel", "recurrent", (self.units, columns))
        self.bias = self._weight("bias", "bias", self._bias_shape()) if self.use_bias else None

    def _bias_shape(self) -> tuple[int, ...]:
        return (self.gates * self.units,)

    def _weight(self, name: str, kind: str, shape: tuple[int, ...]) -> Any:
        return self.add_weight(
            name,
            shape,
            initializer=getattr(self, f"{kind}_initializer"),
            regularizer=getattr(self, f"{kind}_regularizer"),
            constraint=getattr(self, f"{kind}_constraint"),
        )

    def _input_bias(self) -> Any:
        return self.bias

    # --- steps ---

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros, for so many examples."""
        sizes = self.state_size if isinstance(self.state_size, list) else [self.state_size]
        return [of_sizes(zeros, [batch_size, size], self.compute_dtype) for size in sizes]

    def noise(self, batch_size: Any, training: Any) -> Noise:
        """Draw what all steps of a batch of sequences are multiplied by."""
        if not training:
            return None, None
        inputs = int(self.kernel.shape[0])
        return self._factors(self.dropout, batch_size, inputs), self._factors(
            self.recurrent_dropout, batch_size, self.units
        )

    def _factors(self, rate: float, batch_size: Any, size: int) -> Any:
        if not rate:
            return None
        return drop(of_sizes(ones, [batch_size, size], self.compute_dtype), rate, seed=self.seed)

    def project(self, inputs: Any, noise: Noise) -> Any:
        """inputs @ kernel + bias, for one step or for many."""
        kept = inputs if noise[0] is None else inputs * noise[0]
        product = matmul(kept, self.kernel) if kept.type.rank == 2 else tensordot(kept, self.kernel, 1)
        bias = self._input_bias()
        return product if bias is None else product + bias

    def advance(self, projected: Any, states: Sequence[Any], noise: Noise) -> tuple[Any, list[Any]]:
        """What a step gives, and the new states."""
        raise NotImplementedError(f"{type(self).__name__} must define advance(projected, states, noise)")

    def call(self, inputs: Any, states: Any, training: Any = None) -> Any:
        """One step: what it gives, and the new states in the form in which they came."""
        before = list(states) if isinstance(states, list | tuple) else [states]
        noise = self.noise(size_along(inputs, 0), training)
        output, after = self.advance(self.project(inputs, noise), before, noise)
        return output, after if isinstance(states, list | tuple) else after[0]

    def _gate(self, value: Any, position: int) -> Any:
        """The columns of a gate."""
        return value[..., position * self.units : (position + 1) * self.units]

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        plain = ("units", "use_bias", "dropout", "recurrent_dropout", "seed")
        return {**super().get_config(), **{name: serialize(getattr(self, name)) for name in (*plain, *_OBJECTS)}}


class SimpleRNNCell(RecurrentCell):
    """activation(x @ kernel + h @ recurrent_kernel + bias).

    Args:
      units: the length of the output, which is the state.
      activation: a name or a function.
      use_bias: whether there is a bias.
      kernel_initializer, recurrent_initializer, bias_initializer: names, functions or initializers.
      kernel_regularizer, recurrent_regularizer, bias_regularizer: penalties, which are added to the loss.
      kernel_constraint, recurrent_constraint, bias_constraint: applied after each update.
      dropout, recurrent_dropout: the probability that an element of the input, or of the state, becomes 0 in
        training; the same ones at all steps of a sequence (Gal and Ghahramani 2016).
      seed: a stream of its own for these draws in place of the global one.

    >>> import graphjit as gj
    >>> output, states = SimpleRNNCell(4)(gj.zeros([2, 3]), [gj.zeros([2, 4])])
    >>> output.shape, len(states)
    (TensorShape([2, 4]), 1)
    """

    def advance(self, projected: Any, states: Sequence[Any], noise: Noise) -> tuple[Any, list[Any]]:
        """One step."""
        before = states[0] if noise[1] is None else states[0] * noise[1]
        output = as_called(self.activation)(projected + matmul(before, self.recurrent_kernel))
        return output, [output]


class _GatedCell(RecurrentCell):
    """A cell whose gates have an activation of their own."""

    def __init__(
        self, units: int, activation: Any = "tanh", recurrent_activation: Any = "sigmoid", *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(units, activation, *args, **kwargs)
        self.recurrent_activation = activations.get(recurrent_activation)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "recurrent_activation": serialize(self.recurrent_activation)}


class GRUCell(_GatedCell):
    """A gated recurrent unit (Cho et al. 2014): z, r = gates; h = z * h + (1 - z) * candidate(x, r, h).

    The columns of the kernels are those of z, r and the candidate. With `reset_after` (the default, as in cuDNN)
    r is multiplied behind the recurrent product, and the bias has two rows, of which the second belongs to that
    product; otherwise before it.

    Args:
      recurrent_activation: of the gates.
      reset_after: see above.
      others: see `SimpleRNNCell`.
    """

    gates = 3

    def __init__(self, units: int, *args: Any, reset_after: bool = True, **kwargs: Any) -> None:
        super().__init__(units, *args, **kwargs)
        self.reset_after = reset_after

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def _input_bias(self) -> Any:
        return self.bias[0] if self.reset_after and self.bias is not None else self.bias

    def advance(self, projected: Any, states: Sequence[Any], noise: Noise) -> tuple[Any, list[Any]]:
        """One step."""
        (before,) = states
        read = before if noise[1] is None else before * noise[1]
        update, candidate = (self._after if self.reset_after else self._before)(projected, read)
        output = update * before + (1.0 - update) * candidate
        return output, [output]

    def _after(self, projected: Any, state: Any) -> tuple[Any, Any]:
        """Update gate and candidate, with the reset gate behind the product."""
        inner = matmul(state, self.recurrent_kernel)
        if self.bias is not None:
            inner = inner + self.bias[1]
        gate = as_called(self.recurrent_activation)
        update = gate(self._gate(projected, 0) + self._gate(inner, 0))
        reset = gate(self._gate(projected, 1) + self._gate(inner, 1))
        return update, as_called(self.activation)(self._gate(projected, 2) + reset * self._gate(inner, 2))

    def _before(self, projected: Any, state: Any) -> tuple[Any, Any]:
        """Update gate and candidate, with the reset gate before the product."""
        split = 2 * self.units
        inner = matmul(state, self.recurrent_kernel[:, :split])
        gate = as_called(self.recurrent_activation)
        update = gate(self._gate(projected, 0) + self._gate(inner, 0))
        reset = gate(self._gate(projected, 1) + self._gate(inner, 1))
        product = matmul(reset * state, self.recurrent_kernel[:, split:])
        return update, as_called(self.activation)(self._gate(projected, 2) + product)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "reset_after": self.reset_after}


class LSTMCell(_GatedCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997): c = f * c + i * candidate; h = o * activation(c).

    The columns of the kernels are those of i, f, the candidate and o. The states are h and c.

    Args:
      recurrent_activation: of the gates.
      unit_forget_bias: whether the bias of f starts with ones (Jozefowicz et al. 2015).
      others: see `SimpleRNNCell`.
    """

    gates = 4

    def __init__(self, units: int, *args: Any, unit_forget_bias: bool = True, **kwargs: Any) -> None:
        super().__init__(units, *args, **kwargs)
        self.unit_forget_bias = unit_forget_bias

    @property
    def state_size(self) -> Any:
        """The lengths of h and c."""
        return [self.units, self.units]

    def _weight(self, name: str, kind: str, shape: tuple[int, ...]) -> Any:
        if name != "bias" or not self.unit_forget_bias:
            return super()._weight(name, kind, shape)
        return self.add_weight(
            name,
            shape,
            initializer=self._first_bias,
            regularizer=self.bias_regularizer,
            constraint=self.bias_constraint,
        )

    def _first_bias(self, shape: Any, dtype: Any = None) -> Any:
        units = self.units
        parts = [initial_value(self.bias_initializer, (size,), dtype) for size in (units, 2 * units)]
        return concat([parts[0], ones((units,), dtype), parts[1]], 0)

    def advance(self, projected: Any, states: Sequence[Any], noise: Noise) -> tuple[Any, list[Any]]:
        """One step."""
        before, memory = states
        read = before if noise[1] is None else before * noise[1]
        inner = projected + matmul(read, self.recurrent_kernel)
        gate, activation = as_called(self.recurrent_activation), as_called(self.activation)
        kept = gate(self._gate(inner, 1)) * memory
        memory = kept + gate(self._gate(inner, 0)) * activation(self._gate(inner, 2))
        output = gate(self._gate(inner, 3)) * activation(memory)
        return output, [output, memory]

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "unit_forget_bias": self.unit_forget_bias}


__all__ = ["GRUCell", "LSTMCell", "SimpleRNNCell"]
