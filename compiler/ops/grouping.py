"""Grouping: reductions by segment, unique elements, counts."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, OutOfRangeError, ShapeError

from ..dispatch import apply
from ..op import Differentiability, Example, Gradient, Kind, Op, declare
from ..operand import PUBLIC, as_operand, as_operands, public, require_kind, require_rank
from ..tensortype import Dimension, DType, TensorShape, TensorType, as_dtype, int32, int64
from .gathering import gather
from .shaping import reshape
from .sizes import constant, static_integer

Array = np.ndarray[Any, Any]

# --- segments ---------------------------------------------------------------------------------------


def _segment_type(types: tuple[TensorType, ...], *, num: int | None, ordered: bool) -> tuple[TensorType, ...]:
    data, ids = types
    require_kind(ids, "iu", "segment ids")
    covered = data.shape[: ids.rank]
    fits = len(covered) == ids.rank and all(
        a is None or b is None or a == b for a, b in zip(covered, ids.shape, strict=True)
    )
    if not fits or (ordered and ids.rank != 1):
        raise ShapeError(f"segment ids of shape {ids.shape} do not fit data of shape {data.shape}")
    return (TensorType(data.dtype, (num, *data.shape[ids.rank :])),)


def _segment_count(ids: Array, num: int | None, ordered: bool) -> int:
    """How many segments there are.

    Raises:
      InvalidArgumentError: if sorted ids are not ascending from 0 on.
      OutOfRangeError: if an id is not less than `num`.
    """
    if ordered and ids.size and (ids[0] < 0 or (np.diff(ids) < 0).any()):
        raise InvalidArgumentError("segment ids must be ascending and not negative; use unsorted_segment_sum")
    if num is None:
        return int(ids[-1]) + 1 if ids.size else 0
    if ids.size and int(ids.max()) >= num:
        raise OutOfRangeError(f"segment id {ids.max()} is out of range for {num} segments")
    return num


def _segments(put: np.ufunc, empty: Any, data: Array, ids: Array, num: int | None, ordered: bool) -> Array:
    count = _segment_count(ids, num, ordered)
    result = np.full((count, *data.shape[ids.ndim :]), empty, data.dtype)
    kept = ids >= 0
    put.at(result, ids[kept], data[kept])
    if ordered and put in (np.minimum, np.maximum):
        result[~np.isin(np.arange(count), ids)] = 0
    return result


def _spread(per_segment: Any, ids: Any) -> Any:
    """For each element of the data what its segment holds; zero where the id is negative."""
    zero = constant(0, ids.type.dtype)
    picked = gather(per_segment, PUBLIC["maximum"](ids, zero), axis=0)
    inside = PUBLIC["greater_equal"](ids, zero)
    for _ in range(picked.type.rank - ids.type.rank):
        inside = PUBLIC["expand_dims"](inside, -1)
    return PUBLIC["where"](inside, picked, constant(0, picked.type.dtype))


def _extreme_gradient(g: Any, y: Any, data: Any, ids: Any, *, num: int | None, ordered: bool) -> Any:
    """Elements that are the extreme of their segment share its cotangent evenly."""
    chosen = PUBLIC["cast"](PUBLIC["equal"](data, _spread(y, ids)), data.type.dtype)
    count = apply(segment_sum_op, chosen, ids, num=num, ordered=ordered)
    share = PUBLIC["divide"](g, PUBLIC["maximum"](count, constant(1, data.type.dtype)))
    return PUBLIC["multiply"](chosen, _spread(share, ids))


def _product_gradient(g: Any, y: Any, data: Any, ids: Any, *, num: int | None, ordered: bool) -> Any:
    """The product of the segment's other elements, exact where some are zero."""
    dtype = data.type.dtype
    is_zero = PUBLIC["equal"](data, constant(0, dtype))
    others = PUBLIC["where"](is_zero, constant(1, dtype), data)
    zeros = PUBLIC["cast"](is_zero, dtype)
    product = apply(segment_prod_op, others, ids, num=num, ordered=ordered)
    total = _spread(apply(segment_sum_op, zeros, ids, num=num, ordered=ordered), ids)
    alone = PUBLIC["equal"](PUBLIC["subtract"](total, zeros), constant(0, dtype))
    factor = PUBLIC["divide"](_spread(PUBLIC["multiply"](g, product), ids), others)
    return PUBLIC["where"](alone, factor, constant(0, dtype))


