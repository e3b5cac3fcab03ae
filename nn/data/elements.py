"""Elements of datasets: structures of tensors, what they are made of, and what is said about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.compiler.operand import Operand, as_operand
from graphjit.compiler.tensortype import TensorShape, TensorSpec
from graphjit.runtime.errors import InvalidArgumentError, ShapeError, SignatureError, TraceError
from graphjit.tracer.handing import HandedOut
from graphjit.tracer.state import State
from graphjit.tracer.structure import flatten, unflatten
from graphjit.tracer.tensor import Tensor, constant


def as_arrays(value: Any) -> Any:
    """Arrays for tensors, arrays and lists of numbers, in the structure of tuples and dicts."""
    if isinstance(value, tuple):
        return tuple(as_arrays(one) for one in value)
    if isinstance(value, dict):
        return {name: as_arrays(one) for name, one in value.items()}
    return _as_tensor(value)._array


def _as_tensor(value: Any) -> Tensor:
    operand: Any = value.read_value() if isinstance(value, State) else as_operand(value)
    if isinstance(operand, Tensor):
        return operand
    raise TraceError(
        f"a dataset is made of numbers, but {operand!r} gets its numbers only when the compiled function runs; go "
        "through its rows with `for row in tensor`, or make the dataset outside of the function"
    )


def as_tensors(value: Any) -> Any:
    """Tensors for arrays and lists of numbers, in the structure of tuples and dicts."""
    if isinstance(value, Operand | HandedOut):
        return value
    if isinstance(value, tuple):
        return tuple(as_tensors(one) for one in value)
    if isinstance(value, dict):
        return {name: as_tensors(one) for name, one in value.items()}
    return _as_tensor(value)


def fitting(element: Any, wanted: Any) -> Any:
    """An element of a generator as tensors of the wanted dtypes and shapes.

    Raises:
      ShapeError: if a shape does not fit.
    """
    if wanted is None:
        return as_tensors(element)
    specs, structure = flatten(wanted)
    leaves = list(element) if isinstance(element, tuple) and isinstance(wanted, tuple) else flatten(element)[0]
    if len(specs) == 1:
        leaves = [element[0] if isinstance(element, tuple) and isinstance(wanted, tuple) else element]
    if len(leaves) != len(specs):
        raise InvalidArgumentError(f"the generator gave {len(leaves)} parts, but {len(specs)} were announced")
    tensors = [constant(leaf, spec.dtype) for leaf, spec in zip(leaves, specs, strict=True)]
    for tensor, spec in zip(tensors, specs, strict=True):
        if not TensorShape(spec.shape).is_compatible_with(tensor.shape):
            raise ShapeError(f"the generator gave shape {tensor.shape}, but {spec.shape} was announced")
    return unflatten(structure, tensors)


def called(function: Callable[..., Any], element: Any) -> Any:
    """A function of an element; a tuple's parts are its arguments."""
    if not isinstance(element, tuple):
        return function(element)
    try:
        return function(*element)
    except SignatureError as error:
        error.add_note(f"an element is a tuple of {len(element)} parts, which the function gets as so many arguments")
        raise


def stacked(elements: list[Any]) -> Any:
    """Elements along a new first axis.

    Raises:
      ShapeError: if their shapes differ.
    """
    parts = [flatten(element) for element in elements]
    leaves = [[np.asarray(leaf) for leaf in one] for one, _ in parts]
    columns = list(zip(*leaves, strict=True))
    for column in columns:
        shapes = {one.shape for one in column}
        if len(shapes) > 1:
            raise ShapeError(
                f"elements of shapes {', '.join(map(str, sorted(shapes)))} cannot be stacked into a batch; let map() "
                "bring them to one shape first"
            )
    return unflatten(parts[0][1], [Tensor(np.stack(column)) for column in columns])


# --- what is said about elements ---


def spec_of(element: Any) -> Any:
    """The specifications of an element's tensors."""
    return _each(lambda leaf: TensorSpec(leaf.shape, leaf.dtype), element)


def with_rows(spec: Any, count: int | None) -> Any:
    """The specifications of so many elements in a batch."""
    return _each(lambda one: TensorSpec([count, *one.shape], one.dtype), spec)


def without_rows(spec: Any) -> Any:
    """The specifications of a row of an element."""
    return _each(lambda one: TensorSpec(one.shape[1:], one.dtype), spec)


def either(spec: Any, other: Any) -> Any:
    """What holds for elements of both kinds: sizes that differ are None.

    Raises:
      InvalidArgumentError: if structures, dtypes or ranks differ.
    """
    first, structure = flatten(spec)
    second, same = flatten(other)
    alike = structure == same and all(
        (a.dtype, a.shape.rank) == (b.dtype, b.shape.rank) for a, b in zip(first, second, strict=False)
    )
    if not alike:
        raise InvalidArgumentError(f"the datasets' elements are of two kinds: {spec} and {other}")
    merged = [
        TensorSpec([m if m == n else None for m, n in zip(a.shape, b.shape, strict=True)], a.dtype)
        for a, b in zip(first, second, strict=True)
    ]
    return unflatten(structure, merged)


def is_announced(spec: Any) -> bool:
    """Whether a specification says the rank of every tensor."""
    return spec is not None and all(one.shape.rank is not None for one in flatten(spec)[0])


def _each(change: Callable[[Any], Any], value: Any) -> Any:
    leaves, structure = flatten(value)
    return unflatten(structure, [change(leaf) for leaf in leaves])


__all__: list[str] = []
