"""The check that indices lie in a range, as an op that passes on what was computed with them.

So the check runs in the loops of that computation, and stays in a graph as every op that may fail does.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import OutOfRangeError

from ..dispatch import apply
from ..op import Example, Kind, Op, declare
from ..operand import as_operand, require_kind, require_same_dtype
from ..tensortype import TensorType, broadcast_shapes
from .reduction import Array


def _in_range_type(types: tuple[TensorType, ...], *, what: str) -> tuple[TensorType, ...]:
    x, index, limit = types
    require_kind(index, "iu", what)
    require_same_dtype((index, limit))
    return (TensorType(x.dtype, broadcast_shapes(x.shape, index.shape, limit.shape)),)


def require_range(index: Array, limit: Any, what: str) -> None:
    """Refuse an index that is not in [0, limit).

    Raises:
      OutOfRangeError: which names the first such index, and its place.
    """
    outside = (index < 0) | (index >= limit)
    if np.any(outside):
        place = tuple(int(one) for one in np.argwhere(outside)[0])
        at = f" at {list(place)}" if place else ""
        found, least = (np.broadcast_to(one, outside.shape)[place] for one in (index, limit))
        raise OutOfRangeError(f"{what} {found}{at} is outside of [0, {least})")


def _in_range_array(x: Array, index: Array, limit: Array, *, what: str) -> Array:
    require_range(index, limit, what)
    return np.array(np.broadcast_to(x, np.broadcast_shapes(x.shape, index.shape, limit.shape)))


_INDEX = {"what": "index"}

in_range_op = declare(
    Op(
        name="in_range",
        kind=Kind.ELEMENTWISE,
        infer=_in_range_type,
        numpy=_in_range_array,
        gradient=[lambda g, y, x, index, limit, *, what: g, None, None],
        kernel="{0}",
        kernel_check="({1} < {T1}(0)) | ({1} >= {2})",
        error="{what} {1} is outside of [0, {2})",
        error_type=OutOfRangeError,
        fails=True,
        examples=(
            Example(("f64[3]", np.array([0, 2, 4], np.int32), np.int32(5)), _INDEX),
            Example(("f64[2,2]", np.array([[0, 1]], np.int64), np.array([[2], [3]], np.int64)), _INDEX),
            Example(("f32[]", np.uint8(3), np.uint8(4)), _INDEX),
            Example(("f64[0,2]", np.zeros((0, 2), np.int32), np.int32(0)), _INDEX),
        ),
        dtypes="f",
        doc="The first operand, where indices are at least 0 and less than a limit.",
    )
)


def in_range(x: Any, index: Any, limit: Any, what: str) -> Any:
    """`x`, after a check that each index is at least 0 and less than `limit`; errors call it `what`.

    Raises:
      OutOfRangeError: in eager mode and when a graph runs, if one is not.
    """
    return apply(in_range_op, x, index, as_operand(limit, index.type.dtype), what=what)


__all__: list[str] = []
