"""What a trace expects to find at a place: the same object, an equal value, a container that was not changed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Hashable
from types import BuiltinFunctionType, FunctionType, ModuleType
from typing import Any

import numpy as np

from .adoption import owner_of
from .places import MISSING, reference
from .signature import Identity, described, value_key
from .state import State
from .tensor import Tensor

Array = np.ndarray[Any, Any]
_CONTAINERS = (list, tuple, deque, set, frozenset, dict)


class Expectation(ABC):
    """What was found at a place, in a form that can be compared with what is found later."""

    __slots__ = ()

    @abstractmethod
    def matches(self, value: Any) -> bool:
        """Whether it is still the same to the trace."""

    def variables(self) -> list[State]:
        """The variables in it."""
        return []

    def difference(self, value: Any) -> tuple[str, str, str]:
        """What of a value that does not match is different: where in it, what it was, what it is."""
        return "", str(self), described(value)

    @abstractmethod
    def __str__(self) -> str:
        """The value as it was, for messages."""


class SameValue(Expectation):
    """A Python value, by exact type and value."""

    __slots__ = ("key", "value")

    def __init__(self, value: Any, key: Hashable) -> None:
        self.value = value
        self.key = key

    def matches(self, value: Any) -> bool:
        return value is self.value or value_key(value) == self.key

    def __str__(self) -> str:
        return described(self.value)


class SameObject(Expectation):
    """One object; it is not kept alive unless that is harmless."""

    __slots__ = ("_shown", "kept", "target")

    def __init__(self, value: Any) -> None:
        self.kept = value if _is_lasting(value) else None
        self.target: Callable[[], Any] = (lambda: value) if _is_lasting(value) else reference(value)
        self._shown = described(value)

    def variables(self) -> list[State]:
        return [self.kept] if isinstance(self.kept, State) else []

    def matches(self, value: Any) -> bool:
        return self.target() is value and value is not None

    def __str__(self) -> str:
        return self._shown


def _is_lasting(value: Any) -> bool:
    """Whether keeping the object alive keeps nothing else of the user's alive."""
    if isinstance(value, FunctionType):
        return value.__closure__ is None
    return value is MISSING or isinstance(value, ModuleType | BuiltinFunctionType | Tensor | State)


class SameElements(Expectation):
    """An array whose elements the trace may have looked at."""

    __slots__ = ("snapshot",)

    def __init__(self, array: Array) -> None:
        self.snapshot = np.array(array, order="C")

    def matches(self, value: Any) -> bool:
        mine = self.snapshot
        return (
            isinstance(value, np.ndarray)
            and value.dtype == mine.dtype
            and value.shape == mine.shape
            and value.tobytes() == mine.tobytes()
        )

    def __str__(self) -> str:
        return described(self.snapshot)


class SameContainer(Expectation):
    """A list, tuple, dict or set, with what was in it."""

    __slots__ = ("_keys", "_kind", "_names", "_parts", "_shown")

    def __init__(self, value: Any, keys: tuple[Hashable, ...], parts: tuple[Expectation, ...]) -> None:
        self._kind = type(value)
        self._keys = keys
        self._names = tuple(value) if isinstance(value, dict) and all(type(one) is str for one in value) else None
        self._parts = parts
        self._shown = described(value)

    def variables(self) -> list[State]:
        return [one for part in self._parts for one in part.variables()]

    def matches(self, value: Any) -> bool:
        if type(value) is not self._kind or len(value) != len(self._keys or self._parts):
            return False
        if isinstance(value, set | frozenset):
            return frozenset(map(_element_key, value)) == frozenset(self._keys)
        if isinstance(value, dict):
            if not self._has_keys(value):
                return False
            value = value.values()
        return all(part.matches(one) for part, one in zip(self._parts, value, strict=True))

    def _has_keys(self, value: dict[Any, Any]) -> bool:
        names = tuple(value)
        if self._names is not None and names == self._names:
            return set(map(type, names)) <= {str}
        return self._keys == tuple(map(_element_key, value))

    def difference(self, value: Any) -> tuple[str, str, str]:
        if type(value) is not self._kind or len(value) != len(self._keys or self._parts) or not self._parts:
            return super().difference(value)
        if isinstance(value, dict) and not self._has_keys(value):
            return super().difference(value)
        names = list(value) if isinstance(value, dict) else range(len(value))
        for name, part in zip(names, self._parts, strict=True):
            if not part.matches(value[name]):
                where, old, new = part.difference(value[name])
                return f"[{name!r}]{where}", old, new
        return super().difference(value)

    def __str__(self) -> str:
        return self._shown


def _element_key(value: Any) -> Hashable:
    return value_key(value) or Identity(value)


def expectation_of(value: Any, is_input: Callable[[Array], bool], inside: tuple[int, ...] = ()) -> Expectation:
    """What is expected where `value` is now.

    `is_input(array)` tells whether the trace reads an array at each call, so that its elements may change.
    """
    key = value_key(value) if not isinstance(value, _CONTAINERS) else None
    if key is not None:
        return SameValue(value, key)
    if isinstance(value, np.ndarray) and not is_input(owner_of(value)):
        return SameElements(value)
    if not isinstance(value, _CONTAINERS) or id(value) in inside:
        return SameObject(value)
    inside = (*inside, id(value))
    if isinstance(value, set | frozenset):
        return SameContainer(value, tuple(map(_element_key, value)), ())
    keys = tuple(map(_element_key, value)) if isinstance(value, dict) else ()
    elements = value.values() if isinstance(value, dict) else value
    return SameContainer(value, keys, tuple(expectation_of(one, is_input, inside) for one in elements))


__all__: list[str] = []
