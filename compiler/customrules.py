"""Gradients of the user's own as graphs, so that a graph that holds some can be written down.

A rule is a Python function that may use whatever its function computed. It is traced; what it uses beside
cotangents and arguments becomes a further operand of its equation.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphjit.runtime.errors import FormatError, ScopeError
from graphjit.runtime.fields import replace

from .dispatch import interpreting
from .graph import Equation, Graph, Value
from .ops.customgradient import CustomRule, custom_gradient_op, written_rule
from .writer import GraphWriter, replay


def with_written_rules(graph: Graph) -> Graph:
    """The graph with a graph for each gradient of the user's own.

    Raises:
      FormatError: if a rule uses values from outside of the branch or loop in which it stands.
    """
    if not _holds_rules(graph):
        return graph
    writer = GraphWriter(graph.name, locate=False)
    for value in graph.inputs:
        writer.environment[value] = writer.input(value.type, value.name)
    origins = {symbol.value: value for value, symbol in writer.environment.items()}
    equations = []
    for equation in graph.equations:
        equations.append(_written(equation, writer, origins))
        with interpreting(writer):
            replay(Graph("", (), (equation,), ()), (), writer)
        for value in equation.outputs:
            origins.setdefault(writer.environment[value].value, value)
    return graph.with_equations(equations)


def _holds_rules(graph: Graph) -> bool:
    return any(
        equation.op is custom_gradient_op or any(map(_holds_rules, equation.graphs)) for equation in graph.equations
    )


def _written(equation: Equation, writer: GraphWriter, origins: Mapping[Value, Value]) -> Equation:
    if equation.op is not custom_gradient_op:
        inner = {
            name: with_written_rules(value) if isinstance(value, Graph) else value
            for name, value in equation.attributes.items()
        }
        return replace(equation, attributes=inner)
    rule: CustomRule = equation.attributes["rule"]
    return equation if rule.graph is not None else _with_traced_rule(equation, rule, writer, origins)


def _with_traced_rule(
    equation: Equation, rule: CustomRule, writer: GraphWriter, origins: Mapping[Value, Value]
) -> Equation:
    count: int = equation.attributes["count"]
    results, arguments = equation.operands[:count], equation.operands[count:]
    cotangents = [writer.input(value.type, "g") for value in results]
    begin = len(writer.equations)
    try:
        with interpreting(writer):
            found = rule.function(tuple(cotangents), tuple(writer.environment[value] for value in arguments))
    except ScopeError as error:
        raise FormatError(f"the gradient function of {rule.name!r} cannot be written down: {error.message}") from error
    gives = [position for position, one in enumerate(found) if one is not None]
    outputs = [writer.lift(found[position]).value for position in gives]
    given = [symbol.value for symbol in (*cotangents, *(writer.environment[value] for value in arguments))]
    graph, used = _cut(rule.name, given, writer.equations[begin:], outputs)
    rule = written_rule(rule.name, with_written_rules(graph), gives)
    closed = tuple(origins[value] for value in used)
    return replace(equation, operands=(*equation.operands, *closed), attributes={"count": count, "rule": rule})


def _cut(
    name: str, given: Sequence[Value], equations: Sequence[Equation], outputs: Sequence[Value]
) -> tuple[Graph, list[Value]]:
    """A graph of some equations, whose inputs are `given` and then what else it uses, which is returned too."""
    inputs = [value if value not in given[:place] else Value(value.type) for place, value in enumerate(given)]
    made = {output for equation in equations for output in equation.outputs}
    known = {*inputs, *made}
    read = [*(operand for equation in equations for operand in equation.operands), *outputs]
    used = list(dict.fromkeys(value for value in read if value not in known))
    return Graph(name, (*inputs, *used), tuple(equations), tuple(outputs)), used


__all__: list[str] = []
