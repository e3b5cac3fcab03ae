"""What stands in for the Python function of a compiled function that was loaded: its graphs, run op by op.

In eager mode each op runs at once; while another function is traced, each is written there. Variables are read and
assigned as the function did, so that tapes see the same.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from graphjit.compiler.dispatch import apply_all, current_interpreter
from graphjit.compiler.graph import Equation, Value
from graphjit.compiler.operand import Operand, as_operand
from graphjit.compiler.ops.reading import read_variable_op
from graphjit.compiler.tensortype import TensorType
from graphjit.compiler.writer import GraphWriter, Symbol
from graphjit.runtime.errors import SignatureError

from ..cache import Entry
from ..pinned import pretty
from ..signature import (
    NumberSlot,
    Parameters,
    Slot,
    TensorSlot,
    ValueSlot,
    VariableSlot,
    described,
    value_key,
)
from ..state import State, StateInterpreter, assign, read
from ..structure import flatten
from ..tracing import (
    Argument,
    ArgumentVariable,
    Captured,
    CapturedArray,
    CapturedVariable,
    Number,
    Source,
    TracedFunction,
)
from .nesting import RecordKey, as_known


class LoadedParameters(Parameters):
    """The parameters of a loaded function; arguments of the user's classes are taken for the loaded ones."""

    known: Mapping[RecordKey, Any] = {}

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        bound = super().bind(args, kwargs)
        return as_known(bound, self.known) if self.known else bound


