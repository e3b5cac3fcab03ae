"""Tensors made of a value or of positions: zeros, ones, fill, eye, range, linspace, one_hot."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, as_operands, is_operand_like, public, require_kind
from ..tensortype import (
    DType,
    Shape,
    TensorType,
    as_dtype,
    bool_,
    float32,
    int32,
    int64,
    normalize_axis,
)
from .broadcasting import broadcast_to, broadcast_to_op
from .shaping import reshape
from .sizes import constant, shape_value, static_integer, static_shape, when_known
from .sources import iota_op

# --- one value ------------------------------------------------------------------------------------


def _filled(shape: tuple[int, ...], value: Any, dtype: DType) -> Any:
    scalar = constant(_element(value, dtype), dtype)
    return scalar if shape == () else apply(broadcast_to_op, scalar, shape=shape)


def _filled_array(shape: Shape, value: Any, dtype: DType) -> np.ndarray[Any, Any]:
    return np.full([size or 0 for size in shape], _element(value, dtype), dtype=dtype.numpy)


def _element(value: Any, dtype: DType) -> Any:
    """Zero among strings is the empty one."""
    if not dtype.is_string:
        return value
    if value == 0:
        return b""
    raise DtypeError("there are no strings of ones; gj.fill repeats a string")


fill_like_op: Op = declare(
    Op(
        name="fill_like",
        kind=Kind.COMPOSED,
        infer=lambda types, *, value, dtype: (TensorType(dtype, types[0].shape),),
        numpy=lambda x, *, value, dtype: _filled_array(x.shape, value, dtype),
        definition=lambda x, *, value, dtype: _filled(x.type.sizes, value, dtype) if x.type.is_static else None,
        gradient=Differentiability.NONE,
        examples=(
            Example(("f64[2,3]",), {"value": 1, "dtype": int32}),
            Example(("f64[]",), {"value": 0, "dtype": float32}),
            Example(("f64[0]",), {"value": 0, "dtype": float32}),
        ),
        doc="A tensor of another one's shape, filled with one value.",
    )
)


def _fill_like(x: Any, value: int, dtype: Any) -> Any:
    operand = as_operand(x)
    wanted = operand.type.dtype if dtype is None else as_dtype(dtype)
    if operand.type.is_static:
        return _filled(operand.type.sizes, value, wanted)
    return apply(fill_like_op, operand, value=value, dtype=wanted)


@public()
def zeros_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of the input's shape, and dtype unless another is given.

    >>> import graphjit as gj
    >>> print(gj.zeros_like([1.5, 2.5]))
    gj.Tensor([0. 0.], shape=(2,), dtype=float32)
    """
    return _fill_like(input, 0, dtype)


