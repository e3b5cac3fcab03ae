"""How a compiled function gets what Python hands out while it runs.

Each call of the function asks anew, so what is handed out may differ from call to call; the graph only knows what each
item is like.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import interpreting
from graphjit.runtime.errors import OutOfRangeError

from .callbacks import numpy_function
from .eager import EagerInterpreter
from .handing import HandedOut
from .structure import flatten, unflatten

Array = np.ndarray[Any, Any]
_EAGER = EagerInterpreter()


class _Turn(threading.local):
    """Where a loop stands; each thread that runs it stands somewhere else."""

    iterator: Iterator[Any] | None = None
    waiting: tuple[Any, ...] = ()


class Taking:
    """The calls of Python by which one loop in a graph gets its items."""

    def __init__(self, source: HandedOut) -> None:
        self._source = source
        self._turn = _Turn()

    def begin(self) -> None:
        """Start iterating, each time that the function comes here."""
        numpy_function(self._begin, [], [])

    def has_next(self, is_over: Any) -> Any:
        """Whether there is another item; none is asked for where the loop is over anyway."""
        return numpy_function(self._has_next, [is_over], "bool")

    def next(self, spec: Any = None) -> Any:
        """The next item, in its structure, of which `spec` says what it is like."""
        specs, structure = flatten(self._source.element_spec if spec is None else spec)
        return unflatten(structure, numpy_function(self._next, [], specs))

    def _begin(self) -> None:
        with interpreting(_EAGER):
            self._turn.iterator, self._turn.waiting = iter(self._source), ()

    def _has_next(self, is_over: Array) -> bool:
        if not is_over and not self._turn.waiting:
            self._fetch()
        if self._turn.waiting and not is_over:
            return True
        self._turn.iterator, self._turn.waiting = None, ()
        return False

    def _fetch(self) -> None:
        if self._turn.iterator is None:
            return
        with interpreting(_EAGER):
            for item in self._turn.iterator:
                self._turn.waiting = (item,)
                return

    def _next(self) -> list[Array]:
        if not self._turn.waiting:
            self._fetch()
        if not self._turn.waiting:
            raise OutOfRangeError("there is no further element: the dataset is at its end")
        (item,), self._turn.waiting = self._turn.waiting, ()
        return [np.asarray(leaf) for leaf in flatten(item)[0]]


__all__: list[str] = []
