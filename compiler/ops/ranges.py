"""The check that integers lie in a range, as an op that passes them on."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import OutOfRangeError

from ..dispatch import apply
from ..families import infer_elementwise
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import as_operands
from .reduction import Array


def _checked_array(x: Array, limit: Array, *, what: str) -> Array:
    outside = (x < 0) | (x >= limit)
    if np.any(outside):
        place = tuple(int(one) for one in np.argwhere(outside)[0])
        at = f" at {list(place)}" if place else ""
        found = np.broadcast_to(x, outside.shape)[place]
        raise OutOfRangeError(f"{what} {found}{at} is outside of [0, {np.broadcast_to(limit, outside.shape)[place]})")
    return np.array(np.broadcast_to(x, outside.shape))


_INDEX = {"what": "index"}

in_range_op = declare(
    Op(
        name="in_range",
        kind=Kind.ELEMENTWISE,
        infer=lambda types, *, what: infer_elementwise("iu", None)(types),
        numpy=_checked_array,
        gradient=Differentiability.NONE,
        kernel="{0}",
        kernel_check="({0} < {T0}(0)) | ({0} >= {1})",
        error="{what} {0} is outside of [0, {1})",
        error_type=OutOfRangeError,
        fails=True,
        examples=(
            Example((np.array([0, 2, 4], np.int32), np.int32(5)), _INDEX),
            Example((np.array([[0, 1]], np.int64), np.array([[1], [2]], np.int64) + 1), _INDEX),
            Example((np.uint8(3), np.uint8(4)), _INDEX),
            Example((np.zeros((0, 2), np.int32), np.int32(0)), _INDEX),
        ),
        dtypes="iu",
        doc="Integers that must be at least 0 and less than a limit.",
    )
)


def in_range(x: Any, limit: Any, what: str) -> Any:
    """`x`, whose elements must be at least 0 and less than `limit`; errors call them `what`.

    Raises:
      OutOfRangeError: in eager mode and when a graph runs, if one is not.
    """
    return apply(in_range_op, *as_operands(x, limit), what=what)


__all__: list[str] = []
