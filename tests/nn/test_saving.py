"""Saving and loading models and weights."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

keras = gj.keras
_X = np.random.default_rng(1).standard_normal((64, 4)).astype("f")
_Y = _X[:, :1] * 2


def trained(**kwargs: Any) -> Any:
    """A model after an epoch."""
    model = keras.Sequential([keras.layers.Dense(8, "elu"), keras.layers.BatchNormalization(), keras.layers.Dense(1)])
    model.compile("nadam", "mse", ["mae"], **kwargs)
    model.fit(_X, _Y, verbose=0)
    return model


def test_a_model_comes_back_and_goes_on_with_the_same_numbers(tmp_path: Path) -> None:
    """Weights, running means and the optimizer's state, bit for bit."""
    model = trained()
    model.save(tmp_path / "model.h5")
    again = keras.models.load_model(tmp_path / "model.h5")
    np.testing.assert_array_equal(again.predict(_X), model.predict(_X))
    for one in (model, again):
        one.fit(_X, _Y, verbose=0, shuffle=False)
    np.testing.assert_array_equal(again.predict(_X), model.predict(_X))
    assert again.evaluate(_X, _Y, verbose=0) == model.evaluate(_X, _Y, verbose=0)
    with pytest.raises(ValueError, match="exists"):
        model.save(tmp_path / "model.h5", overwrite=False)


def test_a_functional_model_comes_back(tmp_path: Path) -> None:
    """Shared layers, operators, several inputs and outputs."""
    first, second = keras.Input([4], name="first"), keras.Input([4], name="second")
    shared = keras.layers.Dense(3, "tanh")
    both = keras.layers.Add()([shared(first), shared(second)]) * 2.0
    model = keras.Model({"a": first, "b": second}, [both, keras.layers.Dense(1)(both)])
    model.save(tmp_path / "model")
    again = keras.models.load_model(tmp_path / "model")
    inputs = {"a": _X, "b": _X[::-1].copy()}
    for one, other in zip(model(inputs), again(inputs), strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    assert len(again.weights) == 4


class Block(keras.layers.Layer):
    """A layer with a list of layers."""

    def __init__(self, count: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.hidden = [keras.layers.Dense(4, "relu") for _ in range(count)]

    def call(self, inputs: Any) -> Any:
        for layer in self.hidden:
            inputs = layer(inputs)
        return inputs


class Regressor(keras.Model):
    """A model that is a class."""

    def __init__(self, count: int = 2, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.block = Block(count)
        self.out = keras.layers.Dense(1)

    def call(self, inputs: Any) -> Any:
        return self.out(self.block(inputs))


def test_weights_go_into_a_model_that_was_never_called(tmp_path: Path) -> None:
    """Article 001: a path without extension, a fresh model; its weights come when it is called."""
    model = Regressor(3)
    wanted = np.asarray(model(_X))
    model.save_weights(tmp_path / "folder" / "weights")
    fresh = Regressor(3)
    fresh.load_weights(tmp_path / "folder" / "weights")
    np.testing.assert_array_equal(np.asarray(fresh(_X)), wanted)
    compiled = Regressor(3)
    compiled.load_weights(tmp_path / "folder" / "weights")
    np.testing.assert_allclose(compiled.predict(_X, batch_size=64), wanted, rtol=1e-5, atol=1e-6)


def test_a_class_of_ones_own_comes_back(tmp_path: Path) -> None:
    """Through custom_objects, or registered; without both the message says so."""
    model = Regressor(2)
    model.compile("adam", "mse")
    model.fit(_X, _Y, verbose=0)
    model.save(tmp_path / "model")
    with pytest.raises(LookupError, match=r"'Regressor'.*custom_objects"):
        keras.models.load_model(tmp_path / "model")
    again = keras.models.load_model(tmp_path / "model", custom_objects={"Regressor": Regressor})
    np.testing.assert_array_equal(again.predict(_X), model.predict(_X))


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    """With the name of the weight and both shapes; skip_mismatch keeps what there is."""
    small = keras.Sequential([keras.layers.Dense(2, input_shape=(4,))])
    large = keras.Sequential([keras.layers.Dense(3, input_shape=(4,))])
    small.save_weights(tmp_path / "w")
    with pytest.raises(ValueError, match=r"_stack/0/kernel.* of shape \(4, 3\) has shape \(4, 2\)"):
        large.load_weights(tmp_path / "w")
    before = large.get_weights()[0]
    large.load_weights(tmp_path / "w", skip_mismatch=True)
    np.testing.assert_array_equal(large.get_weights()[0], before)
    with pytest.raises(LookupError, match="no file"):
        large.load_weights(tmp_path / "nothing")
    with pytest.raises(ValueError, match="weights only"):
        keras.models.load_model(tmp_path / "w")


def test_damaged_files_are_refused(tmp_path: Path) -> None:
    """Whatever byte is changed or cut off: the model, or one of our errors."""
    path = tmp_path / "model"
    model = trained()
    model.save(path)
    content = path.read_bytes()
    random = np.random.default_rng(12)
    for number in range(300):
        changed = bytearray(content)
        if number % 3 == 0:
            changed = changed[: random.integers(0, len(changed))]
        else:
            for place in random.integers(0, min(len(changed), 6000), 3):
                changed[place] = random.integers(0, 256)
        path.write_bytes(changed)
        try:
            keras.models.load_model(path)
        except gj.errors.GraphjitError:
            continue


def test_loading_in_another_process(tmp_path: Path) -> None:
    """The same numbers, bit for bit."""
    model = trained()
    model.save(tmp_path / "model.keras")
    np.save(tmp_path / "x.npy", _X)
    np.save(tmp_path / "wanted.npy", model.predict(_X))
    code = (
        "import sys, numpy as np, graphjit as gj\n"
        "model = gj.keras.models.load_model(sys.argv[1] + '/model.keras')\n"
        "found = model.predict(np.load(sys.argv[1] + '/x.npy'))\n"
        "assert (found == np.load(sys.argv[1] + '/wanted.npy')).all()\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_checkpoints(tmp_path: Path) -> None:
    """The best epoch is kept, with names that are filled in."""
    model = trained()
    names = tmp_path / "epoch-{epoch:02d}"
    model.fit(_X, _Y, epochs=2, verbose=0, callbacks=[keras.callbacks.ModelCheckpoint(names)])
    assert sorted(one.name for one in tmp_path.iterdir()) == ["epoch-01", "epoch-02"]
    best = keras.callbacks.ModelCheckpoint(
        tmp_path / "best", monitor="loss", save_best_only=True, save_weights_only=True, initial_value_threshold=0.0
    )
    model.fit(_X, _Y, verbose=0, callbacks=[best])
    assert not (tmp_path / "best").exists()
