"""Metrics: numbers against NumPy, over several batches, eagerly and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

import graphjit as gj
from graphjit.nn import metrics

_RANDOM = np.random.default_rng(11)
_TRUE = (_RANDOM.random((40, 1)) > 0.4).astype("f")
_PREDICTED = np.clip(_RANDOM.random((40, 1)) * 0.6 + _TRUE * 0.4, 0, 1).astype("f")
_SCORES = _RANDOM.random((40, 7)).astype("f")
_CLASSES = _RANDOM.integers(0, 7, 40)
_ONE_HOT = np.eye(7, dtype="f")[_CLASSES]
_HITS = _SCORES.argmax(-1) == _CLASSES
_TOP = (_SCORES[np.arange(40), _CLASSES][:, None] < _SCORES).sum(-1) < 3
_YES = _PREDICTED > 0.5

CASES: dict[str, tuple[Callable[[], Any], Any, Any, float]] = {
    "binary_accuracy": (metrics.BinaryAccuracy, _TRUE, _PREDICTED, float((_YES == _TRUE).mean())),
    "categorical_accuracy": (metrics.CategoricalAccuracy, _ONE_HOT, _SCORES, float(_HITS.mean())),
    "sparse_categorical_accuracy": (metrics.SparseCategoricalAccuracy, _CLASSES, _SCORES, float(_HITS.mean())),
    "top_k": (lambda: metrics.TopKCategoricalAccuracy(3), _ONE_HOT, _SCORES, float(_TOP.mean())),
    "sparse_top_k": (lambda: metrics.SparseTopKCategoricalAccuracy(3), _CLASSES, _SCORES, float(_TOP.mean())),
    "accuracy": (metrics.Accuracy, _CLASSES, _SCORES.argmax(-1), float(_HITS.mean())),
    "mse": (metrics.MeanSquaredError, _TRUE, _PREDICTED, float(((_TRUE - _PREDICTED) ** 2).mean())),
    "rmse": (metrics.RootMeanSquaredError, _TRUE, _PREDICTED, float(((_TRUE - _PREDICTED) ** 2).mean() ** 0.5)),
    "mae": (metrics.MeanAbsoluteError, _TRUE, _PREDICTED, float(abs(_TRUE - _PREDICTED).mean())),
    "precision": (metrics.Precision, _TRUE, _PREDICTED, float((_TRUE * _YES).sum() / _YES.sum())),
    "recall": (metrics.Recall, _TRUE, _PREDICTED, float((_TRUE * _YES).sum() / _TRUE.sum())),
    "true_negatives": (metrics.TrueNegatives, _TRUE, _PREDICTED, float(((1 - _TRUE) * ~_YES).sum())),
    "false_negatives": (metrics.FalseNegatives, _TRUE, _PREDICTED, float((_TRUE * ~_YES).sum())),
    "sparse_entropy": (
        metrics.SparseCategoricalCrossentropy,
        _CLASSES,
        _SCORES / _SCORES.sum(-1, keepdims=True),
        float(-np.log((_SCORES / _SCORES.sum(-1, keepdims=True))[np.arange(40), _CLASSES]).mean()),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_metric_gathers_over_batches(name: str, compiled: bool) -> None:
    """Three batches of different sizes, twice, with a reset in between."""
    make, true, predicted, wanted = CASES[name]
    metric = make()
    update = gj.compile(lambda t, p: metric.update_state(t, p)) if compiled else metric.update_state
    for reset in (metric.reset_state, metric.reset_states):
        for part in (slice(0, 16), slice(16, 32), slice(32, 40)):
            update(true[part], predicted[part])
        np.testing.assert_allclose(float(metric.result()), wanted, rtol=2e-6)
        reset()
        assert not any(np.any(variable.numpy()) for variable in metric.variables)


def test_areas_under_curves_are_near_scikit_learns() -> None:
    """200 thresholds approximate the curves."""
    roc, curve = metrics.AUC(), metrics.AUC(curve="PR")
    roc.update_state(_TRUE, _PREDICTED)
    curve.update_state(_TRUE, _PREDICTED)
    assert abs(float(roc.result()) - roc_auc_score(_TRUE, _PREDICTED)) < 0.01
    assert abs(float(curve.result()) - average_precision_score(_TRUE, _PREDICTED)) < 0.05


def test_weights() -> None:
    """Means and counts are weighted."""
    mean, precision = metrics.Mean(), metrics.Precision()
    mean.update_state([1.0, 5.0], sample_weight=[3.0, 1.0])
    assert float(mean.result()) == 2.0
    precision.update_state([1, 0], [1.0, 1.0], sample_weight=[3.0, 1.0])
    assert float(precision.result()) == 0.75


def test_metrics_by_name() -> None:
    """Strings as in Keras; configurations come back."""
    assert type(metrics.get("mae")) is metrics.MeanAbsoluteError
    again = metrics.deserialize(metrics.serialize(metrics.BinaryAccuracy(threshold=0.7)))
    assert again.get_config() == metrics.BinaryAccuracy(threshold=0.7).get_config()
    auc = metrics.deserialize(metrics.serialize(metrics.AUC(50)))
    assert auc.num_thresholds == 50
