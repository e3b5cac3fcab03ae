"""Calls that run from their arguments to their results without Python: records of signatures, and who is called.

For a class whose instances are called, `install` lets native code look first at the
records that each instance has. A `QuickCall` is the record of one signature: the
arguments that it fits, what must be as it was, the frame that runs, and what becomes of
the outputs. Everything else, and every error, is left to the class's own `__call__`.
Knows nothing of tensors: `Roles` says which classes wrap and hold arrays.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Hashable, Iterable, Sequence
from contextvars import ContextVar
from functools import partial
from typing import Any, Final, TypeAlias
from weakref import ref

import numpy as np
import numpy.typing as npt

from graphjit.runtime import objectlayout as layout
from graphjit.runtime.buffers import COUNTED, POOLED_FROM, address_of, allocate_state, result_maker
from graphjit.runtime.executable import Executable, Frame
from graphjit.runtime.fields import dataclass
from graphjit.runtime.kernelcache import Kernel, load_ir
from graphjit.runtime.sequencer import sequencer
from graphjit.runtime.threads import start_threads

from . import tables
from .methods import quick_ir

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Roles:
    """Which classes do what, and when calls are usual.

    Attributes:
      wrapper: the class of results, `array` and `spare` its slots; a fresh one has None as its spare.
      reader: its method that gives the array, which nobody may write to.
      holder: a class whose instances hold an array in a slot `array`.
      callable: the class that is called, `cache` its slot with a `cache_class`, whose slot `table` has a tuple of
        `QuickCall`s or None.
      bound: a class whose instances are called in place of what they have in the slot `function`.
      switch: a word that is 0 while calls may be quick.
      contexts: context variables, and the object that each holds where calls may be quick.
    """

    wrapper: type
    array: str
    spare: str
    reader: str
    holder: type
    callable: type
    cache: str
    cache_class: type
    table: str
    bound: type
    function: str
    switch: npt.NDArray[np.int64]
    contexts: tuple[tuple[ContextVar[Any], object], tuple[ContextVar[Any], object]]


class NameGuard:
    """A dictionary has this very value under a name; None as `value` stands for no entry."""

    def __init__(self, namespace: dict[str, Any], name: str, value: object, is_there: bool) -> None:
        self.keeps = (namespace, name, value)
        self.row = (tables.NAME, id(namespace), id(name), id(value) if is_there else 0, 0)


class AttributeGuard:
    """The object that `target()` gives has this very value as an attribute; `by_call` gives it if told."""

    def __init__(self, target: Callable[[], Any], name: str, value: object, by_call: bool = False) -> None:
        self.keeps = (target, name, value)
        self.row = (tables.ATTRIBUTE, id(target), id(name), id(value), int(by_call))


class CellGuard:
    """The function that `function()` gives has this very value in a cell; `by_call` gives it if told."""

    def __init__(self, function: Callable[[], Any], position: int, value: object, by_call: bool = False) -> None:
        self.keeps = (function, value)
        self.row = (tables.CELL, id(function), position, id(value), int(by_call))


class Question:
    """A function answers True."""

    def __init__(self, ask: Callable[[], bool]) -> None:
        self.keeps = (ask,)
        self.row = (tables.QUESTION, id(ask), 0, 0, 0)


QuickGuard: TypeAlias = NameGuard | AttributeGuard | CellGuard | Question


@dataclass(frozen=True)
class Argument:
    """An input that is the array at a position of the call, of the dtype and shape of a sample."""

    position: int
    sample: Array


@dataclass(frozen=True)
class Fixed:
    """An input that is always the same array."""

    array: Array


@dataclass(frozen=True)
class Held:
    """An input that is what a holder has, of the dtype and shape that it has now."""

    holder: Any
    sample: Array


@dataclass(frozen=True)
class Number:
    """An input that is the Python number, an int of 32 bits or a float, at a position of the call, as a dtype."""

    position: int
    kind: type
    dtype: np.dtype[Any]


NUMBER_DTYPES: Final = tuple(map(np.dtype, tables.TARGETS))
"""What native code converts Python numbers to."""

Input: TypeAlias = Argument | Fixed | Held | Number


@dataclass(frozen=True)
class ContainerArgument:
    """A tuple, list or dict at a position, whose items get positions from `first` on, in the order of `names`."""

    position: int
    kind: type
    count: int
    names: tuple[str, ...]
    first: int


@dataclass(frozen=True)
class Signature:
    """What the arguments of a call are.

    Attributes:
      positional, keywords: how many, and the names of the others.
      constants: positions, and the objects that must be there.
      numbers: positions, and int or float, of which any is right.
      containers: outer ones before those in them.
      objects: positions, and references to the objects that must be there.
    """

    positional: int
    keywords: tuple[str, ...]
    constants: tuple[tuple[int, Any], ...]
    numbers: tuple[tuple[int, type], ...] = ()
    containers: tuple[ContainerArgument, ...] = ()
    objects: tuple[tuple[int, ref[Any]], ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What becomes of the outputs: so many are results, the others replace what holders have."""

    results: int
    updated: tuple[Any, ...]
    container: type | Callable[[list[Any]], Any] | None
    """None for a single result, tuple, list, or what makes the result from a list of all."""
    constant: Any = None
    """The result where there are no results."""
    may_be_in_place: bool = False
    """Whether updates may be written where the arrays of their holders lie."""


