"""Matrix products, einsum and linear algebra against NumPy; row H7 of the semantics."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from differences import check_gradient, check_written
from hypothesis import given, settings, strategies as st

import graphjit as gj
from graphjit.runtime.errors import DtypeError, GradientError, InvalidArgumentError, ShapeError

Array = np.ndarray[Any, Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed + len(shape)).standard_normal(shape)


def both_modes(function: Any, *arguments: Any, rtol: float = 1e-12) -> Array:
    """The eager result, after the compiled one was found equal to it."""
    eager = np.asarray(function(*(gj.constant(one) for one in arguments)))
    compiled = np.asarray(gj.compile(function)(*(gj.constant(one) for one in arguments)))
    np.testing.assert_allclose(compiled, eager, rtol=rtol, atol=1e-12, strict=True)
    return eager


# --- matmul -----------------------------------------------------------------------------------


@pytest.mark.parametrize("transpose_a", [False, True])
@pytest.mark.parametrize("transpose_b", [False, True])
@pytest.mark.parametrize(
    ("batch_a", "batch_b"), [((), ()), ((5,), (5,)), ((5,), ()), ((), (5,)), ((2, 1), (3,)), ((2, 3), (1, 1))]
)
def test_products_and_their_gradients(
    transpose_a: bool, transpose_b: bool, batch_a: tuple[int, ...], batch_b: tuple[int, ...]
) -> None:
    a = numbers(*batch_a, *((4, 3) if transpose_a else (3, 4)))
    b = numbers(*batch_b, *((2, 4) if transpose_b else (4, 2)), seed=1)
    left = np.swapaxes(a, -1, -2) if transpose_a else a
    right = np.swapaxes(b, -1, -2) if transpose_b else b

    def product(x: Any, y: Any) -> Any:
        return gj.matmul(x, y, transpose_a=transpose_a, transpose_b=transpose_b)

    np.testing.assert_allclose(both_modes(product, a, b), left @ right, rtol=1e-12)
    check_gradient(product, a, b)

    def slope(x: Any, y: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch([x, y])
            z = gj.reduce_sum(gj.square(product(x, y)))
        one, other = tape.gradient(z, [x, y])
        return gj.concat([gj.ravel(one), gj.ravel(other)], 0)

    check_gradient(slope, a, b)
    if batch_b or not batch_a:  # else a stack becomes one tall matrix where sizes are known, and rounds otherwise
        check_written(slope, a, b, static=False)


@settings(deadline=None, max_examples=40)
@given(sizes=st.tuples(*[st.integers(0, 5)] * 4), seed=st.integers(0, 99))
def test_products_of_any_size(sizes: tuple[int, int, int, int], seed: int) -> None:
    """Also empty ones: a sum of nothing is 0."""
    batch, n, k, m = sizes
    a, b = numbers(batch, n, k, seed=seed), numbers(k, m, seed=seed)
    np.testing.assert_allclose(np.asarray(gj.matmul(a, b)), a @ b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "float16", "float32", "complex64"])
def test_products_of_every_dtype(dtype: str) -> None:
    """Integers wrap; float16 is added in float32."""
    a, b = (numbers(3, 40) * 9).astype(dtype), (numbers(40, 2) * 9).astype(dtype)
    found = both_modes(gj.matmul, a, b, rtol=1e-3)
    assert found.dtype == a.dtype
    wanted = (a.astype(np.float32) @ b.astype(np.float32)).astype(dtype) if dtype == "float16" else a @ b
    np.testing.assert_allclose(found, wanted, rtol=1e-5 if found.dtype.kind in "fc" else 0, atol=1e-3)


def test_operators_and_arrays() -> None:
    """Row H7: ndarray @ Variable works, and the tensor decides the dtype."""
    x, w = numbers(3, 4), gj.Variable(numbers(4, 2).astype(np.float32))
    assert (x @ w).dtype == gj.float32
    np.testing.assert_allclose(x @ w, (x @ w.numpy()), rtol=1e-5)
    assert (w @ numbers(2, 5)).shape == (4, 5)


def test_vectors_are_refused_with_a_hint() -> None:
    """Row H7: both operands have rank 2 or more; the message names the shape and what to call."""
    for a, b in ((numbers(3), numbers(3, 2)), (numbers(2, 3), numbers(3)), (numbers(3), np.float64(2.0))):
        with pytest.raises(ShapeError, match=r"rank 2 or more.*matvec"):
            gj.constant(a) @ gj.constant(b)


def test_shapes_that_do_not_fit_are_named() -> None:
    with pytest.raises(ShapeError, match=r"\(2, 3\) and \(2, 3\) do not go together"):
        gj.matmul(numbers(2, 3), numbers(2, 3))
    with pytest.raises(ShapeError, match="transpose_b=True"):
        gj.matmul(numbers(2, 3), numbers(3, 2), transpose_b=True)
    with pytest.raises(ShapeError, match="broadcast"):
        gj.matmul(numbers(2, 2, 3), numbers(5, 3, 2))
    with pytest.raises(DtypeError, match=r"gj\.cast"):
        gj.matmul(gj.zeros([2, 2]), gj.zeros([2, 2], gj.float64))
    with pytest.raises(DtypeError, match="bool"):
        gj.matmul(gj.zeros([2, 2], gj.bool), gj.zeros([2, 2], gj.bool))
    with pytest.raises(InvalidArgumentError, match="only one of"):
        gj.matmul(numbers(2, 2), numbers(2, 2), transpose_a=True, adjoint_a=True)


def test_adjoint_conjugates() -> None:
    a = (numbers(3, 2) + 1j * numbers(3, 2, seed=3)).astype(np.complex128)
    np.testing.assert_allclose(np.asarray(gj.matmul(a, a, adjoint_a=True)), a.conj().T @ a)


def test_unknown_sizes_that_do_not_fit_are_our_error() -> None:
    """Row A12: found when the graph runs."""

    @gj.compile(input_signature=[gj.TensorSpec([None, None]), gj.TensorSpec([None, None])])
    def product(a: Any, b: Any) -> Any:
        return a @ b

    assert product(gj.zeros([2, 3]), gj.zeros([3, 4])).shape == (2, 4)
    with pytest.raises(ShapeError, match="do not go together"):
        product(gj.zeros([2, 3]), gj.zeros([2, 3]))


# --- what is written in terms of it -----------------------------------------------------------


def test_matvec() -> None:
    a, v = numbers(5, 2, 3), numbers(5, 3)
    np.testing.assert_allclose(both_modes(gj.linalg.matvec, a, v), np.einsum("bij,bj->bi", a, v))
    check_gradient(gj.linalg.matvec, a, v)
    with pytest.raises(ShapeError, match="scalar"):
        gj.linalg.matvec(a, 1.0)


@pytest.mark.parametrize("axes", [0, 1, 2, ([0, 1], [1, 0]), ([2], [0]), (-1, 0), ([], [])])
def test_tensordot(axes: Any) -> None:
    a = numbers(3, 4, 2)
    b = {1: numbers(2, 5), 2: numbers(4, 2, 5)}.get(axes if isinstance(axes, int) else -1, numbers(2, 3))
    b = numbers(4, 3, 2) if axes == ([0, 1], [1, 0]) else b
    np.testing.assert_allclose(
        both_modes(lambda x, y: gj.tensordot(x, y, axes), a, b), np.tensordot(a, b, axes), atol=1e-13
    )
    check_gradient(lambda x, y: gj.tensordot(x, y, axes), a, b)


def test_tensordot_refuses_what_does_not_fit() -> None:
    for axes in (3, -1, ([0], [0, 1]), ([0, 0], [0, 1]), ([0], [0], [0]), 1):
        with pytest.raises(ShapeError, match="tensordot"):
            gj.tensordot(numbers(2, 3), numbers(2, 4), axes)


@pytest.mark.parametrize(
    ("a", "b"), [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((2, 3), (3, 4)), ((), (3,)), ((5, 2, 3), (4, 3, 2))]
)
def test_numpy_products(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    """Row H6: np.dot, np.matmul, np.inner, np.outer and np.vdot with NumPy's meaning."""
    x, y = numbers(*a), numbers(*b, seed=1)
    np.testing.assert_allclose(both_modes(np.dot, x, y), np.dot(x, y))
    np.testing.assert_allclose(both_modes(np.outer, x, y), np.outer(x, y))
    if a and len(b) < 3:
        np.testing.assert_allclose(both_modes(lambda s, t: np.matmul(s, t), x, y), np.matmul(x, y))
    if a[-1:] == b[-1:] or not a:
        np.testing.assert_allclose(both_modes(np.inner, x, y), np.inner(x, y))
    if x.size == y.size:
        np.testing.assert_allclose(both_modes(np.vdot, x, y), np.vdot(x, y))


