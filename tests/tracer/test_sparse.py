"""Sparse tensors against NumPy and SciPy; sets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bothways import both_ways
from scipy.sparse import random_array

import graphjit as gj


def _random(shape: tuple[int, int], seed: int, dtype: Any = np.float64) -> Any:
    generator = np.random.default_rng(seed)
    return random_array(shape, density=0.3, rng=generator, dtype=np.float64).toarray().astype(dtype)


def test_parts_and_repr() -> None:
    x = gj.SparseTensor(indices=[[0, 1], [1, 0]], values=[1.0, 2.0], dense_shape=[2, 3])
    assert (x.shape.as_list(), x.dtype, x.rank, x.dense_shape.numpy().tolist()) == ([2, 3], gj.float32, 2, [2, 3])
    assert repr(x) == "gj.SparseTensor(indices=[[0, 1], [1, 0]], values=[1.0, 2.0], shape=(2, 3), dtype=float32)"
    assert gj.SparseTensor([], gj.zeros([0]), [2, 3]).indices.shape == (0, 2)


def test_dense_and_back() -> None:
    dense = _random((5, 7), 0)
    x = gj.sparse.from_dense(dense)
    assert len(x.values) == np.count_nonzero(dense)
    np.testing.assert_array_equal(both_ways(gj.sparse.to_dense, x).numpy(), dense)
    assert gj.sparse.to_dense(gj.SparseTensor([[1]], [5], [3]), default_value=-1).numpy().tolist() == [-1, 5, -1]
    words = gj.sparse.from_dense(gj.constant([["", "a"], ["b", ""]]))
    assert words.values.numpy().tolist() == [b"a", b"b"]
    assert gj.sparse.to_dense(words).numpy().tolist() == [[b"", b"a"], [b"b", b""]]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int32])
@pytest.mark.parametrize("adjoint_a", [False, True])
@pytest.mark.parametrize("adjoint_b", [False, True])
def test_products(dtype: Any, adjoint_a: bool, adjoint_b: bool) -> None:
    """Against NumPy's product, in any order of places."""
    dense = np.round(_random((5, 7), 1) * 8).astype(dtype)
    other = np.round(np.random.default_rng(2).normal(size=(5 if adjoint_a else 7, 3)) * 4).astype(dtype)
    other = other.T.copy() if adjoint_b else other
    x = gj.sparse.from_dense(dense)
    mixed = gj.SparseTensor(x.indices[::-1], x.values[::-1], x.dense_shape)
    wanted = (dense.T if adjoint_a else dense) @ (other.T if adjoint_b else other)
    for one in (x, mixed):
        found = both_ways(lambda x, y: gj.sparse.sparse_dense_matmul(x, y, adjoint_a, adjoint_b), one, other)
        np.testing.assert_array_equal(found.numpy(), wanted, strict=True)


def test_at_sign() -> None:
    """@ on either side, with tensors, arrays and variables."""
    dense, other = _random((5, 7), 3), np.random.default_rng(4).normal(size=(7, 3))
    x, w = gj.sparse.from_dense(dense), gj.Variable(other)
    f = gj.compile(lambda x, y: x @ y)
    for found in (x @ other, x @ gj.constant(other), x @ w, f(x, other), f(x, w)):
        np.testing.assert_allclose(found.numpy(), dense @ other)
    t = gj.sparse.transpose(x)
    for found in (other.T @ t, gj.constant(other.T) @ t, f(gj.constant(other.T), t)):
        np.testing.assert_allclose(found.numpy(), other.T @ dense.T)
    np.testing.assert_allclose(gj.sparse.sparse_dense_matmul(other.T, t).numpy(), other.T @ dense.T)


def test_repeated_places_add_up_in_products() -> None:
    x = gj.SparseTensor([[0, 0], [0, 0]], [1.0, 2.0], [1, 1])
    assert (x @ [[2.0]]).numpy().tolist() == [[6.0]]
    assert gj.sparse.reduce_sum(x).numpy() == 3.0


