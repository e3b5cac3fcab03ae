"""Layers against NumPy, and their gradients by input and weights against central differences, on float64."""

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

CASES: dict[str, tuple[Callable[[], Any], tuple[int, ...]]] = {
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
}


def _prepared(name: str) -> tuple[Any, Array]:
    random = np.random.default_rng(len(name))
    make, shape = CASES[name]
    layer, x = make(), random.standard_normal(shape)
    layer(x)
    for variable in layer.trainable_variables:
        variable.assign(random.standard_normal(variable.shape.as_list()))
    return layer, x


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("training", [False, True], ids=["asking", "training"])
def test_gradients_are_central_differences(name: str, training: bool) -> None:
    """By the input and by each weight, eagerly and compiled; eager and compiled results are equal."""
    layer, x = _prepared(name)
    gj.random.set_seed(1)
    weights = np.random.default_rng(2).standard_normal(np.asarray(layer(x, training=training)).shape)
    variables = layer.trainable_variables

    def total(value: Any) -> Any:
        return gj.reduce_sum(layer(value, training=training) * weights)

    def slopes(value: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(value)
            result = total(value)
        return result, tape.gradient(result, [value, *variables])

    eager, compiled = slopes(gj.constant(x)), gj.compile(slopes)(gj.constant(x))
    np.testing.assert_allclose(np.asarray(compiled[0]), np.asarray(eager[0]), rtol=1e-10)
    for one, other, target in zip(eager[1], compiled[1], [x, *variables], strict=True):
        np.testing.assert_allclose(np.asarray(other), np.asarray(one), rtol=1e-8, atol=1e-10)
        np.testing.assert_allclose(np.asarray(one), _differences(total, x, target), rtol=1e-5, atol=1e-6)


def _differences(total: Callable[[Any], Any], x: Array, target: Any) -> Array:
    """Central differences by the input, or by a variable."""
    start = np.array(target if isinstance(target, np.ndarray) else target.numpy())
    found = np.zeros_like(start)
    for index in np.ndindex(*start.shape):
        ends = []
        for step in (1e-6, -1e-6):
            moved = start.copy()
            moved[index] += step
            if isinstance(target, np.ndarray):
                ends.append(float(total(moved)))
            else:
                target.assign(moved)
                ends.append(float(total(x)))
                target.assign(start)
        found[index] = (ends[0] - ends[1]) / 2e-6
    return found


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
        again = layers.deserialize(layers.serialize(layer))
        assert again.get_config() == layer.get_config()
