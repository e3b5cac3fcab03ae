"""Joining and taking apart: concat, stack, split, unstack, tile, repeat, meshgrid."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..batchrules import axes_shift, prefixed
from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, Piece, declare
from ..operand import (
    PUBLIC,
    Composite,
    Operand,
    as_operand,
    as_operands,
    is_operand_like,
    public,
    require_kind,
    require_same_dtype,
)
from ..tensortype import Dimension, Shape, TensorType, int32, normalize_axis
from .broadcasting import broadcast_to
from .shaping import ensure_shape, expand_dims_op, identity_op, reshape
from .sizes import (
    Size,
    constant,
    fitting,
    shape_value,
    sizes_of,
    static_integer,
    static_integers,
    static_shape,
    when_known,
)
from .slicing import index_along, slice_along

# --- concat -------------------------------------------------------------------------------------


def _common_size(sizes: Sequence[Dimension], axis: int, types: Sequence[TensorType]) -> Dimension:
    known = {size for size in sizes if size is not None}
    if len(known) > 1:
        shapes = " and ".join(str(type.shape) for type in types)
        raise ShapeError(f"shapes {shapes} differ in axis {axis}")
    return known.pop() if known else None


def _concat_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    dtype = require_same_dtype(types)
    ranks = {type.rank for type in types}
    if len(ranks) > 1 or 0 in ranks:
        shapes = ", ".join(str(type.shape) for type in types)
        raise ShapeError(f"concat needs tensors of one rank, at least 1; the shapes are {shapes}")
    sizes: list[Dimension] = []
    for position, column in enumerate(zip(*(type.shape for type in types), strict=True)):
        if position == axis:
            sizes.append(None if None in column else sum(size or 0 for size in column))
        else:
            sizes.append(_common_size(column, position, types))
    return (TensorType(dtype, tuple(sizes)),)


def _concat_pieces(types: tuple[TensorType, ...], *, axis: int) -> list[Piece]:
    pieces: list[Piece] = []
    offset = 0
    for position, type in enumerate(types):
        starts = tuple(offset if one == axis else 0 for one in range(type.rank))
        pieces.append(Piece(position, starts, type.sizes, (1,) * type.rank))
        offset += type.sizes[axis]
    return pieces


def _concat_gradient(position: int, g: Any, y: Any, *operands: Any, axis: int) -> Any:
    sizes = [operand.type.shape[axis] for operand in operands]
    if None in sizes:
        return apply(concat_part_op, g, *operands, axis=axis, position=position)
    begin = sum(sizes[:position])
    return slice_along(g, axis, begin, begin + sizes[position])


concat_op: Op = declare(
    Op(
        name="concat",
        kind=Kind.JOIN,
        batch=axes_shift("axis"),
        infer=_concat_type,
        numpy=fitting(lambda *arrays, axis: np.concatenate(arrays, axis)),
        pieces=_concat_pieces,
        gradient=_concat_gradient,
        fails=lambda types, attributes: not all(type.is_static for type in types),
        examples=(
            Example(("f64[2,3]", "f64[1,3]"), {"axis": 0}),
            Example(("f64[2,3]", "f64[2,0]", "f64[2,2]"), {"axis": 1}),
            Example(("f64[0]", "f64[0]"), {"axis": 0}),
            Example(("f64[3]",), {"axis": 0}),
        ),
        doc="Tensors one after another along an axis.",
    )
)


def _part_array(
    g: np.ndarray[Any, Any], *arrays: np.ndarray[Any, Any], axis: int, position: int
) -> np.ndarray[Any, Any]:
    begin = sum(array.shape[axis] for array in arrays[:position])
    places = slice(begin, begin + arrays[position].shape[axis])
    return g[(slice(None),) * axis + (places,)].copy()


def _part_definition(g: Any, *operands: Any, axis: int, position: int) -> Any:
    if any(operand.type.shape[axis] is None for operand in operands):
        return None
    return _concat_gradient(position, g, None, *operands, axis=axis)


def _part_gradient(rule: int, h: Any, y: Any, g: Any, *operands: Any, axis: int, position: int) -> Any:
    if rule:
        return None
    parts = [h if one == position else PUBLIC["zeros_like"](x) for one, x in enumerate(operands)]
    return apply(concat_op, *parts, axis=axis)


concat_part_op: Op = declare(
    Op(
        name="concat_part",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=lambda types, *, axis, position: (TensorType(types[0].dtype, types[1 + position].shape),),
        numpy=_part_array,
        definition=_part_definition,
        gradient=_part_gradient,
        examples=(Example(("f64[3,3]", "f64[2,3]", "f64[1,3]"), {"axis": 0, "position": 1}),),
        doc="The part of g that has the place of one operand of a concat: its gradient.",
    )
)


def listed(values: Any, what: str) -> tuple[Operand, ...]:
    """The operands of a list, which agree in dtype where it is not given; the rows of a single tensor."""
    if is_operand_like(values) or isinstance(values, np.ndarray):
        return tuple(unstack(values))
    if not isinstance(values, Sequence) or not values:
        raise InvalidArgumentError(f"{what} needs a list of at least one tensor, not {values!r}")
    return as_operands(*values)


@public()
def concat(values: Any, axis: Any, name: str | None = None) -> Any:
    """The tensors one after another along an axis.

    Args:
      values: tensors of one dtype whose shapes agree in all axes but `axis`.
      axis: an integer in [-rank, rank).

    Raises:
      ShapeError: if the shapes do not agree.
      DtypeError: if the dtypes differ.

    >>> import graphjit as gj
    >>> print(gj.concat([[1, 2], [3]], axis=0))
    gj.Tensor([1 2 3], shape=(3,), dtype=int32)
    """
    for one in values if isinstance(values, list | tuple) else ():
        if isinstance(one, Composite):
            return one.concatenated(values, axis)
    operands = listed(values, "concat")
    place = static_integer(axis)
    if place is None:
        raise InvalidArgumentError("concat needs an axis that is known when the function is traced")
    where = normalize_axis(place, operands[0].type.rank)
    return apply(concat_op, *operands, axis=where)


# --- stack ----------------------------------------------------------------------------------------


def _stack_type(types: tuple[TensorType, ...], *, axis: int) -> tuple[TensorType, ...]:
    dtype = require_same_dtype(types)
    if len({type.rank for type in types}) > 1:
        shapes = ", ".join(str(type.shape) for type in types)
        raise ShapeError(f"stack needs tensors of one shape; the shapes are {shapes}")
    columns = zip(*(type.shape for type in types), strict=True)
    shape = [_common_size(column, position, types) for position, column in enumerate(columns)]
    shape.insert(axis, len(types))
    return (TensorType(dtype, tuple(shape)),)


def _stack_definition(*operands: Any, axis: int) -> Any:
    return apply(concat_op, *(apply(expand_dims_op, one, axis=axis) for one in operands), axis=axis)


stack_op: Op = declare(
    Op(
        name="stack",
        kind=Kind.COMPOSED,
        batch=axes_shift("axis"),
        infer=_stack_type,
        numpy=fitting(lambda *arrays, axis: np.stack(arrays, axis)),
        definition=_stack_definition,
        gradient=lambda position, g, y, *operands, axis: index_along(g, axis, position),
        fails=lambda types, attributes: not all(type.is_static for type in types),
        examples=(
            Example(("f64[2,3]", "f64[2,3]"), {"axis": 1}),
            Example(("f64[]", "f64[]", "f64[]"), {"axis": 0}),
            Example(("f64[0]",), {"axis": 1}),
        ),
        doc="Tensors of one shape, one after another along a new axis.",
    )
)


@public()
def stack(values: Any, axis: int = 0, name: str | None = None) -> Any:
    """The tensors of one shape, one after another along a new axis.

    Raises:
      ShapeError: if the shapes differ.
      DtypeError: if the dtypes differ.

    >>> import graphjit as gj
    >>> print(gj.stack([[1, 2], [3, 4]], axis=1))
    gj.Tensor(
    [[1 3]
     [2 4]], shape=(2, 2), dtype=int32)
    """
    operands = listed(values, "stack")
    return apply(stack_op, *operands, axis=normalize_axis(axis, operands[0].type.rank + 1))


# --- taking apart ---------------------------------------------------------------------------------


def _ensure_size(x: Any, axis: int, size: int) -> Any:
    """`x` with the size of one axis known; checked when the graph runs, if it is not known now."""
    if x.type.shape[axis] == size:
        return x
    return ensure_shape(x, [size if one == axis else None for one in range(x.type.rank)])


@public()
def unstack(value: Any, num: int | None = None, axis: int = 0, name: str | None = None) -> list[Any]:
    """The tensors along an axis, as a list of tensors without that axis.

    Raises:
      ShapeError: if the tensor is a scalar, `num` is not the size of the axis, or that size is unknown.

    >>> import graphjit as gj
    >>> [int(row) for row in gj.unstack([1, 2, 3])]
    [1, 2, 3]
    """
    operand = as_operand(value)
    where = normalize_axis(axis, operand.type.rank)
    if num is not None:
        operand = _ensure_size(operand, where, int(num))
    size = operand.type.shape[where]
    if size is None:
        raise ShapeError(f"unstack of shape {operand.shape} needs num, because the size of axis {where} is unknown")
    return [index_along(operand, where, index) for index in range(size)]


@public()
def split(
    value: Any, num_or_size_splits: Any, axis: int = 0, num: int | None = None, name: str | None = None
) -> list[Any]:
    """The tensor in parts along an axis.

    Args:
      value: any shape but a scalar.
      num_or_size_splits: how many equal parts, or the sizes of the parts, of which one may be -1 (the rest).
      axis: the axis to cut.

    Raises:
      ShapeError: if the axis cannot be cut so.

    >>> import graphjit as gj
    >>> [part.shape.as_list() for part in gj.split(gj.zeros((5, 6)), [4, -1], axis=1)]
    [[5, 4], [5, 2]]
    """
    operand = as_operand(value)
    where = normalize_axis(axis, operand.type.rank)
    known = static_shape(num_or_size_splits)
    if isinstance(known, Operand):
        raise ShapeError("split needs sizes that are known when the function is traced")
    if np.ndim(num_or_size_splits) == 0:
        return _equal_parts(operand, known[0], where)
    return _parts_of_sizes(operand, known, where)


def _equal_parts(x: Any, count: int, axis: int) -> list[Any]:
    size = x.type.shape[axis]
    if count < 1 or (size is not None and size % count):
        raise ShapeError(f"split: axis {axis} of shape {x.shape} cannot be cut into {count} equal parts")
    if size is not None:
        return _parts_of_sizes(x, (size // count,) * count, axis)
    sizes = sizes_of(x)
    rows = reshape(x, shape_value([*sizes[:axis], count, -1, *sizes[axis + 1 :]]))
    return [index_along(rows, axis, part) for part in range(count)]


def _parts_of_sizes(x: Any, sizes: tuple[int, ...], axis: int) -> list[Any]:
    whole = x.type.shape[axis]
    given = sum(size for size in sizes if size != -1)
    rests = sizes.count(-1)
    if rests > 1 or any(size < -1 for size in sizes):
        raise ShapeError(f"split: sizes {list(sizes)} may hold one -1, and nothing less")
    if whole is None:
        return _parts_of_unknown(x, sizes, axis, given, rests)
    if given > whole or (not rests and given != whole):
        raise ShapeError(f"split: sizes {list(sizes)} do not add up to axis {axis} of shape {x.shape}")
    parts: list[Any] = []
    begin = 0
    for size in sizes:
        end = begin + (whole - given if size == -1 else size)
        parts.append(slice_along(x, axis, begin, end))
        begin = end
    return parts


_BEYOND = 2**62
"""A slice from here on is empty."""


def _parts_of_unknown(x: Any, sizes: tuple[int, ...], axis: int, given: int, rests: int) -> list[Any]:
    """As `_parts_of_sizes`; what follows the -1 is counted from the end."""
    if not rests:
        return _parts_of_sizes(_ensure_size(x, axis, given), sizes, axis)
    rest = sizes.index(-1)
    parts: list[Any] = []
    for size in sizes[:rest]:
        parts.append(_ensure_size(slice_along(x, axis, 0, size), axis, size))
        x = slice_along(x, axis, size, None)
    last: list[Any] = []
    for size in reversed(sizes[rest + 1 :]):
        last.append(_ensure_size(slice_along(x, axis, -size or _BEYOND, None), axis, size))
        x = slice_along(x, axis, None, -size or None)
    return [*parts, x, *reversed(last)]


# --- tile, repeat, meshgrid ---------------------------------------------------------------------------


def _tiled_shape(shape: Shape, multiples: tuple[int, ...]) -> Shape:
    if len(multiples) != len(shape) or any(one < 0 for one in multiples):
        raise ShapeError(
            f"tile: multiples {list(multiples)} do not fit shape {shape}: one for each axis, none negative"
        )
    pairs = zip(shape, multiples, strict=True)
    return tuple(None if size is None else size * one for size, one in pairs)


def _tile_definition(x: Any, *, multiples: tuple[int, ...]) -> Any:
    if not x.type.is_static:
        return None
    spread: list[int] = []
    whole: list[int] = []
    for size, count in zip(x.type.sizes, multiples, strict=True):
        spread += [1, size]
        whole += [count, size]
    repeated = broadcast_to(reshape(x, spread), whole)
    return reshape(repeated, _tiled_shape(x.type.shape, multiples))


def _sum_of_tiles(g: Any, x: Any, multiples: Sequence[Size]) -> Any:
    pairs = zip(multiples, sizes_of(x), strict=True)
    apart = reshape(g, shape_value([size for pair in pairs for size in pair]))
    return PUBLIC["reduce_sum"](apart, axis=list(range(0, 2 * x.type.rank, 2)))


tile_op: Op = declare(
    Op(
        name="tile",
        kind=Kind.COMPOSED,
        batch=prefixed(multiples=1),
        infer=lambda types, *, multiples: (TensorType(types[0].dtype, _tiled_shape(types[0].shape, multiples)),),
        numpy=lambda x, *, multiples: np.tile(x, multiples),
        definition=_tile_definition,
        gradient=[lambda g, y, x, *, multiples: _sum_of_tiles(g, x, multiples)],
        examples=(
            Example(("f64[2,3]",), {"multiples": (2, 1)}),
            Example(("f64[2]",), {"multiples": (0,)}),
            Example(("f64[]",), {"multiples": ()}),
            Example(("f64[0,2]",), {"multiples": (3, 2)}),
        ),
        doc="The tensor several times along each axis.",
    )
)


def _tile_to_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    type, multiples = types
    require_kind(multiples, "iu", "multiples")
    if multiples.shape not in ((type.rank,), (None,)):
        raise ShapeError(f"tile: multiples of shape {multiples.shape} do not fit shape {type.shape}")
    return (TensorType(type.dtype, (None,) * type.rank),)


tile_to_op: Op = declare(
    Op(
        name="tile_to",
        kind=Kind.COMPOSED,
        infer=_tile_to_type,
        numpy=fitting(lambda x, multiples: np.tile(x, tuple(multiples.tolist()))),
        definition=lambda x, multiples: when_known([multiples], lambda known: PUBLIC["tile"](x, known)),
        gradient=[
            lambda g, y, x, multiples: _sum_of_tiles(g, x, [multiples[axis] for axis in range(x.type.rank)]),
            None,
        ],
        fails=True,
        static_operands=(1,),
        examples=(Example(("f64[2,3]", np.array([2, 1], np.int32))),),
        doc="tile, where the multiples are an operand.",
    )
)


@public()
def tile(input: Any, multiples: Any, name: str | None = None) -> Any:
    """The tensor `multiples[i]` times along axis i.

    Raises:
      ShapeError: if there is not one multiple for each axis, or one is negative.

    >>> import graphjit as gj
    >>> print(gj.tile([[1, 2]], [2, 2]))
    gj.Tensor(
    [[1 2 1 2]
     [1 2 1 2]], shape=(2, 4), dtype=int32)
    """
    operand = as_operand(input)
    counts = static_shape(multiples)
    if isinstance(counts, Operand):
        return apply(tile_to_op, operand, counts)
    return apply(tile_op, operand, multiples=counts)


def _places(repeats: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Each position as often as it is asked for."""
    if repeats.ndim != 1 or (repeats < 0).any():
        raise InvalidArgumentError(f"repeat: repeats are a number or a vector, not negative, not {repeats.tolist()}")
    return np.repeat(np.arange(repeats.size, dtype=np.int32), repeats)


