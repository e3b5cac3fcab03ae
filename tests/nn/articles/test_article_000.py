"""Article 000, a tenth of the library: a first classifier, a training loop, tapes, a compiled distance, a loss."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from article_data import MODES, in_mode, pictures

import graphjit as tf

keras = tf.keras


def _classifier() -> Any:
    return keras.models.Sequential(
        [
            keras.layers.Flatten(input_shape=(28, 28)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )


@MODES
def test_000_first_classifier(compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 1: Sequential, compile by names, fit; evaluate(verbose=2) prints a line and returns [loss, accuracy]."""
    tf.random.set_seed(1)
    x, y = pictures()
    model = _classifier()
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"], run_eagerly=not compiled)
    model.fit(x, y, epochs=5, verbose=0)
    capsys.readouterr()
    found = model.evaluate(x, y, verbose=2)
    assert len(found) == 2 and found[1] > 0.9
    shown = capsys.readouterr().out
    assert shown.count("\n") == 1 and f"loss: {found[0]:.4f}" in shown and f"accuracy: {found[1]:.4f}" in shown


def test_000_mnist_is_named_but_not_fetched() -> None:
    """Row 2: mnist.load_data() says where the pictures can come from."""
    with pytest.raises(LookupError, match=r"nothing is fetched.*fashion_mnist") as caught:
        keras.datasets.mnist.load_data()
    assert "digits" in str(caught.value)


def test_000_pictures_are_divided(tmp_path: Any) -> None:
    """Row 2: load_data gives arrays of bytes, and dividing by 255.0 gives floats up to 1."""
    np.savez(
        tmp_path / "mnist.npz",
        x_train=np.full((3, 28, 28), 255, np.uint8),
        y_train=np.arange(3, dtype=np.uint8),
        x_test=np.zeros((2, 28, 28), np.uint8),
        y_test=np.zeros(2, np.uint8),
    )
    (x_train, y_train), (x_test, y_test) = keras.datasets.mnist.load_data(tmp_path / "mnist.npz")
    x_train, x_test = x_train / 255.0, x_test / 255.0
    assert isinstance(x_train, np.ndarray) and x_train.dtype == np.float64 and x_train.max() == 1.0
    assert (len(y_train), x_test.shape, len(y_test)) == (3, (2, 28, 28), 2)


