"""Branches: `cond`, `case`, `switch_case`.

In eager mode one function runs. While a function is traced, and what decides is a traced value, all of
them are traced, and one equation holds their graphs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import apply_all, interpreting
from graphjit.compiler.operand import PUBLIC, Operand, as_operand, is_operand_like
from graphjit.compiler.ops.branching import branch_attributes, chosen, cond_op, switch_op
from graphjit.compiler.ops.checking import Assert
from graphjit.compiler.subgraph import joined
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

from .agreement import (
    LeafNames,
    Undefined,
    agreed_dtype,
    as_type_of,
    is_value,
    is_weak,
    refuse_mixture,
    require_same_rank,
    same_object,
)
from .state import assign, read
from .structure import flatten, unflatten
from .subtrace import Subtrace, changed_in, complete_states, subtrace, write

Branch = Callable[[], Any]


def trace_branches(
    decision: Any,
    functions: Sequence[Branch],
    names: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
    keeps_numbers: bool = True,
    reconcile: Callable[[list[Any]], list[Any]] | None = None,
) -> Any:
    """What the function returns that a traced value decides for; all of them are traced, into one equation.

    Args:
      decision: a scalar symbol: a boolean for two functions, the first of which is for true; or an integer.
      functions: without arguments; they return nested structures that are alike.
      names: of the parts of the tuples that they return, for messages.
      labels: what messages call the branches.
      keeps_numbers: whether a Python number that is the same in all branches stays one.
      reconcile: makes of all that the functions returned what counts as returned, so that it is alike.

    Raises:
      InvalidArgumentError: if the results do not have one structure, or a part is a tensor in one
        and something else in another; DtypeError, ShapeError: if dtypes or ranks differ.
    """
    is_cond = decision.type.dtype.is_bool
    if labels is None:
        labels = ("the main branch", "the else branch") if is_cond else _numbered(len(functions))
    writers = [subtrace(name) for name in _graph_names(len(functions), is_cond)]
    returned = [write(writer, one, ()) for writer, one in zip(writers, functions, strict=True)]
    results = [flatten(one) for one in (returned if reconcile is None else reconcile(returned))]
    structure = _one_structure([structure for _, structure in results], labels, names)
    kept, operands = _agreed(
        writers, [leaves for leaves, _ in results], LeafNames(structure, names), labels, keeps_numbers
    )
    found = iter(_written(decision, writers, operands, is_cond))
    return unflatten(structure, [_taken(one, found) for one in kept])


def _taken(kept: Any, found: Iterator[Operand]) -> Any:
    if kept is _TENSOR:
        return next(found)
    return next(found).as_weak() if kept is _NUMBER else kept


_TENSOR = object()
"""Marks the leaves that are results of the equation."""

_NUMBER = object()
"""Marks those of them that stand for Python numbers."""


def _numbered(count: int) -> list[str]:
    return [f"branch {number}" for number in range(count)]


def _graph_names(count: int, is_cond: bool) -> list[str]:
    return ["main_branch", "else_branch"] if is_cond else [f"branch_{number}" for number in range(count)]


def _one_structure(structures: Sequence[Any], labels: Sequence[str], names: Sequence[str] | None) -> Any:
    for structure, label in zip(structures, labels, strict=True):
        if structure != structures[0]:
            what = "" if names is None else f"{', '.join(map(repr, names))}: "
            raise InvalidArgumentError(
                f"{what}the results must have the same nested structure in {labels[0]} and {label}, "
                f"but they are {in_words(structures[0])} and {in_words(structure)}"
            )
    return structures[0]


def in_words(structure: Any) -> str:
    """A structure as messages show it, with * for a value."""
    return str(structure).removeprefix("PyTreeSpec(").split(", NoneIsLeaf")[0]


def _agreed(
    writers: Sequence[Subtrace],
    leaves: Sequence[Sequence[Any]],
    names: LeafNames,
    labels: Sequence[str],
    keeps_numbers: bool,
) -> tuple[list[Any], list[list[Operand]]]:
    """For each leaf what it always is, or _TENSOR; and each branch's operands for the latter."""
    kept: list[Any] = []
    operands: list[list[Operand]] = [[] for _ in writers]
    for position, given in enumerate(zip(*leaves, strict=True)):
        column = _with_stand_ins(writers, given)
        are_values = [is_value(leaf) for leaf in column]
        may_stay = not any(are_values) or (keeps_numbers and all(map(is_weak, column)))
        if may_stay and same_object(column):
            kept.append(column[0])
            continue
        if not all(are_values):
            column = [np.str_(leaf) if type(leaf) is str else leaf for leaf in column]  # texts become string tensors
        if not all(map(is_value, column)):
            raise refuse_mixture(column, names.of(position), labels)
        kept.append(_NUMBER if keeps_numbers and all(map(is_weak, column)) else _TENSOR)
        converted = _converted(writers, column, names.of(position), labels)
        for mine, operand in zip(operands, converted, strict=True):
            mine.append(operand)
    return kept, operands


