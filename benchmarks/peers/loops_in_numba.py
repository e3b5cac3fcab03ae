"""The loops in Numba, by hand as in `for_numba`; the products of all times of a network are one product each."""

from __future__ import annotations

import math
from typing import Any

import numba
import numpy as np

from benchmarks.workloads.loops import ESCAPED, NEAR, PRANDTL, RATIO, RAYLEIGH, ROUNDS, TIME_STEP, compared


def cube_root(compiled: Any, real: Any) -> Any:
    """C1."""
    near, three = real(NEAR), real(3)

    @compiled
    def run(a):
        x = step = a
        while abs(step) > near * abs(x):
            step = (x * x * x - a) / (three * x * x)
            x -= step
        return x

    return run


def attractor(compiled: Any, real: Any) -> Any:
    """C2."""
    prandtl, rayleigh, ratio, two = real(PRANDTL), real(RAYLEIGH), real(RATIO), real(2)
    step, half, sixth = real(TIME_STEP), real(TIME_STEP / 2), real(TIME_STEP / 6)

    @numba.njit(fastmath=True, error_model="numpy")
    def slopes(x, y, z):
        return prandtl * (y - x), x * (rayleigh - z) - y, x * y - ratio * z

    @compiled
    def run(x, y, z, steps):
        for _ in range(steps):
            x1, y1, z1 = slopes(x, y, z)
            x2, y2, z2 = slopes(x + half * x1, y + half * y1, z + half * z1)
            x3, y3, z3 = slopes(x + half * x2, y + half * y2, z + half * z2)
            x4, y4, z4 = slopes(x + step * x3, y + step * y3, z + step * z3)
            x = x + sixth * (x1 + two * x2 + two * x3 + x4)
            y = y + sixth * (y1 + two * y2 + two * y3 + y4)
            z = z + sixth * (z1 + two * z2 + two * z3 + z4)
        return x, y, z

    return run


def vector_attractor(compiled: Any, real: Any) -> Any:
    """C2v: numbers inside, an array outside."""
    scalars = attractor(numba.njit(fastmath=True, error_model="numpy"), real)

    @compiled
    def run(point, steps):
        x, y, z = scalars(point[0], point[1], point[2], steps)
        result = np.empty_like(point)
        result[0], result[1], result[2] = x, y, z
        return result

    return run


def mandelbrot(compiled: Any, real: Any) -> Any:
    """C3: each point until it has escaped."""
    escaped, two, one = real(ESCAPED), real(2), real(1)

    @compiled
    def run(cr, ci):
        counts = np.empty_like(cr)
        for i in numba.prange(cr.shape[0]):
            for j in range(cr.shape[1]):
                zr = zi = count = real(0)
                for _ in range(ROUNDS):
                    rr, ii = zr * zr, zi * zi
                    if rr + ii > escaped:
                        break
                    zi = two * zr * zi + ci[i, j]
                    zr = rr - ii + cr[i, j]
                    count += one
                counts[i, j] = count
        return counts

    return run


def sum_rows_maker() -> Any:
    """The sums of the columns of a matrix."""

    @numba.njit(fastmath=True, error_model="numpy")
    def run(x):
        sums = np.zeros(x.shape[1], x.dtype)
        for i in range(x.shape[0]):
            for j in range(x.shape[1]):
                sums[j] += x[i, j]
        return sums

    return run


def rnn(compiled: Any, real: Any) -> Any:
    """C4."""
    one, two = real(1), real(2)
    sum_rows = sum_rows_maker()

    @compiled
    def run(x, wx, wh, b):
        time, batch, width = x.shape
        rows = x.reshape(time * batch, width)
        states = np.zeros((time + 1, batch, width), x.dtype)
        product = np.dot(rows, wx).reshape(time, batch, width)
        inner = np.empty_like(product)
        for t in range(time):
            made = np.dot(states[t], wh)
            for i in range(batch):
                for j in range(width):
                    states[t + 1, i, j] = math.tanh(made[i, j] + product[t, i, j] + b[j])
        loss = real(0)
        g = np.empty((batch, width), x.dtype)
        for i in range(batch):
            for j in range(width):
                loss += states[time, i, j] * states[time, i, j]
                g[i, j] = two / real(g.size) * states[time, i, j]
        for back in range(time):
            t = time - 1 - back
            for i in range(batch):
                for j in range(width):
                    inner[t, i, j] = g[i, j] * (one - states[t + 1, i, j] * states[t + 1, i, j])
            g = np.dot(inner[t], wh.T)
        flat = inner.reshape(time * batch, width)
        before = states[:-1].reshape(time * batch, width)
        return loss / real(g.size), np.dot(rows.T, flat), np.dot(before.T, flat), sum_rows(flat)

    return run


