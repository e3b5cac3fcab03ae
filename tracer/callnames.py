"""Values that belong to a compiled function called inside of another one have its name before theirs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from graphjit.compiler.graph import Location
from graphjit.compiler.writer import GraphWriter


class CallingWriter(GraphWriter):
    """A writer that knows which functions are being called."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        super().__init__(*args, **keywords)
        self._calls: list[str] = []

    @contextmanager
    def inside(self, name: str) -> Iterator[None]:
        """What is written meanwhile belongs to a function that was called: its name stands before the values'."""
        self._calls.append(name)
        try:
            yield
        finally:
            self._calls.pop()

    def _place(self) -> tuple[Location | None, str]:
        location, name = super()._place()
        return location, ".".join((*self._calls, name)) if name else name


__all__: list[str] = []
