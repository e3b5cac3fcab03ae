"""Pooling: the greatest, or the mean, of each window of a tensor."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..dispatch import apply
from ..op import Example, Kind, Op, declare
from ..operand import as_operand, public, require_kind
from ..tensortype import TensorType
from .comparing import equal, logical_and, logical_not, logical_or
from .joining import stack
from .padding import pad
from .reduction import Array, widened
from .selecting import maximum, where
from .shaping import reshape, transpose
from .slicing import unslice_op
from .windows import Integers, Windows, as_integers, from_last, padded, paddings_for, to_last, windows_of

# --- the greatest element -------------------------------------------------------------------------


def _windows(window: Integers, strides: Integers) -> Windows:
    return Windows(window, strides, (1,) * len(window))


def _pool_type(types: tuple[TensorType, ...], *, window: Integers, strides: Integers) -> tuple[TensorType, ...]:
    x = types[0]
    require_kind(x, "iuf", "x")
    if x.rank != len(window) + 2:
        raise ShapeError(f"x is [batch, ...sizes, channels], a size for each of window {window}, not {x.shape}")
    counts = _windows(window, strides).count(x.shape[1:-1])
    return (TensorType(x.dtype, (x.shape[0], *counts, x.shape[-1])),)


def _over_windows(x: Array, window: Integers, strides: Integers) -> tuple[Array, tuple[int, ...]]:
    view = windows_of(x, _windows(window, strides))
    return view, tuple(range(x.ndim, view.ndim))


def _max_array(x: Array, *, window: Integers, strides: Integers) -> Array:
    view, axes = _over_windows(x, window, strides)
    return np.ascontiguousarray(view.max(axis=axes))


def _max_definition(x: Any, *, window: Integers, strides: Integers) -> Any:
    if not x.type.is_static:
        return None
    windows = _windows(window, strides)
    parts = [windows.elements(x, offset) for offset in windows.offsets()]
    greatest = parts[0]
    for part in parts[1:]:
        greatest = maximum(greatest, part)
    return greatest


def _max_gradient(g: Any, y: Any, x: Any, *, window: Integers, strides: Integers) -> Any:
    """Each window's share goes to the first of its greatest elements, as in TensorFlow."""
    windows = _windows(window, strides)
    taken: Any = None
    shares = []
    for offset in windows.offsets():
        greatest = equal(windows.elements(x, offset), y)
        first = greatest if taken is None else logical_and(greatest, logical_not(taken))
        taken = greatest if taken is None else logical_or(taken, greatest)
        shares.append(where(first, g, 0.0))
    return put_back(shares, x, windows)


def put_back(shares: list[Any], x: Any, windows: Windows) -> Any:
    """The sum of what the windows give to each element: one tensor for each place within the windows."""
    if windows.sizes == windows.strides and x.type.is_static:
        return _side_by_side(shares, x, windows)
    total: Any = None
    for offset, share in zip(windows.offsets(), shares, strict=True):
        begin, end, step = windows.bounds(x.type, offset)
        part = apply(unslice_op, share, x, begin=begin, end=end, step=step)
        total = part if total is None else total + part
    return total


def _side_by_side(shares: list[Any], x: Any, windows: Windows) -> Any:
    """Windows that do not overlap: their elements stand next to each other."""
    axis = windows.rank
    parts = shares
    for size in reversed(windows.sizes):
        parts = [stack(parts[start : start + size], axis + 1) for start in range(0, len(parts), size)]
        axis -= 1
    counts = windows.count(x.type.sizes[1:-1])
    covered = [int(count or 0) * size for count, size in zip(counts, windows.sizes, strict=True)]
    whole = reshape(parts[0], [x.type.shape[0], *covered, x.type.shape[-1]])
    rest = [(0, size - one) for size, one in zip(x.type.shape[1:-1], covered, strict=True)]
    return pad(whole, [(0, 0), *rest, (0, 0)]) if any(map(any, rest)) else whole


def _examples() -> tuple[Example, ...]:
    cases = (
        ("f64[2,4,6,3]", (2, 2), (2, 2)),
        ("f64[1,5,7,2]", (2, 3), (2, 3)),
        ("f64[2,5,5,1]", (3, 3), (2, 1)),
        ("f64[2,7,2]", (3,), (2,)),
        ("f64[2,4,4,4,1]", (2, 2, 2), (2, 2, 2)),
        ("f64[1,3,2]", (1,), (2,)),
        ("f64[0,4,2]", (2,), (2,)),
    )
    return tuple(Example((text,), {"window": window, "strides": strides}) for text, window, strides in cases)


