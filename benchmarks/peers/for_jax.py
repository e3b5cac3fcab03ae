"""JAX: `jit`, and donated parameters in the training steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.case import Case, Inputs, as_numpy
from benchmarks.peers import loops_in_jax
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

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_enable_x64", True)


def versions() -> dict[str, str]:
    """jax's and jaxlib's."""
    import jaxlib

    return {"jax": jax.__version__, "jaxlib": jaxlib.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on JAX's arrays; L1b is the one that takes and gives NumPy's."""
    if workload in LOSSES:
        return training_case(*LOSSES[workload], inputs)
    if workload not in FUNCTIONS:
        return None
    run = jax.jit(FUNCTIONS[workload])
    if workload == "L1b":
        array = inputs["x"]
        return Case(lambda: np.asarray(run(array)))
    arrays = [jnp.asarray(array) for array in inputs.values()]
    if workload in ("E2", "R3b", "G1", *loops_in_jax.FUNCTIONS):
        results = loops_in_jax.compared if workload == "C3" else as_numpy
        return Case(lambda: jax.block_until_ready(run(*arrays)), results)
    return Case(lambda: run(*arrays).block_until_ready())


def chain(x: Any) -> Any:
    """E1."""
    return (((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x


def option_values(spot: Any, strike: Any, years: Any) -> Any:
    """E2."""
    spread = VOLATILITY * jnp.sqrt(years)
    d1 = (jnp.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * jnp.exp(-RATE * years)
    call = spot * normal_distribution(d1) - discounted * normal_distribution(d2)
    return call, call - spot + discounted


def normal_distribution(x: Any) -> Any:
    """The probability that a standard normal number is at most x."""
    return 0.5 + 0.5 * jax.scipy.special.erf(x * ROOT_HALF)


def activations(x: Any) -> Any:
    """E3."""
    y = jnp.tanh(jax.nn.sigmoid(x))
    return 0.5 * y * (1 + jnp.tanh(GELU_SCALE * (y + GELU_CUBE * y * y * y)))


def softmax(x: Any) -> Any:
    """R1."""
    return jax.nn.softmax(x, axis=-1)


def layer_norm(x: Any) -> Any:
    """R2."""
    centred = x - x.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt((centred * centred).mean(axis=-1, keepdims=True) + EPSILON)


def logsumexp(x: Any) -> Any:
    """R3a."""
    return jax.nn.logsumexp(x, axis=-1)


def mean_squared_error(predictions: Any, targets: Any) -> Any:
    """R3b."""
    return jax.value_and_grad(lambda p: jnp.mean(jnp.square(p - targets)))(predictions)


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

    def value(x: Any) -> Any:
        return jnp.sum(100 * jnp.square(x[1:] - jnp.square(x[:-1])) + jnp.square(1 - x[:-1]))

    return jax.value_and_grad(value)(x)


def cross_entropy(logits: Any, labels: Any) -> Any:
    """The mean over the batch."""
    wanted = jnp.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return jnp.mean(jax.nn.logsumexp(logits, axis=1) - wanted)


def shallow_loss(values: Any, images: Any, labels: Any) -> Any:
    """M1."""
    w1, b1, w2, b2 = values
    return cross_entropy(jnp.tanh(images @ w1 + b1) @ w2 + b2, labels)


def deep_loss(values: Any, images: Any, labels: Any) -> Any:
    """M1b."""
    w1, b1, w2, b2, w3, b3 = values
    return cross_entropy(jax.nn.relu(jax.nn.relu(images @ w1 + b1) @ w2 + b2) @ w3 + b3, labels)


def logistic_loss(values: Any, x: Any, y: Any) -> Any:
    """M2."""
    w, b = values
    z = x @ w + b
    return jnp.mean(jnp.maximum(z, 0) - y * z + jnp.log1p(jnp.exp(-jnp.abs(z))))


def descend(loss: Any, state: Any, *data: Any) -> Any:
    """A step of gradient descent."""
    value, gradients = jax.value_and_grad(loss)(state, *data)
    return value, [old - RATE_OF_DESCENT * gradient for old, gradient in zip(state, gradients, strict=True)]


def adapt(loss: Any, state: Any, *data: Any) -> Any:
    """A step of Adam."""
    values, first, second, count = state
    loss_value, gradients = jax.value_and_grad(loss)(values, *data)
    first = [m + (1 - DECAY_1) * (g - m) for m, g in zip(first, gradients, strict=True)]
    second = [v + (1 - DECAY_2) * (g * g - v) for v, g in zip(second, gradients, strict=True)]
    count = count + 1
    rate = ADAM_RATE * jnp.sqrt(1 - DECAY_2**count) / (1 - DECAY_1**count)
    moved = [old - rate * m / (jnp.sqrt(v) + ADAM_EPSILON) for old, m, v in zip(values, first, second, strict=True)]
    return loss_value, (moved, first, second, count)


class Training:
    """The state between the calls of a step that takes and gives it."""

    def __init__(self, step: Callable[..., Any], start: Callable[[], Any], data: list[Any]) -> None:
        self.step = jax.jit(step, donate_argnums=0)
        self.start = start
        self.data = data
        self.reset()

    def reset(self) -> None:
        """Back to the start, of which copies are donated."""
        self.state = self.start()

    def __call__(self) -> Any:
        """One step."""
        loss, self.state = self.step(self.state, *self.data)
        return loss.block_until_ready()


def training_case(loss: Callable[..., Any], names: tuple[str, ...], inputs: Inputs) -> Case:
    """A case whose call is one training step."""
    data = [jnp.asarray(array) for name, array in inputs.items() if name not in names]

    def start() -> Any:
        values = [jnp.array(inputs[name]) for name in names]
        if names is not DEEP:
            return values
        first, second = ([jnp.zeros_like(value) for value in values] for _ in range(2))
        return values, first, second, jnp.zeros((), values[0].dtype)

    step = adapt if names is DEEP else descend
    training = Training(lambda state, *data: step(loss, state, *data), start, data)

    def arrays(value: Any) -> list[Any]:
        values = training.state[0] if names is DEEP else training.state
        return [np.asarray(part) for part in (value, *values)]

    return Case(training, arrays, training.reset)


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
    **loops_in_jax.FUNCTIONS,
}
