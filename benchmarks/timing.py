"""Times of one turn of one case."""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from typing import Any

from benchmarks.case import Case

_SHORTEST_SAMPLE = 50e-6
"""Seconds that a sample takes at least, so that the clock costs nothing."""
_MOST_CALLS = 2**20


def first_call(case: Case) -> tuple[Any, float]:
    """The first result, and the seconds that it took, compilation included."""
    begin = time.perf_counter()
    result = case.call()
    return result, time.perf_counter() - begin


def warm_up(case: Case, seconds: float, calls: int = 3) -> None:
    """Call until both are over: compilers that work in the background, caches, clocks."""
    end = time.perf_counter() + seconds
    for done in itertools.count():
        if done >= calls and time.perf_counter() >= end:
            return
        case.call()


def sample_size(case: Case) -> int:
    """How many calls one sample has."""
    count = 1
    while count < _MOST_CALLS and seconds_of(case, count) < _SHORTEST_SAMPLE:
        count *= 2
    return count


def seconds_of(case: Case, count: int) -> float:
    """The seconds of so many calls."""
    if case.many is not None:
        begin = time.perf_counter()
        case.many(count)
        return time.perf_counter() - begin
    return _looped(case.call, count)


def _looped(call: Callable[[], Any], count: int) -> float:
    turns = itertools.repeat(None, count)
    begin = time.perf_counter()
    for _ in turns:
        call()
    return time.perf_counter() - begin


def take_turn(case: Case, size: int, seconds: float) -> list[float]:
    """Seconds per call, of as many samples as fit; at least one."""
    gc.collect()
    gc.disable()
    try:
        case.reset()
        warm_up(case, seconds / 5, calls=1)
        samples: list[float] = []
        end = time.perf_counter() + seconds
        while not samples or time.perf_counter() < end:
            samples.append(seconds_of(case, size) / size)
        return samples
    finally:
        gc.enable()