repeat_places_op: Op = declare(
    Op(
        name="repeat_places",
        kind=Kind.CALL,
        infer=lambda types: (TensorType(int32, (None,)),),
        numpy=_places,
        gradient=Differentiability.NONE,
        fails=True,
        examples=(Example((np.array([2, 0, 1], np.int32),)), Example((np.zeros(0, np.int32),))),
        doc="Each position as often as `repeats` says there.",
    )
)


@public()
def repeat(input: Any, repeats: Any, axis: int | None = None, name: str | None = None) -> Any:
    """Each element, or each slice along an axis, several times in a row.

    Args:
      input: any shape.
      repeats: an integer, or one for each slice; may be traced.
      axis: by default the tensor is flattened first.

    Raises:
      InvalidArgumentError: if a repeat is negative, or there is not one for each slice.

    >>> import graphjit as gj
    >>> print(gj.repeat([1, 2], 2), gj.repeat([1, 2], [0, 3]))
    gj.Tensor([1 1 2 2], shape=(4,), dtype=int32) gj.Tensor([2 2 2], shape=(3,), dtype=int32)
    """
    operand = as_operand(input)
    if axis is None or operand.type.rank == 0:
        operand, axis = reshape(operand, [-1]), 0
    where = normalize_axis(axis, operand.type.rank)
    known = static_integers(repeats)
    if known is not None and known.size == 1:
        return _repeat_each(operand, int(known.item()), where)
    if known is not None:
        operand = _ensure_size(operand, where, known.size)
        return PUBLIC["gather"](operand, constant(_places(known), int32), axis=where)
    counts = as_operand(repeats, int32)
    if counts.type.rank == 0 or counts.type.shape == (1,):
        counts = broadcast_to(counts, shape_value([sizes_of(operand)[where]]))
    places = apply(repeat_places_op, ensure_shape(counts, [operand.type.shape[where]]))
    return PUBLIC["gather"](operand, places, axis=where)


