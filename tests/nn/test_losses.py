"""Losses: numbers against NumPy, gradients against central differences, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.nn import losses

Array = np.ndarray[Any, Any]
_RANDOM = np.random.default_rng(7)
_SIGNED = _RANDOM.standard_normal((4, 3))
_CHANCES = _RANDOM.uniform(0.05, 0.95, (4, 3))
_SHARES = _CHANCES / _CHANCES.sum(-1, keepdims=True)
_LABELS = (_RANDOM.random((4, 3)) > 0.5).astype(float)
_ONE_HOT = np.eye(3)[[0, 2, 1, 1]]
_CLASSES = np.array([0, 2, 1, 1])


def _softmax(x: Array) -> Array:
    powers = np.exp(x - x.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def _entropy(labels: Array, chances: Array) -> Array:
    return -(labels * np.log(chances) + (1 - labels) * np.log(1 - chances)).mean(-1)


CASES: dict[str, tuple[Callable[..., Any], Array, Array, Callable[[Array, Array], Array]]] = {
    "mse": (losses.mean_squared_error, _SIGNED + 1, _SIGNED, lambda t, p: ((p - t) ** 2).mean(-1)),
    "mae": (losses.mean_absolute_error, _LABELS, _SIGNED, lambda t, p: np.abs(p - t).mean(-1)),
    "mape": (
        losses.mean_absolute_percentage_error,
        _SIGNED + 3,
        _SIGNED,
        lambda t, p: 100 * np.abs((t - p) / np.abs(t)).mean(-1),
    ),
    "msle": (
        losses.mean_squared_logarithmic_error,
        _CHANCES,
        _CHANCES[::-1] + 0.1,
        lambda t, p: ((np.log1p(t) - np.log1p(p)) ** 2).mean(-1),
    ),
    "huber": (
        lambda t, p: losses.huber(t, p, 0.7),
        _SIGNED[::-1],
        _SIGNED,
        lambda t, p: np.where(abs(t - p) <= 0.7, 0.5 * (t - p) ** 2, 0.7 * abs(t - p) - 0.245).mean(-1),
    ),
    "log_cosh": (losses.log_cosh, _LABELS, _SIGNED, lambda t, p: np.log(np.cosh(p - t)).mean(-1)),
    "hinge": (losses.hinge, _LABELS, _SIGNED, lambda t, p: np.maximum(1 - (2 * t - 1) * p, 0).mean(-1)),
    "squared_hinge": (
        losses.squared_hinge,
        _LABELS,
        _SIGNED,
        lambda t, p: (np.maximum(1 - (2 * t - 1) * p, 0) ** 2).mean(-1),
    ),
    "categorical_hinge": (
        losses.categorical_hinge,
        _ONE_HOT,
        _SIGNED,
        lambda t, p: np.maximum(((1 - t) * p).max(-1) - (t * p).sum(-1) + 1, 0),
    ),
    "poisson": (losses.poisson, _LABELS, _CHANCES, lambda t, p: (p - t * np.log(p + 1e-7)).mean(-1)),
    "kl": (losses.kl_divergence, _SHARES[::-1], _SHARES, lambda t, p: (t * np.log(t / p)).sum(-1)),
    "cosine": (
        losses.cosine_similarity,
        _CHANCES,
        _SIGNED,
        lambda t, p: -(t * p).sum(-1) / np.linalg.norm(t, axis=-1) / np.linalg.norm(p, axis=-1),
    ),
    "binary": (losses.binary_crossentropy, _LABELS, _CHANCES, _entropy),
    "binary_logits": (
        lambda t, p: losses.binary_crossentropy(t, p, from_logits=True, label_smoothing=0.2),
        _LABELS,
        _SIGNED,
        lambda t, p: _entropy(t * 0.8 + 0.1, 1 / (1 + np.exp(-p))),
    ),
    "focal": (
        losses.binary_focal_crossentropy,
        _LABELS,
        _CHANCES,
        lambda t, p: (-(t * np.log(p) + (1 - t) * np.log(1 - p)) * (1 - (t * p + (1 - t) * (1 - p))) ** 2).mean(-1),
    ),
    "categorical": (losses.categorical_crossentropy, _ONE_HOT, _SHARES, lambda t, p: -(t * np.log(p)).sum(-1)),
    "categorical_logits": (
        lambda t, p: losses.categorical_crossentropy(t, p, from_logits=True),
        _ONE_HOT,
        _SIGNED,
        lambda t, p: -(t * np.log(_softmax(p))).sum(-1),
    ),
    "sparse": (losses.sparse_categorical_crossentropy, _CLASSES, _SHARES, lambda t, p: -np.log(p[np.arange(4), t])),
    "sparse_logits": (
        lambda t, p: losses.sparse_categorical_crossentropy(t, p, from_logits=True),
        _CLASSES,
        _SIGNED,
        lambda t, p: -np.log(_softmax(p)[np.arange(4), t]),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_loss_agrees_with_numpy(name: str, compiled: bool) -> None:
    """The formula, on float64."""
    function, true, predicted, formula = CASES[name]
    run = gj.compile(lambda t, p: function(t, p)) if compiled else function
    np.testing.assert_allclose(np.asarray(run(true, gj.constant(predicted))), formula(true, predicted), rtol=2e-6)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_gradients_of_a_loss_are_central_differences(name: str, compiled: bool) -> None:
    """The gradient by the predictions, on float64."""
    function, true, predicted, _ = CASES[name]

    def slope(p: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(p)
            loss = gj.reduce_sum(function(true, p))
        return tape.gradient(loss, p)

    found = np.asarray((gj.compile(slope) if compiled else slope)(gj.constant(predicted)))
    np.testing.assert_allclose(found, _differences(function, true, predicted), rtol=1e-5, atol=1e-7)


def _differences(function: Callable[..., Any], true: Array, predicted: Array) -> Array:
    slopes = np.zeros_like(predicted)
    for index in np.ndindex(*predicted.shape):
        step = np.zeros_like(predicted)
        step[index] = 1e-6
        ahead, behind = (float(np.sum(np.asarray(function(true, predicted + sign * step)))) for sign in (1, -1))
        slopes[index] = (ahead - behind) / 2e-6
    return slopes


OBJECTS: dict[type, tuple[Array, Array]] = {
    losses.BinaryCrossentropy: (_LABELS, _CHANCES),
    losses.BinaryFocalCrossentropy: (_LABELS, _CHANCES),
    losses.CategoricalCrossentropy: (_ONE_HOT, _SHARES),
    losses.CategoricalHinge: (_ONE_HOT, _SIGNED),
    losses.CosineSimilarity: (_CHANCES, _SIGNED),
    losses.Hinge: (_LABELS, _SIGNED),
    losses.Huber: (_SIGNED[::-1], _SIGNED),
    losses.KLDivergence: (_SHARES[::-1], _SHARES),
    losses.LogCosh: (_LABELS, _SIGNED),
    losses.MeanAbsoluteError: (_LABELS, _SIGNED),
    losses.MeanAbsolutePercentageError: (_SIGNED + 3, _SIGNED),
    losses.MeanSquaredError: (_LABELS, _SIGNED),
    losses.MeanSquaredLogarithmicError: (_CHANCES, _CHANCES[::-1] + 0.1),
    losses.Poisson: (_LABELS, _CHANCES),
    losses.SparseCategoricalCrossentropy: (_CLASSES, _SHARES),
    losses.SquaredHinge: (_LABELS, _SIGNED),
}


def test_every_loss_has_a_case() -> None:
    """A class or function of losses that nobody differentiates here is refused."""
    public = {name: getattr(losses, name) for name in losses.__all__}
    classes = {one for one in public.values() if isinstance(one, type)}
    assert classes - set(OBJECTS) == {losses.Loss}
    plain = {id(case[0]) for case in CASES.values()}
    others = {"deserialize", "get", "huber", "serialize"}  # huber stands in a lambda
    functions = {name: one for name, one in public.items() if not isinstance(one, type) and name not in others}
    assert [name for name, one in functions.items() if id(one) not in plain] == []


@pytest.mark.parametrize("cls", OBJECTS)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_gradients_of_a_loss_object_are_central_differences(cls: Any, compiled: bool) -> None:
    """The gradient of the weighted mean by the predictions, on float64."""
    true, predicted = OBJECTS[cls]
    loss, weights = cls(), np.array([1.0, 0.25, 2.0, 0.0])

    def slope(p: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(p)
            total = loss(true, p, sample_weight=weights)
        return tape.gradient(total, p)

    found = np.asarray((gj.compile(slope) if compiled else slope)(gj.constant(predicted)))
    wanted = _differences(lambda t, p: loss(t, p, sample_weight=weights), true, predicted)
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-7)


def test_a_loss_object_weighs_and_reduces() -> None:
    """The mean over the batch, the sum, or one number each; weights multiply."""
    true, predicted = np.zeros((2, 2)), np.array([[1.0, 1.0], [2.0, 2.0]])
    assert float(losses.MeanSquaredError()(true, predicted)) == 2.5
    assert float(losses.MeanSquaredError(reduction="sum")(true, predicted)) == 5.0
    assert np.asarray(losses.MeanSquaredError("none")(true, predicted)).tolist() == [1.0, 4.0]
    assert float(losses.MeanSquaredError()(true, predicted, sample_weight=[1.0, 0.0])) == 0.5
    with pytest.raises(ValueError, match="reduced by"):
        losses.MeanSquaredError(reduction="product")


def test_losses_by_name() -> None:
    """Strings as in Keras, and configurations that come back."""
    assert losses.get("mse") is losses.mean_squared_error
    assert isinstance(losses.get("MeanSquaredError"), losses.Loss) or losses.get("mse")
    loss = losses.Huber(delta=0.5)
    again = losses.deserialize(losses.serialize(loss))
    assert type(again) is losses.Huber and again.arguments == {"delta": 0.5}
    with pytest.raises(LookupError, match="did you mean 'mean_squared_error'"):
        losses.get("mean_square_error")


def test_shapes_that_broadcast_to_all_pairs_are_warned_of() -> None:
    """Article 004: y of shape (32,) against predictions (32, 1) broadcasts; functions keep that and warn."""
    with pytest.warns(UserWarning, match="all pairs"):
        found = losses.mean_absolute_error(np.zeros(4), np.ones((4, 1)))
    assert found.shape == (4,)


def test_loss_objects_bring_ranks_together() -> None:
    """As Keras 3: a vector becomes a column."""
    assert float(losses.MeanAbsoluteError()(np.arange(4.0), np.ones((4, 1)))) == 1.0
