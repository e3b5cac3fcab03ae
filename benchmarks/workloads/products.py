"""K1: matrix products."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload


def product_inputs(random: np.random.Generator, rows: int, shared: int, columns: int) -> Arrays:
    """Two matrices of normal numbers."""
    return {"a": random.standard_normal((rows, shared)), "b": random.standard_normal((shared, columns))}


def product(a: Array, b: Array) -> list[Array]:
    """a @ b."""
    return [a @ b]


WORKLOADS = (
    Workload(
        "K1",
        "matrix product",
        {"s": (64, 784, 20), "m": (128, 784, 512), "l": (1024, 1024, 1024)},
        product_inputs,
        product,
        {"float32": Tolerance(1e-4, 2e-4), "float64": Tolerance(1e-12, 1e-12)},
    ),
)
