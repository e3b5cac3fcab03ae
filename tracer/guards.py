"""Checking, before a trace is used again, that what it found outside of its arguments is still there."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, NamedTuple

import numpy as np

from graphjit.compiler.tensortype import TensorShape

from .adoption import owner_of
from .expectations import Expectation, SameElements, SameObject, SameValue, expectation_of
from .places import MISSING, AttributePlace, CellPlace, ContentPlace, FieldsPlace, FixedPlace, NamePlace, Place
from .state import State
from .tracing import CapturedArray, CapturedVariable, TracedFunction

Array = np.ndarray[Any, Any]


class Change(NamedTuple):
    """Something that is not what a trace found."""

    what: str
    old: str
    new: str


class Guards:
    """What a trace depends on beside its arguments.

    >>> limits = {"low": 1}
    >>> guards = Guards([(NamePlace(limits, "low", "the global 'low'"), SameValue(1, (int, 1)))])
    >>> guards.first_change() is None
    True
    >>> limits["low"] = 2
    >>> guards.first_change()
    Change(what="the global 'low'", old='1', new='2')
    """

    def __init__(self, pairs: Iterable[tuple[Place, Expectation]]) -> None:
        self.pairs = tuple(pairs)
        # Nearly all guards say that a name or an attribute still holds one object: those are compared without calls.
        self.names: list[tuple[dict[str, Any], str, Any]] = []
        self.attributes: list[tuple[Callable[[], Any], str, Any]] = []
        self.weak_attributes: list[tuple[Callable[[], Any], str, Callable[[], Any]]] = []
        self.cells: list[tuple[CellPlace, Any]] = []
        self.others: list[tuple[Callable[[], Any], Callable[[Any], bool]]] = []
        for place, expectation in self.pairs:
            self._sort(place, expectation)

    def _sort(self, place: Place, expectation: Expectation) -> None:
        kept = _lasting_target(expectation)
        if type(place) is NamePlace and kept is not None:
            self.names.append((place.namespace, place.name, kept))
        elif type(place) is AttributePlace and kept is not None:
            self.attributes.append((place.reference, place.name, kept))
        elif type(place) is AttributePlace and isinstance(expectation, SameObject):
            self.weak_attributes.append((place.reference, place.name, expectation.target))
        elif type(place) is CellPlace and kept is not None:
            self.cells.append((place, kept))
        else:
            self.others.append((place.read, expectation.matches))

    def hold(self) -> bool:
        """Whether everything is as the trace found it."""
        for namespace, name, value in self.names:
            if namespace.get(name, MISSING) is not value:
                return self.first_change() is None
        for target, name, value in self.attributes:
            if getattr(target(), name, MISSING) is not value:
                return self.first_change() is None
        for target, name, wanted in self.weak_attributes:
            if getattr(target(), name, MISSING) is not wanted():
                return False
        for place, value in self.cells:
            if place.read() is not value:
                return self.first_change() is None
        return self.others_hold()

    def others_hold(self) -> bool:
        """Whether what cannot be compared without calls is as the trace found it."""
        for read, matches in self.others:  # noqa: SIM110 -- all() with a generator costs more than the checks
            if not matches(read()):
                return False
        return True

    def first_change(self) -> Change | None:
        """The first thing that is not as the trace found it."""
        for place, expectation in self.pairs:
            value = place.read()
            if not expectation.matches(value):
                where, old, new = expectation.difference(value)
                return Change(f"{where} of {place}" if where else str(place), old, new)
        return None

    def variables(self) -> list[State]:
        """The variables among what is expected."""
        return [one for _, expectation in self.pairs for one in expectation.variables()]

    def __len__(self) -> int:
        return len(self.pairs)


def _lasting_target(expectation: Expectation) -> Any:
    """The object that is expected, where the expectation keeps it; None elsewhere."""
    if isinstance(expectation, SameValue):
        return expectation.value
    if isinstance(expectation, SameObject):
        return expectation.kept
    return None


def make_guards(places: Iterable[Place], traced: TracedFunction) -> Guards:
    """The guards of a trace that has ended: its places, with what they hold now.

    What a traced function itself changed (a counter, a list that grew) counts as it left it.
    """
    inputs = {id(owner_of(_memory(source.array))) for source in traced.sources if isinstance(source, CapturedArray)}
    pairs: list[tuple[Place, Expectation]] = []
    places = list(places)
    whole = {place.identity for place in places if isinstance(place, FieldsPlace)}
    for place in places:
        if type(place) is AttributePlace and place.identity in whole and place.is_own:
            continue  # all attributes that the object holds itself are looked at anyway
        if not (isinstance(place, AttributePlace | CellPlace | ContentPlace | FieldsPlace) and place.target is None):
            pairs.append((place, expectation_of(place.read(), lambda array: id(array) in inputs)))
    for source in traced.sources:
        if isinstance(source, CapturedVariable) and _may_change_shape(source.variable):
            place = ShapePlace(source.variable)
            pairs.append((place, expectation_of(place.read(), _is_no_input)))
    for array, snapshot in traced.contents:
        pairs.append((FixedPlace(array, "the elements of an array"), SameElements(snapshot)))
    return Guards(pairs)


class ShapePlace(Place):
    """The shape of what a variable holds, where values of several shapes are allowed."""

    __slots__ = ("variable",)

    def __init__(self, variable: State) -> None:
        self.variable = variable

    @property
    def key(self) -> Hashable:
        return "shape", id(self.variable)

    def read(self) -> Any:
        return self.variable.array.shape

    def __str__(self) -> str:
        return f"the shape of the variable {self.variable.name!r}"


def _may_change_shape(variable: State) -> bool:
    shape = getattr(variable, "shape", None)
    return isinstance(shape, TensorShape) and not shape.is_fully_defined()


def _is_no_input(array: Array) -> bool:
    return False


def _memory(array: Array) -> Array:
    """The array whose memory a captured one shows."""
    owner: Array = getattr(array.base, "owner", array)
    return owner


__all__: list[str] = []
