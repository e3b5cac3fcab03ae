"""Sets along the last axis of tensors: functions of `gj.sets`."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, as_operand, as_operands
from graphjit.compiler.ops.setmembers import set_members_op
from graphjit.compiler.tensortype import Shape, TensorShape, int32, int64
from graphjit.runtime.errors import ShapeError

from .places import kept_columns, linear, unravelled
from .sparsetensor import SparseTensor


class _Groups:
    """The elements of a tensor, and for each the number of the row that it is in."""

    def __init__(self, value: Any, what: str) -> None:
        if isinstance(value, SparseTensor):
            self._take_sparse(value, what)
        else:
            self._take_dense(as_operand(value), what)

    def _take_sparse(self, value: SparseTensor, what: str) -> None:
        _require_axis(value.rank, what)
        places, self.sizes, self.static = kept_columns(value, list(range(value.rank - 1)))
        self.values = value.values
        rows = SparseTensor.of_parts(places, value.values, self.sizes, self.static)
        self.groups = linear(rows) if self.static else PUBLIC["zeros_like"](value.values, dtype=int64)

    def _take_dense(self, operand: Any, what: str) -> None:
        _require_axis(operand.type.rank, what)
        shape = PUBLIC["shape_of"](operand, out_type=int64)
        self.sizes, self.static = shape[:-1], operand.type.shape[:-1]
        self.values = PUBLIC["reshape"](operand, [-1])
        rows = PUBLIC["range_"](0, PUBLIC["reduce_prod"](self.sizes), dtype=int64)
        self.groups = PUBLIC["repeat"](rows, shape[-1])


def _require_axis(rank: int, what: str) -> None:
    if not rank:
        raise ShapeError(f"{what}: sets lie along the last axis of a tensor; a scalar has none")


def _combined(a: Any, b: Any, how: str, what: str) -> SparseTensor:
    if not isinstance(a, SparseTensor) and not isinstance(b, SparseTensor):
        a, b = as_operands(a, b)
    one, other = _Groups(a, what), _Groups(b, what)
    static: Shape = one.static
    if not TensorShape(static).is_compatible_with(other.static):
        raise ShapeError(f"{what}: sets in rows of shapes {one.static} and {other.static} do not go together")
    groups, places, values, width = apply(set_members_op, one.groups, one.values, other.groups, other.values, how=how)
    columns = PUBLIC["expand_dims"](places, 1)
    indices = PUBLIC["concat"]([unravelled(groups, one.sizes), columns], 1) if static else columns
    sizes = PUBLIC["concat"]([one.sizes, PUBLIC["reshape"](width, [1])], 0)
    return SparseTensor.of_parts(indices, values, sizes, (*static, None))


def union(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """The elements of the sets along the last axis of one or the other, ascending, each once.

    Args:
      a, b: integers or strings, dense or sparse, of equal shapes but for the last axis.
      validate_indices: accepted for TensorFlow's sake; places of sparse tensors are always checked.

    Returns: a sparse tensor, whose rows are as long as the largest set; `gj.sparse.to_dense` fills up the others.

    Raises:
      ShapeError: if the shapes do not go together.

    >>> import graphjit as gj
    >>> found = gj.sets.union([[1, 2], [3, 3]], [[2, 5], [4, 4]])
    >>> print(gj.sparse.to_dense(found).numpy().tolist())
    [[1, 2, 5], [3, 4, 0]]
    """
    return _combined(a, b, "union", "sets.union")


def intersection(a: Any, b: Any, validate_indices: bool = True) -> SparseTensor:
    """The elements that are in both sets; see `union`.

    >>> import graphjit as gj
    >>> print(gj.sets.intersection([[1, 2, 3]], [[3, 1, 7]]).values)
    gj.Tensor([1 3], shape=(2,), dtype=int32)
    """
    return _combined(a, b, "intersection", "sets.intersection")


def difference(a: Any, b: Any, aminusb: bool = True, validate_indices: bool = True) -> SparseTensor:
    """The elements that are in `a` and not in `b`, or the other way round; see `union`.

    >>> import graphjit as gj
    >>> print(gj.sets.difference([[1, 2, 3]], [[3, 1, 7]]).values)
    gj.Tensor([2], shape=(1,), dtype=int32)
    """
    return _combined(a, b, "a-b" if aminusb else "b-a", "sets.difference")


def size(a: Any, validate_indices: bool = True) -> Any:
    """How many different elements each set along the last axis has, as int32.

    >>> import graphjit as gj
    >>> print(gj.sets.size(gj.constant([[1, 2], [3, 3]])))
    gj.Tensor([2 1], shape=(2,), dtype=int32)
    """
    given = _Groups(a, "sets.size")
    nothing = given.groups[:0], given.values[:0]
    groups, _places, _values, _width = apply(set_members_op, given.groups, given.values, *nothing, how="union")
    ones = PUBLIC["ones_like"](groups, dtype=int32)
    if not given.static:
        return PUBLIC["reduce_sum"](ones)
    rows = unravelled(groups, given.sizes)
    return PUBLIC["scatter_nd"](rows, ones, given.static if None not in given.static else given.sizes)


__all__ = ["difference", "intersection", "size", "union"]
