"""NumPy, as it is written by hand; SciPy for erf."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.case import Case, Inputs
from benchmarks.workloads.elementwise import GELU_CUBE, GELU_SCALE, RATE, ROOT_HALF, VOLATILITY
from benchmarks.workloads.rows import EPSILON

MODES = ("numpy",)


def versions() -> dict[str, str]:
    """SciPy's beside NumPy's, which everybody reports."""
    import scipy

    return {"scipy": scipy.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays."""
    function = FUNCTIONS.get(workload)
    return Case(partial(function, **inputs)) if function else None


def chain(x: Any) -> Any:
    """E1."""
    return (((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x


def option_values(spot: Any, strike: Any, years: Any) -> Any:
    """E2."""
    from scipy.special import erf

    spread = VOLATILITY * np.sqrt(years)
    d1 = (np.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * np.exp(-RATE * years)
    call = spot * (0.5 + 0.5 * erf(d1 * ROOT_HALF)) - discounted * (0.5 + 0.5 * erf(d2 * ROOT_HALF))
    return call, call - spot + discounted


def activations(x: Any) -> Any:
    """E3."""
    y = np.tanh(1 / (1 + np.exp(-x)))
    return 0.5 * y * (1 + np.tanh(GELU_SCALE * (y + GELU_CUBE * y * y * y)))


def softmax(x: Any) -> Any:
    """R1."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    powers /= powers.sum(axis=-1, keepdims=True)
    return powers


def layer_norm(x: Any) -> Any:
    """R2."""
    centred = x - x.mean(axis=-1, keepdims=True)
    centred /= np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)
    return centred


def logsumexp(x: Any) -> Any:
    """R3a."""
    largest = x.max(axis=-1, keepdims=True)
    return np.log(np.exp(x - largest).sum(axis=-1)) + largest[:, 0]


def mean_squared_error(predictions: Any, targets: Any) -> Any:
    """R3b."""
    difference = predictions - targets
    return np.dot(difference, difference) / difference.size, (2.0 / difference.size) * difference


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "E1": chain,
    "E2": option_values,
    "E3": activations,
    "R1": softmax,
    "R2": layer_norm,
    "R3a": logsumexp,
    "R3b": mean_squared_error,
}
