"""Running a graph with a look at every value: the option `check="nan"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.graph import Equation, Graph, Value
from graphjit.compiler.location import add_location
from graphjit.runtime.errors import InvalidArgumentError

Array = np.ndarray[Any, Any]


def run_checked(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The graph's outputs, each op computed by its NumPy meaning.

    Raises:
      InvalidArgumentError: if an op gives NaN or infinity where its operands have none; the message names
        the op, the user's line, the position and the operands there.
    """
    made = [output for equation in graph.equations for output in equation.outputs]
    wanted = Graph(graph.name, graph.inputs, graph.equations, (*graph.outputs, *made))
    outputs = run_reference(wanted, arrays)
    known: dict[Value, Array] = dict(zip(graph.inputs, arrays, strict=True))
    known.update(zip(made, outputs[len(graph.outputs) :], strict=True))
    for equation in graph.equations:
        _check(equation, known)
    return outputs[: len(graph.outputs)]


def _check(equation: Equation, known: dict[Value, Array]) -> None:
    if not all(_is_finite(known[operand]) for operand in equation.operands):
        return
    for output in equation.outputs:
        if not _is_finite(known[output]) and equation.op.name != "constant":
            raise _found(equation, known, output)


def _is_finite(array: Array) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _found(equation: Equation, known: dict[Value, Array], output: Value) -> InvalidArgumentError:
    array = known[output]
    place = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
    operands = ", ".join(
        f"{operand.type}{f' {known[operand][place]}' if known[operand].shape == array.shape else ''}"
        for operand in equation.operands
    )
    error = InvalidArgumentError(
        f"{equation.op.name}({operands}) gives {array[place]} at {list(place)}, though its operands are finite"
    )
    add_location(error, equation.location)
    return error


__all__: list[str] = []
