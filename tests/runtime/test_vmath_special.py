"""Special values of vmath: C99's annex F, thresholds of overflow and underflow, signs of 0."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from vmath_loops import FLOAT_TYPES, native

from graphjit.runtime import vmath

INF, NAN = math.inf, math.nan
KEEP_ZERO = (*("expm1", "log1p", "sin", "tan", "sinh", "tanh", "asin", "atan", "asinh", "atanh", "erf", "cbrt"),)
VALUES: dict[str, list[tuple[float, float]]] = {
    "exp": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, 0.0), (1e4, INF), (-1e4, 0.0)],
    "exp2": [(0.0, 1.0), (INF, INF), (-INF, 0.0), (1e5, INF), (-1e5, 0.0), (10.0, 1024.0), (-1.0, 0.5)],
    "expm1": [(INF, INF), (-INF, -1.0), (1e4, INF), (-1e4, -1.0)],
    "log": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (-INF, NAN), (INF, INF)],
    "log2": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (INF, INF), (8.0, 3.0), (0.125, -3.0)],
    "log10": [(0.0, -INF), (-0.0, -INF), (1.0, 0.0), (-1.0, NAN), (INF, INF), (1000.0, 3.0), (100.0, 2.0)],
    "log1p": [(-1.0, -INF), (-2.0, NAN), (-INF, NAN), (INF, INF)],
    "sin": [(INF, NAN), (-INF, NAN)],
    "cos": [(0.0, 1.0), (-0.0, 1.0), (INF, NAN), (-INF, NAN)],
    "tan": [(INF, NAN), (-INF, NAN)],
    "sinh": [(INF, INF), (-INF, -INF), (1e4, INF), (-1e4, -INF)],
    "cosh": [(0.0, 1.0), (-0.0, 1.0), (INF, INF), (-INF, INF), (-1e4, INF)],
    "tanh": [(INF, 1.0), (-INF, -1.0), (50.0, 1.0), (-50.0, -1.0)],
    "asin": [(1.0, math.pi / 2), (-1.0, -math.pi / 2), (2.0, NAN), (-INF, NAN)],
    "acos": [(1.0, 0.0), (-1.0, math.pi), (2.0, NAN), (-2.0, NAN), (INF, NAN)],
    "atan": [(INF, math.pi / 2), (-INF, -math.pi / 2)],
    "asinh": [(INF, INF), (-INF, -INF)],
    "acosh": [(1.0, 0.0), (0.5, NAN), (-5.0, NAN), (-INF, NAN), (INF, INF)],
    "atanh": [(1.0, INF), (-1.0, -INF), (1.5, NAN), (-INF, NAN)],
    "erf": [(INF, 1.0), (-INF, -1.0), (10.0, 1.0)],
    "erfc": [(0.0, 1.0), (INF, 0.0), (-INF, 2.0), (100.0, 0.0), (-100.0, 2.0)],
    "lgamma": [(0.0, INF), (-0.0, INF), (-3.0, INF), (-1e30, INF), (INF, INF), (-INF, INF), (1.0, 0.0), (2.0, 0.0)],
    "cbrt": [(INF, INF), (-INF, -INF), (27.0, 3.0), (-8.0, -2.0)],
    "sigmoid": [(0.0, 0.5), (-INF, 0.0), (INF, 1.0), (100.0, 1.0), (-1e4, 0.0)],
    "softplus": [(-INF, 0.0), (INF, INF), (100.0, 100.0), (-1e4, 0.0)],
}
PAIR_VALUES = (NAN, INF, -INF, 0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 3.0, -3.0, 0.5, -0.5, 2.5, -2.5)
EXTREME_VALUES = (1e300, -1e300, 1e17, 2.0**53 - 1, 1 - 2.0**53, 1e-320, -1e-320)


def same(value: Any, wanted: Any) -> bool:
    """Equal with equal signs, or both NaN."""
    if np.isnan(wanted):
        return bool(np.isnan(value))
    return bool(value == wanted and np.signbit(value) == np.signbit(wanted))


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", VALUES)
def test_values(name: str, dtype: str) -> None:
    """Each row exactly, NaN for NaN, and the sign of 0 where it is kept."""
    rows = [*VALUES[name], (NAN, NAN), *([(0.0, 0.0), (-0.0, -0.0)] if name in KEEP_ZERO else [])]
    operands, wanted = (np.array(column, dtype=FLOAT_TYPES[dtype]) for column in zip(*rows, strict=True))
    for operand, value, want in zip(operands, native(name, operands), wanted, strict=True):
        assert same(value, want), f"{name}({operand}) is {value}, not {want}"


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize(("name", "ufunc"), [("pow", np.power), ("atan2", np.arctan2), ("hypot", np.hypot)])
def test_tables_of_two_operands(name: str, ufunc: Any, dtype: str) -> None:
    """C99's tables, as NumPy has them, over all pairs of nasty values."""
    with np.errstate(all="ignore"):
        line = np.array(PAIR_VALUES + EXTREME_VALUES).astype(FLOAT_TYPES[dtype])
        x, y = (side.ravel() for side in np.meshgrid(line, line))
        wanted = ufunc(x, y)
    for first, second, value, want in zip(x, y, native(name, x, y), wanted, strict=True):
        close = np.isfinite(want) and abs(value - want) <= 2 * np.spacing(abs(want))
        assert same(value, want) or close, f"{name}({first}, {second}) is {value}, not {want}"


