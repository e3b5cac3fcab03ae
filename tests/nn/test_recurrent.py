"""Recurrent layers against a loop in NumPy.

The formulas are those by which Keras 3 defines its cells (`keras/src/layers/rnn/{simple_rnn,gru,lstm}.py`), written
down afresh; its weights have the same order and shapes. Gradients stand in test_layer_gradients.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

layers = gj.keras.layers
Array = np.ndarray[Any, Any]
MODES = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
UNITS = 5
MASK = np.array([[1, 1, 0, 1, 1, 0], [1, 1, 1, 1, 1, 1], [0, 1, 1, 0, 0, 1]], bool)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def _simple_step(x: Array, states: list[Array], kernel: Array, inner: Array, bias: Array) -> list[Array]:
    return [np.tanh(x @ kernel + states[0] @ inner + bias)]


def _gru_step(x: Array, states: list[Array], kernel: Array, inner: Array, bias: Array) -> list[Array]:
    (h,) = states
    zx, rx, cx = np.split(x @ kernel + bias[0], 3, axis=1)
    zh, rh, ch = np.split(h @ inner + bias[1], 3, axis=1)
    z, r = _sigmoid(zx + zh), _sigmoid(rx + rh)
    return [z * h + (1 - z) * np.tanh(cx + r * ch)]


def _gru_before_step(x: Array, states: list[Array], kernel: Array, inner: Array, bias: Array) -> list[Array]:
    (h,) = states
    zx, rx, cx = np.split(x @ kernel + bias, 3, axis=1)
    zh, rh = np.split(h @ inner[:, : 2 * UNITS], 2, axis=1)
    z, r = _sigmoid(zx + zh), _sigmoid(rx + rh)
    return [z * h + (1 - z) * np.tanh(cx + (r * h) @ inner[:, 2 * UNITS :])]


def _lstm_step(x: Array, states: list[Array], kernel: Array, inner: Array, bias: Array) -> list[Array]:
    h, c = states
    i, f, candidate, o = np.split(x @ kernel + h @ inner + bias, 4, axis=1)
    c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(candidate)
    return [_sigmoid(o) * np.tanh(c), c]


CELLS: dict[str, tuple[Any, dict[str, Any], Callable[..., list[Array]], int]] = {
    "simple": (layers.SimpleRNN, {}, _simple_step, 1),
    "gru": (layers.GRU, {}, _gru_step, 1),
    "gru_before": (layers.GRU, {"reset_after": False}, _gru_before_step, 1),
    "lstm": (layers.LSTM, {}, _lstm_step, 2),
}


def _looped(
    name: str, weights: list[Array], x: Array, first: list[Array], mask: Array | None, backwards: bool, zero: bool
) -> tuple[Array, list[Array]]:
    """What all steps give, in the order of going, and the last states."""
    step, states = CELLS[name][2], first
    previous, outputs = np.zeros_like(first[0]), []
    order = range(x.shape[1])
    for t in reversed(order) if backwards else order:
        after = step(x[:, t], states, *weights)
        keep = np.ones((len(x), 1), bool) if mask is None else mask[:, t, None]
        previous = np.where(keep, after[0], 0 if zero else previous)
        states = [np.where(keep, new, old) for new, old in zip(after, states, strict=True)]
        outputs.append(previous)
    return np.stack(outputs, 1), states


def _made(name: str, random: np.random.Generator, **options: Any) -> tuple[Any, list[Array]]:
    """A layer with random weights on float64, and these weights."""
    cls, own, _, _ = CELLS[name]
    layer = cls(UNITS, **own, **options, dtype="float64")
    layer.build_with((None, None, 4))
    weights = [random.standard_normal(one.shape) / 2 for one in layer.get_weights()]
    layer.set_weights(weights)
    return layer, weights


@MODES
@pytest.mark.parametrize("name", CELLS)
@pytest.mark.parametrize("masked", [False, True], ids=["whole", "masked"])
@pytest.mark.parametrize("form", ["loop", "unrolled", "backwards", "zeros", "given"])
def test_a_recurrent_layer_is_its_loop(name: str, masked: bool, form: str, compiled: bool) -> None:
    """Sequences, states, masks, both directions, unrolled, from given states."""
    random = np.random.default_rng(11)
    backwards, zero = form == "backwards", form == "zeros"
    layer, weights = _made(
        name,
        random,
        return_sequences=True,
        return_state=True,
        go_backwards=backwards,
        unroll=form == "unrolled",
        zero_output_for_mask=zero,
    )
    x, mask = random.standard_normal((3, 6, 4)), MASK if masked else None
    shape = (3, UNITS)
    first = [random.standard_normal(shape) if form == "given" else np.zeros(shape) for _ in range(CELLS[name][3])]
    wanted, states = _looped(name, weights, x, first, mask, backwards, zero)
    given = first if form == "given" else None

    def run(value: Any) -> Any:
        return layer(value, mask=mask, initial_state=given)

    found, *last = (gj.compile(run) if compiled else run)(x)
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-11, atol=1e-13)
    for one, other in zip(last, states, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-11, atol=1e-13)


@MODES
@pytest.mark.parametrize("name", CELLS)
def test_the_last_step_alone(name: str, compiled: bool) -> None:
    """Without return_sequences; also behind steps that do not count."""
    random = np.random.default_rng(12)
    layer, weights = _made(name, random)
    x = random.standard_normal((3, 6, 4))
    first = [np.zeros((3, UNITS)) for _ in range(CELLS[name][3])]
    for mask in (None, MASK):
        run = (
            (lambda value, mask=mask: layer(value, mask=mask))
            if not compiled
            else gj.compile(lambda value, mask=mask: layer(value, mask=mask))
        )
        wanted, _ = _looped(name, weights, x, first, mask, False, False)
        np.testing.assert_allclose(run(x).numpy(), wanted[:, -1], rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", CELLS)
def test_one_trace_takes_any_number_of_steps(name: str) -> None:
    """A size of None along the steps and the batch: the loop is one equation, also in its derivative."""
    random = np.random.default_rng(13)
    layer, weights = _made(name, random)

    @gj.compile(input_signature=[gj.TensorSpec([None, None, 4], "float64")])
    def slopes(x: Any) -> Any:
        with gj.GradientTape() as tape:
            output = layer(x)
            loss = gj.reduce_sum(output * output)
        return output, tape.gradient(loss, layer.trainable_variables)

    for batch, steps in ((2, 3), (4, 7), (1, 1)):
        x = random.standard_normal((batch, steps, 4))
        first = [np.zeros((batch, UNITS)) for _ in range(CELLS[name][3])]
        found, gradients = slopes(x)
        np.testing.assert_allclose(found.numpy(), _looped(name, weights, x, first, None, False, False)[0][:, -1])
        _, wanted = slopes.eager(x)
        for one, other in zip(gradients, wanted, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-10, atol=1e-12)
    assert slopes.trace_count == 1
    assert sum("scan" in line for line in slopes.dump("traced").splitlines()) == 2


def test_weights_have_the_order_and_the_shapes_of_keras() -> None:
    """kernel, recurrent_kernel, bias; the bias of the forget gate starts with ones."""
    for name, gates in (("simple", 1), ("gru", 3), ("gru_before", 3), ("lstm", 4)):
        cls, own, _, _ = CELLS[name]
        layer = cls(3, **own, name="layer")
        layer(np.zeros((1, 2, 4), "f"))
        cell = f"layer/{layer.cell.name}"
        assert [one.name for one in layer.weights] == [
            f"{cell}/kernel:0",
            f"{cell}/recurrent_kernel:0",
            f"{cell}/bias:0",
        ]
        bias = (2, 3 * gates) if name == "gru" else (3 * gates,)
        assert [tuple(one.shape) for one in layer.weights] == [(4, 3 * gates), (3, 3 * gates), bias]
        recurrent = layer.get_weights()[1]
        np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(3), atol=1e-5)
    assert layer.get_weights()[2].tolist() == [0.0] * 3 + [1.0] * 3 + [0.0] * 6
    assert cls(3, use_bias=False).cell.use_bias is False


def test_a_layer_shows_the_arguments_of_its_cell() -> None:
    """layer.units, layer.activation; other names are errors."""
    layer = layers.GRU(3, "relu", recurrent_dropout=0.5)
    assert (layer.units, layer.recurrent_dropout) == (3, 0.5)
    assert layer.activation is gj.keras.activations.get("relu")
    with pytest.raises(AttributeError, match="no attribute 'unit'"):
        print(layer.unit)


@MODES
def test_dropout_is_the_same_at_all_steps(compiled: bool) -> None:
    """Gal and Ghahramani 2016: with equal inputs and no state, all steps of a cell without memory are equal."""
    layer = layers.SimpleRNN(
        64, "linear", recurrent_initializer="zeros", dropout=0.5, return_sequences=True, kernel_initializer="identity"
    )
    x = np.ones((4, 3, 64), "f")

    def run(value: Any) -> Any:
        return layer(value, training=True)

    function = gj.compile(run) if compiled else run
    found, again = np.asarray(function(x)), np.asarray(function(x))
    assert set(np.unique(found)) == {0.0, 2.0}
    assert (found[:, 0] == found[:, 1]).all() and (found[:, 0] == found[:, 2]).all()
    assert (found != again).any() and (found[0] != found[1]).any()
    assert (np.asarray(layer(x)) == 1).all()


@MODES
def test_recurrent_dropout_drops_states(compiled: bool) -> None:
    """The state that is handed on is whole; what is read of it is not."""
    layer = layers.SimpleRNN(
        50, "linear", kernel_initializer="zeros", recurrent_initializer="identity", recurrent_dropout=0.5, seed=3
    )

    def run(value: Any) -> Any:
        return layer(value, initial_state=gj.ones([4, 50]), training=True)

    found = np.asarray((gj.compile(run) if compiled else run)(np.zeros((4, 3, 2), "f")))
    assert set(np.unique(found)) == {0.0, 8.0}


def test_eager_and_compiled_draw_the_same() -> None:
    """After the same seed; and a layer of the same arguments is trained alike."""
    layer = layers.LSTM(4, dropout=0.4, recurrent_dropout=0.4, return_sequences=True)
    x = np.random.default_rng(1).standard_normal((3, 5, 2)).astype("f")
    layer(x)
    results = []
    for function in (layer, gj.compile(lambda value, training: layer(value, training=training))):
        gj.random.set_seed(4)
        results.append(np.asarray(function(x, training=True)))
    np.testing.assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-6)


@MODES
def test_a_stateful_layer_goes_on(compiled: bool) -> None:
    """Two halves of a sequence are the whole one; reset_states begins anew; the states are no weights."""
    x = np.random.default_rng(2).standard_normal((3, 8, 2))
    layer = layers.LSTM(4, stateful=True, batch_input_shape=(3, None, 2), dtype="float64")
    plain = layers.LSTM(4, dtype="float64")
    plain(x)
    function = gj.compile(lambda value: layer(value)) if compiled else layer
    function(x)
    layer.set_weights(plain.get_weights())
    layer.reset_states()
    function(x[:, :4])
    np.testing.assert_allclose(function(x[:, 4:]).numpy(), plain(x).numpy(), rtol=1e-11, atol=1e-13)
    layer.reset_state()
    np.testing.assert_allclose(function(x).numpy(), plain(x).numpy(), rtol=1e-11, atol=1e-13)
    assert len(layer.weights) == 3
    with pytest.raises(ValueError, match="how many examples a batch has"):
        layers.GRU(2, stateful=True).build_with((None, 3, 2))


@MODES
@pytest.mark.parametrize("merge", ["concat", "sum", "ave", "mul", None])
@pytest.mark.parametrize("sequences", [False, True], ids=["last", "all"])
def test_both_directions(merge: str | None, sequences: bool, compiled: bool) -> None:
    """Bidirectional is two layers, of which one sees the sequence from its end."""
    x = np.random.default_rng(3).standard_normal((2, 4, 3))
    layer = layers.Bidirectional(
        layers.GRU(2, return_sequences=sequences, return_state=True, dtype="float64"), merge, dtype="float64"
    )
    found = list((gj.compile(lambda value: layer(value)) if compiled else layer)(x))
    assert [one.name for one in layer.layers] == ["forward_" + layer.layers[0].name[8:], layer.layers[1].name]
    plain = layers.GRU(2, return_sequences=sequences, dtype="float64")
    plain(x)
    plain.set_weights(layer.get_weights()[:3])
    forth = plain(x).numpy()
    plain.set_weights(layer.get_weights()[3:])
    back = plain(x[:, ::-1]).numpy()
    back = back[:, ::-1] if sequences else back
    wanted: dict[str | None, list[Array]] = {
        "concat": [np.concatenate([forth, back], -1)],
        "sum": [forth + back],
        "ave": [(forth + back) / 2],
        "mul": [forth * back],
        None: [forth, back],
    }
    for one, other in zip(found, wanted[merge], strict=False):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-11, atol=1e-13)
    assert len(found) == len(wanted[merge]) + 2
    again = layers.deserialize(layers.serialize(layer))
    assert again.get_config() == layer.get_config()


class Counting:
    """A cell that is no layer: it counts steps, and adds the number to its input."""

    state_size = 1

    def call(self, inputs: Any, states: Any) -> Any:
        count = states[0] + 1.0
        if gj.reduce_sum(count) > 4.0:
            count = count * 1.0
        return inputs + count, [count]


@MODES
def test_a_cell_of_ones_own(compiled: bool) -> None:
    """An object with call and state_size; its control flow is converted. The output is not the state."""
    layer = layers.RNN(Counting(), return_sequences=True, return_state=True)
    x = np.zeros((2, 3, 1), "f")
    mask = np.array([[1, 0, 1], [1, 1, 1]], bool)
    function = gj.compile(lambda value, mask: layer(value, mask=mask)) if compiled else layer
    outputs, count = function(x, mask=mask)
    assert outputs.numpy()[..., 0].tolist() == [[1.0, 1.0, 2.0], [1.0, 2.0, 3.0]]
    assert count.numpy()[:, 0].tolist() == [2.0, 3.0]


@MODES
def test_stacked_cells_are_layers_one_after_the_other(compiled: bool) -> None:
    """RNN([a, b]) is b behind a."""
    x = np.random.default_rng(4).standard_normal((2, 4, 3))
    stacked = layers.RNN([layers.GRUCell(3, dtype="float64"), layers.LSTMCell(2, dtype="float64")], dtype="float64")
    found = (gj.compile(lambda value: stacked(value)) if compiled else stacked)(x).numpy()
    first, second = layers.GRU(3, return_sequences=True, dtype="float64"), layers.LSTM(2, dtype="float64")
    second(first(x))
    first.set_weights(stacked.get_weights()[:3])
    second.set_weights(stacked.get_weights()[3:])
    np.testing.assert_allclose(found, second(first(x)).numpy(), rtol=1e-11, atol=1e-13)


@MODES
def test_a_layer_for_every_step(compiled: bool) -> None:
    """TimeDistributed: any layer, any number of steps."""
    layer = layers.TimeDistributed(layers.Conv2D(2, 2, dtype="float64"), dtype="float64")
    x = np.random.default_rng(5).standard_normal((2, 3, 4, 5, 1))
    layer(x)
    function = gj.compile(input_signature=[gj.TensorSpec([None, None, 4, 5, 1], "float64")])(lambda v: layer(v))
    found = (function if compiled else layer)(x).numpy()
    for step in range(3):
        np.testing.assert_allclose(found[:, step], layer.layer(x[:, step]).numpy(), rtol=1e-11, atol=1e-13)
    inner = layers.Bidirectional(layers.GRU(2, dtype="float64"), dtype="float64")
    twice = layers.TimeDistributed(inner, dtype="float64")
    words = x[..., 0]
    mask = np.array([[[1, 0, 1, 1]] * 3, [[1, 1, 1, 0]] * 3], bool)
    run = gj.compile(lambda v, m: twice(v, mask=m)) if compiled else lambda v, m: twice(v, mask=m)
    for step in range(3):
        wanted = inner(words[:, step], mask=mask[:, step]).numpy()
        np.testing.assert_allclose(run(words, mask).numpy()[:, step], wanted, rtol=1e-11, atol=1e-13)


def _toy() -> tuple[Array, Array]:
    x = np.random.default_rng(6).standard_normal((96, 7, 2)).astype("f")
    return x, x.cumsum(1)[:, -1:, 0] + x[:, 0, 1:]


@pytest.mark.parametrize("cls", [layers.SimpleRNN, layers.GRU, layers.LSTM])
def test_recurrent_layers_learn_and_are_saved(cls: Any, tmp_path: Path) -> None:
    """In fit, whose step is compiled once; saved, loaded, asked: the same numbers."""
    gj.random.set_seed(1)
    x, y = _toy()
    model = gj.keras.Sequential([layers.Input((None, 2)), cls(16, return_sequences=True), cls(8), layers.Dense(1)])
    model.compile(gj.keras.optimizers.Adam(0.02), "mse")
    history = model.fit(x, y, epochs=12, verbose=0).history["loss"]
    assert history[-1] < 0.35 * history[0], history
    model.save(tmp_path / "model.keras")
    again = gj.keras.models.load_model(tmp_path / "model.keras")
    assert again.predict(x).tobytes() == model.predict(x).tobytes()
    assert again.predict(x[:, :3]).tobytes() == model.predict(x[:, :3]).tobytes()
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_configurations_come_back() -> None:
    """Every argument."""
    for cls, flag in itertools.product((layers.SimpleRNN, layers.GRU, layers.LSTM), (False, True)):
        layer = cls(
            3,
            activation="relu",
            kernel_regularizer="l2",
            recurrent_constraint="non_neg",
            bias_initializer="ones",
            dropout=0.25,
            return_sequences=flag,
            go_backwards=flag,
            unroll=flag,
            activity_regularizer="l1",
        )
        again = layers.deserialize(layers.serialize(layer))
        assert again.get_config() == layer.get_config() and again.unroll is flag
        assert (again.units, again.dropout) == (3, 0.25)
        again(np.zeros((2, 3, 4), "f"))
        assert len(again.losses) == 2
    cell = layers.GRUCell(2, reset_after=False)
    assert layers.deserialize(layers.serialize(cell)).get_config() == cell.get_config()


def test_states_of_an_encoder_go_into_a_decoder() -> None:
    """In a functional model: initial_state is one of its tensors; the model is saved with that call."""
    source, target = gj.keras.Input((None, 3)), gj.keras.Input((None, 2))
    _, h, c = layers.LSTM(4, return_state=True)(source)
    outputs = layers.LSTM(4, return_sequences=True)(target, initial_state=[h, c])
    model = gj.keras.Model([source, target], layers.Dense(1)(outputs))
    a, b = np.random.default_rng(7).standard_normal((2, 5, 3)), np.random.default_rng(8).standard_normal((2, 4, 2))
    assert model.predict([a, b]).shape == (2, 4, 1)
    _, _, encoder, decoder, head = model.layers
    _, *states = encoder(a.astype("f"))
    wanted = head(decoder(b.astype("f"), initial_state=states)).numpy()
    np.testing.assert_allclose(model.predict([a, b]), wanted, rtol=1e-5, atol=1e-6)
    again = gj.keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_allclose(again.predict([a, b]), wanted, rtol=1e-5, atol=1e-6)


def test_what_is_wrong_is_said() -> None:
    """Shapes, numbers of states, arguments."""
    with pytest.raises(ValueError, match=r"sequences of shape \[batch, steps, features\].*expand_dims"):
        layers.GRU(2)(np.zeros((3, 4), "f"))
    with pytest.raises(ValueError, match="has 2 states, but initial_state has 1 tensors"):
        layers.LSTM(2)(np.zeros((1, 3, 4), "f"), initial_state=[np.zeros((1, 2), "f")])
    with pytest.raises(ValueError, match="units is a positive integer"):
        layers.LSTM(0)
    with pytest.raises(ValueError, match="probability below 1"):
        layers.GRU(2, dropout=1.5)
    with pytest.raises(ValueError, match="has call"):
        layers.RNN(3)
    with pytest.raises(ValueError, match="merge_mode is one of"):
        layers.Bidirectional(layers.GRU(2), "max")
    with pytest.raises(ValueError, match="goes around a recurrent layer"):
        layers.Bidirectional(layers.Dense(2))
    with pytest.raises(ValueError, match="known number of steps"):
        gj.compile(input_signature=[gj.TensorSpec([2, None, 3])])(layers.GRU(2, unroll=True)).get_concrete_function()
