"""Finding the places outside of a function that its trace depends on.

Functions are read as code: the globals, enclosing variables and module attributes that they name. Attributes
of objects are noticed as they are read. Libraries are trusted not to change.
"""

from __future__ import annotations

import builtins
import functools
import sys
import warnings
from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from contextlib import contextmanager
from types import FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any
from weakref import ref

import numpy as np

from .attributes import AttributeWatch, Computed, listening, not_listening
from .origin import is_library_class, is_library_code, is_library_module, is_own_class
from .places import (
    MISSING,
    AttributePlace,
    CellPlace,
    ContentPlace,
    FieldsPlace,
    MethodPlace,
    NamePlace,
    Place,
    StaticPlace,
    TypePlace,
    cell_value,
    static_owner,
)
from .references import Reference, references_of
from .state import State
from .tensor import Tensor

_RANDOM = "gj.random.normal, gj.random.uniform and the like"
_OUTSIDE = "an argument that is filled outside"
_UNREPEATED: dict[str, str] = {
    "numpy.random": _RANDOM,
    "random": _RANDOM,
    "os.environ": _OUTSIDE,
    "os.getenv": _OUTSIDE,
    "datetime.datetime.now": _OUTSIDE,
    "datetime.datetime.utcnow": _OUTSIDE,
    "datetime.date.today": _OUTSIDE,
    "datetime.datetime.today": _OUTSIDE,
    "uuid.uuid4": _OUTSIDE,
    **{
        f"time.{name}{unit}": _OUTSIDE
        for name in ("time", "perf_counter", "monotonic", "process_time")
        for unit in ("", "_ns")
    },
}
"""What gives another value each time it is asked, and what to use in compiled functions."""

_LEAVES = frozenset({type(None), int, float, complex, str, bytes, bool})
_CONTAINERS = (list, tuple, deque, set, frozenset, dict)
_CREATION = frozenset({"__init__", "__new__", "__post_init__"})
_OF_TYPE = frozenset({"shape", "dtype", "ndim", "size", "itemsize", "nbytes"})


def _is_of_type(reference: Reference) -> bool:
    """Whether only dtype or shape of what is named is read."""
    return bool(reference.attributes) and reference.attributes[0] in _OF_TYPE


class UnrepeatedWarning(UserWarning):
    """A compiled function asks Python for something that changes by itself: it is asked once, during the trace."""