@pytest.mark.parametrize(
    ("name", "dtype", "last", "first_beyond"),
    [
        ("exp", "float64", 709.782712893384, 709.7827128933841),
        ("exp", "float32", 88.72283, 88.72284),
        ("expm1", "float64", 709.782712893384, 709.7827128933841),
        ("sinh", "float64", 710.4758600739439, 710.475860073944),
        ("cosh", "float64", 710.4758600739439, 710.475860073944),
        ("exp2", "float64", 1023.9999999999999, 1024.0),
    ],
)
def test_overflow_begins_where_it_should(name: str, dtype: str, last: float, first_beyond: float) -> None:
    """The largest operand with a finite result has one; the next has infinity."""
    value = native(name, np.array([last, first_beyond], dtype=FLOAT_TYPES[dtype]))
    assert np.isfinite(value[0]) and value[1] == np.inf


def test_underflow_is_gradual() -> None:
    """The last operand of exp with a result above 0, and the first without."""
    assert native("exp", np.array([-745.1332191019411, -745.1332191019412])).tolist() == [5e-324, 0.0]


@pytest.mark.parametrize("name", vmath.NAMES)
def test_plain_meaning_agrees(name: str) -> None:
    """Plain Python gives the operand's type, and the native value within 4 ULP (64 in Python's own lgamma)."""
    plain = vmath.plain_namespace()[name]
    for float_type in FLOAT_TYPES.values():
        points = np.linspace(0.05, 0.95, 40).astype(float_type) + float_type(1 if name == "acosh" else 0)
        arguments = (points, points[::-1].copy()) if name in vmath.BINARY else (points,)
        values = [plain(*point) for point in zip(*arguments, strict=True)]
        assert all(type(value) is float_type for value in values)
        np.testing.assert_array_max_ulp(
            np.array(values), native(name, *arguments), maxulp=64 if name == "lgamma" else 4
        )


@pytest.mark.parametrize("name", VALUES)
def test_plain_special_values(name: str) -> None:
    """Plain Python raises nothing, and has the same special values."""
    plain = vmath.plain_namespace()[name]
    for operand, wanted in [*VALUES[name], (NAN, NAN)]:
        value = plain(np.float64(operand))
        assert np.isclose(value, wanted, rtol=1e-15, atol=0, equal_nan=True), f"{name}({operand}) is {value}"
