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
    two_product,
    window,
)

Pair = tuple[Number, Number]

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


# With these paddings the window for exponent k begins at bit k.
WORDS_32 = _words(26, 4)
WORDS_64 = _words(55, 19)
LOW_HALF = (1 << 32) - 1


def _significand_and_start(size: Number) -> tuple[Integer, Integer]:
    """M and k with size = M 2^(k - fraction_bits - 1); k is 0 from 1/2 to 1 as well, with half the M."""
    target = size.format
    bits = size.bits()
    exponent = (bits >> target.fraction_bits) - target.bias
    hidden = 1 << target.fraction_bits
    significand = (bits & (hidden - 1)) | hidden
    below_one = exponent < 0
    return (
        select_integer(below_one, significand, significand << 1),
        select_integer(below_one, exponent.constant(0), exponent),
    )


def _signed_number(word: Integer) -> Number:
    """A small signed integer as a float64, by way of the bits of 1.5 * 2^52."""
    magic = FLOAT64.magic
    return (word + FLOAT64.bits(magic)).as_number() - magic


def _unsigned_number(word: Integer) -> Number:
    """An integer below 2^52 as a float64."""
    return (word | FLOAT64.bits(2.0**52)).as_number() - 2.0**52


def _reduce_narrow(size: Number, wants_rest: bool) -> tuple[Number, Number | float, Integer]:
    """r, its rest and the quadrant of a float32 from 1/2 on, by a 96-bit window in 64-bit integers."""
    narrow, narrow_start = _significand_and_start(size)
    significand, start = narrow.with_width_of(FLOAT64), narrow_start.with_width_of(FLOAT64)
    moved = start > 63
    a, b, c = (
        select_integer(moved, start.constant(WORDS_32[index + 1]), start.constant(WORDS_32[index]))
        for index in range(3)
    )
    below = significand * (window(b, c, start) >> 32)
    product = significand * window(a, b, start) + (below >> 32)
    quadrant = ((product >> 32).with_width_of(FLOAT32) + (1 << 29)) >> 30
    wide = (product << 2).to_number() * (HALF_PI[0] * 2.0**-64)
    r = wide.with_format(FLOAT32)
    rest = (wide - r.with_format(FLOAT64)).with_format(FLOAT32) if wants_rest else 0.0
    return r, rest, quadrant


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


def _fixed_product(significand: Integer, words: tuple[Integer, ...]) -> tuple[Integer, Integer]:
    """The high 128 of the low 192 bits of significand * words, by columns of 32 bits.

    Each column gathers less than 2^56, so no sum carries out of its word. (The usual formula for
    the high word of a 64-bit product is recognised by LLVM and turned into scalar instructions.)
    """
    high, low = significand >> 32, significand & LOW_HALF
    digits = [digit for word in reversed(words) for digit in (word & LOW_HALF, word >> 32)]
    products = [low * digit for digit in digits]
    carry = ((products[1] & LOW_HALF) + high * digits[0]) >> 32
    columns = []
    for index in (2, 3, 4):
        column = (products[index] & LOW_HALF) + (products[index - 1] >> 32) + high * digits[index - 1] + carry
        columns.append(column)
        carry = column >> 32
    last = products[5] + (products[4] >> 32) + high * digits[4] + carry
    return (last << 32) | (columns[2] & LOW_HALF), (columns[1] << 32) | (columns[0] & LOW_HALF)


def _reduce_wide(size: Number) -> tuple[Number, Number, Integer]:
    """r, its rest and the quadrant of a float64 from 1/2 on, by a 192-bit window."""
    significand, start = _significand_and_start(size)
    high, low = _fixed_product(significand, _window_words(start))
    turn = window(high, low, high.constant(2))
    fraction, rest = quick_two_sum(
        _signed_number(turn.shifted_signed(32)) * 2.0**-32, _unsigned_number(turn & LOW_HALF) * 2.0**-64
    )
    fraction, rest = quick_two_sum(fraction, fused(_unsigned_number((low << 2) >> 12), 2.0**-116, rest))
    r, r_rest = two_product(fraction, HALF_PI[0])
    return r, fused(fraction, HALF_PI[1], fused(rest, HALF_PI[0], r_rest)), (high + (1 << 61)) >> 62


def _reduced(x: Number, wants_rest: bool = True) -> tuple[Number, Number | float, Integer]:
    """r, its rest and the quadrant n with |x| = n pi/2 + r modulo 2 pi; r is NaN without a finite x.

    The rest of a float32 may be done without where one rounding of r is allowed for.
    """
    size = absolute(x)
    r, rest, quadrant = _reduce_narrow(size, wants_rest) if x.format is FLOAT32 else _reduce_wide(size)
    small = size < 0.5
    r = select(size < math.inf, select(small, size, r), math.nan)
    rest = select(small, 0.0, rest) if isinstance(rest, Number) else rest
    return r, rest, select_integer(small, quadrant.constant(0), quadrant)


def _sin_and_cos(r: Number, rest: Number | float) -> tuple[Pair, Pair]:
    """sin and cos of r + rest for |r| <= pi/4, each as two terms to add, as in fdlibm's kernels."""
    square = r * r
    half = square * 0.5
    sine_tail = fused(square * r, polynomial(square, SIN[r.format.name]), rest)
    top = 1.0 - half
    lost = -(r * rest) if isinstance(rest, Number) else 0.0
    tail = fused(square * square, polynomial(square, COS[r.format.name]), lost)
    return (r, sine_tail), (top, ((1.0 - top) - half) + tail)


def _turned(value: Number, sign: Integer) -> Number:
    """`value` with its sign changed where `sign` holds the sign bit."""
    return (value.bits() ^ sign).as_number()


def sin(x: Number) -> Number:
    """The sine; keeps the sign of 0."""
    r, rest, quadrant = _reduced(x, wants_rest=False)
    sine, cosine = _sin_and_cos(r, rest)
    value = select((quadrant & 1).is_nonzero(), cosine[0] + cosine[1], sine[0] + sine[1])
    return _turned(value, ((quadrant >> 1) << (x.format.width - 1)) ^ x.sign_bit())


def cos(x: Number) -> Number:
    """The cosine."""
    r, rest, quadrant = _reduced(x, wants_rest=False)
    sine, cosine = _sin_and_cos(r, rest)
    value = select((quadrant & 1).is_nonzero(), sine[0] + sine[1], cosine[0] + cosine[1])
    return _turned(value, ((quadrant + 1) >> 1) << (x.format.width - 1))


def tan(x: Number) -> Number:
    """The tangent, sin / cos or -cos / sin, corrected by its residual; keeps the sign of 0."""
    r, rest, quadrant = _reduced(x)
    (sine, sine_rest), (cosine, cosine_rest) = (quick_two_sum(*pair) for pair in _sin_and_cos(r, rest))
    odd = (quadrant & 1).is_nonzero()
    below = select(odd, sine, cosine)
    inverse = 1.0 / below
    quotient = select(odd, cosine, sine) * inverse
    residual = fused(-quotient, below, select(odd, cosine, sine)) + fused(
        -quotient, select(odd, sine_rest, cosine_rest), select(odd, cosine_rest, sine_rest)
    )
    return _turned(fused(residual, inverse, quotient), (quadrant << (x.format.width - 1)) ^ x.sign_bit())
