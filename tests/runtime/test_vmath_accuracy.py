"""vmath against mpmath: each function's largest error in ULP, over its whole range."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import mpmath as mp
import numpy as np
import pytest
from vmath_loops import FLOAT_TYPES, native, worst

Interval = tuple[float, float]

# Beyond these the results are 0, 1, infinity or the operand (test_vmath_special tests that).
EXP_RANGE: dict[str, Interval] = {"float32": (-104.5, 89.0), "float64": (-746.0, 710.0)}
ALL: dict[str, Interval] = {"float32": (-3.4e38, 3.4e38), "float64": (-1.7e308, 1.7e308)}
POSITIVE: dict[str, Interval] = {"float32": (0.0, 3.4e38), "float64": (0.0, 1.7e308)}
UNIT: dict[str, Interval] = {"float32": (-1.0, 1.0), "float64": (-1.0, 1.0)}


def both(low: float, high: float) -> dict[str, Interval]:
    """The same interval for both types."""
    return {"float32": (low, high), "float64": (low, high)}


def scaled(bounds: dict[str, Interval], factor: float) -> dict[str, Interval]:
    """Both bounds of each interval times `factor`."""
    return {dtype: (low * factor, high * factor) for dtype, (low, high) in bounds.items()}


def symmetric(bounds: dict[str, Interval]) -> dict[str, Interval]:
    """Each interval widened to be symmetric about 0 by its upper bound."""
    return {dtype: (-high, high) for dtype, (_, high) in bounds.items()}


def logarithm_sum(x: Any) -> Any:
    """log(1 + e^x)."""
    return x + mp.log1p(mp.exp(-x)) if x > 0 else mp.log1p(mp.exp(x))


def near_branches(float_type: Any) -> Any:
    """Points about which formulas change: small fractions, multiples of ln 2 / 2 and of pi / 4, powers of 2."""
    whole = np.arange(-40, 41)
    points = np.concatenate([whole * np.log(2) / 2, whole * np.pi / 4, whole / 8, 2.0 ** (whole / 2)])
    centre = points.astype(float_type)
    steps = [centre]
    for direction in (-np.inf, np.inf):
        moved = centre
        for _ in range(2):
            moved = np.nextafter(moved, float_type(direction))
            steps.append(moved)
    return np.concatenate(steps)


def samples(dtype: str, interval: Interval, count: int = 700) -> Any:
    """Points of an interval: uniform ones, log-uniform ones down to the least number, and branch points."""
    generator = np.random.default_rng(7)
    float_type = FLOAT_TYPES[dtype]
    low, high = interval
    least = np.log2(float(np.finfo(float_type).smallest_subnormal))
    parts = [
        generator.uniform(max(low, -30.0), min(high, 30.0), count),
        generator.uniform(low / 2, high / 2, count) * 2,
    ]
    parts += [
        sign * 2.0 ** generator.uniform(least, np.log2(abs(end)), count) for sign, end in ((-1, low), (1, high)) if end
    ]
    parts += [sign * 2.0 ** generator.uniform(-12, 7, count) for sign in (-1, 1)]
    points = np.concatenate([*(part.astype(float_type) for part in parts), near_branches(float_type)])
    return points[(points >= low) & (points <= high)]


# name: exact value, interval, bound in ULP for float32 and float64
UNARY: dict[str, tuple[Callable[[Any], Any], dict[str, Interval], float, float]] = {
    "exp": (mp.exp, EXP_RANGE, 1.0, 1.0),
    "exp2": (lambda x: mp.mpf(2) ** x, scaled(EXP_RANGE, 1.4427), 1.0, 1.0),
    "expm1": (mp.expm1, {"float32": (-30.0, 89.0), "float64": (-60.0, 710.0)}, 1.6, 1.6),
    "log": (mp.log, POSITIVE, 1.0, 1.0),
    "log2": (lambda x: mp.log(x) / mp.log(2), POSITIVE, 1.0, 1.0),
    "log10": (mp.log10, POSITIVE, 1.0, 1.0),
    "log1p": (mp.log1p, {"float32": (-0.99999994, 3.4e38), "float64": (-1 + 2.0**-53, 1.7e308)}, 1.5, 1.5),
    "sin": (mp.sin, ALL, 1.5, 1.0),
    "cos": (mp.cos, ALL, 1.5, 1.0),
    "tan": (mp.tan, ALL, 1.3, 1.3),
    "sinh": (mp.sinh, symmetric(EXP_RANGE), 1.3, 1.3),
    "cosh": (mp.cosh, symmetric(EXP_RANGE), 1.8, 1.3),
    "tanh": (mp.tanh, both(-25.0, 25.0), 1.8, 1.8),
    "asin": (mp.asin, UNIT, 1.3, 1.3),
    "acos": (mp.acos, UNIT, 1.3, 1.3),
    "atan": (mp.atan, ALL, 1.3, 1.3),
    "asinh": (mp.asinh, ALL, 1.8, 1.8),
    "acosh": (mp.acosh, {"float32": (1.0, 3.4e38), "float64": (1.0, 1.7e308)}, 2.0, 2.0),
    "atanh": (mp.atanh, {"float32": (-0.99999994, 0.99999994), "float64": (2.0**-53 - 1, 1 - 2.0**-53)}, 1.8, 1.8),
    "erf": (mp.erf, both(-7.0, 7.0), 1.3, 1.3),
    "erfc": (mp.erfc, {"float32": (-5.0, 10.2), "float64": (-7.0, 27.3)}, 1.6, 1.6),
    "cbrt": (lambda x: mp.sign(x) * mp.cbrt(abs(x)), ALL, 1.0, 0.7),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), EXP_RANGE, 2.0, 2.0),
    "softplus": (logarithm_sum, EXP_RANGE, 1.8, 1.8),
}


def power_points(dtype: str) -> tuple[Any, Any]:
    """Bases over the whole range and near 1, exponents such that the results cover the whole range."""
    generator = np.random.default_rng(8)
    float_type, count = FLOAT_TYPES[dtype], 1500
    widest = 1074 if dtype == "float64" else 149
    base = np.concatenate(
        [
            2.0 ** generator.uniform(-widest, widest * 0.85, count),
            generator.uniform(0.5, 2.0, count),
            1 + generator.uniform(-1e-3, 1e-3, count),
        ]
    ).astype(float_type)
    base = base[(base != 1) & (base > 0)]
    exponent = (generator.uniform(-1, 0.95, base.size) * widest / np.abs(np.log2(base.astype(float)))).astype(
        float_type
    )
    return base, exponent


def plane_points(dtype: str) -> tuple[Any, Any]:
    """Points of the plane at all distances and angles."""
    generator = np.random.default_rng(9)
    float_type, count = FLOAT_TYPES[dtype], 3000
    widest = 1000 if dtype == "float64" else 120
    size = 2.0 ** generator.uniform(-widest, widest, count)
    angle = generator.uniform(-np.pi, np.pi, count)
    tilt = 2.0 ** generator.uniform(-20, 20, count)
    return (size * np.sin(angle)).astype(float_type), (size * np.clip(np.cos(angle) * tilt, -1, 1)).astype(float_type)


def angle_of(y: Any, x: Any) -> Any:
    """atan2, with 0 read as +0."""
    return mp.atan2(y, x)


BINARY: dict[str, tuple[Callable[[Any, Any], Any], Callable[[str], tuple[Any, Any]], float, float]] = {
    "pow": (mp.power, power_points, 0.6, 1.0),
    "atan2": (angle_of, plane_points, 1.7, 1.7),
    "hypot": (lambda x, y: mp.sqrt(x * x + y * y), plane_points, 1.3, 1.3),
}


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", UNARY)
def test_unary_functions(name: str, dtype: str) -> None:
    """At most the stated number of ULP, never more than 2, subnormal operands and results included."""
    exact, interval, *bounds = UNARY[name]
    bound = bounds[dtype == "float64"]
    points = samples(dtype, interval[dtype])
    with mp.workprec(1300 if name in ("sin", "cos", "tan", "tanh", "asinh", "atanh", "softplus", "expm1") else 160):
        error, where = worst(name, exact, points)
    assert error <= bound <= 2.0, f"{name} is off by {error:.3f} ULP at {where}"


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", BINARY)
def test_binary_functions(name: str, dtype: str) -> None:
    """At most the stated number of ULP for functions of two operands."""
    exact, points, *bounds = BINARY[name]
    with mp.workprec(200):
        error, where = worst(name, exact, *points(dtype))
    assert error <= bounds[dtype == "float64"] <= 2.0, f"{name} is off by {error:.3f} ULP at {where}"


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_near_multiples_of_half_pi(name: str, dtype: str) -> None:
    """Reduction keeps full precision where it cancels most, up to the largest number."""
    generator = np.random.default_rng(10)
    float_type = FLOAT_TYPES[dtype]
    with mp.workprec(1300):
        half_pi = mp.pi / 2
        turns = [
            mp.nint(mp.mpf(2) ** size / half_pi)
            for size in generator.uniform(0, 1022 if dtype == "float64" else 126, 800)
        ]
        centre = np.array([float(turn * half_pi) for turn in turns], dtype=float_type)
        hardest = [6381956970095103.0 * 2.0**797] if dtype == "float64" else [16367173.0 * 2.0**72]
        points = np.concatenate([centre, np.nextafter(centre, float_type(0)), np.array(hardest, dtype=float_type)])
        error, where = worst(name, getattr(mp, name), points)
    assert error <= 1.6, f"{error:.3f} ULP at {where}"


def log_gamma(x: Any) -> Any:
    """log|gamma(x)|, by reflection below 0."""
    return mp.loggamma(x) if x > 0 else mp.log(mp.pi / abs(mp.sin(mp.pi * x))) - mp.loggamma(1 - x)


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_lgamma_above_zero(dtype: str) -> None:
    """3 ULP, the zeros at 1 and 2 included."""
    points = samples(dtype, (0.0, 1e37 if dtype == "float32" else 1e305))
    near_zeros = np.concatenate([np.linspace(0.4, 3.6, 3000)]).astype(FLOAT_TYPES[dtype])
    points = np.concatenate([points[points > 0], near_zeros])
    with mp.workprec(200):
        error, where = worst("lgamma", log_gamma, points[(points != 1) & (points != 2)])
    assert error <= 3.0, f"{error:.3f} ULP at {where}"


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
def test_lgamma_below_zero(dtype: str) -> None:
    """3 epsilon times max(1, lgamma(|x|)): below 0 near its zeros only the absolute error is bounded."""
    float_type = FLOAT_TYPES[dtype]
    points = -np.concatenate([samples(dtype, (0.0, 30.0)), np.linspace(0.01, 40, 2000).astype(float_type)])
    points = points[(points != np.rint(points)) & (points < 0)]
    values = native("lgamma", points)
    with mp.workprec(300):
        exact = [log_gamma(mp.mpf(float(x))) for x in points]
        size = [max(1, log_gamma(-mp.mpf(float(x))), abs(z)) for x, z in zip(points, exact, strict=True)]
    errors = [float(abs(mp.mpf(float(y)) - z) / s) for y, z, s in zip(values, exact, size, strict=True)]
    assert max(errors) <= 3 * np.finfo(float_type).eps, points[int(np.argmax(errors))]


def float32_error(name: str, x: Any) -> tuple[float, float]:
    """The largest error in ULP and where it is; infinities and NaN must stand where they belong."""
    with np.errstate(all="ignore"):
        exact = wide_reference(name, x.astype(np.float64))
        rounded = exact.astype(np.float32)
    value = native(name, x)
    assert np.array_equal(np.isnan(value), np.isnan(exact))
    finite = np.isfinite(rounded)
    assert np.array_equal(value[np.isinf(exact)], rounded[np.isinf(exact)])
    if not finite.any():
        return 0.0, 0.0
    _, exponent = np.frexp(exact[finite])
    unit = np.ldexp(1.0, np.maximum(exponent - 1, -126) - 23)
    error = np.abs(value[finite] - exact[finite]) / unit
    worst_index = int(error.argmax())
    return float(error[worst_index]), float(x[finite][worst_index])


@pytest.mark.parametrize("name", ["exp", "log", "tanh", "sigmoid", "expm1", "log1p", "sin", "cos"])
def test_float32_everywhere(name: str) -> None:
    """Every 4,099th float32, against float64; with GRAPHJIT_EXHAUSTIVE=1 every one (minutes)."""
    stride = 1 if os.environ.get("GRAPHJIT_EXHAUSTIVE") else 4099
    chunk = stride << 20
    for start in range(0, 1 << 32, chunk):
        bits = np.arange(start, min(start + chunk, 1 << 32), stride, dtype=np.uint64).astype(np.uint32)
        error, where = float32_error(name, bits.view(np.float32))
        assert error <= 2.0, f"{name} is off by {error:.3f} ULP at {where!r}"


def wide_reference(name: str, x: Any) -> Any:
    """The function in float64, which is exact enough to judge float32 by."""
    if name == "sigmoid":
        decay = np.exp(-np.abs(x))
        return np.where(np.isnan(x), x, np.where(x < 0, decay, 1.0) / (1.0 + decay))
    return getattr(np, name)(x)
