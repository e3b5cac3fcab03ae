"""Checks that a graph keeps the rules of graphs; the pipeline asks after every pass.

The rules: inputs are distinct; a value is defined once, and before it is used; outputs are defined;
types are what the op infers (a size that inference leaves open may be known); attributes are
constants; sub-graphs keep the rules too.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from graphjit.runtime.errors import GraphjitError, VerificationError

from .arity import takes
from .dump.text import INPUTS, OUTPUTS, format_graph
from .graph import Equation, Graph, Value
from .operand import Operators


def verify(graph: Graph, trusted: Container[Equation] = ()) -> Graph:
    """The graph itself, if it keeps the rules.

    Args:
      graph: any graph.
      trusted: equations that were checked before, in another graph. They do not change, so only their
        place is checked again, not their attributes and types.

    Raises:
      VerificationError: if it breaks one; the message shows the graph with the fault below its line.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> graph = parse_graph("f(%a: f32[3]) { %b = exp(%a); %c = exp(%b); return %c }")
    >>> verify(graph.with_equations(graph.equations[1:]))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    graphjit.runtime.errors.VerificationError: operand 0 is not defined before this equation
    f(%a: f32[3]) {
      %c: f32[3] = exp(%<undefined>)
      ^ operand 0 is not defined before this equation
      return %c
    }
    ...
    """
    defined = set(graph.inputs)
    if len(defined) != len(graph.inputs):
        raise _broken(graph, INPUTS, "an input is listed twice")
    for equation in graph.equations:
        fault = _fault_of_place(equation, defined)
        if not fault and equation not in trusted:
            fault = _fault_of_attributes(equation) or _fault_of_types(equation)
        if fault:
            raise _broken(graph, equation, fault)
        defined.update(equation.outputs)
    for position, value in enumerate(graph.outputs):
        if value not in defined:
            raise _broken(graph, OUTPUTS, f"output {position} is not defined")
    return graph


def _broken(graph: Graph, place: Equation | str, fault: str) -> VerificationError:
    shown = format_graph(graph, locations=True, shorten=True, notes={place: fault})
    return VerificationError(f"{fault}\n{shown}")


def _fault_of_place(equation: Equation, defined: set[Value]) -> str:
    """What is wrong with where an equation stands, "" if nothing is."""
    for position, operand in enumerate(equation.operands):
        if operand not in defined:
            return f"operand {position} is not defined before this equation"
    for position, output in enumerate(equation.outputs):
        if output in defined or output in equation.outputs[:position]:
            return f"result {position} is defined already"
    return ""


def _fault_of_attributes(equation: Equation) -> str:
    for name, value in equation.attributes.items():
        if isinstance(value, Graph):
            verify(value)
        elif not _is_constant(value):
            return f"the attribute {name} is a {type(value).__name__}, which is not a constant"
    return ""


def _is_constant(value: Any) -> bool:
    if isinstance(value, tuple):
        return all(_is_constant(one) for one in value)
    # Asked of the type: hashing a large Literal would read all of its bytes.
    return type(value).__hash__ is not None and not isinstance(value, Operators)


def _fault_of_types(equation: Equation) -> str:
    if not takes(equation.op, len(equation.operands)):
        return f"{equation.op.name} does not take {len(equation.operands)} operands"
    try:
        inferred = equation.op.infer_types(equation.operand_types, equation.attributes)
    except GraphjitError as error:
        return f"inference refuses it: {error.message}"
    if len(inferred) != len(equation.outputs):
        return f"{equation.op.name} has {len(inferred)} results, but {len(equation.outputs)} are defined"
    for position, (wanted, output) in enumerate(zip(inferred, equation.outputs, strict=True)):
        if not wanted.accepts(output.type):
            return f"result {position} is {output.type}, but {equation.op.name} makes {wanted}"
    return ""
