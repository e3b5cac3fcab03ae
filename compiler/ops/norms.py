"""Norms along axes, and tensors scaled to norm 1."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from ..batchrules import axes_shift
from ..dispatch import apply
from ..families import axes_argument, infer_reduction
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, as_operand, for_numpy, public
from ..tensortype import normalize_axes, normalize_axis
from .arithmetic import abs as absolute, divide_no_nan, pow as power, rsqrt, sqrt, square
from .comparing import equal
from .reduction import (
    Array,
    Axes,
    is_expandable,
    reduce_max,
    reduce_min,
    reduce_sum,
    widened,
    with_reduced_axes,
)
from .selecting import maximum, where
from .shaping import squeeze

# --- the Euclidean norm -------------------------------------------------------------------------


def _norm_array(x: Array, *, axis: Axes, keepdims: bool) -> Array:
    wide = widened(x)
    return np.asarray(np.sqrt(np.sum(wide * wide, axis=axis, keepdims=keepdims, dtype=wide.dtype)), dtype=x.dtype)


def _norm_gradient(g: Any, y: Any, x: Any, *, axis: Axes, keepdims: bool) -> Any:
    """x / norm(x), and 0 where the norm is 0."""
    return with_reduced_axes(g, axis, keepdims) * divide_no_nan(x, with_reduced_axes(y, axis, keepdims))


euclidean_norm_op = declare(
    Op(
        name="reduce_euclidean_norm",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=infer_reduction("f", None),
        numpy=_norm_array,
        definition=lambda x, *, axis, keepdims: (
            sqrt(reduce_sum(square(x), axis, keepdims)) if is_expandable(x.type) else None
        ),
        gradient=[_norm_gradient],
        examples=(
            Example(("f64[2,3]",), {"axis": (0, 1), "keepdims": False}),
            Example(("f32[2,3,4]",), {"axis": (1,), "keepdims": True}),
            Example(("f64[]",), {"axis": (), "keepdims": False}),
            Example(("f64[3,0]",), {"axis": (1,), "keepdims": False}),
            Example((np.array([300, 400], np.float16),), {"axis": (0,), "keepdims": False}),
        ),
        ulp=16.0,
        doc="The square root of the sum of squares along axes.",
    )
)


@public()
def reduce_euclidean_norm(input_tensor: Any, axis: Any = None, keepdims: bool = False, name: str | None = None) -> Any:
    """The square root of the sum of squares of floats along axes (all of them by default).

    Its gradient at 0 is 0, not NaN.

    Raises:
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.math.reduce_euclidean_norm([3.0, 4.0]))
    gj.Tensor(5.0, shape=(), dtype=float32)
    """
    operand = as_operand(input_tensor)
    axes = axes_argument(axis, operand.type.rank)
    return apply(euclidean_norm_op, operand, axis=axes, keepdims=bool(keepdims))


# --- other norms ----------------------------------------------------------------------------------


@public()
def norm(
    tensor: Any,
    ord: Any = "euclidean",  # noqa: A002 -- TensorFlow's name
    axis: Any = None,
    keepdims: bool = False,
    name: str | None = None,
) -> Any:
    """The norm of vectors or matrices.

    Args:
      tensor: floats.
      ord: "euclidean", "fro" (for matrices), 1, 2, `np.inf` or, for vectors, any positive number. Of
        matrices, 1 is the greatest sum of a column's absolute values, `np.inf` that of a row's, and 2
        the greatest singular value.
      axis: an integer for vectors, a pair (rows, columns) for matrices, None for all elements as one vector.
      keepdims: whether the axes stay with size 1.

    Raises:
      InvalidArgumentError: if there is no such norm.

    >>> import graphjit as gj, numpy as np
    >>> print(gj.norm([[3.0, 4.0]]), gj.norm([[3.0, -4.0]], ord=np.inf, axis=1).numpy())
    gj.Tensor(5.0, shape=(), dtype=float32) [4.]
    """
    operand = as_operand(tensor)
    if isinstance(axis, list | tuple) and len(axis) == 2:
        return _matrix_norm(operand, ord, axis, keepdims)
    if ord == "fro":
        raise InvalidArgumentError("norm: ord='fro' is for matrices: axis must be a pair of axes")
    return _vector_norm(operand, ord, axis, keepdims)


def _vector_norm(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    if order in ("euclidean", 2):
        return reduce_euclidean_norm(x, axis, keepdims)
    if isinstance(order, str) or not order > 0:
        raise InvalidArgumentError(f"norm: ord={order!r} is no norm of vectors; it is 'euclidean' or a positive number")
    if order == 1:
        return reduce_sum(absolute(x), axis, keepdims)
    if order == math.inf:
        return reduce_max(absolute(x), axis, keepdims)
    total = reduce_sum(power(absolute(x), float(order)), axis, keepdims)
    nothing = equal(total, 0.0)
    # where all elements are 0 the root's slope is infinite and the gradient 0 * inf
    return where(nothing, 0.0, power(where(nothing, 1.0, total), 1.0 / float(order)))


def _matrix_norm(x: Any, order: Any, axis: Any, keepdims: bool) -> Any:
    rows, columns = (normalize_axis(one, x.type.rank) for one in axis)
    if rows == columns:
        raise InvalidArgumentError(f"norm: the axes of a matrix must differ, not {axis!r}")
    if order in ("euclidean", "fro"):
        return reduce_euclidean_norm(x, (rows, columns), keepdims)
    if order in (1, math.inf):
        inner, outer = (rows, columns) if order == 1 else (columns, rows)
        result = reduce_max(reduce_sum(absolute(x), inner, keepdims=True), outer, keepdims=True)
    elif order == 2:
        moved = PUBLIC["moveaxis"](x, (rows, columns), (-2, -1))
        result = reduce_max(PUBLIC["svd"](moved, compute_uv=False), -1)
        for one in sorted((rows, columns)):
            result = PUBLIC["expand_dims"](result, one)
    else:
        raise InvalidArgumentError(f"norm: ord={order!r} is no norm of matrices; it is 'fro', 1, 2 or np.inf")
    return result if keepdims else squeeze(result, (rows, columns))


@for_numpy(np.linalg.norm)
def _numpy_norm(
    x: Any,
    ord: Any = None,  # noqa: A002 -- NumPy's name
    axis: Any = None,
    keepdims: bool = False,
) -> Any:
    """NumPy's norm: with `ord` and no axis, a vector or matrix norm by the rank."""
    operand = as_operand(x)
    if ord is None:
        return reduce_euclidean_norm(operand, axis, keepdims)
    if axis is None:
        if operand.type.rank not in (1, 2):
            raise InvalidArgumentError(f"np.linalg.norm with ord needs a vector or a matrix, not {operand.type}")
        axis = tuple(range(operand.type.rank))
    axes = normalize_axes(axis, operand.type.rank)
    if len(axes) == 2:
        return norm(operand, ord, tuple(np.atleast_1d(axis).tolist()), keepdims)
    if ord == 0:
        return reduce_sum(PUBLIC["cast"](PUBLIC["not_equal"](operand, 0), operand.type.dtype), axes, keepdims)
    if ord == -math.inf:
        return reduce_min(absolute(operand), axes, keepdims)
    return norm(operand, ord, axes[0], keepdims)


@public()
def l2_normalize(x: Any, axis: Any = None, epsilon: float = 1e-12, name: str | None = None) -> Any:
    """x divided by its Euclidean norm along `axis`: x * rsqrt(max(sum(x * x), epsilon)).

    >>> import graphjit as gj
    >>> print(gj.math.l2_normalize(gj.constant([3.0, 4.0])))
    gj.Tensor([0.6 0.8], shape=(2,), dtype=float32)
    """
    operand = as_operand(x)
    total = reduce_sum(square(operand), axis, keepdims=True)
    return operand * rsqrt(maximum(total, float(epsilon)))


__all__ = [
    "l2_normalize",
    "norm",
    "reduce_euclidean_norm",
]
