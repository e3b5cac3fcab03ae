"""Article 003, a notebook on modules: what goes wrong with zeros, with a range from 0 to 1, and what goes well."""

from __future__ import annotations

from time import time
from typing import Any

import numpy as np
import pytest
from article_data import MODES, in_mode, pictures

import graphjit as tf


@MODES
def test_003_sine_of_an_array(compiled: bool) -> None:
    """Row 1: tf.sin of np.linspace is a float64 tensor."""
    x = np.linspace(-2 * np.pi, 2 * np.pi, 100)
    found = in_mode(compiled, tf.sin)(x)
    assert isinstance(found, tf.Tensor) and found.dtype == tf.float64
    np.testing.assert_allclose(found.numpy(), np.sin(x), atol=1e-15)


def loss_mse(target: Any, predicted: Any) -> Any:
    """Row 2: the mean of the squares."""
    return tf.reduce_mean(tf.square(target - predicted))


def loss_crsntrpy(target: Any, predicted: Any) -> Any:
    """Row 2: the cross entropy of one-hot rows; the small number keeps the logarithm finite."""
    return -tf.reduce_sum(tf.reduce_mean(target * tf.math.log(predicted + 1e-12), axis=0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@MODES
def test_003_losses_with_an_array_on_the_left(compiled: bool, dtype: str) -> None:
    """Row 2: a NumPy array of either dtype times a float32 tensor is float32."""
    target, predicted = np.array([[0.0, 1.0], [1.0, 0.0]], dtype), tf.constant([[0.25, 0.75], [0.5, 0.5]])
    # the array is the module's, as in a notebook: an argument would be a tensor, whose dtype is strict
    found = in_mode(compiled, lambda p: (loss_mse(target, p), loss_crsntrpy(target, p)))(predicted)
    assert [one.dtype for one in found] == [tf.float32, tf.float32]
    expected = np.mean((target - predicted.numpy()) ** 2), -np.mean(np.log([0.75, 0.5]))
    np.testing.assert_allclose([float(one) for one in found], expected, rtol=1e-6)


class MyModel(tf.Module):
    """Row 3: a line through points; `product` says how the slope is applied."""

    def __init__(self, product: Any) -> None:
        super().__init__()
        self.w = tf.Variable(tf.zeros([1]))
        self.b = tf.Variable(tf.zeros([1]))
        self.product = product

    def __call__(self, x: Any) -> Any:
        return self.product(x, self.w) + self.b


@MODES
def test_003_product_of_vectors(compiled: bool) -> None:
    """Row 3, a bug of the article's: `x @ self.w` of vectors is refused; with `*` the program runs."""
    x_train = np.linspace(0, 1, 50).astype("f")
    wrong = MyModel(lambda x, w: x @ w)
    with pytest.raises(ValueError, match=r"matmul.*rank 2 or more, but its shape is \(50,\).*matvec"):
        in_mode(compiled, lambda x: wrong(x))(tf.constant(x_train))
    model = MyModel(lambda x, w: x * w)
    losses = _train(model, x_train, (3 * x_train + 1), compiled, steps=200, learning_rate=0.5)
    assert losses[-1] < 1e-3 * losses[0]
    np.testing.assert_allclose([float(model.w[0]), float(model.b[0])], [3, 1], atol=0.1)


def _train(model: Any, x: Any, y: Any, compiled: bool, steps: int, learning_rate: float) -> list[float]:
    """Rows 3 and 6: gradient(loss, [model.w, model.b]) is unpacked; assign_sub(learning_rate * dw)."""

    def train(x: Any, y: Any) -> Any:
        with tf.GradientTape() as t:
            current_loss = loss_mse(y, model(x))
        dw, db = t.gradient(current_loss, [model.w, model.b])
        model.w.assign_sub(learning_rate * dw)
        model.b.assign_sub(learning_rate * db)
        return current_loss

    run = in_mode(compiled, train)
    return [float(run(tf.constant(x), tf.constant(y))) for _ in range(steps)]


def test_003_three_places_for_two_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """Row 4, a bug of the article's: IndexError, which is Python's; with two places the line is printed."""
    w, loss = tf.Variable(1.5), tf.constant(0.25)
    with pytest.raises(IndexError):
        print("w = {}, b = {}, loss = {}".format(w.numpy(), loss))  # noqa: F524 -- the bug
    print("w = {}, loss = {:.2f}".format(w.numpy(), loss))  # noqa: UP032 -- the article's form
    assert capsys.readouterr().out == "w = 1.5, loss = 0.25\n"


def _prepared() -> tuple[Any, Any, Any, Any]:
    """Row 5, a cell that the article lost: X_train, y_train, X_test, y_test; pictures and one-hot kinds as rows."""
    x, y = pictures(260)
    x, y = x.reshape([-1, 784]).astype("f"), np.eye(10, dtype="f")[y]
    return x[:200], y[:200], x[200:], y[200:]


def test_003_names_that_are_missing() -> None:
    """Row 5, a bug of the article's: X_train is not defined; a compiled function says the same as Python."""

    def forgotten() -> Any:
        return tf.reduce_mean(X_train)

    for compiled in (False, True):
        with pytest.raises(NameError, match="X_train"):
            in_mode(compiled, forgotten)()
    X_train, y_train, X_test, y_test = _prepared()
    assert (X_train.shape, y_train.shape, X_test.shape, y_test.shape) == ((200, 784), (200, 10), (60, 784), (60, 10))


class ModelHidden(tf.Module):
    """Row 7: a hidden layer; `make` gives the weights their first values."""

    def __init__(self, make: Any, hidden: int = 100) -> None:
        super().__init__()
        self.w0, self.b0 = tf.Variable(make([784, hidden])), tf.Variable(tf.zeros([hidden]))
        self.w1, self.b1 = tf.Variable(make([hidden, 10])), tf.Variable(tf.zeros([10]))

    def __call__(self, x: Any) -> Any:
        hidden = tf.nn.sigmoid(x @ self.w0 + self.b0)
        return tf.nn.softmax(hidden @ self.w1 + self.b1)


def train_nn(model: Any, x: Any, y: Any, learning_rate: float) -> Any:
    """Row 12: a persistent tape; zip(variables, gradients); assign_sub."""
    with tf.GradientTape(persistent=True) as t:
        current_loss = loss_crsntrpy(y, model(x))
    grads = t.gradient(current_loss, model.trainable_variables)
    for variable, grad in zip(model.trainable_variables, grads, strict=True):
        variable.assign_sub(learning_rate * grad)
    del t
    return current_loss


@MODES
def test_003_zeros_behave_as_one_neuron(compiled: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Row 7: with zeros for weights all neurons stay equal, whatever is learned; print(model.w0)."""
    X_train, y_train, _, _ = _prepared()
    model, run = ModelHidden(tf.zeros, 5), in_mode(compiled, train_nn)
    for _ in range(20):
        run(model, tf.constant(X_train), tf.constant(y_train), 0.5)
    w0 = model.w0.numpy()
    assert w0.any() and (w0 == w0[:, :1]).all()
    print(model.w0)
    assert capsys.readouterr().out.startswith("<gj.Variable 'Variable:0' shape=(784, 5) dtype=float32, numpy=\narray(")


@MODES
def test_003_uniform_numbers(compiled: bool) -> None:
    """Row 8: random.uniform([784, 100]) lies in [0, 1); the neurons differ."""
    w = in_mode(compiled, lambda: tf.random.uniform([784, 100]))()
    assert w.dtype == tf.float32 and w.numpy().min() >= 0.0 and w.numpy().max() < 1.0 and w.numpy().std() > 0.25
    X_train, y_train, _, _ = _prepared()
    model, run = ModelHidden(tf.random.uniform), in_mode(compiled, train_nn)
    assert np.isfinite(float(run(model, tf.constant(X_train), tf.constant(y_train), 0.1)))
    assert not (model.w0.numpy() == model.w0.numpy()[:, :1]).all()


class MyLayer(tf.Module):
    """Row 9: a layer with weights from 0 to 1."""

    def __init__(self, input_dim: int, output_dim: int, is_last: bool = False) -> None:
        super().__init__()
        self.is_last = is_last
        self.w = tf.Variable(tf.random.uniform([input_dim, output_dim]))
        self.b = tf.Variable(tf.zeros([output_dim]))

    def __call__(self, x: Any) -> Any:
        y = x @ self.w + self.b
        return tf.nn.softmax(y) if self.is_last else tf.nn.sigmoid(y)


class MyBetterLayer(MyLayer):
    """Row 11: the layer's own weights take the place of those that super().__init__ made."""

    def __init__(self, input_dim: int, output_dim: int, is_last: bool = False) -> None:
        super().__init__(input_dim, output_dim, is_last)
        spread = tf.sqrt(2 / (input_dim + output_dim))
        self.w = tf.Variable(tf.random.normal([input_dim, output_dim]) * spread, name="w")
        self.b = tf.Variable(tf.zeros([output_dim]), name="b")


class MyNeuralNetwork(tf.Module):
    """Row 9: layers in a list whose name begins with an underscore."""

    def __init__(self, layers: list[Any]) -> None:
        super().__init__()
        self._layers = layers

    def __call__(self, x: Any) -> Any:
        for layer in self._layers:
            x = layer(x)
        return x


def _network(kind: Any) -> Any:
    return MyNeuralNetwork([kind(784, 100), kind(100, 50), kind(50, 10, is_last=True)])


def test_003_variables_layer_by_layer() -> None:
    """Row 9: b before w, as attributes go by their names; layers as in the list; index 1 is w of the first."""
    network = _network(MyLayer)
    expected = [one for layer in network._layers for one in (layer.b, layer.w)]
    assert [id(one) for one in network.trainable_variables] == [id(one) for one in expected]
    assert network.trainable_variables[1] is network._layers[0].w


def _slope_of_first_weights(network: Any, compiled: bool) -> Any:
    X_train, y_train, _, _ = _prepared()

    def slope(x: Any, y: Any) -> Any:
        with tf.GradientTape() as t:
            loss = loss_crsntrpy(y, network(x))
        return t.gradient(loss, network.trainable_variables)[1], network._layers[0](x)

    return in_mode(compiled, slope)(tf.constant(X_train), tf.constant(y_train))


@MODES
def test_003_gradient_that_vanished(compiled: bool) -> None:
    """Row 10: with weights from 0 to 1 the first layer says exactly 1.0, and its gradient is exactly 0.0."""
    tf.random.set_seed(1)
    gradient, first = _slope_of_first_weights(_network(MyLayer), compiled)
    assert (first.numpy() == 1.0).all()
    assert np.sum(np.abs(gradient)) == 0.0


@MODES
def test_003_slope_where_a_sigmoid_is_one(compiled: bool) -> None:
    """Row 10: exactly 0.0 wherever float32 says 1.0, not only where the exponential vanishes."""

    def slope(x: Any) -> Any:
        with tf.GradientTape() as t:
            t.watch(x)
            y = tf.sigmoid(x)
        return y, t.gradient(y, x)

    y, dy = in_mode(compiled, slope)(tf.constant([20.0, 40.0, 80.0, 200.0]))
    assert (y.numpy() == 1.0).all() and (dy.numpy() == 0.0).all()


@MODES
def test_003_better_first_weights(compiled: bool) -> None:
    """Row 11: tf.sqrt of a Python float; two variables for each layer, the old ones are gone; the gradient is alive."""
    tf.random.set_seed(1)
    layer = MyBetterLayer(784, 100)
    assert sorted(one.name for one in layer.trainable_variables) == ["b:0", "w:0"]
    np.testing.assert_allclose(layer.w.numpy().std(), np.sqrt(2 / 884), rtol=0.02)
    gradient, _ = _slope_of_first_weights(_network(MyBetterLayer), compiled)
    assert np.sum(np.abs(gradient)) > 0.01


@MODES
def test_003_training_the_network(compiled: bool) -> None:
    """Row 12: train_nn with a persistent tape; it learns what uniform weights do not."""
    tf.random.set_seed(2)
    X_train, y_train, X_test, y_test = _prepared()
    run, network = in_mode(compiled, train_nn), _network(MyBetterLayer)
    losses = [float(run(network, tf.constant(X_train), tf.constant(y_train), 0.5)) for _ in range(400)]
    assert losses[-1] < 0.5 * losses[0]
    right = np.argmax(network(tf.constant(X_test)), axis=1) == np.argmax(y_test, axis=1)
    assert right.mean() > 0.8


def test_003_timing_on_a_device() -> None:
    """Row 13: `with tf.device('CPU:0')` around timed work; names that are none are refused."""
    with tf.device("CPU:0"):
        begin = time()
        product = tf.random.normal([50, 50]) @ tf.random.normal([50, 50])
        assert time() - begin >= 0.0
    assert product.device.endswith("device:CPU:0")
    with pytest.raises(ValueError, match="'nonsense' is no device"), tf.device("nonsense"):
        pass


class MySequential(tf.Module):
    """Row 14: layers are appended later; fit uses what stands around it."""

    def __init__(self) -> None:
        super().__init__()
        self._layers: list[Any] = []

    def add(self, layer: Any) -> None:
        self._layers.append(layer)

    def __call__(self, x: Any) -> Any:
        for layer in self._layers:
            x = layer(x)
        return x

    def predict(self, x: Any) -> Any:
        return tf.argmax(self(x), axis=1)


@MODES
def test_003_layers_that_are_added(compiled: bool) -> None:
    """Row 14: modules appended to a list are tracked, also after a compiled call has seen the list."""
    tf.random.set_seed(3)
    X_train, y_train, X_test, _ = _prepared()
    nn = MySequential()
    nn.add(MyBetterLayer(784, 10, is_last=True))
    ask = in_mode(compiled, lambda x: nn(x))
    assert ask(tf.constant(X_train)).shape == (200, 10) and len(nn.trainable_variables) == 2
    nn._layers.clear()
    nn.add(MyBetterLayer(784, 30))
    nn.add(MyBetterLayer(30, 10, is_last=True))
    assert len(nn.trainable_variables) == 4
    np.testing.assert_allclose(ask(tf.constant(X_train)).numpy(), nn(tf.constant(X_train)).numpy(), rtol=1e-4)
    run = in_mode(compiled, train_nn)
    losses = [float(run(nn, X_train, y_train, 0.5)) for _ in range(100)]
    assert losses[-1] < losses[0] and nn.predict(tf.constant(X_test)).shape == (60,)


def test_003_tensors_are_arrays_for_others() -> None:
    """Row 15: what plots ask for: np.asarray of tf.sigmoid(np.linspace(...)), len, and iteration."""
    found = tf.sigmoid(np.linspace(-5, 5, 11))
    assert np.asarray(found).shape == (11,) and len(found) == 11
    np.testing.assert_allclose([float(one) for one in found], 1 / (1 + np.exp(-np.linspace(-5, 5, 11))))


def test_003_plotting(tmp_path: Any) -> None:
    """Row 15: matplotlib draws a tensor."""
    figure = pytest.importorskip("matplotlib.figure").Figure()
    x = np.linspace(-5, 5, 11)
    (line,) = figure.subplots().plot(x, tf.sigmoid(x))
    np.testing.assert_allclose(line.get_ydata(), 1 / (1 + np.exp(-x)))
    figure.savefig(tmp_path / "sigmoid.png")
    assert (tmp_path / "sigmoid.png").stat().st_size > 1000
