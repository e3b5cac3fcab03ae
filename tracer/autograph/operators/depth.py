"""Noticing a function that calls itself without end under conditions on traced values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import CodeType
from typing import Any

from graphjit.compiler.location import describe, user_location
from graphjit.runtime.errors import TraceError

_LIMIT = 24
"""How often the same `if` may be traced inside of itself."""

_inside: ContextVar[tuple[CodeType, ...]] = ContextVar("graphjit_blocks_in_traces", default=())


@contextmanager
def one_level_deeper(block: Callable[[], Any]) -> Iterator[None]:
    """Note that a block is traced, inside of those that are traced already.

    Raises:
      TraceError: if it stands inside of itself so often that it will not end.
    """
    code: CodeType = block.__code__
    around = _inside.get()
    if around.count(code) >= _LIMIT:
        raise TraceError(
            f"{code.co_name!r} calls itself without end, at {describe(user_location())}: whether it stops depends on a "
            "traced value. Let it depend on a Python number, or write a `while` loop"
        )
    token = _inside.set((*around, code))
    try:
        yield
    finally:
        _inside.reset(token)


__all__: list[str] = []
