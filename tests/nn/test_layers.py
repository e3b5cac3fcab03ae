"""Layers: building, tracking, calling, configurations."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest

import graphjit as gj

keras = gj.keras
MODES = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])


def run(layer: Any, compiled: bool, *args: Any, **kwargs: Any) -> np.ndarray[Any, Any]:
    """What a layer gives, as an array."""
    function = gj.compile(lambda *xs: layer(*xs, **kwargs)) if compiled else lambda *xs: layer(*xs, **kwargs)
    return np.asarray(function(*args))


class Scale(keras.layers.Layer):
    """One weight."""

    def __init__(self, start: Any = "ones", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.start = start

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight("factor", shape=[input_shape[-1]], initializer=self.start)

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


def test_names_are_numbered() -> None:
    """my_dense, my_dense_1, ..., and variables carry them."""
    gj.keras.backend.clear_session()
    layers = [Scale(), Scale(), Scale(name="own")]
    assert [one.name for one in layers] == ["scale", "scale_1", "own"]
    layers[1](np.ones(3))
    assert layers[1].factor.name == "scale_1/factor:0"


@MODES
def test_a_layer_is_built_by_its_first_call(compiled: bool) -> None:
    """Also inside of a compiled function, which creates nothing in later traces."""
    layer = Scale()
    assert not layer.built and layer.weights == []
    assert run(layer, compiled, np.ones((2, 3), "f")).shape == (2, 3)
    assert layer.built and layer.factor.shape == (3,)
    assert run(layer, compiled, np.ones((5, 3), "f")).shape == (5, 3)
    assert len(layer.weights) == 1


def test_add_weight_in_every_form() -> None:
    """Name first, by keywords, and Keras 3's shape first; scalars; the default initialiser is random."""
    layer = keras.layers.Layer()
    w = layer.add_weight("W", shape=[2, 3])
    b = layer.add_weight(name="b", shape=(3,), initializer="zeros", trainable=False)
    c = layer.add_weight((4,), "ones")
    n = layer.add_weight("n", dtype="int64")
    assert [tuple(one.shape) for one in (w, b, c, n)] == [(2, 3), (3,), (4,), ()]
    assert np.std(w.numpy()) > 0 and not b.numpy().any() and c.numpy().all() and n.numpy() == 0
    assert [id(one) for one in layer.trainable_variables] == [id(w), id(c), id(n)]
    assert [id(one) for one in layer.non_trainable_variables] == [id(b)]
    with pytest.raises(ValueError, match="must be known"):
        layer.add_weight("x", shape=[None])


