"""The bits of integers and bools: and, or, exclusive or, inversion, shifts."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..families import FLAT, binary, unary
from ..op import Example
from ..tensortype import TensorType

bitwise_and = binary(
    "bitwise_and", np.bitwise_and, "{0} & {1}", FLAT,
    doc="The bits that both have.", dtypes="biu", commutes=True, absorbs=0.0,
)  # fmt: skip
bitwise_or = binary(
    "bitwise_or", np.bitwise_or, "{0} | {1}", FLAT,
    doc="The bits that one or both have.", dtypes="biu", commutes=True, unit=0.0,
)  # fmt: skip
bitwise_xor = binary(
    "bitwise_xor", np.bitwise_xor, "{0} ^ {1}", FLAT,
    doc="The bits that exactly one has.", dtypes="biu", commutes=True, unit=0.0,
)  # fmt: skip


def _invert_kernel(types: tuple[TensorType, ...], _attributes: Any) -> str:
    return "logical_not({0})" if types[0].dtype.is_bool else "~{0}"


invert = unary(
    "invert", np.invert, _invert_kernel, FLAT,
    doc="All bits exchanged; of a bool, whether it is false.", dtypes="biu",
)  # fmt: skip

_COUNTS = (
    Example((np.array([1, -1, 5, -(2**31), -8], np.int32), np.array([31, 1, 32, 40, -1], np.int32))),
    Example((np.array([1, 255, 255, 7], np.uint8), np.array([7, 4, 8, 200], np.uint8))),
)

left_shift = binary(
    "left_shift", np.left_shift, "shift_left({0}, {1})", FLAT,
    doc="x with its bits moved up by y places; 0 where y is negative or as wide as the dtype.",
    dtypes="iu", domain=(0, 12), examples=_COUNTS,
)  # fmt: skip
right_shift = binary(
    "right_shift", np.right_shift, "shift_right({0}, {1})", FLAT,
    doc="x with its bits moved down by y places, keeping the sign; all of them are moved out where y is "
    "negative or as wide as the dtype.",
    dtypes="iu", domain=(0, 12), examples=_COUNTS,
)  # fmt: skip


__all__ = ["bitwise_and", "bitwise_or", "bitwise_xor", "invert", "left_shift", "right_shift"]
