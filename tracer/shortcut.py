"""Telling apart calls with simple arguments (tensors, arrays, numbers, strings) without taking them apart.

Such a key says at least as much as the signature does: calls with equal keys have equal signatures.
"""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from .tensor import Tensor

CONTAINERS = (tuple, list, dict)
"""What a simple argument may be nested in; the keys of dicts are strings."""


def simple_key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Hashable | None, list[Any]]:
    """A key, and the arrays among the arguments in order; None where an argument is not simple.

    >>> simple_key((np.ones(2), 1), {})[0] == simple_key((np.zeros(2), True), {})[0]
    False
    >>> simple_key(([np.ones(2), {"b": 1, "a": 2}],), {})[0] == simple_key(([np.zeros(2), {"a": 2, "b": 1}],), {})[0]
    True
    """
    parts: list[Any] = []
    arrays: list[Any] = []
    if not _add_parts((*args, *kwargs.values()) if kwargs else args, parts, arrays):
        return None, arrays
    if kwargs:
        parts.append(tuple(kwargs))
    return tuple(parts), arrays


def _add_parts(values: Iterable[Any], parts: list[Any], arrays: list[Any]) -> bool:
    """Add what tells values apart, and the arrays among them; whether all are simple."""
    for value in values:
        cls = type(value)
        if cls is Tensor:
            array = value._array
        elif cls is np.ndarray and value.dtype.isnative and value.dtype.kind in "biufc":
            array = value
        elif cls is int or cls is bool or cls is str or value is None:
            parts.append(cls)
            parts.append(value)
            continue
        elif cls is float:
            parts.append(cls)
            parts.append(value.hex())
            continue
        elif cls in CONTAINERS:
            items, names = items_of(value)
            parts += (cls, len(items), names)
            if names is None or not _add_parts(items, parts, arrays):
                return False
            continue
        elif isinstance(value, np.generic) and value.dtype.kind in "biufc":
            array = np.asarray(value)
        else:
            return False
        arrays.append(array)
        parts.append(array.dtype)
        parts.append(array.shape)
    return True


def items_of(container: Any) -> tuple[Sequence[Any], tuple[str, ...] | None]:
    """What a container holds, in the order in which arguments are taken apart, and the keys of a dict.

    The keys are None where they are not all strings.

    >>> items_of({"b": 1, "a": 2})
    ([2, 1], ('a', 'b'))
    """
    if type(container) is not dict:
        return container, ()
    if not all(type(name) is str for name in container):
        return (), None
    names = tuple(sorted(container))
    return [container[name] for name in names], names


def key_without_numbers(args: tuple[Any, ...], free: Container[int] | None = None) -> Hashable:
    """A key of simple positional arguments in which ints (of 32 bits) and floats count by type only.

    Args:
      free: the positions of those that do so; all if None.

    >>> key_without_numbers((1, 2.0)) == key_without_numbers((7, 3.0))
    True
    >>> key_without_numbers((1, 2.0), free={1}) == key_without_numbers((7, 3.0), free={1})
    False
    """
    parts: list[Any] = ["any number"]
    for position, arg in enumerate(args):
        cls = type(arg)
        if (free is None or position in free) and (cls is float or (cls is int and -(2**31) <= arg < 2**31)):
            parts.append(cls)
        elif cls is float:
            parts.append((cls, arg.hex()))
        elif cls is Tensor or cls is np.ndarray:
            array = arg._array if cls is Tensor else arg
            parts.append(array.dtype)
            parts.append(array.shape)
        else:
            parts.append((cls, arg))
    return tuple(parts)


__all__: list[str] = []
