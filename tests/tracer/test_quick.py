"""D16: calls that run without Python give what Python's way gives, and leave to it whatever is unusual."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import signal
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime import objectlayout

RATE = 2.0
GLOBAL = gj.Variable(np.float32([1.0, 2.0]))

pytestmark = pytest.mark.skipif(not objectlayout.is_known(), reason="this interpreter's objects are not known")


def quick_calls(function: Any) -> int:
    """How many calls ran without Python."""
    return sum(int(entry.concrete.native_hits[0]) for entry in function._cache)


def ran_quickly(function: Any, *args: Any, **kwargs: Any) -> bool:
    """Whether a call ran without Python."""
    before = quick_calls(function)
    function(*args, **kwargs)
    return quick_calls(function) == before + 1


def warmed(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """A compiled function after the calls that make its record."""
    compiled = gj.compile(function)
    for _ in range(3):
        compiled(*args, **kwargs)
    assert quick_calls(compiled) == 1
    return compiled


X = np.float32([1.0, 2.0, 3.0])


def test_d16_arrays_and_tensors_share_a_record() -> None:
    """D16, A3: an array and a tensor of one type are one signature, and other types are others."""
    f = warmed(lambda x: x * 2.0, X)
    assert ran_quickly(f, gj.constant(X))
    assert ran_quickly(f, X + 1)
    np.testing.assert_array_equal(f(X + 1).numpy(), [4.0, 6.0, 8.0])
    assert not ran_quickly(f, X[:2])
    assert not ran_quickly(f, X.astype(np.float64))
    assert f(X.astype(np.float64)).dtype == gj.float64
    assert f.trace_count == 3


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8", "bool"])
def test_d16_scalars_of_every_kind(dtype: str) -> None:
    """D16, A3: NumPy scalars, arrays without axes and tensors are told by dtype only."""
    one, other = np.ones((), dtype)[()], np.zeros((), dtype)[()]
    f = warmed(lambda x, y: (x, gj.equal(x, y)), one, other)
    assert ran_quickly(f, np.asarray(one), gj.constant(other))
    assert ran_quickly(f, one, other)
    found, same = f(other, one)
    assert found.numpy() == other
    assert found.dtype == gj.as_dtype(dtype)
    assert not same.numpy()


def test_d16_scalars_as_keywords_keep_their_names() -> None:
    """D16, A10: equal scalars under keywords in another order than the parameters are not mixed up."""
    f = gj.compile(lambda x, y: x - y)
    one = np.float32(1.0)
    for _ in range(4):
        assert f(y=one, x=one).numpy() == 0.0
    assert f(y=np.float32(3.0), x=one).numpy() == -2.0


@pytest.mark.parametrize(
    "unusual",
    [
        X.astype(">f4"),
        np.float32([[1.0, 0.0], [2.0, 0.0], [3.0, 0.0]])[:, 0],
        np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float32),
        X.view(np.matrix).view(type("Own", (np.ndarray,), {}))[0],
        [1.0, 2.0, 3.0],
    ],
    ids=["big-endian", "strided", "misaligned", "subclass", "list"],
)
def test_d16_unusual_arrays_go_through_python(unusual: Any) -> None:
    """D16: what native code cannot read gives the same through Python."""
    f = warmed(lambda x: x * 2.0, X)
    if isinstance(unusual, list):
        assert [one.numpy() for one in gj.compile(lambda x: [2.0 * one for one in x])(unusual)] == [2.0, 4.0, 6.0]
        return
    assert not ran_quickly(f, unusual)
    np.testing.assert_array_equal(f(unusual).numpy(), [2.0, 4.0, 6.0])


def test_d16_read_only_arrays_are_read() -> None:
    """D16: an input is never written to, so it may be read-only."""
    f = warmed(lambda x: x * 2.0, X)
    array = X.copy()
    array.flags.writeable = False
    assert ran_quickly(f, array)


@pytest.mark.filterwarnings("ignore::graphjit.tracer.retraces.RetraceWarning")
def test_a4_values_are_told_apart() -> None:
    """A4: ints, booleans, floats, zeros and strings by exact type and value, quickly or not."""

    @gj.compile(static=("n",))
    def f(x: Any, n: Any) -> Any:
        return x * 2.0 if n == "a" else x * (0.0 if n is None else float(n))

    values = [1, True, 1.0, 0.0, -0.0, None, "a", float("nan")]
    expected = [1.0, 1.0, 1.0, 0.0, -0.0, 0.0, 2.0, float("nan")]
    for _ in range(4):
        for value, factor in zip(values, expected, strict=True):
            assert f(X, value).numpy().tobytes() == (X * np.float32(factor)).tobytes()
    assert f.trace_count == len(values)
    assert ran_quickly(f, X, 1)
    assert ran_quickly(f, X, float("1.0"))
    np.testing.assert_array_equal(f(X, True).numpy(), X)


def test_a4_static_numbers_stay_apart_beside_free_ones() -> None:
    """A4: a number that has any value does not make another one forget its own."""
    f = gj.compile(lambda x, n, rate: x**n * rate, static=("n",))
    for rate in (0.1, 0.2, 0.3, 0.4, 0.5):
        f(X, 2, rate)
    for rate in (0.5, 0.6, 0.7, 0.8):
        np.testing.assert_allclose(f(X, 3, rate).numpy(), X**3 * np.float32(rate), rtol=1e-6)
        np.testing.assert_allclose(f(X, 2, rate).numpy(), X**2 * np.float32(rate), rtol=1e-6)
    assert ran_quickly(f, X, 2, 0.9)


@pytest.mark.parametrize(
    ("dtype", "kind"),
    [("float32", float), ("float64", float), ("float32", int), ("float64", int), ("int32", int), ("int64", int)],
)
def test_a4_numbers_of_any_value(dtype: str, kind: type) -> None:
    """A4: once a number may have any value, calls with new ones are quick, and give what its literal would."""
    x = np.array([1, 2, 3], dtype)
    f = gj.compile(lambda x, n: x * n)
    for n in range(5):
        f(x, kind(n))
    assert ran_quickly(f, x, kind(70))
    for value in (kind(70), kind(-3), kind(2**31 - 1), kind(2**20 + 1)):
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(f(x, value).numpy(), x * np.array(value, dtype))
    assert f.trace_count == 4


def test_a4_numbers_that_fit_nothing_usual() -> None:
    """A4: infinity, NaN, numbers beyond 32 bits and other kinds give what Python's way gives."""
    f = gj.compile(lambda x, n: x * n)
    for n in range(5):
        f(X, float(n))
    for value in (float("inf"), 3.2e38, -0.0, 1e-50):
        with np.errstate(over="ignore", under="ignore"):
            np.testing.assert_array_equal(f(X, value).numpy(), X * np.float32(value))
    assert np.isnan(f(X, float("nan")).numpy()).all()
    np.testing.assert_array_equal(f(X, 3).numpy(), X * 3)
    np.testing.assert_array_equal(f(X, True).numpy(), X)
    g = gj.compile(lambda x, n: x + n)
    for n in range(5):
        g(np.int64([1]), n)
    assert g(np.int64([1]), 2**40).numpy() == [2**40 + 1]


