"""Shapes as values: the shape, size and rank of a tensor, and shape arguments that may be traced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import GraphjitError, ShapeError

from ..dispatch import apply, current_interpreter
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, is_operand_like, public, require_kind
from ..tensortype import DType, TensorType, as_dtype, element_count, int32, int64
from ..writer import static_value

Size = int | Operand
"""A size: an integer, or a scalar operand where it is not known yet."""


def constant(value: Any, dtype: DType) -> Operand:
    """A constant operand of a dtype."""
    return current_interpreter().constant(np.array(value, dtype=dtype.numpy))


def static_integer(value: Any) -> int | None:
    """The integer that an argument is, or None where only a run will tell."""
    if is_operand_like(value):
        known = static_value(as_operand(value))
        return None if known is None else int(np.asarray(known).item())
    return int(value)


def static_integers(values: Any) -> np.ndarray[Any, Any] | None:
    """Nested integers as an array, or None where only a run will tell.

    Raises:
      ShapeError: if they are something else.
    """
    if is_operand_like(values):
        found = static_value(as_operand(values))
    elif isinstance(values, list | tuple):
        rows = [static_integers(row) for row in values]
        known = [row for row in rows if row is not None]
        if len({row.shape for row in known}) > 1:
            raise ShapeError(f"{values!r} is ragged")
        found = np.array(known) if len(known) == len(rows) else None
    else:
        found = np.asarray(values)
    if found is not None and found.size and found.dtype.kind not in "iu":
        raise ShapeError(f"integers are needed, not {values!r}")
    return found


def static_shape(shape: Any) -> tuple[int, ...] | Operand:
    """A shape argument as a tuple of integers, or as an operand where it is not known yet.

    Raises:
      ShapeError: if it is no sequence of integers.
    """
    if is_operand_like(shape):
        operand = as_operand(shape)
        known = static_value(operand)
        return operand if known is None else tuple(int(size) for size in np.atleast_1d(known))
    if hasattr(shape, "__index__") and not isinstance(shape, bool | np.ndarray):
        return (int(shape),)
    if isinstance(shape, Sequence | np.ndarray) or hasattr(shape, "as_list"):
        return _static_sizes(list(shape), shape)
    raise ShapeError(f"a shape is a sequence of integers, not {shape!r}")


def _static_sizes(sizes: list[Any], shape: Any) -> tuple[int, ...] | Operand:
    if any(is_operand_like(size) for size in sizes):
        operands = [as_operand(size, int32) for size in sizes]
        values = [static_value(operand) for operand in operands]
        if all(value is not None for value in values):
            return tuple(int(value) for value in values if value is not None)
        widest = int64 if any(one.type.dtype is int64 for one in operands) else int32
        return PUBLIC["stack"]([PUBLIC["cast"](one, widest) for one in operands])  # type: ignore[no-any-return]  # an operand, as every public op gives
    if all(hasattr(size, "__index__") and not isinstance(size, bool) for size in sizes):
        return tuple(int(size) for size in sizes)
    raise ShapeError(f"a shape is a sequence of integers, not {shape!r}")


def fitting(function: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy meaning whose ValueErrors are ours: shapes that were unknown and turn out not to fit."""

    def checked(*arrays: Any, **attributes: Any) -> Any:
        try:
            return function(*arrays, **attributes)
        except GraphjitError:
            raise
        except ValueError as error:
            raise ShapeError(str(error)) from None

    return checked


def length_of_shape(type: TensorType) -> int:
    """How many sizes a shape operand holds.

    Raises:
      ShapeError: if it is no integer vector of known length.
    """
    require_kind(type, "iu", "a shape")
    if type.rank != 1 or type.shape[0] is None:
        raise ShapeError(f"a shape is a vector of known length, not {type}")
    return type.shape[0]


def when_known(operands: Sequence[Operand], then: Callable[..., Any]) -> Any:
    """`then(array, ...)` if all operands are constants, else None: the op stays as it is."""
    values = [static_value(operand) for operand in operands]
    return None if any(value is None for value in values) else then(*values)


def sizes_of(x: Operand) -> list[Size]:
    """The sizes of an operand, those that are not known yet as scalar operands."""
    if x.type.is_static:
        return list(x.type.sizes)
    shape = shape_of(x)
    return [shape[axis] if size is None else size for axis, size in enumerate(x.type.shape)]


def size_along(x: Operand, axis: int) -> Size:
    """The size of one axis, as a scalar operand where it is not known yet."""
    size = x.type.shape[axis]
    found: Size = shape_of(x)[axis] if size is None else size
    return found


def shape_value(sizes: Sequence[Size]) -> tuple[int, ...] | Operand:
    """Sizes as `reshape` and `broadcast_to` take them."""
    return static_shape(list(sizes))


shape_op: Op = declare(
    Op(
        name="shape",
        kind=Kind.COMPOSED,
        infer=lambda types, *, dtype: (TensorType(dtype, (types[0].rank,)),),
        numpy=lambda x, *, dtype: np.array(x.shape, dtype=dtype.numpy),
        definition=lambda x, *, dtype: constant(x.type.sizes, dtype) if x.type.is_static else None,
        gradient=Differentiability.NONE,
        examples=(
            Example(("f64[2,3]",), {"dtype": int32}),
            Example(("f64[]",), {"dtype": int64}),
            Example(("f64[0,4]",), {"dtype": int32}),
        ),
        doc="The sizes of a tensor.",
    )
)

size_op: Op = declare(
    Op(
        name="size",
        kind=Kind.COMPOSED,
        infer=lambda types, *, dtype: (TensorType(dtype, ()),),
        numpy=lambda x, *, dtype: np.array(x.size, dtype=dtype.numpy),
        definition=lambda x, *, dtype: constant(x.type.element_count, dtype) if x.type.is_static else None,
        gradient=Differentiability.NONE,
        examples=(Example(("f64[2,3]",), {"dtype": int32}), Example(("f64[0]",), {"dtype": int64})),
        doc="The number of elements of a tensor.",
    )
)


@public()
def shape_of(input: Any, out_type: Any = int32, name: str | None = None) -> Any:
    """The sizes of a tensor, as a vector of `out_type` (TensorFlow's `tf.shape`, exported as `gj.shape`).

    >>> import graphjit as gj
    >>> print(gj.shape([[1, 2, 3], [4, 5, 6]]))
    gj.Tensor([2 3], shape=(2,), dtype=int32)
    """
    operand = as_operand(input)
    dtype = as_dtype(out_type)
    if operand.type.is_static:
        return constant(operand.type.sizes, dtype)
    return apply(shape_op, operand, dtype=dtype)


@public()
def size_of(input: Any, out_type: Any = int32, name: str | None = None) -> Any:
    """The number of elements, as a scalar of `out_type` (exported as `gj.size`).

    >>> import graphjit as gj
    >>> print(gj.size([[1, 2, 3], [4, 5, 6]]))
    gj.Tensor(6, shape=(), dtype=int32)
    """
    operand = as_operand(input)
    dtype = as_dtype(out_type)
    if operand.type.is_static:
        return constant(element_count(operand.type.sizes), dtype)
    return apply(size_op, operand, dtype=dtype)


@public()
def rank_of(input: Any, name: str | None = None) -> Any:
    """The number of axes, as an int32 scalar (exported as `gj.rank`).

    >>> import graphjit as gj
    >>> print(gj.rank([[1, 2, 3], [4, 5, 6]]))
    gj.Tensor(2, shape=(), dtype=int32)
    """
    return constant(as_operand(input).type.rank, int32)


__all__: list[str] = []
