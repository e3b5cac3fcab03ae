"""Programs as people write them, with Python's control flow on tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphjit as gj

t = gj.constant


def both(function: Any, *arguments: Any) -> tuple[Any, Any]:
    """What eager mode and the compiled function give, as NumPy."""
    found = [gj.nest.map_structure(np.asarray, one(*arguments)) for one in (function, gj.compile(function))]
    return found[0], found[1]


def require_equal(function: Any, *arguments: Any) -> Any:
    """The compiled function gives what eager mode gives; returns that."""
    want, got = both(function, *arguments)
    for one, other in zip(gj.nest.flatten(got), gj.nest.flatten(want), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)
    return got


def collatz(n: Any) -> Any:
    """How many steps lead to 1, and the largest number on the way."""
    steps, highest = 0, n
    while n != 1:
        if n % 2 == 0:
            n = n // 2
        else:
            n = 3 * n + 1
        highest = max(highest, n)
        steps += 1
    return steps, highest


@pytest.mark.parametrize("number", [1, 6, 27, 97])
def test_collatz(number: int) -> None:
    """A `while` whose end nobody knows, with a branch in it."""
    steps, highest = require_equal(collatz, t(number))
    assert (steps, highest) == {1: (0, 1), 6: (8, 16), 27: (111, 9232), 97: (118, 9232)}[number]


def bisect(a: Any, b: Any, tolerance: Any) -> Any:
    """A root of x^3 - 2 by halving an interval."""

    def f(x: Any) -> Any:
        return x * x * x - 2.0

    while b - a > tolerance:
        middle = (a + b) / 2.0
        if f(a) * f(middle) <= 0.0:
            b = middle
        else:
            a = middle
    return (a + b) / 2.0


def test_bisection() -> None:
    """A loop to a tolerance."""
    root = require_equal(bisect, t(0.0), t(2.0), t(1e-4))
    assert abs(root - 2 ** (1 / 3)) < 1e-3


def test_newton_with_a_limit() -> None:
    """`while` with `and`, a counter and an early return."""

    def newton(x: Any, most: int = 50) -> Any:
        count = 0
        while abs(x * x - 2.0) > 1e-5 and count < most:
            slope = 2.0 * x
            if slope == 0.0:
                return x, -1
            x = x - (x * x - 2.0) / slope
            count += 1
        return x, count

    root, count = require_equal(newton, t(3.0))
    assert abs(root - 2**0.5) < 1e-4
    assert 3 <= count <= 8
    assert require_equal(newton, t(0.0))[1] == -1


@pytest.mark.parametrize("exponent", [0, 1, 5])
def test_gradient_of_a_power_by_a_loop(exponent: int) -> None:
    """d x^n / dx = n x^(n-1), also of second order, where n is a tensor."""

    def power(x: Any, n: Any) -> Any:
        result = gj.ones_like(x)
        for _ in range(n):
            result = result * x
        return result

    @gj.compile
    def slopes(x: Any, n: Any) -> Any:
        with gj.GradientTape() as outer:
            outer.watch(x)
            with gj.GradientTape() as inner:
                inner.watch(x)
                y = power(x, n)
            first = inner.gradient(y, x, unconnected_gradients="zero")
        return y, first, outer.gradient(first, x, unconnected_gradients="zero")

    value, first, second = (float(one) for one in slopes(t(3.0), t(exponent)))
    n = exponent
    assert value == 3.0**n
    assert first == pytest.approx(n * 3.0 ** (n - 1) if n else 0.0)
    assert second == pytest.approx(n * (n - 1) * 3.0 ** (n - 2) if n > 1 else 0.0)


class Recurrent:
    """A small recurrent cell that runs over the time axis, as long as each sequence lasts."""

    def __init__(self) -> None:
        draw = np.random.default_rng(0)
        self.w = gj.Variable(draw.normal(size=(3, 4)).astype(np.float32) * 0.5)
        self.u = gj.Variable(draw.normal(size=(4, 4)).astype(np.float32) * 0.5)

    def step(self, x: Any, state: Any) -> Any:
        """The next state."""
        return gj.tanh(x @ self.w + state @ self.u)

    def __call__(self, sequences: Any, lengths: Any) -> Any:
        """The last state of each sequence; stops at the longest."""
        state = gj.zeros([len(sequences), 4])
        steps = gj.transpose(sequences, [1, 0, 2])
        time = 0
        for x in steps:
            if time >= gj.reduce_max(lengths):
                break
            following = self.step(x, state)
            state = gj.where((time < lengths)[:, None], following, state)
            time += 1
        return state, time


def test_dynamic_rnn_with_early_stop() -> None:
    """A loop over the time axis that ends with the longest sequence; weights get gradients."""
    model = Recurrent()
    sequences = t(np.random.default_rng(1).normal(size=(2, 12, 3)).astype(np.float32))
    lengths = t([3, 5])
    _, time = require_equal(model, sequences, lengths)
    assert time == 5

    def loss() -> Any:
        with gj.GradientTape() as tape:
            state, _ = model(sequences, lengths)
            total = gj.reduce_sum(state * state)
        return tape.gradient(total, [model.w, model.u])

    require_equal(loss)


def life(board: Any, rounds: int) -> Any:
    """Conway's game of life on a board whose edges meet."""
    for _ in gj.range(rounds):
        around = gj.zeros_like(board)
        for down in (-1, 0, 1):
            for right in (-1, 0, 1):
                if down == 0 and right == 0:
                    continue
                around = around + gj.roll(board, [down, right], [0, 1])
        lives = ((board == 1) & ((around == 2) | (around == 3))) | ((board == 0) & (around == 3))
        board = gj.cast(lives, gj.int32)
    return board