def test_arithmetic() -> None:
    """Sums are sparse if both are; products with numbers and dense tensors are sparse."""
    a, b = _random((4, 5), 5), _random((4, 5), 6)

    def f(x: Any, y: Any, d: Any) -> Any:
        sums = [gj.sparse.to_dense(one) for one in (x + y, x - y, gj.sparse.add(x, y), x * 2.0, x / 4.0, -x, x * d)]
        return [*sums, x + d, d - x, x - d, gj.sparse.to_dense(gj.square(x)), gj.sparse.to_dense(d * x)]

    wanted = [a + b, a - b, a + b, a * 2, a / 4, -a, a * b, a + b, b - a, a - b, a**2, a * b]
    for one, other in zip(both_ways(f, gj.sparse.from_dense(a), gj.sparse.from_dense(b), b), wanted, strict=True):
        np.testing.assert_allclose(one.numpy(), other)
    x = gj.sparse.from_dense([1.0, -0.1])
    assert gj.sparse.add(x, x, threshold=0.5).values.numpy().tolist() == [2.0]


@pytest.mark.parametrize("axis", [None, 0, 1, -1, [0, 1], [2, 0]])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums(axis: Any, keepdims: bool) -> None:
    generator = np.random.default_rng(7)
    dense = np.where(generator.random((3, 4, 5)) < 0.3, generator.integers(-9, 9, (3, 4, 5)), 0).astype(float)
    found = both_ways(lambda x: gj.reduce_sum(x, axis=axis, keepdims=keepdims), gj.sparse.from_dense(dense))
    axes = tuple(axis) if isinstance(axis, list) else axis
    np.testing.assert_allclose(found.numpy(), dense.sum(axis=axes, keepdims=keepdims))
    again = gj.sparse.reduce_sum(gj.sparse.from_dense(dense), axis=1, output_is_sparse=True)
    np.testing.assert_allclose(gj.sparse.to_dense(again).numpy(), dense.sum(axis=1))


def test_arranging() -> None:
    """Places move as the elements of the dense tensor do."""
    dense = np.where(np.random.default_rng(9).random((3, 4, 5)) < 0.3, np.arange(60.0).reshape(3, 4, 5) + 1, 0)

    def f(x: Any) -> Any:
        return (
            gj.sparse.transpose(x), gj.sparse.transpose(x, [1, 2, 0]), gj.sparse.slice(x, [1, 0, 2], [2, 2, 9]),
            gj.sparse.concat(1, [x, x]), gj.sparse.concat(-1, [x, x]), gj.sparse.reshape(x, [6, -1]),
            gj.sparse.expand_dims(x, 1), gj.sparse.map_values(gj.add, x, 1.0), gj.sparse.retain(x, x.values > 20.0),
        )  # fmt: skip

    wanted = (
        dense.T, dense.transpose(1, 2, 0), dense[1:3, 0:2, 2:], np.concatenate([dense, dense], 1),
        np.concatenate([dense, dense], -1), dense.reshape(6, -1), dense[:, None], np.where(dense != 0, dense + 1, 0),
        np.where(dense > 20, dense, 0),
    )  # fmt: skip
    for one, other in zip(both_ways(f, gj.sparse.from_dense(dense)), wanted, strict=True):
        assert one.shape == other.shape
        np.testing.assert_array_equal(gj.sparse.to_dense(one).numpy(), other)
    mixed = gj.SparseTensor([[2], [0], [1]], [3, 1, 2], [4])
    assert both_ways(gj.sparse.reorder, mixed).values.numpy().tolist() == [1, 2, 3]


def _cubes(x: Any) -> Any:
    return gj.reduce_sum(gj.sparse.to_dense(x) ** 3)


