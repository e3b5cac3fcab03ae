"""Scattering: elements put at computed positions, into zeros or into a tensor."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..dispatch import apply
from ..op import Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, public, require_same_dtype
from ..tensortype import Shape, TensorType, int32
from .gathering import Array, checked_tuples, gather_nd, tuple_length
from .sizes import constant, length_of_shape, static_shape, when_known


def _check_updates(indices: TensorType, updates: TensorType, shape: Shape) -> None:
    depth = tuple_length(indices, len(shape))
    wanted = (*indices.shape[:-1], *shape[depth:])
    fits = len(wanted) == updates.rank and all(
        a is None or b is None or a == b for a, b in zip(wanted, updates.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"updates of shape {updates.shape} do not fit indices of shape {indices.shape} "
            f"into shape {tuple(shape)}: {wanted} is needed"
        )


def _scatter_nd_type(types: tuple[TensorType, ...], *, shape: tuple[int, ...]) -> tuple[TensorType, ...]:
    indices, updates = types
    _check_updates(indices, updates, shape)
    return (TensorType(updates.dtype, tuple(shape)),)


def _scatter_array(op: str, result: Array, indices: Array, updates: Array, put: np.ufunc | None) -> Array:
    """`result` with the updates put in; `put` combines, None replaces (the last of duplicates stays)."""
    places = checked_tuples(op, indices, result.shape)
    if not places:
        for update in updates.reshape(-1, *result.shape):
            result[...] = update if put is None else put(result, update)
    elif put is None:
        result[places] = updates
    else:
        put.at(result, places, updates)
    return result


scatter_nd_op: Op = declare(
    Op(
        name="scatter_nd",
        kind=Kind.INDEXING,
        infer=_scatter_nd_type,
        numpy=lambda indices, updates, *, shape: _scatter_array(
            "scatter_nd", np.zeros(shape, updates.dtype), indices, updates, np.add
        ),
        gradient=[None, lambda g, y, indices, updates, *, shape: gather_nd(g, indices)],
        fails=True,
        examples=(
            Example((np.array([[2, 0], [3, 2], [2, 0]], np.int32), "f64[3]"), {"shape": (4, 3)}),
            Example((np.array([[1], [0]], np.int64), "f64[2,3]"), {"shape": (2, 3)}),
            Example((np.zeros((0, 1), np.int32), "f64[0]"), {"shape": (5,)}),
            Example((np.zeros((2, 0), np.int32), "f64[2,3]"), {"shape": (3,)}),
        ),
        doc="Zeros of a shape to which the updates are added at index tuples.",
    )
)


def _scatter_nd_to_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    indices, updates, shape = types
    sizes: Shape = (None,) * length_of_shape(shape)
    _check_updates(indices, updates, sizes)
    return (TensorType(updates.dtype, sizes),)


scatter_nd_to_op: Op = declare(
    Op(
        name="scatter_nd_to",
        kind=Kind.COMPOSED,
        infer=_scatter_nd_to_type,
        numpy=lambda indices, updates, shape: _scatter_array(
            "scatter_nd", np.zeros(shape, updates.dtype), indices, updates, np.add
        ),
        definition=lambda indices, updates, shape: when_known(
            [shape], lambda sizes: PUBLIC["scatter_nd"](indices, updates, sizes)
        ),
        gradient=[None, lambda g, y, indices, updates, shape: gather_nd(g, indices), None],
        fails=True,
        static_operands=(2,),
        examples=(Example((np.array([[2], [0]], np.int32), "f64[2]", np.array([4], np.int32))),),
        doc="scatter_nd, where the shape is an operand.",
    )
)


@public()
def scatter_nd(indices: Any, updates: Any, shape: Any, name: str | None = None) -> Any:
    """Zeros of `shape` to which `updates` are added at index tuples; duplicates add up.

    Raises:
      OutOfRangeError: if an index is out of range.
      ShapeError: if the updates do not fit.

    >>> import graphjit as gj
    >>> print(gj.scatter_nd([[1], [3], [1]], [10, 20, 30], [4]))
    gj.Tensor([ 0 40  0 20], shape=(4,), dtype=int32)
    """
    index, values = as_operand(indices, int32), as_operand(updates)
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return apply(scatter_nd_to_op, index, values, sizes)
    return apply(scatter_nd_op, index, values, shape=sizes)


# --- tensors with elements put in ---------------------------------------------------------------------


def _put_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    type, indices, updates = types
    require_same_dtype((type, updates))
    _check_updates(indices, updates, type.shape)
    return (type,)


_PUT_EXAMPLES = (
    Example(("f64[4,3]", np.array([[2], [0]], np.int32), "f64[2,3]")),
    Example(("f64[4,3]", np.array([[2, 1], [0, 0]], np.int64), "f64[2]")),
    Example(("f64[3]", np.zeros((0, 1), np.int32), "f64[0]")),
)


def _declare_put(name: str, put: np.ufunc | None, gradient: Any, doc: str) -> Op:
    return declare(
        Op(
            name=name,
            kind=Kind.INDEXING,
            infer=_put_type,
            numpy=lambda x, indices, updates: _scatter_array(name, x.copy(), indices, updates, put),
            gradient=gradient,
            fails=True,
            examples=_PUT_EXAMPLES,
            doc=doc,
        )
    )


def _share_of_ties(g: Any, y: Any, x: Any, indices: Any, updates: Any) -> tuple[Any, Any]:
    """The cotangent for the kept elements and for the updates, shared evenly where several are the result."""
    dtype = x.type.dtype
    kept = PUBLIC["cast"](PUBLIC["equal"](x, y), dtype)
    put = PUBLIC["cast"](PUBLIC["equal"](updates, gather_nd(y, indices)), dtype)
    count = PUBLIC["maximum"](apply(add_nd_op, kept, indices, put), constant(1, dtype))
    share = g / count
    return kept * share, put * gather_nd(share, indices)


_TIES = [
    lambda g, y, x, indices, updates: _share_of_ties(g, y, x, indices, updates)[0],
    None,
    lambda g, y, x, indices, updates: _share_of_ties(g, y, x, indices, updates)[1],
]

update_nd_op: Op = _declare_put(
    "tensor_scatter_nd_update",
    None,
    [
        lambda g, y, x, indices, updates: apply(update_nd_op, g, indices, PUBLIC["zeros_like"](updates)),
        None,
        lambda g, y, x, indices, updates: gather_nd(g, indices),
    ],
    "The tensor with elements replaced at index tuples.",
)
add_nd_op: Op = _declare_put(
    "tensor_scatter_nd_add",
    np.add,
    [lambda g, y, x, indices, updates: g, None, lambda g, y, x, indices, updates: gather_nd(g, indices)],
    "The tensor with updates added at index tuples.",
)
min_nd_op: Op = _declare_put(
    "tensor_scatter_nd_min", np.minimum, _TIES, "The tensor with the lesser of element and update at index tuples."
)
max_nd_op: Op = _declare_put(
    "tensor_scatter_nd_max", np.maximum, _TIES, "The tensor with the greater of element and update at index tuples."
)


def _put(op: Op, tensor: Any, indices: Any, updates: Any) -> Any:
    x, values = as_operand(tensor), as_operand(updates, as_operand(tensor).type.dtype)
    return apply(op, x, as_operand(indices, int32), values)


@public()
def tensor_scatter_nd_update(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with elements replaced at index tuples; of duplicates the last one stays.

    Raises:
      OutOfRangeError: if an index is out of range.
      ShapeError: if the updates do not fit.

    >>> import graphjit as gj
    >>> print(gj.tensor_scatter_nd_update([1, 2, 3], [[0], [2]], [7, 8]))
    gj.Tensor([7 2 8], shape=(3,), dtype=int32)
    """
    return _put(update_nd_op, tensor, indices, updates)


@public()
def tensor_scatter_nd_add(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with `updates` added at index tuples; duplicates add up. Raises as the update does."""
    return _put(add_nd_op, tensor, indices, updates)


@public()
def tensor_scatter_nd_sub(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with `updates` subtracted at index tuples; duplicates add up. Raises as the update does."""
    x = as_operand(tensor)
    return _put(add_nd_op, x, indices, PUBLIC["negative"](as_operand(updates, x.type.dtype)))


@public()
def tensor_scatter_nd_min(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with the lesser of element and update at index tuples. Raises as the update does."""
    return _put(min_nd_op, tensor, indices, updates)


@public()
def tensor_scatter_nd_max(tensor: Any, indices: Any, updates: Any, name: str | None = None) -> Any:
    """The tensor with the greater of element and update at index tuples. Raises as the update does."""
    return _put(max_nd_op, tensor, indices, updates)


__all__ = [
    "scatter_nd",
    "tensor_scatter_nd_add",
    "tensor_scatter_nd_max",
    "tensor_scatter_nd_min",
    "tensor_scatter_nd_sub",
    "tensor_scatter_nd_update",
]
