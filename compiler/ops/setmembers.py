"""Sets of elements in groups: what one, both or one but not the other has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import require_kind, require_same_dtype
from ..tensortype import TensorType, int64

Array = np.ndarray[Any, Any]

_COMBINED: dict[str, Callable[[set[Any], set[Any]], set[Any]]] = {
    "union": set.union,
    "intersection": set.intersection,
    "a-b": set.difference,
    "b-a": lambda a, b: set.difference(b, a),
}


def _combined_type(types: tuple[TensorType, ...], *, how: str) -> tuple[TensorType, ...]:
    _groups_a, a, _groups_b, b = types
    require_kind(a, "iuO", "the elements of sets")
    dtype = require_same_dtype((a, b))
    if any(one.rank != 1 for one in types):
        raise ShapeError("elements of sets and their groups are vectors")
    return TensorType(int64, (None,)), TensorType(int64, (None,)), TensorType(dtype, (None,)), TensorType(int64, ())


def _in_groups(groups: Array, values: Array) -> dict[int, set[Any]]:
    found: dict[int, set[Any]] = {}
    for group, value in zip(groups.tolist(), values.tolist(), strict=True):
        found.setdefault(group, set()).add(value)
    return found


def _combined(groups_a: Array, a: Array, groups_b: Array, b: Array, *, how: str) -> tuple[Array, ...]:
    mine, theirs = _in_groups(groups_a, a), _in_groups(groups_b, b)
    groups: list[int] = []
    places: list[int] = []
    values: list[Any] = []
    for group in sorted({*mine, *theirs}):
        members = sorted(_COMBINED[how](mine.get(group, set()), theirs.get(group, set())))
        groups += [group] * len(members)
        places += range(len(members))
        values += members
    found = np.empty(len(values), a.dtype)
    found[:] = values
    width = max(places, default=-1) + 1
    return np.array(groups, np.int64), np.array(places, np.int64), found, np.array(width, np.int64)


set_members_op: Op = declare(
    Op(
        name="set_members",
        kind=Kind.CALL,
        infer=_combined_type,
        numpy=_combined,
        several=True,
        gradient=Differentiability.NONE,
        examples=tuple(
            Example((np.array([0, 0, 1]), np.array([3, 1, 3]), np.array([0, 2]), np.array([1, 5])), {"how": how})
            for how in _COMBINED
        ),
        doc="The elements of two sets in each group: group, place and value of each, and the size of the largest.",
    )
)

__all__: list[str] = []
