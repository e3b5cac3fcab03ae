"""Matrices by their diagonals: diag, diag_part, set_diag, band_part."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..batchrules import unchanged
from ..dispatch import apply
from ..layout import Layout
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, as_operand, public, require_rank
from ..tensortype import Dimension, TensorType, int64
from .filling import range_
from .sizes import constant, size_along, static_integer


def diagonal_length(rows: Dimension, columns: Dimension, k: int) -> Dimension:
    """How many elements diagonal `k` of a matrix has, None where a size is unknown.

    >>> diagonal_length(2, 3, 1), diagonal_length(2, 3, -1)
    (2, 1)
    """
    if rows is None or columns is None:
        return None
    return max(0, min(rows - max(-k, 0), columns - max(k, 0)))


def _diagonal_type(types: tuple[TensorType, ...], *, k: int) -> tuple[TensorType, ...]:
    (type,) = types
    require_rank(type, 2)
    rows, columns = type.shape[-2:]
    outside = (rows is not None and -k >= max(rows, 1)) or (columns is not None and k >= max(columns, 1))
    if outside:
        raise ShapeError(f"a matrix of shape {type.shape[-2:]} has no diagonal {k}")
    return (TensorType(type.dtype, (*type.shape[:-2], diagonal_length(rows, columns, k))),)


def _diagonal_layout(layout: Layout, type: TensorType, *, k: int) -> Layout:
    down, right = layout.strides[-2:]
    offset = layout.offset + (down * -k if k < 0 else right * k)
    return Layout(offset, (*layout.strides[:-2], down + right))


def _diagonal_gradient(g: Any, y: Any, x: Any, *, k: int) -> Any:
    if x.type.is_static:
        return _on_diagonal(g, x.type.sizes[-2], x.type.sizes[-1], k)
    return apply(on_diagonal_op, g, x, k=k)


diag_part_op: Op = declare(
    Op(
        name="diag_part",
        kind=Kind.VIEW,
        batch=unchanged,
        infer=_diagonal_type,
        numpy=lambda x, *, k: np.diagonal(x, k, -2, -1),
        kernel=_diagonal_layout,
        gradient=[_diagonal_gradient],
        fails=lambda types, attributes: not types[0].is_static,
        examples=(
            Example(("f64[3,4]",), {"k": 0}),
            Example(("f64[2,4,3]",), {"k": 1}),
            Example(("f64[3,4]",), {"k": -2}),
            Example(("f64[0,0]",), {"k": 0}),
            Example(("f64[1,3]",), {"k": 2}),
        ),
        doc="A diagonal of each matrix.",
    )
)


def _on_diagonal(x: Any, rows: int, columns: int, k: int) -> Any:
    """Matrices that are zero but for diagonal `k`, which holds the last axis of `x`."""
    length = x.type.shape[-1]
    batch = [(0, 0)] * (x.type.rank - 1)
    zero = constant(0, x.type.dtype)
    row, column = range_(rows), range_(columns)
    on = PUBLIC["equal"](column, PUBLIC["expand_dims"](row, 1) + k)
    if k >= 0:
        values = PUBLIC["expand_dims"](PUBLIC["pad_with"](x, zero, [*batch, (0, rows - length)]), -1)
    else:
        values = PUBLIC["expand_dims"](PUBLIC["pad_with"](x, zero, [*batch, (0, columns - length)]), -2)
    return PUBLIC["where"](on, values, zero)


def _on_diagonal_array(g: np.ndarray[Any, Any], like: np.ndarray[Any, Any], *, k: int) -> np.ndarray[Any, Any]:
    result = np.zeros((*g.shape[:-1], *like.shape[-2:]), g.dtype)
    places = np.arange(g.shape[-1])
    result[..., places + max(-k, 0), places + max(k, 0)] = g
    return result


on_diagonal_op: Op = declare(
    Op(
        name="on_diagonal",
        kind=Kind.COMPOSED,
        batch=unchanged,
        infer=lambda types, *, k: (TensorType(types[0].dtype, types[1].shape),),
        numpy=_on_diagonal_array,
        definition=lambda g, like, *, k: (
            _on_diagonal(g, like.type.sizes[-2], like.type.sizes[-1], k)
            if like.type.is_static and g.type.is_static
            else None
        ),
        gradient=[lambda h, y, g, like, *, k: apply(diag_part_op, h, k=k), None],
        examples=(Example(("f64[2,2]", "f64[2,2,3]"), {"k": 1}), Example(("f64[2]", "f64[3,2]"), {"k": -1})),
        doc="Zeros of the shape of `like` with g on a diagonal: the gradient of diag_part.",
    )
)


def _diagonal_number(k: Any) -> int:
    number = static_integer(k)
    if number is None:
        raise InvalidArgumentError("the number of a diagonal must be known when the function is traced")
    return number


@public()
def diag(diagonal: Any, name: str = "diag", k: int = 0) -> Any:
    """Square matrices that are zero but for diagonal `k`, which holds the last axis (`gj.linalg.diag`).

    Raises:
      ShapeError: if `diagonal` is a scalar.

    >>> import graphjit as gj
    >>> print(gj.linalg.diag([1, 2]))
    gj.Tensor(
    [[1 0]
     [0 2]], shape=(2, 2), dtype=int32)
    """
    x = as_operand(diagonal)
    require_rank(x.type, 1, "diagonal")
    number = _diagonal_number(k)
    size = x.type.shape[-1]
    if size is None:
        raise ShapeError(f"diag needs a diagonal of known size, not of shape {x.shape}")
    side = size + abs(number)
    return _on_diagonal(x, side, side, number)


@public()
def diag_part(input: Any, name: str = "diag_part", k: int = 0) -> Any:
    """Diagonal `k` of each matrix; 1 is the one above the main diagonal (`gj.linalg.diag_part`).

    Raises:
      ShapeError: if there is no such diagonal.

    >>> import graphjit as gj
    >>> print(gj.linalg.diag_part([[1, 2], [3, 4]]))
    gj.Tensor([1 4], shape=(2,), dtype=int32)
    """
    return apply(diag_part_op, as_operand(input), k=_diagonal_number(k))


@public()
def set_diag(input: Any, diagonal: Any, name: str = "set_diag", k: int = 0) -> Any:
    """Each matrix with diagonal `k` replaced (`gj.linalg.set_diag`).

    Raises:
      ShapeError: if the diagonal does not fit.

    >>> import graphjit as gj
    >>> print(gj.linalg.set_diag([[1, 2], [3, 4]], [8, 9]))
    gj.Tensor(
    [[8 2]
     [3 9]], shape=(2, 2), dtype=int32)
    """
    x = as_operand(input)
    values = as_operand(diagonal, x.type.dtype)
    number = _diagonal_number(k)
    (wanted,) = diag_part_op.infer_types((x.type,), {"k": number})
    if not wanted.accepts(values.type):
        raise ShapeError(f"set_diag: a diagonal of type {values.type} does not fit; {wanted} is needed")
    rows, columns = (as_operand(size_along(x, axis)) for axis in (x.type.rank - 2, x.type.rank - 1))
    on = PUBLIC["equal"](range_(columns), PUBLIC["expand_dims"](range_(rows), 1) + number)
    return PUBLIC["where"](on, apply(on_diagonal_op, values, x, k=number), x)


@public()
def band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Any:
    """Each matrix with all but a band around the diagonal set to zero (`gj.linalg.band_part`).

    Args:
      input: matrices, shape [..., rows, columns].
      num_lower, num_upper: how many diagonals to keep below and above the main one; negative: all of them.

    >>> import graphjit as gj
    >>> print(gj.linalg.band_part([[1, 2], [3, 4]], 0, -1))
    gj.Tensor(
    [[1 2]
     [0 4]], shape=(2, 2), dtype=int32)
    """
    x = as_operand(input)
    require_rank(x.type, 2)
    rows, columns = (as_operand(size_along(x, axis)) for axis in (x.type.rank - 2, x.type.rank - 1))
    below = PUBLIC["expand_dims"](range_(rows), 1) - range_(columns)
    kept = _within(below, num_lower) & _within(-below, num_upper)
    return PUBLIC["where"](kept, x, constant(0, x.type.dtype))


def _within(distance: Any, bound: Any) -> Any:
    """Where a distance is at most the bound; everywhere if the bound is negative."""
    limit = PUBLIC["cast"](as_operand(bound, int64), distance.type.dtype)
    return PUBLIC["logical_or"](distance <= limit, limit < 0)


__all__ = ["band_part", "diag", "diag_part", "set_diag"]
