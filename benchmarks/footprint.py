"""First calls, compile time and memory: each figure from a fresh process, with what is asked of graphjit beside it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import IO

from benchmarks.case import LIMIT, OURS, PEERS
from benchmarks.processes import environment

Say = Callable[[str], None]

_CACHE_VARIABLES = {
    "GRAPHJIT_CACHE_DIR": "{}/graphjit",
    "JAX_COMPILATION_CACHE_DIR": "{}/jax",
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    "NUMBA_CACHE_DIR": "{}/numba",
    "PYTENSOR_FLAGS": "base_compiledir={}/pytensor",
    "TORCHINDUCTOR_CACHE_DIR": "{}/torch",
}
"""Each framework's own way to keep machine code for the next process; `{}` is a folder that is empty at first."""

_LONGEST = 200.0


@dataclass(frozen=True)
class Figure:
    """One number; `most` is what is asked of graphjit."""

    what: str
    mode: str
    value: float
    unit: str
    most: float | None = None
    beside: str = ""


class Probes:
    """Runs probes in fresh processes."""

    def __init__(self, pythons: dict[str, str], processors: list[int], errors: IO[str]) -> None:
        self.pythons = pythons
        self.threads = len(processors)
        self.errors = errors

    def run(self, framework: str, folder: str, *words: str) -> dict[str, float] | None:
        """The numbers of a probe; None where it failed, for which `errors` has the reason."""
        command = [self.pythons.get(framework, sys.executable), "-m", "benchmarks.probes", *words]
        caches = {name: value.format(folder) for name, value in _CACHE_VARIABLES.items()}
        try:
            done = subprocess.run(
                command,
                env=environment(self.threads) | caches,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
                timeout=_LONGEST,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            self.errors.write(f"{' '.join(words)}: {error}\n")
            return None
        numbers: dict[str, float] = json.loads(done.stdout)
        return numbers


def measure(
    modes: list[str], probes: Probes, say: Say, workloads: tuple[str, ...] = ("E1", "M1")
) -> list[dict[str, object]]:
    """Every figure, for those of the modes that it can be had for."""
    figures = []
    for figure in _figures(modes, probes, workloads):
        say(line_of(figure))
        figures.append(asdict(figure))
    return figures


def line_of(figure: Figure) -> str:
    """A figure in words."""
    asked = "" if figure.most is None else f" (asked: at most {figure.most:g})"
    beside = f"; {figure.beside}" if figure.beside else ""
    return f"{figure.what}, {figure.mode}: {figure.value:.4g} {figure.unit}{asked}{beside}"


def _figures(modes: list[str], probes: Probes, workloads: tuple[str, ...]) -> Iterator[Figure]:
    pairs = [(name, mode) for name, group in PEERS.items() for mode in group if mode in modes and mode != LIMIT]
    for workload in workloads:
        for framework, mode in pairs:
            yield from _first_calls(probes, framework, mode, workload)
    if OURS[0] in modes:
        yield from _imports(probes)
        yield from _compile_times(probes)
        yield from _memory(probes)


def _first_calls(probes: Probes, framework: str, mode: str, workload: str) -> Iterator[Figure]:
    asks = {"E1": (0.25, 0.05), "M1": (0.6, 0.05)}[workload] if mode == OURS[0] else (None, None)
    with tempfile.TemporaryDirectory(prefix="graphjit-benchmarks-") as folder:
        for when, most in zip(("empty cache", "second process"), asks, strict=True):
            numbers = probes.run(framework, folder, "first_call", framework, mode, workload)
            if not numbers:
                return
            beside = f"import {numbers['import']:.2f} s, not counted"
            yield Figure(f"first call of {workload}, {when}", mode, numbers["first"], "s", most, beside)


def _imports(probes: Probes) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        taken = [probes.run(OURS[0], folder, "import_seconds", "graphjit") for _ in range(7)]
    seconds = [numbers["import"] for numbers in taken if numbers]
    if seconds:
        yield Figure("`import graphjit` above NumPy, best of 7", OURS[0], min(seconds), "s", 0.15)


def _compile_times(probes: Probes) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        numbers = probes.run(OURS[0], folder, "chain_ready", "1000")
        if numbers:
            yield Figure("chain of 1,000 elementwise ops ready, empty cache", OURS[0], numbers["ready"], "s", 1.0)
        numbers = probes.run(OURS[0], folder, "trace_and_optimise", "10000")
        if numbers:
            beside = f"trace {numbers['trace']:.2f} s"
            total = numbers["trace"] + numbers["optimise"]
            yield Figure("10,000 ops traced and optimised", OURS[0], total, "s", 5.0, beside)


def _memory(probes: Probes) -> Iterator[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        numbers = probes.run(OURS[0], folder, "peak_of_chain", "l")
        if numbers:
            what = "peak of E1-l over inputs and outputs"
            yield Figure(what, OURS[0], numbers["ratio"], "times", 1.1, f"{numbers['peak'] / 2**20:.0f} MiB")
        for probe, kind in (("growth_of_calls", "calls"), ("growth_of_errors", "calls that raise")):
            numbers = probes.run(OURS[0], folder, probe, "1000000")
            if numbers:
                yield Figure(f"growth over 1,000,000 {kind}", OURS[0], numbers["bytes"] / 2**10, "KiB", 64)
        numbers = probes.run(OURS[0], folder, "many_graphs", "10000")
        if numbers:
            yield Figure("10,000 graphs with the same kernels", OURS[0], numbers["bytes"] / 2**20, "MiB", 50)
