"""Raising an error of the user's when the graph runs."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import as_operand, require_kind
from ..tensortype import TensorType


def _no_results(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
    require_kind(types[0], "b", "the condition")
    return ()


def _raise(condition: np.ndarray[Any, Any], *, error: BaseException, place: str) -> tuple[()]:
    if not condition.all():
        raise _another(error, place)
    return ()


def _another(error: BaseException, place: str) -> BaseException:
    """The same error without the history of earlier raises, where it can be copied."""
    try:
        fresh = copy.copy(error)
    except Exception:  # noqa: BLE001 -- an error's own way to copy itself may raise anything
        fresh = error
    if type(fresh) is not type(error) or fresh.args != error.args:
        fresh = error
    fresh = fresh.with_traceback(None)
    if place and place not in getattr(fresh, "__notes__", ()):
        fresh.add_note(place)
    return fresh


raise_unless_op = declare(
    Op(
        name="raise_unless",
        kind=Kind.CALL,
        infer=_no_results,
        numpy=_raise,
        gradient=Differentiability.NONE,
        effect=True,
        fails=True,
        several=True,
        examples=(Example((np.array(True),), {"error": ValueError("no"), "place": ""}),),
        doc="Raises an exception of the user's where a condition does not hold.",
    )
)


def raise_unless(condition: Any, error: BaseException, place: str = "") -> None:
    """Raise `error` when the graph runs, unless the boolean condition holds; `place` is noted on it."""
    apply(raise_unless_op, as_operand(condition), error=error, place=place)


__all__: list[str] = []
