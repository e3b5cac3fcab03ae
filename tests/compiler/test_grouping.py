"""Segments, unique elements and counts: rows G15 and G16."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from differences import check_gradient, check_written, reverse_gradient
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hn

import graphjit as gj
from graphjit.runtime.errors import DtypeError, GradientError, InvalidArgumentError, OutOfRangeError, ShapeError

Array = np.ndarray[Any, Any]
math = gj.math


def same(ours: Any, theirs: Any) -> None:
    np.testing.assert_array_equal(np.asarray(ours), theirs, strict=True)


REDUCE: dict[str, tuple[Any, float, float]] = {
    "sum": (np.sum, 0, 0),
    "mean": (np.mean, 0, 0),
    "prod": (np.prod, 1, 1),
    "max": (np.max, 0, np.finfo(np.float64).min),
    "min": (np.min, 0, np.finfo(np.float64).max),
}


def _segments(name: str, data: Array, ids: Array, count: int, ordered: bool) -> Array:
    reduce, empty_if_sorted, empty = REDUCE[name]
    result = np.full((count, *data.shape[ids.ndim :]), empty_if_sorted if ordered else empty, data.dtype)
    for segment in range(count):
        if (ids == segment).any():
            result[segment] = reduce(data[ids == segment], axis=0)
    return result


@pytest.mark.parametrize("name", REDUCE)
@pytest.mark.parametrize("ids", [[0, 0, 1], [0, 2, 2], [1, 1, 1]])
def test_segments_of_sorted_ids(name: str, ids: list[int]) -> None:
    """Segments that are empty hold 0 (the product 1), as in TensorFlow."""
    data = np.random.default_rng(6).normal(size=(3, 2))
    function = getattr(math, f"segment_{name}")
    wanted = _segments(name, data, np.array(ids), ids[-1] + 1, ordered=True)
    np.testing.assert_allclose(np.asarray(function(data, ids)), wanted)
    check_gradient(lambda x: function(x, ids), data)
    check_written(lambda x, i: function(x, i), data, np.array(ids, np.int32), static=False)


@pytest.mark.parametrize("name", REDUCE)
@pytest.mark.parametrize("ids", [[2, 0, 2], [0, -1, 1], [[0, 1], [1, 1], [-1, 0]]])
def test_segments_of_unsorted_ids(name: str, ids: Any) -> None:
    """Slices with a negative id are dropped."""
    data = np.random.default_rng(7).normal(size=(3, 2))
    function = getattr(math, f"unsorted_segment_{name}")
    wanted = _segments(name, data, np.array(ids), 3, ordered=False)
    np.testing.assert_allclose(np.asarray(function(data, ids, 3)), wanted)
    full = sorted({segment for segment in np.ravel(ids).tolist() if segment >= 0})
    check_gradient(lambda x: gj.gather(function(x, ids, 3), full), data)
    check_written(lambda x, i: function(x, i, 3), data, np.array(ids, np.int32))


def test_gradients_of_segments_at_ties_and_zeros() -> None:
    """G17's manner: ties share evenly, and a product with one zero has its exact gradient."""
    (found,) = reverse_gradient(lambda x: math.segment_max(x, [0, 0, 1]), [np.array([2.0, 2.0, 1.0])])
    assert found is not None and found[0] == found[1] and found[0] != 0
    data = np.array([0.0, 3.0, 0.0, 0.0, 2.0])
    check_gradient(lambda x: math.segment_prod(x, [0, 0, 1, 1, 2]), data)
    check_gradient(lambda x: math.unsorted_segment_prod(x, [2, 2, 0, 0, 1], 3), data)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean"])
def test_segments_of_integers(name: str) -> None:
    data = np.array([1, 2, 7], np.int32)
    got = np.asarray(getattr(math, f"segment_{name}")(data, [0, 0, 1]))
    assert got.dtype == np.int32
    assert got.tolist() == {"sum": [3, 7], "prod": [2, 7], "max": [2, 7], "min": [1, 7], "mean": [1, 7]}[name]