def test_a4_a_number_that_is_not_used() -> None:
    """A4: a number without effect is still told by its kind."""
    f = gj.compile(lambda x, n: x * 2.0)
    for n in range(6):
        f(X, n)
    assert ran_quickly(f, X, 50)
    np.testing.assert_array_equal(f(X, 0.5).numpy(), X * 2)
    np.testing.assert_array_equal(f(X, "word").numpy(), X * 2)


@pytest.mark.parametrize(
    ("make", "other"),
    [
        (lambda x: (x, x + 1), lambda x: [x, x + 1]),
        (lambda x: [x, (x + 1, 2.0)], lambda x: [x, (x + 1, 3.0)]),
        (lambda x: {"b": x, "a": {"c": [x + 1]}}, lambda x: {"b": x, "a": {"d": [x + 1]}}),
        (lambda x: (x, []), lambda x: (x, [], x)),
        (lambda x: {"b": gj.constant(x), "a": np.float32(2.0)}, lambda x: {"b": x, "a": 2.0}),
        (lambda x: {1: x, "a": x + 1}, lambda x: {2: x, "a": x + 1}),
    ],
)
def test_a5_nested_arguments(make: Callable[[Any], Any], other: Callable[[Any], Any]) -> None:
    """A5: tuples, lists and dicts of arrays and values, in any order of a dict; another structure is another trace."""

    def total(values: Any, scale: Any = 1.0) -> Any:
        leaves = gj.nest.flatten(values)
        return sum((scale * (n + 1) * one for n, one in enumerate(leaves)), 0.0)

    def check(f: Any, values: Any) -> None:
        expected = total(values)
        np.testing.assert_allclose(f(values).numpy(), np.asarray(expected), rtol=1e-6)

    f = gj.compile(total)
    for _ in range(4):
        check(f, make(X))
        check(f, make(X * 3))
        check(f, other(X))
    assert f.trace_count == 2
    values = make(X)
    if isinstance(values, dict) and 1 not in values:
        assert ran_quickly(f, values)
        assert ran_quickly(f, dict(reversed(values.items())))
        check(f, dict(reversed(values.items())))
    elif not isinstance(values, dict):
        assert ran_quickly(f, values)


