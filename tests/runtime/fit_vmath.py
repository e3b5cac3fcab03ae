"""The minimax polynomials of runtime/vmath, by Remez exchange in mpmath.

`python fit_vmath.py [name ...]` prints each fit's error and coefficients, rounded to float64.
A row of FITS is: function, weight of its error, interval, degree in float32, degree in float64.
The weights make the error relative to the function that the polynomial serves.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import mpmath as mp

Function = Callable[[Any], Any]
NEAR_ZERO = mp.mpf(10) ** -12


def chebyshev_value(coefficients: list[Any], u: Any) -> Any:
    """A Chebyshev series at u in [-1, 1] (Clenshaw)."""
    first = second = mp.mpf(0)
    for coefficient in reversed(coefficients[1:]):
        first, second = coefficient + 2 * u * first - second, first
    return coefficients[0] + u * first - second


def solve(function: Function, weight: Function, points: list[Any], centre: Any, half: Any) -> list[Any]:
    """The Chebyshev series whose weighted error has one size and turning signs at `points`."""
    count = len(points)
    matrix, right = mp.matrix(count, count), mp.matrix(count, 1)
    for row, x in enumerate(points):
        last, this = mp.mpf(1), (x - centre) / half
        for column in range(count - 1):
            matrix[row, column] = last
            last, this = this, 2 * (x - centre) / half * this - last
        matrix[row, count - 1] = (-1) ** row / weight(x)
        right[row] = function(x)
    return list(mp.lu_solve(matrix, right))[:-1]


def extrema(errors: list[Any], wanted: int) -> list[int]:
    """Where the error is largest between its changes of sign, the smallest dropped from the ends."""
    found: list[int] = []
    for index, error in enumerate(errors):
        if found and (errors[found[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[found[-1]]):
                found[-1] = index
        else:
            found.append(index)
    while len(found) > wanted:
        found.pop(0 if abs(errors[found[0]]) < abs(errors[found[-1]]) else -1)
    return found


def powers(series: list[Any], centre: Any, half: Any) -> list[Any]:
    """A Chebyshev series in (x - centre) / half as coefficients of powers of x."""
    step = [-centre / half, 1 / half]
    last, this = [mp.mpf(1)], step
    result = [mp.mpf(0)] * len(series)
    for coefficient in series:
        for index, value in enumerate(last):
            result[index] += coefficient * value
        following = [mp.mpf(0)] * (len(this) + 1)
        for index, value in enumerate(this):
            following[index] += 2 * step[0] * value
            following[index + 1] += 2 * step[1] * value
        for index, value in enumerate(last):
            following[index] -= value
        last, this = this, following
    return result


def minimax(function: Function, weight: Function, low: Any, high: Any, degree: int) -> tuple[list[Any], Any]:
    """Coefficients of powers, and the largest weighted error."""
    centre, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
    size = 24 * (degree + 2)
    grid = [centre - half * mp.cos(mp.pi * (index + 0.5) / size) for index in range(size)]
    values, weights = [function(x) for x in grid], [weight(x) for x in grid]
    chosen = list(range(12, size, 24))
    for _ in range(12):
        series = solve(function, weight, [grid[index] for index in chosen], centre, half)
        errors = [
            w * (chebyshev_value(series, (x - centre) / half) - y)
            for x, y, w in zip(grid, values, weights, strict=True)
        ]
        following = extrema(errors, degree + 2)
        if following == chosen or len(following) < degree + 2:
            break
        chosen = following
    return powers(series, centre, half), max(abs(error) for error in errors)


def at_zero(function: Function) -> Function:
    """The function with its removable singularity at 0 avoided, and digits to spare for what cancels."""

    def evaluate(x: Any) -> Any:
        with mp.workprec(500):
            return function(x if abs(x) > NEAR_ZERO else NEAR_ZERO)

    return evaluate


def odd(function: Function) -> Function:
    """(f(x) / x - 1) / x^2 as a function of z = x^2."""
    return at_zero(lambda z: (function(mp.sqrt(z)) / mp.sqrt(z) - 1) / z)


def power(exponent: int) -> Function:
    """The weight |x|^exponent, kept from 0."""
    return lambda x: abs(x) ** exponent + mp.mpf(10) ** -12


def stirling(z: Any) -> Any:
    """(lgamma(a) - (a - 1/2) log(a) + a - log(2 pi) / 2) a with z = 1 / a^2."""
    if z < 4e-4:
        return sum(mp.bernoulli(2 * k) / (2 * k * (2 * k - 1)) * z ** (k - 1) for k in range(1, 14))
    a = 1 / mp.sqrt(z)
    return (mp.loggamma(a) - (a - 0.5) * mp.log(a) + a - mp.log(2 * mp.pi) / 2) * a


def scaled_erfc(q: Any) -> Any:
    """erfcx(x) (1 + 2 x) with q = (x - 4) / (x + 4)."""
    x = 4 * (1 + q) / (1 - q)
    return mp.exp(x * x) * mp.erfc(x) * (1 + 2 * x)


def main(names: list[str]) -> None:
    """Print the chosen fits, or all."""
    mp.mp.prec = 200
    half_ln2, root = mp.log(2) / 2, mp.sqrt(2)
    sin_end, third = (mp.pi / 4) ** 2 * 1.01, mp.mpf(1) / 3
    near_two = at_zero(lambda u: mp.loggamma(2 + u) / u)
    log_series = at_zero(lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2) / z)
    log_rest = at_zero(lambda z: (2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) - 2 - z * 2 / 3) / z**2)
    fits: dict[str, tuple[Any, ...]] = {
        "EXP": (at_zero(lambda r: (mp.expm1(r) - r) / r**2), power(1), -half_ln2, half_ln2, 5, 10),
        "EXP_SHORT": (at_zero(lambda r: (mp.expm1(r) - r) / r**2), power(1), -half_ln2, half_ln2, 4, 9),
        "EXP2": (at_zero(lambda r: mp.expm1(r * mp.log(2)) / r), power(1), -0.5, 0.5, 5, 10),
        "EXP2_SHORT": (at_zero(lambda r: mp.expm1(r * mp.log(2)) / r), power(1), -0.5, 0.5, None, 6),
        "LOG_QUOTIENT": (log_series, power(1), 0, 0.02944, None, 6),
        "LOG_QUOTIENT_REST": (log_rest, lambda z: z * z / 2 + NEAR_ZERO, 0, 0.02944, None, 6),
        "LOG2_QUOTIENT": (
            at_zero(lambda z: 2 * mp.atanh(mp.sqrt(z)) / mp.sqrt(z) / mp.log(2)), power(0), 0, 0.02944, None, 4,
        ),
        "LOG_CUBIC": (
            at_zero(lambda f: (mp.log1p(f) - f + f * f / 2) / f**3), power(2), 1 / root - 1, root - 1, 8, None,
        ),
        "ATANH": (odd(mp.atanh), power(1), 0, 0.0425, 3, 7),
        "SINH": (odd(mp.sinh), power(1), 0, half_ln2**2, 2, 4),
        "COSH": (
            at_zero(lambda z: (mp.cosh(mp.sqrt(z)) - 1 - z / 2) / z**2), power(2), 0, half_ln2**2, 1, 4,
        ),
        "SIN": (odd(mp.sin), power(1), 0, sin_end, 2, 5),
        "COS": (at_zero(lambda z: (mp.cos(mp.sqrt(z)) - 1 + z / 2) / z**2), power(2), 0, sin_end, 2, 5),
        "ASIN": (odd(mp.asin), power(1), 0, 0.25, 5, 12),
        "ATAN": (odd(mp.atan), power(1), 0, 1, 9, 19),
        "ERF": (at_zero(lambda z: mp.erf(mp.sqrt(z)) / mp.sqrt(z) - 1), power(0), 0, 1, 6, 11),
        "ERF_EXPONENT (float32)": (lambda x: -mp.log(mp.erfc(x)), mp.erfc, 0.9, 4, 6, None),
        "ERF_EXPONENT (float64)": (lambda x: -mp.log(mp.erfc(x)), mp.erfc, 0.95, 6, None, 18),
        "ERFC_SCALED (float32)": (
            scaled_erfc, lambda q: 1 / scaled_erfc(q), mp.mpf(-3.51) / 4.49, mp.mpf(6.3) / 14.3, 9, None,
        ),
        "ERFC_SCALED (float64)": (
            scaled_erfc, lambda q: 1 / scaled_erfc(q), mp.mpf(-3.51) / 4.49, mp.mpf(23.5) / 31.5, None, 22,
        ),
        "INVERSE_CUBE_ROOT": (lambda x: x**-third, lambda x: x**third, 0.7064, 1.4157, 4, 5),
        "NEAR_TWO": (near_two, lambda u: 1 / near_two(u), -0.592, 0.5, 9, 20),
        "STIRLING": (stirling, lambda z: mp.sqrt(z + NEAR_ZERO) / 5.6, 0, 1 / mp.mpf(6.45) ** 2, 2, 6),
        "SIN_PI": (odd(lambda x: mp.sin(mp.pi * x) / mp.pi), lambda z: z / 0.6 + NEAR_ZERO, 0, 0.2501, 4, 7),
    }  # fmt: skip
    for name in names or fits:
        function, weight, low, high, *degrees = fits[name]
        for degree in degrees:
            if degree is not None:
                coefficients, error = minimax(function, weight, low, high, degree)
                print(f"{name}: degree {degree}, error 2^{float(mp.log(error, 2)):.1f}")
                print(f"    ({', '.join(repr(float(value)) for value in coefficients)})")


if __name__ == "__main__":
    main(sys.argv[1:])
