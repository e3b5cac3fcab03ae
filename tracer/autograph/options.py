"""What the body of a loop says about the loop: `gj.autograph.set_loop_options`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from graphjit.compiler.operand import Operand

from ..structure import flatten


@dataclass
class LoopOptions:
    """How often a loop runs at most, and which shapes its variables may have.

    Attributes:
      maximum: the most rounds, None for any number.
      invariants: pairs of a value, as it was before the loop, and its shape.
    """

    maximum: Any = None
    invariants: tuple[tuple[Any, Any], ...] = ()

    def shapes_for(self, carried: Sequence[Any]) -> list[Any] | None:
        """A shape for each leaf of what is carried, or None where none is given."""
        if not self.invariants:
            return None
        leaves = flatten(tuple(carried))[0]
        return [self._shape_of(leaf) for leaf in leaves]

    def _shape_of(self, leaf: Any) -> Any:
        for value, shape in self.invariants:
            if value is leaf or (isinstance(value, Operand) and isinstance(leaf, Operand) and _same(value, leaf)):
                return shape
        return None


def _same(one: Any, other: Any) -> bool:
    return getattr(one, "value", one) is getattr(other, "value", other)


_collected: ContextVar[LoopOptions | None] = ContextVar("graphjit_loop_options", default=None)


@contextmanager
def collecting_options() -> Iterator[LoopOptions]:
    """Take in what the body of a loop says."""
    options = LoopOptions()
    token = _collected.set(options)
    try:
        yield options
    finally:
        _collected.reset(token)


def set_loop_options(
    parallel_iterations: int | None = None,
    swap_memory: bool | None = None,
    maximum_iterations: Any = None,
    shape_invariants: Any = None,
) -> None:
    """Say something about the loop in whose body this stands; without meaning where Python itself loops.

    Args:
      parallel_iterations, swap_memory: accepted for TensorFlow's sake.
      maximum_iterations: after how many rounds the loop ends in any case.

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
    options = _collected.get()
    if options is not None:
        options.maximum = maximum_iterations


__all__ = ["set_loop_options"]