class Explorer:
    """Collects places while a function is traced.

    Attributes:
      places: what was found, in order.
    """

    def __init__(self, watch: AttributeWatch) -> None:
        self.places: dict[Hashable, Place] = {}
        self._watch = watch
        self._seen: dict[int, Callable[[], Any]] = {}
        self._warns = True

    # --- values ---

    def visit(self, value: Any, inside: tuple[int, ...] = ()) -> None:
        """Look into a value that the function can reach.

        Nothing is kept alive: whether an array or a variable outlives the trace is looked at afterwards.
        """
        if type(value) in _LEAVES or isinstance(value, Tensor | State | ModuleType | np.ndarray):
            return
        if isinstance(value, _CONTAINERS) and id(value) not in inside:
            elements = list(value.values() if isinstance(value, dict) else value)
            self._visit_all(elements, (*inside, id(value)))
        if self._was_seen(value):
            return
        if isinstance(value, FunctionType):
            self._visit_function(value)
        elif isinstance(value, type):
            self._visit_class(value)
        else:
            self._visit_object(value)

    def add_contents(self, value: Any) -> None:
        """Let it count what is in a container that is an argument; what else it is, its identity says."""
        if isinstance(value, _CONTAINERS):
            place = ContentPlace(value)
            self.places.setdefault(place.key, place)

    def _visit_all(self, values: Iterable[Any], inside: tuple[int, ...] = ()) -> None:
        for one in values:
            self.visit(one, inside)

    def _was_seen(self, value: Any) -> bool:
        found = self._seen.get(id(value))
        if found is not None and found() is value:
            return True
        try:
            self._seen[id(value)] = ref(value)
        except TypeError:
            return False
        return False

    def _visit_function(self, function: FunctionType) -> None:
        wrapped = getattr(function, "__wrapped__", None)
        if wrapped is not None:
            self.visit(wrapped)
        if is_library_code(function.__code__):
            # A library's decorator: what it wraps is the user's.
            for inner in map(cell_value, function.__closure__ or ()):
                if isinstance(inner, FunctionType | MethodType):
                    self.visit(inner)
            return
        for name in ("__defaults__", "__kwdefaults__"):
            self._add_defaults(function, name)
        self._scan(function)

    def _add_defaults(self, function: FunctionType, name: str) -> None:
        """Add a function's defaults, where they can change."""
        found = getattr(function, name)
        values = list(found.values() if isinstance(found, dict) else found or ())
        if any(isinstance(one, _CONTAINERS) for one in values):
            self._add(AttributePlace(function, name), found)
        self._visit_all(values)

    def _visit_class(self, cls: type, creates: bool = True) -> None:
        """Look into a class; what creates its objects counts only where the class itself is in reach."""
        if is_library_class(cls):
            return
        self._watch.add(cls)
        for one in cls.__mro__:
            if is_library_class(one):
                continue
            # Python calls these without asking for an attribute.
            for name, member in list(one.__dict__.items()):
                if name in _CREATION:
                    if creates:
                        self._visit_quietly(member)
                elif name.startswith("__") and name.endswith("__"):
                    self._visit_member(member)

    def _visit_quietly(self, member: Any) -> None:
        """The same without warnings: what creates an object may well draw random numbers."""
        before, self._warns = self._warns, False
        self._visit_member(member)
        self._warns = before

    def _visit_member(self, member: Any) -> None:
        """Look into what a class holds under a name: a function, or something that wraps some."""
        if isinstance(member, FunctionType):
            self.visit(member)
        elif isinstance(member, staticmethod | classmethod):
            self.visit(member.__func__)
        elif isinstance(member, property):
            self._visit_all(one for one in (member.fget, member.fset) if one is not None)
        elif isinstance(member, functools.cached_property):
            self.visit(member.func)
        elif isinstance(getattr(member, "python_function", None), FunctionType):
            self.visit(member.python_function)

    def _visit_object(self, value: Any) -> None:
        if isinstance(value, MethodType):
            self._visit_all((value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            self._visit_all((value.func, value.args, value.keywords))
        elif hasattr(value, "python_function") and hasattr(value, "get_concrete_function"):
            self._visit_all((value.python_function, getattr(value, "__self__", None)))
        else:
            wrapped = getattr(value, "__wrapped__", None)
            if callable(value) and isinstance(wrapped, FunctionType):
                self.visit(wrapped)
            if _is_record(value):
                # Nobody is told of what is read of these; what they hold counts as a whole.
                self._add(FieldsPlace(value), dict(vars(value)))
            self._visit_class(type(value), creates=False)

    # --- code ---

    def _scan(self, function: FunctionType) -> None:
        self._scan_bases(function)
        references = references_of(function.__code__)
        for reference in references.cells:
            if reference.name in function.__code__.co_freevars:
                self._follow(CellPlace(function, reference.name), reference, function)
        for reference in references.globals:
            if reference.module:
                module = sys.modules.get(reference.module)
                if module is not None:
                    self._follow_attributes(module, reference, function)
            elif reference.name in function.__globals__ or not hasattr(builtins, reference.name):
                shown = f"the global {reference.name!r}"
                self._follow(NamePlace(function.__globals__, reference.name, shown), reference, function)

    def _scan_bases(self, function: FunctionType) -> None:
        """Look into what a method reaches through `super()`, of which no object is asked."""
        code = function.__code__
        if "super" not in code.co_names or "__class__" not in code.co_freevars:
            return
        cls = CellPlace(function, "__class__").read()
        for base in cls.__mro__[1:] if isinstance(cls, type) else ():
            if not is_library_class(base):
                self._visit_members(base.__dict__.get(name) for name in code.co_names)

    def _visit_members(self, members: Iterable[Any]) -> None:
        for one in members:
            self._visit_member(one)

    def _follow(self, place: Place, reference: Reference, function: FunctionType) -> None:
        value = place.read()
        if isinstance(place, NamePlace) and isinstance(value, np.ndarray) and _is_of_type(reference):
            place = TypePlace(place.namespace, place.name, f"dtype and shape of {place.shown}")
        if not (isinstance(value, ModuleType) and is_library_module(value)):
            self._add(place, value)
        self._follow_attributes(value, reference, function)

    def _follow_attributes(self, value: Any, reference: Reference, function: FunctionType) -> None:
        """Add what is read from a module or a class by name."""
        if self._warns:
            _warn_of_unrepeated(value, reference, function)
        for name in reference.attributes:
            if isinstance(value, ModuleType) and not is_library_module(value):
                place: Place = NamePlace(vars(value), name, f"{name!r} of the module {value.__name__!r}")
            elif isinstance(value, type) and not is_library_class(value) and not hasattr(value, "__members__"):
                place = StaticPlace(value, name)
            elif _is_librarys_object(value) and name in _own_fields(value):
                place = AttributePlace(value, name)
            else:
                return
            value = place.read()
            self._add(place, value)

    def _add(self, place: Place, value: Any) -> None:
        if isinstance(place, StaticPlace):
            self._visit_member(value)
        self.places.setdefault(place.key, place)
        self.visit(value)

    # --- attributes ---

    def attribute_was_read(self, target: Any, name: str, value: Any) -> None:
        """Take in that the traced function read an attribute."""
        if type(target) is Computed:
            with not_listening():
                self._add(AttributePlace(target.target, name), value)
            return
        if name == "__dict__":
            with not_listening():
                self._add(FieldsPlace(target), value)
            return
        if (name.startswith("__") and name.endswith("__")) or name == "read_value":
            return
        with not_listening():
            self._add_attribute(target, name, value)

    def _add_attribute(self, target: Any, name: str, value: Any) -> None:
        owner = static_owner(type(target), name)
        held = MISSING if owner is None else owner.__dict__[name]
        own = _own_fields(target)
        if owner is not None and name not in own and not hasattr(type(held), "__set__") and is_own_class(owner):
            return
        if isinstance(held, property):
            self._visit_member(held)
        elif name in own or held is MISSING or not hasattr(type(held), "__get__"):
            self._add(AttributePlace(target, name), value)
        elif isinstance(held, FunctionType | staticmethod | classmethod) or hasattr(held, "python_function"):
            self._visit_member(held)
            self._add(MethodPlace(target, name), None)
        elif hasattr(type(held), "__set__"):
            # A slot, or another descriptor that stores what was set.
            self.visit(held)
            self._add(AttributePlace(target, name), value)
        else:
            self._visit_member(held)
            self.visit(held)
            self.visit(value)


def _is_record(value: Any) -> bool:
    """Whether it is a namespace of the standard library: plain attributes, as configurations have them."""
    if isinstance(value, SimpleNamespace):
        return True
    # Not imported for this: whoever has such an object has imported it.
    return any((one.__module__, one.__name__) == ("argparse", "Namespace") for one in type(value).__mro__)


def _is_librarys_object(value: Any) -> bool:
    """Whether it is an object of a library's class, whose attributes are noticed only where code names them."""
    plain = isinstance(value, type | ModuleType | FunctionType | Tensor | State)
    return not plain and is_library_class(type(value))


def _own_fields(target: Any) -> dict[str, Any]:
    try:
        fields: dict[str, Any] = object.__getattribute__(target, "__dict__")
    except AttributeError:
        return {}
    return fields


def _warn_of_unrepeated(value: Any, reference: Reference, function: FunctionType) -> None:
    """Warn where code asks for the time, the environment or Python's random numbers."""
    full = ".".join((_library_name(value), *reference.attributes))
    source = next((one for one in _UNREPEATED if full == one or full.startswith(one + ".")), None)
    if source is None:
        return
    shown = ".".join((reference.name, *reference.attributes))
    warnings.warn_explicit(
        f"{function.__name__!r} asks for {shown}, which is asked once, while the function is traced, and gives the "
        f"same in each call; use {_UNREPEATED[source]}",
        UnrepeatedWarning,
        function.__code__.co_filename,
        reference.line,
    )


def _library_name(value: Any) -> str:
    """The full name of a library's module, class or function, or of the class of its object; else ""."""
    if isinstance(value, ModuleType):
        return value.__name__ if is_library_module(value) else ""
    owner = getattr(value, "__self__", None)
    if callable(value) and not isinstance(owner, ModuleType | None):
        return _library_name(type(owner))  # a bound method of a hidden generator, as random.random is
    if not hasattr(value, "__qualname__"):
        value = type(value)
    module = sys.modules.get(getattr(value, "__module__", None) or "")
    if module is None or not is_library_module(module):
        return ""
    return f"{module.__name__}.{value.__qualname__}"


@contextmanager
def exploring(root: Callable[..., Any], *reached: Any) -> Iterator[Explorer]:
    """Collect the places that `root`, called inside, depends on; `reached` are objects that it gets."""
    explorers: list[Explorer] = []

    def heard(target: Any, name: str, value: Any) -> None:
        explorers[0].attribute_was_read(target, name, value)

    with listening(heard) as watch:
        explorers.append(Explorer(watch))
        with not_listening():
            explorers[0].visit(root)
            for one in reached:
                explorers[0].visit(one)
        yield explorers[0]


__all__ = ["UnrepeatedWarning"]
