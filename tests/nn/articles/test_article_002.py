"""Article 002, logistic regression three ways: with a ready model, by hand, with a layer and model of one's own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from article_data import MODES, blobs, in_mode

import graphjit as tf

keras = tf.keras


@MODES
def test_002_ready_model(compiled: bool) -> None:
    """Rows 1 and 2: two clouds; 'SGD', BinaryCrossentropy(from_logits=True), fit(batch_size=100, epochs=20)."""
    tf.random.set_seed(1)
    x, y = blobs()
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile(optimizer="SGD", loss=loss, metrics=["accuracy"], run_eagerly=not compiled)
    history = model.fit(x, y, batch_size=100, epochs=20, verbose=0).history
    assert len(history["loss"]) == 20 and history["loss"][-1] < history["loss"][0]
    assert history["accuracy"][-1] > 0.85


@MODES
def test_002_accuracy_thresholds_what_the_model_gives(compiled: bool) -> None:
    """Row 3: 'accuracy' asks whether the model's output, here a logit, is above 0.5."""
    x, y = blobs(300, 1.0)
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,), kernel_initializer="ones")])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("SGD", loss, ["accuracy"], run_eagerly=not compiled)
    above = (x.sum(axis=1) > 0.5) == y
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[1], above.mean(), atol=1e-6)
    assert above.mean() != ((x.sum(axis=1) > 0.0) == y).mean()


def test_002_constant_casts_where_it_is_asked_to() -> None:
    """Row 4: tf.constant(X, dtype=tf.float32) of a float64 array."""
    x = blobs(4)[0]
    assert x.dtype == np.float64
    found = tf.constant(x, dtype=tf.float32)
    assert found.dtype == tf.float32 and np.array_equal(found.numpy(), x.astype("f"))


def predict(inputs: Any, W: Any, b: Any) -> Any:
    """Row 5: probabilities of shape (inputs.shape[0],)."""
    return tf.reshape(tf.sigmoid(tf.add(tf.matmul(inputs, W), b)), (inputs.shape[0],))


def loss_of(targets: Any, preds: Any) -> Any:
    """Row 7: the binary cross entropy written out."""
    ones = tf.multiply(tf.math.log(preds + 0.0001), targets)
    zeros = tf.multiply(tf.math.log(1 - preds + 0.0001), 1 - targets)
    return -tf.reduce_mean(tf.math.add(ones, zeros))


def _parts(seed: int = 0) -> tuple[Any, Any, Any, Any]:
    x, y = blobs()
    np.random.seed(seed)
    W = tf.constant(np.random.randn(2, 1), dtype=tf.float32)
    return tf.constant(x, dtype=tf.float32), tf.constant(y, dtype=tf.float32), W, tf.constant(0.0)


@MODES
def test_002_predicting_by_hand(compiled: bool) -> None:
    """Rows 5 and 6: shape (1000,), and the first ten numbers as they show themselves."""
    X, _, W, b = _parts()
    found = in_mode(compiled, predict)(X, W, b)
    assert found.shape == (1000,)
    shown = repr(found[0:10])
    assert shown.startswith("<gj.Tensor: shape=(10,), dtype=float32, numpy=\narray([")
    np.testing.assert_allclose(found.numpy(), 1 / (1 + np.exp(-(X.numpy() @ W.numpy())[:, 0])), rtol=2e-5)


@MODES
def test_002_loss_by_hand(compiled: bool) -> None:
    """Row 7: ln 2 where nothing is known, which is about 0.69."""
    X, y, W, b = _parts()
    ask = in_mode(compiled, lambda X, y, W, b: loss_of(y, predict(X, W, b)))
    np.testing.assert_allclose(float(ask(X, y, W * 0, b)), np.log(2), atol=3e-4)
    assert np.isfinite(float(ask(X, y, W * 1000, b)))


@MODES
def test_002_accuracy_with_numpy_and_python(compiled: bool) -> None:
    """Row 8: np.array and np.round of a tensor, Python's sum over an array of bools, len."""
    X, y, W, b = _parts()
    preds = in_mode(compiled, predict)(X, W, b)
    right = np.array(y) == np.round(preds)
    accuracy = sum(right) / len(right)
    assert isinstance(float(accuracy), float) and 0.0 <= accuracy <= 1.0
    assert accuracy == np.mean((preds.numpy() > 0.5) == y.numpy())


