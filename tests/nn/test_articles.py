"""What the five articles on low-level TensorFlow 2 do and print, written afresh, eagerly and compiled.

Each test names its row: the article, then what it is about.
"""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import graphjit as tf

keras = tf.keras
MODES = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])


def pictures(count: int = 512) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pictures whose brightest of ten bands is their kind."""
    random = np.random.default_rng(1)
    y = random.integers(0, 10, count)
    x = random.random((count, 28, 28)) * 0.5
    for picture, kind in zip(x, y, strict=True):
        picture[:, 2 * kind : 2 * kind + 3] += 0.5
    return x, y


@MODES
def test_000_first_classifier(compiled: bool) -> None:
    """000: Sequential, compile by names, fit, evaluate returns [loss, accuracy]."""
    tf.random.set_seed(1)
    x, y = pictures()
    model = keras.models.Sequential(
        [
            keras.layers.Flatten(input_shape=(28, 28)),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"], run_eagerly=not compiled)
    model.fit(x, y, epochs=5, verbose=0)
    found = model.evaluate(x, y, verbose=2)
    assert len(found) == 2 and found[1] > 0.9


@MODES
def test_000_training_loop(compiled: bool) -> None:
    """000: enumerate(dataset), training=True, tape, apply_gradients(zip), "%.4f" of float(loss)."""
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

    run = tf.function(step) if compiled else step
    losses = []
    for _ in range(5):
        for number, (images, labels) in enumerate(dataset):
            loss = run(images, labels)
            assert "step %d: loss %.4f" % (number, float(loss))  # noqa: UP031 -- the article's form
            losses.append(float(loss))
    assert losses[-1] < 0.6 * losses[0]


def test_000_own_loss() -> None:
    """000: a subclass of Loss gives 2.5 for [[1, 2]] against [[2, 4]]."""

    class MeanSquaredError(keras.losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return tf.math.reduce_mean(tf.math.square(y_pred - y_true), axis=-1)

    assert float(MeanSquaredError()([[1.0, 2.0]], [[2.0, 4.0]])) == 2.5


class NeuralNetwork(keras.Model):
    """001: variables as attributes, products by hand."""

    def __init__(self) -> None:
        super().__init__()
        initializer = keras.initializers.GlorotUniform()
        self.w1 = tf.Variable(initializer(shape=(784, 20)))
        self.b1 = tf.Variable(tf.zeros(shape=(20,)))
        self.w2 = tf.Variable(initializer(shape=(20, 10)))
        self.b2 = tf.Variable(tf.zeros(shape=(10,)))

    def call(self, inputs: Any) -> Any:
        flat = tf.reshape(inputs, [-1, 784])
        return tf.matmul(tf.nn.relu(tf.matmul(flat, self.w1) + self.b1), self.w2) + self.b2


@MODES
def test_001_own_network_and_loop(compiled: bool, tmp_path: Any) -> None:
    """001: four variables in order, float64 in, objects as arguments, two traces, saving and predicting."""
    tf.random.set_seed(2)
    x, y = pictures(150)
    model, loss_fn = NeuralNetwork(), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = tf.optimizers.SGD(0.1)
    assert [id(v) for v in model.trainable_variables] == [id(v) for v in (model.w1, model.b1, model.w2, model.b2)]

    def fit_one_batch(x: Any, y: Any, model: Any, loss_fn: Any, optimizer: Any) -> tuple[Any, Any]:
        with tf.GradientTape() as tape:
            y_prime = model(x, training=True)
            loss = loss_fn(y, y_prime)
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return y_prime, loss

    run = tf.function(fit_one_batch) if compiled else fit_one_batch
    dataset = tf.data.Dataset.from_tensor_slices((x, y)).batch(64)
    assert len(dataset) == 3
    for _ in range(30):
        correct = 0
        for images, labels in dataset:
            y_prime, loss = run(images, labels, model, loss_fn, optimizer)
            correct += (tf.math.argmax(y_prime, axis=1) == labels).numpy().sum()
    assert y_prime.dtype == tf.float32 and f"{loss.numpy():>7f}"
    assert correct / len(x) > 0.9
    assert not compiled or run.trace_count == 2
    model.save_weights(str(tmp_path / "model"))
    fresh = NeuralNetwork()
    fresh.load_weights(str(tmp_path / "model"))

    def predict(model: Any, x: np.ndarray[Any, Any]) -> Any:
        probabilities = tf.nn.softmax(model(x, training=False), axis=1)
        return tf.math.argmax(input=probabilities, axis=1)

    ask = tf.function(predict) if compiled else predict
    assert ask(fresh, x[:5]).numpy()[0] == ask(model, x[:5]).numpy()[0] == y[0]


@MODES
def test_002_logistic_regression(compiled: bool) -> None:
    """002: 'SGD', BinaryCrossentropy(from_logits=True), ['accuracy'] thresholds the logits at 0.5."""
    random = np.random.default_rng(3)
    y = random.integers(0, 2, 1000)
    x = random.standard_normal((1000, 2)) + 4.0 * y[:, None]
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    model.compile("SGD", loss, ["accuracy"], run_eagerly=not compiled)
    history = model.fit(x, y, batch_size=100, epochs=20, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    by_hand = ((x @ model.layers[0].kernel.numpy() + model.layers[0].bias.numpy())[:, 0] > 0.5) == y
    np.testing.assert_allclose(model.evaluate(x, y, verbose=0)[1], by_hand.mean(), atol=0.002)


class MyDense(keras.layers.Layer):
    """002: weights with their names first; the bias is random too."""

    def __init__(self, units: int = 1) -> None:
        super().__init__()
        self.units = units

    def build(self, input_shape: Any) -> None:
        self.W = self.add_weight("W", shape=[int(input_shape[-1]), self.units])
        self.b = self.add_weight("b", shape=[self.units])

    def call(self, inputs: Any) -> Any:
        return tf.add(tf.matmul(inputs, self.W), self.b)


class MyModel(keras.Model):
    """002: a model of one such layer, made in __init__."""

    def __init__(self, name: str = "") -> None:
        super().__init__(name=name)
        self.dense = MyDense()

    def call(self, inputs: Any) -> Any:
        return tf.nn.sigmoid(self.dense(inputs))


@MODES
def test_002_own_layer_and_model(compiled: bool) -> None:
    """002: order W, b; names my_dense_1/W:0; mm.layers; keywords of losses; watching a list; 500 steps."""
    keras.backend.clear_session()
    random = np.random.default_rng(3)
    y = random.integers(0, 2, 200).astype("f")
    x = random.standard_normal((200, 2)).astype("f") + 2.0 * y[:, None]
    model, optimizer = MyModel(), keras.optimizers.SGD(learning_rate=0.05)
    model(x)
    assert [v.name for v in model.trainable_variables] == ["my_dense/W:0", "my_dense/b:0"]
    assert [type(one) for one in model.layers] == [MyDense] and float(model.dense.b[0]) != 0
    loss_fn = keras.losses.BinaryCrossentropy()

    def step() -> Any:
        with tf.GradientTape() as tape:
            tape.watch(model.trainable_variables)
            loss = loss_fn(y_true=y, y_pred=model(x))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    run = tf.function(step) if compiled else step
    losses = [float(run()) for _ in range(300)]
    assert losses[-1] < 0.8 * losses[0]


def huber_fn(y_true: Any, y_pred: Any) -> Any:
    """004: a loss that is a function."""
    error = y_true - y_pred
    return tf.where(tf.abs(error) < 1, tf.square(error) / 2, tf.abs(error) - 0.5)


class HuberLoss(keras.losses.Loss):
    """004: an attribute before super().__init__, a merged configuration."""

    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        self.threshold = threshold
        super().__init__(**kwargs)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        small = tf.abs(error) < self.threshold
        return tf.where(small, tf.square(error) / 2, self.threshold * tf.abs(error) - self.threshold**2 / 2)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


class HuberMetric(keras.metrics.Metric):
    """004: a streaming metric with state of its own."""

    def __init__(self, threshold: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.threshold = threshold
        self.total = self.add_weight("total", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        metric = huber_fn(y_true, y_pred)
        self.total.assign_add(tf.reduce_sum(metric))
        self.count.assign_add(tf.cast(tf.size(y_true), tf.float32))

    def result(self) -> Any:
        return self.total / self.count

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "threshold": self.threshold}


def my_softplus(z: Any) -> Any:
    return tf.math.log(tf.exp(z) + 1.0)


def my_initializer(shape: Any, dtype: Any = tf.float32) -> Any:
    return tf.random.normal(shape, stddev=np.sqrt(2.0 / (shape[0] + shape[1])), dtype=dtype)


def my_l1(weights: Any) -> Any:
    return tf.reduce_sum(tf.abs(0.01 * weights))


def my_positive(weights: Any) -> Any:
    return tf.where(weights < 0.0, tf.zeros_like(weights), weights)


CUSTOM = {
    one.__name__: one for one in (huber_fn, HuberLoss, HuberMetric, my_softplus, my_initializer, my_l1, my_positive)
}


@pytest.mark.parametrize("loss", [huber_fn, HuberLoss(2.0)], ids=["function", "class"])
def test_004_own_parts_in_a_model(loss: Any, tmp_path: Any) -> None:
    """004: losses, metrics, activation, initializer, regularizer, constraint of one's own; saved and loaded."""
    x = np.random.default_rng(5).standard_normal((96, 5))
    y = x[:, :1] - 2 * x[:, 1:2]
    model = keras.Sequential(
        [
            keras.layers.InputLayer(5),
            keras.layers.Dense(30, activation="elu", kernel_initializer="he_normal"),
            keras.layers.Dense(
                1,
                activation=my_softplus,
                kernel_initializer=my_initializer,
                kernel_regularizer=my_l1,
                kernel_constraint=my_positive,
            ),
        ]
    )
    assert len(model.losses) == 1
    model.compile(loss=loss, optimizer="nadam", metrics=[HuberMetric(2.0)])
    history = model.fit(x, y, epochs=2, verbose=0).history
    assert list(history) == ["loss", "huber_metric"]
    assert (model.layers[1].kernel.numpy() >= 0).all()
    model.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5", custom_objects=CUSTOM)
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    again.fit(x, y, epochs=1, verbose=0)


