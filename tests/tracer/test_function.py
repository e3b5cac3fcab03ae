"""compile and Function: forms, methods, threads, bounds, copies, concrete functions."""

from __future__ import annotations

import copy
import functools
import gc
import pickle
import subprocess
import sys
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    SignatureError,
    TraceError,
)


@gj.compile
def module_level(x: Any) -> Any:
    """Doubles."""
    return x + x


def numbers(result: Any) -> Any:
    """A result as plain Python numbers."""
    return np.asarray(result).tolist()


# --- forms -----------------------------------------------------------------------------------


def test_a1_decorator_function_and_options_forms_keep_name_doc_and_signature() -> None:
    """A1: `@compile`, `compile(f)` and `@compile(options)` give the same thing."""

    def f(x: Any, y: int = 2) -> Any:
        """Adds."""
        return x + y

    for compiled in (gj.compile(f), gj.compile(name="other")(f), gj.function(f)):
        assert numbers(compiled(gj.constant([1, 2]))) == [3, 4]
        assert (compiled.__name__, compiled.__doc__, compiled.__wrapped__) == ("f", "Adds.", f)
        assert compiled.python_function is f
    assert gj.compile(name="other")(f).name == "other"


def test_a1_what_is_no_function_is_refused() -> None:
    """A1: compile says what it needs."""
    with pytest.raises(InvalidArgumentError, match="needs a function, not 3"):
        gj.compile(3)
    with pytest.raises(InvalidArgumentError, match="'cuda'"):
        gj.compile(lambda x: x, backend="cuda")


def test_a10_keywords_positions_and_defaults_share_a_trace() -> None:
    """A10: how an argument is handed over does not matter."""

    @gj.compile
    def f(x: Any, y: Any = 2.0, *, z: Any = 1.0) -> Any:
        return x * y + z

    x = gj.constant(3.0)
    answers = [f(x), f(x, 2.0), f(x, y=2.0), f(y=2.0, x=x), f(x, z=1.0), f(x, 2.0, z=1.0)]
    assert [numbers(answer) for answer in answers] == [7.0] * 6
    assert f.trace_count == 1
    with pytest.raises(SignatureError, match="missing a required argument"):
        f()
    with pytest.raises(SignatureError, match="unexpected keyword argument 'w'"):
        f(x, w=1)


def test_a17_partials_callables_lambdas_and_functions_without_source() -> None:
    """A17: anything callable can be compiled."""

    class Scaler:
        def __init__(self, factor: float) -> None:
            self.factor = factor

        def __call__(self, x: Any) -> Any:
            return x * self.factor

    namespace: dict[str, Any] = {}
    exec("def without_source(x): return x + 1.0", namespace)
    two, three = gj.compile(lambda x: x * 2.0), gj.compile(lambda x: x * 3.0)
    x = gj.constant(4.0)
    assert numbers(gj.compile(functools.partial(lambda a, b: a - b, b=1.0))(x)) == 3.0
    assert numbers(gj.compile(Scaler(5.0))(x)) == 20.0
    assert numbers(gj.compile(namespace["without_source"])(x)) == 5.0
    assert (numbers(two(x)), numbers(three(x))) == (8.0, 12.0)
    assert numbers(gj.compile(np.add)(x, x)) == 8.0


def test_a17_generators_and_coroutines_are_refused() -> None:
    """A17: what does not return tensors is refused by name."""

    def generate(x: Any) -> Any:
        yield x

    async def later(x: Any) -> Any:
        return x

    with pytest.raises(SignatureError, match="'generate' is a generator function"):
        gj.compile(generate)
    with pytest.raises(SignatureError, match="'later' is a coroutine function"):
        gj.compile(later)


# --- methods -----------------------------------------------------------------------------------