def _repeat_each(x: Any, count: int, axis: int) -> Any:
    if count < 0:
        raise InvalidArgumentError(f"repeat: repeats are not negative, but {count} was given")
    sizes = sizes_of(x)
    apart = apply(expand_dims_op, x, axis=axis + 1)
    spread = broadcast_to(apart, shape_value([*sizes[: axis + 1], count, *sizes[axis + 1 :]]))
    size = sizes[axis]
    return reshape(spread, shape_value([*sizes[:axis], size * count, *sizes[axis + 1 :]]))


@public()
def meshgrid(*args: Any, indexing: str = "xy", name: str | None = None) -> list[Any]:
    """A grid of coordinates for each of several vectors.

    Args:
      *args: vectors of one dtype; scalars are vectors of one element.
      indexing: "xy": the second vector runs along axis 0; "ij": the first one does.

    >>> import graphjit as gj
    >>> [grid.numpy().tolist() for grid in gj.meshgrid([1, 2, 3], [4, 5])]
    [[[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]]]
    """
    if indexing not in ("xy", "ij"):
        raise InvalidArgumentError(f"meshgrid: indexing is 'xy' or 'ij', not {indexing!r}")
    vectors = [reshape(as_operand(one), [-1]) for one in args]
    order = list(range(len(vectors)))
    if indexing == "xy" and len(order) > 1:
        order[0], order[1] = 1, 0
    sizes: list[Size] = [0] * len(vectors)
    for vector, axis in zip(vectors, order, strict=True):
        (sizes[axis],) = sizes_of(vector)
    return [_along_grid(vector, axis, sizes) for vector, axis in zip(vectors, order, strict=True)]


def _along_grid(vector: Any, axis: int, sizes: list[Size]) -> Any:
    lonely = [-1 if one == axis else 1 for one in range(len(sizes))]
    spread = broadcast_to(reshape(vector, lonely), shape_value(sizes))
    return apply(identity_op, spread) if spread is vector else spread


__all__ = ["concat", "meshgrid", "repeat", "split", "stack", "tile", "unstack"]
