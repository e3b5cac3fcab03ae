"""Padded operands are computed with piece by piece, and pieces are written where the whole lies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.backends.jit import build
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.graph import Graph
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import TensorType, float32
from graphjit.compiler.writer import write_graph

RNG = np.random.default_rng(5)
LINE = RNG.standard_normal(5000).astype(np.float32)
PLANE = RNG.standard_normal((70, 80)).astype(np.float32)


def ops_of(graph: Graph) -> list[str]:
    return [equation.op.name for equation in graph.equations]


def written(function: Callable[..., Any], *arrays: Any) -> Graph:
    types = [TensorType(float32, array.shape) for array in arrays]
    return write_graph("f", types, function)


def rosenbrock(x: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch(x)
        loss = gj.reduce_sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)
    return loss, tape.gradient(loss, x)


def smoothness(x: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch(x)
        loss = gj.reduce_sum((x[1:, :] - x[:-1, :]) ** 2) + gj.reduce_sum((x[:, 1:] - x[:, :-1]) ** 2)
    return loss, tape.gradient(loss, x)


def padded(x: Any, *sides: tuple[int, int], value: float = 0.0) -> Any:
    return gj.pad(x, [list(side) for side in sides], constant_values=value)


CASES: list[tuple[str, Callable[..., Any], tuple[Any, ...]]] = [
    ("Rosenbrock", lambda x: rosenbrock(x), (LINE,)),
    ("smoothness of a plane", lambda x: smoothness(x), (PLANE,)),
    ("both ends", lambda x: padded(x[1:-1], (1, 1)) + x, (LINE,)),
    ("a value", lambda x: padded(x[2:], (0, 2), value=2.5) * x, (LINE,)),
    ("nothing but padding at one end", lambda x: padded(x[3:], (0, 3)) - padded(x[3:], (0, 3), value=1.0), (LINE,)),
    ("a row that is the same for all", lambda x: padded(x[:, :-1], (0, 0), (0, 1)) + x[:1] + x[:, :1], (PLANE,)),
    ("rows", lambda x: gj.nn.relu(padded(x[1:], (1, 0), (0, 0)) - x), (PLANE,)),
    ("costly terms stay", lambda x: padded(gj.exp(x[1:]), (1, 0)) + padded(gj.tanh(x[:-1]), (0, 1)), (LINE,)),
    ("two axes", lambda x: padded(x[1:, 1:], (1, 0), (0, 1)) + padded(x[1:], (1, 0), (0, 0)) + x, (PLANE,)),
]


@pytest.mark.parametrize(("function", "arrays"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_peeled_is_what_it_was(function: Callable[..., Any], arrays: tuple[Any, ...]) -> None:
    """Decision 1: elements keep their values; sums may be added up in another order."""
    graph = written(function, *arrays)
    peeled = optimize(graph)[-1].graph
    expected = run_reference(graph, list(arrays))
    for results in (run_reference(peeled, list(arrays)), build(peeled).run(list(arrays))):
        for got, wanted in zip(results, expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-4)


def test_differences_of_neighbours_are_one_kernel_and_an_edge() -> None:
    """The gradient of Rosenbrock's sum reads no padded copy, and its value comes from the same loop."""
    graph = optimize(written(rosenbrock, LINE))[-1].graph
    assert "pad" not in ops_of(graph)
    runner = build(graph)
    large = [step for step in runner.executable.program.steps if step.cost > 4 * LINE.size]  # type: ignore[union-attr]  # kernels only
    assert len(large) == 1
    assert runner.executable.program.arena_bytes == 0


def test_negative_zeros_stay() -> None:
    """Decision 1: what is added to padding is added to 0, and -0.0 + 0.0 is 0.0."""
    zeros = np.full(5000, -0.0, np.float32)
    graph = optimize(written(lambda x: padded(x[1:], (0, 1)) + x, zeros))[-1].graph
    (result,) = build(graph).run([zeros])
    assert np.signbit(result[:-1]).all() and not np.signbit(result[-1])


def test_exact_functions_are_left_alone() -> None:
    """Decision 1: exact=True gives eager mode's bits."""
    graph = optimize(written(rosenbrock, LINE), exact=True)[-1].graph
    assert "pad" in ops_of(graph)


def test_small_ones_are_left_alone() -> None:
    """Three kernels take longer than a padded copy of few elements."""
    assert "pad" in ops_of(optimize(written(rosenbrock, LINE[:100]))[-1].graph)


JOINS: list[tuple[str, Callable[..., Any], int]] = [
    ("concat", lambda x: gj.concat([gj.exp(x), x + 1.0], 0), 0),
    ("along the last axis", lambda x: gj.concat([gj.exp(x), x], 1), 1),
    ("stack", lambda x: gj.stack([gj.exp(x), gj.tanh(x)], 2), 0),
    ("read by others too", lambda x: (gj.concat([gj.exp(x), x], 0), gj.reduce_sum(gj.exp(x))), 1),
    ("a result too", lambda x: gj.concat([(y := gj.exp(x)), y], 0), 2),
    ("reductions", lambda x: gj.concat([gj.reduce_sum(x, 0), gj.reduce_max(x, 0)], 0), 2),
    ("joins of joins", lambda x: gj.concat([gj.concat([gj.exp(x), x * 2.0], 0), x], 0), 2),
    ("what was computed is turned", lambda x: gj.concat([gj.transpose(gj.exp(x)), gj.transpose(x)], 0), 2),
]


@pytest.mark.parametrize(("function", "copies"), [row[1:] for row in JOINS], ids=[row[0] for row in JOINS])
def test_what_is_joined_is_written_in_place(function: Callable[..., Any], copies: int) -> None:
    """A kernel writes its result where the join has it, unless somebody else reads it."""
    graph = optimize(written(function, PLANE))[-1].graph
    runner = build(graph)
    names = [step.label for step in runner.executable.program.steps]
    assert sum(name in ("concat", "stack") for name in names) == copies, names
    for got, wanted in zip(runner.run([PLANE]), run_reference(graph, [PLANE]), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=2e-5, atol=1e-5)
