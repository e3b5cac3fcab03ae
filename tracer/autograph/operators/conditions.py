"""`and`, `or`, `not` and `in`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphjit.compiler.dispatch import current_interpreter
from graphjit.compiler.operand import PUBLIC, Operand
from graphjit.compiler.writer import GraphWriter
from graphjit.runtime.errors import TraceError

from ...state import State
from .branching import ArmEndedError, choose
from .changes import Arm, inside
from .values import condition, holds_traced, is_traced

Later = Callable[[], Any]


def and_(first: Any, *others: Later) -> Any:
    """`first and others...`: the others are computed where those before hold."""
    result = first
    for other in others:
        if is_traced(result):
            result = _both(result, other)
        elif not result:
            return result
        else:
            result = other()
    return result


def or_(first: Any, *others: Later) -> Any:
    """`first or others...`: the others are computed where none before holds."""
    result = first
    for other in others:
        if is_traced(result):
            result = _either(result, other)
        elif result:
            return result
        else:
            result = other()
    return result


def not_(operand: Any) -> Any:
    """`not operand`."""
    return PUBLIC["logical_not"](condition(operand, "the operand of `not`")) if is_traced(operand) else not operand


def _both(first: Any, other: Later) -> Any:
    decision = condition(first, "the left side of `and`")
    right = _computed_anyway(other, "and")
    if right is not None:
        return PUBLIC["logical_and"](decision, right)
    return choose(decision, lambda: _scalar(other(), "and"), lambda: False)


def _either(first: Any, other: Later) -> Any:
    decision = condition(first, "the left side of `or`")
    right = _computed_anyway(other, "or")
    if right is not None:
        return PUBLIC["logical_or"](decision, right)
    return choose(decision, lambda: True, lambda: _scalar(other(), "or"))


def _scalar(value: Any, word: str) -> Any:
    return condition(value, f"the right side of `{word}`")


def _computed_anyway(other: Later, word: str) -> Any:
    """The right side, where nobody can notice that it is computed in vain; else None, and nothing is written."""
    writer = current_interpreter()
    assert isinstance(writer, GraphWriter)
    count = len(writer.equations)
    arm = Arm()
    try:
        with inside(arm):
            right = _scalar(other(), word)
    except ArmEndedError:
        right = None
    written = writer.equations[count:]
    if not arm.changes and all(not equation.must_run and not equation.graphs for equation in written):
        return right
    arm.take_back()
    del writer.equations[count:]
    return None


def in_(item: Any, container: Any, is_negated: bool = False) -> Any:
    """`item in container`, or `item not in container`."""
    if isinstance(container, Operand | State) and (is_traced(container) or is_traced(item)):
        found = PUBLIC["reduce_any"](PUBLIC["equal"](container, item))
    elif isinstance(container, list | tuple | set | frozenset | dict) and (
        is_traced(item) or any(map(holds_traced, container))
    ):
        found = or_(False, *(_is_equal(item, one) for one in container))
    else:
        return (item not in container) if is_negated else (item in container)
    return not_(found) if is_negated else found


def _is_equal(item: Any, other: Any) -> Later:
    return lambda: item is other or item == other


def truth(test: Any, where: str) -> Any:
    """A condition inside of a comprehension.

    Raises:
      TraceError: if it is a traced value, on which the length of the result would depend.
    """
    if is_traced(test):
        raise TraceError(
            f"the `{where}` of a comprehension depends on a traced value, so that nobody knows how long the result is; "
            "use gj.boolean_mask(tensor, condition), or gj.where"
        )
    return test


__all__: list[str] = []
