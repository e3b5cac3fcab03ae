"""Reading the text form of a graph, whoever wrote it: what does not fit is a FormatError with its place."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from typing import Any, TypeVar

from graphjit.runtime.errors import FormatError, GraphjitError

from ..arity import takes
from ..graph import Equation, Graph, Value
from ..op import Op, find_op
from ..tensortype import BY_SHORT_NAME, DType, TensorType
from .arrays import read_literal
from .notation import SPLAT_BYTES
from .tokens import Token, Tokens

RESERVED = frozenset({"return", "true", "false", "none", "inf", "nan", "dense"})
"""Words that name no graph unless they are quoted."""

T = TypeVar("T")

_MAXIMUM_RANK = 64
_WORDS = {"true": True, "false": False, "none": None}

INFERENCE_ERRORS = (GraphjitError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError)
"""What inference may raise on attributes of the wrong kinds: it is written for right ones."""


def parse_graph(text: str) -> Graph:
    """The graph that a text describes (see `text` for the form).

    Types of results may be left out; those that are given must fit what the op infers.

    Raises:
      FormatError: with line and column, where the text does not describe a graph.

    >>> print(parse_graph("f(%a: f32[3]) { %b = exp(%a) return %b }"))
    f(%a: f32[3]) {
      %b: f32[3] = exp(%a)
      return %b
    }
    """
    if not isinstance(text, str):
        raise FormatError(f"a graph is read from a str, not from {type(text).__name__}")
    return _whole(text, _graph)


def parse_type(text: str) -> TensorType:
    """The type that a text such as "f32[2,?]" describes.

    Raises:
      FormatError: if it describes none.
    """
    return _whole(text, _type)


def parse_constant(text: str, splat_bytes: int = SPLAT_BYTES) -> Any:
    """The attribute constant that a text describes (see `notation`).

    Args:
      splat_bytes: how many bytes an array may have that is given by one element.

    Raises:
      FormatError: if it describes none.

    >>> parse_constant("(1, -0.0, true)")
    (1, -0.0, True)
    """
    return _whole(text, _constant, splat_bytes)


def _whole(text: str, read: Callable[[Tokens], T], splat_bytes: int = SPLAT_BYTES) -> T:
    tokens = Tokens(text, splat_bytes)
    result = read(tokens)
    if tokens.current.kind != "end":
        tokens.fail(f"nothing may follow, but {tokens.current.text!r} does")
    return result


# --- graphs


def _graph(tokens: Tokens) -> Graph:
    is_quoted = tokens.current.kind == "string"
    name = _string(tokens) if is_quoted else tokens.take_kind("word", "a graph's name").text
    return tokens.deeper(_Body(tokens, name).read)


class _Body:
    """One graph after its name: its own scope of values."""

    def __init__(self, tokens: Tokens, name: str) -> None:
        self._tokens = tokens
        self._name = name
        self._scope: dict[str, Value] = {}

    def read(self) -> Graph:
        """The graph."""
        tokens = self._tokens
        tokens.expect("(")
        inputs = tokens.sequence(self._input, ")")
        tokens.expect("{")
        equations = []
        while not tokens.accept("return"):
            equations.append(self._equation())
        outputs = tokens.sequence(self._use, "}")
        return Graph(self._name, tuple(inputs), tuple(equations), tuple(outputs))

    def _input(self) -> Value:
        token = self._tokens.take_kind("value", "an input such as %x: f32[2]")
        self._tokens.expect(":")
        return self._define(token, _type(self._tokens))

    def _define(self, token: Token, its_type: TensorType) -> Value:
        name = token.text[1:]
        if name in self._scope:
            self._tokens.fail(f"{token.text} is defined twice", token)
        self._scope[name] = Value(its_type, "" if name.isdigit() else name)
        return self._scope[name]

    def _use(self) -> Value:
        token = self._tokens.take_kind("value", "a value such as %x")
        value = self._scope.get(token.text[1:])
        if value is None:
            self._tokens.fail(f"{token.text} is not defined before it is used", token)
        return value

    def _equation(self) -> Equation:
        tokens = self._tokens
        results = self._results()
        place = tokens.take_kind("word", "an op's name, `return` or a result such as %y: f32[2]")
        op = _op(tokens, place)
        tokens.expect("(")
        operands = tuple(tokens.sequence(self._use, ")"))
        attributes = _attributes(tokens)
        types = _inferred(tokens, op, operands, attributes, place)
        return Equation(op, operands, attributes, self._outputs(results, types, place))

    def _results(self) -> list[tuple[Token, TensorType | None]]:
        tokens = self._tokens
        results: list[tuple[Token, TensorType | None]] = []
        while tokens.current.kind == "value":
            token = tokens.take()
            results.append((token, _type(tokens) if tokens.accept(":") else None))
            if not tokens.accept(","):
                break
        if results:
            tokens.expect("=")
        return results

    def _outputs(
        self, results: list[tuple[Token, TensorType | None]], types: tuple[TensorType, ...], place: Token
    ) -> tuple[Value, ...]:
        if len(results) != len(types):
            self._tokens.fail(f"{place.text} has {len(types)} results, but {len(results)} are named", place)
        outputs = []
        for (token, given), inferred in zip(results, types, strict=True):
            if given is not None and not inferred.accepts(given):
                self._tokens.fail(f"{token.text} is given as {given}, but {place.text} makes {inferred}", token)
            outputs.append(self._define(token, inferred if given is None else given))
        return tuple(outputs)


def _op(tokens: Tokens, token: Token) -> Op:
    try:
        return find_op(token.text)
    except GraphjitError as error:
        tokens.fail(error.message, token)


def _inferred(
    tokens: Tokens, op: Op, operands: tuple[Value, ...], attributes: dict[str, Any], place: Token
) -> tuple[TensorType, ...]:
    if not takes(op, len(operands)):
        tokens.fail(f"{op.name} does not take {len(operands)} operands", place)
    try:
        return op.infer_types(tuple(value.type for value in operands), attributes)
    except INFERENCE_ERRORS as error:
        tokens.fail(f"{op.name} does not take these operands and attributes: {said_by(error)}", place)


def said_by(error: Exception) -> str:
    """What an error says, without the user's line."""
    return error.message if isinstance(error, GraphjitError) else str(error)