def _with_stand_ins(writers: Sequence[Subtrace], column: Sequence[Any]) -> list[Any]:
    """The leaves, with something in the place of what only other branches assign, where there is something."""
    present = next((leaf for leaf in column if isinstance(leaf, Operand)), None)
    if present is None:
        return list(column)
    found = []
    for writer, leaf in zip(writers, column, strict=True):
        with interpreting(writer):
            other = leaf.stand_in(present.type) if isinstance(leaf, Undefined) else None
        found.append(leaf if other is None else other)
    return found


def _converted(writers: Sequence[Subtrace], column: Sequence[Any], name: str, labels: Sequence[str]) -> list[Operand]:
    dtype = agreed_dtype(column, name, labels)
    found = []
    for writer, leaf in zip(writers, column, strict=True):
        with interpreting(writer):
            found.append(as_type_of(leaf, dtype, name))
    require_same_rank([one.type for one in found], column, name, labels)
    return found


def _written(
    decision: Any, writers: Sequence[Subtrace], operands: Sequence[Sequence[Operand]], is_cond: bool
) -> list[Operand]:
    """Write the equation, and assign what the branches assign to variables; the other results."""
    variables, changed = complete_states(writers), changed_in(writers)
    outputs = [
        [*mine, *(Symbol(writer.states[id(one)].latest, writer) for one in changed)]
        for writer, mine in zip(writers, operands, strict=True)
    ]
    states = [
        [value for one in variables for value in (writer.states[id(one)].input, writer.states[id(one)].origin)]
        for writer in writers
    ]
    graphs, captures = joined(writers, outputs, [()] * len(writers), states)
    held = [operand for one in variables for operand in [read(one)] * 2]
    attributes = branch_attributes(graphs[::-1] if is_cond else graphs, is_cond)
    results = apply_all(cond_op if is_cond else switch_op, (decision, *captures, *held), attributes)
    count = len(results) - len(changed)
    for variable, value in zip(changed, results[count:], strict=True):
        assign(variable, value, value)
    return list(results[:count])


def _as_result(result: Any) -> Any:
    """A function's result in eager mode, with tensors for numbers as in a graph."""
    leaves, structure = flatten(result)
    return unflatten(structure, [as_operand(leaf) if is_value(leaf) else leaf for leaf in leaves])


def condition(pred: Any, what: str) -> bool | Operand:
    """A condition as a Python truth value where it is known, else as a scalar symbol.

    Raises:
      DtypeError: if it is no boolean; ShapeError: if it is no scalar.
    """
    if isinstance(pred, bool | np.bool_):
        return bool(pred)
    if not is_operand_like(pred) and not isinstance(pred, np.ndarray | np.generic):
        raise DtypeError(f"{what} is {pred!r}; it must be a boolean or a boolean scalar tensor")
    operand = as_operand(pred)
    if not operand.type.dtype.is_bool:
        raise DtypeError(
            f"{what} must be a boolean scalar, but it is {operand.type}; "
            "compare it (x != 0), or use gj.cast(x, gj.bool)"
        )
    if operand.type.rank:
        raise ShapeError(
            f"{what} must be a scalar, but it has shape {tuple(operand.type.shape)}; gj.where chooses element by "
            "element, gj.reduce_any and gj.reduce_all make one truth value of many"
        )
    return operand if isinstance(operand, Symbol) else bool(operand)


def cond(pred: Any, true_fn: Branch | None = None, false_fn: Branch | None = None, name: str | None = None) -> Any:
    """`true_fn()` if `pred` holds, else `false_fn()`.

    In compiled functions both are traced if `pred` is a traced value, and one of them runs.

    Args:
      pred: a boolean, or a boolean scalar tensor.
      true_fn, false_fn: functions without arguments, whose results have one structure and the same dtypes.

    Raises:
      InvalidArgumentError: if the structures differ.
      DtypeError: if `pred` is no boolean, or the dtypes differ.
      ShapeError: if `pred` is no scalar, or the numbers of axes differ.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def magnitude(x):
    ...     return gj.cond(x < 0, lambda: -x, lambda: x)
    >>> print(magnitude(gj.constant(-2.0)))
    gj.Tensor(2.0, shape=(), dtype=float32)
    """
    for what, function in (("true_fn", true_fn), ("false_fn", false_fn)):
        if not callable(function):
            raise InvalidArgumentError(f"cond: {what} must be a function without arguments, not {function!r}")
    assert true_fn is not None and false_fn is not None
    decision = condition(pred, "cond: pred")
    if isinstance(decision, bool):
        return _as_result(true_fn() if decision else false_fn())
    return trace_branches(decision, (true_fn, false_fn), None, ("true_fn", "false_fn"), keeps_numbers=False)


