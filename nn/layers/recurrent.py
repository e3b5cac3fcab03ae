"""Layers that go through the steps of a sequence with a cell: one loop in the graph, whatever the number of steps.

What the input alone decides is computed for all steps in one product before the loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.filling import zeros, zeros_like
from graphjit.compiler.ops.joining import stack
from graphjit.compiler.ops.selecting import where
from graphjit.compiler.ops.shaping import expand_dims, transpose
from graphjit.compiler.ops.sizes import size_along
from graphjit.compiler.ops.slicing import reverse
from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.tracer.scanning import loop_over_rows
from graphjit.tracer.structure import flatten, unflatten
from graphjit.tracer.variable import Variable

from ..byname import deserialize, serialize
from ..module import snake_case
from .cells import GRUCell, LSTMCell, RecurrentCell, SimpleRNNCell
from .layer import Layer
from .shapes import of_sizes
from .stacking import StackedRNNCells, as_list, first_states, output_size_of, require_cell, step_of

_FLAGS = ("return_sequences", "return_state", "go_backwards", "stateful", "unroll", "zero_output_for_mask")
Step = Callable[[Any, Any], tuple[Any, Any]]
"""From an input and the states to what a step gives, and the new states."""


class RNN(Layer):
    """Go through the steps of sequences with a cell.

    Args:
      cell: a layer or another object with `call(inputs, states)`, which returns what a step gives and the new
        states, and with `state_size`: the length of the state of an example, or a list of several. Or a list of
        cells, of which each takes what the one before gives.
      return_sequences: whether what all steps give is returned, rather than what the last one does.
      return_state: whether the last states are returned behind that.
      go_backwards: whether to begin with the last step; what is returned has the order of going.
      stateful: whether the states at the end of a batch are those at the beginning of the next; batches then have
        one size, which `batch_input_shape` or `Input(batch_size=...)` says.
      unroll: whether a trace writes every step down rather than a loop; the number of steps must be known.
      zero_output_for_mask: whether steps that do not count give zeros, rather than what the step before gave.

    Input: shape [batch, steps, features]; output: [batch, units], or [batch, steps, units] with return_sequences.
    In training, steps that a mask leaves out change no state.

    >>> import graphjit as gj
    >>> layer = RNN(gj.keras.layers.GRUCell(4), return_sequences=True)
    >>> layer(gj.zeros([2, 5, 3])).shape
    TensorShape([2, 5, 4])
    """

    supports_masking = True
    # What a batch leaves for the next is no weight.
    _untracked = Layer._untracked | {"states"}

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.cell = StackedRNNCells(cell) if isinstance(cell, list | tuple) else cell
        require_cell(self, self.cell)
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.stateful, self.unroll, self.zero_output_for_mask = stateful, unroll, zero_output_for_mask
        self.states: list[Any] | None = None

    # --- states ---

    @property
    def state_size(self) -> list[Any]:
        """The lengths of the states."""
        return as_list(self.cell.state_size)

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """What the states are before the first step: what the cell says, or zeros."""
        return first_states(self.cell, batch_size, self.compute_dtype)

    def build(self, input_shape: Any) -> None:
        """Make the weights of the cell, and what holds the states of a layer that keeps them."""
        shape = TensorShape(input_shape)
        _require_sequences(self, shape)
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build_with(TensorShape([shape[0], *shape.as_list()[2:]]))
        if self.stateful and self.states is None:
            self.states = self._kept_states(shape[0])

    def _kept_states(self, batch_size: int | None) -> Any:
        if batch_size is None:
            raise ShapeError(
                f"{self.name!r} keeps its states (stateful=True) and needs to know how many examples a batch has; "
                "say it by batch_input_shape=(batch, steps, features), or by Input(batch_size=...)"
            )
        leaves, structure = flatten(self.get_initial_state(batch_size))
        return unflatten(structure, [Variable(one, trainable=False, name="rnn_state") for one in leaves])

    def reset_state(self) -> None:
        """Let the states that are kept be zeros."""
        for variable in flatten(self.states)[0] if self.states is not None else ():
            variable.assign(zeros_like(variable))

    reset_states = reset_state

    def _first_states(self, given: Any, sequences: Any) -> Any:
        if given is None and self.states is not None:
            leaves, structure = flatten(self.states)
            return unflatten(structure, [one.read_value() for one in leaves])
        if given is None:
            return self.get_initial_state(size_along(sequences, 0))
        leaves = flatten(as_list(given))[0]
        wanted, structure = flatten(self.state_size)
        if len(leaves) != len(wanted):
            raise InvalidArgumentError(
                f"{self.name!r} has {len(wanted)} states, but initial_state has {len(leaves)} tensors"
            )
        return unflatten(structure, [cast(as_operand(one), self.compute_dtype) for one in leaves])

    # --- steps ---

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: Any = None) -> Any:
        """What the cell gives for the steps of sequences."""
        states = self._first_states(initial_state, sequences)
        rows = transpose(sequences, [1, 0, *range(2, sequences.type.rank)])
        step, rows = self._step(rows, training)
        counted = None if mask is None else transpose(as_operand(mask), [1, 0])
        starts_at_zero = initial_state is None and not self.stateful
        last, outputs, states = self._run(step, rows, counted, states, starts_at_zero)
        if self.states is not None:
            for variable, state in zip(flatten(self.states)[0], flatten(states)[0], strict=True):
                variable.assign(state)
        output = self._in_order_of_going(outputs) if self.return_sequences else last
        return (output, *states) if self.return_state else output

    def _in_order_of_going(self, outputs: Any) -> Any:
        whole = transpose(outputs, [1, 0, *range(2, outputs.type.rank)])
        return reverse(whole, [1]) if self.go_backwards else whole

    def _step(self, rows: Any, training: Any) -> tuple[Step, Any]:
        """What is done at a step, and what it is done to: with our cells all inputs go through one product before."""
        cell = self.cell
        if getattr(cell, "can_project", False):
            noise = cell.noise(size_along(rows, 1), training)
            return lambda row, states: cell.advance(row, states, noise), cell.project(rows, noise)
        return lambda row, states: step_of(cell, row, states, training), rows

    def _run(self, step: Step, rows: Any, counted: Any, states: Any, starts_at_zero: bool) -> tuple[Any, Any, Any]:
        """What the last step gives, what all of them give (if it is wanted), and the last states."""
        # Our cells give their first state, which need not be carried twice: also through steps that do not count,
        # as long as what stands for the output before the first step, zeros, is that state, too.
        is_same = counted is None or (starts_at_zero and not self.zero_output_for_mask)
        is_first_state = isinstance(self.cell, RecurrentCell) and is_same

        def body(carried: tuple[Any, ...], given: list[Any]) -> tuple[tuple[Any, ...], Any]:
            before, *previous = carried
            output, after = step(given[0], before)
            if counted is not None:
                keep = expand_dims(given[1], -1)
                after = _chosen(keep, after, before)
                output = after[0] if is_first_state else where(keep, output, self._skipped(output, previous))
            made = output if self.return_sequences else ()
            return (after,) if is_first_state else (after, output), made

        over = [rows] if counted is None else [rows, counted]
        first = (states,) if is_first_state else (states, self._nothing(rows))
        looped = _unrolled if self.unroll else loop_over_rows
        finals, outputs = looped(body, first, over, self.go_backwards)
        return (finals[0][0] if is_first_state else finals[1]), outputs, finals[0]

    def _skipped(self, output: Any, previous: Sequence[Any]) -> Any:
        """What a step gives that does not count."""
        return zeros_like(output) if self.zero_output_for_mask else previous[0]

    def _nothing(self, rows: Any) -> Any:
        """What stands for what is given before the first step."""
        return of_sizes(zeros, [size_along(rows, 1), output_size_of(self.cell)], self.compute_dtype)

    # --- shapes, masks, configurations ---

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of what is returned; with return_state a tuple with those of the states."""
        batch, steps = TensorShape(input_shape).as_list()[:2]
        size = output_size_of(self.cell)
        output = TensorShape([batch, steps, size] if self.return_sequences else [batch, size])
        if not self.return_state:
            return output
        return (output, *(TensorShape([batch, one]) for one in flatten(self.state_size)[0]))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The input's mask, if all steps are returned."""
        kept = previous_mask if self.return_sequences else None
        return [kept, *(None for _ in flatten(self.state_size)[0])] if self.return_state else kept

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "cell": serialize(self.cell), **self._flags()}

    def _flags(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _FLAGS}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer of that cell."""
        from . import LAYERS

        return cls(**{**config, "cell": deserialize(config["cell"], LAYERS, "cell")})


def _require_sequences(layer: Layer, shape: TensorShape) -> None:
    if shape.rank is not None and shape.rank < 3:
        raise ShapeError(
            f"{layer.name!r} goes through sequences of shape [batch, steps, features], but its input has shape {shape}"
            + ("; add the axis of features with gj.expand_dims(x, -1)" if shape.rank == 2 else "")
        )


def _chosen(keep: Any, after: Any, before: Any) -> Any:
    """The new states where a step counts, the old ones elsewhere."""
    old, structure = flatten(before)
    return unflatten(structure, [where(keep, new, one) for new, one in zip(flatten(after)[0], old, strict=True)])


def _unrolled(body: Any, carried: tuple[Any, ...], over: Sequence[Any], backwards: bool) -> tuple[Any, Any]:
    """The same as `loop_over_rows`, with every step written down."""
    count = over[0].type.shape[0]
    if not count:
        raise ShapeError(
            f"unroll=True needs a known number of steps, but it is {count}; give the model an Input with it, or "
            "leave unroll out: a loop takes any number"
        )
    made = []
    for number in reversed(range(count)) if backwards else range(count):
        carried, output = body(carried, [one[number] for one in over])
        made.append(output)
    if backwards:
        made.reverse()
    return carried, () if isinstance(made[0], tuple) else stack(made, 0)


class _OfCell(RNN):
    """A layer that makes its cell itself, of its own arguments. Abstract."""

    makes: Any
    """The class of the cell."""

    def __init__(self, units: int, *args: Any, **kwargs: Any) -> None:
        # What Keras accepts and what changes no number: how its own code computes.
        for name in ("implementation", "use_cudnn", "time_major"):
            kwargs.pop(name, None)
        own = {name: kwargs.pop(name) for name in (*_FLAGS, *_OF_LAYERS) if name in kwargs}
        shared = {name: own[name] for name in ("dtype", "trainable") if name in own}
        super().__init__(self.makes(units, *args, name=snake_case(self.makes.__name__), **kwargs, **shared), **own)

    def __getattr__(self, name: str) -> Any:
        """The arguments of the cell, as attributes of the layer: `layer.units`."""
        cell = vars(self).get("cell")
        if cell is None or name.startswith("_") or name not in vars(cell):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return getattr(cell, name)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = Layer.get_config(self)
        inner = {name: value for name, value in self.cell.get_config().items() if name not in own}
        return {**own, **inner, "activity_regularizer": serialize(self.activity_regularizer), **self._flags()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A layer of these arguments."""
        return cls(**config)


