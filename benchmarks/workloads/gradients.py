"""G1: value and gradient of a function of many variables."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload


def rosenbrock_inputs(random: np.random.Generator, count: int) -> Arrays:
    """Points around the valley."""
    return {"x": random.uniform(-1, 1, count)}


def rosenbrock(x: Array) -> list[Array]:
    """sum(100 (x[i + 1] - x[i]^2)^2 + (1 - x[i])^2), and its gradient.

    Rosenbrock, H. H. (1960), An automatic method for finding the greatest or least value of a function.
    """
    bend, rest = x[1:] - x[:-1] * x[:-1], 1 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[:-1] = -400 * bend * x[:-1] - 2 * rest
    gradient[1:] += 200 * bend
    return [np.sum(100 * bend * bend + rest * rest), gradient]


WORKLOADS = (
    Workload(
        "G1",
        "value and gradient of a Rosenbrock sum",
        {"m": (1_000_000,)},
        rosenbrock_inputs,
        rosenbrock,
        {"float32": Tolerance(1e-5, 1e-3), "float64": Tolerance(1e-12, 1e-11)},
    ),
)
