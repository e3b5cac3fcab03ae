"""The passes in the order in which they run, each with the reason for its place.

Every stage is kept, so that `f.dump(stage)` can show it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from .graph import Equation, Graph
from .passes.cse import cse
from .passes.dce import dce
from .passes.expand import expand
from .verify import verify

Rewrite = Callable[[Graph], Graph]


@dataclass(frozen=True, slots=True)
class Pass:
    """One row of the pipeline."""

    name: str
    function: Rewrite
    reason: str


@dataclass(frozen=True, slots=True)
class Stage:
    """A graph after a pass, and how long the pass took."""

    name: str
    graph: Graph
    milliseconds: float


PIPELINE: tuple[Pass, ...] = (
    Pass("expand", expand, "everything below knows primitive ops only"),
    Pass("cse", cse, "definitions repeat what the graph computes already"),
    Pass("dce", dce, "last: the others leave equations behind that nobody reads any more"),
)


def optimize(graph: Graph, verify_each: bool = True) -> list[Stage]:
    """Run the pipeline over a graph with static types (see `specialize`) and over the graphs inside it.

    Args:
      graph: what was traced.
      verify_each: whether to check the graph after each pass.

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
    for one in PIPELINE:
        begin = time.perf_counter()
        try:
            graph = everywhere(one.function, graph)
            if verify_each:
                verify(graph)
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
    new = {name: everywhere(rewrite, value) for name, value in held.items()}
    if all(new[name] is held[name] for name in held):
        return equation
    return replace(equation, attributes={**equation.attributes, **new})
