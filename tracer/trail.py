"""What a tape needs to tell why there is no gradient: the ops that it did not record, and who read whom.

A trail keeps no tensors alive (variables, yes). An outline is a whole recording without its tensors.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from graphjit.compiler.gradient import Record, Recording, is_differentiable, key_of
from graphjit.compiler.location import CodeLine, user_line
from graphjit.compiler.op import Differentiability, Op, Pullback
from graphjit.compiler.writer import Symbol

from .state import ASSIGNMENT, State

Token = int


class Event(NamedTuple):
    """An op, or an assignment to a variable, as far as it matters to where gradients flow.

    Values are tokens: numbers that name no two values at the same time.
    """

    op: str
    operands: tuple[Token, ...]
    flows: tuple[bool, ...]  # for each operand: whether it gets a gradient
    outputs: tuple[Token, ...]
    takes: tuple[bool, ...]  # for each output: whether its dtype has gradients
    line: CodeLine | None
    decides: bool = False  # whether its gradient rule says by itself which operands get a gradient

    @property
    def is_assignment(self) -> bool:
        """Whether it is an assignment: of operand 0, or of nothing that matters, to output 0."""
        return self.op == ASSIGNMENT.name


class Trail:
    """The ops that a tape saw and did not record, though they depend on what is watched."""

    def __init__(self) -> None:
        self._events: list[tuple[int, Event]] = []
        self._behind: dict[int, tuple[Any, Token]] = {}
        self._count = 0

    def note(self, op: Op, operands: Sequence[Any], outputs: Sequence[Any], recording: Recording) -> None:
        """Take in an op that was not recorded."""
        if not self._behind and op.gradient is not Differentiability.NONE:
            return
        tokens = [self.token(operand, recording) for operand in operands]
        known = tuple(token for token in tokens if token is not None)
        if not known and op is not ASSIGNMENT:
            return
        made = tuple(self._token_behind(output, recording) for output in outputs)
        nowhere = (op.gradient is not Differentiability.NONE,) * len(known)
        event = Event(op.name, known, nowhere, made, (True,) * len(made), user_line())
        self._events.append((len(recording.records), event))

    def note_discrete(self, output: Any) -> None:
        """Follow an output of a recorded op whose dtype has no gradients."""
        self._behind[key_of(output)] = (reference_to(output), key_of(output))

    def token(self, value: Any, recording: Recording) -> Token | None:
        """What names the value, None if it does not depend on anything that is watched."""
        key = key_of(value)
        if recording.is_tracked(value):
            return key
        reference, token = self._behind.get(key, (None, 0))
        return token if reference is not None and reference() is _owner(value) else None

    def _token_behind(self, value: Any, recording: Recording) -> Token:
        found = self.token(value, recording)
        if found is not None:
            return found
        if isinstance(value, State):
            # It may be watched later, and is to have one token all the time, so it stays alive.
            self._behind[key_of(value)] = (lambda: value, key_of(value))
            return key_of(value)
        self._count += 1
        # Negative, so that it is no key: keys are addresses.
        self._behind[key_of(value)] = (reference_to(value), -self._count)
        return -self._count

    def events(self, recording: Recording) -> Iterator[Event]:
        """What was recorded and what was not, in order."""
        missed = iter(self._events)
        place, event = next(missed, (None, None))
        for position, record in enumerate(recording.records):
            while event is not None and place == position:
                yield event
                place, event = next(missed, (None, None))
            yield _outlined(record)
        if event is not None:
            yield event
            yield from (later for _, later in missed)


def _owner(value: Any) -> Any:
    return value.value if isinstance(value, Symbol) else value


def reference_to(value: Any) -> Any:
    """A weak reference, except for a symbol, whose value lives as long as its graph."""
    if isinstance(value, Symbol):
        inner = value.value
        return lambda: inner
    return weakref.ref(value)


def _outlined(record: Record) -> Event:
    places = range(len(record.operands))
    missing = record.op.gradient is Differentiability.MISSING
    return Event(
        record.op.name,
        tuple(key_of(operand) for operand in record.operands),
        tuple(missing or record.op.rule(place) is not None for place in places),
        tuple(key_of(output) for output in record.outputs),
        tuple(is_differentiable(output.dtype) for output in record.outputs),
        record.code_line,
        isinstance(record.op.gradient, Pullback),
    )


class Outline:
    """All events of a recording, without its tensors, and the tokens of some values.

    Args:
      trail, recording: what a tape noted.
      values: what will be asked about.
      without_gradient: those of them for which a gradient was asked, and was None.
    """

    def __init__(
        self, trail: Trail, recording: Recording, values: Sequence[Any], without_gradient: Sequence[Any] = ()
    ) -> None:
        self.events = tuple(trail.events(recording))
        self._known = [(reference_to(value), trail.token(value, recording)) for value in values]
        self._without = [reference_to(value) for value in without_gradient]

    def knows(self, value: Any) -> bool:
        """Whether `token` can answer for the value."""
        return any(reference() is _owner(value) for reference, _ in self._known)

    def has_no_gradient(self, value: Any) -> bool:
        """Whether it is known that the gradient was None."""
        return any(reference() is _owner(value) for reference in self._without)

    def token(self, value: Any) -> Token | None:
        """What names the value, None if it does not depend on anything that was watched."""
        return next((token for reference, token in self._known if reference() is _owner(value)), None)


def follow(events: Sequence[Event], source: Token) -> Mapping[Token, Event | None]:
    """What depends on the source: None for what gradients reach it from, else the event that is in the way."""
    reached: dict[Token, Event | None] = {source: None}
    for event in events:
        if event.is_assignment:
            _follow_assignment(event, source, reached)
            continue
        found = [
            (reached[operand], flows)
            for operand, flows in zip(event.operands, event.flows, strict=True)
            if operand in reached
        ]
        if found:
            obstacle = _obstacle(event, found)
            for output, takes in zip(event.outputs, event.takes, strict=True):
                reached[output] = obstacle if takes else obstacle or event
    return reached


def _follow_assignment(event: Event, source: Token, reached: dict[Token, Event | None]) -> None:
    (variable,) = event.outputs
    if variable == source:
        return
    if event.operands and event.operands[0] in reached:
        reached[variable] = reached[event.operands[0]] or event
    else:
        reached.pop(variable, None)


def _obstacle(event: Event, found: Sequence[tuple[Event | None, bool]]) -> Event | None:
    if any(obstacle is None and flows for obstacle, flows in found):
        return None
    if any(obstacle is None for obstacle, _ in found):
        return event
    return found[0][0]


def dead_ends(events: Sequence[Event], reached: Mapping[Token, Event | None]) -> list[Event]:
    """The events whose outputs depend on the source, and that no later event reads."""
    read = {operand for event in events for operand in event.operands}
    return [
        event
        for event in events
        if not event.is_assignment and any(output in reached and output not in read for output in event.outputs)
    ]
