"""Activations, softmax, cross entropies, normalisation; row G17 of the semantics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from differences import check_gradient, check_written
from scipy import special

import graphjit as gj
from graphjit.compiler.ops import crossentropy, softmax as softmax_ops
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, OutOfRangeError, ShapeError

Array = np.ndarray[Any, Any]
FAR = np.array([-np.inf, -1e4, -88.0, -1.0, -0.0, 0.0, 0.5, 88.0, 1e4, np.inf, np.nan])


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
    rtol = {"float16": 1e-3, "float32": 1e-5}.get(str(eager.dtype), 1e-12)
    np.testing.assert_allclose(compiled, eager, rtol=rtol, atol=rtol * 1e-2, strict=True)
    return eager


# --- activations ----------------------------------------------------------------------------------

_SCALE, _ALPHA = 1.0507009873554805, 1.6732632423543772

ACTIVATIONS: dict[str, tuple[Any, Callable[[Array], Array]]] = {
    "relu": (gj.nn.relu, lambda x: np.maximum(x, 0)),
    "relu6": (gj.nn.relu6, lambda x: np.clip(x, 0, 6)),
    "leaky_relu": (gj.nn.leaky_relu, lambda x: np.where(x > 0, x, 0.2 * x)),
    "elu": (gj.nn.elu, lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0)))),
    "selu": (gj.nn.selu, lambda x: _SCALE * np.where(x > 0, x, _ALPHA * np.expm1(np.minimum(x, 0)))),
    "gelu": (gj.nn.gelu, lambda x: x * special.ndtr(x)),
    "gelu approximate": (
        lambda x: gj.nn.gelu(x, approximate=True),
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
    ),
    "silu": (gj.nn.silu, lambda x: x * special.expit(x)),
    "swish beta": (lambda x: gj.nn.swish(x, beta=2.0), lambda x: x * special.expit(2 * x)),
    "log_sigmoid": (gj.nn.log_sigmoid, special.log_expit),
    "softsign": (gj.nn.softsign, lambda x: x / (1 + np.abs(x))),
    "softplus": (gj.nn.softplus, lambda x: np.logaddexp(x, 0)),
    "sigmoid": (gj.nn.sigmoid, special.expit),
    "hard_sigmoid": (gj.nn.hard_sigmoid, lambda x: np.clip(x + 3, 0, 6) / 6),
    "hard_silu": (gj.nn.hard_silu, lambda x: x * np.clip(x + 3, 0, 6) / 6),
    "hard_tanh": (gj.nn.hard_tanh, lambda x: np.clip(x, -1, 1)),
}


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_activations(name: str, dtype: str) -> None:
    """Values over the line, the same in both modes; NaN stays NaN."""
    ours, wanted = ACTIVATIONS[name]
    x = np.linspace(-9.05, 9.05, 100).astype(dtype).reshape(4, 25)
    found = both_modes(ours, x)
    np.testing.assert_allclose(found, wanted(x), rtol=1e-5 if dtype == "float32" else 1e-12, atol=1e-6)
    assert np.isnan(both_modes(ours, np.array([np.nan], dtype))).all()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_slopes_of_activations(name: str) -> None:
    """Away from kinks the rule is the derivative, twice."""
    ours, _ = ACTIVATIONS[name]
    x = np.array([-4.2, -2.1, -0.7, -0.2, 0.3, 0.9, 2.2, 5.1])
    check_gradient(ours, x)

    def slope(t: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(t)
            y = ours(t)
        return tape.gradient(y, t) + 0.0 * t

    check_gradient(slope, x)


def test_slopes_at_kinks() -> None:
    """Row G17: relu'(0) is 0; softplus far out is exact and finite."""
    assert gradient(gj.nn.relu, [-1.0, 0.0, -0.0, 2.0]).tolist() == [0, 0, 0, 1]
    assert gradient(gj.nn.relu6, [-1.0, 0.0, 3.0, 6.0, 7.0]).tolist() == [0, 0, 1, 0, 0]
    assert gradient(lambda x: gj.nn.leaky_relu(x, 0.5), [-1.0, 0.0, 1.0]).tolist() == [0.5, 0.5, 1]
    assert gradient(gj.nn.elu, [0.0, 1.0]).tolist() == [1, 1]
    assert gradient(gj.nn.softplus, [-100.0, 100.0]).tolist() == [pytest.approx(np.exp(-100), rel=1e-5), 1.0]
    assert gradient(gj.nn.log_sigmoid, [1e4, -1e4]).tolist() == [0.0, 1.0]
    assert gradient(gj.nn.relu, [np.nan, np.inf]).tolist() == [0, 1]


