"""The parts of a `scan` equation, and the equation with other parts: what passes over loops have in common."""

from __future__ import annotations

from collections.abc import Sequence

from graphjit.runtime.fields import dataclass

from .dispatch import apply_all
from .graph import Equation, Graph, Value
from .operand import Operand
from .rewriting import Rewriter

Pair = tuple[Operand, Value]
"""What a loop gets, and the input of its body that stands for it or for a row of it."""


@dataclass(frozen=True)
class LoopParts:
    """A `scan`: the values around it beside those of its body."""

    equation: Equation
    rounds: Operand
    carried: tuple[Pair, ...]
    rows: tuple[Pair, ...]
    shared: tuple[Pair, ...]

    @property
    def body(self) -> Graph:
        """What is done in a round."""
        graph: Graph = self.equation.attributes["body"]
        return graph

    @property
    def length(self) -> int | None:
        """How many rounds there are, where that is known."""
        length: int | None = self.equation.attributes["length"]
        return length

    @property
    def is_static(self) -> bool:
        """Whether all sizes, in it and around it, are known."""
        around = (*self.equation.operands, *self.equation.outputs)
        return all(value.type.is_static for value in (*around, *self.body.values()))

    @property
    def handed_on(self) -> tuple[Value, ...]:
        """What the body makes of the carried values."""
        return self.body.outputs[: len(self.carried)]

    @property
    def stacked(self) -> tuple[Value, ...]:
        """What is stacked."""
        return self.body.outputs[len(self.carried) :]


def parts_of(rewriter: Rewriter, equation: Equation) -> LoopParts:
    """The parts of a `scan` in the graph that is being rewritten."""
    attributes = equation.attributes
    first, end = attributes["carried"], attributes["carried"] + attributes["sliced"]
    rounds, *given = rewriter.symbols(equation.operands)
    pairs = tuple(zip(given, attributes["body"].inputs, strict=True))
    return LoopParts(equation, rounds, pairs[:first], pairs[first:end], pairs[end:])


def written_again(
    parts: LoopParts,
    carried: Sequence[Pair],
    rows: Sequence[Pair],
    shared: Sequence[Pair],
    equations: Sequence[Equation],
    outputs: Sequence[Value],
) -> tuple[Operand, ...]:
    """The results of a loop with other parts, written by who interprets."""
    pairs = [*carried, *rows, *shared]
    body = Graph(parts.body.name, tuple(value for _, value in pairs), tuple(equations), tuple(outputs))
    attributes = {**parts.equation.attributes, "body": body, "carried": len(carried), "sliced": len(rows)}
    return apply_all(parts.equation.op, (parts.rounds, *(operand for operand, _ in pairs)), attributes)
