"""Matrix products, by BLAS and by our own kernels: all transposes, batches, scalings and sizes agree with NumPy."""

import ctypes
import itertools
from typing import Any

import numpy as np
import pytest

from graphjit.runtime import gemm, products, sequencer as walk
from graphjit.runtime.blas import _scipy_blas, blas
from graphjit.runtime.executable import Executable
from graphjit.runtime.fields import replace
from graphjit.runtime.program import GemmStep, NumpyStep, Program, Slot

Array = np.ndarray[Any, Any]

SIZES = [
    *[(3, 4, 5), (1, 1, 1), (64, 20, 784), (7, 1, 9), (1, 8, 3), (2, 3, 0), (0, 3, 2), (3, 0, 2)],
    *[(9, 17, 33), (8, 16, 4), (17, 65, 5), (33, 31, 7), (4, 128, 3), (5, 100, 2), (40, 256, 3)],
]
"""Products on both sides of every width of vectors and number of rows that our kernels have."""


def operand(rng: np.random.Generator, batch: int, rows: int, columns: int, dtype: str) -> Array:
    """A random batch of matrices."""
    return rng.standard_normal((batch, rows, columns)).astype(dtype)


@pytest.fixture(params=["numpy", "scipy", "own", "chosen"])
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """NumPy's BLAS with 64-bit numbers, SciPy's with 32-bit ones, our own kernels, or the one that is chosen."""
    if request.param == "own":
        if not products.vector_bytes():
            pytest.skip("this computer has no masked vectors")
        monkeypatch.setattr(gemm, "_pays", lambda step: True)
    elif request.param != "chosen":
        found = blas() if request.param == "numpy" else _scipy_blas()
        assert found is not None and found.source == request.param
        monkeypatch.setattr(gemm, "blas", lambda: found)
        monkeypatch.setattr(gemm, "_pays", lambda step: False)
    return str(request.param)


def run_product(step: GemmStep, a: Array, b: Array, shape: tuple[int, ...]) -> Array:
    """One product as a program."""
    exact = step.dtype
    slots = {1: Slot("input", exact, a.shape), 2: Slot("input", exact, b.shape), 3: Slot("output", exact, shape)}
    return Executable(Program(slots, (step,), (1, 2), (3,))).run([a, b])[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("sizes", SIZES)
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
        got = run_product(step, a, b, (batch, m, n))
        expected = (a.swapaxes(1, 2) if turn_a else a) @ (b.swapaxes(1, 2) if turn_b else b)
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * max(1, k) ** 0.5)


@pytest.mark.usefixtures("library")
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


