"""Masks: made by layers, handed on with tensors, obeyed by recurrent layers, losses and metrics."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.nn import masks
from graphjit.nn.masks import mask_of

layers = gj.keras.layers
MODES = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
WORDS = np.array([[1, 2, 0, 0], [3, 0, 0, 0], [4, 5, 6, 7]])


def _masked(compiled: bool, *stack: Any) -> tuple[Any, Any]:
    """What layers make of the words, and its mask."""

    def run(value: Any) -> Any:
        for layer in stack:
            value = layer(value)
        mask = mask_of(value)
        return value, gj.constant(0) if mask is None else mask

    value, mask = (gj.compile(run) if compiled else run)(WORDS)
    return value.numpy(), mask.numpy()


@MODES
def test_an_embedding_makes_a_mask_that_layers_hand_on(compiled: bool) -> None:
    """mask_zero; layers that leave the steps where they are hand it on, a recurrent one with all its steps too."""
    stack = [
        layers.Embedding(9, 3, mask_zero=True),
        layers.Dropout(0.5),
        layers.Dense(4, "relu"),
        layers.BatchNormalization(),
        layers.LayerNormalization(),
        layers.Activation("tanh"),
        layers.Softmax(),
        layers.GRU(3, return_sequences=True),
        layers.Bidirectional(layers.LSTM(2, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3)),
    ]
    _, mask = _masked(compiled, *stack)
    assert (mask == (WORDS != 0)).all()
    assert _masked(compiled, *stack, layers.GRU(3))[1].ndim == 0
    assert _masked(compiled, layers.Embedding(9, 3))[1].ndim == 0


@MODES
def test_masking_leaves_steps_out(compiled: bool) -> None:
    """Steps of nothing but mask_value change no state: the rest alone gives the same."""
    x = np.random.default_rng(1).standard_normal((2, 4, 3))
    x[:, 1] = -1.0
    layer = layers.LSTM(3, dtype="float64")
    model = gj.keras.Sequential([layers.Masking(-1.0, dtype="float64"), layer], dtype="float64")
    run = gj.compile(lambda value: model(value)) if compiled else model
    np.testing.assert_allclose(run(x).numpy(), layer(x[:, [0, 2, 3]]).numpy(), rtol=1e-12)
    again = layers.deserialize(layers.serialize(layers.Masking(2.0)))
    assert again.mask_value == 2.0


class Words(gj.keras.Model):
    """Layers that a user calls one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = layers.Embedding(9, 3, mask_zero=True)
        self.inner = layers.GRU(4)

    def call(self, inputs: Any) -> Any:
        return self.inner(self.embedding(inputs))


@MODES
def test_masks_reach_layers_in_every_kind_of_model(compiled: bool) -> None:
    """A subclass, a functional model, a Sequential: as if the mask were given by hand."""
    own = Words()
    own(WORDS)
    inputs = gj.keras.Input((None,), dtype="int32")
    functional = gj.keras.Model(inputs, own.inner(own.embedding(inputs)))
    sequential = gj.keras.Sequential([own.embedding, own.inner])
    wanted = own.inner(gj.constant(own.embedding(WORDS).numpy()), mask=WORDS != 0).numpy()
    for model in (own, functional, sequential):
        run = gj.compile(lambda value, model=model: model(value)) if compiled else model
        np.testing.assert_allclose(np.asarray(run(WORDS)), wanted, rtol=1e-5, atol=1e-7)


@MODES
def test_a_mask_given_to_a_model_reaches_its_layers(compiled: bool) -> None:
    """model(x, mask=...)."""
    layer = layers.GRU(2)
    model = gj.keras.Sequential([layers.Dropout(0.1), layer])
    x = np.random.default_rng(2).standard_normal((3, 4, 2)).astype("f")
    mask = WORDS != 0
    run = gj.compile(lambda value: model(value, mask=mask)) if compiled else lambda value: model(value, mask=mask)
    np.testing.assert_allclose(run(x).numpy(), layer(x, mask=mask).numpy(), rtol=1e-5, atol=1e-7)


