"""L1: what a call costs."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload

LINKS = 10
"""Of a multiplication and an addition each."""


def scalar_inputs(random: np.random.Generator) -> Arrays:
    """A number."""
    return {"x": np.asarray(random.uniform(0.5, 1.5))}


def cube(x: Array) -> list[Array]:
    """x * x * x."""
    return [np.asarray(x * x * x)]


def few_inputs(random: np.random.Generator, count: int) -> Arrays:
    """Numbers below 1."""
    return {"x": random.uniform(0.1, 0.9, count)}


def links(x: Array) -> list[Array]:
    """Ten times y * x + 0.5."""
    y = x
    for _ in range(LINKS):
        y = y * x + 0.5
    return [y]


WORKLOADS = (
    Workload(
        "L1a",
        "cube of a scalar",
        {"s": ()},
        scalar_inputs,
        cube,
        {"float32": Tolerance(1e-6, 0.0), "float64": Tolerance(1e-15, 0.0)},
    ),
    Workload(
        "L1b",
        "chain of 20 on 8 elements, NumPy array in and out",
        {"s": (8,)},
        few_inputs,
        links,
        {"float32": Tolerance(1e-5, 0.0), "float64": Tolerance(1e-14, 0.0)},
    ),
)
