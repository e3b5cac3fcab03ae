"""The loops for graphjit, as one writes them in Python: their statements become loops of the graph."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import graphjit as gj
from benchmarks.case import Case, Inputs
from benchmarks.workloads.loops import (
    ESCAPED,
    NEAR,
    PRANDTL,
    RATIO,
    RAYLEIGH,
    ROUNDS,
    TIME_STEP,
    compared,
    runge_kutta,
)


def cube_root(a: Any) -> Any:
    """C1."""
    x = step = a
    while gj.abs(step) > NEAR * gj.abs(x):
        step = (x * x * x - a) / (3.0 * x * x)
        x = x - step
    return x


def attractor(x: Any, y: Any, z: Any, steps: Any) -> Any:
    """C2."""
    half, sixth = TIME_STEP / 2, TIME_STEP / 6
    for _ in range(steps):
        x1, y1, z1 = slopes(x, y, z)
        x2, y2, z2 = slopes(x + half * x1, y + half * y1, z + half * z1)
        x3, y3, z3 = slopes(x + half * x2, y + half * y2, z + half * z2)
        x4, y4, z4 = slopes(x + TIME_STEP * x3, y + TIME_STEP * y3, z + TIME_STEP * z3)
        x = x + sixth * (x1 + 2.0 * x2 + 2.0 * x3 + x4)
        y = y + sixth * (y1 + 2.0 * y2 + 2.0 * y3 + y4)
        z = z + sixth * (z1 + 2.0 * z2 + 2.0 * z3 + z4)
    return x, y, z


def slopes(x: Any, y: Any, z: Any) -> Any:
    """Of Lorenz's equations."""
    return PRANDTL * (y - x), x * (RAYLEIGH - z) - y, x * y - RATIO * z


def vector_attractor(point: Any, steps: Any) -> Any:
    """C2v."""
    for _ in range(steps):
        point = runge_kutta(lambda at: gj.stack(slopes(*gj.unstack(at))), point)
    return point


def mandelbrot(cr: Any, ci: Any) -> Any:
    """C3."""
    zr, zi, counts = gj.zeros_like(cr), gj.zeros_like(ci), gj.zeros_like(cr)
    for _ in gj.range(ROUNDS):
        inside = zr * zr + zi * zi <= ESCAPED
        counts = counts + gj.cast(inside, cr.dtype)
        zr, zi = gj.where(inside, zr * zr - zi * zi + cr, zr), gj.where(inside, 2.0 * zr * zi + ci, zi)
    return counts


def rnn_loss(x: Any, wx: Any, wh: Any, b: Any) -> Any:
    """C4, without the gradient."""
    h = gj.zeros((x.shape[1], wh.shape[0]), x.dtype)
    for row in x:
        h = gj.tanh(row @ wx + h @ wh + b)
    return gj.reduce_mean(gj.square(h))


def gru_loss(x: Any, wx: Any, wh: Any, b: Any, bh: Any) -> Any:
    """C5, without the gradient."""
    h = gj.zeros((x.shape[1], wh.shape[0]), x.dtype)
    for row in x:
        oz, orr, oc = gj.split(row @ wx + b, 3, axis=1)
        iz, ir, ic = gj.split(h @ wh + bh, 3, axis=1)
        z, r = gj.sigmoid(oz + iz), gj.sigmoid(orr + ir)
        h = z * h + (1.0 - z) * gj.tanh(oc + r * ic)
    return gj.reduce_mean(gj.square(h))


def with_gradient(loss: Callable[..., Any], x: Any, *values: Any) -> Any:
    """The loss and its gradients by the parameters, from the tape."""
    with gj.GradientTape() as tape:
        tape.watch(values)
        value = loss(x, *values)
    return value, *tape.gradient(value, values)


def rnn(x: Any, *values: Any) -> Any:
    """C4."""
    return with_gradient(rnn_loss, x, *values)


def gru(x: Any, *values: Any) -> Any:
    """C5."""
    return with_gradient(gru_loss, x, *values)


def loop_case(workload: str, mode: str, inputs: Inputs) -> Case:
    """A case of one of the loops."""
    function = FUNCTIONS[workload]
    run = gj.compile(function) if mode == "graphjit" else function
    call = partial(run, *map(gj.constant, inputs.values()))
    return Case(call, lambda counts: compared(counts.numpy())) if workload == "C3" else Case(call)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "C1": cube_root,
    "C2": attractor,
    "C2v": vector_attractor,
    "C3": mandelbrot,
    "C4": rnn,
    "C5": gru,
}
