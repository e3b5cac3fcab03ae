"""What branches return, or what a loop's rounds hand on, as tensors of the same types; or an error that says why not.

Python numbers take the dtype of the tensors in their place, as literals do.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.location import describe
from graphjit.compiler.operand import AdaptingNumber, Operand, ReadsAsOperand, adapted, as_array, as_operand
from graphjit.compiler.tensortype import DType, TensorType, as_dtype
from graphjit.compiler.writer import Symbol, WeakSymbol
from graphjit.runtime.errors import DtypeError, GraphjitError, InvalidArgumentError, ShapeError

from .signature import shortened
from .structure import leaf_paths

_WEAK_ORDER = (bool, int, float, complex)


class Undefined:
    """Stands for a variable that was not assigned yet where a branch or a loop begins."""

    __slots__ = ("name",)
    needs_a_round = True
    """Whether it is an error that a loop which would assign it runs no round."""

    def __init__(self, name: str) -> None:
        self.name = name

    def stand_in(self, type: TensorType) -> Operand | None:
        """What it is beside a value of this type in another branch, None if it cannot be anything."""
        return None

    def __repr__(self) -> str:
        return f"<{self.name} is not assigned yet>"


def is_weak(leaf: Any) -> bool:
    """Whether it is a Python number, which takes any fitting dtype."""
    return type(leaf) in _WEAK_ORDER or isinstance(leaf, AdaptingNumber | WeakSymbol)


def is_value(leaf: Any) -> bool:
    """Whether it is a tensor or can become one."""
    return isinstance(leaf, Operand | ReadsAsOperand | np.ndarray | np.generic) or is_weak(leaf)


def dtype_of(leaf: Any) -> DType | None:
    """The dtype of a leaf that has one by itself, None for a Python number."""
    if is_weak(leaf):
        return None
    return as_dtype(leaf.dtype)


def weak_dtype(leaves: Sequence[Any]) -> DType:
    """The dtype of Python numbers among which the widest decides."""

    def width(leaf: Any) -> int:
        if isinstance(leaf, WeakSymbol):
            return {"b": 0, "i": 1, "u": 1, "f": 2, "c": 3}[leaf.type.dtype.numpy.kind]
        return max(place for place, kind in enumerate(_WEAK_ORDER) if isinstance(leaf, kind))

    widest = max(leaves, key=width)
    if isinstance(widest, WeakSymbol):
        return widest.type.dtype
    if isinstance(widest, AdaptingNumber):
        return widest.adapted(None).type.dtype
    return as_dtype(as_array(widest).dtype)


def same_object(leaves: Sequence[Any]) -> bool:
    """Whether leaves that are no tensors are one and the same."""
    first = leaves[0]
    if isinstance(first, Operand):
        return all(leaf is first for leaf in leaves)
    return all(leaf is first or (type(leaf) is type(first) and _equal(leaf, first)) for leaf in leaves)


def _equal(one: Any, other: Any) -> bool:
    try:
        return bool(one == other)
    except GraphjitError:
        return False


class LeafNames:
    """What the leaves of a nested result are called in messages.

    Args:
      structure: of the result, as `flatten` gave it.
      names: of the parts of the outermost tuple, where they are known.
    """

    def __init__(self, structure: Any, names: Sequence[str] | None) -> None:
        self._paths = leaf_paths(structure)
        self._names = names

    def of(self, position: int) -> str:
        """The name of a leaf, in quotes where it is the user's."""
        path = self._paths[position]
        if self._names is not None:
            for number, name in enumerate(self._names):
                if path == f"[{number}]" or path.startswith((f"[{number}][", f"[{number}].")):
                    return repr(name + path.removeprefix(f"[{number}]"))
        return f"the result{f' {path}' if path else ''}"


def lines_of(pairs: Sequence[tuple[str, Any]]) -> str:
    """Where each of several values was made, a line for each that is known."""
    found = [
        f"\n  {label}: {describe(leaf.location)}"
        for label, leaf in pairs
        if isinstance(leaf, Symbol) and leaf.location is not None
    ]
    return "".join(found)


def as_type_of(leaf: Any, dtype: DType, what: str) -> Operand:
    """A leaf as an operand of a dtype.

    Raises:
      DtypeError: if it does not fit.
    """
    operand = adapted(as_operand(leaf, dtype, what), dtype)
    if operand.type.dtype is not dtype:
        raise DtypeError(f"{what} is {operand.type.dtype.name}, not {dtype.name}")
    return operand


def agreed_dtype(leaves: Sequence[Any], name: str, labels: Sequence[str]) -> DType:
    """The dtype that all branches' leaves take.

    Raises:
      DtypeError: if two tensors differ, or a number does not fit the others.
    """
    strong = [(place, dtype) for place, leaf in enumerate(leaves) if (dtype := dtype_of(leaf)) is not None]
    if not strong:
        return weak_dtype(leaves)
    place, wanted = strong[0]
    for other, dtype in strong[1:]:
        if dtype is not wanted:
            pairs = [(labels[place], leaves[place]), (labels[other], leaves[other])]
            raise DtypeError(
                f"{name} has dtype {wanted.name} in {labels[place]}, but dtype {dtype.name} in {labels[other]}; "
                f"cast one of them with gj.cast{lines_of(pairs)}"
            )
    for other, leaf in enumerate(leaves):
        if is_weak(leaf):
            _require_fit(leaf, wanted, f"{name} has dtype {wanted.name} in {labels[place]}, but is", labels[other])
    return wanted


def _require_fit(leaf: Any, wanted: DType, begin: str, label: str) -> None:
    if isinstance(leaf, WeakSymbol):
        return
    try:
        as_array(leaf, wanted) if not isinstance(leaf, AdaptingNumber) else leaf.adapted(wanted)
    except DtypeError:
        raise DtypeError(f"{begin} {shortened(leaf)} in {label}, which is no {wanted.name}") from None


def require_same_rank(types: Sequence[TensorType], leaves: Sequence[Any], name: str, labels: Sequence[str]) -> None:
    """Refuse results whose ranks differ.

    Raises:
      ShapeError: naming both shapes and lines.
    """
    for place, one in enumerate(types):
        if one.rank != types[0].rank:
            pairs = [(labels[0], leaves[0]), (labels[place], leaves[place])]
            raise ShapeError(
                f"{name} has shape {_shown(types[0])} in {labels[0]}, but shape {_shown(one)} in {labels[place]}; "
                f"the number of axes must be the same{lines_of(pairs)}"
            )


def _shown(type: TensorType) -> str:
    return str(tuple(type.shape))


def refuse_mixture(leaves: Sequence[Any], name: str, labels: Sequence[str]) -> InvalidArgumentError:
    """The error for leaves of which some are tensors and others are not, or which differ and are none."""
    for leaf, label in zip(leaves, labels, strict=True):
        if isinstance(leaf, Undefined):
            return InvalidArgumentError(f"{name} must also be initialized in {label}")
    for leaf, label in zip(leaves, labels, strict=True):
        if leaf is None:
            return InvalidArgumentError(f"{name} is None at the end of {label}, but a value in another")
    shown = ", ".join(f"{shortened(leaf)} in {label}" for leaf, label in zip(leaves, labels, strict=True))
    return InvalidArgumentError(
        f"{name} is {shown}; which of them holds is known only when the function runs, so only tensors may differ"
    )


__all__: list[str] = []