def test_activations_far_out() -> None:
    assert both_modes(gj.nn.relu, FAR[:-1]).tolist() == [0, 0, 0, 0, 0, 0, 0.5, 88, 1e4, np.inf]
    np.testing.assert_array_equal(both_modes(gj.nn.elu, FAR[:2]), [-1, -1])
    np.testing.assert_array_equal(both_modes(gj.nn.log_sigmoid, FAR[[0, 1, 8, 9]]), [-np.inf, -1e4, 0, 0])


def test_integers_pass_through_relu_only() -> None:
    assert both_modes(gj.nn.relu, np.array([-3, 4], np.int32)).tolist() == [0, 4]
    for function in (gj.nn.elu, gj.nn.gelu, gj.nn.hard_sigmoid, gj.nn.leaky_relu):
        with pytest.raises(DtypeError, match="float"):
            function(gj.constant([1, 2]))


def test_slope_of_leaky_relu_by_its_factor() -> None:
    check_gradient(gj.nn.leaky_relu, numbers(3, 4), numbers(4))


# --- softmax --------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_softmax_and_log_softmax(axis: int) -> None:
    x = numbers(2, 3, 4) * 5
    np.testing.assert_allclose(both_modes(lambda t: gj.nn.softmax(t, axis), x), special.softmax(x, axis))
    np.testing.assert_allclose(both_modes(lambda t: gj.nn.log_softmax(t, axis), x), special.log_softmax(x, axis))
    for function in (gj.nn.softmax, gj.nn.log_softmax):
        check_gradient(lambda t, f=function: f(t, axis), x)
        check_gradient(lambda t, f=function: _slope(lambda u: f(u, axis), t), x)
        check_written(lambda t, f=function: f(t, axis), x)


def _slope(function: Callable[[Any], Any], t: Any) -> Any:
    with gj.GradientTape() as tape:
        tape.watch(t)
        y = gj.reduce_sum(gj.square(function(t)))
    return tape.gradient(y, t)


def test_softmax_far_out() -> None:
    """No overflow; a row that holds NaN or plus infinity, or only minus infinity, is NaN."""
    x = np.array([[1e4, -1e4, 0], [-1e30, -1e30, -1e30], [0, -np.inf, 0]])
    np.testing.assert_array_equal(both_modes(gj.nn.softmax, x), [[1, 0, 0], [1 / 3] * 3, [0.5, 0, 0.5]])
    bad = np.array([[np.inf, 0], [-np.inf, -np.inf], [np.nan, 0]])
    assert np.isnan(both_modes(gj.nn.softmax, bad)).all()
    assert np.isnan(np.asarray(gj.nn.log_softmax(bad))).all()
    half = np.array([[60000, 59999, -60000]], np.float16)
    np.testing.assert_allclose(both_modes(gj.nn.softmax, half), special.softmax(half.astype(float), 1), rtol=1e-3)


def test_softmax_needs_an_axis() -> None:
    with pytest.raises(ShapeError, match="rank 0"):
        gj.nn.softmax(1.0)
    with pytest.raises(DtypeError, match="logits"):
        gj.nn.softmax([1, 2])


def test_each_of_these_is_one_line_in_a_graph() -> None:
    """Composed ops keep their name until they are expanded, also in gradients."""
    ops = (softmax_ops.softmax_op, softmax_ops.log_softmax_op, softmax_ops.logsumexp_op,
           crossentropy.dense_op, crossentropy.sparse_op)  # fmt: skip
    assert all(op.kind == "composed" and callable(op.definition) for op in ops)


# --- cross entropies ------------------------------------------------------------------------------


def test_sparse_cross_entropy() -> None:
    logits, labels = numbers(2, 3, 5), np.array([[0, 4, 2], [1, 1, 3]], np.int32)
    wanted = -np.take_along_axis(special.log_softmax(logits, -1), labels[..., None], -1)[..., 0]
    for dtype in (np.int32, np.int64, np.uint8, np.int8):
        found = both_modes(gj.nn.sparse_softmax_cross_entropy_with_logits, labels.astype(dtype), logits)
        np.testing.assert_allclose(found, wanted)

    def loss(x: Any) -> Any:
        return gj.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=x)

    check_gradient(loss, logits)
    check_gradient(lambda t: _slope(loss, t), logits)
    check_written(loss, logits)
    check_written(lambda t: _slope(loss, t), logits)


