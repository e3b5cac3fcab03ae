"""Tracing what a branch or a loop does, into a graph of its own.

Variables that are read there are captured, as they are at that point; those that are assigned become results, which
are assigned outside when the equation is written. So branches and loops change state as all else does: in a pure graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dispatch import Interpreter, current_interpreter, interpreting
from graphjit.compiler.graph import Graph, Value
from graphjit.compiler.op import Op
from graphjit.compiler.operand import Operand, as_array
from graphjit.compiler.ops.reading import read_variable_op
from graphjit.compiler.subgraph import SubgraphWriter
from graphjit.compiler.tensortype import DType, TensorType, as_dtype
from graphjit.compiler.writer import GraphWriter, Symbol
from graphjit.runtime.errors import DtypeError, TraceError

from .callnames import CallingWriter
from .state import State, StateInterpreter
from .tracing import leading_to


class InnerState:
    """A variable inside of a subtrace: `origin` is it as the graph around sees it, `latest` what it would hold now."""

    def __init__(self, variable: State, input: Value, origin: Value) -> None:
        self.variable = variable
        self.input = input
        self.origin = origin
        self.latest = input

    @property
    def is_changed(self) -> bool:
        """Whether it was assigned to."""
        return self.latest is not self.input


class OtherDtypeError(DtypeError):
    """A Python number turned out to be used with another dtype than it was traced with: `input` stands for it."""

    def __init__(self, input: Value, dtype: DType) -> None:
        super().__init__(f"a number is used with {dtype.name}")
        self.input = input
        self.dtype = dtype


class Subtrace(SubgraphWriter, CallingWriter):
    """Writes the graph of a branch or of a loop's part, where nobody knows of variables.

    `open_inputs` are inputs that stand for Python numbers, whose dtype is what they are used with.
    """

    def __init__(self, name: str, parent: Interpreter) -> None:
        super().__init__(name, parent)
        self.states: dict[int, InnerState] = {}
        self.open_inputs: set[Value] = set()

    def apply(self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
        try:
            return super().apply(op, operands, attributes)
        except DtypeError:
            self._reconsider([self.lift(operand).value for operand in operands])
            raise

    def dtypes_refused(self, values: tuple[Any, ...], error: Exception) -> Exception:
        numbers = [value for value in values if type(value) in (float, complex)]
        for value in values:
            behind = self._open_inputs_behind(value.value) if isinstance(value, Symbol) else []
            if behind and numbers and behind[0].type.dtype.is_integer:
                return OtherDtypeError(behind[0], as_dtype(as_array(numbers[0]).dtype))
        return error

    def _reconsider(self, values: Sequence[Value]) -> None:
        """Raise OtherDtypeError where operands of an op differ in dtype because of a Python number."""
        strong = [value.type.dtype for value in values if not self._open_inputs_behind(value)]
        for value in values:
            for one in self._open_inputs_behind(value):
                for dtype in strong:
                    if dtype is not value.type.dtype and promotes(one.type.dtype, dtype):
                        raise OtherDtypeError(one, dtype)

    def _open_inputs_behind(self, value: Value) -> list[Value]:
        """The open inputs that a value of their dtype is computed from."""
        found: list[Value] = []
        stack, seen = [value], {value}
        while stack and self.open_inputs:
            one = stack.pop()
            if one in self.open_inputs:
                found.append(one)
            producer = self._producers.get(one)
            operands = () if producer is None else producer.operands
            fresh = [each for each in operands if each.type.dtype is value.type.dtype and each not in seen]
            seen.update(fresh)
            stack.extend(fresh)
        return found


class StatefulSubtrace(Subtrace, StateInterpreter):
    """The same where variables are read and assigned."""

    parent: StateInterpreter

    def read_variable(self, variable: State) -> Operand:
        state = self.state(variable)
        location, name = self._place()
        operands = (state.latest, state.origin)
        return self.append(read_variable_op, operands, {}, (state.latest.type,), location, name)[0]

    def assign_variable(self, variable: State, value: Operand) -> None:
        self.state(variable).latest = self.lift(value).value

    def state(self, variable: State) -> InnerState:
        """What is known of a variable here; two inputs of the graph stand for it, which may turn out to be one."""
        found = self.states.get(id(variable))
        if found is None:
            type, name = self.parent.type_of_variable(variable), variable.name.removesuffix(":0")
            found = InnerState(variable, self.input(type, name).value, self.input(type, name).value)
            self.states[id(variable)] = found
        return found

    def type_of_variable(self, variable: State) -> TensorType:
        inner = self.states.get(id(variable))
        return self.parent.type_of_variable(variable) if inner is None else inner.latest.type

    def initial_array(self, value: Operand) -> np.ndarray[Any, Any]:
        if not isinstance(value, Symbol) or value.writer is not self:
            return self.parent.initial_array(value)
        equations = leading_to(value.value, self.equations)
        read_here = {value.value}.union(*(equation.operands for equation in equations))
        if any(one in read_here for one in self.inputs):
            raise TraceError(
                "a variable is created inside of a branch or loop from values that are computed outside of it; "
                "create it before the branch or loop"
            )
        (array,) = run_reference(Graph(self.name, (), equations, (value.value,)), [])
        return array

    def variable_created(self, variable: State) -> None:
        self.parent.variable_created(variable)


def promotes(number: DType, dtype: DType) -> bool:
    """Whether a Python number of one dtype can be one of another, as literals can: an int can be a float."""
    if number.is_bool or dtype.is_bool:
        return False
    return number.is_integer or not dtype.is_integer


def is_tracing() -> bool:
    """Whether ops are written down here, rather than computed."""
    return isinstance(current_interpreter(), GraphWriter)


def subtrace(name: str) -> Subtrace:
    """A writer for a graph inside of the one that is being written."""
    parent = current_interpreter()
    return StatefulSubtrace(name, parent) if isinstance(parent, StateInterpreter) else Subtrace(name, parent)


def write(writer: Subtrace, function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    """What a function returns whose ops are written into `writer`; nobody outside listens."""
    with interpreting(writer):
        return function(*arguments)


def states_of(writers: Sequence[Subtrace]) -> list[State]:
    """The variables that are read or assigned in any of the graphs."""
    found = {key: state.variable for writer in writers for key, state in writer.states.items()}
    return list(found.values())


def changed_in(writers: Sequence[Subtrace]) -> list[State]:
    """Those that are assigned in one of the graphs."""
    found = {key: state.variable for writer in writers for key, state in writer.states.items() if state.is_changed}
    return list(found.values())


def complete_states(writers: Sequence[Subtrace]) -> list[State]:
    """All variables that any of the graphs reads or assigns, now known to each of them."""
    variables = states_of(writers)
    for writer in writers:
        if isinstance(writer, StatefulSubtrace):
            for variable in variables:
                writer.state(variable)
    return variables


__all__: list[str] = []
