"""asin, acos, atan and atan2.

Odd polynomials on [-1/2, 1/2] (asin) and [-1, 1] (atan), Remez fits of
tests/runtime/fit_vmath.py; beyond, asin(x) = pi/2 - 2 asin(sqrt((1 - x) / 2)) and
atan(x) = pi/2 - atan(1 / x), as in fdlibm.
"""

import math

from graphjit.runtime.vmath.algebra import (
    Condition,
    Number,
    absolute,
    copy_sign,
    fused,
    polynomial,
    quick_two_sum,
    select,
    square_root,
)

# (asin(x) / x - 1) / x^2, a polynomial in x^2 for |x| <= 1/2. Error: 2^-31.7 and 2^-59.8.
ASIN = {
    "float32": (
        0.1666665986, 0.07500510905913736, 0.044515719384688734, 0.031817632687881965, 0.014402509908966209,
        0.03756532866774691,
    ),
    "float64": (
        0.16666666666666763, 0.07499999999970246, 0.04464285717513444, 0.03038194268301364,
        0.022372215676105787, 0.017351599827549264, 0.013980964402832497, 0.011397753477894308,
        0.010786646760171954, 0.0036826267764601883, 0.021764443424915805, -0.021078542186955537,
        0.03267762131447857,
    ),
}  # fmt: skip

# (atan(x) / x - 1) / x^2, a polynomial in x^2 for |x| <= 1. Error: 2^-31.4 and 2^-57.7.
ATAN = {
    "float32": (
        -0.3333332743384885, 0.19999692606232364, -0.14280130456438778, 0.1106024155244309, -0.0881883390884021,
        0.06759534007254805, -0.04494585469578542, 0.02275980514336697, -0.007422374548072021, 0.0011348241888909996,
    ),
    "float64": (
        -0.33333333333333093, 0.1999999999995545, -0.1428571428280309, 0.1111111101367533,
        -0.09090907119676225, 0.07692281191532917, -0.06666415035572618, 0.05880592777441597,
        -0.05253806536087048, 0.04723296676838062, -0.04221726448705135, 0.036693701050455746,
        -0.029985841980488707, 0.02208548045080686, -0.013995296339656061, 0.007263578097832536,
        -0.002919456834927306, 0.0008435258695855197, -0.00015480615753424697, 1.3490208712481325e-05,
    ),
}  # fmt: skip

# pi/2 as the nearest number, and the rest.
HALF_PI = {
    "float32": (1.57079637050628662109375, -4.371139000186243e-08),
    "float64": (1.5707963267948966, 6.123233995736766e-17),
}


def _asin_parts(x: Number) -> tuple[Condition, Number, Number]:
    """Whether |x| > 1/2; t = |x| or sqrt((1 - |x|) / 2); and asin(t) - t."""
    size = absolute(x)
    outer = size > 0.5
    z = select(outer, 0.5 - size * 0.5, size * size)
    t = select(outer, square_root(z), size)
    return outer, t, t * z * polynomial(z, ASIN[x.format.name])


def asin(x: Number) -> Number:
    """The arc sine; keeps the sign of 0, NaN outside [-1, 1]."""
    high, low = HALF_PI[x.format.name]
    outer, t, tail = _asin_parts(x)
    total, lost = quick_two_sum(x.constant(high), t * -2.0)
    return copy_sign(select(outer, total + (lost + (low - tail * 2.0)), t + tail), x)


def acos(x: Number) -> Number:
    """The arc cosine; exactly 0 at 1, NaN outside [-1, 1]."""
    high, low = HALF_PI[x.format.name]
    outer, t, tail = _asin_parts(x)
    signed, signed_tail = copy_sign(t, x), copy_sign(tail, x)
    middle = (high - signed) + (low - signed_tail)
    left = (2.0 * high - t * 2.0) + (2.0 * low - tail * 2.0)
    right = t * 2.0 + tail * 2.0
    return select(outer, select(x < 0.0, left, right), middle)


def _atan_unit(t: Number) -> tuple[Number, Number]:
    """atan(t) for 0 <= t <= 1, as t and the rest."""
    z = t * t
    return t, t * z * polynomial(z, ATAN[t.format.name])


def atan(x: Number) -> Number:
    """The arc tangent; keeps the sign of 0."""
    high, low = HALF_PI[x.format.name]
    size = absolute(x)
    outer = size > 1.0
    t, tail = _atan_unit(select(outer, 1.0, size) / select(outer, size, x.constant(1.0)))
    return copy_sign(select(outer, (high - t) + (low - tail), t + tail), x)


def atan2(y: Number, x: Number) -> Number:
    """The angle of the point (x, y), by C99's table for zeros and infinities."""
    high, low = HALF_PI[x.format.name]
    across, up = absolute(x), absolute(y)
    steep = up > across
    least, greatest = select(steep, across, up), select(steep, up, across)
    ratio = least / greatest
    ratio = select(greatest.is_equal(0.0), 0.0, select(least.is_infinite(), 1.0, ratio))
    t, tail = _atan_unit(select(x.is_nan() | y.is_nan(), math.nan, ratio))
    left = x.sign_bit().is_nonzero()
    # steep: pi/2 -+ t, else pi - t or t
    turned = select(steep, x.constant(high), select(left, x.constant(2.0 * high), x.constant(0.0)))
    turned_low = select(steep, x.constant(low), select(left, x.constant(2.0 * low), x.constant(0.0)))
    sign = select(steep, select(left, x.constant(1.0), x.constant(-1.0)), select(left, -1.0, x.constant(1.0)))
    return copy_sign(fused(sign, t, turned) + fused(sign, tail, turned_low), y)
