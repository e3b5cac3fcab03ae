"""D12: memory that does not grow with calls, nor with traces and functions that are gone."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import numpy as np
import pytest

import graphjit as gj

X = np.float32([1.0, 2.0, 3.0])


def grown_bytes(work: Callable[[], Any], rounds: int) -> int:
    """How much more Python and NumPy hold after many rounds than after half of them.

    In the first half Python's own free lists fill.
    """
    tracemalloc.start()
    try:
        held = []
        for _ in range(2):
            for _ in range(rounds // 2):
                work()
            gc.collect()
            held.append(tracemalloc.get_traced_memory()[0])
        return held[1] - held[0]
    finally:
        tracemalloc.stop()


def test_calls_hold_no_memory() -> None:
    """D12: calls with new numbers, nested arguments, variables, dicts and NumPy steps leave nothing behind."""
    v = gj.Variable(X * 0)
    numbers = map(float, count())

    @gj.compile
    def f(pair: Any, n: Any) -> Any:
        v.assign(pair[0] * 0.5)
        return {"sum": gj.reduce_sum(pair[1]["x"]) * n, "all": (pair[0], v + 1.0, gj.sort(pair[0]))}

    def work() -> None:
        f((X, {"x": gj.constant(X)}), next(numbers))["all"][0].numpy()

    assert grown_bytes(work, 3000) < 1500 * 16


def test_a23_errors_hold_no_memory() -> None:
    """D12, A23: calls that fail leave nothing behind."""
    f = gj.compile(lambda x, y: x // y)
    x, zero = np.int32([1]), np.int32([0])

    def work() -> None:
        with pytest.raises(gj.errors.InvalidArgumentError):
            f(x, zero)

    assert grown_bytes(work, 1000) < 500 * 16


@pytest.mark.filterwarnings("ignore::graphjit.tracer.retraces.RetraceWarning")
def test_a21_dropped_traces_hold_no_memory() -> None:
    """A21: of a trace that made room for another one only its record stays, and of records the last thousand."""
    sizes: Iterator[int] = count(1)
    f = gj.compile(lambda x: (x * 2.0 + 1.0) * x, cache_size=2)

    def work() -> None:
        x = np.ones(next(sizes), np.float32)
        for _ in range(3):
            f(x)

    assert grown_bytes(work, 200) < 100 * 2048


@pytest.mark.filterwarnings("ignore::graphjit.tracer.retraces.RetraceWarning")
def test_a21_dropped_functions_hold_no_memory() -> None:
    """A21: a function that nobody holds any more takes its graphs and records along."""

    def work() -> None:
        v = gj.Variable(X)
        f = gj.compile(lambda x: (x * 2.0 + 1.0) * v)
        for _ in range(3):
            f(X)

    assert grown_bytes(work, 200) < 100 * 512
