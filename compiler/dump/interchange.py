"""Graphs as JSON, for programs: written by one process, read by another, without running any code.

    {"format": "graphjit graph", "version": 1, "graph": GRAPH}
    GRAPH    = {"name": text, "inputs": [VALUE], "equations": [EQUATION], "outputs": [number]}
    VALUE    = {"name": text, "type": "f32[2,?]"}
    EQUATION = {"op": text, "operands": [number], "attributes": {name: CONSTANT}, "outputs": [VALUE],
                "location": [file, line, function, text] or null}
    CONSTANT = text in the notation of the text form, such as "(1, 2)" or "dense<f32[2]: [1.0, -0.0]>",
               or GRAPH, or {"array": name} for a large array that is stored beside the text,
               or {"error": [class, [text]]} for an exception,
               or {"rule": text, "graph": GRAPH, "gives": [position]} for a gradient of the user's own

Values are numbered in the order of definition.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

import numpy as np

from graphjit.runtime.errors import FormatError, GraphjitError
from graphjit.runtime.fields import dataclass

from ..arity import takes
from ..graph import Equation, Graph, Literal, Location, Value
from ..op import Op, find_op
from ..ops.customgradient import CustomRule, custom_gradient_op, written_rule
from ..tensortype import TensorType
from .notation import SPLAT_BYTES, format_constant
from .parsing import INFERENCE_ERRORS, parse_constant, parse_type, said_by
from .raisederrors import error_as_json, error_of_json

FORMAT = "graphjit graph"
VERSION = 1
STORED_BYTES = 1 << 10
"""Arrays of more bytes go into the store, where there is one."""
_MAXIMUM_DEPTH = 64

T = TypeVar("T")


class ArraySink(Protocol):
    """Where large arrays go that are kept beside the text."""

    def put(self, array: np.ndarray[Any, Any]) -> str:
        """Keep an array; the name under which it is found."""


class ArraySource(Protocol):
    """Where they are found."""

    def get(self, name: str) -> np.ndarray[Any, Any]:
        """The array of a name. Raises: FormatError if there is none."""


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
    return json.dumps({"format": FORMAT, "version": VERSION, "graph": document_of(graph)})


def document_of(graph: Graph, store: ArraySink | None = None) -> dict[str, Any]:
    """The graph as what JSON knows: dicts, lists, texts and numbers; large arrays go into the store.

    Raises: see `graph_to_json`.
    """
    numbers = {value: number for number, value in enumerate(graph.values())}
    return {
        "name": graph.name,
        "inputs": [_value(value) for value in graph.inputs],
        "equations": [_equation(equation, numbers, store) for equation in graph.equations],
        "outputs": [numbers[value] for value in graph.outputs],
    }


def _value(value: Value) -> dict[str, Any]:
    return {"name": value.name, "type": str(value.type)}


def _equation(equation: Equation, numbers: dict[Value, int], store: ArraySink | None) -> dict[str, Any]:
    return {
        "op": equation.op.name,
        "operands": [numbers[value] for value in equation.operands],
        "attributes": {name: _constant(value, equation, store) for name, value in equation.attributes.items()},
        "outputs": [_value(value) for value in equation.outputs],
        "location": _location(equation.location),
    }


def _constant(value: Any, equation: Equation, store: ArraySink | None) -> Any:
    if isinstance(value, Graph):
        return document_of(value, store)
    if isinstance(value, CustomRule) and value.graph is not None:
        return {"rule": value.name, "graph": document_of(value.graph, store), "gives": list(value.gives)}
    if isinstance(value, BaseException):
        return {"error": error_as_json(value)}
    if isinstance(value, Literal) and store is not None and value.array.nbytes > STORED_BYTES:
        return {"array": store.put(value.array)}
    text = format_constant(value)
    if text.startswith("<"):
        place = "" if equation.location is None else f"{equation.location}: "
        raise FormatError(
            f"{place}{equation.op.name} holds a Python callable or object ({text}), which cannot be written down; "
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
    return graph_of(_field(document, "graph", dict))


def graph_of(document: Any, store: ArraySource | None = None, place: str = "graph") -> Graph:
    """The graph that `document_of` described.

    Args:
      store: where its large arrays are.
      place: what messages call it.

    Raises:
      FormatError: if it describes none.
    """
    return _read_graph(_dictionary(document, place), place, _Context(store, 0))


@dataclass(frozen=True, slots=True)
class _Context:
    """Where large arrays are, and how many graphs are around this one."""

    store: ArraySource | None
    depth: int

    def inside(self) -> _Context:
        """That of a graph within this one."""
        if self.depth >= _MAXIMUM_DEPTH:
            raise FormatError(f"graphs may be nested {_MAXIMUM_DEPTH} deep")
        return _Context(self.store, self.depth + 1)


def _field(found: Any, name: str, kind: type[T]) -> T:
    value = found.get(name)
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise FormatError(f"{name!r} must be a {kind.__name__}, not {type(value).__name__}")
    return value


def _read_graph(found: dict[str, Any], place: str, context: _Context) -> Graph:
    values: list[Value] = []
    with _at(place):
        name = _field(found, "name", str)
        inputs = _read_values(_field(found, "inputs", list), values)
        listed = _field(found, "equations", list)
    equations = []
    for number, one in enumerate(listed):
        with _at(f"{place}: equation {number}"):
            equations.append(_read_equation(_dictionary(one, "an equation"), values, context))
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


def _read_equation(found: dict[str, Any], values: list[Value], context: _Context) -> Equation:
    op = _read_op(_field(found, "op", str))
    operands = _uses(_field(found, "operands", list), values)
    attributes = _read_attributes(_field(found, "attributes", dict), op, context)
    outputs = _read_values(_field(found, "outputs", list), values)
    _check_types(op, operands, attributes, outputs)
    _check_rule(op, operands, attributes)
    return Equation(op, operands, attributes, outputs, _read_location(found.get("location")))


def _read_op(name: str) -> Op:
    try:
        return find_op(name)
    except GraphjitError as error:
        raise FormatError(error.message) from None


def _read_attributes(found: dict[str, Any], op: Op, context: _Context) -> dict[str, Any]:
    attributes = {}
    for name, value in found.items():
        with _at(f"{op.name}: attribute {name}"):
            attributes[name] = _read_constant(value, context)
    return attributes


def _read_constant(found: Any, context: _Context) -> Any:
    if isinstance(found, dict):
        return _read_large_constant(found, context)
    if not isinstance(found, str):
        raise FormatError(f"a constant must be a text or a graph, not {type(found).__name__}")
    return parse_constant(found, SPLAT_BYTES if context.store is None else STORED_BYTES)


def _read_large_constant(found: dict[str, Any], context: _Context) -> Any:
    if "array" in found:
        name = _field(found, "array", str)
        if context.store is None:
            raise FormatError(f"the array {name!r} is stored elsewhere")
        return Literal(context.store.get(name))
    if "error" in found:
        return error_of_json(found["error"])
    if "rule" in found:
        return _read_rule(found, context)
    return _read_graph(found, "graph", context.inside())


def _read_rule(found: dict[str, Any], context: _Context) -> CustomRule:
    graph = _read_graph(_field(found, "graph", dict), "graph", context.inside())
    gives = _field(found, "gives", list)
    fits = all(type(one) is int and 0 <= one < len(graph.inputs) for one in gives)
    if not fits or len(set(gives)) != len(gives) or len(gives) != len(graph.outputs):
        raise FormatError("a rule gives a cotangent for each of several positions")
    return written_rule(_field(found, "rule", str), graph, gives)


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


def _check_rule(op: Op, operands: Sequence[Value], attributes: dict[str, Any]) -> None:
    """A rule's graph takes the cotangents of the results and the arguments, and gives what fits the arguments."""
    if op is not custom_gradient_op:
        return
    rule, count = attributes["rule"], attributes["count"]
    if not isinstance(rule, CustomRule) or rule.graph is None or type(count) is not int or count < 0:
        raise FormatError("custom_gradient needs a count and a rule")
    wanted = [value.type for value in operands]
    inputs = [value.type for value in rule.graph.inputs]
    arguments = operands[count:]
    fits = len(wanted) == len(inputs) and all(one.accepts(other) for one, other in zip(inputs, wanted, strict=True))
    if not fits or any(position >= len(arguments) for position in rule.gives):
        raise FormatError(f"the rule {rule.name!r} does not fit its operation")


def _read_location(found: Any) -> Location | None:
    if found is None:
        return None
    kinds = (str, int, str, str)
    fits = isinstance(found, list) and len(found) == 4 and all(map(isinstance, found, kinds))
    if not fits:
        raise FormatError("a location is [file, line, function, text] or null")
    return Location(*found)
