"""A web of objects in JSON: what hangs on the first one by attributes, lists, tuples and dicts, each thing once.

    {"objects": [NODE], "root": number}
    NODE = {"variable": {...}} | {"tensor": array} | {"array": array} | {"generator": number} | {"value": VALUE}
         | {"list": [number]} | {"tuple": [number]} | {"dict": [[VALUE, number]]} | {"absent": class}
         | {"function": {...}} | {"concrete": [number, trace]}
         | {"object": {"kind", "facts", "attributes": {name: number}, "absent": {name: class}}}

Numbers are places in the list. What an "object" is only the layer above knows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from graphjit.compiler.tensortype import TensorShape

from ..binding import Method
from ..cache import Entry
from ..function import Function
from ..generator import Generator
from ..parts import Parts
from ..pinned import ConcreteFunction
from ..state import State
from ..tensor import Tensor
from .arrayfile import has_dtype
from .functionwriting import encode_function, entries_to_save
from .values import encode_value, is_plain_value

Array = np.ndarray[Any, Any]
PartsOf = Callable[[Any], Parts | None]


class Writer:
    """Numbers objects, and writes each down."""

    def __init__(self, parts_of: PartsOf) -> None:
        self.arrays: dict[str, Array] = {}
        self._parts_of = parts_of
        self._nodes: list[Any] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []
        self._names: dict[int, str] = {}
        self._waiting: list[tuple[int, Any]] = []
        self._entries: dict[int, tuple[Function, list[Entry], int]] = {}

    def document(self, root: Any, more: Mapping[str, Any]) -> dict[str, Any]:
        """The description of an object and of all that hangs on it, and of further objects by name."""
        first = self.number(root)
        others = {name: self.number(value) for name, value in more.items()}
        while self._waiting:
            number, value = self._waiting.pop()
            self._nodes[number] = self._node(value)
        # Variables that only functions reach are found while these are written.
        for number, (function, entries, serving) in list(self._entries.items()):
            self._nodes[number] = {"function": encode_function(function, entries, serving, self)}
        while self._waiting:
            number, value = self._waiting.pop()
            self._nodes[number] = self._node(value)
        return {"objects": self._nodes, "root": first, "signatures": others}

    def number(self, value: Any) -> int:
        """The number of an object, which is written down once."""
        value = value._function if isinstance(value, Method) else value
        found = self._numbers.get(id(value))
        if found is None:
            found = len(self._nodes)
            self._nodes.append(None)
            self._numbers[id(value)] = found
            self._kept.append(value)
            self._waiting.append((found, value))
        return found

    number_of = number

    def _node(self, value: Any) -> Any:
        parts = self._parts_of(value)
        if parts is not None:
            return self._object(parts)
        if isinstance(value, Function):
            entries = entries_to_save(value)
            self._entries[self.number(value)] = (value, entries, len(entries))
            return None
        if isinstance(value, ConcreteFunction):
            return self._concrete(value)
        if isinstance(value, State):
            return {"variable": self._variable(value)}
        if isinstance(value, Generator):
            return {"generator": self.number(value.state)}
        if isinstance(value, Tensor):
            return {"tensor": self.name_of(value)}
        if isinstance(value, np.ndarray | np.generic):
            return self._array(value)
        return self._plain(value)

    def _plain(self, value: Any) -> Any:
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return {
                "named": [
                    type(value).__name__,
                    [[n, self.number(one)] for n, one in zip(value._fields, value, strict=True)],
                ]
            }
        if isinstance(value, list | tuple):
            return {"list" if isinstance(value, list) else "tuple": [self.number(one) for one in value]}
        if isinstance(value, Mapping) and all(map(is_plain_value, value)):
            return {"dict": [[encode_value(name), self.number(one)] for name, one in value.items()]}
        return {"value": encode_value(value)} if is_plain_value(value) else {"absent": type(value).__qualname__}

    def _object(self, parts: Parts) -> Any:
        attributes, absent = {}, {}
        for name, value in parts.attributes.items():
            if self._is_known(value):
                attributes[name] = self.number(value)
            else:
                absent[name] = type(value).__qualname__
        return {"object": {"kind": parts.kind, "facts": parts.facts, "attributes": attributes, "absent": absent}}

    def _is_known(self, value: Any) -> bool:
        kinds = (Function, Method, ConcreteFunction, State, Generator, Tensor, list, tuple)
        if isinstance(value, kinds) or self._parts_of(value) is not None:
            return True
        if isinstance(value, np.ndarray | np.generic):
            return has_dtype(value)
        if isinstance(value, Mapping):
            return all(map(is_plain_value, value))
        return is_plain_value(value)

    def _array(self, value: Any) -> Any:
        return {"array": self.name_of(value)} if has_dtype(value) else {"absent": type(value).__qualname__}

    def _variable(self, variable: State) -> dict[str, Any]:
        shape = getattr(variable, "shape", None)
        sizes = TensorShape(variable.array.shape if shape is None else shape)
        return {
            "name": variable.name,
            "trainable": variable.trainable,
            "shape": None if sizes.rank is None else sizes.as_list(),
            "array": self._put(variable.array, variable.name),
        }

    def _concrete(self, concrete: ConcreteFunction) -> Any:
        function = concrete.function
        number = self.number(function)
        if number not in self._entries:
            entries = entries_to_save(function)
            self._entries[number] = (function, entries, len(entries))
            self._waiting = [(one, value) for one, value in self._waiting if one != number]
        entries = self._entries[number][1]
        if concrete.entry not in entries:
            entries.append(concrete.entry)
        return {"concrete": [number, entries.index(concrete.entry)]}

    # --- arrays ---

    def name_of(self, holder: Any) -> str:
        """The name of the array of a tensor, or of an array itself, which is saved once."""
        found = self._names.get(id(holder))
        if found is None:
            array = holder._array if isinstance(holder, Tensor) else np.asarray(holder)
            found = self._names[id(holder)] = self._put(array.astype(array.dtype.newbyteorder("="), copy=False))
            self._kept.append(holder)
        return found

    def put(self, array: Array) -> str:
        """Keep a constant of a graph; its name."""
        return self.name_of(array)

    def _put(self, array: Array, title: str = "constant") -> str:
        name = f"{len(self.arrays)} {title}"
        self.arrays[name] = array
        return name


__all__: list[str] = []
