"""Shaping ops: the same elements with other axes; all of them are views.

Where a size is only known when the graph runs, an op with the shape as an operand is
written instead; it becomes the static op as soon as the sizes are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import ShapeError

from ..batchrules import axes_shift, prefixed, unchanged
from ..dispatch import apply
from ..layout import Layout, reshaped
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, public
from ..tensortype import (
    Shape,
    TensorShape,
    TensorType,
    element_count,
    normalize_axes,
    normalize_axis,
)
from .sizes import length_of_shape, shape_of, static_shape, when_known

# --- the same elements ------------------------------------------------------------------------


def _same_type(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
    return (types[0],)


def _same_layout(layout: Layout, type: TensorType, **_attributes: Any) -> Layout:
    return layout


identity_op: Op = declare(
    Op(
        name="identity",
        kind=Kind.VIEW,
        batch=unchanged,
        infer=_same_type,
        numpy=lambda x: x,
        kernel=_same_layout,
        gradient=[lambda g, y, x: g],
        examples=(Example(("f64[2,3]",)), Example(("f64[]",))),
        doc="The tensor itself, as another value to differentiate by.",
    )
)

stop_gradient_op: Op = declare(
    Op(
        name="stop_gradient",
        kind=Kind.VIEW,
        batch=unchanged,
        infer=_same_type,
        numpy=lambda x: x,
        kernel=_same_layout,
        gradient=Differentiability.NONE,
        examples=(Example(("f64[2,3]",)),),
        doc="The tensor itself, through which no gradient flows.",
    )
)


@public(numpy=np.copy)
def identity(input: Any, name: str | None = None) -> Any:
    """A tensor equal to the input that is another value to differentiate by."""
    return apply(identity_op, as_operand(input))


@public()
def stop_gradient(input: Any, name: str | None = None) -> Any:
    """A tensor equal to the input through which no gradient flows.

    >>> import graphjit as gj
    >>> x = gj.Variable(3.0)
    >>> with gj.GradientTape() as tape:
    ...     y = x * gj.stop_gradient(x)
    >>> print(tape.gradient(y, x))
    gj.Tensor(3.0, shape=(), dtype=float32)
    """
    return apply(stop_gradient_op, as_operand(input))


def _ensured_shape(type: TensorType, shape: Shape) -> Shape:
    """The operand's shape, with unknown sizes filled in from the asked-for shape."""
    if not TensorShape(type.shape).is_compatible_with(shape):
        raise ShapeError(f"the shape is {type.shape}, where {TensorShape(shape)} is asked for")
    return tuple(size if asked is None else asked for size, asked in zip(type.shape, shape, strict=True))


def _ensured_array(x: np.ndarray[Any, Any], *, shape: Shape) -> np.ndarray[Any, Any]:
    if not TensorShape(x.shape).is_compatible_with(shape):
        raise ShapeError(f"ensure_shape: the shape is {x.shape}, where {TensorShape(shape)} is asked for")
    return x


ensure_shape_op: Op = declare(
    Op(
        name="ensure_shape",
        kind=Kind.VIEW,
        batch=prefixed(shape=None),
        infer=lambda types, *, shape: (TensorType(types[0].dtype, _ensured_shape(types[0], shape)),),
        numpy=_ensured_array,
        kernel=_same_layout,
        gradient=[lambda g, y, x, *, shape: g],
        fails=lambda types, attributes: not types[0].is_static,
        examples=(
            Example(("f64[2,3]",), {"shape": (None, 3)}),
            Example(("f64[]",), {"shape": ()}),
            Example(("f64[0,3]",), {"shape": (0, 3)}),
        ),
        doc="The tensor itself, whose shape is checked when the graph runs.",
    )
)


@public()
def ensure_shape(x: Any, shape: Any, name: str | None = None) -> Any:
    """The tensor itself; an error if its shape is another one. Sizes that are None are not checked.

    Raises:
      ShapeError: if the shapes differ; in a graph with unknown sizes, when it runs.

    >>> import graphjit as gj
    >>> gj.ensure_shape([[1, 2]], (None, 2)).shape
    TensorShape([1, 2])
    """
    operand = as_operand(x)
    wanted = TensorShape(shape)
    if wanted.rank is None:
        return apply(identity_op, operand)
    return apply(ensure_shape_op, operand, shape=tuple(wanted))


# --- reshape ----------------------------------------------------------------------------------


