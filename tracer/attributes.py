"""Noticing which attributes of the user's objects are read while a function is traced.

For as long as a trace runs, the classes of the objects that it meets have a `__getattribute__` that tells the
trace's listener. Other threads and tasks see the same classes, but no listener.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from .origin import is_library_class
from .places import MISSING

Listener = Callable[[Any, str, Any], None]

_listener: ContextVar[Listener | None] = ContextVar("graphjit_attribute_listener", default=None)
_lock = threading.RLock()
_watchers: dict[type, int] = {}
_originals: dict[type, Any] = {}


@contextmanager
def listening(listener: Listener) -> Iterator[AttributeWatch]:
    """Call `listener(object, name, value)` for each attribute that is read in this thread or task.

    The value is MISSING where there was no such attribute. Only reads on classes that
    were given to the watch's `add` are noticed.
    """
    watch = AttributeWatch()
    token = _listener.set(listener)
    try:
        yield watch
    finally:
        _listener.reset(token)
        watch.end()


@contextmanager
def not_listening() -> Iterator[None]:
    """Inside, nobody is told."""
    token = _listener.set(None)
    try:
        yield
    finally:
        _listener.reset(token)


class Computed:
    """An object of which an attribute was read that is worked out of others, which are not told of."""

    __slots__ = ("target",)

    def __init__(self, target: Any) -> None:
        self.target = target


def computed_attribute(target: Any, name: str, value: Any) -> None:
    """Tell the listener that an attribute was read which counts by its value, however it is worked out."""
    listener = _listener.get()
    if listener is not None:
        listener(Computed(target), name, value)


class AttributeWatch:
    """The classes that one trace watches."""

    def __init__(self) -> None:
        self._classes: set[type] = set()

    def add(self, cls: type) -> None:
        """Watch a class and its bases, those of libraries excepted."""
        for one in cls.__mro__:
            if one not in self._classes and not is_library_class(one):
                self._classes.add(one)
                _install(one)

    def end(self) -> None:
        """Leave the classes as they were found."""
        for one in self._classes:
            _uninstall(one)
        self._classes.clear()


def _install(cls: type) -> None:
    with _lock:
        _watchers[cls] = _watchers.get(cls, 0) + 1
        if _watchers[cls] > 1:
            return
        _originals[cls] = cls.__dict__.get("__getattribute__", MISSING)
        method: Any = cls.__getattribute__
        type.__setattr__(cls, "__getattribute__", _telling(method))


def _uninstall(cls: type) -> None:
    with _lock:
        _watchers[cls] -= 1
        if _watchers[cls]:
            return
        del _watchers[cls]
        original = _originals.pop(cls)
        if original is MISSING:
            type.__delattr__(cls, "__getattribute__")
        else:
            type.__setattr__(cls, "__getattribute__", original)


def _telling(original: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def __getattribute__(self: Any, name: str) -> Any:  # noqa: N807 -- takes that method's place
        listener = _listener.get()
        if listener is None:
            return original(self, name)
        try:
            value = original(self, name)
        except AttributeError:
            listener(self, name, MISSING)
            raise
        listener(self, name, value)
        return value

    return __getattribute__


__all__: list[str] = []
