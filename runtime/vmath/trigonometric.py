"""sin, cos and tan, for every finite argument.

The argument is reduced by Payne and Hanek's method for all sizes from 1/2 on: |x| = M 2^k with an
integer M, and of 2/pi only those bits are multiplied by M whose products can be neither whole
multiples of 4 nor too small to count. They are found by selects and a funnel shift, in integer
arithmetic without branches or tables in memory, so that LLVM vectorises it. The product's two
highest bits are the quadrant, the rest is the fraction of pi/2.

M. Payne, R. Hanek: Radian reduction for trigonometric functions, SIGNUM 18 (1983); K. C. Ng:
Argument reduction for huge arguments: good to the last bit (1992). The polynomials on
[-pi/4, pi/4] are Remez fits of tests/runtime/fit_vmath.py.
"""

import math

from graphjit.runtime.vmath.algebra import (
    FLOAT32,
    FLOAT64,
    Integer,
    Number,
    absolute,
    fused,
    polynomial,
    quick_two_sum,
    select,
    select_integer,
    two_integers_product,
    two_product,
    window,
)

# The first 1408 bits of 2/pi.
TWO_OVER_PI = int(
    "a2f9836e4e441529fc2757d1f534ddc0db6295993c439041fe5163abdebbc561b7246e3a424dd2e006492eea"
    "09d1921cfe1deb1cb129a73ee88235f52ebb4484e99c7026b45f7e413991d639835339f49c845f8bbdf9283b"
    "1ff897ffde05980fef2f118b5a0a6d1f6d367ecf27cb09b74f463f669e5fea2d7527bac7ebe5f17b3d0739f7"
    "8a5292ea6bfb5fb11f8d5d0856033046fc7b6babf0cfbc209af4361da9e391615ee61b086599855f14a06840",
    16,
)
TWO_OVER_PI_BITS = 1408

# pi/2 as the nearest float64, and the rest.
HALF_PI = (1.5707963267948966, 6.123233995736766e-17)

# (sin(r) / r - 1) / r^2 and (cos(r) - 1 + r^2/2) / r^4, polynomials in r^2 for |r| <= pi/4.
# Error: 2^-28.0 and 2^-57.9 in sin, 2^-33.2 and 2^-64.1 in cos.
SIN = {
    "float32": (-0.16666654588060512, 0.008332154985405103, -0.00019514081068327385),
    "float64": (
        -0.1666666666666663, 0.00833333333332187, -0.00019841269829353606, 2.755731352840711e-06,
        -2.505073166219829e-08, 1.5895216751855383e-10,
    ),
}  # fmt: skip
COS = {
    "float32": (0.041666646275380616, -0.001388733734925301, 2.4434872743331455e-05),
    "float64": (
        0.041666666666666595, -0.001388888888887339, 2.4801587289002743e-05, -2.7557314208318143e-07,
        2.087570300713281e-09, -1.1358565368680057e-11,
    ),
}  # fmt: skip


def _words(padding: int, count: int) -> list[int]:
    """`padding` zero bits and then 2/pi, cut into 64-bit words."""
    shift = TWO_OVER_PI_BITS + padding - 64 * count
    bits = TWO_OVER_PI >> shift
    return [bits >> (64 * (count - 1 - index)) & (2**64 - 1) for index in range(count)]


# With these paddings the window for exponent k begins at bit k (float64) or k + 1 (float32).
WORDS_32 = _words(26, 5)
WORDS_64 = _words(55, 19)


def _signed_number(word: Integer) -> Number:
    """A small signed integer as a float64, by way of the bits of 1.5 * 2^52."""
    magic = FLOAT64.magic
    return (word + FLOAT64.bits(magic)).as_number() - magic


def _unsigned_number(word: Integer) -> Number:
    """An integer below 2^52 as a float64."""
    return (word | FLOAT64.bits(2.0**52)).as_number() - 2.0**52


def _reduce_narrow(size: Number) -> tuple[Number, Number, Integer]:
    """r, its rest and the quadrant of a float32 from 1/2 on, in 64-bit integers."""
    bits = size.bits()
    start = ((bits >> 23) - (FLOAT32.bias - 1)).with_width_of(FLOAT64)
    significand = ((bits & 0x7FFFFF) | 0x800000).with_width_of(FLOAT64)
    second, third = start > 63, start > 127
    a, b, c = (
        select_integer(
            third,
            start.constant(WORDS_32[index + 2]),
            select_integer(second, start.constant(WORDS_32[index + 1]), start.constant(WORDS_32[index])),
        )
        for index in range(3)
    )
    below = significand * (window(b, c, start) >> 32)
    product = significand * window(a, b, start) + (below >> 32)
    quadrant = ((product >> 61) + 1) >> 1
    turn = product << 2
    fraction = fused(_signed_number(turn.shifted_signed(32)), 2.0**-32, _unsigned_number(turn & 0xFFFFFFFF) * 2.0**-64)
    wide = fraction * HALF_PI[0]
    r = wide.with_format(FLOAT32)
    rest = (wide - r.with_format(FLOAT64)).with_format(FLOAT32)
    return r, rest, quadrant.with_width_of(FLOAT32)


