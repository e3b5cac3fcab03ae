"""Article 004, custom models and training: tensors, losses, metrics, layers, models, gradients, loops, functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from article_data import MODES, in_mode

import graphjit as tf

keras = tf.keras


@MODES
def test_004_tensors(compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 1: constants, their shapes and dtypes, slices, sums, squares and products."""
    print(repr(tf.constant(42)))
    t = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    print(repr(t.shape), t.dtype is tf.float32)
    assert capsys.readouterr().out == "<gj.Tensor: shape=(), dtype=int32, numpy=42>\nTensorShape([2, 3]) True\n"
    programs = {
        lambda t: t[:, :1]: [[1], [4]],
        lambda t: t[..., 0:1]: [[1], [4]],
        lambda t: t[..., 1, tf.newaxis]: [[2], [5]],
        lambda t: t + 10: [[11, 12, 13], [14, 15, 16]],
        lambda t: tf.square(t): [[1, 4, 9], [16, 25, 36]],
        lambda t: t @ tf.transpose(t): [[14, 32], [32, 77]],
    }
    for program, expected in programs.items():
        assert in_mode(compiled, program)(t).numpy().tolist() == expected


@MODES
def test_004_tensors_and_arrays(compiled: bool) -> None:
    """Row 2: a constant of a float32 array, numpy(), and an array plus a tensor, which is a tensor."""
    a = np.array([[2.0, 4.0, 5.0], [2.0, 4.0, 5.0]], "f")
    t = tf.constant(a)
    assert t.dtype == tf.float32 and isinstance(t.numpy(), np.ndarray)
    one = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = in_mode(compiled, lambda t: a + t)(one)
    assert isinstance(found, tf.Tensor) and found.numpy().tolist() == [[3, 6, 8], [6, 9, 11]]
    assert np.array_equal(np.square(one), tf.square(a * 0 + one.numpy()))


@MODES
def test_004_dtypes_are_strict(compiled: bool) -> None:
    """Row 3: float16 plus float32 is an InvalidArgumentError; after a cast it is 4.0 in float16."""
    a, b = tf.constant(2.0, dtype=tf.float16), tf.constant(2.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"float32 where operand #0 is float16; cast with gj.cast"):
        in_mode(compiled, lambda a, b: a + b)(a, b)
    found = in_mode(compiled, lambda a, b: a + tf.cast(b, a.dtype))(a, b)
    assert found.dtype == tf.float16 and float(found) == 4.0


