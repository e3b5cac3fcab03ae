"""Drop what nobody reads; effects and checks that can fail stay.

>>> from graphjit.compiler.dump.text import show
>>> show(dce, "f(%a: f32[3]) { %b = exp(%a); %c = tanh(%b); %d = tanh(%a); return %d }")
f(%a: f32[3]) {
  %d: f32[3] = tanh(%a)
  return %d
}
"""

from __future__ import annotations

from ..graph import Equation, Graph


def dce(graph: Graph) -> Graph:
    """The graph without equations that nobody reads and that can neither raise nor be noticed."""
    needed = set(graph.outputs)
    kept: list[Equation] = []
    for equation in reversed(graph.equations):
        if equation.must_run or any(output in needed for output in equation.outputs):
            needed.update(equation.operands)
            kept.append(equation)
    return graph if len(kept) == len(graph.equations) else graph.with_equations(kept[::-1])
