"""Optimizers against NumPy loops, eagerly and inside of compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.nn import optimizers

Array = np.ndarray[Any, Any]
_START = np.array([1.0, -2.0, 3.0])
_STEPS = 6


def _gradient(w: Array) -> Array:
    return 2 * w + np.array([1.0, 0.0, -0.5])


def _run(rule: Callable[[Array, Array, dict[str, Any], int], Array]) -> Array:
    w, state = _START.copy(), {}
    for step in range(1, _STEPS + 1):
        w = rule(w, _gradient(w), state, step)
    return w


def _sgd(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    return w - 0.1 * g


def _momentum(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    s["v"] = 0.9 * s.get("v", 0) - 0.1 * g
    return w + s["v"]


def _nesterov(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    s["v"] = 0.9 * s.get("v", 0) - 0.1 * g
    return w + 0.9 * s["v"] - 0.1 * g


def _moments(g: Array, s: dict[str, Any]) -> None:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["v"] = 0.999 * s.get("v", 0) + 0.001 * g * g


def _adam(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    _moments(g, s)
    rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - rate * s["m"] / (np.sqrt(s["v"]) + 1e-7)


def _amsgrad(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    _moments(g, s)
    s["h"] = np.maximum(s.get("h", 0), s["v"])
    rate = 0.1 * np.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    return w - rate * s["m"] / (np.sqrt(s["h"]) + 1e-7)


def _adamw(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    return _adam(w - 0.1 * 0.01 * w, g, s, t)


def _nadam(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    _moments(g, s)
    now, after = (0.9 * (1 - 0.5 * 0.96**step) for step in (t, t + 1))
    s["p"] = s.get("p", 1.0) * now
    ahead = after * s["m"] / (1 - s["p"] * after) + (1 - now) * g / (1 - s["p"])
    return w - 0.1 * ahead / (np.sqrt(s["v"] / (1 - 0.999**t)) + 1e-7)


def _adamax(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    s["m"] = 0.9 * s.get("m", 0) + 0.1 * g
    s["u"] = np.maximum(0.999 * s.get("u", 0), np.abs(g))
    return w - 0.1 / (1 - 0.9**t) * s["m"] / (s["u"] + 1e-7)


def _rmsprop(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g * g
    return w - 0.1 * g / np.sqrt(s["v"] + 1e-7)


def _centered(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    s["v"] = 0.9 * s.get("v", 0) + 0.1 * g * g
    s["a"] = 0.9 * s.get("a", 0) + 0.1 * g
    s["m"] = 0.5 * s.get("m", 0) + 0.1 * g / np.sqrt(s["v"] - s["a"] ** 2 + 1e-7)
    return w - s["m"]


def _adagrad(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    s["v"] = s.get("v", 0.1) + g * g
    return w - 0.1 * g / np.sqrt(s["v"] + 1e-7)


def _adadelta(w: Array, g: Array, s: dict[str, Any], t: int) -> Array:
    s["g"] = 0.95 * s.get("g", 0) + 0.05 * g * g
    step = np.sqrt(s.get("d", 0) + 1e-7) * g / np.sqrt(s["g"] + 1e-7)
    s["d"] = 0.95 * s.get("d", 0) + 0.05 * step * step
    return w - 0.1 * step


CASES: dict[str, tuple[Callable[[], Any], Any]] = {
    "sgd": (lambda: optimizers.SGD(0.1), _sgd),
    "momentum": (lambda: optimizers.SGD(0.1, momentum=0.9), _momentum),
    "nesterov": (lambda: optimizers.SGD(0.1, momentum=0.9, nesterov=True), _nesterov),
    "adam": (lambda: optimizers.Adam(0.1), _adam),
    "amsgrad": (lambda: optimizers.Adam(0.1, amsgrad=True), _amsgrad),
    "adamw": (lambda: optimizers.AdamW(0.1, weight_decay=0.01), _adamw),
    "nadam": (lambda: optimizers.Nadam(0.1), _nadam),
    "adamax": (lambda: optimizers.Adamax(0.1), _adamax),
    "rmsprop": (lambda: optimizers.RMSprop(0.1), _rmsprop),
    "centered": (lambda: optimizers.RMSprop(0.1, momentum=0.5, centered=True), _centered),
    "adagrad": (lambda: optimizers.Adagrad(0.1), _adagrad),
    "adadelta": (lambda: optimizers.Adadelta(0.1), _adadelta),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_an_optimizer_is_its_numpy_loop(name: str, compiled: bool) -> None:
    """Six steps on a quadratic, on float64; one trace serves all of them."""
    make, rule = CASES[name]
    optimizer, w = make(), gj.Variable(_START)

    def step() -> None:
        with gj.GradientTape() as tape:
            loss = gj.reduce_sum(w * w + w * np.array([1.0, 0.0, -0.5]))
        optimizer.apply_gradients([(tape.gradient(loss, w), w)])

    run = gj.compile(step) if compiled else step
    for _ in range(_STEPS):
        run()
    # The learning rate is a float32 variable, as in Keras.
    np.testing.assert_allclose(w.numpy(), _run(rule), rtol=2e-6, atol=1e-7)
    assert int(optimizer.iterations) == _STEPS
    assert not compiled or run.trace_count == 1


def test_clipping() -> None:
    """By norm, by value, by the norm of all gradients together; one of them at a time."""
    gradient = np.array([3.0, 4.0])
    for arguments, wanted in (
        ({"clipnorm": 1.0}, [-0.6, -0.8]),
        ({"clipvalue": 3.5}, [-3.0, -3.5]),
        ({"global_clipnorm": 2.5}, [-1.5, -2.0]),
    ):
        w = gj.Variable(np.zeros(2))
        optimizers.SGD(1.0, **arguments).apply_gradients([(gj.constant(gradient), w)])
        np.testing.assert_allclose(w.numpy(), wanted, rtol=1e-6)
    with pytest.raises(ValueError, match="one of clipnorm"):
        optimizers.SGD(clipnorm=1.0, clipvalue=1.0)


def test_a_constraint_is_applied_after_the_update() -> None:
    """The variable's constraint."""
    w = gj.Variable([1.0, 5.0], constraint=gj.keras.constraints.NonNeg())
    optimizers.SGD(1.0).apply_gradients([(gj.constant([2.0, 2.0]), w)])
    assert w.numpy().tolist() == [0.0, 3.0]


