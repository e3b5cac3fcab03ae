"""Exponentials, logarithms, trigonometric, hyperbolic and error functions, element by element.

NumPy gives the eager meaning, SciPy where NumPy has no such function (imported when
it is first needed); the kernels' meaning is the vector math's, at most 2 ULP away.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from ..dispatch import apply
from ..families import BinaryFunction, UnaryFunction, binary, elementwise, unary
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, as_operand, as_operands, for_numpy, public, require_kind
from ..tensortype import TensorType

Array = np.ndarray[Any, Any]

_EXTREME = Example((np.array([-1e4, -800.0, -40.0, -1e-12, 0.0, 1e-12, 40.0, 800.0, 1e4]),), differentiable=False)


def _through_scipy(name: str) -> Callable[..., Array]:
    """A function of scipy.special, with results of the operands' dtype."""

    def evaluate(*operands: Array) -> Array:
        from scipy import special

        result = getattr(special, name)(*operands)
        return np.asarray(result, dtype=operands[0].dtype)

    return evaluate


def _sqrt(x: Any) -> Any:
    return PUBLIC["sqrt"](x)


# --- exponentials and logarithms ----------------------------------------------------------------

exp = unary(
    "exp", np.exp, "exp({0})", [lambda g, y, x: g * y],
    doc="e to the power x.", examples=(_EXTREME,),
)  # fmt: skip
exp2 = unary(
    "exp2", np.exp2, "exp2({0})", [lambda g, y, x: g * (y * math.log(2.0))],
    doc="2 to the power x.",
)  # fmt: skip
expm1 = unary(
    "expm1", np.expm1, "expm1({0})", [lambda g, y, x: g * exp(x)],
    doc="exp(x) - 1, exact for small x.", examples=(_EXTREME,),
)  # fmt: skip
log = unary(
    "log", np.log, "log({0})", [lambda g, y, x: g / x],
    doc="The natural logarithm; -inf at 0, NaN for negative numbers.", domain=(0.1, 8.0),
)  # fmt: skip
log2 = unary(
    "log2", np.log2, "log2({0})", [lambda g, y, x: g / (x * math.log(2.0))],
    doc="The logarithm to base 2.", domain=(0.1, 8.0),
)  # fmt: skip
log10 = unary(
    "log10", np.log10, "log10({0})", [lambda g, y, x: g / (x * math.log(10.0))],
    doc="The logarithm to base 10.", domain=(0.1, 8.0),
)  # fmt: skip
log1p = unary(
    "log1p", np.log1p, "log1p({0})", [lambda g, y, x: g / (1.0 + x)],
    doc="log(1 + x), exact for small x.", domain=(-0.9, 8.0),
)  # fmt: skip


def _logaddexp_share(g: Any, x: Any, y: Any) -> Any:
    """g times the share of exp(x) in exp(x) + exp(y); equal infinities share evenly."""
    difference = PUBLIC["where"](PUBLIC["equal"](x, y), PUBLIC["zeros_like"](x - y), x - y)
    return g * sigmoid(difference)


logaddexp = binary(
    "logaddexp", np.logaddexp,
    "maximum({0}, {1}) + select({0} == {1}, {T}(0.6931471805599453), "
    "select(isnan({0} - {1}), {0} - {1}, log1p(exp(-absolute({0} - {1})))))",
    [lambda g, z, x, y: _logaddexp_share(g, x, y), lambda g, z, x, y: _logaddexp_share(g, y, x)],
    doc="log(exp(x) + exp(y)) without overflow.", dtypes="f", commutes=True,
    examples=(
        Example(
            (np.array([1000.0, -np.inf, np.inf, -np.inf]), np.array([1000.0, -np.inf, np.inf, 3.0])),
            differentiable=False,
        ),
    ),
)  # fmt: skip


# --- trigonometric ------------------------------------------------------------------------------

