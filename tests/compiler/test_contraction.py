"""Matrix products read parts and transposes of matrices where they lie (D13)."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.backends.jit import build
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import TensorType, float32
from graphjit.compiler.writer import write_graph
from graphjit.runtime.program import GemmStep

A = np.random.default_rng(0).standard_normal((9, 10)).astype(np.float32)
B = np.random.default_rng(1).standard_normal((4, 40)).astype(np.float32)
STACK = np.random.default_rng(2).standard_normal((3, 6, 10)).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "arrays"),
    [
        (lambda a, b: a[2:7, 3:7] @ b, (A, B)),
        (lambda a, b: a[2:, 6:] @ b[:, 1:21], (A, B)),
        (lambda a, b: gj.transpose(a[1:5, 2:]) @ b[:, 30:], (A, B)),
        (lambda a, b: gj.matmul(a[:, 5:9], gj.transpose(b)[8:30], transpose_b=True), (A, B)),
        (lambda a, b: a[1:, 2:5, 4:] @ b[1:, :, 2:], (STACK, STACK)),
    ],
)
def test_parts_are_not_copied(function: Callable[..., Any], arrays: tuple[Any, ...]) -> None:
    """A product of slices, transposed or batched, is one step."""
    types = [TensorType(float32, array.shape) for array in arrays]
    runner = build(optimize(write_graph("f", types, function))[-1].graph)
    assert [type(step) for step in runner.executable.program.steps] == [GemmStep]
    expected = function(*map(gj.constant, arrays)).numpy()
    np.testing.assert_allclose(runner.run(arrays)[0], expected, rtol=1e-5, atol=1e-5)
