"""The process of one framework: reads requests, a line of JSON each and answers each with a line.

- `about`: `versions`, `import_seconds`
- `prepare` with `case`, `workload`, `size`, `dtype`, `mode`, `folder`: `error` (in tolerances) and `first_seconds`;
  or `absent`, why it is not there
- `turn` with `case`, `seconds`: `times`, seconds per call
- `drop`: all cases are forgotten

Any request may be answered by `failed` and `trace`.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from benchmarks import timing
from benchmarks.case import Case, aligned, load_peer
from benchmarks.workload import error_of
from benchmarks.workloads import WORKLOADS

_WARM_SECONDS = 0.15


class Worker:
    """Cases of one framework, and what is asked of them."""

    def __init__(self, peer: str) -> None:
        begin = time.perf_counter()
        self.peer = load_peer(peer)
        self.import_seconds = time.perf_counter() - begin
        self.cases: dict[str, tuple[Case, int]] = {}

    def about(self) -> dict[str, Any]:
        """Versions, and how long the import took."""
        versions = {"python": sys.version.split()[0], "numpy": np.__version__} | self.peer.versions()
        return {"versions": versions, "import_seconds": self.import_seconds}

    def prepare(self, case: str, workload: str, size: str, dtype: str, mode: str, folder: str) -> dict[str, Any]:
        """Make a case, compare its result with the reference, and call it until it is warm."""
        inputs = {path.stem.split("-", 2)[2]: aligned(np.load(path)) for path in sorted(Path(folder).glob("in-*.npy"))}
        made = self.peer.make(workload, mode, inputs)
        if made is None:
            return {"absent": "not written for this framework"}
        result, seconds = timing.first_call(made)
        for _ in range(WORKLOADS[workload].steps - 1):
            result = made.call()
        expected = [np.load(path) for path in sorted(Path(folder).glob("out-*.npy"))]
        error = error_of(made.arrays(result), expected, WORKLOADS[workload].tolerances[dtype])
        if error <= 1:
            timing.warm_up(made, _WARM_SECONDS)
            self.cases[case] = (made, timing.sample_size(made))
        return {"error": error, "first_seconds": seconds}

    def turn(self, case: str, seconds: float) -> dict[str, Any]:
        """One turn."""
        made, size = self.cases[case]
        return {"times": timing.take_turn(made, size, seconds)}

    def drop(self) -> dict[str, Any]:
        """Forget the cases, and their arrays."""
        self.cases.clear()
        return {}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """What a request brings; a failure is an answer too."""
        action = request.pop("do")
        try:
            return getattr(self, action)(**request)  # type: ignore[no-any-return]  # each returns a dict
        except Exception as error:  # noqa: BLE001 -- a framework may raise anything, and the others go on
            return {"failed": "".join(traceback.format_exception_only(error)).strip(), "trace": traceback.format_exc()}


def serve(peer: str, requests: TextIO, answers: TextIO) -> None:
    """Answer until there are no more requests."""
    try:
        worker = Worker(peer)
    except ImportError as error:
        answers.write(json.dumps({"missing": str(error)}) + "\n")
        answers.flush()
        return
    answers.write(json.dumps(worker.about()) + "\n")
    answers.flush()
    for line in requests:
        answers.write(json.dumps(worker.answer(json.loads(line))) + "\n")
        answers.flush()


def main() -> None:
    """`python -m benchmarks.worker PEER CPU,CPU`."""
    os.sched_setaffinity(0, {int(number) for number in sys.argv[2].split(",")})
    # what libraries print goes to standard error: the pipe is for answers
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    serve(sys.argv[1], sys.stdin, answers)


if __name__ == "__main__":
    main()
