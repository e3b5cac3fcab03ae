"""PyTorch: eager, and `torch.compile` of the same functions."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from benchmarks.case import Case, Inputs, as_numpy
from benchmarks.peers import loops_in_torch
from benchmarks.workloads.elementwise import RATE, ROOT_HALF, VOLATILITY
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

torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "2")))


def versions() -> dict[str, str]:
    """PyTorch's."""
    return {"torch": torch.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on PyTorch's tensors; L1b is the one that takes and gives NumPy's arrays."""
    if workload in LOSSES:
        return training_case(*LOSSES[workload], inputs, compiled=mode == "torch-compile")
    if workload not in FUNCTIONS or (mode == "torch-compile" and workload in loops_in_torch.FUNCTIONS):
        return None
    run = specialised(FUNCTIONS[workload], mode == "torch-compile")
    if workload == "L1b":
        array = inputs["x"]
        return Case(lambda: run(torch.from_numpy(array)).numpy())
    tensors = [torch.from_numpy(array.copy()) for array in inputs.values()]
    return Case(lambda: run(*tensors), loops_in_torch.compared if workload == "C3" else as_numpy)


def specialised(function: Callable[..., Any], compiled: bool) -> Callable[..., Any]:
    """The function, compiled for one signature or as it is."""
    if not compiled:
        return function
    torch.compiler.reset()
    return torch.compile(function, fullgraph=True, dynamic=False)


def chain(x: Any) -> Any:
    """E1."""
    return (((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x


def option_values(spot: Any, strike: Any, years: Any) -> Any:
    """E2."""
    spread = VOLATILITY * torch.sqrt(years)
    d1 = (torch.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * torch.exp(-RATE * years)
    call = spot * normal_distribution(d1) - discounted * normal_distribution(d2)
    return call, call - spot + discounted


def normal_distribution(x: Any) -> Any:
    """The probability that a standard normal number is at most x."""
    return 0.5 + 0.5 * torch.erf(x * ROOT_HALF)


def activations(x: Any) -> Any:
    """E3."""
    return functional.gelu(torch.tanh(torch.sigmoid(x)), approximate="tanh")


def softmax(x: Any) -> Any:
    """R1."""
    return torch.softmax(x, dim=-1)


def layer_norm(x: Any) -> Any:
    """R2."""
    return functional.layer_norm(x, x.shape[-1:], eps=EPSILON)


def logsumexp(x: Any) -> Any:
    """R3a."""
    return torch.logsumexp(x, dim=-1)


def mean_squared_error(predictions: Any, targets: Any) -> Any:
    """R3b: the gradient by PyTorch's functional transformation, which also compiles."""
    gradient, value = torch.func.grad_and_value(functional.mse_loss)(predictions, targets)
    return value, gradient


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

    def value_of(x: Any) -> Any:
        return (100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum()

    gradient, value = torch.func.grad_and_value(value_of)(x)
    return value, gradient


def shallow_loss(values: Any, images: Any, labels: Any) -> Any:
    """M1."""
    w1, b1, w2, b2 = values
    return functional.cross_entropy(torch.tanh(images @ w1 + b1) @ w2 + b2, labels)


def deep_loss(values: Any, images: Any, labels: Any) -> Any:
    """M1b."""
    w1, b1, w2, b2, w3, b3 = values
    return functional.cross_entropy(torch.relu(torch.relu(images @ w1 + b1) @ w2 + b2) @ w3 + b3, labels)


def logistic_loss(values: Any, x: Any, y: Any) -> Any:
    """M2."""
    w, b = values
    return functional.binary_cross_entropy_with_logits(x @ w + b, y)


def gradients_of(loss: Callable[..., Any], values: list[Any], data: list[Any], compiled: bool) -> tuple[Any, Any]:
    """By the functional transformation, or eagerly by the tape, which is faster there."""
    if compiled:
        gradients, value = torch.func.grad_and_value(loss)(values, *data)
        return value, gradients
    leaves = [value.detach().requires_grad_() for value in values]
    value = loss(leaves, *data)
    return value.detach(), torch.autograd.grad(value, leaves)


class Training:
    """Parameters, moments and the step that updates them in place."""

    def __init__(self, loss: Callable[..., Any], start: list[Any], data: list[Any], adam: bool, compiled: bool) -> None:
        self.start = start
        self.values = [value.clone() for value in start]
        self.first = [torch.zeros_like(value) for value in start]
        self.second = [torch.zeros_like(value) for value in start]
        self.count = 0
        # a tensor: a Python number would be compiled anew for each value
        self.rate = torch.zeros((), dtype=start[0].dtype)

        def step(values: list[Any], first: list[Any], second: list[Any], rate: Any, *data: Any) -> Any:
            value, gradients = gradients_of(loss, values, list(data), compiled)
            with torch.no_grad():
                if adam:
                    adapt(values, gradients, first, second, rate)
                else:
                    torch._foreach_add_(values, gradients, alpha=-RATE_OF_DESCENT)
            return value

        self.step = specialised(step, compiled)
        self.data = data

    def reset(self) -> None:
        """Back to the start."""
        for value, first in zip(self.values, self.start, strict=True):
            value.copy_(first)
        for moment in (*self.first, *self.second):
            moment.zero_()
        self.count = 0

    def __call__(self) -> Any:
        """One step; the rate of Adam is a number of Python's arithmetic, as in PyTorch's own Adam."""
        self.count += 1
        self.rate.fill_(ADAM_RATE * math.sqrt(1 - DECAY_2**self.count) / (1 - DECAY_1**self.count))
        return self.step(self.values, self.first, self.second, self.rate, *self.data)


def adapt(values: Any, gradients: Any, first: Any, second: Any, rate: Any) -> None:
    """Adam's update."""
    torch._foreach_lerp_(first, gradients, 1 - DECAY_1)
    torch._foreach_mul_(second, DECAY_2)
    torch._foreach_addcmul_(second, gradients, gradients, 1 - DECAY_2)
    lengths = torch._foreach_sqrt(second)
    torch._foreach_add_(lengths, ADAM_EPSILON)
    steps = torch._foreach_div(first, lengths)
    torch._foreach_mul_(steps, rate)
    torch._foreach_sub_(values, steps)


def training_case(loss: Callable[..., Any], names: tuple[str, ...], inputs: Inputs, compiled: bool) -> Case:
    """A case whose call is one training step."""
    start = [torch.from_numpy(inputs[name].copy()) for name in names]
    data = [torch.from_numpy(array) for name, array in inputs.items() if name not in names]
    training = Training(loss, start, data, names is DEEP, compiled)
    return Case(training, lambda value: [part.numpy() for part in (value, *training.values)], training.reset)


LOSSES: dict[str, tuple[Callable[..., Any], tuple[str, ...]]] = {
    "M1": (shallow_loss, SHALLOW),
    "M1b": (deep_loss, DEEP),
    "M2": (logistic_loss, LOGISTIC),
}
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
    **loops_in_torch.FUNCTIONS,
}
