"""Models: fit, evaluate, predict, callbacks, functional models."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

keras = gj.keras
Array = np.ndarray[Any, Any]


def blobs(count: int = 256) -> tuple[Array, Array]:
    """Two groups of points, and which of them each belongs to."""
    random = np.random.default_rng(5)
    y = random.integers(0, 2, count)
    return random.standard_normal((count, 2)) + 3.0 * y[:, None], y


def classifier(**kwargs: Any) -> Any:
    """A small model for the blobs."""
    model = keras.Sequential([keras.layers.Dense(8, "relu", input_shape=(2,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss, ["accuracy"], **kwargs)
    return model


@pytest.mark.parametrize("run_eagerly", [False, True], ids=["compiled", "eager"])
def test_fit_learns_and_reports(run_eagerly: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """The loss falls, evaluate gives [loss, accuracy], predict arrays; two sizes of batches are two traces."""
    gj.random.set_seed(1)
    x, y = blobs(250)
    model = classifier(run_eagerly=run_eagerly)
    history = model.fit(x, y, epochs=8, verbose=2, validation_split=0.2)
    assert list(history.history) == ["loss", "accuracy", "val_loss", "val_accuracy"]
    assert history.epoch == list(range(8)) and model.history is history
    assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]
    loss, accuracy = model.evaluate(x, y, verbose=0)
    assert accuracy > 0.93 and loss < 0.3
    assert model.predict(x).shape == (250, 2)
    assert model.evaluate(x, y, verbose=0, return_dict=True) == {"loss": loss, "accuracy": accuracy}
    assert capsys.readouterr().out.count("val_accuracy: ") == 8
    if not run_eagerly:
        assert model._train_batch.trace_count == 2


def test_training_is_repeatable() -> None:
    """After set_seed: the same numbers, compiled and eager."""
    x, y = blobs(64)
    found = []
    for run_eagerly in (False, True, False):
        gj.random.set_seed(3)
        found.append(classifier(run_eagerly=run_eagerly).fit(x, y, epochs=2, verbose=0).history["loss"])
    assert found[0] == found[2]
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5)


def test_weights_of_examples_and_classes() -> None:
    """Examples of weight 0 are not learned from; class weights are weights of examples."""
    x, y = blobs(64)
    model = classifier()
    before = model.get_weights()
    model.fit(x, y, sample_weight=np.zeros(64), verbose=0)
    assert all((one == other).all() for one, other in zip(before, model.get_weights(), strict=True))
    by_class, by_example = classifier(), classifier()
    by_example.set_weights(by_class.get_weights())
    by_class.fit(x, y, class_weight={0: 2.0, 1: 0.5}, verbose=0, shuffle=False)
    by_example.fit(x, y, sample_weight=np.where(y == 0, 2.0, 0.5), verbose=0, shuffle=False)
    for one, other in zip(by_class.get_weights(), by_example.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    with pytest.raises(ValueError, match=r"no weight for the classes \[1\]"):
        by_class.fit(x, y, class_weight={0: 1.0}, verbose=0)


def test_batches_from_a_generator_and_a_list() -> None:
    """A list is gone through in each epoch, a generator once in all."""
    x, y = blobs(64)
    batches = [(x[start : start + 16], y[start : start + 16]) for start in range(0, 64, 16)]

    class Batches:
        def __iter__(self) -> Any:
            return iter(batches)

    model = classifier()
    assert len(model.fit(Batches(), epochs=3, verbose=0).history["loss"]) == 3
    endless = (batches[number % 4] for number in range(10**9))
    assert len(model.fit(endless, epochs=2, steps_per_epoch=5, verbose=0).history["loss"]) == 2
    assert model.predict(iter(batches)).shape == (64, 2)
    with pytest.raises(ValueError, match="gave no batch"):
        model.fit(iter([]), verbose=0)


def test_the_line_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    """As Keras prints it."""
    x, y = blobs(64)
    classifier().fit(x, y, epochs=2)
    lines = capsys.readouterr().out.split("\n")
    assert lines[0] == "Epoch 1/2"
    last = lines[1].split("\r")[-1]
    assert re.fullmatch(r"2/2 ━{20} \d+s \d+[mu]?s/step - loss: \d\.\d{4} - accuracy: \d\.\d{4} *", last)


class Recorder(keras.callbacks.Callback):
    """Notes what it is told."""

    def __init__(self) -> None:
        self.events: list[str] = []

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.events.append(f"batch {batch} {sorted(logs)}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.events.append(f"epoch {epoch}")


def test_callbacks_are_told() -> None:
    """Batches and epochs, with logs."""
    x, y = blobs(64)
    recorder = Recorder()
    classifier().fit(x, y, epochs=1, batch_size=32, callbacks=[recorder], verbose=0)
    assert recorder.events == ["batch 0 ['accuracy', 'loss']", "batch 1 ['accuracy', 'loss']", "epoch 0"]


def test_early_stopping() -> None:
    """Training ends, and the best weights come back."""
    x, y = blobs(64)
    model = classifier()
    model.optimizer.learning_rate = 0.0
    stopping = keras.callbacks.EarlyStopping("loss", patience=2, restore_best_weights=True)
    assert len(model.fit(x, y, epochs=20, callbacks=[stopping], verbose=0, shuffle=False).epoch) == 3
    missing = keras.callbacks.EarlyStopping("val_loss")
    with pytest.warns(UserWarning, match="'val_loss', which is not measured"):
        model.fit(x, y, callbacks=[missing], verbose=0)


def test_learning_rates_and_csv(tmp_path: Path) -> None:
    """The scheduler sets the rate, the logger writes rows."""
    x, y = blobs(64)
    model, file = classifier(), tmp_path / "log.csv"
    scheduler = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.5 * rate)
    model.fit(x, y, epochs=2, callbacks=[scheduler, keras.callbacks.CSVLogger(file)], verbose=0)
    np.testing.assert_allclose(float(model.optimizer.learning_rate), 0.005)
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert set(rows[0]) == {"epoch", "loss", "accuracy", "learning_rate"}
    plateau = keras.callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=100.0)
    model.fit(x, y, epochs=3, callbacks=[plateau], verbose=0)
    assert float(model.optimizer.learning_rate) < 0.004


def test_freezing_a_layer_between_fits() -> None:
    """The step is traced anew for what is trained now."""
    x, y = blobs(64)
    model = classifier()
    model.fit(x, y, verbose=0)
    model.layers[0].trainable = False
    frozen, head = model.layers[0].get_weights(), model.layers[1].get_weights()
    model.fit(x, y, verbose=0)
    assert (model.layers[0].get_weights()[0] == frozen[0]).all()
    assert (model.layers[1].get_weights()[0] != head[0]).any()


def test_functional_models() -> None:
    """Layers called on descriptions, shared layers, several inputs and outputs, operators."""
    first, second = keras.Input([3], name="first"), keras.Input([3], name="second")
    shared = keras.layers.Dense(4, "relu")
    both = keras.layers.Concatenate()([shared(first), shared(second)])
    total = keras.layers.Dense(1, name="total")(both) * 2.0 + 1.0
    kind = keras.layers.Dense(2, name="kind")(both)
    model = keras.Model([first, second], [total, kind])
    a, b = np.ones((5, 3), "f"), np.zeros((5, 3), "f")
    one, two = model([a, b])
    assert (one.shape, two.shape, len(model.weights)) == ((5, 1), (5, 2), 6)
    np.testing.assert_array_equal(np.asarray(model({"first": a, "second": b})[0]), np.asarray(one))
    sparse = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", ["mse", sparse], metrics=[["mae"], ["accuracy"]], loss_weights=[1.0, 0.5])
    history = model.fit([a, b], [np.ones((5, 1)), np.zeros(5, int)], epochs=2, verbose=0).history
    assert len(history) == 5 and history["loss"][1] < history["loss"][0]
    with pytest.raises(ValueError, match="2 inputs, but 1 tensors"):
        model(a)
    with pytest.raises(ValueError, match="not among the inputs"):
        keras.Model(first, total)


class OwnStep(keras.Model):
    """A model with a training step of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.seen = keras.metrics.Mean(name="seen")

    def call(self, inputs: Any) -> Any:
        return self.dense(inputs)

    def train_step(self, data: Any) -> Any:
        x, y = data
        with gj.GradientTape() as tape:
            loss = gj.reduce_mean((self(x, training=True) - y) ** 2)
        variables = self.trainable_variables
        self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        self.seen.update_state(loss)
        return {"own": self.seen.result()}


