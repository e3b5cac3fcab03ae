"""Branches: `cond`, `case`, `switch_case`, in eager mode and traced (rows E1-E4, F1, F4)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj
from graphjit.tracer.agreement import Undefined
from graphjit.tracer.branching import trace_branches


@pytest.mark.parametrize("numbers", [[1.0, 2.0], [-1.0, -2.0]])
def test_f1_cond_runs_one_branch(numbers: list[float]) -> None:
    def f(x: Any) -> Any:
        y = x * 2
        return gj.cond(gj.reduce_sum(x) > 0, lambda: y + x, lambda: y * 0.5)

    both_ways(f, gj.constant(numbers))


def test_f1_results_are_nested() -> None:
    def f(x: Any) -> Any:
        return gj.cond(x > 0, lambda: {"a": (x, x + 1)}, lambda: {"a": (-x, x - 1)})

    found = both_ways(f, gj.constant(-3))
    assert (int(found["a"][0]), int(found["a"][1])) == (3, -4)


def test_a_known_condition_leaves_no_equation() -> None:
    f = gj.compile(lambda x: gj.cond(True, lambda: x, lambda: x / 0))
    assert float(f(gj.constant(2.0))) == 2.0
    assert "cond" not in f.dump("traced")


def test_numbers_in_branches_take_the_dtype_of_the_other() -> None:
    """Rows E3 and E2: an int beside an int64, a float beside a float64, an int beside a float."""
    f = gj.compile(lambda x: gj.cond(x > 0, lambda: (x, 1, 2.5), lambda: (1, 1.5, 2)))
    first, second, third = f(gj.constant(3, gj.int64))
    assert (first.dtype, second.dtype, third.dtype) == (gj.int64, gj.float32, gj.float32)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (lambda x: gj.cond(x > 0, lambda: x, lambda: gj.cast(x, gj.float64)), "float32 in true_fn, but dtype float64"),
        (lambda x: gj.cond(x > 0, lambda: (x, x), lambda: x), "same nested structure"),
        (lambda x: gj.cond(x > 0, lambda: x, lambda: None), "None at the end of false_fn"),
        (lambda x: gj.cond(x > 0, lambda: x, lambda: gj.stack([x, x])), r"shape \(\) in true_fn, but shape \(2,\)"),
        (lambda x: gj.cond(x > 0, lambda: x, lambda: "text"), "'text' in false_fn"),
        (lambda x: gj.cond(x, lambda: 1, lambda: 2), "must be a boolean scalar"),
        (lambda x: gj.cond(gj.stack([x, x]) > 0, lambda: 1, lambda: 2), "gj.where"),
        (lambda x: gj.cond(x > 0, 1, 2), "true_fn must be a function"),
    ],
)
def test_e1_e2_what_cannot_be_a_branch_is_refused(bad: Callable[..., Any], message: str) -> None:
    with pytest.raises(gj.errors.InvalidArgumentError, match=message):
        gj.compile(bad)(gj.constant(1.0))


def test_e2_messages_name_the_variable_and_both_lines() -> None:
    def f(x: Any) -> Any:
        def one() -> Any:
            y = x + 1
            return (y,)

        def other() -> Any:
            y = gj.cast(x, gj.int32) + 1
            return (y,)

        return trace_branches(x > 0, (one, other), names=("y",))

    with pytest.raises(gj.errors.DtypeError) as caught:
        gj.compile(f)(gj.constant(1.0))
    text = str(caught.value)
    assert "'y' has dtype float32 in the main branch, but dtype int32 in the else branch" in text
    assert "y = x + 1" in text and "y = gj.cast(x, gj.int32) + 1" in text


def test_e2_undefined_variables() -> None:
    def f(x: Any) -> Any:
        return trace_branches(x > 0, (lambda: (x,), lambda: (Undefined("y"),)), names=("y",))

    with pytest.raises(gj.errors.InvalidArgumentError, match="'y' must also be initialized in the else branch"):
        gj.compile(f)(gj.constant(1.0))


def test_c7_variables_assigned_in_branches() -> None:
    """Row C7: only the branch that runs assigns, and reads behind it see that."""
    v = gj.Variable(1.0)
    w = gj.Variable(10.0)

    @gj.compile
    def f(x: Any) -> Any:
        def up() -> Any:
            v.assign_add(x)
            return v * 2

        def down() -> Any:
            w.assign_sub(1.0)
            return v + w

        return gj.cond(x > 0, up, down), v.read_value(), w.read_value()

    assert [float(one) for one in f(gj.constant(2.0))] == [6.0, 3.0, 10.0]
    assert [float(one) for one in f(gj.constant(-2.0))] == [12.0, 3.0, 9.0]
    assert (float(v), float(w)) == (3.0, 9.0)


def test_a_failing_branch_leaves_variables_alone() -> None:
    """Decision 4."""
    v = gj.Variable(1)

    @gj.compile
    def f(x: Any) -> Any:
        v.assign_add(1)
        return gj.cond(x > 0, lambda: x // (x - x), lambda: x)

    with pytest.raises(gj.errors.DivisionByZeroError):
        f(gj.constant(3))
    assert int(v) == 1
    f(gj.constant(-3))
    assert int(v) == 2


def test_random_draws_in_branches_are_those_of_eager_mode() -> None:
    """Row I1: only the branch that runs draws."""

    def f(x: Any) -> Any:
        gj.cond(x > 0, lambda: gj.random.uniform([3]), lambda: gj.zeros([3]))
        return gj.random.uniform([2])

    compiled = gj.compile(f)
    for number in (1.0, -1.0):
        gj.random.set_seed(5)
        eager = f(gj.constant(number)).numpy()
        gj.random.set_seed(5)
        np.testing.assert_array_equal(compiled(gj.constant(number)).numpy(), eager)


def test_symbols_of_a_branch_do_not_leave_it() -> None:
    """Row D5."""

    def f(x: Any) -> Any:
        kept = []
        gj.cond(x > 0, lambda: kept.append(x * 2) or x, lambda: x)
        return kept[0] + 1

    with pytest.raises(gj.errors.ScopeError, match="used outside of that trace"):
        gj.compile(f)(gj.constant(1.0))


def test_f4_case() -> None:
    def f(x: Any) -> Any:
        return gj.case([(x < 0, lambda: x - 1), (x > 10, lambda: x + 1)], default=lambda: x * 0)

    for number in (-5, 5, 50):
        both_ways(f, gj.constant(number))


def test_f4_case_without_default_must_find_one() -> None:
    def f(x: Any) -> Any:
        return gj.case([(x < 0, lambda: x - 1), (x > 10, lambda: x + 1)])

    both_ways(f, gj.constant(11))
    for way in (f, gj.compile(f)):
        with pytest.raises(gj.errors.InvalidArgumentError, match="does not hold"):
            way(gj.constant(5))


def test_f4_exclusive_case() -> None:
    def f(x: Any) -> Any:
        return gj.case([(x > 0, lambda: x - 1), (x > 10, lambda: x + 1)], default=lambda: x, exclusive=True)

    both_ways(f, gj.constant(5))
    for way in (f, gj.compile(f)):
        with pytest.raises(gj.errors.InvalidArgumentError, match="does not hold"):
            way(gj.constant(11))


@pytest.mark.parametrize("index", [-1, 0, 1, 2, 3, 9])
def test_f4_switch_case(index: int) -> None:
    """Row F4: out of range means the last, or the default."""

    def f(k: Any) -> Any:
        plain = gj.switch_case(k, [lambda: 10, lambda: 20, lambda: k])
        numbered = gj.switch_case(k, {1: lambda: 1, 0: lambda: 0}, default=lambda: -7)
        return plain, numbered

    both_ways(f, gj.constant(index))


def test_switch_case_refuses_gaps() -> None:
    with pytest.raises(gj.errors.InvalidArgumentError, match="numbered 0 to 1"):
        gj.switch_case(gj.constant(0), [(0, lambda: 1), (2, lambda: 2)])


def test_branches_of_other_sizes_are_partly_unknown() -> None:
    """Row E2: shapes may differ, then a size is unknown."""

    def f(x: Any) -> Any:
        return gj.cond(gj.reduce_sum(x) > 0, lambda: gj.concat([x, x], 0), lambda: x) * 2

    for sign in (1.0, -1.0):
        both_ways(f, gj.constant([sign, sign]))


def test_nested_branches_and_captures() -> None:
    def f(x: Any, y: Any) -> Any:
        def inner() -> Any:
            return gj.cond(y > 0, lambda: x + y, lambda: x * y)

        return gj.cond(x > 0, inner, lambda: y)

    for x in (1, -1):
        for y in (2, -2):
            both_ways(f, gj.constant(x), gj.constant(y))


def test_unknown_sizes_are_known_inside_when_it_runs() -> None:
    """Row A12: the graph for a call has the call's sizes in branches too."""

    @gj.compile(input_signature=[gj.TensorSpec([None], gj.float32)])
    def f(x: Any) -> Any:
        return gj.cond(gj.reduce_sum(x) > 0, lambda: gj.reshape(x, [-1, 1]), lambda: gj.zeros([gj.shape(x)[0], 1]))

    np.testing.assert_array_equal(f(gj.constant([1.0, 2.0])).numpy(), [[1.0], [2.0]])
    np.testing.assert_array_equal(f(gj.constant([-1.0, -2.0, 0.0])).numpy(), np.zeros([3, 1]))
    assert "?" not in f.dump("optimized")
