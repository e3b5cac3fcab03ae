"""Which calls may run without Python, and their records: simple arguments, names and variables, native programs."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Hashable, Iterable
from typing import Any
from weakref import ref

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
from .places import MISSING, reference
from .shortcut import CONTAINERS, items_of
from .signature import Call, NumberSlot, ObjectSlot, TensorSlot, VariableSlot, call_of_leaves
from .state import State
from .tensor import Tensor
from .tracing import ArgumentVariable, Number as NumberSource

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
    if entry.concrete.numbers is None:
        return None
    apart = _TakenApart((*args, *kwargs.values()))
    numbers = tuple((position, type(args[position])) for position in sorted(free))
    constants = tuple((position, one) for position, one in apart.others() if position not in free)
    signature = Signature(len(args), _keywords(kwargs), constants, numbers, tuple(apart.containers))
    return _record(key, entry, signature, apart, arrays, call_of_leaves(apart.leaves()))


def quick_call_with_objects(
    entry: Entry, args: tuple[Any, ...], kwargs: dict[str, Any], call: Call
) -> QuickCall | None:
    """The record of a call among whose arguments are variables or other objects; it serves these objects only.

    They are not kept alive.
    """
    apart = _TakenApart((*args, *kwargs.values()))
    leaves = apart.leaves()
    if len(leaves) != len(call.leaves) or not all(map(operator.is_, leaves, call.leaves)):
        return None
    constants: list[tuple[int, Any]] = []
    objects: list[tuple[int, ref[Any]]] = []
    numbers: list[tuple[int, type]] = []
    arrays: list[Array] = []
    guards: list[QuickGuard] = []
    for place, (position, leaf, slot) in enumerate(zip(apart.positions, leaves, call.slots, strict=True)):
        if isinstance(slot, ObjectSlot | VariableSlot):
            lent = reference(leaf)
            if not isinstance(lent, ref):
                return None
            objects.append((position, lent))
            if isinstance(slot, VariableSlot):
                guards.append(AttributeGuard(lent, "trainable", leaf.trainable))
        elif isinstance(slot, NumberSlot):
            numbers.append((position, type(leaf)))
        elif isinstance(slot, TensorSlot):
            array = call.arrays[place]
            assert array is not None  # the slot there says: a tensor
            arrays.append(array)
        elif type(leaf) in (int, bool, str, float, type(None)):
            constants.append((position, leaf))
        else:
            return None
    containers = tuple(apart.containers)
    signature = Signature(len(args), _keywords(kwargs), tuple(constants), tuple(numbers), containers, tuple(objects))
    return _record(object(), entry, signature, apart, arrays, call, guards)


def _keywords(kwargs: dict[str, Any]) -> tuple[str, ...]:
    return tuple(map(sys.intern, kwargs))


def _record(
    key: Hashable,
    entry: Entry,
    signature: Signature,
    apart: _TakenApart,
    arrays: list[Array],
    call: Call,
    guards: Iterable[QuickGuard] = (),
) -> QuickCall | None:
    concrete = entry.concrete
    executable = concrete.program.executable(concrete.inputs(arrays, call))
    inputs = _inputs(entry, apart, arrays, call)
    if executable is None or inputs is None:
        return None
    if not executable.runs_through or executable.program.arena_bytes > _LARGEST_ARENA:
        return None
    rows = [*guards, *_guards(entry.guards)]
    return QuickCall(key, entry, signature, inputs, rows, executable, _outcome(entry, call), concrete.native_hits)


class _TakenApart:
    """Simple arguments with what is in the containers among them, numbered on; see `ContainerArgument`."""

    def __init__(self, given: tuple[Any, ...]) -> None:
        self.values = list(given)
        self.containers: list[ContainerArgument] = []
        self.positions: list[int] = []
        """Where the leaves are, in the order in which arguments are taken apart."""
        for position in range(len(given)):
            self._visit(position)

    def _visit(self, position: int) -> None:
        value = self.values[position]
        if type(value) not in CONTAINERS:
            self.positions.append(position)
            return
        items, names = items_of(value)
        first = len(self.values)
        self.values += items
        self.containers.append(ContainerArgument(position, type(value), len(items), names or (), first))
        for inside in range(first, first + len(items)):
            self._visit(inside)

    def leaves(self) -> list[Any]:
        """What is no container."""
        return [self.values[position] for position in self.positions]

    def array_positions(self) -> list[int]:
        """Where the arrays are, in the order in which arguments are taken apart."""
        return [position for position in self.positions if _has_array(self.values[position])]

    def others(self) -> list[tuple[int, Any]]:
        """What is no array, and where."""
        return [
            (position, self.values[position]) for position in self.positions if not _has_array(self.values[position])
        ]


def _inputs(entry: Entry, apart: _TakenApart, arrays: list[Array], call: Call) -> list[Input] | None:
    """Where the inputs come from; None where one is of a kind that native code does not bind."""
    positions = apart.array_positions()
    fixed = entry.concrete.fixed
    held = entry.concrete.variables
    converted = [_converted_input(source, apart, call) for source in entry.concrete.others]
    known = [one for one in converted if one is not None]
    lent = [one.sample for one in known if isinstance(one, Held)]
    samples = [*arrays, *fixed, *(one.array for one in held), *lent]
    if len(known) != len(converted) or not all(type(one) is np.ndarray and _is_plain(one) for one in samples):
        return None
    return [
        *(Argument(position, array) for position, array in zip(positions, arrays, strict=True)),
        *map(Fixed, fixed),
        *(Held(one, one.array) for one in held),
        *known,
    ]


def _converted_input(source: Any, apart: _TakenApart, call: Call) -> Input | None:
    """An input that is made of an argument: a number, or what a variable holds."""
    if isinstance(source, NumberSource) and source.dtype.numpy in NUMBER_DTYPES:
        return Number(apart.positions[source.position], type(call.leaves[source.position]), source.dtype.numpy)
    if isinstance(source, ArgumentVariable):
        variable = call.leaves[source.position]
        return Held(variable, variable.array)
    return None


def _is_plain(array: Array) -> bool:
    return array.flags.c_contiguous and array.flags.aligned and array.dtype.kind != "O"


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


def _outcome(entry: Entry, call: Call) -> Outcome:
    results = entry.concrete.traced.results
    updated: tuple[State, ...] = tuple(entry.concrete.updated_variables(call))
    captured = all(id(one) in entry.reached for one in updated)  # others may see an argument
    container: Any = results.container
    if results.count == 0 and results.structure.is_leaf():
        return Outcome(0, updated, None, results.kept[0], captured)
    shape: type | Callable[..., Any] | None = results.put_together if container is None else container
    return Outcome(results.count, updated, None if results.is_single else shape, None, captured)


__all__: list[str] = []
