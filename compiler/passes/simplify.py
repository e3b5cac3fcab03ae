"""Replace expressions by simpler ones with the same bits.

>>> from graphjit.compiler.dump.text import show
>>> show(simplify, '''
... f(%a: f32[2,3]) {
...   %one = constant() {value=dense<f32[]: 1.0>}
...   %b = multiply(%a, %one)
...   %c = transpose(%b) {perm=(1, 0)}
...   %d = transpose(%c) {perm=(1, 0)}
...   %e = exp(%d)
...   return %e
... }
... ''')
f(%a: f32[2,3]) {
  %e: f32[2,3] = exp(%a)
  return %e
}

The algebra is in `rules`, what concerns attributes in `viewrules`. Runs until nothing changes, dropping
on the way what nobody reads any more.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..graph import Equation, Graph
from ..operand import Operand
from ..rewriting import Rewriter, rewrite
from ..rule import apply_rules, index_rules
from ..rules import exact_rules
from ..viewrules import apply_view_rules
from .dce import dce

_MOST_ROUNDS = 16
"""Each round shortens something; a longer chain than this is left as it is."""


def simplify(graph: Graph) -> Graph:
    """The graph with the exact rules applied until none fits."""
    index = index_rules(exact_rules())

    def step(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
        answer = apply_view_rules(rewriter, equation)
        return apply_rules(index, rewriter, equation) if answer is None else answer

    for _ in range(_MOST_ROUNDS):
        simpler = rewrite(Rewriter(graph), graph, step)
        if simpler is graph:
            return graph
        graph = dce(simpler)
    return graph
