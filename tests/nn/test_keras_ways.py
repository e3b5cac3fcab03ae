"""What users of Keras do beside calling layers; the numbers were compared with Keras 3.15's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

keras = gj.keras
layers = keras.layers
_RANDOM = np.random.default_rng(1)
X = _RANDOM.standard_normal((40, 6)).astype("f")
Y = (X[:, :1] * 2 - X[:, 1:2]).astype("f")
LABELS = (X[:, 0] > 0).astype("int64")


class Scaled(layers.Layer):
    """A layer whose build says nothing of being built."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight("factor", shape=[input_shape[-1]], initializer="ones")

    def call(self, inputs: Any) -> Any:
        return inputs * self.factor


@pytest.mark.parametrize("make", [Scaled, lambda: layers.Conv1D(2, 3), lambda: layers.BatchNormalization()])
def test_build_by_hand_counts(make: Any) -> None:
    """Weights are made once, with the layer's name, also if the user calls build himself."""
    layer = make()
    layer.build((None, 5, 4))
    count, first = len(layer.weights), layer.get_weights()
    assert layer.built and all(one.name.startswith(f"{layer.name}/") for one in layer.weights)
    layer(np.zeros((2, 5, 4), "f"))
    assert len(layer.weights) == count and all(
        (one == other).all() for one, other in zip(first, layer.get_weights(), strict=True)
    )


def test_weights_go_layer_by_layer() -> None:
    """As in Keras: those of BatchNormalization stand together, before those of the next layer."""
    model = keras.Sequential([layers.Input((6,)), layers.Dense(5), layers.BatchNormalization(), layers.Dense(1)])
    names = [one.name.split("/")[-1] for one in model.weights]
    assert names[2:6] == ["gamma:0", "beta:0", "moving_mean:0", "moving_variance:0"]
    assert [tuple(one.shape) for one in model.get_weights()][6:] == [(5, 1), (1,)]
    assert len(model.trainable_variables) == 6 and len(model.non_trainable_variables) == 2
    model.layers[1].trainable = False
    assert [id(one) for one in model.weights] == [id(one) for one in model.variables]


def _two() -> Any:
    a, b = keras.Input((6,), name="a"), keras.Input((3,), name="b")
    shared = layers.Dense(4, "tanh", name="shared")
    joined = layers.Add()([shared(a), shared(layers.Concatenate()([b, b]))])
    first, second = layers.Dense(1, name="first")(joined), layers.Dense(3, "softmax", name="second")(joined)
    return keras.Model([a, b], [first, second], name="two")


def test_a_functional_model_shows_its_ends() -> None:
    """inputs, outputs, their shapes; the layers of inputs first; the outputs of layers inside."""
    model = _two()
    assert [one.name for one in model.inputs] == ["a", "b"] and [len(one.shape) for one in model.outputs] == [2, 2]
    assert [tuple(one) for one in model.input_shape] == [(None, 6), (None, 3)]
    assert [tuple(one) for one in model.output_shape] == [(None, 1), (None, 3)]
    assert [type(one).__name__ for one in model.layers[:2]] == ["InputLayer", "InputLayer"]
    inner = keras.Model(model.inputs, model.get_layer("first").input)
    wanted = model.get_layer("first")(inner.predict([X, X[:, :3]]))
    np.testing.assert_allclose(model.predict([X, X[:, :3]])[0], wanted.numpy(), rtol=1e-5, atol=1e-6)
    with pytest.raises(gj.errors.FailedPreconditionError, match="called 2 times on descriptions"):
        print(model.get_layer("shared").output)
    again = keras.Model.from_config(model.get_config())
    again.set_weights(model.get_weights())
    for one, other in zip(again.predict([X, X[:, :3]]), model.predict([X, X[:, :3]]), strict=True):
        assert (one == other).all()


