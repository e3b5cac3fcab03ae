"""What is differentiated of structures that are ragged or sparse: their elements, not the integers beside them."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import Composite

from .structure import flatten_down_to, unflatten


class Elements:
    """A nested value with the elements of each composite in its place (`bare`), and the way back.

    Args:
      value: tensors, variables and composites, nested.
    """

    def __init__(self, value: Any) -> None:
        self._leaves, self._structure = flatten_down_to(value, Composite)
        bare = [leaf.flat_values if isinstance(leaf, Composite) else leaf for leaf in self._leaves]
        self.bare: Any = unflatten(self._structure, bare)

    def restored(self, answers: Any) -> Any:
        """A value of the structure of `bare`, with a composite where there was one; None stays None."""
        leaves = flatten_down_to(answers, Composite)[0]
        return unflatten(self._structure, [_restored(*pair) for pair in zip(self._leaves, leaves, strict=True)])


def _restored(leaf: Any, answer: Any) -> Any:
    return leaf.with_flat_values(answer) if isinstance(leaf, Composite) and answer is not None else answer


__all__: list[str] = []
