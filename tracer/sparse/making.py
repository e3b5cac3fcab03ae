"""Sparse tensors from dense ones and back."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.compiler.ops.sizes import constant
from graphjit.compiler.ops.sparsity import to_dense_op
from graphjit.compiler.tensortype import as_dtype, float32, int64
from graphjit.runtime.errors import ShapeError

from .places import require_sparse
from .sparsetensor import SparseTensor


def from_dense(tensor: Any, name: str | None = None) -> SparseTensor:
    """The elements of a tensor that are not zero (or not the empty string), in row-major order.

    Raises:
      ShapeError: for a scalar.

    >>> import graphjit as gj
    >>> print(gj.sparse.from_dense([[0, 1], [2, 0]]))
    gj.SparseTensor(indices=[[0, 1], [1, 0]], values=[1, 2], shape=(2, 2), dtype=int32)
    """
    operand = as_operand(tensor)
    if not operand.type.rank:
        raise ShapeError("sparse.from_dense: a scalar has no places")
    used = PUBLIC["not_equal"](operand, PUBLIC["zeros_like"](operand))
    places = PUBLIC["where_indices"](used)
    sizes = PUBLIC["shape_of"](operand, out_type=int64)
    return SparseTensor.of_parts(places, PUBLIC["gather_nd"](operand, places), sizes, operand.type.shape)


def to_dense(
    sp_input: SparseTensor, default_value: Any = None, validate_indices: bool = True, name: str | None = None
) -> Any:
    """The whole tensor.

    Args:
      sp_input: a sparse tensor.
      default_value: the element where none is given: zero, or the empty string.
      validate_indices: whether places must ascend in row-major order, none twice; else the last one stays.

    Raises:
      InvalidArgumentError: if they do not.
      OutOfRangeError: if a place lies outside of the shape.

    >>> import graphjit as gj
    >>> x = gj.SparseTensor([[0, 1], [1, 0]], [5, 6], [2, 2])
    >>> print(gj.sparse.to_dense(x, default_value=-1).numpy().tolist())
    [[-1, 5], [6, -1]]
    """
    require_sparse(sp_input, "sparse.to_dense")
    default = constant(b"" if sp_input.dtype.is_string else 0, sp_input.dtype)
    if default_value is not None:
        default = as_operand(default_value, sp_input.dtype, "default_value")
    return apply(
        to_dense_op, sp_input.indices, sp_input.values, sp_input.dense_shape, default,
        shape=sp_input.static_shape, ordered=bool(validate_indices),
    )  # fmt: skip


def eye(num_rows: int, num_columns: int | None = None, dtype: Any = float32, name: str | None = None) -> SparseTensor:
    """Ones on the diagonal.

    >>> import graphjit as gj
    >>> print(gj.sparse.eye(2, dtype=gj.int32))
    gj.SparseTensor(indices=[[0, 0], [1, 1]], values=[1, 1], shape=(2, 2), dtype=int32)
    """
    columns = num_rows if num_columns is None else num_columns
    places = [[one, one] for one in range(min(num_rows, columns))]
    return SparseTensor(places, PUBLIC["ones"]([len(places)], as_dtype(dtype)), [num_rows, columns])


__all__ = ["eye", "from_dense", "to_dense"]
