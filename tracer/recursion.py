"""Noticing a compiled function that calls itself without end while it is traced."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from graphjit.compiler.location import describe, user_location
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import TraceError

from .signature import value_key

_LIMIT = 30
"""How often a function may call itself with arguments that nothing tells apart."""

_running: ContextVar[tuple[tuple[int, Hashable], ...]] = ContextVar("graphjit_functions_in_traces", default=())


@contextmanager
def running_in_trace(function: object, name: str, structure: Hashable, leaves: Sequence[Any]) -> Iterator[None]:
    """Note that a function runs in a trace, inside of those that run already.

    Raises:
      TraceError: if it runs inside of itself many times with arguments that nothing tells apart, so that what stops
        it can only be a traced value.
    """
    before = _running.get()
    me = id(function)
    key: Hashable = None
    if sum(1 for one, _ in before if one == me) >= _LIMIT:
        key = structure, tuple(_leaf_key(leaf) for leaf in leaves)
        if before.count((me, key)) >= _LIMIT:
            raise TraceError(
                f"{name!r} calls itself without end, at {describe(user_location())}: whether it stops depends on a "
                "traced value. Let it depend on a Python number, or use gj.while_loop"
            )
    token = _running.set((*before, (me, key)))
    try:
        yield
    finally:
        _running.reset(token)


def _leaf_key(leaf: Any) -> Hashable:
    return leaf.type if isinstance(leaf, Symbol) else value_key(leaf) or id(leaf)


__all__: list[str] = []
