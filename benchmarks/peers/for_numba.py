"""Numba, written by hand: explicit loops, constants of the right dtype, `fastmath`; serial and parallel.

Each maker takes the decorator (without `parallel`, `prange` is `range`) and the dtype's scalar type, in which the loops
hold their constants: `x * 2.0` would compute in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numba
import numpy as np

from benchmarks.case import Case, Inputs, aligned, as_numpy
from benchmarks.peers import loops_in_numba
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
    RATE as RATE_OF_DESCENT,
    SHALLOW,
)

Maker = Callable[[Any, Any], Any]


def versions() -> dict[str, str]:
    """Numba's and llvmlite's."""
    import llvmlite

    return {"numba": numba.__version__, "llvmlite": llvmlite.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays."""
    if workload not in MAKERS or (mode == "numba-parallel" and workload in loops_in_numba.SERIAL):
        return None
    real = next(array.dtype.type for array in inputs.values() if array.dtype.kind == "f")
    run = compiled(workload, mode == "numba-parallel", real)
    if workload in NAMES:
        return training_case(run, NAMES[workload], inputs)
    arrays = loops_in_numba.compared if workload == "C3" else as_numpy
    # a 0-d array becomes the scalar that one would compute with
    return Case(partial(run, *[array[()] for array in inputs.values()]), arrays)


@cache
def compiled(workload: str, parallel: bool, real: Any) -> Any:
    """The function, which keeps its machine code from one size to the next."""
    return MAKERS[workload](numba.njit(parallel=parallel, fastmath=True, error_model="numpy"), real)


def training_case(run: Any, names: tuple[str, ...], inputs: Inputs) -> Case:
    """A case that updates parameters in place, and for M1b the moments and the count of steps."""
    start = tuple(inputs[name] for name in names)
    data = [array for name, array in inputs.items() if name not in names]
    values = tuple(aligned(value) for value in start)
    moments = tuple(np.zeros_like(value) for _ in range(2) for value in start)
    count = np.zeros(1)

    def reset() -> None:
        for value, first in zip(values, start, strict=True):
            value[...] = first
        for moment in (*moments, count):
            moment[...] = 0

    state = (values, moments[: len(values)], moments[len(values) :], count) if names is DEEP else values
    return Case(lambda: run(*data, *state), lambda loss: [np.asarray(loss), *values], reset)


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


def product(compiled: Any, real: Any) -> Any:
    """K1: what one writes is the product of BLAS."""

    @compiled
    def run(a, b):
        return np.dot(a, b)

    return run


def cube(compiled: Any, real: Any) -> Any:
    """L1a."""

    @compiled
    def run(x):
        return x * x * x

    return run


def links(compiled: Any, real: Any) -> Any:
    """L1b."""
    half = real(0.5)

    @compiled
    def run(x):
        out = np.empty_like(x)
        for i in numba.prange(x.size):
            y = x[i]
            for _ in range(LINKS):
                y = y * x[i] + half
            out[i] = y
        return out

    return run


def rosenbrock(compiled: Any, real: Any) -> Any:
    """G1."""
    one, two, hundred, two_hundred, four_hundred = map(real, (1, 2, 100, 200, 400))

    @compiled
    def run(x):
        last = x.size - 1
        gradient = np.empty_like(x)
        total = real(0)
        for i in numba.prange(1, last):
            bend = x[i + 1] - x[i] * x[i]
            before = x[i] - x[i - 1] * x[i - 1]
            rest = one - x[i]
            total += hundred * bend * bend + rest * rest
            gradient[i] = two_hundred * before - four_hundred * bend * x[i] - two * rest
        bend, rest = x[1] - x[0] * x[0], one - x[0]
        gradient[0] = -four_hundred * bend * x[0] - two * rest
        gradient[last] = two_hundred * (x[last] - x[last - 1] * x[last - 1])
        return total + hundred * bend * bend + rest * rest, gradient

    return run


def cross_entropy_maker(real: Any) -> Any:
    """A function that turns logits into the gradient of the mean cross entropy, which it returns."""

    @numba.njit(fastmath=True, error_model="numpy")
    def run(logits, labels):
        rows, classes = logits.shape
        loss = real(0)
        for i in range(rows):
            largest = logits[i, 0]
            for j in range(1, classes):
                largest = max(largest, logits[i, j])
            wanted = logits[i, labels[i]]
            total = real(0)
            for j in range(classes):
                power = math.exp(logits[i, j] - largest)
                logits[i, j] = power
                total += power
            loss += math.log(total) + largest - wanted
            scale = real(1) / (total * real(rows))
            for j in range(classes):
                logits[i, j] *= scale
            logits[i, labels[i]] -= real(1) / real(rows)
        return loss / real(rows)

    return run


