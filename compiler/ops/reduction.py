"""Reductions: ops that combine the elements along axes.

Reducing no elements gives what combining starts from: 0 for a sum, 1 for a product, minus infinity
(or the least integer) for a maximum. float16 is combined in float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import DivisionByZeroError

from ..batchrules import axes_shift
from ..dispatch import apply
from ..families import FLAT, ReductionKernel, axes_argument, infer_reduction, reduction
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, Composite, as_operand, public
from ..tensortype import DType, TensorType, as_dtype, bool_, element_count, int64, normalize_axes
from .arithmetic import floordiv
from .broadcasting import broadcast_to_shape_of
from .casting import cast
from .comparing import equal, logical_and, not_equal
from .shaping import expand_dims, reshape, reshape_to_shape_of, transpose
from .sizes import Size, size_along, sizes_of

Array = np.ndarray[Any, Any]
Axes = tuple[int, ...]

# --- what reductions share --------------------------------------------------------------------


def with_reduced_axes(value: Any, axis: Axes, keepdims: bool) -> Any:
    """A reduction's result, or its cotangent, with size 1 where axes were reduced: it broadcasts again."""
    if keepdims:
        return value
    for one in axis:
        value = expand_dims(value, one)
    return value


def count_along(x: Any, axis: Axes) -> Size:
    """How many elements go into each result: an integer, or a scalar operand while a size is unknown."""
    count: Size = 1
    for one in axis:
        count = count * size_along(x, one)
    return count


def divided_by_count(x: Any, count: Size) -> Any:
    """x / count, in the dtype of x."""
    return x / (float(count) if isinstance(count, int) else cast(count, x.type.dtype))


def widened(x: Array) -> Array:
    """float16 as float32, in which sums of it are taken; everything else as it is."""
    return x.astype(np.float32) if x.dtype == np.float16 else x


def is_expandable(type: TensorType) -> bool:
    """Whether a definition may be written out.

    Sizes must be known, and float16 stays one step, so that what is between its parts is not rounded.
    """
    return type.is_static and type.dtype.name != "float16"


# --- sums and products ------------------------------------------------------------------------


def _sum(x: Array, *, axis: Axes, keepdims: bool) -> Any:
    return np.sum(widened(x), axis=axis, keepdims=keepdims, dtype=widened(x).dtype).astype(x.dtype, copy=False)


def _sum_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    return broadcast_to_shape_of(with_reduced_axes(g, axis, keepdims), x)


reduce_sum = reduction(
    "reduce_sum", _sum, ReductionKernel(lambda dtype: "0", "accumulate({acc}, {x})"), [_sum_gradient],
    doc="The sum of the elements along axes (all of them by default); integers keep their dtype and wrap.",
    dtypes="iufc",
)  # fmt: skip


def _prod(x: Array, *, axis: Axes, keepdims: bool) -> Any:
    return np.prod(widened(x), axis=axis, keepdims=keepdims, dtype=widened(x).dtype).astype(x.dtype, copy=False)


def _products_of_others(x: Any, axis: int) -> Any:
    """For each element the product of all others along `axis`, which is exact where some are zero."""
    cumprod = PUBLIC["cumprod"]
    return cumprod(x, axis, exclusive=True) * cumprod(x, axis, exclusive=True, reverse=True)


def _prod_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    if not axis:
        return g
    spread = broadcast_to_shape_of(with_reduced_axes(g, axis, keepdims), x)
    if len(axis) == 1:
        return spread * _products_of_others(x, axis[0])
    kept = [one for one in range(x.type.rank) if one not in axis]
    order = (*kept, *axis)
    turned = transpose(x, order)
    flat = reshape(turned, [*sizes_of(turned)[: len(kept)], count_along(x, axis)])
    others = reshape_to_shape_of(_products_of_others(flat, len(kept)), turned)
    return spread * transpose(others, tuple(int(one) for one in np.argsort(order)))


