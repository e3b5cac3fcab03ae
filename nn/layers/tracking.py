"""Finding the variables and layers that a layer holds: in attributes, and in lists, tuples and dicts there.

Attributes count in the order in which they were first set; nothing has to be registered, so a list that
grows later is seen as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from graphjit.tracer.state import State

from ..module import Module

Path = tuple[str, ...]


def held(owner: Module, untracked: frozenset[str]) -> Iterator[tuple[Path, Any]]:
    """Pairs of path and variable or module among the attributes of an object, each object once."""
    seen: set[int] = set()
    for name, value in vars(owner).items():
        if name not in untracked:
            yield from _in_value(value, (name,), seen)


def _in_value(value: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, State | Module):
        if id(value) not in seen:
            seen.add(id(value))
            yield path, value
    elif isinstance(value, list | tuple | Mapping) and id(value) not in seen:
        seen.add(id(value))
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, item in items:
            yield from _in_value(item, (*path, str(key)), seen)


__all__: list[str] = []
