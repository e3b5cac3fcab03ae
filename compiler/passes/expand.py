"""Put the definition of each composed op in its place.

>>> from graphjit.compiler.dump.text import show
>>> show(expand, "f(%a: f32[3], %b: f32[2,3]) { %c = broadcast_like(%a, %b); %d = exp(%c); return %d }")
f(%a: f32[3], %b: f32[2,3]) {
  %c: f32[2,3] = broadcast_to(%a) {shape=(2, 3)}
  %d: f32[2,3] = exp(%c)
  return %d
}

A definition may use composed ops itself, and it may decline while a size is unknown; the op then stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphjit.runtime.errors import VerificationError

from ..graph import Equation, Graph
from ..op import Kind, Op
from ..operand import Operand
from ..rewriting import Rewriter, rewrite

_MAXIMUM_DEPTH = 32


class Expander(Rewriter):
    """A rewriter to which composed ops are their definitions."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph)
        self._depth = 0

    def apply(self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
        results = self.expand(op, operands, attributes)
        return super().apply(op, operands, attributes) if results is None else results

    def expand(
        self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]
    ) -> tuple[Operand, ...] | None:
        """What the definition of a composed op gives; None where there is none, or it declines."""
        if op.kind is not Kind.COMPOSED or op.definition is None:
            return None
        if self._depth >= _MAXIMUM_DEPTH:
            raise VerificationError(f"the definition of {op.name} comes back to itself")
        self._depth += 1
        results = op.definition(*operands, **attributes)
        self._depth -= 1
        if results is None:
            return None
        return tuple(results) if op.several else (results,)


def _step(expander: Expander, equation: Equation) -> Sequence[Operand] | None:
    return expander.expand(equation.op, expander.symbols(equation.operands), equation.attributes)


def expand(graph: Graph) -> Graph:
    """The graph without composed ops, apart from those that wait for an unknown size."""
    return rewrite(Expander(graph), graph, _step)
