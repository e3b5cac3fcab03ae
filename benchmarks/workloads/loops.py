"""C1 to C5: loops: Newton's method, Lorenz's attractor, the Mandelbrot set, recurrent networks with their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload

NEAR = 1e-6
"""Newton's method ends when a step is at most this part of the root."""
PRANDTL = 10.0
RAYLEIGH = 28.0
RATIO = 8.0 / 3.0
"""The three numbers of Lorenz's attractor."""
TIME_STEP = 1e-4
ROUNDS = 100
"""Of the Mandelbrot iteration."""
ESCAPED = 4.0
"""The square of the distance from which no point returns."""
RNN = ("wx", "wh", "b")
GRU = ("wx", "wh", "b", "bh")
"""The parameters, in the order in which their gradients follow the loss."""


def newton_inputs(random: np.random.Generator) -> Arrays:
    """What the cube root is wanted of."""
    return {"a": np.asarray(random.uniform(900, 1100))}


def cube_root(a: Array) -> list[Array]:
    """x -= (x^3 - a) / (3 x^2), from x = a on, until the step is small."""
    x = float(a)
    step = x
    while abs(step) > NEAR * abs(x):
        step = (x * x * x - float(a)) / (3.0 * x * x)
        x -= step
    return [np.asarray(x)]


def attractor_inputs(random: np.random.Generator, steps: int) -> Arrays:
    """A point near the attractor, in three numbers, and how many steps are made."""
    x, y, z = random.uniform([0.5, 0.5, 20.0], [1.5, 1.5, 22.0])
    return {"x": np.asarray(x), "y": np.asarray(y), "z": np.asarray(z), "steps": np.asarray(steps)}


def vector_inputs(random: np.random.Generator, steps: int) -> Arrays:
    """The same with the point in a vector."""
    x, y, z, count = attractor_inputs(random, steps).values()
    return {"point": np.array([x, y, z], np.float64), "steps": count}


def attractor(x: Array, y: Array, z: Array, steps: Array) -> list[Array]:
    """So many steps of the classical Runge-Kutta method.

    Lorenz, E. N. (1963), Deterministic Nonperiodic Flow.
    """
    return list(vector_attractor(np.array([x, y, z]), steps)[0])


def vector_attractor(point: Array, steps: Array) -> list[Array]:
    """The same with the point in a vector."""
    for _ in range(int(steps)):
        point = runge_kutta(slope, point)
    return [point]


def slope(point: Array) -> Array:
    """Of Lorenz's equations."""
    x, y, z = point.tolist()
    return np.array([PRANDTL * (y - x), x * (RAYLEIGH - z) - y, x * y - RATIO * z])


def runge_kutta(slope: Callable[[Any], Any], point: Any) -> Any:
    """One step of the classical method of fourth order."""
    k1 = slope(point)
    k2 = slope(point + (TIME_STEP / 2) * k1)
    k3 = slope(point + (TIME_STEP / 2) * k2)
    k4 = slope(point + TIME_STEP * k3)
    return point + (TIME_STEP / 6) * (k1 + 2 * k2 + 2 * k3 + k4)


def plane_inputs(random: np.random.Generator, count: int) -> Arrays:
    """A square grid of points around the set."""
    across, up = np.meshgrid(np.linspace(-2.0, 0.6, count), np.linspace(-1.3, 1.3, count))
    return {"cr": across, "ci": up}


def mandelbrot(cr: Array, ci: Array) -> list[Array]:
    """After how many rounds of z^2 + c a point has escaped, as `compared`."""
    zr, zi, counts = np.zeros_like(cr), np.zeros_like(ci), np.zeros_like(cr)
    for _ in range(ROUNDS):
        inside = zr * zr + zi * zi <= ESCAPED
        counts += inside
        zr, zi = np.where(inside, zr * zr - zi * zi + cr, zr), np.where(inside, 2 * zr * zi + ci, zi)
    return compared(counts)


def compared(counts: Any) -> list[Any]:
    """The mean of each column: single points at the edge of the set depend on the last bit of their path."""
    counts = np.asarray(counts)
    return [counts.mean(axis=0, dtype=counts.dtype)]


def rnn_inputs(random: np.random.Generator, time: int, batch: int, width: int) -> Arrays:
    """Sequences, and the parameters of a cell."""
    return _cell_inputs(random, time, batch, width, 1)


def gru_inputs(random: np.random.Generator, time: int, batch: int, width: int) -> Arrays:
    """Sequences, and the parameters of a cell with gates: update, reset, candidate."""
    return _cell_inputs(random, time, batch, width, 3) | {"bh": random.normal(0, 0.1, 3 * width)}


