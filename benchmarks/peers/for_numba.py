"""Numba, written by hand: explicit loops, constants of the right dtype, `fastmath`; serial and parallel.

Each maker takes the decorator (without `parallel`, `prange` is `range`) and the dtype's scalar type, in which the loops
hold their constants: `x * 2.0` would compute in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numba
import numpy as np

from benchmarks.case import Case, Inputs
from benchmarks.workloads.elementwise import GELU_CUBE, GELU_SCALE, RATE, ROOT_HALF, VOLATILITY
from benchmarks.workloads.rows import EPSILON

MODES = ("numba", "numba-parallel")

Maker = Callable[[Any, Any], Any]


def versions() -> dict[str, str]:
    """Numba's and llvmlite's."""
    import llvmlite

    return {"numba": numba.__version__, "llvmlite": llvmlite.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays."""
    maker = MAKERS.get(workload)
    if maker is None:
        return None
    compiled = numba.njit(parallel=mode == "numba-parallel", fastmath=True, error_model="numpy")
    real = next(array.dtype.type for array in inputs.values() if array.dtype.kind == "f")
    return Case(partial(maker(compiled, real), *inputs.values()))


def chain(compiled: Any, real: Any) -> Any:
    """E1."""
    two, one, three, half = real(2), real(1), real(3), real(0.5)

    @compiled
    def run(x):
        out = np.empty_like(x)
        for i in numba.prange(x.size):
            v = x[i]
            out[i] = (((v * two + one) * v - three) * v + half) * v
        return out

    return run


def option_values(compiled: Any, real: Any) -> Any:
    """E2."""
    half, scale, volatility, rate = real(0.5), real(ROOT_HALF), real(VOLATILITY), real(RATE)
    drift = real(RATE + 0.5 * VOLATILITY * VOLATILITY)

    @compiled
    def run(spot, strike, years):
        call = np.empty_like(spot)
        put = np.empty_like(spot)
        for i in numba.prange(spot.size):
            spread = volatility * math.sqrt(years[i])
            d1 = (math.log(spot[i] / strike[i]) + drift * years[i]) / spread
            d2 = d1 - spread
            discounted = strike[i] * math.exp(-rate * years[i])
            value = spot[i] * (half + half * math.erf(d1 * scale)) - discounted * (half + half * math.erf(d2 * scale))
            call[i] = value
            put[i] = value - spot[i] + discounted
        return call, put

    return run


def activations(compiled: Any, real: Any) -> Any:
    """E3."""
    one, half, scale, cube = real(1), real(0.5), real(GELU_SCALE), real(GELU_CUBE)

    @compiled
    def run(x):
        out = np.empty_like(x)
        for i in numba.prange(x.size):
            y = math.tanh(one / (one + math.exp(-x[i])))
            out[i] = half * y * (one + math.tanh(scale * (y + cube * y * y * y)))
        return out

    return run


def softmax(compiled: Any, real: Any) -> Any:
    """R1."""

    @compiled
    def run(x):
        rows, columns = x.shape
        out = np.empty_like(x)
        for i in numba.prange(rows):
            largest = x[i, 0]
            for j in range(columns):
                largest = max(largest, x[i, j])
            total = real(0)
            for j in range(columns):
                power = math.exp(x[i, j] - largest)
                out[i, j] = power
                total += power
            scale = real(1) / total
            for j in range(columns):
                out[i, j] *= scale
        return out

    return run


def layer_norm(compiled: Any, real: Any) -> Any:
    """R2."""
    epsilon = real(EPSILON)

    @compiled
    def run(x):
        rows, columns = x.shape
        out = np.empty_like(x)
        for i in numba.prange(rows):
            total = real(0)
            for j in range(columns):
                total += x[i, j]
            mean = total / real(columns)
            squares = real(0)
            for j in range(columns):
                difference = x[i, j] - mean
                squares += difference * difference
            scale = real(1) / math.sqrt(squares / real(columns) + epsilon)
            for j in range(columns):
                out[i, j] = (x[i, j] - mean) * scale
        return out

    return run


def logsumexp(compiled: Any, real: Any) -> Any:
    """R3a."""

    @compiled
    def run(x):
        rows, columns = x.shape
        out = np.empty(rows, x.dtype)
        for i in numba.prange(rows):
            largest = x[i, 0]
            for j in range(columns):
                largest = max(largest, x[i, j])
            total = real(0)
            for j in range(columns):
                total += math.exp(x[i, j] - largest)
            out[i] = math.log(total) + largest
        return out

    return run


def mean_squared_error(compiled: Any, real: Any) -> Any:
    """R3b."""

    @compiled
    def run(predictions, targets):
        gradient = np.empty_like(predictions)
        total = real(0)
        scale = real(2) / real(predictions.size)
        for i in numba.prange(predictions.size):
            difference = predictions[i] - targets[i]
            total += difference * difference
            gradient[i] = scale * difference
        return total / real(predictions.size), gradient

    return run


MAKERS: dict[str, Maker] = {
    "E1": chain,
    "E2": option_values,
    "E3": activations,
    "R1": softmax,
    "R2": layer_norm,
    "R3a": logsumexp,
    "R3b": mean_squared_error,
}
