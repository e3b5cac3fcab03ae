"""E20: runs of equal equations, which unrolled Python loops write, are folded into loops of the graph.

What is folded here has 20 rounds. Values, gradients, Variables and what is printed are those of eager mode.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler import rerolling
from graphjit.compiler.dump.text import parse_graph
from graphjit.compiler.periods import Run, runs_of
from graphjit.compiler.rerolling import reroll

N = 20
RANDOM = np.random.default_rng(5)
X = gj.constant(RANDOM.normal(size=4))
W = gj.constant(RANDOM.normal(size=(N + 5, 4)))
V = gj.Variable(np.zeros(4))


@pytest.fixture(autouse=True)
def _fold_short_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerolling, "LEAST", 6)


def the_same(x: Any, w: Any) -> Any:
    for _ in range(N):
        x = gj.tanh(x * 1.01 + 0.1)
    return x


def numbers(x: Any, w: Any) -> Any:
    for i in range(N):
        x = x * (1 + 0.01 * i) + 0.1
    return x


def numbers_of_a_list(x: Any, w: Any) -> Any:
    for number in [float(j * j % 7) for j in range(N)]:
        x = x * 0.5 + number
    return x


def rows(x: Any, w: Any) -> Any:
    for i in range(N):
        x = gj.sin(x + w[i])
    return x


def rows_backwards(x: Any, w: Any) -> Any:
    for i in reversed(range(N)):
        x = gj.sin(x + w[i] * w[i + 2])
    return x


def columns(x: Any, w: Any) -> Any:
    v = gj.transpose(w)
    for i in range(N):
        x = gj.sin(x * w[i, 1]) + v[:, i]
    return x


def every_second_row(x: Any, w: Any) -> Any:
    for i in range(0, N, 2):
        x = gj.sin(x + w[i])
    return x


def two_rounds_before(x: Any, w: Any) -> Any:
    a, b = x, x * 0.5
    for _ in range(N):
        a, b = b, gj.sin(a + b)
    return a + 2 * b


def two_that_cross(x: Any, w: Any) -> Any:
    y = x * 2
    for _ in range(N):
        x, y = gj.sin(y), gj.cos(x) + y
    return x, y


def stacked(x: Any, w: Any) -> Any:
    out = []
    for _ in range(N):
        x = gj.sin(x + 0.1)
        out.append(x[0] * 2)
    return gj.stack(out), x, out[3]


def joined_and_summed(x: Any, w: Any) -> Any:
    out = []
    for _ in range(N):
        x = gj.sin(x + 0.1)
        out.append(x * 2)
    return sum(out[2:]), gj.concat(out, 0)


def gradients(x: Any, w: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch([x, w])
        y = x
        for i in range(N):
            y = gj.sin(y * 1.1 + w[i])
        z = gj.reduce_sum(y)
    return tape.gradient(z, [x, w]), z


def gradients_of_the_first(x: Any, w: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = x
        for i in range(N):
            y = gj.sin(y * 0.99 + 0.1) + w[i]
        z = gj.reduce_sum(y)
    return tape.gradient(z, x), z


def steps_down(x: Any, w: Any) -> Any:
    for i in range(N):
        with gj.GradientTape() as tape:
            tape.watch(x)
            loss = gj.reduce_sum(gj.square(x - w[i]))
        x = x - 0.1 * tape.gradient(loss, x)
    return x


def branches(x: Any, w: Any) -> Any:
    for _ in range(N):
        x = x * 0.5 if gj.reduce_sum(x) > 1 else x + 1.0
    return x


def a_while(x: Any, w: Any) -> Any:
    i = 0
    while i < N:
        x = gj.sin(x) + i * 0.01
        i += 1
    return x


def loops_within(x: Any, w: Any) -> Any:
    for _ in range(N):
        for j in range(3):
            x = gj.sin(x * 0.9) + 0.1 * j
        x = x - 0.5
    return x


def totals(x: Any, w: Any) -> Any:
    s = 0.0
    for _ in range(N):
        x = gj.sin(x) + 0.1
        s = s + gj.reduce_sum(x)
    return s / N


def one_after_the_other(x: Any, w: Any) -> Any:
    y = x
    for _ in range(N):
        y = gj.sin(y) + 0.1
    for i in range(N):
        x = gj.cos(x * y) - w[i]
    return x, y


def whole_numbers(x: Any, w: Any) -> Any:
    k = gj.constant(1)
    for i in range(N):
        k = (k * 3 + i) % 17
        x = x + gj.cast(k, gj.float64)
    return x, k


def variables(x: Any, w: Any) -> Any:
    for _ in range(N):
        V.assign_add(x * 0.1)
        x = gj.sin(x + V)
    return x, V.read_value()


def products(x: Any, w: Any) -> Any:
    for _ in range(N):
        x = gj.tanh(gj.linalg.matvec(w[:4] * 0.3, x))
    return x


def random_numbers(x: Any, w: Any) -> Any:
    for _ in range(N):
        x = gj.sin(x + gj.random.uniform([4], dtype=gj.float64))
    return x


FOLDED = [
    the_same, numbers, numbers_of_a_list, rows, rows_backwards, columns, every_second_row, two_rounds_before,
    two_that_cross, stacked, joined_and_summed, gradients, gradients_of_the_first,
    steps_down, branches, a_while, loops_within, totals,
    one_after_the_other, whole_numbers, variables, products, random_numbers,
]  # fmt: skip


def found_by(function: Callable[..., Any]) -> list[Any]:
    V.assign(np.zeros(4))
    gj.random.set_seed(3)
    with gj.GradientTape() as tape:
        tape.watch([X, W])
        results = gj.nest.flatten(function(X, W))
        total = gj.add_n([gj.reduce_sum(one) for one in results if one.dtype.is_floating])
    return [*results, V.read_value(), *tape.gradient(total, [X, W], unconnected_gradients="zero")]


@pytest.mark.parametrize("function", FOLDED, ids=lambda one: one.__name__)
def test_e20_folded_runs_give_what_eager_mode_gives(function: Callable[..., Any]) -> None:
    """The graph holds a loop; values, state and gradients, which are derived from the loop, are the same."""
    compiled = gj.compile(function)
    got = found_by(compiled)
    assert "= scan(" in compiled.dump("traced")
    for one, other in zip(got, found_by(function), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-12)


def test_e20_the_way_back_is_folded_too() -> None:
    """A tape inside: one loop forward, one back over what that keeps."""
    for function in (gradients, gradients_of_the_first):
        compiled = gj.compile(function)
        compiled(X, W)
        assert compiled.dump("traced").count("= scan(") == 2


def test_e20_effects_keep_their_order(capsys: pytest.CaptureFixture[str]) -> None:
    """C7: what two statements of a round print stands in the order of the rounds."""

    @gj.compile
    def f(x: Any) -> Any:
        for _ in range(N):
            x = x + 1
            gj.print("a", x, output_stream=sys.stdout)
            gj.print("b", x * 2, output_stream=sys.stdout)
        return x

    f(gj.constant(0))
    assert "= scan(" in f.dump("traced")
    lines = capsys.readouterr().out.split("\n")[:-1]
    assert lines == [line for i in range(1, N + 1) for line in (f"a {i}", f"b {2 * i}")]


def test_e20_what_each_round_reads_from_elsewhere_stays_unrolled() -> None:
    """A run whose rounds read unrelated tensors is left as it is, and the reason is told."""
    lines = " ".join(
        f"%y{i} = add(%y{i - 1 if i else ''}, %x{i % 5})" if i else "%y0 = add(%x0, %x0)" for i in range(8)
    )
    graph = parse_graph("f(%x0: f32[], %x1: f32[], %x2: f32[], %x3: f32[], %x4: f32[]) { " + lines + " return %y7 }")
    found = reroll(graph, least=6)
    assert found.graph is graph or str(found.graph) == str(graph)
    assert [one.reason for one in found.unrolled] == ["each round reads another tensor"]


def test_short_runs_stay() -> None:
    """Below the least number of rounds the graph is the very same."""
    graph = parse_graph("f(%a: f32[]) { %b = sin(%a) %c = sin(%b) return %c }")
    assert reroll(graph, least=3).graph is graph


def test_runs_within_other_numbers() -> None:
    """Pieces are as short as can be, and a longer period is found where the shorter has too few rounds."""
    inner = [1, 1, 1, 2]
    assert runs_of(np.array([9, *inner * 5, 8]), 4) == [Run(1, 4, 5)]
    assert runs_of(np.array([3] * 9), 4) == [Run(0, 1, 9)]
    assert runs_of(np.array([1, 2, 3, 4]), 2) == []