def _cell_inputs(random: np.random.Generator, time: int, batch: int, width: int, gates: int) -> Arrays:
    return {
        "x": random.normal(0, 1, (time, batch, width)),
        "wx": random.normal(0, np.sqrt(1 / width), (width, gates * width)),
        "wh": random.normal(0, np.sqrt(1 / width), (width, gates * width)),
        "b": random.normal(0, 0.1, gates * width),
    }


def rnn_gradient(x: Array, wx: Array, wh: Array, b: Array) -> list[Array]:
    """h' = tanh(x wx + h wh + b) through all times; the mean of the last h squared, and its gradients."""
    states = [np.zeros((x.shape[1], wh.shape[0]), x.dtype)]
    for row in x:
        states.append(np.tanh(row @ wx + states[-1] @ wh + b))
    last = states[-1]
    gradients = [np.zeros_like(wx), np.zeros_like(wh), np.zeros_like(b)]
    g = (2 / last.size) * last
    for row, before, after in zip(x[::-1], states[-2::-1], states[:0:-1], strict=True):
        inner = g * (1 - after * after)
        gradients[0] += row.T @ inner
        gradients[1] += before.T @ inner
        gradients[2] += inner.sum(axis=0)
        g = inner @ wh.T
    return [np.mean(last * last), *gradients]


def gru_gradient(x: Array, wx: Array, wh: Array, b: Array, bh: Array) -> list[Array]:
    """The same for a cell with gates, whose reset gate acts behind the product with the state.

    Cho, K. et al. (2014), Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine
    Translation, in the form of cuDNN.
    """
    width = wh.shape[0]
    h = np.zeros((x.shape[1], width), x.dtype)
    kept = []
    for row in x:
        outer, inner = row @ wx + b, h @ wh + bh
        gates = 1 / (1 + np.exp(-(outer[:, : 2 * width] + inner[:, : 2 * width])))
        z, r = gates[:, :width], gates[:, width:]
        candidate = np.tanh(outer[:, 2 * width :] + r * inner[:, 2 * width :])
        kept.append((row, h, z, r, candidate, inner[:, 2 * width :]))
        h = z * h + (1 - z) * candidate
    gradients = [np.zeros_like(wx), np.zeros_like(wh), np.zeros_like(b), np.zeros_like(bh)]
    g = (2 / h.size) * h
    for row, before, z, r, candidate, product in reversed(kept):
        gc = g * (1 - z) * (1 - candidate * candidate)
        gz, gr = g * (before - candidate) * z * (1 - z), gc * product * r * (1 - r)
        outer, inner = np.concatenate([gz, gr, gc], axis=1), np.concatenate([gz, gr, gc * r], axis=1)
        gradients[0] += row.T @ outer
        gradients[1] += before.T @ inner
        gradients[2] += outer.sum(axis=0)
        gradients[3] += inner.sum(axis=0)
        g = g * z + inner @ wh.T
    return [np.mean(h * h), *gradients]


_ROUNDED = {"float32": Tolerance(1e-5, 0.0), "float64": Tolerance(1e-14, 0.0)}
_STEPPED = {"float32": Tolerance(1e-2, 1e-3), "float64": Tolerance(1e-11, 1e-11)}
_LEARNED = {"float32": Tolerance(1e-3, 1e-5), "float64": Tolerance(1e-11, 1e-13)}

WORKLOADS = (
    Workload("C1", "cube root by Newton's method", {"s": ()}, newton_inputs, cube_root, _ROUNDED),
    Workload("C2", "Lorenz's attractor, Runge-Kutta", {"s": (10_000,)}, attractor_inputs, attractor, _STEPPED),
    Workload("C2v", "the same on a vector", {"s": (10_000,)}, vector_inputs, vector_attractor, _STEPPED),
    Workload(
        "C3",
        "Mandelbrot set, 100 rounds",
        {"s": (128,), "m": (512,)},
        plane_inputs,
        mandelbrot,
        {"float32": Tolerance(0.05, 2.0), "float64": Tolerance(0.02, 1.0)},
    ),
    Workload("C4", "RNN with gradient: time, batch, width", {"s": (50, 32, 64)}, rnn_inputs, rnn_gradient, _LEARNED),
    Workload("C5", "GRU with gradient: time, batch, width", {"s": (50, 32, 64)}, gru_inputs, gru_gradient, _LEARNED),
)