max_pool_op = declare(
    Op(
        name="max_pool",
        kind=Kind.COMPOSED,
        infer=_pool_type,
        numpy=_max_array,
        definition=_max_definition,
        gradient=[_max_gradient],
        fails=lambda types, _: not types[0].is_static,
        examples=_examples(),
        dtypes="iuf",
        doc="The greatest element of each window.",
    )
)

# --- sums -----------------------------------------------------------------------------------------


def _sum_array(x: Array, *, window: Integers, strides: Integers) -> Array:
    view, axes = _over_windows(widened(x), window, strides)
    return np.ascontiguousarray(view.sum(axis=axes, dtype=view.dtype)).astype(x.dtype, copy=False)


def _sum_definition(x: Any, *, window: Integers, strides: Integers) -> Any:
    if not x.type.is_static or x.type.dtype.name == "float16":
        return None
    windows = _windows(window, strides)
    parts = [windows.elements(x, offset) for offset in windows.offsets()]
    return sum(parts[1:], parts[0])


def _sum_gradient(g: Any, y: Any, x: Any, *, window: Integers, strides: Integers) -> Any:
    return put_back([g] * math.prod(window), x, _windows(window, strides))


sum_pool_op: Op = declare(
    Op(
        name="sum_pool",
        kind=Kind.COMPOSED,
        infer=_pool_type,
        numpy=_sum_array,
        definition=_sum_definition,
        gradient=[_sum_gradient],
        fails=lambda types, _: not types[0].is_static,
        examples=_examples(),
        dtypes="iuf",
        ulp=16.0,
        doc="The sum of each window.",
    )
)


# --- public functions -----------------------------------------------------------------------------


def _lowest(dtype: Any) -> Any:
    return -np.inf if dtype.name.startswith("float") else np.iinfo(dtype.numpy).min


def _prepared(x: Any, ksize: Any, strides: Any, data_format: str | None) -> tuple[Any, Integers, Integers]:
    operand = to_last(as_operand(x), data_format, transpose)
    rank = operand.type.rank - 2
    window = as_integers(ksize, rank, "the window")
    return operand, window, window if strides is None else as_integers(strides, rank, "strides")


@public()
def max_pool(
    input: Any,
    ksize: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """The greatest element of each window; its gradient goes to the first such element.

    Args:
      input: shape [batch, ...sizes, channels].
      ksize: the window: one number, or one for each axis.
      strides: from window to window; by default the window's size.
      padding: "VALID", or "SAME" to let windows reach over the edge, where they see nothing.

    >>> import graphjit as gj
    >>> print(gj.nn.max_pool([[[1.0], [3.0], [2.0], [0.0]]], 2).numpy().ravel())
    [3. 2.]
    """
    x, window, by = _prepared(input, ksize, strides, data_format)
    pairs = paddings_for(x.type, _windows(window, by), padding)
    pooled = apply(max_pool_op, padded(x, pairs, _lowest(x.dtype)), window=window, strides=by)
    return from_last(pooled, data_format, transpose)


@public()
def avg_pool(
    input: Any,
    ksize: Any,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: str | None = None,
    name: str | None = None,
) -> Any:
    """The mean of each window; arguments: see `max_pool`. What lies over the edge does not count.

    >>> import graphjit as gj
    >>> print(gj.nn.avg_pool([[[1.0], [3.0], [2.0]]], 2, padding="SAME").numpy().ravel())
    [2. 2.]
    """
    x, window, by = _prepared(input, ksize, strides, data_format)
    require_kind(x.type, "f", "avg_pool: input")
    windows = _windows(window, by)
    pairs = paddings_for(x.type, windows, padding)
    sums = apply(sum_pool_op, padded(x, pairs), window=window, strides=by)
    if not any(map(any, pairs)):
        return from_last(sums / float(math.prod(window)), data_format, transpose)
    counts = _counts(x.type, pairs, windows).astype(x.dtype.numpy)
    return from_last(sums / counts, data_format, transpose)


def _counts(x: TensorType, pairs: list[tuple[int, int]], windows: Windows) -> Array:
    """How many elements of the tensor itself each window sees: shape [1, ...counts, 1]."""
    if None in x.shape[1:-1]:
        raise ShapeError("avg_pool over the edge needs sizes that are known when the function is traced")
    inside = np.pad(np.ones(x.sizes[1:-1]), pairs)[None, ..., None]
    return _sum_array(inside, window=windows.sizes, strides=windows.strides)


__all__ = ["avg_pool", "max_pool"]
