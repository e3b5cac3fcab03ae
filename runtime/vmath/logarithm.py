"""log, log2, log10, log1p and softplus.

x = 2^k (1 + f) with 1 + f in [sqrt(1/2), sqrt(2)), and log(1 + f) = f + tail. In float64 the tail
is that of fdlibm's e_log.c: s = f / (2 + f) and log(1 + f) = f - (f^2/2 - s (f^2/2 + R(s^2))); in
float32 a polynomial in f, without a division. The polynomials are Remez fits of
tests/runtime/fit_vmath.py.
"""

import math

from graphjit.runtime.vmath.algebra import (
    FLOAT32,
    Condition,
    Integer,
    Number,
    absolute,
    at_least,
    copy_sign,
    fused,
    polynomial,
    power_of_two,
    quick_two_sum,
    select,
    two_product,
)
from graphjit.runtime.vmath.exponential import LN2, exp

# (2 atanh(s) / s - 2) / s^2 as a polynomial in s^2 for |s| <= 0.1716. Error in log: 2^-58.5.
LOG_QUOTIENT = (
    0.6666666666666734, 0.3999999999941448, 0.2857142874243148, 0.22222198568560164, 0.18183564575948344,
    0.15314043859983803, 0.14796020148580938,
)  # fmt: skip

# (log(1 + f) - f + f^2/2) / f^3 for 1 + f in [sqrt(1/2), sqrt(2)]. Error in log: 2^-30.4.
LOG_CUBIC = (
    0.3333331048249024, -0.2499998688126071, 0.2000222428773444, -0.16669236015480463, 0.1421868961733595,
    -0.12384602667334543, 0.1187300600028376, -0.11788404983214787, 0.0691364656409622,
)  # fmt: skip

# 1 / ln 2, 1 / ln 10 and log10(2), each as the nearest number and the rest.
LOG2_E = {
    "float32": (1.44269502162933349609375, 1.925963033500928e-08),
    "float64": (1.4426950408889634, 2.0355273740931033e-17),
}
LOG10_E = {
    "float32": (0.4342944920063018798828125, -1.0103049952192578e-08),
    "float64": (0.4342944819032518, 1.098319650216765e-17),
}
LOG10_2 = {
    "float32": (0.3010300099849700927734375, -1.4320988924801745e-08),
    "float64": (0.3010299956639812, -2.8037281277851704e-18),
}

SQRT_HALF = math.sqrt(0.5)


def split(x: Number) -> tuple[Number, Number]:
    """k and f with x = 2^k (1 + f), for x > 0, subnormal ones included."""
    target = x.format
    tiny = x < target.smallest_normal
    lift = target.fraction_bits + 1
    bits = select(tiny, x * 2.0**lift, x).bits()
    shifted = bits + (target.bits(1.0) - target.bits(SQRT_HALF))
    fraction = (shifted & ((1 << target.fraction_bits) - 1)) + target.bits(SQRT_HALF)
    return exponent_number(shifted, tiny, lift), fraction.as_number() - 1.0


def exponent_number(bits: Integer, tiny: Condition, lift: int) -> Number:
    """The exponent field as a number, less the bias (and `lift` where `tiny`).

    The field is put under the exponent of 2^fraction_bits, which needs no conversion instruction.
    """
    target = bits.format
    anchor = 2.0**target.fraction_bits
    field = ((bits >> target.fraction_bits) | target.bits(anchor)).as_number()
    plain = field.constant(anchor + target.bias)
    return field - select(tiny, field.constant(anchor + target.bias + lift), plain)


def log_tail(f: Number) -> Number:
    """log(1 + f) - f, for 1 + f in [sqrt(1/2), sqrt(2)]."""
    half_square = f * f * 0.5
    if f.format is FLOAT32:
        return fused(f * f * f, polynomial(f, LOG_CUBIC), -half_square)
    s = f / (f + 2.0)
    z = s * s
    return fused(s, fused(z, polynomial(z, LOG_QUOTIENT), half_square), -half_square)


def log_joined(k: Number, f: Number) -> Number:
    """k ln 2 + log(1 + f)."""
    high, low = LN2[f.format.name]
    return fused(k, high, f + fused(k, low, log_tail(f)))


def with_borders(x: Number, inner: Number) -> Number:
    """`inner`, but -inf for 0, inf for inf, and NaN for NaN and below 0."""
    upper = select(x < math.inf, inner, math.inf)
    return select(x > 0.0, upper, select(x.is_equal(0.0), -math.inf, x.constant(math.nan)))


def log(x: Number) -> Number:
    """The natural logarithm."""
    return with_borders(x, log_joined(*split(x)))


def _times(f: Number, factor: tuple[float, float]) -> tuple[Number, Number]:
    """log(1 + f) * factor, as a value and the rest."""
    total, rest = quick_two_sum(f, log_tail(f))
    product, product_rest = two_product(total, factor[0])
    return product, fused(total, factor[1], fused(rest, factor[0], product_rest))


def log2(x: Number) -> Number:
    """The logarithm to base 2; exact for powers of 2.

    k is whole and the rest of the result at most 1/2, so that what is rounded off the rest counts at most
    as much as what is rounded off the sum.
    """
    k, f = split(x)
    high, low = LOG2_E[x.format.name]
    rest = fused(f, high, fused(log_tail(f), high, f * low))
    return with_borders(x, k + rest)


def log10(x: Number) -> Number:
    """The logarithm to base 10."""
    k, f = split(x)
    product, rest = _times(f, LOG10_E[x.format.name])
    high, low = LOG10_2[x.format.name]
    whole, whole_rest = two_product(k, high)
    total, lost = quick_two_sum(whole, product)
    return with_borders(x, total + (lost + (rest + fused(k, low, whole_rest))))


def log1p_inner(x: Number) -> Number:
    """log(1 + x) for finite x > -1: f = 2^-k x + (2^-k - 1) loses nothing that counts.

    Where 1 + x rounds to x, f comes from the rounded sum itself.
    """
    target = x.format
    total = x + 1.0
    bits = total.bits() + (target.bits(1.0) - target.bits(SQRT_HALF))
    field = bits >> target.fraction_bits
    anchor = 2.0**target.fraction_bits
    k = (field | target.bits(anchor)).as_number() - (anchor + target.bias)
    scale = power_of_two((field ^ -1) + (target.bias + 1))
    fraction = (bits & ((1 << target.fraction_bits) - 1)) + target.bits(SQRT_HALF)
    large = x > 2.0 ** (target.fraction_bits + 3)
    f = select(large, fraction.as_number() - 1.0, fused(scale, x, scale - 1.0))
    return log_joined(k, f)


def log1p(x: Number) -> Number:
    """log(1 + x); keeps the sign of 0."""
    inner = copy_sign(log1p_inner(x), x)
    upper = select(x < math.inf, inner, math.inf)
    return select(x > -1.0, upper, select(x.is_equal(-1.0), -math.inf, x.constant(math.nan)))


def softplus(x: Number) -> Number:
    """log(1 + e^x) as max(x, 0) + log(1 + e^-|x|)."""
    decay = exp(-absolute(x))
    return at_least(x, 0.0) + log1p_inner(decay)