def test_a20_lists_that_others_change() -> None:
    """A20: an array in a list lives until a long run has read it, whatever becomes of the list."""
    size = 2**16
    batch = [np.zeros(size, np.float32)]
    f = warmed(lambda batch: gj.reduce_max(batch[0]) - gj.reduce_min(batch[0]), batch)
    stop = threading.Event()

    def change() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            batch[0] = np.full(size, n % 50, np.float32)

    thread = threading.Thread(target=change)
    thread.start()
    found = {float(f(batch).numpy()) for _ in range(500)}
    stop.set()
    thread.join()
    assert found == {0.0}


def test_b1_input_signatures() -> None:
    """B1: arrays of the declared types are taken as they are, quickly; others are converted or refused."""
    spec = gj.TensorSpec([None], gj.float32)
    f = gj.compile(lambda x: x * 2.0, input_signature=[spec])
    for _ in range(3):
        f(X)
    assert ran_quickly(f, X)
    assert f.trace_count == 1
    np.testing.assert_array_equal(f(X[:2]).numpy(), [2.0, 4.0])
    np.testing.assert_array_equal(f([1, 2, 3]).numpy(), X * 2)
    np.testing.assert_array_equal(f(np.float64([1, 2, 3])).numpy(), X * 2)
    with pytest.raises(gj.errors.SignatureError):
        f(np.zeros((2, 2), np.float32))
    same = gj.compile(lambda x: x, input_signature=[spec])
    array = X.copy()
    kept = [same.eager(array), same(array)]
    array[:] = 0.0
    for one in kept:
        np.testing.assert_array_equal(one.numpy(), X)


def test_a12_open_shapes_beside_variables() -> None:
    """A12: a trace for open sizes that reads a variable is quick for each size that comes."""
    v = gj.Variable(np.float32(2.0))
    f = gj.compile(lambda x, n: x * v + n, reduce_retracing=True, static=("n",))
    for size in (1, 2, 3, 4, 4, 4):
        np.testing.assert_array_equal(f(np.ones(size, np.float32), 1.0).numpy(), [3.0] * size)
    assert ran_quickly(f, np.ones(4, np.float32), 1.0)
    np.testing.assert_array_equal(f(np.ones(3, np.float32), 1.0).numpy(), [3.0] * 3)


