"""Records of traces, warnings, and numbers that stop to matter."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import DtypeError

X = gj.constant([1.0, 2.0])


def test_a4_a_number_that_does_not_matter_becomes_an_input() -> None:
    """A4: after three values whose graphs are the same up to the literal there are no further traces."""
    f = gj.compile(lambda x, n: x * n + n)
    for n in (1.0, 2.0, 3.0, 4.0, -0.0, 5.5):
        np.testing.assert_array_equal(f(X, n), X.numpy() * np.float32(n) + np.float32(n))
    assert f.trace_count == 4
    assert "any number from now on" in str(f.retraces()[3])
    with pytest.raises(DtypeError):
        f(gj.constant([1]), 2.5)


def test_a4_integers_and_floats_in_turn() -> None:
    """A4: an int is not a float, and each dtype that a number is used with is an input of its own."""

    @gj.compile
    def f(x: Any, n: int) -> Any:
        return x * n, gj.constant([1, 2]) + n, gj.constant([1.0], gj.float64) / n

    for n in (1, 2, 3, 7, 2**20):
        a, b, c = f(X, n)
        assert (a.numpy()[0], b.numpy()[1], c.numpy()[0]) == (np.float32(n), 2 + n, 1.0 / n)
    assert f.trace_count == 4
    assert f(X, 4.5 if False else 9)[1].dtype == gj.int32


@pytest.mark.parametrize(
    "body",
    [
        lambda x, n: x * 2.0 if n > 5 else x,
        lambda x, n: x + 1.0 if n == 7 else x,
        lambda x, n: x * float(max(n, 5)),
        lambda x, n: x + {7: 1.0}.get(n, 0.0),
        lambda x, n: x * (n * 2.0),
        lambda x, n: sum((x for _ in range(int(n))), x),
        lambda x, n: x if not isinstance(n, int) else x * 2.0 if n > 5 else x,
        lambda x, n: gj.reshape(gj.concat([x] * int(n), 0), (-1,)),
        lambda x, n: x + len(f"{n:04}"),
        lambda x, n: x + float(np.sqrt(n)),
        lambda x, n: x + np.array([n, n]).astype(np.float32)[0],
    ],
)
@pytest.mark.parametrize("kind", [int, float])
def test_a4_a_number_that_decides_what_is_traced_stays_part_of_the_signature(body: Any, kind: type) -> None:
    """A4: whatever Python does with the number, no value gets the trace of another."""
    f = gj.compile(body)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.RetraceWarning)
        for n in (1, 2, 3, 4, 7, 10, 5):
            np.testing.assert_array_equal(f(X, kind(n)), gj.convert_to_tensor(body(X, kind(n))))


def test_a4_several_numbers_of_which_one_matters() -> None:
    """A4: the one that does not matter is freed, the other one stays."""

    @gj.compile
    def f(x: Any, step: int, rate: float) -> Any:
        return x * rate if step % 2 else x - rate

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.RetraceWarning)
        for step in range(8):
            rate = 1.0 / (step + 1)
            expected = X.numpy() * np.float32(rate) if step % 2 else X.numpy() - np.float32(rate)
            np.testing.assert_array_equal(f(X, step, rate), expected)


def test_a4_static_numbers_stay_literals() -> None:
    """A4: `static=("n",)` keeps a trace for each value."""
    f = gj.compile(lambda x, n: x * n, static=("n",))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.RetraceWarning)
        for n in range(6):
            f(X, n)
    assert f.trace_count == 6


def test_a4_a_free_number_and_a_change_outside() -> None:
    """A4, D3: a guard that no longer holds leads to traces of their own."""
    k = 1.0
    f = gj.compile(lambda x, n: x * n if k < 2.0 or n > 4 else x)
    for n in (1, 2, 3, 4, 5):
        np.testing.assert_array_equal(f(X, n), X.numpy() * n)
    k = 3.0
    for n in (1, 5, 2, 6, 3):
        np.testing.assert_array_equal(f(X, n), X.numpy() * (n if n > 4 else 1))


def test_a13_one_warning_for_each_cause() -> None:
    """A13: the warning names argument, old, new, call site and remedy, once."""
    f = gj.compile(lambda x: x * 2.0, name="doubled")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for size in range(12):
            f(np.ones(size, np.float32))
    messages = [str(one.message) for one in caught if issubclass(one.category, gj.RetraceWarning)]
    assert len(messages) == 1
    for part in ("'doubled'", "argument 'x'", "f32[4]", "f32[5]", "test_retraces.py", "reduce_retracing=True"):
        assert part in messages[0]


def test_a13_lambdas_that_are_compiled_again_and_again_are_warned_of() -> None:
    """A13: compiling in a loop is caught: each new function object would be traced anew."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(25):
            gj.compile(lambda x: x * 3.0)(X)
    messages = [str(one.message) for one in caught if issubclass(one.category, gj.RetraceWarning)]
    assert len(messages) == 1
    assert "compiled again" in messages[0]


def test_a14_records_of_traces() -> None:
    """A14, D19: call site, argument, old, new, milliseconds, advice."""
    f = gj.compile(lambda x, flag: x)
    assert str(f.retraces()) == "not traced yet"
    f(X, True)
    f(X, False)
    f(gj.constant([1, 2]), False)
    f([X], False)
    first, second, third, fourth = f.retraces()
    assert (first.argument, first.number) == ("", 1)
    assert (second.argument, second.old, second.new) == ("argument 'flag'", "True", "False")
    assert (third.argument, third.old, third.new) == ("argument 'x'", "f32[2]", "i32[2]")
    assert "gj.cast" in third.advice
    assert fourth.argument == "the structure of the arguments"
    assert second.call_site is not None
    assert second.call_site.text == "f(X, False)"
    assert second.milliseconds > 0
    assert "test_retraces.py" in str(f.retraces())
    assert f.experimental_get_tracing_count() == f.trace_count == 4


def test_a14_records_of_changes_outside() -> None:
    """A14, D3: the record names the place, and what of a container changed."""
    table = {"rate": 1.0, "other": [1, 2]}
    f = gj.compile(lambda x: x * table["rate"])
    f(X)
    table["other"] = [1, 3]
    f(X)
    record = f.retraces()[1]
    assert "table" in record.argument
    assert "['other'][1]" in record.argument
    assert (record.old, record.new) == ("2", "3")
