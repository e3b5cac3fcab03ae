"""Sorting and searching."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from differences import check_gradient, check_written, reverse_gradient, weights_like
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hn

import graphjit as gj
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

Array = np.ndarray[Any, Any]
FLOATS = hn.arrays(
    np.float64,
    hn.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5),
    elements=st.sampled_from([0.0, -0.0, 1.0, 2.5, -3.0, np.inf, -np.inf, np.nan]),
)


def same(ours: Any, theirs: Any) -> None:
    np.testing.assert_array_equal(np.asarray(ours), theirs, strict=True)


@settings(max_examples=150, deadline=None)
@given(FLOATS, st.data())
def test_sort_and_argsort(x: Array, data: Any) -> None:
    """Ascending as NumPy has it, NaN last; descending the other way round, with equal elements in their order."""
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    same(gj.sort(x, axis), np.sort(x, axis))
    same(gj.argsort(x, axis), np.argsort(x, axis, kind="stable").astype(np.int32))
    same(gj.sort(x, axis, "DESCENDING"), np.flip(np.sort(x, axis), axis))
    order = np.asarray(gj.argsort(x, axis, "DESCENDING"))
    ordered = np.take_along_axis(x, order, axis)
    same(ordered, np.flip(np.sort(x, axis), axis))
    rows = np.moveaxis(ordered, axis, -1)
    ties = rows[..., 1:] == rows[..., :-1]
    assert (np.diff(np.moveaxis(order, axis, -1))[ties] > 0).all()


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, np.float32, np.float16, bool])
def test_every_dtype_sorts(dtype: Any) -> None:
    x = np.array([3, 1, 0, 2, 1]).astype(dtype)
    same(gj.sort(x), np.sort(x))
    same(gj.sort(x, direction="DESCENDING"), np.sort(x)[::-1])


@pytest.mark.parametrize("direction", ["ASCENDING", "DESCENDING"])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_the_gradient_of_sort(axis: int, direction: str) -> None:
    x = np.random.default_rng(3).normal(size=(3, 4, 2))
    check_gradient(lambda t: gj.sort(t, axis, direction), x)
    check_written(lambda t: gj.sort(t, axis, direction), x)
    check_written(lambda t: gj.argsort(t, axis, direction), x)
    (found,) = reverse_gradient(lambda t: gj.sort(t), [np.array([1.0, 1.0, 0.0])])
    weights = weights_like((3,))
    np.testing.assert_allclose(found, weights[[1, 2, 0]])


@settings(max_examples=100, deadline=None)
@given(FLOATS.filter(lambda x: x.shape[-1] > 0), st.data())
def test_top_k(x: Array, data: Any) -> None:
    """The greatest first; of equal elements the first ones."""
    k = data.draw(st.integers(0, x.shape[-1]))
    values, indices = gj.math.top_k(x, k)
    same(values, np.flip(np.sort(x, -1), -1)[..., :k])
    same(np.take_along_axis(x, np.asarray(indices), -1), np.asarray(values))
    assert indices.dtype == gj.int32


def test_the_gradient_of_top_k() -> None:
    x = np.random.default_rng(4).normal(size=(3, 5))
    check_gradient(lambda t: gj.math.top_k(t, 2).values, x)
    check_written(lambda t: gj.math.top_k(t, 2).values, x)
    check_written(lambda t: gj.math.top_k(t, 2, index_type=gj.int64).indices, x)


@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted(side: Any) -> None:
    rng = np.random.default_rng(5)
    sequence, values = np.sort(rng.integers(0, 9, (2, 6))), rng.integers(-1, 10, (2, 4))
    wanted = np.stack([np.searchsorted(row, one, side) for row, one in zip(sequence, values, strict=True)])
    same(gj.searchsorted(sequence, values, side), wanted.astype(np.int32))
    same(gj.searchsorted(sequence[0], values, side, gj.int64), np.searchsorted(sequence[0], values, side))
    same(gj.searchsorted(sequence[0], 3, side), np.searchsorted(sequence[0], 3, side).astype(np.int32))
    same(gj.searchsorted(np.zeros(0), [1.0], side), np.zeros(1, np.int32))
    check_written(lambda s, v: gj.searchsorted(s, v, side), sequence, values)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda: gj.sort([1, 2], direction="UP"), InvalidArgumentError),
        (lambda: gj.sort([1, 2], axis=1), ShapeError),
        (lambda: gj.sort(1), ShapeError),
        (lambda: gj.sort(gj.constant(1 + 2j)[None]), DtypeError),
        (lambda: gj.math.top_k([1, 2], 3), InvalidArgumentError),
        (lambda: gj.math.top_k([1, 2], -1), InvalidArgumentError),
        (lambda: gj.math.top_k(1), ShapeError),
        (lambda: gj.searchsorted([1, 2], [1], side="middle"), InvalidArgumentError),
        (lambda: gj.searchsorted([[1, 2]], [[1], [2]]), ShapeError),
        (lambda: gj.searchsorted(gj.constant([1.0]), gj.constant([1])), DtypeError),
    ],
)
def test_errors(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        call()