@MODES
def test_000_training_loop(compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 3: enumerate(dataset), training=True, (true, predicted), apply_gradients(zip), "%.4f" of float(loss)."""
    x, y = pictures(256)
    dataset = tf.data.Dataset.from_tensor_slices((x.astype("f"), y)).shuffle(256, seed=1).batch(64)
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(10)])
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.SGD(learning_rate=0.05)

    def step(images: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = loss_fn(labels, logits)
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return loss

    run = in_mode(compiled, step)
    losses = []
    for _ in range(5):
        for number, (images, labels) in enumerate(dataset):
            loss = run(images, labels)
            losses.append(float(loss))
            print("Training loss at step %d: %.4f" % (number, float(loss)))  # noqa: UP031 -- the article's form
    assert losses[-1] < 0.6 * losses[0]
    assert f"at step 3: {losses[-1]:.4f}\n" in capsys.readouterr().out


@MODES
def test_000_gradient_of_a_polynomial(compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 4: f(x) = 2 x^3 + 6 x + 4 is 156 at 4, and its gradient prints as 102."""

    def f_x(x: Any) -> Any:
        return 2 * x**3 + 6 * x + 4

    def slope(x: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = f_x(x)
        return y, tape.gradient(y, x)

    value, gradient = in_mode(compiled, slope)(tf.constant(4.0))
    assert float(value) == 156.0
    print(gradient)
    assert capsys.readouterr().out == "gj.Tensor(102.0, shape=(), dtype=float32)\n"


@MODES
def test_000_constants_are_watched_by_hand(compiled: bool) -> None:
    """Row 5: a constant needs watch, before it is used and inside the tape; a Variable does not."""
    x, v = tf.constant(3.0), tf.Variable(3.0)

    def unwatched() -> Any:
        with tf.GradientTape() as tape:
            y = x * x
        return tape.gradient(y, x)

    def watched_late() -> Any:
        with tf.GradientTape() as tape:
            y = x * x
            tape.watch(x)
        return tape.gradient(y, x)

    def watched() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = x * x
        return tape.gradient(y, x)

    def variable() -> Any:
        with tf.GradientTape() as tape:
            y = v * v
        return tape.gradient(y, v)

    found = [in_mode(compiled, one)() for one in (unwatched, watched_late, watched, variable)]
    assert found[:2] == [None, None] and [float(one) for one in found[2:]] == [6.0, 6.0]


def test_000_watching_outside_of_the_tape() -> None:
    """Row 5: watch outside of its `with` is refused in words that say what to do."""
    tape = tf.GradientTape()
    with pytest.raises((ValueError, RuntimeError), match="with"):
        tape.watch(tf.constant(1.0))


@MODES
def test_000_chain_by_paths(compiled: bool) -> None:
    """Row 6: the derivatives along the paths from x to z add up to that of the whole."""

    def along(x: Any) -> Any:
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(x)
            u, v = x * x, 3.0 * x
            z = u * v
        parts = tape.gradient(z, u) * tape.gradient(u, x) + tape.gradient(z, v) * tape.gradient(v, x)
        return tape.gradient(z, x), parts

    whole, parts = in_mode(compiled, along)(tf.constant(2.0))
    assert float(whole) == float(parts) == 36.0


@tf.function
def euclidean(y1: Any, y2: Any, T: Any) -> Any:
    """The length of the difference of two vectors of T numbers."""
    y1 = tf.convert_to_tensor(tf.squeeze(y1), dtype="float32")
    y2 = tf.convert_to_tensor(tf.squeeze(y2), dtype="float32")
    return tf.sqrt(tf.reduce_sum(tf.square(tf.subtract(y1, y2)), axis=0))


@pytest.mark.parametrize("make", [list, lambda one: np.asarray(one, "f")], ids=["list", "float32 array"])
def test_000_compiled_distance(make: Any) -> None:
    """Row 7: a compiled function of lists and of float32 arrays; its Python function gives the same."""
    one, other = make([1.0, 2.0, 3.0]), make([1.0, 5.0, 7.0])
    assert float(euclidean(one, other, 3)) == float(euclidean.python_function(one, other, 3)) == 5.0


def test_000_compiled_distance_of_float64() -> None:
    """Row 7: in a graph an array is a tensor, and one of float64 does not become float32 by itself: ValueError."""
    one, other = np.zeros(3), np.ones(3)
    with pytest.raises(ValueError, match="a tensor of float64 was given where float32 was asked for; use"):
        euclidean(one, other, 3)


@MODES
def test_000_own_loss(compiled: bool) -> None:
    """Row 8: a subclass of Loss; call gives one number for each row, calling it their mean: 2.5."""

    class MeanSquaredError(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return tf.math.reduce_mean(tf.math.square(y_pred - y_true), axis=-1)

    loss = MeanSquaredError()
    ask = in_mode(compiled, lambda t, p: loss(t, p))
    assert float(ask([[1.0, 2.0]], [[2.0, 4.0]])) == 2.5
    assert float(ask([[1.0, 2.0], [0.0, 0.0]], [[2.0, 4.0], [0.0, 0.0]])) == 1.25
    assert loss.call(tf.constant([[1.0, 2.0]]), tf.constant([[2.0, 4.0]])).shape == [1]


@MODES
def test_000_adam_by_its_moments(compiled: bool) -> None:
    """Row 9: 'adam' goes down the running mean of gradients over the root of that of their squares."""
    optimizer = keras.optimizers.get("adam")
    v = tf.Variable([1.0, -2.0])
    gradients = [np.array([0.5, -1.0], "f"), np.array([0.1, 2.0], "f")]

    def step(gradient: Any) -> None:
        optimizer.apply_gradients([(gradient, v)])

    run = in_mode(compiled, step)
    expected, m, s = np.array([1.0, -2.0]), np.zeros(2), np.zeros(2)
    for number, gradient in enumerate(gradients, 1):
        run(tf.constant(gradient))
        m, s = 0.9 * m + 0.1 * gradient, 0.999 * s + 0.001 * gradient**2
        expected -= 0.001 * (m / (1 - 0.9**number)) / (np.sqrt(s / (1 - 0.999**number)) + 1e-7)
    np.testing.assert_allclose(v.numpy(), expected, rtol=1e-5)
