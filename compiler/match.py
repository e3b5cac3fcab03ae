"""Finding a pattern in a graph, and writing one into it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.fields import dataclass, field

from .constants import is_uniform, unrepeated
from .dispatch import apply, current_interpreter
from .equality import attribute_key
from .graph import Equation, Value
from .op import find_op
from .operand import Operand
from .pattern import AttributeName, Call, Constant, Number, Pattern, Variable
from .tensortype import DType

Producers = Mapping[Value, Equation]


@dataclass(frozen=True, slots=True)
class Bindings:
    """What the names of a pattern stand for."""

    values: Mapping[str, Value] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray[Any, Any]] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)


def find_matches(pattern: Call, equation: Equation, producers: Producers) -> Iterator[Bindings]:
    """Every way in which an equation's result is an instance of the pattern.

    Operands of ops that commute are tried in both orders.
    """
    return _call(pattern, equation, producers, Bindings())


def _matches(pattern: Pattern, value: Value, producers: Producers, found: Bindings) -> Iterator[Bindings]:
    if isinstance(pattern, Call):
        equation = producers.get(value)
        if equation is not None:
            yield from _call(pattern, equation, producers, found)
        return
    bound = _bind_leaf(pattern, value, producers, found)
    if bound is not None:
        yield bound


def _bind_leaf(
    pattern: Variable | Constant | Number, value: Value, producers: Producers, found: Bindings
) -> Bindings | None:
    if isinstance(pattern, Variable):
        present = found.values.get(pattern.name)
        if present is not None:
            return found if present is value else None
        return Bindings({**found.values, pattern.name: value}, found.constants, found.attributes)
    array = unrepeated(value, producers)
    if array is None:
        return None
    if isinstance(pattern, Number):
        return found if is_uniform(array, pattern.value) else None
    if pattern.name in found.constants:
        return None
    return Bindings(found.values, {**found.constants, pattern.name: array}, found.attributes)


def _call(pattern: Call, equation: Equation, producers: Producers, found: Bindings) -> Iterator[Bindings]:
    if equation.op.name != pattern.op or len(equation.operands) != len(pattern.operands):
        return
    orders = [equation.operands]
    if equation.op.commutes:
        orders.append(equation.operands[::-1])
    fitting = [order for order in orders if _may_fit(pattern.operands, order, producers)]
    bound = _bind_attributes(pattern, equation, found) if fitting else None
    if bound is not None:
        for order in fitting:
            yield from _all(pattern.operands, order, producers, bound)


def _may_fit(patterns: Sequence[Pattern], values: Sequence[Value], producers: Producers) -> bool:
    """A quick look at the ops of the operands: most patterns fail here."""
    for pattern, value in zip(patterns, values, strict=True):
        if isinstance(pattern, Variable):
            continue
        equation = producers.get(value)
        if equation is None or equation.op.name not in _ops_that_fit(pattern):
            return False
    return True


def _ops_that_fit(pattern: Call | Constant | Number) -> tuple[str, ...]:
    return (pattern.op,) if isinstance(pattern, Call) else ("constant", "broadcast_to")


def _bind_attributes(pattern: Call, equation: Equation, found: Bindings) -> Bindings | None:
    if len(pattern.attributes) != len(equation.attributes):
        return None
    if not pattern.attributes:
        return found
    bound = dict(found.attributes)
    for name, wanted in pattern.attributes:
        if name not in equation.attributes:
            return None
        if not _fits(wanted, equation.attributes[name], bound):
            return None
    return Bindings(found.values, found.constants, bound)


def _fits(wanted: Any, value: Any, bound: dict[str, Any]) -> bool:
    """Whether an attribute is what a pattern asks for; names in the pattern are bound on the way."""
    if isinstance(wanted, tuple):
        same = isinstance(value, tuple) and len(value) == len(wanted)
        return same and all(_fits(one, other, bound) for one, other in zip(wanted, value, strict=True))
    expected = bound.setdefault(wanted.name, value) if isinstance(wanted, AttributeName) else wanted
    return attribute_key(expected) == attribute_key(value)


def _filled(wanted: Any, bound: Mapping[str, Any]) -> Any:
    """An attribute of a pattern with its names replaced by what they stand for."""
    if isinstance(wanted, tuple):
        return tuple(_filled(one, bound) for one in wanted)
    return bound[wanted.name] if isinstance(wanted, AttributeName) else wanted


def _all(
    patterns: Sequence[Pattern], values: Sequence[Value], producers: Producers, found: Bindings
) -> Iterator[Bindings]:
    if not patterns:
        yield found
        return
    for first in _matches(patterns[0], values[0], producers, found):
        yield from _all(patterns[1:], values[1:], producers, first)


def write_pattern(pattern: Pattern, operands: Mapping[str, Operand], bindings: Bindings, dtype: DType) -> Operand:
    """Interpret a pattern: its ops are applied to what its names stand for; numbers are of `dtype`."""
    if isinstance(pattern, Variable):
        return operands[pattern.name]
    if isinstance(pattern, Constant):
        return current_interpreter().constant(bindings.constants[pattern.name])
    if isinstance(pattern, Number):
        return current_interpreter().constant(np.array(pattern.value, dtype=dtype.numpy))
    given = [write_pattern(one, operands, bindings, dtype) for one in pattern.operands]
    attributes = {name: _filled(value, bindings.attributes) for name, value in pattern.attributes}
    written: Operand = apply(find_op(pattern.op), *given, **attributes)
    return written