class Model:
    """A model with a compiled method."""

    def __init__(self, factor: float) -> None:
        self.w = gj.Variable(factor)

    @gj.compile
    def scale(self, x: Any) -> Any:
        return x * self.w

    @property
    @gj.compile
    def doubled(self) -> Any:
        return self.w * 2.0

    @staticmethod
    @gj.compile
    def half(x: Any) -> Any:
        return x / 2.0

    @classmethod
    @gj.compile
    def named(cls, x: Any) -> Any:
        return x * float(len(cls.__name__))


def test_a16_each_instance_has_its_own_traces() -> None:
    """A16: methods, and `a.m is a.m`."""
    a, b = Model(2.0), Model(3.0)
    x = gj.constant(10.0)
    assert (numbers(a.scale(x)), numbers(b.scale(x)), numbers(a.scale(x))) == (20.0, 30.0, 20.0)
    assert a.scale is a.scale
    assert (a.scale.trace_count, b.scale.trace_count, Model.scale.trace_count) == (1, 1, 0)
    assert (numbers(a.doubled), numbers(b.doubled)) == (4.0, 6.0)
    assert (numbers(Model.half(x)), numbers(a.half(x))) == (5.0, 5.0)
    assert (numbers(Model.named(x)), numbers(a.named(x))) == (50.0, 50.0)
    a.w.assign(7.0)
    assert numbers(a.scale(x)) == 70.0
    assert numbers(Model(4.0).scale(x)) == 40.0


def test_a16_a21_dead_instances_release_their_graphs() -> None:
    """A16, A21: the traces of a method die with the object."""
    model = Model(2.0)
    model.scale(gj.constant(1.0))
    variable, instance = weakref.ref(model.w), weakref.ref(model)
    del model
    gc.collect()
    assert instance() is None
    assert variable() is None


def test_a16_objects_without_weak_references_work() -> None:
    """A16: an object with slots is an argument like any other."""

    class Slotted:
        __slots__ = ("k",)

        def __init__(self, k: float) -> None:
            self.k = k

        @gj.compile
        def scale(self, x: Any) -> Any:
            return x * self.k

    one, other = Slotted(2.0), Slotted(3.0)
    x = gj.constant(1.0)
    assert (numbers(one.scale(x)), numbers(other.scale(x))) == (2.0, 3.0)
    one.k = 5.0
    assert numbers(one.scale(x)) == 5.0


# --- nesting ------------------------------------------------------------------------------------


def test_a18_nested_functions_are_inlined() -> None:
    """A18: an inner compiled function becomes part of the outer graph."""

    @gj.compile
    def inner(x: Any) -> Any:
        return x * 3.0

    @gj.compile
    def outer(x: Any) -> Any:
        return inner(x) + inner(np.float32(1.0))

    assert numbers(outer(gj.constant(2.0))) == 9.0
    assert (outer.trace_count, inner.trace_count) == (1, 0)
    assert [equation.op.name for equation in outer.graph.equations].count("multiply") == 2

    @gj.compile(name="scaled")
    def named(x: Any) -> Any:
        y = x * 3.0
        return y

    outermost = gj.compile(lambda x: named(x) + 1.0)
    outermost(gj.constant(1.0))
    assert "%scaled.y: f32[] = multiply" in outermost.dump("traced")


def test_a19_recursion_on_python_numbers_unrolls_and_on_tensors_is_an_error() -> None:
    """A19: unbounded recursion is found and named."""

    @gj.compile
    def power(x: Any, n: int) -> Any:
        return x if n == 0 else x * power(x, n - 1)

    @gj.compile
    def endless(x: Any) -> Any:
        return endless(x - 1.0)

    assert numbers(power(gj.constant(2.0), 3)) == 16.0
    with pytest.raises(TraceError, match=r"'endless' calls itself without end, at .*test_function.py"):
        endless(gj.constant(1.0))


# --- threads, bounds, failures -----------------------------------------------------------------------


