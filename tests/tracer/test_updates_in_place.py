"""D5, D12, A23: variables are updated where they lie only where nobody can tell."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import GraphjitError

SIZE = 128
"""Side of the variables: 64 KiB each, so that updating them where they lie pays."""


def numbers(seed: int, *shape: int) -> np.ndarray[Any, Any]:
    """Random float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape or (SIZE, SIZE)).astype(np.float32)


def address(variable: Any) -> int:
    """Where a variable's numbers lie."""
    return int(variable.array.ctypes.data)


def scaled(variable: Any) -> Any:
    """A compiled function that updates a variable by what it holds."""

    @gj.compile
    def step(x: Any) -> Any:
        variable.assign(variable * 0.5 + x)
        return gj.reduce_sum(variable)

    return step


def settled(step: Callable[[Any], Any], x: Any) -> None:
    """Two calls: the first one traces, and gives the variable memory of its own."""
    step(x)
    step(x)


def test_steady_state_keeps_the_memory() -> None:
    """D12: nobody else sees the variable, so every step writes the same memory, and the numbers are right."""
    v = gj.Variable(numbers(0))
    expected = numbers(0)
    step = scaled(v)
    x = numbers(1)
    settled(step, x)
    where = address(v)
    for _ in range(5):
        step(x)
    assert address(v) == where and where % 64 == 0
    for _ in range(7):
        expected = expected * np.float32(0.5) + x
    np.testing.assert_allclose(v.numpy(), expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("hold", [lambda v: v.read_value(), lambda v: np.asarray(v), lambda v: np.asarray(v)[3:5].T])
def test_what_was_read_before_stays(hold: Callable[[Any], Any]) -> None:
    """C8: a tensor, an array or a view of one that was read before a step keeps its numbers."""
    v = gj.Variable(numbers(0))
    step = scaled(v)
    x = numbers(1)
    settled(step, x)
    kept = [hold(v)]
    copies = [np.array(kept[0])]
    for _ in range(4):
        step(x)
        kept.append(hold(v))
        copies.append(np.array(kept[-1]))
    for one, copy in zip(kept, copies, strict=True):
        np.testing.assert_array_equal(np.asarray(one), copy)
    assert not np.array_equal(copies[0], copies[1])


def test_shared_memory_is_left_alone() -> None:
    """Two variables that hold one array: a step of one does not change the other."""
    v, w = gj.Variable(numbers(0)), gj.Variable(numbers(1))
    step = scaled(v)
    x = numbers(2)
    settled(step, x)
    w.assign(v)
    before = w.numpy()
    step(x)
    np.testing.assert_array_equal(w.numpy(), before)
    assert not np.array_equal(v.numpy(), before)


def test_foreign_memory_is_left_alone() -> None:
    """C10: a variable that was assigned somebody else's array does not write into it."""
    v = gj.Variable(numbers(0))
    step = scaled(v)
    x = numbers(1)
    settled(step, x)
    theirs = np.frombuffer(bytearray(numbers(3).tobytes()), np.float32).reshape(SIZE, SIZE)
    v.assign(gj.from_dlpack(theirs))
    step(x)
    np.testing.assert_array_equal(theirs, numbers(3))


def test_returned_values_are_not_changed_later() -> None:
    """What a call returned, the new value of the variable included, keeps its numbers."""
    v = gj.Variable(numbers(0))

    @gj.compile
    def step(x: Any) -> Any:
        before = v.read_value()
        v.assign_add(x)
        return before, v.read_value(), v

    x = numbers(1)
    found = [step(x) for _ in range(4)]
    value = numbers(0)
    for before, after, again in found:
        np.testing.assert_array_equal(before.numpy(), value)
        value = value + x
        np.testing.assert_array_equal(after.numpy(), value)
        np.testing.assert_array_equal(again.numpy(), value)


def test_read_after_assignment() -> None:
    """C8: reads give the latest value; the last assignment stays."""
    v = gj.Variable(numbers(0))

    @gj.compile
    def step() -> Any:
        a = v * 1.0
        v.assign_add(a * 10.0)
        b = v * 1.0
        v.assign(b * 2.0)
        return a, b

    value = numbers(0)
    for _ in range(4):
        a, b = step()
        np.testing.assert_allclose(a.numpy(), value, rtol=1e-6)
        np.testing.assert_allclose(b.numpy(), value * 11, rtol=1e-5)
        value = value * 22
        np.testing.assert_allclose(v.numpy(), value, rtol=1e-5)
        v.assign(value)


def test_swapped() -> None:
    """Two variables that exchange their values, and one that takes the other's on its way."""
    v, w, u = gj.Variable(numbers(0)), gj.Variable(numbers(1)), gj.Variable(numbers(2))

    @gj.compile
    def step() -> None:
        before = v.read_value()
        v.assign(w)
        w.assign(before)
        u.assign(u + before - w)

    for number in range(4):
        step()
        first, second = (1, 0) if number % 2 == 0 else (0, 1)
        np.testing.assert_array_equal(v.numpy(), numbers(first))
        np.testing.assert_array_equal(w.numpy(), numbers(second))
    np.testing.assert_allclose(u.numpy(), numbers(2), atol=1e-5)


def test_updates_that_need_each_other() -> None:
    """Each of two products reads both variables: neither may be written before the other is read."""
    v, w = gj.Variable(numbers(0)), gj.Variable(numbers(1))

    @gj.compile
    def step() -> None:
        a = v @ w
        b = w @ v
        v.assign(0.01 * a)
        w.assign(0.01 * b)

    first, second = numbers(0), numbers(1)
    for _ in range(3):
        step()
        first, second = np.float32(0.01) * (first @ second), np.float32(0.01) * (second @ first)
        np.testing.assert_allclose(v.numpy(), first, rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(w.numpy(), second, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    "change",
    [
        lambda v: gj.transpose(v) * 2.0,
        lambda v: gj.nn.softmax(v),
        lambda v: v - gj.reduce_mean(v, axis=0),
        lambda v: v[::-1] + v,
        lambda v: gj.concat([v[1:], v[:1]], axis=0),
        lambda v: gj.transpose(v) @ v,
        lambda v: v + 0.1 * (v @ v),
        lambda v: gj.cumsum(v, axis=0),
        lambda v: gj.sort(v, axis=1),
    ],
)
def test_other_patterns_than_element_by_element(change: Callable[[Any], Any]) -> None:
    """An update that reads other elements than the one it writes."""
    v, other = gj.Variable(numbers(0) * 0.1), gj.Variable(numbers(1))

    @gj.compile
    def step() -> None:
        new = change(v)
        other.assign(other * 0.5 + new)
        v.assign(new)

    eager, eager_other = gj.Variable(numbers(0) * 0.1), gj.Variable(numbers(1))
    for _ in range(3):
        step()
        new = change(eager)
        eager_other.assign(eager_other * 0.5 + new)
        eager.assign(new)
        np.testing.assert_allclose(v.numpy(), eager.numpy(), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(other.numpy(), eager_other.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("late", [False, True])
def test_a_failing_call_changes_nothing(late: bool) -> None:
    """A23: a call that raises, in a kernel or in a NumPy step, leaves every variable as it was."""
    v, w = gj.Variable(numbers(0)), gj.Variable(numbers(1))

    @gj.compile
    def step(x: Any, n: Any, i: Any) -> Any:
        v.assign_add(x)
        w.assign(w * 0.5 + v)
        if late:
            return gj.gather(w, i)
        return 7 // n + 0 * gj.cast(gj.reduce_sum(v), "int32")

    good = (numbers(2), np.int32([1, 2]), np.int32([0, 1]))
    for _ in range(3):
        step(*good)
    before = v.numpy(), w.numpy()
    places = address(v), address(w)
    bad = (numbers(2), np.int32([1, 0]), np.int32([0, SIZE]))
    for _ in range(3):
        with pytest.raises(GraphjitError):
            step(*bad)
        np.testing.assert_array_equal(v.numpy(), before[0])
        np.testing.assert_array_equal(w.numpy(), before[1])
    assert (address(v), address(w)) == places
    step(*good)
    np.testing.assert_allclose(v.numpy(), before[0] + numbers(2), rtol=1e-6)


def test_threads_never_see_half_an_update() -> None:
    """A20: while several threads step and others read, every value that is read is that of one moment."""
    v = gj.Variable(np.zeros((512, 512), np.float32))
    one = np.ones((), np.float32)

    @gj.compile
    def step(x: Any) -> None:
        v.assign_add(x)

    settled(step, one)
    torn: list[Any] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            seen = np.asarray(v)
            if seen.min() != seen.max():
                torn.append((seen.min(), seen.max()))

    def write() -> None:
        for _ in range(150):
            step(one)

    readers = [threading.Thread(target=read) for _ in range(2)]
    writers = [threading.Thread(target=write) for _ in range(2)]
    for thread in (*readers, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    stop.set()
    for thread in readers:
        thread.join()
    assert not torn
    assert 2 <= v.numpy().min() == v.numpy().max() <= 302


def test_under_a_tape() -> None:
    """G19: a recorded call keeps what its gradient needs."""
    v = gj.Variable(numbers(0))

    @gj.compile
    def step(x: Any) -> Any:
        y = gj.reduce_sum(v * v * x)
        v.assign_sub(0.5 * v)
        return y

    x = gj.constant(numbers(1))
    for _ in range(3):
        before = v.numpy()
        with gj.GradientTape() as tape:
            y = step(x)
        step(x)
        np.testing.assert_allclose(tape.gradient(y, v).numpy(), 2 * before * x.numpy(), rtol=1e-5, atol=1e-6)


def test_accumulated_products() -> None:
    """D13: a step of gradient descent is one product that is added to the variable, and gives what eager mode gives."""
    w = gj.Variable(numbers(0, 784, 20))

    @gj.compile
    def step(x: Any, g: Any) -> None:
        w.assign_sub(0.1 * (gj.transpose(x) @ g))

    x, g = numbers(1, 64, 784), numbers(2, 64, 20)
    expected = numbers(0, 784, 20)
    for _ in range(4):
        step(x, g)
        expected = expected - np.float32(0.1) * (x.T @ g)
    np.testing.assert_allclose(w.numpy(), expected, rtol=1e-4, atol=1e-4)
    assert "accumulate_matmul" in step.dump("optimized")
    where = address(w)
    g[3, 4] = np.nan
    step(x, g)
    assert address(w) == where and np.isnan(w.numpy()[:, 4]).all() and not np.isnan(w.numpy()[:, 5]).any()


def test_a_factor_of_zero_does_not_hide_nan() -> None:
    """0 * NaN is NaN: a product with a factor of zero is computed."""
    w = gj.Variable(numbers(0))

    @gj.compile
    def step(x: Any) -> None:
        w.assign_add(0.0 * (x @ x))

    x = numbers(1)
    x[0, 0] = np.nan
    step(x)
    assert np.isnan(w.numpy()).any()


def test_steps_take_no_new_memory() -> None:
    """D12: in the steady state the pool of results neither grows nor shrinks, and states stay where they are."""
    states = [gj.Variable(np.ones((1024, 1024), np.float32)) for _ in range(3)]

    @gj.compile
    def step(x: Any) -> Any:
        for number, state in enumerate(states):
            state.assign(state * 0.5 + x * float(number))
        return x + states[0]

    x = np.ones((1024, 1024), np.float32)
    for _ in range(3):
        result = step(x)
    places = [address(state) for state in states]
    report = gj.memory_report()
    for _ in range(5):
        result = step(x)
    assert gj.memory_report() == report and [address(state) for state in states] == places
    del result


def random_step(rng: np.random.Generator, variables: list[Any]) -> Callable[[Any], Any]:
    """A function of random updates, written so that it runs in both modes."""
    makers: list[Callable[[Any, Any, Any], Any]] = [
        lambda a, b, x: a + b,
        lambda a, b, x: a * 0.5 - x,
        lambda a, b, x: gj.tanh(a) * b,
        lambda a, b, x: 0.5 * a + 0.01 * (gj.transpose(b) @ x),
        lambda a, b, x: a - 0.01 * (x @ a),
        lambda a, b, x: gj.transpose(a) - b,
        lambda a, b, x: a - gj.reduce_mean(b, axis=1, keepdims=True),
        lambda a, b, x: gj.maximum(a, x),
        lambda a, b, x: a * 0.5 + gj.reduce_sum(a * b) * 1e-4,
        lambda a, b, x: gj.exp(a) / gj.reduce_sum(gj.exp(a), axis=1, keepdims=True) - b,
    ]
    plan = [
        (int(rng.integers(len(variables))), *(int(n) for n in rng.integers(0, len(variables), 2)), makers[int(kind)])
        for kind in rng.integers(0, len(makers), int(rng.integers(2, 7)))
    ]
    returned = int(rng.integers(len(plan)))

    def step(x: Any) -> Any:
        made = []
        values = [variable.read_value() for variable in variables]
        for target, first, second, make in plan:
            fresh = _reads_latest(target, first)
            a = variables[first].read_value() if fresh else values[first]
            value = make(a, variables[second], x)
            variables[target].assign(value)
            made.append(value)
        return made[returned]

    return step


def _reads_latest(target: int, first: int) -> bool:
    """Whether an update reads the latest value rather than the one that the step began with."""
    return (target + first) % 2 == 0


@pytest.mark.parametrize("seed", range(25))
def test_random_updates(seed: int) -> None:
    """D5: random updates of three variables, with old values kept or not, agree with eager mode."""
    rng = np.random.default_rng(seed)
    ours = [gj.Variable(0.1 * numbers(n)) for n in range(3)]
    theirs = [gj.Variable(0.1 * numbers(n)) for n in range(3)]
    state = rng.bit_generator.state
    compiled = gj.compile(random_step(rng, ours))
    rng.bit_generator.state = state
    eager = random_step(rng, theirs)
    kept: list[tuple[Any, Any]] = []
    for number in range(5):
        x = 0.1 * numbers(100 + number)
        got, wanted = compiled(x), eager(gj.constant(x))
        np.testing.assert_allclose(got.numpy(), wanted.numpy(), rtol=1e-3, atol=1e-4, err_msg=f"seed {seed}")
        for one, other in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(one.numpy(), other.numpy(), rtol=1e-3, atol=1e-4, err_msg=f"seed {seed}")
            if rng.random() < 0.3:
                kept.append((one.read_value(), one.numpy()))
        kept.append((got, got.numpy().copy()))
    for value, copy in kept:
        np.testing.assert_array_equal(value.numpy(), copy, err_msg=f"seed {seed}")
