"""Elements as another dtype."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError

from ..dispatch import apply, current_interpreter
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, Composite, Operand, as_array, as_operand, for_numpy, holds_operand, public, require_kind
from ..tensortype import DType, TensorType, as_dtype, bool_, float16, float32, float64, int8, int32, int64, uint8

Array = np.ndarray[Any, Any]


def _converted(x: Array, dtype: DType) -> Array:
    from graphjit.runtime.kernel_language import convert  # a large table, which not every program needs

    source = np.real(x) if x.dtype.kind == "c" and not (dtype.is_complex or dtype.is_bool) else x
    return np.asarray(convert(source, dtype.name))


def _cast_type(types: tuple[TensorType, ...], *, dtype: DType) -> tuple[TensorType, ...]:
    require_kind(types[0], "biufc", "what is cast to numbers")
    if dtype.is_string:
        raise DtypeError("numbers are not cast to strings; gj.strings.as_string writes them")
    return (TensorType(dtype, types[0].shape),)


def _cast_gradient(g: Any, y: Any, x: Any, *, dtype: DType) -> Any:
    """g as x's dtype; integers carry no gradient."""
    flows = x.type.dtype.is_floating or x.type.dtype.is_complex
    return cast(g, x.type.dtype) if flows else None


_FAR = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 300.0, -1.5, 2.0**31, 2.0**63, -(2.0**63), 4e9])

cast_op = declare(
    Op(
        name="cast",
        kind=Kind.ELEMENTWISE,
        infer=_cast_type,
        numpy=lambda x, *, dtype: _converted(x, dtype),
        kernel="{0}",  # every result is made by its dtype's constructor
        gradient=[_cast_gradient],
        examples=(
            Example(("f64[2,3]",), {"dtype": float64}),
            Example(("f32[2,3]",), {"dtype": float64}),
            Example(("i32[4]",), {"dtype": float32}),
            Example(("bool[4]",), {"dtype": int64}),
            Example(("f64[]",), {"dtype": int32}),
            Example(("f64[0,3]",), {"dtype": bool_}),
            Example((_FAR,), {"dtype": uint8}),
            Example((_FAR,), {"dtype": int8}),
            Example((_FAR,), {"dtype": int32}),
            Example((_FAR,), {"dtype": int64}),
            Example((_FAR,), {"dtype": as_dtype("uint32")}),
            Example((_FAR,), {"dtype": as_dtype("uint64")}),
            Example((np.array([1e30, 0.1], np.float32),), {"dtype": float16}),
            Example((np.array([-1, 300], np.int32),), {"dtype": uint8}),
        ),
        doc="The elements as another dtype.",
    )
)


@public()
def cast(x: Any, dtype: Any, name: str | None = None) -> Any:
    """The elements of x as another dtype.

    Floats become integers by dropping the fraction; what does not fit wraps, as 300 becomes 44 in uint8.
    NaN becomes 0; floats beyond the range of int32 (for 8 and 16 bits) or int64 take its nearest limit first.
    Any number but 0 is true. The imaginary part of complex numbers is dropped.

    Args:
      x: a tensor, or anything that becomes one; Python numbers are converted without a detour.
      dtype: the wanted dtype.

    Raises:
      DtypeError: if there is no such dtype, or x holds no numbers.

    >>> import graphjit as gj
    >>> print(gj.cast([1.9, -1.9], gj.int32), gj.cast(300, gj.uint8).numpy())
    gj.Tensor([ 1 -1], shape=(2,), dtype=int32) 44
    """
    wanted = as_dtype(dtype)
    if isinstance(x, Composite):
        return x.with_flat_values(cast(x.flat_values, wanted))
    if isinstance(x, bool | int | float | complex | list | tuple) and not holds_operand(x):
        widest = _widest(x)
        if widest.dtype.kind in "biufc" and not wanted.is_string:
            return current_interpreter().constant(_converted(widest, wanted))
    operand = as_operand(x)
    if operand.type.dtype is wanted:
        return operand
    return apply(cast_op, operand, dtype=wanted)


def _widest(value: Any) -> Array:
    """Python numbers as NumPy keeps them: int64 and float64, where literals are int32 and float32."""
    as_array(value)  # refuses ragged lists and what are no numbers
    return np.asarray(value)


def _least(dtype: DType, source: DType) -> Any:
    """The least number of `dtype`, or of `source` where that is greater."""
    return max(dtype.min, source.min) if source.is_integer else dtype.min


def _greatest(dtype: DType, source: DType) -> Any:
    return min(dtype.max, source.max) if source.is_integer else dtype.max


@public()
def saturate_cast(value: Any, dtype: Any, name: str | None = None) -> Any:
    """The elements as another dtype, where what does not fit becomes the nearest number that does.

    NaN becomes 0 in an integer dtype.

    Raises:
      DtypeError: for bool and complex dtypes.

    >>> import graphjit as gj
    >>> print(gj.saturate_cast([-5.0, 7.9, 300.0], gj.uint8))
    gj.Tensor([  0   7 255], shape=(3,), dtype=uint8)
    """
    wanted, operand = as_dtype(dtype), as_operand(value)
    source = operand.type.dtype
    for one in (TensorType(wanted, ()), operand.type):
        require_kind(one, "iuf", "what saturate_cast converts")
    if wanted.is_floating:
        return cast(_limited(operand, wanted) if source.size > wanted.size else operand, wanted)
    if source.is_integer:
        limits = (np.asarray(limit(wanted, source), source.numpy) for limit in (_least, _greatest))
        return cast(PUBLIC["clip_by_value"](operand, *map(current_interpreter().constant, limits)), wanted)
    return _saturated_float(operand, wanted)


def _limited(operand: Operand, dtype: DType) -> Any:
    return PUBLIC["clip_by_value"](operand, float(dtype.min), float(dtype.max))


def _saturated_float(operand: Operand, dtype: DType) -> Any:
    """Floats as integers; limits are put in after the cast, because a float may not hold them exactly."""
    where, constant = PUBLIC["where"], current_interpreter().constant
    low, high = (constant(np.asarray(limit, dtype.numpy)) for limit in (dtype.min, dtype.max))
    capped = where(operand >= float(dtype.max), high, cast(operand, dtype))
    return where(operand <= float(dtype.min), low, capped)


for_numpy(np.astype)(lambda x, dtype, *, copy=True: cast(x, dtype))

__all__ = ["cast", "saturate_cast"]