def test_a20_many_first_calls_make_one_trace() -> None:
    """A20: one trace for any number of threads."""
    barrier = threading.Barrier(8)
    answers: list[Any] = []

    @gj.compile
    def f(x: Any) -> Any:
        return gj.tanh(x) * 2.0

    def work() -> None:
        barrier.wait()
        answers.append(numbers(f(gj.constant([0.0]))))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [[0.0]] * 8
    assert f.trace_count == 1


def test_a21_the_number_of_traces_is_bounded() -> None:
    """A21: the trace that was not used for longest goes."""

    @gj.compile(cache_size=3)
    def f(x: Any) -> Any:
        return x + 1.0

    for size in (1, 2, 3, 1, 4):
        f(np.zeros(size, np.float32))
    assert f.cache_info() == (5, 4, 3, 3)
    f(np.zeros(1, np.float32))
    assert f.trace_count == 4
    f(np.zeros(2, np.float32))
    assert f.trace_count == 5
    f.clear()
    assert f.cache_info().currsize == 0
    assert numbers(f(np.zeros(1, np.float32))) == [1.0]


def test_a21_dropped_traces_are_not_kept_alive() -> None:
    """A21: nothing of an evicted trace stays, not even on the short way."""
    captured = gj.constant(1.0)
    held: list[Any] = [captured]

    @gj.compile(cache_size=1)
    def f(x: Any) -> Any:
        return x + held[0]

    x = gj.constant(1.0)
    f(x)
    f(x)
    gone = weakref.ref(captured)
    held[0] = gj.constant(2.0)
    del captured
    assert numbers(f(x)) == 3.0
    gc.collect()
    assert gone() is None


def test_a22_functions_are_pickled_by_name_and_by_value(tmp_path: Path) -> None:
    """A22: pickle, cloudpickle, deepcopy; the traces stay behind."""
    import cloudpickle

    module_level(gj.constant(1.0))
    assert pickle.loads(pickle.dumps(module_level)) is module_level
    factor = 3.0
    local = cloudpickle.loads(cloudpickle.dumps(gj.compile(lambda x: x * factor)))
    assert numbers(local(gj.constant(2.0))) == 6.0
    again = copy.deepcopy(module_level)
    assert (again.trace_count, numbers(again(gj.constant(2.0)))) == (0, 4.0)
    script = tmp_path / "main.py"
    script.write_text(
        "import cloudpickle, pickle, graphjit as gj\n"
        "@gj.compile\n"
        "def f(x): return x * 2.0\n"
        "assert pickle.loads(pickle.dumps(f)) is f\n"
        f"open({str(tmp_path / 'f')!r}, 'wb').write(cloudpickle.dumps(f))\n"
    )
    subprocess.run([sys.executable, str(script)], check=True)
    elsewhere = pickle.loads((tmp_path / "f").read_bytes())
    assert numbers(elsewhere(gj.constant(2.0))) == 4.0


def test_a22_bound_methods_are_pickled_with_their_object() -> None:
    """A22: a bound method comes back bound."""
    method = pickle.loads(pickle.dumps(Model(2.0).scale))
    assert numbers(method(gj.constant(3.0))) == 6.0


def test_a23_a_failed_call_changes_nothing_and_the_next_one_works() -> None:
    """A23, decision 4: run-time errors are not sticky, and variables keep what they held."""
    v = gj.Variable(1)

    @gj.compile
    def f(x: Any) -> Any:
        v.assign_add(1)
        result = 10 // x
        v.assign_add(1)
        return result

    assert (numbers(f(gj.constant(5))), numbers(v)) == (2, 3)
    with pytest.raises(ZeroDivisionError):
        f(gj.constant(0))
    assert numbers(v) == 3
    assert (numbers(f(gj.constant(2))), numbers(v)) == (5, 5)