# --- types and constants


def _type(tokens: Tokens) -> TensorType:
    dtype = _dtype(tokens, tokens.take_kind("word", "a type such as f32[2,3]"))
    tokens.expect("[")
    return _shaped(tokens, dtype)


def _shaped(tokens: Tokens, dtype: DType) -> TensorType:
    sizes = tokens.sequence(lambda: _size(tokens), "]")
    if len(sizes) > _MAXIMUM_RANK:
        tokens.fail(f"a type has at most {_MAXIMUM_RANK} axes")
    return TensorType(dtype, tuple(sizes))


def _size(tokens: Tokens) -> int | None:
    if tokens.accept("?"):
        return None
    token = tokens.take_kind("number", "a size")
    if not token.text.isdecimal() or len(token.text) > 18:
        tokens.fail(f"{token.text} is no size", token)
    return int(token.text)


def _dtype(tokens: Tokens, token: Token) -> DType:
    dtype = BY_SHORT_NAME.get(token.text)
    if dtype is None:
        tokens.fail(f"{token.text!r} is no dtype; there are {', '.join(BY_SHORT_NAME)}", token)
    return dtype


def _attributes(tokens: Tokens) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def attribute() -> None:
        name = tokens.take_kind("word", "an attribute's name")
        if name.text in found:
            tokens.fail(f"the attribute {name.text} is given twice", name)
        tokens.expect("=")
        found[name.text] = _constant(tokens)

    if tokens.accept("{"):
        tokens.sequence(attribute, "}")
    return found


def _constant(tokens: Tokens) -> Any:
    kind = tokens.current.kind
    if kind == "number":
        return _number(tokens)
    if kind in ("string", "word"):
        return _word_string_or_graph(tokens)
    if tokens.accept("("):
        return tuple(tokens.deeper(lambda: tokens.sequence(lambda: _constant(tokens), ")")))
    if tokens.at("<"):
        tokens.fail("a Python callable or object stands here, which a text cannot bring back")
    tokens.fail(f"a constant was expected, but {tokens.current.text!r} came")


def _word_string_or_graph(tokens: Tokens) -> Any:
    """A graph begins with its name, which is a word or a string, and an opening bracket."""
    token = tokens.take()
    is_graph = tokens.at("(")
    tokens.give_back(token)
    if is_graph:
        return _graph(tokens)
    return _string(tokens) if token.kind == "string" else _word(tokens)


def _word(tokens: Tokens) -> Any:
    token = tokens.take()
    if token.text in _WORDS:
        return _WORDS[token.text]
    if token.text == "dense":
        return _dense(tokens)
    dtype = _dtype(tokens, token)
    return _shaped(tokens, dtype) if tokens.accept("[") else dtype


def _dense(tokens: Tokens) -> Any:
    tokens.expect("<")
    its_type = _type(tokens)
    if not its_type.is_static:
        tokens.fail(f"an array's type must be known in full, not {its_type}")
    tokens.expect(":")
    literal = read_literal(tokens, its_type)
    tokens.expect(">")
    return literal


def _string(tokens: Tokens) -> str:
    token = tokens.take()
    try:
        text: str = json.loads(token.text)
    except ValueError:
        tokens.fail(f"{token.text} is not a well-formed string", token)
    return text


def _number(tokens: Tokens) -> int | float:
    token = tokens.take_kind("number", "a number")
    text = token.text
    if text.startswith("0x"):
        return _float_of_bits(tokens, token)
    if "x" in text:
        tokens.fail("a float's bits have no sign", token)
    return int(text) if text.lstrip("-").isdecimal() else float(text)


def _float_of_bits(tokens: Tokens, token: Token) -> float:
    if len(token.text) != 18:
        tokens.fail("a float's bits are 16 hexadecimal digits", token)
    found: float = struct.unpack("<d", int(token.text, 16).to_bytes(8, "little"))[0]
    return found
