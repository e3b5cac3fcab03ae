"""Changes of Python's own containers and objects inside of branches and loops on traced values.

Both arms of a branch are traced, though one will run: what an arm changes is noted, taken back when the arm ends,
and put there again as what the branch results in.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from graphjit.compiler.location import describe, user_location
from graphjit.runtime.errors import TraceError

from ...attributes import not_listening
from .values import UNSET

T = TypeVar("T")


class Changed(ABC):
    """Something that was changed, with a name for messages."""

    shown: str

    @abstractmethod
    def read(self) -> Any:
        """What it holds now, as a value that does not change with it."""

    @abstractmethod
    def write(self, value: Any) -> None:
        """Let it hold this."""


class _List(Changed):
    def __init__(self, target: Any) -> None:
        self.target = target
        self.shown = "list"

    def read(self) -> Any:
        return list(self.target)

    def write(self, value: Any) -> None:
        self.target.clear()
        self.target.extend(value)


class _Dict(Changed):
    def __init__(self, target: Any) -> None:
        self.target = target
        self.shown = "dict"

    def read(self) -> Any:
        return dict(self.target)

    def write(self, value: Any) -> None:
        self.target.clear()
        self.target.update(value)


class _Set(Changed):
    def __init__(self, target: set[Any]) -> None:
        self.target = target
        self.shown = "set"

    def read(self) -> Any:
        return frozenset(self.target)

    def write(self, value: Any) -> None:
        self.target.clear()
        self.target.update(value)


class _Attribute(Changed):
    def __init__(self, target: Any, name: str) -> None:
        self.target = target
        self.name = name
        self.shown = f"{type(target).__name__}.{name}"

    def read(self) -> Any:
        with not_listening():
            return getattr(self.target, self.name, UNSET)

    def write(self, value: Any) -> None:
        with not_listening():
            if value is not UNSET:
                setattr(self.target, self.name, value)
            elif hasattr(self.target, self.name):
                delattr(self.target, self.name)


class _Item(Changed):
    """A global."""

    def __init__(self, target: dict[str, Any], name: str) -> None:
        self.target = target
        self.name = name
        self.shown = name

    def read(self) -> Any:
        return self.target.get(self.name, UNSET)

    def write(self, value: Any) -> None:
        if value is UNSET:
            self.target.pop(self.name, None)
        else:
            self.target[self.name] = value


def _changed(target: Any, name: str | None) -> Changed | None:
    if name is not None:
        return _Item(target, name) if isinstance(target, dict) else _Attribute(target, name)
    if isinstance(target, list | deque):
        return _List(target)
    if isinstance(target, dict):
        return _Dict(target)
    if isinstance(target, set):
        return _Set(target)
    if isinstance(target, np.ndarray | bytearray):
        raise TraceError(
            f"an array is changed under a condition, or in a loop, that is only known when the function runs, at "
            f"{describe(user_location())}; use a tensor and gj.tensor_scatter_nd_update, or a gj.Variable"
        )
    return None


class Arm:
    """One tracing of a block: what it changed, and what it made itself.

    Attributes:
      changes: what was changed, with what it held before.
    """

    def __init__(self) -> None:
        self.changes: dict[Hashable, tuple[Changed, Any]] = {}
        self._made: dict[int, Any] = {}

    def note(self, target: Any, name: str | None) -> None:
        """Remember what the target holds now, before it is changed for the first time."""
        key = id(target), name
        if key in self.changes:
            return
        place = _changed(target, name)
        if place is not None:
            self.changes[key] = place, place.read()

    def made_here(self, target: Any) -> bool:
        """Whether the block itself made it, so that nobody outside knows it."""
        return id(target) in self._made

    def add(self, target: Any) -> None:
        """Count something as made here."""
        self._made[id(target)] = target

    def take_back(self) -> dict[Hashable, Any]:
        """Undo all changes; what each changed thing held."""
        after = {key: place.read() for key, (place, _) in self.changes.items()}
        for place, before in self.changes.values():
            place.write(before)
        return after


_arms: ContextVar[tuple[Arm, ...]] = ContextVar("graphjit_arms", default=())


def arms() -> tuple[Arm, ...]:
    """The blocks that are being traced, outermost first."""
    return _arms.get()


@contextmanager
def inside(arm: Arm) -> Iterator[None]:
    """What happens inside happens in the block."""
    token = _arms.set((*_arms.get(), arm))
    try:
        yield
    finally:
        _arms.reset(token)


def changing(target: T, name: str | None = None) -> T:
    """Announce that a container, or an attribute of an object, is changed now; the target itself."""
    for arm in reversed(_arms.get()):
        if arm.made_here(target):
            break
        arm.note(target, name)
    return target


def made(container: T) -> T:
    """Say that a container is new."""
    found = _arms.get()
    if found:
        found[-1].add(container)
    return container


__all__: list[str] = []
