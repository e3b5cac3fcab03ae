"""Writing the graphs that control-flow equations hold.

What such a graph reads of the graph around it is a capture: an input of its own, to which the equation gives
an operand. The graphs of one equation have the same captures, in the same order, behind their own inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .dispatch import Interpreter, current_interpreter, interpreting
from .graph import Graph, Value
from .operand import Operand
from .tensortype import TensorType
from .writer import GraphWriter, Symbol, leaked

_MOST_ELEMENTS = 64
"""Larger constants are captured, not written again."""


class SubgraphWriter(GraphWriter):
    """Writes a graph inside of an equation of the graph that `parent` writes (or computes)."""

    def __init__(self, name: str, parent: Interpreter, locate: bool = True) -> None:
        super().__init__(name, locate=locate)
        self.parent = parent
        self._captured: dict[int, tuple[Operand, Symbol]] = {}
        self._originals: dict[int, Operand] = {}

    @property
    def captures(self) -> dict[int, Operand]:
        """What was captured, by what identifies it outside.

        An operand with numbers is itself, not what the graph around has for it: tapes may watch it.
        """
        return {key: self._originals.get(key, operand) for key, (operand, _) in self._captured.items()}

    @property
    def captured(self) -> list[tuple[Operand, Symbol]]:
        """Each operand of the graph around that is read here, with the input that stands for it."""
        return list(self._captured.values())

    @property
    def own_inputs(self) -> list[Value]:
        """The inputs that are no captures."""
        captured = {symbol.value for _, symbol in self._captured.values()}
        return [value for value in self.inputs if value not in captured]

    def capture_of(self, key: int) -> Value | None:
        """The input that stands for a capture, None where this graph does not read it."""
        found = self._captured.get(key)
        return None if found is None else found[1].value

    def lift(self, operand: Operand) -> Symbol:
        if isinstance(operand, Symbol):
            if operand.writer is self and not self.closed:
                return operand
            mapped = self.environment.get(operand.value)
            if mapped is not None:
                return mapped
        if self.closed:
            raise leaked(operand) if isinstance(operand, Symbol) else AssertionError("the graph is finished")
        outer = self._outer(operand)
        written = self._written_again(outer)
        return self._captured_symbol(outer, operand) if written is None else written

    def _outer(self, operand: Operand) -> Operand:
        """The operand as the graph around knows it."""
        if isinstance(self.parent, GraphWriter):
            return self.parent.lift(operand)
        if isinstance(operand, Symbol):
            raise leaked(operand)
        return operand

    def _written_again(self, outer: Operand) -> Symbol | None:
        """A small constant of the graph around as a constant of this one, where its elements can be seen.

        Not one that is watched: what is computed from a copy of it would not depend on it.
        """
        if not isinstance(outer, Symbol) or outer.value in outer.writer.watched:
            return None
        array = GraphWriter.static_value(outer.writer, outer)
        if array is None or array.size > _MOST_ELEMENTS:
            return None
        written = self.constant(array)
        assert isinstance(written, Symbol)
        return written

    def _captured_symbol(self, outer: Operand, original: Operand) -> Symbol:
        key = id(outer.value) if isinstance(outer, Symbol) else id(outer)
        found = self._captured.get(key)
        if found is None:
            found = outer, self.input(outer.type, getattr(outer, "name", ""))
            self._captured[key] = found
            if not isinstance(original, Symbol):
                self._originals[key] = original
        return found[1]

    def static_value(self, operand: Operand) -> np.ndarray[Any, Any] | None:
        known = super().static_value(operand)
        if known is not None or not isinstance(operand, Symbol):
            return known
        for outer, symbol in self._captured.values():
            if symbol.value is operand.value:
                return self._known_outside(outer)
        return None if operand.writer is self else self._known_outside(operand)

    def _known_outside(self, outer: Operand) -> np.ndarray[Any, Any] | None:
        if isinstance(self.parent, GraphWriter):
            return self.parent.static_value(outer)
        return None

    def adopt_array(self, array: np.ndarray[Any, Any], converted: np.ndarray[Any, Any]) -> Operand:
        return self.lift(self.parent.adopt_array(array, converted))


def joined(
    writers: Sequence[SubgraphWriter],
    outputs: Sequence[Sequence[Operand]],
    before: Sequence[Sequence[Value]] | None = None,
    behind: Sequence[Sequence[Value]] | None = None,
) -> tuple[list[Graph], tuple[Operand, ...]]:
    """The finished graphs of one equation, and the operands of their captures.

    `before` and `behind` hold for each graph the inputs that stand before and behind its captures; without them
    all inputs that are no captures stand before.
    """
    values = [[writer.lift(one).value for one in results] for writer, results in zip(writers, outputs, strict=True)]
    captures = {key: operand for writer in writers for key, operand in writer.captures.items()}
    graphs = []
    for place, (writer, results) in enumerate(zip(writers, values, strict=True)):
        captured = [
            writer.capture_of(key) or Value(operand.type, getattr(operand, "name", ""))
            for key, operand in captures.items()
        ]
        first = writer.own_inputs if before is None else before[place]
        last = () if behind is None else behind[place]
        writer.closed = True
        graphs.append(Graph(writer.name, (*first, *captured, *last), tuple(writer.equations), tuple(results)))
    return graphs, tuple(captures.values())


def write_subgraphs(
    bodies: Sequence[tuple[str, Sequence[TensorType], Callable[..., Sequence[Operand]]]],
) -> tuple[list[Graph], tuple[Operand, ...]]:
    """The graphs that functions of symbols write, for one equation of the graph that is being written.

    `bodies` are pairs of a name, the types of a graph's own inputs, and the function.
    """
    parent = current_interpreter()
    writers = []
    outputs = []
    for name, types, body in bodies:
        writer = SubgraphWriter(name, parent, locate=False)
        symbols = [writer.input(type) for type in types]
        with interpreting(writer):
            outputs.append(list(body(*symbols)))
        writers.append(writer)
    return joined(writers, outputs)