@MODES
def test_losses_and_metrics_leave_out_what_does_not_count(compiled: bool) -> None:
    """The mean is one over steps that count; weights multiply. The numbers are those of Keras 3's formula."""
    model = gj.keras.Sequential([layers.Embedding(9, 3, mask_zero=True), layers.Dense(2)])
    y = np.random.default_rng(3).standard_normal((3, 4, 2)).astype("f")
    predicted = np.asarray(model(WORDS))
    counted, error = WORDS != 0, ((predicted - y) ** 2).mean(-1)
    loss = gj.keras.losses.MeanSquaredError()
    run = gj.compile(lambda value: loss(y, model(value))) if compiled else lambda value: loss(y, model(value))
    np.testing.assert_allclose(float(run(WORDS)), error[counted].mean(), rtol=1e-5)
    weights = np.random.default_rng(4).random((3, 4)).astype("f")
    weighted = loss(y, model(WORDS), sample_weight=weights)
    np.testing.assert_allclose(float(weighted), (error * weights)[counted].sum() / counted.sum(), rtol=1e-5)
    by_example = loss(y, model(WORDS), sample_weight=np.array([1.0, 2.0, 3.0]))
    wanted = (error * [[1.0], [2.0], [3.0]])[counted].sum() / counted.sum()
    np.testing.assert_allclose(float(by_example), wanted, rtol=1e-5)
    total = gj.keras.losses.MeanSquaredError(reduction="sum")(y, model(WORDS))
    np.testing.assert_allclose(float(total), error[counted].sum(), rtol=1e-5)


@pytest.mark.parametrize("eagerly", [False, True], ids=["compiled", "eager"])
def test_evaluate_and_fit_obey_masks(eagerly: bool) -> None:
    """Loss and metrics of compile; and what does not count has no gradient."""
    model = gj.keras.Sequential([layers.Embedding(9, 3, mask_zero=True), layers.Dense(2)])
    y = np.random.default_rng(3).standard_normal((3, 4, 2)).astype("f")
    predicted = np.asarray(model(WORDS))
    counted, distance = WORDS != 0, np.abs(predicted - y)
    model.compile(gj.keras.optimizers.SGD(0.1), "mse", metrics=["mae", "root_mean_squared_error"], run_eagerly=eagerly)
    loss, mae, root = model.evaluate(WORDS, y, verbose=0)
    np.testing.assert_allclose(loss, (distance**2).mean(-1)[counted].mean(), rtol=1e-5)
    np.testing.assert_allclose(mae, distance.mean(-1)[counted].mean(), rtol=1e-5)
    np.testing.assert_allclose(root, np.sqrt((distance**2)[counted].mean()), rtol=1e-5)
    before = model.get_weights()[0]
    model.fit(WORDS, y, verbose=0)
    moved = (model.get_weights()[0] != before).any(1)
    assert not moved[0] and moved[1:8].all() and not moved[8]


@MODES
def test_merged_tensors_have_merged_masks(compiled: bool) -> None:
    """Add: either; Concatenate along features: either; along steps: one behind the other."""
    table = layers.Embedding(9, 3, mask_zero=True)
    other = np.array([[1, 0, 1, 0]] * 3)

    def run(first: Any, second: Any) -> Any:
        pair = [table(first), table(second)]
        results = [layers.Add()(pair), layers.Concatenate()(pair), layers.Concatenate(1)(pair)]
        return [mask_of(one) for one in results]

    function = gj.compile(run) if compiled else run
    table(WORDS)
    either = (WORDS != 0) | (other != 0)
    found = [one.numpy() for one in function(WORDS, other)]
    assert (found[0] == either).all() and (found[1] == either).all()
    assert (found[2] == np.concatenate([WORDS, other], 1).astype(bool)).all()


