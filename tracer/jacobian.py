"""Matrices of derivatives, row by row: one reverse walk for each element of the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.compiler.operand import PUBLIC, Operand, as_operand
from graphjit.compiler.tensortype import TensorType, element_count
from graphjit.runtime.errors import InvalidArgumentError, ShapeError, TraceError

from .unconnected import UnconnectedGradients

VectorProduct = Callable[[Any], Sequence[Any]]
"""From a cotangent of the target to one of each source, or None."""


def require_tensor(target: Any, what: str) -> Operand:
    """The target or source of a Jacobian as one operand.

    Raises:
      InvalidArgumentError: if it is a list or another structure.
    """
    if isinstance(target, list | tuple | dict):
        raise InvalidArgumentError(f"the {what} of a Jacobian is one tensor, not a {type(target).__name__} of them")
    return as_operand(target)


def _sizes(type: TensorType, what: str) -> tuple[int, ...]:
    if not type.is_static:
        raise TraceError(
            f"a Jacobian takes one walk for each element of its {what}, but the shape {type.shape} is not known "
            "while the function is traced; give the argument a known shape"
        )
    return type.sizes


def jacobian_rows(target: Operand, sources: Sequence[Any], product: VectorProduct) -> list[Any]:
    """For each source a tensor of shape `target.shape + source.shape`, or None."""
    sizes = _sizes(target.type, "target")
    count = element_count(sizes)
    rows = [product(_unit(position, count, sizes, target)) for position in range(count)]
    if not rows:
        return [_zeros(target, sizes, source) for source in sources]
    return [_stacked(column, sizes) for column in zip(*rows, strict=True)]


def filled(rows: Any, target: Operand, source: Any, unconnected: UnconnectedGradients) -> Any:
    """The rows for a source, or what stands for them where the target does not depend on it."""
    if rows is not None or unconnected is UnconnectedGradients.NONE:
        return rows
    return _zeros(target, target.type.sizes, source)


def _unit(position: int, count: int, sizes: tuple[int, ...], target: Operand) -> Any:
    """A cotangent that is 1 at one element."""
    return PUBLIC["reshape"](PUBLIC["one_hot"](position, count, dtype=target.dtype), sizes)


def _zeros(target: Operand, sizes: tuple[int, ...], source: Any) -> Any:
    return PUBLIC["zeros"]((*sizes, *as_operand(source).type.sizes), target.dtype)


def _stacked(rows: Sequence[Any], sizes: tuple[int, ...]) -> Any:
    if any(row is None for row in rows):
        return None
    stacked = PUBLIC["stack"](list(rows))
    return PUBLIC["reshape"](stacked, (*sizes, *stacked.type.sizes[1:]))


def batch_rows(target: Operand, source: Operand, product: Callable[[Any], Any]) -> Any:
    """For each example of a batch its Jacobian: shape `[batch, *target.shape[1:], *source.shape[1:]]`.

    Raises:
      ShapeError: if a rank is below 2, or the batches have different sizes.
    """
    sizes, source_sizes = _sizes(target.type, "target"), _sizes(source.type, "source")
    for what, shape in (("target", sizes), ("source", source_sizes)):
        if len(shape) < 2:
            raise ShapeError(f"the {what} of a batch Jacobian has at least rank 2, but its shape is {shape}")
    if sizes[0] != source_sizes[0]:
        raise ShapeError(
            f"the first sizes of target {sizes} and source {source_sizes} must be equal: they count the examples"
        )
    result = (sizes[0], *sizes[1:], *source_sizes[1:])
    count = element_count(sizes[1:])
    rows = [product(_unit_of_each(position, count, sizes, target)) for position in range(count)]
    if not rows or any(row is None for row in rows):
        return PUBLIC["zeros"](result, target.dtype)
    return PUBLIC["reshape"](PUBLIC["stack"](rows, axis=1), result)


def _unit_of_each(position: int, count: int, sizes: tuple[int, ...], target: Operand) -> Any:
    """A cotangent that is 1 at one element of each example."""
    one = PUBLIC["one_hot"](position, count, dtype=target.dtype)
    return PUBLIC["reshape"](PUBLIC["broadcast_to"](one, (sizes[0], count)), sizes)
