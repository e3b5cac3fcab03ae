"""Which calls may run without Python, and their records: simple arguments, names and variables, native programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import scope_variable, usual_scope
from graphjit.runtime.quick.calls import (
    NUMBER_DTYPES,
    Argument,
    AttributeGuard,
    CellGuard,
    ContainerArgument,
    Fixed,
    Held,
    Input,
    NameGuard,
    Number,
    Outcome,
    Question,
    QuickCall,
    QuickGuard,
    Roles,
    Signature,
)

from .binding import Method
from .cache import Entry, TraceCache
from .guards import Guards
from .modes import EVERYWHERE, eager_here
from .places import MISSING
from .shortcut import CONTAINERS, items_of
from .signature import call_of_leaves
from .state import State
from .tensor import Tensor

Array = np.ndarray[Any, Any]

_LARGEST_ARENA = 2**20
"""A record keeps a frame of its own; one with more temporaries than this is shared by all calls instead."""


def roles_of(function: type) -> Roles:
    """What native code has to know of our classes."""
    return Roles(
        wrapper=Tensor,
        array="_array",
        spare="_type",
        reader="numpy",
        holder=State,
        callable=function,
        cache="_cache",
        cache_class=TraceCache,
        table="quick",
        bound=Method,
        function="_function",
        switch=EVERYWHERE,
        contexts=((scope_variable, usual_scope()), (eager_here, None)),
    )


def quick_call(
    key: Hashable,
    entry: Entry,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    arrays: list[Array],
    free: frozenset[int],
) -> QuickCall | None:
    """The record of a call with simple arguments that an entry serves; None where it needs Python.

    Args:
      key, arrays: see `simple_key`.
      free: the positions of numbers of any value.
    """
    concrete = entry.concrete
    if concrete.numbers is None:
        return None
    executable = concrete.program.executable(concrete.inputs(arrays, call_of_leaves(list(args))))
    apart = _TakenApart((*args, *kwargs.values()))
    inputs = None if executable is None else _inputs(entry, apart, arrays)
    if executable is None or inputs is None:
        return None
    if not executable.runs_through or executable.program.arena_bytes > _LARGEST_ARENA:
        return None
    numbers = tuple((position, type(args[position])) for position in sorted(free))
    constants = tuple((position, one) for position, one in apart.others() if position not in free)
    keywords = tuple(map(sys.intern, kwargs))
    signature = Signature(len(args), keywords, constants, numbers, tuple(apart.containers))
    outcome = _outcome(entry)
    return QuickCall(key, entry, signature, inputs, _guards(entry.guards), executable, outcome, concrete.native_hits)


class _TakenApart:
    """Simple arguments with what is in the containers among them, numbered on; see `ContainerArgument`."""

    def __init__(self, given: tuple[Any, ...]) -> None:
        self.values = list(given)
        self.containers: list[ContainerArgument] = []
        self._leaves: list[int] = []
        for position in range(len(given)):
            self._visit(position)

    def _visit(self, position: int) -> None:
        value = self.values[position]
        if type(value) not in CONTAINERS:
            self._leaves.append(position)
            return
        items, names = items_of(value)
        first = len(self.values)
        self.values += items
        self.containers.append(ContainerArgument(position, type(value), len(items), names or (), first))
        for inside in range(first, first + len(items)):
            self._visit(inside)

    def array_positions(self) -> list[int]:
        """Where the arrays are, in the order in which arguments are taken apart."""
        return [position for position in self._leaves if _has_array(self.values[position])]

    def others(self) -> list[tuple[int, Any]]:
        """What is no array, and where."""
        return [(position, self.values[position]) for position in self._leaves if not _has_array(self.values[position])]


def _inputs(entry: Entry, apart: _TakenApart, arrays: list[Array]) -> list[Input] | None:
    """Where the inputs come from; None where one is of a kind that native code does not bind."""
    positions = apart.array_positions()
    given = apart.values
    fixed = entry.concrete.fixed
    held = entry.concrete.variables
    samples = [*arrays, *fixed, *(one.array for one in held)]
    numbers = entry.concrete.numbers
    if numbers is None or not all(one.dtype.numpy in NUMBER_DTYPES for one in numbers):
        return None
    if not all(type(one) is np.ndarray and _is_plain(one) for one in samples):
        return None
    return [
        *(Argument(position, array) for position, array in zip(positions, arrays, strict=True)),
        *map(Fixed, fixed),
        *(Held(one, one.array) for one in held),
        *(Number(one.position, type(given[one.position]), one.dtype.numpy) for one in numbers),
    ]


def _is_plain(array: Array) -> bool:
    return array.flags.c_contiguous and array.flags.aligned


def _has_array(value: Any) -> bool:
    return isinstance(value, Tensor | np.ndarray | np.generic)


def _guards(guards: Guards) -> list[QuickGuard]:
    """What native code looks at; where one of these fails, `Guards.hold` decides."""
    rows: list[QuickGuard] = [
        NameGuard(namespace, name, value, value is not MISSING) for namespace, name, value in guards.names
    ]
    rows += [AttributeGuard(target, name, value) for target, name, value in guards.attributes]
    rows += [AttributeGuard(target, name, wanted, by_call=True) for target, name, wanted in guards.weak_attributes]
    rows += [CellGuard(place.function, place.position, value) for place, value in guards.cells]
    return [*rows, Question(guards.others_hold)] if guards.others else rows


def _outcome(entry: Entry) -> Outcome:
    results = entry.concrete.traced.results
    updated: tuple[State, ...] = tuple(entry.concrete.updated_variables())
    container: Any = results.container
    if results.count == 0 and results.structure.is_leaf():
        return Outcome(0, updated, None, results.kept[0])
    shape: type | Callable[..., Any] | None = results.put_together if container is None else container
    return Outcome(results.count, updated, None if results.is_single else shape)


__all__: list[str] = []
