"""Derivatives along a direction: row G14, eagerly and in compiled functions."""

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


def _number(tensor: Any) -> float:
    return float(np.asarray(tensor))


def test_g14_jacobian_vector_product(mode: Callable[..., Any]) -> None:
    """G14: of every value, inside of the context and outside."""

    def derivatives(x: Any, t: Any) -> Any:
        with gj.ForwardAccumulator(x, t) as accumulator:
            h = x * x
            y = gj.tanh(h)
            inside = accumulator.jvp(h)
        return inside, *accumulator.jvp([h, y])

    x, t = np.array([0.5, 1.0]), np.array([1.0, -2.0])
    inside, h, y = (np.asarray(one) for one in mode(derivatives)(gj.constant(x), gj.constant(t)))
    assert inside.tolist() == h.tolist() == (2 * x * t).tolist()
    np.testing.assert_allclose(y, (1 - np.tanh(x * x) ** 2) * 2 * x * t, rtol=1e-12)


def test_g14_variables_and_structures(mode: Callable[..., Any]) -> None:
    """G14: primals may be variables, and nested."""
    v = gj.Variable(3.0)

    def derivative(x: Any) -> Any:
        with gj.ForwardAccumulator({"v": v, "x": [x]}, {"v": gj.constant(1.0), "x": [10.0]}) as accumulator:
            y = v * v * x
        return accumulator.jvp(y)

    assert _number(mode(derivative)(gj.constant(2.0))) == 6.0 * 2.0 + 9.0 * 10.0


def test_g14_nested(mode: Callable[..., Any]) -> None:
    """G14: second derivatives along two directions: 48 for x**4 at 2."""

    def second(x: Any) -> Any:
        one = gj.ones_like(x)
        with gj.ForwardAccumulator(x, one) as outer:
            with gj.ForwardAccumulator(x, one) as inner:
                y = x * x * x * x
            first = inner.jvp(y)
        return first, outer.jvp(first)

    assert [_number(one) for one in mode(second)(gj.constant(2.0))] == [32.0, 48.0]


def test_g14_forward_over_reverse(mode: Callable[..., Any]) -> None:
    """G14: the product of a Hessian and a vector: 12.0 for x**3 at 2."""

    def product(x: Any, t: Any) -> Any:
        with gj.ForwardAccumulator(x, t) as accumulator:
            with gj.GradientTape() as tape:
                tape.watch(x)
                y = gj.reduce_sum(x * x * x)
            slope = tape.gradient(y, x)
        return accumulator.jvp(slope)

    assert _number(mode(product)(gj.constant(2.0), gj.constant(1.0))) == 12.0
    matrix = np.asarray(mode(product)(gj.constant([1.0, 2.0]), gj.constant([1.0, -1.0])))
    assert matrix.tolist() == [6.0, -12.0]


def test_g14_reverse_over_forward(mode: Callable[..., Any]) -> None:
    """G14: and the other way round."""

    def product(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            with gj.ForwardAccumulator(x, gj.ones_like(x)) as accumulator:
                y = x * x * x
            slope = accumulator.jvp(y)
        return tape.gradient(slope, x)

    assert _number(mode(product)(gj.constant(2.0))) == 12.0


def test_g14_agrees_with_differences() -> None:
    """G14: for a function of many kinds of ops, seed 0."""
    random = np.random.default_rng(0)
    x, t = random.normal(size=(3, 4)), random.normal(size=(3, 4))
    w = gj.constant(random.normal(size=(4, 2)))

    def f(x: Any) -> Any:
        h = gj.tanh(gj.matmul(x, w))
        return gj.concat([gj.reduce_sum(h * h, axis=0), gj.reshape(x[1:, ::2], [-1])], axis=0)

    with gj.ForwardAccumulator(gj.constant(x), gj.constant(t)) as accumulator:
        primal = accumulator._pairs[0][0]
        y = f(primal)
    step = 1e-6
    expected = (f(gj.constant(x + step * t)).numpy() - f(gj.constant(x - step * t)).numpy()) / (2 * step)
    np.testing.assert_allclose(accumulator.jvp(y).numpy(), expected, rtol=1e-7, atol=1e-9)


def test_g14_unconnected() -> None:
    """G14: None or zeros, also for integers and for what was computed before."""
    x = gj.constant([1.0, 2.0])
    before = x * x
    with gj.ForwardAccumulator(x, gj.ones([2])) as accumulator:
        k = gj.cast(x, gj.int32)
        flat = gj.round(x)
    assert accumulator.jvp([before, k, flat]) == [None, None, None]
    assert accumulator.jvp(flat, unconnected_gradients="zero").numpy().tolist() == [0.0, 0.0]


def test_g14_through_a_custom_gradient() -> None:
    """G14, G12: forward derivatives use the rule that was given."""

    @gj.custom_gradient
    def f(x: Any) -> Any:
        return x * 2.0, lambda g: g * 5.0

    x = gj.constant(1.0)
    with gj.ForwardAccumulator(x, gj.constant(3.0)) as accumulator:
        y = f(x)
    assert _number(accumulator.jvp(y)) == 15.0


def test_g14_what_is_refused() -> None:
    """G14: tangents that do not fit, a primal given twice, integers, entering twice."""
    x = gj.constant([1.0, 2.0])
    with pytest.raises(ValueError, match="another structure"):
        gj.ForwardAccumulator([x], x)
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        gj.ForwardAccumulator(x, gj.ones([3]))
    with pytest.raises(TypeError, match="float64"):
        gj.ForwardAccumulator(x, gj.ones([2], gj.float64))
    with pytest.raises(ValueError, match="given twice"):
        gj.ForwardAccumulator([x, x], [x, x])
    with pytest.raises(TypeError, match="int32"):
        gj.ForwardAccumulator(gj.constant(1), gj.constant(1))
    with gj.ForwardAccumulator(x, x) as accumulator, pytest.raises(RuntimeError, match="in use"), accumulator:
        pass
    with pytest.raises(ValueError, match="value to differentiate is 3"):
        accumulator.jvp(3)
