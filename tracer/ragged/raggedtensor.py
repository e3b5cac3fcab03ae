"""RaggedTensor: rows of different lengths, as one tensor of all elements and the positions where rows begin and end.

Rows may be ragged in turn. Ops go to the elements; what needs the rows is in the other files of this folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, Composite, Operand, as_operand
from graphjit.compiler.ops.rows import checked_splits_op, row_ids_op, row_offsets_op, same_splits_op, spread
from graphjit.compiler.tensortype import Dimension, DType, TensorShape, int64
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError, TraceError

from ..structure import register_structure
from ..tensor import Tensor


class RaggedTensor(Composite):
    """Rows of different lengths; made by `gj.ragged.constant` and the `from_...` methods.

    It can be an argument and a result of compiled functions, and gradients flow through its elements.

    >>> import graphjit as gj
    >>> rows = gj.ragged.constant([[1, 2], [], [3]])
    >>> print(rows * 10, rows.shape, gj.reduce_sum(rows, axis=1).numpy())
    <gj.RaggedTensor [[10, 20], [], [30]]> (3, None) [3 0 3]
    """

    __slots__ = ("_splits", "_values")

    def __init__(self, values: Any, row_splits: Any) -> None:
        self._values = values
        self._splits = row_splits

    # --- making --------------------------------------------------------------------------------------

    @classmethod
    def from_row_splits(cls, values: Any, row_splits: Any, name: str | None = None, validate: bool = True) -> Any:
        """Row i holds the elements from `row_splits[i]` to `row_splits[i + 1]`.

        Args:
          values: a tensor, or a ragged one for rows of rows.
          row_splits: integers that ascend from 0 to the number of elements.
          validate: whether they are checked.

        Raises:
          InvalidArgumentError: if the splits do not ascend from 0 to the number of elements.

        >>> print(RaggedTensor.from_row_splits([1, 2, 3], [0, 2, 3]))
        <gj.RaggedTensor [[1, 2], [3]]>
        """
        inner = values if isinstance(values, RaggedTensor) else as_operand(values)
        splits = PUBLIC["cast"](as_operand(row_splits, int64), int64)
        if validate:
            first = inner.row_splits[1:] if isinstance(inner, RaggedTensor) else inner
            splits = apply(checked_splits_op, first, splits)
        return cls(inner, splits)

    @classmethod
    def from_row_lengths(cls, values: Any, row_lengths: Any, name: str | None = None, validate: bool = True) -> Any:
        """Rows of these lengths, one behind the other.

        Raises:
          InvalidArgumentError: if the lengths do not add up to the number of elements, or one is negative.

        >>> print(RaggedTensor.from_row_lengths([1, 2, 3], [2, 0, 1]))
        <gj.RaggedTensor [[1, 2], [], [3]]>
        """
        lengths = PUBLIC["cast"](as_operand(row_lengths, int64), int64)
        return cls.from_row_splits(values, splits_of_lengths(lengths), validate=validate)

    @classmethod
    def from_value_rowids(
        cls, values: Any, value_rowids: Any, nrows: int | None = None, name: str | None = None, validate: bool = True
    ) -> Any:
        """For each element the number of its row.

        Args:
          values: the elements, or ragged rows.
          value_rowids: ascending integers.
          nrows: how many rows there are; by default up to the last one with elements.

        Raises:
          InvalidArgumentError: if the numbers do not ascend.

        >>> print(RaggedTensor.from_value_rowids([1, 2, 3], [0, 0, 2], nrows=4))
        <gj.RaggedTensor [[1, 2], [], [3], []]>
        """
        ids = PUBLIC["cast"](as_operand(value_rowids, int64), int64)
        ones = PUBLIC["ones_like"](ids)
        sizes = PUBLIC["segment_sum"](ones, ids)  # which refuses what does not ascend
        if nrows is not None:
            sizes = PUBLIC["unsorted_segment_sum"](ones, ids, nrows)
        return cls.from_row_lengths(values, sizes, validate=validate)

    @classmethod
    def from_tensor(
        cls, tensor: Any, lengths: Any = None, padding: Any = None, ragged_rank: int = 1, name: str | None = None
    ) -> Any:
        """The rows of a tensor: whole, the first elements of each, or without what they were filled up with.

        Args:
          tensor: rank 2 or more.
          lengths: how many elements of each row count.
          padding: the element with which rows were filled up at their ends; give one of the two.
          ragged_rank: how many axes behind the first become ragged; more than 1 without lengths and padding only.

        Raises:
          InvalidArgumentError: if lengths and padding are given.
          ShapeError: if the tensor has no rows.

        >>> print(RaggedTensor.from_tensor([[1, 2, 0], [3, 0, 0]], padding=0))
        <gj.RaggedTensor [[1, 2], [3]]>
        """
        from .rows import rows_of_tensor

        return rows_of_tensor(as_operand(tensor), lengths, padding, ragged_rank)

    # --- parts ---------------------------------------------------------------------------------------

    @property
    def values(self) -> Any:
        """The elements of all rows: a tensor, or the ragged rows of rows."""
        return self._values

    @property
    def row_splits(self) -> Any:
        """Where rows begin and end, as int64."""
        return self._splits

    @property
    def flat_values(self) -> Any:
        """The elements of all rows of rows, as a tensor."""
        return self._values.flat_values if isinstance(self._values, RaggedTensor) else self._values

    @property
    def nested_row_splits(self) -> tuple[Any, ...]:
        """The row splits, the outermost first."""
        inner = self._values.nested_row_splits if isinstance(self._values, RaggedTensor) else ()
        return (self._splits, *inner)

    @property
    def ragged_rank(self) -> int:
        """How many axes are ragged."""
        return len(self.nested_row_splits)

    @property
    def dtype(self) -> DType:
        """The element type."""
        found: DType = self.flat_values.dtype
        return found

    @property
    def known_rows(self) -> int | None:
        """How many rows there are, None where only a run will tell."""
        count: Dimension = self._splits.type.shape[0]
        return None if count is None else count - 1

    @property
    def shape(self) -> TensorShape:
        """The shape, with None for ragged axes."""
        inner = self._values.shape.as_list()[1:]
        return TensorShape([self.known_rows, None, *inner])

    def nrows(self, out_type: Any = int64, name: str | None = None) -> Any:
        """How many rows there are."""
        return PUBLIC["cast"](PUBLIC["shape_of"](self._splits, out_type=int64)[0] - 1, out_type)

    def row_starts(self, name: str | None = None) -> Any:
        """Where each row begins."""
        return self._splits[:-1]

    def row_limits(self, name: str | None = None) -> Any:
        """Where each row ends."""
        return self._splits[1:]

    def row_lengths(self, axis: int = 1, name: str | None = None) -> Any:
        """How long each row is; along a deeper ragged axis ragged themselves."""
        if axis > 1 and isinstance(self._values, RaggedTensor):
            return self.with_values(self._values.row_lengths(axis - 1))
        if axis != 1:
            raise ShapeError(f"row_lengths: axis {axis} is not ragged; the shape is {self.shape}")
        return self._splits[1:] - self._splits[:-1]

    def value_rowids(self, name: str | None = None) -> Any:
        """For each element of `values` the number of its row."""
        return apply(row_ids_op, self.first_axis(), self._splits)

    def row_offsets(self) -> Any:
        """For each element of `values` its position in its row."""
        return apply(row_offsets_op, self.first_axis(), self._splits)

    def first_axis(self) -> Any:
        """A tensor with as many rows as `values`."""
        return self._values.row_splits[1:] if isinstance(self._values, RaggedTensor) else self._values

    def bounding_shape(self, axis: int | None = None, name: str | None = None) -> Any:
        """The shape of the least tensor that holds all rows, or one size of it."""
        inner = self._values.bounding_shape() if isinstance(self._values, RaggedTensor) else None
        rest = PUBLIC["shape_of"](self._values, out_type=int64)[1:] if inner is None else inner[1:]
        longest = PUBLIC["maximum"](PUBLIC["reduce_max"](self.row_lengths()), 0)
        whole = PUBLIC["concat"]([PUBLIC["stack"]([self.nrows(), longest]), rest], 0)
        return whole if axis is None else whole[axis]

    def with_values(self, values: Any) -> RaggedTensor:
        """Rows of the same lengths with other elements, or other rows of rows.

        Raises:
          ShapeError: if there are not as many of them.
        """
        if isinstance(values, RaggedTensor):
            return RaggedTensor(values, self._splits)
        operand = as_operand(values)
        mine, count = self.first_axis().type.shape[0], operand.type.shape[:1]
        if not operand.type.rank or (None not in (mine, *count) and (mine,) != count):
            raise ShapeError(f"shape {operand.shape} for rows of {mine} elements in all")
        return RaggedTensor(operand, self._splits)

    def with_flat_values(self, values: Any) -> RaggedTensor:
        """The same with other elements of the innermost rows; see `with_values`."""
        inner = self._values
        return self.with_values(inner.with_flat_values(values) if isinstance(inner, RaggedTensor) else values)

    # --- out of it -----------------------------------------------------------------------------------

    def to_tensor(self, default_value: Any = None, name: str | None = None, shape: Any = None) -> Any:
        """A tensor whose rows are filled up, with zeros or empty strings by default.

        Args:
          default_value: what rows are filled up with.
          shape: the shape, if it should not be the least one; None for sizes that should. Rows are cut if need be.

        >>> import graphjit as gj
        >>> print(gj.ragged.constant([[1, 2], [3]]).to_tensor(default_value=-1).numpy().tolist())
        [[1, 2], [3, -1]]
        """
        from .rows import filled_up

        return filled_up(self, default_value, shape)

    def to_list(self) -> list[Any]:
        """Nested lists of Python numbers, or of byte strings; in eager mode.

        Raises:
          TraceError: in a compiled function, where there are no numbers yet.
        """
        splits = self._numbers(self._splits)
        inner = self._values.to_list() if isinstance(self._values, RaggedTensor) else self._numbers(self._values)
        rows = inner if isinstance(inner, list) else inner.tolist()
        return [rows[first:last] for first, last in pairwise(splits)]

    def numpy(self) -> Any:
        """An array of the rows' arrays; one array if all rows are equally long."""
        splits = self._numbers(self._splits)
        inner = self._values.numpy() if isinstance(self._values, RaggedTensor) else self._numbers(self._values)
        rows = [inner[first:last] for first, last in pairwise(splits)]
        if len({len(row) for row in rows}) == 1:
            return np.stack(rows)
        result = np.empty(len(rows), object)
        for place, row in enumerate(rows):
            result[place] = row
        return result

    def _numbers(self, part: Any) -> Any:
        if not isinstance(part, Tensor):
            raise TraceError(
                f"the rows of {self!r} have no numbers yet: it is traced, and has them when the compiled function runs"
            )
        return part.numpy()

    # --- as one thing --------------------------------------------------------------------------------

    def elementwise(self, function: Callable[..., Any], operands: tuple[Any, ...]) -> Any:
        values = [one._beside(self) if isinstance(one, RaggedTensor) else self._spread(one) for one in operands]
        return self.with_flat_values(function(*values))

    def _beside(self, other: RaggedTensor) -> Any:
        """The elements, which lie in rows as long as those of another one.

        Raises:
          ShapeError: if they do not.
        """
        if self is other:
            return self.flat_values
        if self.ragged_rank != other.ragged_rank:
            raise ShapeError(f"ragged tensors of shapes {other.shape} and {self.shape} do not go together")
        for mine, theirs in zip(self.nested_row_splits, other.nested_row_splits, strict=True):
            if mine is not theirs:
                apply(same_splits_op, theirs, mine)
        return self.flat_values

    def _spread(self, value: Any) -> Any:
        """A scalar as it is; of a tensor with a single column for each element what its row holds.

        Raises:
          ShapeError: for tensors of other shapes.
        """
        if not isinstance(value, Operand | np.ndarray | list | tuple):
            return value
        operand = as_operand(value, self.dtype)
        if not operand.type.rank:
            return operand
        if self.ragged_rank == 1 and operand.type.rank == 2 and operand.type.shape[1] == 1:
            each = spread(operand[:, 0], self._values, self._splits)
            return PUBLIC["reshape"](each, [-1] + [1] * (self._values.type.rank - 1))
        raise ShapeError(
            f"a ragged tensor of shape {self.shape} goes with scalars, ragged tensors of equal rows and, if it has one "
            f"ragged axis, tensors of shape (rows, 1); not with shape {operand.shape}"
        )

    def concatenated(self, values: Sequence[Any], axis: Any) -> Any:
        from .making import concat

        return concat(values, axis)

    def reduced(self, function: Callable[..., Any], axis: Any, keepdims: bool) -> Any:
        from .reducing import reduce_ragged

        return reduce_ragged(self, function, axis, keepdims)

    def __getitem__(self, key: Any) -> Any:
        from .rows import part_of

        return part_of(self, key)

    def __len__(self) -> int:
        count = self.known_rows
        if count is None:
            raise TraceError("len() of a ragged tensor whose number of rows is unknown; use nrows()")
        return count

    def __iter__(self) -> Iterator[Any]:
        return iter([self[row] for row in range(len(self))])

    def __bool__(self) -> bool:
        raise DtypeError("a ragged tensor is neither true nor false; use gj.reduce_any or gj.reduce_all")

    def __repr__(self) -> str:
        parts = (self.flat_values, *self.nested_row_splits)
        if all(isinstance(one, Tensor) for one in parts):
            return f"<gj.RaggedTensor {self.to_list()}>"
        return f"<gj.RaggedTensor values={self._values!r}, row_splits={self._splits!r}>"

    __str__ = __repr__


def splits_of_lengths(lengths: Any) -> Any:
    """Where rows of these lengths begin and end."""
    if lengths.type.rank != 1:
        raise ShapeError(f"row lengths are a vector, not shape {lengths.shape}")
    if isinstance(lengths, Tensor) and (lengths.numpy() < 0).any():
        raise InvalidArgumentError(f"row lengths are not negative, but {lengths.numpy().min()} is among them")
    return PUBLIC["concat"]([PUBLIC["zeros"]([1], int64), PUBLIC["cumsum"](lengths)], 0)


register_structure(
    RaggedTensor,
    lambda ragged: ((ragged._values, ragged._splits), None),
    lambda rest, parts: RaggedTensor(*parts),
    names=("values", "row_splits"),
)

__all__ = ["RaggedTensor"]
