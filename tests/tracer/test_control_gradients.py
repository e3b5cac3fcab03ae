"""Gradients through branches and loops (rows F6, G19, G23)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj


def gradient(function: Callable[..., Any], x: Any) -> float:
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return float(tape.gradient(y, x, unconnected_gradients="zero"))


def everywhere(function: Callable[..., Any], x: Any) -> list[float]:
    """The gradient in eager mode, with the tape around the compiled function, and inside of it."""
    inside = gj.compile(lambda x: gradient_tensor(function, x))
    return [gradient(function, x), gradient(gj.compile(function), x), float(inside(x))]


def gradient_tensor(function: Callable[..., Any], x: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = function(x)
    return tape.gradient(y, x, unconnected_gradients="zero")


def test_f6_power_by_a_loop() -> None:
    """Row F6: x**4 at 3 gives 108 and 108; the third derivative is 72."""

    def power(x: Any) -> Any:
        return gj.while_loop(lambda i, a: i < 4, lambda i, a: (i + 1, a * x), (0, 1.0))[1]

    first = lambda x: gradient_tensor(power, x)  # noqa: E731 -- one line each shows the tower
    second = lambda x: gradient_tensor(first, x)  # noqa: E731 -- one line each shows the tower
    x = gj.constant(3.0)
    assert everywhere(power, x) == [108.0] * 3
    assert everywhere(first, x) == [108.0] * 3
    assert everywhere(second, x) == [72.0] * 3


def test_no_round_and_no_dependence() -> None:
    def unchanged(x: Any) -> Any:
        return gj.while_loop(lambda a: a < 0.0, lambda a: a * x, [x])[0]

    def fixed(x: Any) -> Any:
        return gj.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, a * 2.0), (0, 1.0))[1] * x

    assert everywhere(unchanged, gj.constant(2.0)) == [1.0] * 3
    assert everywhere(fixed, gj.constant(2.0)) == [8.0] * 3


def test_only_the_branch_that_ran_counts() -> None:
    """Infinite derivatives of the other branch do no harm, unlike those of gj.where in TensorFlow."""

    def f(x: Any) -> Any:
        return gj.cond(x > 0, lambda: gj.sqrt(x), lambda: x * x)

    assert everywhere(f, gj.constant(0.0)) == [0.0] * 3
    assert everywhere(f, gj.constant(4.0)) == [0.25] * 3


def test_switch_and_case() -> None:
    def f(x: Any) -> Any:
        k = gj.cast(x, gj.int32)
        a = gj.switch_case(k, [lambda: x * 2.0, lambda: gj.exp(x), lambda: x * x * x])
        return a + gj.case([(x < 1.0, lambda: x), (x < 2.0, lambda: 3.0 * x)], default=lambda: gj.sin(x))

    for number in (0.5, 1.5, 2.5):
        eager, outside, inside = everywhere(f, gj.constant(number, gj.float64))
        np.testing.assert_allclose([outside, inside], eager, rtol=1e-12)


@pytest.mark.parametrize("rounds", [0, 1, 4])
def test_stop_gradient_and_custom_gradients_in_loops(rounds: int) -> None:
    @gj.custom_gradient
    def clipped(y: Any) -> Any:
        e = gj.tanh(y)
        return e, lambda g: g * gj.minimum(1 - e * e, 0.5)

    def f(x: Any) -> Any:
        def body(i: Any, a: Any) -> Any:
            return i + 1, clipped(a * x) + gj.stop_gradient(a)

        return gj.while_loop(lambda i, a: i < rounds, body, (0, x))[1]

    eager, outside, inside = everywhere(f, gj.constant(0.7, gj.float64))
    np.testing.assert_allclose([outside, inside], eager, rtol=1e-12)


def test_recompute_grad_in_a_loop() -> None:
    """G13: what a round computes is computed again, and only what goes into it is kept."""
    block = gj.recompute_grad(lambda a, x: gj.tanh(gj.sin(a) * gj.exp(x)))

    def f(x: Any) -> Any:
        return gj.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, block(a, x)), (0, x))[1]

    eager, outside, inside = everywhere(f, gj.constant(0.3, gj.float64))
    np.testing.assert_allclose([outside, inside], eager, rtol=1e-12)


def test_a_tape_inside_of_a_loop() -> None:
    """Row G19: steps of gradient descent, in a loop."""

    def f(x: Any) -> Any:
        def body(i: Any, a: Any) -> Any:
            return i + 1, a - 0.1 * gradient_tensor(lambda a: gj.sin(a) * a, a)

        return gj.while_loop(lambda i, a: i < 5, body, (0, x))[1]

    x = gj.constant(0.9, gj.float64)
    np.testing.assert_allclose(float(gj.compile(f)(x)), float(f(x)), rtol=1e-12)
    eager, outside, inside = everywhere(f, x)
    np.testing.assert_allclose([outside, inside], eager, rtol=1e-10)


def test_variables_are_watched_through_loops() -> None:
    """Rows G1 and G10: reads count for the variable, what it was assigned in the loop does not."""
    v = gj.Variable(2.0, dtype=gj.float64)

    def f() -> Any:
        def body(i: Any, a: Any) -> Any:
            read = v * a
            v.assign(v * 1.5)
            return i + 1, gj.cond(i > 1, lambda: read * v, lambda: read)

        return gj.while_loop(lambda i, a: i < 4, body, (0, gj.constant(1.0, gj.float64)))[1]

    def slope(function: Callable[..., Any]) -> float:
        v.assign(2.0)
        with gj.GradientTape() as tape:
            y = function()
        return float(tape.gradient(y, v))

    np.testing.assert_allclose(slope(gj.compile(f)), slope(f), rtol=1e-12)


def test_histories_of_loops_in_loops_differ_in_length() -> None:
    """The inner loop runs i rounds in round i, so what it keeps cannot be stacked: it runs again."""

    def f(x: Any) -> Any:
        def outer(i: Any, a: Any) -> Any:
            inner = gj.while_loop(lambda j, b: j < i, lambda j, b: (j + 1, gj.sin(b) * x), (0, a))[1]
            return i + 1, inner + a

        return gj.while_loop(lambda i, a: i < 4, outer, (0, x))[1]

    eager, outside, inside = everywhere(f, gj.constant(1.3, gj.float64))
    np.testing.assert_allclose([outside, inside], eager, rtol=1e-12)


def test_jvp_and_jacobian() -> None:
    def f(x: Any) -> Any:
        return gj.while_loop(lambda i, a: i < 3, lambda i, a: (i + 1, gj.sin(a) * x[::-1]), (0, x))[1]

    x = gj.constant([0.5, 1.5], gj.float64)
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    matrix = tape.jacobian(y, x).numpy()
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = gj.compile(f)(x)
    np.testing.assert_allclose(tape.jacobian(y, x).numpy(), matrix, rtol=1e-12)
    with gj.ForwardAccumulator(x, gj.constant([1.0, 2.0], gj.float64)) as accumulator:
        y = gj.compile(f)(x)
    np.testing.assert_allclose(accumulator.jvp(y).numpy(), matrix @ [1.0, 2.0], rtol=1e-12)


@pytest.mark.parametrize("name", ["cond", "switch_case", "while_loop", "nested"])
def test_a_watched_tensor_that_a_branch_captures_gets_its_gradient(name: str) -> None:
    """G1, F6: tensors from outside of the compiled function too; a branch has read a copy that no tape watched."""
    x = gj.constant([1.0, 2.0])
    inner: dict[str, Any] = {
        "cond": lambda: gj.cond(x[0] > 0, lambda: -x, lambda: x),
        "switch_case": lambda: gj.switch_case(gj.cast(x[0], "int32"), [lambda: x, lambda: -x]),
        "while_loop": lambda: gj.while_loop(lambda y: gj.reduce_sum(y) < 3.0, lambda y: (y + x,), (x * 0.0,))[0],
        "nested": lambda: gj.cond(x[0] > 0, lambda: gj.cond(x[1] > 0, lambda: -x, lambda: x), lambda: x),
    }

    def gradient() -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.reduce_sum(inner[name]() ** 2)
        return tape.gradient(y, x)

    with gj.eager_mode():
        wanted = gradient()
    assert gj.compile(gradient)().numpy().tolist() == wanted.numpy().tolist()
