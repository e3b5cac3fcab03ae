"""Who interprets an op right now: eager mode, a trace, a shape check.

One context variable says it, so that threads and async tasks do not see each
other's trace. Recorders (gradient tapes) see every op after it was interpreted,
whoever the interpreter is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from graphjit.runtime.fields import dataclass

if TYPE_CHECKING:
    from .op import Op
    from .operand import Operand


class Interpreter(ABC):
    """Gives ops their meaning: computes them, writes them down, or only checks them."""

    @abstractmethod
    def apply(self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
        """The outputs of `op`."""

    @abstractmethod
    def constant(self, array: np.ndarray[Any, Any]) -> Operand:
        """An operand with these elements. The array is not changed by anybody afterwards."""

    def adopt_array(self, array: np.ndarray[Any, Any], converted: np.ndarray[Any, Any]) -> Operand:
        """An operand for an array of the user's; `converted` is a copy of it with the wanted dtype."""
        return self.constant(converted)

    def dtypes_refused(self, values: tuple[Any, ...], error: Exception) -> Exception:
        """The error to raise where values do not become operands of one dtype."""
        return error

    def resolved(self, operands: tuple[Any, ...]) -> tuple[Any, ...]:
        """The operands as recorders know them, where a closure brought those of another graph."""
        return operands


class Recorder(Protocol):
    """Is told of every op after it was interpreted."""

    def record(
        self,
        op: Op,
        operands: tuple[Any, ...],
        attributes: Mapping[str, Any],
        outputs: tuple[Any, ...],
    ) -> object: ...


@dataclass(frozen=True, slots=True)
class Scope:
    """The interpreter in charge, and who listens."""

    interpreter: Interpreter
    recorders: tuple[Recorder, ...] = ()


scope_variable: ContextVar[Scope] = ContextVar("graphjit_scope")
"""Holds nothing, or `usual_scope()`, where ops are computed at once and nobody listens."""
_default: list[Scope] = []


def set_default_interpreter(interpreter: Interpreter) -> None:
    """Whom ops go to where no other interpreter was put in charge."""
    _default[:] = [Scope(interpreter)]


def usual_scope() -> Scope:
    """The scope where no other interpreter was put in charge, and nobody listens."""
    return _default[0]


def _scope_with(interpreter: Interpreter, recorders: tuple[Recorder, ...]) -> Scope:
    if not recorders and _default and interpreter is _default[0].interpreter:
        return _default[0]
    return Scope(interpreter, recorders)


def current_scope() -> Scope:
    """The scope of this thread or task."""
    return scope_variable.get(None) or _default[0]


def is_plain() -> bool:
    """Whether ops are computed at once and nobody listens: what a call needs to know that may take a short cut."""
    scope = scope_variable.get(None)
    return scope is None or scope is _default[0]


def current_interpreter() -> Interpreter:
    """The interpreter in charge in this thread or task."""
    return current_scope().interpreter


@contextmanager
def interpreting(interpreter: Interpreter, recorders: tuple[Recorder, ...] = ()) -> Iterator[None]:
    """Put `interpreter` in charge, with these recorders only."""
    token = scope_variable.set(_scope_with(interpreter, recorders))
    try:
        yield
    finally:
        scope_variable.reset(token)


@contextmanager
def not_recording() -> Iterator[None]:
    """Hide what happens inside from every recorder."""
    with interpreting(current_interpreter()):
        yield


def add_recorder(recorder: Recorder) -> None:
    """Let `recorder` listen in this thread or task."""
    scope = current_scope()
    scope_variable.set(Scope(scope.interpreter, (*scope.recorders, recorder)))


def remove_recorder(recorder: Recorder) -> None:
    """Undo `add_recorder`."""
    scope = current_scope()
    kept = tuple(one for one in scope.recorders if one is not recorder)
    scope_variable.set(_scope_with(scope.interpreter, kept))


@contextmanager
def recording_by(recorder: Recorder) -> Iterator[None]:
    """Let `recorder` listen to what happens inside."""
    add_recorder(recorder)
    try:
        yield
    finally:
        remove_recorder(recorder)


def apply(op: Op, *operands: Operand, **attributes: Any) -> Any:
    """Interpret `op`; its output, or a tuple of them where it has several."""
    outputs = apply_all(op, operands, attributes)
    return outputs if op.several else outputs[0]


def apply_all(op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
    """Interpret `op`; its outputs."""
    scope = scope_variable.get(None) or _default[0]
    outputs = scope.interpreter.apply(op, operands, attributes)
    if scope.recorders:
        tell_recorders(scope, op, scope.interpreter.resolved(operands), attributes, outputs)
    return outputs


def tell_recorders(
    scope: Scope,
    op: Op,
    operands: tuple[Any, ...],
    attributes: Mapping[str, Any],
    outputs: tuple[Any, ...],
) -> None:
    """Let everybody who listens know of an op, or of something that is to be differentiated like one."""
    for recorder in scope.recorders:
        recorder.record(op, operands, attributes, outputs)
