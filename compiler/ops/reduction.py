"""Reductions: ops that combine the elements along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..families import ReductionKernel, reduction
from ..operand import PUBLIC


def _spread(g: Any, x: Any, axis: tuple[int, ...], keepdims: bool) -> Any:
    """A reduction's cotangent, with size 1 where axes were reduced, so that it broadcasts against x."""
    if keepdims or not axis:
        return g
    for one in axis:
        g = PUBLIC["expand_dims"](g, one)
    return g


def _sum_gradient(g: Any, y: Any, x: Any, *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return PUBLIC["broadcast_to_shape_of"](_spread(g, x, axis, keepdims), x)


def _sum(x: np.ndarray[Any, Any], *, axis: tuple[int, ...], keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


reduce_sum = reduction(
    "reduce_sum", _sum, ReductionKernel(lambda dtype: "0", "accumulate({acc}, {x})"), [_sum_gradient],
    doc="The sum of the elements along axes (all of them by default); integers keep their dtype and wrap.",
)  # fmt: skip