@MODES
def test_004_precision(compiled: bool) -> None:
    """004: 0.5 after two batches; its variables; callable; reset_states."""
    precision = keras.metrics.Precision()
    update = tf.function(lambda t, p: precision(t, p)) if compiled else precision
    assert float(update([0, 1, 1, 1, 0, 1, 0, 1], [1, 1, 0, 1, 0, 1, 0, 1])) == np.float32(0.8)
    assert float(update([0, 1, 0, 0, 1, 0, 1, 1], [1, 0, 1, 1, 0, 0, 0, 0])) == 0.5
    assert [(v.name, v.numpy().tolist()) for v in precision.variables] == [
        ("true_positives:0", [4.0]),
        ("false_positives:0", [4.0]),
    ]
    precision.reset_states()
    assert float(precision.result()) == 0.0


@MODES
def test_004_layers_of_several_tensors_and_noise(compiled: bool) -> None:
    """004: tuple in, list out; noise only in training; exp of 1 is e."""

    class MyToyMultiLayer(keras.layers.Layer):
        def call(self, inputs: Any) -> Any:
            x1, x2 = inputs
            return [x1 + x2, x1 * x2, x1 / x2]

    class MyGaussianNoise(keras.layers.Layer):
        def __init__(self, stddev: float, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.stddev = stddev

        def call(self, inputs: Any, training: Any = None) -> Any:
            if training:
                return inputs + tf.random.normal(tf.shape(inputs), stddev=self.stddev)
            return inputs

    multi, noise = MyToyMultiLayer(), MyGaussianNoise(1.0)
    run = tf.function(lambda a, b: multi((a, b))) if compiled else lambda a, b: multi((a, b))
    found = run(tf.constant([1.0]), tf.constant([2.0]))
    assert isinstance(found, list) and [one.numpy().tolist() for one in found] == [[3.0], [2.0], [0.5]]
    x = tf.zeros([100])
    with_noise = tf.function(lambda x: noise(x, training=True)) if compiled else lambda x: noise(x, training=True)
    assert np.asarray(with_noise(x)).std() > 0.5 and not np.asarray(noise(x)).any()
    np.testing.assert_allclose(np.asarray(keras.layers.Lambda(lambda x: tf.exp(x))([1.0])), np.e, rtol=1e-6)


class ResidualBlock(keras.layers.Layer):
    """004: layers in a list."""

    def __init__(self, count: int, neurons: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = [
            keras.layers.Dense(neurons, activation="elu", kernel_initializer="he_normal") for _ in range(count)
        ]

    def call(self, inputs: Any) -> Any:
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        return inputs + z


class ResidualRegressor(keras.Model):
    """004: a block that is used four times shares its weights."""

    def __init__(self, output_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden1 = keras.layers.Dense(30, activation="elu", kernel_initializer="he_normal")
        self.block1 = ResidualBlock(2, 30)
        self.block2 = ResidualBlock(2, 30)
        self.out = keras.layers.Dense(output_dim)

    def call(self, inputs: Any) -> Any:
        z = self.hidden1(inputs)
        for _ in range(4):
            z = self.block1(z)
        return self.out(self.block2(z))


class ReconstructionRegressor(keras.Model):
    """004: build makes a layer, call adds a loss."""

    def __init__(self, output_dim: int, weight: float = 0.05, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = [keras.layers.Dense(30, activation="selu") for _ in range(3)]
        self.out = keras.layers.Dense(output_dim)
        self.weight = weight

    def build(self, batch_input_shape: Any) -> None:
        self.reconstruct = keras.layers.Dense(batch_input_shape[-1])
        super().build(batch_input_shape)

    def call(self, inputs: Any) -> Any:
        z = inputs
        for layer in self.hidden:
            z = layer(z)
        difference = tf.reduce_mean(tf.square(self.reconstruct(z) - inputs))
        self.add_loss(self.weight * difference)
        return self.out(z)


@MODES
def test_004_residual_and_reconstruction(compiled: bool) -> None:
    """004: 12 variables; history keys; predict().ravel(); the added loss counts."""
    tf.random.set_seed(3)
    x = np.random.default_rng(6).standard_normal((80, 5))
    y = x[:, 0] + x[:, 1]
    model = ResidualRegressor(1)
    model(x[:2])
    assert len(model.trainable_variables) == 12
    with_loss, without = ReconstructionRegressor(1), ReconstructionRegressor(1, weight=0.0)
    for one in (with_loss, without):
        one.compile(loss="mse", optimizer="nadam", run_eagerly=not compiled)
    history = with_loss.fit(x, y, epochs=2, validation_split=0.2, verbose=0).history
    assert list(history) == ["loss", "val_loss"]
    assert with_loss.predict(x).ravel().shape == (80,)
    without.build((None, 5))
    without.set_weights(with_loss.get_weights())
    assert with_loss.evaluate(x, y, verbose=0) > without.evaluate(x, y, verbose=0)


@MODES
def test_004_training_loop_with_penalties(compiled: bool) -> None:
    """004: l2(l=0.05), model.losses in add_n, Nadam, streaming metrics, a constraint after the update."""
    tf.random.set_seed(4)
    x = np.random.default_rng(7).standard_normal((96, 5)).astype("f")
    y = x[:, :1] * 2
    l2 = keras.regularizers.l2(l=0.05)
    model = keras.Sequential(
        [keras.layers.Dense(30, activation="elu", kernel_regularizer=l2), keras.layers.Dense(1, kernel_regularizer=l2)]
    )
    optimizer = keras.optimizers.Nadam(learning_rate=0.01)
    mean_loss, metric = keras.metrics.Mean(), keras.metrics.MeanAbsoluteError()
    assert (mean_loss.name, metric.name) == ("mean", "mean_absolute_error")

    def step(x_batch: Any, y_batch: Any) -> None:
        with tf.GradientTape() as tape:
            y_pred = model(x_batch, training=True)
            main = tf.reduce_mean(keras.losses.mean_absolute_error(y_batch, y_pred))
            loss = tf.add_n([main, *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        mean_loss(loss)
        metric(y_batch, y_pred)

    run = tf.function(step) if compiled else step
    shown = []
    for _ in range(6):
        for start in range(0, 96, 32):
            run(x[start : start + 32], y[start : start + 32])
        shown.append(float(np.round(mean_loss.result(), 4)))
        mean_loss.reset_states()
        metric.reset_states()
    assert shown[-1] < shown[0] and len(model.losses) == 2
    assert not compiled or run.trace_count == 1


def test_names_that_the_articles_use_are_there() -> None:
    """0: every name of Keras and data that the articles use."""
    names = """models.Sequential models.load_model layers.Dense layers.Flatten layers.Dropout layers.InputLayer
    layers.Lambda layers.Layer losses.Loss losses.SparseCategoricalCrossentropy losses.BinaryCrossentropy
    losses.mean_absolute_error metrics.Metric metrics.Mean metrics.MeanAbsoluteError metrics.Precision optimizers.SGD
    optimizers.Nadam optimizers.Optimizer initializers.GlorotUniform regularizers.l2 activations.get
    activations.serialize backend.set_floatx Model Sequential"""
    for name in names.split():
        target: Any = keras
        for part in name.split("."):
            target = getattr(target, part)
        assert inspect.isclass(target) or callable(target)
    assert tf.optimizers.SGD is keras.optimizers.SGD and issubclass(keras.Model, tf.Module)
