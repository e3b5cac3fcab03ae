"""Rounding to whole numbers, and asking what kind of float an element is; all of them are flat."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..families import FLAT, binary, unary
from ..op import Example
from ..operand import as_operand, for_numpy, public
from ..tensortype import bool_

_HALVES = (Example((np.array([-2.5, -1.5, -0.5, -0.0, 0.5, 1.5, 2.5, np.inf, np.nan]),)),)

floor = unary(
    "floor", np.floor, "floor({0})", FLAT,
    doc="The greatest whole number that is not above x.", examples=_HALVES,
)  # fmt: skip
ceil = unary(
    "ceil", np.ceil, "ceil({0})", FLAT,
    doc="The least whole number that is not below x.", examples=_HALVES,
)  # fmt: skip
rint = unary(
    "rint", np.rint, "rint({0})", FLAT,
    doc="The nearest whole number; halves go to the even one.", examples=_HALVES,
)  # fmt: skip
trunc = unary(
    "trunc", np.trunc, "trunc({0})", FLAT,
    doc="The whole number next to x on the side of 0.", examples=_HALVES,
)  # fmt: skip


@public()
def round(x: Any, name: str | None = None) -> Any:  # noqa: A001 -- TensorFlow's name
    """The nearest whole number, halves going to the even one; integers stay what they are.

    Raises:
      DtypeError: for bool and complex tensors.

    >>> import graphjit as gj
    >>> print(gj.round([0.5, 1.5, 2.5]))
    gj.Tensor([0. 2. 2.], shape=(3,), dtype=float32)
    """
    operand = as_operand(x)
    return operand if operand.type.dtype.is_integer else rint(operand)


@for_numpy(np.round, np.around)
def _numpy_round(a: Any, decimals: int = 0) -> Any:
    operand = as_operand(a)
    if decimals == 0 or (operand.type.dtype.is_integer and decimals > 0):
        return round(operand)
    scale = 10.0 ** np.abs(decimals)
    return rint(operand * scale) / scale if decimals > 0 else rint(operand / scale) * scale


for_numpy(np.fix)(trunc)

_KINDS_OF_FLOATS = (Example((np.array([np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.0]),)),)

isnan = unary(
    "isnan", np.isnan, "isnan({0})", FLAT,
    doc="Whether an element is NaN.", result=bool_, examples=_KINDS_OF_FLOATS,
)  # fmt: skip
isinf = unary(
    "isinf", np.isinf, "isinf({0})", FLAT,
    doc="Whether an element is infinite.", result=bool_, examples=_KINDS_OF_FLOATS,
)  # fmt: skip
isfinite = unary(
    "isfinite", np.isfinite, "isfinite({0})", FLAT,
    doc="Whether an element is neither infinite nor NaN.", result=bool_, examples=_KINDS_OF_FLOATS,
)  # fmt: skip
signbit = unary(
    "signbit", np.signbit, "signbit({0})", FLAT,
    doc="Whether an element's sign bit is set: below 0, or -0.0 (NumPy's).", result=bool_,
    examples=_KINDS_OF_FLOATS,
)  # fmt: skip
nextafter = binary(
    "nextafter", np.nextafter, "nextafter({0}, {1})", FLAT,
    doc="The float next to x on the side of y.", dtypes="f",
)  # fmt: skip


__all__ = [
    "ceil",
    "floor",
    "isfinite",
    "isinf",
    "isnan",
    "nextafter",
    "rint",
    "round",
    "signbit",
    "trunc",
]