reduce_prod = reduction(
    "reduce_prod", _prod, ReductionKernel(lambda dtype: "1", "accumulate_product({acc}, {x})"), [_prod_gradient],
    doc="The product of the elements along axes (all of them by default); integers keep their dtype and wrap.",
)  # fmt: skip

# --- extremes ---------------------------------------------------------------------------------


def _least(dtype: DType) -> Any:
    return -np.inf if dtype.is_floating else dtype.min


def _greatest(dtype: DType) -> Any:
    return np.inf if dtype.is_floating else dtype.max


def _max(x: Array, *, axis: Axes, keepdims: bool) -> Any:
    """Of zeros with different signs the positive one, which NumPy leaves open."""
    greatest = np.asarray(np.max(x, axis=axis, keepdims=keepdims, initial=_least(as_dtype(x.dtype))))
    if x.dtype.kind != "f" or greatest.all():
        return greatest
    positive = np.any((x == 0) & ~np.signbit(x), axis=axis, keepdims=keepdims)
    zero = np.where(positive, x.dtype.type(0.0), x.dtype.type(-0.0))
    return np.where(greatest == 0, zero, greatest)


def _min(x: Array, *, axis: Axes, keepdims: bool) -> Any:
    """Of zeros with different signs the negative one."""
    if x.dtype.kind == "f":
        return -_max(-x, axis=axis, keepdims=keepdims)
    return np.min(x, axis=axis, keepdims=keepdims, initial=_greatest(as_dtype(x.dtype)))


def _extreme_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """The elements that equal the extreme share the cotangent evenly."""
    extreme = cast(equal(x, with_reduced_axes(y, axis, keepdims)), x.type.dtype)
    count = reduce_sum(extreme, axis, keepdims=True)
    return extreme * (with_reduced_axes(g, axis, keepdims) / count)


reduce_max = reduction(
    "reduce_max", _max, ReductionKernel(lambda dtype: str(_least(dtype)), "maximum({acc}, {x})", "{x}"),
    [_extreme_gradient],
    doc="The greatest element along axes (all of them by default), NaN where one is NaN; "
    "elements that tie share the gradient evenly.",
)  # fmt: skip
reduce_min = reduction(
    "reduce_min", _min, ReductionKernel(lambda dtype: str(_greatest(dtype)), "minimum({acc}, {x})", "-{x}"),
    [_extreme_gradient],
    doc="The smallest element along axes (all of them by default), NaN where one is NaN; "
    "elements that tie share the gradient evenly.",
)  # fmt: skip

# --- truth ------------------------------------------------------------------------------------

reduce_any = reduction(
    "reduce_any", lambda x, *, axis, keepdims: np.any(x, axis=axis, keepdims=keepdims),
    ReductionKernel(lambda dtype: "False", "{acc} | {x}"), FLAT,
    doc="Whether an element along axes (all of them by default) is true.", dtypes="b",
)  # fmt: skip
reduce_all = reduction(
    "reduce_all", lambda x, *, axis, keepdims: np.all(x, axis=axis, keepdims=keepdims),
    ReductionKernel(lambda dtype: "True", "{acc} & {x}"), FLAT,
    doc="Whether all elements along axes (all of them by default) are true.", dtypes="b",
)  # fmt: skip


@public()
def count_nonzero(
    input: Any,
    axis: Any = None,
    keepdims: bool = False,
    dtype: Any = int64,
    name: str | None = None,
) -> Any:
    """How many elements along axes (all of them by default) are not zero, as `dtype`.

    >>> import graphjit as gj
    >>> print(gj.count_nonzero([[0, 3], [4, 5]], axis=1))
    gj.Tensor([1 2], shape=(2,), dtype=int64)
    """
    operand = as_operand(input)
    truth = operand if operand.type.dtype is bool_ else not_equal(operand, 0)
    return reduce_sum(cast(truth, as_dtype(dtype)), axis, keepdims)


# --- mean -------------------------------------------------------------------------------------


