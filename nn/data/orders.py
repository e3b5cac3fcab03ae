"""Random orders: another one for each iteration, the same ones for the same seed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import numpy as np

from graphjit.tracer.generator import uniform


class Orders:
    """The orders that one way through a dataset has taken: pairs of a seed and the number of an iteration.

    Attributes:
      made: those so far.
      given: those that are to be taken first, to go the same way again.
    """

    def __init__(self, given: Iterable[tuple[int, int]] = ()) -> None:
        self.made: list[tuple[int, int]] = []
        self.given = deque(given)


running_orders: ContextVar[Orders | None] = ContextVar("graphjit_orders", default=None)
"""Those of the outermost iterator that is asked for an element."""


class Draws:
    """Random generators for the iterations of one dataset.

    Args:
      seed: without one the first iteration draws it from the stream of `gj.random.set_seed`.
      renews: whether each iteration has another order.
    """

    def __init__(self, seed: int | None, renews: bool) -> None:
        self._seed = seed
        self._renews = renews
        self._iteration = 0

    def next(self) -> np.random.Generator:
        """The generator of the next iteration."""
        orders = running_orders.get()
        if orders is not None and orders.given:
            self._seed, self._iteration = orders.given.popleft()
        if self._seed is None:
            self._seed = int(np.asarray(uniform([], 0, 2**31 - 1, "int32")))
        number = self._iteration
        self._iteration += 1 if self._renews else 0
        if orders is not None:
            orders.made.append((self._seed, number))
        return np.random.default_rng([self._seed, number])


def shuffled(items: Iterable[Any], size: int, random: np.random.Generator) -> Iterator[Any]:
    """The items, each drawn from the next `size` ones."""
    kept: list[Any] = []
    for item in items:
        if len(kept) < size:
            kept.append(item)
            continue
        place = int(random.integers(size))
        yield kept[place]
        kept[place] = item
    random.shuffle(kept)
    yield from kept


def shuffled_numbers(numbers: np.ndarray[Any, Any], size: int, random: np.random.Generator) -> np.ndarray[Any, Any]:
    """The same order for an array of numbers; where `size` covers all of them, without going through them in Python."""
    if size < len(numbers):
        return np.fromiter(shuffled(numbers, size, random), np.intp, len(numbers))
    order = numbers.copy()
    random.shuffle(order)
    return order


__all__: list[str] = []
