"""What the body of a loop says about the loop: `gj.autograph.set_loop_options`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.runtime.fields import dataclass, field

from ..structure import flatten


@dataclass
class LoopOptions:
    """How often a loop runs at most, and which shapes its variables may have.

    Attributes:
      maximum: the most rounds, None for any number.
      shapes: the shape that a carried leaf may have, by its place.
    """

    maximum: Any = None
    shapes: dict[int, Any] = field(default_factory=dict)

    def shapes_of(self, carried: Sequence[Any]) -> list[Any] | None:
        """A shape or None for each leaf of what is carried; None where no shape is given."""
        leaves = flatten(tuple(carried))[0]
        return [self.shapes.get(place) for place in range(len(leaves))] if self.shapes else None


@dataclass
class _Round:
    """One tracing of a body: the leaves that it began with, and what it says."""

    leaves: Sequence[Any]
    options: LoopOptions = field(default_factory=LoopOptions)


_rounds: ContextVar[_Round | None] = ContextVar("graphjit_loop_options", default=None)


@contextmanager
def collecting_options(carried: Sequence[Any]) -> Iterator[LoopOptions]:
    """Take in what the body of a loop says, which begins with these values."""
    made = _Round(flatten(tuple(carried))[0])
    token = _rounds.set(made)
    try:
        yield made.options
    finally:
        _rounds.reset(token)


def set_loop_options(
    parallel_iterations: int | None = None,
    swap_memory: bool | None = None,
    maximum_iterations: Any = None,
    shape_invariants: Any = None,
) -> None:
    """Say something about the loop in whose body this stands first; without meaning where Python itself loops.

    Args:
      parallel_iterations, swap_memory: accepted for TensorFlow's sake.
      maximum_iterations: after how many rounds the loop ends in any case.
      shape_invariants: pairs of a variable of the loop and the shape that it may have, whose sizes may be None.

    Raises:
      InvalidArgumentError: if something in `shape_invariants` is no variable of the loop.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def halvings(x):
    ...     while x > 1.0:
    ...         gj.autograph.set_loop_options(maximum_iterations=3)
    ...         x = x / 2.0
    ...     return x
    >>> print(halvings(gj.constant(80.0)))
    gj.Tensor(10.0, shape=(), dtype=float32)
    """
    current = _rounds.get()
    if current is None:
        return
    current.options.maximum = maximum_iterations
    for value, shape in shape_invariants or ():
        current.options.shapes[_place_of(value, current.leaves)] = shape


def _place_of(value: Any, leaves: Sequence[Any]) -> int:
    for place, leaf in enumerate(leaves):
        if leaf is value or (isinstance(leaf, Symbol) and isinstance(value, Symbol) and leaf.value is value.value):
            return place
    raise InvalidArgumentError(
        f"set_loop_options: {value!r} is no variable of the loop as it is when the body begins; call set_loop_options "
        "first in the body"
    )


__all__ = ["set_loop_options"]
