"""Loops whose rounds do less: rows instead of numbers, what is alike goes before, sums of products behind (F2, F6)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.graph import Equation, Graph
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.specialize import specialize


def _optimised(compiled: Any) -> Graph:
    graph = compiled.graph
    return optimize(specialize(graph, [value.type for value in graph.inputs]))[-1].graph


def _in_loops(graph: Graph) -> Iterator[Equation]:
    """The equations inside of loops."""
    for equation in graph.equations:
        for inner in equation.graphs:
            yield from inner.equations
            yield from _in_loops(inner)


def _check(function: Callable[..., Any], *arrays: Any, rtol: float = 1e-11) -> Any:
    """The compiled function, which gives what the eager one gives."""
    compiled = gj.compile(function)
    given = [gj.constant(one) for one in arrays]
    wanted = gj.nest.flatten(compiled.eager(*given))
    for one, other in zip(gj.nest.flatten(compiled(*given)), wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=rtol, atol=1e-12, strict=True)
    return compiled


def _draw(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def _rows(x: Any) -> Any:
    total = gj.zeros([3], x.dtype)
    for row in x:
        total = 0.5 * total + row
    return total


def _reversed(x: Any) -> Any:
    total = gj.zeros([3], x.dtype)
    for row in reversed(x):
        total = 0.5 * total + row
    return total


def _numbered(x: Any) -> Any:
    total = gj.zeros([3], x.dtype)
    for number, (row, other) in enumerate(zip(x, x[1:], strict=False)):  # noqa: RUF007 -- zip is what is tested
        total = 0.5 * total + row * other + gj.cast(number, x.dtype)
    return total


def _part(x: Any) -> Any:
    total = gj.zeros([3], x.dtype)
    for place in gj.range(2, 14):
        total = 0.5 * total + x[place] * x[place - 1] + x[14 - place]
    return total


@pytest.mark.parametrize("function", [_rows, _reversed, _numbered, _part], ids=lambda one: one.__name__)
def test_f2_loops_over_rows_pick_nothing(function: Callable[..., Any]) -> None:
    """E7: rows in order, backwards, beside others, or a part of them: no positions are computed or checked."""
    compiled = _check(function, _draw(20, 3))
    names = {one.op.name for one in _in_loops(_optimised(compiled))}
    assert not names & {"gather", "greater_equal", "less"}
    assert compiled.report().numpy_steps == 0


def test_f2_positions_out_of_range_stay_errors() -> None:
    """Exactness: a loop that reaches beyond the last row still says so."""

    def f(x: Any) -> Any:
        total = gj.zeros([3], x.dtype)
        for place in gj.range(12):
            total = total + x[place]
        return total

    with pytest.raises(gj.errors.OutOfRangeError):
        gj.compile(f)(gj.constant(_draw(10, 3)))


def test_f2_positions_that_depend_on_values_stay() -> None:
    """Only what follows from the number of the round is known."""

    def f(x: Any) -> Any:
        place = gj.constant(0)
        total = gj.zeros([3], x.dtype)
        for _ in gj.range(12):
            row = x[place]
            total = total + row
            place = gj.where(row[0] > 0, (place + 1) % 10, (place + 3) % 10)
        return total

    _check(f, _draw(10, 3))


def _cell(loss_of: Callable[..., Any]) -> Callable[..., Any]:
    def run(x: Any, *values: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch((x, *values))
            loss = loss_of(x, *values)
        return loss, tape.gradient(loss, (x, *values))

    return run


def _recurrent(x: Any, w: Any, u: Any, b: Any) -> Any:
    h = gj.zeros((x.shape[1], u.shape[0]), x.dtype)
    for row in x:
        h = gj.tanh(row @ w + h @ u + b)
    return gj.reduce_mean(gj.square(h))


def test_f6_products_of_a_recurrent_cell_leave_the_loop() -> None:
    """F6: inside are the products with the state, forwards and backwards; what remains is one product each."""
    compiled = _check(_cell(_recurrent), _draw(12, 5, 3), _draw(3, 4), _draw(4, 4, seed=1), _draw(4))
    inside = [one for one in _in_loops(_optimised(compiled)) if one.op.name in ("matmul", "accumulate_matmul")]
    assert len(inside) <= 3, [str(one.operand_types) for one in inside]


def test_f6_sums_that_are_read_stay() -> None:
    """A sum that a round reads, or that is stacked, is the loop's own."""

    def reads(x: Any, w: Any) -> Any:
        total = gj.zeros((3, 4), x.dtype)
        for row in x:
            total = total + gj.matmul(row, row @ w, transpose_a=True) * gj.reduce_sum(total[0, 0] + 1.0)
        return total

    def stacks(x: Any, w: Any) -> Any:
        return gj.scan(
            lambda total, row: total + gj.matmul(row, row @ w, transpose_a=True), x, gj.zeros((3, 4), x.dtype)
        )

    for function in (reads, stacks):
        _check(function, _draw(12, 5, 3), _draw(3, 4))


def test_f2_what_is_alike_in_all_rounds_is_computed_once() -> None:
    """F2: before the loop, also in a loop in a loop; what may fail stays, for there may be no round."""

    def f(x: Any, w: Any, n: Any) -> Any:
        h = gj.zeros((5, 5), x.dtype)
        for row in x:
            for _ in gj.range(10):
                h = gj.tanh(h @ gj.exp(gj.matmul(w, w, transpose_b=True)) + row)
            h = h + gj.cast(n // 3, x.dtype)
        return h

    compiled = _check(f, _draw(12, 5), _draw(5, 5), np.int32(7))
    names = [one.op.name for one in _in_loops(_optimised(compiled))]
    assert names.count("exp") == 0 and names.count("matmul") == 1

    @gj.compile
    def no_rounds(x: Any, n: Any) -> Any:
        total = gj.reduce_sum(x[:1])
        for row in x[1:]:
            total = total + row // n
        return total

    assert int(no_rounds(gj.constant([7]), gj.constant(0))) == 7
