"""Loops: `while_loop`, in eager mode and traced (rows E5, F2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj
from graphjit.tracer.agreement import Undefined
from graphjit.tracer.looping import trace_loop


def test_f2_while_loop() -> None:
    def f(n: Any) -> Any:
        return gj.while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x * 2.0), (0, 1.0))

    i, x = both_ways(f, gj.constant(5))
    assert (int(i), float(x)) == (5, 32.0)
    both_ways(f, gj.constant(0))


def test_f2_structures_are_kept() -> None:
    def f(x: Any) -> Any:
        return gj.while_loop(
            lambda state: state["count"] < 3,
            lambda state: [{"count": state["count"] + 1, "pair": (state["pair"][1], state["pair"][0] + 1)}],
            [{"count": 0, "pair": (x, x)}],
        )

    (state,) = both_ways(f, gj.constant([1.0, 2.0]))
    assert set(state) == {"count", "pair"}


def test_f2_maximum_iterations() -> None:
    def f(limit: Any) -> Any:
        return gj.while_loop(lambda i: i < 100, lambda i: i + 1, [0], maximum_iterations=limit)

    assert int(both_ways(f, gj.constant(7))[0]) == 7


def test_f2_shape_invariants() -> None:
    def f(n: Any) -> Any:
        return gj.while_loop(
            lambda i, x: i < n,
            lambda i, x: (i + 1, gj.concat([x, [i]], 0)),
            (0, gj.constant([5])),
            shape_invariants=(gj.TensorShape([]), gj.TensorShape([None])),
        )

    np.testing.assert_array_equal(both_ways(f, gj.constant(3))[1].numpy(), [5, 0, 1, 2])


def test_e5_numbers_take_the_dtype_that_the_body_uses_them_with() -> None:
    """Row E5: an int that meets a float64 tensor, an int64 limit, or becomes a float."""

    @gj.compile
    def f(n: Any, x: Any) -> Any:
        return gj.while_loop(
            lambda i, total, half: i < n, lambda i, total, half: (i + 1, total + x, half / 2.0), (0, 0, 1)
        )

    i, total, half = f(gj.constant(3), gj.constant(2.0, gj.float64))
    assert (i.dtype, total.dtype, half.dtype) == (gj.int32, gj.float64, gj.float32)
    assert (int(i), float(total), float(half)) == (3, 6.0, 0.125)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda y: gj.stack([y, y]), r"'y' has shape \(\) before the loop, but shape \(2,\) after one iteration"),
        (lambda y: gj.cast(y, gj.float64), "'y' has dtype float32 before the loop, but dtype float64 after"),
        (lambda y: (y, y), "must return what it gets"),
        (lambda y: [None], "'y' is None at the end"),
    ],
)
def test_e5_messages(body: Callable[..., Any], message: str) -> None:
    with pytest.raises(gj.errors.InvalidArgumentError, match=message) as caught:
        gj.compile(lambda x: gj.while_loop(lambda y: y < 3, body, [x]))(gj.constant(1.0))
    assert "test_looping.py" in str(caught.value)


def test_e6_first_assigned_in_the_loop() -> None:
    """Row E6: it has its type from the body, and it is an error if no round runs."""

    @gj.compile
    def f(n: Any) -> Any:
        return trace_loop(lambda i, z: i < n, lambda i, z: (i + 1, i * 2.0), (0.0, Undefined("z")), names=("i", "z"))[1]

    assert float(f(gj.constant(3.0))) == 4.0
    with pytest.raises(gj.errors.InvalidArgumentError, match="must iterate at least once to initialize 'z'"):
        f(gj.constant(0.0))


def test_c7_variables_in_loops() -> None:
    v = gj.Variable(1.0)
    fixed = gj.Variable(2.0, trainable=False)

    def f(n: Any) -> Any:
        def body(i: Any, total: Any) -> Any:
            before = v.read_value()
            v.assign_add(fixed)
            return i + 1, total + before * v

        return gj.while_loop(lambda i, total: i < n, body, (0, 0.0))[1], v.read_value()

    compiled = gj.compile(f)
    found = [float(one) for one in compiled(gj.constant(3))]
    assert (found, float(v)) == ([1 * 3 + 3 * 5 + 5 * 7, 7.0], 7.0)
    v.assign(1.0)
    assert [float(one) for one in f(gj.constant(3))] == found


def test_draws_in_condition_and_body_are_those_of_eager_mode() -> None:
    """Row I1: the stream moves on in each round, and in each look at the condition."""

    def f() -> Any:
        return gj.while_loop(
            lambda count, total: gj.random.uniform([]) < 0.9,
            lambda count, total: (count + 1, total + gj.random.uniform([])),
            [0, 0.0],
        ), gj.random.uniform([])

    compiled = gj.compile(f)
    for seed in range(4):
        gj.random.set_seed(seed)
        eager = gj.nest.flatten(f())
        gj.random.set_seed(seed)
        for one, other in zip(gj.nest.flatten(compiled()), eager, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-6)


def test_a_failing_round_leaves_variables_alone() -> None:
    v = gj.Variable(1)

    @gj.compile
    def f(n: Any) -> Any:
        def body(i: Any) -> Any:
            v.assign_add(1)
            return i + 10 // (n - i)

        return gj.while_loop(lambda i: i < 100, body, [0])

    with pytest.raises(gj.errors.DivisionByZeroError):
        f(gj.constant(1) * 0)
    assert int(v) == 1


def test_nested_loops_and_branches() -> None:
    def f(n: Any) -> Any:
        def outer(i: Any, total: Any) -> Any:
            def inner(j: Any, total: Any) -> Any:
                return j + 1, gj.cond(j % 2 == 0, lambda: total + i * j, lambda: total - n)

            return i + 1, gj.while_loop(lambda j, total: j < i, inner, (0, total))[1]

        return gj.while_loop(lambda i, total: i < n, outer, (0, 0))[1]

    both_ways(f, gj.constant(6))


def test_loops_are_shown_and_read_back() -> None:
    """D17: the text form of a loop parses into an equal graph."""
    from graphjit.compiler.dump.text import format_graph, parse_graph
    from graphjit.compiler.equality import graphs_equal

    f = gj.compile(lambda n: gj.while_loop(lambda i: i < n, lambda i: i + 1, [0]))
    f(gj.constant(3))
    graph = f.graph
    assert graphs_equal(parse_graph(format_graph(graph)), graph)
    assert "while" in f.dump("traced", format="dot")
