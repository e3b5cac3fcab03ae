"""Noticing Python loops that write their body into the graph hundreds of times."""

from __future__ import annotations

import warnings

from graphjit.compiler.dispatch import current_interpreter
from graphjit.compiler.location import user_frame
from graphjit.compiler.writer import GraphWriter

LIMIT = 500
"""How many equal bodies a loop may write before a warning says so."""


class UnrolledLoopWarning(UserWarning):
    """A Python loop in a compiled function writes its body into the graph hundreds of times."""


class Unrolling:
    """Counts the rounds of one loop that wrote the same ops."""

    def __init__(self) -> None:
        self._writer = current_interpreter()
        self._end = self._count()
        self._last: tuple[str, ...] = ()
        self._equal = 0

    def _count(self) -> int:
        return len(self._writer.equations) if isinstance(self._writer, GraphWriter) else 0

    def round_done(self) -> None:
        """Take in that a round has ended; warn once."""
        if not isinstance(self._writer, GraphWriter):
            return
        begin, self._end = self._end, self._count()
        names = (equation.op.name for equation in self._writer.equations[begin : self._end])
        written = tuple(name for name in names if name != "constant")
        self._equal = self._equal + 1 if written and written == self._last else 0
        self._last = written
        if self._equal == LIMIT:
            self._warn(len(written))

    def _warn(self, size: int) -> None:
        frame = user_frame()
        if frame is None:
            return
        warnings.warn_explicit(
            f"this loop wrote its body of {size} ops into the graph {LIMIT} times; each round is traced and compiled "
            "by itself. Loop over a tensor instead, as in `for i in gj.range(n)`, so that the graph holds one loop",
            UnrolledLoopWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
        )


__all__ = ["UnrolledLoopWarning"]