GRADIENTS: dict[str, Callable[[Any, Any], Any]] = {
    "product": lambda x, d: gj.reduce_sum(gj.sin(x @ d)),
    "adjoint": lambda x, d: gj.reduce_sum(
        gj.sparse.sparse_dense_matmul(x, d[:4], adjoint_a=True) ** 2
    ) + gj.reduce_sum(gj.sparse.sparse_dense_matmul(x, gj.transpose(d), adjoint_b=True) ** 2),
    "whole": lambda x, d: gj.reduce_sum(gj.sparse.to_dense(x) @ d),
    "sums": lambda x, d: gj.reduce_sum(gj.sparse.reduce_sum(x + x * 3.0, axis=0) ** 2) * d[0, 0],
    "places": lambda x, d: _cubes(gj.sparse.transpose(gj.sparse.concat(0, [x, x]))) + d[1, 1],
    "dense": lambda x, d: gj.reduce_sum((x + gj.transpose(d)[:, :5] @ gj.eye(5, dtype=gj.float64)) ** 2),
    "part": lambda x, d: gj.reduce_sum(gj.sparse.slice(x, [0, 1], [2, 3]).values ** 2) * gj.reduce_sum(d**2),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_g_gradients(name: str) -> None:
    """To the elements and to the dense side, against central differences, eagerly and compiled."""
    function = GRADIENTS[name]
    x = gj.sparse.from_dense(_random((4, 5), 10))
    d = np.random.default_rng(11).normal(size=(5, 4))

    def gradient(x: Any, d: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch([x, d])
            y = function(x, d)
        return tape.gradient(y, [x, d], unconnected_gradients="zero")

    compiled = gj.compile(gradient)
    for of_x, of_d in (gradient(x, gj.constant(d)), compiled(x, gj.constant(d))):
        assert isinstance(of_x, gj.SparseTensor)
        np.testing.assert_array_equal(of_x.indices.numpy(), x.indices.numpy())
        _near(of_x.values.numpy(), lambda v: float(function(x.with_values(v), gj.constant(d))), x.values.numpy())
        _near(of_d.numpy(), lambda v: float(function(x, gj.constant(v))), d)


def _near(found: Any, function: Callable[[Any], float], at: Any) -> None:
    wanted = np.zeros_like(at)
    for place in np.ndindex(at.shape):
        step = np.zeros_like(at)
        step[place] = 1e-6
        wanted[place] = (function(at + step) - function(at - step)) / 2e-6
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_training_on_sparse_input() -> None:
    """A step of gradient descent on a sparse batch is the one on the dense batch."""
    batch = _random((8, 20), 12, np.float32)
    target = np.random.default_rng(13).normal(size=(8, 2)).astype(np.float32)
    weights = [gj.Variable(np.ones((20, 2), np.float32)) for _ in range(2)]

    def step(x: Any, w: Any) -> None:
        with gj.GradientTape() as tape:
            loss = gj.reduce_mean((x @ w - target) ** 2)
        w.assign_sub(0.1 * tape.gradient(loss, w))

    compiled = gj.compile(step)
    for _ in range(3):
        compiled(gj.sparse.from_dense(batch), weights[0])
        step(gj.constant(batch), weights[1])
    np.testing.assert_allclose(weights[0].numpy(), weights[1].numpy(), rtol=1e-5, atol=1e-6)


def test_a5_another_shape_is_another_signature() -> None:
    """A5: the shape of the whole is static in traces."""
    f = gj.compile(gj.sparse.to_dense)
    assert f(gj.SparseTensor([[0]], [1], [2])).shape == (2,) and f(gj.SparseTensor([[1]], [7], [2])).shape == (2,)
    assert f.trace_count == 1
    assert f(gj.SparseTensor([[0]], [1], [3])).shape == (3,) and f.trace_count == 2
    assert "%sp_input.values" in f.dump("traced")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: gj.SparseTensor([[0, 9]], [1.0], [2, 3]), gj.errors.OutOfRangeError, r"\[0, 9\].*\[2, 3\]"),
        (lambda x: gj.SparseTensor([[0]], [1.0], [2, 3]), gj.errors.ShapeError, "dense_shape of 2"),
        (lambda x: gj.SparseTensor([[0]], [1.0, 2.0], [2]), gj.errors.ShapeError, "1 indices for 2 values"),
        (lambda x: x + 1.0, gj.errors.DtypeError, "full of other elements"),
        (lambda x: gj.cos(x), gj.errors.DtypeError, "map_values"),
        (lambda x: x @ np.ones((3, 3)), gj.errors.ShapeError, "7 columns for 3 rows"),
        (lambda x: x @ x, gj.errors.DtypeError, "both factors are sparse"),
        (lambda x: gj.concat([x, x], 0), gj.errors.DtypeError, "gj.sparse.concat"),
        (lambda x: gj.reduce_max(x), gj.errors.DtypeError, "to_dense"),
        (lambda x: x[0], gj.errors.DtypeError, "gj.sparse.slice"),
        (lambda x: gj.sparse.add(1.0, 2.0), gj.errors.DtypeError, "at least one"),
        (lambda x: x + gj.sparse.eye(3), gj.errors.ShapeError, "does not go"),
        (lambda x: gj.sparse.transpose(x, [0, 0]), gj.errors.ShapeError, "each of 2 axes"),
        (lambda x: gj.sparse.reshape(x, [3, 3]), gj.errors.ShapeError, "35 elements"),
        (lambda x: gj.sparse.to_dense([1.0]), gj.errors.DtypeError, "from_dense makes one"),
        (lambda x: _vector([1, 0]), gj.errors.InvalidArgumentError, "reorder"),
        (lambda x: _vector([1, 1]), gj.errors.InvalidArgumentError, "repeated"),
    ],
)  # fmt: skip
def test_refused(call: Any, error: type[Exception], words: str) -> None:
    """Bad uses say what was needed and what to do."""
    with pytest.raises(error, match=words):
        call(gj.sparse.from_dense(_random((5, 7), 14)))


