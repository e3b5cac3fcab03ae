"""Replace expressions that overflow or lose digits by ones that do not.

>>> from graphjit.compiler.dump.text import show
>>> show(stabilise, '''
... f(%a: f32[3]) {
...   %b = exp(%a)
...   %one = constant() {value=dense<f32[]: 1.0>}
...   %c = subtract(%b, %one)
...   return %c
... }
... ''')
f(%a: f32[3]) {
  %c: f32[3] = expm1(%a)
  return %c
}

Here results may differ from those of eager mode, where that is the less accurate one: log(softmax(x)) is
finite for large x, log(1 + x) keeps the digits of a small x. Powers become products, at most 2 units in
the last place away. `@gj.compile(exact=True)` leaves this pass out. The rules are in `rules`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from ..graph import Equation, Graph
from ..operand import Operand
from ..rewriting import Rewriter, rewrite
from ..rule import Rule, apply_rules, index_rules
from ..rules import CLOSE_RULES, STABLE_RULES
from .dce import dce


def stabilise(graph: Graph) -> Graph:
    """The graph with the stabilising rules applied once, in order."""
    stable = rewrite(Rewriter(graph), graph, _step)
    return graph if stable is graph else dce(stable)


@cache
def _index() -> dict[str, list[Rule]]:
    return index_rules((*STABLE_RULES, *CLOSE_RULES))


def _step(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
    return apply_rules(_index(), rewriter, equation)
