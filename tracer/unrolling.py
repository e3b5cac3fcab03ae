"""Python loops that write their body into the graph hundreds of times: loops of the graph are made of them.

Where that is not possible a warning names the line, and what to write instead.
"""

from __future__ import annotations

import warnings

from graphjit.compiler.graph import Graph
from graphjit.compiler.location import describe
from graphjit.compiler.rerolling import Unrolled, reroll


class UnrolledLoopWarning(UserWarning):
    """A Python loop in a compiled function writes its body into the graph hundreds of times."""


def with_loops(graph: Graph) -> Graph:
    """The graph with loops in the place of long runs of equal equations; a warning for each that is left."""
    found = reroll(graph)
    for one in found.unrolled:
        _warn(one)
    return found.graph


def _warn(one: Unrolled) -> None:
    if one.location is None:
        return
    warnings.warn_explicit(
        f"a loop wrote its body of {one.size} ops, which begins at {describe(one.location)}, into the graph "
        f"{one.rounds} times. It was not made a loop of the graph, because {one.reason}; each round is compiled by "
        "itself. Loop over a tensor instead, as in `for row in gj.stack(items)` or `for i in gj.range(n)`, so that the "
        "graph holds one loop",
        UnrolledLoopWarning,
        one.location.file,
        one.location.line,
    )


__all__ = ["UnrolledLoopWarning"]
