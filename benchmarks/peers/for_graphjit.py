"""graphjit, compiled and eager: the same functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import graphjit as gj
from benchmarks.case import Case, Inputs
from benchmarks.workloads.elementwise import GELU_CUBE, GELU_SCALE, RATE, ROOT_HALF, VOLATILITY
from benchmarks.workloads.rows import EPSILON

MODES = ("graphjit", "graphjit-eager")


def versions() -> dict[str, str]:
    """graphjit's, and those of what makes its code."""
    from importlib.metadata import version

    return {"graphjit": gj.__version__, "numba": version("numba"), "llvmlite": version("llvmlite")}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on tensors."""
    function = FUNCTIONS.get(workload)
    if function is None:
        return None
    run = gj.compile(function) if mode == "graphjit" else function
    return Case(partial(run, **{name: gj.constant(array) for name, array in inputs.items()}))


def chain(x: Any) -> Any:
    """E1."""
    return (((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x


def option_values(spot: Any, strike: Any, years: Any) -> Any:
    """E2."""
    spread = VOLATILITY * gj.sqrt(years)
    d1 = (gj.math.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * gj.exp(-RATE * years)
    call = spot * normal_distribution(d1) - discounted * normal_distribution(d2)
    return call, call - spot + discounted


def normal_distribution(x: Any) -> Any:
    """The probability that a standard normal number is at most x."""
    return 0.5 + 0.5 * gj.math.erf(x * ROOT_HALF)


def activations(x: Any) -> Any:
    """E3."""
    y = gj.tanh(gj.sigmoid(x))
    return 0.5 * y * (1 + gj.tanh(GELU_SCALE * (y + GELU_CUBE * y * y * y)))


def softmax(x: Any) -> Any:
    """R1."""
    return gj.nn.softmax(x)


def layer_norm(x: Any) -> Any:
    """R2."""
    centred = x - gj.reduce_mean(x, axis=-1, keepdims=True)
    variance = gj.reduce_mean(gj.square(centred), axis=-1, keepdims=True)
    return centred * gj.math.rsqrt(variance + EPSILON)


def logsumexp(x: Any) -> Any:
    """R3a."""
    return gj.reduce_logsumexp(x, axis=-1)


def mean_squared_error(predictions: Any, targets: Any) -> Any:
    """R3b: the gradient comes from the tape."""
    with gj.GradientTape() as tape:
        tape.watch(predictions)
        loss = gj.reduce_mean(gj.square(predictions - targets))
    return loss, tape.gradient(loss, predictions)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "E1": chain,
    "E2": option_values,
    "E3": activations,
    "R1": softmax,
    "R2": layer_norm,
    "R3a": logsumexp,
    "R3b": mean_squared_error,
}
