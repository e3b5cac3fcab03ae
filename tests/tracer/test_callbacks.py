"""Python called when a compiled function runs: `py_function`, `numpy_function`, `print`, `Assert` (rows D7, D8, C7)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj


def test_d8_py_function_runs_each_time_and_has_a_gradient() -> None:
    seen: list[float] = []

    def callee(x: Any) -> Any:
        seen.append(float(x))
        return x * x * x if x > 0 else -x

    f = gj.compile(lambda x: gj.py_function(callee, [x], gj.float32) * 2.0)
    for number, slope in ((2.0, 24.0), (-2.0, -2.0)):
        x = gj.constant(number)
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        assert float(tape.gradient(y, x)) == slope
    assert set(seen) == {2.0, -2.0}


def test_d8_numpy_function_has_no_gradient() -> None:
    f = gj.compile(lambda x: gj.numpy_function(np.sort, [x], gj.float32))
    x = gj.constant([3.0, 1.0])
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert y.numpy().tolist() == [1.0, 3.0]
    assert tape.gradient(y, x) is None


def test_callbacks_must_return_what_was_announced() -> None:
    f = gj.compile(lambda x: gj.numpy_function(lambda x: x.astype(np.int64), [x], gj.float32))
    with pytest.raises(gj.errors.InvalidArgumentError, match="int64, but float32 was announced"):
        f(gj.constant([1.0]))
    g = gj.compile(lambda x: gj.numpy_function(np.sum, [x], gj.float32))
    with pytest.raises(gj.errors.InvalidArgumentError, match="TensorSpec"):
        g(gj.constant([1.0]))
    h = gj.compile(lambda x: gj.numpy_function(np.sum, [x], gj.TensorSpec([], gj.float32)) + x)
    assert h(gj.constant([1.0])).numpy().tolist() == [2.0]


def test_d7_print(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "log.txt"

    @gj.compile
    def f(x: Any) -> Any:
        gj.print("x:", x, {"a": (x[:1], 5)}, output_stream=sys.stdout, sep="|")
        gj.print(x, summarize=1, end="!\n")
        gj.print("to a file", x[0], output_stream=f"file://{path}")
        return x

    for _ in range(2):
        f(gj.constant([1, 2, 3, 4]))
    captured = capsys.readouterr()
    assert captured.out == "x:|[1 2 3 4]|{'a': ([1], 5)}\n" * 2
    assert captured.err == "[1 ... 4]!\n" * 2
    assert path.read_text() == "to a file 1\n" * 2


def test_c7_effects_keep_their_order_through_branches_and_loops(capsys: pytest.CaptureFixture[str]) -> None:
    def say(*what: Any) -> None:
        gj.print(*what, output_stream=sys.stdout)

    def f(n: Any) -> Any:
        say("begin")

        def body(i: Any) -> Any:
            say("round", i)
            gj.cond(i % 2 == 0, lambda: say("even") or i, lambda: say("odd") or i)
            return i + 1

        end = gj.while_loop(lambda i: i < n, body, [0])[0]
        say("end", end)
        return end

    gj.compile(f)(gj.constant(3))
    compiled = capsys.readouterr().out
    f(gj.constant(3))
    assert compiled == capsys.readouterr().out
    assert compiled.split("\n")[:4] == ["begin", "round 0", "even", "round 1"]


def test_gradients_do_not_print_again(capsys: pytest.CaptureFixture[str]) -> None:
    def f(x: Any) -> Any:
        def body(i: Any, a: Any) -> Any:
            gj.print("round", i, output_stream=sys.stdout)
            return i + 1, gj.sin(a)

        return gj.while_loop(lambda i, a: i < 2, body, (0, x))[1]

    x = gj.constant(1.0)
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = gj.compile(f)(x)
    tape.gradient(y, x)
    assert capsys.readouterr().out == "round 0\nround 1\n"


def test_assert_in_branches_and_loops() -> None:
    """A23: a failing call leaves variables as they were; the branch that does not run does not fail."""
    v = gj.Variable(0)

    @gj.compile
    def f(n: Any) -> Any:
        def body(i: Any) -> Any:
            v.assign_add(1)
            gj.debugging.Assert(i < 3, [i])
            return i + 1

        gj.cond(n < 100, lambda: n, lambda: gj.debugging.Assert(n < 0, [n]) or n)
        return gj.while_loop(lambda i: i < n, body, [0])[0]

    assert int(f(gj.constant(3))) == 3
    assert int(v) == 3
    for bad in (5, 100):
        with pytest.raises(gj.errors.InvalidArgumentError, match="does not hold"):
            f(gj.constant(bad))
    assert int(v) == 3
