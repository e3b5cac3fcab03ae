"""What is measured once in a process of its own: first calls, compile time, memory.

`python -m benchmarks.probes NAME [ARGUMENT ...]` prints one line of JSON: numbers by name.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import load_peer
from benchmarks.workload import error_of
from benchmarks.workloads import WORKLOADS

Numbers = dict[str, float]
_PAGE = resource.getpagesize()


def first_call(peer: str, mode: str, workload: str) -> Numbers:
    """Seconds of the import and of the first answer, making the function included, at the smallest size in float32."""
    chosen = WORKLOADS[workload]
    inputs = chosen.arrays("s", "float32")
    begin = time.perf_counter()
    module = load_peer(peer)
    imported = time.perf_counter()
    case = module.make(workload, mode, inputs)
    if case is None:
        return {}
    result = case.call()
    done = time.perf_counter()
    for _ in range(chosen.steps - 1):
        result = case.call()
    if not error_of(case.arrays(result), chosen.expected(inputs), chosen.tolerances["float32"]) <= 1:
        raise ValueError(f"{mode} computes {workload} wrongly")
    return {"import": imported - begin, "first": done - imported}


def import_seconds(module: str) -> Numbers:
    """Seconds of `import module`; NumPy was imported before."""
    begin = time.perf_counter()
    __import__(module)
    return {"import": time.perf_counter() - begin}


def chain_ready(count: str) -> Numbers:
    """Seconds until a chain of so many elementwise ops has answered."""
    import graphjit as gj

    x = np.linspace(0, 1, 1024, dtype=np.float32)
    chain = gj.compile(_chain_of(int(count)))
    begin = time.perf_counter()
    chain(x)
    return {"ready": time.perf_counter() - begin}


def _chain_of(count: int) -> Callable[[Any], Any]:
    def chain(x: Any) -> Any:
        y = x
        for number in range(count // 2):
            y = y * 0.5 + float(number)
        return y

    return chain


def trace_and_optimise(count: str) -> Numbers:
    """Seconds of tracing, and of all passes, of a chain of so many ops."""
    import graphjit as gj
    from graphjit.compiler.pipeline import optimize

    chain = gj.compile(_chain_of(int(count)))
    begin = time.perf_counter()
    graph = chain.get_concrete_function(gj.TensorSpec([1024], gj.float32)).graph
    traced = time.perf_counter()
    optimize(graph)
    return {"trace": traced - begin, "optimise": time.perf_counter() - traced}


def peak_of_chain(size: str) -> Numbers:
    """E1: what the process grows to at most, over what inputs and outputs take."""
    import graphjit as gj

    peer = load_peer("graphjit")
    chain = gj.compile(peer.chain)  # type: ignore[attr-defined]  # the module of graphjit has it
    chain(np.ones(2**18, np.float32))
    gc.collect()
    before = resident_bytes()
    x = WORKLOADS["E1"].arrays(size, "float32")["x"]
    forget_peak()
    for _ in range(5):
        y = chain(x)
        del y
    needed = 2 * x.nbytes
    return {"peak": peak_bytes() - before, "inputs and outputs": needed, "ratio": (peak_bytes() - before) / needed}


def growth_of_calls(count: str) -> Numbers:
    """Bytes that the process grows by over so many calls."""
    import graphjit as gj

    step = gj.compile(lambda x: x * x * x)
    x = gj.constant(np.float32(1.5))
    return {"bytes": _growth(lambda: step(x), int(count))}


def growth_of_errors(count: str) -> Numbers:
    """Bytes that the process grows by over so many calls that raise."""
    import graphjit as gj

    divide = gj.compile(lambda a, b: a // b)
    a, b = np.arange(8), np.zeros(8, np.int64)

    def fail() -> None:
        try:
            divide(a, b)
        except gj.errors.DivisionByZeroError:
            return
        raise AssertionError("the division by zero went unnoticed")

    return {"bytes": _growth(fail, int(count))}


def _growth(call: Callable[[], Any], count: int) -> float:
    for _ in range(max(1000, count // 100)):
        call()
    gc.collect()
    before = resident_bytes()
    for _ in range(count):
        call()
    gc.collect()
    return resident_bytes() - before


def many_graphs(count: str) -> Numbers:
    """Bytes of so many functions, each with a graph of its own, whose kernels are the same."""
    import graphjit as gj

    x = np.linspace(0, 1, 64, dtype=np.float32)

    def one() -> Any:
        made = gj.compile(lambda x: gj.tanh(x * 2.0 + 1.0))
        made(x)
        return made

    warm = [one() for _ in range(20)]
    gc.collect()
    before = resident_bytes()
    kept = [one() for _ in range(int(count))]
    gc.collect()
    return {"bytes": resident_bytes() - before, "graphs": len(kept) + 0 * len(warm)}


def resident_bytes() -> int:
    """Memory of this process that is there now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def peak_bytes() -> int:
    """The most that was there since `forget_peak`."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Count the peak from now on."""
    Path("/proc/self/clear_refs").write_text("5")


PROBES: dict[str, Callable[..., Numbers]] = {
    probe.__name__: probe
    for probe in (
        first_call,
        import_seconds,
        chain_ready,
        trace_and_optimise,
        peak_of_chain,
        growth_of_calls,
        growth_of_errors,
        many_graphs,
    )
}


def main() -> None:
    """Run one probe."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    answers.write(json.dumps(PROBES[sys.argv[1]](*sys.argv[2:])) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
