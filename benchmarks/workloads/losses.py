"""R3b: a loss with its gradient."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload


def loss_inputs(random: np.random.Generator, count: int) -> Arrays:
    """Predictions and targets, normal numbers."""
    return {"predictions": random.standard_normal(count), "targets": random.standard_normal(count)}


def mean_squared_error(predictions: Array, targets: Array) -> list[Array]:
    """The loss, and its gradient with respect to the predictions."""
    difference = predictions - targets
    return [np.mean(difference * difference), 2.0 / difference.size * difference]


WORKLOADS = (
    Workload(
        "R3b",
        "mean squared error with its gradient",
        {"s": (2**14,), "m": (2**19,), "l": (2**23,)},
        loss_inputs,
        mean_squared_error,
        {"float32": Tolerance(2e-5, 1e-14), "float64": Tolerance(1e-12, 1e-22)},
    ),
)
