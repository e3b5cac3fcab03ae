"""How often a prediction is right."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.comparing import equal
from graphjit.compiler.ops.neural import in_top_k
from graphjit.compiler.ops.positions import argmax
from graphjit.compiler.ops.shaping import reshape, squeeze

from ..losses.reducing import as_floats, like, same_rank
from ..precision import floatx
from .metric import MeanMetricWrapper, mean_of


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """How many predictions equal the true values."""
    predicted = as_operand(y_pred)
    true, predicted = same_rank(cast(as_operand(y_true), predicted.dtype), predicted)
    return mean_of(cast(equal(true, predicted), floatx()))


def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """How many predictions lie on the true side of the threshold.

    >>> print(binary_accuracy([[1.0], [0.0]], [[0.9], [0.7]]).numpy())
    [1. 0.]
    """
    predicted = as_floats(y_pred)
    true, predicted = same_rank(like(y_true, predicted), predicted)
    return mean_of(cast(equal(true, cast(predicted > threshold, true.dtype)), floatx()))


def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the greatest prediction is that of the true class, for one-hot labels."""
    return cast(equal(argmax(as_operand(y_true), axis=-1), argmax(as_operand(y_pred), axis=-1)), floatx())


def _class_numbers(y_true: Any, y_pred: Any) -> Any:
    labels = as_operand(y_true)
    if labels.type.rank == y_pred.type.rank and labels.type.shape[-1] == 1:
        labels = squeeze(labels, -1)
    return cast(labels, "int64")


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the greatest prediction is that of the true class, for labels that are class numbers.

    >>> print(sparse_categorical_accuracy([1, 1], [[0.1, 0.9], [0.8, 0.2]]).numpy())
    [1. 0.]
    """
    predicted = as_floats(y_pred)
    return cast(equal(_class_numbers(y_true, predicted), argmax(predicted, axis=-1)), floatx())


def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Whether the true class is among the k greatest predictions, for one-hot labels."""
    return sparse_top_k_categorical_accuracy(argmax(as_operand(y_true), axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Whether the true class is among the k greatest predictions, for labels that are class numbers."""
    predicted = as_floats(y_pred)
    labels = reshape(_class_numbers(y_true, predicted), [-1])
    return cast(in_top_k(labels, predicted, k), floatx())


class Accuracy(MeanMetricWrapper):
    """How many predictions equal the true values."""

    def __init__(self, name: str | None = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How many predictions lie on the true side of the threshold."""

    def __init__(self, name: str | None = "binary_accuracy", dtype: Any = None, threshold: float = 0.5) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the greatest prediction is that of the true class, for one-hot labels."""

    keeps_labels = True

    def __init__(self, name: str | None = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the greatest prediction is that of the true class, for labels that are class numbers."""

    keeps_labels = True

    def __init__(self, name: str | None = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the true class is among the k greatest predictions, for one-hot labels."""

    keeps_labels = True

    def __init__(self, k: int = 5, name: str | None = "top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)


class SparseTopKCategoricalAccuracy(MeanMetricWrapper):
    """How often the true class is among the k greatest predictions, for labels that are class numbers."""

    keeps_labels = True

    def __init__(self, k: int = 5, name: str | None = "sparse_top_k_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, k=k)


__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]
