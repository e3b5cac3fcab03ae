"""A web of objects out of JSON that somebody else wrote (`objectwriting` says how)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

from graphjit.compiler.tensortype import type_of_array
from graphjit.runtime.errors import FormatError

from ..cache import Entry
from ..function import Function
from ..generator import Generator
from ..pinned import ConcreteFunction
from ..state import State
from ..tensor import Tensor
from ..variable import Variable
from .arrayfile import has_dtype
from .documents import at, field, number_below, of_kind, only, tagged
from .functionreading import decode_function
from .nesting import record_class
from .values import decode_shape, decode_value

Array = np.ndarray[Any, Any]
Make = Callable[[str, Mapping[str, str], Mapping[str, str]], Any]
"""From kind, facts, and the classes of attributes that are absent, to an object whose attributes are set later."""
_MOST_DEPTH = 64


class Absent:
    """Stands in a loaded list or dict for something that could not be saved."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"<a {self._name} that was not saved>"


class Reader:
    """Makes the objects of a description."""

    def __init__(self, document: Any, arrays: Mapping[str, Array], make: Make) -> None:
        only(document, ("objects", "root", "signatures"))
        self._nodes = [tagged(one) for one in field(document, "objects", list)]
        self._document = document
        self._arrays = arrays
        self._make = make
        self._made: dict[int, Any] = {}
        self._traces: dict[int, list[Entry]] = {}
        self._used: set[str] = set()
        self._tensors: dict[str, Tensor] = {}

    def read(self) -> tuple[Any, dict[str, Any]]:
        """The first object, and the further ones by name.

        Raises:
          FormatError: if the description is none, or does not fit the arrays.
        """
        # In this order each kind needs only those before it; lists, dicts and objects are filled at the end.
        for kinds in (_LEAVES, ("list", "dict", "object", "generator"), ("tuple", "named"), ("function",)):
            self._make_all(kinds)
        self._make_all(("concrete",))
        for number, (kind, inner) in enumerate(self._nodes):
            with at(f"object {number}"):
                self._fill(kind, inner, self._made[number])
        surplus = sorted(self._arrays.keys() - self._used)
        if surplus:
            raise FormatError(f"nothing uses the array {surplus[0]!r}")
        signatures = field(self._document, "signatures", dict)
        return self._at(self._document["root"]), {name: self._at(one) for name, one in signatures.items()}

    def _make_all(self, kinds: Iterable[str]) -> None:
        for number, (kind, inner) in enumerate(self._nodes):
            if kind in kinds and number not in self._made:
                with at(f"object {number}"):
                    self._made[number] = self._new(number, kind, inner, 0)
            elif kind not in _ALL:
                raise FormatError(f"object {number}: {kind[:80]!r} is no kind of object")

    def _at(self, number: Any) -> Any:
        return self._made[number_below(number, len(self._nodes), "object")]

    def _new(self, number: int, kind: str, inner: Any, depth: int) -> Any:
        match kind:
            case "variable":
                return self._new_variable(inner)
            case "tensor":
                return self.tensor(inner)
            case "array":
                return self._array_of(inner).copy()
            case "value":
                return decode_value(inner)
            case "absent":
                return Absent(of_kind(inner, str, "a class"))
            case "list":
                return []
            case "dict":
                return {}
            case "object":
                return self._new_object(inner)
            case "generator":
                return self._new_generator(inner)
            case "tuple":
                return tuple(self._part(one, depth) for one in of_kind(inner, list, "a tuple"))
            case "named":
                return self._new_named_tuple(inner, depth)
            case "function":
                function, self._traces[number] = decode_function(inner, self)
                return function
        return self._new_concrete(inner, depth)

    def _part(self, number: Any, depth: int) -> Any:
        """A part of a tuple, which is made before the tuple."""
        place = number_below(number, len(self._nodes), "object")
        if place not in self._made:
            if depth >= _MOST_DEPTH:
                raise FormatError(f"tuples are nested at most {_MOST_DEPTH} deep")
            kind, inner = self._nodes[place]
            self._made[place] = self._new(place, kind, inner, depth + 1)
        return self._made[place]

    def _new_named_tuple(self, inner: Any, depth: int) -> Any:
        if type(inner) is not list or len(inner) != 2 or type(inner[1]) is not list:
            raise FormatError("a named tuple has a name and fields")
        pairs = [_pair(one) for one in inner[1]]
        names = tuple(of_kind(name, str, "a field") for name, _ in pairs)
        cls = record_class(("named", of_kind(inner[0], str, "a name"), names))
        return cls(*(self._part(one, depth) for _, one in pairs))

    def _new_object(self, inner: Any) -> Any:
        only(inner, ("kind", "facts", "attributes", "absent"))
        texts = [_texts(field(inner, name, dict)) for name in ("facts", "absent")]
        return self._make(field(inner, "kind", str), *texts)

    def _new_variable(self, inner: Any) -> Variable:
        only(inner, ("name", "trainable", "shape", "array"))
        array = self._array_of(inner["array"])
        shape = decode_shape(inner["shape"])
        if not shape.is_compatible_with(array.shape):
            raise FormatError(f"a variable of shape {shape} holds an array of shape {array.shape}")
        trainable, name = field(inner, "trainable", bool), field(inner, "name", str)
        variable = Variable(array, trainable=trainable, shape=shape)
        variable.name = name
        return variable

    def _new_generator(self, inner: Any) -> Generator:
        state = self.variable(inner)
        if state.type != _STATE_TYPE:
            raise FormatError(f"a generator's state is {_STATE_TYPE}, not {state.type}")
        return Generator.with_state(state)

    def _new_concrete(self, inner: Any, depth: int) -> ConcreteFunction:
        if type(inner) is not list or len(inner) != 2:
            raise FormatError("a concrete function has a function and a trace")
        function = self._part(inner[0], depth)
        if not isinstance(function, Function):
            raise FormatError("a concrete function belongs to a function")
        entries = self._traces[inner[0]]
        return function.concrete_of(entries[number_below(inner[1], len(entries), "trace")])

    def _fill(self, kind: str, inner: Any, made: Any) -> None:
        if kind == "list":
            made.extend(map(self._at, of_kind(inner, list, "a list")))
        elif kind == "object":
            for name, number in field(inner, "attributes", dict).items():
                made.set_loaded(name, self._at(number))
        elif kind == "dict":
            for pair in of_kind(inner, list, "a dict"):
                key, number = _pair(pair)
                made[_hashable(decode_value(key))] = self._at(number)

    # --- what functions ask for ---

    def variable(self, number: Any) -> State:
        """The variable of a number."""
        place = number_below(number, len(self._nodes), "object")
        found = self._made.get(place)
        if not isinstance(found, State):
            raise FormatError(f"object {place} is no variable")
        return found

    def tensor(self, name: Any) -> Tensor:
        """The tensor of a name, the same each time."""
        array = self._array_of(name)
        return self._tensors.setdefault(name, Tensor(array))

    def get(self, name: str) -> Array:
        """The array of a name."""
        return self._array_of(name)

    def _array_of(self, name: Any) -> Array:
        array = self._arrays.get(of_kind(name, str, "a name"))
        if array is None:
            raise FormatError(f"there is no array {name[:80]!r}")
        if not has_dtype(array):
            raise FormatError(f"the array {name[:80]!r} has dtype {array.dtype}, which no tensor has")
        self._used.add(name)
        return array


_LEAVES = ("variable", "tensor", "array", "value", "absent")
_ALL = frozenset((*_LEAVES, "list", "dict", "object", "generator", "tuple", "named", "function", "concrete"))
_STATE_TYPE = type_of_array(np.zeros(2, np.uint64))


def _pair(found: Any) -> Any:
    if type(found) is not list or len(found) != 2:
        raise FormatError("a pair must stand here")
    return found


def _texts(found: dict[str, Any]) -> dict[str, str]:
    for name, value in found.items():
        of_kind(value, str, repr(name))
    return found


def _hashable(value: Any) -> Any:
    try:
        hash(value)
    except TypeError:
        raise FormatError("the keys of a dict are hashable") from None
    return value


__all__: list[str] = []