_OF_LAYERS = (
    "name",
    "trainable",
    "dtype",
    "activity_regularizer",
    "input_shape",
    "input_dim",
    "batch_input_shape",
    "autocast",
)


class SimpleRNN(_OfCell):
    """activation(x @ kernel + h @ recurrent_kernel + bias) at each step, where h is what the step before gave.

    Args:
      units: the length of what a step gives.
      arguments of the cell: see `SimpleRNNCell`.
      return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.

    Input: shape [batch, steps, features]; when called, `initial_state`, `mask` and `training` may be given.
    Output: [batch, units], or [batch, steps, units] with return_sequences; with return_state a tuple of that and h.

    >>> import graphjit as gj
    >>> SimpleRNN(4)(gj.zeros([2, 5, 3])).shape
    TensorShape([2, 4])
    """

    makes = SimpleRNNCell


class GRU(_OfCell):
    """A gated recurrent unit (Cho et al. 2014) at each step.

    Args:
      units: the length of what a step gives.
      arguments of the cell: see `GRUCell`; reset_after=False is the form of the first paper.
      return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.

    Input and output: see `SimpleRNN`.

    >>> import graphjit as gj
    >>> outputs, state = GRU(4, return_sequences=True, return_state=True)(gj.zeros([2, 5, 3]))
    >>> outputs.shape, state.shape
    (TensorShape([2, 5, 4]), TensorShape([2, 4]))
    """

    makes = GRUCell


class LSTM(_OfCell):
    """Long short-term memory (Hochreiter and Schmidhuber 1997) at each step.

    Args:
      units: the length of what a step gives.
      arguments of the cell: see `LSTMCell`.
      return_sequences, return_state, go_backwards, stateful, unroll: see `RNN`.

    Input and output: see `SimpleRNN`; there are two states, h and c.

    >>> import graphjit as gj
    >>> LSTM(4)(gj.zeros([2, 5, 3])).shape
    TensorShape([2, 4])
    """

    makes = LSTMCell


__all__ = ["GRU", "LSTM", "RNN", "SimpleRNN"]
