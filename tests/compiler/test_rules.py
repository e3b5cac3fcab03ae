"""Every rule of algebra is as exact as it says, on the nasty values (D7, decision 1)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import mpmath
import numpy as np
import pytest

from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dispatch import interpreting
from graphjit.compiler.graph import Graph
from graphjit.compiler.match import Bindings, write_pattern
from graphjit.compiler.op import Op, all_ops, find_op
from graphjit.compiler.operand import Operand
from graphjit.compiler.pattern import Call, Constant, Number, Pattern, Variable, parse_pattern
from graphjit.compiler.rule import Rule
from graphjit.compiler.rules import CLOSE_RULES, STABLE_RULES, exact_rules, is_power_of_two
from graphjit.compiler.tensortype import ALL_DTYPES, DType, TensorType, as_dtype, bool_
from graphjit.compiler.writer import GraphWriter
from graphjit.runtime.errors import FormatError

Array = np.ndarray[Any, Any]


def nasty(dtype: DType) -> Array:
    """Zeros of both signs, ones, infinities, NaN, denormals, extremes, halves; limits of integers."""
    if dtype.is_bool:
        return np.array([False, True])
    if dtype.is_integer:
        middle = [value for value in (-3, -2, -1, 0, 1, 2, 3, 7, 100) if value >= int(dtype.min)]
        return np.array([dtype.min, dtype.min + 1, *middle, dtype.max - 1, dtype.max], dtype.numpy)
    info = np.finfo(dtype.numpy)
    positive = [
        0, info.smallest_subnormal, info.tiny / 2, info.tiny, info.eps, 1e-3, 0.1, 0.5, 1 - info.epsneg, 1,
        1 + info.eps, 1.5, 2, 2.5, 3, 10, 88.7, 1000, 65504 if dtype.size == 2 else 1e30, info.max, np.inf, np.nan,
    ]  # fmt: skip
    with np.errstate(all="ignore"):
        half = np.array(positive, dtype.numpy)
        return np.concatenate([half, -half])


def names_in(pattern: Pattern, kind: type) -> list[str]:
    """The distinct names of one kind in a pattern, in order."""
    if isinstance(pattern, Call):
        inner = [name for one in pattern.operands for name in names_in(one, kind)]
        return list(dict.fromkeys(inner))
    return [pattern.name] if isinstance(pattern, kind) else []  # type: ignore[union-attr]  # both kinds have names


def dtypes_of(one: Rule) -> list[DType]:
    return [dtype for dtype in ALL_DTYPES if dtype.numpy.kind in one.dtypes]


def write(side: Pattern, types: Sequence[TensorType], names: Sequence[str], bindings: Bindings, dtype: DType) -> Graph:
    """A graph that computes one side of a rule from its variables."""
    writer = GraphWriter("side", locate=False)
    with interpreting(writer):
        operands: dict[str, Operand] = {name: writer.input(type) for name, type in zip(names, types, strict=True)}
        return writer.finish([write_pattern(side, operands, bindings, dtype)])


def typed_number(side: Pattern, dtype: DType) -> DType:
    """Numbers of the left side stand beside x; those of the right side are of the result's dtype."""
    return bool_ if any(isinstance(n, Number) and isinstance(n.value, bool) for n in walk(side)) else dtype


def walk(pattern: Pattern) -> Iterable[Pattern]:
    yield pattern
    if isinstance(pattern, Call):
        for one in pattern.operands:
            yield from walk(one)


def same_bits(one: Array, other: Array) -> Array:
    """Where two arrays have the same bits, or both a NaN."""
    if one.dtype.kind != "f":
        return np.asarray(one == other)
    width = f"u{one.dtype.itemsize}"
    return (one.view(width) == other.view(width)) | (np.isnan(one) & np.isnan(other))


def constants_for(one: Rule, dtype: DType) -> list[dict[str, Array]]:
    """Values for the rule's constants: nasty ones and powers of two, those that the rule accepts."""
    names = names_in(one.pattern, Constant)
    if not names:
        return [{}]
    powers = np.exp2(np.arange(-12.0, 12.0)).astype(dtype.numpy)
    candidates = [np.array(value, dtype.numpy) for value in np.concatenate([nasty(dtype), powers, -powers])]
    picked = [dict(zip(names, values, strict=True)) for values in itertools.product(candidates, repeat=len(names))]
    return [constants for constants in picked if one.when is None or one.when(**constants)]


Compared = tuple[Array, Array, list[Array]]


