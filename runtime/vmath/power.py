"""pow, cbrt and hypot.

pow is 2^(y log2 x). For float64 log2 is taken in double-double arithmetic (the series of fdlibm, its
first terms exact by fused steps), for float32 in plain float64. The polynomials are Remez fits of
tests/runtime/fit_vmath.py.
"""

import math

from graphjit.runtime.vmath.algebra import (
    FLOAT32,
    FLOAT64,
    Number,
    absolute,
    copy_sign,
    fused,
    nearest_whole,
    polynomial,
    power_of_two,
    quick_two_sum,
    select,
    square_root,
    two_product,
    whole,
)
from graphjit.runtime.vmath.exponential import EXP2, EXP2_DOMAIN, limited, scaled
from graphjit.runtime.vmath.logarithm import LOG2_E, split

# m^(-1/3) for m in [0.706, 1.416]. Error: 2^-14.7 and 2^-17.4.
INVERSE_CUBE_ROOT = {
    "float32": (
        1.8745289482375576, -1.8617581278812374, 1.5610361736315204, -0.7021119773610244,
        0.12828112653008356,
    ),
    "float64": (
        1.999170788886699, -2.485805487661808, 2.7917622696500093, -1.8974837592937943, 0.7003280161118437,
        -0.10796792752268403,
    ),
}  # fmt: skip

# ((2 atanh(s) / s - 2) / s^2 - 2/3) / s^2, a polynomial in s^2 for |s| <= 0.1716. Error in log: 2^-66.3.
LOG_QUOTIENT_REST = (
    0.40000000000002256, 0.2857142857009945, 0.22222222519947296, 0.18181784365025402,
    0.153867574206436, 0.1325681588999209, 0.13196343653075024,
)  # fmt: skip
TWO_THIRDS = (0.6666666666666666, 3.700743415417188e-17)

# 2 atanh(s) / (s ln 2), a polynomial in s^2 for |s| <= 0.1716, for float32's pow. Error: 2^-36.2.
LOG2_QUOTIENT = (
    2.8853900817900544,
    0.9617966732825793,
    0.5770835947572619,
    0.411672234073753,
    0.34073784174649857,
)

# (2^r - 1) / r for float32's pow in float64: error in 2^r 2^-34.3.
EXP2_SHORT = (
    0.6931471805419485, 0.24022651075771034, 0.05550410961572267, 0.009618036919791696,
    0.0013333431491620224, 0.00015467107667644424, 1.5314806008474342e-05,
)  # fmt: skip


def cbrt(x: Number) -> Number:
    """The cube root: x = 2^(3q + j) m with j in {-1, 0, 1}, m^(-1/3) from a polynomial, then Newton.

    The last step takes the residual m - c^3 with a fused square, so that c is off by its rounding only.
    """
    size = absolute(x)
    k, f = split(size)
    q, exponent = nearest_whole(k, 1.0 / 3.0)
    j = fused(q, -3.0, k)
    one = x.constant(1.0)
    m = (f + 1.0) * select(j > 0.5, 2.0, select(j < -0.5, 0.5, one))
    start = select(j > 0.5, 0.5 ** (1 / 3), select(j < -0.5, 2.0 ** (1 / 3), one))
    y = polynomial(f + 1.0, INVERSE_CUBE_ROOT[x.format.name]) * start
    if x.format is FLOAT64:
        y = fused(y * (1.0 / 3.0), fused(y * y, -m * y, 1.0), y)
    c = m * y * y
    square, rest = two_product(c, c)
    residual = fused(-square, c, m) - rest * c
    c = fused(residual, y * y * (1.0 / 3.0), c)
    regular = select(size.is_equal(0.0), size, c * power_of_two(exponent))
    return copy_sign(select(size < math.inf, regular, size), x)


def hypot(x: Number, y: Number) -> Number:
    """sqrt(x^2 + y^2), scaled by a power of 2 so that neither square overflows or vanishes."""
    across, up = absolute(x), absolute(y)
    greatest = select(across > up, across, up)
    far, step = (2.0**500, 600.0) if x.format is FLOAT64 else (2.0**50, 100.0)
    down, one, grow = 2.0**-step, x.constant(1.0), 2.0**step
    factor = select(greatest > far, down, select(greatest < 1.0 / far, grow, one))
    back = select(greatest > far, grow, select(greatest < 1.0 / far, down, one))
    a, b = across * factor, up * factor
    result = square_root(fused(a, a, b * b)) * back
    return select(across.is_equal(math.inf) | up.is_equal(math.inf), math.inf, result)


