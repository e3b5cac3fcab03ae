"""PyTensor with its Numba backend, and with its C backend where no products are needed (those want a BLAS at build)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytensor
from pytensor import tensor

from benchmarks.case import Case, Inputs, aligned, as_numpy
from benchmarks.peers import loops_in_pytensor
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

_LINKERS = {"pytensor-numba": "NUMBA", "pytensor-c": "CVM"}

Symbols = list[Any]


def versions() -> dict[str, str]:
    """PyTensor's, and that of the Numba below it."""
    import numba

    return {"pytensor": pytensor.__version__, "numba": numba.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays; constants take the dtype of the arrays."""
    if mode == "pytensor-c" and workload in (*LOSSES, "K1", "C4", "C5"):
        return None
    real = next(str(array.dtype) for array in inputs.values() if array.dtype.kind == "f")
    with pytensor.config.change_flags(floatX=real):
        if workload in LOSSES:
            return training_case(*LOSSES[workload], inputs, _LINKERS[mode])
        if workload not in FUNCTIONS:
            return None
        results = loops_in_pytensor.compared if workload == "C3" else as_numpy
        return replace(function_case(FUNCTIONS[workload], inputs, _LINKERS[mode]), arrays=results)


def symbols_for(arrays: list[Any]) -> Symbols:
    """An unknown for each array, of its dtype and rank, as one would declare it."""
    return [tensor.tensor(dtype=str(array.dtype), shape=(None,) * array.ndim) for array in arrays]


def function_case(function: Callable[..., Any], inputs: Inputs, linker: str) -> Case:
    """A function of arrays."""
    arrays = list(inputs.values())
    symbols = symbols_for(arrays)
    outputs = [pytensor.Out(part, borrow=True) for part in as_symbols(function(*symbols))]
    run = pytensor.function(
        [pytensor.In(symbol, borrow=True) for symbol in symbols],
        outputs if len(outputs) > 1 else outputs[0],
        mode=linker,
        trust_input=True,
    )
    return Case(lambda: run(*arrays))


def as_symbols(result: Any) -> Symbols:
    """One or several."""
    return list(result) if isinstance(result, tuple) else [result]


def chain(x: Any) -> Any:
    """E1."""
    return (((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x


def option_values(spot: Any, strike: Any, years: Any) -> Any:
    """E2."""
    spread = VOLATILITY * tensor.sqrt(years)
    d1 = (tensor.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * tensor.exp(-RATE * years)
    call = spot * normal_distribution(d1) - discounted * normal_distribution(d2)
    return call, call - spot + discounted


def normal_distribution(x: Any) -> Any:
    """The probability that a standard normal number is at most x."""
    return 0.5 + 0.5 * tensor.erf(x * ROOT_HALF)


def activations(x: Any) -> Any:
    """E3."""
    y = tensor.tanh(tensor.sigmoid(x))
    return 0.5 * y * (1.0 + tensor.tanh(GELU_SCALE * (y + GELU_CUBE * y * y * y)))


def softmax(x: Any) -> Any:
    """R1."""
    return tensor.special.softmax(x, axis=-1)


def layer_norm(x: Any) -> Any:
    """R2."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred / tensor.sqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)


def logsumexp(x: Any) -> Any:
    """R3a."""
    return tensor.logsumexp(x, axis=-1)


def mean_squared_error(predictions: Any, targets: Any) -> Any:
    """R3b."""
    loss = tensor.mean(tensor.sqr(predictions - targets))
    return loss, tensor.grad(loss, predictions)


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
    value = tensor.sum(100.0 * tensor.sqr(x[1:] - tensor.sqr(x[:-1])) + tensor.sqr(1.0 - x[:-1]))
    return value, tensor.grad(value, x)


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean over the batch."""
    wanted = logits[tensor.arange(labels.shape[0]), labels]
    return tensor.mean(tensor.logsumexp(logits, axis=1) - wanted)


def shallow_loss(values: Symbols, images: Any, labels: Any) -> Any:
    """M1."""
    w1, b1, w2, b2 = values
    return cross_entropy(tensor.tanh(images @ w1 + b1) @ w2 + b2, labels)


def deep_loss(values: Symbols, images: Any, labels: Any) -> Any:
    """M1b."""
    w1, b1, w2, b2, w3, b3 = values
    hidden = tensor.maximum(tensor.maximum(images @ w1 + b1, 0.0) @ w2 + b2, 0.0)
    return cross_entropy(hidden @ w3 + b3, labels)


def logistic_loss(values: Symbols, x: Any, y: Any) -> Any:
    """M2."""
    w, b = values
    z = x @ w + b
    return tensor.mean(tensor.softplus(z) - y * z)


def descend(values: Symbols, gradients: Symbols) -> dict[Any, Any]:
    """The updates of plain gradient descent."""
    return {value: value - RATE_OF_DESCENT * gradient for value, gradient in zip(values, gradients, strict=True)}


def adapt(values: Symbols, gradients: Symbols) -> dict[Any, Any]:
    """The updates of Adam."""
    count = pytensor.shared(np.zeros((), values[0].dtype))
    rate = ADAM_RATE * tensor.sqrt(1.0 - DECAY_2 ** (count + 1.0)) / (1.0 - DECAY_1 ** (count + 1.0))
    updates = {count: count + 1.0}
    for value, gradient in zip(values, gradients, strict=True):
        m, v = (pytensor.shared(np.zeros_like(value.get_value())) for _ in range(2))
        updates[m] = m + (1 - DECAY_1) * (gradient - m)
        updates[v] = v + (1 - DECAY_2) * (tensor.sqr(gradient) - v)
        updates[value] = value - rate * updates[m] / (tensor.sqrt(updates[v]) + ADAM_EPSILON)
    return updates


def training_case(loss: Callable[..., Any], names: tuple[str, ...], inputs: Inputs, linker: str) -> Case:
    """A case whose call is one training step; the parameters are shared variables."""
    values = [pytensor.shared(aligned(inputs[name]), borrow=True) for name in names]
    data = [array for name, array in inputs.items() if name not in names]
    symbols = symbols_for(data)
    total = loss(values, *symbols)
    updates = (adapt if names is DEEP else descend)(values, tensor.grad(total, values))
    updates = {shared: new.astype(shared.dtype) for shared, new in updates.items()}
    run = pytensor.function(symbols, pytensor.Out(total, borrow=True), updates=updates, mode=linker, trust_input=True)
    start = {shared: shared.get_value().copy() for shared in updates}

    def reset() -> None:
        for shared, first in start.items():
            shared.set_value(first)

    def arrays(result: Any) -> list[Any]:
        return as_numpy([result, *[value.get_value() for value in values]])

    return Case(lambda: run(*data), arrays, reset)


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
    **loops_in_pytensor.FUNCTIONS,
}
