"""What a graph must not hold that is to run without the program that wrote it."""

from __future__ import annotations

from graphjit.compiler.graph import Equation, Graph
from graphjit.compiler.ops.callbacks import print_op, python_call_op
from graphjit.runtime.errors import InvalidArgumentError


def require_savable(graph: Graph) -> None:
    """Refuse what cannot be done without the program that is saved."""
    for equation in graph.equations:
        fault = _fault(equation)
        if fault:
            place = f"{equation.location}: " if equation.location else ""
            raise InvalidArgumentError(f"{place}{fault}")
        for inner in equation.graphs:
            require_savable(inner)


def _fault(equation: Equation) -> str:
    if equation.op is python_call_op:
        name = equation.attributes["callback"].name
        return f"it calls the Python function {name!r} when it runs; leave py_function and numpy_function out"
    if equation.op is print_op and equation.attributes["stream"].startswith("file:"):
        return "it prints into a file; a function that is saved prints to sys.stdout or sys.stderr"
    return ""


__all__: list[str] = []
