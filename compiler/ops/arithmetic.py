"""Arithmetic, element by element: sums, products, quotients, powers and roots.

Integers keep their dtype and wrap; only true division leaves it, for float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from graphjit.runtime.errors import DivisionByZeroError, InvalidArgumentError, ShapeError

from ..dispatch import apply
from ..families import FLAT, BinaryFunction, binary, elementwise, unary
from ..op import Example
from ..operand import FOR_NUMPY, PUBLIC, Composite, as_operand, as_operands, for_numpy, public, require_kind
from ..tensortype import TensorShape, TensorType, float64
from ..writer import static_value

Types = tuple[TensorType, ...]
Array = np.ndarray[Any, Any]


def _is_float(types: Types) -> bool:
    return types[0].dtype.is_floating


def _is_integer(types: Types, _attributes: Any = None) -> bool:
    return types[0].dtype.is_integer


def _conjugated(x: Any) -> Any:
    """The conjugate of a complex operand: gradients follow TensorFlow's convention for complex numbers."""
    return PUBLIC["conj"](x) if x.type.dtype.is_complex else x


# --- sums and products ------------------------------------------------------------------------

conj = unary(
    "conj", np.conjugate, "{0}", [lambda g, y, x: _conjugated(g)],
    doc="The complex conjugate; of real numbers, the numbers themselves.", dtypes="iufc",
)  # fmt: skip
add = binary(
    "add", np.add, "{0} + {1}", [lambda g, z, x, y: g, lambda g, z, x, y: g],
    doc="x + y, element by element; strings are put one behind the other.",
    dtypes="iufcO", commutes=True, unit=-0.0,
)  # fmt: skip
subtract = binary(
    "subtract", np.subtract, "{0} - {1}", [lambda g, z, x, y: g, lambda g, z, x, y: -g],
    doc="x - y, element by element.", dtypes="iufc",
)  # fmt: skip
multiply = binary(
    "multiply", np.multiply, "{0} * {1}",
    [lambda g, z, x, y: g * _conjugated(y), lambda g, z, x, y: g * _conjugated(x)],
    doc="x * y, element by element.", dtypes="iufc", commutes=True, unit=1.0,
)  # fmt: skip
negative = unary(
    "negative", np.negative, lambda types, _: "-{0}" if _is_float(types) else "{T}(0) - {0}",
    [lambda g, y, x: -g], doc="-x, element by element.", dtypes="iufc",
)  # fmt: skip


def _sign_kernel(types: Types, _attributes: Any) -> str:
    if _is_float(types):
        return "select({0} > {T}(0), {T}(1), select({0} < {T}(0), {T}(-1), select({0} == {T}(0), {T}(0), {0})))"
    if types[0].dtype.is_unsigned:
        return "select({0} > {T}(0), {T}(1), {T}(0))"
    return "select({0} > {T}(0), {T}(1), select({0} < {T}(0), {T}(-1), {T}(0)))"


sign = unary(
    "sign", np.sign, _sign_kernel, [lambda g, y, x: PUBLIC["zeros_like"](x)],
    doc="-1, 0 or 1, as the element is negative, zero or positive; NaN stays NaN.", dtypes="iuf",
)  # fmt: skip
abs = unary(  # noqa: A001 -- TensorFlow's name
    "abs", np.absolute, "absolute({0})", [lambda g, y, x: g * sign(x)],
    doc="The absolute value; that of the least integer wraps to itself.", dtypes="iuf",
)  # fmt: skip
copysign: BinaryFunction = binary(
    "copysign", np.copysign, "copysign({0}, {1})",
    [lambda g, z, x, y: g * (sign(x) * copysign(PUBLIC["ones_like"](y), y)), None],
    doc="The magnitude of x with the sign of y, also that of zeros and NaNs (NumPy's).", dtypes="f",
)  # fmt: skip
square = unary(
    "square", np.square, "{0} * {0}", [lambda g, y, x: g * (x + x)],
    doc="x * x, element by element.", dtypes="iuf",
)  # fmt: skip
squared_difference = binary(
    "squared_difference", lambda x, y: np.square(x - y), "({0} - {1}) * ({0} - {1})",
    [lambda g, z, x, y: g * (2.0 * (x - y)), lambda g, z, x, y: g * (2.0 * (y - x))],
    doc="(x - y) * (x - y), element by element.", commutes=True,
)  # fmt: skip


