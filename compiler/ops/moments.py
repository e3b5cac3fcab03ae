"""Moments along axes: variance, standard deviation, and mean and variance together."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..batchrules import axes_shift
from ..dispatch import apply
from ..families import axes_argument, infer_reduction
from ..op import Example, Kind, Op, declare
from ..operand import as_operand, public
from ..tensortype import element_count
from .arithmetic import divide_no_nan, sqrt, square
from .reduction import (
    Array,
    Axes,
    count_along,
    divided_by_count,
    is_expandable,
    reduce_mean,
    widened,
    with_reduced_axes,
)

_EXAMPLES = (
    Example(("f64[2,3]",), {"axis": (0, 1), "keepdims": False}),
    Example(("f32[2,3,4]",), {"axis": (1,), "keepdims": True}),
    Example(("f64[2,3,4]",), {"axis": (0, 2), "keepdims": False}),
    Example(("f64[70]",), {"axis": (0,), "keepdims": False}),
    Example(("f64[0]",), {"axis": (0,), "keepdims": False}, differentiable=False),
    Example((np.array([[1, 2], [7, 300]], np.float16),), {"axis": (1,), "keepdims": False}),
)


def _variance(x: Array, axis: Axes) -> Array:
    """The mean square of the distance from the mean, reduced axes kept, in the dtype that sums are taken in."""
    wide = widened(x)
    count = wide.dtype.type(element_count([x.shape[one] for one in axis]))
    centered = wide - np.sum(wide, axis=axis, keepdims=True, dtype=wide.dtype) / count
    return np.asarray(np.sum(centered * centered, axis=axis, keepdims=True, dtype=wide.dtype) / count)


def _finished(result: Array, x: Array, axis: Axes, keepdims: bool) -> Array:
    kept = result if keepdims else np.squeeze(result, axis)
    return kept.astype(x.dtype, copy=False)


def _variance_array(x: Array, *, axis: Axes, keepdims: bool) -> Array:
    return _finished(_variance(x, axis), x, axis, keepdims)


def _centered(x: Any, axis: Axes) -> Any:
    return x - reduce_mean(x, axis, keepdims=True)


def _variance_definition(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    return reduce_mean(square(_centered(x, axis)), axis, keepdims) if is_expandable(x.type) else None


def _variance_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    share = divided_by_count(with_reduced_axes(g, axis, keepdims), count_along(x, axis))
    return (2.0 * share) * _centered(x, axis)


variance_op = declare(
    Op(
        name="reduce_variance",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=infer_reduction("f", None),
        numpy=_variance_array,
        definition=_variance_definition,
        gradient=[_variance_gradient],
        examples=_EXAMPLES,
        ulp=64.0,
        doc="The mean square of the distance from the mean along axes.",
    )
)


def _std_array(x: Array, *, axis: Axes, keepdims: bool) -> Array:
    return _finished(np.sqrt(_variance(x, axis)), x, axis, keepdims)


def _std_definition(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    return sqrt(reduce_variance(x, axis, keepdims)) if is_expandable(x.type) else None


def _std_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """(x - mean) / (count * std), and 0 where all elements are equal."""
    share = divided_by_count(with_reduced_axes(g, axis, keepdims), count_along(x, axis))
    return share * divide_no_nan(_centered(x, axis), with_reduced_axes(y, axis, keepdims))


std_op = declare(
    Op(
        name="reduce_std",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=infer_reduction("f", None),
        numpy=_std_array,
        definition=_std_definition,
        gradient=[_std_gradient],
        examples=_EXAMPLES,
        ulp=64.0,
        doc="The square root of the variance along axes.",
    )
)


@public()
def reduce_variance(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The variance of floats along axes (all of them by default): the mean square of x - mean(x).

    The mean is taken first, so that nothing cancels. It is NaN for no elements.

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.math.reduce_variance([[1.0, 2.0], [3.0, 6.0]], axis=0))
    gj.Tensor([1. 4.], shape=(2,), dtype=float32)
    """
    operand = as_operand(input_tensor)
    axes = axes_argument(axis, operand.type.rank)
    return apply(variance_op, operand, axis=axes, keepdims=bool(keepdims))


@public()
def reduce_std(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The standard deviation of floats along axes (all of them by default).

    Its gradient is 0, not NaN, where all elements are equal.

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.math.reduce_std([[1.0, 2.0], [3.0, 6.0]], axis=0))
    gj.Tensor([1. 2.], shape=(2,), dtype=float32)
    """
    operand = as_operand(input_tensor)
    axes = axes_argument(axis, operand.type.rank)
    return apply(std_op, operand, axis=axes, keepdims=bool(keepdims))


@public()
def moments(x: Any, axes: Any, shift: Any = None, keepdims: bool = False, name: str | None = None) -> tuple[Any, Any]:
    """Mean and variance along `axes`.

    Args:
      x: floats.
      axes: an axis or a list of axes.
      shift: not used, as in TensorFlow 2.
      keepdims: whether the axes stay with size 1.

    >>> import graphjit as gj
    >>> mean, variance = gj.nn.moments(gj.constant([[1.0, 2.0], [3.0, 6.0]]), axes=[0])
    >>> mean.tolist(), variance.tolist()
    ([2.0, 4.0], [1.0, 4.0])
    """
    operand = as_operand(x)
    return reduce_mean(operand, axes, keepdims), reduce_variance(operand, axes, keepdims)


__all__ = [
    "moments",
    "reduce_std",
    "reduce_variance",
]