@MODES
def test_004_variables(compiled: bool) -> None:
    """Row 4: what a Variable shows, and the matrices after assign, [0, 1].assign and [:, 2].assign."""
    v = tf.Variable([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    shown = "<gj.Variable 'Variable:0' shape=(2, 3) dtype=float32, numpy=\narray([[1., 2., 3.],\n       [4., 5., 6.]], "
    assert repr(v) == shown + "dtype=float32)>"
    in_mode(compiled, lambda: v.assign(v * 2))()
    assert v.numpy().tolist() == [[2, 4, 6], [8, 10, 12]]
    in_mode(compiled, lambda: v[0, 1].assign(42))()
    assert v.numpy().tolist() == [[2, 42, 6], [8, 10, 12]]
    in_mode(compiled, lambda: v[:, 2].assign([-10.0, -20.0]))()
    assert v.numpy().tolist() == [[2, 42, -10], [8, 10, -20]]
    with pytest.raises(TypeError, match="assign"):
        v[0, 1] = 3.0


@MODES
def test_004_tensor_arrays(compiled: bool) -> None:
    """Row 5: a TensorArray is written, read and stacked."""

    def moments() -> tuple[Any, Any, Any]:
        array = tf.TensorArray(dtype=tf.float32, size=3, clear_after_read=False)
        array = array.write(0, tf.constant([1.0, 2.0]))
        array = array.write(1, tf.constant([3.0, 10.0]))
        array = array.write(2, tf.constant([5.0, 7.0]))
        mean, variance = tf.nn.moments(array.stack(), axes=[0])
        return array.read(1), mean, variance

    one, mean, variance = in_mode(compiled, moments)()
    assert one.numpy().tolist() == [3, 10]
    np.testing.assert_allclose(mean, np.mean([[1, 2], [3, 10], [5, 7]], axis=0), rtol=1e-6)
    np.testing.assert_allclose(variance, np.var([[1, 2], [3, 10], [5, 7]], axis=0), rtol=1e-5)


@MODES
def test_004_huber_loss_in_fit(compiled: bool) -> None:
    """Row 6: a function of tf.where is a loss, beside InputLayer and 'nadam'."""
    tf.random.set_seed(1)
    x = np.random.default_rng(5).standard_normal((96, 5))
    y = x[:, :1] * 3
    model = keras.Sequential([keras.layers.InputLayer(5), keras.layers.Dense(30, "selu"), keras.layers.Dense(1)])
    model.compile(loss=huber_fn, optimizer="nadam", metrics=["mae"], run_eagerly=not compiled)
    history = model.fit(x, y, epochs=3, validation_split=0.25, verbose=0).history
    assert list(history) == ["loss", "mae", "val_loss", "val_mae"] and history["loss"][-1] < history["loss"][0]
    np.testing.assert_allclose(huber_fn(np.array([0.0, 0.0]), np.array([0.5, -3.0])), [0.125, 2.5])


def create_huber(threshold: float = 1.0) -> Any:
    """Row 7: a function that makes loss functions."""

    def huber_fn(y_true: Any, y_pred: Any) -> Any:
        error = y_true - y_pred
        small = tf.abs(error) < threshold
        return tf.where(small, tf.square(error) / 2, threshold * tf.abs(error) - threshold**2 / 2)

    return huber_fn


def test_004_models_with_own_losses_are_loaded(tmp_path: Any) -> None:
    """Row 7: custom_objects maps the function's name; without it the message names what is missing."""
    x = np.random.default_rng(5).standard_normal((64, 5))
    model = keras.Sequential([keras.layers.InputLayer(5), keras.layers.Dense(1)])
    model.compile(loss=create_huber(2.0), optimizer="nadam")
    model.fit(x, x[:, :1], verbose=0)
    model.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5", custom_objects={"huber_fn": create_huber(2.0)})
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert again.evaluate(x, x[:, :1], verbose=0) == model.evaluate(x, x[:, :1], verbose=0)
    again.fit(x, x[:, :1], verbose=0)
    with pytest.raises(LookupError, match=r"huber_fn.*custom_objects"):
        keras.models.load_model(tmp_path / "model.h5")


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
    update = in_mode(compiled, lambda t, p: precision(t, p))
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
    run = in_mode(compiled, lambda a, b: multi((a, b)))
    found = run(tf.constant([1.0]), tf.constant([2.0]))
    assert isinstance(found, list) and [one.numpy().tolist() for one in found] == [[3.0], [2.0], [0.5]]
    x = tf.zeros([100])
    with_noise = in_mode(compiled, lambda x: noise(x, training=True))
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

    run = in_mode(compiled, step)
    shown = []
    for _ in range(6):
        for start in range(0, 96, 32):
            run(x[start : start + 32], y[start : start + 32])
        shown.append(float(np.round(mean_loss.result(), 4)))
        mean_loss.reset_states()
        metric.reset_states()
    assert shown[-1] < shown[0] and len(model.losses) == 2
    assert not compiled or run.trace_count == 1


# --- gradients ---


def f(w1: Any, w2: Any) -> Any:
    """Row 24: the article's function of two weights."""
    return 3 * w1**2 + 2 * w1 * w2


def test_004_slopes_by_differences() -> None:
    """Row 24: Python's numbers stay Python's, digit by digit."""
    w1, w2, eps = 5, 3, 1e-6
    assert (f(w1 + eps, w2) - f(w1, w2)) / eps == 36.000003007075065
    assert (f(w1, w2 + eps) - f(w1, w2)) / eps == 10.000000003174137


@MODES
def test_004_slopes_by_a_tape(compiled: bool) -> None:
    """Row 25: [36.0, 10.0]; two gradients of a persistent tape, then del; a second one of a plain tape is refused."""
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)

    def both() -> Any:
        with tf.GradientTape() as tape:
            z = f(w1, w2)
        return tape.gradient(z, [w1, w2])

    def one_by_one() -> Any:
        with tf.GradientTape(persistent=True) as tape:
            z = f(w1, w2)
        found = tape.gradient(z, w1), tape.gradient(z, w2)
        del tape
        return found

    def twice() -> Any:
        with tf.GradientTape() as tape:
            z = f(w1, w2)
        return tape.gradient(z, w1), tape.gradient(z, w2)

    for program in (both, one_by_one):
        assert [float(one) for one in in_mode(compiled, program)()] == [36.0, 10.0]
    with pytest.raises(RuntimeError, match="persistent=True"):
        in_mode(compiled, twice)()


@MODES
def test_004_slopes_of_constants(compiled: bool) -> None:
    """Row 25: constants give [None, None] until they are watched."""

    def slopes(c1: Any, c2: Any, watched: bool) -> Any:
        with tf.GradientTape() as tape:
            if watched:
                tape.watch(c1)
                tape.watch(c2)
            z = f(c1, c2)
        return tape.gradient(z, [c1, c2])

    run, constants = in_mode(compiled, slopes), (tf.constant(5.0), tf.constant(3.0))
    assert run(*constants, False) == [None, None]
    assert [float(one) for one in run(*constants, True)] == [36.0, 10.0]


@MODES
def test_004_stop_gradient(compiled: bool) -> None:
    """Row 25: [30.0, None]."""
    w1, w2 = tf.Variable(5.0), tf.Variable(3.0)

    def slopes() -> Any:
        with tf.GradientTape() as tape:
            z = 3 * w1**2 + tf.stop_gradient(2 * w1 * w2)
        return tape.gradient(z, [w1, w2])

    first, second = in_mode(compiled, slopes)()
    assert float(first) == 30.0 and second is None


@MODES
def test_004_custom_gradient(compiled: bool) -> None:
    """Row 26: softplus as written is inf at 100, where its gradient is the finite 1; a graph finds the better form."""

    @tf.custom_gradient
    def my_better_softplus(z: Any) -> Any:
        exp = tf.exp(z)

        def my_softplus_gradients(grad: Any) -> Any:
            return grad / (1 + 1 / exp)

        return tf.math.log(exp + 1), my_softplus_gradients

    def slopes(x: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(x)
            z = my_better_softplus(x)
        return z, tape.gradient(z, x)

    z = tf.constant([1.0, 50.0, 100.0])
    value, slope = in_mode(compiled, slopes)(z)
    assert value.numpy()[2] == (100.0 if compiled else np.inf)
    np.testing.assert_allclose(slope, [0.7310586, 1.0, 1.0], rtol=1e-6)
    value, slope = tf.function(slopes, exact=True)(z)
    assert value.numpy()[2] == np.inf
    np.testing.assert_allclose(slope, [0.7310586, 1.0, 1.0], rtol=1e-6)


# --- own loops ---


def random_batch(x: Any, y: Any, batch_size: int = 32) -> tuple[Any, Any]:
    """Row 27: rows at random places."""
    places = np.random.randint(len(x), size=batch_size)
    return x[places], y[places]


def print_training_status(iteration: int, total: int, loss: Any, metrics: Any = None) -> None:
    """Row 27: a line that is written over itself until the last step."""
    shown = " - ".join(f"{m.name}: {np.round(m.result(), 4)}" for m in [loss, *(metrics or [])])
    print(f"\r{iteration}/{total} - " + shown, end="" if iteration < total else "\n")


def test_004_the_line_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """Row 27: np.round(m.result(), 4) puts a number into the line; carriage returns between, a newline at the end."""
    loss, metric = keras.metrics.Mean(name="loss"), keras.metrics.MeanAbsoluteError()
    loss(tf.constant(0.123456))
    metric(np.array([[1.0]]), np.array([[3.0]]))
    print_training_status(1, 2, loss, [metric])
    print_training_status(2, 2, loss, [metric])
    line = " - loss: 0.1235 - mean_absolute_error: 2.0"
    assert capsys.readouterr().out == f"\r1/2{line}\r2/2{line}\n"


def test_004_random_batches() -> None:
    """Row 27: NumPy's places choose rows of arrays and of tensors alike."""
    np.random.seed(1)
    x = np.arange(20.0).reshape(10, 2)
    x_batch, y_batch = random_batch(x, x[:, :1], 4)
    assert x_batch.shape == (4, 2) and (x_batch[:, :1] == y_batch).all()
    np.random.seed(1)
    assert np.array_equal(random_batch(tf.constant(x), tf.constant(x[:, :1]), 4)[0], x_batch)


@MODES
def test_004_mean_absolute_error_of_each_row(compiled: bool) -> None:
    """Row 29: the function gives one number for each example of the batch."""
    y, p = np.array([[1.0, 2.0], [3.0, 4.0]], "f"), np.array([[1.0, 4.0], [0.0, 0.0]], "f")
    found = in_mode(compiled, keras.losses.mean_absolute_error)(y, p)
    assert found.numpy().tolist() == [1.0, 3.5]


def test_004_targets_of_shape_32_beside_predictions_of_32_1() -> None:
    """Row 31, bugs of the article's: fit returns an object that is no data; rows against a column are all pairs."""

    class Scaler:
        def fit(self, x: Any) -> Any:
            return self

    x = np.random.default_rng(8).standard_normal((64, 3))
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match="Scaler"):
        model.predict(Scaler().fit(x))
    y, p = tf.zeros([32]), tf.zeros([32, 1])
    assert tf.abs(y - p).shape == (32, 32)
    assert keras.losses.mean_absolute_error(tf.reshape(y, [-1, 1]), p).shape == (32,)
    model.compile("sgd", "mse")
    losses = model.fit(x, x[:, 0] * 2, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@MODES
def test_004_float64_inputs(compiled: bool) -> None:
    """Row 32: layers of float32 take arrays and tensors of float64."""
    layer = keras.layers.Dense(2)
    ask = in_mode(compiled, lambda x: layer(x))
    for x in (np.ones((3, 2)), tf.ones([3, 2], tf.float64)):
        assert ask(x).dtype == tf.float32 and layer.kernel.dtype == tf.float32


# --- functions ---


def cube(x: Any) -> Any:
    """Row 33: a Python function."""
    return x**3


def test_004_cube() -> None:
    """Row 33: of numbers, of tensors, compiled, as a decorator, and the Python function inside."""
    assert cube(2) == 8 and type(cube(2)) is int
    assert float(cube(tf.constant(2.0))) == 8.0
    tf_cube = tf.function(cube)
    assert repr(tf_cube).startswith("<gj.Function cube(x")
    assert repr(tf_cube(2)) == "<gj.Tensor: shape=(), dtype=int32, numpy=8>"
    assert repr(tf_cube(tf.constant(2.0))) == "<gj.Tensor: shape=(), dtype=float32, numpy=8.0>"
    assert repr(tf_cube(2.0)) == "<gj.Tensor: shape=(), dtype=float32, numpy=8.0>"

    @tf.function
    def decorated(x: Any) -> Any:
        return x**3

    assert int(decorated(2)) == 8
    assert decorated.python_function(2) == 8 and type(decorated.python_function(2)) is int


def test_004_a_graph_for_each_signature() -> None:
    """Row 34: one for each shape and dtype, which is kept, and one for each distinct Python number."""
    tensors, numbers = tf.function(cube), tf.function(cube)
    for value in (tf.constant(2.0), tf.constant(3.0), tf.constant([1.0, 2.0]), tf.constant(2), tf.constant([3.0, 4.0])):
        tensors(value)
    assert tensors.trace_count == 3
    for number in (2, 3, 4, 2, 3):
        numbers(number)
    assert numbers.trace_count == 3
