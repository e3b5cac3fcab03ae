"""Sums of exponentials, without overflow: logsumexp, softmax and log_softmax.

All of them subtract the greatest element first, through which no gradient flows. Each is one line in
a graph, with its own exact gradient, and becomes one kernel over rows when its definition is written out.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..batchrules import axes_shift
from ..dispatch import apply
from ..families import axes_argument, infer_reduction
from ..op import Example, Kind, Op, declare
from ..operand import as_operand, public, require_kind
from ..tensortype import TensorType, normalize_axis
from .comparing import equal
from .reduction import Array, Axes, is_expandable, reduce_max, reduce_sum, widened, with_reduced_axes
from .rounding import isfinite
from .selecting import where
from .shaping import squeeze, stop_gradient
from .transcendental import exp, log

_EXTREME = np.array([[1e4, -1e4, 0.0], [-np.inf, 1.0, -np.inf], [-800.0, -801.0, -802.0]])
_FAR = np.array([[-np.inf, -np.inf], [np.inf, 1.0], [np.nan, 1.0]])

# --- logsumexp ------------------------------------------------------------------------------------


def _finite_maximum(x: Array, axis: Axes) -> Array:
    greatest = np.max(x, axis=axis, keepdims=True, initial=-np.inf)
    return np.asarray(np.where(np.isfinite(greatest), greatest, x.dtype.type(0)))


def _logsumexp_array(x: Array, *, axis: Axes, keepdims: bool) -> Array:
    wide = widened(x)
    shift = _finite_maximum(wide, axis)
    total = np.log(np.sum(np.exp(wide - shift), axis=axis, keepdims=True, dtype=wide.dtype)) + shift
    return np.asarray(total if keepdims else np.squeeze(total, axis), dtype=x.dtype)


def _logsumexp_definition(x: Any, *, axis: Axes, keepdims: bool) -> Any:
    if not is_expandable(x.type):
        return None
    greatest = reduce_max(stop_gradient(x), axis, keepdims=True)
    shift = where(isfinite(greatest), greatest, 0.0)
    total = log(reduce_sum(exp(x - shift), axis, keepdims=True)) + shift
    return total if keepdims else squeeze(total, axis)


def _logsumexp_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """g * exp(x - y), which is 0 where all elements are minus infinity."""
    total = with_reduced_axes(y, axis, keepdims)
    total = where(equal(total, -np.inf), 0.0, total)
    return with_reduced_axes(g, axis, keepdims) * exp(x - total)


logsumexp_op = declare(
    Op(
        name="reduce_logsumexp",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=infer_reduction("f", None),
        numpy=_logsumexp_array,
        definition=_logsumexp_definition,
        gradient=[_logsumexp_gradient],
        examples=(
            Example(("f64[2,3]",), {"axis": (0, 1), "keepdims": False}),
            Example(("f32[2,3,4]",), {"axis": (1,), "keepdims": True}),
            Example(("f64[]",), {"axis": (), "keepdims": False}),
            Example(("f64[3,0]",), {"axis": (1,), "keepdims": False}),
            Example((_EXTREME,), {"axis": (1,), "keepdims": False}, differentiable=False),
            Example((_FAR,), {"axis": (1,), "keepdims": False}, differentiable=False),
        ),
        ulp=16.0,
        doc="log(sum(exp(x))) along axes, without overflow.",
    )
)


@public()
def reduce_logsumexp(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """log(sum(exp(x))) of floats along axes (all of them by default), without overflow.

    Minus infinity where all elements are minus infinity, or where there are none.

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.reduce_logsumexp([1000.0, -1000.0]))
    gj.Tensor(1000.0, shape=(), dtype=float32)
    """
    operand = as_operand(input_tensor)
    axes = axes_argument(axis, operand.type.rank)
    return apply(logsumexp_op, operand, axis=axes, keepdims=bool(keepdims))


# --- softmax --------------------------------------------------------------------------------------


def _row_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    (type,) = types
    require_kind(type, "f", "logits")
    normalize_axis(axis, type.rank)
    return (type,)


def shifted_array(x: Array, axis: int) -> Array:
    """x minus its greatest element along the axis, in the dtype that sums are taken in."""
    wide = widened(x)
    return np.asarray(wide - np.max(wide, axis=axis, keepdims=True, initial=-np.inf))


def shifted(x: Any, axis: int) -> Any:
    """x minus its greatest element along the axis, through which no gradient flows."""
    return x - reduce_max(stop_gradient(x), axis, keepdims=True)


def _softmax_array(x: Array, *, axis: int) -> Array:
    powers = np.exp(shifted_array(x, axis))
    return np.asarray(powers / np.sum(powers, axis=axis, keepdims=True, dtype=powers.dtype), dtype=x.dtype)


def _softmax_definition(x: Any, *, axis: int) -> Any:
    if not is_expandable(x.type):
        return None
    powers = exp(shifted(x, axis))
    return powers / reduce_sum(powers, axis, keepdims=True)


def _softmax_gradient(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    return (g - reduce_sum(g * y, axis, keepdims=True)) * y


def _log_softmax_array(x: Array, *, axis: int) -> Array:
    low = shifted_array(x, axis)
    total = np.sum(np.exp(low), axis=axis, keepdims=True, dtype=low.dtype)
    return np.asarray(low - np.log(total), dtype=x.dtype)


def _log_softmax_definition(x: Any, *, axis: int) -> Any:
    if not is_expandable(x.type):
        return None
    low = shifted(x, axis)
    return low - log(reduce_sum(exp(low), axis, keepdims=True))


def _log_softmax_gradient(g: Any, y: Any, x: Any, *, axis: int) -> Any:
    return g - exp(y) * reduce_sum(g, axis, keepdims=True)


def _declare_row_op(
    name: str,
    numpy: Callable[..., Any],
    definition: Callable[..., Any],
    gradient: Callable[..., Any],
    doc: str,
    ulp: float = 16.0,
) -> Op:
    return declare(
        Op(
            name=name,
            kind=Kind.COMPOSED,
            batch=axes_shift("axis"),
            infer=_row_type,
            numpy=numpy,
            definition=definition,
            gradient=[gradient],
            examples=(
                Example(("f64[2,3]",), {"axis": 1}),
                Example(("f32[4,20]",), {"axis": 1}),
                Example(("f64[2,3,4]",), {"axis": 1}),
                Example(("f64[0,3]",), {"axis": 1}),
                Example(("f64[3,0]",), {"axis": 1}),
                Example((_EXTREME,), {"axis": 1}, differentiable=False),
                Example((_FAR,), {"axis": 1}, differentiable=False),
            ),
            ulp=ulp,
            doc=doc,
        )
    )


softmax_op = _declare_row_op(
    "softmax", _softmax_array, _softmax_definition, _softmax_gradient, "exp(x) / sum(exp(x)) along an axis."
)
log_softmax_op = _declare_row_op(
    "log_softmax", _log_softmax_array, _log_softmax_definition, _log_softmax_gradient,
    "x - log(sum(exp(x))) along an axis.", ulp=512.0,  # near 0 it is a small difference of greater numbers
)  # fmt: skip


@public()
def softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Any:
    """exp(x) / sum(exp(x)) along an axis, the last one by default, without overflow.

    A row is NaN where it holds NaN or plus infinity, or nothing but minus infinity.

    Args:
      logits: floats.
      axis: along which the results add up to 1.

    Raises:
      ShapeError: if there is no such axis; a scalar has none.
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.nn.softmax([[0.0, 0.0], [1000.0, 0.0]]).tolist())
    [[0.5, 0.5], [1.0, 0.0]]
    """
    operand = as_operand(logits)
    return apply(softmax_op, operand, axis=normalize_axis(-1 if axis is None else axis, operand.type.rank))


@public()
def log_softmax(logits: Any, axis: int | None = None, name: str | None = None) -> Any:
    """x - log(sum(exp(x))) along an axis, the last one by default, without overflow; see `softmax`.

    >>> import graphjit as gj
    >>> print(gj.nn.log_softmax([[1000.0, 0.0]]).tolist())
    [[0.0, -1000.0]]
    """
    operand = as_operand(logits)
    return apply(log_softmax_op, operand, axis=normalize_axis(-1 if axis is None else axis, operand.type.rank))


__all__ = [
    "log_softmax",
    "reduce_logsumexp",
    "softmax",
]