def descend(compiled: Any, real: Any) -> Any:
    """M1: products by BLAS, loops for the rest."""
    rate, one = real(RATE_OF_DESCENT), real(1)
    cross_entropy = cross_entropy_maker(real)

    @compiled
    def run(images, labels, w1, b1, w2, b2):
        batch, width = images.shape[0], b1.size
        hidden = np.dot(images, w1)
        for i in range(batch):
            for j in range(width):
                hidden[i, j] = math.tanh(hidden[i, j] + b1[j])
        logits = np.dot(hidden, w2)
        for i in range(batch):
            for j in range(b2.size):
                logits[i, j] += b2[j]
        loss = cross_entropy(logits, labels)
        inner = np.dot(logits, w2.T)
        g2 = np.dot(hidden.T, logits)
        for i in range(batch):
            for j in range(width):
                inner[i, j] *= one - hidden[i, j] * hidden[i, j]
                b1[j] -= rate * inner[i, j]
            for j in range(b2.size):
                b2[j] -= rate * logits[i, j]
        for i in range(width):
            for j in range(b2.size):
                w2[i, j] -= rate * g2[i, j]
        g1 = np.dot(images.T, inner)
        for i in range(images.shape[1]):
            for j in range(width):
                w1[i, j] -= rate * g1[i, j]
        return loss

    return run


def adam_maker(compiled: Any, real: Any) -> Any:
    """The update of one parameter, seen as a vector."""
    share_1, share_2, epsilon = real(1 - DECAY_1), real(1 - DECAY_2), real(ADAM_EPSILON)

    @compiled
    def run(value, gradient, m, v, rate):
        for i in numba.prange(value.size):
            m[i] += share_1 * (gradient[i] - m[i])
            v[i] += share_2 * (gradient[i] * gradient[i] - v[i])
            value[i] -= rate * m[i] / (math.sqrt(v[i]) + epsilon)

    return run


def layer_maker(compiled: Any, real: Any) -> tuple[Any, Any, Any]:
    """Bias and relu; back through relu; the sum of rows."""

    @compiled
    def forward(x, bias, floor):
        for i in numba.prange(x.shape[0]):
            for j in range(x.shape[1]):
                x[i, j] = max(x[i, j] + bias[j], floor)

    @compiled
    def backward(gradient, output):
        for i in numba.prange(output.shape[0]):
            for j in range(output.shape[1]):
                if output[i, j] <= real(0):
                    gradient[i, j] = real(0)

    @numba.njit(fastmath=True, error_model="numpy")
    def sum_rows(x):
        sums = np.zeros(x.shape[1], x.dtype)
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                sums[j] += x[i, j]
        return sums

    return forward, backward, sum_rows


def adapt(compiled: Any, real: Any) -> Any:
    """M1b: products by BLAS, loops for the rest."""
    cross_entropy = cross_entropy_maker(real)
    adam = adam_maker(compiled, real)
    forward, backward, sum_rows = layer_maker(compiled, real)
    zero, lowest = real(0), real(-np.inf)

    @numba.njit(fastmath={"contract", "reassoc", "arcp"}, error_model="numpy")
    def run(images, labels, values, first, second, count):
        w1, b1, w2, b2, w3, b3 = values
        one = np.dot(images, w1)
        forward(one, b1, zero)
        two = np.dot(one, w2)
        forward(two, b2, zero)
        logits = np.dot(two, w3)
        forward(logits, b3, lowest)
        loss = cross_entropy(logits, labels)
        g2 = np.dot(logits, w3.T)
        backward(g2, two)
        g1 = np.dot(g2, w2.T)
        backward(g1, one)
        count[0] += 1
        rate = real(ADAM_RATE * math.sqrt(1 - DECAY_2 ** count[0]) / (1 - DECAY_1 ** count[0]))
        d1, d2, d3 = np.dot(images.T, g1), np.dot(one.T, g2), np.dot(two.T, logits)
        adam(w1.reshape(-1), d1.reshape(-1), first[0].reshape(-1), second[0].reshape(-1), rate)
        adam(b1, sum_rows(g1), first[1], second[1], rate)
        adam(w2.reshape(-1), d2.reshape(-1), first[2].reshape(-1), second[2].reshape(-1), rate)
        adam(b2, sum_rows(g2), first[3], second[3], rate)
        adam(w3.reshape(-1), d3.reshape(-1), first[4].reshape(-1), second[4].reshape(-1), rate)
        adam(b3, sum_rows(logits), first[5], second[5], rate)
        return loss

    return run


def regress(compiled: Any, real: Any) -> Any:
    """M2: one loop."""
    zero, one = real(0), real(1)

    @compiled
    def run(x, y, w, b):
        rate = real(RATE_OF_DESCENT) / real(y.size)
        loss, g0, g1, gb = zero, zero, zero, zero
        w0, w1, shift = w[0, 0], w[1, 0], b[0]
        for i in range(y.size):
            z = x[i, 0] * w0 + x[i, 1] * w1 + shift
            power = math.exp(-abs(z))
            share = one / (one + power)
            gradient = (share if z > zero else power * share) - y[i, 0]
            loss += max(z, zero) - y[i, 0] * z + math.log1p(power)
            g0 += gradient * x[i, 0]
            g1 += gradient * x[i, 1]
            gb += gradient
        w[0, 0] -= rate * g0
        w[1, 0] -= rate * g1
        b[0] -= rate * gb
        return loss / real(y.size)

    return run


NAMES = {"M1": SHALLOW, "M1b": DEEP, "M2": LOGISTIC}
MAKERS: dict[str, Maker] = {
    "E1": chain,
    "E2": option_values,
    "E3": activations,
    "R1": softmax,
    "R2": layer_norm,
    "R3a": logsumexp,
    "R3b": mean_squared_error,
    "M1": descend,
    "M1b": adapt,
    "M2": regress,
    "K1": product,
    "L1a": cube,
    "L1b": links,
    "G1": rosenbrock,
    **loops_in_numba.MAKERS,
}
