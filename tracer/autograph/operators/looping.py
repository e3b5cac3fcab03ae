"""`for` and `while`: Python's where what decides is known, else one equation with condition and body.

A Python loop whose `break` turns out to depend on a traced value goes on as a loop in the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from types import CellType
from typing import Any

from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.compiler.writer import Symbol, WeakSymbol
from graphjit.runtime.errors import InvalidArgumentError

from ...agreement import Undefined, is_value, same_object
from ...branching import in_words
from ...looping import trace_loop
from ...structure import flatten
from ...subtrace import is_tracing
from ..options import LoopOptions, collecting_options
from .branching import ArmEndedError, branch
from .changes import Arm, Changed, changing, inside
from .depth import one_level_deeper
from .growing import Growing, appended, grown
from .iterables import Listed, Rows, rows_of
from .values import UNSET, Example, Maybe, all_cells_of, cells_of, condition, fill_cells, held, is_traced

UNROLLED_AT_MOST = 8
"""Loops over so many rows or fewer are written out row by row."""

Block = Callable[..., Any]


def goes_on(test: Callable[[], Any], body: Block, names: Sequence[str]) -> bool:
    """Whether a `while` loop has a round to come; False if the rounds were written into the graph."""
    cells = all_cells_of([test])
    before = [held(cell) for cell in cells]
    decision = test()
    if not is_traced(decision):
        return bool(decision)
    if all(held(cell) is one for cell, one in zip(cells, before, strict=True)):
        _Loop([test, body], names, lambda _: test(), lambda _: body(), None).traced()
    else:
        _loop_that_asks_behind(decision, test, body, names)
    return False


def _loop_that_asks_behind(decision: Any, test: Callable[[], Any], body: Block, names: Sequence[str]) -> None:
    """A loop whose condition assigns variables: each round ends with asking whether there is another one."""
    answer = CellType(condition(decision, "the condition of `while`"))

    def round_and_question() -> None:
        body()
        answer.cell_contents = condition(test(), "the condition of `while`")

    _Loop(
        [test, body], names, lambda _: answer.cell_contents, lambda _: round_and_question(), None, answer=answer
    ).traced()


def each(iterable: Any, body: Block, names: Sequence[str], stop: str | None) -> Iterator[Any]:
    """The items of a `for` loop; none if the rounds were written into the graph.

    Args:
      stop: the variable that says that the loop was left.
    """
    if not is_tracing():
        return _items(iterable, body, stop)
    rows = rows_of(iterable)
    if rows is None:
        return _python_items(iterable, body, names, stop)
    if rows.length is not None and rows.length <= UNROLLED_AT_MOST and stop is None:
        return iter(rows)
    if rows.length != 0:
        for run in rows.runs():
            _rounds(run, 0, body, names, stop)
    return iter(())


def _items(iterable: Any, body: Block, stop: str | None) -> Iterator[Any]:
    """Python's loop, with its `break`."""
    if stop is None:
        return iter(iterable)
    return _until_stopped(iterable, body, stop)


def _until_stopped(iterable: Any, body: Block, stop: str) -> Iterator[Any]:
    (cell,) = cells_of([body], [stop])
    for item in iterable:
        yield item
        if held(cell):
            return


def _python_items(iterable: Any, body: Block, names: Sequence[str], stop: str | None) -> Iterator[Any]:
    """Python's loop while a function is traced: it may become one in the graph."""
    cells = [] if stop is None else cells_of([body], [stop])
    items = iter(iterable)
    for place, item in enumerate(items, 1):
        yield item
        if cells and is_traced(held(cells[0])):
            rest = Listed(iterable[place:]) if isinstance(iterable, range | list | tuple) else Listed(list(items))
            _other_rounds(rest, body, names, stop)
            return
        if cells and held(cells[0]):
            return


def _other_rounds(rest: Listed, body: Block, names: Sequence[str], stop: str | None) -> None:
    """What is left of a Python loop whose end depends on a traced value."""
    if not rest.length:
        return
    if rest.is_alike:
        _rounds(rest, 0, body, names, stop)
        return
    (cell,) = cells_of([body], [str(stop)])
    for item in rest:
        branch(PUBLIC["logical_not"](_stopped(cell)), _with_item(body, item), None, names)()


def _with_item(body: Block, item: Any) -> Block:
    def run() -> Any:
        return body(item)

    run.block = body  # type: ignore[attr-defined]  # whose cells hold the variables
    return run


def _stopped(cell: Any) -> Any:
    return condition(held(cell), "the condition of `break`")


