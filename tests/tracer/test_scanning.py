"""Loops over rows: `scan`, `foldl`, `foldr`, `map_fn`, `vectorized_map` (row F3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("start", [None, 10])
def test_f3_scan(reverse: bool, start: int | None) -> None:
    def f(x: Any) -> Any:
        return gj.scan(lambda a, row: 2 * a + row, x, start, reverse=reverse)

    rows = [1, 2, 3, 4][:: -1 if reverse else 1]
    wanted: list[int] = []
    for row in rows:
        wanted.append(row if start is None and not wanted else 2 * (wanted[-1] if wanted else start or 0) + row)
    found = both_ways(f, gj.constant([1, 2, 3, 4]))
    assert found.numpy().tolist() == wanted[:: -1 if reverse else 1]


def test_f3_scan_of_structures() -> None:
    """A Fibonacci sequence, and a carried value of another type than the rows."""

    def f(n: Any) -> Any:
        return gj.scan(lambda a, _: (a[1], a[0] + a[1]), n, (0, 1))

    first, _ = both_ways(f, gj.zeros([6]))
    assert first.numpy().tolist() == [1, 1, 2, 3, 5, 8]


def test_f3_folds() -> None:
    def f(x: Any) -> Any:
        left = gj.foldl(lambda a, row: a * 10 + row, x)
        right = gj.foldr(lambda a, row: a * 10.0 + gj.cast(row, gj.float32), x, 0.0)
        return left, right

    left, right = both_ways(f, gj.constant([1, 2, 3]))
    assert (int(left), float(right)) == (123, 321.0)


def test_f3_map_fn() -> None:
    def f(x: Any, y: Any) -> Any:
        return gj.map_fn(
            lambda pair: {"sum": pair[0] + gj.reduce_sum(pair[1]), "index": gj.argmax(pair[1])},
            (x, y),
            fn_output_signature={"sum": gj.float32, "index": gj.TensorSpec([], gj.int64)},
        )

    both_ways(f, gj.constant([1.0, 2.0]), gj.constant([[1.0, 2.0], [5.0, 3.0]]))


def test_f3_map_fn_says_when_the_dtype_changes() -> None:
    with pytest.raises(gj.errors.DtypeError, match=r"fn_output_signature=gj\.int64"):
        gj.map_fn(gj.argmax, gj.constant([[1.0, 2.0]]))


def test_vectorized_map_of_anything() -> None:
    def f(x: Any) -> Any:
        return gj.vectorized_map(lambda row: (gj.sort(row), gj.linalg.norm(row), row[0] > 0), x)

    compiled = gj.compile(f)
    x = gj.constant(np.random.default_rng(3).normal(size=(4, 3)))
    for one, other in zip(compiled(x), f(x), strict=True):
        np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-12)


@pytest.mark.parametrize("compiled", [False, True])
def test_no_rows(compiled: bool) -> None:
    def f(x: Any) -> Any:
        return gj.scan(lambda a, row: a + row, x, gj.ones([2])), gj.vectorized_map(lambda row: row[:1] > 0, x)

    totals, flags = (gj.compile(f) if compiled else f)(gj.zeros([0, 2]))
    assert (totals.shape.as_list(), flags.shape.as_list(), flags.dtype) == ([0, 2], [0, 1], gj.bool)


def test_rows_must_match() -> None:
    with pytest.raises(gj.errors.ShapeError, match="equally many rows"):
        gj.scan(lambda a, row: a, (gj.zeros([2]), gj.zeros([3])), 0.0)
    with pytest.raises(gj.errors.ShapeError, match="scalar"):
        gj.map_fn(lambda row: row, gj.constant(1.0))


def test_unknown_number_of_rows() -> None:
    """Row A12: a graph for any number of rows."""

    @gj.compile(input_signature=[gj.TensorSpec([None, 2], gj.float32)])
    def f(x: Any) -> Any:
        return gj.scan(lambda a, row: a + row, x, gj.zeros([2]))

    for rows in (1, 3, 0):
        x = np.random.default_rng(rows).normal(size=(rows, 2)).astype(np.float32)
        np.testing.assert_allclose(f(gj.constant(x)).numpy(), np.cumsum(x, 0), rtol=1e-6)


def gradients(f: Callable[..., Any], *arguments: Any) -> list[Any]:
    with gj.GradientTape() as tape:
        tape.watch(arguments)
        y = f(*arguments)
    return [one.numpy() for one in tape.gradient(y, list(arguments))]


def rnn(x: Any, w: Any, h: Any) -> Any:
    states = gj.scan(lambda state, row: gj.tanh(gj.linalg.matvec(w, state) + row), x, h)
    return gj.reduce_sum(states * states) + gj.reduce_sum(gj.foldr(lambda a, row: a * 0.5 + row, x))


def test_f6_gradients_of_scans() -> None:
    random = np.random.default_rng(1)
    arguments = [gj.constant(random.normal(size=shape)) for shape in ((5, 3), (3, 3), (3,))]
    wanted = gradients(rnn, *arguments)
    for found, one in zip(gradients(gj.compile(rnn), *arguments), wanted, strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-10)


def test_g13_recompute_grad_in_a_scan() -> None:
    cell = gj.recompute_grad(lambda w, state, row: gj.tanh(gj.linalg.matvec(w, state) + row))

    def f(x: Any, w: Any, h: Any) -> Any:
        return gj.reduce_sum(gj.scan(lambda state, row: cell(w, state, row), x, h))

    random = np.random.default_rng(2)
    arguments = [gj.constant(random.normal(size=shape)) for shape in ((5, 3), (3, 3), (3,))]
    for found, one in zip(gradients(gj.compile(f), *arguments), gradients(f, *arguments), strict=True):
        np.testing.assert_allclose(found, one, rtol=1e-10)


def test_c7_variables_in_scans() -> None:
    v = gj.Variable(1.0)

    def f(x: Any) -> Any:
        return gj.vectorized_map(lambda row: v.assign_add(row) * 2.0, x)

    found = gj.compile(f)(gj.constant([1.0, 2.0, 3.0])).numpy().tolist()
    assert (found, float(v)) == ([4.0, 8.0, 14.0], 7.0)


def test_vmap_along_axes() -> None:
    def f(a: Any, b: Any, c: Any) -> Any:
        return gj.vmap(lambda x, y, z: (x * y["k"] + z, gj.reduce_max(x)), in_axes=(1, 0, None), out_axes=-1)(a, b, c)

    a, b = np.arange(6.0).reshape(2, 3), np.array([1.0, 10.0, 100.0])
    for way in (f, gj.compile(f)):
        first, second = way(gj.constant(a), {"k": gj.constant(b)}, gj.constant(0.5, gj.float64))
        np.testing.assert_allclose(first.numpy(), a * b + 0.5)
        np.testing.assert_allclose(second.numpy(), a.max(0))


def test_vmap_of_gradients() -> None:
    """A gradient for each example."""

    def slope(w: Any, x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(w)
            y = gj.sin(gj.reduce_sum(w * x))
        return tape.gradient(y, w)

    random = np.random.default_rng(0)
    w, x = gj.constant(random.normal(size=3)), gj.constant(random.normal(size=(5, 3)))
    wanted = np.cos(x.numpy() @ w.numpy())[:, None] * x.numpy()
    for way in (gj.vmap(slope, (None, 0)), gj.compile(gj.vmap(slope, (None, 0)))):
        np.testing.assert_allclose(way(w, x).numpy(), wanted, rtol=1e-12)


def test_vmap_needs_something_to_slice() -> None:
    with pytest.raises(gj.errors.InvalidArgumentError, match="in_axes"):
        gj.vmap(lambda x: x, in_axes=None)(gj.zeros([2]))
