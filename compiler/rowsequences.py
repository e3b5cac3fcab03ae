"""Rows of tensors, and whether many of them follow each other so that one tensor holds them all, one a round."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from graphjit.runtime.fields import dataclass

from .graph import Equation, Value


@dataclass(frozen=True)
class Row:
    """A value that is one row of a tensor: `key` is the same for all rows of it that can be met in one loop."""

    tensor: Value
    key: Any
    place: tuple[int, ...]
    """Where the row begins on each axis."""
    dropped: tuple[int, ...]
    equation: Equation | None = None


def row_of(equation: Equation) -> Row:
    attributes = equation.attributes
    dropped: tuple[int, ...] = attributes["drop"]
    ends = tuple(one for axis, one in enumerate(attributes["end"]) if axis not in dropped)
    kept = tuple(one for axis, one in enumerate(attributes["begin"]) if axis not in dropped)
    key = (equation.operands[0], dropped, kept, ends, attributes["step"])
    return Row(equation.operands[0], key, tuple(attributes["begin"]), dropped, equation)


def slices_of(equation: Equation) -> Iterable[Any]:
    """What the equation takes of each axis, as indices."""
    attributes = equation.attributes
    for axis, (begin, end, step) in enumerate(
        zip(attributes["begin"], attributes["end"], attributes["step"], strict=True)
    ):
        yield begin if axis in attributes["drop"] else slice(begin, end, step)


def step_between(one: Row, other: Row) -> tuple[int, ...]:
    return tuple(b - a for a, b in zip(one.place, other.place, strict=True))


def direction_of(rows: Sequence[Row]) -> tuple[int, int]:
    """Along which axis the rows follow each other, and how far apart."""
    if len(rows) == 1:
        return rows[0].dropped[0], 1
    step = step_between(rows[0], rows[1])
    (axis,) = (axis for axis, one in enumerate(step) if one)
    return axis, step[axis]


def are_regular(rows: Sequence[Row]) -> bool:
    """Whether the rows are of one tensor and equally far apart along one axis."""
    step = step_between(rows[0], rows[1]) if len(rows) > 1 and len(rows[0].place) == len(rows[1].place) else ()
    if sum(1 for one in step if one) != 1 or any(one.key != rows[0].key for one in rows):
        return False
    axis = next(axis for axis, one in enumerate(step) if one)
    return axis in rows[0].dropped and all(step_between(one, other) == step for one, other in pairwise(rows))


__all__: list[str] = []