def case(
    pred_fn_pairs: Sequence[tuple[Any, Branch]],
    default: Branch | None = None,
    exclusive: bool = False,
    strict: bool = False,
    name: str = "case",
) -> Any:
    """The result of the first function whose condition holds.

    Args:
      pred_fn_pairs: pairs of a boolean scalar and a function without arguments.
      default: the function that runs if no condition holds; without it that is an error when it runs.
      exclusive: whether it is an error if more than one condition holds.
      strict, name: accepted for TensorFlow's sake.

    Raises: see `cond`.

    >>> import graphjit as gj
    >>> x = gj.constant(5)
    >>> print(gj.case([(x < 0, lambda: -1), (x > 0, lambda: 1)], default=lambda: 0))
    gj.Tensor(1, shape=(), dtype=int32)
    """
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, Mapping) else pred_fn_pairs)
    if not pairs and default is None:
        raise InvalidArgumentError("case: there is no function to choose from")
    conditions = [condition(pred, f"case: condition {place}") for place, (pred, _) in enumerate(pairs)]
    if exclusive or default is None:
        count = PUBLIC["add_n"]([PUBLIC["cast"](one, "int32") for one in conditions])
        if exclusive:
            Assert(count <= 1, conditions)
        if default is None:
            Assert(count >= 1, conditions)
    functions = [function for _, function in pairs]
    return _first_that_holds(conditions, functions, default)


def _first_that_holds(conditions: Sequence[Any], functions: Sequence[Branch], default: Branch | None) -> Any:
    if not functions:
        assert default is not None
        return _as_result(default())
    if len(functions) == 1 and default is None:
        return _as_result(functions[0]())
    return cond(conditions[0], functions[0], lambda: _first_that_holds(conditions[1:], functions[1:], default))


def switch_case(
    branch_index: Any,
    branch_fns: Sequence[Branch] | Sequence[tuple[int, Branch]] | Mapping[int, Branch],
    default: Branch | None = None,
    name: str = "switch_case",
) -> Any:
    """The result of the function whose number is `branch_index`.

    Args:
      branch_index: an integer scalar.
      branch_fns: functions without arguments: a list, or pairs of a number and a function, or a dict of them.
      default: the function for numbers out of range; by default the last one.

    Raises:
      InvalidArgumentError: if the numbers are not 0, 1, 2 ...; see also `cond`.

    >>> import graphjit as gj
    >>> print(gj.switch_case(gj.constant(1), [lambda: 10, lambda: 20, lambda: 30]))
    gj.Tensor(20, shape=(), dtype=int32)
    """
    functions = _numbered_functions(branch_fns)
    if default is not None:
        functions.append(default)
    index = as_operand(branch_index)
    if not index.type.dtype.is_integer or index.type.rank:
        raise DtypeError(f"switch_case: branch_index must be an integer scalar, but it is {index.type}")
    if not isinstance(index, Symbol):
        return _as_result(functions[chosen(int(index), len(functions))]())  # type: ignore[call-overload]  # a Tensor has a number
    if len(functions) == 1:
        return _as_result(functions[0]())
    return trace_branches(index, functions, keeps_numbers=False)


def _numbered_functions(given: Any) -> list[Branch]:
    pairs: list[Any] = list(given.items()) if isinstance(given, Mapping) else list(given)
    if pairs and all(isinstance(one, tuple) for one in pairs):
        pairs.sort(key=lambda pair: pair[0])
        if [number for number, _ in pairs] != list(range(len(pairs))):
            raise InvalidArgumentError(
                f"switch_case: the functions are numbered 0 to {len(pairs) - 1}, but {[one for one, _ in pairs]} came"
            )
        pairs = [function for _, function in pairs]
    if not pairs or not all(map(callable, pairs)):
        raise InvalidArgumentError(f"switch_case: branch_fns are functions without arguments, not {given!r}")
    return pairs


__all__ = ["case", "cond", "switch_case"]
