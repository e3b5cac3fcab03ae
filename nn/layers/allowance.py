"""How much memory weights may take while a model is read from a file: as much as the file holds, and no more."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from graphjit.compiler.tensortype import DType
from graphjit.runtime.errors import FormatError

_left: ContextVar[list[int] | None] = ContextVar("graphjit_bytes_left_for_weights", default=None)


@contextmanager
def allowing(byte_count: int) -> Iterator[None]:
    """Let weights that are made inside take so many bytes together."""
    token = _left.set([byte_count])
    try:
        yield
    finally:
        _left.reset(token)


def take(name: Any, sizes: tuple[int | None, ...], dtype: DType) -> None:
    """Note a weight that is about to be made.

    Raises:
      FormatError: if there is no room for it.
    """
    left = _left.get()
    if left is None:
        return
    left[0] -= math.prod(size or 0 for size in sizes) * dtype.size
    if left[0] < 0:
        raise FormatError(f"a weight {name!r} of shape {sizes} takes more memory than there are bytes in the file")


__all__: list[str] = []
