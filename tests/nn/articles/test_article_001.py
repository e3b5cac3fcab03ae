"""Article 001, beyond Keras: tensors and Variables, tapes, a network and a training loop of one's own."""

from __future__ import annotations

from typing import Any, Tuple  # noqa: UP035 -- the article annotates with Tuple

import numpy as np
import pytest
from article_data import MODES, in_mode, pictures

import graphjit as tf

keras = tf.keras


def test_001_a_tensor_and_what_it_says_of_itself(capsys: pytest.CaptureFixture[str]) -> None:
    """Row 1: shape, device, dtype and type of a constant."""
    X = tf.constant([[1, 2], [3, 4], [5, 6]])
    print(X.shape)
    print(X.device)
    print(repr(X.dtype))
    assert capsys.readouterr().out.splitlines() == [
        "(3, 2)",
        "/job:localhost/replica:0/task:0/device:CPU:0",
        "<dtype: 'int32'>",
    ]
    assert type(X) is tf.Tensor


@MODES
def test_001_a_slice_printed(compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows 2 and 3: print shows one form, repr the other; numpy() gives the array."""
    X = tf.constant([[1, 2], [3, 4], [5, 6]])
    part = in_mode(compiled, lambda x: x[0:2, 0:1])(X)
    print(part)
    assert capsys.readouterr().out == "gj.Tensor(\n[[1]\n [3]], shape=(2, 1), dtype=int32)\n"
    assert repr(part) == "<gj.Tensor: shape=(2, 1), dtype=int32, numpy=\narray([[1],\n       [3]], dtype=int32)>"
    assert part.numpy().dtype == np.int32 and part.numpy().tolist() == [[1], [3]]


def test_001_a_variable_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Row 4: print(V)."""
    V = tf.Variable(tf.constant([[1], [3]]))
    print(V)
    shown = "<gj.Variable 'Variable:0' shape=(2, 1) dtype=int32, numpy=\narray([[1],\n       [3]], dtype=int32)>\n"
    assert capsys.readouterr().out == shown


@MODES
def test_001_assigning(compiled: bool) -> None:
    """Row 5: assign, assign_add and assign_sub with tensors and lists on integers; what they return shows the value."""
    V, Y = tf.Variable([[1], [3]]), tf.constant([[5], [6]])
    steps = (lambda: V.assign(Y), lambda: V.assign_add([[1], [1]]), lambda: V.assign_sub([[2], [2]]))
    found = []
    for step in steps:
        returned = in_mode(compiled, step)()
        assert returned.numpy().tolist() == V.numpy().tolist()
        found.append(V.numpy().tolist())
    assert found == [[[5], [6]], [[6], [7]], [[4], [5]]]
    assert "numpy=\narray([[4],\n       [5]], dtype=int32)" in repr(V)


@pytest.mark.parametrize("kind", [tf.constant, tf.Variable], ids=["watched tensors", "Variables"])
@MODES
def test_001_persistent_tape(compiled: bool, kind: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows 6 and 7: two gradients of the sum of a product; Variables are watched by themselves."""
    U, V = kind([[1.0], [2.0]]), kind([[3.0, 4.0]])
    U, V = kind([[1.0, 2.0]]), kind([[3.0, 4.0], [5.0, 6.0]])

    def slopes() -> tuple[Any, Any]:
        with tf.GradientTape(persistent=True) as tape:
            if kind is tf.constant:
                tape.watch(U)
                tape.watch(V)
            W = tf.matmul(U, V)
            f = tf.math.reduce_sum(W)
        found = tape.gradient(f, U), tape.gradient(f, V)
        del tape
        return found

    by_u, by_v = in_mode(compiled, slopes)()
    print(by_u.numpy())
    print(by_v.numpy())
    assert capsys.readouterr().out == "[[ 7. 11.]]\n[[1. 1.]\n [2. 2.]]\n"


class NeuralNetwork(keras.Model):
    """Row 8: variables as attributes, products by hand."""

    def __init__(self) -> None:
        super().__init__()
        initializer = keras.initializers.GlorotUniform()
        self.W1 = tf.Variable(initializer(shape=(784, 20)))
        self.b1 = tf.Variable(tf.zeros(shape=(20,)))
        self.W2 = tf.Variable(initializer(shape=(20, 10)))
        self.b2 = tf.Variable(tf.zeros(shape=(10,)))

    def call(self, x: Any) -> Any:
        flat = tf.reshape(x, [-1, 784])
        return tf.matmul(tf.nn.relu(tf.matmul(flat, self.W1) + self.b1), self.W2) + self.b2


def test_001_variables_of_the_network_in_order() -> None:
    """Row 8: trainable_variables are W1, b1, W2, b2, as they were set, before the model was ever called."""
    model = NeuralNetwork()
    found = [id(one) for one in model.trainable_variables]
    assert sorted(found) == sorted(id(one) for one in (model.W1, model.b1, model.W2, model.b2))
    assert found == [id(one) for one in (model.W1, model.b1, model.W2, model.b2)]


@MODES
def test_001_training_is_ignored_where_call_does_not_take_it(compiled: bool) -> None:
    """Rows 9 and 10: model(x, training=True) though call has no such parameter; float64 pictures become float32."""
    model = NeuralNetwork()
    ask = in_mode(compiled, lambda x: model(x, training=True))
    x = tf.cast(pictures(3)[0], tf.float64)
    assert ask(x).dtype == tf.float32
    np.testing.assert_allclose(ask(x).numpy(), model(tf.cast(x, tf.float32)).numpy(), rtol=1e-5, atol=1e-6)


@MODES
def test_001_loss_of_int64_labels(compiled: bool) -> None:
    """Row 11: a scalar."""
    loss_fn = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loss = in_mode(compiled, lambda y, p: loss_fn(y, p))(np.array([0, 1]), tf.constant([[5.0, 0.0], [0.0, 0.0]]))
    np.testing.assert_allclose(float(loss), (np.log1p(np.exp(-5.0)) + np.log(2)) / 2, rtol=1e-6)
    assert loss.shape == [] and loss.dtype == tf.float32


@MODES
def test_001_sgd_by_its_short_name(compiled: bool) -> None:
    """Row 12: tf.optimizers.SGD(0.1) is keras.optimizers.SGD, and subtracts a tenth of the gradient."""
    assert tf.optimizers.SGD is keras.optimizers.SGD
    optimizer, v = tf.optimizers.SGD(0.1), tf.Variable([1.0, 2.0])
    in_mode(compiled, lambda: optimizer.apply_gradients(zip([tf.constant([1.0, -1.0])], [v], strict=True)))()
    np.testing.assert_allclose(v.numpy(), [0.9, 2.1])


def fit_one_batch(
    X: tf.Tensor, y: tf.Tensor, model: keras.Model, loss_fn: keras.losses.Loss, optimizer: keras.optimizers.Optimizer
) -> Tuple[tf.Tensor, tf.Tensor]:  # noqa: UP006 -- see above
    """Row 17: one step, with everything that it needs as arguments."""
    with tf.GradientTape() as tape:
        y_prime = model(X, training=True)
        loss = loss_fn(y, y_prime)
    grads = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(grads, model.trainable_variables, strict=True))
    return y_prime, loss


def fit(
    dataset: tf.data.Dataset, model: keras.Model, loss_fn: keras.losses.Loss, optimizer: Any, step: Any
) -> tuple[float, float]:
    """Rows 13 to 15: an epoch with its lines of progress; the accuracy and the last loss."""
    batch_count, correct_item_count, current_item_count = len(dataset), 0, 0
    for batch_index, (x, y) in enumerate(dataset):
        y_prime, loss = step(x, y, model, loss_fn, optimizer)
        correct_item_count += (tf.math.argmax(y_prime, axis=1) == y).numpy().sum()
        current_item_count += len(x)
        loss = loss.numpy()
        accuracy = correct_item_count / current_item_count * 100
        print(f"[Batch {batch_index + 1:>3d} - {current_item_count:>5d} items] loss: {loss:>7f}, {accuracy:>0.1f}%")
    assert batch_index + 1 == batch_count
    return accuracy, float(loss)


@MODES
def test_001_own_loop(compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows 13 to 17: counts, formats, and 2 traces: of batches of 64, and of the short one of 22."""
    tf.random.set_seed(2)
    x, y = pictures(150)
    model, loss_fn = NeuralNetwork(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    step = in_mode(compiled, fit_one_batch)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(64)
    optimizer = tf.optimizers.SGD(0.1)
    for _ in range(30):
        accuracy, loss = fit(dataset, model, loss_fn, optimizer, step)
    assert accuracy > 90
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == f"[Batch   3 -   150 items] loss: {loss:>7f}, {accuracy:>0.1f}%"
    assert not compiled or step.trace_count == 2


def test_001_eager_and_graph_agree() -> None:
    """Rows 17 and 22: the same weights whether the steps run eagerly or as graphs."""
    x, y = pictures(150)
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(64)
    models = []
    for compiled in (False, True):
        tf.random.set_seed(5)
        models.append(NeuralNetwork())
        step = in_mode(compiled, fit_one_batch)
        loss_fn, optimizer = keras.losses.SparseCategoricalCrossentropy(from_logits=True), tf.optimizers.SGD(0.1)
        for inputs, labels in dataset:
            step(inputs, labels, models[-1], loss_fn, optimizer)
    for one, other in zip(models[0].trainable_variables, models[1].trainable_variables, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-4, atol=1e-6)


def test_001_accuracies_rise_into_the_band() -> None:
    """Row 16, on stand-in data: accuracy grows from the first epoch to the fifth, and pictures not seen do as well."""
    tf.random.set_seed(3)
    x, y = pictures(1200)
    model, loss_fn = NeuralNetwork(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer, step = tf.optimizers.SGD(0.1), tf.function(fit_one_batch)
    dataset = tf.data.Dataset.from_tensor_slices((x[:1000], y[:1000])).shuffle(1000, seed=1).batch(64)
    accuracies = [fit(dataset, model, loss_fn, optimizer, step)[0] for _ in range(5)]
    assert accuracies[0] < accuracies[-1] and accuracies[-1] > 85
    seen = np.argmax(model(x[1000:]).numpy(), axis=1)
    assert np.mean(seen == y[1000:]) > 0.84


@MODES
def test_001_evaluate_and_predict(compiled: bool) -> None:
    """Row 18: steps that measure and ask; argmax(input=..., axis=1); a float64 array of [-1, 28, 28]."""
    x, y = pictures(70)
    model, loss_fn = NeuralNetwork(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def evaluate_one_batch(X: Any, y: Any, model: Any, loss_fn: Any) -> tuple[Any, Any]:
        y_prime = model(X, training=False)
        return y_prime, loss_fn(y, y_prime)

    def predict(model: keras.Model, X: np.ndarray[Any, Any]) -> Any:
        y_prime = model(X, training=False)
        probabilities = tf.nn.softmax(y_prime, axis=1)
        return tf.math.argmax(input=probabilities, axis=1)

    y_prime, loss = in_mode(compiled, evaluate_one_batch)(tf.constant(x), tf.constant(y), model, loss_fn)
    assert y_prime.shape == (70, 10) and loss.shape == ()
    picture = (x[3] * 255).astype(np.uint8).reshape([-1, 28, 28]) / 255.0
    found = in_mode(compiled, predict)(model, picture)
    assert found.dtype == tf.int64 and found.numpy()[0] == np.argmax(model(picture).numpy())


def test_001_weights_are_saved_and_loaded(tmp_path: Any) -> None:
    """Row 19: a path without extension; a fresh model that was never called reads it."""
    model = NeuralNetwork()
    x = pictures(5)[0]
    model.save_weights(str(tmp_path / "outputs" / "weights"))
    fresh = NeuralNetwork()
    assert not np.array_equal(fresh(x).numpy(), model(x).numpy())
    fresh = NeuralNetwork()
    fresh.load_weights(str(tmp_path / "outputs" / "weights"))
    np.testing.assert_array_equal(fresh(x).numpy(), model(x).numpy())


def test_001_names_in_annotations() -> None:
    """Row 20: the classes that the article annotates with are there, and are those of the objects."""
    dataset = tf.data.Dataset.from_tensor_slices([1, 2])
    assert isinstance(dataset, tf.data.Dataset) and isinstance(tf.constant(1), tf.Tensor)
    assert isinstance(keras.losses.SparseCategoricalCrossentropy(), keras.losses.Loss)
    assert isinstance(tf.optimizers.SGD(), keras.optimizers.Optimizer) and isinstance(NeuralNetwork(), keras.Model)


def test_001_stopping_in_eager_mode_and_in_graphs() -> None:
    """Row 21: Python stops in the function when it runs eagerly; a graph can be stepped through along its lines."""
    seen = []

    def square(x: Any) -> Any:
        seen.append(x)
        return x * x

    compiled = tf.function(square)
    with tf.eager_mode():
        compiled(tf.constant(3.0))
    assert float(seen[0]) == 3.0
    assert callable(compiled.stepping)
