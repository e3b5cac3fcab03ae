"""Rows of arrays, in order or shuffled: batches take them at once, without going through single rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from graphjit.tracer.structure import unflatten
from graphjit.tracer.tensor import Tensor

from .orders import Draws, shuffled_numbers

Array = np.ndarray[Any, Any]


class Slices:
    """The rows of arrays that have equally many.

    Args:
      leaves, structure: the arrays, and how elements are put together.
      order: gives the numbers of the rows of one iteration; None for all as they are.
    """

    def __init__(self, leaves: list[Array], structure: Any, order: Callable[[], Array] | None = None) -> None:
        self._leaves, self._structure, self._order = leaves, structure, order
        self.length = len(leaves[0])

    def rows(self) -> Iterator[Any]:
        """One element for each row."""
        return (self._at(number) for number in self._numbers())

    def _numbers(self) -> Array:
        return np.arange(self.length) if self._order is None else self._order()

    def _at(self, place: Any) -> Any:
        return unflatten(self._structure, [Tensor(np.asarray(leaf[place])) for leaf in self._leaves])

    def batches(self, size: int, drop_remainder: bool) -> Iterator[Any]:
        """So many rows at a time."""
        stop = self.length - self.length % size if drop_remainder else self.length
        places = (slice(start, min(start + size, stop)) for start in range(0, stop, size))
        if self._order is None:
            return (self._at(place) for place in places)
        numbers = self._order()
        return (self._taken(numbers[place]) for place in places)

    def _taken(self, numbers: Array) -> Any:
        return unflatten(self._structure, [Tensor(leaf.take(numbers, axis=0)) for leaf in self._leaves])

    def shuffled(self, size: int, draws: Draws) -> Slices:
        """The same rows, each drawn from the next `size` ones."""
        return Slices(self._leaves, self._structure, lambda: shuffled_numbers(self._numbers(), size, draws.next()))


__all__: list[str] = []
