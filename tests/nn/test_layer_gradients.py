"""Layers against NumPy, and their gradients by input and weights against central differences, on float64.

Every layer has a case: a new one without is refused by `test_every_layer_has_a_case`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj

layers = gj.keras.layers
Array = np.ndarray[Any, Any]
_IMAGES = (2, 5, 6, 3)
_ROWS = (2, 7, 3)
_VOLUMES = (1, 4, 2, 3, 2)
_STEPS = (2, 3, 2)

CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "dense": (lambda: layers.Dense(4, "tanh", dtype="float64"), (3, 5)),
    "dense_rank_3": (lambda: layers.Dense(4, dtype="float64"), (2, 3, 5)),
    "conv1d": (lambda: layers.Conv1D(4, 3, dtype="float64"), _ROWS),
    "conv1d_causal": (lambda: layers.Conv1D(2, 3, padding="causal", dilation_rate=2, dtype="float64"), _ROWS),
    "conv2d": (lambda: layers.Conv2D(2, 3, padding="same", activation="sigmoid", dtype="float64"), _IMAGES),
    "conv2d_strides": (lambda: layers.Conv2D(2, (2, 3), 2, "same", dtype="float64"), _IMAGES),
    "conv2d_groups": (lambda: layers.Conv2D(3, 2, groups=3, use_bias=False, dtype="float64"), _IMAGES),
    "conv2d_first": (lambda: layers.Conv2D(2, 2, data_format="channels_first", dtype="float64"), (2, 3, 4, 5)),
    "conv3d": (lambda: layers.Conv3D(2, 2, dtype="float64"), (1, 3, 3, 4, 2)),
    "max_pool": (lambda: layers.MaxPooling2D(dtype="float64"), _IMAGES),
    "max_pool_overlap": (lambda: layers.MaxPooling2D(3, 2, "same", dtype="float64"), _IMAGES),
    "max_pool_1d": (lambda: layers.MaxPooling1D(2, dtype="float64"), _ROWS),
    "avg_pool": (lambda: layers.AveragePooling2D((2, 3), dtype="float64"), _IMAGES),
    "avg_pool_same": (lambda: layers.AveragePooling2D(2, 1, "same", dtype="float64"), _IMAGES),
    "global_avg": (lambda: layers.GlobalAveragePooling2D(dtype="float64"), _IMAGES),
    "global_max": (lambda: layers.GlobalMaxPooling1D(dtype="float64"), _ROWS),
    "zero_padding": (lambda: layers.ZeroPadding2D(((1, 0), (2, 1)), dtype="float64"), _IMAGES),
    "batch_norm": (lambda: layers.BatchNormalization(dtype="float64"), _IMAGES),
    "batch_norm_first": (lambda: layers.BatchNormalization(axis=1, dtype="float64"), (4, 3, 5)),
    "layer_norm": (lambda: layers.LayerNormalization(dtype="float64"), (4, 6)),
    "layer_norm_axes": (lambda: layers.LayerNormalization(axis=[1, 3], dtype="float64"), (2, 3, 4, 2)),
    "softmax": (lambda: layers.Softmax(dtype="float64"), (3, 4)),
    "input": (lambda: layers.InputLayer((4,), dtype="float64"), (3, 4)),
    "activation": (lambda: layers.Activation("gelu", dtype="float64"), (3, 4)),
    "relu": (lambda: layers.ReLU(1.5, 0.25, dtype="float64"), (3, 4)),
    "leaky_relu": (lambda: layers.LeakyReLU(dtype="float64"), (3, 4)),
    "lambda": (lambda: layers.Lambda(_cubed, dtype="float64"), (3, 4)),
    "flatten": (lambda: layers.Flatten(dtype="float64"), _IMAGES),
    "reshape": (lambda: layers.Reshape((7, -1), dtype="float64"), (2, 3, 7)),
    "permute": (lambda: layers.Permute((2, 1), dtype="float64"), _ROWS),
    "repeat_vector": (lambda: layers.RepeatVector(3, dtype="float64"), (2, 4)),
    "dropout": (lambda: layers.Dropout(0.4, seed=5, dtype="float64"), (6, 4)),
    "gaussian_noise": (lambda: layers.GaussianNoise(0.4, seed=5, dtype="float64"), (6, 4)),
    "masking": (lambda: layers.Masking(dtype="float64"), _ROWS),
    "embedding": (lambda: layers.Embedding(5, 3, dtype="float64"), np.array([[1, 4, 1], [0, 2, 1]])),
    "add": (lambda: layers.Add(dtype="float64"), [(2, 3), (2, 3), (2, 3)]),
    "subtract": (lambda: layers.Subtract(dtype="float64"), [(2, 3), (2, 3)]),
    "multiply": (lambda: layers.Multiply(dtype="float64"), [(2, 3), (2, 3), (2, 3)]),
    "average": (lambda: layers.Average(dtype="float64"), [(2, 3), (2, 3), (2, 3)]),
    "maximum": (lambda: layers.Maximum(dtype="float64"), [(2, 3), (2, 3)]),
    "minimum": (lambda: layers.Minimum(dtype="float64"), [(2, 3), (2, 3)]),
    "concatenate": (lambda: layers.Concatenate(dtype="float64"), [(2, 3), (2, 4)]),
    "dot": (lambda: layers.Dot(normalize=True, dtype="float64"), [(3, 4), (3, 4)]),
    "operation": (lambda: layers.Operation("sin"), (3, 4)),
    "max_pool_3d": (lambda: layers.MaxPooling3D(2, dtype="float64"), _VOLUMES),
    "avg_pool_1d": (lambda: layers.AveragePooling1D(3, 2, dtype="float64"), _ROWS),
    "avg_pool_3d": (lambda: layers.AveragePooling3D(2, dtype="float64"), _VOLUMES),
    "global_avg_1d": (lambda: layers.GlobalAveragePooling1D(dtype="float64"), _ROWS),
    "global_avg_3d": (lambda: layers.GlobalAveragePooling3D(dtype="float64"), _VOLUMES),
    "global_max_2d": (lambda: layers.GlobalMaxPooling2D(dtype="float64"), _IMAGES),
    "global_max_3d": (lambda: layers.GlobalMaxPooling3D(dtype="float64"), _VOLUMES),
    "simple_rnn": (lambda: layers.SimpleRNN(4, dtype="float64"), _STEPS),
    "simple_rnn_dropout": (lambda: layers.SimpleRNN(2, dropout=0.3, recurrent_dropout=0.3, dtype="float64"), _STEPS),
    "gru": (lambda: layers.GRU(4, return_sequences=True, dtype="float64"), _STEPS),
    "gru_before": (lambda: layers.GRU(3, reset_after=False, go_backwards=True, dtype="float64"), _STEPS),
    "gru_unrolled": (lambda: layers.GRU(3, use_bias=False, unroll=True, dtype="float64"), _STEPS),
    "lstm": (lambda: layers.LSTM(4, dtype="float64"), _STEPS),
    "lstm_sequences": (lambda: layers.LSTM(3, "gelu", return_sequences=True, dtype="float64"), _STEPS),
    "simple_cell": (lambda: layers.RNN(layers.SimpleRNNCell(3, "elu", dtype="float64"), dtype="float64"), _STEPS),
    "cells": (
        lambda: layers.RNN(
            layers.StackedRNNCells(
                [layers.GRUCell(3, dtype="float64"), layers.LSTMCell(2, dtype="float64")], dtype="float64"
            ),
            dtype="float64",
        ),
        _STEPS,
    ),
    "bidirectional": (lambda: layers.Bidirectional(layers.GRU(2, dtype="float64"), dtype="float64"), _STEPS),
    "time_distributed": (lambda: layers.TimeDistributed(layers.Dense(2, dtype="float64"), dtype="float64"), _STEPS),
}


def _cubed(x: Any) -> Any:
    return x**3


def _prepared(name: str) -> tuple[Any, Array]:
    random = np.random.default_rng(len(name))
    make, given = CASES[name]
    layer = make()
    if isinstance(given, list):
        x: Any = [random.standard_normal(shape) for shape in given]
    else:
        x = given if isinstance(given, np.ndarray) else random.standard_normal(given)
    layer(x)
    for variable in layer.trainable_variables:
        variable.assign(random.standard_normal(variable.shape.as_list()))
    return layer, x


def _inside(layer: Any, found: set[type]) -> set[type]:
    """The classes of a layer and of those inside it."""
    found.add(type(layer))
    for one in layer.layers:
        _inside(one, found)
    return found


def test_every_layer_has_a_case() -> None:
    """A class of layers that nobody differentiates here is refused."""
    public = [getattr(layers, name) for name in dir(layers)]
    classes = {one for one in public if isinstance(one, type) and issubclass(one, layers.Layer)}
    covered: set[type] = set()
    for make, _ in CASES.values():
        _inside(make(), covered)
    assert classes - covered == {layers.Layer}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("training", [False, True], ids=["asking", "training"])
def test_gradients_are_central_differences(name: str, training: bool) -> None:
    """By the inputs and by each weight, eagerly and compiled; eager and compiled results are equal."""
    layer, x = _prepared(name)
    inputs = [one for one in (x if isinstance(x, list) else [x]) if one.dtype.kind == "f"]
    weights = np.random.default_rng(2).standard_normal(np.asarray(layer(x, training=training)).shape)
    variables = layer.trainable_variables

    def total(value: Any) -> Any:
        gj.random.set_seed(1)  # layers that draw draw the same each time
        return gj.reduce_sum(layer(value, training=training) * weights)

    def slopes(value: Any) -> Any:
        sources = [*(value if isinstance(value, list) else [value] if inputs else []), *variables]
        with gj.GradientTape() as tape:
            tape.watch(sources)
            result = gj.reduce_sum(layer(value, training=training) * weights)
        return result, tape.gradient(result, sources)

    def seeded(function: Callable[..., Any]) -> Any:
        gj.random.set_seed(1)
        return function(gj.nest.map_structure(gj.constant, x))

    eager, compiled = seeded(slopes), seeded(gj.compile(slopes))
    np.testing.assert_allclose(np.asarray(compiled[0]), np.asarray(eager[0]), rtol=1e-10)
    for one, other, target in zip(eager[1], compiled[1], [*inputs, *variables], strict=True):
        np.testing.assert_allclose(np.asarray(other), np.asarray(one), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(np.asarray(one), _differences(total, x, target), rtol=1e-5, atol=1e-6)


def _differences(total: Callable[[Any], Any], x: Any, target: Any) -> Array:
    """Central differences by an input, or by a variable."""
    start = np.array(target if isinstance(target, np.ndarray) else target.numpy())
    found = np.zeros_like(start)
    for index in np.ndindex(*start.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = start.copy()
            moved[index] += step
            if isinstance(target, np.ndarray):
                ends.append(float(total(_replaced(x, target, moved))))
            else:
                target.assign(moved)
                ends.append(float(total(x)))
                target.assign(start)
        found[index] = (ends[0] - ends[1]) / 2e-6
    return found


def _replaced(x: Any, old: Array, new: Array) -> Any:
    return [new if one is old else one for one in x] if isinstance(x, list) else new


def _correlated(x: Array, kernel: Array, strides: tuple[int, int]) -> Array:
    """A convolution by loops."""
    height, width = kernel.shape[:2]
    rows = range(0, x.shape[1] - height + 1, strides[0])
    columns = range(0, x.shape[2] - width + 1, strides[1])
    return np.stack(
        [
            np.stack([np.einsum("bhwc,hwco->bo", x[:, r : r + height, c : c + width], kernel) for c in columns], 1)
            for r in rows
        ],
        1,
    )


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_a_convolution_is_its_loop(compiled: bool) -> None:
    """Strides, "same" padding as in TensorFlow: one zero more behind than before."""
    layer = layers.Conv2D(4, (3, 2), (2, 1), padding="same", bias_initializer="ones", dtype="float64")
    x = np.random.default_rng(3).standard_normal((2, 6, 5, 3))
    function = gj.compile(lambda value: layer(value)) if compiled else layer
    found = np.asarray(function(x))
    wide = np.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))
    np.testing.assert_allclose(found, _correlated(wide, layer.kernel.numpy(), (2, 1)) + 1, rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_batch_normalization_remembers(compiled: bool) -> None:
    """Running means move by 1 - momentum in training; a frozen layer uses them in training too."""
    layer = layers.BatchNormalization(momentum=0.75)
    x = np.random.default_rng(4).standard_normal((50, 3)).astype("f") * 2 + 1
    run = gj.compile(lambda value, training: layer(value, training=training)) if compiled else layer
    found = np.asarray(run(x, training=True))
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(found.std(0), 1, atol=1e-3)
    np.testing.assert_allclose(layer.moving_mean.numpy(), 0.25 * x.mean(0), rtol=1e-5)
    np.testing.assert_allclose(layer.moving_variance.numpy(), 0.75 + 0.25 * x.var(0), rtol=1e-5)
    asked = np.asarray(run(x, training=False))
    wanted = (x - layer.moving_mean.numpy()) / np.sqrt(layer.moving_variance.numpy() + 1e-3)
    np.testing.assert_allclose(asked, wanted, rtol=1e-4, atol=1e-5)
    layer.trainable = False
    np.testing.assert_allclose(np.asarray(run(x, training=True)), asked, rtol=1e-6)
    assert len(layer.non_trainable_variables) == 4


def test_windows_that_do_not_fit_are_refused() -> None:
    """With the shapes."""
    with pytest.raises(ValueError, match="reaches over 3 elements does not fit into an axis of 2"):
        layers.Conv2D(1, 3)(np.zeros((1, 2, 5, 1), "f"))
    with pytest.raises(ValueError, match="2 channels and 1 outputs do not fall into groups of 3"):
        gj.nn.conv2d(gj.zeros([1, 4, 4, 2]), gj.zeros([2, 2, 3, 1]))
    with pytest.raises(ValueError, match="padding is"):
        gj.nn.max_pool(gj.zeros([1, 4, 1]), 2, padding="some")


def test_configurations_come_back() -> None:
    """Every layer of the table above."""
    for make, _ in CASES.values():
        layer = make()
        with gj.keras.utils.custom_object_scope({"_cubed": _cubed}):
            again = layers.deserialize(layers.serialize(layer))
        assert again.get_config() == layer.get_config()
        assert type(again) is type(layer)
