"""Metrics: classes, functions, and finding them by name."""

from typing import Any

from ..byname import deserialize as _deserialize, instantiate, serialize as _serialize, table_of
from ..losses import LOSSES
from . import accuracies as _accuracies, confusion as _confusion, meanlosses as _meanlosses, metric as _metric
from .accuracies import *
from .confusion import *
from .meanlosses import *
from .metric import *

_MODULES = (_accuracies, _confusion, _meanlosses, _metric)
METRICS = {
    **LOSSES,
    **table_of(*(getattr(module, name) for module in _MODULES for name in sorted(module.__all__, reverse=True))),
    **table_of(
        mse=_meanlosses.MeanSquaredError,
        mae=_meanlosses.MeanAbsoluteError,
        mape=_meanlosses.MeanAbsolutePercentageError,
        msle=_meanlosses.MeanSquaredLogarithmicError,
        rmse=_meanlosses.RootMeanSquaredError,
    ),
}


def get(identifier: Any) -> Any:
    """The metric with a name or configuration; a function or object is given back.

    >>> get("mae").name
    'mean_absolute_error'
    """
    return instantiate(identifier, METRICS, "metric")


def serialize(metric: Any) -> Any:
    """The metric as a configuration."""
    return _serialize(metric)


def deserialize(config: Any) -> Any:
    """The metric that `serialize` wrote down."""
    return _deserialize(config, METRICS, "metric")


__all__ = [name for module in _MODULES for name in module.__all__] + ["deserialize", "get", "serialize"]

CLASS_OF_FUNCTION = {
    _accuracies.binary_accuracy: _accuracies.BinaryAccuracy,
    _accuracies.categorical_accuracy: _accuracies.CategoricalAccuracy,
    _accuracies.sparse_categorical_accuracy: _accuracies.SparseCategoricalAccuracy,
    _accuracies.top_k_categorical_accuracy: _accuracies.TopKCategoricalAccuracy,
    _accuracies.sparse_top_k_categorical_accuracy: _accuracies.SparseTopKCategoricalAccuracy,
}
"""Metrics whose functions take labels as they are."""
