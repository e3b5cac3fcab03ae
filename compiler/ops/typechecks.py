"""Assertions about ranks, dtypes and sizes (`gj.debugging`); ranks and dtypes are always known, and checked at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphjit.runtime.errors import DtypeError, GraphjitError, InvalidArgumentError, ShapeError

from ..location import add_location, user_location
from ..operand import as_operand, is_operand_like, public
from ..tensortype import as_dtype
from .checking import assert_equal
from .sizes import Size, size_along, static_integer


def _fail(error: GraphjitError, message: Any) -> None:
    if message:
        error.args = (f"{message}: {error.args[0]}",)
    add_location(error, user_location())
    raise error


def _rank(value: Any, what: str) -> int:
    rank = static_integer(value)
    if rank is None:
        raise InvalidArgumentError(f"{what}: the rank to compare with must be known when the function is traced")
    return rank


@public()
def assert_rank(x: Any, rank: Any, message: Any = None, name: str | None = None) -> None:
    """Raise an error unless x has this rank.

    Raises:
      ShapeError: if it has another one; at once, in a compiled function while it is traced.

    >>> import graphjit as gj
    >>> gj.debugging.assert_rank([[1, 2]], 2)
    """
    found, wanted = as_operand(x), _rank(rank, "assert_rank")
    if found.type.rank != wanted:
        _fail(ShapeError(f"x must have rank {wanted}, but its shape is {found.shape}"), message)


@public()
def assert_rank_at_least(x: Any, rank: Any, message: Any = None, name: str | None = None) -> None:
    """Raise an error unless x has this rank or a higher one; see `assert_rank`."""
    found, least = as_operand(x), _rank(rank, "assert_rank_at_least")
    if found.type.rank < least:
        _fail(ShapeError(f"x must have rank {least} or more, but its shape is {found.shape}"), message)


@public()
def assert_rank_in(x: Any, ranks: Sequence[Any], message: Any = None, name: str | None = None) -> None:
    """Raise an error unless x has one of these ranks; see `assert_rank`."""
    found, wanted = as_operand(x), [_rank(one, "assert_rank_in") for one in ranks]
    if found.type.rank not in wanted:
        _fail(ShapeError(f"x must have one of the ranks {wanted}, but its shape is {found.shape}"), message)


@public()
def assert_scalar(tensor: Any, name: str | None = None, message: Any = None) -> Any:
    """The tensor; an error unless it is a scalar.

    Raises:
      ShapeError: if it is none.

    >>> import graphjit as gj
    >>> print(gj.debugging.assert_scalar(3.0))
    gj.Tensor(3.0, shape=(), dtype=float32)
    """
    found = as_operand(tensor)
    if found.type.rank:
        _fail(ShapeError(f"a scalar is needed, but the shape is {found.shape}"), message)
    return found


@public()
def assert_type(tensor: Any, tf_type: Any, message: Any = None, name: str | None = None) -> None:
    """Raise an error unless the tensor has this dtype.

    Raises:
      DtypeError: if it has another one.

    >>> import graphjit as gj
    >>> gj.debugging.assert_type([1, 2], gj.int32)
    """
    found, wanted = as_operand(tensor), as_dtype(tf_type)
    if found.type.dtype is not wanted:
        _fail(DtypeError(f"dtype {wanted.name} is needed, but the tensor is {found.type.dtype.name}"), message)


@public()
def assert_integer(x: Any, message: Any = None, name: str | None = None) -> None:
    """Raise an error unless x holds integers; see `assert_type`."""
    found = as_operand(x)
    if not found.type.dtype.is_integer:
        _fail(DtypeError(f"integers are needed, but the tensor is {found.type.dtype.name}"), message)


@public()
def is_numeric_tensor(tensor: Any) -> bool:
    """Whether a value is a tensor of numbers, which bool is not.

    >>> import graphjit as gj
    >>> gj.debugging.is_numeric_tensor(gj.constant(1)), gj.debugging.is_numeric_tensor(1)
    (True, False)
    """
    return is_operand_like(tensor) and not as_dtype(tensor.dtype).is_bool


# --- shapes ---------------------------------------------------------------------------------------


@public()
def assert_shapes(
    shapes: Any, data: Any = None, summarize: int | None = None, message: Any = None, name: str | None = None
) -> None:
    """Raise an error unless tensors have shapes that fit together.

    Args:
      shapes: pairs (tensor, shape), or a dictionary from tensors (by `tensor.ref()`) to shapes. A shape
        lists, for each axis, an integer, a name that stands for one size throughout, or None or "."
        for any size. It may begin with "..." or "*" for any number of axes. The text "NC" means
        ("N", "C"); () is a scalar.
      summarize: how many values the error of a size that is only known later shows.
      message: what the error begins with.

    Raises:
      ShapeError: if the ranks or known sizes do not fit; sizes that are unknown while a function is
        traced are checked when it runs (InvalidArgumentError).

    >>> import graphjit as gj
    >>> x, y = gj.zeros([3, 4]), gj.zeros([4])
    >>> gj.debugging.assert_shapes([(x, ("N", "D")), (y, "D")])
    """
    pairs = shapes.items() if isinstance(shapes, Mapping) else shapes
    seen: dict[str, tuple[Size, str]] = {}
    for tensor, shape in pairs:
        operand = as_operand(tensor.deref() if hasattr(tensor, "deref") else tensor)
        for axis, wanted in _wanted_sizes(operand, shape, message):
            _check_size(operand, axis, wanted, seen, message, summarize)


def _wanted_sizes(operand: Any, shape: Any, message: Any) -> list[tuple[int, Any]]:
    """Which axis must have which size."""
    symbols = list(shape) if isinstance(shape, str | list | tuple) or hasattr(shape, "__iter__") else [shape]
    if isinstance(shape, str) and shape.startswith("..."):
        symbols = ["...", *shape[3:]]
    open_front = bool(symbols) and symbols[0] in ("...", "*", Ellipsis)
    symbols = symbols[1:] if open_front else symbols
    rank = operand.type.rank
    if rank < len(symbols) or (rank > len(symbols) and not open_front):
        count = f"{len(symbols)} or more" if open_front else str(len(symbols))
        _fail(ShapeError(f"shape {shape!r} needs rank {count}, but a tensor has shape {operand.shape}"), message)
    return [(rank - len(symbols) + position, wanted) for position, wanted in enumerate(symbols)]


def _check_size(
    operand: Any,
    axis: int,
    wanted: Any,
    seen: dict[str, tuple[Size, str]],
    message: Any,
    summarize: int | None,
) -> None:
    if wanted is None or wanted == ".":
        return
    size = size_along(operand, axis)
    here = f"axis {axis} of a tensor of shape {operand.shape}"
    if isinstance(wanted, str) and not wanted.isdigit():
        other, where = seen.setdefault(wanted, (size, here))
    else:
        other, where = int(wanted), "the shape that is asked for"
    if isinstance(size, int) and isinstance(other, int):
        if size != other:
            _fail(ShapeError(f"{here} has size {size}, but {wanted!r} is {other} by {where}"), message)
        return
    if size is not other:
        assert_equal(size, other, message or f"{here} must have the size {wanted!r} of {where}", summarize)


__all__ = [
    "assert_integer",
    "assert_rank",
    "assert_rank_at_least",
    "assert_rank_in",
    "assert_scalar",
    "assert_shapes",
    "assert_type",
    "is_numeric_tensor",
]
