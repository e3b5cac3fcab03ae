"""Traces: variables, captures, side effects, leaks, results, and gradients of calls."""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import InvalidArgumentError, ScopeError, SignatureError, TraceError

X = gj.constant(2.0)


# --- variables ---------------------------------------------------------------------------------------


def test_c6_a_variable_may_be_created_on_the_first_call() -> None:
    """C6, A15: once for each instance, with one trace; the initial value may depend on arguments."""

    class Layer:
        def __init__(self) -> None:
            self.v: Any = None

        @gj.compile
        def call(self, x: Any) -> Any:
            if self.v is None:
                self.v = gj.Variable(gj.ones_like(x) * 3.0 + x)
            self.v.assign_add(1.0)
            return x * self.v

    for start in (1.0, 2.0):
        layer = Layer()
        x = gj.constant([start])
        assert layer.call(x).numpy() == start * (4.0 + start)
        assert layer.call(x).numpy() == start * (5.0 + start)
        assert layer.call.trace_count == 1
        assert layer.v.numpy() == [5.0 + start]


def test_c6_a_variable_that_nobody_keeps_is_an_error() -> None:
    """C6: it would be another one in each eager call."""

    @gj.compile
    def f(x: Any) -> Any:
        v = gj.Variable(1.0)
        return v * x

    with pytest.raises(ValueError, match="creates a variable that nobody keeps"):
        f(X)


def test_c6_a_variable_in_a_later_trace_is_an_error() -> None:
    """C6: the message names who, where, and what to move."""
    held: list[Any] = []

    @gj.compile
    def f(x: Any) -> Any:
        held.append(gj.Variable(1.0, name="late"))
        return held[-1] * x

    f(X)
    with pytest.raises(ValueError, match=r"creates the variable 'late:0'(.|\n)*test_tracing.py(.|\n)*outside"):
        f(gj.constant([1.0]))


def test_c6_a_signature_has_no_numbers_to_start_a_variable_with() -> None:
    """C6: a trace without a call cannot compute an initial value from an argument."""
    held: list[Any] = []

    @gj.compile
    def f(x: Any) -> Any:
        if not held:
            held.append(gj.Variable(x))
        return held[0] + x

    with pytest.raises(TraceError, match="created from the argument 'x', whose numbers are not known"):
        f.get_concrete_function(gj.TensorSpec([], gj.float32))


def test_c7_c8_reads_and_assignments_keep_their_order() -> None:
    """C7, C8: each read gives what was assigned last; a returned variable is its value at the end."""
    v = gj.Variable(1.0)

    @gj.compile
    def f() -> Any:
        a = v.read_value()
        v.assign_add(10.0)
        b = v.read_value()
        v.assign(b * 2.0)
        return a, b, v

    assert [float(one) for one in f()] == [1.0, 11.0, 22.0]
    assert v.numpy() == 22.0
    assert [float(one) for one in f()] == [22.0, 32.0, 64.0]


def test_c9_variables_are_captured_by_reference() -> None:
    """C9: a later assignment is seen without a trace."""
    v = gj.Variable([1.0, 2.0])
    f = gj.compile(lambda x: x * v)
    f(X)
    v.assign([3.0, 4.0])
    assert f(X).numpy().tolist() == [6.0, 8.0]
    assert f.trace_count == 1


def test_variables_of_open_shape_are_traced_for_each_shape() -> None:
    """C1: a value of another shape is another trace, and never read as the old shape."""
    v = gj.Variable([1.0], shape=gj.TensorShape(None))
    f = gj.compile(lambda x: gj.reduce_sum(v * x))
    assert f(X).numpy() == 2.0
    v.assign([1.0, 2.0, 3.0])
    assert f(X).numpy() == 12.0
    v.assign([[4.0]])
    assert f(X).numpy() == 8.0


def test_values_that_were_read_before_stay() -> None:
    """Reading gives a tensor that later calls do not change."""
    v = gj.Variable([1.0])
    before = v.read_value()
    step = gj.compile(lambda: v.assign_add([1.0]))
    results = [step() for _ in range(5)]
    assert before.numpy() == [1.0]
    assert [float(one[0]) for one in results] == [2.0, 3.0, 4.0, 5.0, 6.0]


# --- arrays --------------------------------------------------------------------------------------------


def test_c9_arrays_that_the_function_makes_are_constants() -> None:
    """C9: an array that is written into between two uses is used as it was each time."""

    @gj.compile
    def f(x: Any) -> Any:
        buffer = np.zeros(3, np.float32)
        for row in range(3):
            buffer[row] = row + 1.0
            x = x + buffer
        return x

    assert f(gj.zeros(3)).numpy().tolist() == [3.0, 4.0, 3.0]
    assert f.graph.inputs[0].name == "x"
    assert len(f.graph.inputs) == 1