@public()
def ones_like(input: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of the input's shape, and dtype unless another is given.

    >>> import graphjit as gj
    >>> print(gj.ones_like([1.5, 2.5], dtype=gj.int32))
    gj.Tensor([1 1], shape=(2,), dtype=int32)
    """
    return _fill_like(input, 1, dtype)


def _filled_with(shape: Any, value: int, dtype: Any) -> Any:
    wanted = as_dtype(dtype)
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return broadcast_to(constant(_element(value, wanted), wanted), sizes)
    if any(size < 0 for size in sizes):
        raise ShapeError(f"a tensor of shape {list(sizes)} is asked for; sizes are not negative")
    return _filled(sizes, value, wanted)


@public()
def zeros(shape: Any, dtype: Any = float32, name: str | None = None) -> Any:
    """Zeros of a shape, which may be traced.

    >>> import graphjit as gj
    >>> print(gj.zeros([2], gj.int32))
    gj.Tensor([0 0], shape=(2,), dtype=int32)
    """
    return _filled_with(shape, 0, dtype)


@public()
def ones(shape: Any, dtype: Any = float32, name: str | None = None) -> Any:
    """Ones of a shape, which may be traced.

    >>> import graphjit as gj
    >>> print(gj.ones([2]))
    gj.Tensor([1. 1.], shape=(2,), dtype=float32)
    """
    return _filled_with(shape, 1, dtype)


@public()
def fill(dims: Any, value: Any, name: str | None = None) -> Any:
    """A tensor of shape `dims` in which every element is the scalar `value`.

    Raises:
      InvalidArgumentError: if the value is no scalar.

    >>> import graphjit as gj
    >>> print(gj.fill([3], 7))
    gj.Tensor([7 7 7], shape=(3,), dtype=int32)
    """
    operand = as_operand(value)
    if operand.type.rank:
        raise InvalidArgumentError(f"fill needs a scalar value, not one of shape {operand.type.shape}")
    return broadcast_to(operand, dims)


# --- positions ------------------------------------------------------------------------------------


def iota(shape: tuple[int, ...], axis: int, dtype: DType = int32) -> Any:
    """Each element's position along `axis`."""
    return apply(iota_op, shape=shape, dtype=dtype, axis=axis)


def _range_count(start: Any, limit: Any, delta: Any) -> int:
    """How many numbers there are from `start` by steps of `delta` before `limit`."""
    if delta == 0:
        raise InvalidArgumentError("range: delta is 0")
    if all(isinstance(one, int) for one in (start, limit, delta)):
        return len(range(start, limit, delta))
    count = (limit - start) / delta
    if not math.isfinite(count):
        raise InvalidArgumentError(f"range: no finite count of numbers from {start} to {limit} by {delta}")
    whole: int = math.ceil(count)
    return max(0, whole)


def _range_array(start: Any, limit: Any, delta: Any, dtype: DType) -> np.ndarray[Any, Any]:
    count = _range_count(start, limit, delta)
    steps = np.arange(count, dtype=dtype.numpy)
    return np.asarray(steps * dtype.as_numpy_dtype(delta) + dtype.as_numpy_dtype(start), dtype=dtype.numpy)


def _range_definition(*, start: Any, limit: Any, delta: Any, dtype: DType) -> Any:
    result = iota((_range_count(start, limit, delta),), 0, dtype)
    if delta != 1:
        result = PUBLIC["multiply"](result, constant(delta, dtype))
    return result if start == 0 else PUBLIC["add"](result, constant(start, dtype))


range_op: Op = declare(
    Op(
        name="range",
        kind=Kind.COMPOSED,
        infer=lambda types, *, start, limit, delta, dtype: (TensorType(dtype, (_range_count(start, limit, delta),)),),
        numpy=_range_array,
        definition=_range_definition,
        gradient=Differentiability.NONE,
        examples=(
            Example((), {"start": 2, "limit": 9, "delta": 3, "dtype": int32}),
            Example((), {"start": 1.0, "limit": 0.0, "delta": -0.25, "dtype": float32}),
            Example((), {"start": 5, "limit": 2, "delta": 1, "dtype": int64}),
        ),
        doc="Numbers from `start` by steps of `delta`, those before `limit`.",
    )
)


def _range_to_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    for type in types:
        require_kind(type, "iuf", "a bound of a range")
        if type.rank:
            raise ShapeError(f"range needs scalars, not {type}")
        if type.dtype is not types[0].dtype:
            raise DtypeError(f"range needs bounds of one dtype, not {types[0].dtype.name} and {type.dtype.name}")
    return (TensorType(types[0].dtype, (None,)),)


def _known_range(start: Any, limit: Any, delta: Any) -> Any:
    dtype = start.type.dtype
    return when_known([start, limit, delta], lambda *bounds: _static_range([one.item() for one in bounds], dtype))


range_to_op: Op = declare(
    Op(
        name="range_to",
        kind=Kind.COMPOSED,
        infer=_range_to_type,
        numpy=lambda start, limit, delta: _range_array(
            start.item(), limit.item(), delta.item(), dtype=as_dtype(start.dtype)
        ),
        definition=_known_range,
        gradient=Differentiability.NONE,
        fails=True,
        static_operands=(0, 1, 2),
        examples=(Example((np.int32(2), np.int32(9), np.int32(3))),),
        doc="range, where the bounds are operands.",
    )
)


def _static_range(bounds: list[Any], dtype: DType) -> Any:
    start, limit, delta = bounds
    return apply(range_op, start=start, limit=limit, delta=delta, dtype=dtype)


@public()
def range_(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None, name: str | None = None) -> Any:
    """Numbers from `start` by steps of `delta`, those before `limit`; `range(n)` starts at 0.

    Exported as `gj.range` and `gj.arange`. The dtype is that of the arguments (int32 or float32 for Python
    numbers) unless it is given. The bounds may be traced.

    Raises:
      InvalidArgumentError: if `delta` is 0.

    >>> import graphjit as gj
    >>> print(gj.range(3), gj.range(1, 9, 3))
    gj.Tensor([0 1 2], shape=(3,), dtype=int32) gj.Tensor([1 4 7], shape=(3,), dtype=int32)
    """
    if limit is None:
        start, limit = 0, start
    bounds = as_operands(start, limit, delta)
    wanted = bounds[0].type.dtype if dtype is None else as_dtype(dtype)
    bounds = tuple(PUBLIC["cast"](one, wanted) if one.type.dtype is not wanted else one for one in bounds)
    _range_to_type(tuple(one.type for one in bounds))
    known = when_known(bounds, lambda *values: [one.item() for one in values])
    return apply(range_to_op, *bounds) if known is None else _static_range(known, wanted)


@public()
def linspace(start: Any, stop: Any, num: Any, name: str | None = None, axis: int = 0) -> Any:
    """`num` numbers at equal distances from `start` to `stop`, both included.

    Args:
      start, stop: float tensors that broadcast; Python integers become float32.
      num: how many, at least 1; may be traced.
      axis: where the new axis goes.

    Raises:
      DtypeError: if the bounds are integer tensors.
      InvalidArgumentError: if `num` is less than 1.

    >>> import graphjit as gj
    >>> print(gj.linspace(0.0, 1.0, 5))
    gj.Tensor([0.   0.25 0.5  0.75 1.  ], shape=(5,), dtype=float32)
    """
    first, last = _float_bounds(start, stop)
    count = static_integer(num)
    if count is not None and count < 1:
        raise InvalidArgumentError(f"linspace: num is at least 1, not {count}")
    rank = max(first.type.rank, last.type.rank)
    where = normalize_axis(axis, rank + 1)
    first, last = (_with_axis(one, rank, where) for one in (first, last))
    index = range_(as_operand(num, int32) if count is None else count)
    index = reshape(index, [-1 if one == where else 1 for one in range(rank + 1)])
    return _interpolated(first, last, index, num if count is None else count)


def _interpolated(first: Any, last: Any, index: Any, count: Any) -> Any:
    dtype = first.type.dtype
    intervals = PUBLIC["maximum"](as_operand(count, int32) - 1, 1)
    step = (last - first) / PUBLIC["cast"](intervals, dtype)
    inner = first + step * PUBLIC["cast"](index, dtype)
    # The last one exactly, whatever rounding did to the sum.
    at_end = (index == PUBLIC["cast"](intervals, int32)) & (index > 0)
    return PUBLIC["where"](at_end, last, inner)


def _float_bounds(start: Any, stop: Any) -> tuple[Any, Any]:
    if any(is_operand_like(one) for one in (start, stop)):
        bounds = as_operands(start, stop)
    else:
        arrays = [np.asarray(one) for one in (start, stop)]
        wide = any(isinstance(one, np.ndarray | np.generic) and one.dtype == np.float64 for one in (start, stop))
        bounds = as_operands(*(one.astype(np.float64 if wide else np.float32) for one in arrays))
    for one in bounds:
        require_kind(one.type, "fc", "a bound of linspace")
    return bounds[0], bounds[1]


def _with_axis(x: Any, rank: int, axis: int) -> Any:
    """`x` with leading axes up to `rank`, and a new axis of size 1."""
    for _ in range(rank - x.type.rank):
        x = PUBLIC["expand_dims"](x, 0)
    return PUBLIC["expand_dims"](x, axis)


@public()
def eye(
    num_rows: Any, num_columns: Any = None, batch_shape: Any = None, dtype: Any = float32, name: str | None = None
) -> Any:
    """The identity matrix, or a batch of them; not square where `num_columns` differs.

    >>> import graphjit as gj
    >>> print(gj.eye(2))
    gj.Tensor(
    [[1. 0.]
     [0. 1.]], shape=(2, 2), dtype=float32)
    """
    columns = num_rows if num_columns is None else num_columns
    row, column = reshape(range_(num_rows), [-1, 1]), range_(columns)
    matrix = PUBLIC["cast"](PUBLIC["equal"](row, column), as_dtype(dtype))
    if batch_shape is None:
        return matrix
    batch = static_shape(batch_shape)
    if isinstance(batch, Operand):
        return broadcast_to(matrix, PUBLIC["concat"]([batch, PUBLIC["shape_of"](matrix, batch.dtype)], 0))
    return broadcast_to(matrix, shape_value([*batch, num_rows, columns]))


@public()
def one_hot(
    indices: Any,
    depth: Any,
    on_value: Any = None,
    off_value: Any = None,
    axis: int | None = None,
    dtype: Any = None,
    name: str | None = None,
) -> Any:
    """`on_value` where a new axis of size `depth` is at the index, `off_value` elsewhere.

    Args:
      indices: integers of any shape. An index outside of [0, depth) gives only `off_value`.
      depth: the size of the new axis; may be traced.
      on_value, off_value: scalars, 1 and 0 by default.
      axis: where the new axis goes, last by default.
      dtype: of the result, by default that of the values, else float32.

    Raises:
      DtypeError: if the indices are no integers.

    >>> import graphjit as gj
    >>> print(gj.one_hot([0, 2, -1], 3))
    gj.Tensor(
    [[1. 0. 0.]
     [0. 0. 1.]
     [0. 0. 0.]], shape=(3, 3), dtype=float32)
    """
    operand = as_operand(indices)
    require_kind(operand.type, "iu", "indices")
    rank = operand.type.rank
    where = rank if axis is None else normalize_axis(axis, rank + 1)
    wide = int32 if operand.type.dtype in _FITS_INT32 else int64
    position = reshape(_positions(depth, wide), [-1 if one == where else 1 for one in range(rank + 1)])
    chosen = PUBLIC["expand_dims"](PUBLIC["cast"](operand, wide), where)
    return _chosen(PUBLIC["equal"](chosen, position), on_value, off_value, dtype)


_FITS_INT32 = frozenset(as_dtype(name) for name in ("int8", "int16", "int32", "uint8", "uint16"))


def _positions(depth: Any, dtype: DType) -> Any:
    count = static_integer(depth)
    if count is None:
        return range_(PUBLIC["cast"](as_operand(depth), dtype))
    if count < 0:
        raise InvalidArgumentError(f"one_hot: depth is not negative, but {count} was given")
    return iota((count,), 0, dtype)


def _chosen(hot: Any, on_value: Any, off_value: Any, dtype: Any) -> Any:
    if on_value is None and off_value is None:
        return PUBLIC["cast"](hot, float32 if dtype is None else as_dtype(dtype))
    wanted = None if dtype is None else as_dtype(dtype)
    given = [as_operand(one, wanted) for one in (on_value, off_value) if one is not None]
    if wanted is not None and any(one.type.dtype is not wanted for one in given):
        raise DtypeError(f"one_hot: the values are {given[0].type.dtype.name}, where {wanted.name} is asked for")
    found = given[0].type.dtype
    on = constant(1, found) if on_value is None else given[0]
    off = constant(0, found) if off_value is None else given[-1]
    return PUBLIC["where"](hot, *as_operands(on, off))


@public()
def sequence_mask(lengths: Any, maxlen: Any = None, dtype: Any = bool_, name: str | None = None) -> Any:
    """For each length a row that is true (1) at so many first positions.

    Args:
      lengths: integers of any shape.
      maxlen: the size of the new last axis, by default the greatest length; may be traced.
      dtype: of the result.

    Raises:
      DtypeError: if the lengths are no integers.

    >>> import graphjit as gj
    >>> print(gj.sequence_mask([1, 3], 3, gj.int32))
    gj.Tensor(
    [[1 0 0]
     [1 1 1]], shape=(2, 3), dtype=int32)
    """
    operand = as_operand(lengths)
    require_kind(operand.type, "iu", "lengths")
    wide = int32 if operand.type.dtype in _FITS_INT32 else int64
    ends = PUBLIC["cast"](operand, wide)
    size = PUBLIC["maximum"](PUBLIC["reduce_max"](ends), 0) if maxlen is None else maxlen
    mask = PUBLIC["less"](_positions(size, wide), PUBLIC["expand_dims"](ends, -1))
    return mask if as_dtype(dtype) is bool_ else PUBLIC["cast"](mask, dtype)


__all__ = ["eye", "fill", "linspace", "one_hot", "ones", "ones_like", "sequence_mask", "zeros", "zeros_like"]
