"""The text form of a graph: one equation a line, with the user's names, types and lines; it parses back.

    step(%x: f32[64,784], %w: f32[784,20]) {
      %h: f32[64,20] = matmul(%x, %w) {transpose_a=false, transpose_b=false}  # train.py:12
      %3: f32[64,20] = tanh(%h)
      return %3
    }

A value is shown under the user's name for it (a second one of the same name as %h.1), or under its
number in the order of definition. Attributes are sorted by name; `notation` says how constants are written.
Locations are comments. When a text is read, types of results may be left out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from graphjit.runtime.fields import dataclass

from ..graph import Equation, Graph, Value
from .naming import value_names
from .notation import format_constant
from .parsing import RESERVED, parse_graph

INPUTS, OUTPUTS = "inputs", "outputs"
"""Where a note may stand beside the equations: below a graph's first line and below its `return`."""

_INDENT = "  "


@dataclass(frozen=True, slots=True)
class _Style:
    locations: bool
    shorten: bool
    notes: Mapping[Equation | str, str]


def format_graph(
    graph: Graph,
    locations: bool = False,
    shorten: bool = False,
    notes: Mapping[Equation | str, str] | None = None,
) -> str:
    """The graph as text.

    Args:
      graph: any graph, verified or not.
      locations: whether each equation ends with the user's file and line.
      shorten: for people only: large arrays are elided, so that the text cannot be parsed.
      notes: for people only: a line to show below an equation, below INPUTS or below OUTPUTS.

    >>> print(format_graph(parse_graph("f(%a: f32[3]) { %b = exp(%a); %c = add(%b, %b); return %c }")))
    f(%a: f32[3]) {
      %b: f32[3] = exp(%a)
      %c: f32[3] = add(%b, %b)
      return %c
    }
    """
    return "\n".join(_graph_lines(graph, _Style(locations, shorten, notes or {})))


def _graph_lines(graph: Graph, style: _Style) -> Iterator[str]:
    names = value_names(graph)
    yield f"{_graph_name(graph.name)}({_declared(graph.inputs, names)}) {{"
    yield from _note(style, INPUTS)
    for equation in graph.equations:
        yield from (_INDENT + line for line in _equation_lines(equation, names, style))
        yield from _note(style, equation)
    yield f"{_INDENT}return {_used(graph.outputs, names)}".rstrip()
    yield from _note(style, OUTPUTS)
    yield "}"


def _note(style: _Style, place: Equation | str) -> Iterator[str]:
    if place in style.notes:
        yield f"{_INDENT}^ {style.notes[place]}"


def _graph_name(name: str) -> str:
    plain = name.isidentifier() and name not in RESERVED
    return name if plain else format_constant(name)


def _declared(values: tuple[Value, ...], names: Mapping[Value, str]) -> str:
    return ", ".join(f"%{names[value]}: {value.type}" for value in values)


def _used(values: tuple[Value, ...], names: Mapping[Value, str]) -> str:
    return ", ".join(f"%{names.get(value, '<undefined>')}" for value in values)


def _equation_lines(equation: Equation, names: Mapping[Value, str], style: _Style) -> Iterator[str]:
    result = f"{_declared(equation.outputs, names)} = " if equation.outputs else ""
    head = f"{result}{equation.op.name}({_used(equation.operands, names)})"
    comment = _comment(equation) if style.locations else ""
    attributes = sorted(equation.attributes.items())
    if any(isinstance(value, Graph) for _, value in attributes):
        yield f"{head} {{{comment}"
        yield from _attribute_lines(attributes, style)
        yield "}"
        return
    shown = ", ".join(f"{name}={format_constant(value, style.shorten)}" for name, value in attributes)
    yield f"{head}{f' {{{shown}}}' if shown else ''}{comment}"


def _attribute_lines(attributes: list[tuple[str, Any]], style: _Style) -> Iterator[str]:
    last = len(attributes) - 1
    for position, (name, value) in enumerate(attributes):
        is_graph = isinstance(value, Graph)
        lines = list(_graph_lines(value, style)) if is_graph else [format_constant(value, style.shorten)]
        lines[0] = f"{name}={lines[0]}"
        lines[-1] += "" if position == last else ","
        yield from (_INDENT + line for line in lines)


def _comment(equation: Equation) -> str:
    location = equation.location
    return "" if location is None else f"  # {os.path.basename(location.file)}:{location.line}"


def show(rewrite: Callable[[Graph], Graph], text: str) -> None:
    """Print what a pass makes of a graph that is given as text: for the doctests of passes."""
    print(format_graph(rewrite(parse_graph(text))))


__all__ = ["INPUTS", "OUTPUTS", "format_graph", "parse_graph", "show"]
