"""What somebody new to the library gets wrong: each message is ours, and says what to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as tf

keras = tf.keras
X, Y = np.random.default_rng(0).random((40, 6)), np.random.default_rng(1).integers(0, 3, 40)


def _model(loss: Any = "sparse_categorical_crossentropy") -> Any:
    model = keras.Sequential([keras.layers.Dense(3, "softmax")])
    model.compile("sgd", loss)
    return model


MISTAKES: list[tuple[Callable[[], Any], str]] = [
    (lambda: keras.Sequential([keras.layers.Dense(3)]).fit(X, Y), r"must be compiled first: call compile"),
    (lambda: _model().fit(X, Y[:10], verbose=0), r"one example in each row, but their shapes are \(40, 6\), \(10,\)"),
    (lambda: _model("categorical_crossentropy").fit(X, Y, verbose=0), r"class numbers go to sparse_categorical"),
    (lambda: _model().fit(X, Y + 1, verbose=0), r"label 3 is outside of \[0, 3\)"),
    (
        lambda: _model().fit(tf.data.Dataset.from_tensor_slices((X, Y)), verbose=0),
        r"\(6,\), \(\).*\.batch\(32\)",
    ),
    (lambda: _model().fit(X, Y, validation_data=X, verbose=0), r"a tuple of inputs and targets, \(x, y\)"),
    (lambda: _model().fit(X, Y, epochs="5", verbose=0), r"epochs is a whole number, not '5'"),
    (lambda: _model().fit(X, Y, callbacks=[print], verbose=0), r"a callback is an object of a class derived from"),
    (
        lambda: _model().fit(X, Y, callbacks=[keras.callbacks.Callback], verbose=0),
        r"a callback is an object of",
    ),
    (lambda: _model().predict(["a", "b"]), r"the data are no numbers: texts were given"),
    (lambda: _model().predict(None), r"class NoneType, which holds no data"),
    (lambda: _model().compile("adm", "mse"), r"no optimizer named 'adm'; did you mean 'adam'"),
    (lambda: keras.layers.Dense(3, activation="rellu"), r"no activation named 'rellu'; did you mean 'relu'"),
    (lambda: keras.layers.Dense(3, activaton="relu"), r"Dense does not take 'activaton'"),
    (lambda: keras.Model(X, Y), r"come from Input and from layers called on it; ndarray does not"),
    (lambda: list(tf.data.Dataset.from_tensor_slices((X, Y)).map(lambda x: x)), r"too many positional arguments"),
    (lambda: tf.optimizers.SGD(0.1).apply_gradients([(None, tf.Variable(1.0))]), r"no variable has a gradient"),
    (lambda: tf.constant([1, 2]) * 2.5, r"cast on purpose"),
    (lambda: tf.random.uniform(3, 4), r"minval 4.0 is above maxval 1.0; the arguments are uniform\(shape, minval"),
    (lambda: tf.function(tf.data.Dataset.from_tensor_slices)(tf.ones([3])), r"a dataset is made of numbers, but"),
    (lambda: tf.function(3), r"needs a function, not 3"),
]


@pytest.mark.parametrize(("mistake", "message"), MISTAKES, ids=range(len(MISTAKES)))
def test_messages(mistake: Callable[[], Any], message: str) -> None:
    """The error is one of ours, names what is wrong, and the line in the program."""
    with pytest.raises(tf.errors.GraphjitError, match=message) as caught:
        mistake()
    assert "test_newcomers.py" in str(caught.value)


def test_parts_of_elements_are_arguments() -> None:
    """A function of one argument for elements of two parts: a note says how they are handed over."""
    with pytest.raises(tf.errors.SignatureError) as caught:
        list(tf.data.Dataset.from_tensor_slices((X, Y)).map(lambda x: x))
    assert "a tuple of 2 parts, which the function gets as so many arguments" in "".join(caught.value.__notes__)


@pytest.mark.parametrize(("module", "name", "meant"), [(tf, "reduce_sun", "reduce_sum"), (tf.nn, "rellu", "relu")])
def test_names_that_are_nearly_right(module: Any, name: str, meant: str) -> None:
    """The message says what may have been meant; a name that is like none gets no advice."""
    with pytest.raises(AttributeError, match=f"has no attribute '{name}'; did you mean '{meant}'"):
        getattr(module, name)
    with pytest.raises(AttributeError, match=r"has no attribute 'qqqqqq'$"):
        _ = module.qqqqqq
