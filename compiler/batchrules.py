"""How an op is done for many operands at once, which stand along a first axis: what the declarations of ops say.

A rule gets the op, its operands, which of them have the additional axis, the attributes, and how many there are. It
gives the results for all of them, stacked along a first axis. Most rules give every operand that axis and the
op other attributes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .dispatch import apply_all
from .operand import PUBLIC, Operand

if TYPE_CHECKING:
    from .op import Op

Outputs = Sequence[Operand]
BatchRule = Callable[["Op", Sequence[Operand], Sequence[bool], Mapping[str, Any], int], Outputs | None]
"""None: it does not hold for these operands."""


class _Size:
    """Stands for the number of those that are done at once."""


SIZE = _Size()


def repeated(operand: Operand, size: int) -> Operand:
    """The operand once for each."""
    found: Operand = PUBLIC["broadcast_to"](operand, (size, *operand.type.sizes))
    return found


def ranked(operand: Operand, rank: int) -> Operand:
    """An operand with the additional axis, each part of which gets axes of size 1 in front, up to a rank."""
    missing = rank + 1 - operand.type.rank
    if missing <= 0:
        return operand
    size, *rest = operand.type.sizes
    found: Operand = PUBLIC["reshape"](operand, (size, *(1,) * missing, *rest))
    return found


def all_repeated(operands: Sequence[Operand], is_batched: Sequence[bool], size: int) -> tuple[Operand, ...]:
    """All operands with the additional axis."""
    return tuple(one if batched else repeated(one, size) for one, batched in zip(operands, is_batched, strict=True))


def unchanged(
    op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
) -> Outputs:
    """The op takes any number of axes in front of those that it works on."""
    return apply_all(op, all_repeated(operands, is_batched, size), attributes)


def axes_shift(*names: str) -> BatchRule:
    """The attributes of these names are axes, or counts of leading axes, which go up by one."""

    def rule(
        op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
    ) -> Outputs:
        later = {name: _later(attributes[name]) for name in names}
        return apply_all(op, all_repeated(operands, is_batched, size), {**attributes, **later})

    return rule


def _later(axes: Any) -> Any:
    return tuple(map(_later, axes)) if isinstance(axes, tuple) else axes + (axes >= 0)


def prefixed(later: Sequence[str] = (), fixed: Sequence[int] = (), **first: Any) -> BatchRule:
    """The attributes that are named have an entry for each axis, of which the additional one's is given.

    `later` are attributes as in `axes_shift`. Operands in `fixed` are scalars that all share; where they differ, the
    rule does not hold.
    """

    def rule(
        op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
    ) -> Outputs | None:
        if any(is_batched[place] for place in fixed):
            return None
        given = [
            one if batched or place in fixed else repeated(one, size)
            for place, (one, batched) in enumerate(zip(operands, is_batched, strict=True))
        ]
        changed: dict[str, Any] = {name: _later(attributes[name]) for name in later}
        for name, value in first.items():
            changed[name] = (size if value is SIZE else value, *attributes[name])
        return apply_all(op, tuple(given), {**attributes, **changed})

    return rule


def aligned(
    op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
) -> Outputs:
    """The operands broadcast against each other, from the last axis on."""
    rank = max(one.type.rank - batched for one, batched in zip(operands, is_batched, strict=True))
    given = [ranked(one, rank) if batched else one for one, batched in zip(operands, is_batched, strict=True)]
    return apply_all(op, tuple(given), attributes)
