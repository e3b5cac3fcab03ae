"""Runs a graph with each op's NumPy meaning: the backend "numpy", and the yardstick of the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from graphjit.runtime.errors import GraphjitError, InvalidArgumentError, VerificationError

from ..graph import Equation, Graph, Value
from ..location import add_location, describe
from ..tensortype import TensorType

Array = np.ndarray[Any, Any]

Values = dict[Value, Array]

Walk = Callable[[Graph, Values], None]
"""Runs the equations of a graph whose inputs are among the values, and adds what they make."""

_walk: ContextVar[Walk | None] = ContextVar("walk", default=None)


@contextmanager
def walking(walk: Walk) -> Iterator[None]:
    """Inside, `walk` goes through the equations of every graph that is run here, the graphs inside of it too."""
    token = _walk.set(walk)
    try:
        yield
    finally:
        _walk.reset(token)


def run_reference(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The graph's outputs for these inputs.

    Args:
      graph: any verified graph; sizes may be unknown.
      arrays: one array for each input, of a type that the input accepts; they are only read.

    Returns: one array for each output. None of them shares memory with an input, with another output
      or with a constant of the graph.

    Raises:
      InvalidArgumentError: if the arrays do not fit the inputs.
      GraphjitError: whatever an op raises, with the user's line.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> graph = parse_graph("f(%a: f32[2]) { %b = add(%a, %a) return %b }")
    >>> run_reference(graph, [np.float32([1, 2])])
    [array([2., 4.], dtype=float32)]
    """
    values = _bind(graph, arrays)
    with np.errstate(all="ignore"):
        (_walk.get() or _straight)(graph, values)
    return _owned([values[value] for value in graph.outputs], arrays)


def run_equation(equation: Equation, values: Values) -> None:
    """Add what one equation makes to the values.

    Raises:
      GraphjitError: whatever the op raises, with the user's line.
    """
    operands = [values[value] for value in equation.operands]
    values.update(zip(equation.outputs, _run(equation, operands), strict=True))


def _straight(graph: Graph, values: Values) -> None:
    """One equation after the other; values go when nobody reads them any more."""
    dying = _last_uses(graph)
    for equation in graph.equations:
        run_equation(equation, values)
        for value in dying.get(equation, ()):
            del values[value]


def _bind(graph: Graph, arrays: Sequence[Array]) -> Values:
    if len(arrays) != len(graph.inputs):
        raise InvalidArgumentError(f"{graph.name} has {len(graph.inputs)} inputs, but {len(arrays)} arrays were given")
    for position, (value, array) in enumerate(zip(graph.inputs, arrays, strict=True)):
        if not _fits(array, value.type):
            name = f" %{value.name}" if value.name else ""
            raise InvalidArgumentError(
                f"{graph.name}: input {position}{name} must be {value.type}, but the array is {_shown(array)}"
            )
    return dict(zip(graph.inputs, arrays, strict=True))


def _fits(array: Array, wanted: TensorType) -> bool:
    return (
        array.dtype == wanted.dtype.numpy
        and array.ndim == wanted.rank
        and all(size is None or size == found for size, found in zip(wanted.shape, array.shape, strict=True))
    )


def _shown(array: Array) -> str:
    return f"{array.dtype}{list(array.shape)}"


def _last_uses(graph: Graph) -> dict[Equation, list[Value]]:
    """For each equation the values that nobody reads after it."""
    last: dict[Value, Equation] = {}
    for equation in graph.equations:
        last.update((value, equation) for value in (*equation.operands, *equation.outputs))
    for value in graph.outputs:
        last.pop(value, None)
    dying: dict[Equation, list[Value]] = {}
    for value, equation in last.items():
        dying.setdefault(equation, []).append(value)
    return dying


def _run(equation: Equation, operands: Sequence[Array]) -> list[Array]:
    try:
        results = equation.op.numpy(*operands, **equation.attributes)
    except GraphjitError as error:
        add_location(error, equation.location)
        raise
    except Exception as error:
        error.add_note(f"while running {equation.op.name} at {describe(equation.location)}")
        raise
    results = results if equation.op.several else (results,)
    found = [_as_array(result, value.type) for result, value in zip(results, equation.outputs, strict=False)]
    if len(results) != len(equation.outputs):
        found = [np.asarray(result) for result in results]
    _check(equation, found)
    return found


def _as_array(result: Any, type: TensorType) -> Array:
    # NumPy would make an array of characters of a single byte string.
    return np.asarray(result, object) if type.dtype.is_string else np.asarray(result)


def _check(equation: Equation, found: Sequence[Array]) -> None:
    wanted = [value.type for value in equation.outputs]
    if len(found) == len(wanted) and all(map(_fits, found, wanted)):
        return
    raise VerificationError(
        f"{equation.op.name} was inferred to make {', '.join(map(str, wanted)) or 'nothing'}, "
        f"but made {', '.join(map(_shown, found)) or 'nothing'}, at {describe(equation.location)}"
    )


def _owned(outputs: Sequence[Array], inputs: Sequence[Array]) -> list[Array]:
    """The outputs, copied where they share memory with an input, a constant or each other."""
    taken = {id(array) for array in inputs}
    owned: list[Array] = []
    for output in outputs:
        keep = _owns_memory(output) and id(output) not in taken
        taken.add(id(output))
        owned.append(output if keep else np.array(output, order="C"))
    return owned


def _owns_memory(array: Array) -> bool:
    return array.base is None and array.flags.writeable and array.flags.c_contiguous