def test_a23_a_trace_that_raises_leaves_no_entry() -> None:
    """A23: an exception in the trace is the user's own, and nothing half is kept."""
    fail = [True]

    @gj.compile
    def f(x: Any) -> Any:
        if fail[0]:
            raise KeyError("mine")
        return x

    with pytest.raises(KeyError, match="mine") as caught:
        f(gj.constant(1.0))
    assert any("while tracing 'f'" in note for note in caught.value.__notes__)
    assert f.cache_info().currsize == 0
    fail[0] = False
    assert numbers(f(gj.constant(1.0))) == 1.0


# --- signatures --------------------------------------------------------------------------------------


def test_b1_input_signature_converts_and_traces_once() -> None:
    """B1: lists, arrays and numbers become the declared type; sizes may be open."""

    @gj.compile(input_signature=[gj.TensorSpec([None, 2], gj.float32), {"b": gj.TensorSpec([], gj.float32)}])
    def f(x: Any, more: Any) -> Any:
        return gj.reduce_sum(x, axis=0) + more["b"]

    assert numbers(f([[1, 2], [3, 4]], {"b": 1})) == [5.0, 7.0]
    assert numbers(f(np.ones((3, 2)), {"b": np.float64(0.5)})) == [3.5, 3.5]
    assert numbers(f(gj.ones((5, 2)), {"b": gj.constant(0.0)})) == [5.0, 5.0]
    assert f.trace_count == 1
    with pytest.raises(TypeError, match=r"argument 'x' of 'f' is f32\[2\], where the input_signature asks for"):
        f(gj.ones((2,)), {"b": 1})
    with pytest.raises(TypeError, match=r"i32\[1,2\]"):
        f(gj.ones((1, 2), gj.int32), {"b": 1})
    with pytest.raises(TypeError, match="not nested as its input_signature"):
        f([[1, 2]], [1])
    with pytest.raises(TypeError, match="missing a required argument"):
        f([[1, 2]])


def test_b1_an_unknown_rank_is_traced_for_each_rank() -> None:
    """B1: a shape of None means any rank."""

    @gj.compile(input_signature=[gj.TensorSpec(None, gj.float32)])
    def f(x: Any) -> Any:
        return x * 2.0

    assert numbers(f([1.0])) == [2.0]
    assert numbers(f([1.0, 2.0])) == [2.0, 4.0]
    assert f.trace_count == 1
    assert numbers(f(1.0)) == 2.0
    assert f.trace_count == 2


def test_b1_converts_in_methods_in_eager_mode_and_inside_of_other_functions() -> None:
    """B1, J1, A18: the declared types count however the function runs."""

    class Scaler:
        @gj.compile(input_signature=[gj.TensorSpec([None], gj.float64)])
        def double(self, x: Any) -> Any:
            return x * 2.0

    scaler = Scaler()
    outer = gj.compile(lambda: scaler.double([1, 2]))
    for result in (scaler.double([1, 2]), scaler.double.eager([1, 2]), outer(), scaler.double(np.float32([1, 2]))):
        assert (result.dtype, numbers(result)) == (gj.float64, [2.0, 4.0])
    assert scaler.double.trace_count == 1


def test_b2_parameters_without_a_spec_keep_their_default() -> None:
    """B2: other values are refused; so are too many specs, and things that are no specs."""
    spec = gj.TensorSpec([None], gj.float32)

    @gj.compile(input_signature=[spec])
    def f(x: Any, n: int = 3) -> Any:
        return x * float(n)

    assert numbers(f([1.0])) == [3.0]
    assert numbers(f([1.0], 3)) == [3.0]
    with pytest.raises(TypeError, match="always its default 3; 4 was given"):
        f([1.0], 4)
    with pytest.raises(SignatureError, match="3 specs, but there are 2 parameters"):
        gj.compile(lambda x, y: x, input_signature=[spec] * 3)
    with pytest.raises(SignatureError, match="no TensorSpec"):
        gj.compile(lambda x: x, input_signature=[gj.float32])