class QuickCall:
    """One signature of a callable object.

    Attributes:
      key, owner: whose record it is; of no meaning here.
    """

    __slots__ = ("_keeps", "key", "owner", "words")

    def __init__(
        self,
        key: Hashable,
        owner: object,
        signature: Signature,
        inputs: Sequence[Input],
        guards: Iterable[QuickGuard],
        executable: Executable,
        outcome: Outcome,
        hits: npt.NDArray[np.int64],
    ) -> None:
        """Prepare the record; `hits[0]` counts its calls."""
        self.key = key
        self.owner = owner
        # The owner keeps fixed arrays and holders; samples are a caller's, and are not kept.
        self._keeps: list[Any] = [executable, signature, outcome.container, outcome.constant, hits]
        words = self._signature_words(signature) | self._guard_words(tuple(guards))
        words |= self._run_words(executable, signature, inputs, outcome) | self._outcome_words(outcome)
        self.words = np.array([words.get(name, 0) for name in tables.RECORD], np.uint64)
        self.words[tables.RECORD.index("hits")] = address_of(hits)

    def _kept(self, rows: Iterable[Sequence[int]]) -> int:
        """The address of a table of words."""
        table = np.array([word & (2**64 - 1) for row in rows for word in row], np.uint64)
        self._keeps.append(table)
        return address_of(table)

    def _signature_words(self, signature: Signature) -> dict[str, int]:
        constants = [_constant_row(position, value) for position, value in signature.constants]
        constants += [(position, id(lent), 0, tables.BY_CALL) for position, lent in signature.objects]
        return {
            "positional": signature.positional,
            "keywords": len(signature.keywords),
            "keyword_names": self._kept([[id(name)] for name in signature.keywords]),
            "constants": self._kept(constants),
            "constant_count": len(constants),
            "containers": self._kept([self._container_row(one) for one in signature.containers]),
            "container_count": len(signature.containers),
            "items": self._kept([[0] * self._room_for(signature)]),
        }

    def _container_row(self, one: ContainerArgument) -> tuple[int, ...]:
        return (
            one.position,
            _CONTAINERS.index(one.kind),
            one.count,
            self._kept([[id(name)] for name in one.names]),
            one.first,
        )

    @staticmethod
    def _room_for(signature: Signature) -> int:
        given = signature.positional + len(signature.keywords)
        return max([given, *(one.first + one.count for one in signature.containers)])

    def _guard_words(self, guards: tuple[QuickGuard, ...]) -> dict[str, int]:
        self._keeps.append(guards)
        return {"guards": self._kept([one.row for one in guards]), "guard_count": len(guards)}

    def _run_words(
        self, executable: Executable, signature: Signature, inputs: Sequence[Input], outcome: Outcome
    ) -> dict[str, int]:
        frame = executable.take_frame()
        program = executable.program
        # A number that no input is still must be of its kind.
        numbers = [self._number_row(Number(*one, np.dtype(one[1])), None) for one in signature.numbers]
        arguments: list[tuple[int, ...]] = []
        held: list[tuple[int, ...]] = []
        for number, one in zip(program.inputs, inputs, strict=True):
            if isinstance(one, Number):
                numbers.append(self._number_row(one, frame.place(number)))
                continue
            row = self._input_row(one, frame.place(number))
            (arguments if isinstance(one, Argument) else held).append(row)
        over = {result for _state, result in program.updates}
        outputs = [self._output_row(frame, number, program.slots[number], number in over) for number in program.outputs]
        held_table = self._kept(held)
        updates = self._update_rows(executable, frame, outcome, {row[-2]: n for n, row in enumerate(held)}, held_table)
        self._keeps.append(frame)
        return {
            "arguments": self._kept(arguments),
            "argument_count": len(arguments),
            "numbers": self._kept(numbers),
            "number_count": len(numbers),
            "held": held_table,
            "held_count": len(held),
            "outputs": self._kept(outputs),
            "output_count": len(outputs),
            "made": self._kept([[0] * len(outputs)]),
            "before": id(start_threads) if executable.shares else 0,
            "run": sequencer().code.address,
            "frame": frame.pointer,
            "lets_go": int(not executable.holds_lock),
            "stops": int(executable.stops),
            "tail": executable.tail if outcome.may_be_in_place else 0,
            "updates": self._kept(updates),
            "update_count": len(updates),
        }

    @staticmethod
    def _update_rows(
        executable: Executable, frame: Frame, outcome: Outcome, held: dict[int, int], held_table: int
    ) -> list[tuple[int, ...]]:
        """For each update its holder, the row of the array that it has now, and where the output's address goes."""
        states = {result: frame.place(state) for state, result in executable.program.updates}
        rows: list[tuple[int, ...]] = []
        results = executable.program.outputs[outcome.results :]
        for holder, result in zip(outcome.updated, results, strict=True):
            row = held.get(states.get(result, 0))
            address = 0 if row is None else held_table + 8 * len(tables.ARRAY) * row
            rows.append((id(holder), address, frame.place(result)))
        return rows

    def _number_row(self, one: Number, place: int | None) -> tuple[int, ...]:
        room = self._kept([[0, 0]])
        target = tables.TARGETS.index(one.dtype.name)
        return (one.position, int(one.kind is int), target, room + 8 if place is None else place, room)

    def _input_row(self, one: Argument | Fixed | Held, place: int) -> tuple[int, ...]:
        if isinstance(one, Argument):
            scalar = layout.scalar_type(one.sample.dtype) if one.sample.ndim == 0 else None
            return (0, one.position, *self._type_words(one.sample), 0 if scalar is None else id(scalar), place, 0)
        if isinstance(one, Fixed):
            return (tables.FIXED, id(one.array), *self._type_words(one.array), 0, place, 0)
        return (tables.HOLDER, id(one.holder), *self._type_words(one.sample), 0, place, 0)

    def _type_words(self, sample: Array) -> tuple[int, int, int]:
        dtype = sample.dtype
        self._keeps.append(dtype)
        return id(dtype), sample.ndim, self._kept([[size] for size in sample.shape])

    def _output_row(self, frame: Frame, number: int, slot: Any, is_state: bool) -> tuple[int, ...]:
        maker = None
        if is_state or slot.nbytes >= POOLED_FROM:
            facts = (slot.shape, slot.dtype)
            maker = partial(allocate_state, *facts) if is_state else result_maker(*facts)
        self._keeps += [slot.dtype, maker]
        shape = self._kept([[size] for size in slot.shape])
        return (id(slot.dtype), len(slot.shape), shape, 0 if maker is None else id(maker), frame.place(number))

    def _outcome_words(self, outcome: Outcome) -> dict[str, int]:
        kinds = {None: tables.SINGLE, tuple: tables.TUPLE, list: tables.LIST}
        kind = kinds.get(outcome.container, tables.CALLED)  # type: ignore[arg-type]  # functions are not among the kinds
        shape = outcome.constant if outcome.results == 0 and kind == tables.SINGLE else outcome.container
        return {
            "result_count": outcome.results,
            "wrapped": self._kept([[0] * outcome.results]),
            "container": tables.NOTHING if outcome.results == 0 and kind == tables.SINGLE else kind,
            "shape_of_result": id(shape),
        }