def both_sides(one: Rule, dtype: DType, values: Array) -> list[Compared]:
    """What the two sides compute from all combinations of the values, for each choice of constants."""
    names = names_in(one.pattern, Variable)
    domains = [nasty(bool_) if name in "pq" else values for name in names]
    arrays = [np.ascontiguousarray(grid.reshape(-1)) for grid in np.meshgrid(*domains, indexing="ij")]
    types = [TensorType(as_dtype(array.dtype), array.shape) for array in arrays]
    results = []
    for constants in constants_for(one, dtype):
        with np.errstate(all="ignore"):
            computed = {name: compute(**constants) for name, compute in one.let.items()}
        bindings = Bindings({}, {**constants, **computed})
        left = write(one.pattern, types, names, bindings, typed_number(one.pattern, dtype))
        wanted = left.outputs[0].type
        right = write(one.replacement, types, names, bindings, wanted.dtype)
        (before,), (after,) = run_reference(left, arrays), run_reference(right, arrays)
        assert after.dtype == before.dtype
        results.append((before, np.broadcast_to(after, before.shape).copy(), arrays))
    return results


def label(part: Rule | DType) -> str:
    return part.name if isinstance(part, DType) else part.before


def differences(one: Rule, dtype: DType) -> str:
    """Where the two sides of a rule have other bits, "" if nowhere."""
    for before, after, arrays in both_sides(one, dtype, nasty(dtype)):
        differs = ~same_bits(before, after)
        if differs.any():
            places = [array[differs][:5] for array in arrays]
            return f"{one}: {before[differs][:5]} became {after[differs][:5]} for {places}"
    return ""


EXACT_RULES = exact_rules()
CASES = [(one, dtype) for one in EXACT_RULES for dtype in dtypes_of(one)]


@pytest.mark.parametrize(("one", "dtype"), CASES, ids=label)
def test_exact_rules_keep_every_bit(one: Rule, dtype: DType) -> None:
    """Decision 1: an algebraic rewrite is bit-exact, for infinities, zeros of both signs and NaN too."""
    assert constants_for(one, dtype), "the rule accepts none of the constants that are tried"
    assert differences(one, dtype) == ""


TEMPTING = [
    ("x + 0.0", "x", "f"), ("x * 0", "0", "f"), ("x - x", "0", "f"), ("x / x", "1", "f"), ("0.0 - x", "-x", "f"),
    ("logical_not(x < y)", "x >= y", "f"), ("x == x", "True", "f"), ("x ** 0.5", "sqrt(x)", "f"),
    ("(x + y) - y", "x", "f"), ("abs(x)", "x", "i"),
]  # fmt: skip


@pytest.mark.parametrize(("before", "after", "kinds"), TEMPTING)
def test_the_check_finds_rules_that_are_not_exact(before: str, after: str, kinds: str) -> None:
    """What one might take for algebra, and what the nasty values say about it."""
    one = Rule(before, after, kinds)
    assert any(differences(one, dtype) for dtype in dtypes_of(one))


# --- rules that change digits -------------------------------------------------------------------


def ulps(one: Array, other: Array) -> Array:
    """How many units in the last place two arrays are apart; 0 where both are the same or NaN."""
    with np.errstate(all="ignore"):
        gap = np.abs(one.astype(np.longdouble) - other.astype(np.longdouble)) / np.spacing(np.abs(one))
    return np.where(same_bits(one, other) | (one == other), 0, gap).astype(np.float64)


CLOSE_CASES = [(one, dtype) for one in CLOSE_RULES for dtype in dtypes_of(one)]


@pytest.mark.parametrize(("one", "dtype"), CLOSE_CASES, ids=label)
def test_close_rules_stay_within_two_ulp(one: Rule, dtype: DType) -> None:
    """Decision 1: at most 2 units in the last place, special values the same."""
    random = np.random.default_rng(3).standard_normal(20_000).astype(dtype.numpy)
    for before, after, _ in both_sides(one, dtype, np.concatenate([nasty(dtype), random])):
        special = ~np.isfinite(before) | (before == 0)
        assert same_bits(before, after)[special].all()
        assert ulps(before, after)[~special].max() <= 2


_MPMATH: dict[str, Any] = {
    "add": lambda a, b: a + b, "subtract": lambda a, b: a - b, "divide": lambda a, b: a / b,
    "negative": lambda a: -a, "exp": mpmath.exp, "log": mpmath.log, "log1p": lambda a: mpmath.log(1 + a),
    "sigmoid": lambda a: 1 / (1 + mpmath.exp(-a)),
}  # fmt: skip