def _window_words(start: Integer) -> tuple[Integer, Integer, Integer]:
    """The 192 bits of 2/pi from bit `start` on: words moved by 8, 4, 2 and 1 places, then bits."""
    words = [start.constant(word) for word in WORDS_64]
    for step in (8, 4, 2, 1):
        moved = (start & (64 * step)).is_nonzero()
        words = [
            select_integer(moved, words[index + step], words[index])
            for index in range(min(len(words) - step, 3 + step))
        ]
    a, b, c, d = words
    return window(a, b, start), window(b, c, start), window(c, d, start)


def _reduce_wide(size: Number) -> tuple[Number, Number, Integer]:
    """r, its rest and the quadrant of a float64 from 1/2 on."""
    bits = size.bits()
    exponent = (bits >> 52) - FLOAT64.bias
    significand = (bits & ((1 << 52) - 1)) | (1 << 52)
    below_one = exponent < 0
    significand = select_integer(below_one, significand, significand << 1)
    first, second, third = _window_words(select_integer(below_one, exponent.constant(0), exponent))
    high, low = two_integers_product(significand, second)
    carried, _ = two_integers_product(significand, third)
    low_sum = low + carried
    carry = select_integer(low_sum.is_below_unsigned(low), low.constant(1), low.constant(0))
    high_sum = significand * first + high + carry
    quadrant = ((high_sum >> 61) + 1) >> 1
    turn = window(high_sum, low_sum, high_sum.constant(2))
    fraction, rest = quick_two_sum(
        _signed_number(turn.shifted_signed(32)) * 2.0**-32, _unsigned_number(turn & 0xFFFFFFFF) * 2.0**-64
    )
    fraction, rest = quick_two_sum(fraction, fused(_unsigned_number((low_sum << 2) >> 12), 2.0**-116, rest))
    r, r_rest = two_product(fraction, HALF_PI[0])
    return r, fused(fraction, HALF_PI[1], fused(rest, HALF_PI[0], r_rest)), quadrant


def _reduced(x: Number) -> tuple[Number, Number, Integer]:
    """r, its rest and the quadrant n with |x| = n pi/2 + r modulo 2 pi; r is NaN without a finite x."""
    size = absolute(x)
    r, rest, quadrant = (_reduce_narrow if x.format is FLOAT32 else _reduce_wide)(size)
    small = size < 0.5
    r = select(small, size, r)
    r = select(size < math.inf, r, math.nan)
    return r, select(small, 0.0, rest), select_integer(small, quadrant.constant(0), quadrant)


def _sin_and_cos(r: Number, rest: Number) -> tuple[Number, Number]:
    """sin and cos of r + rest for |r| <= pi/4, as in fdlibm's kernels."""
    square = r * r
    half = square * 0.5
    sine = r + fused(square * r, polynomial(square, SIN[r.format.name]), rest)
    top = 1.0 - half
    tail = fused(square * square, polynomial(square, COS[r.format.name]), -(r * rest))
    return sine, top + (((1.0 - top) - half) + tail)


def _turned(value: Number, sign: Integer) -> Number:
    """`value` with its sign changed where `sign` holds the sign bit."""
    return (value.bits() ^ sign).as_number()


def sin(x: Number) -> Number:
    """The sine; keeps the sign of 0."""
    r, rest, quadrant = _reduced(x)
    sine, cosine = _sin_and_cos(r, rest)
    value = select((quadrant & 1).is_nonzero(), cosine, sine)
    return _turned(value, ((quadrant >> 1) << (x.format.width - 1)) ^ x.sign_bit())


def cos(x: Number) -> Number:
    """The cosine."""
    r, rest, quadrant = _reduced(x)
    sine, cosine = _sin_and_cos(r, rest)
    value = select((quadrant & 1).is_nonzero(), sine, cosine)
    return _turned(value, ((quadrant + 1) >> 1) << (x.format.width - 1))


def tan(x: Number) -> Number:
    """The tangent, sin / cos or -cos / sin; keeps the sign of 0."""
    r, rest, quadrant = _reduced(x)
    sine, cosine = _sin_and_cos(r, rest)
    odd = (quadrant & 1).is_nonzero()
    value = select(odd, cosine, sine) / select(odd, sine, cosine)
    return _turned(value, (quadrant << (x.format.width - 1)) ^ x.sign_bit())