# --- einsum -----------------------------------------------------------------------------------

EQUATIONS: list[tuple[Any, ...]] = [
    ("ij,jk->ik", (2, 3), (3, 4)), ("ij,jk", (2, 3), (3, 4)), ("ba", (2, 3)), ("ij->ji", (2, 3)), ("ij->", (2, 3)),
    ("ii", (3, 3)), ("ii->i", (3, 3)), ("iij->j", (3, 3, 2)), ("iji->j", (3, 2, 3)), ("ijkk->ij", (2, 3, 4, 4)),
    ("iii->i", (2, 2, 2)), ("i,j->ij", (2,), (3,)), ("i,i->", (3,), (3,)), ("ij,ij->ij", (2, 3), (2, 3)),
    ("ij,kl->", (2, 3), (4, 5)), (",->", (), ()), ("i,->i", (3,), ()), ("bij,bjk->bik", (5, 2, 3), (5, 3, 4)),
    ("...ij,...jk->...ik", (5, 2, 3), (1, 3, 4)), ("...ij,jk", (5, 2, 3), (3, 4)), ("...", (2, 3)),
    ("...i->...", (2, 3)), ("i...,i...->...", (3, 2, 4), (3, 4)), ("ij,j->ij", (1, 3), (3,)),
    ("ij,jk->ik", (2, 1), (3, 4)), ("ij,jk,kl->il", (2, 3), (3, 4), (4, 5)), ("i,i,i->i", (3,), (3,), (3,)),
    ("ijk,jil->kl", (2, 3, 4), (3, 2, 5)), ("abcd,cdef,aegh->bfgh", (2, 3, 4, 5), (4, 5, 2, 3), (2, 2, 3, 2)),
    ("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)), ("aab,bc->ac", (2, 2, 3), (3, 4)),
    ("ij,jk->ik", (0, 3), (3, 4)), ("ij,jk->ik", (2, 0), (0, 4)), (" i j , j k -> i k ", (2, 3), (3, 4)),
]  # fmt: skip


@pytest.mark.parametrize("case", EQUATIONS, ids=lambda case: f"{case[0]} {case[1:]}")
def test_einsum(case: tuple[Any, ...]) -> None:
    equation, *shapes = case
    arrays = [numbers(*shape, seed=position) for position, shape in enumerate(shapes)]
    wanted = np.einsum(equation, *arrays)

    def ours(*operands: Any) -> Any:
        return gj.einsum(equation, *operands)

    np.testing.assert_allclose(both_modes(ours, *arrays), wanted, atol=1e-12, strict=True)
    check_gradient(ours, *arrays)


def test_einsum_with_unknown_sizes() -> None:
    a, b = numbers(2, 3, 4), numbers(2, 4, 5)
    check_written(lambda x, y: gj.einsum("bij,bjk->bik", x, y), a, b)
    check_written(lambda x, y: gj.einsum("bij,bjk->kbi", x, y), a, b)


def test_einsum_with_lists_of_axes() -> None:
    a, b = numbers(2, 3), numbers(3, 4)
    np.testing.assert_allclose(np.einsum(gj.constant(a), [0, 1], b, [1, 2], [2, 0]), (a @ b).T)
    np.testing.assert_allclose(np.asarray(gj.einsum(a, [0, 1], b, [1, 2])), a @ b)
    np.testing.assert_allclose(np.asarray(gj.einsum(a, [..., 1], [1, ...])), a.T)


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [("ij,jk", [(2, 3)]), ("ijk", [(2, 3)]), ("...ijk", [(2, 3)]), ("ij->kk", [(2, 3)]), ("i!->i", [(2,)]),
     ("ij,jk", [(2, 3), (2, 3)]), ("ij->ii", [(2, 3)]), ("ii", [(2, 3)]), ("ij->k", [(2, 3)]), ("i....->i", [(2,)])],
)  # fmt: skip
def test_einsum_refuses_what_does_not_fit(equation: str, shapes: list[tuple[int, ...]]) -> None:
    with pytest.raises(InvalidArgumentError, match="einsum"):
        gj.einsum(equation, *[numbers(*shape) for shape in shapes])


