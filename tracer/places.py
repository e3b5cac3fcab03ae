"""Places outside of a function where it finds values: globals, closure cells, attributes.

A place can be read again at each call, which is how a change is seen.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from types import CellType, FunctionType
from typing import Any
from weakref import ref

import numpy as np


class _Missing:
    """Stands for the value of a name that is not there."""

    def __repr__(self) -> str:
        return "(nothing)"


MISSING = _Missing()


class Place(ABC):
    """Where a value is read."""

    __slots__ = ()

    @property
    @abstractmethod
    def key(self) -> Hashable:
        """Equal for equal places."""

    @abstractmethod
    def read(self) -> Any:
        """What is there now, or MISSING."""

    @abstractmethod
    def __str__(self) -> str:
        """How a message names the place."""


class NamePlace(Place):
    """A name in the namespace of a module."""

    __slots__ = ("name", "namespace", "shown")

    def __init__(self, namespace: dict[str, Any], name: str, shown: str) -> None:
        self.namespace = namespace
        self.name = name
        self.shown = shown

    @property
    def key(self) -> Hashable:
        return id(self.namespace), self.name

    def read(self) -> Any:
        return self.namespace.get(self.name, MISSING)

    def __str__(self) -> str:
        return self.shown


class TypePlace(NamePlace):
    """A global array of which only dtype and shape are used."""

    __slots__ = ()

    @property
    def key(self) -> Hashable:
        return "type", id(self.namespace), self.name

    def read(self) -> Any:
        value = self.namespace.get(self.name, MISSING)
        return (value.dtype.str, value.shape) if isinstance(value, np.ndarray) else value


class CellPlace(Place):
    """A variable of the function around a function; the place keeps neither alive."""

    __slots__ = ("function", "identity", "position", "shown")

    def __init__(self, function: FunctionType, name: str) -> None:
        self.function = ref(function)
        self.position = function.__code__.co_freevars.index(name)
        self.identity = id(function)
        self.shown = f"{name!r} around {function.__name__!r}"

    @property
    def key(self) -> Hashable:
        return "cell", self.identity, self.position

    @property
    def target(self) -> Any:
        """The function, None where it is gone."""
        return self.function()

    def read(self) -> Any:
        function = self.function()
        return MISSING if function is None else cell_value((function.__closure__ or ())[self.position])

    def __str__(self) -> str:
        return self.shown


class AttributePlace(Place):
    """An attribute of an object or a class, which the place does not keep alive."""

    __slots__ = ("_target", "identity", "name", "shown")

    def __init__(self, target: Any, name: str) -> None:
        self._target = reference(target)
        self.identity = id(target)
        self.name = name
        owner = target.__qualname__ if isinstance(target, type) else f"{type(target).__qualname__} object"
        self.shown = f"the attribute {name!r} of {'the class' if isinstance(target, type) else 'a'} {owner}"

    @property
    def key(self) -> Hashable:
        return self.identity, self.name

    @property
    def target(self) -> Any:
        """The object, None where it is gone."""
        return self._target()

    @property
    def is_own(self) -> bool:
        """Whether the object itself holds the attribute, and not its class."""
        return self.name in getattr(self._target(), "__dict__", ())

    @property
    def reference(self) -> Callable[[], Any]:
        """Gives the object, None where it is gone."""
        return self._target

    def read(self) -> Any:
        target = self._target()
        return MISSING if target is None else getattr(target, self.name, MISSING)

    def __str__(self) -> str:
        return self.shown


class StaticPlace(AttributePlace):
    """What a class or its bases hold under a name, without binding it: a method, a property."""

    __slots__ = ()

    @property
    def key(self) -> Hashable:
        return "static", self.identity, self.name

    def read(self) -> Any:
        cls = self._target()
        return MISSING if cls is None else static_attribute(cls, self.name)


class MethodPlace(AttributePlace):
    """A method of an object: the function behind it, wherever the object finds it."""

    __slots__ = ()

    def read(self) -> Any:
        value = super().read()
        return getattr(value, "__func__", value)


class FieldsPlace(Place):
    """All attributes that an object holds itself: what `vars` shows."""

    __slots__ = ("_target", "identity", "shown")

    def __init__(self, target: Any) -> None:
        self._target = reference(target)
        self.identity = id(target)
        self.shown = f"the attributes of a {type(target).__qualname__} object"

    @property
    def key(self) -> Hashable:
        return "fields", self.identity

    @property
    def target(self) -> Any:
        """The object, None where it is gone."""
        return self._target()

    def read(self) -> Any:
        target = self._target()
        return MISSING if target is None else dict(object.__getattribute__(target, "__dict__"))

    def __str__(self) -> str:
        return self.shown


class ContentPlace(Place):
    """What is in a container that was reached as an argument."""

    __slots__ = ("_target", "identity", "shown")

    def __init__(self, target: Any) -> None:
        self._target = reference(target)
        self.identity = id(target)
        self.shown = f"a {type(target).__qualname__} among the arguments"

    @property
    def key(self) -> Hashable:
        return "content", self.identity

    @property
    def target(self) -> Any:
        """The container, None where it is gone."""
        return self._target()

    def read(self) -> Any:
        return self._target()

    def __str__(self) -> str:
        return self.shown


class FixedPlace(Place):
    """An object that was reached in a way that cannot be repeated; what it holds may change."""

    __slots__ = ("shown", "value")

    def __init__(self, value: Any, shown: str) -> None:
        self.value = value
        self.shown = shown

    @property
    def key(self) -> Hashable:
        return "fixed", id(self.value)

    def read(self) -> Any:
        return self.value

    def __str__(self) -> str:
        return self.shown


def cell_value(cell: CellType) -> Any:
    """What a variable of an enclosing function holds, or MISSING."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def reference(target: Any) -> Callable[[], Any]:
    """A weak reference where the object allows one, else a strong one."""
    try:
        return ref(target)
    except TypeError:
        return lambda: target


def static_attribute(cls: type, name: str) -> Any:
    """What a class or its bases hold under a name, or MISSING."""
    owner = static_owner(cls, name)
    return MISSING if owner is None else owner.__dict__[name]


def static_owner(cls: type, name: str) -> type | None:
    """The class among a class and its bases that holds a name itself."""
    for one in cls.__mro__:
        if name in one.__dict__:
            return one
    return None


__all__: list[str] = []
