"""Functions with the same graph, written at the same lines, are compiled once and take the memory of one."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np

import graphjit as gj
from graphjit.tracer import program

X = np.float32([0.25, 0.5, 1.0])


def compiled(function: Any) -> Any:
    """What runs for the only trace."""
    (entry,) = function._cache
    (found,) = entry.concrete.program.versions
    return found


def make(scale: float = 2.0, **options: Any) -> Any:
    function = gj.compile(lambda x: gj.tanh(x * scale) + 1.0, **options)
    function(X)
    return function


class Counter:
    """An object with a state of its own."""

    def __init__(self) -> None:
        self.total = gj.Variable(np.zeros(3, np.float32))

    @gj.compile
    def add(self, x: Any) -> Any:
        self.total.assign_add(x)
        return self.total * 2.0


def test_equal_graphs_are_compiled_once() -> None:
    first, second = make(), make()
    assert compiled(first) is compiled(second)
    assert first.dump("kernels") == second.dump("kernels")
    for _ in range(5):
        np.testing.assert_array_equal(first(X).numpy(), second(X).numpy())


def test_what_differs_is_compiled_for_itself() -> None:
    """A constant's sign of zero, the options, the compiler of kernels and the lines all count."""
    first = make(0.0)
    assert compiled(first) is not compiled(make(-0.0))
    assert compiled(first) is not compiled(make(0.0, exact=True))
    other = gj.compile(lambda x: gj.tanh(x * 0.0) + 1.0)
    other(X)
    assert compiled(first) is not compiled(other)
    before = gj.config.kernel_compiler()
    gj.config.set_kernel_compiler("numba" if before == "direct" else "direct")
    try:
        assert compiled(first) is not compiled(make(0.0))
    finally:
        gj.config.set_kernel_compiler(before)


def test_objects_keep_their_own_states() -> None:
    """D5: what is shared is the code: each object's variables are updated by its own calls."""
    counters = [Counter() for _ in range(3)]
    for round_number in range(6):
        for number, one in enumerate(counters):
            result = one.add(X * number)
            np.testing.assert_array_equal(result.numpy(), X * number * (round_number + 1) * 2)
    functions = [one.add for one in counters]
    assert len({id(compiled(one._function)) for one in functions}) == 1


def test_errors_are_those_of_the_caller() -> None:
    """A division by zero is explained in both."""

    def one() -> Any:
        return gj.compile(lambda a, b: a // b)

    for divide in (one(), one()):
        for _ in range(4):
            try:
                divide(np.arange(3), np.zeros(3, np.int64))
            except gj.errors.DivisionByZeroError as error:
                assert "test_sharing.py" in str(error)
            else:
                raise AssertionError("the division by zero went unnoticed")
            np.testing.assert_array_equal(divide(np.arange(3), np.ones(3, np.int64)), np.arange(3))


def test_nothing_stays_when_the_last_function_is_gone() -> None:
    gc.collect()
    before = len(program._compiled)
    function = make(7.5)
    assert len(program._compiled) == before + 1
    del function
    gc.collect()
    assert len(program._compiled) == before