def resolve_shape(shape: Shape, wanted: Sequence[int]) -> Shape:
    """`wanted` with its -1 replaced by the size that keeps the element count of `shape`.

    Raises:
      ShapeError: if the counts differ, or more than one size is -1.

    >>> resolve_shape((2, 6), (3, -1))
    (3, 4)
    """
    if sum(size == -1 for size in wanted) > 1 or any(size < -1 for size in wanted):
        raise ShapeError(f"cannot reshape to {list(wanted)}: at most one size may be -1, none less")
    if None in shape:
        return tuple(None if size == -1 else size for size in wanted)
    count = element_count(shape)
    known = element_count([size for size in wanted if size != -1])
    if -1 in wanted:
        if known == 0 and count == 0:
            return tuple(0 if size == -1 else size for size in wanted)
        if known == 0 or count % known:
            raise ShapeError(f"cannot reshape {shape} ({count} elements) to {list(wanted)}")
        return tuple(count // known if size == -1 else size for size in wanted)
    if known != count:
        raise ShapeError(f"cannot reshape {shape} ({count} elements) to {list(wanted)} ({known})")
    return tuple(wanted)


def _reshape_type(types: tuple[TensorType, ...], *, shape: tuple[int, ...]) -> tuple[TensorType, ...]:
    return (TensorType(types[0].dtype, resolve_shape(types[0].shape, shape)),)


def _reshape_layout(layout: Layout, type: TensorType, *, shape: tuple[int, ...]) -> Layout | None:
    return reshaped(layout, type.sizes, [size or 0 for size in resolve_shape(type.shape, shape)])


def _reshape_gradient(g: Any, y: Any, x: Any, *, shape: tuple[int, ...]) -> Any:
    return PUBLIC["reshape_to_shape_of"](g, x)


def _reshape_each(
    op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
) -> Sequence[Operand]:
    (x,) = operands
    return (apply(op, x, shape=(size, *resolve_shape(x.type.shape[1:], attributes["shape"]))),)


reshape_op: Op = declare(
    Op(
        name="reshape",
        kind=Kind.VIEW,
        batch=_reshape_each,
        infer=_reshape_type,
        numpy=lambda x, *, shape: np.reshape(x, resolve_shape(x.shape, shape)),
        kernel=_reshape_layout,
        gradient=[_reshape_gradient],
        fails=lambda types, attributes: not types[0].is_static,
        examples=(
            Example(("f64[2,6]",), {"shape": (3, -1)}),
            Example(("f64[]",), {"shape": (1, 1)}),
            Example(("f64[0,3]",), {"shape": (3, 0)}),
        ),
        doc="The same elements in row-major order under another shape.",
    )
)


def _known_reshape(x: Any, shape: Any) -> Any:
    return when_known([shape], lambda sizes: apply(reshape_op, x, shape=tuple(int(size) for size in sizes)))


reshape_to_op: Op = declare(
    Op(
        name="reshape_to",
        kind=Kind.COMPOSED,
        infer=lambda types: (TensorType(types[0].dtype, (None,) * length_of_shape(types[1])),),
        numpy=lambda x, shape: np.reshape(x, resolve_shape(x.shape, [int(size) for size in shape])),
        definition=_known_reshape,
        gradient=[lambda g, y, x, shape: PUBLIC["reshape_to_shape_of"](g, x), None],
        fails=True,
        static_operands=(1,),
        examples=(Example(("f64[2,6]", np.array([3, -1], np.int32))),),
        doc="reshape, where the shape is an operand.",
    )
)


@public()
def reshape(tensor: Any, shape: Any, name: str | None = None) -> Any:
    """The same elements, in row-major order, under another shape; one size may be -1.

    Raises:
      ShapeError: if the element counts differ.

    >>> import graphjit as gj
    >>> print(gj.reshape([[1, 2], [3, 4]], [-1]))
    gj.Tensor([1 2 3 4], shape=(4,), dtype=int32)
    """
    operand = as_operand(tensor)
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return apply(reshape_to_op, operand, sizes)
    return apply(reshape_op, operand, shape=sizes)


@public()
def reshape_to_shape_of(x: Any, like: Any) -> Any:
    """`x` under the shape of `like`."""
    if like.type.is_static:
        return x if x.type.shape == like.type.shape else apply(reshape_op, x, shape=like.type.sizes)
    return apply(reshape_to_op, x, shape_of(like))


# --- transpose ----------------------------------------------------------------------------------


def _transpose_type(types: tuple[TensorType, ...], *, perm: tuple[int, ...]) -> tuple[TensorType, ...]:
    (type,) = types
    if sorted(perm) != list(range(type.rank)):
        raise ShapeError(f"perm {list(perm)} is no permutation of the axes of shape {type.shape}")
    return (TensorType(type.dtype, tuple(type.shape[axis] for axis in perm)),)


def _transpose_gradient(g: Any, y: Any, x: Any, *, perm: tuple[int, ...]) -> Any:
    return apply(transpose_op, g, perm=tuple(int(axis) for axis in np.argsort(perm)))


def _transpose_each(
    op: Op, operands: Sequence[Operand], is_batched: Sequence[bool], attributes: Mapping[str, Any], size: int
) -> Sequence[Operand]:
    return (apply(op, operands[0], perm=(0, *(axis + 1 for axis in attributes["perm"]))),)


transpose_op: Op = declare(
    Op(
        name="transpose",
        kind=Kind.VIEW,
        batch=_transpose_each,
        infer=_transpose_type,
        numpy=lambda x, *, perm: np.transpose(x, perm),
        kernel=lambda layout, type, *, perm: Layout(layout.offset, tuple(layout.strides[axis] for axis in perm)),
        gradient=[_transpose_gradient],
        examples=(
            Example(("f64[2,3]",), {"perm": (1, 0)}),
            Example(("f64[2,3,4]",), {"perm": (2, 0, 1)}),
            Example(("f64[]",), {"perm": ()}),
            Example(("f64[0,3]",), {"perm": (1, 0)}),
        ),
        doc="The axes in another order.",
    )
)


@public()
def transpose(a: Any, perm: Any = None, conjugate: bool = False, name: str | None = None) -> Any:
    """The axes in the order `perm`, reversed by default.

    Raises:
      ShapeError: if `perm` is no permutation of the axes.

    >>> import graphjit as gj
    >>> print(gj.transpose([[1, 2, 3]]).shape)
    (3, 1)
    """
    operand = as_operand(a)
    rank = operand.type.rank
    order = range(rank)[::-1] if perm is None else static_shape(perm)
    if isinstance(order, Operand):
        raise ShapeError("transpose needs a perm that is known when the function is traced")
    axes = tuple(normalize_axis(axis, rank, "perm") for axis in order)
    result = apply(transpose_op, operand, perm=axes)
    return PUBLIC["conj"](result) if conjugate and operand.type.dtype.is_complex else result


@public()
def moveaxis(a: Any, source: Any, destination: Any) -> Any:
    """The axes `source` moved to the positions `destination`; the others keep their order (NumPy's).

    >>> import graphjit as gj
    >>> gj.moveaxis(gj.zeros((2, 3, 4)), 0, -1).shape
    TensorShape([3, 4, 2])
    """
    operand = as_operand(a)
    rank = operand.type.rank
    sources = [normalize_axis(axis, rank, "source") for axis in np.atleast_1d(source)]
    targets = [normalize_axis(axis, rank, "destination") for axis in np.atleast_1d(destination)]
    if len(sources) != len(targets) or len(set(sources)) + len(set(targets)) != 2 * len(sources):
        raise ShapeError(f"moveaxis: {source} cannot move to {destination}: as many axes as places, each once")
    order = [axis for axis in range(rank) if axis not in sources]
    for target, axis in sorted(zip(targets, sources, strict=True)):
        order.insert(target, axis)
    return apply(transpose_op, operand, perm=tuple(order))


@public()
def swapaxes(a: Any, axis1: int, axis2: int) -> Any:
    """The tensor with two axes exchanged (NumPy's).

    >>> import graphjit as gj
    >>> gj.swapaxes(gj.zeros((2, 3, 4)), 0, 2).shape
    TensorShape([4, 3, 2])
    """
    operand = as_operand(a)
    order = list(range(operand.type.rank))
    one, other = (normalize_axis(axis, operand.type.rank) for axis in (axis1, axis2))
    order[one], order[other] = other, one
    return apply(transpose_op, operand, perm=tuple(order))


# --- axes of size 1 -------------------------------------------------------------------------------


def _expand_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    (type,) = types
    normalize_axis(axis, type.rank + 1)
    return (TensorType(type.dtype, (*type.shape[:axis], 1, *type.shape[axis:])),)


expand_dims_op: Op = declare(
    Op(
        name="expand_dims",
        kind=Kind.VIEW,
        batch=axes_shift("axis"),
        infer=_expand_type,
        numpy=lambda x, *, axis: np.expand_dims(x, axis),
        kernel=lambda layout, type, *, axis: Layout(layout.offset, (*layout.strides[:axis], 0, *layout.strides[axis:])),
        gradient=[lambda g, y, x, *, axis: apply(squeeze_op, g, axis=(axis,))],
        examples=(
            Example(("f64[2,3]",), {"axis": 1}),
            Example(("f64[]",), {"axis": 0}),
            Example(("f64[0,3]",), {"axis": 2}),
        ),
        doc="A new axis of size 1.",
    )
)


@public()
def expand_dims(input: Any, axis: int, name: str | None = None) -> Any:
    """The tensor with a new axis of size 1 at position `axis`.

    >>> import graphjit as gj
    >>> gj.expand_dims([1, 2], -1).shape
    TensorShape([2, 1])
    """
    operand = as_operand(input)
    return apply(expand_dims_op, operand, axis=normalize_axis(axis, operand.type.rank + 1))


def _squeeze_type(types: tuple[TensorType, ...], *, axis: tuple[int, ...]) -> tuple[TensorType, ...]:
    (type,) = types
    for one in normalize_axes(axis, type.rank):
        if type.shape[one] not in (1, None):
            raise ShapeError(f"cannot squeeze axis {one} of shape {type.shape}: its size is not 1")
    return (TensorType(type.dtype, _without(type.shape, axis)),)


def _without(items: Sequence[Any], axes: Sequence[int]) -> tuple[Any, ...]:
    return tuple(item for position, item in enumerate(items) if position not in axes)


def _squeeze_array(x: np.ndarray[Any, Any], *, axis: tuple[int, ...]) -> np.ndarray[Any, Any]:
    if any(x.shape[one] != 1 for one in axis):
        raise ShapeError(f"squeeze: axes {list(axis)} of shape {x.shape} must have size 1")
    return np.squeeze(x, axis)


def _squeeze_gradient(g: Any, y: Any, x: Any, *, axis: tuple[int, ...]) -> Any:
    for one in sorted(axis):
        g = apply(expand_dims_op, g, axis=one)
    return g


squeeze_op: Op = declare(
    Op(
        name="squeeze",
        kind=Kind.VIEW,
        batch=axes_shift("axis"),
        infer=_squeeze_type,
        numpy=_squeeze_array,
        kernel=lambda layout, type, *, axis: Layout(layout.offset, _without(layout.strides, axis)),
        gradient=[_squeeze_gradient],
        fails=lambda types, attributes: any(types[0].shape[one] is None for one in attributes["axis"]),
        examples=(
            Example(("f64[1,3,1]",), {"axis": (0, 2)}),
            Example(("f64[1]",), {"axis": (0,)}),
            Example(("f64[0,1]",), {"axis": (1,)}),
        ),
        doc="The tensor without some axes of size 1.",
    )
)


@public()
def squeeze(input: Any, axis: Any = None, name: str | None = None) -> Any:
    """The tensor without the axes `axis` of size 1, by default without all axes of size 1.

    Raises:
      ShapeError: if an axis that is named has another size, or, where no axis is named, a size is unknown.

    >>> import graphjit as gj
    >>> gj.squeeze([[[1], [2]]]).shape, gj.squeeze([[[1], [2]]], axis=0).shape
    (TensorShape([2]), TensorShape([2, 1]))
    """
    operand = as_operand(input)
    if axis is None or (isinstance(axis, list | tuple) and not axis):
        if not operand.type.is_static:
            raise ShapeError(f"squeeze of shape {operand.shape} needs an axis, because sizes are unknown")
        axes = tuple(position for position, size in enumerate(operand.type.shape) if size == 1)
    else:
        axes = normalize_axes(axis, operand.type.rank)
    return apply(squeeze_op, operand, axis=axes)


@public()
def ravel(a: Any) -> Any:
    """The elements as a vector, in row-major order (NumPy's)."""
    return apply(reshape_op, as_operand(a), shape=(-1,))


__all__ = [
    "ensure_shape",
    "expand_dims",
    "identity",
    "moveaxis",
    "ravel",
    "reshape",
    "squeeze",
    "stop_gradient",
    "swapaxes",
    "transpose",
]
