"""Computing with sparse tensors: sums, products, elements of dense tensors at their places."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.compiler.ops.sparsity import merged_places_op, product_op, sum_at_op
from graphjit.compiler.tensortype import TensorShape, normalize_axes
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

from .places import kept_columns, linear, require_sparse, unravelled
from .sparsetensor import SparseTensor


def sparse_dense_matmul(
    sp_a: Any, b: Any, adjoint_a: bool = False, adjoint_b: bool = False, name: str | None = None
) -> Any:
    """The product of a sparse and a dense matrix, or of a dense and a sparse one.

    Args:
      sp_a: a sparse matrix; or a dense one, if `b` is sparse.
      b: a dense matrix.
      adjoint_a, adjoint_b: whether a factor is transposed first.

    Raises:
      ShapeError: if the shapes do not fit.

    >>> import graphjit as gj
    >>> eye = gj.sparse.eye(2)
    >>> print(gj.sparse.sparse_dense_matmul(eye, [[1.0, 2.0], [3.0, 4.0]]).numpy().tolist())
    [[1.0, 2.0], [3.0, 4.0]]
    """
    if isinstance(b, SparseTensor) and not isinstance(sp_a, SparseTensor):
        # (a b)' = b' a', where the sparse factor comes first
        found = sparse_dense_matmul(b, sp_a, not adjoint_b, not adjoint_a)
        return PUBLIC["transpose"](found)
    require_sparse(sp_a, "sparse.sparse_dense_matmul")
    if isinstance(b, SparseTensor):
        raise DtypeError("sparse.sparse_dense_matmul: both factors are sparse; make a tensor of one with to_dense")
    dense = as_operand(b, sp_a.dtype)
    return apply(
        product_op, sp_a.indices, sp_a.values, sp_a.dense_shape, dense,
        shape=sp_a.static_shape, adjoint_a=bool(adjoint_a), adjoint_b=bool(adjoint_b),
    )  # fmt: skip


def reduce_sum(
    sp_input: SparseTensor,
    axis: Any = None,
    keepdims: bool = False,
    output_is_sparse: bool = False,
    name: str | None = None,
) -> Any:
    """The sum of the elements along axes (all of them by default), as a dense tensor.

    Args:
      sp_input: a sparse tensor.
      axis: an axis, a list of axes, or None.
      keepdims: whether the axes stay, with size 1.
      output_is_sparse: whether the sums are a sparse tensor.

    >>> import graphjit as gj
    >>> print(gj.sparse.reduce_sum(gj.sparse.from_dense([[1, 0, 2], [0, 3, 0]]), axis=1))
    gj.Tensor([3 3], shape=(2,), dtype=int32)
    """
    from .making import from_dense

    require_sparse(sp_input, "sparse.reduce_sum")
    axes = normalize_axes(axis, sp_input.rank)
    kept = [one for one in range(sp_input.rank) if one not in axes]
    found = PUBLIC["reduce_sum"](sp_input.values)
    if kept:
        places, sizes, static = kept_columns(sp_input, kept)
        found = PUBLIC["scatter_nd"](places, sp_input.values, static if None not in static else sizes)
    if keepdims:
        for one in axes:
            found = PUBLIC["expand_dims"](found, one)
    return from_dense(found) if output_is_sparse else found


def add(a: Any, b: Any, threshold: Any = 0) -> Any:
    """The sum: sparse of two sparse tensors, dense if one is dense.

    Args:
      a, b: of one shape and dtype; at least one is sparse.
      threshold: elements of a sparse sum whose magnitude is less are left out.

    Raises:
      ShapeError: if the shapes differ.

    >>> import graphjit as gj
    >>> x = gj.sparse.from_dense([1, 0, 2])
    >>> print(gj.sparse.add(x, x), gj.sparse.add(x, [1, 1, 1]).numpy())
    gj.SparseTensor(indices=[[0], [2]], values=[2, 4], shape=(3,), dtype=int32) [2 1 3]
    """
    if not isinstance(a, SparseTensor) and not isinstance(b, SparseTensor):
        raise DtypeError("sparse.add: at least one of the two must be sparse; use gj.add for dense tensors")
    if not isinstance(a, SparseTensor) or not isinstance(b, SparseTensor):
        return _plus_dense(*((a, b) if isinstance(a, SparseTensor) else (b, a)))
    _require_shape(a, b.shape)
    places, positions = apply(merged_places_op, PUBLIC["concat"]([linear(a), linear(b)], 0))
    values = apply(sum_at_op, PUBLIC["concat"]([a.values, b.values], 0), positions, places)
    found = SparseTensor.of_parts(unravelled(places, a.dense_shape), values, a.dense_shape, a.static_shape)
    return found if isinstance(threshold, int | float) and threshold == 0 else _above(found, threshold)


def _above(sparse: SparseTensor, threshold: Any) -> SparseTensor:
    from .arranging import retain

    return retain(sparse, PUBLIC["greater_equal"](PUBLIC["abs"](sparse.values), threshold))


def _require_shape(sparse: SparseTensor, shape: TensorShape) -> None:
    if not sparse.shape.is_compatible_with(shape):
        raise ShapeError(f"a sparse tensor of shape {sparse.shape} does not go with one of shape {shape}")


def _plus_dense(sparse: SparseTensor, dense: Any) -> Any:
    operand = as_operand(dense, sparse.dtype)
    if not operand.type.rank:
        raise DtypeError(
            "a sparse tensor plus a number would be full of other elements than zeros; use gj.sparse.to_dense first"
        )
    _require_shape(sparse, operand.shape)
    return PUBLIC["tensor_scatter_nd_add"](operand, sparse.indices, sparse.values)


def _sum(function: Callable[..., Any], a: Any, b: Any) -> Any:
    return add(a, b)


def _difference(function: Callable[..., Any], a: Any, b: Any) -> Any:
    return add(a, b.with_values(-b.values) if isinstance(b, SparseTensor) else -as_operand(b, a.dtype))


def _product(function: Callable[..., Any], a: Any, b: Any) -> Any:
    sparse, other = (a, b) if isinstance(a, SparseTensor) else (b, a)
    if isinstance(other, SparseTensor):
        raise InvalidArgumentError("the product of two sparse tensors, element by element, is not there")
    factor = _at_places(sparse, other)
    return sparse.with_values(function(sparse.values, factor) if sparse is a else function(factor, sparse.values))


def _quotient(function: Callable[..., Any], a: Any, b: Any) -> Any:
    if isinstance(b, SparseTensor):
        raise InvalidArgumentError("what is divided by a sparse tensor is divided by zeros")
    return _product(function, a, b)


def _at_places(sparse: SparseTensor, value: Any) -> Any:
    """A number as it is; of a dense tensor that broadcasts the elements at the places of the sparse one's."""
    operand = as_operand(value, sparse.dtype)
    if not operand.type.rank:
        return operand
    whole = sparse.static_shape if None not in sparse.static_shape else sparse.dense_shape
    return PUBLIC["gather_nd"](PUBLIC["broadcast_to"](operand, whole), sparse.indices)


BINARY: dict[str, Callable[..., Any]] = {
    "add": _sum,
    "subtract": _difference,
    "multiply": _product,
    "divide": _quotient,
}
"""What arithmetic on sparse tensors does, by the name of the function: `(function, left, right) -> result`."""

__all__ = ["add", "reduce_sum", "sparse_dense_matmul"]