@public()
def add_n(inputs: Sequence[Any], name: str | None = None) -> Any:
    """The sum of tensors of one shape and dtype.

    Raises:
      InvalidArgumentError: if the list is empty.
      ShapeError: if the shapes differ.

    >>> import graphjit as gj
    >>> print(gj.add_n([[1, 2], [3, 4], [5, 6]]))
    gj.Tensor([ 9 12], shape=(2,), dtype=int32)
    """
    if not isinstance(inputs, list | tuple) or not inputs:
        raise InvalidArgumentError("add_n needs a list of one or more tensors")
    operands = as_operands(*inputs)
    for one in operands[1:]:
        if not TensorShape(one.type.shape).is_compatible_with(operands[0].type.shape):
            shapes = ", ".join(str(operand.type.shape) for operand in operands)
            raise ShapeError(f"add_n adds tensors of one shape, but the shapes are {shapes}")
    return reduce(add, operands) if len(operands) > 1 else PUBLIC["identity"](operands[0])


# --- quotients --------------------------------------------------------------------------------

_divide_op = elementwise(
    "divide", 2, np.divide, "{0} / {1}",
    [
        lambda g, z, x, y: g / _conjugated(y),
        lambda g, z, x, y: -g * _conjugated(z / y),
    ],
    "x / y, element by element, for floats.", "fc", None, (0.5, 4.0), {},
)  # fmt: skip


@public(numpy=np.divide)
def divide(x: Any, y: Any, name: str | None = None) -> Any:
    """x / y, element by element; the quotient of two integers is float64.

    Raises:
      DtypeError: if the dtypes differ, or are bool.

    >>> import graphjit as gj
    >>> print(gj.divide([1, 2], 4))
    gj.Tensor([0.25 0.5 ], shape=(2,), dtype=float64)
    """
    for one in (x, y):
        if isinstance(one, Composite):
            return one.elementwise(divide, (x, y))
    left, right = as_operands(x, y)
    if left.type.dtype.is_integer and left.type.dtype is right.type.dtype:
        left, right = PUBLIC["cast"](left, float64), PUBLIC["cast"](right, float64)
    return apply(_divide_op, left, right)


truediv = divide

divide_no_nan: BinaryFunction = binary(
    "divide_no_nan",
    lambda x, y: np.where(y == 0, x.dtype.type(0), x / y),
    "select({1} == {T}(0), {T}(0), {0} / {1})",
    [lambda g, z, x, y: divide_no_nan(g, y), lambda g, z, x, y: g * divide_no_nan(divide_no_nan(-x, y), y)],
    doc="x / y, and 0 where y is 0.", dtypes="f", domain=(0.5, 4.0),
    examples=(Example((np.array([1.0, 0.0, np.nan]), np.array([0.0, 0.0, 0.0])), differentiable=False),),
)  # fmt: skip
multiply_no_nan: BinaryFunction = binary(
    "multiply_no_nan",
    lambda x, y: np.where(y == 0, x.dtype.type(0), x * y),
    "select({1} == {T}(0), {T}(0), {0} * {1})",
    [lambda g, z, x, y: multiply_no_nan(g, y), lambda g, z, x, y: multiply_no_nan(x, g)],
    doc="x * y, and 0 where y is 0 even if x is infinite or NaN.", dtypes="f",
    examples=(Example((np.array([np.inf, np.nan, 2.0]), np.array([0.0, 0.0, 3.0])), differentiable=False),),
)  # fmt: skip
reciprocal = unary(
    "reciprocal", np.reciprocal, "{T}(1) / {0}", [lambda g, y, x: -g * (y * y)],
    doc="1 / x, element by element.", domain=(0.5, 4.0),
)  # fmt: skip


@public()
def reciprocal_no_nan(x: Any, name: str | None = None) -> Any:
    """1 / x, and 0 where x is 0."""
    return divide_no_nan(1.0, as_operand(x))


@public()
def scalar_mul(scalar: Any, x: Any, name: str | None = None) -> Any:
    """A tensor times a scalar.

    Raises:
      ShapeError: if the scalar has axes.
    """
    tensor = as_operand(x)
    factor = as_operand(scalar, tensor.type.dtype)
    if factor.type.rank:
        raise ShapeError(f"scalar_mul multiplies by a scalar, not by a tensor of shape {factor.type.shape}")
    return multiply(factor, tensor)


def _require_divisors(x: Array, y: Array, what: str) -> None:
    """Refuse integer zeros among divisors, unless there is nothing to divide."""
    if y.dtype.kind in "iu" and x.size and not np.all(y):
        raise DivisionByZeroError(f"{what}: an integer is divided by zero; the divisor's shape is {y.shape}")


