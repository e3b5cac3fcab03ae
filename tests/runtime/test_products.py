"""Matrix products through BLAS: all transposes, batches, scalings and sizes agree with NumPy."""

import itertools
from typing import Any

import numpy as np
import pytest

from graphjit.runtime.blas import Blas, _scipy_blas, blas
from graphjit.runtime.executable import Executable
from graphjit.runtime.program import GemmStep, Program, Slot

Array = np.ndarray[Any, Any]


def operand(rng: np.random.Generator, batch: int, rows: int, columns: int, dtype: str) -> Array:
    """A random batch of matrices."""
    return rng.standard_normal((batch, rows, columns)).astype(dtype)


@pytest.fixture(params=["numpy", "scipy"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Blas:
    """NumPy's BLAS with 64-bit numbers, and SciPy's with 32-bit ones."""
    found = blas() if request.param == "numpy" else _scipy_blas()
    assert found is not None and found.source == request.param
    monkeypatch.setattr("graphjit.runtime.executable.blas", lambda: found)
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", [(3, 4, 5), (1, 1, 1), (64, 20, 784), (7, 1, 9), (1, 8, 3), (2, 3, 0)])
@pytest.mark.usefixtures("library")
def test_transposes_and_batches(dtype: str, sizes: tuple[int, int, int]) -> None:
    """op(a) @ op(b) for both operands plain and transposed, single and batched, one shared by the batch."""
    rng = np.random.default_rng(0)
    m, n, k = sizes
    exact = np.dtype(dtype)
    for turn_a, turn_b, batch, shared in itertools.product((False, True), (False, True), (1, 3), (False, True)):
        a = operand(rng, batch, *((k, m) if turn_a else (m, k)), dtype)
        b = operand(rng, 1 if shared else batch, *((n, k) if turn_b else (k, n)), dtype)
        step = GemmStep(
            *(1, 2, 3, m, n, k, exact, turn_a, turn_b),
            batch=batch,
            batch_stride_a=m * k,
            batch_stride_b=0 if shared else k * n,
            batch_stride_c=m * n,
        )
        slots = {
            1: Slot("input", exact, a.shape),
            2: Slot("input", exact, b.shape),
            3: Slot("output", exact, (batch, m, n)),
        }
        got = Executable(Program(slots, (step,), (1, 2), (3,))).run([a, b])[0]
        expected = (a.swapaxes(1, 2) if turn_a else a) @ (b.swapaxes(1, 2) if turn_b else b)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * max(1, k) ** 0.5)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_alpha_and_beta(dtype: str) -> None:
    """D13: c = alpha a @ b + beta c in one product, over a temporary."""
    exact = np.dtype(dtype)
    rng = np.random.default_rng(1)
    a, b = operand(rng, 1, 3, 4, dtype)[0], operand(rng, 1, 4, 5, dtype)[0]
    slots = {
        1: Slot("input", exact, (3, 4)),
        2: Slot("input", exact, (4, 5)),
        3: Slot("temporary", exact, (3, 5)),
    }
    steps = (GemmStep(1, 2, 3, 3, 5, 4, exact), GemmStep(1, 2, 3, 3, 5, 4, exact, alpha=0.5, beta=-2.0))
    got = Executable(Program(slots, steps, (1, 2), (3,), 15 * 8)).run([a, b])[0]
    np.testing.assert_allclose(got, -1.5 * (a @ b), rtol=1e-5, atol=1e-6)


def test_rows_of_wider_matrices() -> None:
    """Leading dimensions: a product of parts of wider matrices."""
    exact = np.dtype(np.float64)
    rng = np.random.default_rng(2)
    a, b = rng.standard_normal((3, 10)), rng.standard_normal((4, 10))
    slots = {
        1: Slot("input", exact, (3, 10)),
        2: Slot("input", exact, (4, 10)),
        3: Slot("output", exact, (3, 5)),
    }
    step = GemmStep(1, 2, 3, 3, 5, 4, exact, lda=10, ldb=10)
    got = Executable(Program(slots, (step,), (1, 2), (3,))).run([a, b])[0]
    np.testing.assert_allclose(got, a[:, :4] @ b[:, :5])


def test_threads_of_others_are_left_alone() -> None:
    """A small product runs on one thread, and NumPy has as many as before."""
    import ctypes

    found = blas()
    if not found.get_threads:
        pytest.skip("this BLAS has no thread control")
    threads = ctypes.CFUNCTYPE(ctypes.c_int)(found.get_threads)
    before = threads()
    x = np.ones((16, 16), np.float32)
    exact = np.dtype(np.float32)
    slots = {1: Slot("input", exact, (16, 16)), 2: Slot("output", exact, (16, 16))}
    made = Program(slots, (GemmStep(1, 1, 2, 16, 16, 16, exact),), (1,), (2,))
    assert Executable(made).run([x])[0][0, 0] == 16
    assert threads() == before
