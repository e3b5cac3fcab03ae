"""The loops in NumPy: Python's numbers and loops where there are no arrays, and the gradients by hand."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.case import Case, Inputs
from benchmarks.workloads import loops

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "C1": loops.cube_root,
    "C2": loops.attractor,
    "C2v": loops.vector_attractor,
    "C3": loops.mandelbrot,
    "C4": loops.rnn_gradient,
    "C5": loops.gru_gradient,
}


def loop_case(workload: str, inputs: Inputs) -> Case:
    """A case of one of the loops, which are written for the reference as one would write them in any case."""
    real = next(array.dtype for array in inputs.values() if array.dtype.kind == "f")
    return Case(partial(FUNCTIONS[workload], **inputs), lambda result: [np.asarray(part, real) for part in result])
