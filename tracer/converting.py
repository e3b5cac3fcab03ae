"""Whether control flow is converted in what a trace calls: graphjit's own code asks where it calls the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from graphjit.compiler.dispatch import current_interpreter
from graphjit.compiler.writer import GraphWriter

_wanted: ContextVar[bool | None] = ContextVar("graphjit_converts_control_flow", default=None)


@contextmanager
def converting(is_wanted: bool) -> Iterator[None]:
    """While a function is traced: whether `compile` was told to convert control flow."""
    token = _wanted.set(is_wanted)
    try:
        yield
    finally:
        _wanted.reset(token)


def as_called(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of the user's as it is to be called here: where a graph is written with converted control flow."""
    wanted = _wanted.get()
    if wanted is False or (wanted is None and not isinstance(current_interpreter(), GraphWriter)):
        return function
    # Loaded by the first trace, not by `import graphjit`.
    from .autograph.operators.calling import converted

    return converted(function)


__all__: list[str] = []