class Nested(keras.layers.Layer):
    """Layers and variables in attributes of every kind."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = gj.Variable(2.0, name="own")
        self.many = [Scale(), {"a": Scale(), "b": (Scale(),)}]
        self.again = self.many[0]

    def call(self, inputs: Any) -> Any:
        for layer in (self.many[0], self.many[1]["a"], self.many[1]["b"][0], *self.many[2:]):
            inputs = layer(inputs)
        return inputs * self.scale


@MODES
def test_tracking(compiled: bool) -> None:
    """Attributes, lists, dicts, tuples, layers appended later, each once; a list that grew is seen in a new trace."""
    nested = Nested()
    step = gj.compile(lambda x: nested(x)) if compiled else nested
    assert np.asarray(step(np.ones((1, 2), "f"))).tolist() == [[2.0, 2.0]]
    assert len(nested.trainable_variables) == 4 and nested.trainable_variables[0] is nested.scale
    assert len(nested.layers) == 3
    nested.many.append(Scale(gj.keras.initializers.Constant(3.0)))
    assert np.asarray(step(np.ones((1, 2), "f"))).tolist() == [[6.0, 6.0]]
    assert len(nested.trainable_variables) == 5


def test_trainable_is_handed_on() -> None:
    """To layers inside, and back."""
    nested = Nested()
    nested(np.ones(2))
    nested.trainable = False
    assert nested.trainable_variables == [] and len(nested.non_trainable_variables) == 4
    nested.trainable = True
    nested.many[0].trainable = False
    assert len(nested.trainable_variables) == 3


def test_a_layer_is_a_module() -> None:
    """L1: modules find the layers and variables in layers."""
    module = gj.Module()
    module.inner = Nested()
    module.inner(np.ones(2))
    assert len(module.trainable_variables) == 4
    assert isinstance(module.inner, gj.Module)


@MODES
def test_training_reaches_layers_inside(compiled: bool) -> None:
    """Given to the outer one, whose call does not take it."""
    outer = keras.Sequential([keras.layers.Dropout(0.5, seed=1)])
    x = np.ones(64, "f")
    assert set(run(outer, compiled, x, training=True).tolist()) == {0.0, 2.0}
    assert set(run(outer, compiled, x, training=False).tolist()) == {1.0}
    assert set(run(outer, compiled, x).tolist()) == {1.0}


def test_inputs_are_cast_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """Article 004: float64 inputs into float32 layers."""
    layer = keras.layers.Dense(1)
    with caplog.at_level(logging.WARNING, "graphjit"):
        for _ in range(3):
            assert layer(gj.constant(np.ones((1, 2)))).dtype == gj.float32
    assert sum("casts its input of float64" in one.getMessage() for one in caplog.records) == 1
    assert keras.layers.Dense(1, dtype="float64")(np.ones((1, 2), "f")).dtype == gj.float64


class Adding(keras.layers.Layer):
    """Adds a loss in its call."""

    def call(self, inputs: Any) -> Any:
        self.add_loss(gj.reduce_sum(inputs))
        return inputs


@MODES
def test_add_loss(compiled: bool) -> None:
    """What was added in the latest call, of layers inside too; regularizers; nothing of a trace remains."""
    model = keras.Sequential([Adding(), keras.layers.Dense(1, "relu", kernel_regularizer="l2", use_bias=False)])

    def total(x: Any) -> Any:
        model(x)
        return gj.add_n(model.losses)

    step = gj.compile(total) if compiled else total
    step(np.ones((1, 2), "f"))
    found = float(step(np.full((1, 2), 3.0, "f")))
    weight = float(np.sum(model.layers[1].kernel.numpy() ** 2))
    np.testing.assert_allclose(found, 6.0 + 0.01 * weight, rtol=1e-6)
    assert len(model.losses) == (1 if compiled else 2)


def test_activity_regularizer() -> None:
    """A penalty for what the layer gives."""
    layer = keras.layers.Activation("linear", activity_regularizer=keras.regularizers.l2(l=0.5))
    layer([[2.0, 1.0]])
    assert [float(one) for one in layer.losses] == [2.5]


@MODES
def test_dense(compiled: bool) -> None:
    """On matrices and on higher ranks; integers are cast."""
    layer = keras.layers.Dense(4, activation="tanh", kernel_initializer="he_normal", bias_initializer="ones")
    random = np.random.default_rng(1)
    x = random.standard_normal((2, 5, 3)).astype("f")
    found = run(layer, compiled, x)
    np.testing.assert_allclose(found, np.tanh(x @ layer.kernel.numpy() + 1), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(run(layer, compiled, x[0]), found[0], rtol=1e-5, atol=1e-6)
    assert run(layer, compiled, np.ones((2, 3), "i4")).shape == (2, 4)
    with pytest.raises(ValueError, match="positive integer"):
        keras.layers.Dense(0)


@MODES
def test_plain_layers(compiled: bool) -> None:
    """Shapes, functions, joins."""
    layers = keras.layers
    x = np.arange(24, dtype="f").reshape(2, 3, 4)
    assert run(layers.Flatten(), compiled, x).shape == (2, 12)
    assert run(layers.Reshape((4, -1)), compiled, x).shape == (2, 4, 3)
    assert (run(layers.Permute((2, 1)), compiled, x) == x.transpose(0, 2, 1)).all()
    assert run(layers.RepeatVector(5), compiled, x[0]).shape == (3, 5, 4)
    assert run(layers.Lambda(lambda t: t + 1), compiled, x).max() == 24
    assert run(layers.ReLU(max_value=2.0), compiled, x - 5).max() == 2
    np.testing.assert_allclose(run(layers.LeakyReLU(0.5), compiled, np.array([-2.0], "f")), [-1.0])
    np.testing.assert_allclose(run(layers.Softmax(), compiled, x).sum(-1), np.ones((2, 3)), rtol=1e-6)
    pair = (
        gj.compile(lambda a, b: layers.Concatenate()([a, b])) if compiled else lambda a, b: layers.Concatenate()([a, b])
    )
    assert np.asarray(pair(x, x)).shape == (2, 3, 8)
    assert np.asarray(layers.Add()([x, x, x])).max() == 69
    assert np.asarray(layers.Average()([x, x])).max() == 23
    np.testing.assert_allclose(np.asarray(layers.Dot(1, normalize=True)([x[0], x[0]])), np.ones((3, 1)), rtol=1e-6)


@MODES
def test_embedding(compiled: bool) -> None:
    """Rows of a table, with a gradient for those that were looked up."""
    layer = keras.layers.Embedding(5, 2, embeddings_initializer="ones")
    rows = np.array([[1, 1], [4, 0]])

    def slope(places: Any) -> Any:
        with gj.GradientTape() as tape:
            total = gj.reduce_sum(layer(places))
        return tape.gradient(total, layer.embeddings)

    found = np.asarray((gj.compile(slope) if compiled else slope)(rows))
    assert found[:, 0].tolist() == [1.0, 2.0, 0.0, 0.0, 1.0]
    with pytest.raises(IndexError):
        layer([7])


def test_noise_only_in_training() -> None:
    """GaussianNoise, and its spread."""
    gj.random.set_seed(3)
    layer, x = keras.layers.GaussianNoise(2.0), np.zeros(4000, "f")
    assert not np.asarray(layer(x)).any()
    assert 1.9 < np.asarray(layer(x, training=True)).std() < 2.1


def test_shapes_and_configurations() -> None:
    """compute_output_shape keeps an unknown batch; from_config makes an equal layer."""
    layer = keras.layers.Dense(4, "elu", kernel_regularizer=keras.regularizers.l2(l=0.05), kernel_constraint="non_neg")
    assert layer.compute_output_shape(gj.TensorShape([None, 3])).as_list() == [None, 4]
    assert Scale().compute_output_shape((None, 3)).as_list() == [None, 3]
    again = keras.layers.deserialize(keras.layers.serialize(layer))
    assert again.get_config() == layer.get_config()
    assert again.kernel_regularizer.l2 == 0.05
    own = Scale.from_config(Scale("zeros").get_config())
    assert own.start == "zeros"
    with pytest.raises(ValueError, match="lambda"):
        keras.layers.Lambda(lambda x: x).get_config()


def test_unknown_arguments_are_refused() -> None:
    """With what there is."""
    with pytest.raises(ValueError, match="does not take 'unitz'"):
        keras.layers.Dense(3, unitz=4)
    with pytest.raises(LookupError, match="did you mean"):
        keras.layers.Dense(3, activation="reluu")