sin = unary("sin", np.sin, "sin({0})", [lambda g, y, x: g * cos(x)], doc="The sine of x radians.")
cos: UnaryFunction = unary("cos", np.cos, "cos({0})", [lambda g, y, x: -g * sin(x)], doc="The cosine of x radians.")
tan = unary(
    "tan", np.tan, "tan({0})", [lambda g, y, x: g * (1.0 + y * y)],
    doc="The tangent of x radians.", domain=(-1.4, 1.4),
)  # fmt: skip
asin = unary(
    "asin", np.arcsin, "asin({0})", [lambda g, y, x: g / _sqrt((1.0 - x) * (1.0 + x))],
    doc="The angle in radians whose sine is x.", domain=(-0.95, 0.95),
)  # fmt: skip
acos = unary(
    "acos", np.arccos, "acos({0})", [lambda g, y, x: -g / _sqrt((1.0 - x) * (1.0 + x))],
    doc="The angle in radians whose cosine is x.", domain=(-0.95, 0.95),
)  # fmt: skip
atan = unary(
    "atan", np.arctan, "atan({0})", [lambda g, y, x: g / (1.0 + x * x)],
    doc="The angle in radians whose tangent is x.",
)  # fmt: skip
_atan2_op = elementwise(
    "atan2", 2, np.arctan2, "atan2({0}, {1})",
    [lambda g, z, y, x: g * (x / (x * x + y * y)), lambda g, z, y, x: -g * (y / (x * x + y * y))],
    "The angle in radians of the point (x, y), in [-pi, pi].", "f", None, (0.2, 4.0),
    {
        "examples": (
            Example((np.array([0.0, -0.0, 0.0, -0.0]), np.array([-1.0, -1.0, 0.0, -0.0])), differentiable=False),
        )
    },
)  # fmt: skip


@public(numpy=np.arctan2)
def atan2(y: Any, x: Any, name: str | None = None) -> Any:
    """The angle in radians of the point (x, y), in [-pi, pi]; the ordinate comes first.

    Raises:
      DtypeError: if the dtypes differ, or are no floats.

    >>> import graphjit as gj
    >>> print(gj.atan2(0.0, -1.0))
    gj.Tensor(3.1415927, shape=(), dtype=float32)
    """
    return apply(_atan2_op, *as_operands(y, x))


rad2deg = unary(
    "rad2deg", np.rad2deg, "{0} * {T}(57.29577951308232)", [lambda g, y, x: g * (180.0 / math.pi)],
    doc="Radians as degrees.",
)  # fmt: skip
deg2rad = unary(
    "deg2rad", np.deg2rad, "{0} * {T}(0.017453292519943295)", [lambda g, y, x: g * (math.pi / 180.0)],
    doc="Degrees as radians.",
)  # fmt: skip


# --- hyperbolic ---------------------------------------------------------------------------------

sinh = unary("sinh", np.sinh, "sinh({0})", [lambda g, y, x: g * cosh(x)], doc="The hyperbolic sine.")
cosh: UnaryFunction = unary("cosh", np.cosh, "cosh({0})", [lambda g, y, x: g * sinh(x)], doc="The hyperbolic cosine.")
tanh = unary(
    "tanh", np.tanh, "tanh({0})", [lambda g, y, x: g * (1.0 - y * y)],
    doc="The hyperbolic tangent.", examples=(_EXTREME,),
)  # fmt: skip
asinh = unary(
    "asinh", np.arcsinh, "asinh({0})", [lambda g, y, x: g / _sqrt(1.0 + x * x)],
    doc="The number whose hyperbolic sine is x.",
)  # fmt: skip
acosh = unary(
    "acosh", np.arccosh, "acosh({0})", [lambda g, y, x: g / _sqrt((x - 1.0) * (x + 1.0))],
    doc="The number of at least 0 whose hyperbolic cosine is x.", domain=(1.1, 8.0),
)  # fmt: skip
atanh = unary(
    "atanh", np.arctanh, "atanh({0})", [lambda g, y, x: g / ((1.0 - x) * (1.0 + x))],
    doc="The number whose hyperbolic tangent is x.", domain=(-0.9, 0.9),
)  # fmt: skip


