"""TensorArray (row F5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj


def test_f5_in_a_loop() -> None:
    def f(n: Any, x: Any) -> Any:
        array = gj.TensorArray(gj.float32, size=4)
        body = lambda i, array: (i + 1, array.write(i, x * gj.cast(i, gj.float32)))  # noqa: E731 -- as users write it
        return gj.while_loop(lambda i, _: i < n, body, (0, array))[1].stack()

    found = both_ways(f, gj.constant(3), gj.constant([1.0, 2.0]))
    assert found.numpy().tolist() == [[0.0, 0.0], [1.0, 2.0], [2.0, 4.0], [0.0, 0.0]]


def test_f5_gradient_through_a_loop() -> None:
    def f(x: Any) -> Any:
        array = gj.TensorArray(gj.float64, size=3, element_shape=[], clear_after_read=False)
        array = gj.while_loop(
            lambda i, _: i < 3, lambda i, a: (i + 1, a.write(i, x ** gj.cast(i, gj.float64))), (0, array)
        )[1]
        return array.read(1) + 2.0 * array.read(2)

    x = gj.constant(3.0, gj.float64)
    for way in (f, gj.compile(f)):
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = way(x)
        assert (float(y), float(tape.gradient(y, x))) == (21.0, 13.0)


def test_f5_reading_and_writing_at_once() -> None:
    def f() -> Any:
        array = gj.TensorArray(gj.int32, size=0).unstack([[1, 2], [3, 4]])
        parts = gj.TensorArray(gj.int32, size=2).split([5, 6, 7, 8], [2, 2])
        scattered = gj.TensorArray(gj.int32, size=3).scatter([2, 0], [[9, 9], [8, 8]])
        return array.concat(), array.gather([1, 0]), array.size(), parts.stack(), scattered.stack()

    found = [one.numpy().tolist() for one in both_ways(f)]
    wanted = [[1, 2, 3, 4], [[3, 4], [1, 2]], 2, [[5, 6], [7, 8]], [[8, 8], [0, 0], [9, 9]]]
    assert found == wanted


def test_f5_in_branches() -> None:
    def f(x: Any) -> Any:
        array = gj.TensorArray(gj.float32, size=2)
        array = gj.cond(x > 0, lambda: array.write(0, x), lambda: array)
        return array.stack()

    compiled = gj.compile(f)
    np.testing.assert_array_equal(compiled(gj.constant(3.0)).numpy(), [3.0, 0.0])
    np.testing.assert_array_equal(compiled(gj.constant(-3.0)).numpy(), [0.0, 0.0])


def test_f5_errors() -> None:
    array = gj.TensorArray(gj.float32, size=2)
    with pytest.raises(gj.errors.FailedPreconditionError, match="nothing was written"):
        array.stack()
    written = array.write(0, 1.0)
    with pytest.raises(gj.errors.FailedPreconditionError, match="dropped"):
        array.stack()
    with pytest.raises(gj.errors.OutOfRangeError, match="size 2"):
        written.write(2, 1.0)
    with pytest.raises(gj.errors.ShapeError, match="shape"):
        written.write(1, [1.0, 2.0])
    with pytest.raises(gj.errors.DtypeError, match="float32"):
        written.write(1, gj.constant(1.0, gj.float64))
    written.read(0)
    with pytest.raises(gj.errors.InvalidArgumentError, match="read before"):
        written.read(0)
    with pytest.raises(gj.errors.UnimplementedError, match="equally long"):
        written.split([1.0, 2.0, 3.0], [1, 2])


def test_f5_out_of_range_when_it_runs() -> None:
    @gj.compile
    def f(i: Any) -> Any:
        return gj.TensorArray(gj.float32, size=2, element_shape=[]).write(i, 1.0).stack()

    f(gj.constant(1))
    with pytest.raises(gj.errors.OutOfRangeError):
        f(gj.constant(2))


def test_f5_growing() -> None:
    array = gj.TensorArray(gj.int32, size=0, dynamic_size=True)
    for number in range(4):
        array = array.write(number, number * number)
    assert array.stack().numpy().tolist() == [0, 1, 4, 9]
