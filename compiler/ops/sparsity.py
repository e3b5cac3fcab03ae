"""What is computed of elements and their places: products with matrices, merged places, whole tensors.

A sparse tensor is `indices`, int64 of shape [n, rank], and `values` of shape [n]. Products run on SciPy's CSR.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, OutOfRangeError, ShapeError

from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, require_kind, require_same_dtype
from ..tensortype import Shape, TensorType, int64
from .gathering import gather, gather_nd

Array = np.ndarray[Any, Any]

_PLACES = np.array([[0, 1], [1, 0], [1, 2]], np.int64)


def require_places(indices: TensorType, values: TensorType) -> int:
    """The rank of the sparse tensor.

    Raises:
      ShapeError: if indices and values do not belong together.
    """
    require_kind(indices, "iu", "indices")
    if indices.rank != 2 or indices.shape[1] is None or values.rank != 1:
        raise ShapeError(f"indices have shape (n, rank) and values shape (n,), not {indices.shape} and {values.shape}")
    if None not in (indices.shape[0], values.shape[0]) and indices.shape[0] != values.shape[0]:
        raise ShapeError(f"{indices.shape[0]} indices for {values.shape[0]} values")
    return indices.shape[1]


def check_places(what: str, indices: Array, shape: Array) -> None:
    """Refuse places outside of a shape.

    Raises:
      OutOfRangeError: naming the first.
    """
    outside = ((indices < 0) | (indices >= shape)).any(axis=1)
    if outside.any():
        place = int(np.flatnonzero(outside)[0])
        raise OutOfRangeError(
            f"{what}: indices[{place}] = {indices[place].tolist()} is out of range for shape {shape.tolist()}"
        )


# --- whole tensors --------------------------------------------------------------------------------------


def _dense_type(types: tuple[TensorType, ...], *, shape: Shape, ordered: bool) -> tuple[TensorType, ...]:
    indices, values, sizes, default = types
    rank = require_places(indices, values)
    require_same_dtype((values, default))
    require_kind(sizes, "iu", "the shape")
    if rank != len(shape) or sizes.rank != 1:
        raise ShapeError(f"indices of {rank} positions do not go with shape {shape}")
    return (TensorType(values.dtype, shape),)


def _dense(indices: Array, values: Array, sizes: Array, default: Array, *, shape: Shape, ordered: bool) -> Array:
    check_places("sparse.to_dense", indices, sizes)
    if ordered and len(indices):
        _check_order(indices, sizes)
    result = np.full(tuple(sizes), default[()], values.dtype)
    result[tuple(indices.T)] = values
    return result


def _check_order(indices: Array, sizes: Array) -> None:
    places = _linear(indices, sizes)
    wrong = np.flatnonzero(np.diff(places) <= 0)
    if wrong.size:
        at = int(wrong[0]) + 1
        word = "is repeated" if places[at] == places[at - 1] else "is out of order; gj.sparse.reorder sorts"
        raise InvalidArgumentError(f"sparse.to_dense: indices[{at}] = {indices[at].tolist()} {word}")


def _linear(indices: Array, sizes: Array) -> Array:
    steps = np.append(np.cumprod(sizes[:0:-1])[::-1], 1).astype(np.int64)
    return np.asarray(indices @ steps[: indices.shape[1]])


to_dense_op: Op = declare(
    Op(
        name="sparse_to_dense",
        kind=Kind.CALL,
        infer=_dense_type,
        numpy=_dense,
        gradient=[
            None,
            lambda g, y, indices, values, sizes, default, *, shape, ordered: gather_nd(g, indices),
            None,
            None,
        ],
        fails=True,
        examples=(
            Example(
                (_PLACES, "f64[3]", np.array([2, 3]), "f64[]"),
                {"shape": (2, 3), "ordered": True},
                differentiable=False,
            ),
            Example(
                (_PLACES[:0], np.zeros(0, np.float32), np.array([2, 3]), np.float32(7)),
                {"shape": (2, 3), "ordered": True},
            ),
        ),
        doc="A tensor with elements at some places, and one value everywhere else.",
    )
)


def _checked_places(indices: Array, sizes: Array) -> Array:
    check_places("SparseTensor", indices, sizes)
    return indices.copy()


checked_places_op: Op = declare(
    Op(
        name="checked_places",
        kind=Kind.CALL,
        infer=lambda types: types[:1],
        numpy=_checked_places,
        gradient=Differentiability.NONE,
        fails=True,
        examples=(Example((_PLACES, np.array([2, 3]))),),
        doc="The indices, which lie inside of a shape.",
    )
)


# --- merged places --------------------------------------------------------------------------------------


def _merged_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    (places,) = types
    if places.rank != 1:
        raise ShapeError(f"places are a vector, not {places}")
    return TensorType(places.dtype, (None,)), TensorType(int64, places.shape)


def _merged(places: Array) -> tuple[Array, Array]:
    distinct, position = np.unique(places, return_inverse=True)
    return distinct, position.astype(np.int64).reshape(places.shape)


merged_places_op: Op = declare(
    Op(
        name="merged_places",
        kind=Kind.CALL,
        infer=_merged_type,
        numpy=_merged,
        several=True,
        gradient=Differentiability.NONE,
        examples=(Example((np.array([5, 2, 5, 0]),)),),
        doc="The distinct numbers in ascending order, and where each is among them.",
    )
)


def _sum_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    values, positions, distinct = types
    if positions.rank != 1 or distinct.rank != 1 or values.rank < 1:
        raise ShapeError(f"values and positions go together, not {values} and {positions}")
    return (TensorType(values.dtype, (*distinct.shape, *values.shape[1:])),)


def _summed(values: Array, positions: Array, distinct: Array) -> Array:
    result = np.zeros((len(distinct), *values.shape[1:]), values.dtype)
    np.add.at(result, positions, values)
    return result


sum_at_op: Op = declare(
    Op(
        name="sum_at",
        kind=Kind.CALL,
        infer=_sum_type,
        numpy=_summed,
        gradient=[lambda g, y, values, positions, distinct: gather(g, positions), None, None],
        examples=(Example(("f64[4]", np.array([2, 1, 2, 0]), np.arange(3))),),
        doc="The sums of the values that go to the same of so many positions.",
    )
)


# --- products -------------------------------------------------------------------------------------------


def _product_type(
    types: tuple[TensorType, ...], *, shape: Shape, adjoint_a: bool, adjoint_b: bool
) -> tuple[TensorType, ...]:
    indices, values, _sizes, dense = types
    require_kind(values, "fiu", "the elements")
    dtype = require_same_dtype((values, dense))
    if require_places(indices, values) != 2 or len(shape) != 2 or dense.rank != 2:
        raise ShapeError(f"a product of matrices is needed, not of sparse {shape} and {dense.shape}")
    rows, inner = shape[::-1] if adjoint_a else shape
    theirs, columns = dense.shape[::-1] if adjoint_b else dense.shape
    if None not in (inner, theirs) and inner != theirs:
        raise ShapeError(
            f"the product of a sparse {shape}{' (adjoint)' if adjoint_a else ''} and {dense.shape}"
            f"{' (adjoint)' if adjoint_b else ''} does not exist: {inner} columns for {theirs} rows"
        )
    return (TensorType(dtype, (rows, columns)),)


def _matrix(indices: Array, values: Array, sizes: Array) -> Any:
    """SciPy's matrix; of ascending rows without sorting."""
    from scipy.sparse import coo_array, csr_array  # takes 60 ms, and few programs need it

    check_places("sparse_dense_matmul", indices, sizes)
    rows, columns = indices[:, 0], indices[:, 1]
    shape = (int(sizes[0]), int(sizes[1]))
    if (np.diff(rows) >= 0).all():
        begins = np.searchsorted(rows, np.arange(shape[0] + 1))
        return csr_array((values, columns, begins), shape)
    return coo_array((values, (rows, columns)), shape).tocsr()