# --- sigmoids -----------------------------------------------------------------------------------


def _sigmoid_array(x: Array) -> Array:
    """1 / (1 + exp(-x)), where exp never meets a positive number."""
    small = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.asarray(np.where(x >= 0, one / (one + small), small / (one + small)))


# One op, so that no rule takes it apart: where the sigmoid is 1, its slope is exactly 0, eagerly and in graphs.
sigmoid_slope: UnaryFunction = unary(
    "sigmoid_slope", lambda y: y * (1 - y), "{0} * ({T}(1) - {0})", [lambda g, s, y: g * (1.0 - 2.0 * y)],
    doc="y * (1 - y): the slope of the sigmoid at the place where it is y.",
)  # fmt: skip
sigmoid: UnaryFunction = unary(
    "sigmoid", _sigmoid_array, "sigmoid({0})", [lambda g, y, x: g * sigmoid_slope(y)],
    doc="1 / (1 + exp(-x)), without overflow.", examples=(_EXTREME,),
)  # fmt: skip
softplus = unary(
    "softplus", lambda x: np.logaddexp(x, x.dtype.type(0)), "softplus({0})",
    [lambda g, y, x: g * sigmoid(x)],
    doc="log(1 + exp(x)), without overflow.", examples=(_EXTREME,),
)  # fmt: skip


# --- error and gamma functions ------------------------------------------------------------------

erf = unary(
    "erf", _through_scipy("erf"), "erf({0})",
    [lambda g, y, x: g * ((2.0 / math.sqrt(math.pi)) * exp(-(x * x)))],
    doc="The error function, 2 / sqrt(pi) times the integral of exp(-t * t) from 0 to x.",
)  # fmt: skip
erfc = unary(
    "erfc", _through_scipy("erfc"), "erfc({0})",
    [lambda g, y, x: g * ((-2.0 / math.sqrt(math.pi)) * exp(-(x * x)))],
    doc="1 - erf(x), exact for large x.", ulp=32.0,  # SciPy is 25 ULP off, the kernels 1
)  # fmt: skip
erfinv = unary(
    "erfinv", _through_scipy("erfinv"), None,
    [lambda g, y, x: g * ((math.sqrt(math.pi) / 2.0) * exp(y * y))],
    doc="The number whose error function is x.", domain=(-0.9, 0.9),
)  # fmt: skip
ndtri = unary(
    "ndtri", _through_scipy("ndtri"), None,
    [lambda g, y, x: g * (math.sqrt(2.0 * math.pi) * exp(0.5 * (y * y)))],
    doc="The number below which a standard normal variable falls with probability x.", domain=(0.1, 0.9),
)  # fmt: skip


def _polygamma_type(types: tuple[TensorType, ...], *, order: int) -> tuple[TensorType, ...]:
    require_kind(types[0], "f")
    return types


def _polygamma_array(x: Array, *, order: int) -> Array:
    from scipy import special

    return np.asarray(special.polygamma(order, x), dtype=x.dtype)


polygamma_op: Op = declare(
    Op(
        name="polygamma",
        kind=Kind.ELEMENTWISE,
        infer=_polygamma_type,
        numpy=_polygamma_array,
        gradient=[lambda g, y, x, *, order: g * apply(polygamma_op, x, order=order + 1)],
        examples=(
            Example(("f64[2,3] in (0.5, 6)",), {"order": 1}),
            Example(("f64[] in (0.5, 6)",), {"order": 2}),
            Example(("f64[0,3]",), {"order": 1}),
        ),
        doc="A derivative of digamma.",
    )
)


@public()
def polygamma(a: int, x: Any, name: str | None = None) -> Any:
    """The derivative of order `a` of digamma; digamma itself for 0.

    Args:
      a: an integer of 0 or more, known when the function is traced.
      x: floats.

    Raises:
      InvalidArgumentError: if the order is no such integer.

    >>> import graphjit as gj
    >>> print(gj.round(1000 * gj.math.polygamma(1, [1.0])))
    gj.Tensor([1645.], shape=(1,), dtype=float32)
    """
    if isinstance(a, bool) or not hasattr(a, "__index__") or a.__index__() < 0:
        raise InvalidArgumentError(f"the order of polygamma must be an integer of 0 or more, not {a!r}")
    order = a.__index__()
    return apply(polygamma_op, as_operand(x), order=order) if order else digamma(x)


