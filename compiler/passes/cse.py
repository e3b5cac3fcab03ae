"""Compute equal expressions once.

>>> from graphjit.compiler.dump.text import show
>>> show(cse, "f(%a: f32[3], %b: f32[3]) { %c = add(%a, %b); %d = add(%b, %a); %e = exp(%d); return %c, %e }")
f(%a: f32[3], %b: f32[3]) {
  %c: f32[3] = add(%a, %b)
  %e: f32[3] = exp(%c)
  return %c, %e
}

Constants are equal where their bits are. Equations that can fail may be merged: both would, or none.
Equations with an effect may not.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

from ..equality import attributes_key
from ..graph import Equation, Graph, Value, rewrite_equations


def cse(graph: Graph) -> Graph:
    """The graph with each expression computed where it occurs first."""
    first: dict[Hashable, Equation] = {}
    order = {value: number for number, value in enumerate(graph.values())}

    def merge(equation: Equation) -> Sequence[Equation] | Mapping[Value, Value] | None:
        if equation.has_effect:
            return None
        earlier = first.setdefault(_key(equation, order), equation)
        if earlier is equation:
            return None
        return dict(zip(equation.outputs, earlier.outputs, strict=True))

    merged = rewrite_equations(graph, merge)
    return graph if len(merged.equations) == len(graph.equations) else merged


def _key(equation: Equation, order: Mapping[Value, int]) -> Hashable:
    operands = [order[value] for value in equation.operands]
    # A product of complex numbers is rounded in the order of its factors, and a sum of strings joins them in order.
    if equation.op.commutes and equation.operands[0].type.dtype.numpy.kind not in "cO":
        operands.sort()
    return equation.op.name, tuple(operands), attributes_key(equation.attributes)
