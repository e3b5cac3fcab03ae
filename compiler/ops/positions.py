"""Where along an axis the greatest or smallest element is: argmax and argmin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..batchrules import axes_shift
from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import as_operand, for_numpy, public, require_kind
from ..tensortype import DType, TensorType, as_dtype, int32, int64, normalize_axis
from .comparing import equal, logical_or
from .filling import iota
from .reduction import Array, reduce_max, reduce_min
from .rounding import isnan
from .selecting import where
from .shaping import expand_dims, reshape


def _position_type(types: tuple[TensorType, ...], *, axis: int, dtype: DType) -> tuple[TensorType, ...]:
    (type,) = types
    require_kind(type, "iuf")
    along = normalize_axis(axis, type.rank)
    _require_elements(type.shape[along], along, type.shape)
    return (TensorType(dtype, (*type.shape[:along], *type.shape[along + 1 :])),)


def _require_elements(size: int | None, axis: int, shape: Any) -> None:
    if size == 0:
        raise ShapeError(f"axis {axis} of shape {shape} has no elements, so none is the greatest or smallest")


def _position_array(find: Callable[..., Any]) -> Callable[..., Array]:
    def positions(x: Array, *, axis: int, dtype: DType) -> Array:
        _require_elements(x.shape[axis], axis, x.shape)
        return np.asarray(find(x, axis=axis), dtype=dtype.numpy)

    return positions


def _position_definition(extreme: Callable[..., Any]) -> Callable[..., Any]:
    """The first position whose element is the extreme, or NaN if there is one."""

    def definition(x: Any, *, axis: int, dtype: DType) -> Any:
        if not x.type.is_static:
            return None
        size = x.type.sizes[axis]
        found = equal(x, extreme(x, axis, keepdims=True))
        if x.type.dtype.is_floating:
            found = logical_or(found, isnan(x))
        places = iota(x.type.sizes, axis, dtype)
        return reduce_min(where(found, places, size), axis)

    return definition


def _declare(name: str, find: Callable[..., Any], extreme: Callable[..., Any], doc: str) -> Op:
    return declare(
        Op(
            name=name,
            kind=Kind.COMPOSED,
            batch=axes_shift("axis"),
            infer=_position_type,
            numpy=_position_array(find),
            definition=_position_definition(extreme),
            gradient=Differentiability.NONE,
            fails=lambda types, attributes: types[0].shape[attributes["axis"]] is None,
            examples=(
                Example(("f64[2,3]",), {"axis": 1, "dtype": int64}),
                Example(("f32[4,3,2]",), {"axis": 0, "dtype": int32}),
                Example(("i32[0,3]",), {"axis": 1, "dtype": int64}),
                Example((np.array([1.0, 3.0, 3.0, -np.inf]),), {"axis": 0, "dtype": int64}),
                Example((np.array([[1.0, np.nan, np.nan, 9.0]]),), {"axis": 1, "dtype": int64}),
                Example((np.array([[3, 250], [3, 1]], np.uint8),), {"axis": 0, "dtype": int32}),
            ),
            dtypes="iuf",
            doc=doc,
        )
    )


argmax_op = _declare("argmax", np.argmax, reduce_max, "The position of the greatest element along an axis.")
argmin_op = _declare("argmin", np.argmin, reduce_min, "The position of the smallest element along an axis.")


@public()
def argmax(input: Any, axis: Any = None, output_type: Any = int64, name: str | None = None) -> Any:
    """The position of the greatest element along an axis; the first one of equals, or of NaNs.

    Args:
      input: integers or floats.
      axis: the axis, 0 by default; it is gone from the result.
      output_type: int64 or int32.

    Raises:
      ShapeError: if there is no such axis, or it has no elements.

    >>> import graphjit as gj
    >>> print(gj.argmax([[1, 9], [5, 2]], axis=1))
    gj.Tensor([1 0], shape=(2,), dtype=int64)
    """
    return _position(argmax_op, input, axis, output_type)


@public()
def argmin(input: Any, axis: Any = None, output_type: Any = int64, name: str | None = None) -> Any:
    """The position of the smallest element along an axis; see `argmax`.

    >>> import graphjit as gj
    >>> print(gj.argmin([[1, 9], [5, 2]], axis=1))
    gj.Tensor([0 1], shape=(2,), dtype=int64)
    """
    return _position(argmin_op, input, axis, output_type)


def _position(op: Op, value: Any, axis: Any, output_type: Any) -> Any:
    operand, dtype = as_operand(value), as_dtype(output_type)
    if not dtype.is_integer:
        raise InvalidArgumentError(f"{op.name}: output_type must be an integer dtype, not {dtype.name}")
    along = normalize_axis(0 if axis is None else axis, operand.type.rank)
    return apply(op, operand, axis=along, dtype=dtype)


def _numpy_position(op: Op, a: Any, axis: Any, keepdims: bool) -> Any:
    operand = as_operand(a)
    flat = reshape(operand, [-1]) if axis is None else operand
    along = 0 if axis is None else normalize_axis(axis, flat.type.rank)
    found = apply(op, flat, axis=along, dtype=int64)
    if not keepdims:
        return found
    return reshape(found, [1] * operand.type.rank) if axis is None else expand_dims(found, along)


@for_numpy(np.argmax)
def _numpy_argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return _numpy_position(argmax_op, a, axis, keepdims)


@for_numpy(np.argmin)
def _numpy_argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Any:
    return _numpy_position(argmin_op, a, axis, keepdims)


__all__ = ["argmax", "argmin"]
