"""Custom and recomputed gradients: rows G12, G13 and G9, eagerly, inside of compiled functions and from outside."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.tracer import differentiated


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@pytest.fixture(params=["eager", "compiled"])
def mode(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """What makes a function run eagerly, or compiled."""
    return gj.compile if request.param == "compiled" else _eager


def _number(tensor: Any) -> float:
    return float(np.asarray(tensor))


@gj.custom_gradient
def _log1pexp(x: Any) -> Any:
    e = gj.exp(x)
    return gj.log(1 + e), lambda g: g * (1 - 1 / (1 + e))


def _first_and_second(f: Callable[..., Any], sources: Any) -> Any:
    """A function of x: f(x), its derivatives by x and `sources`, and those of the first of these."""

    def derivatives(x: Any) -> Any:
        with gj.GradientTape() as outer:
            outer.watch(x)
            with gj.GradientTape() as tape:
                tape.watch(x)
                y = f(x)
            first = tape.gradient(y, [x, *sources], unconnected_gradients="zero")
        second = outer.gradient(first[0], [x, *sources], unconnected_gradients="zero")
        return [y, *first, *second]

    return derivatives


def test_g12_the_gradient_is_what_the_function_says(mode: Callable[..., Any]) -> None:
    """G12: at 100 the rule is 1 where the derivative as computed would be NaN; nested tapes differentiate the rule."""
    f = mode(_first_and_second(_log1pexp, []))
    assert _number(f(gj.constant(100.0))[1]) == 1.0
    y, first, second = (_number(one) for one in f(gj.constant(0.0)))
    assert (y, first, second) == pytest.approx((np.log(2), 0.5, 0.25))


def test_g12_taken_from_outside_of_a_compiled_function() -> None:
    """G12: the rule survives in the graph, and may use what the function computed on the way."""
    f = _first_and_second(gj.compile(_log1pexp), [])
    assert _number(f(gj.constant(100.0))[1]) == 1.0
    assert [_number(one) for one in f(gj.constant(0.0))] == pytest.approx([np.log(2), 0.5, 0.25])


def test_g12_several_arguments_and_results(mode: Callable[..., Any]) -> None:
    """G12: one cotangent comes for each result, one goes to each argument; None is none."""

    @gj.custom_gradient
    def mixed(x: Any, pair: Any, n: int) -> Any:
        def gradient(g: Any, h: Any) -> Any:
            return 10.0 * g, [100.0 * h, None], None

        return {"a": x * n, "b": pair[0] + pair[1]}, gradient

    def derivatives(x: Any, y: Any, z: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch([x, y, z])
            out = mixed(x, [y, z], 2)
            total = out["a"] + 2.0 * out["b"]
        by_x, by_y, by_z = tape.gradient(total, [x, y, z])
        assert by_z is None
        return total, by_x, by_y

    found = mode(derivatives)(*(gj.constant(one) for one in (1.0, 2.0, 3.0)))
    assert [_number(one) for one in found] == [12.0, 10.0, 200.0]


def test_g12_arguments_by_keyword() -> None:
    """G12: keywords reach the function as they are; they get a gradient if one is returned for them."""

    @gj.custom_gradient
    def scaled(x: Any, *, by: Any, twice: bool = False) -> Any:
        y = x * by * (2.0 if twice else 1.0)
        return y, (lambda g: (g * 5.0, g * 7.0, None)) if twice else (lambda g: g * 5.0)

    x, by = gj.Variable(1.0), gj.Variable(3.0)
    with gj.GradientTape(persistent=True) as tape:
        one, two = scaled(x, by=by), scaled(x, by=by, twice=True)
    assert tape.gradient(one, by) is None
    assert _number(tape.gradient(one, x)) == 5.0
    assert [_number(g) for g in tape.gradient(two, [x, by])] == [5.0, 7.0]


def test_g12_wrong_counts() -> None:
    """G12: too many or too few gradients, a missing gradient function."""

    @gj.custom_gradient
    def two(x: Any, y: Any) -> Any:
        return x * y, lambda g: g

    @gj.custom_gradient
    def none(x: Any) -> Any:
        return x

    x = gj.Variable(1.0)
    with gj.GradientTape() as tape:
        z = two(x, x)
    with pytest.raises(ValueError, match="expected to return 2 gradients, one for each argument, but returned 1"):
        tape.gradient(z, x)
    with pytest.raises(TypeError, match="returns a pair"):
        none(x)


def _scaled_by(w: gj.Variable) -> Callable[..., Any]:
    @gj.custom_gradient
    def scaled(x: Any) -> Any:
        def gradient(g: Any, variables: Any = None) -> Any:
            assert variables == [] or variables[0] is w
            return g * w * 10.0, [g * x * 100.0]

        return x * w, gradient

    return scaled


def test_g12_variables(mode: Callable[..., Any]) -> None:
    """G12: a variable that is read gets what the function returns for it; second order goes through it."""
    w = gj.Variable(3.0)
    found = mode(_first_and_second(_scaled_by(w), [w]))(gj.constant(0.5))
    assert [_number(one) for one in found] == [1.5, 30.0, 50.0, 0.0, 10.0]


def test_g12_variables_from_outside_of_a_compiled_function() -> None:
    """G12: likewise."""
    w = gj.Variable(3.0)
    found = _first_and_second(gj.compile(_scaled_by(w)), [w])(gj.constant(0.5))
    assert [_number(one) for one in found] == [1.5, 30.0, 50.0, 0.0, 10.0]


def test_g12_a_variable_as_an_argument() -> None:
    """G12: it is an argument like any other, and needs no `variables`."""

    @gj.custom_gradient
    def double(v: Any) -> Any:
        return v * 2.0, lambda g: g * 7.0

    v = gj.Variable(3.0)
    with gj.GradientTape() as tape:
        y = double(v)
    assert _number(tape.gradient(y, v)) == 7.0


def test_g12_variables_need_the_keyword() -> None:
    """G12: a function that reads a trainable variable, and a gradient function that does not take it."""
    w, frozen = gj.Variable(3.0, name="w"), gj.Variable(2.0, trainable=False)

    @gj.custom_gradient
    def wrong(x: Any) -> Any:
        return x * w, lambda g: g

    @gj.custom_gradient
    def fine(x: Any) -> Any:
        return x * frozen, lambda g: g * frozen

    @gj.custom_gradient
    def short(x: Any) -> Any:
        return x * w, lambda g, variables: (g, [])

    x = gj.Variable(1.0)
    with pytest.raises(TypeError, match=r"'w:0'.*'variables'"):
        wrong(x)
    with gj.GradientTape(persistent=True) as tape:
        y, z = fine(x), short(x)
    assert _number(tape.gradient(y, x)) == 2.0
    with pytest.raises(ValueError, match="each of the 1 variables, but returned 0"):
        tape.gradient(z, x)


def test_g12_a_method_and_its_name() -> None:
    """G12: methods may be decorated; name and docstring stay."""

    class Layer:
        @gj.custom_gradient
        def __call__(self, x: Any) -> Any:
            """Docs."""
            return x * 1.0, lambda g: (None, g * 3.0)

    x = gj.Variable(1.0)
    with gj.GradientTape() as tape:
        y = Layer()(x)
    assert _number(tape.gradient(y, x)) == 3.0
    assert Layer.__call__.__doc__ == "Docs."


def test_grad_pass_through(mode: Callable[..., Any]) -> None:
    """A straight-through estimator: rounding forward, the identity backward."""

    def derivative(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.grad_pass_through(gj.round)(x) * 3.0
        return y, tape.gradient(y, x)

    assert [_number(one) for one in mode(derivative)(gj.constant(1.6))] == [6.0, 3.0]


# --- recompute_grad -------------------------------------------------------------------------------


def test_g13_runs_once_forward_and_once_more_backward() -> None:
    """G13: 1, then 2 runs; nothing of the first run is kept by the tape."""
    w = gj.Variable(2.0)
    runs: list[int] = []

    @gj.recompute_grad
    def block(x: Any) -> Any:
        runs.append(1)
        return gj.tanh(x * w) * x

    x = gj.Variable(0.5)
    with gj.GradientTape() as tape:
        y = block(x)
    assert len(runs) == 1
    assert len(tape._current().recording.records) == 3
    dx, dw = tape.gradient(y, [x, w])
    assert len(runs) == 2
    inner = np.tanh(1.0)
    assert _number(dx) == pytest.approx(inner + 0.5 * 2 * (1 - inner**2), rel=1e-6)
    assert _number(dw) == pytest.approx(0.25 * (1 - inner**2), rel=1e-6)


@pytest.mark.parametrize("where", ["eager", "inside", "outside"])
def test_g13_gradients_of_all_orders(where: str) -> None:
    """G13: the same derivatives as without it."""
    w = gj.Variable(2.0)

    def block(x: Any) -> Any:
        return gj.tanh(x * w) * x

    recomputed = gj.recompute_grad(block)
    expected = _first_and_second(block, [w])(gj.constant(0.5))
    if where == "outside":
        found = _first_and_second(gj.compile(recomputed), [w])(gj.constant(0.5))
    else:
        f = _first_and_second(recomputed, [w])
        found = (gj.compile(f) if where == "inside" else f)(gj.constant(0.5))
    assert [_number(one) for one in found] == pytest.approx([_number(one) for one in expected], rel=1e-5)


def test_g13_variables_are_what_they_were() -> None:
    """G13: an assignment after the forward run does not change the gradient."""
    w = gj.Variable(2.0)
    block = gj.recompute_grad(lambda x: x * x * w)
    x = gj.Variable(3.0)
    with gj.GradientTape() as tape:
        y = block(x)
    w.assign(100.0)
    assert [_number(one) for one in tape.gradient(y, [x, w])] == [12.0, 9.0]


def test_g13_a_compiled_function_keeps_less(monkeypatch: pytest.MonkeyPatch) -> None:
    """G13: what is computed again is not handed from the forward half to the backward half."""
    w = gj.Variable([2.0, 3.0])
    kept: list[int] = []

    def noting(derivative: differentiated.Derivative) -> differentiated.Halves:
        halves = cut(derivative)
        kept.append(len(halves.residuals))
        return halves

    def block(x: Any) -> Any:
        return gj.tanh(gj.exp(x * w)) * x

    cut = differentiated.cut
    monkeypatch.setattr(differentiated, "cut", noting)
    found = []
    for f in (block, gj.recompute_grad(block)):
        x = gj.constant([0.1, 0.2])
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.compile(f)(x)
        found.append([np.asarray(one).tolist() for one in tape.gradient(y, [x, w])])
    assert found[0] == found[1]
    assert kept[1] < kept[0]
