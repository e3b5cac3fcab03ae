"""exp, exp2, expm1 and sigmoid.

x = n ln 2 + r with |r| <= ln 2 / 2 (Cody and Waite; the subtraction is exact with fused steps,
since n ln 2 and x are multiples of the same power of two near r), a minimax polynomial in r, and
a scaling by 2^n in two factors, so that subnormal results are rounded once and overflow is
infinity by itself. The polynomials are Remez fits of tests/runtime/fit_vmath.py.
"""

from graphjit.runtime.vmath.algebra import (
    Integer,
    Number,
    absolute,
    at_least,
    at_most,
    copy_sign,
    fused,
    nearest_whole,
    polynomial,
    power_of_two,
    quick_two_sum,
    scales_at_once,
    select,
    select_integer,
    times_power_of_two,
)

LOG2_E = 1.4426950408889634

# ln 2 as the nearest number of the format, and the rest.
LN2 = {
    "float32": (0.693147182464599609375, -1.904654290582768e-09),
    "float64": (0.6931471805599453, 2.3190468138462996e-17),
}

# (exp(r) - 1 - r) / r^2 on |r| <= ln 2 / 2. Error in exp: 2^-26.2 and 2^-55.6; in expm1 relative to r.
EXP = {
    "float32": (
        0.5000000046388550, 0.16666666816095999, 0.04166635480689103, 0.008333273272852413,
        0.0013940995689577594, 0.0001991405139705782,
    ),
    "float64": (
        0.5, 0.16666666666666677, 0.0416666666666667, 0.008333333333321626, 0.001388888888886695,
        0.0001984126988613183, 2.4801587360403064e-05, 2.755724421243132e-06, 2.7557242867777474e-07,
        2.510903311478817e-08, 2.0924412673992188e-09,
    ),
}  # fmt: skip

# The same, one degree less, where an error relative to exp suffices.
EXP_SHORT = {
    "float32": (
        0.5000000062167055, 0.16666543082251073, 0.0416662811413809, 0.008366572791197355,
        0.001394650571146533,
    ),
    "float64": (
        0.5000000000000006, 0.16666666666666685, 0.041666666666573704, 0.008333333333314728,
        0.0013888888932350597, 0.00019841269902735049, 2.4801504482583876e-05, 2.7557228216710053e-06,
        2.7626311134907966e-07, 2.5114390585392193e-08,
    ),
}  # fmt: skip

# (2^r - 1) / r on |r| <= 1/2. Error in 2^r: 2^-29.0 and 2^-58.0.
EXP2 = {
    "float32": (
        0.693147206249163, 0.24022651342449053, 0.055503277970909703, 0.009618004265255758,
        0.0013400266504340218, 0.00015476205230107847,
    ),
    "float64": (
        0.6931471805599453, 0.24022650695910133, 0.05550410866482174, 0.009618129107593331,
        0.0013333558146379286, 0.00015403530458078723, 1.5252733867373531e-05, 1.3215434817797697e-06,
        1.0178046519077928e-07, 7.073859965031112e-09, 4.457379281259972e-10,
    ),
}  # fmt: skip

# Beyond these the result is 0 or infinity; within them two factors 2^n are enough.
EXP_DOMAIN = {"float32": (-104.0, 89.0), "float64": (-746.0, 710.0)}
EXP2_DOMAIN = {"float32": (-151.0, 129.0), "float64": (-1076.0, 1025.0)}
# Below the first expm1 is -1; above the second it is infinity.
EXPM1_DOMAIN = {"float32": (-20.0, 89.0), "float64": (-40.0, 710.0)}


def limited(x: Number, domain: dict[str, tuple[float, float]]) -> Number:
    """x moved into the domain of its format; NaN stays NaN."""
    low, high = domain[x.format.name]
    return at_least(at_most(x, high), low)


def scaled(x: Number, exponent: Integer) -> Number:
    """x * 2^exponent, rounded once, also where the result is subnormal or infinite.

    `exponent` is one of `nearest_whole`. AVX-512 has an instruction for it, with the same bits.
    """
    if scales_at_once():
        return times_power_of_two(x, exponent - x.format.bits(x.format.magic))
    half = exponent >> 1
    return x * power_of_two(half) * power_of_two(exponent - half)


def without_ln2(x: Number) -> tuple[Number, Integer, Number, Number]:
    """n = round(x / ln 2), n as an integer, r = x - n ln 2 and what rounding r lost."""
    high, low = LN2[x.format.name]
    n, exponent = nearest_whole(x, LOG2_E)
    above = fused(-n, high, x)
    remainder = fused(-n, low, above)
    return n, exponent, remainder, fused(-n, low, above - remainder)


def exp_core(x: Number) -> tuple[Number, Integer]:
    """p and n with exp(x) = p * 2^n and p near [0.7, 1.42]."""
    _, exponent, r, _ = without_ln2(x)
    return polynomial(r, (1.0, 1.0, *EXP_SHORT[x.format.name])), exponent


def exp_pair(x: Number) -> tuple[Number, Number, Integer]:
    """The same with what is rounded off p."""
    _, exponent, r, rest = without_ln2(x)
    growth = r + fused(r * r, polynomial(r, EXP[x.format.name]), rest)
    total, lost = quick_two_sum(x.constant(1.0), growth)
    return total, lost, exponent


def exp(x: Number) -> Number:
    """e^x."""
    return scaled(*exp_core(limited(x, EXP_DOMAIN)))


def exp2(x: Number) -> Number:
    """2^x; the reduction is exact."""
    inside = limited(x, EXP2_DOMAIN)
    n, exponent = nearest_whole(inside, 1.0)
    return scaled(polynomial(inside - n, (1.0, *EXP2[x.format.name])), exponent)


def expm1_reduced(x: Number) -> tuple[Number, Integer, Number]:
    """n, n as an integer and exp(r) - 1 for x = n ln 2 + r."""
    n, exponent, r, rest = without_ln2(x)
    tail = fused(r * r, polynomial(r, EXP[x.format.name]), rest)
    return n, exponent, r + tail


def expm1(x: Number) -> Number:
    """e^x - 1 as 2^n (e^r - 1) + (2^n - 1); halved where 2^n alone would overflow."""
    n, exponent, small = expm1_reduced(limited(x, EXPM1_DOMAIN))
    top = n > float(x.format.bias)
    power = power_of_two(select_integer(top, exponent - 1, exponent))
    return copy_sign(fused(power, small, power - 1.0) * select(top, 2.0, x.constant(1.0)), x)


def sigmoid(x: Number) -> Number:
    """1 / (1 + e^-x), with e^-|x| on both sides of 0, so that nothing overflows.

    The quotient is corrected by its residual, since e^-|x| alone may be off by most of an ULP.
    """
    decay = exp(-absolute(x))
    below, lost = quick_two_sum(x.constant(1.0), decay)
    above = select(x < 0.0, decay, 1.0)
    inverse = 1.0 / below
    quotient = above * inverse
    return fused(fused(-quotient, lost, fused(-quotient, below, above)), inverse, quotient)
