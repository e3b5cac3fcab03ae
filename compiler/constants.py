"""What is known of constants in a graph, looked at through the broadcasts that repeat them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .graph import Equation, Value, constant_of


def unrepeated(value: Value, producers: Mapping[Value, Equation]) -> np.ndarray[Any, Any] | None:
    """The constant array that `value` is, or is broadcast from, else None."""
    equation = producers.get(value)
    while equation is not None and equation.op.name == "broadcast_to":
        value = equation.operands[0]
        equation = producers.get(value)
    return constant_of(value, producers)


def is_uniform(array: np.ndarray[Any, Any], number: bool | int | float) -> bool:
    """Whether every element has the bits that `number` has in the array's dtype; booleans are no numbers.

    >>> is_uniform(np.float32([0, 0]), 0.0), is_uniform(np.float32([0, 0]), -0.0)
    (True, False)
    >>> is_uniform(np.array([True]), 1)
    False
    """
    kind = array.dtype.kind
    if array.size == 0 or kind == "O" or (kind == "b") is not isinstance(number, bool):
        return False
    if kind in "iu" and number != int(number):
        return False
    try:
        wanted = np.array(number, dtype=array.dtype)
    except OverflowError:
        return False
    bits = array.reshape(-1)[:1].tobytes()
    return bits == wanted.tobytes() and (array.size == 1 or _all_like_first(array))


def _all_like_first(array: np.ndarray[Any, Any]) -> bool:
    raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8).reshape(array.size, array.itemsize)
    return bool((raw == raw[0]).all())
