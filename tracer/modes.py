"""Whether compiled functions run compiled, or as the Python that they were made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np

EVERYWHERE = np.zeros(1, np.int64)
"""Not 0 where every function is to run as plain Python; a word in memory, so that native code can look at it."""

eager_here: ContextVar[bool | None] = ContextVar("graphjit_eager_mode", default=None)


def run_functions_eagerly(run_eagerly: bool) -> None:
    """Let every compiled function run as plain Python from now on (True), or compiled again (False).

    >>> run_functions_eagerly(True)
    >>> functions_run_eagerly()
    True
    >>> run_functions_eagerly(False)
    """
    EVERYWHERE[0] = bool(run_eagerly)


def functions_run_eagerly() -> bool:
    """Whether compiled functions run as plain Python here."""
    here = eager_here.get()
    return bool(EVERYWHERE[0]) if here is None else here


@contextmanager
def eager_mode(run_eagerly: bool = True) -> Iterator[None]:
    """Inside, compiled functions run as plain Python, so that breakpoints and prints work; results have the same types.

    It counts for this thread or task only.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def double(x):
    ...     return x + x
    >>> with gj.eager_mode():
    ...     print(double(gj.constant(2.0)))
    gj.Tensor(4.0, shape=(), dtype=float32)
    """
    token = eager_here.set(run_eagerly)
    try:
        yield
    finally:
        eager_here.reset(token)


__all__ = ["eager_mode", "functions_run_eagerly", "run_functions_eagerly"]
