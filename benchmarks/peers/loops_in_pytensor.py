"""The loops for PyTensor: `scan`, whose steps are known, or that ends by `until`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytensor
from pytensor import tensor
from pytensor.scan.utils import until

from benchmarks.workloads.loops import ESCAPED, NEAR, PRANDTL, RATIO, RAYLEIGH, ROUNDS, TIME_STEP, compared, runge_kutta

__all__ = ["FUNCTIONS", "compared"]

_MOST_STEPS = 1000
"""Of Newton's method: a scan has a last one."""


def cube_root(a: Any) -> Any:
    """C1."""

    def body(x: Any, a: Any) -> Any:
        step = (x * x * x - a) / (3.0 * x * x)
        return x - step, until(tensor.le(abs(step), NEAR * abs(x - step)))

    found = pytensor.scan(body, outputs_info=[a], non_sequences=[a], n_steps=_MOST_STEPS, return_updates=False)
    return found[-1]


def slopes(x: Any, y: Any, z: Any) -> Any:
    """Of Lorenz's equations."""
    return PRANDTL * (y - x), x * (RAYLEIGH - z) - y, x * y - RATIO * z


def attractor(x: Any, y: Any, z: Any, steps: Any) -> Any:
    """C2."""
    half, sixth = TIME_STEP / 2, TIME_STEP / 6

    def step(x: Any, y: Any, z: Any) -> Any:
        x1, y1, z1 = slopes(x, y, z)
        x2, y2, z2 = slopes(x + half * x1, y + half * y1, z + half * z1)
        x3, y3, z3 = slopes(x + half * x2, y + half * y2, z + half * z2)
        x4, y4, z4 = slopes(x + TIME_STEP * x3, y + TIME_STEP * y3, z + TIME_STEP * z3)
        return [
            x + sixth * (x1 + 2.0 * x2 + 2.0 * x3 + x4),
            y + sixth * (y1 + 2.0 * y2 + 2.0 * y3 + y4),
            z + sixth * (z1 + 2.0 * z2 + 2.0 * z3 + z4),
        ]

    found = pytensor.scan(step, outputs_info=[x, y, z], n_steps=steps, return_updates=False)
    return tuple(part[-1] for part in found)


def vector_attractor(point: Any, steps: Any) -> Any:
    """C2v."""

    def step(point: Any) -> Any:
        return runge_kutta(lambda at: tensor.stack(slopes(at[0], at[1], at[2])), point)

    return pytensor.scan(step, outputs_info=[point], n_steps=steps, return_updates=False)[-1]


def mandelbrot(cr: Any, ci: Any) -> Any:
    """C3."""

    def step(zr: Any, zi: Any, counts: Any, cr: Any, ci: Any) -> Any:
        inside = zr * zr + zi * zi <= ESCAPED
        return [
            tensor.where(inside, zr * zr - zi * zi + cr, zr),
            tensor.where(inside, 2.0 * zr * zi + ci, zi),
            counts + inside.astype(cr.dtype),
        ]

    zeros = tensor.zeros_like(cr)
    found = pytensor.scan(step, outputs_info=[zeros] * 3, non_sequences=[cr, ci], n_steps=ROUNDS, return_updates=False)
    return found[2][-1]


def rnn_loss(x: Any, wx: Any, wh: Any, b: Any) -> Any:
    """C4, without the gradient; the products with the inputs are one."""

    def step(product: Any, h: Any, wh: Any) -> Any:
        return tensor.tanh(product + h @ wh)

    start = tensor.zeros((x.shape[1], wh.shape[0]), x.dtype)
    found = pytensor.scan(step, sequences=[x @ wx + b], outputs_info=[start], non_sequences=[wh], return_updates=False)
    return tensor.mean(tensor.sqr(found[-1]))


def gru_loss(x: Any, wx: Any, wh: Any, b: Any, bh: Any) -> Any:
    """C5, without the gradient; the products with the inputs are one."""

    def step(product: Any, h: Any, wh: Any, bh: Any) -> Any:
        width = wh.shape[0]
        inner = h @ wh + bh
        gates = tensor.sigmoid(product[:, : 2 * width] + inner[:, : 2 * width])
        z, r = gates[:, :width], gates[:, width:]
        return z * h + (1.0 - z) * tensor.tanh(product[:, 2 * width :] + r * inner[:, 2 * width :])

    start = tensor.zeros((x.shape[1], wh.shape[0]), x.dtype)
    found = pytensor.scan(
        step, sequences=[x @ wx + b], outputs_info=[start], non_sequences=[wh, bh], return_updates=False
    )
    return tensor.mean(tensor.sqr(found[-1]))


def with_gradient(loss: Callable[..., Any], x: Any, *values: Any) -> Any:
    """The loss and its gradients by the parameters."""
    value = loss(x, *values)
    return value, *tensor.grad(value, list(values))


def rnn(x: Any, *values: Any) -> Any:
    """C4."""
    return with_gradient(rnn_loss, x, *values)


def gru(x: Any, *values: Any) -> Any:
    """C5."""
    return with_gradient(gru_loss, x, *values)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "C1": cube_root,
    "C2": attractor,
    "C2v": vector_attractor,
    "C3": mandelbrot,
    "C4": rnn,
    "C5": gru,
}
