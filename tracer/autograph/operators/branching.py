"""`if` and conditional expressions: Python's where the condition is known, else one equation with both arms."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

from graphjit.compiler.location import describe, user_location
from graphjit.compiler.operand import Operand
from graphjit.runtime.errors import InvalidArgumentError, TraceError

from ...branching import in_words, trace_branches
from ...structure import flatten
from .changes import Arm, Changed, arms, changing, inside
from .depth import one_level_deeper
from .values import UNSET, Example, Maybe, all_cells_of, cells_of, condition, fill_cells, held, is_traced

Block = Callable[[], Any]
LABELS = ("the main branch", "the else branch")


class ArmEndedError(Exception):
    """A block raised an error that the compiled function will raise: nothing behind it in the block runs."""


def decided(test: Any, what: str) -> bool | Operand:
    """A condition as a Python truth value, or as a traced scalar."""
    if type(test) is bool:
        return test
    return condition(test, what) if is_traced(test) else bool(test)


def branch(test: Any, then: Block, otherwise: Block | None, names: Sequence[str]) -> Block:
    """An `if`: the block that is to run; none if both were traced."""
    return _branch(test, then, otherwise, names, is_users=True)


def guard(test: Any, then: Block, otherwise: Block | None, names: Sequence[str]) -> Block:
    """The same for an `if` that stands in for a `break`, `continue` or `return`."""
    return _branch(test, then, otherwise, names, is_users=False)


def _branch(test: Any, then: Block, otherwise: Block | None, names: Sequence[str], is_users: bool) -> Block:
    decision = decided(test, "the condition of `if`")
    if isinstance(decision, bool):
        return (then if decision else otherwise) or _nothing
    _Branching([then, otherwise or _nothing], names, is_users).traced(decision)
    return _nothing


def returned(test: Any, then: Block, otherwise: Block, names: Sequence[str]) -> Block:
    """An `if` whose arms both return: a function that gives the result."""
    decision = decided(test, "the condition of `if`")
    if isinstance(decision, bool):
        return then if decision else otherwise
    result = _Branching([then, otherwise], names, is_users=True, result="the returned value").traced(decision)
    return lambda: result


def choose(test: Any, then: Block, otherwise: Block) -> Any:
    """`a if test else b`."""
    decision = decided(test, "the condition of `if ... else`")
    if isinstance(decision, bool):
        return then() if decision else otherwise()
    return _Branching([then, otherwise], (), is_users=True, result="the value").traced(decision)


def _nothing() -> None:
    """The block of an `else` that is not there."""


_ENDED = object()


class _Branching:
    """One `if` on a traced value.

    Args:
      blocks: the two arms.
      names: the variables that are handed on.
      is_users: whether the user wrote the `if`; others stand in for jumps.
      result: what messages call what the arms return, "" if that does not matter.
    """

    def __init__(self, blocks: Sequence[Block], names: Sequence[str], is_users: bool, result: str = "") -> None:
        self._blocks = blocks
        self._names = names
        self._is_users = is_users
        self._result = result
        self._cells = cells_of(blocks, names)
        self._before = [held(cell) for cell in self._cells]
        # Each arm begins with what all variables hold here, and those that are not handed on keep it.
        self._all_cells = all_cells_of(blocks)
        self._all_before = [held(cell) for cell in self._all_cells]
        self._changes: dict[Hashable, tuple[Changed, Any]] = {}
        self._forms: list[bool] = []

    def traced(self, decision: Operand) -> Any:
        """Trace both arms and write the equation; the result."""
        with one_level_deeper(self._blocks[0]):
            results = trace_branches(
                decision,
                [self._runner(one) for one in self._blocks],
                names=_MessageNames(self._all_names),
                labels=LABELS,
                reconcile=self._reconciled,
            )
        if not self._forms and results == ():
            raise _ended()
        return self._hand_on(results)

    def _runner(self, block: Block) -> Block:
        def run() -> Any:
            arm = Arm()
            try:
                with inside(arm):
                    result = block()
            except ArmEndedError:
                return _ENDED
            finally:
                values = [held(cell) for cell in self._cells]
                fill_cells(self._all_cells, self._all_before)
                after = arm.take_back()
            self._changes.update({key: one for key, one in arm.changes.items() if key not in self._changes})
            return values, after, result

        return run

    # --- before the equation ---

    def _all_names(self) -> list[str]:
        names = [name.rstrip("?") for name in self._names]
        return names + [place.shown for place, _ in self._changes.values()] + [self._result]

    def _reconciled(self, ends: Sequence[Any]) -> list[Any]:
        """The arms' ends as tuples that are alike: variables, changed things, the result."""
        if all(end is _ENDED for end in ends):
            return [() for _ in ends]
        columns = [self._column(end) for end in ends]
        known = next(one for one in columns if one is not None)
        made: list[list[Any]] = [[] for _ in ends]
        for place in range(len(known)):
            parts = [UNSET if one is None else one[place] for one in columns]
            name = self._names[place] if place < len(self._names) else ""
            self._agree(parts, [one is None for one in columns], name, made)
        if self._result:
            self._require_results(parts)
        return [tuple(one) for one in made]

    def _column(self, end: Any) -> list[Any] | None:
        if end is _ENDED:
            return None
        values, after, result = end
        changed = [after.get(key, before) for key, (_, before) in self._changes.items()]
        return [*values, *changed, result if self._result else None]

    def _agree(self, parts: Sequence[Any], ended: Sequence[bool], name: str, made: list[list[Any]]) -> None:
        """Add one variable to each arm's tuple: with a flag beside it, if an arm does not assign it."""
        may_be_unset = name.endswith("?")
        values = [one.held if isinstance(one, Maybe) else one for one in parts]
        example = next((one for one in values if one is not UNSET), UNSET)
        unset = [(one is UNSET or isinstance(one, Maybe)) and not skip for one, skip in zip(parts, ended, strict=True)]
        with_flag = any(unset) and not may_be_unset and example is not UNSET
        self._forms.append(with_flag)
        filled = [Example(example).zeros() if one is UNSET and example is not UNSET else one for one in values]
        self._require_one_structure(filled, len(self._forms) - 1)
        for mine, one, part, skip in zip(made, filled, parts, ended, strict=True):
            flag = part.flag if isinstance(part, Maybe) else part is not UNSET or skip
            mine.append((one, flag) if with_flag else one)

    def _require_one_structure(self, parts: Sequence[Any], place: int) -> None:
        structures = [flatten(one)[1] for one in parts]
        if structures[0] != structures[-1]:
            raise InvalidArgumentError(
                f"{self._all_names()[place]!r} must have the same nested structure in {LABELS[0]} and {LABELS[1]}, but "
                f"it is {in_words(structures[0])} and {in_words(structures[-1])}{_advice(parts)}"
            )

    def _require_results(self, parts: Sequence[Any]) -> None:
        kinds = [one is None for one in parts if one is not UNSET]
        if any(kinds) and not all(kinds):
            missing = LABELS[kinds.index(True)]
            raise InvalidArgumentError(
                f"{missing} must also have a return statement that gives a value: it returns None where the other "
                "returns a value, and which of them runs is only known when the function runs"
            )

    # --- behind it ---

    def _hand_on(self, results: Sequence[Any]) -> Any:
        found = [self._taken(place, one) for place, one in enumerate(results)]
        count = len(self._names)
        fill_cells(self._cells, found[:count])
        for (key, (place, _)), one in zip(self._changes.items(), found[count:-1], strict=True):
            changing(place.target, key[1])  # type: ignore[attr-defined, index]  # every change has a target; keys are pairs
            place.write(one)
        return found[-1]

    def _taken(self, place: int, result: Any) -> Any:
        if not self._forms[place]:
            return result
        value, flag = result
        if flag is True or flag is False:
            return value if flag else UNSET
        name = self._all_names()[place].rstrip("?")
        return Maybe(name, value, flag, self._complaint(name, place))

    def _complaint(self, name: str, place: int) -> str:
        if not self._is_users or (place < len(self._before) and isinstance(self._before[place], Maybe)):
            return ""
        return (
            f"{name!r} must also be initialized in the other branch of the `if` at {describe(user_location())}, or "
            "before it: which branch runs is only known when the function runs"
        )


def _advice(parts: Sequence[Any]) -> str:
    """What to do where a list grows in one arm only."""
    if not all(isinstance(one, list) for one in parts):
        return ""
    return (
        ": how many items a list has must not depend on a condition that is only known when the function runs; use "
        "gj.TensorArray, whose array.write(i, value) may be conditional, or gj.boolean_mask"
    )


class _MessageNames(Sequence[str]):
    """Names that are known when the arms were traced, which is when messages need them."""

    def __init__(self, names: Callable[[], list[str]]) -> None:
        self._names = names

    def __len__(self) -> int:
        return len(self._names())

    def __getitem__(self, place: Any) -> Any:
        return self._names()[place]


def _ended() -> Exception:
    """What goes on up where every arm raises."""
    if arms():
        return ArmEndedError()
    return TraceError("every way through the function raises an error; there is nothing to compile")


__all__: list[str] = []
