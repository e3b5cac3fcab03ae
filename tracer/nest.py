"""Nested structures: flatten, put together, map. Lists, tuples, dicts, named tuples, dataclasses and the like."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.runtime.errors import InvalidArgumentError

from .structure import flatten as take_apart, unflatten


def flatten(structure: Any) -> list[Any]:
    """The leaves of a nested structure, from left to right; dicts in the order of their sorted keys.

    >>> flatten({"b": [1, 2], "a": (3,)})
    [3, 1, 2]
    """
    return list(take_apart(structure)[0])


def is_nested(structure: Any) -> bool:
    """Whether the value is a structure rather than a leaf.

    >>> is_nested([1]), is_nested(1)
    (True, False)
    """
    leaves, _spec = take_apart(structure)
    return not (len(leaves) == 1 and leaves[0] is structure)


def assert_same_structure(nest1: Any, nest2: Any) -> None:
    """Refuse two structures that differ in more than their leaves.

    Raises:
      InvalidArgumentError: if they do.
    """
    first, second = take_apart(nest1)[1], take_apart(nest2)[1]
    if first != second:
        raise InvalidArgumentError(f"the structures differ: {first} and {second}")


def map_structure(func: Callable[..., Any], *structure: Any) -> Any:
    """A structure with `func` applied to the leaves, one of each structure at a time.

    Raises:
      InvalidArgumentError: if there is no structure, or two differ.

    >>> map_structure(lambda a, b: a + b, {"x": 1, "y": [2]}, {"x": 10, "y": [20]})
    {'x': 11, 'y': [22]}
    """
    if not structure:
        raise InvalidArgumentError("map_structure needs at least one structure")
    for other in structure[1:]:
        assert_same_structure(structure[0], other)
    leaves, spec = take_apart(structure[0])
    rest = [flatten(other) for other in structure[1:]]
    return unflatten(spec, [func(*group) for group in zip(leaves, *rest, strict=True)])


def pack_sequence_as(structure: Any, flat_sequence: Sequence[Any]) -> Any:
    """The leaves `flat_sequence` in the shape of `structure`.

    Raises:
      InvalidArgumentError: if the number of leaves differs.

    >>> pack_sequence_as({"x": 0, "y": [0]}, [1, 2])
    {'x': 1, 'y': [2]}
    """
    leaves, spec = take_apart(structure)
    if len(leaves) != len(flat_sequence):
        raise InvalidArgumentError(f"the structure has {len(leaves)} leaves, but {len(flat_sequence)} were given")
    return unflatten(spec, flat_sequence)


__all__ = ["assert_same_structure", "flatten", "is_nested", "map_structure", "pack_sequence_as"]