def test_a7_objects_and_variables_among_the_arguments() -> None:
    """A7, A9: calls with the same objects are quick; other objects, changed attributes and other variables are seen."""

    class Model:
        def __init__(self, scale: float) -> None:
            self.scale = scale
            self.w = gj.Variable(X)

    def step(model: Any, v: Any, pair: Any, x: Any) -> Any:
        v.assign_add(x)
        return model.w * model.scale * x + v + pair[0]

    one, other = Model(2.0), Model(3.0)
    v, w = gj.Variable(X * 0), gj.Variable(X * 0)
    f = gj.compile(step)

    def check(model: Any, variable: Any, extra: Any) -> None:
        expected = model.w.numpy() * np.float32(model.scale) * X + variable.numpy() + X + extra.numpy()
        np.testing.assert_allclose(f(model, variable, (extra, 1), X).numpy(), expected, rtol=1e-6)

    u = gj.Variable(X)
    for _ in range(5):
        check(one, v, u)
        check(other, w, u)
    assert ran_quickly(f, one, v, (u, 1), X)
    one.scale = 7.0
    for _ in range(9):
        check(one, v, u)
    one.w = gj.Variable(X * 2)
    check(one, v, u)
    assert f.trace_count == 4


def test_a9_aliases_are_told_apart() -> None:
    """A9: one variable twice is another signature than two variables, also for calls that are quick."""

    def swap(a: Any, b: Any) -> Any:
        a.assign(a + b)
        b.assign(b * 2.0)
        return a + b

    a, b = gj.Variable(1.0), gj.Variable(10.0)
    f = gj.compile(swap)
    for _ in range(4):
        a.assign(1.0)
        b.assign(10.0)
        assert f(a, b).numpy() == 31.0
        a.assign(1.0)
        assert f(a, a).numpy() == 8.0
        assert a.numpy() == 4.0
    assert f.trace_count == 2
    assert ran_quickly(f, a, a)
    a.trainable = False
    f(a, b)
    assert f.trace_count == 3


def test_a21_objects_among_the_arguments_are_not_kept() -> None:
    """A21: a quick call's variable dies with its last holder; another one in its place is another one."""
    f = gj.compile(lambda v, x: v * x)
    v = gj.Variable(X)
    for _ in range(5):
        f(v, X)
    assert ran_quickly(f, v, X)
    gone, array = weakref.ref(v), weakref.ref(v.array)
    del v
    gc.collect()
    assert (gone(), array()) == (None, None)
    for n in range(20):
        np.testing.assert_array_equal(f(gj.Variable(X * n), X).numpy(), X * X * n)


def test_a10_keywords() -> None:
    """A10: keywords in any order find their parameters."""
    f = gj.compile(lambda x, y, scale=1.0: (x - y) * scale)
    for _ in range(4):
        f(X, y=X + 1, scale=2.0)
    assert ran_quickly(f, X, y=X + 1, scale=2.0)
    np.testing.assert_array_equal(f(y=X + 1, x=X).numpy(), [-1.0] * 3)
    np.testing.assert_array_equal(f(x=X, y=X + 1).numpy(), [-1.0] * 3)
    np.testing.assert_array_equal(f(y=X, x=X + 1).numpy(), [1.0] * 3)
    with pytest.raises(TypeError):
        f(X, X, 1.0, z=3)
    with pytest.raises(TypeError):
        f(X)


def test_a10_keywords_made_while_running() -> None:
    """A10: keywords are compared by their letters, as a name that a program puts together is an object of its own."""
    f = warmed(lambda x, second_operand: x - second_operand, X, second_operand=X)
    name = "".join(["second", "_", "operand"])
    assert name is not sys.intern("second_operand")
    assert ran_quickly(f, X, **{name: X})
    with pytest.raises(TypeError, match="missing a required argument"):
        f(X, **{name[:-1] + "D": X})


