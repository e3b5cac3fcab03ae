"""NumPy, as it is written by hand; SciPy for erf."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from benchmarks.case import Case, Inputs
from benchmarks.peers import loops_in_numpy
from benchmarks.workloads.elementwise import GELU_CUBE, GELU_SCALE, RATE, ROOT_HALF, VOLATILITY
from benchmarks.workloads.rows import EPSILON
from benchmarks.workloads.small import LINKS
from benchmarks.workloads.training import (
    ADAM_EPSILON,
    ADAM_RATE,
    DECAY_1,
    DECAY_2,
    DEEP,
    LOGISTIC,
    RATE as STEP_RATE,
    SHALLOW,
    cross_entropy,
    deep_gradients,
)


def versions() -> dict[str, str]:
    """SciPy's beside NumPy's, which everybody reports."""
    import scipy

    return {"scipy": scipy.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays."""
    if workload in loops_in_numpy.FUNCTIONS:
        return loops_in_numpy.loop_case(workload, inputs)
    if workload in STEPS:
        return training_case(*STEPS[workload], inputs)
    function = FUNCTIONS.get(workload)
    # a 0-d array becomes the scalar that one would compute with
    return Case(partial(function, **{name: array[()] for name, array in inputs.items()})) if function else None


def training_case(step: Callable[..., Any], names: tuple[str, ...], inputs: Inputs) -> Case:
    """A case whose parameters stand in `names` among the inputs, and are updated in place."""
    start = [inputs[name] for name in names]
    data = [array for name, array in inputs.items() if name not in names]
    values = [array.copy() for array in start]
    moments = Moments(values)

    def reset() -> None:
        for value, first in zip(values, start, strict=True):
            value[...] = first
        moments.reset()

    return Case(lambda: step(*data, values, moments), lambda loss: [np.asarray(loss), *values], reset)


class Moments:
    """What Adam keeps."""

    def __init__(self, values: list[Any]) -> None:
        self.count = 0
        self.first = [np.zeros_like(value) for value in values]
        self.second = [np.zeros_like(value) for value in values]

    def reset(self) -> None:
        """Back to the start."""
        self.count = 0
        for array in (*self.first, *self.second):
            array[...] = 0


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


def product(a: Any, b: Any) -> Any:
    """K1."""
    return a @ b


def cube(x: Any) -> Any:
    """L1a."""
    return x * x * x


def links(x: Any) -> Any:
    """L1b."""
    y = x
    for _ in range(LINKS):
        y = y * x + 0.5
    return y


def rosenbrock(x: Any) -> Any:
    """G1."""
    bend, rest = x[1:] - x[:-1] * x[:-1], 1 - x[:-1]
    gradient = np.zeros_like(x)
    gradient[:-1] = -400 * bend * x[:-1] - 2 * rest
    gradient[1:] += 200 * bend
    return 100 * np.dot(bend, bend) + np.dot(rest, rest), gradient


def descend(images: Any, labels: Any, values: list[Any], moments: Moments) -> Any:
    """M1."""
    w1, b1, w2, b2 = values
    hidden = np.tanh(images @ w1 + b1)
    loss, gradient = cross_entropy(hidden @ w2 + b2, labels)
    inner = (gradient @ w2.T) * (1 - hidden * hidden)
    w2 -= STEP_RATE * (hidden.T @ gradient)
    b2 -= STEP_RATE * gradient.sum(axis=0)
    w1 -= STEP_RATE * (images.T @ inner)
    b1 -= STEP_RATE * inner.sum(axis=0)
    return loss


def adapt(images: Any, labels: Any, values: list[Any], moments: Moments) -> Any:
    """M1b."""
    loss, gradients = deep_gradients(images, labels, values)
    moments.count += 1
    rate = ADAM_RATE * math.sqrt(1 - DECAY_2**moments.count) / (1 - DECAY_1**moments.count)
    for value, m, v, gradient in zip(values, moments.first, moments.second, gradients, strict=True):
        m += (1 - DECAY_1) * (gradient - m)
        v += (1 - DECAY_2) * (gradient * gradient - v)
        value -= rate * m / (np.sqrt(v) + ADAM_EPSILON)
    return loss


def regress(x: Any, y: Any, values: list[Any], moments: Moments) -> Any:
    """M2."""
    w, b = values
    z = x @ w + b
    loss = np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))))
    gradient = (1 / (1 + np.exp(-z)) - y) / len(y)
    w -= STEP_RATE * (x.T @ gradient)
    b -= STEP_RATE * gradient.sum(axis=0)
    return loss


STEPS: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "M1": (descend, SHALLOW),
    "M1b": (adapt, DEEP),
    "M2": (regress, LOGISTIC),
}
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "E1": chain,
    "E2": option_values,
    "E3": activations,
    "R1": softmax,
    "R2": layer_norm,
    "R3a": logsumexp,
    "R3b": mean_squared_error,
    "K1": product,
    "L1a": cube,
    "L1b": links,
    "G1": rosenbrock,
}
