"""Matrix products in terms of buffers: which transposes and row distances BLAS is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphjit.runtime.fields import dataclass

from .graph import Equation, Value
from .layout import Layout
from .views import Place


@dataclass(frozen=True, slots=True)
class Matrices:
    """One operand: stored rows `row_distance` apart (transposed or not), `batch_distance` from one to the next.

    The first begins `offset` elements behind the beginning of the buffer.
    """

    transposed: bool
    offset: int
    row_distance: int
    batch_distance: int


@dataclass(frozen=True, slots=True)
class Product:
    """`batch` products of m x k by k x n matrices."""

    m: int
    n: int
    k: int
    batch: int
    a: Matrices
    b: Matrices


def runs_in_blas(equation: Equation) -> bool:
    """Whether dtype and sizes are such that BLAS can do the product."""
    values = (*equation.operands, equation.output)
    return all(value.type.is_static and value.type.dtype.name in ("float32", "float64") for value in values) and all(
        value.type.element_count > 0 for value in values
    )


def product_of(equation: Equation, places: Mapping[Value, Place]) -> Product | None:
    """The product of a contraction where its operands lie; None where it is a NumPy step."""
    a, b = equation.operands[:2]
    return as_product(equation, places[a], places[b]) if runs_in_blas(equation) else None


def as_product(equation: Equation, a: Place, b: Place) -> Product | None:
    """The product of the operands where they lie, or None where one has to be copied first."""
    batch_shape = equation.output.type.sizes[:-2]
    batch = 1
    for size in batch_shape:
        batch *= size
    left = _matrices(equation.operands[0], a.layout, bool(equation.attributes["transpose_a"]), batch_shape)
    right = _matrices(equation.operands[1], b.layout, bool(equation.attributes["transpose_b"]), batch_shape)
    if left is None or right is None:
        return None
    m, n = equation.output.type.sizes[-2:]
    rows, columns = equation.operands[0].type.sizes[-2:]
    k = rows if equation.attributes["transpose_a"] else columns
    return Product(m, n, k, batch, left, right)


def _matrices(value: Value, layout: Layout, transpose: bool, batch_shape: Sequence[int]) -> Matrices | None:
    rows, columns = value.type.sizes[-2:]
    row_stride, column_stride = layout.strides[-2:]
    batch_distance = _batch_distance(value.type.sizes[:-2], layout.strides[:-2], batch_shape)
    if batch_distance is None:
        return None
    if (column_stride == 1 or columns == 1) and (row_stride >= columns or rows == 1):
        return Matrices(transpose, layout.offset, max(row_stride, columns), batch_distance)
    if (row_stride == 1 or rows == 1) and (column_stride >= rows or columns == 1):
        return Matrices(not transpose, layout.offset, max(column_stride, rows), batch_distance)
    return None


def _batch_distance(sizes: Sequence[int], strides: Sequence[int], batch_shape: Sequence[int]) -> int | None:
    """The one distance between consecutive matrices, or None where there is none."""
    padded = [0] * (len(batch_shape) - len(sizes)) + [
        0 if size == 1 else stride for size, stride in zip(sizes, strides, strict=True)
    ]
    distance: int | None = None
    step = 0
    for size, stride in zip(reversed(batch_shape), reversed(padded), strict=True):
        if size == 1:
            continue
        if distance is None:
            distance = stride
        elif stride != step:
            return None
        step = stride * size
    return distance or 0
