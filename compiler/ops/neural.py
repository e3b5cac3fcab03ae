"""Layers of neural networks as functions: biases, normalisation, top-k hits, the L2 loss."""

from __future__ import annotations

from typing import Any

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..operand import as_operand, as_operands, public, require_kind
from ..tensortype import int64, normalize_axes
from .arithmetic import rsqrt, square
from .casting import cast
from .clipping import clip_by_norm
from .comparing import equal, greater, logical_and
from .filling import iota
from .gathering import gather
from .moments import moments
from .reduction import reduce_all, reduce_sum
from .rounding import isfinite
from .selecting import where
from .shaping import expand_dims

# --- biases ---------------------------------------------------------------------------------------


@public()
def bias_add(value: Any, bias: Any, data_format: str | None = None, name: str | None = None) -> Any:
    """A tensor plus one number for each channel.

    Args:
      value: shape [..., channels], or [batch, channels, ...] for a data_format that starts with "NC".
      bias: shape [channels].
      data_format: "N...C" (the default) or "NC...".

    Raises:
      ShapeError: if `bias` is no vector of that size.

    >>> import graphjit as gj
    >>> print(gj.nn.bias_add([[1.0, 2.0]], [10.0, 20.0]))
    gj.Tensor([[11. 22.]], shape=(1, 2), dtype=float32)
    """
    x, offsets = as_operands(value, bias)
    axis = _channel_axis(x.type.rank, data_format)
    if offsets.type.rank != 1:
        raise ShapeError(f"bias_add: bias must be a vector, but its shape is {offsets.type.shape}")
    channels, given = x.type.shape[axis], offsets.type.shape[0]
    if None not in (channels, given) and channels != given:
        raise ShapeError(f"bias_add: value of shape {x.type.shape} has {channels} channels, bias has {given}")
    for position in range(x.type.rank - 1 - axis):
        offsets = expand_dims(offsets, position + 1)
    return x + offsets


def _channel_axis(rank: int, data_format: str | None) -> int:
    if rank < 2:
        raise ShapeError("bias_add: value must have rank 2 or more")
    if data_format is None or (data_format.startswith("N") and data_format.endswith("C")):
        return rank - 1
    if data_format.startswith("NC"):
        return 1
    raise InvalidArgumentError(f"bias_add: data_format must be of the form N...C or NC..., not {data_format!r}")


# --- normalisation --------------------------------------------------------------------------------


@public()
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    offset: Any,
    scale: Any,
    variance_epsilon: Any,
    name: str | None = None,
) -> Any:
    """(x - mean) * scale / sqrt(variance + epsilon) + offset (Ioffe and Szegedy 2015).

    Args:
      x: floats.
      mean, variance: numbers that broadcast against x, for example those of `moments`.
      offset, scale: the same, or None for 0 and 1.
      variance_epsilon: a small number that keeps the root from 0.

    >>> import graphjit as gj
    >>> print(gj.nn.batch_normalization(gj.constant([1.0, 3.0]), 2.0, 1.0, 10.0, None, 0.0))
    gj.Tensor([ 9. 11.], shape=(2,), dtype=float32)
    """
    operand, center, spread, epsilon = as_operands(as_operand(x), mean, variance, variance_epsilon)
    require_kind(operand.type, "f", "x")
    factor = rsqrt(spread + epsilon)
    if scale is not None:
        factor = factor * scale
    normalized = (operand - center) * factor
    return normalized if offset is None else normalized + offset


@public()
def layer_normalization(x: Any, scale: Any = None, offset: Any = None, axis: Any = -1, epsilon: float = 1e-3) -> Any:
    """(x - mean) * scale / sqrt(variance + epsilon) + offset, with the moments of x along `axis` (Ba et al. 2016).

    Args:
      x: floats.
      scale, offset: numbers that broadcast against x, or None for 1 and 0.
      axis: an axis or a list of them.
      epsilon: a small number that keeps the root from 0.

    >>> import graphjit as gj
    >>> print(gj.nn.layer_normalization(gj.constant([[1.0, 3.0]]), epsilon=0.0))
    gj.Tensor([[-1.  1.]], shape=(1, 2), dtype=float32)
    """
    operand = as_operand(x)
    mean, variance = moments(operand, normalize_axes(axis, operand.type.rank), keepdims=True)
    return batch_normalization(operand, mean, variance, offset, scale, epsilon)


# --- rows of tables -------------------------------------------------------------------------------


@public()
def embedding_lookup(params: Any, ids: Any, max_norm: Any = None, name: str | None = None) -> Any:
    """The rows of a table that `ids` name, each scaled down to `max_norm` if that is given.

    Args:
      params: the table, shape [rows, ...].
      ids: integers in [0, rows), of any shape.
      max_norm: the greatest norm of a row.

    Raises:
      OutOfRangeError: if an id is no row; in both modes.

    >>> import graphjit as gj
    >>> print(gj.nn.embedding_lookup([[1.0, 2.0], [3.0, 4.0]], [1, 1]).tolist())
    [[3.0, 4.0], [3.0, 4.0]]
    """
    places = as_operand(ids)
    rows = gather(params, places)
    if max_norm is None:
        return rows
    return clip_by_norm(rows, max_norm, list(range(places.type.rank, rows.type.rank)))


# --- losses and hits ------------------------------------------------------------------------------


@public()
def l2_loss(t: Any, name: str | None = None) -> Any:
    """Half the sum of the squares of floats.

    >>> import graphjit as gj
    >>> print(gj.nn.l2_loss([3.0, 4.0]))
    gj.Tensor(12.5, shape=(), dtype=float32)
    """
    operand = as_operand(t)
    require_kind(operand.type, "f", "t")
    return reduce_sum(square(operand)) * 0.5


@public()
def in_top_k(targets: Any, predictions: Any, k: Any, name: str | None = None) -> Any:
    """Whether fewer than k predictions of a row are greater than that of the target class.

    Classes that tie with the target do not push it out. False where the target is no class, or
    a prediction is not finite.

    Args:
      targets: integers, shape [batch].
      predictions: floats, shape [batch, classes].
      k: how many classes count.

    Raises:
      ShapeError: if the shapes do not fit.

    >>> import graphjit as gj
    >>> print(gj.nn.in_top_k([1, 1], [[0.1, 0.9], [0.9, 0.1]], k=1))
    gj.Tensor([ True False], shape=(2,), dtype=bool)
    """
    scores, classes = as_operand(predictions), as_operand(targets)
    require_kind(classes.type, "iu", "targets")
    if scores.type.rank != 2 or classes.type.rank != 1:
        raise ShapeError(
            f"in_top_k: targets must be a vector and predictions a matrix, not {classes.type} and {scores.type}"
        )
    count = scores.type.shape[1]
    if count is None:
        raise ShapeError(f"in_top_k: the number of classes must be known, but predictions have shape {scores.shape}")
    classes = cast(classes, int64)
    chosen = equal(iota((count,), 0, int64), expand_dims(classes, 1))
    target = reduce_sum(where(chosen, scores, 0.0), 1)
    better = reduce_sum(cast(greater(scores, expand_dims(target, 1)), int64), 1)
    known = logical_and(classes >= 0, classes < count)
    return logical_and(logical_and(better < k, known), reduce_all(isfinite(scores), 1))


__all__ = [
    "batch_normalization",
    "bias_add",
    "embedding_lookup",
    "in_top_k",
    "l2_loss",
    "layer_normalization",
]