def _rounds(rows: Rows, first: int, body: Block, names: Sequence[str], stop: str | None) -> None:
    """Write a loop over rows into the graph."""
    known = rows.begin()
    cells = [] if stop is None else cells_of([body], [stop])

    def has_next(index: Any) -> Any:
        if not cells:
            return rows.has(index, known, False)
        stopped = held(cells[0])
        if not is_traced(stopped):
            return rows.has(index, known, False) if not stopped else as_operand(False)
        is_over = condition(stopped, "`break`")
        return PUBLIC["logical_and"](rows.has(index, known, is_over), PUBLIC["logical_not"](is_over))

    def one_round(index: Any) -> None:
        body(rows.item(index))

    start = as_operand(first) if not isinstance(known, Symbol) else as_operand(first, known.type.dtype)
    _Loop([body], names, has_next, one_round, start, rows.length).traced()


class _Fixed:
    """A Python number that no round changes: it stays one, so that what it decides is decided while tracing."""

    def __init__(self, number: Any) -> None:
        self.number = number


class _RestartError(Exception):
    """The body showed that the loop carries more than was known: it is traced again."""


class _Loop:
    """One loop that goes into the graph.

    Args:
      blocks: functions whose cells hold the loop's variables.
      names: the variables that are handed on.
      test, body: called with the number of the round.
      start: the number of the first round; None for a loop that does not count.
      most: how many rounds there are at most, where that is known.
      answer: a cell of the loop's own that is carried as well.
    """

    def __init__(
        self,
        blocks: Sequence[Block],
        names: Sequence[str],
        test: Callable[[Any], Any],
        body: Callable[[Any], Any],
        start: Any,
        most: int | None = None,
        answer: CellType | None = None,
    ) -> None:
        self._block = blocks[-1]
        answers = [] if answer is None else [answer]
        self._names = [*(name.rstrip("?") for name in names), *("the condition" for _ in answers)]
        self._quiet = [name.endswith("?") for name in names] + [False for _ in answers]
        self._test = test
        self._body = body
        self._start = start
        self._most = most
        self._cells = cells_of(blocks, names) + answers
        self._initial = [held(cell) for cell in self._cells]
        # Each round begins with what all variables hold here, and those that are not carried keep it.
        self._all_cells = all_cells_of(blocks) + answers
        self._all_before = [held(cell) for cell in self._all_cells]
        self._changes: dict[Hashable, tuple[Changed, Any]] = {}
        self._originals: dict[Hashable, tuple[Changed, Any]] = {}
        self._options = LoopOptions()
        self._begun: list[Any] = []
        self._changing: set[int] = set()

    def traced(self) -> None:
        """Write the equation, and let the variables hold what the loop leaves in them."""
        try:
            with one_level_deeper(self._block):
                finals = self._attempts()
        finally:
            self._take_back()
        self._hand_on(finals)

    def _attempts(self) -> Sequence[Any]:
        while True:
            carried = [*self._initial, *(before for _, before in self._changes.values())]
            try:
                return trace_loop(
                    self._tested,
                    self._round,
                    (self._start, *map(_as_carried, carried)),
                    names=["the number of the round", *self._all_names()],
                    maximum=self._options.maximum,
                    shapes=self._options.shapes_of([self._start, *map(_as_carried, carried)]),
                )
            except _RestartError:
                continue

    def _all_names(self) -> list[str]:
        return [*self._names, *(place.shown for place, _ in self._changes.values())]

    # --- while it is traced ---

    def _put(self, values: Sequence[Any]) -> None:
        """Let variables and changed things hold what a round begins with."""
        own = [self._restored(place, one) for place, one in enumerate(values)]
        self._begun = [list(one) if isinstance(one, list) else one for one in own]
        count = len(self._cells)
        fill_cells(self._cells, own[:count])
        for (place, _), one in zip(self._changes.values(), own[count:], strict=True):
            place.write(one)

    def _initial_at(self, place: int) -> Any:
        count = len(self._initial)
        return self._initial[place] if place < count else list(self._changes.values())[place - count][1]

    def _restored(self, place: int, carried: Any) -> Any:
        initial = self._initial_at(place)
        if initial is UNSET:
            return UNSET
        if isinstance(initial, Maybe):
            return Maybe(initial.name, *carried)
        if isinstance(initial, Growing):
            return initial.inside(carried)
        return initial.number if isinstance(initial, _Fixed) else carried

    def _tested(self, index: Any, *values: Any) -> Any:
        self._put(values)
        arm = Arm()
        try:
            with inside(arm):
                return condition(self._test(index), "the condition of a loop")
        finally:
            arm.take_back()
            self._take_back()

    def _round(self, index: Any, *values: Any) -> tuple[Any, ...]:
        self._put(values)
        arm = Arm()
        try:
            with inside(arm), collecting_options([index, *values]) as found:
                self._body(index)
        except ArmEndedError:
            return (None if index is None else index + 1, *values)
        finally:
            after = [held(cell) for cell in self._cells]
            changed = arm.take_back()
            self._take_back()
        self._note_changes(arm)
        if found != self._options:
            self._options = found
            raise _RestartError
        after += [changed.get(key, before) for key, (_, before) in self._changes.items()]
        handed = [self._handed(place, one) for place, one in enumerate(after)]
        return (None if index is None else index + 1, *handed)

    def _take_back(self) -> None:
        fill_cells(self._all_cells, self._all_before)
        for place, before in self._originals.values():
            place.write(before)

    def _note_changes(self, arm: Arm) -> None:
        """Containers and attributes that the body changes are carried as well."""
        fresh = {key: one for key, one in arm.changes.items() if key not in self._changes}
        if fresh:
            self._changes.update(fresh)
            self._originals.update(fresh)
            raise _RestartError

    def _handed(self, place: int, after: Any) -> Any:
        """A value at the end of a round as the loop carries it."""
        initial = self._initial_at(place)
        if isinstance(initial, Growing):
            return initial.carried_after(after)
        if isinstance(initial, _Fixed):
            return self._still_fixed(place, initial, after)
        if isinstance(after, WeakSymbol) and after is self._begun[place] and place not in self._changing:
            self._replace(place, _Fixed(initial))
            raise _RestartError
        if isinstance(initial, list) and isinstance(after, list) and len(after) > len(initial):
            items = appended(self._begun[place], after, self._all_names()[place])
            self._replace(place, grown(initial, items, self._all_names()[place], self._bound()))
            raise _RestartError
        if initial is UNSET:
            return self._first_assigned(place, after)
        if isinstance(initial, Maybe):
            return (
                (after.held, as_operand(after.flag))
                if isinstance(after, Maybe)
                else (after, as_operand(after is not UNSET))
            )
        held_after = after.held if isinstance(after, Maybe) else after
        if isinstance(initial, Example):
            return held_after
        self._require_alike(initial, held_after, self._all_names()[place])
        return held_after

    def _still_fixed(self, place: int, initial: _Fixed, after: Any) -> Any:
        if same_object([initial.number, after]):
            return _NOTHING
        self._changing.add(place)
        self._replace(place, initial.number)
        raise _RestartError

    def _bound(self) -> int | None:
        if self._options.maximum is not None and self._most is None:
            return int(self._options.maximum)
        return self._most

    def _first_assigned(self, place: int, after: Any) -> Any:
        """A variable that a round assigns first: zeros stand for it before."""
        if after is UNSET:
            return _NOTHING
        value = after.held if isinstance(after, Maybe) else after
        example = Example(value)
        quiet = place < len(self._quiet) and self._quiet[place]
        self._replace(place, example if quiet else Maybe(self._all_names()[place], example, False))
        raise _RestartError

    def _replace(self, place: int, initial: Any) -> None:
        count = len(self._initial)
        if place < count:
            self._initial[place] = initial
        else:
            key = list(self._changes)[place - count]
            self._changes[key] = self._changes[key][0], initial

    def _require_alike(self, initial: Any, after: Any, name: str) -> None:
        """Refuse what the graph cannot carry: something that is no tensor and changes."""
        before, structure = flatten(initial)
        leaves, other = flatten(after)
        if structure != other:
            raise InvalidArgumentError(
                f"{name!r} is {in_words(structure)} before the loop, but {in_words(other)} after one iteration; in "
                "a loop whose end is only known when the function runs lists and dicts keep their items: set all "
                "before the loop"
            )
        for one, leaf in zip(before, leaves, strict=True):
            if isinstance(one, Undefined) and is_value(leaf):
                continue  # an element that is written first settles what the others are
            if not is_value(one) and not (one is leaf or (type(one) is type(leaf) and one == leaf)):
                raise InvalidArgumentError(
                    f"{name!r} is {one!r} before the loop, but {_shown(leaf)} after one iteration; in a loop whose end "
                    "is only known when the function runs a variable is a tensor or a number all the time"
                )

    # --- behind it ---

    def _hand_on(self, finals: Sequence[Any]) -> None:
        values = [self._final(place, one) for place, one in enumerate(finals[1:])]
        count = len(self._cells)
        fill_cells(self._cells, values[:count])
        for (key, (place, _)), one in zip(self._changes.items(), values[count:], strict=True):
            changing(place.target, key[1])  # type: ignore[attr-defined, index]  # every change has a target; keys are pairs
            place.write(one)

    def _final(self, place: int, carried: Any) -> Any:
        initial = self._initial_at(place)
        if isinstance(initial, Growing):
            return initial.final(carried)
        return self._restored(place, carried)


_NOTHING = "not assigned"
"""What is carried for a variable that stays as it is, or unassigned: something that is no tensor."""


def _as_carried(initial: Any) -> Any:
    if initial is UNSET or isinstance(initial, _Fixed):
        return _NOTHING
    if isinstance(initial, Example):
        return initial.zeros()
    if isinstance(initial, Maybe):
        return _as_carried(initial.held), as_operand(initial.flag)
    return initial.initial() if isinstance(initial, Growing) else initial


def _shown(leaf: Any) -> str:
    return f"a tensor ({as_operand(leaf).type})" if is_value(leaf) else repr(leaf)


__all__: list[str] = []
