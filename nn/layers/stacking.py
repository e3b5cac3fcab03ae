"""Several cells as one: each takes what the one before gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphjit.compiler.ops.filling import zeros
from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.converting import as_called

from ..byname import deserialize, serialize
from .cells import RecurrentCell
from .layer import Layer
from .record import facts_of
from .shapes import of_sizes


class StackedRNNCells(Layer):
    """Cells one above the other, as one cell for `RNN`; its states are a list with a list for each cell.

    >>> import graphjit as gj
    >>> layers = gj.keras.layers
    >>> layers.RNN(StackedRNNCells([layers.GRUCell(4), layers.LSTMCell(5)]))(gj.zeros([2, 6, 3])).shape
    TensorShape([2, 5])
    """

    def __init__(self, cells: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            require_cell(self, cell)
        self.cells = list(cells)

    @property
    def can_project(self) -> bool:
        """Whether all cells are of the kind that takes inputs which went through a product before."""
        return all(isinstance(cell, RecurrentCell) for cell in self.cells)

    @property
    def state_size(self) -> list[list[int]]:
        """The lengths of the states of each cell."""
        return [as_list(cell.state_size) for cell in self.cells]

    @property
    def output_size(self) -> int:
        """The length of what the last cell gives."""
        return output_size_of(self.cells[-1])

    def build(self, input_shape: Any) -> None:
        """Make the weights of all cells."""
        shape = TensorShape(input_shape)
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build_with(shape)
            shape = TensorShape([shape[0], output_size_of(cell)])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """What each cell begins with."""
        return [first_states(cell, batch_size, self.compute_dtype) for cell in self.cells]

    def noise(self, batch_size: Any, training: Any) -> list[Any]:
        """What each cell draws for a batch of sequences."""
        return [cell.noise(batch_size, training) for cell in self.cells]

    def project(self, inputs: Any, noise: Sequence[Any]) -> Any:
        """What the first cell does to inputs alone."""
        return self.cells[0].project(inputs, noise[0])

    def advance(self, projected: Any, states: Sequence[Any], noise: Sequence[Any]) -> tuple[Any, list[Any]]:
        """What a step gives, and the new states."""
        output, after = self.cells[0].advance(projected, states[0], noise[0])
        every = [after]
        for cell, before, own in zip(self.cells[1:], states[1:], noise[1:], strict=True):
            output, after = cell.advance(cell.project(output, own), before, own)
            every.append(after)
        return output, every

    def call(self, inputs: Any, states: Any, training: Any = None) -> tuple[Any, list[Any]]:
        """One step: what it gives, and the new states."""
        every = []
        for cell, before in zip(self.cells, states, strict=True):
            inputs, after = step_of(cell, inputs, before, training)
            every.append(after)
        return inputs, every

    def get_config(self) -> dict[str, Any]:
        """The cells."""
        return {**super().get_config(), "cells": serialize(self.cells)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The same with new cells."""
        from . import LAYERS

        cells = [deserialize(one, LAYERS, "cell") for one in config["cells"]]
        return cls(**{**config, "cells": cells})


def require_cell(layer: Layer, cell: Any) -> None:
    """Refuse what is no cell."""
    if not hasattr(cell, "call") or not hasattr(cell, "state_size"):
        raise InvalidArgumentError(
            f"{type(layer).__name__}: a cell has call(inputs, states) and state_size, the length of its state, but "
            f"{cell!r} has not"
        )


def as_list(value: Any) -> list[Any]:
    """A list or tuple as a list, anything else as a list of it."""
    return list(value) if isinstance(value, list | tuple) else [value]


def output_size_of(cell: Any) -> int:
    """The length of what a cell gives: what it says, else that of its first state."""
    said = getattr(cell, "output_size", None)
    return int(as_list(cell.state_size)[0] if said is None else said)


def first_states(cell: Any, batch_size: Any, dtype: Any) -> list[Any]:
    """What a cell begins with: what it says, else zeros."""
    made = getattr(cell, "get_initial_state", None)
    if made is not None:
        return as_list(as_called(made)(batch_size=batch_size))
    return [of_sizes(zeros, [batch_size, size], dtype) for size in as_list(cell.state_size)]


def step_of(cell: Any, inputs: Any, states: Any, training: Any) -> tuple[Any, list[Any]]:
    """A step of any cell: what it gives, and a list of the new states."""
    takes_training = "training" in facts_of(type(cell)).names and training is not None
    more = {"training": training} if takes_training else {}
    function = cell if isinstance(cell, Layer) else as_called(cell.call)
    output, after = function(inputs, states, **more)
    return output, as_list(after)


__all__ = ["StackedRNNCells"]
