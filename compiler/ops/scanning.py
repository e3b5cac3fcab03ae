"""Scans: running sums and products along one axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..batchrules import axes_shift
from ..dispatch import apply
from ..op import Example, Kind, Op, declare
from ..operand import as_operand, public, require_kind
from ..tensortype import TensorType, normalize_axis
from .padding import pad
from .reduction import Array, widened
from .slicing import slice_along


def _scan_type(types: tuple[TensorType, ...], *, axis: int, exclusive: bool, reverse: bool) -> tuple[TensorType, ...]:
    require_kind(types[0], "iuf")
    normalize_axis(axis, types[0].rank)
    return (types[0],)


def _along(axis: int, *part: int | None) -> tuple[slice, ...]:
    return (slice(None),) * axis + (slice(*part),)


def _scanned(x: Array, combine: np.ufunc, axis: int, exclusive: bool, reverse: bool) -> Array:
    ahead = np.flip(x, axis) if reverse else x
    wide = widened(ahead)
    result = combine.accumulate(wide, axis=axis, dtype=wide.dtype).astype(x.dtype)
    if exclusive:
        shifted = np.full_like(result, combine.identity)
        shifted[_along(axis, 1, None)] = result[_along(axis, None, -1)]
        result = shifted
    return np.ascontiguousarray(np.flip(result, axis)) if reverse else result


def _cumsum_array(x: Array, *, axis: int, exclusive: bool, reverse: bool) -> Array:
    return _scanned(x, np.add, axis, exclusive, reverse)


def _cumprod_array(x: Array, *, axis: int, exclusive: bool, reverse: bool) -> Array:
    return _scanned(x, np.multiply, axis, exclusive, reverse)


def _next_along(x: Any, axis: int, reverse: bool) -> Any:
    """Each element replaced by the one after it (in the scan's direction), the last one by 0."""
    paddings = [(0, 0)] * x.type.rank
    paddings[axis] = (1, 0) if reverse else (0, 1)
    wider = pad(x, paddings)
    return slice_along(wider, axis, 0, -1) if reverse else slice_along(wider, axis, 1, None)


def _cumsum_gradient(g: Any, y: Any, x: Any, *, axis: int, exclusive: bool, reverse: bool) -> Any:
    return cumsum(g, axis, exclusive, not reverse)


def _cumprod_gradient(g: Any, y: Any, x: Any, *, axis: int, exclusive: bool, reverse: bool) -> Any:
    """Exact where elements are zero, so nothing is divided by x.

    Element k goes into result i as (product before k) * (product from k + 1 to i), so its
    cotangent is the exclusive product times r[k] = g[k] + x[k+1] * r[k+1].
    """
    before = cumprod(x, axis, exclusive=True, reverse=reverse)
    incoming = _next_along(g, axis, reverse) if exclusive else g
    rest = linear_scan(_next_along(x, axis, reverse), incoming, axis, not reverse)
    return before * rest


def _scan_examples() -> tuple[Example, ...]:
    cases = (("f64[5]", 0), ("f64[2,3]", 1), ("f64[3,4,2]", 1), ("f64[0,3]", 0), ("f64[2,0]", 1))
    flags = ((False, False), (True, False), (False, True), (True, True))
    return tuple(
        Example((operand,), {"axis": axis, "exclusive": exclusive, "reverse": reverse})
        for operand, axis in cases
        for exclusive, reverse in flags
    )


cumsum_op = declare(
    Op(
        name="cumsum",
        kind=Kind.CALL,
        batch=axes_shift("axis"),
        infer=_scan_type,
        numpy=_cumsum_array,
        gradient=[_cumsum_gradient],
        examples=_scan_examples(),
        dtypes="iuf",
        doc="The running sum along an axis.",
    )
)
cumprod_op = declare(
    Op(
        name="cumprod",
        kind=Kind.CALL,
        batch=axes_shift("axis"),
        infer=_scan_type,
        numpy=_cumprod_array,
        gradient=[_cumprod_gradient],
        examples=(
            *_scan_examples(),
            Example((np.array([2.0, 0.0, 3.0, 0.0, 4.0]),), {"axis": 0, "exclusive": False, "reverse": False}),
        ),
        dtypes="iuf",
        doc="The running product along an axis.",
    )
)


@public()
def cumsum(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Any:
    """The running sum along an axis: element i is the sum of the elements up to i.

    Args:
      x: integers or floats; integers wrap.
      axis: along which the sum runs.
      exclusive: whether element i itself is left out.
      reverse: whether the sum runs from the end.

    Raises:
      ShapeError: if there is no such axis.

    >>> import graphjit as gj
    >>> print(gj.cumsum([1, 2, 3]), gj.cumsum([1, 2, 3], exclusive=True, reverse=True).numpy())
    gj.Tensor([1 3 6], shape=(3,), dtype=int32) [5 3 0]
    """
    return _scan(cumsum_op, x, axis, exclusive, reverse)


@public()
def cumprod(x: Any, axis: int = 0, exclusive: bool = False, reverse: bool = False, name: str | None = None) -> Any:
    """The running product along an axis; the arguments are those of `cumsum`.

    >>> import graphjit as gj
    >>> print(gj.cumprod([1, 2, 3, 4]))
    gj.Tensor([ 1  2  6 24], shape=(4,), dtype=int32)
    """
    return _scan(cumprod_op, x, axis, exclusive, reverse)


def _scan(op: Op, x: Any, axis: int, exclusive: bool, reverse: bool) -> Any:
    operand = as_operand(x)
    along = normalize_axis(axis, operand.type.rank)
    return apply(op, operand, axis=along, exclusive=bool(exclusive), reverse=bool(reverse))


# --- linear recurrences -----------------------------------------------------------------------


def _linear_scan_type(types: tuple[TensorType, ...], *, axis: int, reverse: bool) -> tuple[TensorType, ...]:
    if types[0].shape != types[1].shape:
        raise ShapeError(f"factors of shape {types[0].shape} and terms of shape {types[1].shape} must be alike")
    normalize_axis(axis, types[0].rank)
    return (types[1],)


def _linear_scan_array(factors: Array, terms: Array, *, axis: int, reverse: bool) -> Array:
    a, b = (np.moveaxis(widened(one), axis, 0) for one in (factors, terms))
    results = np.empty_like(b)
    running = np.zeros(b.shape[1:], b.dtype)
    for row in range(len(b))[:: -1 if reverse else 1]:
        running = a[row] * running + b[row]
        results[row] = running
    return np.ascontiguousarray(np.moveaxis(results, 0, axis), dtype=terms.dtype)


def _terms_gradient(g: Any, y: Any, factors: Any, terms: Any, *, axis: int, reverse: bool) -> Any:
    return linear_scan(_next_along(factors, axis, reverse), g, axis, not reverse)


def _factors_gradient(g: Any, y: Any, factors: Any, terms: Any, *, axis: int, reverse: bool) -> Any:
    rest = _terms_gradient(g, y, factors, terms, axis=axis, reverse=reverse)
    return rest * _next_along(y, axis, not reverse)


linear_scan_op = declare(
    Op(
        name="linear_scan",
        kind=Kind.CALL,
        batch=axes_shift("axis"),
        infer=_linear_scan_type,
        numpy=_linear_scan_array,
        gradient=[_factors_gradient, _terms_gradient],
        examples=(
            Example(("f64[5]", "f64[5]"), {"axis": 0, "reverse": False}),
            Example(("f64[2,4,3]", "f64[2,4,3]"), {"axis": 1, "reverse": True}),
            Example(("f64[0,3]", "f64[0,3]"), {"axis": 0, "reverse": False}),
        ),
        doc="r[i] = factors[i] * r[i-1] + terms[i] along an axis.",
    )
)


@public()
def linear_scan(factors: Any, terms: Any, axis: int = 0, reverse: bool = False) -> Any:
    """The linear recurrence r[i] = factors[i] * r[i-1] + terms[i] along an axis, from r = 0.

    With `reverse` it runs from the end. Both operands are floats of one shape.

    >>> from graphjit.compiler.ops.scanning import linear_scan
    >>> import graphjit as gj
    >>> print(linear_scan(gj.constant([9.0, 0.5, 0.5]), gj.constant([1.0, 1.0, 1.0])))
    gj.Tensor([1.   1.5  1.75], shape=(3,), dtype=float32)
    """
    return apply(linear_scan_op, factors, terms, axis=axis, reverse=reverse)


__all__ = ["cumprod", "cumsum"]