def test_d3_guards_of_every_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: globals, cells, attributes, classes and containers are looked at before a quick call."""

    class Holder:
        scale = 3.0

    holder, table, rate = Holder(), {"a": 1.0}, 5.0
    weight = gj.Variable(1.0)

    def body(x: Any) -> Any:
        return x * RATE * holder.scale * table["a"] * rate * weight

    f = warmed(body, X)
    expected = 30.0
    np.testing.assert_array_equal(f(X).numpy(), X * expected)

    def changed(factor: float) -> None:
        np.testing.assert_array_equal(f(X).numpy(), X * np.float32(expected * factor))
        for _ in range(3):
            f(X)
        assert ran_quickly(f, X)

    monkeypatch.setattr(sys.modules[__name__], "RATE", 4.0)
    changed(2.0)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 2.0)
    assert ran_quickly(f, X)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 4.0)
    assert ran_quickly(f, X)
    holder.scale = 6.0
    changed(4.0)
    table["a"] = 2.0
    changed(8.0)
    rate = 10.0
    changed(16.0)
    weight = gj.Variable(2.0)
    changed(32.0)
    monkeypatch.setattr(sys.modules[__name__], "RATE", 2.0)
    changed(16.0)


def test_c9_captured_arrays_are_read_at_each_call() -> None:
    """C9: elements of a captured array that change are seen, quickly."""
    data = np.float32([1.0, 2.0, 3.0])
    f = warmed(lambda x: x + data, X)
    data[:] = 10.0
    assert ran_quickly(f, X)
    np.testing.assert_array_equal(f(X).numpy(), X + 10)


def test_c9_variables_are_read_and_assigned() -> None:
    """C9, D5: a quick call reads what a variable holds now, and what was read before keeps its numbers."""
    v = gj.Variable(np.float32([1.0, 2.0, 3.0]))

    def step(x: Any) -> Any:
        v.assign_add(x)
        return gj.reduce_sum(v)

    f = warmed(step, X)
    before = v.read_value()
    kept = before.numpy().copy()
    assert ran_quickly(f, X)
    np.testing.assert_array_equal(before.numpy(), kept)
    np.testing.assert_array_equal(v.numpy(), kept + X)
    v.assign([0.0, 0.0, 0.0])
    assert f(X).numpy() == 6.0


@pytest.mark.parametrize("size", [2**15, 2**18])
def test_d12_updates_are_written_where_they_lie(size: int) -> None:
    """D12, C8: quick calls write a variable's own memory, but never what somebody has read before."""
    v = gj.Variable(np.zeros(size, np.float32))
    x = np.ones(size, np.float32)

    def step(x: Any) -> Any:
        v.assign(v * 0.5 + x)
        return gj.reduce_sum(x)

    f = warmed(step, x)
    f(x)
    places = {v.array.__array_interface__["data"][0] for _ in range(4) if ran_quickly(f, x)}
    assert len(places) == 1
    held = v.read_value()
    view = held.numpy()[1:2]
    kept = held.numpy().copy()
    del held
    for _ in range(3):
        assert ran_quickly(f, x)
    assert view[0] == kept[1]
    assert v.array.__array_interface__["data"][0] not in places
    expected = np.float32(0.0)
    for _ in range(11):
        expected = expected * np.float32(0.5) + np.float32(1.0)
    np.testing.assert_array_equal(v.numpy(), np.full(size, expected))