# --- linear algebra ---------------------------------------------------------------------------


def _positive(*batch: int) -> Array:
    a = numbers(*batch, 3, 3)
    return a @ np.swapaxes(a, -1, -2) + 3 * np.eye(3)


@pytest.mark.parametrize("batch", [(), (2,), (0,)])
def test_determinants_inverses_and_solutions(batch: tuple[int, ...]) -> None:
    a, b = _positive(*batch) + 0.1 * np.triu(numbers(3, 3)), numbers(*batch, 3, 2)
    np.testing.assert_allclose(both_modes(gj.linalg.det, a), np.linalg.det(a))
    np.testing.assert_allclose(both_modes(gj.linalg.inv, a), np.linalg.inv(a))
    np.testing.assert_allclose(both_modes(gj.linalg.solve, a, b), np.linalg.solve(a, b))
    back = both_modes(lambda x, y: gj.linalg.solve(x, y, adjoint=True), a, b)
    np.testing.assert_allclose(np.swapaxes(a, -1, -2) @ back, b, atol=1e-12)
    for function in (gj.linalg.det, gj.linalg.inv, lambda x: gj.linalg.inv(x, adjoint=True)):
        check_gradient(function, a)
    check_gradient(gj.linalg.solve, a, b)


def test_cholesky_and_its_gradient() -> None:
    """The gradient is that of the symmetric part, so it is compared along symmetric directions."""
    a = _positive(2)
    np.testing.assert_allclose(both_modes(gj.linalg.cholesky, a), np.linalg.cholesky(a))
    check_gradient(lambda x: gj.linalg.cholesky(_positive_of(x)), numbers(2, 3, 3))


