"""A graph as DOT text for Graphviz: what to see it with is the reader's choice."""

from __future__ import annotations

import os
from collections.abc import Iterator

from ..graph import Equation, Graph, Value
from ..op import Kind
from .naming import value_names
from .notation import format_constant

_COLOURS = {
    Kind.ELEMENTWISE: "#dbe9f6", Kind.REDUCTION: "#fde2c8", Kind.VIEW: "#eeeeee", Kind.CONTRACTION: "#f6d5d5",
    Kind.INDEXING: "#e4dcf1", Kind.SOURCE: "#fff7cc", Kind.COMPOSED: "#d9f0d9", Kind.CALL: "#f2d9ea",
    Kind.CONTROL: "#ffffff",
}  # fmt: skip
_LONGEST_ATTRIBUTES = 60


def graph_to_dot(graph: Graph) -> str:
    """The graph as DOT: a node for each equation, coloured by kind; an edge for each operand, with its type.

    Equations of one source line share a cluster under that line's text; a graph inside an equation is a
    cluster of its own.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> print(graph_to_dot(parse_graph("f(%a: f32[3]) { %b = exp(%a) return %b }")))
    digraph "f" {
      rankdir=TB; compound=true;
      node [shape=box, style="filled,rounded", fontname="Helvetica", fontsize=10];
      edge [fontname="Helvetica", fontsize=9];
      "g.in0" [label="%a", shape=ellipse, fillcolor="#ffffff"];
      "g.0" [label="%b = exp", fillcolor="#dbe9f6"];
      "g.out0" [label="output 0", shape=ellipse, fillcolor="#ffffff"];
      "g.in0" -> "g.0" [label="f32[3]"];
      "g.0" -> "g.out0" [label="f32[3]"];
    }
    """
    lines = [f"digraph {_quoted(graph.name)} {{", *("  " + line for line in _document(graph)), "}"]
    return "\n".join(lines)


def _document(graph: Graph) -> Iterator[str]:
    yield "rankdir=TB; compound=true;"
    yield 'node [shape=box, style="filled,rounded", fontname="Helvetica", fontsize=10];'
    yield 'edge [fontname="Helvetica", fontsize=9];'
    yield from _body(graph, "g")


def _body(graph: Graph, prefix: str) -> Iterator[str]:
    """Nodes and edges of one graph; `prefix` keeps its names apart from those of other graphs."""
    names = value_names(graph)
    nodes: dict[Value, str] = {}
    for position, value in enumerate(graph.inputs):
        nodes[value] = f"{prefix}.in{position}"
        yield _round_node(nodes[value], f"%{names[value]}")
    for group, members in _by_line(graph):
        nodes.update((value, f"{prefix}.{number}") for number, one in members for value in one.outputs)
        yield from _cluster(group, members, names, prefix)
    for position in range(len(graph.outputs)):
        yield _round_node(f"{prefix}.out{position}", f"output {position}")
    for number, equation in enumerate(graph.equations):
        yield from (_edge(nodes[value], f"{prefix}.{number}", value) for value in equation.operands)
    for position, value in enumerate(graph.outputs):
        yield _edge(nodes[value], f"{prefix}.out{position}", value)


def _by_line(graph: Graph) -> list[tuple[str, list[tuple[int, Equation]]]]:
    """The numbered equations, those of one source line together; "" where no line is known."""
    groups: dict[str, list[tuple[int, Equation]]] = {}
    for number, equation in enumerate(graph.equations):
        location = equation.location
        where = "" if location is None else f"{os.path.basename(location.file)}:{location.line}  {location.text}"
        groups.setdefault(where, []).append((number, equation))
    return list(groups.items())


def _cluster(title: str, members: list[tuple[int, Equation]], names: dict[Value, str], prefix: str) -> Iterator[str]:
    lines = [line for number, equation in members for line in _node(equation, f"{prefix}.{number}", names)]
    if not title:
        yield from lines
        return
    yield f"subgraph {_quoted(f'cluster {prefix}.{members[0][0]}')} {{"
    yield f'  label={_quoted(title)}; labeljust="l"; style="rounded"; color="#bbbbbb"; fontsize=9;'
    yield from ("  " + line for line in lines)
    yield "}"


def _node(equation: Equation, node: str, names: dict[Value, str]) -> Iterator[str]:
    results = ", ".join(f"%{names[value]}" for value in equation.outputs)
    label = f"{results} = {equation.op.name}" if results else equation.op.name
    attributes = _attributes(equation)
    shown = f"{label}\n{attributes}" if attributes else label
    yield f'{_quoted(node)} [label={_quoted(shown)}, fillcolor="{_COLOURS[equation.op.kind]}"];'
    for name, value in equation.attributes.items():
        if isinstance(value, Graph):
            yield f"subgraph {_quoted(f'cluster {node}.{name}')} {{"
            yield f'  label={_quoted(f"{name} of {label}")}; style="dashed"; fontsize=9;'
            yield from ("  " + line for line in _body(value, f"{node}.{name}"))
            yield "}"


def _attributes(equation: Equation) -> str:
    shown = ", ".join(
        f"{name}={format_constant(value, shorten=True)}"
        for name, value in sorted(equation.attributes.items())
        if not isinstance(value, Graph)
    )
    return shown if len(shown) <= _LONGEST_ATTRIBUTES else shown[: _LONGEST_ATTRIBUTES - 3] + "..."


def _round_node(node: str, label: str) -> str:
    return f'{_quoted(node)} [label={_quoted(label)}, shape=ellipse, fillcolor="#ffffff"];'


def _edge(source: str, target: str, value: Value) -> str:
    return f"{_quoted(source)} -> {_quoted(target)} [label={_quoted(str(value.type))}];"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