def test_a20_updates_while_others_read() -> None:
    """A20: nobody sees a half written variable, however many threads update and read it."""
    size = 2**15
    v = gj.Variable(np.zeros(size, np.float32))
    f = warmed(lambda: v.assign_add(np.float32(1.0) + 0.0 * v))
    wrong: list[Any] = []

    def update() -> None:
        for _ in range(300):
            f()

    def read() -> None:
        for _ in range(300):
            seen = v.numpy()
            if seen.min() != seen.max():
                wrong.append(seen)

    threads = [threading.Thread(target=one) for one in (update, read, update, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_d5_two_variables_are_swapped() -> None:
    """D5: all variables get their new values together."""
    a, b = gj.Variable(1.0), gj.Variable(2.0)

    def swap() -> None:
        old = a.read_value()
        a.assign(b)
        b.assign(old)

    f = warmed(swap)
    assert (a.numpy(), b.numpy()) == (2.0, 1.0)
    assert ran_quickly(f)
    assert f() is None
    assert (a.numpy(), b.numpy()) == (2.0, 1.0)


def test_variables_of_open_shape() -> None:
    """C1: a variable whose shape changes is a new trace."""
    v = gj.Variable([1.0], shape=[None])
    f = warmed(lambda: v * 2.0)
    v.assign([1.0, 2.0])
    np.testing.assert_array_equal(f().numpy(), [2.0, 4.0])


@pytest.mark.parametrize(
    ("make", "read"),
    [
        (lambda x: x, lambda found: [found]),
        (lambda x: (x, x + 1), list),
        (lambda x: [x, x + 1, x + 2], list),
        (lambda x: {"b": x, "a": [x + 1, None, "word"]}, lambda found: [found["b"], found["a"][0]]),
        (lambda x: (x,), list),
        (lambda x: (), list),
    ],
)
def test_results_of_every_shape(make: Callable[[Any], Any], read: Callable[[Any], list[Any]]) -> None:
    """D16: results come back in the structure that the function gave them."""
    plain = make(X)
    f = warmed(make, X)
    found = f(X)
    assert type(found) is type(plain) or isinstance(found, gj.Tensor)
    for given, wanted in zip(read(found), read(plain), strict=True):
        assert isinstance(given, gj.Tensor)
        np.testing.assert_array_equal(given.numpy(), wanted)
    if isinstance(found, dict):
        assert found["a"][1:] == [None, "word"]


def test_constants_come_back_as_they_are() -> None:
    """D16: a function without tensors in its result."""
    assert warmed(lambda x: "word", X)(X) == "word"


def test_results_share_no_memory() -> None:
    """D12: results of different calls, and inputs, are different memory; a result may be passed on."""
    f = warmed(lambda x: x, X)
    one, other = f(X), f(X)
    assert not np.shares_memory(one.numpy(), other.numpy())
    assert not np.shares_memory(one.numpy(), X)
    np.testing.assert_array_equal(f(one).numpy(), X)


def test_large_results_return_to_the_pool() -> None:
    """D12: memory of large results is used again when the last array on it dies."""
    x = np.zeros(2**18, np.float32)
    f = warmed(lambda x: x + 1.0, x)
    before = gj.memory_report().results_in_use
    held = [f(x) for _ in range(3)]
    assert gj.memory_report().results_in_use == before + 3 * x.nbytes
    array = held[0].numpy()
    del held
    assert gj.memory_report().results_in_use == before + x.nbytes
    np.testing.assert_array_equal(array, 1.0)


def test_tapes_are_told() -> None:
    """G19: a call that a tape listens to is recorded; a call after it is quick again."""
    f = warmed(lambda x: x * x, np.float32(3.0))
    x = gj.constant(3.0)
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert tape.gradient(y, x).numpy() == 6.0
    assert ran_quickly(f, x)


def test_nested_traces_inline() -> None:
    """A18: a quick function inside of a trace is written down."""
    f = warmed(lambda x: x * x, X)
    g = warmed(lambda x: f(x) + 1.0, X)
    np.testing.assert_array_equal(g(X).numpy(), X * X + 1)


def test_j1_eager_mode_runs_python() -> None:
    """J1: eager mode, here or everywhere, runs the Python function."""
    f = warmed(lambda x: x + 1.0, X)
    with gj.eager_mode():
        assert not ran_quickly(f, X)
    gj.run_functions_eagerly(True)
    try:
        assert not ran_quickly(f, X)
        with gj.eager_mode(False):
            f(X)
    finally:
        gj.run_functions_eagerly(False)
    assert ran_quickly(f, X)


def test_contexts_that_outlive_a_tape_are_seen() -> None:
    """D8: a context that was copied while a tape listened still has the tape."""
    f = warmed(lambda x: x * x, np.float32(3.0))
    x = gj.constant(3.0)
    with gj.GradientTape(persistent=True) as tape:
        tape.watch(x)
        inside = contextvars.copy_context()
    y = inside.run(f, x)
    assert tape.gradient(y, x).numpy() == 6.0
    assert inside.run(lambda: not ran_quickly(f, x))

    async def main() -> bool:
        return ran_quickly(f, x)

    assert asyncio.run(main())


def test_a23_errors_leave_everything_as_it_was() -> None:
    """A23: an error in a quick call is Python's error, and no variable changed; the next call works."""
    v = gj.Variable(np.int32([1, 2, 3]))

    def body(x: Any, y: Any) -> Any:
        v.assign_add(x)
        return x // y

    x, y = np.int32([7, 8, 9]), np.int32([1, 2, 3])
    f = warmed(body, x, y)
    before = v.numpy()
    for _ in range(3):
        with pytest.raises(gj.errors.InvalidArgumentError, match="zero"):
            f(x, np.int32([1, 0, 1]))
    np.testing.assert_array_equal(v.numpy(), before)
    assert ran_quickly(f, x, y)
    np.testing.assert_array_equal(v.numpy(), before + x)


def test_d14_long_calls_answer_signals() -> None:
    """D14: a long quick call stops for signals: their handlers run, and an error of theirs changes nothing."""
    v = gj.Variable(0.0)
    x = np.int32(1_000_000)
    turn = np.float32([[0.0, 1.0], [-1.0, 0.0]])

    def body(n: Any) -> Any:
        start = gj.constant([[1.0, 0.0]])
        _, turned = gj.while_loop(lambda i, turned: i < n, lambda i, turned: (i + 1, gj.sin(turned @ turn)), (0, start))
        v.assign_add(1.0)
        return turned

    f = warmed(body, np.int32(3))
    calls: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: calls.append(1))
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        assert ran_quickly(f, x)
        assert calls == [1]
        signal.signal(signal.SIGALRM, _raise)
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        held = float(v.numpy())
        with pytest.raises(KeyboardInterrupt):
            f(x)
        assert float(v.numpy()) == held
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, before)
    assert ran_quickly(f, x)


