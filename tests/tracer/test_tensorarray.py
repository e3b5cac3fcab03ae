"""TensorArray (row F5)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj
from graphjit.runtime.errors import OutOfRangeError


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


def test_f5_writing_in_a_loop_is_native_and_in_place() -> None:
    """F5: what a round writes and reads; the array is not copied in each round, and no NumPy step is left."""

    def f(x: Any) -> Any:
        array = gj.TensorArray(gj.float64, size=40, clear_after_read=False, element_shape=[3])
        i = 0
        while i < 40 and gj.reduce_sum(x) < 1e6:
            x = gj.sin(x) + 0.5 * i
            array = array.write(i, x)
            i += 1
        return array.stack()

    x = gj.constant(np.linspace(0.0, 1.0, 3))
    compiled = gj.compile(f)
    np.testing.assert_allclose(compiled(x), f(x), rtol=1e-12)
    assert compiled.report().numpy_steps == 0
    assert "dynamic_update_slice" in compiled.dump("kernels")


def test_f5_writing_beyond_the_end_in_a_native_loop() -> None:
    """F5: an error that says which element and where; the next call is not disturbed."""

    @gj.compile
    def f(n: Any, x: Any) -> Any:
        array = gj.TensorArray(gj.float64, size=5, element_shape=[2])
        for i in range(n):
            array = array.write(i, x * gj.cast(i, gj.float64))
        return array.stack()

    x = gj.constant([1.0, 2.0], gj.float64)
    np.testing.assert_array_equal(f(gj.constant(3), x)[2], [2.0, 4.0])
    with pytest.raises(OutOfRangeError, match=r"at 5 is out of range(.|\n)*array.write"):
        f(gj.constant(7), x)
    np.testing.assert_array_equal(f(gj.constant(5), x)[4], [4.0, 8.0])


def test_f5_a_round_that_reads_what_it_overwrites() -> None:
    """F5: the row from before is kept where it is read after the write; several arrays change places."""

    def f(x: Any, rounds: Any) -> Any:
        a, b = gj.stack([x, x + 1.0, x + 2.0]), gj.zeros([3, 2], gj.float64)
        for i in range(rounds):
            before = a
            a = gj.TensorArray(gj.float64, size=3).unstack(a).write(i % 3, x * 2.0 + a[(i + 1) % 3]).stack()
            b = b + before * a
            if i > 3:
                a, b = b * 0.5, a
        return a, b

    x = gj.constant([0.1, 0.2], gj.float64)
    for found, wanted in zip(gj.compile(f)(x, gj.constant(8)), f(x, 8), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-12)