@MODES
def test_002_gradients_keep_the_form_of_the_sources(compiled: bool) -> None:
    """Row 9: watch(W), watch(b), gradient(loss, (W, b)) is a tuple with shapes (2, 1) and ()."""
    X, y, W, b = _parts()

    def slopes(W: Any, b: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(W)
            tape.watch(b)
            loss = loss_of(y, predict(X, W, b))
        return tape.gradient(loss, (W, b))

    found = in_mode(compiled, slopes)(W, b)
    assert isinstance(found, tuple) and [one.shape.as_list() for one in found] == [[2, 1], []]


@MODES
def test_002_descending_with_tensors(compiled: bool) -> None:
    """Row 10: 500 times `W = W - rate * grads[0]`, each time new tensors that are watched again; the loss falls."""
    X, y, W, b = _parts()

    def step(W: Any, b: Any, rate: float) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(W)
            tape.watch(b)
            loss = loss_of(y, predict(X, W, b))
        grads = tape.gradient(loss, (W, b))
        return loss, W - rate * grads[0], b - rate * grads[1]

    run, losses = in_mode(compiled, step), []
    for _ in range(500):
        loss, W, b = run(W, b, 0.02)
        losses.append(float(loss))
    assert losses[-1] < losses[0] and isinstance(W, tf.Tensor)
    assert not compiled or run.trace_count == 1


class MyDense(keras.layers.Layer):
    """Row 11: weights with their names first; the bias is random too, as nothing else is asked for."""

    def __init__(self, units: int = 1) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.W = self.add_weight("W", shape=[int(input_shape[-1]), self.units])
        self.b = self.add_weight("b", shape=[self.units])

    def call(self, inputs: Any) -> Any:
        return tf.add(tf.matmul(inputs, self.W), self.b)


@MODES
def test_002_own_layer(compiled: bool) -> None:
    """Row 11: build at the first call; W, b in this order; the default initializer makes the bias random, too."""
    tf.random.set_seed(3)
    la = MyDense(3)
    assert la.trainable_variables == []
    found = in_mode(compiled, lambda x: la(x))(tf.ones([2, 2]))
    assert found.shape == (2, 3)
    assert [one is other for one, other in zip(la.trainable_variables, (la.W, la.b), strict=True)] == [True, True]
    assert la.b.numpy().any() and la.W.shape == (2, 3)


def test_002_names_of_layers_are_counted() -> None:
    """Row 12: my_dense, my_dense_1, ...; and of weights, my_dense_2/W:0."""
    keras.backend.clear_session()
    layers = [MyDense() for _ in range(3)]
    assert [one.name for one in layers] == ["my_dense", "my_dense_1", "my_dense_2"]
    layers[2](tf.ones([1, 2]))
    assert [one.name for one in layers[2].trainable_variables] == ["my_dense_2/W:0", "my_dense_2/b:0"]


class MyModel(keras.Model):
    """Row 13: an empty name; a layer that is made, and called, in __init__."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name=name)
        self.dense = MyDense()
        self.dense(tf.zeros([1, 2]))

    def call(self, inputs: Any) -> Any:
        return tf.reshape(tf.nn.sigmoid(self.dense(inputs)), (inputs.shape[0],))


def test_002_layers_of_a_model() -> None:
    """Row 13: mm.layers."""
    mm = MyModel()
    assert [type(one) for one in mm.layers] == [MyDense] and len(mm.trainable_variables) == 2


@MODES
def test_002_losses_take_keywords(compiled: bool) -> None:
    """Row 14: BinaryCrossentropy()(y_true=, y_pred=)."""
    loss = keras.losses.BinaryCrossentropy()
    y, p = np.array([0.0, 1.0], "f"), np.array([0.2, 0.7], "f")
    found = in_mode(compiled, lambda y, p: loss(y_true=y, y_pred=p))(y, p)
    np.testing.assert_allclose(float(found), -(np.log(0.8) + np.log(0.7)) / 2, rtol=1e-5)


@MODES
def test_002_own_model_in_500_steps(compiled: bool) -> None:
    """Rows 15 and 16: watch(list of Variables) is accepted; SGD(learning_rate=0.01), 500 steps, the loss falls."""
    tf.random.set_seed(4)
    X, y, _, _ = _parts()
    model, optimizer = MyModel(), keras.optimizers.SGD(learning_rate=0.01)
    loss_fn = keras.losses.BinaryCrossentropy()

    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(model.trainable_variables)
            loss = loss_fn(y_true=y, y_pred=model(X))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    run = in_mode(compiled, step)
    losses = [float(run()) for _ in range(500)]
    assert losses[-1] < losses[0] and all(np.isfinite(losses))


def test_002_wrong_shape_of_targets_is_told() -> None:
    """Targets of another number of rows than predictions are refused with both shapes."""
    with pytest.raises(ValueError, match=r"shapes \(3, 1\) and \(4, 1\) do not broadcast"):
        keras.losses.BinaryCrossentropy()(np.ones(3, "f"), np.ones((4, 1), "f"))