def _mean_type(types: tuple[TensorType, ...], *, axis: Axes, keepdims: bool) -> tuple[TensorType, ...]:
    results = infer_reduction("iufc", None)(types, axis=axis, keepdims=keepdims)
    sizes = [types[0].shape[one] for one in normalize_axes(axis, types[0].rank)]
    if types[0].dtype.is_integer and 0 in sizes:
        raise DivisionByZeroError(f"the mean of no integers does not exist; the shape is {types[0].shape}")
    return results


def _mean_array(x: Array, *, axis: Axes, keepdims: bool) -> Any:
    total = np.sum(widened(x), axis=axis, keepdims=keepdims, dtype=widened(x).dtype)
    count = element_count([x.shape[one] for one in axis])
    if x.dtype.kind not in "iu":
        return np.asarray(total / total.dtype.type(count)).astype(x.dtype)
    if count == 0:
        raise DivisionByZeroError(f"reduce_mean: the mean of no integers does not exist; the shape is {x.shape}")
    quotient = np.floor_divide(total, count, dtype=x.dtype)
    return quotient + ((total < 0) & (quotient * x.dtype.type(count) != total)).astype(x.dtype)


def _mean_definition(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    if not is_expandable(x.type):
        return None
    total, count = reduce_sum(x, axis, keepdims), count_along(x, axis)
    if not x.type.dtype.is_integer:
        return divided_by_count(total, count)
    quotient = floordiv(total, count)
    if x.type.dtype.is_unsigned:
        return quotient
    return quotient + cast(logical_and(total < 0, not_equal(quotient * count, total)), x.type.dtype)


def _mean_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    return _sum_gradient(divided_by_count(g, count_along(x, axis)), y, x, axis=axis, keepdims=keepdims)


mean_op = declare(
    Op(
        name="reduce_mean",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=_mean_type,
        numpy=_mean_array,
        definition=_mean_definition,
        gradient=[_mean_gradient],
        fails=lambda types, _: types[0].dtype.is_integer and not types[0].is_static,
        examples=(
            Example(("f64[2,3]",), {"axis": (0, 1), "keepdims": False}),
            Example(("f32[2,3,4]",), {"axis": (1,), "keepdims": True}),
            Example(("f64[]",), {"axis": (), "keepdims": False}),
            Example(("f64[3,0]",), {"axis": (1,), "keepdims": False}, differentiable=False),
            Example((np.array([[-1, -2], [7, 8]], np.int32),), {"axis": (1,), "keepdims": False}),
            Example((np.array([[1, 2], [7, 9]], np.uint8),), {"axis": (0, 1), "keepdims": False}),
            Example((np.array([[1, 2], [7, 60000]], np.float16),), {"axis": (1,), "keepdims": False}),
        ),
        dtypes="iuf",
        doc="The arithmetic mean along axes.",
    )
)


@public()
def reduce_mean(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The arithmetic mean of the elements along axes (all of them by default).

    Integers stay integers: the sum wraps, and its quotient loses the fraction. The mean of no
    elements is NaN.

    Raises:
      DtypeError: for bool.
      DivisionByZeroError: for integers, where there are no elements.

    >>> import graphjit as gj
    >>> print(gj.reduce_mean([[1.0, 2.0], [3.0, 4.0]], axis=0), gj.reduce_mean([1, 2]).numpy())
    gj.Tensor([2. 3.], shape=(2,), dtype=float32) 1
    """
    if isinstance(input_tensor, Composite):
        return input_tensor.reduced(reduce_mean, axis, keepdims)
    operand = as_operand(input_tensor)
    axes = axes_argument(axis, operand.type.rank)
    return apply(mean_op, operand, axis=axes, keepdims=bool(keepdims))


__all__ = [
    "count_nonzero",
    "reduce_all",
    "reduce_any",
    "reduce_max",
    "reduce_mean",
    "reduce_min",
    "reduce_prod",
    "reduce_sum",
]
