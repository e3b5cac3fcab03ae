"""Reductions, scans, moments, norms and positions against NumPy; rows G17, H4 and H8 of the semantics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from differences import check_gradient, check_written
from hypothesis import given, settings, strategies as st
from hypothesis.extra import numpy as hn

import graphjit as gj
from graphjit.runtime.errors import (
    DivisionByZeroError,
    DtypeError,
    InvalidArgumentError,
    ShapeError,
    UnimplementedError,
)

Array = np.ndarray[Any, Any]


def numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape)


def gradient(function: Callable[[Any], Any], x: Any) -> Array:
    tensor = gj.constant(x)
    with gj.GradientTape() as tape:
        tape.watch(tensor)
        y = function(tensor)
    return np.asarray(tape.gradient(y, tensor))


def both_modes(function: Callable[..., Any], *arguments: Any) -> Array:
    """The eager result, after the compiled one was found equal to it."""
    eager = np.asarray(function(*(gj.constant(one) for one in arguments)))
    compiled = np.asarray(gj.compile(function)(*(gj.constant(one) for one in arguments)))
    np.testing.assert_allclose(compiled, eager, rtol=1e-5 if eager.dtype == np.float32 else 1e-12, strict=True)
    return eager


# --- values ---------------------------------------------------------------------------------------

REDUCTIONS: list[tuple[Any, Callable[..., Any]]] = [
    (gj.reduce_sum, np.sum),
    (gj.reduce_mean, np.mean),
    (gj.reduce_max, np.max),
    (gj.reduce_min, np.min),
    (gj.reduce_prod, np.prod),
    (gj.math.reduce_variance, np.var),
    (gj.math.reduce_std, np.std),
    (gj.math.reduce_euclidean_norm, lambda x, **k: np.sqrt(np.sum(x * x, **k))),
    (gj.reduce_logsumexp, lambda x, **k: np.log(np.sum(np.exp(x), **k))),
]
_IDS = [one.__name__ for one, _ in REDUCTIONS]


@pytest.mark.parametrize(("ours", "numpy"), REDUCTIONS, ids=_IDS)
@pytest.mark.parametrize("axis", [None, 0, -1, (0, 2), [1], ()])
@pytest.mark.parametrize("keepdims", [False, True])
def test_reductions_agree_with_numpy(ours: Any, numpy: Any, axis: Any, keepdims: bool) -> None:
    x = numbers(2, 3, 4)
    wanted = numpy(x, axis=tuple(axis) if isinstance(axis, list) else axis, keepdims=keepdims)
    found = both_modes(lambda t: ours(t, axis, keepdims), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("ours", "numpy"), REDUCTIONS, ids=_IDS)
@pytest.mark.parametrize("axis", [None, 1, (0, 2)])
def test_gradients_are_derivatives_twice(ours: Any, numpy: Any, axis: Any) -> None:
    """Rules, and the rules of what rules are written with."""
    x = numbers(2, 3, 2) + 0.1
    check_gradient(lambda t: ours(t, axis), x)

    def slope(t: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(t)
            y = gj.reduce_sum(gj.square(ours(t, axis)))
        return tape.gradient(y, t)

    check_gradient(slope, x)


@pytest.mark.parametrize(("ours", "numpy"), REDUCTIONS, ids=_IDS)
def test_unknown_sizes(ours: Any, numpy: Any) -> None:
    """Row A12: what is written while sizes are unknown is expanded once they are known."""
    check_written(lambda t: ours(t, 1), numbers(2, 3))


@settings(deadline=None, max_examples=60)
@given(
    x=hn.arrays(np.float64, hn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4), elements=st.floats(-9, 9)),
    data=st.data(),
)
def test_any_axes_of_any_shape(x: Array, data: st.DataObject) -> None:
    axes = data.draw(st.sets(st.integers(0, x.ndim - 1)) if x.ndim else st.just(set()))
    keepdims = data.draw(st.booleans())
    axis = tuple(sorted(axes))
    for ours, numpy, initial in ((gj.reduce_sum, np.sum, 0.0), (gj.reduce_max, np.max, -np.inf)):
        found = np.asarray(ours(x, axis, keepdims))
        wanted = numpy(x, axis=axis, keepdims=keepdims, initial=initial)
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


def test_reducing_nothing_gives_what_combining_starts_from() -> None:
    x = np.zeros((2, 0), np.float32)
    assert both_modes(lambda t: gj.reduce_sum(t, 1), x).tolist() == [0, 0]
    assert both_modes(lambda t: gj.reduce_prod(t, 1), x).tolist() == [1, 1]
    assert both_modes(lambda t: gj.reduce_max(t, 1), x).tolist() == [-np.inf, -np.inf]
    assert both_modes(lambda t: gj.reduce_min(t, 1), x).tolist() == [np.inf, np.inf]
    assert both_modes(lambda t: gj.reduce_logsumexp(t, 1), x).tolist() == [-np.inf, -np.inf]
    assert np.isnan(both_modes(lambda t: gj.reduce_mean(t, 1), x)).all()
    assert both_modes(lambda t: gj.reduce_max(t, 1), x.astype(np.int32)).tolist() == [-(2**31)] * 2
    assert both_modes(lambda t: gj.reduce_all(t, 1), x.astype(bool)).tolist() == [True, True]
    assert both_modes(lambda t: gj.reduce_any(t, 1), x.astype(bool)).tolist() == [False, False]


def test_integers_keep_their_dtype_and_wrap() -> None:
    """Row H4: reduce_mean of integers stays an integer; the fraction is dropped, not floored."""
    assert both_modes(gj.reduce_mean, np.array([1, 2], np.int32)) == 1
    assert both_modes(gj.reduce_mean, np.array([-1, -2], np.int32)) == -1
    assert both_modes(gj.reduce_mean, np.array([250, 250], np.uint8)) == 122  # 500 wraps to 244
    assert both_modes(gj.reduce_sum, np.array([100, 100], np.int8)) == -56
    assert both_modes(gj.reduce_prod, np.array([2**20, 2**20], np.int64)) == 2**40
    assert gj.reduce_mean([1, 2]).dtype == gj.int32


def test_mean_of_no_integers_is_an_error_in_both_modes() -> None:
    for run in (gj.reduce_mean, gj.compile(gj.reduce_mean)):
        with pytest.raises(DivisionByZeroError, match="mean of no integers"):
            run(gj.zeros([0], gj.int32))


def test_float16_is_summed_in_float32() -> None:
    x = np.full(4096, 1.0, np.float16)
    assert both_modes(gj.reduce_sum, x) == 4096
    assert both_modes(gj.reduce_mean, np.full(2048, 60000.0, np.float16)) == 60000


def test_not_a_number_wins() -> None:
    x = np.array([1.0, np.nan, 3.0], np.float32)
    for function in (gj.reduce_max, gj.reduce_min, gj.reduce_sum, gj.reduce_logsumexp):
        assert np.isnan(both_modes(function, x))


@pytest.mark.parametrize("function", [gj.reduce_max, gj.reduce_min, gj.nn.relu, gj.nn.relu6])
def test_signed_zeros_are_the_same_in_both_modes(function: Any) -> None:
    """Of zeros the positive one is the greater; relu(-0.0) is 0.0."""
    for zeros in ([-0.0, 0.0], [0.0, -0.0], [-0.0] * 17 + [0.0], [0.0] * 17 + [-0.0], [-0.0, -0.0]):
        x = np.array(zeros, np.float32)
        eager, compiled = np.asarray(function(x)), np.asarray(gj.compile(function)(x))
        np.testing.assert_array_equal(np.signbit(eager), np.signbit(compiled))
    assert not np.signbit(np.asarray(gj.reduce_max(np.array([-0.0, 0.0]))))
    assert np.signbit(np.asarray(gj.reduce_min(np.array([0.0, -0.0]))))


def test_any_all_count() -> None:
    x = np.array([[True, False], [True, True]])
    assert both_modes(lambda t: gj.reduce_all(t, 1), x).tolist() == [False, True]
    assert both_modes(lambda t: gj.reduce_any(t, 0), x).tolist() == [True, True]
    assert both_modes(lambda t: gj.math.count_nonzero(t, 0), x).tolist() == [2, 1]
    assert gj.math.count_nonzero([0.0, np.nan, -0.0]).numpy() == 1
    with pytest.raises(DtypeError, match="booleans"):
        gj.reduce_any([1, 0])


def test_wrong_axes_are_named() -> None:
    with pytest.raises(ShapeError, match="axis 2 is out of range"):
        gj.reduce_sum(numbers(2, 3), axis=2)
    with pytest.raises(ShapeError, match="named twice"):
        gj.reduce_sum(numbers(2, 3), axis=[0, -2])


# --- gradients at ties, zeros and constants (row G17) -----------------------------------------------


def test_ties_of_extremes_share_the_gradient() -> None:
    """Row G17."""
    assert gradient(gj.reduce_max, [2.0, 1.0, 2.0]).tolist() == [0.5, 0.0, 0.5]
    assert gradient(gj.reduce_min, [1.0, 1.0, 2.0]).tolist() == [0.5, 0.5, 0.0]
    rows = gradient(lambda x: gj.reduce_max(x, 1), [[1.0, 1.0], [0.0, 3.0]])
    assert rows.tolist() == [[0.5, 0.5], [0.0, 1.0]]


def test_product_with_zeros_has_an_exact_gradient() -> None:
    """Row G17: nothing is divided by an element."""
    assert gradient(gj.reduce_prod, [0.0, 2.0, 3.0]).tolist() == [6.0, 0.0, 0.0]
    assert gradient(gj.reduce_prod, [0.0, 2.0, 0.0]).tolist() == [0.0, 0.0, 0.0]
    assert gradient(gj.reduce_prod, [[0.0, 2.0], [3.0, 4.0]]).tolist() == [[24.0, 0.0], [0.0, 0.0]]
    assert gradient(lambda x: gj.reduce_prod(x, [0, 2]), np.ones((2, 3, 2))).tolist() == np.ones((2, 3, 2)).tolist()


def test_norm_and_deviation_of_constants_have_gradient_zero() -> None:
    """Row G17, and its published differences: never NaN."""
    for function in (gj.math.reduce_euclidean_norm, gj.norm, lambda x: gj.norm(x, ord=3), gj.math.reduce_std):
        assert gradient(function, [0.0, 0.0]).tolist() == [0.0, 0.0]
    assert gradient(gj.math.reduce_std, [2.0, 2.0, 2.0]).tolist() == [0.0, 0.0, 0.0]


def test_logsumexp_far_out() -> None:
    """Row G17: logsumexp(1000) is 1000, with gradient 1; minus infinity everywhere gives gradient 0."""
    assert both_modes(gj.reduce_logsumexp, np.array([1000.0])) == 1000.0
    assert gradient(gj.reduce_logsumexp, [1000.0]).tolist() == [1.0]
    low = np.array([-np.inf, -np.inf])
    assert both_modes(gj.reduce_logsumexp, low) == -np.inf
    assert gradient(gj.reduce_logsumexp, low).tolist() == [0.0, 0.0]
    assert both_modes(gj.reduce_logsumexp, np.array([np.inf, 1.0])) == np.inf


def test_variance_does_not_cancel() -> None:
    """The mean is taken first: sums of squares would lose every digit here."""
    x = np.array([1e8, 1e8 + 1, 1e8 + 2])
    np.testing.assert_allclose(both_modes(gj.math.reduce_variance, x), 2.0 / 3.0, rtol=1e-12)


def test_moments() -> None:
    x = numbers(4, 3)
    mean, variance = gj.nn.moments(x, axes=[0], keepdims=True)
    np.testing.assert_allclose(mean, x.mean(0, keepdims=True))
    np.testing.assert_allclose(variance, x.var(0, keepdims=True))


# --- scans ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scans(exclusive: bool, reverse: bool, axis: int) -> None:
    x = numbers(3, 4)
    for ours, combine, first in ((gj.cumsum, np.add, 0.0), (gj.math.cumprod, np.multiply, 1.0)):
        wanted = np.flip(x, axis) if reverse else x
        wanted = combine.accumulate(wanted, axis=axis)
        if exclusive:
            wanted = np.insert(np.delete(wanted, -1, axis), 0, first, axis)
        wanted = np.flip(wanted, axis) if reverse else wanted
        found = both_modes(lambda t, scan=ours: scan(t, axis, exclusive=exclusive, reverse=reverse), x)
        np.testing.assert_allclose(found, wanted)
        check_gradient(lambda t, scan=ours: scan(t, axis, exclusive=exclusive, reverse=reverse), x)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_running_product_with_zeros_has_an_exact_gradient(exclusive: bool, reverse: bool) -> None:
    """Also twice: TensorFlow divides by the elements and gives NaN."""
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0, 7.0])

    def scan(t: Any) -> Any:
        return gj.math.cumprod(t, exclusive=exclusive, reverse=reverse)

    def slope(t: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(t)
            y = gj.reduce_sum(scan(t) * gj.constant(np.arange(6.0)))
        return tape.gradient(y, t)

    check_gradient(scan, x)
    check_gradient(slope, x)


def test_scans_of_integers_wrap() -> None:
    assert both_modes(gj.cumsum, np.array([100, 100], np.int8)).tolist() == [100, -56]
    with pytest.raises(ShapeError, match="axis 1"):
        gj.cumsum([1, 2], axis=1)


# --- positions ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ours", "numpy"), [(gj.argmax, np.argmax), (gj.argmin, np.argmin)])
def test_positions(ours: Any, numpy: Any) -> None:
    """Row H8: int64; the first of equals, or of NaNs, as NumPy has it; axis 0 by default."""
    x = np.round(numbers(5, 4, 3))
    for axis in (0, 1, 2, -1):
        found = both_modes(lambda t, along=axis: ours(t, along), x)
        assert found.dtype == np.int64
        np.testing.assert_array_equal(found, numpy(x, axis))
    np.testing.assert_array_equal(ours(x), numpy(x, 0))
    strange = np.array([[np.inf, np.nan, -np.inf, np.nan], [-np.inf] * 4, [np.inf] * 4], np.float32)
    np.testing.assert_array_equal(both_modes(lambda t: ours(t, axis=1), strange), numpy(strange, 1))
    assert ours(input=[3, 1, 3], output_type=gj.int32).dtype == gj.int32


def test_positions_among_no_elements_are_an_error() -> None:
    for run in (gj.argmax, gj.compile(gj.argmax)):
        with pytest.raises(ShapeError, match=r"axis 0 of shape .* has no elements"):
            run(gj.zeros([0, 3]))


def test_positions_have_no_gradient() -> None:
    """Row G16."""
    x = gj.constant([1.0, 2.0])
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = gj.cast(gj.argmax(x), gj.float32)
    assert tape.gradient(y, x) is None


# --- norms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "axis"), [("euclidean", None), (1, 0), (np.inf, 1), (3, 1), (2, 0), (0.5, None),
                        ("fro", (0, 1)), (1, (0, 1)), (np.inf, (1, 0)), (2, (0, 1))],
)  # fmt: skip
@pytest.mark.parametrize("keepdims", [False, True])
def test_norms(order: Any, axis: Any, keepdims: bool) -> None:
    x = numbers(3, 4)
    named = None if order in ("euclidean", "fro") else order
    flat = x.reshape(-1) if axis is None else x
    wanted = np.linalg.norm(flat, named, axis)
    found = np.asarray(gj.norm(x, order, axis, keepdims))
    np.testing.assert_allclose(found.reshape(np.shape(wanted)), wanted)
    reduced = (0, 1) if axis is None else axis
    assert found.shape == np.sum(x, axis=reduced, keepdims=keepdims).shape
    if axis != (0, 1) or order != 2:
        check_gradient(lambda t: gj.norm(t, order, axis, keepdims), x)


def test_unknown_norms_are_refused() -> None:
    for arguments in (("nuclear",), (-1,), (0,), ("fro", 0), (3, (0, 1)), (1, (0, 0))):
        with pytest.raises(InvalidArgumentError, match="norm"):
            gj.norm(numbers(2, 2), *arguments)


def test_l2_normalize() -> None:
    x = numbers(3, 4)
    both_modes(lambda t: gj.math.l2_normalize(t, 1), x)
    np.testing.assert_allclose(gj.nn.l2_normalize(x, 1), x / np.linalg.norm(x, axis=1, keepdims=True))
    assert gradient(gj.math.l2_normalize, [0.0, 0.0]).tolist() == [1e6, 1e6]
    check_gradient(lambda t: gj.math.l2_normalize(t, 1), x)


def test_clip_by_norm() -> None:
    x = numbers(3, 4)
    for axes in (None, [1]):
        norm = np.sqrt(np.sum(x * x, axis=None if axes is None else 1, keepdims=True))
        wanted = x * np.minimum(1.0, 1.2 / norm)
        np.testing.assert_allclose(both_modes(lambda t, a=axes: gj.clip_by_norm(t, 1.2, a), x), wanted)
        check_gradient(lambda t, a=axes: gj.clip_by_norm(t, 1.2, a), x)
    assert gradient(lambda t: gj.clip_by_norm(t, 1.0), [0.0, 0.0]).tolist() == [1.0, 1.0]


def test_clip_by_global_norm() -> None:
    parts = [numbers(3), None, numbers(2, 2)]
    total = np.sqrt(sum(float(np.sum(one**2)) for one in parts if one is not None))
    assert gj.linalg.global_norm(parts).numpy() == pytest.approx(total)
    for limit in (0.5, 100.0):
        clipped, norm = gj.clip_by_global_norm(parts, limit)
        assert clipped[1] is None and norm.numpy() == pytest.approx(total)
        np.testing.assert_allclose(clipped[0], parts[0] * min(1.0, limit / total))
    zeros, _ = gj.clip_by_global_norm([gj.zeros([2])], 1.0)
    assert zeros[0].numpy().tolist() == [0.0, 0.0]
    bad, _ = gj.clip_by_global_norm([gj.constant([np.inf, 1.0])], 1.0)
    assert np.isnan(np.asarray(bad[0])).all()
    for wrong in ([], [None], gj.zeros([2])):
        with pytest.raises(InvalidArgumentError, match="t_list"):
            gj.clip_by_global_norm(wrong, 1.0)


# --- NumPy's functions ----------------------------------------------------------------------------


NUMPY_FUNCTIONS = [
    "sum",
    "prod",
    "max",
    "min",
    "amax",
    "amin",
    "mean",
    "var",
    "std",
    "any",
    "all",
    "ptp",
    "count_nonzero",
    "argmax",
    "argmin",
    "cumsum",
    "cumprod",
    "average",
]


@pytest.mark.parametrize("name", NUMPY_FUNCTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
def test_numpy_functions_mean_what_numpy_means(name: str, dtype: str) -> None:
    """Row H6: values, shapes and dtypes, in both modes."""
    x = (numbers(3, 4) * 5 + 20).astype(dtype)
    function = getattr(np, name)
    for keywords in ({}, {"axis": 0}, {"axis": -1}):
        wanted = np.asarray(function(x, **keywords))
        found = both_modes(lambda t, given=keywords: function(t, **given), x)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=2e-5)


def test_numpy_keywords() -> None:
    x = numbers(3, 4)
    t = gj.constant(x)
    np.testing.assert_allclose(np.var(t, axis=1, ddof=1), np.var(x, axis=1, ddof=1))
    np.testing.assert_allclose(np.std(t, 0, ddof=1, keepdims=True), np.std(x, 0, ddof=1, keepdims=True))
    np.testing.assert_allclose(np.sum(t, axis=(0, 1), keepdims=True), x.sum(keepdims=True))
    assert np.sum(gj.constant([1, 2]), dtype=np.float64).dtype == gj.float64
    assert np.argmax(t) == np.argmax(x)
    assert np.argmin(t, axis=1, keepdims=True).shape == (3, 1)
    assert np.sum(gj.constant([True, True])).numpy() == 2
    assert np.any(gj.constant([0.0, 2.0])).numpy() and not np.all(gj.constant([0, 2])).numpy()
    with pytest.raises(UnimplementedError, match="where"):
        np.sum(t, where=x > 0)
    with pytest.raises(InvalidArgumentError, match="out"):
        np.sum(t, out=np.zeros(()))


def test_numpy_norm() -> None:
    x = numbers(3, 4)
    for keywords in ({}, {"ord": "fro"}, {"ord": 1}, {"ord": 2}, {"axis": 0}, {"axis": 0, "ord": 0},
                     {"axis": 1, "ord": -np.inf}, {"axis": (1, 0), "ord": 1}):  # fmt: skip
        np.testing.assert_allclose(np.linalg.norm(gj.constant(x), **keywords), np.linalg.norm(x, **keywords))


def test_axes_may_be_known_tensors() -> None:
    """Made while tracing, or eager; not ones that come from outside into a graph."""
    x = numbers(2, 3, 4)
    for axis in ([0, 2], 1):
        wanted = x.sum(tuple(np.atleast_1d(axis).tolist()))
        np.testing.assert_allclose(both_modes(lambda t, a=axis: gj.reduce_sum(t, gj.constant(a)), x), wanted)
    np.testing.assert_allclose(gj.reduce_sum(x, gj.constant([0, 1])), x.sum((0, 1)))
    with pytest.raises(ShapeError, match="axes must be known"):
        gj.compile(gj.reduce_sum)(x, gj.constant([0]))
