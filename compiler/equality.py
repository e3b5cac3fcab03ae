"""When two attributes, equations or graphs are the same: by exact type and bits, whatever they are named.

Python's own `==` would take 1, True and 1.0 for one constant, 0.0 for -0.0, and a NaN for something
other than itself.
"""

from __future__ import annotations

import struct
from collections.abc import Hashable, Mapping
from typing import Any

from .graph import Equation, Graph, Value


def attribute_key(value: Any) -> Hashable:
    """A key that is equal exactly where two attribute constants are the same.

    >>> attribute_key(1) == attribute_key(True), attribute_key(0.0) == attribute_key(-0.0)
    (False, False)
    >>> attribute_key(float("nan")) == attribute_key(float("nan"))
    True
    """
    if isinstance(value, float):
        return float, struct.pack("<d", value)
    if isinstance(value, tuple):
        return tuple, tuple(attribute_key(one) for one in value)
    if isinstance(value, Graph):
        return graph_key(value)
    return type(value), value


def attributes_key(attributes: Mapping[str, Any]) -> Hashable:
    """A key that is equal exactly where two equations' attributes are the same."""
    return tuple((name, attribute_key(attributes[name])) for name in sorted(attributes))


def graph_key(graph: Graph) -> Hashable:
    """A key that is equal exactly where two graphs are the same up to names and locations."""
    numbers = {value: number for number, value in enumerate(graph.values())}
    return (
        tuple(value.type for value in graph.inputs),
        tuple(_equation_key(equation, numbers) for equation in graph.equations),
        tuple(numbers.get(value) for value in graph.outputs),
    )


def _equation_key(equation: Equation, numbers: Mapping[Value, int]) -> Hashable:
    return (
        equation.op.name,
        attributes_key(equation.attributes),
        tuple(numbers.get(value) for value in equation.operands),
        tuple(value.type for value in equation.outputs),
    )


def text_key(graph: Graph) -> Hashable:
    """A key that is equal where two graphs are the same, and look the same: names and locations count too."""
    return (
        graph.name,
        graph_key(graph),
        tuple(value.name for value in graph.values()),
        tuple(equation.location for equation in graph.equations),
        tuple(text_key(one) for equation in graph.equations for one in equation.graphs),
    )


def graphs_equal(one: Graph, other: Graph) -> bool:
    """Whether two graphs have the same inputs, equations and outputs; names and locations do not count.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> a = parse_graph("f(%a: f32[2]) { %b = exp(%a) return %b }")
    >>> b = parse_graph("g(%x: f32[2]) { %y = exp(%x) return %y }")
    >>> c = parse_graph("g(%x: f32[3]) { %y = exp(%x) return %y }")
    >>> graphs_equal(a, b), graphs_equal(a, c)
    (True, False)
    """
    return graph_key(one) == graph_key(other)
