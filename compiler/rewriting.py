"""Writing a graph anew, equation by equation: what passes that put ops in the place of ops have in common.

The inputs stay the same values, and an equation that nobody touches stays the same equation,
so that the stages of a graph can be compared.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.runtime.errors import VerificationError

from .dispatch import interpreting
from .graph import Equation, Graph, Value, substitute
from .operand import Operand
from .writer import GraphWriter, Symbol


class Rewriter(GraphWriter):
    """Writes a new version of one graph; ops that are called meanwhile write equations into it."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph.name, locate=False)
        self.inputs = list(graph.inputs)
        self._graph = graph
        self._given = set(graph.values())
        self._replacements: dict[Value, Value] = {}
        self._changed = False

    @property
    def producers(self) -> dict[Value, Equation]:
        """The equation that makes each value written so far."""
        return self._producers

    def current(self, equation: Equation) -> Equation:
        """The equation with its operands as they are now."""
        return substitute(equation, self._replacements)

    def keep(self, equation: Equation) -> None:
        """Write the equation as it is."""
        self.equations.append(equation)
        for value in equation.outputs:
            self._producers[value] = equation

    def replace(self, equation: Equation, results: Sequence[Operand]) -> None:
        """Let `results` stand for the equation's outputs; they inherit the user's names.

        Raises:
          VerificationError: if a result is not of the type that it stands for.
        """
        self._changed = True
        for output, result in zip(equation.outputs, results, strict=True):
            value = self.lift(result).value
            if not output.type.accepts(value.type):
                raise VerificationError(f"{equation.op.name} makes {output.type}, but is replaced by {value.type}")
            if output.name and not value.name and value not in self._given:
                value.name = output.name
            self._replacements[output] = value

    def finished(self) -> Graph:
        """The new version; the old graph itself if every equation was kept."""
        if not self._changed:
            return self._graph
        outputs = [self._replacements.get(value, value) for value in self._graph.outputs]
        return self._graph.with_equations(self.equations, outputs)

    def symbols(self, values: Sequence[Value]) -> tuple[Symbol, ...]:
        """Values of the graph as operands."""
        return tuple(Symbol(value, self, self.location) for value in values)


Step = Callable[[Any, Equation], Sequence[Operand] | None]
"""Given the rewriter and an equation: what stands for its outputs, or None to keep it."""


def rewrite(rewriter: Rewriter, graph: Graph, step: Step) -> Graph:
    """Walk the equations once, in order, and let `step` replace each with what the ops that it calls write."""
    with interpreting(rewriter):
        for original in graph.equations:
            equation = rewriter.current(original)
            rewriter.location = equation.location
            results = step(rewriter, equation)
            if results is None:
                rewriter.keep(equation)
            else:
                rewriter.replace(equation, results)
    return rewriter.finished()
