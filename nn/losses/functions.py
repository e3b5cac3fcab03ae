"""Losses as functions of true and predicted values: one number for each example.

The formulas are those of Keras 3 (keras.io/api/losses); where the probabilities are computed from logits, they are
the stable ones of `gj.nn`.
"""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import abs as absolute, square
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.crossentropy import (
    sigmoid_cross_entropy_with_logits,
    softmax_cross_entropy_with_logits,
    sparse_softmax_cross_entropy_with_logits,
)
from graphjit.compiler.ops.norms import l2_normalize
from graphjit.compiler.ops.reduction import reduce_all, reduce_max, reduce_mean, reduce_sum
from graphjit.compiler.ops.selecting import clip_by_value, maximum, where
from graphjit.compiler.ops.shaping import squeeze
from graphjit.compiler.ops.transcendental import log, sigmoid, softplus
from graphjit.runtime.errors import ShapeError

from ..masks import set_mask
from ..precision import epsilon
from .reducing import as_floats, like, warn_of_broadcasting


def _pair(y_true: Any, y_pred: Any, what: str) -> tuple[Any, Any]:
    predicted = as_floats(y_pred)
    true = like(y_true, predicted)
    warn_of_broadcasting(true, predicted, what)
    return true, predicted


def _mean(values: Any) -> Any:
    return reduce_mean(values, -1) if values.type.rank else values


def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of (y_pred - y_true) squared.

    >>> print(mean_squared_error([[0.0, 1.0]], [[1.0, 3.0]]).numpy())
    [2.5]
    """
    true, predicted = _pair(y_true, y_pred, "mean_squared_error")
    return _mean(square(predicted - true))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """The mean over the last axis of |y_pred - y_true|."""
    true, predicted = _pair(y_true, y_pred, "mean_absolute_error")
    return _mean(absolute(predicted - true))


def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """100 times the mean of |y_pred - y_true| / max(|y_true|, epsilon)."""
    true, predicted = _pair(y_true, y_pred, "mean_absolute_percentage_error")
    return 100.0 * _mean(absolute((true - predicted) / maximum(absolute(true), epsilon())))


def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """The mean of (log(y_true + 1) - log(y_pred + 1)) squared; negative numbers count as 0."""
    true, predicted = _pair(y_true, y_pred, "mean_squared_logarithmic_error")
    first, second = (log(maximum(one, epsilon()) + 1.0) for one in (predicted, true))
    return _mean(square(first - second))


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Minus the cosine of the angle between true and predicted vectors."""
    true, predicted = _pair(y_true, y_pred, "cosine_similarity")
    return -reduce_sum(l2_normalize(true, axis=axis) * l2_normalize(predicted, axis=axis), axis)


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Half the square of an error up to `delta`, linear beyond (Huber 1964).

    >>> print(huber([[0.0, 0.0]], [[1.0, 3.0]]).numpy())
    [1.5]
    """
    true, predicted = _pair(y_true, y_pred, "huber")
    error = absolute(true - predicted)
    return _mean(where(error <= delta, 0.5 * square(error), delta * error - 0.5 * delta * delta))


def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """The mean of log(cosh(y_pred - y_true)), without overflow."""
    true, predicted = _pair(y_true, y_pred, "log_cosh")
    error = predicted - true
    return _mean(error + softplus(-2.0 * error) - 0.6931471805599453)


def _signs(labels: Any) -> Any:
    """Labels 0 and 1 as -1 and 1; other labels as they are."""
    binary = reduce_all((labels == 0.0) | (labels == 1.0))
    return where(binary, 2.0 * labels - 1.0, labels)


def hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of max(1 - y_true * y_pred, 0), with labels -1 and 1, or 0 and 1."""
    true, predicted = _pair(y_true, y_pred, "hinge")
    return _mean(maximum(1.0 - _signs(true) * predicted, 0.0))


def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """The mean of max(1 - y_true * y_pred, 0) squared."""
    true, predicted = _pair(y_true, y_pred, "squared_hinge")
    return _mean(square(maximum(1.0 - _signs(true) * predicted, 0.0)))


def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """max(greatest wrong prediction - the right one + 1, 0)."""
    true, predicted = _pair(y_true, y_pred, "categorical_hinge")
    right = reduce_sum(true * predicted, -1)
    wrong = reduce_max((1.0 - true) * predicted, -1)
    return maximum(wrong - right + 1.0, 0.0)


def poisson(y_true: Any, y_pred: Any) -> Any:
    """The mean of y_pred - y_true * log(y_pred)."""
    true, predicted = _pair(y_true, y_pred, "poisson")
    return _mean(predicted - true * log(predicted + epsilon()))