def test_none_gradients_are_left_out() -> None:
    """Unless all are None, which is an error that names the variables."""
    v, w = gj.Variable(1.0, name="first"), gj.Variable(1.0, name="second")
    optimizers.SGD(0.5).apply_gradients([(None, v), (gj.constant(1.0), w)])
    assert (float(v), float(w)) == (1.0, 0.5)
    with pytest.raises(LookupError, match="first:0, second:0"):
        optimizers.SGD(0.5).apply_gradients([(None, v), (None, w)])


def test_the_learning_rate_can_be_changed_without_a_new_trace() -> None:
    """It is a variable."""
    w, optimizer = gj.Variable(0.0), optimizers.SGD(1.0)

    @gj.compile
    def step() -> None:
        optimizer.apply_gradients([(gj.constant(1.0), w)])

    step()
    optimizer.learning_rate = 0.25
    step()
    assert (float(w), step.trace_count) == (-1.25, 1)
    assert float(optimizer.learning_rate) == 0.25


def test_a_changed_setting_is_traced_anew() -> None:
    """A number among the optimizer's attributes is guarded."""
    w, optimizer = gj.Variable(0.0), optimizers.SGD(1.0, clipvalue=1.0)

    @gj.compile
    def step() -> None:
        optimizer.apply_gradients([(gj.constant(4.0), w)])

    step()
    optimizer.clipvalue = 3.0
    step()
    assert float(w) == -4.0


SCHEDULES = {
    "exponential": (lambda: optimizers.schedules.ExponentialDecay(0.5, 4, 0.3), lambda t: 0.5 * 0.3 ** (t / 4)),
    "stairs": (
        lambda: optimizers.schedules.ExponentialDecay(0.5, 4, 0.3, staircase=True),
        lambda t: 0.5 * 0.3 ** (t // 4),
    ),
    "inverse": (lambda: optimizers.schedules.InverseTimeDecay(0.5, 4, 0.3), lambda t: 0.5 / (1 + 0.3 * t / 4)),
    "polynomial": (
        lambda: optimizers.schedules.PolynomialDecay(0.5, 4, 0.1, 2.0),
        lambda t: 0.4 * (1 - min(t, 4) / 4) ** 2 + 0.1,
    ),
    "cycle": (
        lambda: optimizers.schedules.PolynomialDecay(0.5, 4, 0.1, cycle=True),
        lambda t: 0.4 * (1 - t / (4 * max(np.ceil(t / 4), 1))) + 0.1,
    ),
    "pieces": (
        lambda: optimizers.schedules.PiecewiseConstantDecay([2, 5], [1.0, 0.5, 0.25]),
        lambda t: 1.0 if t <= 2 else 0.5 if t <= 5 else 0.25,
    ),
    "cosine": (
        lambda: optimizers.schedules.CosineDecay(0.5, 4, 0.1),
        lambda t: 0.5 * (0.9 * 0.5 * (1 + np.cos(np.pi * min(t, 4) / 4)) + 0.1),
    ),
    "warmup": (
        lambda: optimizers.schedules.CosineDecay(0.0, 4, warmup_target=1.0, warmup_steps=2),
        lambda t: t / 2 if t < 2 else 0.5 * (1 + np.cos(np.pi * min(t - 2, 4) / 4)),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_runs_inside_of_compiled_steps(name: str) -> None:
    """One trace serves all steps, with the rate of each."""
    make, formula = SCHEDULES[name]
    w, optimizer = gj.Variable(0.0), optimizers.SGD(make())

    @gj.compile
    def step() -> None:
        optimizer.apply_gradients([(gj.constant(1.0), w)])

    wanted = 0.0
    for t in range(8):
        step()
        wanted -= formula(t)
        np.testing.assert_allclose(float(w), wanted, rtol=1e-5, atol=1e-6)
    assert step.trace_count == 1
    again = optimizers.schedules.deserialize(optimizers.schedules.serialize(make()))
    np.testing.assert_allclose(float(again(3)), formula(3), rtol=1e-5)


def test_optimizers_by_name() -> None:
    """'adam', 'SGD', 'nadam'; configurations come back."""
    assert type(optimizers.get("adam")) is optimizers.Adam
    assert type(optimizers.get("SGD")) is optimizers.SGD
    assert type(optimizers.get("nadam")) is optimizers.Nadam
    again = optimizers.deserialize(optimizers.serialize(optimizers.Adam(0.25, beta_1=0.5)))
    assert (float(again.learning_rate), again.beta_1) == (0.25, 0.5)
    with pytest.raises(LookupError, match="'adam"):
        optimizers.get("adamm")


def test_minimize() -> None:
    """A function, or a tensor with its tape."""
    w = gj.Variable(1.0)
    optimizers.SGD(0.25).minimize(lambda: w * w, [w])
    assert float(w) == 0.5
    with gj.GradientTape() as tape:
        loss = w * w
    optimizers.SGD(0.25).minimize(loss, [w], tape=tape)
    assert float(w) == 0.25
