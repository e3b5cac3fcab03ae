"""Graphs as JSON, for programs: written by one process, read by another, without running any code.

    {"format": "graphjit graph", "version": 1, "graph": GRAPH}
    GRAPH    = {"name": text, "inputs": [VALUE], "equations": [EQUATION], "outputs": [number]}
    VALUE    = {"name": text, "type": "f32[2,?]"}
    EQUATION = {"op": text, "operands": [number], "attributes": {name: CONSTANT}, "outputs": [VALUE],
                "location": [file, line, function, text] or null}
    CONSTANT = text in the notation of the text form, such as "(1, 2)" or "dense<f32[2]: [1.0, -0.0]>",
               or GRAPH

Values are numbered in the order of definition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from graphjit.runtime.errors import FormatError, GraphjitError

from ..arity import takes
from ..graph import Equation, Graph, Location, Value
from ..op import Op, find_op
from ..tensortype import TensorType
from .notation import format_constant
from .parsing import INFERENCE_ERRORS, parse_constant, parse_type, said_by

FORMAT = "graphjit graph"
VERSION = 1
_MAXIMUM_DEPTH = 64

T = TypeVar("T")


def graph_to_json(graph: Graph) -> str:
    """The graph as JSON text, with names and locations.

    Raises:
      FormatError: if an equation holds a Python callable, which no text can bring back.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> graph = parse_graph("f(%a: f32[3]) { %b = exp(%a) return %b }")
    >>> print(graph_from_json(graph_to_json(graph)))
    f(%a: f32[3]) {
      %b: f32[3] = exp(%a)
      return %b
    }
    """
    return json.dumps({"format": FORMAT, "version": VERSION, "graph": _graph(graph)})


def _graph(graph: Graph) -> dict[str, Any]:
    numbers = {value: number for number, value in enumerate(graph.values())}
    return {
        "name": graph.name,
        "inputs": [_value(value) for value in graph.inputs],
        "equations": [_equation(equation, numbers) for equation in graph.equations],
        "outputs": [numbers[value] for value in graph.outputs],
    }


def _value(value: Value) -> dict[str, Any]:
    return {"name": value.name, "type": str(value.type)}


def _equation(equation: Equation, numbers: dict[Value, int]) -> dict[str, Any]:
    return {
        "op": equation.op.name,
        "operands": [numbers[value] for value in equation.operands],
        "attributes": {name: _constant(value, equation) for name, value in equation.attributes.items()},
        "outputs": [_value(value) for value in equation.outputs],
        "location": _location(equation.location),
    }


def _constant(value: Any, equation: Equation) -> Any:
    if isinstance(value, Graph):
        return _graph(value)
    text = format_constant(value)
    if text.startswith("<"):
        raise FormatError(
            f"{equation.op.name} holds a Python callable or object ({text}), which cannot be written down; "
            "a graph that is to be saved must not call back into Python"
        )
    return text


def _location(location: Location | None) -> list[Any] | None:
    return None if location is None else [location.file, location.line, location.function, location.text]


# --- reading


def graph_from_json(text: str) -> Graph:
    """The graph that a JSON text describes.

    Raises:
      FormatError: if it describes none, or was written in a version of the format that is not known here.
    """
    try:
        document = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise FormatError(f"this is no graph: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise FormatError(f'this is no graph: its "format" must be {FORMAT!r}')
    if document.get("version") != VERSION:
        raise FormatError(f"this graph has version {document.get('version')!r}; version {VERSION} can be read")
    return _read_graph(_field(document, "graph", dict), "graph", 0)


def _field(found: Any, name: str, kind: type[T]) -> T:
    value = found.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise FormatError(f"{name!r} must be a {kind.__name__}, not {type(value).__name__}")
    return value


def _read_graph(found: dict[str, Any], place: str, depth: int) -> Graph:
    if depth > _MAXIMUM_DEPTH:
        raise FormatError(f"graphs may be nested {_MAXIMUM_DEPTH} deep")
    values: list[Value] = []
    with _at(place):
        name = _field(found, "name", str)
        inputs = _read_values(_field(found, "inputs", list), values)
        listed = _field(found, "equations", list)
    equations = []
    for number, one in enumerate(listed):
        with _at(f"{place}: equation {number}"):
            equations.append(_read_equation(_dictionary(one, "an equation"), values, depth))
    with _at(f"{place}: outputs"):
        outputs = _uses(_field(found, "outputs", list), values)
    return Graph(name, inputs, tuple(equations), outputs)


@contextmanager
def _at(place: str) -> Iterator[None]:
    """Let errors begin with the place in the document."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{place}: {error.message}") from None


def _dictionary(found: Any, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise FormatError(f"{what} must be an object, not {type(found).__name__}")
    return found


def _read_values(found: Sequence[Any], values: list[Value]) -> tuple[Value, ...]:
    read = tuple(_read_value(_dictionary(one, "a value")) for one in found)
    values.extend(read)
    return read


def _read_value(found: dict[str, Any]) -> Value:
    return Value(parse_type(_field(found, "type", str)), _field(found, "name", str))


def _uses(numbers: Sequence[Any], values: Sequence[Value]) -> tuple[Value, ...]:
    for number in numbers:
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(values):
            raise FormatError(f"{number!r} is no value that is defined before")
    return tuple(values[number] for number in numbers)


def _read_equation(found: dict[str, Any], values: list[Value], depth: int) -> Equation:
    op = _read_op(_field(found, "op", str))
    operands = _uses(_field(found, "operands", list), values)
    attributes = _read_attributes(_field(found, "attributes", dict), op, depth)
    outputs = _read_values(_field(found, "outputs", list), values)
    _check_types(op, operands, attributes, outputs)
    return Equation(op, operands, attributes, outputs, _read_location(found.get("location")))


def _read_op(name: str) -> Op:
    try:
        return find_op(name)
    except GraphjitError as error:
        raise FormatError(error.message) from None


def _read_attributes(found: dict[str, Any], op: Op, depth: int) -> dict[str, Any]:
    attributes = {}
    for name, value in found.items():
        with _at(f"{op.name}: attribute {name}"):
            attributes[name] = _read_constant(value, depth)
    return attributes


def _read_constant(found: Any, depth: int) -> Any:
    if isinstance(found, dict):
        return _read_graph(found, "graph", depth + 1)
    if not isinstance(found, str):
        raise FormatError(f"a constant must be a text or a graph, not {type(found).__name__}")
    return parse_constant(found)


def _check_types(op: Op, operands: Sequence[Value], attributes: dict[str, Any], outputs: Sequence[Value]) -> None:
    if not takes(op, len(operands)):
        raise FormatError(f"{op.name} does not take {len(operands)} operands")
    try:
        inferred = op.infer_types(tuple(value.type for value in operands), attributes)
    except INFERENCE_ERRORS as error:
        raise FormatError(f"{op.name} does not take these operands and attributes: {said_by(error)}") from None
    given: list[TensorType] = [value.type for value in outputs]
    fits = len(inferred) == len(given) and all(wanted.accepts(one) for wanted, one in zip(inferred, given, strict=True))
    if not fits:
        shown = [", ".join(map(str, types)) or "nothing" for types in (inferred, given)]
        raise FormatError(f"{op.name} makes {shown[0]}, but its results are given as {shown[1]}")


def _read_location(found: Any) -> Location | None:
    if found is None:
        return None
    kinds = (str, int, str, str)
    fits = isinstance(found, list) and len(found) == 4 and all(map(isinstance, found, kinds))
    if not fits:
        raise FormatError("a location is [file, line, function, text] or null")
    return Location(*found)
