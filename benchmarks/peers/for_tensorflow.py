"""TensorFlow: `tf.function`, plain and through XLA."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from benchmarks.case import Case, Inputs
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

THREADS = int(os.environ.get("OMP_NUM_THREADS", "2"))
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
tf.config.threading.set_inter_op_parallelism_threads(THREADS)


def versions() -> dict[str, str]:
    """TensorFlow's."""
    return {"tensorflow": tf.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on TensorFlow's tensors; L1b is the one that takes and gives NumPy's arrays."""
    xla = mode == "tensorflow-xla"
    if workload in NETWORKS:
        return training_case(NETWORKS[workload], inputs, xla)
    if workload not in FUNCTIONS:
        return None
    run = tf.function(FUNCTIONS[workload], jit_compile=xla)
    if workload == "L1b":
        array = inputs["x"]
        return Case(lambda: run(tf.constant(array)).numpy())
    return Case(partial(run, *[tf.constant(array) for array in inputs.values()]))


def chain(x: Any) -> Any:
    """E1."""
    return (((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x


def option_values(spot: Any, strike: Any, years: Any) -> Any:
    """E2."""
    spread = VOLATILITY * tf.sqrt(years)
    d1 = (tf.math.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * tf.exp(-RATE * years)
    call = spot * normal_distribution(d1) - discounted * normal_distribution(d2)
    return call, call - spot + discounted


def normal_distribution(x: Any) -> Any:
    """The probability that a standard normal number is at most x."""
    return 0.5 + 0.5 * tf.math.erf(x * ROOT_HALF)


def activations(x: Any) -> Any:
    """E3."""
    y = tf.tanh(tf.sigmoid(x))
    return 0.5 * y * (1 + tf.tanh(GELU_SCALE * (y + GELU_CUBE * y * y * y)))


def softmax(x: Any) -> Any:
    """R1."""
    return tf.nn.softmax(x)


def layer_norm(x: Any) -> Any:
    """R2."""
    centred = x - tf.reduce_mean(x, axis=-1, keepdims=True)
    return centred * tf.math.rsqrt(tf.reduce_mean(tf.square(centred), axis=-1, keepdims=True) + EPSILON)


def logsumexp(x: Any) -> Any:
    """R3a."""
    return tf.reduce_logsumexp(x, axis=-1)


def mean_squared_error(predictions: Any, targets: Any) -> Any:
    """R3b."""
    with tf.GradientTape() as tape:
        tape.watch(predictions)
        loss = tf.reduce_mean(tf.square(predictions - targets))
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
    """G1."""
    with tf.GradientTape() as tape:
        tape.watch(x)
        bend, rest = x[1:] - tf.square(x[:-1]), 1 - x[:-1]
        value = tf.reduce_sum(100 * tf.square(bend) + tf.square(rest))
    return value, tape.gradient(value, x)


def cross_entropy(labels: Any, logits: Any) -> Any:
    """The mean over the batch."""
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits))


class Network:
    """Parameters, and what the optimizer keeps, as Variables."""

    names: tuple[str, ...]

    def __init__(self, start: list[Any]) -> None:
        self.start = start
        self.variables = [tf.Variable(array) for array in start]

    def reset(self) -> None:
        """Back to the start."""
        for variable, first in zip(self.variables, self.start, strict=True):
            variable.assign(first)

    def step(self, *data: Any) -> Any:
        """One step of plain gradient descent; returns the loss before it."""
        with tf.GradientTape() as tape:
            loss = self.loss(*data)
        for variable, gradient in zip(self.variables, tape.gradient(loss, self.variables), strict=True):
            variable.assign_sub(RATE_OF_DESCENT * gradient)
        return loss

    def loss(self, *data: Any) -> Any:
        """Of a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define loss(*data)")


class Shallow(Network):
    """M1."""

    names = SHALLOW

    def loss(self, images: Any, labels: Any) -> Any:
        """pixels -> tanh -> classes."""
        w1, b1, w2, b2 = self.variables
        return cross_entropy(labels, tf.tanh(images @ w1 + b1) @ w2 + b2)


class Deep(Network):
    """M1b."""

    names = DEEP

    def __init__(self, start: list[Any]) -> None:
        super().__init__(start)
        self.first = [tf.Variable(tf.zeros_like(array)) for array in start]
        self.second = [tf.Variable(tf.zeros_like(array)) for array in start]
        self.count = tf.Variable(start[0].dtype.type(0))

    def reset(self) -> None:
        """Back to the start, moments included."""
        super().reset()
        for variable in (*self.first, *self.second, self.count):
            variable.assign(tf.zeros_like(variable))

    def loss(self, images: Any, labels: Any) -> Any:
        """pixels -> relu -> relu -> classes."""
        w1, b1, w2, b2, w3, b3 = self.variables
        hidden = tf.nn.relu(tf.nn.relu(images @ w1 + b1) @ w2 + b2)
        return cross_entropy(labels, hidden @ w3 + b3)

    def step(self, *data: Any) -> Any:
        """Adam."""
        with tf.GradientTape() as tape:
            loss = self.loss(*data)
        count = self.count.assign_add(1.0)
        rate = ADAM_RATE * tf.sqrt(1 - DECAY_2**count) / (1 - DECAY_1**count)
        gradients = tape.gradient(loss, self.variables)
        for variable, m, v, gradient in zip(self.variables, self.first, self.second, gradients, strict=True):
            first = m.assign_add((1 - DECAY_1) * (gradient - m))
            second = v.assign_add((1 - DECAY_2) * (tf.square(gradient) - v))
            variable.assign_sub(rate * first / (tf.sqrt(second) + ADAM_EPSILON))
        return loss


class Logistic(Network):
    """M2."""

    names = LOGISTIC

    def loss(self, x: Any, y: Any) -> Any:
        """The mean of log(1 + exp(z)) - y z."""
        w, b = self.variables
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels=y, logits=x @ w + b))


def training_case(kind: type[Network], inputs: Inputs, xla: bool) -> Case:
    """A case whose call is one training step."""
    network = kind([inputs[name] for name in kind.names])
    data = [tf.constant(array) for name, array in inputs.items() if name not in kind.names]
    step = tf.function(network.step, jit_compile=xla)
    return Case(partial(step, *data), lambda loss: [part.numpy() for part in (loss, *network.variables)], network.reset)


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
