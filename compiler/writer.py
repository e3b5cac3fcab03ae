"""Writing graphs: symbols stand for values, and interpreting an op appends an equation.

Gradient rules, passes and the tracer all write graphs through `GraphWriter`;
what a trace adds on top (captures, variables, guards) is the tracer's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import GraphjitError, ScopeError, TraceError
from graphjit.runtime.fields import replace

from .dispatch import Interpreter, current_interpreter, interpreting
from .graph import Equation, Graph, Literal, Location, Value
from .holders import describe_holder
from .location import add_location, describe, user_location, user_location_and_name
from .op import Kind, Op, find_op
from .operand import Operand
from .reference import Reference
from .tensortype import TensorType

truth_advice: list[Callable[[], str]] = []
"""Says why Python asks for the truth value of a symbol, and what to do: this layer does not know of control flow."""


class Symbol(Operand):
    """A value of a graph that is being written."""

    __slots__ = ("location", "value", "writer")

    def __init__(self, value: Value, writer: GraphWriter, location: Location | None = None) -> None:
        self.value = value
        self.writer = writer
        self.location = location

    @property
    def type(self) -> TensorType:
        return self.value.type

    @property
    def name(self) -> str:
        """The user's name for it, where one is known."""
        return self.value.name

    def ref(self) -> Reference:
        """A hashable stand-in for the value itself."""
        return Reference(self, self.value)

    def as_weak(self) -> WeakSymbol:
        """The same value, standing for a Python number."""
        return WeakSymbol(self.value, self.writer, self.location)

    def __repr__(self) -> str:
        return f"<gj.Symbol %{self.value.name or '?'}: shape={self.shape}, dtype={self.dtype.name}>"

    def _needs_value(self, what: str) -> TraceError:
        made = f" It was made at {describe(self.location)}." if self.location else ""
        error = TraceError(
            f"{what} needs the numbers of a traced value {self!r}, which exist only when the compiled "
            f"function runs.{made} Use ops instead (gj.where chooses element by element), or run it in eager mode"
        )
        add_location(error, user_location())
        return error

    def __bool__(self) -> bool:
        error = self._needs_value("bool()")
        advice = [one for one in (give() for give in truth_advice) if one]
        error.args = (". ".join([error.message, *advice]),)
        raise error

    def __float__(self) -> float:
        raise self._needs_value("float()")

    def __int__(self) -> int:
        raise self._needs_value("int()")

    def __complex__(self) -> complex:
        raise self._needs_value("complex()")

    def __index__(self) -> int:
        raise self._needs_value("an index or a size")

    def __array__(self, *arguments: Any, **keywords: Any) -> Any:
        raise self._needs_value("np.asarray()")

    def __dlpack__(self, **keywords: Any) -> Any:
        raise self._needs_value("DLPack")

    def numpy(self) -> Any:
        """Refused: a symbol has no numbers."""
        raise self._needs_value(".numpy()")

    def __reduce__(self) -> Any:
        raise self._needs_value("pickling")


class WeakSymbol(Symbol):
    """A value that a Python number became because it is only known when the graph runs: it takes any fitting dtype."""

    __slots__ = ()

    is_weak = True


