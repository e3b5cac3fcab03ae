"""lgamma, the logarithm of |gamma|.

With c the whole number nearest a = |x| (2 from 1.41 on, so that nothing cancels at sqrt(2), where
the logarithm's reduction jumps) and u = a - c, lgamma(a) = lgamma(2 + u) +- log(m): m is
(1 + u) u, 1 + u or 1 below 5/2, and the product (a - 1) (a - 2) ... down to 2 + u above; from
13/2 on Stirling's series (NIST DLMF 5.11.1). Below 0 the reflection formula (DLMF 5.5.3).
The polynomials are Remez fits of tests/runtime/fit_vmath.py.
"""

import math

from graphjit.runtime.vmath.algebra import (
    Number,
    absolute,
    fused,
    polynomial,
    select,
    two_product,
    whole,
)
from graphjit.runtime.vmath.exponential import LN2
from graphjit.runtime.vmath.logarithm import log_joined, log_tail, split

# lgamma(2 + u) / u for u in [-0.592, 0.5]. Relative error: 2^-30.0 and 2^-61.9.
NEAR_TWO = {
    "float32": (
        0.4227843350939377, 0.3224670404731426, -0.06735229478589037, 0.020580434804262172,
        -0.007385882756424947, 0.002895922353558044, -0.0011878699058884403, 0.00047979686251560684,
        -0.0002495422842726373, 0.00015995785251163885,
    ),
    "float64": (
        0.42278433509846713, 0.3224670334241132, -0.06735230105319805, 0.020580808427783873,
        -0.007385551028679689, 0.002890510330787233, -0.0011927539114164243, 0.000509669523352969,
        -0.00022315476584718955, 9.945753529326515e-05, -4.492612637822252e-05, 2.0507004563489728e-05,
        -9.440498968862592e-06, 4.375968708878461e-06, -2.0334370862701014e-06, 9.521227984550793e-07,
        -4.694588234476273e-07, 2.1437074608713427e-07, -6.034476403857701e-08, 5.438759558929692e-08,
        -5.920442470817667e-08,
    ),
}  # fmt: skip
# (lgamma(a) - (a - 1/2) log(a) + a - log(2 pi) / 2) a, a polynomial in 1/a^2 for a >= 6.45. Error in
# lgamma relative to its size: 2^-38.1 and 2^-62.7.
STIRLING = {
    "float32": (
        0.08333333248949311, -0.002777494070346938, 0.0007696701969474208,
    ),
    "float64": (
        0.08333333333333326, -0.002777777777661826, 0.0007936507405676023, -0.0005952273308514107,
        0.0008406198465815279, -0.0018526133134600423, 0.004414735162816963,
    ),
}  # fmt: skip
# (sin(pi d) / (pi d) - 1) / d^2, a polynomial in d^2 for |d| <= 1/2. Error in sin: 2^-34.9 and 2^-61.2.
SIN_PI = {
    "float32": (
        -1.644934063401129, 0.8117422295247423, -0.19074821166580838, 0.026118715139071526,
        -0.002239047212316214,
    ),
    "float64": (
        -1.6449340668482264, 0.8117424252833418, -0.1907518241215592, 0.0261478478063976,
        -0.002346080901890575, 0.00014842786913847345, -6.972163004873697e-06, 2.450889756111028e-07,
    ),
}  # fmt: skip
# (log(2 pi) - 1) / 2, what Stirling's series adds to (a - 1/2) (log(a) - 1).
STIRLING_CONSTANT = 0.4189385332046727
# Below this lgamma(x) is lgamma(-x), and 1 + x^2 is 1.
TINY = {"float32": 2.0**-40, "float64": 2.0**-80}


def _below_stirling(a: Number, nearest: Number) -> Number:
    """lgamma(a) for 0 <= a <= 13/2, as u P(u) +- log(m), in an order that keeps what cancels.

    Near 1, where log(m) = u + its tail, u is taken off the polynomial's first coefficient instead.
    """
    one = a.constant(1.0)
    u = a - nearest
    factor = select(nearest > 2.5, a - 1.0, select(nearest > 1.5, one, select(nearest > 0.5, a, fused(a, a, a))))
    for step in (2.0, 3.0, 4.0):
        factor = factor * select(nearest > step + 1.5, a - step, one)
    k, f = split(factor)
    sign = select(nearest > 1.5, one, a.constant(-1.0))
    high, low = LN2[a.format.name]
    first, *others = NEAR_TWO[a.format.name]
    near_one = (nearest < 1.5) & (a > 0.75)
    linear = select(near_one, first - 1.0, a.constant(first))
    small = fused(u * u, polynomial(u, others), sign * fused(k, low, log_tail(f)))
    rest = small + select(near_one, 0.0, f * sign)
    return fused(k * sign, high, fused(u, linear, rest))


def _stirling(a: Number) -> Number:
    """lgamma(a) for a >= 13/2: (a - 1/2) (log(a) - 1) without rounding errors, and the series."""
    k, f = split(a)
    high, low = LN2[a.format.name]
    tail = fused(k, low, log_tail(f))
    part = f + tail
    log = fused(k, high, part)
    log_rest = fused(k, high, -log) + part + (tail - (part - f))
    scale = a - 0.5
    product, product_rest = two_product(scale, log - 1.0)
    inverse = 1.0 / a
    series = fused(inverse, polynomial(inverse * inverse, STIRLING[a.format.name]), STIRLING_CONSTANT)
    result = product + (fused(scale, log_rest, product_rest) + series)
    return select(product < math.inf, result, product)


def _reflected(a: Number, nearest: Number, positive: Number) -> Number:
    """lgamma(-a) from lgamma(a): -log(a |sin(pi a)| / pi) - lgamma(a); infinite at whole a."""
    d = absolute(a - nearest)
    z = d * d
    sine = fused(d * z, polynomial(z, SIN_PI[a.format.name]), d)
    result = -log_joined(*split(a * sine)) - positive
    return select(d.is_equal(0.0), math.inf, result)


def lgamma(x: Number) -> Number:
    """log|gamma(x)|; infinite at 0, at negative whole numbers and at both infinities."""
    a = absolute(x)
    nearest = whole(a)
    centre = select((a > 1.41) & (nearest < 1.5), 2.0, nearest)
    positive = select(nearest > 6.5, _stirling(a), _below_stirling(a, centre))
    positive = select(a.is_equal(0.0), math.inf, positive)
    mirrored = (x < 0.0) & (a > TINY[x.format.name])
    return select(a < math.inf, select(mirrored, _reflected(a, nearest, positive), positive), a)
