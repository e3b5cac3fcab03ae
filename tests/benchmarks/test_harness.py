"""The harness itself, on tiny sizes; no time is asserted."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from benchmarks import driver, table
from benchmarks.__main__ import main, modes_of
from benchmarks.case import LIMIT, PEERS, Case, load_peer
from benchmarks.footprint import Probes
from benchmarks.timing import first_call, sample_size, take_turn
from benchmarks.worker import Worker
from benchmarks.workload import Tolerance, Workload, error_of
from benchmarks.workloads import WORKLOADS, chosen

MODES = [(framework, mode) for framework, modes in PEERS.items() for mode in modes]


def _peer(framework: str) -> Any:
    try:
        peer = load_peer(framework)
        peer.versions()
    except ImportError as error:
        pytest.skip(str(error))
    return peer


def _tiny(workload: Workload) -> Workload:
    """The same with the smallest sizes at which it still says something."""
    first = next(iter(workload.sizes.values()))
    small = tuple(min(length, 20) for length in first)
    return dataclasses.replace(workload, sizes={"s": small})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", WORKLOADS)
@pytest.mark.parametrize(("framework", "mode"), [pair for pair in MODES if pair[0] in ("graphjit", "numpy", "c")])
def test_results_agree_with_the_reference(framework: str, mode: str, name: str, dtype: str) -> None:
    """graphjit, compiled and eager, NumPy and C answer each workload rightly."""
    workload = _tiny(WORKLOADS[name])
    inputs = workload.arrays("s", dtype)
    case = _peer(framework).make(name, mode, inputs)
    if case is None:
        assert framework == LIMIT and name.startswith("L1"), (
            "only C has no way to do these: it has no calls from Python"
        )
        return
    for _ in range(workload.steps):
        result, _seconds = first_call(case)
    assert error_of(case.arrays(result), workload.expected(inputs), workload.tolerances[dtype]) <= 1
    assert all(part.dtype == dtype for part in case.arrays(result))


def test_a_wrong_result_is_refused() -> None:
    """Wrong numbers, NaN where there is a number, and wrong shapes are each above one tolerance."""
    tolerance = Tolerance(1e-6, 0.0)
    right = [np.array([1.0, 2.0]), np.array(3.0)]
    assert error_of(right, right, tolerance) == 0
    assert error_of([right[0] * 1.01, right[1]], right, tolerance) > 1
    assert not error_of([np.array([1.0, np.nan]), right[1]], right, tolerance) <= 1
    assert not error_of([np.array([np.nan, 2.0]), right[1]], right, tolerance) <= 1
    assert error_of([right[0][:1], right[1]], right, tolerance) == float("inf")
    assert error_of(right[:1], right, tolerance) == float("inf")


def test_a_wrong_case_is_not_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker answers with the error and keeps no case, so no turn can be taken."""
    monkeypatch.setitem(WORKLOADS, "E1", _tiny(WORKLOADS["E1"]))
    driver._write_arrays(WORKLOADS["E1"], "float32", "s", tmp_path)
    worker = Worker("numpy")
    request = {"workload": "E1", "size": "s", "dtype": "float32", "mode": "numpy", "folder": str(tmp_path)}
    assert worker.answer({"do": "prepare", "case": "right", **request})["error"] <= 1
    assert worker.answer({"do": "turn", "case": "right", "seconds": 0.0})["times"]

    def wrong(workload: str, mode: str, inputs: Any) -> Case:
        return Case(lambda: inputs["x"] + 1)

    monkeypatch.setattr(worker.peer, "make", wrong)
    assert worker.answer({"do": "prepare", "case": "wrong", **request})["error"] > 1
    assert "failed" in worker.answer({"do": "turn", "case": "wrong", "seconds": 0.0})


def test_a_turn_starts_from_the_first_state() -> None:
    """A case with state is put back before each turn; a sample is as long as the clock needs."""
    calls: list[str] = []
    case = Case(lambda: calls.append("call"), reset=lambda: calls.append("reset"))
    size = sample_size(case)
    assert size > 1
    calls.clear()
    times = take_turn(case, size, 0.0)
    assert calls[0] == "reset" and calls.count("reset") == 1
    assert len(times) == 1
    assert calls.count("call") == 1 + size


