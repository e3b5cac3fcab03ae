"""Loops in kernels and in programs: what becomes of them, and that they give what eager mode gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj
from graphjit.compiler import loopkernel
from graphjit.runtime.errors import DivisionByZeroError


def newton(x: Any) -> Any:
    def body(x: Any, i: Any) -> Any:
        return x - (x * x * x - 2.0 * x - 5.0) / (3.0 * x * x - 2.0), i + 1

    return gj.while_loop(lambda x, i: (gj.abs(x * x * x - 2.0 * x - 5.0) > 1e-9) & (i < 100), body, (x, 0))


def kernels_of(function: Any) -> str:
    text: str = function.dump("kernels")
    return text


def test_a_loop_over_numbers_is_one_kernel() -> None:
    f = gj.compile(newton)
    x = gj.constant(7.0, gj.float64)
    for found, wanted in zip(f(x), newton(x), strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-12)
    assert "while go:" in kernels_of(f)
    assert f.report().numpy_steps == 0


def test_a_counted_loop_over_numbers_is_a_plain_loop() -> None:
    def f(x: Any, y: Any) -> Any:
        return gj.while_loop(lambda i, x, y: i < 1000, lambda i, x, y: (i + 3, y, x + 0.5), (0, x, y))

    compiled = gj.compile(f)
    arguments = gj.constant(1.0, gj.float64), gj.constant(2.0, gj.float64)
    assert [float(one) for one in compiled(*arguments)] == [float(one) for one in f(*arguments)]
    assert "for i0 in range(n0):" in kernels_of(compiled)
    assert "scan(" in compiled.dump("optimized")


@pytest.mark.parametrize("begin", [-5, 0, 9, 10, 11])
@pytest.mark.parametrize("test", ["<", "<="])
def test_rounds_are_counted_right(begin: int, test: str) -> None:
    def f() -> Any:
        condition = (lambda i, x: i < 10) if test == "<" else (lambda i, x: i <= 10)
        return gj.while_loop(condition, lambda i, x: (i + 2, x + 1), (begin, 0))

    both_ways(f)


def test_an_endless_count_stays_a_while() -> None:
    """A number that would not fit into its dtype: the loop is not counted."""
    f = gj.compile(lambda x: gj.while_loop(lambda i, x: i <= 2**31 - 1, lambda i, x: (i + 1, x), (2**31 - 3, x)))
    concrete = f.get_concrete_function(gj.TensorSpec([], gj.float32))
    from graphjit.compiler.specialize import specialize
    from graphjit.compiler.tensortype import TensorType, float32

    assert "while(" in str(specialize(concrete.graph, [TensorType(float32, ())]))


def test_errors_in_loop_kernels_name_the_line() -> None:
    @gj.compile
    def f(n: Any) -> Any:
        return gj.while_loop(lambda i: i > -5, lambda i: 10 // i - 5 + i, [n])

    with pytest.raises(DivisionByZeroError, match="10 // i"):
        f(gj.constant(0))


def test_long_loops_go_on_after_a_pause() -> None:
    """More rounds than a kernel runs at a time."""

    @gj.compile
    def f(n: Any) -> Any:
        return gj.while_loop(lambda i, x: i < n, lambda i, x: (i + 1, x * 3 + i), (0, 1))

    rounds = 20_000_000
    wanted = np.int64(1)
    i, x = f(gj.constant(rounds))
    assert int(i) == rounds
    # x becomes 3x + i modulo 2**32: compare with the closed form in exact arithmetic.
    modulus = 2**32
    power = pow(3, rounds, modulus * 4)
    wanted = (power + ((power - 1) // 2 - rounds) // 2) % modulus
    assert int(x) % modulus == wanted % modulus


def test_scans_read_and_write_rows_in_a_kernel() -> None:
    def f(x: Any) -> Any:
        down = gj.scan(lambda a, row: a * 0.5 + row, x, gj.constant(0.0, gj.float64))
        up = gj.scan(lambda a, row: gj.sin(a) + row, x, gj.constant(1.0, gj.float64), reverse=True)
        return down, up

    compiled = gj.compile(f)
    x = gj.constant(np.random.default_rng(0).normal(size=50))
    for found, wanted in zip(compiled(x), f(x), strict=True):
        np.testing.assert_allclose(found.numpy(), wanted.numpy(), rtol=1e-12)
    assert kernels_of(compiled).count("for i0 in range(n0):") >= 2


def test_loops_over_vectors_run_without_python() -> None:
    def f(w: Any, x: Any) -> Any:
        return gj.while_loop(
            lambda i, h: (i < 7) & (gj.reduce_sum(h) < 50.0),
            lambda i, h: (i + 1, gj.tanh(gj.linalg.matvec(w, h)) + x),
            (0, x),
        )[1]

    random = np.random.default_rng(0)
    w, x = gj.constant(random.normal(size=(4, 4))), gj.constant(random.normal(size=4))
    compiled = gj.compile(f)
    np.testing.assert_allclose(compiled(w, x).numpy(), f(w, x).numpy(), rtol=1e-10)
    assert compiled.report().numpy_steps == 0


def test_numpy_steps_in_loops_see_the_present_round() -> None:
    """What is carried changes place in memory from round to round."""

    def f(x: Any, n: Any) -> Any:
        return gj.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, gj.sort(a[::-1] * -1.0) + 1.0), (0, x))[1]

    for rounds in (0, 1, 2, 5):
        both_ways(f, gj.constant([3.0, 1.0, 2.0]), gj.constant(rounds))


def test_histories_grow_and_are_kept() -> None:
    """The memory for what a loop keeps grows as it runs, and is there for the next run."""

    @gj.compile
    def f(x: Any, n: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.reduce_sum(gj.while_loop(lambda i, a: i < n, lambda i, a: (i + 1, gj.sin(a)), (0, x))[1])
        return tape.gradient(y, x)

    x = gj.constant([0.5, 1.0], gj.float64)
    for rounds in (3, 1000, 10, 0):
        wanted = np.array([0.5, 1.0])
        slope = np.ones(2)
        for _ in range(rounds):
            slope *= np.cos(wanted)
            wanted = np.sin(wanted)
        np.testing.assert_allclose(f(x, gj.constant(rounds)).numpy(), slope, rtol=1e-9)


def mandelbrot(real: Any, imaginary: Any) -> Any:
    def body(i: Any, a: Any, b: Any, count: Any) -> Any:
        inside = a * a + b * b <= 4.0
        c, d = a * a - b * b + real, 2.0 * a * b + imaginary
        return i + 1, gj.where(inside, c, a), gj.where(inside, d, b), count + gj.cast(inside, gj.int32)

    zeros = gj.zeros_like(real)
    start = (0, zeros, zeros, gj.zeros(real.shape, gj.int32))
    return gj.while_loop(lambda i, *_: i < 30, body, start)[3]


@pytest.mark.parametrize("shape", [(3,), (40, 30), (7, 513)])
def test_a_loop_over_elements_is_one_kernel(shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    real, imaginary = gj.constant(random.uniform(-2, 1, shape)), gj.constant(random.uniform(-1, 1, shape))
    compiled = gj.compile(mandelbrot)
    found, wanted = compiled(real, imaginary).numpy(), mandelbrot(real, imaginary).numpy()
    assert np.mean(found != wanted) < 0.01  # the last bit may decide on which side of the boundary a point is
    assert "for i2 in range(rounds):" in kernels_of(compiled)


def test_carried_arrays_and_numbers_may_change_places() -> None:
    def f(x: Any, y: Any, s: Any, t: Any) -> Any:
        return gj.while_loop(lambda i, *_: i < 5, lambda i, x, y, s, t: (i + 1, y, x + s, t, s + 1.0), (0, x, y, s, t))

    random = np.random.default_rng(0)
    arrays = [gj.constant(random.integers(0, 9, 600).astype(np.float64)) for _ in range(2)]
    both_ways(f, *arrays, gj.constant(1.0, gj.float64), gj.constant(2.0, gj.float64))


def test_what_a_loop_does_for_nobody_is_dropped() -> None:
    """Only the sum is read: what else is carried, stacked or taken in goes."""

    @gj.compile
    def f(x: Any, y: Any) -> Any:
        def body(i: Any, total: Any, other: Any) -> Any:
            return i + 1, total + x, gj.sin(other) * y

        return gj.while_loop(lambda i, total, other: total < 10.0, body, (0, 0.0, y))[1]

    assert float(f(gj.constant(3.0), gj.constant(1.0))) == 12.0
    text = f.dump("optimized")
    assert "sin" not in text and "carried=1" in text


@pytest.mark.parametrize("reverse", [False, True])
def test_a_very_long_scan_goes_in_pieces(reverse: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that signals are answered; it goes on where it was, and its gradient, which goes backwards, too."""
    monkeypatch.setattr(loopkernel, "_MOST_WORK", 100)

    def f(x: Any, rows: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch([x, rows])
            y = gj.scan(lambda a, b: gj.sin(a * b) + 0.5 * a, rows, x, reverse=reverse)
        return [y, *tape.gradient(y, [x, rows])]

    compiled = gj.compile(f)
    arguments = gj.constant(0.3, gj.float64), gj.constant(np.random.default_rng(2).normal(size=101))
    for found, wanted in zip(compiled(*arguments), f(*arguments), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-11)
    assert kernels_of(compiled).count("while go:") == 2
    assert compiled.report().numpy_steps == 0