def test_c9_arrays_reached_in_hidden_ways_are_read_at_each_call() -> None:
    """C9: an array out of an object whose attributes nobody can follow."""
    hidden = iter([np.float32([1.0]), np.float32([2.0])])
    first = np.float32([5.0])
    store = {"get": lambda: first}

    @gj.compile
    def f(x: Any) -> Any:
        return x * store["get"]()

    assert f(X).numpy() == [10.0]
    first[0] = 7.0
    assert f(X).numpy() == [14.0]
    assert next(hidden).tolist() == [1.0]


def test_h3_float64_arrays_beside_float32_tensors() -> None:
    """H3, C9: the tensor decides, also for captured arrays that change later."""
    data = np.array([1.5, 2.5])
    f = gj.compile(lambda x: x * data)
    assert f(X).dtype == gj.float32
    data[0] = 4.0
    assert f(X).numpy().tolist() == [8.0, 5.0]


def test_large_arrays_are_never_literals() -> None:
    """C9: data does not end up in the graph."""
    data = np.ones((300, 300), np.float32)
    f = gj.compile(lambda x: gj.reduce_sum(data[10:20] * x))
    assert f(X).numpy() == 6000.0
    assert not [one for one in f.graph.equations if one.op.name == "constant"]


# --- side effects and leaks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (lambda a, b: b.append(1), "b"),
        (lambda a, b: a.update(c=1), "a"),
        (lambda a, b: a.__setitem__("x", 2), "a"),
        (lambda a, b: b.__setitem__(0, 5), "b"),
        (lambda a, b: b.clear(), "b"),
    ],
)
def test_d2_arguments_must_not_be_modified(body: Callable[..., Any], name: str) -> None:
    """D2: the error names the argument, and the caller's object is untouched."""

    @gj.compile
    def f(a: Any, b: Any) -> Any:
        body(a, b)
        return gj.constant(1.0)

    a, b = {"x": X}, [1, 2]
    with pytest.raises(ValueError, match=f"'f' changes its argument '{name}'"):
        f(a, b)
    assert (list(a), b) == (["x"], [1, 2])


def _rand() -> float:
    return float(np.random.rand())


def test_d4_random_numbers_and_clocks_are_warned_of() -> None:
    """D4: the warning names the line and what to use instead."""
    f = gj.compile(lambda x: x * _rand())
    with pytest.warns(gj.UnrepeatedWarning, match=r"np.random.rand.*gj.random") as caught:
        f(X)
    assert caught[0].filename == __file__
    assert caught[0].lineno == _rand.__code__.co_firstlineno + 1


@pytest.mark.parametrize(
    "code",
    [
        "import time\nf = lambda x: x * time.time()",
        "from time import perf_counter\nf = lambda x: x * perf_counter()",
        "import random\nf = lambda x: x * random.random()",
        "from random import random\nf = lambda x: x * random()",
        "import os\nf = lambda x: x * float(os.environ.get('NONE', 1.0))",
        "import datetime\nf = lambda x: x * datetime.datetime.now().hour",
        "import numpy as np\nrng = np.random.default_rng(0)\nf = lambda x: x * rng.random()",
    ],
)
def test_d4_every_way_to_ask(code: str) -> None:
    """D4: modules, functions imported by name, generators."""
    namespace: dict[str, Any] = {"__name__": "user"}
    exec(code, namespace)
    with pytest.warns(gj.UnrepeatedWarning):
        gj.compile(namespace["f"])(X)


def test_d4_numbers_for_new_objects_are_not_warned_of() -> None:
    """D4: what creates a layer may draw its initial numbers."""

    class Layer:
        def __init__(self) -> None:
            self.w = gj.Variable(np.random.default_rng(0).random())

    held: list[Any] = []

    @gj.compile
    def f(x: Any) -> Any:
        if not held:
            held.append(Layer())
        return x * gj.cast(held[0].w, gj.float32)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        f(X)


def test_d5_a_leaked_value_names_function_line_and_holder() -> None:
    """D5: the error says where the value was made, and who holds it."""

    class Keeper:
        last: Any = None

    keeper = Keeper()

    @gj.compile
    def f(x: Any) -> Any:
        keeper.last = x * 2.0
        return x

    f(X)
    for use in (lambda: keeper.last + 1.0, lambda: gj.compile(lambda y: y + keeper.last)(X)):
        with pytest.raises(ScopeError, match=r"traced inside 'f'(.|\n)*keeper.last = x \* 2.0") as caught:
            use()
        assert "'last' of a" in str(caught.value)
        assert "Keeper" in str(caught.value)
    with pytest.raises(ScopeError):
        gj.compile(lambda y: y)(keeper.last)