def _lgamma_array(x: Array) -> Array:
    """SciPy's gammaln, but for -inf, and for numbers so small that it overflows."""
    with np.errstate(all="ignore"):
        small = np.abs(x) < np.finfo(x.dtype).tiny
        known = np.where(small, -np.log(np.abs(x)), _through_scipy("gammaln")(x))
    return np.asarray(np.where(np.isinf(x), np.inf, known), dtype=x.dtype)


digamma = unary(
    "digamma", _through_scipy("digamma"), None, [lambda g, y, x: g * apply(polygamma_op, x, order=1)],
    doc="The derivative of lgamma.", domain=(0.5, 6.0),
)  # fmt: skip
lgamma = unary(
    "lgamma", _lgamma_array, "lgamma({0})", [lambda g, y, x: g * digamma(x)],
    doc="The logarithm of the absolute value of the gamma function.", domain=(0.5, 6.0),
    ulp=4096.0,  # SciPy loses digits near the zeros at 1 and 2, the kernels do not
)  # fmt: skip


# --- products that are zero with a zero factor --------------------------------------------------


def _zero_where_zero(x: Array, product: Array) -> Array:
    return np.where(x == 0, product.dtype.type(0), product)


def _nonzero_times(g: Any, x: Any, factor: Any) -> Any:
    where = PUBLIC["where"]
    return g * where(PUBLIC["equal"](x, 0.0), PUBLIC["zeros_like"](factor), factor)


_ZERO_FACTOR = (Example((np.array([0.0, 0.0, 0.0, 2.0]), np.array([0.0, np.inf, np.nan, 3.0])), differentiable=False),)

xdivy: BinaryFunction = binary(
    "xdivy", lambda x, y: _zero_where_zero(x, x / y),
    "select({0} == {T}(0), {T}(0), {0} / {1})",
    [
        lambda g, z, x, y: _nonzero_times(g, x, PUBLIC["reciprocal"](y)),
        lambda g, z, x, y: g * xdivy(-xdivy(x, y), y),
    ],
    doc="x / y, and 0 where x is 0 whatever y is.", dtypes="f", domain=(0.2, 4.0), examples=_ZERO_FACTOR,
)  # fmt: skip
xlogy = binary(
    "xlogy", lambda x, y: _zero_where_zero(x, x * np.log(y)),
    "select({0} == {T}(0), {T}(0), {0} * log({1}))",
    [lambda g, z, x, y: _nonzero_times(g, x, log(y)), lambda g, z, x, y: g * xdivy(x, y)],
    doc="x * log(y), and 0 where x is 0 whatever y is.", dtypes="f", domain=(0.2, 4.0),
    examples=_ZERO_FACTOR,
)  # fmt: skip
xlog1py = binary(
    "xlog1py", lambda x, y: _zero_where_zero(x, x * np.log1p(y)),
    "select({0} == {T}(0), {T}(0), {0} * log1p({1}))",
    [lambda g, z, x, y: _nonzero_times(g, x, log1p(y)), lambda g, z, x, y: g * xdivy(x, 1.0 + y)],
    doc="x * log(1 + y), and 0 where x is 0 whatever y is.", dtypes="f", domain=(0.2, 4.0),
    examples=_ZERO_FACTOR,
)  # fmt: skip

for_numpy(np.degrees)(rad2deg)
for_numpy(np.radians)(deg2rad)

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "deg2rad",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "ndtri",
    "polygamma",
    "rad2deg",
    "sigmoid",
    "sin",
    "sinh",
    "softplus",
    "tan",
    "tanh",
    "xdivy",
    "xlog1py",
    "xlogy",
]
