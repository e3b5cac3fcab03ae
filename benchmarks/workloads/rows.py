"""R1, R2, R3a: something of each row of a matrix."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload

EPSILON = 1e-5
"""What layer norm adds to the variance."""

_SIZES = {"s": (64, 256), "m": (1024, 1000), "l": (16384, 1000)}


def row_inputs(random: np.random.Generator, rows: int, columns: int) -> Arrays:
    """Normal numbers."""
    return {"x": random.standard_normal((rows, columns))}


def softmax(x: Array) -> list[Array]:
    """exp(x) over its sum, stably."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return [powers / powers.sum(axis=-1, keepdims=True)]


def layer_norm(x: Array) -> list[Array]:
    """Each row shifted and scaled to mean 0 and variance 1."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return [centred / np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)]


def logsumexp(x: Array) -> list[Array]:
    """log(sum(exp(x))), stably."""
    largest = x.max(axis=-1, keepdims=True)
    return [np.log(np.exp(x - largest).sum(axis=-1)) + largest[:, 0]]


WORKLOADS = (
    Workload(
        "R1",
        "softmax of each row",
        _SIZES,
        row_inputs,
        softmax,
        {"float32": Tolerance(2e-5, 1e-7), "float64": Tolerance(1e-13, 1e-15)},
    ),
    Workload(
        "R2",
        "layer norm of each row",
        _SIZES,
        row_inputs,
        layer_norm,
        {"float32": Tolerance(2e-5, 2e-5), "float64": Tolerance(1e-12, 1e-13)},
    ),
    Workload(
        "R3a",
        "logsumexp of each row",
        _SIZES,
        row_inputs,
        logsumexp,
        {"float32": Tolerance(1e-5, 1e-5), "float64": Tolerance(1e-13, 1e-13)},
    ),
)