def _positive_of(x: Any) -> Any:
    return gj.matmul(x, x, transpose_b=True) + gj.constant(3 * np.eye(3))


def test_factorisations() -> None:
    a = numbers(2, 4, 3)
    q, r = gj.linalg.qr(a)
    np.testing.assert_allclose(q @ r, a, atol=1e-12)
    np.testing.assert_allclose(gj.matmul(q, q, transpose_a=True), np.broadcast_to(np.eye(3), (2, 3, 3)), atol=1e-12)
    assert gj.linalg.qr(a, full_matrices=True).q.shape == (2, 4, 4)
    s, u, v = gj.linalg.svd(a)
    np.testing.assert_allclose(gj.matmul(u * s[:, None, :], v, transpose_b=True), a, atol=1e-12)
    np.testing.assert_allclose(gj.linalg.svd(a, compute_uv=False), s)
    e, w = gj.linalg.eigh(_positive())
    np.testing.assert_allclose(_positive() @ w, w * e, atol=1e-12)


def test_traces_and_transposes() -> None:
    a = numbers(2, 3, 3)
    np.testing.assert_allclose(both_modes(gj.linalg.trace, a), np.trace(a, axis1=1, axis2=2))
    check_gradient(gj.linalg.trace, a)
    np.testing.assert_allclose(both_modes(gj.linalg.matrix_transpose, a), np.swapaxes(a, 1, 2))
    with pytest.raises(ShapeError, match="rank 2"):
        gj.linalg.matrix_transpose(numbers(3))


def test_singular_matrices_are_errors_in_both_modes() -> None:
    """Also where nobody reads the result: errors of unused ops stay."""
    singular = gj.zeros([2, 2])
    for function in (gj.linalg.inv, lambda x: gj.linalg.solve(x, gj.ones([2, 1])), gj.linalg.cholesky):

        def unused(x: Any, f: Any = function) -> Any:
            f(x)
            return x

        for run in (function, gj.compile(unused)):
            with pytest.raises(InvalidArgumentError, match=r"shape \(2, 2\)"):
                run(singular)


def test_wrong_matrices_are_named() -> None:
    for function in (gj.linalg.det, gj.linalg.inv, gj.linalg.cholesky, gj.linalg.eigh):
        with pytest.raises(ShapeError, match="square"):
            function(numbers(2, 3))
        with pytest.raises(DtypeError, match="float32 or float64"):
            function(gj.zeros([2, 2], gj.int32))
    with pytest.raises(ShapeError, match="2 rows"):
        gj.linalg.solve(numbers(2, 2), numbers(3, 1))


def test_gradients_that_are_missing_say_so() -> None:
    """Row G16."""
    x = gj.constant(_positive())
    for function in (lambda a: gj.linalg.qr(a).q, lambda a: gj.linalg.svd(a).s, lambda a: gj.linalg.eigh(a).e):
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        with pytest.raises(GradientError, match="no gradient rule"):
            tape.gradient(y, x)


def test_numpy_linear_algebra() -> None:
    """Row H6: np.linalg's names, argument forms and orders of results."""
    a, v = _positive(2), numbers(3)
    for function in (np.linalg.det, np.linalg.inv, np.linalg.cholesky):
        np.testing.assert_allclose(both_modes(function, a), function(a))
    np.testing.assert_allclose(both_modes(np.linalg.solve, a[0], v), np.linalg.solve(a[0], v))
    np.testing.assert_allclose(np.linalg.cholesky(gj.constant(a), upper=True), np.linalg.cholesky(a, upper=True))
    u, s, vt = np.linalg.svd(gj.constant(a))
    np.testing.assert_allclose((u * s[:, None, :]) @ vt, a, atol=1e-12)
    np.testing.assert_allclose(np.linalg.eigh(gj.constant(a), "U")[0], np.linalg.eigvalsh(a))
    q, r = np.linalg.qr(gj.constant(a), mode="complete")
    np.testing.assert_allclose(q @ r, a, atol=1e-12)
    np.testing.assert_allclose(np.trace(gj.constant(a), 1, 1, 2), np.trace(a, 1, 1, 2))
    assert np.trace(gj.constant([[1, 2], [3, 4]])).dtype == gj.int64