def test_sparse_cross_entropy_far_out() -> None:
    """A row kernel without 0 * inf: minus infinity beside the label does no harm."""
    logits = np.array([[1e4, 0.0, -np.inf], [-np.inf, 0.0, 0.0]])
    found = both_modes(gj.nn.sparse_softmax_cross_entropy_with_logits, np.array([0, 1]), logits)
    np.testing.assert_allclose(found, [0.0, np.log(2)])
    slopes = gradient(lambda x: gj.nn.sparse_softmax_cross_entropy_with_logits([1, 1], x), logits)
    np.testing.assert_allclose(slopes, [[1, -1, 0], [0, -0.5, 0.5]], atol=1e-12)


def test_labels_that_are_no_class_are_errors_in_both_modes() -> None:
    """Never a clamp, never NaN; the error names the label, also where nobody reads the loss."""
    function = gj.nn.sparse_softmax_cross_entropy_with_logits

    def unused(labels: Any, logits: Any) -> Any:
        function(labels, logits)
        return logits

    logits = gj.zeros([3, 4])
    for labels, wrong in (([0, 4, 1], 4), ([0, 1, -1], -1)):
        for run in (function, gj.compile(function), gj.compile(unused)):
            with pytest.raises(OutOfRangeError, match=rf"label {wrong}\b.*outside of \[0, 4\)"):
                run(gj.constant(labels), logits)


def test_sparse_cross_entropy_refuses_what_does_not_fit() -> None:
    function = gj.nn.sparse_softmax_cross_entropy_with_logits
    with pytest.raises(ShapeError, match="without the last axis"):
        function(gj.constant([[0], [1]]), gj.zeros([2, 3]))
    with pytest.raises(DtypeError, match="probabilities"):
        function(gj.constant([0.0, 1.0]), gj.zeros([2, 3]))


def test_dense_cross_entropy() -> None:
    logits, labels = numbers(2, 3, 5), special.softmax(numbers(2, 3, 5, seed=1), 1)
    function = gj.nn.softmax_cross_entropy_with_logits
    for axis in (1, -1):
        wanted = -np.sum(labels * special.log_softmax(logits, axis), axis)
        np.testing.assert_allclose(both_modes(lambda p, x, a=axis: function(p, x, axis=a), labels, logits), wanted)
        check_gradient(lambda p, x, a=axis: function(p, x, axis=a), labels, logits)
        check_gradient(lambda x, a=axis: _slope(lambda t: function(labels, t, axis=a), x), logits)
    check_written(function, labels, logits)


def test_dense_cross_entropy_where_labels_are_zero() -> None:
    """A label of 0 contributes 0, even where its logit is minus infinity."""
    found = both_modes(gj.nn.softmax_cross_entropy_with_logits, np.array([[1.0, 0.0]]), np.array([[3.0, -np.inf]]))
    assert found.tolist() == [0.0]


def test_dense_cross_entropy_broadcasts() -> None:
    logits, labels = numbers(4, 3), np.array([[0.2, 0.3, 0.5]])
    wanted = -np.sum(labels * special.log_softmax(logits, -1), -1)
    np.testing.assert_allclose(both_modes(gj.nn.softmax_cross_entropy_with_logits, labels, logits), wanted)
    with pytest.raises(ShapeError, match="broadcast"):
        gj.nn.softmax_cross_entropy_with_logits(numbers(2, 3), numbers(4, 3))
    with pytest.raises(DtypeError, match=r"gj\.cast"):
        gj.nn.softmax_cross_entropy_with_logits(gj.constant(labels), gj.zeros([1, 3]))


