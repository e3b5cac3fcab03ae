"""Variables of converted functions: read from the cells that hold them, and perhaps not assigned yet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import CellType, FunctionType
from typing import Any

import numpy as np

from graphjit.compiler.operand import PUBLIC, Operand, ReadsAsOperand, as_operand
from graphjit.compiler.ops.checking import require_true
from graphjit.compiler.tensortype import DType, TensorType
from graphjit.compiler.writer import Symbol, WeakSymbol
from graphjit.runtime.errors import InvalidArgumentError, TraceError

from ...agreement import is_value, is_weak
from ...branching import condition as as_condition
from ...state import State
from ...structure import flatten, unflatten
from ...subtrace import is_tracing


class _Unset:
    def __repr__(self) -> str:
        return "<not assigned>"


UNSET = _Unset()
"""What a cell holds whose variable was not assigned."""


class Maybe(ReadsAsOperand):
    """The value of a variable that some way through the function does not assign.

    Attributes:
      held: the value, with zeros where it was not assigned.
      flag: whether it was, a truth value that may be traced.
      complaint: what reading it raises while tracing; "" where it is looked at when the function runs.
    """

    def __init__(self, name: str, held: Any, flag: Any, complaint: str = "") -> None:
        self.name = name
        self.held = held
        self.flag = flag
        self.complaint = complaint

    @property
    def dtype(self) -> DType:
        """The element type."""
        found: DType = as_operand(self.held).type.dtype
        return found

    def read_value(self) -> Any:
        """The value, as an operand."""
        return as_operand(value(self))


def value(variable: Any) -> Any:
    """A variable that may not have been assigned.

    Raises:
      InvalidArgumentError: if a branch leaves it unassigned.
    """
    if not isinstance(variable, Maybe):
        return variable
    if variable.complaint:
        raise InvalidArgumentError(variable.complaint)
    require_true(
        variable.flag,
        f"{variable.name!r} is used here, but was not assigned; the loop must iterate at least "
        f"once, or the branch be taken, to initialize {variable.name}",
    )
    return variable.held


def settled(variable: Any) -> Any:
    """A variable of the conversion's own, which is only read where it was assigned."""
    return variable.held if isinstance(variable, Maybe) else variable


def is_traced(candidate: Any) -> bool:
    """Whether the value is only known when the compiled function runs."""
    if isinstance(candidate, Symbol):
        return True
    return isinstance(candidate, State | Maybe) and is_tracing()


def condition(test: Any, what: str) -> Any:
    """A condition as a traced boolean scalar, or as a truth value where it is known.

    Raises:
      DtypeError, ShapeError: if it is a traced value that is no boolean scalar.
    """
    if isinstance(test, WeakSymbol) and not test.type.dtype.is_bool:
        test = PUBLIC["not_equal"](test, 0)  # it was a Python number, which has a truth value
    return as_condition(test, what)


def holds_traced(candidate: Any) -> bool:
    """The same for a value or something in a structure."""
    return is_traced(candidate) or (
        isinstance(candidate, list | tuple | dict) and any(map(is_traced, flatten(candidate)[0]))
    )


def cells_of(functions: Iterable[Callable[..., Any] | None], names: Sequence[str]) -> list[CellType]:
    """The cells of the variables that blocks which became functions share."""
    known: dict[str, CellType] = {}
    for function in functions:
        function = getattr(function, "block", function)
        if isinstance(function, FunctionType):
            known.update(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return [known[name.rstrip("?")] for name in names]


def all_cells_of(functions: Iterable[Callable[..., Any] | None]) -> list[CellType]:
    """All variables that blocks which became functions share with the function around them."""
    found: dict[int, CellType] = {}
    for function in functions:
        block = getattr(function, "block", function)
        if isinstance(block, FunctionType):
            found.update((id(cell), cell) for cell in block.__closure__ or ())
    return list(found.values())


def held(cell: CellType) -> Any:
    """What a cell holds, or UNSET."""
    try:
        return cell.cell_contents
    except ValueError:
        return UNSET


def fill_cells(cells: Sequence[CellType], values: Sequence[Any]) -> None:
    """Let the cells hold these values."""
    for cell, one in zip(cells, values, strict=True):
        if one is not UNSET:
            cell.cell_contents = one
        elif held(cell) is not UNSET:
            del cell.cell_contents


class Example:
    """Structure and types of a value, without its numbers."""

    def __init__(self, value: Any) -> None:
        leaves, self._structure = flatten(value)
        self._leaves = [_type_or_itself(leaf) for leaf in leaves]

    def zeros(self) -> Any:
        """Something like the value, for where there is none."""
        return unflatten(self._structure, [_zeros(one) if isinstance(one, TensorType) else one for one in self._leaves])


def _type_or_itself(leaf: Any) -> Any:
    if isinstance(leaf, WeakSymbol):
        return {"b": False, "f": 0.0, "c": 0j}.get(leaf.type.dtype.numpy.kind, 0)
    if not is_value(leaf) or is_weak(leaf):
        return leaf
    return leaf.type if isinstance(leaf, Operand | State) else as_operand(leaf).type


def _zeros(type: TensorType) -> Any:
    sizes = tuple(0 if size is None else size for size in type.shape)
    return as_operand(np.zeros(sizes, type.dtype.numpy)) if not sizes else PUBLIC["zeros"](sizes, type.dtype)


def rows(iterable: Any) -> Any:
    """What a comprehension goes through."""
    if is_traced(iterable) and as_operand(iterable).type.shape[:1] == (None,):
        raise TraceError(
            "a comprehension over a tensor whose first size is unknown; use gj.map_fn(function, tensor), or a `for` "
            "loop with a gj.TensorArray"
        )
    return iterable


__all__: list[str] = []
