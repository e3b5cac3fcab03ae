"""Things that Python hands out one by one while a compiled function runs: datasets, and iterators over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any


class HandedOut(ABC):
    """Something to iterate over, whose items are structures of tensors that are alike."""

    @property
    @abstractmethod
    def element_spec(self) -> Any:
        """The structure of an item, with a `TensorSpec` for each tensor; None for sizes that differ."""

    def runs(self) -> list[tuple[int | None, Any]]:
        """Runs of items of equal sizes: how many (None for all that there are), and their specification."""
        return [(None, self.element_spec)]

    @abstractmethod
    def __iter__(self) -> Iterator[Any]:
        """The items; from the front, unless it is an iterator itself."""


__all__: list[str] = []
