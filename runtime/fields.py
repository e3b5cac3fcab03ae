"""Classes that are records of fields: what `dataclasses` makes, at a fraction of the time that making them takes.

`import graphjit` and a first call make a hundred of them. The standard library
compiles six functions for each, of which ours needs one: 16 ms of an import of 80,
and 16 ms of a first call of 53. Where Python can do that faster, this file can go:
type checkers read it as the standard library's already.

>>> @dataclass(frozen=True)
... class Point:
...     x: int
...     y: int = 0
>>> replace(Point(1), y=2)
Point(x=1, y=2)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dataclasses import dataclass as dataclass, field as field, replace as replace
else:
    import sys
    from dataclasses import FrozenInstanceError
    from operator import attrgetter

    _NONE = object()

    class _Field:
        """What a class says of a field: how it begins, and where it counts."""

        __slots__ = ("compare", "default", "default_factory", "init", "repr")

        def __init__(self, *, default=_NONE, default_factory=_NONE, init=True, repr=True, compare=True):  # noqa: A002 -- the standard library's word
            self.default = default
            self.default_factory = default_factory
            self.init = init
            self.repr = repr
            self.compare = compare

    field = _Field

    def dataclass(cls=None, *, frozen=False, eq=True, slots=False):
        """Give a class what its annotated fields ask for: `__init__`, `__repr__`, `__eq__` and `__hash__`.

        Args:
          frozen: whether setting a field of an instance is refused.
          eq: whether instances are equal where their fields are; by default they have a hash if frozen.
          slots: whether instances have slots in place of a dictionary; the result is another class then.
        """
        if cls is None:
            return lambda one: dataclass(one, frozen=frozen, eq=eq, slots=slots)
        own = {name: cls.__dict__.get(name, _NONE) for name in cls.__annotations__ if _is_field(cls, name)}
        own = {name: one if isinstance(one, _Field) else _Field(default=one) for name, one in own.items()}
        fields = {**getattr(cls, "__light_fields__", {}), **own}
        cls = _with_slots(cls, own) if slots else _with_defaults(cls, own)
        cls.__light_fields__ = fields
        cls.__match_args__ = tuple(name for name, one in fields.items() if one.init)
        cls.__init__ = _initializer(cls, fields, frozen, slots)
        cls.__light_values__ = _values_of(fields)
        for name, method in _methods(frozen, eq, slots).items():
            if name not in cls.__dict__ or (name == "__hash__" and cls.__dict__[name] is None):
                setattr(cls, name, method)
        return cls

    def replace(one, **changes):
        """The same with other values in some fields."""
        for name, about in one.__light_fields__.items():
            if about.init and name not in changes:
                changes[name] = getattr(one, name)
        return type(one)(**changes)

    def _is_field(cls, name):
        return "ClassVar" not in str(cls.__annotations__[name])

    def _with_defaults(cls, own):
        """A class whose attributes are the defaults, as the standard library leaves them."""
        for name, one in own.items():
            if one.default is not _NONE:
                setattr(cls, name, one.default)
            elif name in cls.__dict__:
                delattr(cls, name)
        return cls

    def _with_slots(cls, own):
        left_out = {*own, "__dict__", "__weakref__"}
        namespace = {name: value for name, value in cls.__dict__.items() if name not in left_out}
        made = type(cls)(cls.__name__, cls.__bases__, {**namespace, "__slots__": tuple(own)})
        made.__qualname__ = cls.__qualname__
        return made

    def _initializer(cls, fields, frozen, slots):
        """The function `__init__`, compiled: instances are made often."""
        known = {"_NONE": _NONE, "_set": object.__setattr__}
        parameters, lines = ["self"], []
        for name, one in fields.items():
            value = name
            if one.default_factory is not _NONE:
                known[f"_make_{name}"] = one.default_factory
                value = f"_make_{name}() if {name} is _NONE else {name}" if one.init else f"_make_{name}()"
                parameters += [f"{name}=_NONE"] if one.init else []
            elif one.default is not _NONE:
                known[f"_default_{name}"] = one.default
                parameters.append(f"{name}=_default_{name}")
            else:
                parameters.append(name)
            if frozen and slots:
                known[f"_set_{name}"] = getattr(cls, name).__set__
                lines.append(f"  _set_{name}(self, {value})")
            else:
                lines.append(f"  _set(self, {name!r}, {value})" if frozen else f"  self.{name} = {value}")
        text = f" def __init__({', '.join(parameters)}):\n" + ("\n".join(lines) or "  pass")
        made = {}
        exec(f"def make({', '.join(known)}):\n{text}\n return __init__", sys.modules[cls.__module__].__dict__, made)
        function = made["make"](**known)
        function.__qualname__ = f"{cls.__qualname__}.__init__"
        return function

    def _methods(frozen, eq, slots):
        """The other methods by name; a class's own ones go before."""
        methods = {"__repr__": _shown}
        if eq:
            methods |= {"__eq__": _are_equal, "__hash__": _hash_of if frozen else None}
        if frozen:
            methods |= {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
        if frozen and slots:
            methods |= {"__getstate__": _get_state, "__setstate__": _set_state}
        return methods

    def _shown(self):
        inside = ", ".join(f"{name}={getattr(self, name)!r}" for name, one in self.__light_fields__.items() if one.repr)
        return f"{type(self).__qualname__}({inside})"

    def _values_of(fields):
        """What gets the values that are compared, of an instance."""
        names = [name for name, one in fields.items() if one.compare]
        # two names at least, so that there is a tuple, which takes what is identical for equal
        return attrgetter(*names, *("__class__",) * (2 - len(names)))

    def _are_equal(self, other):
        if other.__class__ is not self.__class__:
            return NotImplemented
        values = self.__light_values__
        return values(self) == values(other)

    def _hash_of(self):
        return hash(self.__light_values__(self))

    def _refuse_to_set(self, name, value):
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def _refuse_to_delete(self, name):
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def _get_state(self):
        return [getattr(self, name) for name in self.__light_fields__]

    def _set_state(self, state):
        for name, value in zip(self.__light_fields__, state, strict=True):
            object.__setattr__(self, name, value)


__all__: list[str] = []
