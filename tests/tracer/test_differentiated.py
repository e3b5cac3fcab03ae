"""The gradient of a compiled call: what is kept, what is computed again, what is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.graph import Graph
from graphjit.tracer.differentiated import cut, derive


def halves(f: Callable[..., Any], *arguments: Any) -> Any:
    """The derivative of a function by all of its arguments, cut in two."""
    graph = gj.compile(f).get_concrete_function(*arguments).graph
    types = [value.type for value in graph.inputs]
    return cut(derive(graph, types, len(graph.outputs), tuple(range(len(types))), {}))


def ops(graph: Graph) -> list[str]:
    """The names of a graph's ops."""
    return [equation.op.name for equation in graph.equations]


def test_results_are_kept_and_not_computed_again() -> None:
    """The backward half reads tanh's result."""
    found = halves(lambda x: gj.reduce_sum(gj.tanh(gj.exp(x))), gj.constant([1.0, 2.0]))
    assert {"tanh", "exp"} <= set(ops(found.forward))
    assert not {"tanh", "exp"} & set(ops(found.backward))
    assert len(found.residuals) == 2


def test_views_and_constants_are_written_again() -> None:
    """What costs nothing is not kept: a transpose, a reshape, a literal."""
    found = halves(lambda x: gj.reshape(gj.transpose(x), (-1,)) * 3.0 * gj.reshape(x, (-1,)), gj.ones((2, 3)))
    kept = {value.type.shape for value in found.residuals}
    assert "transpose" in ops(found.backward)
    assert kept <= {(6,)}
    assert len(found.residuals) == 1


def test_a_recomputed_function_keeps_nothing() -> None:
    """G13: recompute_grad's computation belongs to the backward half."""
    f = gj.recompute_grad(lambda x: gj.tanh(gj.exp(x)))
    found = halves(lambda x: f(x), gj.constant([1.0, 2.0]))
    assert "tanh" in ops(found.backward)
    assert not found.residuals


def test_gradients_by_some_inputs_only() -> None:
    """Only what is watched is differentiated by."""
    f = gj.compile(lambda x, y: gj.tanh(x) * gj.exp(y))
    x, y = gj.constant([0.5]), gj.constant([1.0])
    for watched in ([x], [y], [x, y]):
        with gj.GradientTape() as tape:
            tape.watch(watched)
            z = f(x, y)
        dx, dy = tape.gradient(z, [x, y])
        assert (dx is not None) == any(one is x for one in watched)
        assert (dy is not None) == any(one is y for one in watched)
        if dx is not None:
            np.testing.assert_allclose(dx, (1 - np.tanh(0.5) ** 2) * np.e, rtol=1e-5)


def test_several_tapes_watch_different_things() -> None:
    """Each tape gets its own gradient of one call."""
    f = gj.compile(lambda x, y: x * x * y)
    x, y = gj.constant(3.0), gj.constant(5.0)
    with gj.GradientTape() as one, gj.GradientTape() as other:
        one.watch(x)
        other.watch(y)
        z = f(x, y)
    assert (float(one.gradient(z, x)), float(other.gradient(z, y))) == (30.0, 9.0)


def test_integer_results_beside_float_ones() -> None:
    """Results that have no gradient take part without one."""
    f = gj.compile(lambda x: (gj.argmax(x), x * 2.0, gj.shape(x)))
    x = gj.constant([1.0, 3.0, 2.0])
    with gj.GradientTape() as tape:
        tape.watch(x)
        place, doubled, sizes = f(x)
        loss = doubled[1] * 5.0
    assert (int(place), sizes.numpy().tolist()) == (1, [3])
    assert tape.gradient(loss, x).numpy().tolist() == [0.0, 10.0, 0.0]


def test_a_flat_result_beside_another_has_a_zero_gradient() -> None:
    """G16: rounding gives no gradient; a call is one record, so that this is zero, and not None."""
    f = gj.compile(lambda x: (x * 2.0, gj.round(x)))
    x = gj.constant([1.4])
    with gj.GradientTape(persistent=True) as tape:
        tape.watch(x)
        doubled, rounded = f(x)
    assert tape.gradient(doubled, x).numpy() == [2.0]
    assert tape.gradient(rounded, x).numpy() == [0.0]


@pytest.mark.parametrize("size", [1, 3])
def test_open_sizes(size: int) -> None:
    """B1: gradients of a trace with unknown sizes, for each size."""
    f = gj.compile(
        lambda x, w: gj.reduce_mean(gj.matmul(x, w) ** 2),
        input_signature=[gj.TensorSpec([None, 2], gj.float32), gj.TensorSpec([2, None], gj.float32)],
    )
    x, w = np.arange(2.0 * size, dtype=np.float32).reshape(size, 2), gj.ones((2, 2))
    with gj.GradientTape() as tape:
        tape.watch(w)
        y = f(x, w)
    expected = 2 * x.T @ (x @ np.ones((2, 2))) / (2 * size)
    np.testing.assert_allclose(tape.gradient(y, w), expected, rtol=1e-6)


def test_random_numbers_are_the_same_in_both_halves() -> None:
    """I1: dropout's mask is drawn once for a call and its gradient."""
    f = gj.compile(lambda x: x * gj.cast(gj.random.uniform((1000,)) > 0.5, gj.float32))
    gj.random.set_seed(3)
    x = gj.ones((1000,))
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    np.testing.assert_array_equal(tape.gradient(y, x), y)
    assert 0 < float(gj.reduce_sum(y)) < 1000
    assert not np.array_equal(f(x), y)
