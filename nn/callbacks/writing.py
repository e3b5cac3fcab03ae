"""Callbacks that show or write down what was measured: the line of progress, and CSV files."""

from __future__ import annotations

import csv
import os
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from .callback import Callback, Logs

_WIDTH = 20
_PAUSE = 0.1
"""Seconds between two looks at the metrics, which cost time."""


class ProgressLine:
    """The line that `fit` and `evaluate` show: batches, time, loss and metrics, as Keras prints them.

    Args:
      steps: how many batches there are, None where nobody knows.
      verbose: 0 for nothing, 1 for a line that grows, 2 for one line at the end.
    """

    def __init__(self, steps: int | None, verbose: int, stream: TextIO | None = None) -> None:
        self._steps = steps
        self._verbose = verbose
        self._stream = stream or sys.stdout
        self._started = self._shown = time.monotonic()
        self._length = 0

    def is_due(self) -> bool:
        """Whether it is time to show how far it is."""
        return self._verbose == 1 and time.monotonic() - self._shown >= _PAUSE

    def show(self, done: int, logs: Logs) -> None:
        """Show how far it is."""
        self._shown = time.monotonic()
        self._write(self._line(done, logs, False))

    def finish(self, done: int, logs: Logs) -> None:
        """Show the last line, and end it."""
        if self._verbose:
            self._write(self._line(done, logs, True))
            self._stream.write("\n")
            self._stream.flush()

    def _write(self, line: str) -> None:
        start = "\r" if self._verbose == 1 else ""
        self._stream.write(f"{start}{line.ljust(self._length)}")
        self._length = len(line)
        self._stream.flush()

    def _line(self, done: int, logs: Logs, is_last: bool) -> str:
        seconds = time.monotonic() - self._started
        total = "?" if self._steps is None else self._steps
        spent = f"{seconds:.0f}s {_per_step(seconds, done)}/step" if is_last else self._left(seconds, done)
        parts = [f"{done}/{done if is_last else total}"]
        if self._verbose == 1:
            parts.append(self._bar(done if not is_last else self._steps or done))
        numbers = " - ".join(f"{name}: {_number(value)}" for name, value in (logs or {}).items())
        return " ".join(parts) + (" " if self._verbose == 1 else " - ") + spent + (f" - {numbers}" if numbers else "")

    def _bar(self, done: int) -> str:
        filled = _WIDTH if not self._steps else min(_WIDTH, done * _WIDTH // self._steps)
        return "━" * filled + " " * (_WIDTH - filled)

    def _left(self, seconds: float, done: int) -> str:
        if self._steps is None or not done:
            return f"{seconds:.0f}s"
        return f"{seconds / done * (self._steps - done):.0f}s"


def _per_step(seconds: float, steps: int) -> str:
    each = seconds / max(steps, 1)
    return f"{each:.0f}s" if each >= 1 else f"{each * 1e3:.0f}ms" if each >= 1e-3 else f"{each * 1e6:.0f}us"


def _number(value: Any) -> str:
    if not isinstance(value, int | float):
        return str(value)
    return f"{value:.4f}" if abs(value) > 1e-3 or value == 0 else f"{value:.4e}"


class CSVLogger(Callback):
    """Writes one row for each epoch: its number, and what was measured.

    Args:
      filename: the file.
      separator: between columns.
      append: whether rows are added to what is there.
    """

    def __init__(self, filename: str | os.PathLike[str], separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = os.fspath(filename), separator, append
        self._file: TextIO | None = None
        self._writer: Any = None

    def on_train_begin(self, logs: Logs = None) -> None:
        """Open the file."""
        self._has_head = self.append and os.path.exists(self.filename) and os.path.getsize(self.filename) > 0
        self._file = open(self.filename, "a" if self.append else "w", newline="", encoding="utf-8")  # noqa: SIM115 -- open until on_train_end
        self._writer = None

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Write a row."""
        assert self._file is not None
        names: Iterable[str] = sorted(logs or {})
        if self._writer is None:
            self._writer = csv.DictWriter(
                self._file, ["epoch", *names], delimiter=self.separator, restval="NA", extrasaction="ignore"
            )
            if not self._has_head:
                self._writer.writeheader()
        self._writer.writerow({"epoch": epoch, **(logs or {})})
        self._file.flush()

    def on_train_end(self, logs: Logs = None) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


__all__ = ["CSVLogger"]