def test_b3_a_concrete_function_is_traced_without_running() -> None:
    """B3: specs or values; Python values are fixed; what does not fit is refused."""
    v = gj.Variable(2.0)

    @gj.compile
    def f(x: Any, n: int) -> Any:
        v.assign_add(1.0)
        return {"y": x * v * float(n)}

    concrete = f.get_concrete_function(gj.TensorSpec([None], gj.float32), 3)
    assert numbers(v) == 2.0
    assert numbers(concrete(gj.constant([1.0]))["y"]) == [9.0]
    assert numbers(concrete(gj.constant([1.0, 2.0]), 3)["y"]) == [12.0, 24.0]
    with pytest.raises(TypeError, match="argument 'n' of the traced 'f' must be 3, but 4 was given"):
        concrete(gj.constant([1.0]), 4)
    with pytest.raises(InvalidArgumentError, match=r"must be f32\[\?\], but i32\[1\] was given"):
        concrete(gj.constant([1]), 3)
    assert concrete.variables == (v,)
    assert concrete.captured_inputs == [v]
    assert concrete.structured_outputs == {"y": gj.TensorSpec([None], gj.float32)}
    assert concrete.output_shapes == {"y": gj.TensorShape([None])}
    assert concrete.output_dtypes == {"y": gj.float32}
    assert concrete.structured_input_signature == ((gj.TensorSpec([None], gj.float32, "x"), 3), {})
    numbers(f(gj.constant([1.0]), 3)["y"])
    assert f.trace_count == 1


def test_b4_signatures_in_words() -> None:
    """B4: inputs, outputs, captures, times and hits of each trace."""
    v = gj.Variable(2.0, name="weight")

    @gj.compile
    def f(x: Any, n: int = 2) -> Any:
        return x * v, n

    f(gj.constant([1.0]))
    f(gj.constant([1.0]))
    text = f.pretty_printed_concrete_signatures()
    head = "f(x: TensorSpec(shape=(1,), dtype=gj.float32), n: Literal[2]) -> "
    assert text.startswith(head + "(TensorSpec(shape=(1,), dtype=gj.float32), TensorSpec(shape=(), dtype=gj.int32))")
    assert "weight" in text
    assert "2 hits" in text
    assert "ms" in text
    assert f.pretty_printed_concrete_signatures(verbose=False).count("\n") == 0
    assert repr(f) == "<gj.Function f(x: 'Any', n: 'int' = 2) -> 'Any': 1 trace>"


def test_b5_b6_every_stage_can_be_shown() -> None:
    """B5, B6: source, graphs and kernels as text."""

    @gj.compile
    def f(x: Any) -> Any:
        return gj.tanh(x) + 1.0

    with pytest.raises(FailedPreconditionError, match="not called yet"):
        f.dump()
    f(gj.constant([1.0]))
    assert "def f(x" in f.dump("python")
    assert "tanh(%x)" in f.dump("traced")
    assert "test_function.py" in f.dump("traced")
    assert "tanh" in f.dump("optimized")
    assert f.dump("optimized", "json").startswith("{")
    assert "digraph" in f.dump("traced", "dot")
    assert "def " in f.dump("kernels")
    assert "define" in f.dump("llvm")
    with pytest.raises(NotFoundError, match="there is no stage 'hlo'; the stages are python, traced"):
        f.dump("hlo")
    with pytest.raises(NotFoundError, match="no format 'pdf'"):
        f.dump("traced", "pdf")
    assert f.report().numpy_steps == 0


# --- modes ----------------------------------------------------------------------------------------------


def test_j1_eager_mode_gives_the_same_types() -> None:
    """J1, decision 5: functions run as Python, and still give tensors."""
    ran: list[int] = []

    @gj.compile
    def f(x: Any, n: int) -> Any:
        ran.append(1)
        return x * 2, n, None, "text", [True]

    def kinds(result: Any) -> list[str]:
        return [type(one).__name__ for one in (*result[:4], result[4][0])]

    compiled = f(np.float32([1.0]), 3)
    assert kinds(compiled) == ["Tensor", "Tensor", "NoneType", "str", "Tensor"]
    with gj.eager_mode():
        assert gj.functions_run_eagerly()
        assert kinds(f(np.float32([1.0]), 3)) == kinds(compiled)
        f(np.float32([1.0]), 3)
    gj.run_functions_eagerly(True)
    try:
        f(np.float32([1.0]), 3)
    finally:
        gj.run_functions_eagerly(False)
    assert kinds(f.eager(np.float32([1.0]), 3)) == kinds(compiled)
    assert len(ran) == 5


