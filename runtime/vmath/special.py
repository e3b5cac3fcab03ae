"""erf and erfc.

Near 0 an odd polynomial; beyond, erf is 1 - e^-Q(x) with a polynomial Q, and erfc is
e^(-x^2) erfcx(x) with x^2 kept to twice the precision. The polynomials are Remez fits of
tests/runtime/fit_vmath.py.
"""

from graphjit.runtime.vmath.algebra import (
    Number,
    absolute,
    at_most,
    copy_sign,
    fused,
    polynomial,
    power_of_two,
    select,
    two_product,
)
from graphjit.runtime.vmath.exponential import exp_core, exp_pair, scaled

# erf(x) / x - 1, a polynomial in x^2 for |x| <= 1. Error: 2^-29.7 and 2^-57.0.
ERF = {
    "float32": (
        0.12837916591244705, -0.3761262713251192, 0.11283600155354064, -0.02685444404877267,
        0.005189534662176263, -0.0008020837446724565, 7.88911231198648e-05,
    ),
    "float64": (
        0.12837916709551256, -0.3761263890318355, 0.11283791670945248, -0.026866170643275605,
        0.005223977607419532, -0.0008548325989549975, 0.00012055295317127784, -1.4924744614976935e-05,
        1.644751725029007e-06, -1.6209173735648535e-07, 1.3722970916679922e-08, -7.80118542071728e-10,
    ),
}  # fmt: skip

# -log(erfc(x)), for x in [0.9, 4] and [0.95, 6]. Error in erf: 2^-29.2 and 2^-58.9.
ERF_EXPONENT = {
    "float32": (
        0.00017782184910427926, 1.1277481213495397, 0.6370623346924834, 0.10403495402435885,
        -0.0222758577294999, 0.0030552810104254842, -0.00019714653256723398,
    ),
    "float64": (
        1.1768813352264444e-07, 1.1283779392613937, 0.6366256890117232, 0.10275520832331046,
        -0.0190938363399561, -0.00025772843495646547, 0.0017437910157756616, -0.0006193888263220112,
        2.9937107390286325e-05, 7.846938980877481e-05, -4.8559091010274966e-05, 1.773313280538351e-05,
        -4.660730866307873e-06, 9.217985324501476e-07, -1.3730012296130093e-07, 1.5015983648907492e-08,
        -1.141069383805224e-09, 5.388608204855364e-11, -1.1913129540193158e-12,
    ),
}  # fmt: skip

# From here erf rounds to 1.
ERF_LIMIT = {"float32": 4.0, "float64": 6.0}


def erf(x: Number) -> Number:
    """The error function: x (1 + P(x^2)) up to 1, beyond 1 - e^-Q(x)."""
    size = absolute(x)
    near = fused(size, polynomial(size * size, ERF[x.format.name]), size)
    inside = at_most(size, ERF_LIMIT[x.format.name])
    value, exponent = exp_core(-polynomial(inside, ERF_EXPONENT[x.format.name]))
    far = fused(-value, power_of_two(exponent), 1.0)
    return copy_sign(select(size < 1.0, near, far), x)


# erfcx(x) (1 + 2 x) for x from 0.49 to the limit below, a polynomial in (x - 4) / (x + 4), as in
# Shepherd and Laframboise, Chebyshev approximation of (1 + 2x) exp(x^2) erfc x (1981); being nearly
# constant it hardly passes on what q loses. Error: 2^-28.6 and 2^-60.5.
ERFC_SCALED = {
    "float32": (
        1.2329951175287706, -0.13962106641948774, 0.015379831690515492, 0.06809444149544029,
        -0.10104480007424813, 0.09376866391137187, -0.06625854698837032, 0.03699202004319032,
        -0.01658284987544365, 0.005267324266945934,
    ),
    "float64": (
        1.2329951186255526, -0.1396211168405625, 0.015379652102619842, 0.06809705425468879,
        -0.10103906603631006, 0.09373283499852031, -0.06633036581208855, 0.0371675155340584,
        -0.016197734059303522, 0.005031970015849312, -0.0007577732783745187, -0.0001992569487837625,
        0.00015062163436691222, -2.43981219645969e-05, -1.1221934388788309e-05, 5.706651705925541e-06,
        2.937082062611732e-07, -8.197416911468176e-07, 7.462814367182052e-08, 1.0345004875923894e-07,
        -1.7815669555041294e-08, -9.720787888349151e-09, 1.7775795365191725e-09,
    ),
}  # fmt: skip

# From here erfc is 0.
ERFC_LIMIT = {"float32": 10.25, "float64": 27.4}


def _scaled_erfc(x: Number, below: Number) -> tuple[Number, Number, Number]:
    """1 / (1 + 2 x) roughly, and erfcx(x) (1 + 2 x) with its rest, given the rounded 1 + 2 x.

    One division serves both quotients; q is improved by a Newton step.
    """
    shifted = x + 4.0
    both = 1.0 / (shifted * below)
    inverse = both * below
    q = (x - 4.0) * inverse
    q = fused(fused(-q, shifted, x - 4.0), inverse, q)
    first, *others = ERFC_SCALED[x.format.name]
    slope = polynomial(q, others)
    value = fused(q, slope, first)
    return both * shifted, value, fused(q, slope, first - value)


def _erfc_far(x: Number) -> Number:
    """erfc(x) for x >= 0.49 as e^(-x^2) P(q) / (1 + 2 x), with what each step rounds off kept."""
    square, square_rest = two_product(x, x)
    decay, decay_rest, exponent = exp_pair(-square)
    doubled = x * 2.0
    below = doubled + 1.0
    below_rest = 1.0 - (below - doubled)
    inverse, factor, factor_rest = _scaled_erfc(x, below)
    top, top_rest = two_product(decay, factor)
    top_rest = fused(decay_rest - decay * square_rest, factor, fused(decay, factor_rest, top_rest))
    quotient = top * inverse
    residual = fused(-quotient, below, top) + fused(-quotient, below_rest, top_rest)
    return scaled(fused(residual, inverse, quotient), exponent)


def erfc(x: Number) -> Number:
    """1 - erf(x), to full relative precision also where it is subnormal."""
    size = absolute(x)
    near = 1.0 - fused(x, polynomial(x * x, ERF[x.format.name]), x)
    far = _erfc_far(at_most(size, ERFC_LIMIT[x.format.name]))
    return select(size < 0.5, near, select(x < 0.0, 2.0 - far, far))
