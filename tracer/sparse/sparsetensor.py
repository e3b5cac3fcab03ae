"""SparseTensor: the elements that are not zero, their places, and the shape of the whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, Composite, as_operand
from graphjit.compiler.ops.sparsity import checked_places_op, require_places
from graphjit.compiler.tensortype import DType, Shape, TensorShape, int64
from graphjit.compiler.writer import static_value
from graphjit.runtime.errors import DtypeError, ShapeError

from ..structure import register_structure
from ..tensor import Tensor

KEEPS_ZERO = frozenset(
    [
        "abs",
        "sign",
        "square",
        "sqrt",
        "negative",
        "sin",
        "tan",
        "sinh",
        "tanh",
        "asin",
        "asinh",
        "atan",
        "atanh",
        "expm1",
        "log1p",
        "floor",
        "ceil",
        "round",
        "rint",
        "relu",
        "erf",
        "cbrt",
    ]
)
"""Elementwise functions that are zero at zero, so that what is sparse stays sparse."""


class SparseTensor(Composite):
    """A tensor most of whose elements are zero; it can be an argument and a result of compiled functions.

    Args:
      indices: int64 of shape (n, rank): the place of each element.
      values: the elements, of shape (n,).
      dense_shape: the shape of the whole; traces depend on it.

    Raises:
      ShapeError: if these do not belong together.
      OutOfRangeError: if a place lies outside of the shape.

    >>> import graphjit as gj
    >>> x = gj.SparseTensor(indices=[[0, 1], [1, 0]], values=[1.0, 2.0], dense_shape=[2, 3])
    >>> print(x)
    gj.SparseTensor(indices=[[0, 1], [1, 0]], values=[1.0, 2.0], shape=(2, 3), dtype=float32)
    >>> print((x @ gj.constant([[1.0], [2.0], [3.0]])).numpy().tolist(), gj.sparse.to_dense(x * 10).numpy().tolist())
    [[2.0], [2.0]] [[0.0, 10.0, 0.0], [20.0, 0.0, 0.0]]
    """

    __slots__ = ("_dense_shape", "_indices", "_static", "_values")

    def __init__(self, indices: Any, values: Any, dense_shape: Any) -> None:
        sizes = PUBLIC["cast"](as_operand(_listed(dense_shape), int64), int64)
        places = PUBLIC["cast"](as_operand(indices, int64), int64)
        if sizes.type.rank != 1 or sizes.type.shape[0] is None:
            raise ShapeError(f"SparseTensor: dense_shape is a vector with a size for each axis, not {sizes.shape}")
        rank = sizes.type.shape[0]
        if places.type.is_static and not places.type.element_count:
            places = PUBLIC["reshape"](places, (0, rank))
        self._values = as_operand(values)
        if require_places(places.type, self._values.type) != rank:
            raise ShapeError(f"SparseTensor: indices of shape {places.shape} for a dense_shape of {rank} sizes")
        self._indices = apply(checked_places_op, places, sizes)
        self._dense_shape = sizes
        known = static_value(sizes)
        self._static: Shape = (None,) * rank if known is None else tuple(int(size) for size in known)

    @classmethod
    def of_parts(cls, indices: Any, values: Any, dense_shape: Any, static: Shape) -> SparseTensor:
        """One whose parts are in order."""
        made = cls.__new__(cls)
        made._indices, made._values, made._dense_shape, made._static = indices, values, dense_shape, static
        return made

    @property
    def indices(self) -> Any:
        """The place of each element, as int64 of shape (n, rank)."""
        return self._indices

    @property
    def values(self) -> Any:
        """The elements."""
        return self._values

    flat_values = values

    @property
    def dense_shape(self) -> Any:
        """The shape of the whole, as an int64 vector."""
        if isinstance(self._dense_shape, Tensor) or None in self._static:
            return self._dense_shape
        return as_operand(list(self._static), int64)

    @property
    def static_shape(self) -> Shape:
        """The shape, with None for sizes that only a run will tell."""
        if isinstance(self._dense_shape, Tensor):
            return tuple(self._dense_shape.tolist())
        return self._static

    @property
    def shape(self) -> TensorShape:
        """The shape of the whole."""
        return TensorShape(self.static_shape)

    def get_shape(self) -> TensorShape:
        """The same as `shape`."""
        return self.shape

    @property
    def rank(self) -> int:
        """How many axes the whole has."""
        return len(self._static)

    @property
    def dtype(self) -> DType:
        """The element type."""
        found: DType = self._values.dtype
        return found

    def with_values(self, new_values: Any) -> SparseTensor:
        """Other elements in the same places.

        Raises:
          ShapeError: if there are not as many.
        """
        operand = as_operand(new_values)
        require_places(self._indices.type, operand.type)
        return SparseTensor.of_parts(self._indices, operand, self._dense_shape, self.static_shape)

    def with_flat_values(self, values: Any) -> SparseTensor:
        """The same as `with_values`."""
        return self.with_values(values)

    def elementwise(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
        from . import arithmetic

        name = function.__name__
        if len(operands) == 1 and name in KEEPS_ZERO:
            return self.with_values(function(self._values))
        if len(operands) == 2 and name in arithmetic.BINARY:
            return arithmetic.BINARY[name](function, *operands)
        raise DtypeError(
            f"{name} of a sparse tensor would be full of other elements than zeros; "
            "make a tensor of it with gj.sparse.to_dense, or change its elements with gj.sparse.map_values"
        )

    def reduced(self, function: Callable[..., Any], axis: Any, keepdims: bool) -> Any:
        from .arithmetic import reduce_sum

        if function.__name__ == "reduce_sum":
            return reduce_sum(self, axis, keepdims)
        raise DtypeError(
            f"{function.__name__} of a sparse tensor is not there; use gj.sparse.reduce_sum or gj.sparse.to_dense"
        )

    def product(self, left: Any, right: Any, transpose_left: bool, transpose_right: bool) -> Any:
        from .arithmetic import sparse_dense_matmul

        return sparse_dense_matmul(left, right, transpose_left, transpose_right)

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **keywords: Any) -> Any:
        """An array on the left of @ leaves the product to us."""
        if ufunc is np.matmul and method == "__call__" and not keywords:
            left, right = inputs
            return self.product(left, right, False, False)
        return super().__array_ufunc__(ufunc, method, *inputs, **keywords)

    def __getitem__(self, key: Any) -> Any:
        raise DtypeError("a sparse tensor is not indexed; cut a part out with gj.sparse.slice(x, start, size)")

    def __bool__(self) -> bool:
        raise DtypeError("a sparse tensor is neither true nor false")

    def __repr__(self) -> str:
        parts = (self._indices, self._values)
        shown = [one.tolist() if isinstance(one, Tensor) else repr(one) for one in parts]
        return f"gj.SparseTensor(indices={shown[0]}, values={shown[1]}, shape={self.shape}, dtype={self.dtype.name})"

    __str__ = __repr__


def _listed(shape: Any) -> Any:
    return shape.as_list() if isinstance(shape, TensorShape) else shape


register_structure(
    SparseTensor,
    lambda sparse: ((sparse._indices, sparse._values, sparse._dense_shape), sparse.static_shape),
    lambda static, parts: SparseTensor.of_parts(parts[0], parts[1], parts[2], static),
    names=("indices", "values", "dense_shape"),
)

__all__ = ["SparseTensor"]
