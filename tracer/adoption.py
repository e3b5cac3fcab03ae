"""Arrays of the user's that a trace comes across.

An array that outlives the trace is an input, read at each call: its owner may write into it. An array that
was made inside the function is a constant with the elements that it had when it was used. Which
of the two it is shows when the function has returned: what was made inside is gone by then.
"""

from __future__ import annotations

from typing import Any
from weakref import ref

import numpy as np

from graphjit.compiler.graph import Value

Array = np.ndarray[Any, Any]


def owner_of(array: Array) -> Array:
    """The array whose memory this one shows: itself, or the last one behind its `base`."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


class Adoption:
    """One array that was used in a trace, and what it held at that moment."""

    def __init__(self, array: Array, snapshot: Array, value: Value) -> None:
        owner = owner_of(array)
        self._owner = ref(owner)
        self._layout = (array.shape, array.strides, array.dtype)
        self._offset = _address(array) - _address(owner)
        self.snapshot = snapshot
        self.value = value
        self.baked = False
        """Whether the trace depends on the elements."""

    def is_of(self, array: Array) -> bool:
        """Whether `array` shows the same memory in the same way, and still holds what it held."""
        owner = owner_of(array)
        return (
            self._owner() is owner
            and self._layout == (array.shape, array.strides, array.dtype)
            and self._offset == _address(array) - _address(owner)
            and same_elements(self.snapshot, array)
        )

    @property
    def owner(self) -> Array | None:
        """The array that owns the memory, None where it is gone."""
        return self._owner()

    def shown(self) -> Array | None:
        """The array as it was used, showing its owner's memory; None where that is gone."""
        owner = self._owner()
        return None if owner is None else np.asarray(_Memory(owner, self._offset, self._layout))


class _Memory:
    """A part of an array's memory, as NumPy takes it."""

    def __init__(self, owner: Array, offset: int, layout: tuple[tuple[int, ...], tuple[int, ...], Any]) -> None:
        shape, strides, dtype = layout
        self.owner = owner
        self.__array_interface__ = {
            "version": 3,
            "data": (_address(owner) + offset, not owner.flags.writeable),
            "shape": shape,
            "strides": strides,
            "typestr": dtype.str,
        }


def same_elements(one: Array, other: Array) -> bool:
    """Whether two arrays of one shape have equal bits, after a conversion to the first one's dtype."""
    return one.shape == other.shape and one.tobytes() == other.astype(one.dtype, copy=False).tobytes()


__all__: list[str] = []
