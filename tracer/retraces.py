"""Why a function was traced again: a record for each trace, and a warning for each cause."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from types import CodeType, FunctionType
from weakref import WeakKeyDictionary

from graphjit.compiler.graph import Location
from graphjit.compiler.location import describe
from graphjit.runtime.fields import dataclass

from .guards import Change
from .places import cell_value
from .signature import Call, NumberSlot, ObjectSlot, Slot, TensorSlot, ValueSlot, VariableSlot


class RetraceWarning(UserWarning):
    """A compiled function is traced again and again for the same reason."""


@dataclass(frozen=True)
class Retrace:
    """One trace.

    Attributes:
      number: 1 for the first trace.
      call_site: the user's line that called the function.
      argument: what made the trace necessary: an argument, or something that the function reads; "" for the first.
      old: what it was in the trace that is most alike.
      new: what it is now.
      milliseconds: how long tracing took.
      advice: what to change, "" where there is nothing to change.
    """

    number: int
    call_site: Location | None
    argument: str
    old: str
    new: str
    milliseconds: float
    advice: str

    def __str__(self) -> str:
        head = f"trace {self.number} ({self.milliseconds:.1f} ms), called at {describe(self.call_site)}"
        if not self.argument:
            return f"{head}: the first"
        lines = [f"{head}: {self.argument} was {self.old} and is {self.new}"]
        if self.advice:
            lines.append(f"    {self.advice}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Cause:
    """Why no trace fitted a call, and what to do about it."""

    argument: str
    old: str
    new: str
    advice: str
    kind: str = ""


FIRST = Cause("", "", "", "")
DROPPED = Cause("the traces", "dropped", "needed again", "")


class Retraces(tuple[Retrace, ...]):
    """The traces of a function, in order; printed one below the other."""

    __slots__ = ()

    def __str__(self) -> str:
        return "\n".join(str(one) for one in self) or "not traced yet"


def cause_of_change(change: Change) -> Cause:
    """The cause where something that the trace read has changed."""
    advice = (
        "what a compiled function reads from outside is part of its trace; "
        "hand it over as an argument, or keep it in a gj.Variable"
    )
    return Cause(change.what, change.old, change.new, advice, "outside")


def cause_of_arguments(call: Call, old_structure: object, old_slots: Sequence[Slot]) -> Cause:
    """The cause where a call's arguments differ from those of a trace."""
    if call.structure != old_structure:
        return Cause(
            "the structure of the arguments", str(old_structure), str(call.structure),
            "lists of another length and dicts with other keys are traced anew; stack them into one tensor",
            "structure",
        )  # fmt: skip
    for position, (old, new) in enumerate(zip(old_slots, call.slots, strict=True)):
        if old != new:
            return Cause(f"argument {call.names[position]!r}", str(old), str(new), _advice(old, new), _kind(old, new))
    return Cause("the arguments", "other ones", "these", "", "arguments")


def distance(old_structure: object, old_slots: Sequence[Slot], call: Call) -> int:
    """How many arguments of a trace differ from the call's; structures that differ are farthest."""
    if old_structure != call.structure:
        return 10**6
    return sum(old != new for old, new in zip(old_slots, call.slots, strict=True))


def _kind(old: Slot, new: Slot) -> str:
    if isinstance(old, TensorSlot) and isinstance(new, TensorSlot):
        return "shape" if old.type.dtype is new.type.dtype else "dtype"
    return type(new).__name__


def _advice(old: Slot, new: Slot) -> str:
    match old, new:
        case TensorSlot(before), TensorSlot(after) if before.dtype is not after.dtype:
            return f"cast it to one dtype before the call: gj.cast(x, gj.{before.dtype.name})"
        case TensorSlot(), TensorSlot():
            return "pass reduce_retracing=True or an input_signature with None in the shape, or pad to one shape"
        case ValueSlot(), ValueSlot(value=value) if type(value) in (int, float):
            return "hand the number over as a tensor (gj.constant), so that its value does not matter"
        case ValueSlot() | NumberSlot(), TensorSlot():
            return "hand over tensors always, or numbers always"
        case ObjectSlot(), ObjectSlot():
            return "each object has traces of its own; hand over the same one, or only the tensors that are needed"
        case VariableSlot(), VariableSlot():
            return "which arguments are the same variable is part of the signature"
    return ""


class Warner:
    """Warns once for each cause that comes back again and again."""

    LIMIT = 5

    def __init__(self, function_name: str) -> None:
        self._function_name = function_name
        self._counts: dict[tuple[str, str], int] = {}

    def note(self, cause: Cause, record: Retrace) -> None:
        """Take in a trace; the fifth one for a cause that can be avoided is warned of."""
        if not cause.advice:
            return
        key = (cause.argument, cause.kind)
        self._counts[key] = self._counts.get(key, 0) + 1
        if self._counts[key] == self.LIMIT:
            warnings.warn(self._message(cause, record), RetraceWarning, stacklevel=2)

    def _message(self, cause: Cause, record: Retrace) -> str:
        return (
            f"{self._function_name!r} was traced {self.LIMIT} times because of {cause.argument}, last because it was "
            f"{cause.old} and is {cause.new}, called at {describe(record.call_site)}. To avoid it: {cause.advice}"
        )


class _Recompiled:
    """Notices a function that is compiled again and again: each time its traces are lost."""

    LIMIT = 20
    MOST_ENVIRONMENTS = 1000
    """For so many sets of enclosing variables one function's compilations are counted."""

    def __init__(self) -> None:
        self._counts: WeakKeyDictionary[CodeType, dict[tuple[int, ...], int]] = WeakKeyDictionary()

    def note(self, function: object, record: Retrace) -> None:
        """Take in the first trace of a compiled function."""
        if not isinstance(function, FunctionType):
            return
        cells = tuple(id(cell_value(cell)) for cell in function.__closure__ or ())
        counts = self._counts.setdefault(function.__code__, {})
        if len(counts) >= self.MOST_ENVIRONMENTS:
            counts.clear()
        counts[cells] = counts.get(cells, 0) + 1
        if counts[cells] == self.LIMIT:
            warnings.warn(
                f"{function.__name__!r} was compiled again and traced anew {self.LIMIT} times, the last time called at "
                f"{describe(record.call_site)}. Compile it once, outside of the loop, and call the result",
                RetraceWarning,
                stacklevel=2,
            )


recompiled = _Recompiled()

__all__ = ["RetraceWarning"]
