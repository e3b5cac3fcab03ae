"""Why Python asked a traced value for its truth, though control flow is converted; what to do."""

from __future__ import annotations

import sys
from types import FrameType

from graphjit.compiler.location import user_frame
from graphjit.compiler.writer import truth_advice


def advice() -> str:
    """A sentence for the error; "" where nothing is known."""
    frame = user_frame()
    conversion = sys.modules.get("graphjit.tracer.autograph.conversion")
    if frame is None:
        return ""
    if conversion is None:
        return _NOT_ASKED_FOR
    reason = _reason(frame, conversion.conversions)
    if reason:
        return (
            f"The control flow of {frame.f_code.co_name!r} was not converted, because {reason}. Put the function into "
            "a file, or use gj.cond, gj.while_loop and gj.where"
        )
    return "" if conversion.is_converted_code(frame.f_code) else _NOT_ASKED_FOR


_NOT_ASKED_FOR = (
    "The control flow around is Python's own: the function is a library's, a generator's or marked with gj.no_convert, "
    "or was compiled with autograph=False"
)


def _reason(frame: FrameType, conversions: dict[object, object]) -> str:
    found = conversions.get(frame.f_code)
    return getattr(found, "reason", "")


truth_advice[:] = [advice]

__all__: list[str] = []