def _floordiv(x: Array, y: Array) -> Array:
    _require_divisors(x, y, "floordiv")
    return np.asarray(np.floor_divide(x, y))


def _mod(x: Array, y: Array) -> Array:
    _require_divisors(x, y, "mod")
    return np.asarray(np.remainder(x, y))


def _zero_divisor(types: Types, _attributes: Any) -> str | None:
    return "{1} == {T1}(0)" if _is_integer(types) else None


_DIVISION_EXAMPLES = (
    Example((np.array([7, -7, 7, -7, -(2**31)], np.int32), np.array([2, 2, -2, -2, -1], np.int32))),
    Example((np.array([7, 255], np.uint8), np.array([2, 16], np.uint8))),
    Example(
        (np.array([7.5, -7.5, 1.0, -1.0, 0.0], np.float32), np.array([2.0, 2.0, 0.0, 0.0, 0.0], np.float32)),
        differentiable=False,
    ),
    Example((np.zeros((0, 3), np.int32), np.zeros(3, np.int32))),
)

_FAILS_AT_ZERO: dict[str, Any] = {
    "kernel_check": _zero_divisor,
    "error": "an integer is divided by zero",
    "error_type": DivisionByZeroError,
    "fails": _is_integer,
}

floordiv = binary(
    "floordiv", _floordiv, "floordiv({0}, {1})", FLAT,
    doc="The quotient rounded down; an integer divided by zero is an error.",
    **_FAILS_AT_ZERO,
    domain=(0.5, 4.0), examples=_DIVISION_EXAMPLES,
)  # fmt: skip
FOR_NUMPY[np.floor_divide] = floordiv
floor_div = floordiv

mod = binary(
    "mod", _mod, "floormod({0}, {1})",
    [lambda g, z, x, y: g, lambda g, z, x, y: -g * PUBLIC["floor"](x / y)],
    doc="x - y * floor(x / y), with the divisor's sign; an integer divided by zero is an error.",
    **_FAILS_AT_ZERO,
    domain=(0.5, 4.0), examples=_DIVISION_EXAMPLES,
)  # fmt: skip
FOR_NUMPY[np.remainder] = mod
floormod = mod


def _truncatediv(x: Array, y: Array) -> Array:
    _require_divisors(x, y, "truncatediv")
    if x.dtype.kind == "f":
        return np.asarray(np.trunc(x / y))
    return np.asarray(np.floor_divide(x - np.fmod(x, y), y))


def _truncatemod(x: Array, y: Array) -> Array:
    _require_divisors(x, y, "truncatemod")
    return np.asarray(np.fmod(x, y))


truncatediv = binary(
    "truncatediv", _truncatediv, "truncdiv({0}, {1})", FLAT,
    doc="The quotient without its fraction, as in C; an integer divided by zero is an error.",
    **_FAILS_AT_ZERO,
    domain=(0.5, 4.0), examples=_DIVISION_EXAMPLES,
)  # fmt: skip
truncatemod = binary(
    "truncatemod", _truncatemod, "truncmod({0}, {1})",
    [lambda g, z, x, y: g, lambda g, z, x, y: -g * PUBLIC["trunc"](x / y)],
    doc="x - y * truncatediv(x, y), with the dividend's sign; an integer divided by zero is an error.",
    **_FAILS_AT_ZERO,
    domain=(0.5, 4.0), examples=_DIVISION_EXAMPLES,
)  # fmt: skip
FOR_NUMPY[np.fmod] = truncatemod


@public(numpy=np.divmod)
def divmod(x: Any, y: Any) -> tuple[Any, Any]:  # noqa: A001 -- NumPy's name
    """floordiv(x, y) and mod(x, y) (NumPy's)."""
    left, right = as_operands(x, y)
    return floordiv(left, right), mod(left, right)


# --- powers and roots -------------------------------------------------------------------------


def _pow(x: Array, y: Array) -> Array:
    if y.dtype.kind == "i" and x.size and np.any(y < 0):
        raise InvalidArgumentError("pow: an integer has a negative exponent; cast to a float first")
    return np.asarray(np.power(x, y))


def _negative_exponent(types: Types, _attributes: Any) -> str | None:
    return "{1} < {T1}(0)" if _is_integer(types) and not types[1].dtype.is_unsigned else None


def _constant_scalar(y: Any) -> float | None:
    """The number that every element of `y` is, where that is known."""
    known = static_value(y)
    return float(known.flat[0]) if known is not None and known.size == 1 else None


