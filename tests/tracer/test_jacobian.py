"""Jacobians: row G11 and G23, eagerly and in compiled functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@pytest.fixture(params=["eager", "compiled"])
def mode(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """What makes a function run eagerly, or compiled."""
    return gj.compile if request.param == "compiled" else _eager


_W = np.arange(6.0).reshape(3, 2)


def test_g11_jacobian(mode: Callable[..., Any]) -> None:
    """G11: shape `target.shape + source.shape`; a linear map's is its matrix."""
    w = gj.Variable(_W)

    def derivatives(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.reduce_sum(w * x, axis=1)
        return tape.jacobian(y, {"x": x, "w": w})

    found = mode(derivatives)(gj.constant([10.0, 20.0], gj.float64))
    assert np.asarray(found["x"]).tolist() == _W.tolist()
    expected = np.zeros((3, 3, 2))
    expected[range(3), range(3)] = [10.0, 20.0]
    assert np.asarray(found["w"]).tolist() == expected.tolist()


def test_g11_target_of_any_rank(mode: Callable[..., Any]) -> None:
    """G11: a scalar's Jacobian is its gradient; a matrix target has its axes first."""

    def derivatives(x: Any) -> Any:
        with gj.GradientTape(persistent=True) as tape:
            tape.watch(x)
            squares = x * x
            total = gj.reduce_sum(squares)
        return tape.jacobian(total, x), tape.jacobian(squares, x)

    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    total, squares = mode(derivatives)(gj.constant(x))
    assert np.asarray(total).tolist() == (2 * x).tolist()
    assert np.asarray(squares).tolist() == (np.eye(4) * (2 * x).reshape(4, 1)).reshape(2, 2, 2, 2).tolist()


def test_g11_empty_target() -> None:
    """G11: no elements, no rows."""
    x = gj.Variable(np.ones(3))
    with gj.GradientTape() as tape:
        y = x[:0] * 2.0
    assert tape.jacobian(y, x).shape == (0, 3)


def test_g11_hessian(mode: Callable[..., Any]) -> None:
    """G23: a Jacobian of a gradient, and a gradient of a Jacobian."""

    def derivatives(x: Any) -> Any:
        with gj.GradientTape(persistent=True) as outer:
            outer.watch(x)
            with gj.GradientTape() as tape:
                tape.watch(x)
                y = gj.reduce_sum(x * x * x)
            slope = tape.gradient(y, x)
        hessian = outer.jacobian(slope, x)
        with gj.GradientTape() as around:
            around.watch(x)
            with gj.GradientTape() as tape:
                tape.watch(x)
                y = x * x * x
            jacobian = tape.jacobian(y, x)
        return hessian, around.gradient(jacobian, x)

    hessian, of_jacobian = mode(derivatives)(gj.constant([1.0, 2.0]))
    assert np.asarray(hessian).tolist() == [[6.0, 0.0], [0.0, 12.0]]
    assert np.asarray(of_jacobian).tolist() == [6.0, 12.0]


def test_g11_unconnected() -> None:
    """G11, G3: None, or zeros of the Jacobian's shape; None among the sources stays None."""
    x, w = gj.Variable([1.0, 2.0]), gj.Variable(np.ones((3, 1), np.float32))
    with gj.GradientTape(persistent=True) as tape:
        y = x * x
        _ = w * 1.0
    assert tape.jacobian(y, [w, None, x])[:2] == [None, None]
    assert tape.jacobian(y, w, unconnected_gradients="zero").shape == (2, 3, 1)


def test_g11_uses_the_tape_up() -> None:
    """G11, G6: like a gradient; a loop outside of compiled functions needs a persistent tape, as in TensorFlow."""
    x = gj.Variable([1.0, 2.0])
    with gj.GradientTape() as tape:
        y = x * x
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.jacobian(y, x, experimental_use_pfor=False)
    tape.jacobian(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.jacobian(y, x)
    with gj.GradientTape(persistent=True) as lasting:
        y = x * x
    assert lasting.jacobian(y, x, experimental_use_pfor=False).numpy().tolist() == [[2.0, 0.0], [0.0, 4.0]]


def test_g11_the_target_is_one_tensor() -> None:
    """G11: a list is refused in words."""
    x = gj.Variable([1.0, 2.0])
    with gj.GradientTape() as tape:
        y = x * x
    with pytest.raises(ValueError, match="one tensor, not a list of them"):
        tape.jacobian([y, y], x)


def test_g11_batch_jacobian(mode: Callable[..., Any]) -> None:
    """G11: one Jacobian for each example."""

    def derivatives(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.stack([x[:, 0] * x[:, 1], x[:, 1] * x[:, 2], x[:, 0] * 3.0], axis=1)
        return tape.batch_jacobian(y, x)

    x = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    found = np.asarray(mode(derivatives)(gj.constant(x)))
    expected = [[[b, a, 0], [0, c, b], [3, 0, 0]] for a, b, c in x.tolist()]
    assert found.tolist() == expected


def test_g11_batch_jacobian_of_higher_ranks() -> None:
    """G11: the axes behind the first of target and source."""
    x = gj.Variable(np.arange(8.0).reshape(2, 2, 2))
    with gj.GradientTape() as tape:
        y = gj.reduce_sum(x * x, axis=2)
    found = tape.batch_jacobian(y, x).numpy()
    assert found.shape == (2, 2, 2, 2)
    assert found[1, 0].tolist() == [[8.0, 10.0], [0.0, 0.0]]


def test_g11_batch_jacobian_refuses() -> None:
    """G11: batches of different sizes and ranks below 2; an unconnected source gives zeros."""
    x, other, flat = gj.Variable(np.ones((2, 3))), gj.Variable(np.ones((4, 3))), gj.Variable(np.ones(2))
    with gj.GradientTape(persistent=True) as tape:
        y = x * x
        z = flat * flat + gj.reduce_sum(other)
    with pytest.raises(ValueError, match="first sizes"):
        tape.batch_jacobian(y, other)
    with pytest.raises(ValueError, match="at least rank 2"):
        tape.batch_jacobian(z, flat)
    assert tape.batch_jacobian(y, gj.Variable(np.ones((2, 5)))).numpy().tolist() == np.zeros((2, 3, 5)).tolist()


def test_g11_compiled_jacobians_are_one_walk() -> None:
    """G11: however many elements the target has, the graph is as long; what a row does not reach is None."""

    def derivatives(x: Any, unused: Any) -> Any:
        with gj.GradientTape(persistent=True) as tape:
            tape.watch((x, unused))
            y = gj.sin(x) * gj.reduce_sum(x)
            rows = gj.reshape(gj.tanh(y), [2, -1])
        return tape.jacobian(y, [x, unused])[0], tape.jacobian(y, unused), tape.batch_jacobian(rows, rows)

    lengths = set()
    for size in (4, 10):
        compiled = gj.compile(derivatives)
        x = gj.constant(np.linspace(0.1, 1.0, size))
        found, missing, batch = compiled(x, x)
        lengths.add(len(compiled.graph.equations))
        wanted = np.diag(np.cos(x.numpy()) * x.numpy().sum()) + np.sin(x.numpy())[:, None]
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-12)
        assert missing is None
        np.testing.assert_array_equal(np.asarray(batch), np.stack([np.eye(size // 2)] * 2))
    assert len(lengths) == 1