@MODES
def test_means_and_moments_leave_steps_out(compiled: bool) -> None:
    """GlobalAveragePooling1D, BatchNormalization in training, and Softmax with a mask of its input's shape."""
    x = np.random.default_rng(5).standard_normal((3, 4, 2))
    mask = WORDS != 0
    pooling = layers.GlobalAveragePooling1D(dtype="float64")
    normal = layers.BatchNormalization(epsilon=0.0, dtype="float64")
    soft = layers.Softmax(dtype="float64")

    def run(value: Any) -> Any:
        return pooling(value, mask=mask), normal(value, mask=mask, training=True), soft(value[..., 0], mask=mask)

    mean, normalised, shares = (one.numpy() for one in (gj.compile(run) if compiled else run)(x))
    wanted = [row[kept].mean(0) for row, kept in zip(x, mask, strict=True)]
    np.testing.assert_allclose(mean, wanted, rtol=1e-12)
    np.testing.assert_allclose(normalised[mask].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(normalised[mask].std(0), 1, rtol=1e-12)
    powers = np.exp(x[..., 0]) * mask
    np.testing.assert_allclose(shares, powers / powers.sum(-1, keepdims=True), rtol=1e-6)


class Halved(layers.Layer):
    """Every second step."""

    def call(self, inputs: Any) -> Any:
        return inputs[:, ::2]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return None if mask is None else mask[:, ::2]


@MODES
def test_compute_mask_of_a_layer_of_ones_own(compiled: bool) -> None:
    """It is asked; a layer without, which does not say that it supports masks, drops them with a warning, once."""
    table, halved = layers.Embedding(9, 3, mask_zero=True), Halved()
    assert (_masked(compiled, table, halved)[1] == (WORDS != 0)[:, ::2]).all()
    flat = layers.Flatten(name="flat")
    with pytest.warns(UserWarning, match="'flat' is given steps of which some do not count"):
        assert _masked(compiled, table, flat)[1].ndim == 0
    assert _masked(compiled, table, flat)[1].ndim == 0
    named = layers.Lambda(lambda x: x * 2.0, mask=lambda _, mask: mask)
    assert (_masked(compiled, table, named)[1] == (WORDS != 0)).all()


def test_a_cast_input_keeps_its_mask() -> None:
    """A layer of another dtype casts its input, and the copy has the mask too."""
    found = layers.Dense(2)(layers.Masking(dtype="float64")(np.zeros((1, 2, 3))))
    assert mask_of(found).numpy().tolist() == [[False, False]]


def test_masks_go_with_their_tensors() -> None:
    """Nothing is held: neither tensors, nor the graphs of symbols."""
    table = layers.Embedding(9, 3, mask_zero=True)
    value = table(WORDS)
    gone = weakref.ref(value)
    gc.collect()
    before = len(masks._of_tensors), len(masks._of_symbols)
    del value
    assert gone() is None and len(masks._of_tensors) == before[0] - 1
    gj.compile(lambda words: table(words))(WORDS)
    gc.collect()
    assert len(masks._of_symbols) <= before[1]


def test_a_model_with_masks_is_saved_with_its_calls(tmp_path: Any) -> None:
    """L3: gj.save writes the graph, loops and masks included, for the integers that Input announces."""
    model = gj.keras.Sequential(
        [
            layers.Input((None,), dtype="int32"),
            layers.Embedding(9, 3, mask_zero=True),
            layers.Bidirectional(layers.LSTM(3, return_sequences=True)),
            layers.GRU(4),
        ]
    )
    words = WORDS.astype("int32")
    gj.save(model, tmp_path / "model")
    again = gj.load(tmp_path / "model")
    np.testing.assert_array_equal(np.asarray(again(words)), model.predict(words))
    np.testing.assert_array_equal(np.asarray(again(words[:2, :3])), model.predict(words[:2, :3]))


@pytest.mark.parametrize("eagerly", [False, True], ids=["compiled", "eager"])
def test_labels_of_steps_in_fit(eagerly: bool) -> None:
    """A label and a weight for each step; what is filled in needs a label, too, but it counts for nothing."""
    gj.random.set_seed(2)
    tagger = gj.keras.Sequential(
        [layers.Embedding(9, 4, mask_zero=True), layers.GRU(4, return_sequences=True), layers.Dense(3, "softmax")]
    )
    tagger.compile(gj.keras.optimizers.Adam(0.05), "sparse_categorical_crossentropy", ["accuracy"], run_eagerly=eagerly)
    labels = np.where(WORDS, WORDS % 3, 1)
    for filled in (1, 2):
        given = np.where(WORDS, labels, filled)
        loss, _ = tagger.evaluate(WORDS, given, sample_weight=np.ones((3, 4)), verbose=0)
        chances = np.take_along_axis(np.asarray(tagger(WORDS)), labels[..., None], -1)[..., 0]
        np.testing.assert_allclose(loss, -np.log(chances)[WORDS != 0].mean(), rtol=1e-5)
    history = tagger.fit(WORDS, labels, epochs=40, verbose=0).history
    assert history["loss"][-1] < 0.2 * history["loss"][0] and history["accuracy"][-1] == 1.0
