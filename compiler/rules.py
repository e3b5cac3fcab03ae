"""Algebra as data: each rule is one line, an expression and what may stand in its place.

`pattern` says how the two sides are written. Each rule tells for which dtypes it holds and how near its
sides are; a test evaluates both on the nasty values (zeros of both signs, infinities, NaN, denormals,
extremes) to confirm it. x + 0 is not x, because -0.0 + 0.0 is 0.0; for integers it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from .graph import Equation, Value
from .op import Kind, Op, all_ops
from .rule import Exactness, Rule


def is_power_of_two(C: np.ndarray[Any, Any]) -> bool:  # noqa: N803 -- the rules' name for a constant
    """Whether C and 1 / C are powers of two, apart from their sign, and no denormals."""
    if C.size == 0 or not np.isfinite(C).all() or not C.all():
        return False
    mantissa, _ = np.frexp(C)
    smallest = np.finfo(C.dtype).tiny
    with np.errstate(over="ignore"):
        inverse = np.abs(1 / C)
    return bool((np.abs(mantissa) == 0.5).all() and (inverse >= smallest).all() and (np.abs(C) >= smallest).all())


def _inverse(C: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:  # noqa: N803 -- the rules' name for a constant
    inverse: np.ndarray[Any, Any] = np.reciprocal(C)
    return inverse


def is_shifted(value: Value, producers: Mapping[Value, Equation]) -> bool:
    """Whether a maximum was subtracted from the value already, as in a softmax that is written stably."""
    shifted = producers.get(value)
    if shifted is None or shifted.op.name != "subtract":
        return False
    maximum = producers.get(shifted.operands[1])
    while maximum is not None and maximum.op.kind is Kind.VIEW:
        maximum = producers.get(maximum.operands[0])
    return maximum is not None and maximum.op.name == "reduce_max"


EXACT_RULES: tuple[Rule, ...] = (
    # neutral and absorbing elements, apart from those that ops state themselves
    Rule("x / 1", "x", "f"),
    Rule("x - 0.0", "x", "f"),
    Rule("x - 0", "x", "iu"),
    Rule("x * 0", "0", "iu"),
    Rule("x - x", "0", "iu"),
    Rule("x // 1", "x", "iu"),
    Rule("x % 1", "0", "iu"),
    Rule("x ** 1", "x", "f"),
    Rule("x ** 0", "1", "f"),
    Rule("x << 0", "x", "iu"),
    Rule("x >> 0", "x", "iu"),
    # signs
    Rule("-(-x)", "x", "if"),
    Rule("x * -1", "-x", "if"),
    Rule("x / -1", "-x", "f"),
    Rule("-0.0 - x", "-x", "f"),
    Rule("0 - x", "-x", "i"),
    Rule("x - (-y)", "x + y", "if"),
    Rule("x + (-y)", "x - y", "if"),
    Rule("(-x) * (-y)", "x * y", "if"),
    Rule("(-x) / (-y)", "x / y", "f"),
    Rule("abs(-x)", "abs(x)", "if"),
    Rule("abs(abs(x))", "abs(x)", "if"),
    Rule("square(-x)", "square(x)", "if"),
    Rule("square(abs(x))", "square(x)", "if"),
    # a product is cheaper than a quotient, and the same where the reciprocal is exact
    Rule("x / C", "x * D", "f", when=is_power_of_two, let={"D": _inverse}),
    # doing it again changes nothing
    Rule("maximum(x, x)", "x", "iuf"),
    Rule("minimum(x, x)", "x", "iuf"),
    Rule("floor(floor(x))", "floor(x)", "f"),
    Rule("ceil(ceil(x))", "ceil(x)", "f"),
    Rule("rint(rint(x))", "rint(x)", "f"),
    Rule("trunc(trunc(x))", "trunc(x)", "f"),
    Rule("relu(relu(x))", "relu(x)", "f"),
    # bits
    Rule("~(~x)", "x", "biu"),
    Rule("x & x", "x", "biu"),
    Rule("x | x", "x", "biu"),
    Rule("x ^ x", "0", "iu"),
    Rule("x & -1", "x", "i"),
    Rule("x | -1", "-1", "i"),
    # logic
    Rule("logical_not(logical_not(p))", "p", "b"),
    Rule("logical_and(p, p)", "p", "b"),
    Rule("logical_or(p, p)", "p", "b"),
    Rule("logical_xor(p, p)", "False", "b"),
    Rule("logical_xor(p, True)", "logical_not(p)", "b"),
    # comparisons; the negation of x < y is x >= y only where there is no NaN
    Rule("x < x", "False", "iuf"),
    Rule("x > x", "False", "iuf"),
    Rule("x <= x", "True", "iu"),
    Rule("x >= x", "True", "iu"),
    Rule("x == x", "True", "biu"),
    Rule("x != x", "False", "biu"),
    Rule("logical_not(x == y)", "x != y", "biuf"),
    Rule("logical_not(x != y)", "x == y", "biuf"),
    Rule("logical_not(x < y)", "x >= y", "iu"),
    Rule("logical_not(x <= y)", "x > y", "iu"),
    Rule("logical_not(x > y)", "x <= y", "iu"),
    Rule("logical_not(x >= y)", "x < y", "iu"),
    # choices
    Rule("where(True, x, y)", "x", "biuf"),
    Rule("where(False, x, y)", "y", "biuf"),
    Rule("where(p, x, x)", "x", "biuf"),
    Rule("where(p, True, False)", "p", "b"),
    Rule("where(p, False, True)", "logical_not(p)", "b"),
    Rule("where(logical_not(p), x, y)", "where(p, y, x)", "biuf"),
    Rule("where(p, where(p, x, y), z)", "where(p, x, z)", "biuf"),
    Rule("where(p, x, where(p, y, z))", "where(p, x, z)", "biuf"),
)


@cache
def rules_of_facts(op: Op) -> tuple[Rule, ...]:
    """What an op's own declaration states: op(x, unit) -> x, and op(x, absorbs) -> absorbs.

    >>> from graphjit.compiler.op import find_op
    >>> print(*rules_of_facts(find_op("multiply")), sep=", ")
    multiply(x, 1)  ->  x  (iu, exact), multiply(x, 1.0)  ->  x  (f, exact)
    """
    found = []
    for kinds, read in (("b", bool), ("iu", int), ("f", float)):
        shared = "".join(kind for kind in kinds if kind in op.dtypes)
        if shared and op.unit is not None:
            found.append(Rule(f"{op.name}(x, {read(op.unit)})", "x", shared))
        if shared and op.absorbs is not None:
            found.append(Rule(f"{op.name}(x, {read(op.absorbs)})", str(read(op.absorbs)), shared))
    return tuple(found)


def exact_rules() -> tuple[Rule, ...]:
    """All rules that keep every bit."""
    return (*(one for op in all_ops() for one in rules_of_facts(op)), *EXACT_RULES)


CLOSE_RULES: tuple[Rule, ...] = (
    Rule("x ** 2", "square(x)", "f", Exactness.CLOSE),
    Rule("x ** 3", "x * square(x)", "f", Exactness.CLOSE),
    Rule("x ** -1", "reciprocal(x)", "f", Exactness.CLOSE),
)

STABLE_RULES: tuple[Rule, ...] = (
    Rule("log(softmax(x, axis=a))", "log_softmax(x, axis=a)", "f", Exactness.STABLE),
    Rule(
        "log(reduce_sum(exp(x), axis=a, keepdims=k))",
        "reduce_logsumexp(x, axis=a, keepdims=k)",
        "f", Exactness.STABLE, unless={"x": is_shifted},
    ),
    Rule(
        "exp(x) / reduce_sum(exp(x), axis=a, keepdims=True)",
        "exp(x - reduce_max(x, axis=a, keepdims=True))"
        " / reduce_sum(exp(x - reduce_max(x, axis=a, keepdims=True)), axis=a, keepdims=True)",
        "f", Exactness.STABLE, unless={"x": is_shifted},
    ),
    Rule("log(1 + exp(x))", "softplus(x)", "f", Exactness.STABLE),
    Rule("log1p(exp(x))", "softplus(x)", "f", Exactness.STABLE),
    Rule("log(sigmoid(x))", "log_sigmoid(x)", "f", Exactness.STABLE),
    Rule("1 / (1 + exp(-x))", "sigmoid(x)", "f", Exactness.STABLE),
    Rule("1 - sigmoid(x)", "sigmoid(-x)", "f", Exactness.STABLE),
    Rule("x / (1 + exp(-y))", "x * sigmoid(y)", "f", Exactness.STABLE),
    Rule("log(1 + x)", "log1p(x)", "f", Exactness.STABLE),
    Rule("log(1 - x)", "log1p(-x)", "f", Exactness.STABLE),
    Rule("exp(x) - 1", "expm1(x)", "f", Exactness.STABLE),
    Rule("1 - exp(x)", "-expm1(x)", "f", Exactness.STABLE),
    # what gradients make of the expressions above, where an infinity would meet a zero
    Rule("(x / (1 + exp(y))) * exp(y)", "x * sigmoid(y)", "f", Exactness.STABLE),
    Rule("(-(x * sigmoid(y))) * exp(-y)", "-(x * sigmoid(-y))", "f", Exactness.STABLE),
    Rule("(x / softmax(y, axis=a)) * softmax(y, axis=a)", "x", "f", Exactness.STABLE),
    Rule(
        "(x / softmax(y, axis=a) - z) * softmax(y, axis=a)",
        "x - z * softmax(y, axis=a)",
        "f", Exactness.STABLE,
    ),
    Rule(
        "expand_dims(x / reduce_sum(exp(y), axis=(a,), keepdims=False), axis=a) * exp(y)",
        "expand_dims("
        "x / reduce_sum(exp(y - reduce_max(y, axis=(a,), keepdims=True)), axis=(a,), keepdims=False), axis=a"
        ") * exp(y - reduce_max(y, axis=(a,), keepdims=True))",
        "f", Exactness.STABLE, unless={"y": is_shifted},
    ),
    Rule(
        "(x / reduce_sum(exp(y), axis=a, keepdims=True)) * exp(y)",
        "(x / reduce_sum(exp(y - reduce_max(y, axis=a, keepdims=True)), axis=a, keepdims=True))"
        " * exp(y - reduce_max(y, axis=a, keepdims=True))",
        "f", Exactness.STABLE, unless={"y": is_shifted},
    ),
)  # fmt: skip