def test_a_sequential_shows_its_ends() -> None:
    """The features that a layer inside computes, taken out of a trained model; a subclass has no such thing."""
    model = keras.Sequential([layers.Input((6,)), layers.Dense(4, "relu", name="features"), layers.Dense(1)])
    assert tuple(model.input_shape) == (None, 6) and tuple(model.output_shape) == (None, 1)
    features = keras.Model(model.inputs, [one.output for one in model.layers])
    first, last = features.predict(X)
    assert (last == model.predict(X)).all() and (first == model.layers[0](X).numpy()).all()
    assert tuple(keras.Model(model.input, model.get_layer("features").output).output_shape) == (None, 4)
    late = keras.Sequential([layers.Dense(2)])
    with pytest.raises(gj.errors.FailedPreconditionError, match="does not know its input yet"):
        print(late.inputs)
    late(X)
    assert tuple(late.output_shape) == (None, 2)
    with pytest.raises(gj.errors.FailedPreconditionError, match="defined by its call"):
        print(_Plain().inputs)


class _Plain(keras.Model):
    def __init__(self) -> None:
        super().__init__()
        self.head = layers.Dense(1)
        self.seen: list[str] = []

    def call(self, inputs: Any) -> Any:
        self.seen.append(type(inputs).__name__)
        return self.head(inputs)


def test_run_eagerly() -> None:
    """compile(run_eagerly=True): the model's Python runs at every batch; it can be read and set."""
    model = _Plain()
    model.compile("sgd", "mse", run_eagerly=True)
    model.fit(X, Y, batch_size=10, verbose=0)
    assert model.run_eagerly and model.seen.count("Tensor") == 4
    model.run_eagerly = False
    model.seen.clear()
    model.fit(X, Y, batch_size=10, epochs=3, verbose=0)
    assert "Tensor" not in model.seen and len(model.seen) < 4


