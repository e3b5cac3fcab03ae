"""Fused groups become vector code: read from the machine code of the kernels that they make."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.backends.jit import NativeRunner, build
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import TensorType, as_dtype
from graphjit.compiler.writer import write_graph
from graphjit.runtime import processor

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or "+avx2" not in processor.host().features,
    reason="reads the names of AVX instructions",
)

PACKED = re.compile(r"\bv(?:f?n?m?add|f?n?msub|sub|mul|max|min|div|pmax|fmadd|fnmadd)\w*[pu][sdq]\b[^\n]*%[yz]mm")
ROWS, ROW, LINE = (300, 200), (200,), (5000,)


def runner(function: Callable[..., Any], dtype: str, *shapes: tuple[int, ...]) -> NativeRunner:
    types = [TensorType(as_dtype(dtype), shape) for shape in shapes]
    return build(optimize(write_graph("f", types, function))[-1].graph)


def black_scholes(spot: Any, strike: Any, years: Any) -> Any:
    spread = 0.2 * gj.sqrt(years)
    first = (gj.math.log(spot / strike) + 0.05 * years) / spread
    discounted = strike * gj.exp(-0.03 * years)
    call = spot * (1.0 + gj.math.erf(first)) - discounted * (1.0 + gj.math.erf(first - spread))
    return call, call - spot + discounted


def error_and_gradient(x: Any, y: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch(x)
        loss = gj.reduce_mean(gj.square(x - y))
    return loss, tape.gradient(loss, x)


GROUPS: list[tuple[str, Callable[..., Any], tuple[tuple[int, ...], ...]]] = [
    ("a chain", lambda x, y: (x * y + x) * 0.5 - y, (LINE, LINE)),
    ("Black-Scholes", black_scholes, (LINE, LINE, LINE)),
    ("activations", lambda x: gj.nn.gelu(gj.tanh(gj.sigmoid(x)), approximate=True), (LINE,)),
    ("softmax", lambda x: gj.nn.softmax(x), (ROWS,)),
    ("layer norm", lambda x, g, b: gj.nn.layer_normalization(x, g, b), (ROWS, ROW, ROW)),
    ("logsumexp", lambda x: gj.reduce_logsumexp(x, axis=-1), (ROWS,)),
    ("variance", lambda x: gj.math.reduce_variance(x, axis=-1), (ROWS,)),
    ("mean squared error with its gradient", error_and_gradient, (LINE, LINE)),
    ("maximum of columns", lambda x: gj.reduce_max(x, axis=0), (ROWS,)),
    ("a choice", lambda x, y: gj.where(x > y, x * y, x + y), (LINE, LINE)),
    ("a row for all rows", lambda x, b: gj.nn.relu(x + b), (ROWS, ROW)),
    ("slices", lambda x: x[1:] * 2.0 - x[:-1], (LINE,)),
    ("squared distances", lambda x, y: gj.reduce_sum((x[:, None] - y[None]) ** 2, -1), ((40, 64), (30, 64))),
    ("squared distances in space", lambda x, y: gj.reduce_sum((x[:, None] - y[None]) ** 2, -1), ((40, 3), (30, 3))),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("function", "shapes"), [row[1:] for row in GROUPS], ids=[row[0] for row in GROUPS])
def test_groups_are_vector_code(function: Callable[..., Any], shapes: tuple[tuple[int, ...], ...], dtype: str) -> None:
    """One kernel does it, in wide registers, and calls no function of the C library."""
    kernels = runner(function, dtype, *shapes).executable.kernels
    assert len(kernels) == 1
    assembly = kernels[0].assembly()
    assert PACKED.search(assembly), assembly
    assert not re.search(r"call [^\n]*@(?!llvm\.)", kernels[0].llvm())


def test_pairs_are_not_stored() -> None:
    """Of n x n differences of points, no array of n x n x d elements is made, and operands are not repeated."""
    x = np.random.default_rng(0).standard_normal((90, 7)).astype(np.float32)
    made = runner(lambda x: gj.reduce_sum((x[:, None] - x[None]) ** 2, -1), "float32", x.shape)
    assert made.executable.program.arena_bytes == 0
    np.testing.assert_allclose(made.run([x])[0], ((x[:, None] - x[None]) ** 2).sum(-1), rtol=1e-5)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5])
def test_short_rows(size: int) -> None:
    """Rows that are unrolled give what others give."""
    x = np.random.default_rng(size).standard_normal((70, size)).astype(np.float32)
    made = runner(lambda x: (gj.nn.softmax(x), gj.reduce_max(x, -1), gj.reduce_sum(x * x, -1)), "float32", x.shape)
    softmax, greatest, squares = made.run([x])
    powers = np.exp(x - x.max(-1, keepdims=True))
    np.testing.assert_allclose(softmax, powers / powers.sum(-1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(greatest, x.max(-1))
    np.testing.assert_allclose(squares, (x * x).sum(-1), rtol=1e-5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_products_that_are_summed_take_one_instruction(dtype: str) -> None:
    """D9: a product and the sum that it goes into are one fused multiply-add."""
    ready = runner(lambda x: gj.reduce_sum(gj.square(x - 1.0), -1), dtype, ROWS)
    letter = "s" if dtype == "float32" else "d"
    assert re.search(rf"\bvfmadd\d+p{letter}\b[^\n]*%[yz]mm", ready.executable.kernels[0].assembly())