def test_sigmoid_cross_entropies() -> None:
    x, z = numbers(3, 4) * 3, np.random.default_rng(1).random((3, 4))
    wanted = -z * special.log_expit(x) - (1 - z) * special.log_expit(-x)
    np.testing.assert_allclose(both_modes(gj.nn.sigmoid_cross_entropy_with_logits, z, x), wanted, rtol=1e-10)
    weighted = -z * 2.5 * special.log_expit(x) - (1 - z) * special.log_expit(-x)
    found = both_modes(lambda a, b: gj.nn.weighted_cross_entropy_with_logits(a, b, 2.5), z, x)
    np.testing.assert_allclose(found, weighted, rtol=1e-10)
    check_gradient(gj.nn.sigmoid_cross_entropy_with_logits, z, x)
    check_gradient(lambda a, b: gj.nn.weighted_cross_entropy_with_logits(a, b, 2.5), z, x)
    far = both_modes(gj.nn.sigmoid_cross_entropy_with_logits, np.array([1.0, 0.0]), np.array([1e4, -1e4]))
    assert far.tolist() == [0.0, 0.0]
    with pytest.raises(ShapeError, match="do not fit"):
        gj.nn.sigmoid_cross_entropy_with_logits(labels=[1.0], logits=gj.zeros([2]))


# --- layers as functions --------------------------------------------------------------------------


def test_bias_add() -> None:
    x, b = numbers(2, 3, 4), numbers(4)
    np.testing.assert_array_equal(both_modes(gj.nn.bias_add, x, b), x + b)
    found = both_modes(lambda t, c: gj.nn.bias_add(t, c, data_format="NCW"), x, b[:3])
    np.testing.assert_array_equal(found, x + b[:3, None])
    check_gradient(lambda t, c: gj.nn.bias_add(t, c, data_format="NCW"), x, b[:3])
    for bias, given in ((numbers(3), None), (numbers(4, 1), None), (b, "CHW")):
        with pytest.raises(InvalidArgumentError, match="bias_add"):
            gj.nn.bias_add(x, bias, data_format=given)


def test_batch_normalization() -> None:
    x, scale, offset = numbers(5, 3), numbers(3), numbers(3, seed=2)

    def normalized(t: Any, a: Any, b: Any) -> Any:
        mean, variance = gj.nn.moments(t, [0])
        return gj.nn.batch_normalization(t, mean, variance, b, a, 1e-3)

    wanted = (x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3) * scale + offset
    np.testing.assert_allclose(both_modes(normalized, x, scale, offset), wanted)
    check_gradient(normalized, x, scale, offset)
    with pytest.raises(DtypeError, match="x must hold floats"):
        gj.nn.batch_normalization([1, 2], 1, 1, None, None, 1)


def test_layer_normalization() -> None:
    x, scale, offset = numbers(2, 3, 4), numbers(4), numbers(4, seed=2)
    wanted = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-3) * scale + offset
    np.testing.assert_allclose(both_modes(gj.nn.layer_normalization, x, scale, offset), wanted)
    check_gradient(gj.nn.layer_normalization, x, scale, offset)
    both = both_modes(lambda t: gj.nn.layer_normalization(t, axis=[1, 2]), x)
    np.testing.assert_allclose(both.mean((1, 2)), 0, atol=1e-12)


def test_embedding_lookup() -> None:
    table, ids = numbers(5, 3), np.array([[4, 0], [0, 0]], np.int32)
    np.testing.assert_array_equal(both_modes(gj.nn.embedding_lookup, table, ids), table[ids])
    check_gradient(lambda t: gj.nn.embedding_lookup(t, ids), table)
    limited = np.asarray(gj.nn.embedding_lookup(table, ids, max_norm=0.5))
    assert np.linalg.norm(limited, axis=-1).max() <= 0.5 + 1e-12
    with pytest.raises(OutOfRangeError, match="5"):
        gj.nn.embedding_lookup(table, [5])


def test_l2_loss() -> None:
    x = numbers(3, 4)
    np.testing.assert_allclose(both_modes(gj.nn.l2_loss, x), 0.5 * np.sum(x * x))
    check_gradient(gj.nn.l2_loss, x)


def test_in_top_k() -> None:
    """Ties with the target count as hits; targets that are no class, and rows that are not finite, are misses."""
    scores = np.array([[0.1, 0.7, 0.2], [0.3, 0.3, 0.3], [0.5, np.nan, 0.1], [0.2, 0.1, 0.7]], np.float32)
    targets = np.array([2, 1, 0, 9], np.int32)
    assert both_modes(lambda t, p: gj.nn.in_top_k(t, p, 1), targets, scores).tolist() == [False, True, False, False]
    assert both_modes(lambda t, p: gj.nn.in_top_k(t, p, 2), targets, scores).tolist() == [True, True, False, False]
    with pytest.raises(ShapeError, match="in_top_k"):
        gj.nn.in_top_k([[1]], scores, 1)
