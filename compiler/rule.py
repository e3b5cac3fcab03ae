"""What an algebraic rule is, and how one is applied to an equation."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np

from graphjit.runtime.fields import dataclass, field

from .dispatch import apply
from .graph import Equation, Value
from .match import Bindings, Producers, find_matches, write_pattern
from .op import find_op
from .operand import Operand
from .pattern import Call, Pattern, parse_pattern
from .rewriting import Rewriter


class Exactness(StrEnum):
    """How near the two sides of a rule are."""

    EXACT = "exact"  # the same bits for all operands (a NaN may be another NaN)
    CLOSE = "close"  # at most 2 units in the last place apart, special values the same
    STABLE = "stable"  # the replacement is at least as accurate, and finite where the original need not be


@dataclass(frozen=True)
class Rule:
    """`before` may be replaced by `after` (see `pattern` for the notation).

    `dtypes` are the NumPy kinds that x may have; `when` tells from the constants whether the rule
    applies, `unless` from a value that it does not, and `let` computes further constants.
    """

    before: str
    after: str
    dtypes: str
    exactness: Exactness = Exactness.EXACT
    when: Callable[..., bool] | None = None
    unless: Mapping[str, Callable[[Value, Producers], bool]] = field(default_factory=dict)
    let: Mapping[str, Callable[..., Any]] = field(default_factory=dict)

    @cached_property
    def pattern(self) -> Call:
        """What it looks for."""
        pattern = parse_pattern(self.before)
        assert isinstance(pattern, Call), f"{self.before!r} has no op to look for"
        return pattern

    @cached_property
    def replacement(self) -> Pattern:
        """What it writes."""
        return parse_pattern(self.after)

    def __str__(self) -> str:
        return f"{self.before}  ->  {self.after}  ({self.dtypes}, {self.exactness})"


def index_rules(rules: Sequence[Rule]) -> dict[str, list[Rule]]:
    """The rules by the op that they look for, in order."""
    index: dict[str, list[Rule]] = {}
    for one in rules:
        index.setdefault(one.pattern.op, []).append(one)
    return index


def apply_rules(
    index: Mapping[str, Sequence[Rule]], rewriter: Rewriter, equation: Equation
) -> tuple[Operand, ...] | None:
    """What the first rule that fits the equation writes for its result, or None where none fits.

    Equations whose shape is not known are left alone: where sizes may be 1, broadcasting hides
    which operand gives the result its shape.
    """
    rules = index.get(equation.op.name, ())
    if not rules or not all(value.type.is_static for value in (*equation.operands, *equation.outputs)):
        return None
    for one in rules:
        for bindings in find_matches(one.pattern, equation, rewriter.producers):
            accepted = _accepted(one, bindings, rewriter.producers)
            if accepted is not None:
                return (_written(one, rewriter, equation, accepted),)
    return None


def _accepted(one: Rule, bindings: Bindings, producers: Producers) -> Bindings | None:
    """The bindings with the computed constants, if dtype and conditions of the rule hold."""
    x = bindings.values.get("x")
    if x is not None and x.type.dtype.numpy.kind not in one.dtypes:
        return None
    if any(refuses(bindings.values[name], producers) for name, refuses in one.unless.items()):
        return None
    if one.when is not None and not one.when(**bindings.constants):
        return None
    if not one.let:
        return bindings
    with np.errstate(all="ignore"):
        computed = {name: compute(**bindings.constants) for name, compute in one.let.items()}
    return Bindings(bindings.values, {**bindings.constants, **computed}, bindings.attributes)


def _written(one: Rule, rewriter: Rewriter, equation: Equation, bindings: Bindings) -> Operand:
    """The replacement, repeated to the shape of the result where constants gave it that shape."""
    wanted = equation.output.type
    names = tuple(bindings.values)
    operands = dict(zip(names, rewriter.symbols([bindings.values[name] for name in names]), strict=True))
    result = write_pattern(one.replacement, operands, bindings, wanted.dtype)
    if result.type.shape == wanted.shape:
        return result
    repeated: Operand = apply(find_op("broadcast_to"), result, shape=wanted.sizes)
    return repeated
