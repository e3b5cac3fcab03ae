"""NumPy's reductions on tensors: `np.sum(t, axis=0)` and its like, with NumPy's argument names and meaning.

Where NumPy widens, so do these: sums and products of narrow integers and of bool are 64 bits wide, means
of integers are float64. `gj.reduce_sum` and its like keep the dtype.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.runtime.errors import UnimplementedError

from ..operand import as_operand, for_numpy
from ..tensortype import DType, as_dtype, bool_, float64, int64, normalize_axes, uint64
from .arithmetic import sqrt
from .casting import cast
from .comparing import not_equal
from .moments import reduce_std, reduce_variance
from .reduction import (
    count_along,
    count_nonzero,
    reduce_all,
    reduce_any,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
)
from .scanning import cumprod, cumsum
from .shaping import ravel

Reduction = Callable[..., Any]


def refuse_options(what: str, **given: Any) -> None:
    """Refuse options of a NumPy function that tensors have no counterpart for."""
    for name, value in given.items():
        if value is not None:
            raise UnimplementedError(f"np.{what}({name}=...) is not supported for tensors; use gj.where before it")


def _wide(x: Any, dtype: Any) -> Any:
    """The operand in the dtype in which NumPy adds and multiplies."""
    operand = as_operand(x)
    own = operand.type.dtype
    if dtype is not None:
        return cast(operand, as_dtype(dtype))
    if own.is_unsigned:
        return cast(operand, uint64)
    return cast(operand, int64) if own.is_integer or own is bool_ else operand


def _real(x: Any, dtype: Any) -> Any:
    """The operand in the dtype in which NumPy takes means."""
    operand = as_operand(x)
    own = operand.type.dtype
    wanted: DType = as_dtype(dtype) if dtype is not None else float64 if own.is_integer or own is bool_ else own
    return cast(operand, wanted)


def summed_as_numpy(x: Any, axis: Any, dtype: Any) -> Any:
    """The sum along an axis, in the dtype that NumPy gives it."""
    return reduce_sum(_wide(x, dtype), axis)


def _summing(name: str, ours: Reduction) -> Reduction:
    def reduce(
        a: Any,
        axis: Any = None,
        dtype: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        refuse_options(name, out=out, initial=initial, where=where)
        return ours(_wide(a, dtype), axis, keepdims)

    return reduce


def _choosing(name: str, ours: Reduction) -> Reduction:
    def reduce(
        a: Any,
        axis: Any = None,
        out: None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = None,
    ) -> Any:
        refuse_options(name, out=out, initial=initial, where=where)
        return ours(a, axis, keepdims)

    return reduce


def _asking(name: str, ours: Reduction) -> Reduction:
    def reduce(a: Any, axis: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None) -> Any:
        refuse_options(name, out=out, where=where)
        operand = as_operand(a)
        truth = operand if operand.type.dtype is bool_ else not_equal(operand, 0)
        return ours(truth, axis, keepdims)

    return reduce


def _running(name: str, ours: Reduction) -> Reduction:
    def scan(a: Any, axis: int | None = None, dtype: Any = None, out: None = None) -> Any:
        refuse_options(name, out=out)
        operand = _wide(a, dtype)
        return ours(ravel(operand)) if axis is None else ours(operand, axis)

    return scan


for_numpy(np.sum)(_summing("sum", reduce_sum))
for_numpy(np.prod)(_summing("prod", reduce_prod))
for_numpy(np.max, np.amax)(_choosing("max", reduce_max))
for_numpy(np.min, np.amin)(_choosing("min", reduce_min))
for_numpy(np.any)(_asking("any", reduce_any))
for_numpy(np.all)(_asking("all", reduce_all))
for_numpy(np.cumsum)(_running("cumsum", cumsum))
for_numpy(np.cumprod)(_running("cumprod", cumprod))


@for_numpy(np.mean)
def _mean(
    a: Any, axis: Any = None, dtype: Any = None, out: None = None, keepdims: bool = False, *, where: Any = None
) -> Any:
    refuse_options("mean", out=out, where=where)
    return reduce_mean(_real(a, dtype), axis, keepdims)


@for_numpy(np.average)
def _average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    refuse_options("average", weights=weights, returned=returned or None)
    return reduce_mean(_real(a, None), axis, keepdims)


def _freedom(x: Any, axis: Any, less: float) -> Any:
    """What makes a variance over n elements one over n - less."""
    count = cast(count_along(x, normalize_axes(axis, x.type.rank)), x.type.dtype)
    return count / (count - float(less))


@for_numpy(np.var)
def _var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    refuse_options("var", out=out, where=where, mean=mean)
    operand = _real(a, dtype)
    variance = reduce_variance(operand, axis, keepdims)
    less = ddof if correction is None else correction
    return variance * _freedom(operand, axis, less) if less else variance


@for_numpy(np.std)
def _std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = None,
    mean: Any = None,
    correction: float | None = None,
) -> Any:
    refuse_options("std", out=out, where=where, mean=mean)
    operand = _real(a, dtype)
    deviation = reduce_std(operand, axis, keepdims)
    less = ddof if correction is None else correction
    return deviation * sqrt(_freedom(operand, axis, less)) if less else deviation


@for_numpy(np.ptp)
def _peak_to_peak(a: Any, axis: Any = None, out: None = None, keepdims: bool = False) -> Any:
    refuse_options("ptp", out=out)
    return reduce_max(a, axis, keepdims) - reduce_min(a, axis, keepdims)


@for_numpy(np.count_nonzero)
def _count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Any:
    return count_nonzero(a, axis, keepdims)


__all__: list[str] = []