def test_numbers_of_a_traced_value_are_refused_by_line() -> None:
    """E1: `if t` without conversion is an error that says what to do."""

    @gj.compile(autograph=False)
    def f(x: Any) -> Any:
        if x > 0.0:
            return x
        return -x

    with pytest.raises(TraceError, match=r"bool\(\) needs the numbers(.|\n)*gj.where(.|\n)*if x > 0.0"):
        f(X)


# --- results ---------------------------------------------------------------------------------------------


def test_results_of_all_kinds() -> None:
    """Decision 5: numbers and arrays become tensors; None, strings and shapes stay."""

    @gj.compile
    def f(x: Any) -> Any:
        return {"a": [x, (1, 2.5, True)], "n": None, "s": "text", "shape": x.shape, "array": np.float64([1.0])}

    result = f(X)
    assert result["n"] is None
    assert result["s"] == "text"
    assert result["shape"] == gj.TensorShape([])
    assert result["array"].dtype == gj.float64
    assert [one.dtype.name for one in result["a"][1]] == ["int32", "float32", "bool"]
    assert isinstance(result["a"], list)
    assert isinstance(result["a"][1], tuple)
    assert gj.compile(lambda: None)() is None
    with pytest.raises(SignatureError, match=r"returned <object object.*at \[0\]"):
        gj.compile(lambda: [object()])()


# --- calls on a tape -----------------------------------------------------------------------------------------


def _both(f: Callable[..., Any]) -> list[Callable[..., Any]]:
    return [f, gj.compile(f)]


