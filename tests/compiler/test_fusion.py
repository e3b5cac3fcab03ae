"""Fusion: what shares a kernel, what does not, and that the result computes the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import graphjit as gj
from graphjit.compiler.backends.jit import NativeRunner, build
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.loopspace import MOST_ROW_REDUCTIONS
from graphjit.compiler.passes.fuse import MOST_BUFFERS, MOST_RESULTS
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import TensorType, float32
from graphjit.compiler.verify import verify
from graphjit.compiler.writer import write_graph


def _built(body: Callable[..., Any], *shapes: Sequence[int]) -> NativeRunner:
    """The body compiled for float32 arrays of these shapes, after its results were compared with NumPy's."""
    types = [TensorType(float32, tuple(shape)) for shape in shapes]
    graph = write_graph("body", types, body)
    runner = build(optimize(graph)[-1].graph)
    verify(runner.graph)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape).astype(np.float32) for shape in shapes]
    for one, other in zip(runner.run(arrays), run_reference(graph, arrays), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    return runner


def test_a_softmax_is_one_kernel() -> None:
    """Row reductions and what follows them share the rows."""
    assert len(_built(gj.nn.softmax, (64, 10)).executable.kernels) == 1


def test_a_layer_norm_is_one_kernel() -> None:
    """Two reductions, one after the other."""

    def layer_norm(x: Any) -> Any:
        centred = x - gj.reduce_mean(x, axis=-1, keepdims=True)
        return centred * gj.rsqrt(gj.reduce_mean(gj.square(centred), axis=-1, keepdims=True) + 1e-5)

    assert len(_built(layer_norm, (64, 10)).executable.kernels) == 1


def test_a_mean_squared_error_is_one_kernel_with_what_precedes_it() -> None:
    """A full reduction at the end of a chain."""
    runner = _built(lambda x, y: gj.reduce_mean(gj.square(gj.tanh(x) - y)), (64, 10), (64, 10))
    assert len(runner.executable.kernels) == 1


def test_a_bias_and_its_gradient_share_loops() -> None:
    """A sum over the rows is accumulated beside the elementwise result."""

    def masked(x: Any, g: Any) -> Any:
        kept = gj.where(x > 0.0, g, 0.0)
        return kept, gj.reduce_sum(kept, axis=0)

    assert len(_built(masked, (64, 10), (64, 10)).executable.kernels) == 1


def test_transposed_values_stay_apart() -> None:
    """x + transpose(x) needs all of the first before any of the second, where x is computed."""
    runner = _built(lambda x: gj.transpose(gj.exp(x)) + x, (6, 6))
    assert len(runner.executable.kernels) == 2
    assert "already read along other loops" in str(runner.report())


def test_a_step_in_between_keeps_groups_apart() -> None:
    """A value and a product made of it cannot be in the same kernel."""
    runner = _built(lambda x: gj.matmul(gj.exp(x), x) + gj.exp(x), (6, 6))
    assert len(runner.executable.kernels) == 2


def test_merged_candidates_are_not_tried_again() -> None:
    """An attempt that merged two groups left the second as a candidate (found by a random program)."""

    def outer(x: Any, y: Any) -> Any:
        column = gj.minimum(gj.transpose(y), gj.reduce_max(x))
        row = gj.cos(y)
        return gj.math.squared_difference(column, row), column, row

    _built(outer, (4,), (1, 4))


def test_a_reversed_value_is_not_the_value() -> None:
    """A reversal keeps the sizes, but moves elements to other rounds of the loops (found by a random program)."""
    _built(lambda x: (x - 2.0)[::-1] * x, (3,))
    _built(lambda x: (x - 2.0)[::-1], (3,))


def test_axes_of_size_1_come_and_go_inside_a_kernel() -> None:
    """Reshapes that only add or drop axes of size 1 stay in the group."""
    runner = _built(lambda x: gj.reshape(gj.exp(x), (5, 1, 7)) * 2.0 + gj.reshape(gj.exp(x), (1, 5, 1, 7)), (5, 7))
    assert len(runner.executable.kernels) == 1


def test_a_costly_value_that_only_a_late_pass_needs_is_computed_there() -> None:
    """It was read back from a memory in which no earlier pass had put it (found by a random program)."""

    def late(x: Any) -> Any:
        return gj.math.squared_difference(gj.math.expm1(x), gj.nn.log_softmax(x) - x)

    _built(late, (4, 9))


def test_a_costly_value_that_two_passes_need_is_kept() -> None:
    """softmax computes each exponential once."""
    (kernel,) = _built(gj.nn.softmax, (64, 10)).executable.kernels
    assert kernel.text.count("exp(") == 1


def test_kernels_do_not_depend_on_names_and_literals() -> None:
    """Two functions that differ in a learning rate are one kernel; a size does not make another one either."""
    first = _built(lambda x: x * 0.1, (5, 7)).executable.kernels
    second = _built(lambda x: x * 0.2, (8, 3)).executable.kernels
    assert first == second


def test_a_kernel_has_few_results() -> None:
    """The values that a gradient reads again are results: a long chain with its gradient is several kernels."""

    def chain(x: Any) -> Any:
        kept = []
        for _ in range(100):
            x = gj.sin(x) * 1.5
            kept.append(x)
        total = kept[-1] * 0.0
        for value in reversed(kept):
            total = gj.cos(value) + total * 0.5
        return total

    runner = _built(chain, (7,))
    results = [len(equation.outputs) for equation in runner.graph.equations]
    assert max(results) == MOST_RESULTS
    assert max(len(equation.operands) for equation in runner.graph.equations) <= MOST_BUFFERS + 2


def test_a_gradient_through_a_long_chain() -> None:
    """Row G16: 400 ops forward and their gradient compile and agree with eager mode."""

    def gradient(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = x
            for _ in range(200):
                y = gj.tanh(y) * 1.25
        return tape.gradient(y, x)

    x = gj.constant(np.linspace(-1, 1, 7))
    np.testing.assert_allclose(gj.compile(gradient)(x).numpy(), gradient(x).numpy(), rtol=1e-9)


def test_rows_are_reduced_a_few_times_in_one_kernel() -> None:
    """Each pass over a row computes what the passes before it did: many softmaxes in turn are many kernels."""

    def deep(x: Any) -> Any:
        for _ in range(10):
            x = gj.nn.softmax(x * 1.5) + x
        return x

    kernels = _built(deep, (5, 9)).executable.kernels
    assert 4 <= len(kernels) <= 10
    assert max(kernel.text.count("range(n1)") for kernel in kernels) <= MOST_ROW_REDUCTIONS + 2


def test_ten_thousand_operations() -> None:
    """A graph's size is no depth of calls: every stage walks lists, also for a chain that is all one line."""

    def chain(x: Any) -> Any:
        for number in range(5_000):
            x = x * 1.0001 + 0.5 if number % 2 else x * 0.999 - 0.25
        return x

    kernels = _built(chain, (3,)).executable.kernels
    assert len(kernels) == 100 and len(set(kernels)) <= 4
