"""What losses and metrics do to their arguments: bring dtypes and shapes together, weight, and average."""

from __future__ import annotations

import warnings
from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import divide_no_nan
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.reduction import reduce_mean, reduce_sum
from graphjit.compiler.ops.shaping import expand_dims, squeeze
from graphjit.compiler.ops.sizes import size_of
from graphjit.compiler.tensortype import as_dtype, float32
from graphjit.runtime.errors import InvalidArgumentError

from ..precision import floatx

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None)


def as_floats(y_pred: Any) -> Any:
    """Predictions as a float tensor; numbers and integers get the dtype of `floatx()`."""
    value = as_operand(y_pred)
    return value if value.dtype.name.startswith("float") else cast(value, floatx())


def like(y_true: Any, y_pred: Any) -> Any:
    """True values in the predictions' dtype."""
    return cast(as_operand(y_true), y_pred.dtype)


def same_rank(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Bring ranks that differ by one together, where the last axis of the higher one has size 1, as Keras 3 does.

    A vector becomes a matrix of one column; of anything else the last axis goes.
    """
    difference = y_true.type.rank - y_pred.type.rank
    if difference == 1:
        y_pred, y_true = _aligned(y_pred, y_true)
    elif difference == -1:
        y_true, y_pred = _aligned(y_true, y_pred)
    return y_true, y_pred


def _aligned(lower: Any, higher: Any) -> tuple[Any, Any]:
    if higher.type.shape[-1] != 1:
        return lower, higher
    return (expand_dims(lower, -1), higher) if lower.type.rank == 1 else (lower, squeeze(higher, -1))


def warn_of_broadcasting(y_true: Any, y_pred: Any, what: str) -> None:
    """Warn where shapes such as (32,) and (32, 1) broadcast to (32, 32), which is hardly ever meant."""
    short, long = sorted((y_true.type.shape, y_pred.type.shape), key=len)
    if len(long) == len(short) + 1 and long[-1] == 1 and short and short[-1] not in (None, 1) and short == long[:-1]:
        both = f"{tuple(y_true.type.shape)} and {tuple(y_pred.type.shape)}"
        warnings.warn(
            f"{what} of shapes {both} broadcasts to a matrix of all pairs, which is hardly what you want; "
            "reshape one of them, for example with gj.squeeze(x, -1)",
            UserWarning,
            stacklevel=4,
        )


def weighted(values: Any, sample_weight: Any) -> Any:
    """Losses times weights, which may have fewer axes, or one of size 1 more."""
    if sample_weight is None:
        return values
    weights = cast(as_operand(sample_weight), values.dtype)
    rank = values.type.rank
    if weights.type.rank == rank + 1 and weights.type.shape[-1] == 1:
        weights = squeeze(weights, -1)
    return values * _expanded(weights, rank)


def with_mask(sample_weight: Any, mask: Any, dtype: Any, reduction: Any) -> Any:
    """Weights that leave out what a mask leaves out; where a mean is taken, it is one over what counts.

    The formula is Keras 3's: what counts weighs (all elements / those that count) then.
    """
    if mask is None:
        return sample_weight
    counted = cast(as_operand(mask), dtype)
    if reduction in ("mean", "sum_over_batch_size"):
        counted = counted * divide_no_nan(count_of(counted, dtype), reduce_sum(counted))
    if sample_weight is None:
        return counted
    weights = cast(as_operand(sample_weight), dtype)
    while weights.type.rank > counted.type.rank and weights.type.shape[-1] == 1:
        weights = squeeze(weights, -1)
    return _expanded(weights, counted.type.rank) * _expanded(counted, weights.type.rank)


def _expanded(value: Any, rank: int) -> Any:
    while 0 < value.type.rank < rank:
        value = expand_dims(value, -1)
    return value


def reduced(values: Any, reduction: Any) -> Any:
    """Losses as a scalar: their mean, their sum, or as they are."""
    if reduction in ("none", None):
        return values
    if reduction == "sum":
        return reduce_sum(values)
    return reduce_mean(values)


def as_reduction(value: Any) -> Any:
    """The name of a reduction.

    Raises:
      InvalidArgumentError: if there is none of that name.
    """
    if value == "auto":
        return "sum_over_batch_size"
    if value not in REDUCTIONS:
        raise InvalidArgumentError(f"a loss is reduced by 'sum_over_batch_size', 'sum' or 'none', not {value!r}")
    return value


def count_of(values: Any, dtype: Any = float32) -> Any:
    """The number of elements, as a scalar of a dtype."""
    return cast(size_of(values), as_dtype(dtype))


__all__: list[str] = []
