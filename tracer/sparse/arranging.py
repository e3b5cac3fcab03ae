"""Sparse tensors with their elements in other places, or some of them only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.compiler.ops.sizes import static_shape
from graphjit.compiler.tensortype import element_count, int64, normalize_axis
from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..structure import flatten_down_to, unflatten
from .places import kept_columns, linear, require_sparse, unravelled
from .sparsetensor import SparseTensor


def reorder(sp_input: SparseTensor, name: str | None = None) -> SparseTensor:
    """The same with places that ascend in row-major order.

    >>> import graphjit as gj
    >>> print(gj.sparse.reorder(gj.SparseTensor([[1], [0]], [5, 6], [2])))
    gj.SparseTensor(indices=[[0], [1]], values=[6, 5], shape=(2,), dtype=int32)
    """
    require_sparse(sp_input, "sparse.reorder")
    order = PUBLIC["argsort"](linear(sp_input), stable=True)
    return SparseTensor.of_parts(
        PUBLIC["gather"](sp_input.indices, order),
        PUBLIC["gather"](sp_input.values, order),
        sp_input.dense_shape,
        sp_input.static_shape,
    )


def transpose(sp_input: SparseTensor, perm: Sequence[int] | None = None, name: str | None = None) -> SparseTensor:
    """The same with its axes in another order: reversed by default.

    >>> import graphjit as gj
    >>> print(gj.sparse.transpose(gj.SparseTensor([[0, 2]], [5], [2, 3])))
    gj.SparseTensor(indices=[[2, 0]], values=[5], shape=(3, 2), dtype=int32)
    """
    require_sparse(sp_input, "sparse.transpose")
    rank = sp_input.rank
    axes = list(range(rank))[::-1] if perm is None else [normalize_axis(one, rank) for one in perm]
    if sorted(axes) != list(range(rank)):
        raise ShapeError(f"sparse.transpose: perm {perm} does not name each of {rank} axes once")
    places, sizes, static = kept_columns(sp_input, axes)
    return reorder(SparseTensor.of_parts(places, sp_input.values, sizes, static))


def retain(sp_input: SparseTensor, to_retain: Any) -> SparseTensor:
    """The same with some of its elements only.

    Args:
      sp_input: a sparse tensor.
      to_retain: a truth value for each element.

    >>> import graphjit as gj
    >>> print(gj.sparse.retain(gj.sparse.from_dense([1, 0, 2]), [False, True]))
    gj.SparseTensor(indices=[[2]], values=[2], shape=(3,), dtype=int32)
    """
    require_sparse(sp_input, "sparse.retain")
    mask = as_operand(to_retain)
    return SparseTensor.of_parts(
        PUBLIC["boolean_mask"](sp_input.indices, mask),
        PUBLIC["boolean_mask"](sp_input.values, mask),
        sp_input.dense_shape,
        sp_input.static_shape,
    )


def slice(sp_input: SparseTensor, start: Any, size: Any, name: str | None = None) -> SparseTensor:  # noqa: A001 -- TensorFlow's name
    """The box of `size` elements from `start`, cut at the end of the shape.

    Args:
      sp_input: a sparse tensor.
      start, size: an integer for each axis.

    >>> import graphjit as gj
    >>> x = gj.sparse.from_dense([[1, 2, 0], [0, 3, 4]])
    >>> print(gj.sparse.to_dense(gj.sparse.slice(x, [0, 1], [2, 2])).numpy().tolist())
    [[2, 0], [3, 4]]
    """
    require_sparse(sp_input, "sparse.slice")
    begin, count = as_operand(start, int64), as_operand(size, int64)
    begin, count = PUBLIC["cast"](begin, int64), PUBLIC["cast"](count, int64)
    if begin.type.shape != (sp_input.rank,) or count.type.shape != (sp_input.rank,):
        raise ShapeError(f"sparse.slice: start and size have {sp_input.rank} entries for shape {sp_input.shape}")
    sizes = PUBLIC["maximum"](PUBLIC["minimum"](count, sp_input.dense_shape - begin), 0)
    above = PUBLIC["greater_equal"](sp_input.indices, begin)
    below = PUBLIC["less"](sp_input.indices, begin + count)
    kept = retain(sp_input, PUBLIC["reduce_all"](PUBLIC["logical_and"](above, below), axis=1))
    return SparseTensor(kept.indices - begin, kept.values, sizes)


def concat(axis: int, sp_inputs: Sequence[SparseTensor], name: str | None = None) -> SparseTensor:
    """Sparse tensors one behind the other along an axis.

    >>> import graphjit as gj
    >>> x = gj.sparse.from_dense([[1, 0]])
    >>> print(gj.sparse.to_dense(gj.sparse.concat(0, [x, x])).numpy().tolist())
    [[1, 0], [1, 0]]
    """
    given = list(sp_inputs)
    if not given:
        raise InvalidArgumentError("sparse.concat: there is nothing to put together")
    for one in given:
        require_sparse(one, "sparse.concat")
    where = normalize_axis(axis, given[0].rank)
    _require_alike(given, where)
    along = PUBLIC["one_hot"](where, given[0].rank, dtype=int64)
    offset, places = PUBLIC["zeros_like"](along), []
    for one in given:
        places.append(one.indices + offset)
        offset = offset + one.dense_shape * along
    sizes = given[0].dense_shape * (1 - along) + offset
    lengths = [one.static_shape[where] for one in given]
    static = list(given[0].static_shape)
    static[where] = None if None in lengths else sum(size for size in lengths if size is not None)
    values = PUBLIC["concat"]([one.values for one in given], 0)
    return reorder(SparseTensor.of_parts(PUBLIC["concat"](places, 0), values, sizes, tuple(static)))


def _require_alike(given: Sequence[SparseTensor], axis: int) -> None:
    shapes = {one.static_shape[:axis] + one.static_shape[axis + 1 :] for one in given}
    if len({one.rank for one in given}) > 1 or (len(shapes) > 1 and all(None not in one for one in shapes)):
        raise ShapeError(
            f"sparse.concat: shapes {', '.join(str(one.shape) for one in given)} differ beside axis {axis}"
        )


def reshape(sp_input: SparseTensor, shape: Any, name: str | None = None) -> SparseTensor:
    """The same elements in row-major order under another shape.

    Args:
      sp_input: a sparse tensor of known shape.
      shape: integers; -1 once, for what is left.

    Raises:
      ShapeError: if the shape has another number of elements.

    >>> import graphjit as gj
    >>> print(gj.sparse.reshape(gj.sparse.from_dense([[0, 1], [2, 0]]), [4]))
    gj.SparseTensor(indices=[[1], [2]], values=[1, 2], shape=(4,), dtype=int32)
    """
    require_sparse(sp_input, "sparse.reshape")
    wanted = static_shape(shape)
    if not isinstance(wanted, tuple) or None in sp_input.static_shape:
        raise ShapeError("sparse.reshape needs shapes that are known when the function is traced")
    count = element_count(sp_input.static_shape)
    if -1 in wanted:
        rest = element_count([size for size in wanted if size != -1])
        wanted = tuple(count // max(rest, 1) if size == -1 else size for size in wanted)
    if element_count(wanted) != count:
        raise ShapeError(f"sparse.reshape: {count} elements of shape {sp_input.shape} do not fill shape {wanted}")
    sizes = as_operand(list(wanted), int64)
    return SparseTensor.of_parts(unravelled(linear(sp_input), sizes), sp_input.values, sizes, wanted)


def expand_dims(sp_input: SparseTensor, axis: int = -1, name: str | None = None) -> SparseTensor:
    """The same with another axis of size 1.

    >>> import graphjit as gj
    >>> gj.sparse.expand_dims(gj.sparse.from_dense([0, 1]), 0).shape
    TensorShape([1, 2])
    """
    require_sparse(sp_input, "sparse.expand_dims")
    where = normalize_axis(axis, sp_input.rank + 1)
    indices, sizes = sp_input.indices, sp_input.dense_shape
    places = PUBLIC["concat"]([indices[:, :where], PUBLIC["zeros_like"](indices[:, :1]), indices[:, where:]], 1)
    static = (*sp_input.static_shape[:where], 1, *sp_input.static_shape[where:])
    whole = PUBLIC["concat"]([sizes[:where], PUBLIC["ones"]([1], int64), sizes[where:]], 0)
    return SparseTensor.of_parts(places, sp_input.values, whole, static)


def map_values(op: Callable[..., Any], *args: Any, **kwargs: Any) -> SparseTensor:
    """What a function gives for the elements that are there.

    Args:
      op: a function that keeps the number of elements.
      args, kwargs: its arguments; sparse tensors among them have the same places as the first.

    >>> import graphjit as gj
    >>> print(gj.sparse.map_values(gj.add, gj.sparse.from_dense([0, 1]), 5).values)
    gj.Tensor([6], shape=(1,), dtype=int32)
    """
    leaves, structure = flatten_down_to((args, kwargs), SparseTensor)
    sparse = [leaf for leaf in leaves if isinstance(leaf, SparseTensor)]
    if not sparse:
        raise InvalidArgumentError("sparse.map_values: no argument is a sparse tensor")
    for one in sparse[1:]:
        PUBLIC["Assert"](
            PUBLIC["reduce_all"](PUBLIC["equal"](one.indices, sparse[0].indices)),
            ["sparse.map_values: the sparse tensors have elements in different places"],
        )
    positional, named = unflatten(structure, [one.values if isinstance(one, SparseTensor) else one for one in leaves])
    return sparse[0].with_values(op(*positional, **named))


__all__ = ["concat", "expand_dims", "map_values", "reorder", "reshape", "retain", "slice", "transpose"]