def _constant_row(position: int, value: Any) -> tuple[int, ...]:
    bits = int(np.float64(value).view(np.uint64)) if type(value) is float else 0
    return (position, id(value), bits, tables.BY_BITS if type(value) is float else tables.BY_IDENTITY)


class _MethodDefinition(ctypes.Structure):
    """PyMethodDef of Python's C interface."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


_CONTAINERS: Final[tuple[type, ...]] = (tuple, list, dict)
"""In the order of `IN_TUPLE`, `IN_LIST` and `IN_DICT`."""
_FAST_WITH_KEYWORDS: Final = 0x0080 | 0x0002
_NO_ARGUMENTS: Final = 0x0004

_lock = threading.Lock()
_installed: list[tuple[Kernel, Any]] = []
"""The code, and what Python keeps pointers to."""


def install(roles: Roles) -> bool:
    """Let native code look at calls first, from now on; whether this interpreter allows it."""
    if not layout.is_known():
        return False
    with _lock:
        if not _installed:
            _install(roles)
    return True


def _install(roles: Roles) -> None:
    kernel = load_ir(quick_ir(), "quick calls")
    slow = [roles.callable.__call__, roles.bound.__call__, getattr(roles.wrapper, roles.reader)]
    words = np.array([_root_words(roles, slow).get(name, 0) for name in tables.ROOT], np.uint64)
    ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p)(kernel.address)(address_of(words))
    found = dict(zip(tables.ROOT, map(int, words), strict=True))
    _installed.append((kernel, [roles, slow]))
    _put_method(roles.callable, "__call__", found["call"], _FAST_WITH_KEYWORDS)
    _put_method(roles.bound, "__call__", found["bound_call"], _FAST_WITH_KEYWORDS)
    _put_method(roles.wrapper, roles.reader, found["read"], _NO_ARGUMENTS)


def _root_words(roles: Roles, slow: Sequence[Any]) -> dict[str, int]:
    (first, first_usual), (second, second_usual) = roles.contexts
    slow_call, slow_bound_call, slow_read = map(id, slow)
    counted, other_counted = COUNTED
    return layout.functions() | {
        "counted_type": id(counted),
        "other_counted_type": id(other_counted),
        "none": id(None),
        "true": id(True),
        "array_type": id(np.ndarray),
        "float_type": id(float),
        "int_type": id(int),
        "tuple_type": id(tuple),
        "list_type": id(list),
        "dict_type": id(dict),
        "wrapper_type": id(roles.wrapper),
        "wrapper_array": layout.slot_offset(roles.wrapper, roles.array),
        "wrapper_spare": layout.slot_offset(roles.wrapper, roles.spare),
        "holder_array": layout.slot_offset(roles.holder, "array"),
        "callable_type": id(roles.callable),
        "callable_calls": layout.slot_offset(roles.callable, roles.cache),
        "bound_function": layout.slot_offset(roles.bound, roles.function),
        "calls_table": layout.slot_offset(roles.cache_class, roles.table),
        "record_words": layout.slot_offset(QuickCall, "words"),
        "slow_call": slow_call,
        "slow_bound_call": slow_bound_call,
        "slow_read": slow_read,
        "switch": address_of(roles.switch),
        "first_context": id(first),
        "first_usual": id(first_usual),
        "second_context": id(second),
        "second_usual": id(second_usual),
    }


def _put_method(cls: type, name: str, address: int, flags: int) -> None:
    """Replace a method of a class by native code."""
    python = getattr(cls, name)
    doc = (
        f"{name}({'$self, /, *args, **kwargs' if flags == _FAST_WITH_KEYWORDS else '$self, /'})\n--\n\n{python.__doc__}"
    )
    definition = _MethodDefinition(name.encode(), address, flags, doc.encode())
    make = ctypes.pythonapi.PyDescr_NewMethod
    make.restype, make.argtypes = ctypes.py_object, (ctypes.py_object, ctypes.c_void_p)
    _installed.append((_installed[0][0], definition))
    setattr(cls, name, make(cls, ctypes.addressof(definition)))