def test_a_run_through_processes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From the command line to JSON and table: a real run with two frameworks, and an interpreter that is not there."""
    options = ["--only", "R2", "--sizes", "s", "--dtypes", "float32", "--rounds", "2", "--turn", "0.001"]
    main([*options, "--peers", "graphjit,graphjit-eager,numpy", "--out", str(tmp_path / "run")])
    document = json.loads((tmp_path / "run" / "benchmarks.json").read_text())
    row = table.rows_of(document)["R2", "float32", "s"]
    assert set(row) == {"graphjit", "graphjit-eager", "numpy"}
    assert all(len(cell["rounds"]) == 2 for cell in row.values())
    assert table.best_peer(row) == "numpy"
    assert "| R2-s | float32 |" in capsys.readouterr().out
    main(["--merge", *[str(tmp_path / "run" / "benchmarks.json")] * 2, "--out", str(tmp_path / "merged")])
    assert json.loads((tmp_path / "merged" / "benchmarks.json").read_text())["cells"] == document["cells"]


def test_an_absent_peer_is_skipped_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A framework that cannot be imported does not stop the others."""
    monkeypatch.setitem(PEERS, "nowhere", ("nowhere",))
    plan = driver.Plan(chosen(["E1"]), ["nowhere", "numpy"], [0], sizes=["s"], dtypes=["float32"], rounds=1)
    said: list[str] = []
    with open("/dev/null", "w") as errors:
        document = driver.run(plan, errors, said.append, lambda kept: None)
    assert "for_nowhere" in document["peers"]["nowhere"]["absent"]
    assert any("nowhere is skipped" in line for line in said)
    assert [cell["mode"] for cell in document["cells"] if "median" in cell] == ["numpy"]


