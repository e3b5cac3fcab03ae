"""Names under which a dump shows a graph's values: the user's own, made unique, or numbers."""

from __future__ import annotations

import re

from ..graph import Graph, Value

_UNFIT = re.compile(r"[^\w.]")


def value_names(graph: Graph) -> dict[Value, str]:
    """For each value its unique name: what the user calls it, else its number in the order of definition.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> graph = parse_graph("f(%a: f32[]) { %b = exp(%a) %0 = exp(%b) return %0 }")
    >>> list(value_names(graph).values())
    ['a', 'b', '2']
    """
    taken: set[str] = set()
    names: dict[Value, str] = {}
    for number, value in enumerate(graph.values()):
        wanted = _fitting(value.name) or str(number)
        names[value] = _unique(wanted, taken)
        taken.add(names[value])
    return names


def _fitting(name: str) -> str:
    """The name in characters that the text form can hold, "" where it would look like a number."""
    cleaned = _UNFIT.sub("_", name).strip(".")
    return "" if cleaned.isdigit() else cleaned


def _unique(wanted: str, taken: set[str]) -> str:
    if wanted not in taken:
        return wanted
    count = 1
    while f"{wanted}.{count}" in taken:
        count += 1
    return f"{wanted}.{count}"
