"""Leaving a trace for a while: what runs inside is computed at once, and no graph knows of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graphjit.compiler.dispatch import interpreting

from .attributes import not_listening
from .eager import EagerInterpreter

_EAGER = EagerInterpreter()


@contextmanager
def init_scope() -> Iterator[None]:
    """Compute what is inside at once, even while a function is traced: for state that is made once.

    No tape records it.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def three():
    ...     with gj.init_scope():
    ...         number = int(gj.constant(1) + 2)
    ...     return number
    >>> print(three())
    gj.Tensor(3, shape=(), dtype=int32)
    """
    with interpreting(_EAGER), not_listening():
        yield


__all__ = ["init_scope"]
