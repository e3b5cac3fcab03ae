"""Determinants, inverses, linear systems and factorisations of matrices, by LAPACK.

All of them work on the matrices in the last two axes, in float32 or float64, and run as NumPy steps.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

from ..batchrules import aligned, unchanged
from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import as_operand, as_operands, public, require_same_dtype
from ..tensortype import Dimension, TensorType, broadcast_shapes
from .broadcasting import sum_to_shape_of
from .diagonals import band_part, diag_part
from .linear import matmul
from .reduction import Array, reduce_sum
from .shaping import expand_dims, transpose

# --- what they share --------------------------------------------------------------------------


def _require_matrix(type: TensorType, what: str = "the operand") -> None:
    if type.dtype.name not in ("float32", "float64"):
        raise DtypeError(f"{what} must be float32 or float64, not {type.dtype.name}")
    if type.rank < 2:
        raise ShapeError(f"{what} must have rank 2 or more, but its shape is {type.shape}")


def _require_square(type: TensorType, what: str = "the operand") -> None:
    _require_matrix(type, what)
    rows, columns = type.shape[-2:]
    if None not in (rows, columns) and rows != columns:
        raise ShapeError(f"{what} must hold square matrices, but its shape is {type.shape}")


def _same_square(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    _require_square(types[0])
    return (types[0],)


def _by_lapack(function: Callable[..., Any], problem: str) -> Callable[..., Any]:
    """A function of `numpy.linalg` whose failures are our errors."""

    def compute(*arrays: Array, **attributes: Any) -> Any:
        try:
            return function(*arrays, **attributes)
        except np.linalg.LinAlgError as error:
            shapes = " and ".join(str(array.shape) for array in arrays)
            raise InvalidArgumentError(f"{problem}, in an operand of shape {shapes}: {error}") from None

    return compute


_GOOD = np.array([[4.0, 1.0, 0.5], [1.0, 3.0, -0.25], [0.5, -0.25, 2.0]])  # symmetric, positive definite
_STACK = np.stack([_GOOD, _GOOD @ _GOOD + np.diag([1.0, 2.0, 3.0])])
_SQUARE = (
    Example((_GOOD,)),
    Example((_STACK,)),
    Example((_GOOD.astype(np.float32),)),
    Example((np.zeros((0, 3, 3)),)),
    Example((np.zeros((0, 0)),)),
)


@public()
def matrix_transpose(a: Any, name: str = "matrix_transpose", conjugate: bool = False) -> Any:
    """The tensor with its last two axes exchanged.

    Raises:
      ShapeError: if the rank is less than 2.

    >>> import graphjit as gj
    >>> gj.linalg.matrix_transpose(gj.zeros([5, 2, 3])).shape
    TensorShape([5, 3, 2])
    """
    operand = as_operand(a)
    rank = operand.type.rank
    if rank < 2:
        raise ShapeError(f"matrix_transpose needs rank 2 or more, but the shape is {operand.shape}")
    return transpose(operand, [*range(rank - 2), rank - 1, rank - 2], conjugate)


@public()
def trace(x: Any, name: str | None = None) -> Any:
    """The sum of the main diagonal of each matrix.

    >>> import graphjit as gj
    >>> print(gj.linalg.trace([[1, 2], [3, 4]]))
    gj.Tensor(5, shape=(), dtype=int32)
    """
    return reduce_sum(diag_part(x), -1)


# --- determinant and inverse ------------------------------------------------------------------


def _spread_over_matrix(g: Any) -> Any:
    return expand_dims(expand_dims(g, -1), -1)


def _det_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    _require_square(types[0])
    return (TensorType(types[0].dtype, types[0].shape[:-2]),)


def _det_gradient(g: Any, y: Any, x: Any) -> Any:
    return _spread_over_matrix(g * y) * matrix_transpose(inv(x))


det_op = declare(
    Op(
        name="det",
        kind=Kind.CALL,
        batch=unchanged,
        infer=_det_type,
        numpy=_by_lapack(np.linalg.det, "the determinant cannot be computed"),
        gradient=[_det_gradient],
        fails=lambda types, _: not types[0].is_static,
        examples=_SQUARE,
        ulp=64.0,
        doc="The determinant of each matrix.",
    )
)

inv_op = declare(
    Op(
        name="inv",
        kind=Kind.CALL,
        batch=unchanged,
        infer=_same_square,
        numpy=_by_lapack(np.linalg.inv, "a matrix has no inverse"),
        gradient=[lambda g, y, x: -matmul(matmul(y, g, transpose_a=True), y, transpose_b=True)],
        fails=True,
        examples=_SQUARE,
        ulp=256.0,
        doc="The inverse of each matrix.",
    )
)


@public()
def det(input: Any, name: str | None = None) -> Any:
    """The determinant of each square matrix.

    Its gradient is det(x) times the transposed inverse, so it is an error for singular matrices.

    Raises:
      ShapeError: if the matrices are not square.
      DtypeError: if they are neither float32 nor float64.

    >>> import graphjit as gj
    >>> print(gj.linalg.det([[2.0, 0.0], [0.0, 3.0]]))
    gj.Tensor(6.0, shape=(), dtype=float32)
    """
    return apply(det_op, as_operand(input))


@public()
def inv(input: Any, adjoint: bool = False, name: str | None = None) -> Any:
    """The inverse of each square matrix, transposed with `adjoint`.

    Raises:
      InvalidArgumentError: if a matrix is singular; in both modes.
      ShapeError, DtypeError: see `det`.

    >>> import graphjit as gj
    >>> print(gj.linalg.inv([[2.0, 0.0], [0.0, 4.0]]))
    gj.Tensor(
    [[0.5  0.  ]
     [0.   0.25]], shape=(2, 2), dtype=float32)
    """
    found = apply(inv_op, as_operand(input))
    return matrix_transpose(found) if adjoint else found


# --- linear systems ---------------------------------------------------------------------------


def _solve_type(types: tuple[TensorType, ...], *, adjoint: bool) -> tuple[TensorType, ...]:
    dtype = require_same_dtype(types)
    matrix, rhs = types
    _require_square(matrix, "matrix")
    _require_matrix(rhs, "rhs")
    size, rows = matrix.shape[-1], rhs.shape[-2]
    if None not in (size, rows) and size != rows:
        raise ShapeError(f"matrices of shape {matrix.shape} need right-hand sides with {size} rows, not {rhs.shape}")
    batch = broadcast_shapes(matrix.shape[:-2], rhs.shape[:-2])
    return (TensorType(dtype, (*batch, *rhs.shape[-2:])),)


def _solve_array(matrix: Array, rhs: Array, *, adjoint: bool) -> Array:
    return np.asarray(np.linalg.solve(np.swapaxes(matrix, -1, -2) if adjoint else matrix, rhs))


def _matrix_gradient(g: Any, y: Any, matrix: Any, rhs: Any, *, adjoint: bool) -> Any:
    back = solve(matrix, g, adjoint=not adjoint)
    product = matmul(y, back, transpose_b=True) if adjoint else matmul(back, y, transpose_b=True)
    return sum_to_shape_of(-product, matrix)


def _rhs_gradient(g: Any, y: Any, matrix: Any, rhs: Any, *, adjoint: bool) -> Any:
    return sum_to_shape_of(solve(matrix, g, adjoint=not adjoint), rhs)


_OFF = np.array([[0.0, 1.0, 0.0], [0.0, 0.0, -1.0], [0.5, 0.0, 0.0]])

solve_op = declare(
    Op(
        name="solve",
        kind=Kind.CALL,
        batch=aligned,
        infer=_solve_type,
        numpy=_by_lapack(_solve_array, "a system has no single solution"),
        gradient=[_matrix_gradient, _rhs_gradient],
        fails=True,
        examples=(
            Example((_GOOD + _OFF, "f64[3,2]"), {"adjoint": False}),
            Example((_GOOD + _OFF, "f64[3,1]"), {"adjoint": True}),
            Example((_STACK + _OFF, "f64[2,3,2]"), {"adjoint": False}),
            Example((_GOOD, "f64[4,3,2]"), {"adjoint": False}),
            Example((_STACK, "f64[3,2]"), {"adjoint": True}),
            Example((np.zeros((0, 3, 3)), "f64[3,2]"), {"adjoint": False}),
        ),
        ulp=256.0,
        doc="The solutions x of matrix @ x = rhs.",
    )
)


@public()
def solve(matrix: Any, rhs: Any, adjoint: bool = False, name: str | None = None) -> Any:
    """The solutions x of matrix @ x = rhs, or of transpose(matrix) @ x = rhs with `adjoint`.

    Args:
      matrix: shape [..., n, n].
      rhs: shape [..., n, k]; the axes before the last two broadcast.

    Raises:
      InvalidArgumentError: if a matrix is singular; in both modes.
      ShapeError: if the shapes do not fit.
      DtypeError: if the dtypes differ, or are neither float32 nor float64.

    >>> import graphjit as gj
    >>> print(gj.linalg.solve([[2.0, 0.0], [0.0, 4.0]], [[2.0], [2.0]]).tolist())
    [[1.0], [0.5]]
    """
    return apply(solve_op, *as_operands(matrix, rhs), adjoint=bool(adjoint))


# --- Cholesky ---------------------------------------------------------------------------------


def _lower_half(x: Any) -> Any:
    """The lower triangle, with half of the diagonal."""
    return 0.5 * (band_part(x, -1, 0) + x - band_part(x, 0, -1))


def _cholesky_gradient(g: Any, y: Any, x: Any) -> Any:
    """Murray 2016, "Differentiation of the Cholesky decomposition", equation 10, made symmetric."""
    inner = _lower_half(matmul(y, band_part(g, -1, 0), transpose_a=True))
    left = solve(y, inner, adjoint=True)
    full = matrix_transpose(solve(y, matrix_transpose(left), adjoint=True))
    return 0.5 * (full + matrix_transpose(full))


cholesky_op = declare(
    Op(
        name="cholesky",
        kind=Kind.CALL,
        batch=unchanged,
        infer=_same_square,
        numpy=_by_lapack(np.linalg.cholesky, "a matrix is not positive definite"),
        gradient=[_cholesky_gradient],
        fails=True,
        # the gradient is that of the symmetric part, so single elements have no difference quotient
        examples=tuple(Example(one.operands, one.attributes, differentiable=False) for one in _SQUARE),
        ulp=64.0,
        doc="The lower triangular factor of each symmetric, positive definite matrix.",
    )
)


@public()
def cholesky(input: Any, name: str | None = None) -> Any:
    """The lower triangular L with L @ transpose(L) = x, for symmetric, positive definite matrices.

    Only the lower triangle of x is read. The gradient is symmetric.

    Raises:
      InvalidArgumentError: if a matrix is not positive definite; in both modes.
      ShapeError, DtypeError: see `det`.

    >>> import graphjit as gj
    >>> print(gj.linalg.cholesky([[4.0, 2.0], [2.0, 2.0]]).tolist())
    [[2.0, 0.0], [1.0, 1.0]]
    """
    return apply(cholesky_op, as_operand(input))


# --- QR, singular values, eigenvalues -----------------------------------------------------------


def _least(a: Dimension, b: Dimension) -> Dimension:
    return None if a is None or b is None else min(a, b)


def _qr_type(types: tuple[TensorType, ...], *, full_matrices: bool) -> tuple[TensorType, ...]:
    (type,) = types
    _require_matrix(type)
    *batch, rows, columns = type.shape
    inner = rows if full_matrices else _least(rows, columns)
    return TensorType(type.dtype, (*batch, rows, inner)), TensorType(type.dtype, (*batch, inner, columns))


def _qr_array(x: Array, *, full_matrices: bool) -> tuple[Array, Array]:
    q, r = np.linalg.qr(x, mode="complete" if full_matrices else "reduced")
    return np.asarray(q), np.asarray(r)


_RECTANGLES = (
    Example((np.vander([1.0, 2.0, 4.0, 5.0], 3),), {"full_matrices": False}),
    Example((np.vander([1.0, 2.0, 4.0, 5.0], 3).T,), {"full_matrices": True}),
    Example((_STACK,), {"full_matrices": False}),
)

qr_op = declare(
    Op(
        name="qr",
        kind=Kind.CALL,
        batch=unchanged,
        infer=_qr_type,
        numpy=_by_lapack(_qr_array, "a matrix cannot be factorised"),
        gradient=Differentiability.MISSING,
        several=True,
        fails=lambda types, _: not types[0].is_static,
        examples=_RECTANGLES,
        ulp=1e4,
        doc="Factors q, orthogonal, and r, upper triangular, of each matrix.",
    )
)


def _svd_type(types: tuple[TensorType, ...], *, full_matrices: bool, compute_uv: bool) -> tuple[TensorType, ...]:
    (type,) = types
    _require_matrix(type)
    *batch, rows, columns = type.shape
    inner = _least(rows, columns)
    values = TensorType(type.dtype, (*batch, inner))
    if not compute_uv:
        return (values,)
    u = TensorType(type.dtype, (*batch, rows, rows if full_matrices else inner))
    v = TensorType(type.dtype, (*batch, columns, columns if full_matrices else inner))
    return values, u, v


def _svd_array(x: Array, *, full_matrices: bool, compute_uv: bool) -> tuple[Array, ...]:
    if not compute_uv:
        return (np.asarray(np.linalg.svd(x, compute_uv=False)),)
    u, values, vt = np.linalg.svd(x, full_matrices=full_matrices)
    return values, u, np.ascontiguousarray(np.swapaxes(vt, -1, -2))


svd_op = declare(
    Op(
        name="svd",
        kind=Kind.CALL,
        batch=unchanged,
        infer=_svd_type,
        numpy=_by_lapack(_svd_array, "the singular values do not converge"),
        gradient=Differentiability.MISSING,
        several=True,
        fails=True,
        examples=(
            *(Example(one.operands, {**one.attributes, "compute_uv": True}) for one in _RECTANGLES),
            Example(_RECTANGLES[0].operands, {"full_matrices": False, "compute_uv": False}),
        ),
        ulp=1e4,
        doc="Singular values, and the singular vectors on the left and on the right, of each matrix.",
    )
)


def _eigh_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    (type,) = types
    _require_square(type)
    return TensorType(type.dtype, type.shape[:-1]), type


def _eigh_array(x: Array) -> tuple[Array, Array]:
    values, vectors = np.linalg.eigh(x)
    return np.asarray(values), np.asarray(vectors)


eigh_op = declare(
    Op(
        name="eigh",
        kind=Kind.CALL,
        batch=unchanged,
        infer=_eigh_type,
        numpy=_by_lapack(_eigh_array, "the eigenvalues do not converge"),
        gradient=Differentiability.MISSING,
        several=True,
        fails=True,
        examples=_SQUARE,
        ulp=1e4,
        doc="Eigenvalues, ascending, and eigenvectors of each symmetric matrix.",
    )
)


class QR(NamedTuple):
    """The result of `qr`."""

    q: Any
    r: Any


class SVD(NamedTuple):
    """The result of `svd`."""

    s: Any
    u: Any
    v: Any


class Eigh(NamedTuple):
    """The result of `eigh`."""

    e: Any
    v: Any


@public()
def qr(input: Any, full_matrices: bool = False, name: str | None = None) -> QR:
    """Factors (q, r) of each matrix: x = q @ r, q orthogonal, r upper triangular. It has no gradient.

    Args:
      input: shape [..., m, n]; float32 or float64.
      full_matrices: whether q is [..., m, m] rather than [..., m, min(m, n)].

    >>> import graphjit as gj
    >>> q, r = gj.linalg.qr(gj.constant([[3.0, 1.0], [4.0, 1.0]]))
    >>> gj.debugging.assert_near(q @ r, [[3.0, 1.0], [4.0, 1.0]])
    """
    return QR(*apply(qr_op, as_operand(input), full_matrices=bool(full_matrices)))


@public()
def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True, name: str | None = None) -> Any:
    """Singular values s, descending, and (s, u, v) with x = u @ diag(s) @ transpose(v). It has no gradient.

    Args:
      tensor: shape [..., m, n]; float32 or float64.
      full_matrices: whether u and v are square.
      compute_uv: whether u and v are computed; without them the result is s alone.

    >>> import graphjit as gj
    >>> print(gj.linalg.svd([[3.0, 0.0], [0.0, 4.0]], compute_uv=False))
    gj.Tensor([4. 3.], shape=(2,), dtype=float32)
    """
    flags = {"full_matrices": bool(full_matrices), "compute_uv": bool(compute_uv)}
    results = apply(svd_op, as_operand(tensor), **flags)
    return SVD(*results) if compute_uv else results[0]


@public()
def eigh(tensor: Any, name: str | None = None) -> Eigh:
    """Eigenvalues e, ascending, and eigenvectors v (in columns) of each symmetric matrix. It has no gradient.

    Only the lower triangle is read.

    >>> import graphjit as gj
    >>> print(gj.linalg.eigh([[2.0, 0.0], [0.0, 1.0]]).e)
    gj.Tensor([1. 2.], shape=(2,), dtype=float32)
    """
    return Eigh(*apply(eigh_op, as_operand(tensor)))


__all__ = ["cholesky", "det", "eigh", "inv", "matrix_transpose", "qr", "solve", "svd", "trace"]