class GraphWriter(Interpreter):
    """Appends an equation for every op.

    `environment` gives symbols of this writer for values of the graph that is being rewritten, so
    that closures over symbols of that graph (custom gradients) find their counterparts.
    `watched` are values that somebody differentiates by, constants perhaps.
    """

    def __init__(
        self,
        name: str = "graph",
        environment: Mapping[Value, Symbol] | None = None,
        locate: bool = True,
    ) -> None:
        self.name = name
        self.inputs: list[Value] = []
        self.equations: list[Equation] = []
        self.environment: dict[Value, Symbol] = dict(environment or {})
        self.location: Location | None = None
        self.closed = False
        self.watched: set[Value] = set()
        self._locate = locate
        self._producers: dict[Value, Equation] = {}

    def input(self, type: TensorType, name: str = "") -> Symbol:
        """A new input of the graph."""
        value = Value(type, name)
        self.inputs.append(value)
        return Symbol(value, self, self.location)

    def symbol(self, value: Value) -> Symbol:
        """The symbol of a value that is defined in this graph, or mapped into it."""
        return self.environment.get(value) or Symbol(value, self)

    def constant(self, array: np.ndarray[Any, Any]) -> Operand:
        literal = Literal(array)
        # Without a name: the user's variable gets the result that the constant is used for.
        (symbol,) = self.append(find_op("constant"), (), {"value": literal}, (literal.type,), self._place()[0])
        return symbol

    def static_value(self, operand: Operand) -> np.ndarray[Any, Any] | None:
        """The elements of a symbol that a `constant` equation made, else None."""
        if not isinstance(operand, Symbol):
            return None
        equation = self._producers.get(operand.value)
        if equation is None or equation.op.name != "constant":
            return None
        literal: Literal = equation.attributes["value"]
        return literal.array

    def apply(self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
        values = tuple(self.lift(operand).value for operand in operands)
        location, name = self._place()
        try:
            types = op.infer_types(tuple(value.type for value in values), attributes)
        except GraphjitError as error:
            add_location(error, location)
            raise
        outputs = self.append(op, values, attributes, types, location, name)
        if operands and operands[0].is_weak and _gives_number(op, operands, attributes):
            return tuple(one.as_weak() for one in outputs)
        return outputs

    def append(
        self,
        op: Op,
        operands: tuple[Value, ...],
        attributes: Mapping[str, Any],
        types: Sequence[TensorType],
        location: Location | None,
        name: str = "",
    ) -> tuple[Symbol, ...]:
        """Write one equation whose output types are known."""
        outputs = tuple(Value(type, name) for type in types)
        equation = Equation(op, operands, dict(attributes), outputs, location)
        self.equations.append(equation)
        for value in outputs:
            self._producers[value] = equation
        return tuple(Symbol(value, self, location) for value in outputs)

    def extend(self, value: Value, attributes: Mapping[str, Any], types: Sequence[TensorType], place: int) -> Equation:
        """Let the equation that makes `value` have other attributes, and more outputs, from number `place` on.

        Its former outputs are what they were.
        """
        old = self._producers[value]
        more = tuple(Value(type) for type in types)
        new = replace(old, attributes=dict(attributes), outputs=(*old.outputs[:place], *more, *old.outputs[place:]))
        self.equations[self.equations.index(old)] = new
        self._producers.update(dict.fromkeys(new.outputs, new))
        return new

    def producer_of(self, value: Value) -> Equation | None:
        """The equation that makes a value here."""
        return self._producers.get(value)

    def _place(self) -> tuple[Location | None, str]:
        if self.location is not None or not self._locate:
            return self.location, ""
        return user_location_and_name()

    def lift(self, operand: Operand) -> Symbol:
        """The symbol in this graph that stands for `operand`."""
        if isinstance(operand, Symbol):
            if operand.writer is self and not self.closed:
                return operand
            mapped = self.environment.get(operand.value)
            if mapped is not None:
                return mapped
            raise leaked(operand)
        return self.lift_concrete(operand)

    def resolved(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        if not self.environment:
            return operands
        return tuple(self._counterpart(operand) for operand in operands)

    def _counterpart(self, operand: Any) -> Any:
        if isinstance(operand, Symbol) and operand.writer is not self:
            return self.environment.get(operand.value, operand)
        return operand

    def lift_concrete(self, operand: Operand) -> Symbol:
        """The symbol that stands for an operand with numbers: here a constant; a trace captures it."""
        array: np.ndarray[Any, Any] = operand.numpy()  # type: ignore[attr-defined]  # concrete operands have it
        symbol = self.constant(array)
        assert isinstance(symbol, Symbol)
        return symbol

    def finish(self, outputs: Sequence[Operand]) -> Graph:
        """The graph that was written."""
        values = tuple(self.lift(output).value for output in outputs)
        return Graph(self.name, tuple(self.inputs), tuple(self.equations), values)


def _gives_number(op: Op, operands: Sequence[Operand], attributes: Mapping[str, Any]) -> bool:
    """Whether Python would compute a number here: from numbers only, and without a dtype that was asked for."""
    return op.kind is Kind.ELEMENTWISE and "dtype" not in attributes and all(one.is_weak for one in operands)


def leaked(symbol: Symbol) -> ScopeError:
    """The error for a symbol that is used outside of the trace that made it."""
    holder = describe_holder(symbol)
    error = ScopeError(
        f"{symbol!r} was traced inside {symbol.writer.name!r} and is used outside of that trace. "
        f"It was made at {describe(symbol.location)}{f', and is held by {holder}' if holder else ''}. "
        "Return it from the function, or keep state in a gj.Variable"
    )
    add_location(error, user_location())
    return error


def write_graph(name: str, types: Sequence[TensorType], body: Callable[..., Operand | Sequence[Operand]]) -> Graph:
    """The graph of `body`, called with one symbol for each type.

    >>> from graphjit.compiler.tensortype import TensorType, float32
    >>> import graphjit as gj
    >>> print(write_graph("twice", [TensorType(float32, (2,))], lambda x: gj.add(x, x)))
    twice(%0: f32[2]) {
      %1: f32[2] = add(%0, %0)
      return %1
    }
    """
    writer = GraphWriter(name, locate=False)
    symbols = [writer.input(type) for type in types]
    with interpreting(writer):
        results = body(*symbols)
        outputs = [results] if isinstance(results, Operand) else list(results)
        return writer.finish(outputs)


def static_value(operand: Operand) -> np.ndarray[Any, Any] | None:
    """The elements of an operand, where they are known now: of a tensor, or of a constant in a graph."""
    if not isinstance(operand, Symbol):
        array: np.ndarray[Any, Any] = operand.numpy()  # type: ignore[attr-defined]  # concrete operands have it
        return array
    interpreter = current_interpreter()
    return interpreter.static_value(operand) if isinstance(interpreter, GraphWriter) else None


def replay(graph: Graph, operands: Sequence[Operand], writer: GraphWriter) -> list[Symbol]:
    """Write the equations of `graph` into `writer`, with `operands` as its inputs; its outputs.

    Types are inferred again, so operands may be better known than the graph's inputs were.
    Recorders see every equation.
    """
    from .dispatch import apply_all

    for value, operand in zip(graph.inputs, operands, strict=True):
        writer.environment[value] = writer.lift(operand)
    before = writer.location
    for equation in graph.equations:
        writer.location = equation.location
        symbols = tuple(writer.environment[value] for value in equation.operands)
        outputs = apply_all(equation.op, symbols, equation.attributes)
        for value, output in zip(equation.outputs, outputs, strict=True):
            assert isinstance(output, Symbol)
            if value.name and not output.value.name:
                output.value.name = value.name
            writer.environment[value] = output
    writer.location = before
    return [writer.environment[value] for value in graph.outputs]


def interpret(graph: Graph, operands: Sequence[Operand]) -> list[Any]:
    """The outputs of a graph whose equations go to the interpreter in charge, one after the other."""
    from .dispatch import apply_all

    interpreter = current_interpreter()
    if isinstance(interpreter, GraphWriter):
        return list(replay(graph, operands, interpreter))
    known: dict[Value, Any] = dict(zip(graph.inputs, operands, strict=True))
    for equation in graph.equations:
        found = apply_all(equation.op, tuple(known[value] for value in equation.operands), equation.attributes)
        known.update(zip(equation.outputs, found, strict=True))
    return [known[value] for value in graph.outputs]
