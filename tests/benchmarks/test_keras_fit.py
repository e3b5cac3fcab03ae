"""The comparison with Keras, on tiny sizes; no time is asserted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from benchmarks import keras_fit, keras_worker
from benchmarks.keras_worker import TASKS, Task


@pytest.mark.parametrize("method", sorted({task.method for task in TASKS.values()}))
def test_every_task_runs_with_our_layers(method: str) -> None:
    """A call of each kind answers."""
    import graphjit

    found = keras_worker.make_call(graphjit.keras, Task(method, (6, 5, 3), 4, 2))()
    assert found is not None


def test_the_whole_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A process is asked, a framework that is not there is named, the table is written."""
    monkeypatch.setattr(sys, "argv", ["", "--frameworks", "graphjit,keras-none", "--tasks", "predict", "--rounds", "1"])
    monkeypatch.setattr(sys, "argv", [*sys.argv, "--out", str(tmp_path)])
    keras_fit.main()
    shown = capsys.readouterr()
    assert "keras-none is not there" in shown.err
    assert (tmp_path / "keras_fit.md").read_text() == shown.out and "| predict 784-128-10, batch 32 |" in shown.out


def test_ratios_are_taken_round_by_round() -> None:
    """graphjit's time over that of the fastest other one."""
    times = {"graphjit": [1.0, 2.0, 3.0], "slow": [9.0, 9.0, 9.0], "fast": [2.0, 8.0, 6.0]}
    assert keras_fit.table({"predict": times}).endswith("| 0.50 |")
