"""NumPy's matrix products and linear algebra on tensors: `np.dot(t, u)` and its like, with NumPy's meaning."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import UnimplementedError

from ..operand import as_operand, as_operands, for_numpy
from .arrayfunctions import numpy_diagonal
from .arrayreductions import refuse_options, summed_as_numpy
from .decomposition import cholesky, det, eigh, inv, matrix_transpose, qr, solve, svd
from .einsum import einsum
from .linear import conjugated, matmul, outer, tensordot
from .shaping import expand_dims, reshape, squeeze

# --- products -------------------------------------------------------------------------------------


@for_numpy(np.matmul)
def _matmul(a: Any, b: Any) -> Any:
    """A vector on the left is a row, one on the right a column."""
    left, right = as_operands(a, b)
    row, column = left.type.rank == 1, right.type.rank == 1
    product = matmul(expand_dims(left, 0) if row else left, expand_dims(right, -1) if column else right)
    product = squeeze(product, -1) if column else product
    return squeeze(product, -1 if column else -2) if row else product


@for_numpy(np.dot)
def _dot(a: Any, b: Any, out: None = None) -> Any:
    refuse_options("dot", out=out)
    left, right = as_operands(a, b)
    if 0 in (left.type.rank, right.type.rank):
        return left * right
    return tensordot(left, right, ([-1], [max(right.type.rank - 2, 0)]))


@for_numpy(np.inner)
def _inner(a: Any, b: Any, /) -> Any:
    left, right = as_operands(a, b)
    if 0 in (left.type.rank, right.type.rank):
        return left * right
    return tensordot(left, right, ([-1], [-1]))


@for_numpy(np.vdot)
def _vdot(a: Any, b: Any, /) -> Any:
    left, right = as_operands(a, b)
    return tensordot(reshape(conjugated(left), [-1]), reshape(right, [-1]), 1)


@for_numpy(np.outer)
def _outer(a: Any, b: Any, out: None = None) -> Any:
    refuse_options("outer", out=out)
    return outer(a, b)


@for_numpy(np.einsum)
def _einsum(*operands: Any, out: None = None, optimize: Any = False) -> Any:
    refuse_options("einsum", out=out)
    return einsum(*operands)


@for_numpy(np.trace)
def _trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: None = None) -> Any:
    refuse_options("trace", out=out)
    return summed_as_numpy(numpy_diagonal(a, offset, axis1, axis2), -1, dtype)


# --- numpy.linalg ---------------------------------------------------------------------------------


@for_numpy(np.linalg.det)
def _det(a: Any) -> Any:
    return det(a)


@for_numpy(np.linalg.inv)
def _inv(a: Any) -> Any:
    return inv(a)


@for_numpy(np.linalg.solve)
def _solve(a: Any, b: Any) -> Any:
    """A vector b is one right-hand side."""
    matrix, rhs = as_operands(a, b)
    if rhs.type.rank == 1:
        return squeeze(solve(matrix, expand_dims(rhs, -1)), -1)
    return solve(matrix, rhs)


@for_numpy(np.linalg.cholesky)
def _cholesky(a: Any, /, *, upper: bool = False) -> Any:
    if upper:
        return matrix_transpose(cholesky(matrix_transpose(as_operand(a))))
    return cholesky(a)


@for_numpy(np.linalg.qr)
def _qr(a: Any, mode: str = "reduced") -> Any:
    if mode not in ("reduced", "complete"):
        raise UnimplementedError(f"np.linalg.qr(mode={mode!r}) is not supported for tensors")
    return qr(a, full_matrices=mode == "complete")


@for_numpy(np.linalg.svd)
def _svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """NumPy's order: u, s, and the transposed v."""
    if not compute_uv:
        return svd(a, compute_uv=False)
    s, u, v = svd(a, full_matrices=full_matrices)
    return u, s, matrix_transpose(v)


@for_numpy(np.linalg.eigh)
def _eigh(a: Any, UPLO: str = "L") -> Any:  # noqa: N803 -- NumPy's name
    return eigh(matrix_transpose(as_operand(a)) if UPLO.upper() == "U" else a)


__all__: list[str] = []