def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """The sum of y_true * log(y_true / y_pred), both within [epsilon, 1]."""
    true, predicted = _pair(y_true, y_pred, "kl_divergence")
    true, predicted = (clip_by_value(one, epsilon(), 1.0) for one in (true, predicted))
    return reduce_sum(true * log(true / predicted), -1)


def _clipped(probabilities: Any) -> Any:
    return clip_by_value(probabilities, epsilon(), 1.0 - epsilon())


def binary_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """The mean over an axis of -(y_true * log(y_pred) + (1 - y_true) * log(1 - y_pred)).

    Args:
      from_logits: whether y_pred are logits rather than probabilities, which are clipped to [1e-7, 1 - 1e-7].
      label_smoothing: labels are moved by half of it towards 1/2.

    >>> print(binary_crossentropy([[1.0]], [[0.0]], from_logits=True).numpy())
    [0.6931472]
    """
    true, predicted = _pair(y_true, y_pred, "binary_crossentropy")
    if label_smoothing:
        true = true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    if from_logits:
        terms = sigmoid_cross_entropy_with_logits(true, predicted)
    else:
        chances = _clipped(predicted)
        terms = -(true * log(chances) + (1.0 - true) * log(1.0 - chances))
    return reduce_mean(terms, axis) if terms.type.rank else terms


def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """The binary cross entropy, each term times (1 - probability of the true class) ** gamma (Lin et al. 2018)."""
    true, predicted = _pair(y_true, y_pred, "binary_focal_crossentropy")
    if label_smoothing:
        true = true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    chances = _clipped(sigmoid(predicted) if from_logits else predicted)
    right = true * chances + (1.0 - true) * (1.0 - chances)
    terms = -(true * log(chances) + (1.0 - true) * log(1.0 - chances)) * (1.0 - right) ** gamma
    if apply_class_balancing:
        terms = terms * (true * alpha + (1.0 - true) * (1.0 - alpha))
    return reduce_mean(terms, axis)


def categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, label_smoothing: float = 0.0, axis: int = -1
) -> Any:
    """-sum(y_true * log(y_pred)) along an axis, for labels that are distributions (one-hot vectors).

    Probabilities are divided by their sum and clipped to [1e-7, 1 - 1e-7].
    """
    predicted = as_floats(y_pred)
    true = like(y_true, predicted)
    if true.type.rank != predicted.type.rank:
        raise ShapeError(
            f"categorical_crossentropy: labels of shape {true.shape} do not fit predictions of shape "
            f"{predicted.shape}; labels that are class numbers go to sparse_categorical_crossentropy"
        )
    if label_smoothing:
        true = true * (1.0 - label_smoothing) + label_smoothing / float(predicted.shape[axis])
    if from_logits:
        return softmax_cross_entropy_with_logits(true, predicted, axis)
    chances = predicted / reduce_sum(predicted, axis, keepdims=True)
    return -reduce_sum(true * log(_clipped(chances)), axis)


def sparse_categorical_crossentropy(
    y_true: Any, y_pred: Any, from_logits: bool = False, ignore_class: int | None = None, axis: int = -1
) -> Any:
    """-log(predicted probability of the true class), for labels that are class numbers.

    Args:
      y_true: class numbers, shape [...] or [..., 1].
      y_pred: probabilities, clipped to [1e-7, 1 - 1e-7], or logits, shape [..., classes].
      ignore_class: a label whose examples are 0, and are left out where a loss object takes the mean.

    Raises:
      OutOfRangeError: if a label is no class.

    >>> print(sparse_categorical_crossentropy([1], [[0.0, 0.0]], from_logits=True).numpy())
    [0.6931472]
    """
    predicted = as_floats(y_pred)
    labels = as_operand(y_true)
    if labels.type.rank == predicted.type.rank and labels.type.shape[-1] == 1:
        labels = squeeze(labels, -1)
    if not labels.dtype.name.startswith(("int", "uint")):
        labels = cast(labels, "int64")
    if ignore_class is None:
        return _sparse(labels, predicted, from_logits)
    counted = labels != ignore_class
    values = where(counted, _sparse(where(counted, labels, labels * 0), predicted, from_logits), 0.0)
    set_mask(values, counted)
    return values


def _sparse(labels: Any, predicted: Any, from_logits: bool) -> Any:
    if from_logits:
        return sparse_softmax_cross_entropy_with_logits(labels, predicted)
    # The logits log(p) have these probabilities, so labels are checked and picked in one place.
    return sparse_softmax_cross_entropy_with_logits(labels, log(_clipped(predicted)))


__all__ = [
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "categorical_crossentropy",
    "categorical_hinge",
    "cosine_similarity",
    "hinge",
    "huber",
    "kl_divergence",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
    "poisson",
    "sparse_categorical_crossentropy",
    "squared_hinge",
]