def test_j2_check_nan_names_op_line_and_place() -> None:
    """J2: the first op that makes a NaN out of finite numbers."""

    @gj.compile(check="nan")
    def f(x: Any) -> Any:
        y = gj.log(x)
        return y * 2.0

    assert numbers(f(gj.constant([1.0]))) == [0.0]
    with pytest.raises(InvalidArgumentError, match=r"log\(f32\[2\] -1.0\) gives nan at \[1\](.|\n)*y = gj.log\(x\)"):
        f(gj.constant([1.0, -1.0]))


def test_k2_the_numpy_backend_gives_the_same() -> None:
    """K2: backend="numpy" runs each op with NumPy."""

    def f(x: Any) -> Any:
        return gj.reduce_sum(gj.tanh(x) * 2.0)

    x = gj.constant([0.5, 1.0])
    expected = numbers(gj.compile(f)(x))
    assert numbers(gj.compile(f, backend="numpy")(x)) == pytest.approx(expected, rel=1e-6)


def test_k4_the_short_way_sees_what_the_long_way_sees() -> None:
    """K4, D16: repeated calls with the same simple arguments are told apart by dtype, shape, type and value."""

    @gj.compile
    def f(x: Any, n: Any = 0) -> Any:
        return x + gj.cast(n, x.dtype) if not isinstance(n, bool | float) else x - 100.0

    x = gj.constant([1.0])
    for _ in range(2):
        assert numbers(f(x, 1)) == [2.0]
        assert numbers(f(x, True)) == [-99.0]
        assert numbers(f(x, 1.0)) == [-99.0]
        assert numbers(f(np.float32([1.0]), 1)) == [2.0]
        assert numbers(f(np.float64([1.0]), 1)) == [2.0]
        assert numbers(f(np.array([1.0], ">f4"), 1)) == [2.0]
    assert f(np.float64([1.0]), 1).dtype == gj.float64


def test_k4_keywords_in_any_order_reach_their_parameters() -> None:
    """K4, A10: the short way for keywords keeps each array with its parameter."""
    f = gj.compile(lambda x, y: x - y)
    one, two = np.float32([1.0]), np.float32([2.0])
    for _ in range(3):
        assert numbers(f(x=one, y=two)) == [-1.0]
        assert numbers(f(y=one, x=two)) == [1.0]
        assert numbers(f(one, y=two)) == [-1.0]
    assert f.trace_count == 1


def test_k4_the_short_way_checks_guards_and_modes() -> None:
    """K4: a tape, a trace, eager mode and changes outside are seen on every call."""
    k = 2.0
    f = gj.compile(lambda x: x * k)
    x = gj.constant(3.0)
    for _ in range(3):
        assert numbers(f(x)) == 6.0
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    assert numbers(tape.gradient(y, x)) == 2.0
    assert numbers(gj.compile(lambda x: f(x))(x)) == 6.0
    k = 5.0
    assert numbers(f(x)) == 15.0


def test_results_share_no_memory_with_arguments() -> None:
    """What must never happen: an output that shares memory with an input, or an input that is written."""

    @gj.compile
    def f(x: Any) -> Any:
        return x, x[:2], x

    x = np.float32([1.0, 2.0, 3.0])
    results = f(x)
    x[:] = 0.0
    assert [numbers(result) for result in results] == [[1.0, 2.0, 3.0], [1.0, 2.0], [1.0, 2.0, 3.0]]
