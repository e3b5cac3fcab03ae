"""Activation functions of neural networks; all of them work element by element."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError

from ..families import UnaryFunction, binary, unary
from ..op import Example
from ..operand import as_operand, as_operands, public
from .arithmetic import abs as absolute
from .comparing import greater, less, logical_and
from .reduction import Array
from .selecting import clip_by_value, where
from .transcendental import erfc, exp, sigmoid

_EXTREME = Example((np.array([-np.inf, -1e4, -40.0, -0.0, 0.0, 1e-12, 40.0, 1e4, np.nan]),), differentiable=False)

# --- rectifiers -----------------------------------------------------------------------------------


def _positive_part(x: Array) -> Array:
    """max(x, 0), where NaN stays NaN and -0.0 becomes 0.0."""
    return np.asarray(np.where(x <= 0, x.dtype.type(0), x))


relu: UnaryFunction = unary(
    "relu", _positive_part, "maximum({0}, {T}(0))",
    [lambda g, y, x: where(greater(y, 0), g, 0.0)],
    doc="max(x, 0); NaN stays NaN. The gradient at 0 is 0.", dtypes="iuf", examples=(_EXTREME,),
)  # fmt: skip
relu6: UnaryFunction = unary(
    "relu6", lambda x: np.minimum(_positive_part(x), x.dtype.type(6)),
    "minimum(maximum({0}, {T}(0)), {T}(6))",
    [lambda g, y, x: where(logical_and(greater(y, 0), less(y, 6)), g, 0.0)],
    doc="min(max(x, 0), 6); NaN stays NaN. The gradient at 0 and at 6 is 0.", dtypes="iuf",
    examples=(_EXTREME,), domain=(-8.0, 8.0),
)  # fmt: skip


def _negative_part(x: Array) -> Array:
    return np.asarray(np.where(x > 0, x.dtype.type(0), x))


_leaky = binary(
    "leaky_relu", lambda x, alpha: np.where(x > 0, x, x * alpha), "select({0} > {T}(0), {0}, {0} * {1})",
    [
        lambda g, y, x, alpha: where(greater(x, 0), g, g * alpha),
        lambda g, y, x, alpha: where(greater(x, 0), 0.0, g * x),
    ],
    doc="x where it is positive, else alpha * x.", dtypes="f",
)  # fmt: skip


@public()
def leaky_relu(features: Any, alpha: Any = 0.2, name: str | None = None) -> Any:
    """x where it is positive, else alpha * x; `alpha` may be a tensor too, and gets a gradient.

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.nn.leaky_relu([-1.0, 3.0]))
    gj.Tensor([-0.2  3. ], shape=(2,), dtype=float32)
    """
    x, slope = as_operands(as_operand(features), alpha)
    return _leaky(x, slope)


elu: UnaryFunction = unary(
    "elu", lambda x: np.where(x > 0, x, np.expm1(_negative_part(x))),
    "select({0} > {T}(0), {0}, expm1({0}))",
    [lambda g, y, x: where(less(y, 0), g * (y + 1.0), g)],
    doc="x where it is positive, else exp(x) - 1 (Clevert et al. 2015).", examples=(_EXTREME,),
)  # fmt: skip

# Klambauer et al. 2017, "Self-Normalizing Neural Networks"
_SELU_SCALE = 1.0507009873554804934193349852946
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_BOTH = _SELU_SCALE * _SELU_ALPHA

selu: UnaryFunction = unary(
    "selu",
    lambda x: np.where(
        x > 0, x.dtype.type(_SELU_SCALE) * x, x.dtype.type(_SELU_BOTH) * np.expm1(_negative_part(x))
    ),
    f"select({{0}} > {{T}}(0), {{T}}({_SELU_SCALE!r}) * {{0}}, {{T}}({_SELU_BOTH!r}) * expm1({{0}}))",
    [lambda g, y, x: where(less(y, 0), g * (y + _SELU_BOTH), g * _SELU_SCALE)],
    doc="scale * x where x is positive, else scale * alpha * (exp(x) - 1) (Klambauer et al. 2017).",
    examples=(_EXTREME,),
)  # fmt: skip


# --- smooth ones ----------------------------------------------------------------------------------


def _gelu_array(x: Array) -> Array:
    from scipy import special

    half, root = x.dtype.type(0.5), x.dtype.type(math.sqrt(0.5))
    return np.asarray(half * x * special.erfc(-x * root), dtype=x.dtype)


def _gelu_gradient(g: Any, y: Any, x: Any) -> Any:
    """g * (probability + x * density) of the standard normal distribution."""
    probability = 0.5 * erfc(x * -math.sqrt(0.5))
    density = exp(-0.5 * (x * x)) * (1.0 / math.sqrt(2.0 * math.pi))
    return g * (probability + x * density)


_exact_gelu = unary(
    "gelu", _gelu_array, f"{{T}}(0.5) * {{0}} * erfc(-{{0}} * {{T}}({math.sqrt(0.5)!r}))", [_gelu_gradient],
    doc="x times the probability that a standard normal number is less than x.", ulp=8.0,
)  # fmt: skip

_GELU_SLOPE = math.sqrt(2.0 / math.pi)
_GELU_CUBE = 0.044715


def _gelu_tanh_array(x: Array) -> Array:
    number = x.dtype.type
    inner = number(2.0 * _GELU_SLOPE) * (x + number(_GELU_CUBE) * x * x * x)
    return np.asarray(x * _sigmoid_array(inner))


def _gelu_tanh_gradient(g: Any, y: Any, x: Any) -> Any:
    share = sigmoid((2.0 * _GELU_SLOPE) * (x + _GELU_CUBE * (x * x * x)))
    slope = (2.0 * _GELU_SLOPE) * (1.0 + (3.0 * _GELU_CUBE) * (x * x))
    return g * (share + x * (share * (1.0 - share) * slope))


# (1 + tanh(u)) / 2 is sigmoid(2 * u), which does not cancel
_GELU_INNER = f"{{T}}({2.0 * _GELU_SLOPE!r}) * ({{0}} + {{T}}({_GELU_CUBE!r}) * {{0}} * {{0}} * {{0}})"

_fast_gelu = unary(
    "gelu_tanh", _gelu_tanh_array, f"{{0}} * sigmoid({_GELU_INNER})",
    [_gelu_tanh_gradient], doc="gelu, by the approximation with tanh.", ulp=64.0, domain=(-2.0, 4.0),
)  # fmt: skip


@public()
def gelu(features: Any, approximate: bool = False, name: str | None = None) -> Any:
    """x times the probability that a standard normal number is less than x (Hendrycks and Gimpel 2016).

    Computed as x / 2 * erfc(-x / sqrt(2)), or with `approximate` as
    x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))).

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.nn.gelu([0.0, 1.0]))
    gj.Tensor([0.        0.8413447], shape=(2,), dtype=float32)
    """
    return (_fast_gelu if approximate else _exact_gelu)(features)


def _sigmoid_array(x: Array) -> Array:
    small = np.exp(-np.abs(x))
    one = x.dtype.type(1)
    return np.asarray(np.where(x >= 0, one, small) / (one + small))


def _silu_gradient(g: Any, y: Any, x: Any) -> Any:
    share = sigmoid(x)
    return g * (share * (1.0 + x * (1.0 - share)))


_silu = unary(
    "silu", lambda x: x * _sigmoid_array(x), "{0} * sigmoid({0})", [_silu_gradient],
    doc="x * sigmoid(x).", ulp=8.0,
)  # fmt: skip


@public()
def silu(features: Any, beta: Any = 1.0) -> Any:
    """x * sigmoid(beta * x), also called swish (Ramachandran et al. 2017).

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.nn.silu([0.0, 100.0]))
    gj.Tensor([  0. 100.], shape=(2,), dtype=float32)
    """
    if isinstance(beta, int | float) and beta == 1:
        return _silu(features)
    x, factor = as_operands(as_operand(features), beta)
    return x * sigmoid(factor * x)


swish = silu

log_sigmoid = unary(
    "log_sigmoid", lambda x: _negative_part(x) - np.log1p(np.exp(-np.abs(x))), "-softplus(-{0})",
    [lambda g, y, x: g * sigmoid(-x)],
    doc="log(sigmoid(x)), without overflow.", examples=(_EXTREME,), ulp=8.0,
)  # fmt: skip
softsign = unary(
    "softsign", lambda x: x / (x.dtype.type(1) + np.abs(x)), "{0} / ({T}(1) + absolute({0}))",
    [lambda g, y, x: g / ((1.0 + absolute(x)) * (1.0 + absolute(x)))],
    doc="x / (1 + abs(x)).",
)  # fmt: skip

# --- straight lines -------------------------------------------------------------------------------


def _require_floats(x: Any, name: str) -> Any:
    operand = as_operand(x)
    if not operand.type.dtype.is_floating:
        raise DtypeError(f"{name} needs floats, not {operand.type.dtype.name}")
    return operand


@public()
def hard_sigmoid(x: Any) -> Any:
    """relu6(x + 3) / 6: straight lines in place of the sigmoid.

    >>> import graphjit as gj
    >>> print(gj.nn.hard_sigmoid([-4.0, 0.0, 4.0]))
    gj.Tensor([0.  0.5 1. ], shape=(3,), dtype=float32)
    """
    return relu6(_require_floats(x, "hard_sigmoid") + 3.0) * (1.0 / 6.0)


@public()
def hard_silu(x: Any) -> Any:
    """x * hard_sigmoid(x), also called hard swish (Howard et al. 2019).

    >>> import graphjit as gj
    >>> print(gj.nn.hard_silu([-4.0, 0.0, 4.0]))
    gj.Tensor([-0.  0.  4.], shape=(3,), dtype=float32)
    """
    operand = _require_floats(x, "hard_silu")
    return operand * hard_sigmoid(operand)


@public()
def hard_tanh(x: Any) -> Any:
    """x within [-1, 1]: straight lines in place of tanh.

    >>> import graphjit as gj
    >>> print(gj.nn.hard_tanh([-4.0, 0.5, 4.0]))
    gj.Tensor([-1.   0.5  1. ], shape=(3,), dtype=float32)
    """
    return clip_by_value(_require_floats(x, "hard_tanh"), -1.0, 1.0)


__all__ = [
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "log_sigmoid",
    "relu",
    "relu6",
    "selu",
    "silu",
    "softsign",
    "swish",
]
