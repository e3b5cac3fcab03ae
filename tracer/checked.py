"""Running a graph with a look at every value: the option `check="nan"`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.backends.reference import Values, run_equation, run_reference, walking
from graphjit.compiler.graph import Equation, Graph, Value
from graphjit.compiler.location import add_location
from graphjit.runtime.errors import InvalidArgumentError

Array = np.ndarray[Any, Any]


def run_checked(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The graph's outputs, each op computed by its NumPy meaning, inside branches and loops too.

    Raises:
      InvalidArgumentError: as soon as an op gives NaN or infinity where its operands have none; the message
        names the op, the user's line, the position and the operands there.
    """
    with walking(_walk_checked):
        return run_reference(graph, arrays)


def _walk_checked(graph: Graph, values: Values) -> None:
    for equation in graph.equations:
        run_equation(equation, values)
        if all(_is_finite(values[operand]) for operand in equation.operands):
            _check(equation, values)


def _check(equation: Equation, values: Values) -> None:
    for output in equation.outputs:
        if not _is_finite(values[output]) and equation.op.name != "constant":
            raise _found(equation, values, output)


def _is_finite(array: Array) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _found(equation: Equation, values: Values, output: Value) -> InvalidArgumentError:
    array = values[output]
    place = tuple(int(index) for index in np.argwhere(~np.isfinite(array))[0])
    operands = ", ".join(
        f"{operand.type}{f' {values[operand][place]}' if values[operand].shape == array.shape else ''}"
        for operand in equation.operands
    )
    error = InvalidArgumentError(
        f"{equation.op.name}({operands}) gives {array[place]} at {list(place)}, though its operands are finite"
    )
    add_location(error, equation.location)
    return error


__all__: list[str] = []