def _log2_exact(x: Number) -> tuple[Number, Number]:
    """log2 of finite x > 0 as a value and the rest, to about 2^-65 relative; float64.

    The series of fdlibm's log, its first two terms in double-double arithmetic.
    """
    k, f = split(x)
    denominator, denominator_rest = quick_two_sum(f.constant(2.0), f)
    inverse = 1.0 / denominator
    s = f * inverse
    s_rest = (fused(-s, denominator, f) - s * denominator_rest) * inverse
    z, z_rest = two_product(s, s)
    z_rest = fused(s * 2.0, s_rest, z_rest)
    a, a_rest = quick_two_sum(z.constant(TWO_THIRDS[0]), z * polynomial(z, LOG_QUOTIENT_REST))
    p, p_rest = two_product(z, a)
    p_rest = fused(z, a_rest + TWO_THIRDS[1], fused(z_rest, a, p_rest))
    c, c_rest = two_product(s, p)
    c_rest = fused(s, p_rest, fused(s_rest, p, c_rest))
    log, lost = quick_two_sum(s * 2.0, c)
    log_rest = lost + fused(s_rest, 2.0, c_rest)
    high, low = LOG2_E["float64"]
    product, product_rest = two_product(log, high)
    product_rest = fused(log, low, fused(log_rest, high, product_rest))
    total, rest = quick_two_sum(k, product)
    return total, rest + product_rest


def _power_wide(size: Number, y: Number) -> Number:
    """size^y for size >= 0 in float64."""
    total, rest = _log2_exact(size)
    total = select(size.is_equal(0.0), -math.inf, select(size < math.inf, total, size))
    product = y * total
    lost = fused(y, rest, fused(y, total, -product))
    inside = limited(product, EXP2_DOMAIN)
    n, exponent = nearest_whole(inside, 1.0)
    r = (inside - n) + select(absolute(product) < 2048.0, lost, 0.0)
    return scaled(polynomial(r, (1.0, *EXP2["float64"])), exponent)


def _power_narrow(size: Number, y: Number) -> Number:
    """size^y for float32 operands, by plain float64 arithmetic; the result is yet to be rounded."""
    bits = size.bits() + (FLOAT64.bits(1.0) - FLOAT64.bits(math.sqrt(0.5)))
    fraction = (bits & ((1 << 52) - 1)) + FLOAT64.bits(math.sqrt(0.5))
    k = ((bits >> 52) | FLOAT64.bits(2.0**52)).as_number() - (2.0**52 + 1023.0)
    f = fraction.as_number() - 1.0
    s = f / (f + 2.0)
    z = s * s
    log = s * polynomial(z, LOG2_QUOTIENT)
    total = select(size.is_equal(0.0), -math.inf, select(size < math.inf, k + log, size))
    product = y * total
    inside = limited(product, {"float64": (-200.0, 200.0)})
    n, exponent = nearest_whole(inside, 1.0)
    return polynomial(inside - n, (1.0, *EXP2_SHORT)) * power_of_two(exponent)


def _with_table(x: Number, y: Number, size: Number, magnitude: Number) -> Number:
    """C99's table for pow: signs of odd powers, NaN for fractional powers below 0, and the ones."""
    integral = whole(y).is_equal(y)
    half = y * 0.5
    odd = integral & ~whole(half).is_equal(half)
    value = select(size.is_equal(1.0), 1.0, magnitude)
    value = select((x < 0.0) & (size < math.inf) & ~integral, math.nan, value)
    value = select(odd, copy_sign(value, x), value)
    return select(y.is_equal(0.0) | x.is_equal(1.0), 1.0, value)


def pow(x: Number, y: Number) -> Number:  # noqa: A001  # the function's name in C, Python and NumPy
    """x^y. float64: 2^(y log2 x), log2 in double-double; float32: the same in plain float64."""
    if x.format is FLOAT32:
        wide, exponent = x.with_format(FLOAT64), y.with_format(FLOAT64)
        size = absolute(wide)
        return _with_table(wide, exponent, size, _power_narrow(size, exponent)).with_format(FLOAT32)
    size = absolute(x)
    return _with_table(x, y, size, _power_wide(size, y))
