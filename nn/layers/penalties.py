"""What layers add to the loss while they are called, and the call that is running.

The values stand beside the layers, not in them: in a trace they are symbols, which must not outlive it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from weakref import WeakKeyDictionary

from graphjit.compiler.writer import Symbol
from graphjit.runtime.fields import dataclass
from graphjit.tracer.attributes import not_listening


@dataclass(frozen=True)
class Running:
    """The call of an outermost layer: its number, and whether it is training."""

    number: int
    training: Any


_running: ContextVar[Running | None] = ContextVar("graphjit_running_layer", default=None)
_numbers = itertools.count(1)
_penalties: WeakKeyDictionary[Any, tuple[int, list[Any]]] = WeakKeyDictionary()
_ALWAYS = 0


def running_call() -> Running | None:
    """The call that is running in this thread or task."""
    return _running.get()


@contextmanager
def inside_call(training: Any) -> Iterator[None]:
    """A layer is called: the outermost one opens a new call, the others belong to it."""
    before = _running.get()
    number = next(_numbers) if before is None else before.number
    token = _running.set(Running(number, training))
    try:
        yield
    finally:
        _running.reset(token)


def add_penalty(layer: Any, value: Any) -> None:
    """Note what a layer adds in the call that is running; outside of a call it counts for ever."""
    with not_listening():
        running = _running.get()
        number = _ALWAYS if running is None else running.number
        last, values = _penalties.get(layer, (number, []))
        if last not in (number, _ALWAYS):
            values = [one for one in values if callable(one)]
        _penalties[layer] = (number, [*values, value])


def penalties_of(layers: Sequence[Any]) -> list[Any]:
    """What these layers added in the latest call of one of them."""
    noted = [_penalties[layer] for layer in layers if layer in _penalties]
    latest = max((number for number, _ in noted), default=_ALWAYS)
    values = [one for number, values in noted if number in (latest, _ALWAYS) for one in values]
    found = [one() if callable(one) else one for one in values]
    return [one for one in found if not (isinstance(one, Symbol) and one.writer.closed)]


__all__: list[str] = []
