"""The functions of neural networks: activations, losses, normalisation, dropout."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand, is_operand_like, require_kind
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
from graphjit.compiler.ops.comparing import greater_equal
from graphjit.compiler.ops.convolution import conv1d, conv2d, convolution
from graphjit.compiler.ops.crossentropy import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
    weighted_cross_entropy_with_logits,
)
from graphjit.compiler.ops.moments import moments
from graphjit.compiler.ops.neural import (
    batch_normalization,
    bias_add,
    embedding_lookup,
    in_top_k,
    l2_loss,
    layer_normalization,
)
from graphjit.compiler.ops.norms import l2_normalize
from graphjit.compiler.ops.ordering import top_k
from graphjit.compiler.ops.pooling import avg_pool, max_pool
from graphjit.compiler.ops.selecting import where
from graphjit.compiler.ops.shaping import identity
from graphjit.compiler.ops.sizes import shape_value, sizes_of
from graphjit.compiler.ops.softmax import log_softmax, softmax
from graphjit.compiler.ops.transcendental import sigmoid, softplus, tanh
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.generator import uniform


def dropout(
    x: Any,
    rate: Any,
    noise_shape: Any = None,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """x with elements set to 0 at random, and the others divided by 1 - rate (Srivastava et al. 2014).

    Args:
      x: floats.
      rate: the probability that an element is set to 0, in [0, 1); a number, or a scalar tensor,
        which is not checked.
      noise_shape: the shape of what is drawn; it broadcasts against x, so that size 1 along an axis drops
        whole slices. A size that is None is that of x. By default every element is drawn for.
      seed: a stream of its own in place of the global one; see `gj.random.uniform`.

    Raises:
      InvalidArgumentError: if the rate is not in [0, 1).
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> sorted({float(one) for one in gj.nn.dropout(gj.ones([1000]), rate=0.5, seed=1)})
    [0.0, 2.0]
    """
    operand = as_operand(x)
    require_kind(operand.type, "f", "dropout: x")
    if not is_operand_like(rate):
        _require_rate(rate)
        if rate == 0:
            return identity(operand)
    kept = greater_equal(uniform(_noise_shape(operand, noise_shape), seed=seed), rate)
    return where(kept, operand / (1.0 - rate), 0.0)


def _require_rate(rate: Any) -> None:
    if not 0 <= float(rate) < 1:
        raise InvalidArgumentError(f"dropout: rate must be in [0, 1), not {rate!r}")


def _noise_shape(x: Any, noise_shape: Any) -> Any:
    sizes = sizes_of(x)
    if noise_shape is None:
        return shape_value(sizes)
    if is_operand_like(noise_shape):
        return noise_shape
    wanted = list(noise_shape)
    if len(wanted) != len(sizes):
        raise InvalidArgumentError(f"dropout: noise_shape {wanted} must have rank {len(sizes)}, as x of {x.type} has")
    return shape_value([own if size is None else size for own, size in zip(sizes, wanted, strict=True)])


__all__ = [
    "avg_pool",
    "batch_normalization",
    "bias_add",
    "conv1d",
    "conv2d",
    "convolution",
    "dropout",
    "elu",
    "embedding_lookup",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "in_top_k",
    "l2_loss",
    "l2_normalize",
    "layer_normalization",
    "leaky_relu",
    "log_sigmoid",
    "log_softmax",
    "max_pool",
    "moments",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "sigmoid_cross_entropy_with_logits",
    "silu",
    "softmax",
    "softmax_cross_entropy_with_logits",
    "softplus",
    "softsign",
    "sparse_softmax_cross_entropy_with_logits",
    "swish",
    "tanh",
    "top_k",
    "weighted_cross_entropy_with_logits",
]