class Replay:
    """The graphs of one function, to be called as the function was."""

    def __init__(self, name: str, signature: inspect.Signature, doc: str | None) -> None:
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc
        self.__signature__ = signature
        self.entries: list[Entry] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the graph for arguments like these.

        Raises:
          SignatureError: if there is none; the message lists those that there are.
        """
        leaves, structure = flatten((args, kwargs))
        fitting = [one for one in self.entries if one.structure == structure and _fits(one, leaves)]
        if not fitting:
            raise self._no_trace(leaves)
        return _replayed(min(fitting, key=Entry.unknown_sizes).concrete.traced, leaves)

    def _no_trace(self, leaves: Sequence[Any]) -> SignatureError:
        name = self.__name__
        given = ", ".join(str(one.type) if isinstance(one, Operand) else described(one) for one in leaves)
        if not self.entries:
            return SignatureError(
                f"{name!r} was loaded from a file without any trace: it was never called before it was saved. "
                "Call it, or give it an input_signature, and save it again"
            )
        return SignatureError(
            f"{name!r} was loaded from a file, so it takes the arguments for which it was traced before it was saved, "
            f"not ({given}). There are:\n{pretty(name, self.entries, False)}"
        )

    def __repr__(self) -> str:
        return f"<graphs of {self.__name__}>"


def _fits(entry: Entry, leaves: Sequence[Any]) -> bool:
    pairs = enumerate(zip(entry.slots, leaves, strict=True))
    if not all(_slot_takes(slot, leaf, leaves) for _, (slot, leaf) in pairs):
        return False
    for position, tie in entry.ties:
        leaf = leaves[position]
        if (leaf is not tie) if tie is not None else id(leaf) in entry.reached:
            return False
    # A graph holds what was worked out of the shapes for which it was traced: it serves no other ones.
    traced = entry.concrete.traced
    held = zip(traced.sources, traced.graph.inputs, strict=True)
    return all(value.type == _type_now(one.variable) for one, value in held if isinstance(one, CapturedVariable))


def _type_now(variable: State) -> TensorType:
    interpreter = current_interpreter()
    return interpreter.type_of_variable(variable) if isinstance(interpreter, StateInterpreter) else variable.type


def _slot_takes(slot: Slot, leaf: Any, leaves: Sequence[Any]) -> bool:
    match slot:
        case TensorSlot(type):
            return isinstance(leaf, Operand) and type.accepts(leaf.type)
        case VariableSlot(type, trainable, alias):
            is_like = isinstance(leaf, State) and leaf.type == type and leaf.trainable == trainable
            return is_like and leaves[alias] is leaf
        case NumberSlot(kind):
            return isinstance(leaf, kind)
        case ValueSlot(key):
            return value_key(leaf) == key
    return False


class _Variable:
    """A variable during a run: what it holds is what `latest` stands for."""

    def __init__(self, state: State, latest: Value) -> None:
        self.state = state
        self.latest = latest


class _Run:
    """One run through the equations of a trace."""

    def __init__(self, traced: TracedFunction, leaves: Sequence[Any]) -> None:
        self.traced = traced
        self.known: dict[Value, Any] = {}
        self.variables: dict[Value, _Variable] = {}
        for value, source in zip(traced.graph.inputs, traced.sources, strict=True):
            if isinstance(source, CapturedVariable | ArgumentVariable):
                self.variables[value] = _Variable(_variable_of(source, leaves), value)
            else:
                self.known[value] = _operand_of(source, leaves)
        self._read_directly()

    def _read_directly(self) -> None:
        """Read, before anything is assigned, the variables whose value is used without a read of its own."""
        graph = self.traced.graph
        used = {one for equation in graph.equations if equation.op is not read_variable_op for one in equation.operands}
        used.update(graph.outputs)
        for value, variable in self.variables.items():
            if value in used:
                self.known[value] = read(variable.state)

    def equation(self, equation: Equation) -> None:
        """Run one equation, or write it."""
        if equation.op is read_variable_op and equation.operands[1] in self.variables:
            variable = self.variables[equation.operands[1]]
            self.settle(variable, equation.operands[0])
            self.known[equation.outputs[0]] = read(variable.state)
            return
        operands = tuple(self.known[value] for value in equation.operands)
        outputs = apply_all(equation.op, operands, equation.attributes)
        for value, output in zip(equation.outputs, outputs, strict=True):
            if isinstance(output, Symbol) and value.name and not output.value.name:
                output.value.name = value.name
            self.known[value] = output

    def settle(self, variable: _Variable, value: Value) -> None:
        """Let a variable hold what a value of the graph stands for."""
        if variable.latest is not value:
            assign(variable.state, self.known[value], self.known[value])
            variable.latest = value

    def finish(self) -> Any:
        """Give variables their last values; the results."""
        graph, results = self.traced.graph, self.traced.results
        for index, value in zip(self.traced.updates, graph.outputs[results.count :], strict=True):
            self.settle(self.variables[graph.inputs[index]], value)
        return results.put_together([self.known[value] for value in graph.outputs[: results.count]])


def _used_directly(equation: Equation) -> tuple[Value, ...]:
    """The operands whose values count: all, but for the variable that a read is of."""
    if equation.op is not read_variable_op:
        return equation.operands
    latest, variable = equation.operands
    return () if latest is variable else (latest,)


def _replayed(traced: TracedFunction, leaves: Sequence[Any]) -> Any:
    run = _Run(traced, leaves)
    interpreter = current_interpreter()
    if not isinstance(interpreter, GraphWriter):
        for equation in traced.graph.equations:
            run.equation(equation)
        return run.finish()
    before = interpreter.location
    try:
        for equation in traced.graph.equations:
            interpreter.location = equation.location
            run.equation(equation)
        return run.finish()
    finally:
        interpreter.location = before


def _variable_of(source: CapturedVariable | ArgumentVariable, leaves: Sequence[Any]) -> State:
    if isinstance(source, CapturedVariable):
        return source.variable
    variable: State = leaves[source.position]
    return variable


def _operand_of(source: Source, leaves: Sequence[Any]) -> Any:
    match source:
        case Argument(position):
            return leaves[position]
        case Number(position, dtype):
            return as_operand(leaves[position], dtype)
        case Captured(tensor):
            return tensor
        case CapturedArray(array):
            return as_operand(array)
    raise AssertionError(source)


__all__: list[str] = []