_SEGMENT_EXAMPLES = (
    Example(("f64[3,2]", np.array([1, 0, 1], np.int32)), {"num": 2, "ordered": False}),
    Example(("f64[3,2]", np.array([0, 0, 2], np.int32)), {"num": 4, "ordered": False}, differentiable=False),
    Example(("f64[3,2]", np.array([0, 0, 2], np.int32)), {"num": None, "ordered": True}),
    Example(("f64[2,2]", np.array([[1, -1], [0, 1]])), {"num": 2, "ordered": False}),
    Example(("f64[0,2]", np.zeros(0, np.int32)), {"num": 3, "ordered": False}),
)


def _declare_segment(name: str, put: np.ufunc, empty: Any, gradient: Gradient, doc: str) -> Op:
    def numpy(data: Array, ids: Array, *, num: int | None, ordered: bool) -> Array:
        start = empty(as_dtype(data.dtype)) if callable(empty) else empty
        return _segments(put, start, data, ids, num, ordered)

    return declare(
        Op(
            name=name,
            kind=Kind.INDEXING,
            infer=_segment_type,
            numpy=numpy,
            gradient=gradient,
            fails=True,
            examples=_SEGMENT_EXAMPLES,
            dtypes="iuf",
            doc=doc,
        )
    )


def _least(dtype: DType) -> Any:
    return dtype.min


def _greatest(dtype: DType) -> Any:
    return dtype.max


segment_sum_op: Op = _declare_segment(
    "segment_sum", np.add, 0, [lambda g, y, data, ids, *, num, ordered: _spread(g, ids), None],
    "The sum of each segment's slices; num is how many segments there are, None if the ids tell.",
)  # fmt: skip
segment_prod_op: Op = _declare_segment(
    "segment_prod", np.multiply, 1, [_product_gradient, None], "The product of each segment's slices."
)
segment_max_op: Op = _declare_segment(
    "segment_max", np.maximum, _least, [_extreme_gradient, None], "The greatest of each segment's slices."
)
segment_min_op: Op = _declare_segment(
    "segment_min", np.minimum, _greatest, [_extreme_gradient, None], "The least of each segment's slices."
)


def _by_sorted(op: Op, data: Any, ids: Any) -> Any:
    return apply(op, as_operand(data), as_operand(ids, int32), num=None, ordered=True)


def _by_unsorted(op: Op, data: Any, ids: Any, num: Any) -> Any:
    count = static_integer(num)
    if count is None or count < 0:
        raise InvalidArgumentError(
            f"{op.name}: num_segments is not negative, and known when the function is traced; got {num!r}"
        )
    return apply(op, as_operand(data), as_operand(ids, int32), num=count, ordered=False)


def _mean(total: Any, data: Any, ids: Any, count: Any) -> Any:
    """`total` divided by the number of each segment's elements; 0 for empty segments."""
    index, dtype = as_operand(ids, int32), as_operand(data).type.dtype
    number = count(PUBLIC["ones_like"](index, dtype=dtype), index)
    for _ in range(total.type.rank - 1):
        number = PUBLIC["expand_dims"](number, -1)
    least = PUBLIC["maximum"](number, constant(1, dtype))
    return PUBLIC["divide"](total, least) if dtype.is_floating else PUBLIC["floordiv"](total, least)


