"""Picking by truth: boolean_mask, and the positions where a condition is true.

How many there are is known only when they run, so the results have a size of None in graphs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import as_operand, public, require_kind
from ..tensortype import TensorType, int64, normalize_axis

Array = np.ndarray[Any, Any]


def _mask_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    type, mask = types
    _require_mask(type, mask, axis)
    return (TensorType(type.dtype, (*type.shape[:axis], None, *type.shape[axis + mask.rank :])),)


def _require_mask(type: TensorType, mask: TensorType, axis: int) -> None:
    require_kind(mask, "b", "the mask")
    covered = type.shape[axis : axis + mask.rank]
    fits = len(covered) == mask.rank and all(
        a is None or b is None or a == b for a, b in zip(covered, mask.shape, strict=True)
    )
    if not mask.rank or not fits:
        raise ShapeError(f"a mask of shape {mask.shape} does not fit axis {axis} of shape {type.shape}")


def _masked_array(x: Array, mask: Array, *, axis: int) -> Array:
    if x.shape[axis : axis + mask.ndim] != mask.shape:
        raise ShapeError(f"boolean_mask: a mask of shape {mask.shape} does not fit axis {axis} of shape {x.shape}")
    return np.array(x[(slice(None),) * axis + (mask,)])


boolean_mask_op: Op = declare(
    Op(
        name="boolean_mask",
        kind=Kind.CALL,
        infer=_mask_type,
        numpy=_masked_array,
        gradient=[lambda g, y, x, mask, *, axis: apply(unmask_op, g, mask, axis=axis), None],
        fails=lambda types, attributes: not all(type.is_static for type in types),
        examples=(
            Example(("f64[3,2]", np.array([True, False, True])), {"axis": 0}),
            Example(("f64[2,2]", np.array([[True, False], [True, True]])), {"axis": 0}),
            Example(("f64[2,3]", np.array([False, False, False])), {"axis": 1}),
        ),
        doc="The slices where the mask is true.",
    )
)


def _unmask_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    g, mask = types
    return (TensorType(g.dtype, (*g.shape[:axis], *mask.shape, *g.shape[axis + 1 :])),)


def _unmasked_array(g: Array, mask: Array, *, axis: int) -> Array:
    result = np.zeros((*g.shape[:axis], *mask.shape, *g.shape[axis + 1 :]), g.dtype)
    result[(slice(None),) * axis + (mask,)] = g
    return result


unmask_op: Op = declare(
    Op(
        name="unmask",
        kind=Kind.CALL,
        infer=_unmask_type,
        numpy=_unmasked_array,
        gradient=[lambda h, y, g, mask, *, axis: apply(boolean_mask_op, h, mask, axis=axis), None],
        examples=(Example(("f64[2,2]", np.array([True, False, True])), {"axis": 0}),),
        doc="Zeros with the slices of g where the mask is true: the gradient of boolean_mask.",
    )
)


@public()
def boolean_mask(tensor: Any, mask: Any, axis: int | None = None, name: str = "boolean_mask") -> Any:
    """The slices of `tensor` where `mask` is true, along `axis` (0 by default).

    The size of the result is known only when it runs.

    Raises:
      ShapeError: if the mask's shape does not fit.

    >>> import graphjit as gj
    >>> print(gj.boolean_mask([1, 2, 3], [True, False, True]))
    gj.Tensor([1 3], shape=(2,), dtype=int32)
    """
    operand = as_operand(tensor)
    where = 0 if axis is None else normalize_axis(axis, operand.type.rank)
    return apply(boolean_mask_op, operand, as_operand(mask), axis=where)


where_indices_op: Op = declare(
    Op(
        name="where_indices",
        kind=Kind.CALL,
        infer=lambda types: (TensorType(int64, (None, types[0].rank)),),
        numpy=lambda condition: np.argwhere(condition).astype(np.int64),
        gradient=Differentiability.NONE,
        examples=(
            Example((np.array([[True, False], [True, True]]),)),
            Example((np.array([False, False]),)),
        ),
        doc="The index tuples at which the condition is true (not zero), in row-major order.",
    )
)


@public()
def where_indices(condition: Any, name: str | None = None) -> Any:
    """The index tuples at which `condition` is true, or not zero, as int64 of shape [n, rank]: `gj.where(condition)`.

    >>> import graphjit as gj
    >>> print(gj.where([True, False, True]))
    gj.Tensor(
    [[0]
     [2]], shape=(2, 1), dtype=int64)
    """
    return apply(where_indices_op, as_operand(condition))


__all__ = ["boolean_mask"]