def test_g19_a_call_on_a_tape_is_differentiated() -> None:
    """G19: by arguments, captured tensors and variables, several results at once."""
    v, captured, other = gj.Variable([1.0, 2.0]), gj.constant(3.0), gj.constant(5.0)

    def f(x: Any, n: Any) -> Any:
        return {"a": gj.tanh(v * x) * captured, "n": n + 1, "b": [x * x, x + 0.0 * gj.reduce_sum(v)]}

    found = []
    for one in _both(f):
        x = gj.constant([0.5, -1.5])
        with gj.GradientTape() as tape:
            tape.watch([x, captured, other])
            y = one(x, gj.constant(3))
            loss = gj.reduce_sum(y["a"]) + gj.reduce_sum(y["b"][0] * 2.0)
        found.append(tape.gradient(loss, [x, captured, v, other]))
    for eager, compiled in zip(*found, strict=True):
        if eager is None:
            assert compiled is None
        else:
            np.testing.assert_allclose(compiled, eager, rtol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_g7_higher_orders_through_calls(order: int) -> None:
    """G7, G19: each derivative of a call is again a call on the outer tapes."""

    def f(x: Any) -> Any:
        return x * x * x * x + gj.exp(0.5 * x)

    def derivative(g: Callable[..., Any], n: int) -> Callable[..., Any]:
        def differentiated(x: Any) -> Any:
            with gj.GradientTape() as tape:
                tape.watch(x)
                y = g(x)
            return tape.gradient(y, x)

        return g if n == 0 else derivative(differentiated, n - 1)

    x = gj.constant(1.5, gj.float64)
    polynomial = {1: 4 * 1.5**3, 2: 12 * 1.5**2, 3: 24 * 1.5, 4: 24.0}[order]
    expected = polynomial + 0.5**order * np.exp(0.75)
    assert float(derivative(gj.compile(f), order)(x)) == pytest.approx(expected, rel=1e-12)
    assert float(gj.compile(derivative(f, order))(x)) == pytest.approx(expected, rel=1e-12)
    assert float(gj.compile(derivative(gj.compile(f), order))(x)) == pytest.approx(expected, rel=1e-12)


def test_g19_a_gradient_taken_inside_of_another_function() -> None:
    """G19: the record was made outside, the walk happens in a trace."""
    f = gj.compile(lambda x: x * x * 3.0)
    x = gj.constant(2.0)
    with gj.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
    taken = gj.compile(lambda scale: tape.gradient(y, x) * scale)
    assert taken(gj.constant(10.0)).numpy() == 120.0


def test_g10_assignments_inside_of_a_call_cut_history() -> None:
    """G10: the variable's value before the assignment counts, what was assigned does not."""
    for wrap in (lambda f: f, gj.compile):
        v = gj.Variable(3.0)

        def f(x: Any, v: Any = v) -> Any:
            before = v * x
            v.assign(before * 2.0)
            return before + v * v

        with gj.GradientTape() as tape:
            x = gj.constant(2.0)
            tape.watch(x)
            y = wrap(f)(x)
        dx, dv = tape.gradient(y, [x, v])
        assert (float(y), float(v)) == (150.0, 12.0)
        assert (float(dx), float(dv)) == (3.0, 26.0)


def test_g19_variables_as_arguments_of_a_recorded_call() -> None:
    """G19, A9: a variable that is handed over is differentiated like one that is captured."""
    f = gj.compile(lambda v, x: v * v * x)
    v, w = gj.Variable(3.0), gj.Variable(5.0)
    for one in (v, w):
        with gj.GradientTape() as tape:
            y = f(one, X)
        assert float(tape.gradient(y, one)) == 2.0 * float(one) * 2.0
    assert f.trace_count == 1


def test_decision_6_identity_and_zero_are_different_values() -> None:
    """Decision 6: `x` and `x + 0` stay two things to differentiate by, also across a call."""
    f = gj.compile(lambda x: x + 0.0)
    x = gj.constant(2.0)
    with gj.GradientTape(persistent=True) as tape:
        tape.watch(x)
        y = f(x)
        z = y * y
    assert float(tape.gradient(z, y)) == 4.0
    assert float(tape.gradient(z, x)) == 4.0


def test_g12_custom_gradients_inside_of_calls() -> None:
    """G12: the rule counts, at first and second order."""

    @gj.custom_gradient
    def odd(x: Any) -> Any:
        doubled = x * 2.0
        return doubled * x, lambda g: g * 10.0 * doubled

    f = gj.compile(lambda x: odd(x) * 3.0)
    x = gj.constant(2.0)
    with gj.GradientTape() as outer:
        outer.watch(x)
        with gj.GradientTape() as inner:
            inner.watch(x)
            y = f(x)
        dx = inner.gradient(y, x)
    assert float(dx) == 120.0
    assert float(outer.gradient(dx, x)) == 60.0


def test_what_a_tape_does_not_watch_costs_nothing() -> None:
    """A call without watched inputs gives None, and keeps no residuals."""
    f = gj.compile(lambda x: gj.tanh(x))
    x = gj.constant(1.0)
    with gj.GradientTape() as tape:
        y = f(x)
    assert tape.gradient(y, x) is None


def test_a_call_on_a_tape_keeps_memory_only_as_long_as_the_tape() -> None:
    """G6: residuals go with the tape."""
    f = gj.compile(lambda x: gj.tanh(gj.exp(x)))
    x = gj.constant([1.0])
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    gone = weakref.ref(x)
    tape.gradient(y, x)
    del x, y, tape
    gc.collect()
    assert gone() is None


def test_g19_training_by_calls_inside_and_outside() -> None:
    """G19, D5: a step with the tape inside equals one with the tape outside."""
    seed = 3
    rng = np.random.default_rng(seed)
    data = rng.normal(size=(20, 4)).astype(np.float32)
    target = data @ np.float32([1.0, -2.0, 3.0, 0.5])

    def train(outside: bool) -> Any:
        w = gj.Variable(np.zeros(4, np.float32))
        loss_of = gj.compile(lambda x, y: gj.reduce_mean((gj.reduce_sum(x * w, axis=1) - y) ** 2))

        def step(x: Any, y: Any) -> Any:
            with gj.GradientTape() as tape:
                loss = loss_of(x, y)
            w.assign_sub(0.1 * tape.gradient(loss, w))
            return loss

        run = step if outside else gj.compile(step)
        for _ in range(50):
            run(data, target)
        return w.numpy()

    np.testing.assert_allclose(train(True), train(False), rtol=1e-5)
    np.testing.assert_allclose(train(True), [1.0, -2.0, 3.0, 0.5], atol=1e-2)


def test_errors_inside_of_a_recorded_call_leave_variables_alone() -> None:
    """Decision 4: also where a tape listens."""
    v = gj.Variable(1)

    @gj.compile
    def f(x: Any) -> Any:
        v.assign_add(1)
        return x * gj.cast(10 // v, gj.float32)

    v.assign(-1)
    with gj.GradientTape() as tape:
        tape.watch(X)
        with pytest.raises(ZeroDivisionError):
            f(X)
    assert v.numpy() == -1
    assert issubclass(InvalidArgumentError, ValueError)