def gru(compiled: Any, real: Any) -> Any:
    """C5."""
    one, two = real(1), real(2)
    sum_rows = sum_rows_maker()

    @numba.njit(fastmath=True, error_model="numpy")
    def sigmoid(x):
        return one / (one + math.exp(-x))

    @numba.njit(fastmath=True, error_model="numpy")
    def forward(gates, made, bh, before, after, kept):
        batch, width = before.shape
        for i in range(batch):
            for j in range(width):
                z = sigmoid(gates[i, j] + made[i, j] + bh[j])
                r = sigmoid(gates[i, width + j] + made[i, width + j] + bh[width + j])
                kept[i, j] = made[i, 2 * width + j] + bh[2 * width + j]
                candidate = math.tanh(gates[i, 2 * width + j] + r * kept[i, j])
                gates[i, j], gates[i, width + j], gates[i, 2 * width + j] = z, r, candidate
                after[i, j] = z * before[i, j] + (one - z) * candidate

    @numba.njit(fastmath=True, error_model="numpy")
    def backward(gates, before, kept, g, outer, inner):
        batch, width = before.shape
        for i in range(batch):
            for j in range(width):
                z, r, candidate = gates[i, j], gates[i, width + j], gates[i, 2 * width + j]
                gc = g[i, j] * (one - z) * (one - candidate * candidate)
                gz = g[i, j] * (before[i, j] - candidate) * z * (one - z)
                gr = gc * kept[i, j] * r * (one - r)
                outer[i, j], outer[i, width + j], outer[i, 2 * width + j] = gz, gr, gc
                inner[i, j], inner[i, width + j], inner[i, 2 * width + j] = gz, gr, gc * r
                g[i, j] *= z

    @compiled
    def run(x, wx, wh, b, bh):
        time, batch, width = x.shape
        rows = x.reshape(time * batch, width)
        states = np.zeros((time + 1, batch, width), x.dtype)
        product = np.dot(rows, wx)
        for i in range(product.shape[0]):
            for j in range(3 * width):
                product[i, j] += b[j]
        gates = product.reshape(time, batch, 3 * width)
        kept = np.empty_like(x)
        for t in range(time):
            forward(gates[t], np.dot(states[t], wh), bh, states[t], states[t + 1], kept[t])
        g = np.empty((batch, width), x.dtype)
        loss = real(0)
        for i in range(batch):
            for j in range(width):
                loss += states[time, i, j] * states[time, i, j]
                g[i, j] = two / real(g.size) * states[time, i, j]
        outer, inner = np.empty_like(gates), np.empty_like(gates)
        for back in range(time):
            t = time - 1 - back
            backward(gates[t], states[t], kept[t], g, outer[t], inner[t])
            g += np.dot(inner[t], wh.T)
        flat, within = outer.reshape(time * batch, 3 * width), inner.reshape(time * batch, 3 * width)
        before = states[:-1].reshape(time * batch, width)
        gradients = np.dot(rows.T, flat), np.dot(before.T, within), sum_rows(flat), sum_rows(within)
        return loss / real(g.size), gradients[0], gradients[1], gradients[2], gradients[3]

    return run


__all__ = ["MAKERS", "SERIAL", "compared"]

MAKERS = {
    "C1": cube_root,
    "C2": attractor,
    "C2v": vector_attractor,
    "C3": mandelbrot,
    "C4": rnn,
    "C5": gru,
}
SERIAL = ("C1", "C2", "C2v", "C4", "C5")
"""In which nothing can be done at the same time, or only within a product."""
