"""The live processes, one for each framework, all on the same processors with the same number of threads."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).parents[1]

_THREAD_VARIABLES = (
    "GRAPHJIT_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)
_SLOWING_VARIABLES = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONDONTWRITEBYTECODE")
"""Where these are set, products of NumPy and SciPy may take twice as long, and sources compile at every import."""
_LONGEST_QUIETING = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


class PeerError(RuntimeError):
    """A framework's process ended, or is not there."""


def environment(threads: int) -> dict[str, str]:
    """The environment of every process that is timed."""
    kept = {name: value for name, value in os.environ.items() if name not in _SLOWING_VARIABLES}
    paths = [str(ROOT), *filter(None, [kept.get("PYTHONPATH")])]
    # OpenMP's threads sleep between turns; unbound, both may wake on one processor and wait 8 ms for each other
    fixed = {"OMP_PROC_BIND": "true", "PYTHONPATH": os.pathsep.join(paths)}
    return kept | dict.fromkeys(_THREAD_VARIABLES, str(threads)) | fixed


class PeerProcess:
    """A framework that waits for requests."""

    def __init__(
        self,
        name: str,
        python: str,
        processors: list[int],
        errors: IO[str],
        threads: int,
        module: str = "benchmarks.worker",
    ) -> None:
        self.name = name
        command = [python, "-m", module, name, ",".join(map(str, processors))]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=environment(threads),
        )

    def about(self) -> dict[str, Any]:
        """The first line: versions, or that the framework is missing.

        Raises:
          PeerError: if it is not installed.
        """
        answer = self._read()
        if "missing" in answer:
            self.close()
            raise PeerError(answer["missing"])
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        """The answer to a request, or `failed` where the process has ended."""
        self.send(**request)
        return self.receive()

    def send(self, **request: Any) -> None:
        """Hand over a request; its answer is received later."""
        assert self._process.stdin is not None
        # that the process has ended, `receive` will tell
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()

    def receive(self) -> dict[str, Any]:
        """The answer to the oldest request that has none, or `failed` where the process has ended."""
        try:
            return self._read()
        except PeerError as reason:
            return {"failed": str(reason)}

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise PeerError(f"the process of {self.name} ended with code {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def wait_until_quiet(self) -> None:
        """Wait until its threads sleep: many frameworks let them spin for a while after a call."""
        end = time.perf_counter() + _LONGEST_QUIETING
        while self._is_running() and time.perf_counter() < end:
            time.sleep(0.001)

    def _is_running(self) -> bool:
        for task in Path(f"/proc/{self._process.pid}/task").glob("*/stat"):
            try:
                state = task.read_text().rpartition(")")[2].split()[0]
            except OSError:  # the thread has ended since
                continue
            if state == "R":
                return True
        return False

    def cpu_seconds(self) -> float:
        """Processor time that it has used, all its threads together."""
        try:
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


class Bystanders:
    """How much of the processors everybody else takes: other programs make a measurement worthless."""

    def __init__(self, processes: list[PeerProcess], processors: list[int]) -> None:
        self._processes = processes
        self._processors = processors
        self._before = self._seconds()
        self._begin = time.perf_counter()

    def share(self) -> float:
        """Processors that others took on average since this was made: 1.0 is one whole processor."""
        return max(0.0, self._seconds() - self._before) / (time.perf_counter() - self._begin)

    def _seconds(self) -> float:
        own = sum(process.cpu_seconds() for process in self._processes) + time.process_time()
        return _busy_seconds(self._processors) - own


def _busy_seconds(processors: list[int]) -> float:
    """Processor time that was used on these processors since the machine started."""
    wanted = {f"cpu{number}" for number in processors}
    busy = 0
    for line in Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name in wanted:
            user, nice, system, _idle, _waiting, hard, soft, *_ = map(int, fields)
            busy += user + nice + system + hard + soft
    return busy / _TICKS


def start(names: list[str], pythons: dict[str, str], processors: list[int], errors: IO[str]) -> list[PeerProcess]:
    """A process for each framework, started one after the other."""
    threads = len(processors)
    return [PeerProcess(name, pythons.get(name, sys.executable), processors, errors, threads) for name in names]
