"""sinh, cosh, tanh and their inverses.

x = n ln 2 + r as in the exponential. sinh and cosh come from the polynomials of sinh(r) and
cosh(r) by the addition theorem, with a = 2^(n-1) and b = 2^(-n-1):
sinh(x) = (a - b) cosh(r) + (a + b) sinh(r), so that neither divides. tanh is
(e^2x - 1) / (e^2x + 1) from one exp(r) - 1. The polynomials are Remez fits of
tests/runtime/fit_vmath.py.
"""

import math

from graphjit.runtime.vmath.algebra import (
    Number,
    absolute,
    at_most,
    copy_sign,
    fused,
    polynomial,
    power_of_two,
    select,
    select_integer,
    square_root,
)
from graphjit.runtime.vmath.exponential import LN2, expm1_reduced, without_ln2
from graphjit.runtime.vmath.logarithm import log1p_inner

# (sinh(r) / r - 1) / r^2 and (cosh(r) - 1 - r^2/2) / r^4, polynomials in r^2 for |r| <= ln 2 / 2.
# Error: 2^-37.5 and 2^-61.7 in sinh, 2^-33.2 and 2^-70.0 in cosh.
SINH = {
    "float32": (0.16666666754512754, 0.008333288969286203, 0.00019904949072772413),
    "float64": (
        0.16666666666666677, 0.008333333333321626, 0.00019841269886131829, 2.755724421243233e-06,
        2.510903311446564e-08,
    ),
}  # fmt: skip
COSH = {
    "float32": (0.04166645959276839, 0.0013935391611584417),
    "float64": (
        0.041666666666666685, 0.0013888888888873479, 2.4801587348749927e-05, 2.7557252247683123e-07,
        2.0921626900909946e-09,
    ),
}  # fmt: skip

# (atanh(s) / s - 1) / s^2, a polynomial in s^2 for |s| <= 0.206. Error: 2^-34.9 and 2^-61.9.
ATANH = {
    "float32": (0.3333333104378456, 0.2000051915129224, 0.1424924176713711, 0.1211153074497),
    "float64": (
        0.33333333333333276, 0.20000000000043217, 0.14285714274504626, 0.11111112515883636,
        0.09090811871044033, 0.07696215772201903, 0.06576140296900486, 0.06990984604379385,
    ),
}  # fmt: skip

# From here tanh rounds to 1.
TANH_LIMIT = {"float32": 10.0, "float64": 22.0}
# From here sinh and cosh are infinite.
SINH_LIMIT = {"float32": 89.5, "float64": 710.5}
# From here asinh(x) = log(2 x); x^2 is still finite there.
LARGE = {"float32": 2.0**30, "float64": 2.0**60}


def tanh(x: Number) -> Number:
    """The hyperbolic tangent; keeps the sign of 0.

    With g = e^2|x| - 1 it is g / (g + 2); where g is small, g / 2 - g / 2 * (that quotient), in
    which the quotient's own rounding counts less.
    """
    doubled = at_most(absolute(x), TANH_LIMIT[x.format.name]) * 2.0
    _, exponent, small = expm1_reduced(doubled)
    power = power_of_two(exponent)
    growth = fused(power, small, power - 1.0)
    quotient = growth / (growth + 2.0)
    half = growth * 0.5
    return copy_sign(select(growth < 0.7, fused(-half, quotient, half), quotient), x)


def _addition(x: Number) -> tuple[Number, Number, Number, Number, Number, Number]:
    """Of |x|: a - b, a + b, r, sinh(r) - r, cosh(r) - 1, and what is left of 2^n for the end."""
    target = x.format
    n, exponent, r, rest = without_ln2(at_most(absolute(x), SINH_LIMIT[target.name]))
    square = r * r
    sinh_tail = fused(square * r, polynomial(square, SINH[target.name]), rest)
    cosh_tail = fused(square * square, polynomial(square, COSH[target.name]), square * 0.5)
    top = n > float(target.bias)
    a = power_of_two(select_integer(top, exponent - 2, exponent - 1))
    b = select(n > 64.0, 0.0, power_of_two(exponent ^ -1))
    return a - b, a + b, r, sinh_tail, cosh_tail, select(top, 2.0, x.constant(1.0))


def _sum_of_products(first: Number, second: Number, r: Number, tails: tuple[Number, Number]) -> Number:
    """first (1 + tails[0]) + second (r + tails[1]), the large terms added without loss."""
    total = fused(second, r, first)
    lost = fused(second, r, first - total)
    return total + (lost + fused(first, tails[0], second * tails[1]))


def sinh(x: Number) -> Number:
    """The hyperbolic sine; keeps the sign of 0."""
    difference, total, r, sinh_tail, cosh_tail, factor = _addition(x)
    return copy_sign(_sum_of_products(difference, total, r, (cosh_tail, sinh_tail)) * factor, x)


def cosh(x: Number) -> Number:
    """The hyperbolic cosine."""
    difference, total, r, sinh_tail, cosh_tail, factor = _addition(x)
    return _sum_of_products(total, difference, r, (cosh_tail, sinh_tail)) * factor


def asinh(x: Number) -> Number:
    """log(|x| + sqrt(x^2 + 1)) with the sign of x, as log1p(|x| + x^2 / (1 + sqrt(x^2 + 1)))."""
    size = absolute(x)
    border = LARGE[x.format.name]
    inside = at_most(size, border)
    square = inside * inside
    near = inside + square / (square_root(square + 1.0) + 1.0)
    large = size > border
    result = log1p_inner(select(large, size, near)) + select(large, math.log(2), x.constant(0.0))
    return copy_sign(select(size.is_infinite(), size, result), x)


def acosh(x: Number) -> Number:
    """log(x + sqrt(x^2 - 1)), as log1p(t + sqrt(t (t + 2))) for t = x - 1."""
    border = LARGE[x.format.name]
    above = at_most(x, border) - 1.0
    near = above + square_root(above * (above + 2.0))
    large = x > border
    result = log1p_inner(select(large, x, near)) + select(large, math.log(2), x.constant(0.0))
    return select(x >= 1.0, select(x < math.inf, result, x), math.nan)


def atanh(x: Number) -> Number:
    """log((1 + x) / (1 - x)) / 2, as k ln 2 / 2 + atanh(s).

    The quotient is 2^k (1 + s) / (1 - s), with k from the difference of the bits of 1 + |x| and
    1 - |x|, which are nearly logarithms. The numerator and denominator of s are formed so that
    one rounding each is left that counts.
    """
    target = x.format
    size = absolute(x)
    above, below = size + 1.0, 1.0 - size
    steps = (above.bits() - below.bits()) + (1 << (target.fraction_bits - 1))
    anchor = 2.0**target.fraction_bits
    exponent = steps >> target.fraction_bits
    k = (exponent | target.bits(anchor)).as_number() - anchor
    h = power_of_two((exponent ^ -1) + 1)
    near = size < 0.5
    numerator = select(near, fused(size, h + 1.0, h - 1.0), fused(h, above, -below))
    denominator = select(near, fused(size, h - 1.0, h + 1.0), fused(h, above, below))
    s = numerator / denominator
    z = s * s
    high, low = LN2[target.name]
    tail = fused(k, low * 0.5, s * z * polynomial(z, ATANH[target.name]))
    result = select(size < 1.0, fused(k, high * 0.5, s + tail), math.inf)
    return copy_sign(select(size <= 1.0, result, math.nan), x)