def test_metrics_with_one_name_are_told_apart() -> None:
    """weighted_metrics get 'weighted_' before a name that is taken."""
    model = keras.Sequential([layers.Dense(2, "softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"], weighted_metrics=["accuracy"])
    logs = model.evaluate(X, LABELS, sample_weight=np.linspace(0, 2, 40), verbose=0, return_dict=True)
    right = np.asarray(model(X)).argmax(1) == LABELS
    assert list(logs) == ["loss", "accuracy", "weighted_accuracy"]
    np.testing.assert_allclose(logs["accuracy"], right.mean(), rtol=1e-6)
    np.testing.assert_allclose(logs["weighted_accuracy"], (right * np.linspace(0, 2, 40)).sum() / 40, rtol=1e-5)


def test_callbacks_may_add_to_the_history() -> None:
    """The learning rate, as Keras has it there; and the CSV file."""
    model = keras.Sequential([layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    found = model.fit(X, Y, epochs=3, verbose=0, callbacks=[schedule]).history
    np.testing.assert_allclose(found["learning_rate"], [0.05, 0.025, 0.0125], rtol=1e-6)
    plateau = keras.callbacks.ReduceLROnPlateau("loss", patience=1, min_delta=100.0)
    found = model.fit(X, Y, epochs=3, verbose=0, callbacks=[plateau]).history
    np.testing.assert_allclose(found["learning_rate"], [0.0125, 0.0125, 0.00125], rtol=1e-6)


def test_early_stopping_puts_the_best_weights_back(tmp_path: Path) -> None:
    """Beside CSVLogger; the epochs after the best one are forgotten."""
    kept: list[Any] = []

    class Keeping(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            kept.append(self.model.get_weights()[0])

    model = keras.Sequential([layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=0.5, patience=2, restore_best_weights=True)
    writing = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    history = model.fit(
        X, Y, epochs=30, verbose=0, shuffle=False, validation_data=(X, Y), callbacks=[stop, Keeping(), writing]
    )
    assert len(history.epoch) == stop.best_epoch + 3 < 30
    assert (model.get_weights()[0] == kept[stop.best_epoch]).all()
    lines = (tmp_path / "log.csv").read_text().split()
    assert lines[0] == "epoch,loss,val_loss" and len(lines) == len(history.epoch) + 1


def test_a_batch_by_hand_is_measured_alone() -> None:
    """train_on_batch and test_on_batch start the metrics anew."""
    model = keras.Sequential([layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.0), "mse", metrics=["mae"])
    for part in (slice(0, 10), slice(10, 30)):
        error = np.asarray(model(X[part])) - Y[part]
        for found in (model.train_on_batch(X[part], Y[part]), model.test_on_batch(X[part], Y[part])):
            np.testing.assert_allclose(found, [(error**2).mean(), abs(error).mean()], rtol=1e-5)


def test_penalties_of_activities_are_those_of_an_example() -> None:
    """activity_regularizer: the sum over a batch, divided by its size."""
    layer = layers.Dense(3, activity_regularizer=keras.regularizers.L2(0.5))
    output = np.asarray(layer(X))
    np.testing.assert_allclose(float(layer.losses[0]), 0.5 * (output**2).sum() / 40, rtol=1e-5)


def test_a_class_that_is_ignored_is_left_out_of_the_mean() -> None:
    """SparseCategoricalCrossentropy(ignore_class=...)."""
    chances = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]])
    loss = keras.losses.SparseCategoricalCrossentropy(ignore_class=1)
    np.testing.assert_allclose(float(loss([0, 1, 0], chances)), -np.log([0.5, 0.9]).mean(), rtol=1e-6)


def test_the_area_under_precision() -> None:
    """AUC(curve="PR") interpolates as Davis and Goadrich do; Precision and Recall of one class."""
    truth, chance = (np.arange(40) % 3 == 0), np.random.default_rng(8).random(40)
    found = float(keras.metrics.AUC(curve="PR", num_thresholds=20)(truth, chance))
    limits = np.r_[-1e-7, np.arange(1, 19) / 19, 1 + 1e-7]
    hits = np.array([(truth & (chance > one)).sum() for one in limits], float)
    predicted = np.array([(chance > one).sum() for one in limits], float)
    area = 0.0
    for (hit, all_), (less, fewer) in zip(
        zip(hits, predicted, strict=True), zip(hits[1:], predicted[1:], strict=True), strict=False
    ):
        slope = (hit - less) / max(all_ - fewer, 1e-300) if all_ > fewer else 0.0
        start = less - slope * fewer
        area += slope * (hit - less + start * (np.log(all_ / fewer) if fewer else 0.0)) / truth.sum()
    np.testing.assert_allclose(found, area, rtol=1e-5)
    true, predicted_rows = np.eye(3)[[0, 1, 1, 2]], np.eye(3)[[0, 1, 2, 1]]
    assert float(keras.metrics.Precision(class_id=1)(true, predicted_rows)) == 0.5
    assert keras.metrics.Recall(class_id=2).get_config()["class_id"] == 2


def test_copies_of_models() -> None:
    """clone_model; to_json and model_from_json; what is no model is refused."""
    for model in (_two(), keras.Sequential([layers.Input((6,)), layers.Dense(2)])):
        for copy in (keras.models.clone_model(model), keras.models.model_from_json(model.to_json())):
            assert copy.count_params() == model.count_params() and copy.weights[0] is not model.weights[0]
            assert [one.name for one in copy.layers] == [one.name for one in model.layers]
    with pytest.raises(gj.errors.FormatError, match="is JSON"):
        keras.models.model_from_json("{")


def test_arrays_made_ready() -> None:
    """to_categorical and normalize; activations by their other names."""
    assert keras.utils.to_categorical([[0], [2]]).tolist() == [[1, 0, 0], [0, 0, 1]]
    with pytest.raises(ValueError, match="labels lie between 0 and 1 for 2 classes"):
        keras.utils.to_categorical([2], 2)
    np.testing.assert_allclose(np.linalg.norm(keras.utils.normalize(X), axis=1), 1, rtol=1e-6)
    assert keras.activations.get("swish") is keras.activations.get("silu")
    assert keras.backend.image_data_format() == "channels_last"


class _Attributes(keras.Model):
    """Variables as attributes beside a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = gj.Variable(2.0)
        self.fixed = gj.Variable(1.0, trainable=False)
        self.many = {"a": [gj.Variable([1.0])]}
        self.head = layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.head(inputs) * self.scale + self.fixed + self.many["a"][0]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_attributes_of_models_are_trained(compiled: bool) -> None:
    """L2: variables that are attributes count, and a tape takes them, one by one or as the list."""
    model = _Attributes()
    model(X)
    assert len(model.trainable_variables) == 4 and len(model.variables) == 5

    def slopes(x: Any) -> Any:
        with gj.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(model.trainable_variables)
            tape.watch(model.fixed)
            loss = gj.reduce_sum(model(x))
        return tape.gradient(loss, [*model.trainable_variables, model.fixed])

    found = (gj.compile(slopes) if compiled else slopes)(X)
    assert [tuple(one.shape) for one in found] == [(), (1,), (6, 1), (1,), ()]
    np.testing.assert_allclose(float(found[-1]), 40.0)
    np.testing.assert_allclose(found[2].numpy()[:, 0], 2 * X.sum(0), rtol=1e-4, atol=1e-5)
    model.compile(keras.optimizers.SGD(0.1), "mse")
    before = model.get_weights()
    model.fit(X, Y, verbose=0)
    moved = [bool((one != other).any()) for one, other in zip(before, model.get_weights(), strict=True)]
    assert moved.count(False) == 1 and float(model.fixed.numpy()) == 1.0


class _Noisy(layers.Layer):
    """Every hook of a layer."""

    def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.factor = factor

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight("kernel", shape=[input_shape[-1], 2], regularizer="l2")
        super().build(input_shape)

    def call(self, inputs: Any, training: Any = None) -> Any:
        self.add_loss(0.5)
        return gj.matmul(inputs, self.kernel) * (self.factor if training else 1.0)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return gj.TensorShape([*input_shape.as_list()[:-1], 2])

    def get_config(self) -> Any:
        return {**super().get_config(), "factor": self.factor}


class _Greatest(keras.metrics.Metric):
    """Every hook of a metric."""

    def __init__(self, name: str = "greatest", **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.value = self.add_weight("value", initializer="zeros")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        self.value.assign(gj.maximum(self.value, gj.reduce_max(gj.abs(y_true - y_pred))))

    def result(self) -> Any:
        return self.value


class _Cubes(keras.losses.Loss):
    """The hook of a loss."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        return gj.reduce_mean(gj.abs(y_pred - y_true) ** 3, axis=-1)


@pytest.mark.parametrize("eagerly", [False, True], ids=["compiled", "eager"])
def test_every_hook_of_layers_losses_and_metrics(eagerly: bool, tmp_path: Path) -> None:
    """L3: build, call, add_weight, add_loss, losses, training=, get_config, compute_output_shape; Metric; Loss; fit."""
    model = keras.Sequential([_Noisy(3.0, input_shape=(6,)), layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), _Cubes(), metrics=[_Greatest()], run_eagerly=eagerly)
    noisy = model.layers[0]
    output = np.asarray(model(X))
    assert tuple(noisy.compute_output_shape(gj.TensorShape([None, 6]))) == (None, 2) and len(model.losses) == 2
    penalty = 0.5 + 0.01 * (noisy.kernel.numpy() ** 2).sum()
    loss, greatest = model.evaluate(X, Y, batch_size=40, verbose=0)
    np.testing.assert_allclose(loss, (abs(output - Y) ** 3).mean() + penalty, rtol=1e-4)
    np.testing.assert_allclose(greatest, abs(output - Y).max(), rtol=1e-5)
    np.testing.assert_allclose(noisy(X, training=True).numpy(), 3 * noisy(X).numpy(), rtol=1e-5, atol=1e-6)
    history = model.fit(X, Y, epochs=3, verbose=0).history
    assert set(history) == {"loss", "greatest"} and history["loss"][-1] < history["loss"][0]
    model.save(tmp_path / "model")
    known = {"_Noisy": _Noisy, "_Cubes": _Cubes, "_Greatest": _Greatest}
    again = keras.models.load_model(tmp_path / "model", custom_objects=known)
    assert again.layers[0].factor == 3.0
    np.testing.assert_allclose(again.predict(X), model.predict(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(again.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0), rtol=1e-5)
