"""Activations by name: what `Dense(10, activation="relu")` looks up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.compiler.ops.activations import (
    elu,
    gelu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    relu,
    relu6,
    selu,
    silu,
    softsign,
    swish,
)
from graphjit.compiler.ops.softmax import log_softmax, softmax
from graphjit.compiler.ops.transcendental import exp, sigmoid, softplus, tanh

from .byname import deserialize as _deserialize, instantiate, serialize as _serialize, table_of


def linear(x: Any) -> Any:
    """x itself."""
    return as_operand(x)


def exponential(x: Any) -> Any:
    """e to the power of x."""
    return exp(x)


def mish(x: Any) -> Any:
    """x * tanh(softplus(x)) (Misra 2019).

    >>> import graphjit as gj
    >>> print(mish(gj.constant(0.0)))
    gj.Tensor(0.0, shape=(), dtype=float32)
    """
    return PUBLIC["multiply"](x, tanh(softplus(x)))


ACTIVATIONS = table_of(
    linear,
    exponential,
    mish,
    elu,
    gelu,
    hard_sigmoid,
    hard_silu,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    relu,
    relu6,
    selu,
    silu,
    softsign,
    swish,
    log_softmax,
    softmax,
    sigmoid,
    softplus,
    tanh,
    hard_swish=hard_silu,
    swish=silu,
)


def get(identifier: Any) -> Callable[..., Any]:
    """The activation with a name; None gives `linear`, a function is given back.

    Raises:
      NotFoundError: if there is no such activation.

    >>> get("relu").__name__, get(None).__name__
    ('relu', 'linear')
    """
    found = instantiate(identifier, ACTIVATIONS, "activation")
    return linear if found is None else found


def serialize(activation: Callable[..., Any]) -> Any:
    """The activation's name, or the configuration of an object.

    >>> serialize(get("elu"))
    'elu'
    """
    return _serialize(activation)


def deserialize(config: Any) -> Any:
    """The activation that `serialize` wrote down."""
    return _deserialize(config, ACTIVATIONS, "activation")


__all__ = [
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "softmax",
    "softplus",
    "softsign",
    "swish",
    "tanh",
]