def test_game_of_life() -> None:
    """A glider is where it was, one down and one to the right, after four rounds."""
    board = np.zeros((8, 8), np.int32)
    board[[0, 1, 2, 2, 2], [1, 2, 0, 1, 2]] = 1
    found = require_equal(life, t(board), 12)
    assert np.array_equal(found, np.roll(board, (3, 3), (0, 1)))


def test_beam_step() -> None:
    """Steps of a beam search that stops when the best way has ended."""
    table = t(np.log(np.random.default_rng(2).dirichlet(np.ones(5), size=5)).astype(np.float32))

    def search(width: int, most: Any) -> Any:
        scores = gj.concat([gj.zeros([1]), gj.fill([width - 1], -1e9)], 0)
        last = gj.zeros([width], gj.int32)
        steps = 0
        while steps < most:
            total = gj.reshape(scores[:, None] + gj.gather(table, last), [-1])
            order = gj.argsort(total, direction="DESCENDING")[:width]
            scores = gj.gather(total, order)
            last = gj.cast(order, gj.int32) % 5
            steps += 1
            if last[0] == 4:
                break
        return scores, last, steps

    require_equal(search, 3, t(6))


def test_nested_loops_with_break_and_continue() -> None:
    """The first pair of rows whose distance is small, looking at each pair once."""

    def closest(points: Any, limit: Any) -> Any:
        first, second = -1, -1
        for i in range(len(points)):
            for j in gj.range(12):
                if j <= i:
                    continue
                if gj.norm(points[i] - points[j]) < limit:
                    first, second = i, j
                    break
            if first >= 0:
                break
        return first, second

    points = np.random.default_rng(3).normal(size=(12, 2)).astype(np.float32)
    points[9] = points[4] + 0.001
    found = require_equal(closest, t(points), t(0.05))
    assert tuple(map(int, found)) == (4, 9)


def test_recursion_on_a_python_number() -> None:
    """Legendre polynomials by their recursion."""

    def legendre(n: int, x: Any) -> Any:
        if n == 0:
            return gj.ones_like(x)
        if n == 1:
            return x
        return ((2 * n - 1) * x * legendre(n - 1, x) - (n - 1) * legendre(n - 2, x)) / n

    require_equal(legendre, 5, t([0.1, 0.5, -0.3]))


def test_training_with_a_condition() -> None:
    """Variables that are assigned inside of branches and loops."""
    weight, skipped = gj.Variable(1.0), gj.Variable(0)

    @gj.compile
    def train(gradients: Any) -> Any:
        for g in gradients:
            if abs(g) > 5.0:
                skipped.assign_add(1)
                continue
            weight.assign_sub(0.1 * g)
        return weight

    train(t([1.0, 100.0, 2.0, 3.0, -50.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    assert skipped.numpy() == 2
    assert float(weight.numpy()) == pytest.approx(1.0 - 0.1 * 11.0)


def test_mandelbrot_of_a_point() -> None:
    """An escape-time loop with two conditions."""

    def escape(a: Any, b: Any) -> Any:
        x, y, count = 0.0, 0.0, 0
        while x * x + y * y < 4.0 and count < 100:
            x, y = x * x - y * y + a, 2.0 * x * y + b
            count += 1
        return count

    for point in ((0.3, 0.5), (0.5, 0.5), (-2.0, 0.0), (1.0, 1.0)):
        require_equal(escape, t(point[0]), t(point[1]))


def test_binary_search() -> None:
    """Return out of a `while True`."""

    def find(values: Any, wanted: Any) -> Any:
        low, high = 0, len(values)
        while True:
            if low >= high:
                return -1
            middle = (low + high) // 2
            if values[middle] == wanted:
                return middle
            if values[middle] < wanted:
                low = middle + 1
            else:
                high = middle

    values = t([1, 3, 4, 7, 9, 12, 15, 21, 33, 40])
    for wanted in (1, 12, 40, 5, 99):
        require_equal(find, values, t(wanted))


def test_tensor_arrays_in_loops() -> None:
    """Arrays that grow by the round, written and read by traced numbers."""

    def fibonacci(n: Any) -> Any:
        array = gj.TensorArray(gj.int32, size=12)
        array = array.write(0, 0).write(1, 1)
        for i in range(2, n):
            array = array.write(i, array.read(i - 1) + array.read(i - 2))
        return array.stack()

    assert gj.compile(fibonacci)(t(12)).numpy().tolist() == [0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89]


def test_d1_print_of_a_traced_value(capfd: pytest.CaptureFixture[str]) -> None:
    """D1: `print` of a traced value prints in each run, and in branches only where they are taken."""

    @gj.compile
    def f(x: Any) -> Any:
        print("tracing")
        if x > 0:
            print("positive:", x)
        return x

    for number in (2.0, -1.0, 3.0):
        f(t(number))
    found = capfd.readouterr().out.splitlines()
    assert found == ["tracing", "positive: 2.", "positive: 3."]