def _vector(places: list[int]) -> Any:
    return gj.sparse.to_dense(gj.SparseTensor([[one] for one in places], [1, 2], [2]))


# --- sets -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize(
    ("function", "plain"),
    [
        (gj.sets.union, set.union),
        (gj.sets.intersection, set.intersection),
        (gj.sets.difference, set.difference),
        (lambda a, b: gj.sets.difference(a, b, aminusb=False), lambda a, b: b - a),
    ],
    ids=["union", "intersection", "a-b", "b-a"],
)
def test_sets(function: Any, plain: Any, as_sparse: bool) -> None:
    """Against Python's sets, row by row."""
    generator = np.random.default_rng(15)
    a, b = generator.integers(1, 6, (2, 3, 4)), generator.integers(1, 6, (2, 3, 5))
    given = [gj.sparse.from_dense(a), gj.sparse.from_dense(b)] if as_sparse else [gj.constant(a), gj.constant(b)]
    found = both_ways(function, *given)
    assert isinstance(found, gj.SparseTensor) and found.shape.as_list()[:2] == [2, 3]
    dense = gj.sparse.to_dense(found).numpy()
    for row in np.ndindex(2, 3):
        wanted = sorted(plain(set(a[row].tolist()), set(b[row].tolist())))
        assert dense[row].tolist() == wanted + [0] * (dense.shape[-1] - len(wanted))
    sizes = both_ways(gj.sets.size, found)
    assert sizes.dtype is gj.int32
    for row in np.ndindex(2, 3):
        assert sizes.numpy()[row] == len(plain(set(a[row].tolist()), set(b[row].tolist())))


def test_sets_of_strings_and_vectors() -> None:
    found = both_ways(gj.sets.union, gj.constant(["b", "a"]), gj.constant(["c", "b"]))
    assert found.values.numpy().tolist() == [b"a", b"b", b"c"]
    assert int(gj.sets.size([1, 2, 1])) == 2
    with pytest.raises(gj.errors.ShapeError, match="a scalar has none"):
        gj.sets.size(1)
    with pytest.raises(gj.errors.ShapeError, match="do not go together"):
        gj.sets.union([[1]], [[1], [2]])
