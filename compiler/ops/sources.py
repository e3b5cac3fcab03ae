"""Ops that make values out of their attributes only: constants, filled arrays, positions."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Literal
from ..layout import Layout
from ..op import Differentiability, Example, Kind, Op, declare
from ..tensortype import DType, TensorType, float32, int32


def _constant_type(types: tuple[TensorType, ...], *, value: Literal) -> tuple[TensorType, ...]:
    return (value.type,)


constant_op = declare(
    Op(
        name="constant",
        kind=Kind.SOURCE,
        infer=_constant_type,
        numpy=lambda *, value: value.array,
        gradient=Differentiability.NONE,
        examples=(Example((), {"value": Literal(np.array([1.5, -0.0], np.float32))}),),
        doc="An array whose elements are known when the graph is written.",
    )
)


def _filled_type(
    types: tuple[TensorType, ...], *, shape: tuple[int, ...], dtype: DType, **_rest: Any
) -> tuple[TensorType, ...]:
    return (TensorType(dtype, shape),)


def _position_layout(*, shape: tuple[int, ...], dtype: DType, axis: int) -> Layout:
    """Each element is its own place in this layout, so kernels need no buffer for it."""
    return Layout(0, tuple(int(position == axis) for position in range(len(shape))))


iota_op = declare(
    Op(
        name="iota",
        kind=Kind.SOURCE,
        infer=_filled_type,
        numpy=lambda *, shape, dtype, axis: np.broadcast_to(
            np.arange(shape[axis], dtype=dtype.numpy).reshape([-1 if a == axis else 1 for a in range(len(shape))]),
            shape,
        ).copy(),
        kernel=_position_layout,
        gradient=Differentiability.NONE,
        examples=(
            Example((), {"shape": (3,), "dtype": int32, "axis": 0}),
            Example((), {"shape": (2, 3), "dtype": float32, "axis": 1}),
            Example((), {"shape": (0, 3), "dtype": int32, "axis": 0}),
        ),
        doc="Each element's position along `axis`.",
    )
)
