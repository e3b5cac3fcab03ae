"""What a compiled function returns: tensors in the structure that the Python function gave them.

Numbers, arrays and variables become tensors, as in eager mode; None, strings and other unchanging
values stay what they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import PUBLIC, AdaptingNumber, Operand, ReadsAsOperand, as_operand
from graphjit.compiler.tensortype import float32, float64
from graphjit.runtime.errors import SignatureError

from .signature import shortened, value_key
from .state import State, read
from .structure import flatten, leaf_paths, unflatten


class Results:
    """How the results of a run are put together.

    `kept` holds for each leaf of the structure the value that it always is, or TENSOR.
    """

    def __init__(self, structure: Any, kept: Sequence[Any], function_name: str) -> None:
        self.structure = structure
        self.kept = tuple(kept)
        self.function_name = function_name
        self.count = sum(one is TENSOR for one in kept)
        self.is_single = self.count == len(self.kept) == 1 and structure.is_leaf()
        self.container = self._plain_container()
        """tuple or list where the result is one of nothing but tensors."""

    def _plain_container(self) -> type | None:
        if self.count != len(self.kept) or self.structure.num_nodes != self.count + 1:
            return None
        kind = self.structure.type
        return kind if kind in (tuple, list) else None

    def put_together(self, tensors: Sequence[Any]) -> Any:
        """The function's result, given its tensors in order."""
        if self.is_single:
            return tensors[0]
        if self.container is not None:
            return self.container(tensors)
        fresh = iter(tensors)
        return unflatten(self.structure, [next(fresh) if one is TENSOR else one for one in self.kept])


class _Tensor:
    """Marks the leaves that are tensors."""

    def __repr__(self) -> str:
        return "TENSOR"


TENSOR = _Tensor()


def take_results_apart(result: Any, function_name: str) -> tuple[Results, list[Operand]]:
    """What a function returned, as its structure and its tensors.

    Raises:
      SignatureError: if something is neither a tensor nor can become one; the message says where it is.
    """
    leaves, structure = flatten(result)
    operands: list[Operand] = []
    kept: list[Any] = []
    for position, leaf in enumerate(leaves):
        operand = _as_result(leaf)
        if operand is not None:
            operands.append(operand)
            kept.append(TENSOR)
        elif value_key(leaf) is not None:
            kept.append(leaf)
        else:
            where = leaf_paths(structure)[position]
            raise SignatureError(
                f"{function_name!r} returned {shortened(leaf)}, a {type(leaf).__name__}"
                f"{f', at {where}' if where else ''}; a compiled function returns tensors, numbers, arrays, "
                "strings, None, and lists, tuples, dicts and dataclasses of these"
            )
    return Results(structure, kept, function_name), operands


def _as_result(leaf: Any) -> Operand | None:
    """A leaf as an operand; None where it is none."""
    if isinstance(leaf, Operand):
        # Python's quotient of integers is a float, which would become a float32.
        return PUBLIC["cast"](leaf, float32) if leaf.is_weak and leaf.type.dtype is float64 else leaf
    if isinstance(leaf, State):
        return read(leaf)
    if isinstance(leaf, ReadsAsOperand):
        return as_operand(leaf)
    if type(leaf) in (bool, int, float, complex) or isinstance(leaf, np.ndarray | np.generic | AdaptingNumber):
        return as_operand(leaf)
    return None


__all__: list[str] = []