def _raise(*_: Any) -> None:
    raise KeyboardInterrupt


def test_f2_loops_are_quick() -> None:
    """F2: a loop whose length is known when it runs, and a branch, need no Python."""

    def body(x: Any, n: Any) -> Any:
        _, total = gj.while_loop(lambda i, total: i < n, lambda i, total: (i + 1, total * 0.5 + x), (0, x))
        return gj.cond(total[0] > 1.5, lambda: total, lambda: -total)

    n = gj.constant(3)
    f = warmed(body, X, n)
    assert ran_quickly(f, X, n)
    for rounds in (0, 1, 7, 100_000):
        expected = f.eager(X, gj.constant(min(rounds, 100))).numpy()
        np.testing.assert_allclose(f(X, gj.constant(rounds)).numpy(), expected, rtol=1e-6)


def test_methods_are_quick() -> None:
    """A16: methods, each object with its own variables."""

    class Model:
        def __init__(self, start: float) -> None:
            self.w = gj.Variable(np.float32([start]))

        @gj.compile
        def step(self, x: Any) -> Any:
            self.w.assign_add(x)
            return self.w * 2.0

    one, other = Model(0.0), Model(10.0)
    x = np.float32([1.0])
    for _ in range(3):
        one.step(x)
        other.step(x)
    assert ran_quickly(one.step, x)
    assert one.step(x).numpy() == [10.0]
    assert other.step(x).numpy() == [28.0]
    one.w = gj.Variable(np.float32([100.0]))
    assert one.step(x).numpy() == [202.0]


def test_a16_dead_instances_release_their_graphs() -> None:
    """A16, A21: a quick method does not keep its object alive."""

    class Model:
        @gj.compile
        def double(self, x: Any) -> Any:
            return x * 2.0

    model = Model()
    for _ in range(4):
        model.double(X)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_a21_cleared_functions_start_anew() -> None:
    """A21: records go with their traces."""
    f = warmed(lambda x: x + 1.0, X)
    f.clear()
    assert f.cache_info().currsize == 0
    f(X)
    assert f.trace_count == 2
    assert f.cache_info().hits == 1


def test_a21_a_bounded_cache_drops_records() -> None:
    """A21: a dropped trace serves no more calls; uses that ran without Python count."""
    f = gj.compile(lambda x: x + 1.0, cache_size=2)
    shapes = [np.zeros(n, np.float32) for n in (1, 2)]
    for x in shapes * 3:
        f(x)
    f(np.zeros(3, np.float32))
    assert ran_quickly(f, shapes[1])
    assert f.trace_count == 3
    f(shapes[0])
    assert f.trace_count == 4


