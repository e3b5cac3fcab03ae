"""Runs every case in interleaved rounds and gathers what came out.

A run is one JSON document: `machine`, `peers` (versions, or why one is absent) and `cells`, one for each
workload, size, dtype and mode. A cell has the median and the minimum of its times and the median of each round,
or the reason why there are none; cells of one row are measured in the same rounds, so their ratios hold.
"""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from benchmarks.case import LIMIT, OURS, PEERS
from benchmarks.footprint import Probes, measure
from benchmarks.machine import describe_machine, load_average
from benchmarks.processes import Bystanders, PeerError, PeerProcess, start
from benchmarks.workload import Workload


@dataclass(frozen=True)
class Plan:
    """What is to be measured."""

    workloads: list[Workload]
    modes: list[str]
    processors: list[int]
    sizes: list[str] = field(default_factory=lambda: ["s", "m", "l"])
    dtypes: list[str] = field(default_factory=lambda: ["float32", "float64"])
    rounds: int = 10
    turn_seconds: float = 0.02
    pythons: dict[str, str] = field(default_factory=dict)
    longest: float = math.inf
    """Seconds after which no further row is begun."""

    def frameworks(self) -> list[str]:
        """Those that have a wanted mode."""
        return [name for name, modes in PEERS.items() if set(modes) & set(self.modes)]

    def rows(self) -> Iterable[tuple[Workload, str, str]]:
        """Workload, dtype, size: a row of the table each."""
        for workload in self.workloads:
            for dtype in self.dtypes:
                for size in workload.sizes:
                    if size in self.sizes:
                        yield workload, dtype, size


Say = Callable[[str], None]
PreparedCell = tuple[PeerProcess, dict[str, Any]]
Turn = tuple[dict[str, Any], list[float]]

ROUNDS_OF_THE_SLOW = 3
FAR_BEHIND = 3.0
MOST_BYSTANDERS = 0.06
"""What other programs may take of one processor during a round; the system itself takes up to half of it."""


