"""M1, M1b, M2: one training step in one function, loss, gradients and update; the result is the loss and the new state.

The order of the results is the loss, then the parameters in the order of the inputs.
"""

from __future__ import annotations

import itertools

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload

RATE = 0.1
"""Of the gradient descent in M1 and M2."""
ADAM_RATE = 1e-3
DECAY_1 = 0.9
DECAY_2 = 0.999
ADAM_EPSILON = 1e-7
SHALLOW = ("w1", "b1", "w2", "b2")
DEEP = ("w1", "b1", "w2", "b2", "w3", "b3")
LOGISTIC = ("w", "b")


def network_inputs(random: np.random.Generator, batch: int, *widths: int) -> Arrays:
    """Images, labels, and the parameters of layers of these widths."""
    made: Arrays = {
        "images": random.uniform(0, 1, (batch, widths[0])),
        "labels": random.integers(0, widths[-1], batch),  # type: ignore[dict-item]  # the only whole numbers
    }
    for number, (inner, outer) in enumerate(itertools.pairwise(widths), 1):
        made[f"w{number}"] = random.normal(0, np.sqrt(2 / inner), (inner, outer))
        made[f"b{number}"] = np.zeros(outer)
    return made


def cross_entropy(logits: Array, labels: Array) -> tuple[float, Array]:
    """The mean cross entropy, and its gradient with respect to the logits."""
    rows = np.arange(len(labels))
    largest = logits.max(axis=1, keepdims=True)
    powers = np.exp(logits - largest)
    totals = powers.sum(axis=1, keepdims=True)
    loss = np.mean(np.log(totals[:, 0]) + largest[:, 0] - logits[rows, labels])
    gradient = powers / totals
    gradient[rows, labels] -= 1
    return loss, gradient / len(labels)


def descend(images: Array, labels: Array, steps: int = 5, **state: Array) -> list[Array]:
    """M1 by hand: pixels -> tanh -> classes, plain gradient descent."""
    w1, b1, w2, b2 = (state[name].copy() for name in SHALLOW)
    for _ in range(steps):
        hidden = np.tanh(images @ w1 + b1)
        loss, gradient = cross_entropy(hidden @ w2 + b2, labels)
        inner = (gradient @ w2.T) * (1 - hidden * hidden)
        w2 -= RATE * (hidden.T @ gradient)
        b2 -= RATE * gradient.sum(axis=0)
        w1 -= RATE * (images.T @ inner)
        b1 -= RATE * inner.sum(axis=0)
    return [np.asarray(loss), w1, b1, w2, b2]


def adapt(images: Array, labels: Array, steps: int = 3, **state: Array) -> list[Array]:
    """M1b by hand: two hidden layers with relu, Adam.

    Kingma, D. P. and Ba, J. (2014), Adam: A Method for Stochastic Optimization.
    """
    values = [state[name].copy() for name in DEEP]
    first = [np.zeros_like(value) for value in values]
    second = [np.zeros_like(value) for value in values]
    for step in range(1, steps + 1):
        loss, gradients = deep_gradients(images, labels, values)
        rate = ADAM_RATE * np.sqrt(1 - DECAY_2**step) / (1 - DECAY_1**step)
        for value, m, v, gradient in zip(values, first, second, gradients, strict=True):
            m += (1 - DECAY_1) * (gradient - m)
            v += (1 - DECAY_2) * (gradient * gradient - v)
            value -= rate * m / (np.sqrt(v) + ADAM_EPSILON)
    return [np.asarray(loss), *values]


def deep_gradients(images: Array, labels: Array, values: list[Array]) -> tuple[float, list[Array]]:
    """The loss of the network with two hidden layers, and the gradients of its parameters."""
    w1, b1, w2, b2, w3, b3 = values
    first = np.maximum(images @ w1 + b1, 0)
    second = np.maximum(first @ w2 + b2, 0)
    loss, g3 = cross_entropy(second @ w3 + b3, labels)
    g2 = (g3 @ w3.T) * (second > 0)
    g1 = (g2 @ w2.T) * (first > 0)
    parts = ((images, g1), (first, g2), (second, g3))
    return loss, [part for left, right in parts for part in (left.T @ right, right.sum(axis=0))]


def logistic_inputs(random: np.random.Generator, rows: int, columns: int) -> Arrays:
    """Points, which of two classes they are in, and the first parameters."""
    x = random.standard_normal((rows, columns))
    y = (x @ np.ones((columns, 1)) + random.standard_normal((rows, 1)) > 0).astype(np.float64)
    return {"x": x, "y": y, "w": random.normal(0, 0.1, (columns, 1)), "b": np.zeros(1)}


def regress(x: Array, y: Array, w: Array, b: Array, steps: int = 5) -> list[Array]:
    """M2 by hand: mean(log(1 + exp(z)) - y z), stably, and gradient descent."""
    w, b = w.copy(), b.copy()
    for _ in range(steps):
        z = x @ w + b
        loss = np.mean(np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z))))
        gradient = (1 / (1 + np.exp(-z)) - y) / len(y)
        w -= RATE * (x.T @ gradient)
        b -= RATE * gradient.sum(axis=0)
    return [np.asarray(loss), w, b]


WORKLOADS = (
    Workload(
        "M1",
        "training step 784-20-10, batch 64, gradient descent",
        {"s": (64, 784, 20, 10)},
        network_inputs,
        descend,
        {"float32": Tolerance(1e-4, 1e-5), "float64": Tolerance(1e-11, 1e-13)},
        steps=5,
    ),
    Workload(
        "M1b",
        "training step 784-512-512-10, batch 128, Adam",
        {"m": (128, 784, 512, 512, 10)},
        network_inputs,
        adapt,
        {"float32": Tolerance(1e-4, 1e-4), "float64": Tolerance(1e-10, 1e-10)},
        steps=3,
    ),
    Workload(
        "M2",
        "logistic regression step, 1000 x 2, full batch",
        {"s": (1000, 2)},
        logistic_inputs,
        regress,
        {"float32": Tolerance(1e-5, 1e-6), "float64": Tolerance(1e-12, 1e-14)},
        steps=5,
    ),
)
