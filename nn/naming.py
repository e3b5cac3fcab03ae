"""Names that nobody had to think of: dense, dense_1, dense_2."""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterator

from .module import snake_case

_counters: dict[str, Iterator[int]] = defaultdict(itertools.count)
_lock = threading.Lock()


def unique_name(stem: str) -> str:
    """The stem, with a number behind it where it was given out before."""
    with _lock:
        number = next(_counters[stem])
    return f"{stem}_{number}" if number else stem


def name_for(value: object) -> str:
    """A name for an object of a class: `MyDense` gives my_dense, my_dense_1, ..."""
    return unique_name(snake_case(type(value).__name__))


def clear_session() -> None:
    """Count names from the start again.

    >>> clear_session()
    >>> unique_name("dense"), unique_name("dense")
    ('dense', 'dense_1')
    """
    with _lock:
        _counters.clear()


__all__ = ["clear_session"]
