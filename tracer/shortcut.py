"""Telling apart calls with simple arguments (tensors, arrays, numbers, strings) without taking them apart.

Such a key says at least as much as the signature does: calls with equal keys have equal signatures.
"""

from __future__ import annotations

from collections.abc import Container, Hashable
from typing import Any

import numpy as np

from .tensor import Tensor


def simple_key(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Hashable | None, list[Any]]:
    """A key, and the arrays among the arguments in order; None where an argument is not simple.

    >>> simple_key((np.ones(2), 1), {})[0] == simple_key((np.zeros(2), True), {})[0]
    False
    """
    parts: list[Any] = []
    arrays: list[Any] = []
    for arg in (*args, *kwargs.values()) if kwargs else args:
        cls = type(arg)
        if cls is Tensor:
            array = arg._array
        elif cls is np.ndarray and arg.dtype.isnative:
            array = arg
        elif isinstance(arg, np.generic) and arg.dtype.kind in "biufc":
            array = np.asarray(arg)
        elif cls is int or cls is bool or cls is str or arg is None:
            parts.append(cls)
            parts.append(arg)
            continue
        elif cls is float:
            parts.append(cls)
            parts.append(arg.hex())
            continue
        else:
            return None, arrays
        arrays.append(array)
        parts.append(array.dtype)
        parts.append(array.shape)
    if kwargs:
        parts.append(tuple(kwargs))
    return tuple(parts), arrays


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