@public()
def segment_sum(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """The sum of the slices of each segment; the size of the result is the last id + 1.

    Args:
      data: any shape but a scalar.
      segment_ids: an ascending vector of ids from 0 on, one for each slice of `data`.

    Raises:
      InvalidArgumentError: if the ids are not ascending, or negative.

    >>> import graphjit as gj
    >>> print(gj.math.segment_sum([1, 2, 3], [0, 0, 1]))
    gj.Tensor([3 3], shape=(2,), dtype=int32)
    """
    return _by_sorted(segment_sum_op, data, segment_ids)


@public()
def segment_prod(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """The product of the slices of each segment, 1 for ids that do not occur; see `segment_sum`."""
    return _by_sorted(segment_prod_op, data, segment_ids)


@public()
def segment_max(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """The greatest of the slices of each segment, 0 for ids that do not occur; see `segment_sum`."""
    return _by_sorted(segment_max_op, data, segment_ids)


@public()
def segment_min(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """The least of the slices of each segment, 0 for ids that do not occur; see `segment_sum`."""
    return _by_sorted(segment_min_op, data, segment_ids)


@public()
def segment_mean(data: Any, segment_ids: Any, name: str | None = None) -> Any:
    """The mean of the slices of each segment, 0 for ids that do not occur; see `segment_sum`."""
    return _mean(segment_sum(data, segment_ids), data, segment_ids, segment_sum)


@public()
def unsorted_segment_sum(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The sum of the slices of each of `num_segments` segments; slices with a negative id are dropped.

    Args:
      data: any shape.
      segment_ids: integers in any order; their shape is the beginning of the shape of `data`.
      num_segments: how many segments the result has.

    Raises:
      OutOfRangeError: if an id is not less than `num_segments`.

    >>> import graphjit as gj
    >>> print(gj.math.unsorted_segment_sum([1, 2, 3], [1, 0, 1], 3))
    gj.Tensor([2 4 0], shape=(3,), dtype=int32)
    """
    return _by_unsorted(segment_sum_op, data, segment_ids, num_segments)


@public()
def unsorted_segment_prod(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The product of the slices of each segment, 1 for empty ones; see `unsorted_segment_sum`."""
    return _by_unsorted(segment_prod_op, data, segment_ids, num_segments)


@public()
def unsorted_segment_max(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The greatest of the slices of each segment, the least number for empty ones; see `unsorted_segment_sum`."""
    return _by_unsorted(segment_max_op, data, segment_ids, num_segments)


@public()
def unsorted_segment_min(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The least of the slices of each segment, the greatest number for empty ones; see `unsorted_segment_sum`."""
    return _by_unsorted(segment_min_op, data, segment_ids, num_segments)


@public()
def unsorted_segment_mean(data: Any, segment_ids: Any, num_segments: Any, name: str | None = None) -> Any:
    """The mean of the slices of each segment, 0 for empty ones; see `unsorted_segment_sum`."""
    total = unsorted_segment_sum(data, segment_ids, num_segments)
    return _mean(total, data, segment_ids, lambda ones, ids: unsorted_segment_sum(ones, ids, num_segments))


# --- unique -------------------------------------------------------------------------------------------


class Unique(NamedTuple):
    """The distinct elements in the order in which they first occur, and where each element is among them."""

    y: Any
    idx: Any


class UniqueWithCounts(NamedTuple):
    """As `Unique`, and how often each distinct element occurs."""

    y: Any
    idx: Any
    count: Any


def _unique_type(types: tuple[TensorType, ...], *, dtype: DType) -> tuple[TensorType, ...]:
    (type,) = types
    if type.rank != 1:
        raise ShapeError(f"unique needs a vector, not shape {type.shape}")
    return TensorType(type.dtype, (None,)), TensorType(dtype, type.shape), TensorType(dtype, (None,))


def _unique_arrays(x: Array, *, dtype: DType) -> tuple[Array, Array, Array]:
    _, first, inverse, counts = np.unique(
        x, return_index=True, return_inverse=True, return_counts=True, equal_nan=False
    )
    order = np.argsort(first, kind="stable")
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return x[first[order]], rank[inverse].astype(dtype.numpy), counts[order].astype(dtype.numpy)


unique_op: Op = declare(
    Op(
        name="unique",
        kind=Kind.CALL,
        infer=_unique_type,
        numpy=_unique_arrays,
        several=True,
        gradient=Differentiability.MISSING,
        examples=(
            Example((np.array([3, 1, 3, 2], np.int32),), {"dtype": int32}),
            Example((np.zeros(0, np.float32),), {"dtype": int32}),
        ),
        doc="The distinct elements of a vector, where each element is among them, and their counts.",
    )
)


@public()
def unique(x: Any, out_idx: Any = int32, name: str | None = None) -> Unique:
    """The distinct elements of a vector in the order in which they first occur, and each element's place there.

    The size of the result is known only when it runs. There is no gradient; NaNs are distinct.

    Raises:
      ShapeError: if it is no vector.

    >>> import graphjit as gj
    >>> [part.numpy().tolist() for part in gj.unique([3, 1, 3])]
    [[3, 1], [0, 1, 0]]
    """
    values, places, _ = apply(unique_op, as_operand(x), dtype=as_dtype(out_idx))
    return Unique(values, places)


@public()
def unique_with_counts(x: Any, out_idx: Any = int32, name: str | None = None) -> UniqueWithCounts:
    """As `unique`, and how often each distinct element occurs.

    >>> import graphjit as gj
    >>> gj.unique_with_counts([3, 1, 3]).count.numpy().tolist()
    [2, 1]
    """
    return UniqueWithCounts(*apply(unique_op, as_operand(x), dtype=as_dtype(out_idx)))


# --- counts -------------------------------------------------------------------------------------------


def _bin_type(types: tuple[TensorType, ...], *, minlength: int, maxlength: int | None) -> tuple[TensorType, ...]:
    places, weights = types
    require_kind(places, "iu", "the numbers to count")
    if not TensorShape(places.shape).is_compatible_with(weights.shape):
        raise ShapeError(f"bincount: weights of shape {weights.shape} for numbers of shape {places.shape}")
    size: Dimension = minlength if maxlength == minlength else None
    return (TensorType(weights.dtype, (size,)),)


def _bin_array(places: Array, weights: Array, *, minlength: int, maxlength: int | None) -> Array:
    if places.size and int(places.min()) < 0:
        raise InvalidArgumentError(f"bincount: numbers are not negative, but {places.min()} is among them")
    size = max(minlength, int(places.max()) + 1 if places.size else 0)
    size = size if maxlength is None else min(size, maxlength)
    result = np.zeros(size, weights.dtype)
    kept = places < size
    np.add.at(result, places[kept], weights[kept])
    return result


def _bin_gradient(g: Any, y: Any, places: Any, weights: Any, *, minlength: int, maxlength: int | None) -> Any:
    size = PUBLIC["cast"](PUBLIC["size_of"](g), places.type.dtype)
    outside = PUBLIC["less"](places, size)
    return _spread(g, PUBLIC["where"](outside, places, constant(-1, places.type.dtype)))


bincount_op: Op = declare(
    Op(
        name="bincount",
        kind=Kind.CALL,
        infer=_bin_type,
        numpy=_bin_array,
        gradient=[None, _bin_gradient],
        fails=True,
        examples=(
            Example((np.array([1, 3, 1]), "f64[3]"), {"minlength": 0, "maxlength": None}),
            Example((np.array([1, 3, 1]), "f64[3]"), {"minlength": 2, "maxlength": 2}),
            Example((np.zeros(0, np.int32), "f64[0]"), {"minlength": 2, "maxlength": None}),
        ),
        doc="The sum of the weights of each number.",
    )
)


@public()
def bincount(
    arr: Any,
    weights: Any = None,
    minlength: Any = None,
    maxlength: Any = None,
    dtype: Any = int32,
    name: str | None = None,
) -> Any:
    """How often each of 0, 1, 2 ... occurs, or the sum of the weights where it does.

    Args:
      arr: integers of any shape, none negative.
      weights: of the same shape.
      minlength, maxlength: bounds of the result's size, which is the greatest number + 1 otherwise; greater
        numbers than `maxlength` allows are not counted. Equal bounds make the size known while tracing.
      dtype: of the counts, where there are no weights.

    Raises:
      InvalidArgumentError: if a number is negative.

    >>> import graphjit as gj
    >>> print(gj.math.bincount([1, 3, 1]))
    gj.Tensor([0 2 0 1], shape=(4,), dtype=int32)
    """
    places = reshape(as_operand(arr, int32), [-1])
    if places.type.dtype.is_unsigned:
        places = PUBLIC["cast"](places, int64)
    given = PUBLIC["ones_like"](places, dtype=dtype) if weights is None else reshape(as_operand(weights), [-1])
    least = 0 if minlength is None else static_integer(minlength)
    most = None if maxlength is None else static_integer(maxlength)
    if least is None or (maxlength is not None and most is None):
        raise InvalidArgumentError("bincount needs bounds that are known when the function is traced")
    return apply(bincount_op, places, given, minlength=least, maxlength=most)


@public()
def histogram_fixed_width(
    values: Any, value_range: Any, nbins: Any = 100, dtype: Any = int32, name: str | None = None
) -> Any:
    """How many values lie in each of `nbins` equal parts of a range; those outside count for the outermost parts.

    Args:
      values: any shape.
      value_range: two numbers [low, high] of the same dtype, low < high.

    Raises:
      InvalidArgumentError: if `nbins` is not a positive integer.

    >>> import graphjit as gj
    >>> print(gj.histogram_fixed_width([-1.0, 0.0, 1.5, 2.0, 5.0, 15.0], [0.0, 5.0], nbins=5))
    gj.Tensor([2 1 1 0 2], shape=(5,), dtype=int32)
    """
    x, bounds = as_operands(values, value_range)
    require_rank(bounds.type, 1, "value_range")
    count = static_integer(nbins)
    if count is None or count < 1:
        raise InvalidArgumentError(f"histogram_fixed_width: nbins is a positive integer, not {nbins!r}")
    flat = PUBLIC["cast"](reshape(x, [-1]), "float64")
    low, high = (PUBLIC["cast"](bounds[end], "float64") for end in (0, 1))
    part = PUBLIC["floor"]((flat - low) / (high - low) * float(count))
    places = PUBLIC["cast"](PUBLIC["clip_by_value"](part, 0.0, float(count - 1)), int32)
    return unsorted_segment_sum(PUBLIC["ones_like"](places, dtype=dtype), places, count)


__all__ = [
    "bincount",
    "histogram_fixed_width",
    "segment_max",
    "segment_mean",
    "segment_min",
    "segment_prod",
    "segment_sum",
    "unique",
    "unique_with_counts",
    "unsorted_segment_max",
    "unsorted_segment_mean",
    "unsorted_segment_min",
    "unsorted_segment_prod",
    "unsorted_segment_sum",
]
