"""TensorArray: tensors of one type that are written and read by their number.

It is one tensor with a row for each element, so that loops carry it and gradients flow through it. Writing gives a new
array; going on with the one from before is an error, since its write would be lost.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.compiler.dispatch import apply, current_interpreter
from graphjit.compiler.graph import Location
from graphjit.compiler.location import describe, user_location
from graphjit.compiler.operand import PUBLIC, Operand, as_operand
from graphjit.compiler.ops.dynamicslices import dynamic_update_slice_op
from graphjit.compiler.tensortype import DType, TensorShape, TensorType, as_dtype
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import (
    DtypeError,
    FailedPreconditionError,
    InvalidArgumentError,
    OutOfRangeError,
    ShapeError,
    UnimplementedError,
)

from .agreement import Undefined
from .structure import register_structure


class Unfilled(Undefined):
    """Stands for the rows of an array to which nothing was written yet."""

    __slots__ = ()
    needs_a_round = False

    def __init__(self) -> None:
        super().__init__("the elements of the TensorArray")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Unfilled)

    def __hash__(self) -> int:
        return hash(Unfilled)

    def stand_in(self, type: TensorType) -> Operand | None:
        """Zeros, where another branch has written."""
        zeros: Operand = PUBLIC["zeros"](tuple(size or 0 for size in type.shape), type.dtype)
        return zeros


class TensorArray:
    """Tensors of one type, written and read by their number.

    Args:
      dtype: the elements' dtype.
      size: how many elements there are; a traced value is allowed.
      dynamic_size: whether writing behind the last element makes room for it; outside of loops that are traced.
      clear_after_read: False, if an element may be read more than once.
      element_shape: the elements' shape, where it is to be checked; by default that of the first one.
      tensor_array_name, handle, flow, infer_shape, colocate_with_first_write_call, name: accepted for
        TensorFlow's sake.

    >>> import graphjit as gj
    >>> array = gj.TensorArray(gj.float32, size=2)
    >>> array = array.write(0, 1.5)
    >>> array = array.write(1, 2.5)
    >>> print(array.stack())
    gj.Tensor([1.5 2.5], shape=(2,), dtype=float32)
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: bool | None = None,
        clear_after_read: bool | None = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ) -> None:
        self._dtype = as_dtype(dtype)
        self._size: Any = 0 if size is None else size
        self._dynamic = bool(dynamic_size)
        self._clears = True if clear_after_read is None else bool(clear_after_read)
        self._shape = TensorShape(element_shape)
        self._rows: Any = Unfilled()
        self._read: set[int] = set()
        self._lost: tuple[Any, Location | None] | None = None
        if self._shape.rank is not None and self._shape.is_fully_defined():
            self._rows = self._zeros(tuple(self._shape.as_list()))

    @property
    def dtype(self) -> DType:
        """The elements' dtype."""
        return self._dtype

    @property
    def element_shape(self) -> TensorShape:
        """The elements' shape, as far as it is known."""
        return self._shape if isinstance(self._rows, Unfilled) else TensorShape(self._rows.shape[1:])

    @property
    def dynamic_size(self) -> bool:
        """Whether writing behind the last element makes room for it."""
        return self._dynamic

    def size(self, name: str | None = None) -> Any:
        """How many elements there are, as an int32 scalar."""
        self._require_current()
        if isinstance(self._rows, Unfilled):
            return PUBLIC["cast"](as_operand(self._size), "int32")
        return PUBLIC["shape_of"](self._rows)[0]

    def _require_current(self) -> None:
        """Refuse an array from which another one was made by writing.

        Raises:
          FailedPreconditionError: naming the line of that write.
        """
        if self._lost is not None and self._lost[0] is current_interpreter():
            raise FailedPreconditionError(
                "this TensorArray was written to, and the array that write() returned was dropped, so the element "
                f"would be lost: write `array = array.write(...)`. The write is at {describe(self._lost[1])}"
            )

    def _zeros(self, shape: tuple[Any, ...]) -> Operand:
        count = self._size if isinstance(self._size, int) else as_operand(self._size)
        zeros: Operand = PUBLIC["zeros"](
            [count, *shape] if isinstance(count, Operand) else (count, *shape), self._dtype
        )
        return zeros

    def _with(self, rows: Any) -> TensorArray:
        made = TensorArray.__new__(TensorArray)
        made.__dict__.update(self.__dict__, _rows=rows, _lost=None, _read=set(self._read))
        return made

    def _element(self, value: Any) -> Operand:
        operand = as_operand(value, self._dtype, "an element of a TensorArray")
        if operand.type.dtype is not self._dtype:
            raise DtypeError(f"the TensorArray holds {self._dtype.name}, but {operand.type.dtype.name} was written")
        if not self.element_shape.is_compatible_with(operand.shape):
            raise ShapeError(f"the TensorArray's elements have shape {self.element_shape}, not {operand.shape}")
        return operand

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with an element written; the array itself must not be used any more.

        Raises:
          OutOfRangeError: if there is no such element; in a compiled function, when it runs.
          DtypeError, ShapeError: if the value does not fit the other elements.
        """
        self._require_current()
        element = self._element(value)
        rows = self._zeros(tuple(element.type.shape)) if isinstance(self._rows, Unfilled) else self._rows
        place = as_operand(index)
        if not isinstance(place, Symbol):
            rows = self._with_room(rows, int(np.asarray(place.numpy())))  # type: ignore[attr-defined]  # a tensor, as it is no symbol
        begin = PUBLIC["stack"]([PUBLIC["cast"](place, "int32")] + [as_operand(0)] * element.type.rank)
        updated = apply(dynamic_update_slice_op, rows, PUBLIC["expand_dims"](element, 0), begin)
        self._lost = current_interpreter(), user_location()
        made = self._with(updated)
        if not isinstance(place, Symbol):
            made._read.discard(int(place.numpy()))  # type: ignore[attr-defined]  # a tensor, as it is no symbol
        return made

    def _with_room(self, rows: Operand, index: int) -> Operand:
        """The rows, with more of them where the array may grow."""
        count = rows.type.shape[0]
        if count is None or 0 <= index < count:
            return rows
        if not self._dynamic or index < 0:
            raise OutOfRangeError(f"element {index} of a TensorArray of size {count} (dynamic_size=True lets it grow)")
        more = PUBLIC["zeros"]((index + 1 - count, *rows.type.shape[1:]), self._dtype)
        found: Operand = PUBLIC["concat"]([rows, more], 0)
        return found

    def read(self, index: Any, name: str | None = None) -> Any:
        """The element with this number.

        Raises:
          OutOfRangeError: if there is none; in a compiled function, when it runs.
          InvalidArgumentError: if it was read before, unless clear_after_read is False.
        """
        rows = self._all_rows("read")
        place = as_operand(index)
        if not isinstance(place, Symbol):
            number = int(place.numpy())  # type: ignore[attr-defined]  # a tensor, as it is no symbol
            if self._clears and number in self._read:
                raise InvalidArgumentError(
                    f"element {number} of the TensorArray was read before, which cleared it; make the array with "
                    "clear_after_read=False to read it more than once"
                )
            self._read.add(number)
        return PUBLIC["gather"](rows, place)

    def _all_rows(self, what: str) -> Operand:
        self._require_current()
        if isinstance(self._rows, Unfilled):
            raise FailedPreconditionError(
                f"{what}: nothing was written to the TensorArray, so its elements have no shape; give element_shape"
            )
        rows: Operand = self._rows
        return rows

    def stack(self, name: str | None = None) -> Any:
        """All elements as one tensor, with a row for each."""
        return PUBLIC["identity"](self._all_rows("stack"))

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """Some elements as one tensor."""
        return PUBLIC["gather"](self._all_rows("gather"), indices)

    def concat(self, name: str | None = None) -> Any:
        """The elements one behind the other, along their first axis."""
        rows = self._all_rows("concat")
        if rows.type.rank < 2:
            raise ShapeError("concat: the elements of the TensorArray are scalars; use stack()")
        return PUBLIC["reshape"](rows, (-1, *rows.type.shape[2:]))

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """The array whose elements are the rows of a tensor."""
        self._require_current()
        rows = as_operand(value, self._dtype, "the elements of a TensorArray")
        if rows.type.dtype is not self._dtype:
            raise DtypeError(f"the TensorArray holds {self._dtype.name}, but {rows.type.dtype.name} was given")
        return self._with(rows)

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """The array with the rows of a tensor written to these numbers."""
        self._require_current()
        values = as_operand(value, self._dtype, "the elements of a TensorArray")
        rows = self._zeros(tuple(values.type.shape[1:])) if isinstance(self._rows, Unfilled) else self._rows
        places = PUBLIC["expand_dims"](as_operand(indices), -1)
        return self._with(PUBLIC["tensor_scatter_nd_update"](rows, places, values))

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """The array whose elements are parts of a tensor along its first axis; the parts must be equally long.

        Raises:
          UnimplementedError: if they are not.
        """
        counts = np.asarray(lengths).reshape(-1)
        if len(set(counts.tolist())) != 1:
            raise UnimplementedError("split: the parts must be equally long; use gj.split for parts of other lengths")
        rows = as_operand(value, self._dtype, "the elements of a TensorArray")
        return self.unstack(PUBLIC["reshape"](rows, (len(counts), int(counts[0]), *rows.type.shape[1:])))

    def identity(self) -> TensorArray:
        """The same array."""
        return self._with(self._rows)

    def __repr__(self) -> str:
        return f"<gj.TensorArray of {self._dtype.name}, elements of shape {self.element_shape}>"


class _Rest:
    """What a TensorArray is beside its rows."""

    def __init__(self, array: TensorArray) -> None:
        self.array = array

    def _key(self) -> tuple[Any, ...]:
        one = self.array
        return one._dtype, one._dynamic, one._clears

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Rest) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


def _take_apart(array: TensorArray) -> tuple[tuple[Any], _Rest]:
    return (array._rows,), _Rest(array)


def _rebuilt(rest: _Rest, children: Any) -> TensorArray:
    (rows,) = children
    return rest.array._with(rows)


register_structure(TensorArray, _take_apart, _rebuilt)

__all__ = ["TensorArray"]
