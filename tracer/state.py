"""Values that change: how variables are read and assigned, whoever interprets.

An interpreter that knows of variables is a `StateInterpreter`. Eager mode reads and replaces the
variable's array; a trace adds an input at the first read and replaces the latest value at an assignment.
"""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np

from graphjit.compiler.dispatch import Interpreter, current_scope, tell_recorders
from graphjit.compiler.op import Differentiability, Kind, Op
from graphjit.compiler.operand import PUBLIC, Operand, ReadsAsOperand
from graphjit.compiler.ops.reading import read_variable_op
from graphjit.compiler.tensortype import TensorType
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import TraceError


class State(ReadsAsOperand):
    """Something that holds an array which is replaced by another one, never written into.

    `array` is what is held now. Whoever replaces it hands over an array that nobody writes into
    from then on, so that everything that was read before keeps its numbers.
    """

    # A slot, so that native code finds it.
    __slots__ = ("array",)

    array: np.ndarray[Any, Any]
    trainable: bool
    name: str

    @property
    @abstractmethod
    def type(self) -> TensorType:
        """dtype and shape of what is held now."""


def replace_all(states: Iterable[State], arrays: Iterable[np.ndarray[Any, Any]]) -> None:
    """Let each state hold another array: all of them, or none, whoever interrupts."""
    # no step of the interpreter lies between two assignments, so no signal's exception does
    deque(map(setattr, states, repeat("array"), arrays), maxlen=0)


class StateInterpreter(Interpreter):
    """An interpreter that knows of variables."""

    @abstractmethod
    def read_variable(self, variable: State) -> Operand:
        """The variable's latest value, as a new operand for each read.

        A trace writes `read_variable_op` with two operands: the latest value, and the graph input that
        stands for the variable. Recorders are told by `read`, not by this method.
        """

    @abstractmethod
    def assign_variable(self, variable: State, value: Operand) -> None:
        """From now on reads give `value`; its dtype and shape were checked."""

    def type_of_variable(self, variable: State) -> TensorType:
        """The type of what the variable would hold now."""
        return variable.type

    def initial_array(self, value: Operand) -> np.ndarray[Any, Any]:
        """The elements of an operand with which a variable that is created now starts.

        Raises:
          TraceError: if they are only known when the graph runs.
        """
        if isinstance(value, Symbol):
            raise TraceError(
                f"a variable is created from {value!r}, whose numbers exist only when the compiled function runs; "
                "create it outside of the function, or from numbers"
            )
        array: np.ndarray[Any, Any] = value._array  # type: ignore[attr-defined]  # operands that are no symbols are tensors
        return array

    def variable_created(self, variable: State) -> None:
        """Called when a variable was created while this interpreter is in charge; it may refuse that."""


class _StandIns(NamedTuple):
    """What some variables, by their `id`, are read as."""

    operands: Mapping[int, Operand]
    everywhere: frozenset[int]


_stand_ins: ContextVar[_StandIns] = ContextVar("graphjit_stand_ins")
_NOBODY = _StandIns({}, frozenset())


@contextmanager
def standing_in(pairs: Iterable[tuple[State, Operand]], everywhere: bool = False) -> Iterator[None]:
    """Let variables be read as these operands: where a graph is rewritten, or everywhere."""
    before = _stand_ins.get(_NOBODY)
    operands = {id(variable): operand for variable, operand in pairs}
    always = before.everywhere | operands.keys() if everywhere else before.everywhere - operands.keys()
    token = _stand_ins.set(_StandIns({**before.operands, **operands}, frozenset(always)))
    try:
        yield
    finally:
        _stand_ins.reset(token)


def read(variable: State) -> Operand:
    """What the variable holds now, as a new value to differentiate by; tapes are told."""
    scope = current_scope()
    interpreter = scope.interpreter
    if not isinstance(interpreter, StateInterpreter) or id(variable) in _stand_ins.get(_NOBODY).everywhere:
        return _stand_in(variable)
    value = interpreter.read_variable(variable)
    if scope.recorders:
        tell_recorders(scope, read_variable_op, (variable, variable), {}, (value,))
    return value


def created(variable: State) -> None:
    """Tell the interpreter in charge that the variable was created now."""
    interpreter = current_scope().interpreter
    if isinstance(interpreter, StateInterpreter):
        interpreter.variable_created(variable)


def _stand_in(variable: State) -> Operand:
    """What is read for a variable while a graph is rewritten."""
    found = _stand_ins.get(_NOBODY).operands.get(id(variable))
    if found is None:
        raise TraceError(
            f"the gradient function of a custom gradient reads {variable.name!r}, which the differentiated function "
            "did not read; read it there, or hand it over as an argument"
        )
    operand: Operand = PUBLIC["identity"](found)
    return operand


def _no_types(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    return ()


def _not_run(*arrays: Any) -> Any:
    raise AssertionError("an assignment is told to recorders, it is not run as an op")


ASSIGNMENT = Op(name="assign", kind=Kind.CALL, infer=_no_types, numpy=_not_run, gradient=Differentiability.NONE)
"""As what recorders see `variable.assign(value)`: operands (value,), outputs (variable,)."""


def assign(variable: State, value: Operand, cause: Operand) -> None:
    """Let the variable hold `value`; recorders are told that `cause` was assigned.

    Raises:
      TraceError: where a graph is rewritten, which must not change state.
    """
    scope = current_scope()
    interpreter = scope.interpreter
    if not isinstance(interpreter, StateInterpreter):
        raise TraceError(f"the gradient function of a custom gradient cannot assign to {variable.name!r}")
    interpreter.assign_variable(variable, value)
    if scope.recorders:
        tell_recorders(scope, ASSIGNMENT, (cause,), {}, (variable,))