@pytest.mark.usefixtures("library")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_parts_of_wider_matrices(dtype: str) -> None:
    """D13: leading dimensions and offsets: parts of wider matrices are multiplied where they lie."""
    exact = np.dtype(dtype)
    rng = np.random.default_rng(2)
    a, b = operand(rng, 1, 9, 10, dtype)[0], operand(rng, 1, 24, 40, dtype)[0]
    step = GemmStep(1, 2, 3, 5, 20, 4, exact, lda=10, ldb=40, offset_a=2 * 10 + 3, offset_b=40 + 7)
    got = run_product(step, a, b, (5, 20))
    np.testing.assert_allclose(got, a[2:7, 3:7] @ b[1:5, 7:27], rtol=1e-5, atol=1e-6)
    turned = replace(step, transpose_a=True, transpose_b=True, offset_a=11, offset_b=2)
    got = run_product(turned, a, b, (5, 20))
    np.testing.assert_allclose(got, a[1:5, 1:6].T @ b[:20, 2:6].T, rtol=1e-5, atol=1e-6)
    wide = np.full((7, 30), 7, dtype)
    slots = {1: Slot("input", exact, a.shape), 2: Slot("input", exact, b.shape), 3: Slot("output", exact, (7, 30))}
    steps = (NumpyStep(lambda _: (wide,), (1,), (3,)), replace(step, ldc=30))
    whole = Executable(Program(slots, steps, (1, 2), (3,))).run([a, b])[0]
    np.testing.assert_allclose(whole[:5, :20], a[2:7, 3:7] @ b[1:5, 7:27], rtol=1e-5, atol=1e-6)
    assert (whole[5:] == 7).all() and (whole[:5, 20:] == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("turned", [False, True])
def test_our_kernels_give_the_same_bits_for_any_pieces(dtype: str, turned: bool) -> None:
    """D14: a product that is run block by block, or a row of it alone, has the same bits as the whole."""
    if not products.vector_bytes():
        pytest.skip("this computer has no masked vectors")
    rng = np.random.default_rng(3)
    a, b = operand(rng, 1, 61, 50, dtype)[0], operand(rng, 1, 50, 37, dtype)[0]
    right = np.ascontiguousarray(b.T) if turned else b
    step = GemmStep(1, 2, 3, 61, 37, 50, np.dtype(dtype), transpose_b=turned)
    own = gemm.own_product(step)
    assert own is not None and own.extent > 1
    whole = run_product(step, a, right, (61, 37))
    pieces = np.full_like(whole, np.nan)
    addresses = np.array([0, *(array.ctypes.data for array in (a, right, pieces))], np.uint64)
    block = np.array(own.words, np.uint64)
    call = ctypes.CFUNCTYPE(ctypes.c_int64, *[ctypes.c_void_p] * 2, *[ctypes.c_uint64] * 2)(own.kernel.address)
    for piece in reversed(range(own.extent)):
        assert call(addresses.ctypes.data, block.ctypes.data, piece, piece + 1) == 0
    np.testing.assert_array_equal(pieces, whole)
    expected = a.astype(np.float64) @ b.astype(np.float64)
    np.testing.assert_allclose(whole, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("turned", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("sizes", [(300, 40, 7), (40, 300, 7), (200, 200, 3)])
def test_long_products_run_in_pieces(
    sizes: tuple[int, int, int], turned: tuple[bool, bool], batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D14: what BLAS does in one call does not take long, so that Ctrl-C answers; the pieces make up the product."""
    m, n, k = sizes
    monkeypatch.setattr(gemm, "_pays", lambda step: False)
    monkeypatch.setattr(gemm, "_LONGEST", m * n * k // 4)
    monkeypatch.setattr("graphjit.runtime.executable.PIECE_COST", 1)
    rng = np.random.default_rng(4)
    a = operand(rng, batch, *((k, m) if turned[0] else (m, k)), "float64")
    b = operand(rng, batch, *((n, k) if turned[1] else (k, n)), "float64")
    strides = {"batch_stride_a": m * k, "batch_stride_b": k * n, "batch_stride_c": m * n}
    step = GemmStep(1, 2, 3, m, n, k, np.dtype(np.float64), *turned, batch=batch, **strides)
    pieces = gemm.product_pieces(step)
    assert len(pieces) >= 4 * batch and all(gemm.product_cost(piece) <= gemm._LONGEST for piece in pieces)
    slots = {number: Slot("input", step.dtype, array.shape) for number, array in ((1, a), (2, b))}
    slots[3] = Slot("output", step.dtype, (batch, m, n))
    ready = Executable(Program(slots, (step,), (1, 2), (3,)))
    assert [row[0] for row in ready._plan.rows[:-1]] == [walk.GEMM, *[walk.PAUSE, walk.GEMM] * (len(pieces) - 1)]
    expected = (a.swapaxes(1, 2) if turned[0] else a) @ (b.swapaxes(1, 2) if turned[1] else b)
    np.testing.assert_allclose(ready.run([a, b])[0], expected, rtol=1e-10, atol=1e-10)


def test_what_our_kernels_are_for() -> None:
    """Our kernels take small and narrow products; large ones and matrix times vector are BLAS's."""
    if not products.vector_bytes():
        pytest.skip("this computer has no masked vectors")

    def ours(m: int, n: int, k: int, **facts: Any) -> bool:
        return gemm.own_product(GemmStep(1, 2, 3, m, n, k, np.dtype(np.float32), **facts)) is not None

    assert ours(64, 20, 784) and ours(784, 20, 64, transpose_a=True) and ours(3, 3, 3) and ours(64, 20, 10)
    assert not ours(512, 512, 512) and not ours(1000, 1, 1000) and not ours(1, 20, 784, transpose_b=True)
    assert not ours(64, 20, 10**5, transpose_b=True)


def test_threads_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A small product runs on one thread, and NumPy has as many as before."""
    found = blas()
    if not found.get_threads:
        pytest.skip("this BLAS has no thread control")
    monkeypatch.setattr(gemm, "_pays", lambda step: False)
    threads = ctypes.CFUNCTYPE(ctypes.c_int)(found.get_threads)
    before = threads()
    x = np.ones((16, 16), np.float32)
    exact = np.dtype(np.float32)
    slots = {1: Slot("input", exact, (16, 16)), 2: Slot("output", exact, (16, 16))}
    made = Program(slots, (GemmStep(1, 1, 2, 16, 16, 16, exact),), (1,), (2,))
    assert Executable(made).run([x])[0][0, 0] == 16
    assert threads() == before
