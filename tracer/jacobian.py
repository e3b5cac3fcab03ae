"""Matrices of derivatives: a reverse walk for each element of the target; in graphs one walk for all at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.compiler.operand import PUBLIC, Operand, as_operand
from graphjit.compiler.tensortype import TensorType, element_count
from graphjit.runtime.errors import InvalidArgumentError, ShapeError, TraceError

from .scanning import trace_rows
from .subtrace import is_tracing
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
    if not count:
        return [_zeros(target, sizes, source) for source in sources]
    if count > 1 and is_tracing():
        columns = _walked_at_once(product, _reshaped(_units(count, target), (count, *sizes)))
    else:
        rows = [product(_unit(position, count, sizes, target)) for position in range(count)]
        columns = [_stacked(column) for column in zip(*rows, strict=True)]
    return [None if one is None else _reshaped(one, (*sizes, *one.type.sizes[1:])) for one in columns]


def _walked_at_once(product: VectorProduct, units: Any) -> list[Any]:
    """What each source gets for each unit, stacked; None where the target does not depend on a source."""
    is_there: list[bool] = []

    def walk(rows: list[Any]) -> list[Any]:
        found = product(rows[0])
        is_there[:] = [one is not None for one in found]
        return [one for one in found if one is not None]

    made = iter(trace_rows(walk, [units]))
    return [next(made) if there else None for there in is_there]


def _units(count: int, target: Operand) -> Any:
    """A row for each of so many elements, which is 1 there."""
    return PUBLIC["eye"](count, dtype=target.dtype)


def _reshaped(x: Any, sizes: tuple[int, ...]) -> Any:
    return PUBLIC["reshape"](x, sizes)


def filled(rows: Any, target: Operand, source: Any, unconnected: UnconnectedGradients) -> Any:
    """The rows for a source, or what stands for them where the target does not depend on it."""
    if rows is not None or unconnected is UnconnectedGradients.NONE:
        return rows
    return _zeros(target, target.type.sizes, source)


def _unit(position: int, count: int, sizes: tuple[int, ...], target: Operand) -> Any:
    """A cotangent that is 1 at one element."""
    return _reshaped(PUBLIC["one_hot"](position, count, dtype=target.dtype), sizes)


def _zeros(target: Operand, sizes: tuple[int, ...], source: Any) -> Any:
    return PUBLIC["zeros"]((*sizes, *as_operand(source).type.sizes), target.dtype)


def _stacked(rows: Sequence[Any]) -> Any:
    return None if any(row is None for row in rows) else PUBLIC["stack"](list(rows))


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
    if not count:
        return PUBLIC["zeros"](result, target.dtype)
    if count > 1 and is_tracing():
        units = PUBLIC["broadcast_to"](PUBLIC["expand_dims"](_units(count, target), 1), (count, sizes[0], count))
        (stacked,) = _walked_at_once(lambda seed: [product(seed)], _reshaped(units, (count, *sizes)))
    else:
        stacked = _stacked([product(_unit_of_each(position, count, sizes, target)) for position in range(count)])
    if stacked is None:
        return PUBLIC["zeros"](result, target.dtype)
    return _reshaped(PUBLIC["moveaxis"](stacked, 0, 1), result)


def _unit_of_each(position: int, count: int, sizes: tuple[int, ...], target: Operand) -> Any:
    """A cotangent that is 1 at one element of each example."""
    one = PUBLIC["one_hot"](position, count, dtype=target.dtype)
    return _reshaped(PUBLIC["broadcast_to"](one, (sizes[0], count)), sizes)
