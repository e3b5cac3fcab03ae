"""The plan: slots, steps, and the arena."""

from __future__ import annotations

import numpy as np

import graphjit as gj
from graphjit.compiler.backends.jit import build
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.plan import arena_offsets
from graphjit.compiler.tensortype import TensorType, float32
from graphjit.compiler.writer import write_graph


def test_a_view_without_elements_behind_a_numpy_step() -> None:
    """A slice of an empty tensor is handed to a NumPy step as it is (found by a random program)."""
    graph = write_graph(
        "empty", [TensorType(float32, (0, 2))], lambda x: gj.matmul(gj.transpose(gj.negative(x))[1:, :], x)
    )
    (result,) = build(optimize(graph)[-1].graph).run([np.zeros((0, 2), np.float32)])
    np.testing.assert_array_equal(result, np.zeros((1, 2), np.float32))


def test_buffers_that_live_at_the_same_time_do_not_overlap() -> None:
    """Every pair of lives that meet has its own bytes."""
    rng = np.random.default_rng(0)
    lives = [(start, start + int(rng.integers(0, 6)), 64 * int(rng.integers(1, 9))) for start in range(60)]
    offsets = arena_offsets(lives)
    for one in range(60):
        for other in range(one):
            meet = lives[one][0] <= lives[other][1] and lives[other][0] <= lives[one][1]
            apart = offsets[one] + lives[one][2] <= offsets[other] or offsets[other] + lives[other][2] <= offsets[one]
            assert apart or not meet


def test_memory_is_used_again() -> None:
    """A long chain of products needs room for two of them, not for all."""
    types = [TensorType(float32, (64, 64))]

    def chain(x: object) -> object:
        y = x
        for _step in range(10):
            y = gj.matmul(y, x)
        return y

    executable = build(optimize(write_graph("chain", types, chain))[-1].graph).executable
    assert executable.program.arena_bytes == 2 * 64 * 64 * 4


def test_buffers_that_live_at_once_lie_apart() -> None:
    """Of random lives, no two that overlap in time overlap in memory, and the first fit is the lowest."""
    rng = np.random.default_rng(0)
    for _ in range(20):
        starts = rng.integers(0, 40, 60)
        lives = [(int(s), int(s + rng.integers(0, 9)), 64 * int(rng.integers(1, 9))) for s in starts]
        offsets = arena_offsets(lives)
        spans = [(offset, offset + size, start, end) for offset, (start, end, size) in zip(offsets, lives, strict=True)]
        for number, (low, high, start, end) in enumerate(spans):
            beside = [one for k, one in enumerate(spans) if k != number and one[2] <= end and start <= one[3]]
            assert all(high <= other[0] or other[1] <= low for other in beside)
            assert low == 0 or low in [other[1] for other in beside]
