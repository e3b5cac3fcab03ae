"""`fit`, `evaluate` and `predict` beside Keras 3 on each of its backends: one network of dense layers, one run.

    python -m benchmarks.keras_fit --python keras-tensorflow=.venv-tensorflow/bin/python --out build/keras_fit

One live process for each, asked in turn in interleaved rounds; frameworks that are not there are skipped and named.
A time is that of a whole call (an epoch of so many steps), divided by its steps; ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from benchmarks.keras_worker import TASKS
from benchmarks.machine import describe_machine
from benchmarks.processes import PeerError, PeerProcess

FRAMEWORKS = ("graphjit", "keras-jax", "keras-tensorflow", "keras-torch")


def _started(
    frameworks: list[str], pythons: dict[str, str], processors: list[int], errors: IO[str]
) -> Iterator[PeerProcess]:
    """The processes of those that are there."""
    for name in frameworks:
        python = pythons.get(name, sys.executable)
        process = PeerProcess(name, python, processors, errors, len(processors), "benchmarks.keras_worker")
        try:
            process.about()
        except PeerError as reason:
            print(f"{name} is not there: {reason}", file=sys.stderr)
        else:
            yield process


def measure(processes: list[PeerProcess], tasks: list[str], rounds: int) -> dict[str, dict[str, list[float]]]:
    """Seconds of a step by task and framework, one for each round."""
    found: dict[str, dict[str, list[float]]] = {}
    for name in tasks:
        times = found[name] = {process.name: [] for process in processes}
        for _ in range(rounds + 1):
            for process in processes:
                process.wait_until_quiet()
                times[process.name].append(process.ask(task=name)["seconds"] / TASKS[name].steps)
        for seconds in times.values():
            del seconds[0]  # the first round warms up
    return found


def table(found: dict[str, dict[str, list[float]]]) -> str:
    """Microseconds of a step, and graphjit's time divided by the best other one's: below 1 graphjit is faster."""
    names = list(next(iter(found.values())))
    lines = [f"| task | {' | '.join(names)} | ratio to the best |", f"| --- |{' --- |' * (len(names) + 1)}"]
    for task, times in found.items():
        shown = [f"{statistics.median(times[name]) * 1e6:,.0f} us" for name in names]
        lines.append(f"| {TASKS[task].label} | {' | '.join(shown)} | {_ratio(times)} |")
    return "\n".join(lines)


def _ratio(times: dict[str, list[float]]) -> str:
    others = [seconds for name, seconds in times.items() if name != "graphjit"]
    if not others or "graphjit" not in times:
        return "-"
    best = min(others, key=statistics.median)
    return f"{statistics.median(one / other for one, other in zip(times['graphjit'], best, strict=True)):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frameworks", default=",".join(FRAMEWORKS))
    parser.add_argument("--python", action="append", default=[], metavar="FRAMEWORK=PATH")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path("build/keras_fit"))
    options = parser.parse_args()
    pythons = dict(one.split("=", 1) for one in options.python)
    processors = sorted(os.sched_getaffinity(0))[:2]
    machine = describe_machine(processors)
    options.out.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        errors = stack.enter_context((options.out / "errors.log").open("w"))
        processes = list(_started(options.frameworks.split(","), pythons, processors, errors))
        for process in processes:
            stack.callback(process.close)
        found = measure(processes, options.tasks.split(","), options.rounds)
    print(table(found))
    (options.out / "keras_fit.json").write_text(json.dumps({"machine": machine, "seconds": found}, indent=1))
    (options.out / "keras_fit.md").write_text(table(found) + "\n")


if __name__ == "__main__":
    main()
