"""The passes in the order in which they run, each with the reason for its place.

Every stage is kept, so that `f.dump(stage)` can show it.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from graphjit.runtime.fields import dataclass, replace

from .graph import Equation, Graph
from .passes.accumulate import accumulate
from .passes.cse import cse
from .passes.dce import dce
from .passes.expand import expand
from .passes.fold import fold
from .passes.hoist import hoist
from .passes.peel import peel
from .passes.prune import prune
from .passes.rows import rows
from .passes.scalars import scalars
from .passes.simplify import simplify
from .passes.stabilise import stabilise
from .passes.sums import sums
from .verify import verify

Rewrite = Callable[[Graph], Graph]


@dataclass(frozen=True, slots=True)
class Pass:
    """One row of the pipeline; `exact` says whether results keep their bits."""

    name: str
    function: Rewrite
    reason: str
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Stage:
    """A graph after a pass, and how long the pass took."""

    name: str
    graph: Graph
    milliseconds: float


PIPELINE: tuple[Pass, ...] = (
    Pass("fold", fold, "first: the rules recognise constants, not the arithmetic that leads to them"),
    Pass("simplify", simplify, "before the patterns below, which identities and casts would hide"),
    Pass("cse", cse, "a pattern that names a value twice, as softmax does, needs equal values to be one"),
    Pass("stabilise", stabilise, "while composed ops such as softmax can still be seen", exact=False),
    Pass("expand", expand, "everything below knows primitive ops only"),
    Pass("fold_expanded", fold, "definitions bring constants of their own"),
    Pass("simplify_expanded", simplify, "and general formulas, of which a case may be simple"),
    Pass("cse_expanded", cse, "and repeat what the graph computes already"),
    Pass("peel", peel, "once definitions have brought all paddings, and equal ones are one", exact=False),
    Pass("cse_peeled", cse, "pieces are computed from what others are computed from too"),
    Pass("rows", rows, "while picking by a number can be seen, before passes that look for rows"),
    Pass(
        "hoist",
        hoist,
        "behind rows, as products of rows move; before prune, which takes away what is left",
        exact=False,
    ),
    Pass("sums", sums, "what a loop adds up is known when everything else has left it", exact=False),
    Pass("scalars", scalars, "once nothing looks for tensors in loops; kernels want numbers", exact=False),
    Pass("prune", prune, "when it shows what branches and loops are for: before dce, which clears up inside of them"),
    Pass("dce", dce, "the others leave equations behind that nobody reads any more"),
    Pass(
        "accumulate", accumulate, "last: it counts who reads a product, and no rule knows what it writes", exact=False
    ),
)


def optimize(graph: Graph, verify_each: bool = True, exact: bool = False) -> list[Stage]:
    """Run the pipeline over a graph with static types (see `specialize`) and over the graphs inside it.

    Args:
      graph: what was traced.
      verify_each: whether to check the graph after each pass.
      exact: whether to leave out the passes that may change bits.

    Returns: a stage for each pass, in order; the last one's graph is the result.

    Raises:
      VerificationError: if a pass breaks a rule of graphs; a note names the pass.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> graph = parse_graph("f(%a: f32[3]) { %b = exp(%a); %c = exp(%a); return %c }")
    >>> print(optimize(graph)[-1].graph)
    f(%a: f32[3]) {
      %b: f32[3] = exp(%a)
      return %b
    }
    """
    stages: list[Stage] = []
    checked: frozenset[Equation] = frozenset()
    for one in PIPELINE:
        if exact and not one.exact:
            continue
        begin = time.perf_counter()
        try:
            graph = everywhere(one.function, graph)
            if verify_each:
                verify(graph, trusted=checked)
                checked = frozenset(graph.equations)
        except Exception as error:
            error.add_note(f"in the pass {one.name!r} over {graph.name!r}")
            raise
        stages.append(Stage(one.name, graph, (time.perf_counter() - begin) * 1000))
    return stages


def everywhere(rewrite: Rewrite, graph: Graph) -> Graph:
    """Apply a pass to the graphs inside a graph's equations, innermost first, and then to the graph."""
    equations = [_inside(rewrite, equation) for equation in graph.equations]
    changed = any(new is not old for new, old in zip(equations, graph.equations, strict=True))
    return rewrite(graph.with_equations(equations) if changed else graph)


def _inside(rewrite: Rewrite, equation: Equation) -> Equation:
    held = {name: value for name, value in equation.attributes.items() if isinstance(value, Graph)}
    if not held:
        return equation
    new = {name: everywhere(rewrite, value) for name, value in held.items()}
    if all(new[name] is held[name] for name in held):
        return equation
    return replace(equation, attributes={**equation.attributes, **new})
