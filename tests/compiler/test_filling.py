"""Tensors made of values and positions: fill, zeros, range, linspace, eye, one_hot; diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from differences import check_gradient, check_written, reverse_gradient
from hypothesis import given, settings, strategies as st

import graphjit as gj
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.ops.diagonals import band_part, diag, diag_part, set_diag
from graphjit.compiler.tensortype import ALL_DTYPES, TensorType, float32, int32
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

Array = np.ndarray[Any, Any]


def same(ours: Any, theirs: Any) -> None:
    np.testing.assert_array_equal(np.asarray(ours), theirs, strict=True)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda dtype: dtype.name)
def test_zeros_ones_and_their_likes(dtype: Any) -> None:
    for shape in ((), (2, 3), (0, 4)):
        same(gj.zeros(shape, dtype), np.zeros(shape, dtype.numpy))
        same(gj.ones(shape, dtype), np.ones(shape, dtype.numpy))
        like = gj.zeros(shape)
        same(gj.zeros_like(like, dtype), np.zeros(shape, dtype.numpy))
        same(gj.ones_like(gj.ones(shape, dtype)), np.ones(shape, dtype.numpy))


def test_fill() -> None:
    same(gj.fill([2, 3], 7), np.full((2, 3), 7, np.int32))
    same(gj.fill([], 1.5), np.float32(1.5).reshape(()))
    same(gj.fill([0], True), np.zeros(0, bool))
    check_gradient(lambda value: gj.fill([2, 3], value), np.array(2.0))
    with pytest.raises(InvalidArgumentError, match="scalar"):
        gj.fill([2], [1, 2])
    with pytest.raises(ShapeError, match="not negative"):
        gj.zeros([-1])


@settings(max_examples=100, deadline=None)
@given(st.integers(-20, 20), st.integers(-20, 20), st.integers(-5, 5).filter(bool))
def test_ranges_of_integers_are_pythons(start: int, limit: int, delta: int) -> None:
    wanted = np.array(list(range(start, limit, delta)), np.int32)
    same(gj.range(start, limit, delta), wanted)
    graph = write_graph("f", [TensorType(int32, ())] * 3, gj.range)
    bounds = [np.array(one, np.int32) for one in (start, limit, delta)]
    same(run_reference(graph, bounds)[0], wanted)
    check_written(lambda x: x + gj.range(start, limit, delta), np.zeros((1,), np.int32))


def test_ranges_of_other_kinds() -> None:
    same(gj.range(3), np.array([0, 1, 2], np.int32))
    same(gj.range(0.0, 1.0, 0.25), np.array([0, 0.25, 0.5, 0.75], np.float32))
    same(gj.range(1.0, 0.0, -0.5), np.array([1, 0.5], np.float32))
    same(gj.range(4, dtype=gj.int64), np.arange(4))
    same(gj.range(gj.constant(4, gj.int64)), np.arange(4))
    same(gj.range(3, delta=2, dtype=gj.float64), np.array([0.0, 2.0]))
    same(gj.arange(2), np.array([0, 1], np.int32))
    same(gj.range(0), np.zeros(0, np.int32))
    for call, error in (
        (lambda: gj.range(1, 5, 0), InvalidArgumentError),
        (lambda: gj.range(0.0, float("inf")), InvalidArgumentError),
        (lambda: gj.range(0.0, float("nan")), InvalidArgumentError),
        (lambda: gj.range([1, 2]), ShapeError),
        (lambda: gj.range(gj.constant(True)), DtypeError),
    ):
        with pytest.raises(error):
            call()


@pytest.mark.parametrize("num", [1, 2, 3, 7, 50])
def test_linspace(num: int) -> None:
    """Both ends are exact."""
    for start, stop in ((0.0, 1.0), (-3.0, 10.0), (0.1, 0.7), (2.0, 2.0)):
        got = np.asarray(gj.linspace(gj.constant(start, gj.float64), stop, num))
        np.testing.assert_allclose(got, np.linspace(start, stop, num), rtol=1e-14, atol=1e-15)
        assert got[0] == start and (num == 1 or got[-1] == stop)
    check_gradient(lambda a, b: gj.linspace(a, b, num), np.array(0.5), np.array(2.0))
    check_written(lambda a, b: gj.linspace(a, b, num), np.array(0.5), np.array(2.0))


def test_linspace_of_tensors_and_dtypes() -> None:
    start, stop = np.array([0.0, 1.0]), np.array([[5.0], [7.0]])
    for axis in (0, 1, -1):
        got = gj.linspace(gj.constant(start), gj.constant(stop), 4, axis=axis)
        np.testing.assert_allclose(np.asarray(got), np.linspace(start, stop, 4, axis=axis))
    assert gj.linspace(0, 1, 3).dtype == gj.float32
    assert gj.linspace(np.float64(0), 1, 3).dtype == gj.float64
    with pytest.raises(InvalidArgumentError, match="at least 1"):
        gj.linspace(0.0, 1.0, 0)
    with pytest.raises(DtypeError):
        gj.linspace(gj.constant(1), gj.constant(2), 3)
    graph = write_graph("f", [TensorType(int32, ())], lambda num: gj.linspace(0.0, 1.0, num))
    same(run_reference(graph, [np.array(5, np.int32)])[0], np.array([0, 0.25, 0.5, 0.75, 1], np.float32))


def test_eye() -> None:
    same(gj.eye(3), np.eye(3, dtype=np.float32))
    same(gj.eye(2, 4, dtype=gj.int64), np.eye(2, 4, dtype=np.int64))
    same(gj.eye(0), np.zeros((0, 0), np.float32))
    same(gj.eye(2, batch_shape=[3, 1]), np.broadcast_to(np.eye(2, dtype=np.float32), (3, 1, 2, 2)))
    same(gj.eye(2, dtype=gj.bool), np.eye(2, dtype=bool))
    check_written(lambda x: x @ gj.eye(gj.shape(x)[1], dtype=gj.float64), np.ones((2, 3)))


# --- one_hot ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [None, -1, 0, 1])
@pytest.mark.parametrize("dtype", [np.int32, np.int64, np.uint8, np.int8])
def test_one_hot(axis: int | None, dtype: Any) -> None:
    """An index that is out of range gives a row of zeros, as in TensorFlow."""
    indices = np.array([[0, 2], [5, 100]], dtype)
    wanted = (indices[..., None] == np.arange(4)).astype(np.float32)
    wanted = np.moveaxis(wanted, -1, -1 if axis is None else axis)
    same(gj.one_hot(indices, 4, axis=axis), wanted)
    check_written(lambda x: gj.one_hot(x, 4, axis=axis), indices)


def test_one_hot_of_narrow_indices_has_wide_depth() -> None:
    got = np.asarray(gj.one_hot(np.array([0, 200], np.uint8), 300))
    assert got.sum() == 2 and got[0, 256] == 0 and got[1, 200] == 1
    assert np.asarray(gj.one_hot([-1], 3)).sum() == 0


def test_one_hot_values_and_dtypes() -> None:
    same(gj.one_hot([1], 3, on_value=5, off_value=-1), np.array([[-1, 5, -1]], np.int32))
    same(gj.one_hot([1], 2, on_value=5.0), np.array([[0, 5]], np.float32))
    same(gj.one_hot([1], 2, off_value=5.0), np.array([[5, 1]], np.float32))
    same(gj.one_hot([1], 2, on_value=True, off_value=False), np.array([[False, True]]))
    same(gj.one_hot([1], 2, dtype=gj.bool), np.array([[False, True]]))
    same(gj.one_hot(1, 2), np.array([0, 1], np.float32))
    same(gj.one_hot(np.zeros((0,), np.int32), 2), np.zeros((0, 2), np.float32))
    same(gj.one_hot([0], 0), np.zeros((1, 0), np.float32))
    with pytest.raises(DtypeError):
        gj.one_hot([1.0], 2)
    with pytest.raises(InvalidArgumentError, match="not negative"):
        gj.one_hot([1], -1)
    check_gradient(lambda on, off: gj.one_hot([0, 2], 3, on, off), np.array(2.0), np.array(-1.0))


def test_one_hot_of_traced_depth() -> None:
    graph = write_graph("f", [TensorType(int32, (None,)), TensorType(int32, ())], gj.one_hot)
    same(
        run_reference(graph, [np.array([0, 2], np.int32), np.array(3, np.int32)])[0],
        np.eye(3, dtype=np.float32)[[0, 2]],
    )


def test_sequence_mask() -> None:
    lengths = np.array([[1, 3], [0, 9]])
    for size in (3, 0):
        same(gj.sequence_mask(lengths, size), np.arange(size) < lengths[..., None])
        check_written(lambda x, size=size: gj.sequence_mask(x, size, gj.float32), lengths)
    same(gj.sequence_mask(lengths), np.arange(9) < lengths[..., None])
    check_written(gj.sequence_mask, lengths, static=False)
    same(gj.sequence_mask(np.array([2, 200], np.uint8), 300), np.arange(300) < np.array([[2], [200]]))
    with pytest.raises(DtypeError):
        gj.sequence_mask([1.0])


# --- diagonals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape, k", [((3, 3), 0), ((2, 4, 3), 1), ((3, 4), -2), ((0, 0), 0), ((1, 3), 2), ((2, 1), 0)])
def test_diag_part_and_set_diag(shape: tuple[int, ...], k: int) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape)
    wanted = np.diagonal(x, k, -2, -1)
    same(diag_part(gj.constant(x), k=k), wanted)
    check_gradient(lambda t: diag_part(t, k=k), x)
    check_written(lambda t: diag_part(t, k=k), x)
    values = -1.0 - np.arange(float(wanted.size)).reshape(wanted.shape)
    replaced = x.copy()
    places = np.arange(wanted.shape[-1])
    replaced[..., places + max(-k, 0), places + max(k, 0)] = values
    same(set_diag(gj.constant(x), gj.constant(values), k=k), replaced)
    check_gradient(lambda t, d: set_diag(t, d, k=k), x, values)


@pytest.mark.parametrize("shape", [(3,), (0,), (2, 3)])
@pytest.mark.parametrize("k", [0, 1, -2])
def test_diag(shape: tuple[int, ...], k: int) -> None:
    x = np.arange(float(np.prod(shape))).reshape(shape) + 1
    wanted = np.zeros((*shape[:-1], shape[-1] + abs(k), shape[-1] + abs(k)))
    places = np.arange(shape[-1])
    wanted[..., places + max(-k, 0), places + max(k, 0)] = x
    same(diag(gj.constant(x), k=k), wanted)
    check_gradient(lambda t: diag(t, k=k), x)


@pytest.mark.parametrize("lower, upper", [(0, 0), (1, 0), (-1, 0), (0, -1), (-1, -1), (1, 2), (9, 9)])
def test_band_part(lower: int, upper: int) -> None:
    x = np.arange(24.0).reshape(2, 3, 4) + 1
    row, column = np.arange(3)[:, None], np.arange(4)
    kept = ((lower < 0) | (row - column <= lower)) & ((upper < 0) | (column - row <= upper))
    same(band_part(gj.constant(x), lower, upper), np.where(kept, x, 0))
    check_gradient(lambda t: band_part(t, lower, upper), x)
    check_written(lambda t: band_part(t, lower, upper), x)


def test_diagonals_that_are_not_there() -> None:
    x = gj.ones((2, 3))
    for call in (
        lambda: diag_part(x, k=3),
        lambda: diag_part(x, k=-2),
        lambda: diag_part(gj.ones((2,))),
        lambda: diag(gj.constant(1.0)),
        lambda: set_diag(x, gj.ones((3,))),
        lambda: band_part(gj.ones((2,)), 0, 0),
    ):
        with pytest.raises(ShapeError):
            call()


def test_positions_have_no_gradient() -> None:
    """G16: what is made of shapes and positions is flat."""
    (found,) = reverse_gradient(lambda x: gj.zeros_like(x) + gj.ones_like(x), [np.ones(3)])
    assert found is None


def test_static_results_are_views_of_one_number() -> None:
    """Zeros cost no memory in a graph: a scalar constant, broadcast."""
    graph = write_graph("f", [TensorType(float32, (1000, 1000))], lambda x: gj.zeros_like(x))
    assert [equation.op.name for equation in graph.equations] == ["constant", "broadcast_to"]
    assert graph.equations[0].output.type.element_count == 1