def test_segments_of_nothing() -> None:
    nothing = np.zeros((0, 2))
    same(math.segment_sum(nothing, np.zeros(0, np.int32)), nothing)
    same(math.unsorted_segment_sum(nothing, np.zeros(0, np.int32), 2), np.zeros((2, 2)))
    same(math.unsorted_segment_max(nothing, np.zeros(0, np.int32), 1), np.full((1, 2), np.finfo(np.float64).min))


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda: math.segment_sum([1, 2], [1, 0]), InvalidArgumentError),
        (lambda: math.segment_sum([1, 2], [-1, 0]), InvalidArgumentError),
        (lambda: math.segment_sum([1, 2], [0]), ShapeError),
        (lambda: math.segment_sum([1, 2], [0.0, 1.0]), DtypeError),
        (lambda: math.unsorted_segment_sum([1, 2], [0, 2], 2), OutOfRangeError),
        (lambda: math.unsorted_segment_sum([1, 2], [0, 1], -1), InvalidArgumentError),
        (lambda: gj.unique([[1]]), ShapeError),
        (lambda: math.bincount([-1]), InvalidArgumentError),
        (lambda: math.bincount([1, 2], weights=[1.0]), ShapeError),
        (lambda: math.bincount([1.5]), DtypeError),
        (lambda: gj.histogram_fixed_width([1.0], [0.0, 1.0], nbins=0), InvalidArgumentError),
    ],
)
def test_errors(call: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        call()
    assert type(caught.value) is error


# --- unique, counts -------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(hn.arrays(np.int32, st.integers(0, 12), elements=st.integers(-2, 2)))
def test_unique(x: Array) -> None:
    """In the order in which they first occur."""
    values, places, counts = (np.asarray(part) for part in gj.unique_with_counts(x))
    first = list(dict.fromkeys(x.tolist()))
    assert values.tolist() == first and values.dtype == x.dtype
    same(values[places], x)
    assert counts.tolist() == [int((x == one).sum()) for one in first]
    same(gj.unique(x, out_idx=gj.int64).idx, places.astype(np.int64))


def test_unique_in_graphs_and_its_gradient() -> None:
    """G16: reaching unique on the way back is an error, not a silent zero."""
    x = np.array([3.0, 1.0, 3.0])
    check_written(lambda t: gj.unique(t).y * 2.0, x, static=False)
    check_written(lambda t: gj.unique(t).idx, x, static=False)
    with pytest.raises(GradientError, match="unique has no gradient rule"):
        reverse_gradient(lambda t: gj.unique(t).y, [x])


@pytest.mark.parametrize("bounds", [{}, {"minlength": 6}, {"maxlength": 2}, {"minlength": 4, "maxlength": 4}])
def test_bincount(bounds: dict[str, int]) -> None:
    x = np.array([[1, 3], [1, 0]])
    wanted = np.bincount(x.reshape(-1), minlength=bounds.get("minlength", 0))[: bounds.get("maxlength")]
    same(math.bincount(x, **bounds), wanted.astype(np.int32))
    same(math.bincount(x.astype(np.uint8), dtype=gj.int64, **bounds), wanted)
    weights = np.array([[0.5, 1.5], [2.5, 3.5]])
    total = np.bincount(x.reshape(-1), weights.reshape(-1), bounds.get("minlength", 0))[: bounds.get("maxlength")]
    same(math.bincount(x, weights, **bounds), total)
    check_gradient(lambda w: math.bincount(x, w, **bounds), weights)
    check_written(lambda t: math.bincount(t, **bounds), x, static="minlength" in bounds and "maxlength" in bounds)


def test_histogram_fixed_width() -> None:
    """Values outside of the range count for the outermost parts."""
    rng = np.random.default_rng(8)
    values = rng.normal(size=(5, 40))
    wanted, _ = np.histogram(np.clip(values, -1, 1), bins=7, range=(-1, 1))
    same(gj.histogram_fixed_width(values, [-1.0, 1.0], nbins=7), wanted.astype(np.int32))
    same(gj.histogram_fixed_width([5, 5, 2], [0, 10], 2, gj.int64), np.array([1, 2]))
    check_written(lambda t: gj.histogram_fixed_width(t, [-1.0, 1.0], nbins=7), values)
