"""Choosing among elements: the greater, the smaller, one within limits, one or the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..dispatch import apply
from ..families import binary, elementwise
from ..op import Example, Kind, Op, declare
from ..operand import FOR_NUMPY, PUBLIC, as_operand, as_operands, for_numpy, public, require_kind, require_same_dtype
from ..tensortype import TensorType, bool_, broadcast_shapes

Array = np.ndarray[Any, Any]

# --- where ------------------------------------------------------------------------------------


def _where_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    require_kind(types[0], "b", "the condition")
    dtype = require_same_dtype(types[1:])
    return (TensorType(dtype, broadcast_shapes(*(one.shape for one in types))),)


def _or_zero(condition: Any, g: Any) -> Any:
    return apply(where_op, condition, g, PUBLIC["zeros_like"](g))


def _zero_or(condition: Any, g: Any) -> Any:
    return apply(where_op, condition, PUBLIC["zeros_like"](g), g)


where_op = declare(
    Op(
        name="where",
        kind=Kind.ELEMENTWISE,
        infer=_where_type,
        numpy=np.where,
        kernel="select({0}, {1}, {2})",
        gradient=[None, lambda g, z, c, x, y: _or_zero(c, g), lambda g, z, c, x, y: _zero_or(c, g)],
        examples=(
            Example(("bool[2,3]", "f64[2,3]", "f64[2,3]")),
            Example(("bool[3]", "f64[2,3]", "f64[]")),
            Example(("bool[]", "f64[3]", "f64[2,1]")),
            Example(("bool[0,3]", "f64[3]", "f64[]")),
            Example(("bool[5]", "bool[5]", "bool[5]")),
            Example(("bool[5]", "i32[5]", "i32[]")),
        ),
        doc="x where the condition is true, else y.",
    )
)


@public()
def where(condition: Any, x: Any = None, y: Any = None, name: str | None = None) -> Any:
    """x where the condition is true, else y; the three shapes broadcast.

    With the condition alone: the indices of its true elements, as `gj.where_indices`.

    Args:
      condition: a bool tensor.
      x, y: tensors of one dtype, or both left out.

    Raises:
      DtypeError: if the condition is not bool, or x and y have different dtypes.
      ShapeError: if the shapes do not broadcast.

    >>> import graphjit as gj
    >>> print(gj.where([True, False], [1, 2], 0))
    gj.Tensor([1 0], shape=(2,), dtype=int32)
    """
    if x is None and y is None:
        return PUBLIC["where_indices"](condition)
    return apply(where_op, as_operand(condition, bool_, "condition"), *as_operands(x, y))


@for_numpy(np.where)
def _numpy_where(condition: Any, *choices: Any) -> Any:
    if not choices:
        return FOR_NUMPY[np.nonzero](condition)
    operand = as_operand(condition)
    truth = operand if operand.type.dtype.is_bool else PUBLIC["cast"](operand, bool_)
    return where(truth, *choices)


# --- extremes ---------------------------------------------------------------------------------


def _maximum_array(x: Array, y: Array) -> Array:
    """The greater; of zeros with different signs the positive one, which NumPy leaves open."""
    result = np.asarray(np.maximum(x, y))
    if result.dtype.kind == "f" and not result.all():
        np.copyto(result, x + y, where=(x == 0) & (y == 0))
    return result


def _minimum_array(x: Array, y: Array) -> Array:
    """The smaller; of zeros with different signs the negative one."""
    result = np.asarray(np.minimum(x, y))
    if result.dtype.kind == "f" and not result.all():
        np.copyto(result, -(-x - y), where=(x == 0) & (y == 0))
    return result


_NOT_A_NUMBER = (Example((np.array([np.nan, 1.0, -np.inf]), np.array([1.0, np.nan, np.nan])), differentiable=False),)

maximum = binary(
    "maximum", _maximum_array, "maximum({0}, {1})",
    [lambda g, z, x, y: _or_zero(x >= y, g), lambda g, z, x, y: _zero_or(x >= y, g)],
    doc="The greater of the two, NaN where one is NaN. Where both are equal, x gets the whole gradient.",
    examples=_NOT_A_NUMBER,
)  # fmt: skip
minimum = binary(
    "minimum", _minimum_array, "minimum({0}, {1})",
    [lambda g, z, x, y: _or_zero(x <= y, g), lambda g, z, x, y: _zero_or(x <= y, g)],
    doc="The smaller of the two, NaN where one is NaN. Where both are equal, x gets the whole gradient.",
    examples=_NOT_A_NUMBER,
)  # fmt: skip


for_numpy(np.maximum)(maximum)
for_numpy(np.minimum)(minimum)


@for_numpy(np.fmax)
def _numpy_fmax(x: Any, y: Any) -> Any:
    """The greater of the two that are no NaN."""
    left, right = as_operands(x, y)
    return where(PUBLIC["isnan"](left), right, where(PUBLIC["isnan"](right), left, maximum(left, right)))


@for_numpy(np.fmin)
def _numpy_fmin(x: Any, y: Any) -> Any:
    left, right = as_operands(x, y)
    return where(PUBLIC["isnan"](left), right, where(PUBLIC["isnan"](right), left, minimum(left, right)))


@for_numpy(np.heaviside)
def _numpy_heaviside(x1: Any, x2: Any) -> Any:
    steps, at_zero = as_operands(x1, x2)
    return where(PUBLIC["equal"](steps, 0.0), at_zero, maximum(PUBLIC["sign"](steps), 0.0))


@for_numpy(np.nan_to_num)
def _numpy_nan_to_num(x: Any, copy: bool = True, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    operand = as_operand(x)
    if not operand.type.dtype.is_floating:
        return operand
    most = operand.type.dtype.max if posinf is None else posinf
    least = operand.type.dtype.min if neginf is None else neginf
    whole = where(PUBLIC["isinf"](operand), where(operand > 0.0, most, least), operand)
    return where(PUBLIC["isnan"](operand), nan, whole)


def _clip_array(x: Array, low: Array, high: Array) -> Array:
    return _minimum_array(_maximum_array(x, low), high)


def _outside(x: Any, low: Any, high: Any) -> Any:
    return PUBLIC["logical_or"](x < low, x > high)


def _is_low(x: Any, low: Any, high: Any) -> Any:
    """Where the lower limit is the result; where the limits are the wrong way round, the upper one is."""
    return PUBLIC["logical_and"](x < low, low <= high)


_clip_op = elementwise(
    "clip_by_value", 3, _clip_array, "minimum(maximum({0}, {1}), {2})",
    [
        lambda g, z, x, low, high: _zero_or(_outside(x, low, high), g),
        lambda g, z, x, low, high: _or_zero(_is_low(x, low, high), g),
        lambda g, z, x, low, high: _or_zero(maximum(x, low) > high, g),
    ],
    "x, but no less than low and no more than high.", "iuf", None, (-4.0, 4.0),
    {"examples": (Example((np.array([-2.0, -1.0, 0.5, 1.0, np.nan]), -1.0, 1.0), differentiable=False),)},
)  # fmt: skip


@public()
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any, name: str | None = None) -> Any:
    """The elements of t, but no less than `clip_value_min` and no more than `clip_value_max`.

    The gradient passes where an element lies within the limits or on one. NaN stays NaN.

    Raises:
      DtypeError: if the dtypes differ.
      ShapeError: if the shapes do not broadcast.

    >>> import graphjit as gj
    >>> print(gj.clip_by_value([-3, 0, 9], -1, 5))
    gj.Tensor([-1  0  5], shape=(3,), dtype=int32)
    """
    return apply(_clip_op, *as_operands(t, clip_value_min, clip_value_max))


@public()
def clip(a: Any, a_min: Any = None, a_max: Any = None, *, min: Any = None, max: Any = None) -> Any:  # noqa: A002 -- NumPy's names
    """The elements of a within limits, either of which may be None (NumPy's `np.clip`).

    >>> import graphjit as gj
    >>> print(gj.clip([-3, 0, 9], None, 5))
    gj.Tensor([-3  0  5], shape=(3,), dtype=int32)
    """
    low = min if a_min is None else a_min
    high = max if a_max is None else a_max
    if low is None:
        return as_operand(a) if high is None else minimum(a, high)
    return maximum(a, low) if high is None else clip_by_value(a, low, high)


for_numpy(np.clip)(clip)

__all__ = ["clip", "clip_by_value", "maximum", "minimum", "where"]
