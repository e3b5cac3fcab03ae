"""E1-E21 where Python's own forms meet control flow: what is called, jumps out of blocks, what loops carry."""

from __future__ import annotations

import contextlib
import functools
from typing import Any

import numpy as np
import pytest
from parity import Case, Cases, require_parity, t

import graphjit as gj

case = Cases()
BOTH = (t(2.0), t(-2.0))
LONG = t(np.float32([1, -2, 3, 4, -5, 6, 7, 8, 9, -10, 11, 12]))


@contextlib.contextmanager
def three() -> Any:
    """A context that gives a number."""
    yield 3.0


# --- what is called (E17, E19) --------------------------------------------------------------------


@case(*BOTH)
def a_partial_called_at_once(x: Any) -> Any:
    f = functools.partial(lambda a, b: a * b if b > 0 else a - b, 3.0)
    return f(x) + functools.partial(f)(x)


@case(*BOTH)
def what_a_call_returned(x: Any) -> Any:
    def make() -> Any:
        def g(y: Any) -> Any:
            if y > 0:
                return y
            return -y * 2

        return g

    return make()(x) + (lambda: lambda y: y if y > 0 else -y)()(x)


@case(*BOTH)
def what_an_expression_chose(x: Any) -> Any:
    def g(y: Any) -> Any:
        if y > 0:
            return y
        return -y * 2

    return (g if x is not None else gj.sin)(x) + (None or g)(x)


@case(*BOTH)
def what_a_container_holds(x: Any) -> Any:
    table = {"a": lambda y: y if y > 0 else -y * 2}
    return table["a"](x) + [lambda y: y * 3 if y > 1 else y][0](x)


# --- jumps out of blocks (E4, E8, E10, E16) --------------------------------------------------------


@case(*BOTH)
def return_before_finally(x: Any) -> Any:
    seen = []
    try:
        if x > 0:
            return x * 2
        y = x + 1
    finally:
        seen.append(1)
    return y


@case(*BOTH)
def return_out_of_with(x: Any) -> Any:
    with three() as k:
        if x > 0:
            return x * k
        y = x - k
    return y


@case(LONG)
def break_and_continue_out_of_with_e8(v: Any) -> Any:
    s = 0.0
    for x in v:
        with three() as k:
            if x < 0:
                continue
            if x > 10:
                break
            y = x * k
        s = s + y
    return s


@case(LONG)
def continue_through_finally_e8(v: Any) -> Any:
    s = 0.0
    for x in v:
        try:
            if x < 0:
                continue
            y = x
        finally:
            s = s + 0.5
        s = s + y
    return s


@case(LONG, LONG / 10)
def break_of_a_python_loop_e9(v: Any) -> Any:
    s = 0.0
    for i in range(12):
        if v[i] > 5:
            break
        s = s + v[i] * i
    return s, i


@case(LONG, LONG / 10)
def endless_e9(v: Any) -> Any:
    i = 0
    while True:
        if v[i] > 0.5:
            break
        i += 1
    return i


@case(LONG, LONG / 10)
def return_inside_of_two_loops_e10(v: Any) -> Any:
    for x in v:
        for y in v:
            if x * y > 30:
                return x + y
    return v[0] * 0.0


@case((t(1.5), t(3)), (t(0.5), t(5)))
def a_flag_that_stays_as_it_is_e10(x: Any, n: Any) -> Any:
    k = 0
    for i in range(n):
        x = x + 0.25 * i
        if k > 2:
            return x * 100.0
    return x


# --- what loops carry (E5, E6, F5, E21) ------------------------------------------------------------


@case(LONG)
def tensor_array_of_unknown_elements(v: Any) -> Any:
    array = gj.TensorArray(gj.float32, size=12)
    i = 0
    for x in v:
        array = array.write(i, x * 2)
        i += 1
    return array.stack()


@case(LONG)
def a_function_that_assigns_from_inside_of_a_loop(v: Any) -> Any:
    c, n = 0.0, 0

    def add(x: Any) -> None:
        nonlocal c, n
        if x > 0:
            c = c + x
        n += 1

    for x in v:
        if x < 10:
            add(x)
    return c, n


@case(*BOTH)
def annotated_variables(x: Any) -> Any:
    y: Any = 1.0
    if x > 0:
        z: Any
        y: Any = x  # type: ignore[no-redef]  # Python allows it
        z = y
    else:
        z = -x
    return y + z


@case(LONG)
def an_attribute_in_a_loop(v: Any) -> Any:
    class Box:
        total: Any = 1.0
        count: Any = 0

    box = Box()
    for x in v:
        if x > 0:
            box.total = box.total + x
            box.count += 1
    return box.total, box.count


@case(t(3.0), t(80.0))
def most_rounds_e21(x: Any) -> Any:
    rounds = 0
    while x > 1.0:
        gj.autograph.set_loop_options(maximum_iterations=50)
        x = x / 2.0
        rounds += 1
    return x, rounds


@case.parametrize
def test_parity(case: Case) -> None:
    """Python, compiled, and differentiated both ways agree."""
    require_parity(case)


def test_g19_a_constant_that_is_watched_has_a_gradient_through_loops_and_branches() -> None:
    """G19, G23: loops and branches write small constants again, but not those that somebody differentiates by."""

    @gj.compile
    def f(n: Any) -> Any:
        x = gj.constant(3.0)
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.constant(1.0)
            for _ in range(n):
                y = y * x
            if n > 1:
                y = y + x
        return y, tape.gradient(y, x)

    value, gradient = f(t(4))
    assert (float(value), float(gradient)) == (84.0, 109.0)


def test_d6_an_error_in_a_loop_leaves_objects_as_they_were() -> None:
    """D6, A23: the body of a loop that cannot be traced has changed nothing behind it."""

    class Box:
        total: Any = 1.0

    box, items = Box(), [0.0]

    @gj.compile
    def f(v: Any) -> Any:
        for x in v:
            box.total = box.total + x
            items[0] = x
            x.missing()
        return box.total

    with pytest.raises(AttributeError, match="missing"):
        f(LONG)
    assert (box.total, items) == (1.0, [0.0])