def exact_value(pattern: Pattern, x: mpmath.mpf) -> mpmath.mpf:
    """What a pattern of one variable means mathematically."""
    if isinstance(pattern, Number):
        return mpmath.mpf(pattern.value)
    if isinstance(pattern, Call):
        return _MPMATH[pattern.op](*(exact_value(operand, x) for operand in pattern.operands))
    return x


ELEMENTWISE_STABLE = [one for one in STABLE_RULES if "axis" not in one.before and "y" not in one.before]


@pytest.mark.parametrize("dtype", [as_dtype("float32"), as_dtype("float64")], ids=label)
@pytest.mark.parametrize("one", ELEMENTWISE_STABLE, ids=label)
def test_stabilising_rules_are_at_least_as_accurate(one: Rule, dtype: DType) -> None:
    """D7: the replacement is within 4 units in the last place, or nearer than the original is."""
    info = np.finfo(dtype.numpy)
    powers = np.logspace(float(np.log10(info.tiny)), np.log10(2 * float(np.log(info.max))), 60)
    x = np.concatenate([powers, -powers, [0.3, 0.9, -0.9, 1.7]]).astype(dtype.numpy)
    ((before, after, _),) = both_sides(one, dtype, x)
    with mpmath.workdps(400):
        for given, old, new in zip(x, before, after, strict=True):
            wanted = exact_value(one.pattern, mpmath.mpf(float(given)))
            if isinstance(wanted, mpmath.mpc):
                assert np.isnan(new)
                continue
            error_old, error_new = (distance(value, wanted, info) for value in (old, new))
            assert error_new <= max(4, error_old), (given, old, new, wanted)


def distance(value: Any, wanted: mpmath.mpf, info: Any) -> float:
    """How far a float is from a real number, in units in the last place."""
    if abs(wanted) > float(info.max):
        return 0.0 if np.isinf(value) else float("inf")
    if not np.isfinite(value):
        return float("inf")
    unit = max(float(np.spacing(info.dtype.type(abs(wanted)))), float(info.smallest_subnormal))
    return float(abs(mpmath.mpf(float(value)) - wanted) / unit)


@pytest.mark.parametrize("one", ELEMENTWISE_STABLE, ids=label)
def test_stabilising_rules_keep_special_values(one: Rule) -> None:
    """Infinities and NaN stay what they were, unless the original made a NaN of nothing."""
    special = np.array([np.inf, -np.inf, np.nan, 0.0, -0.0])
    ((before, after, _),) = both_sides(one, as_dtype("float64"), special)
    kept = same_bits(before, after) | (before == after) | (ulps(before, after) <= 4)
    assert (kept | np.isnan(before)).all(), (before, after)


@pytest.mark.parametrize("one", [*EXACT_RULES, *CLOSE_RULES, *STABLE_RULES], ids=str)
def test_a_rule_names_ops_that_exist(one: Rule) -> None:
    for side in (one.pattern, one.replacement):
        for part in walk(side):
            if isinstance(part, Call):
                find_op(part.op)


# --- the notation, and which constants a rule takes ------------------------------------------------


@pytest.mark.parametrize("text", ["x.y", "[x]", "lambda: x", "x if p else y", "'text'"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(FormatError, match="cannot be part of a pattern"):
        parse_pattern(text)


def test_powers_of_two_whose_reciprocal_is_exact() -> None:
    good = [np.float32(2), np.float64(-0.25), np.float32([4, 0.5]), np.float64(2.0**1022)]
    bad = [np.float32(3), np.float32(0), np.float64(np.inf), np.float64(np.nan), np.float64(2.0**1023),
           np.float32([2, 3]), np.float64(5e-324), np.float32([])]  # fmt: skip
    assert all(is_power_of_two(np.asarray(value)) for value in good)
    assert not any(is_power_of_two(np.asarray(value)) for value in bad)


COMMUTING = [
    (op, dtype)
    for op in all_ops()
    for dtype in ALL_DTYPES
    if op.commutes and dtype.numpy.kind in op.dtypes and not dtype.is_complex
]


@pytest.mark.parametrize(("op", "dtype"), COMMUTING, ids=lambda part: part.name)
def test_ops_that_are_said_to_commute_do_so_to_the_bit(op: Op, dtype: DType) -> None:
    """Merging f(x, y) with f(y, x), as cse does, changes no bit: not the sign of a zero either."""
    values = nasty(dtype)
    x, y = np.meshgrid(values, values)
    with np.errstate(all="ignore"):
        one, other = np.asarray(op.numpy(x, y)), np.asarray(op.numpy(y, x))
    differs = ~same_bits(one, other)
    assert not differs.any(), (x[differs][:5], y[differs][:5])