def _product(
    indices: Array, values: Array, sizes: Array, dense: Array, *, shape: Shape, adjoint_a: bool, adjoint_b: bool
) -> Array:
    wide = np.float32 if values.dtype == np.float16 else values.dtype
    matrix = _matrix(indices, values.astype(wide, copy=False), sizes)
    left = matrix.conj().T if adjoint_a else matrix
    right = dense.conj().T if adjoint_b else dense
    if left.shape[1] != right.shape[0]:
        raise ShapeError(f"sparse_dense_matmul: {left.shape[1]} columns for {right.shape[0]} rows")
    return np.asarray(left @ right.astype(wide, copy=False)).astype(values.dtype, copy=False)


def _of_values(
    g: Any, y: Any, indices: Any, values: Any, sizes: Any, dense: Any, *, shape: Shape, adjoint_a: bool, adjoint_b: bool
) -> Any:
    """For each element the scalar product of a row of the cotangent and one of the matrix."""
    mine, theirs = (indices[:, 1], indices[:, 0]) if adjoint_a else (indices[:, 0], indices[:, 1])
    rows = PUBLIC["transpose"](dense) if adjoint_b else dense
    return PUBLIC["reduce_sum"](gather(g, mine, axis=0) * gather(rows, theirs, axis=0), axis=1)


def _of_dense(
    g: Any, y: Any, indices: Any, values: Any, sizes: Any, dense: Any, *, shape: Shape, adjoint_a: bool, adjoint_b: bool
) -> Any:
    found = apply(product_op, indices, values, sizes, g, shape=shape, adjoint_a=not adjoint_a, adjoint_b=False)
    return PUBLIC["transpose"](found) if adjoint_b else found


product_op: Op = declare(
    Op(
        name="sparse_dense_matmul",
        kind=Kind.CALL,
        infer=_product_type,
        numpy=_product,
        gradient=[None, _of_values, None, _of_dense],
        fails=True,
        examples=(
            Example(
                (_PLACES, "f64[3]", np.array([2, 3]), "f64[3,4]"),
                {"shape": (2, 3), "adjoint_a": False, "adjoint_b": False},
            ),
            Example(
                (_PLACES[::-1], "f64[3]", np.array([2, 3]), "f64[4,2]"),
                {"shape": (2, 3), "adjoint_a": True, "adjoint_b": True},
            ),
        ),
        doc="The product of a sparse and a dense matrix.",
    )
)

__all__: list[str] = []
