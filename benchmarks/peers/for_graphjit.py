"""graphjit, compiled and eager: the same functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import graphjit as gj
from benchmarks.case import Case, Inputs, as_numpy
from benchmarks.peers import loops_in_graphjit
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


def versions() -> dict[str, str]:
    """graphjit's, and those of what makes its code."""
    from importlib.metadata import version

    return {"graphjit": gj.__version__, "numba": version("numba"), "llvmlite": version("llvmlite")}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on tensors; L1b is the one that takes and gives NumPy's arrays."""
    if workload in loops_in_graphjit.FUNCTIONS:
        return loops_in_graphjit.loop_case(workload, mode, inputs)
    if workload in NETWORKS:
        return training_case(NETWORKS[workload], inputs, compiled=mode == "graphjit")
    function = FUNCTIONS.get(workload)
    if function is None:
        return None
    run = gj.compile(function) if mode == "graphjit" else function
    if workload == "L1b":
        array = inputs["x"]
        if mode == "graphjit-eager":
            return Case(lambda: run(gj.constant(array)).numpy())
        return Case(lambda: run(array).numpy())
    return Case(partial(run, *map(gj.constant, inputs.values())))


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
    """G1: the gradient comes from the tape."""
    with gj.GradientTape() as tape:
        tape.watch(x)
        bend, rest = x[1:] - gj.square(x[:-1]), 1 - x[:-1]
        value = gj.reduce_sum(100 * gj.square(bend) + gj.square(rest))
    return value, tape.gradient(value, x)


class Network:
    """Parameters, and what the optimizer keeps, as Variables."""

    names: tuple[str, ...]

    def __init__(self, start: list[Any]) -> None:
        self.start = start
        self.variables = [gj.Variable(array) for array in start]

    def reset(self) -> None:
        """Back to the start."""
        for variable, first in zip(self.variables, self.start, strict=True):
            variable.assign(first)

    def step(self, *data: Any) -> Any:
        """One step of plain gradient descent; returns the loss before it."""
        with gj.GradientTape() as tape:
            loss = self.loss(*data)
        for variable, gradient in zip(self.variables, tape.gradient(loss, self.variables), strict=True):
            variable.assign_sub(RATE_OF_DESCENT * gradient)
        return loss

    def loss(self, *data: Any) -> Any:
        """Of a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(*data)")


def cross_entropy(labels: Any, logits: Any) -> Any:
    """The mean over the batch."""
    return gj.reduce_mean(gj.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


class Shallow(Network):
    """M1."""

    names = SHALLOW

    def loss(self, images: Any, labels: Any) -> Any:
        """pixels -> tanh -> classes."""
        w1, b1, w2, b2 = self.variables
        return cross_entropy(labels, gj.tanh(images @ w1 + b1) @ w2 + b2)


class Deep(Network):
    """M1b."""

    names = DEEP

    def __init__(self, start: list[Any]) -> None:
        super().__init__(start)
        self.first = [gj.Variable(gj.zeros_like(array)) for array in start]
        self.second = [gj.Variable(gj.zeros_like(array)) for array in start]
        self.count = gj.Variable(start[0].dtype.type(0))

    def reset(self) -> None:
        """Back to the start, moments included."""
        super().reset()
        for variable in (*self.first, *self.second, self.count):
            variable.assign(gj.zeros_like(variable))

    def loss(self, images: Any, labels: Any) -> Any:
        """pixels -> relu -> relu -> classes."""
        w1, b1, w2, b2, w3, b3 = self.variables
        hidden = gj.nn.relu(gj.nn.relu(images @ w1 + b1) @ w2 + b2)
        return cross_entropy(labels, hidden @ w3 + b3)

    def step(self, *data: Any) -> Any:
        """Adam."""
        with gj.GradientTape() as tape:
            loss = self.loss(*data)
        count = self.count.assign_add(1.0)
        rate = ADAM_RATE * gj.sqrt(1 - DECAY_2**count) / (1 - DECAY_1**count)
        gradients = tape.gradient(loss, self.variables)
        for variable, m, v, gradient in zip(self.variables, self.first, self.second, gradients, strict=True):
            first = m.assign_add((1 - DECAY_1) * (gradient - m))
            second = v.assign_add((1 - DECAY_2) * (gj.square(gradient) - v))
            variable.assign_sub(rate * first / (gj.sqrt(second) + ADAM_EPSILON))
        return loss


class Logistic(Network):
    """M2."""

    names = LOGISTIC

    def loss(self, x: Any, y: Any) -> Any:
        """The mean of log(1 + exp(z)) - y z."""
        w, b = self.variables
        return gj.reduce_mean(gj.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=x @ w + b))


def training_case(kind: type[Network], inputs: Inputs, compiled: bool) -> Case:
    """A case whose call is one training step."""
    network = kind([inputs[name] for name in kind.names])
    data = [gj.constant(array) for name, array in inputs.items() if name not in kind.names]
    step = gj.compile(network.step) if compiled else network.step
    return Case(partial(step, *data), lambda loss: as_numpy([loss, *network.variables]), network.reset)


NETWORKS: dict[str, type[Network]] = {"M1": Shallow, "M1b": Deep, "M2": Logistic}
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