def run(plan: Plan, errors: IO[str], say: Say, keep: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Measure everything in the plan; a framework that fails is named, and the others go on.

    `keep` gets what there is after each row, so that a run that is ended loses only the row at which it was.
    """
    end = time.monotonic() + plan.longest
    processes = start(plan.frameworks(), plan.pythons, plan.processors, errors)
    document: dict[str, Any] = {"machine": describe_machine(plan.processors), "peers": {}, "cells": []}
    try:
        alive = _introduce(processes, document, say)
        for workload, dtype, size in plan.rows():
            if time.monotonic() > end:
                say(f"{workload.name}-{size} {dtype} is left out: the time is over")
                continue
            cells = _measure_row(plan, alive, workload, dtype, size)
            document["cells"] += cells
            keep(document)
            say(_line(workload, dtype, size, cells))
    finally:
        for process in processes:
            process.close()
    document["machine"]["load_after"] = load_average()
    return document


def run_footprint(plan: Plan, errors: IO[str], say: Say) -> dict[str, Any]:
    """First calls, compile time and memory."""
    probes = Probes(plan.pythons, plan.processors, errors)
    machine = describe_machine(plan.processors)
    figures = measure(plan.modes, probes, say)
    machine["load_after"] = load_average()
    return {"machine": machine, "peers": {}, "cells": [], "footprint": figures}


def _introduce(processes: list[PeerProcess], document: dict[str, Any], say: Say) -> list[PeerProcess]:
    alive = []
    for process in processes:
        try:
            document["peers"][process.name] = process.about()
            alive.append(process)
        except PeerError as reason:
            document["peers"][process.name] = {"absent": str(reason)}
            say(f"{process.name} is skipped: {reason}")
    return alive


def _measure_row(
    plan: Plan, processes: list[PeerProcess], workload: Workload, dtype: str, size: str
) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="graphjit-benchmarks-") as folder:
        _write_arrays(workload, dtype, size, Path(folder))
        row = {"workload": workload.name, "size": size, "dtype": dtype}
        cells = _prepared(plan, processes, row, folder)
    right = [(process, cell) for process, cell in cells if "error" in cell and cell["error"] <= 1]
    _take_rounds(plan, processes, right)
    for process in processes:
        process.ask(do="drop")
    return [_summary(cell) for _, cell in cells]


def _write_arrays(workload: Workload, dtype: str, size: str, folder: Path) -> None:
    arrays = workload.arrays(size, dtype)
    for number, (name, array) in enumerate(arrays.items()):
        np.save(folder / f"in-{number:02}-{name}.npy", array)
    for number, array in enumerate(workload.expected(arrays)):
        np.save(folder / f"out-{number:02}.npy", array)


def _prepared(plan: Plan, processes: list[PeerProcess], row: dict[str, Any], folder: str) -> list[PreparedCell]:
    """A cell for each mode, made and compared; the processes do it at the same time, as nothing is measured yet."""
    pairs = [(process, mode) for process in processes for mode in PEERS[process.name] if mode in plan.modes]
    for process, mode in pairs:
        process.send(do="prepare", case=mode, mode=mode, folder=folder, **row)
    cells = [(process, row | {"mode": mode} | process.receive()) for process, mode in pairs]
    for process in processes:
        process.wait_until_quiet()
    return cells


def _take_rounds(plan: Plan, processes: list[PeerProcess], cells: list[PreparedCell]) -> None:
    """So many rounds during which nobody else computed; after twice as many tries those in which somebody did.

    Those that are far behind after the first rounds are left out of the others.
    """
    spoilt = []
    good = 0
    for number in range(2 * plan.rounds):
        bystanders = Bystanders(processes, plan.processors)
        turns = _take_round(plan, cells[:: -1 if number % 2 else 1])
        if bystanders.share() > MOST_BYSTANDERS:
            spoilt.append(turns)
            continue
        _keep(turns, disturbed=False)
        good += 1
        if good == ROUNDS_OF_THE_SLOW:
            cells = _contenders(cells)
        if good == plan.rounds:
            return
    for turns in spoilt[: plan.rounds - good]:
        _keep(turns, disturbed=True)


def _take_round(plan: Plan, cells: list[PreparedCell]) -> list[Turn]:
    """A turn of everybody; every second round goes backwards, so that nobody always follows the same neighbour."""
    turns = []
    for process, cell in cells:
        answer = process.ask(do="turn", case=cell["mode"], seconds=plan.turn_seconds)
        process.wait_until_quiet()
        if "failed" in answer:
            cell["failed"] = answer["failed"]
        else:
            turns.append((cell, answer["times"]))
    return turns


def _contenders(cells: list[PreparedCell]) -> list[PreparedCell]:
    def typical(cell: dict[str, Any]) -> float:
        return statistics.median(time for times in cell["turns"] for time in times)

    running = [(process, cell) for process, cell in cells if "failed" not in cell]
    best = min((typical(cell) for _, cell in running if cell["mode"] != LIMIT), default=0.0)
    return [(p, cell) for p, cell in running if cell["mode"] in (OURS[0], LIMIT) or typical(cell) <= FAR_BEHIND * best]


def _keep(turns: list[Turn], disturbed: bool) -> None:
    for cell, times in turns:
        cell.setdefault("turns", []).append(times)
        cell["disturbed"] = cell.get("disturbed", 0) + disturbed


def _summary(cell: dict[str, Any]) -> dict[str, Any]:
    turns = cell.pop("turns", [])
    cell.pop("trace", None)
    if turns and "failed" not in cell:
        cell["rounds"] = [statistics.median(times) for times in turns]
        cell["median"] = statistics.median(cell["rounds"])
        cell["minimum"] = min(map(min, turns))
    return cell


def _line(workload: Workload, dtype: str, size: str, cells: list[dict[str, Any]]) -> str:
    parts = []
    for cell in cells:
        if "median" in cell:
            parts.append(f"{cell['mode']} {cell['median'] * 1e6:,.1f}")
        elif "failed" in cell:
            parts.append(f"{cell['mode']} FAILED ({cell['failed'].splitlines()[-1][:80]})")
        elif "error" in cell and not cell["error"] <= 1:
            parts.append(f"{cell['mode']} WRONG (error {cell['error']:.3g} tolerances)")
    disturbed = max((cell.get("disturbed", 0) for cell in cells), default=0)
    note = f" ({disturbed} rounds disturbed by other programs)" if disturbed else ""
    return f"{workload.name}-{size} {dtype}, us: " + ", ".join(parts) + note
