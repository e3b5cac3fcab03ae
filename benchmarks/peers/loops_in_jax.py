"""The loops for JAX: `while_loop`, `fori_loop`, `scan`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

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

__all__ = ["FUNCTIONS", "compared"]


def cube_root(a: Any) -> Any:
    """C1."""

    def goes_on(state: Any) -> Any:
        x, step = state
        return jnp.abs(step) > NEAR * jnp.abs(x)

    def body(state: Any) -> Any:
        x, _ = state
        step = (x * x * x - a) / (3.0 * x * x)
        return x - step, step

    return jax.lax.while_loop(goes_on, body, (a, a))[0]


def slopes(x: Any, y: Any, z: Any) -> Any:
    """Of Lorenz's equations."""
    return PRANDTL * (y - x), x * (RAYLEIGH - z) - y, x * y - RATIO * z


def attractor(x: Any, y: Any, z: Any, steps: Any) -> Any:
    """C2."""
    half, sixth = TIME_STEP / 2, TIME_STEP / 6

    def step(_: Any, point: Any) -> Any:
        x, y, z = point
        x1, y1, z1 = slopes(x, y, z)
        x2, y2, z2 = slopes(x + half * x1, y + half * y1, z + half * z1)
        x3, y3, z3 = slopes(x + half * x2, y + half * y2, z + half * z2)
        x4, y4, z4 = slopes(x + TIME_STEP * x3, y + TIME_STEP * y3, z + TIME_STEP * z3)
        return (
            x + sixth * (x1 + 2.0 * x2 + 2.0 * x3 + x4),
            y + sixth * (y1 + 2.0 * y2 + 2.0 * y3 + y4),
            z + sixth * (z1 + 2.0 * z2 + 2.0 * z3 + z4),
        )

    return jax.lax.fori_loop(0, steps, step, (x, y, z))


def vector_attractor(point: Any, steps: Any) -> Any:
    """C2v."""

    def step(_: Any, point: Any) -> Any:
        return runge_kutta(lambda at: jnp.stack(slopes(*at)), point)

    return jax.lax.fori_loop(0, steps, step, point)


def mandelbrot(cr: Any, ci: Any) -> Any:
    """C3."""

    def round_of(_: Any, state: Any) -> Any:
        zr, zi, counts = state
        inside = zr * zr + zi * zi <= ESCAPED
        counts = counts + inside.astype(cr.dtype)
        return jnp.where(inside, zr * zr - zi * zi + cr, zr), jnp.where(inside, 2.0 * zr * zi + ci, zi), counts

    return jax.lax.fori_loop(0, ROUNDS, round_of, (jnp.zeros_like(cr),) * 3)[2]


def rnn_loss(values: Any, x: Any) -> Any:
    """C4, without the gradient; the products with the inputs are one."""
    wx, wh, b = values

    def step(h: Any, product: Any) -> Any:
        return jnp.tanh(product + h @ wh), None

    h, _ = jax.lax.scan(step, jnp.zeros((x.shape[1], wh.shape[0]), x.dtype), x @ wx + b)
    return jnp.mean(jnp.square(h))


def gru_loss(values: Any, x: Any) -> Any:
    """C5, without the gradient; the products with the inputs are one."""
    wx, wh, b, bh = values

    def step(h: Any, product: Any) -> Any:
        oz, orr, oc = jnp.split(product, 3, axis=1)
        iz, ir, ic = jnp.split(h @ wh + bh, 3, axis=1)
        z, r = jax.nn.sigmoid(oz + iz), jax.nn.sigmoid(orr + ir)
        return z * h + (1 - z) * jnp.tanh(oc + r * ic), None

    h, _ = jax.lax.scan(step, jnp.zeros((x.shape[1], wh.shape[0]), x.dtype), x @ wx + b)
    return jnp.mean(jnp.square(h))


def with_gradient(loss: Callable[..., Any], x: Any, *values: Any) -> Any:
    """The loss and its gradients by the parameters."""
    value, gradients = jax.value_and_grad(loss)(values, x)
    return value, *gradients


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