def _document(ours: list[float], theirs: dict[str, list[float]]) -> dict[str, Any]:
    cells = []
    for mode, rounds in {"graphjit": ours, **theirs}.items():
        cell = {"workload": "E1", "dtype": "float32", "size": "m", "mode": mode, "error": 0.1}
        cells.append(cell | {"rounds": rounds, "median": sorted(rounds)[len(rounds) // 2], "minimum": min(rounds)})
    machine = {"processor": "p", "processors": [0, 1], "system": "s", "date": "d", "load_before": [0], "commit": "c"}
    return {"machine": machine, "peers": {}, "cells": cells}


def test_ratios_are_taken_round_by_round() -> None:
    """A machine that is twice as slow in one round changes no ratio; the limit and eager mode are no peers."""
    document = _document([2e-6, 4e-6, 2e-6], {"jax": [4e-6, 8e-6, 4e-6], "c": [1e-6] * 3, "graphjit-eager": [1e-6] * 3})
    row = table.rows_of(document)["E1", "float32", "m"]
    assert table.best_peer(row) == "jax"
    assert table.ratio(row, "jax") == 0.5
    assert table.ratio(row, "c") == 2.0
    assert table.ratio(row, "numba") is None


def test_merging_takes_whole_rows() -> None:
    """A later run's row replaces an earlier one's with all its cells."""
    early, late = _document([1e-6], {"jax": [1e-6], "numpy": [1e-6]}), _document([3e-6], {"jax": [4e-6]})
    row = table.rows_of(table.merged([early, late]))["E1", "float32", "m"]
    assert set(row) == {"graphjit", "jax"}
    assert row["graphjit"]["median"] == 3e-6


def test_tables_and_what_is_above_the_asks() -> None:
    """The short table has the ratios; a row is named where a peer, or C by more than a quarter, is faster."""
    document = _document([2e-6] * 3, {"jax": [4e-6] * 3, "c": [1e-6] * 3})
    row = "| E1 chain of 7 adds and multiplies | 524,288 | 2 us | jax 4 us | 0.50 | 2.00 | - |"
    assert row in table.short(document)
    wide = {**document, "cells": [{**cell, "dtype": "float64"} for cell in document["cells"]]}
    both = {**document, "cells": [*document["cells"], *wide["cells"]]}
    assert "| 2 us | jax 4 us | 0.50 | 2.00 | 0.50 |" in table.short(both)
    assert table.short(both).count("E1 chain") == 1
    assert "| E1 chain of 7 adds and multiplies, float64 | 524,288 | 2 us |" in table.short(wide)
    assert table.above(document) == ["E1-m float32: 2.00 times C"]
    slower = _document([2e-6] * 3, {"jax": [1e-6] * 3, "c": [2e-6] * 3})
    assert table.above(slower) == ["E1-m float32: 2.00 times jax"]


def test_the_table_in_the_readme() -> None:
    """What stands between the marks is replaced, the rest stays; without marks nothing is written."""
    document = _document([2e-6], {"jax": [4e-6]})
    text = f"above\n{table.BEGIN}old\n{table.END}below\n"
    made = table.with_table(text, document)
    assert made.startswith(f"above\n{table.BEGIN}") and made.endswith(f"{table.END}below\n")
    assert "old" not in made and "| jax 4 us | 0.50 |" in made
    assert table.with_table(made, document) == made
    with pytest.raises(ValueError, match="no place"):
        table.with_table("above", document)
    assert table.BEGIN in (Path(__file__).parents[2] / "README.md").read_text()


def test_the_picture(tmp_path: Path) -> None:
    """A run becomes a picture; an empty one does not."""
    pytest.importorskip("matplotlib")
    from benchmarks.plot import draw

    assert draw(_document([2e-6], {"jax": [4e-6], "c": [1e-6]}), tmp_path / "run.svg")
    assert "<svg" in (tmp_path / "run.svg").read_text()
    assert not draw(_document([2e-6], {}), tmp_path / "none.svg", dtype="float64")


@pytest.mark.parametrize(
    ("name", "words", "numbers"),
    [
        ("chain_ready", ["20"], {"ready"}),
        ("trace_and_optimise", ["50"], {"trace", "optimise"}),
        ("growth_of_calls", ["1000"], {"bytes"}),
        ("growth_of_errors", ["100"], {"bytes"}),
        ("import_seconds", ["graphjit"], {"import"}),
        ("first_call", ["graphjit", "graphjit", "E1"], {"import", "first"}),
    ],
)
def test_probes(name: str, words: list[str], numbers: set[str], tmp_path: Path) -> None:
    """Each probe runs in a fresh process with caches of its own."""
    with (tmp_path / "errors.log").open("w+") as errors:
        found = Probes({}, [0], errors).run("graphjit", str(tmp_path), name, *words)
        errors.seek(0)
        assert found is not None, errors.read()
    assert set(found) == numbers


def test_a_probe_that_fails_is_told(tmp_path: Path) -> None:
    """No number instead of a wrong one, and the reason in the log."""
    with (tmp_path / "errors.log").open("w+") as errors:
        assert Probes({}, [0], errors).run("graphjit", str(tmp_path), "import_seconds", "no_such_module") is None
        errors.seek(0)
        assert "no_such_module" in errors.read()


def test_names_on_the_command_line() -> None:
    """A workload's name stands for itself, else for all that begin with it; a mode's for itself."""
    assert [workload.name for workload in chosen(["R3b", "R2"])] == ["R2", "R3b"]
    assert [workload.name for workload in chosen(["R3"])] == ["R3a", "R3b"]
    assert modes_of(["numpy", "graphjit", "numba"]) == ["graphjit", "numpy", "numba-serial", "numba-parallel"]
    with pytest.raises(KeyError, match="no workload"):
        chosen(["X9"])
    with pytest.raises(KeyError, match="no peer"):
        modes_of(["fortran"])


def test_slowing_variables_are_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    """No process sees variables that halve the speed of matrix products; each gets the same number of threads."""
    from benchmarks.processes import environment

    monkeypatch.setenv("OPENBLAS_CORETYPE", "Haswell")
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    made = environment(2)
    assert "OPENBLAS_CORETYPE" not in made
    assert made["OMP_NUM_THREADS"] == made["GRAPHJIT_NUM_THREADS"] == "2"


def test_the_limit_leaves_denormal_numbers_alone() -> None:
    """Loading C made with -ffast-math does not change how the rest of the process computes."""
    _peer("c").library(np.dtype("float32"))
    smallest = np.full(8, 5e-324)
    assert (smallest * 1.0).tobytes() == smallest.tobytes()  # by their bits: such a process takes them for equal to 0
