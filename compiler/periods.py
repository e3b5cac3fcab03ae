"""Finding runs of equal pieces in a sequence of numbers.

It knows nothing of graphs: `rerolling` gives it a number for each kind of equation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

Numbers = np.ndarray[Any, np.dtype[np.int64]]
_MOST_CANDIDATES = 24


class Run(NamedTuple):
    """`rounds` equal pieces of `period` numbers each, from `begin` on."""

    begin: int
    period: int
    rounds: int

    @property
    def end(self) -> int:
        """Where the last piece ends."""
        return self.begin + self.period * self.rounds


def runs_of(sequence: Numbers, least: int) -> list[Run]:
    """The runs of at least so many equal pieces, in order; none overlaps another, and pieces are as short as can be.

    >>> runs_of(np.array([7, 1, 2, 1, 2, 1, 2, 1, 5]), 3)
    [Run(begin=1, period=2, rounds=3)]
    >>> runs_of(np.array([1, 2, 1, 2, 9, 8]), 3)
    []
    """
    found: list[Run] = []
    for period in _candidates(sequence, least):
        for run in _with_period(sequence, period, least):
            if all(run.end <= one.begin or one.end <= run.begin for one in found):
                found.append(run)
    return sorted(found)


def _candidates(sequence: Numbers, least: int) -> list[int]:
    """How far apart the rarest of the numbers that come often enough mostly are, shortest first."""
    _, inverse, counts = np.unique(sequence, return_inverse=True, return_counts=True)
    places = np.argsort(inverse, kind="stable")
    ends = np.cumsum(counts)
    often = [one for one in np.argsort(counts, kind="stable") if counts[one] >= least]
    found: set[int] = set()
    for one in often:
        distances = np.diff(places[ends[one] - counts[one] : ends[one]])
        lengths, times = np.unique(distances, return_counts=True)
        found.update(int(length) for length in lengths[times >= least - 1][:4])
        if len(found) >= _MOST_CANDIDATES:
            break
    return sorted(found)


def _with_period(sequence: Numbers, period: int, least: int) -> Iterator[Run]:
    same = np.concatenate([[False], sequence[period:] == sequence[:-period], [False]])
    edges = np.flatnonzero(same[1:] != same[:-1])
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        rounds = (end - begin) // period + 1
        if rounds >= least:
            yield Run(begin, period, rounds)


__all__: list[str] = []