@pytest.mark.filterwarnings("ignore::graphjit.tracer.retraces.RetraceWarning")
def test_many_signatures() -> None:
    """A2: more signatures than are tried in turn all give the right answer."""
    f = gj.compile(lambda x: x + 1.0)
    for _ in range(4):
        for n in range(1, 20):
            np.testing.assert_array_equal(f(np.zeros(n, np.float32)).numpy(), np.ones(n))
    assert f.trace_count == 19


def test_a20_threads_share_a_record() -> None:
    """A20: whoever finds a record busy goes another way; long runs let others run."""
    f = warmed(lambda x: gj.tanh(x) * 2.0 + x, np.zeros(2**16, np.float32))
    arrays = [np.full(2**16, n, np.float32) for n in range(4)]
    wrong: list[int] = []

    def work(n: int) -> None:
        expected = f(arrays[n]).numpy().copy()
        for _ in range(200):
            if not np.array_equal(f(arrays[n]).numpy(), expected):
                wrong.append(n)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_a20_variables_that_others_replace() -> None:
    """A20: a variable that is assigned during a long run lives until the run has read it."""
    size = 2**16
    v = gj.Variable(np.zeros(size, np.float32))
    f = warmed(lambda: gj.reduce_max(v) - gj.reduce_min(v))
    stop = threading.Event()

    def assign() -> None:
        n = 0
        while not stop.is_set():
            n += 1
            v.assign(np.full(size, n % 50, np.float32))

    thread = threading.Thread(target=assign)
    thread.start()
    found = {float(f().numpy()) for _ in range(500)}
    stop.set()
    thread.join()
    assert found == {0.0}


def test_a_guard_that_calls_the_function_again() -> None:
    """D16: a call while the record is busy goes through Python."""
    depth: list[int] = []

    class Holder:
        @property
        def scale(self) -> float:
            if len(depth) < 2:
                depth.append(1)
                f(X)
                depth.pop()
            return 2.0

    holder = Holder()
    f = gj.compile(lambda x: x * holder.scale)
    for _ in range(5):
        np.testing.assert_array_equal(f(X).numpy(), X * 2)


def test_numpy_gives_a_read_only_view() -> None:
    """C10: the numbers of a tensor cannot be changed, and stay while the view lives."""
    f = warmed(lambda x: x * 2.0, X)
    view = f(X).numpy()
    assert type(view) is np.ndarray
    assert not view.flags.writeable
    assert view.base is not None
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1.0
    strided = gj.transpose(gj.constant(np.arange(6.0).reshape(2, 3))).numpy()
    np.testing.assert_array_equal(strided, np.arange(6.0).reshape(2, 3).T)
    assert type(gj.constant(1.5).numpy()) is np.float32


def test_arguments_are_not_kept() -> None:
    """D12: no record keeps what it was called with, nor what a variable held."""
    v = gj.Variable(X)
    f = gj.compile(lambda x, pair: v.assign(x * pair[0]))
    gone = []
    for _ in range(4):
        x, y = X.copy(), X.copy()
        gone += [weakref.ref(x), weakref.ref(y), weakref.ref(v.array)]
        f(x, (y, 1.0))
    del x, y
    v.assign(X)
    assert quick_calls(f) >= 1
    assert [one() for one in gone] == [None] * len(gone)


def test_references_are_balanced() -> None:
    """D12: no reference is lost or kept for what every call touches."""
    v = gj.Variable(np.float32([1.0, 2.0, 3.0]))

    def body(x: Any) -> Any:
        v.assign_add(x)
        return x * RATE, GLOBAL + 0.0

    f = warmed(body, X)
    watched = [X, X.dtype, v, GLOBAL, GLOBAL.array, RATE, None, np.ndarray, gj.Tensor]
    gc.collect()  # what earlier tests left refers to some of these
    before = [sys.getrefcount(one) for one in watched]
    for _ in range(1000):
        f(X)
    gc.collect()
    after = [sys.getrefcount(one) for one in watched]
    assert max(abs(one - other) for one, other in zip(before, after, strict=True)) < 50
