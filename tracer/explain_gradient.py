"""Why a gradient is None, zero or not a number, in words and as a record."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Protocol

import numpy as np

from graphjit.compiler.dispatch import not_recording
from graphjit.compiler.gradient import Record, Recording, backward, is_differentiable
from graphjit.compiler.graph import Location
from graphjit.compiler.location import describe, location_of_line
from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.runtime.errors import FailedPreconditionError, GradientError
from graphjit.runtime.fields import dataclass

from .latest import latest_tape
from .state import State
from .tensor import Tensor
from .trail import Event, Outline, dead_ends, follow


class GradientState(StrEnum):
    """What there is to say of a gradient."""

    CONNECTED = "connected"  # it exists, and its numbers are ordinary (or were not looked at)
    DTYPE = "dtype"  # None: source or target holds integers or booleans
    NOT_WATCHED = "not watched"  # None: the tape does not watch the source
    NOT_CONNECTED = "not connected"  # None: nothing recorded leads from the source to the target
    NO_GRADIENT = "no gradient"  # None: an op in between has no gradient (rounding, comparing, casting to integers)
    STOPPED = "stopped"  # None: gj.stop_gradient is in between
    ASSIGNED = "assigned"  # None: a variable in between was assigned, which cuts its history
    MISSING_RULE = "missing rule"  # an error: an op in between has no gradient rule
    ZERO = "zero"  # all elements are 0
    NAN = "nan"  # some elements are not a number
    INFINITE = "infinite"  # some elements are infinite


@dataclass(frozen=True, slots=True)
class GradientExplanation:
    """Why a gradient is what it is.

    Attributes:
      state: the answer in a word.
      text: the answer in sentences, with lines and what to do; also `str(explanation)`.
      op: the op that decides, "" where none does.
      location: the line that asked for that op.
    """

    state: GradientState
    text: str
    op: str = ""
    location: Location | None = None

    def __str__(self) -> str:
        return self.text


class Explainer(Protocol):
    """A tape, as far as this module needs one."""

    def explain(self, target: Any, source: Any) -> GradientExplanation: ...


def explain_gradient(target: Any, source: Any, tape: Explainer | None = None) -> GradientExplanation:
    """Why `tape.gradient(target, source)` is None, zero, infinite or not a number.

    Args:
      target, source: one tensor or variable each.
      tape: the tape that recorded them; by default the one that was entered last. Call it before
        `gradient`, or with a persistent tape; afterwards a tape can still tell why a gradient was None.

    Raises:
      FailedPreconditionError: if the tape has let go of what it would need.

    >>> import graphjit as gj
    >>> x = gj.Variable([1.0, 2.0])
    >>> with gj.GradientTape() as tape:
    ...     y = gj.reduce_sum(gj.round(x))
    >>> print(tape.gradient(y, x))
    None
    >>> gj.explain_gradient(y, x).state
    <GradientState.NO_GRADIENT: 'no gradient'>
    """
    if tape is not None:
        return tape.explain(target, source)
    latest: Explainer | None = latest_tape()
    if latest is None:
        raise FailedPreconditionError("there is no gradient tape to ask; give it as explain_gradient(y, x, tape)")
    return latest.explain(target, source)


# --- None -------------------------------------------------------------------------------------------


def explain_none(outline: Outline, target: Any, source: Any) -> GradientExplanation | None:
    """Why the gradient is None, as far as no numbers are needed; None if it is not."""
    for value, what in ((source, "source"), (target, "target")):
        if not is_differentiable(value.dtype):
            return _explained(
                GradientState.DTYPE,
                f"the {what} holds {value.dtype.name}, and only floating dtypes have gradients; "
                "make it float32 or float64 before the tape records (gj.cast on the way has no gradient)",
            )
    token = outline.token(source)
    if token is None:
        return _explained(GradientState.NOT_WATCHED, _why_not_watched(source))
    reached = follow(outline.events, token)
    goal = outline.token(target)
    if goal is None or goal not in reached:
        return _explained(GradientState.NOT_CONNECTED, _why_not_connected(outline.events, reached))
    obstacle = reached[goal]
    return None if obstacle is None else _explain_obstacle(obstacle)


def _explained(state: GradientState, text: str, event: Event | None = None) -> GradientExplanation:
    if event is None:
        return GradientExplanation(state, text)
    return GradientExplanation(state, text, event.op, location_of_line(event.line))


def _why_not_watched(source: Any) -> str:
    if isinstance(source, State):
        if source.trainable:
            return (
                f"the variable {source.name!r} was not read while the tape recorded (or the tape was made with "
                "watch_accessed_variables=False and did not watch it); use it inside of the `with`"
            )
        return f"the variable {source.name!r} is not trainable, so tapes do not watch it by themselves; use tape.watch"
    return (
        "the source is a tensor that the tape does not watch; call tape.watch(source) before it is used. "
        "If it was a variable once, something like `v = v + 1` put a tensor in its place: use v.assign_add(1)"
    )


def _why_not_connected(events: Sequence[Event], reached: Any) -> str:
    ends = dead_ends(events, reached)
    advice = (
        "Values lose their history where they pass through NumPy or Python numbers (.numpy(), float(), np.array), "
        "and where ops run before the tape watches the source or while it does not record"
    )
    if not ends:
        return f"no op that the tape recorded uses the source after it was watched. {advice}"
    shown = "; ".join(f"{end.op} at {_line(end)}" for end in ends[-3:])
    return f"the source was used, but nothing that was recorded leads on to the target from: {shown}. {advice}"


def _line(event: Event) -> str:
    return describe(location_of_line(event.line))


def _explain_obstacle(event: Event) -> GradientExplanation:
    if event.is_assignment:
        text = (
            f"the path goes through a variable that was assigned at {_line(event)}; an assignment cuts the history "
            "of what is assigned. Use the assigned value itself instead of reading the variable again"
        )
        return _explained(GradientState.ASSIGNED, text, event)
    if event.op == "stop_gradient":
        return _explained(GradientState.STOPPED, f"gj.stop_gradient at {_line(event)} is in between", event)
    text = (
        f"{event.op} at {_line(event)} is in between, and passes no gradient from there: its result is flat, "
        "discrete or of an integer dtype, or this operand only chooses (an index, a condition)"
    )
    return _explained(GradientState.NO_GRADIENT, text, event)


def explain_nothing(outline: Outline, source: Any) -> GradientExplanation:
    """Why the gradient is None where all ops in between have one: a function with a rule of its own gave none."""
    token = outline.token(source)
    reached = {} if token is None else follow(outline.events, token)
    blocks = [event for event in outline.events if event.decides and any(one in reached for one in event.operands)]
    text = "the rules of the ops in between gave no gradient for the source"
    if not blocks:
        return _explained(GradientState.NO_GRADIENT, text)
    last = blocks[-1]
    return _explained(
        GradientState.NO_GRADIENT,
        f"{text}; {last.op} at {_line(last)} decides that by itself: record and explain inside of it",
        last,
    )


# --- zero, infinite, not a number -------------------------------------------------------------------


class _Numbers:
    """Looks at the cotangents of a walk for the first that go wrong."""

    def __init__(self) -> None:
        self.first_nan: Record | None = None
        self.first_infinite: Record | None = None
        self.zeros: list[Record] = []

    def observe(self, record: Record, incoming: Sequence[Any], operand: Any, contribution: Any) -> None:
        given = [one.numpy() for one in incoming if one is not None]
        made = contribution.numpy()
        if self.first_nan is None and _any(np.isnan, [made]) and not _any(np.isnan, given):
            self.first_nan = record
        if self.first_infinite is None and _any(np.isinf, [made]) and not _any(np.isinf, given):
            self.first_infinite = record
        if not np.any(made) and any(np.any(one) for one in given):
            self.zeros.append(record)


def _any(test: Any, arrays: Sequence[Any]) -> bool:
    return any(bool(np.any(test(array))) for array in arrays)


def explain_numbers(recording: Recording, target: Any, source: Any) -> GradientExplanation | None:
    """What is to be said of the numbers of a gradient, None if there is no gradient after all.

    Raises:
      FailedPreconditionError: inside of a trace, where there are no numbers.
    """
    if not isinstance(target, Tensor | State):
        return GradientExplanation(GradientState.CONNECTED, "the target depends on the source")
    numbers = _Numbers()
    with not_recording():
        seed = PUBLIC["ones_like"](as_operand(target))
        try:
            gradient = backward(recording, [(target, seed)], [source], numbers.observe).of(source)
        except GradientError as error:
            return GradientExplanation(GradientState.MISSING_RULE, str(error))
    return None if gradient is None else _judged(gradient.numpy(), numbers, recording)


def _judged(gradient: Any, numbers: _Numbers, recording: Recording) -> GradientExplanation:
    if _any(np.isnan, [gradient]):
        return _explain_nan(numbers, recording)
    if _any(np.isinf, [gradient]):
        return _decided(
            GradientState.INFINITE, "the gradient has infinite elements", numbers.first_infinite, "made the first one"
        )
    if gradient.size and not np.any(gradient):
        last = numbers.zeros[-1] if numbers.zeros else None
        return _decided(GradientState.ZERO, "all elements of the gradient are 0", last, "let nothing through")
    return GradientExplanation(GradientState.CONNECTED, "the target depends on the source, and the gradient is finite")


def _explain_nan(numbers: _Numbers, recording: Recording) -> GradientExplanation:
    forward = _first_nan_forward(recording)
    if forward is not None:
        return _decided(
            GradientState.NAN,
            "the gradient has NaN elements, and the values have already",
            forward,
            "made the first one",
        )
    return _decided(
        GradientState.NAN,
        "the values are fine, but the gradient has NaN elements",
        numbers.first_nan,
        "made the first one in the walk back: its derivative is infinite or undefined at these operands. "
        "Keep the operands away from there (gj.maximum, an epsilon, gj.where on the operand)",
    )


def _first_nan_forward(recording: Recording) -> Record | None:
    for record in recording.records:
        made = [output.numpy() for output in record.outputs if is_differentiable(output.dtype)]
        given = [as_operand(operand) for operand in record.operands]
        read = [one.numpy() for one in given if is_differentiable(one.dtype)]  # type: ignore[attr-defined]  # tensors
        if _any(np.isnan, made) and not _any(np.isnan, read):
            return record
    return None


def _decided(state: GradientState, what: str, record: Record | None, did: str) -> GradientExplanation:
    if record is None:
        return GradientExplanation(state, f"{what}; they were in the values and cotangents from the start")
    text = f"{what}; {record.op.name} at {describe(record.location)} {did}"
    return GradientExplanation(state, text, record.op.name, record.location)
