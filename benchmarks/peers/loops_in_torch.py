"""The loops for PyTorch, eager: `torch.compile` unrolls Python's loops, and takes minutes for 50 rounds.

Those of thousands of steps are not written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks.workloads.loops import ESCAPED, ROUNDS, compared

__all__ = ["FUNCTIONS", "compared"]


def mandelbrot(cr: Any, ci: Any) -> Any:
    """C3."""
    zr, zi, counts = torch.zeros_like(cr), torch.zeros_like(ci), torch.zeros_like(cr)
    for _ in range(ROUNDS):
        inside = zr * zr + zi * zi <= ESCAPED
        counts = counts + inside.to(cr.dtype)
        zr, zi = torch.where(inside, zr * zr - zi * zi + cr, zr), torch.where(inside, 2.0 * zr * zi + ci, zi)
    return counts


def rnn_loss(x: Any, wx: Any, wh: Any, b: Any) -> Any:
    """C4, without the gradient; the products with the inputs are one."""
    h = torch.zeros(x.shape[1], wh.shape[0], dtype=x.dtype)
    for product in torch.unbind(x @ wx + b):
        h = torch.tanh(torch.addmm(product, h, wh))
    return h.square().mean()


def gru_loss(x: Any, wx: Any, wh: Any, b: Any, bh: Any) -> Any:
    """C5, without the gradient; the products with the inputs are one."""
    h = torch.zeros(x.shape[1], wh.shape[0], dtype=x.dtype)
    for product in torch.unbind(x @ wx + b):
        oz, orr, oc = product.chunk(3, 1)
        iz, ir, ic = torch.addmm(bh, h, wh).chunk(3, 1)
        z, r = torch.sigmoid(oz + iz), torch.sigmoid(orr + ir)
        h = z * h + (1 - z) * torch.tanh(oc + r * ic)
    return h.square().mean()


def with_gradient(loss: Callable[..., Any], x: Any, *values: Any) -> Any:
    """The loss and its gradients by the parameters, from the tape."""
    leaves = [value.detach().requires_grad_() for value in values]
    value = loss(x, *leaves)
    return value.detach(), *torch.autograd.grad(value, leaves)


def rnn(x: Any, *values: Any) -> Any:
    """C4."""
    return with_gradient(rnn_loss, x, *values)


def gru(x: Any, *values: Any) -> Any:
    """C5."""
    return with_gradient(gru_loss, x, *values)


FUNCTIONS: dict[str, Callable[..., Any]] = {"C3": mandelbrot, "C4": rnn, "C5": gru}
