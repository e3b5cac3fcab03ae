"""Comparisons, and the logic of bool tensors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..families import FLAT, binary, comparison, unary
from ..operand import PUBLIC, as_operands, for_numpy, public

equal = comparison(
    "equal", np.equal, "==", doc="x == y, element by element; NaN equals nothing.", dtypes="biufcO", commutes=True
)
not_equal = comparison(
    "not_equal", np.not_equal, "!=", doc="x != y, element by element.", dtypes="biufcO", commutes=True
)
less = comparison("less", np.less, "<", doc="x < y, element by element.")
less_equal = comparison("less_equal", np.less_equal, "<=", doc="x <= y, element by element.")
greater = comparison("greater", np.greater, ">", doc="x > y, element by element.")
greater_equal = comparison("greater_equal", np.greater_equal, ">=", doc="x >= y, element by element.")

logical_and = binary(
    "logical_and", np.logical_and, "{0} & {1}", FLAT,
    doc="Whether both elements are true.", dtypes="b", commutes=True, unit=1.0, absorbs=0.0,
)  # fmt: skip
logical_or = binary(
    "logical_or", np.logical_or, "{0} | {1}", FLAT,
    doc="Whether one or both elements are true.", dtypes="b", commutes=True, unit=0.0, absorbs=1.0,
)  # fmt: skip
logical_xor = binary(
    "logical_xor", np.logical_xor, "{0} ^ {1}", FLAT,
    doc="Whether exactly one element is true.", dtypes="b", commutes=True, unit=0.0,
)  # fmt: skip
logical_not = unary(
    "logical_not", np.logical_not, "logical_not({0})", FLAT,
    doc="Whether an element is false.", dtypes="b",
)  # fmt: skip


@public(numpy=np.isclose)
def isclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether |a - b| <= atol + rtol * |b|, or both are the same infinity (NumPy's).

    Args:
      a, b: floats of one dtype; the shapes broadcast.
      rtol, atol: relative and absolute tolerance.
      equal_nan: whether two NaNs are close.

    >>> import graphjit as gj
    >>> print(gj.isclose([1.0, 2.0], [1.0, 2.1]))
    gj.Tensor([ True False], shape=(2,), dtype=bool)
    """
    left, right = as_operands(a, b)
    near = PUBLIC["abs"](left - right) <= atol + rtol * PUBLIC["abs"](right)
    close = logical_or(logical_and(near, PUBLIC["isfinite"](right)), equal(left, right))
    if not equal_nan:
        return close
    return logical_or(close, logical_and(PUBLIC["isnan"](left), PUBLIC["isnan"](right)))


@for_numpy(np.allclose)
def allclose(a: Any, b: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False) -> Any:
    """Whether all elements are close, as a scalar bool tensor (NumPy's; see `isclose`)."""
    return PUBLIC["reduce_all"](isclose(a, b, rtol, atol, equal_nan))


@for_numpy(np.array_equal)
def _array_equal(a1: Any, a2: Any) -> Any:
    left, right = as_operands(a1, a2)
    if left.type.rank != right.type.rank or (
        left.type.is_static and right.type.is_static and left.type.shape != right.type.shape
    ):
        return PUBLIC["zeros"]((), dtype="bool")
    return PUBLIC["reduce_all"](equal(left, right))


__all__ = [
    "allclose",
    "equal",
    "greater",
    "greater_equal",
    "isclose",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
]