def _pow_base_gradient(g: Any, z: Any, x: Any, y: Any) -> Any:
    """g * y * x**(y - 1), which is 0 where y is 0, and 0 where g is 0 even if the power is infinite."""
    exponent = _constant_scalar(y)
    if exponent == 2.0:
        return g * (x + x)
    if exponent is not None and exponent >= 1.0:
        return g * (y * pow(x, y - 1.0))
    slope = multiply_no_nan(pow(x, y - 1.0), y)
    return multiply_no_nan(slope, g)


def _pow_exponent_gradient(g: Any, z: Any, x: Any, y: Any) -> Any:
    """g * z * log(x) where x is positive, else 0."""
    where, zero = PUBLIC["where"], PUBLIC["zeros_like"](z)
    positive = x > 0.0
    logarithm = PUBLIC["log"](where(positive, x, PUBLIC["ones_like"](x)))
    return multiply_no_nan(where(positive, z * logarithm, zero), g)


pow = binary(  # noqa: A001 -- TensorFlow's name
    "pow", _pow, lambda types, _: "pow({0}, {1})" if _is_float(types) else "integer_power({0}, {1})",
    [_pow_base_gradient, _pow_exponent_gradient],
    doc="x to the power y; a negative exponent of an integer is an error.",
    kernel_check=_negative_exponent, error="an integer has a negative exponent",
    fails=lambda types, _: _is_integer(types) and not types[1].dtype.is_unsigned,
    domain=(0.2, 3.0),
    examples=(
        Example((np.array([2, -3, 0, 7], np.int32), np.array([10, 3, 0, 40], np.int32))),
        Example((np.array([2, 255], np.uint8), np.array([10, 3], np.uint8))),
        Example((np.array([-2.0, 0.0, 0.0, 3.0]), np.array([3.0, 0.0, 2.0, -2.0])), differentiable=False),
    ),
)  # fmt: skip
FOR_NUMPY[np.power] = pow
sqrt = unary(
    "sqrt", np.sqrt, "sqrt({0})", [lambda g, y, x: g / (y + y)],
    doc="The square root; NaN for negative numbers.", domain=(0.1, 4.0),
)  # fmt: skip
rsqrt = unary(
    "rsqrt", lambda x: np.reciprocal(np.sqrt(x)), "{T}(1) / sqrt({0})",
    [lambda g, y, x: g * (-0.5 * (y * y * y))],
    doc="1 / sqrt(x), element by element.", domain=(0.2, 4.0),
)  # fmt: skip
cbrt = unary(
    "cbrt", np.cbrt, "cbrt({0})", [lambda g, y, x: g / (3.0 * (y * y))],
    doc="The cube root.", domain=(0.2, 4.0),
)  # fmt: skip
hypot = binary(
    "hypot", np.hypot, "hypot({0}, {1})",
    [lambda g, z, x, y: g * divide_no_nan(x, z), lambda g, z, x, y: g * divide_no_nan(y, z)],
    doc="sqrt(x * x + y * y) without overflow; its gradient at (0, 0) is 0.", dtypes="f", commutes=True,
    domain=(0.2, 4.0),
)  # fmt: skip


@public(numpy=np.float_power)
def float_power(x: Any, y: Any) -> Any:
    """x to the power y in float64 (NumPy's)."""
    left, right = as_operands(x, y)
    for one in (left, right):
        require_kind(one.type, "biuf")
    return pow(PUBLIC["cast"](left, float64), PUBLIC["cast"](right, float64))


@for_numpy(np.fabs)
def _numpy_fabs(x: Any) -> Any:
    operand = as_operand(x)
    return abs(operand if operand.type.dtype.is_floating else PUBLIC["cast"](operand, float64))


@public(numpy=np.positive)
def positive(x: Any) -> Any:
    """x itself, as another value (NumPy's)."""
    return PUBLIC["identity"](as_operand(x))


__all__ = [
    "abs",
    "add",
    "add_n",
    "cbrt",
    "conj",
    "copysign",
    "divide",
    "divide_no_nan",
    "floor_div",
    "floordiv",
    "floormod",
    "hypot",
    "mod",
    "multiply",
    "multiply_no_nan",
    "negative",
    "pow",
    "reciprocal",
    "reciprocal_no_nan",
    "rsqrt",
    "scalar_mul",
    "sign",
    "sqrt",
    "square",
    "squared_difference",
    "subtract",
    "truediv",
    "truncatediv",
    "truncatemod",
]
