"""Matrix products, and what is written in terms of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..batchrules import aligned
from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, Composite, as_operands, public, require_kind, require_same_dtype
from ..tensortype import Dimension, Shape, TensorType, broadcast_shapes, element_count, normalize_axis
from .broadcasting import sum_to_shape_of
from .reduction import Array, widened
from .shaping import expand_dims, reshape, squeeze, transpose
from .sizes import Size, fitting, sizes_of

# --- the product ------------------------------------------------------------------------------


def _require_matrix(type: TensorType, what: str) -> None:
    if type.rank < 2:
        raise ShapeError(
            f"{what} must have rank 2 or more, but its shape is {type.shape}; for a matrix times a vector "
            "use gj.linalg.matvec(a, v), for the product of two vectors gj.tensordot(a, b, 1)"
        )


def _core(shape: Shape, transposed: bool) -> tuple[Dimension, Dimension]:
    """Rows and columns of the matrices, as the product takes them."""
    rows, columns = shape[-2:]
    return (columns, rows) if transposed else (rows, columns)


def _matmul_type(types: tuple[TensorType, ...], *, transpose_a: bool, transpose_b: bool) -> tuple[TensorType, ...]:
    dtype = require_same_dtype(types)
    for type, what in zip(types, ("a", "b"), strict=True):
        require_kind(type, "iufc", what)
        _require_matrix(type, what)
    a, b = types
    rows, inner = _core(a.shape, transpose_a)
    other, columns = _core(b.shape, transpose_b)
    if None not in (inner, other) and inner != other:
        flags = "".join(
            f", {name}=True" for name, on in (("transpose_a", transpose_a), ("transpose_b", transpose_b)) if on
        )
        raise ShapeError(
            f"shapes {a.shape} and {b.shape}{flags} do not go together: "
            f"the rows of a have {inner} elements, the columns of b {other}"
        )
    return (TensorType(dtype, (*broadcast_shapes(a.shape[:-2], b.shape[:-2]), rows, columns)),)


def _flattens(a: Any, b: Any, transpose_a: bool) -> bool:
    """Whether a stack of matrices times one matrix is one product of a taller matrix."""
    return a.ndim > 2 and b.ndim == 2 and not transpose_a


def _matmul_array(a: Array, b: Array, *, transpose_a: bool, transpose_b: bool) -> Array:
    left, right = widened(a), widened(b)
    if transpose_b:
        right = np.swapaxes(right, -1, -2)
    if _flattens(left, right, transpose_a):
        tall = left.reshape(element_count(left.shape[:-1]), left.shape[-1])
        product = np.matmul(tall, right).reshape(*left.shape[:-1], right.shape[-1])
    else:
        product = np.matmul(np.swapaxes(left, -1, -2) if transpose_a else left, right)
    return np.asarray(product, dtype=a.dtype)


def conjugated(x: Any) -> Any:
    """The conjugate of a complex operand; a real one as it is."""
    return PUBLIC["conj"](x) if x.type.dtype.is_complex else x


def _left_gradient(g: Any, y: Any, a: Any, b: Any, *, transpose_a: bool, transpose_b: bool) -> Any:
    other = conjugated(b)
    if transpose_a:
        product = matmul(other, g, transpose_a=transpose_b, transpose_b=True)
    else:
        product = matmul(g, other, transpose_b=not transpose_b)
    return sum_to_shape_of(product, a)


def _right_gradient(g: Any, y: Any, a: Any, b: Any, *, transpose_a: bool, transpose_b: bool) -> Any:
    other = conjugated(a)
    if _flattens(a, b, transpose_a) and a.type.is_static and g.type.is_static:
        # one product in place of a stack of them and the sum over the stack
        other, g = _as_one_matrix(other), _as_one_matrix(g)
    if transpose_b:
        product = matmul(g, other, transpose_a=True, transpose_b=transpose_a)
    else:
        product = matmul(other, g, transpose_a=not transpose_a)
    return sum_to_shape_of(product, b)


def _as_one_matrix(x: Any) -> Any:
    sizes = x.type.sizes
    return reshape(x, (element_count(sizes[:-1]), sizes[-1]))


def _flags(transpose_a: bool = False, transpose_b: bool = False) -> dict[str, bool]:
    return {"transpose_a": transpose_a, "transpose_b": transpose_b}


matmul_op = declare(
    Op(
        name="matmul",
        kind=Kind.CONTRACTION,
        batch=aligned,
        infer=_matmul_type,
        numpy=fitting(_matmul_array),
        gradient=[_left_gradient, _right_gradient],
        fails=lambda types, _: not all(type.is_static for type in types),
        examples=(
            Example(("f64[2,3]", "f64[3,4]"), _flags()),
            Example(("f64[3,2]", "f64[3,4]"), _flags(transpose_a=True)),
            Example(("f64[2,3]", "f64[4,3]"), _flags(transpose_b=True)),
            Example(("f64[3,2]", "f64[4,3]"), _flags(True, True)),
            Example(("f32[5,2,3]", "f32[5,3,4]"), _flags()),
            Example(("f64[5,2,3]", "f64[3,4]"), _flags()),
            Example(("f64[5,2,3]", "f64[4,3]"), _flags(transpose_b=True)),
            Example(("f64[3,2]", "f64[5,3,4]"), _flags(transpose_a=True)),
            Example(("f64[2,1,2,3]", "f64[4,3,2]"), _flags()),
            Example(("f64[0,3]", "f64[3,4]"), _flags()),
            Example(("f64[2,0]", "f64[0,4]"), _flags()),
            Example(("i32[2,3]", "i32[3,4]"), _flags()),
            Example(("f64[20,33]", "f64[33,17]"), _flags()),
        ),
        dtypes="iuf",
        domain=(0.5, 2.0),  # sums that cancel could be any number of units apart
        ulp=64.0,
        doc="The product of matrices in the last two axes; the axes before them broadcast.",
    )
)


def _accumulate_type(
    types: tuple[TensorType, ...], *, alpha: float, transpose_a: bool, transpose_b: bool
) -> tuple[TensorType, ...]:
    (product,) = _matmul_type(types[:2], transpose_a=transpose_a, transpose_b=transpose_b)
    require_same_dtype(types)
    if product != types[2]:
        raise ShapeError(f"the product has shape {product.shape}, but is added to shape {types[2].shape}")
    return (product,)


def _accumulate_array(a: Array, b: Array, c: Array, *, alpha: float, transpose_a: bool, transpose_b: bool) -> Array:
    product = _matmul_array(a, b, transpose_a=transpose_a, transpose_b=transpose_b)
    return np.asarray(c + product * a.dtype.type(alpha), dtype=c.dtype)


accumulate_op = declare(
    Op(
        name="accumulate_matmul",
        kind=Kind.CONTRACTION,
        infer=_accumulate_type,
        numpy=_accumulate_array,
        gradient=Differentiability.MISSING,
        fails=lambda types, _: not all(type.is_static for type in types),
        examples=(
            Example(("f64[2,3]", "f64[3,4]", "f64[2,4]"), {"alpha": -0.5, **_flags()}),
            Example(("f32[64,7]", "f32[64,5]", "f32[7,5]"), {"alpha": 1.0, **_flags(transpose_a=True)}),
            Example(("f64[3,2,3]", "f64[4,3]", "f64[3,2,4]"), {"alpha": 2.0, **_flags(transpose_b=True)}),
            Example(("f64[2,0]", "f64[0,4]", "f64[2,4]"), {"alpha": 3.0, **_flags()}),
        ),
        dtypes="f",
        domain=(0.5, 2.0),
        ulp=64.0,
        doc="c + alpha * (a @ b) for operands a, b, c: written by the pass of this name, before kernels are made.",
    )
)


@public()
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    name: str | None = None,
) -> Any:
    """The product of the matrices in the last two axes; the axes before them broadcast.

    Args:
      a: shape [..., n, k], or [..., k, n] with `transpose_a`.
      b: shape [..., k, m], or [..., m, k] with `transpose_b`.
      transpose_a, transpose_b: whether the matrices are transposed first; nothing is copied for it.
      adjoint_a, adjoint_b: the same, and conjugated.

    Returns:
      Shape [..., n, m] and the operands' dtype; integers wrap.

    Raises:
      ShapeError: if an operand has rank 0 or 1, or the shapes do not go together.
      DtypeError: if the dtypes differ, or are bool.

    >>> import graphjit as gj
    >>> print(gj.matmul([[1, 2]], [[3], [4]]))
    gj.Tensor([[11]], shape=(1, 1), dtype=int32)
    """
    for one in (a, b):
        if isinstance(one, Composite):
            return one.product(a, b, bool(transpose_a or adjoint_a), bool(transpose_b or adjoint_b))
    left, right = as_operands(a, b)
    left = conjugated(left) if adjoint_a else left
    right = conjugated(right) if adjoint_b else right
    _require_one("a", transpose_a, adjoint_a)
    _require_one("b", transpose_b, adjoint_b)
    return apply(
        matmul_op,
        left,
        right,
        transpose_a=bool(transpose_a or adjoint_a),
        transpose_b=bool(transpose_b or adjoint_b),
    )


def _require_one(what: str, transposed: bool, adjoint: bool) -> None:
    if transposed and adjoint:
        raise InvalidArgumentError(f"matmul: only one of transpose_{what} and adjoint_{what} can be true")


@public()
def matvec(a: Any, b: Any, transpose_a: bool = False, name: str | None = None) -> Any:
    """Matrices times vectors: shapes [..., n, k] and [..., k] give [..., n].

    Raises: see `matmul`.

    >>> import graphjit as gj
    >>> print(gj.linalg.matvec([[1, 2], [3, 4]], [1, 1]))
    gj.Tensor([3 7], shape=(2,), dtype=int32)
    """
    left, right = as_operands(a, b)
    if right.type.rank < 1:
        raise ShapeError("matvec: b must have rank 1 or more, but it is a scalar")
    product = matmul(left, expand_dims(right, -1), transpose_a=transpose_a)
    return squeeze(product, -1)


# --- sums of products over any axes -----------------------------------------------------------


def _axis_lists(axes: Any, a: TensorType, b: TensorType) -> tuple[list[int], list[int]]:
    if hasattr(axes, "__index__"):
        count = int(axes)
        if not 0 <= count <= min(a.rank, b.rank):
            raise ShapeError(f"tensordot: {count} axes cannot be contracted of shapes {a.shape} and {b.shape}")
        return list(range(a.rank - count, a.rank)), list(range(count))
    if len(axes) != 2:
        raise ShapeError(f"tensordot: axes is an integer or a pair of axes, not {axes!r}")
    left, right = (
        [normalize_axis(axis, type.rank) for axis in np.atleast_1d(np.asarray(part, dtype=np.int64))]
        for part, type in zip(axes, (a, b), strict=True)
    )
    if len(left) != len(right) or len({*left}) + len({*right}) != 2 * len(left):
        raise ShapeError(f"tensordot: axes {axes!r} must name as many axes of a as of b, each once")
    return left, right


def _product_of(sizes: Sequence[Size]) -> Size:
    count: Size = 1
    for size in sizes:
        count = count * size
    return count


@public(numpy=np.tensordot)
def tensordot(a: Any, b: Any, axes: Any = 2, name: str | None = None) -> Any:
    """The sum of products over pairs of axes; the other axes of a, then those of b, remain.

    Args:
      a, b: tensors of one dtype.
      axes: how many last axes of a meet as many first axes of b; or a pair of lists, axes of a and of b.

    Raises:
      ShapeError: if the axes do not exist or their sizes differ.

    >>> import graphjit as gj
    >>> print(gj.tensordot([1, 2, 3], [4, 5, 6], 1))
    gj.Tensor(32, shape=(), dtype=int32)
    """
    left, right = as_operands(a, b)
    summed_a, summed_b = _axis_lists(axes, left.type, right.type)
    for i, j in zip(summed_a, summed_b, strict=True):
        one, other = left.type.shape[i], right.type.shape[j]
        if None not in (one, other) and one != other:
            raise ShapeError(
                f"tensordot: axis {i} of a has size {one}, axis {j} of b has {other}; "
                f"the shapes are {left.type.shape} and {right.type.shape}"
            )
    kept_a = [axis for axis in range(left.type.rank) if axis not in summed_a]
    kept_b = [axis for axis in range(right.type.rank) if axis not in summed_b]
    sizes_a, sizes_b = sizes_of(left), sizes_of(right)
    inner = _product_of([sizes_a[axis] for axis in summed_a])
    rows = [sizes_a[axis] for axis in kept_a]
    columns = [sizes_b[axis] for axis in kept_b]
    first = reshape(transpose(left, [*kept_a, *summed_a]), [_product_of(rows), inner])
    second = reshape(transpose(right, [*summed_b, *kept_b]), [inner, _product_of(columns)])
    return reshape(matmul(first, second), [*rows, *columns])


@public()
def outer(a: Any, b: Any) -> Any:
    """The products of each element of a with each of b, both taken as vectors: shape [a's size, b's size].

    >>> import graphjit as gj
    >>> print(gj.outer([1, 2], [3, 4]).numpy().tolist())
    [[3, 4], [6, 8]]
    """
    left, right = as_operands(a, b)
    return expand_dims(reshape(left, [-1]), 1) * expand_dims(reshape(right, [-1]), 0)


__all__ = ["matmul", "outer", "tensordot"]
