"""The gradient tape that was entered last, in this thread or task."""

from __future__ import annotations

import weakref
from contextvars import ContextVar
from typing import Any

_latest: ContextVar[weakref.ref[Any]] = ContextVar("graphjit_latest_tape")


def note_latest(tape: Any) -> None:
    """Let `explain_gradient` without a tape mean this one."""
    _latest.set(weakref.ref(tape))


def latest_tape() -> Any:
    """The tape, or None where there is none any more."""
    reference = _latest.get(None)
    return None if reference is None else reference()