def test_a_training_step_of_ones_own_runs_compiled() -> None:
    """What it returns is the log; metrics that are attributes are reset for each epoch."""
    model = OwnStep()
    model.compile("sgd")
    x = np.random.default_rng(1).standard_normal((64, 3))
    history = model.fit(x, x[:, :1], epochs=3, verbose=0).history
    assert list(history) == ["own"] and history["own"][2] < history["own"][0]
    assert model._user_train_batch.trace_count == 1


def test_what_is_missing_is_said() -> None:
    """Before compile, without a loss, with data that do not fit."""
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(RuntimeError, match="must be compiled first"):
        model.fit(np.ones((2, 1)), np.ones((2, 1)))
    model.compile("sgd")
    with pytest.raises(ValueError, match="nothing to minimise"):
        model.fit(np.ones((2, 1)), np.ones((2, 1)), verbose=0)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="one example in each row"):
        model.fit(np.ones((2, 1)), np.ones((3, 1)))
    with pytest.raises(ValueError, match="no examples"):
        model.fit(np.ones((0, 1)), np.ones((0, 1)))


def test_summary(capsys: pytest.CaptureFixture[str]) -> None:
    """Layers, shapes, numbers."""
    keras.backend.clear_session()
    model = keras.Sequential([keras.layers.Dense(3, input_shape=(2,)), keras.layers.Dropout(0.5)])
    model.summary()
    text = capsys.readouterr().out
    assert "dense (Dense)" in text and "(None, 3)" in text and "Total params: 9 (36.00 B)" in text
    with pytest.raises(RuntimeError, match="no weights yet"):
        keras.Sequential([keras.layers.Dense(3)]).summary()


class Choosing(keras.layers.Layer):
    """A layer with an `if` on a tensor."""

    def call(self, inputs: Any) -> Any:
        if gj.reduce_sum(inputs) > 0:
            return inputs * 2
        return inputs - 1


def _steep(y_true: Any, y_pred: Any) -> Any:
    error = gj.reduce_mean(gj.abs(y_true - y_pred))
    if error > 1.0:
        error = error * 10.0
    return error


def test_control_flow_in_layers_and_losses_is_converted() -> None:
    """E1: an `if` on a tensor in a layer's call and in a loss, inside of the compiled steps."""
    model = keras.Sequential([Choosing()])
    model.compile("sgd", _steep)
    x = np.ones((4, 2), "f")
    assert model.predict(x).max() == 2 and model.predict(-x).max() == -2
    assert model.evaluate(x, x * 2, verbose=0) == 0.0
    assert model.evaluate(x, x * 4, verbose=0) == 20.0
