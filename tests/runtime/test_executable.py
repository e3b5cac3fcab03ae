"""Programs run natively, in many threads, and give their inputs back untouched."""

import gc
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest
from programs import CHECK, F32, F64, SCALE, program, scale

from graphjit.runtime import buffers, executable, sequencer as walk
from graphjit.runtime.errors import GraphjitError, KernelError
from graphjit.runtime.executable import Executable
from graphjit.runtime.fields import replace
from graphjit.runtime.program import CopyStep, KernelStep, NumpyStep, Program, Slot

X = np.arange(8, dtype=np.float32)


@pytest.fixture(params=["native binding", "binding from Python"])
def binding(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arrays' addresses read by native code, and asked from Python where their layout is unknown."""
    monkeypatch.setattr(walk.sequencer(), "binds", request.param == "native binding")


def run_one(made: Program, *arrays: np.ndarray[Any, Any]) -> list[Any]:
    """The outputs of one run."""
    return Executable(made).run(arrays)


@pytest.mark.usefixtures("binding")
class TestRun:
    """What a run gives."""

    def test_kernels_in_order(self) -> None:
        """Steps see what earlier steps wrote."""
        made = program([scale(1, 3, 8), scale(3, 4, 8), scale(4, 2, 8)])
        np.testing.assert_array_equal(run_one(made, X)[0], 8 * X)

    @pytest.mark.parametrize("how", ["reversed", "strided", "unaligned", "read-only", "fortran"])
    def test_any_layout_of_inputs(self, how: str) -> None:
        """Inputs that are not contiguous or not aligned are copied; none is written."""
        array = {
            "reversed": X[::-1],
            "strided": np.repeat(X, 3)[::3],
            "unaligned": np.frombuffer(b"." + X.tobytes(), np.uint8)[1:].view(np.float32),
            "read-only": np.frombuffer(X.tobytes(), np.float32),
            "fortran": np.asfortranarray(X),
        }[how]
        before = array.copy()
        np.testing.assert_array_equal(run_one(program([scale(1, 2, 8)]), array)[0], 2 * before)
        np.testing.assert_array_equal(array, before)

    def test_passed_through(self) -> None:
        """An output that is an input, a constant or a temporary, or comes twice, is a copy."""
        constant = np.full(8, 7, np.float32)
        made = replace(
            program([scale(1, 3, 8), scale(1, 2, 8)], slot5=Slot("constant", F32, (8,))),
            outputs=(1, 5, 3, 2, 2),
            constants={5: constant},
        )
        outputs = run_one(made, X)
        for got, expected in zip(outputs, (X, constant, 2 * X, 2 * X, 2 * X), strict=True):
            np.testing.assert_array_equal(got, expected)
        everything = [X, constant, *outputs]
        for place, left in enumerate(everything):
            assert not any(np.shares_memory(left, right) for right in everything[place + 1 :])
        assert all(output.flags.writeable for output in outputs)

    def test_constants_are_kept_as_they_were(self) -> None:
        """Writing to the array that a constant came from changes nothing."""
        constant = np.ones(8, np.float32)
        made = replace(program([scale(5, 2, 8)], slot5=Slot("constant", F32, (8,))), constants={5: constant})
        ready = Executable(made)
        constant[:] = 99
        np.testing.assert_array_equal(ready.run([X])[0], np.full(8, 2.0, np.float32))

    def test_numpy_steps_between_kernels(self) -> None:
        """A NumPy step gets read-only arrays and its results go on into kernels."""
        seen = []

        def shifted(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
            seen.append(array.flags.writeable)
            return (array + 1,)

        steps = [scale(1, 3, 8), NumpyStep(shifted, (3,), (4,)), scale(4, 2, 8)]
        ready = Executable(program(steps))
        for _ in range(2):
            np.testing.assert_array_equal(ready.run([X])[0], 2 * (2 * X + 1))
        assert seen == [False, False] and ready.numpy_steps == 1

    def test_numpy_step_reads_inputs_and_writes_outputs(self) -> None:
        """Inputs and outputs are slots like others for a NumPy step, also where the input had to be copied."""
        made = program([NumpyStep(lambda a: (np.sort(a),), (1,), (2,))])
        np.testing.assert_array_equal(run_one(made, X[::-1])[0], X)

    def test_dynamic_slots(self) -> None:
        """A shape that is known at run time only: between NumPy steps, and as an output, which is a copy."""
        kept = []

        def positive(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
            kept.append(array[array > 3])
            return (kept[-1],)

        made = program(
            [NumpyStep(positive, (1,), (5,)), NumpyStep(lambda a: (a.sum(keepdims=True),), (5,), (6,))],
            outputs=(5, 6, 5),
            slot5=Slot("temporary", F32, dynamic=True),
            slot6=Slot("temporary", F32, (1,), 0),
        )
        first, total, second = run_one(made, X)
        np.testing.assert_array_equal(first, [4, 5, 6, 7])
        np.testing.assert_array_equal(second, first)
        assert total == 22
        assert not np.shares_memory(first, second) and not np.shares_memory(first, kept[0])

    def test_no_elements_and_no_steps(self) -> None:
        """Empty arrays, and a program that only passes its input on."""
        assert run_one(program([scale(1, 2, 0)], size=0), X[:0])[0].shape == (0,)
        np.testing.assert_array_equal(run_one(program([], outputs=(1,)), X)[0], X)

    def test_kernel_error(self) -> None:
        """A nonzero code stops the walk and is explained with the step's tag and details."""
        told = []

        def explain(tag: object, code: int, detail: tuple[int, ...]) -> Exception:
            told.append((tag, code, detail[0]))
            return ValueError("negative")

        later = []
        steps = [
            scale(1, 3, 8),
            KernelStep(CHECK, "check", (3,), 8, tag="equation 7"),
            NumpyStep(lambda a: (later.append(1) or a,), (3,), (2,)),
        ]
        ready = Executable(program(steps), explain)
        with pytest.raises(ValueError, match="negative"):
            ready.run([np.where(X == 3, np.float32(-2), X)])
        assert told == [("equation 7", 5, 3)] and not later
        np.testing.assert_array_equal(ready.run([X])[0], 2 * X)

    def test_kernel_error_without_an_explanation(self) -> None:
        """Nobody explains: a KernelError with code and details."""
        with pytest.raises(KernelError, match="code 5"):
            run_one(program([KernelStep(CHECK, "check", (1,), 8)]), -X)

    def test_errors_of_numpy_steps_pass(self) -> None:
        """What a NumPy step raises is raised, and the next run is fine."""

        def picky(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
            if array[0] < 0:
                raise ZeroDivisionError("picky")
            return (array,)

        ready = Executable(program([NumpyStep(picky, (1,), (2,))]))
        with pytest.raises(ZeroDivisionError, match="picky"):
            ready.run([X - 1])
        np.testing.assert_array_equal(ready.run([X])[0], X)

    @pytest.mark.parametrize(
        ("result", "why"),
        [
            ((X.astype(np.float64),), r"float64\[8\], not float32\[8\]"),
            ((X[:3],), r"float32\[3\], not float32\[8\]"),
            ((X, X), "2 results for 1"),
        ],
    )
    def test_wrong_results_of_numpy_steps(self, result: tuple[Any, ...], why: str) -> None:
        """A result of another dtype or shape than promised is refused, never cast or broadcast."""
        with pytest.raises(GraphjitError, match=why):
            run_one(program([NumpyStep(lambda a: result, (1,), (2,), "sort")]), X)

    def test_wrong_number_of_arrays(self) -> None:
        """Native code is never given fewer arrays than it reads."""
        with pytest.raises(GraphjitError, match="0 arrays for 1 inputs"):
            run_one(program([scale(1, 2, 8)]))

    def test_copy_step(self) -> None:
        """A copy moves bytes between slots."""
        np.testing.assert_array_equal(run_one(program([CopyStep(1, 2, 16), CopyStep(1, 3, 8)]), X)[0][:4], X[:4])

    def test_large_kernels_run_in_pieces(self) -> None:
        """D14: a step that takes long is cut into pieces, with Python in between, and loses nothing."""
        size = 1000
        x = np.arange(size, dtype=np.float32)
        ready = Executable(program([scale(1, 2, size, cost=5 * executable.PIECE_COST)], size))
        rows = [row[0] for row in ready._plan.rows]
        assert rows.count(walk.SHARED) == 5 and rows.count(walk.PAUSE) == 4
        np.testing.assert_array_equal(ready.run([x])[0], 2 * x)

    def test_strided_scalar(self) -> None:
        """A 0-d input and output."""
        made = Program({1: Slot("input", F32), 2: Slot("output", F32)}, (scale(1, 2, 1),), (1,), (2,))
        assert run_one(made, np.array(3.0, np.float32))[0] == 6.0


def test_facts() -> None:
    """An executable tells its kernels and what they cost."""
    ready = Executable(program([scale(1, 3, 8), scale(3, 2, 8)]))
    assert [kernel.name for kernel in ready.kernels] == ["scale", "scale"]
    assert ready.kernels[0] is ready.kernels[1]
    assert ready.kernels_compiled + ready.kernels_loaded == 1
    assert (ready.compile_ms > 0) == (ready.kernels_compiled == 1)


def test_profile() -> None:
    """Every step is timed, in order, and the run is a real one."""
    seen = []
    steps = [
        scale(1, 3, 8, label="first", tag=1),
        NumpyStep(lambda a: (seen.append(a.copy()) or a,), (3,), (4,), "second", 2),
        KernelStep(SCALE, "scale", (4, 2), 8, "third", 3),
    ]
    times = Executable(program(steps)).profile([X[::-1]])
    assert [(t.label, t.tag) for t in times] == [("first", 1), ("second", 2), ("third", 3)]
    assert all(t.seconds > 0 for t in times)
    np.testing.assert_array_equal(seen[0], 2 * X[::-1])


def test_profile_explains_errors() -> None:
    """A failing kernel fails when profiled too."""
    with pytest.raises(KernelError, match="code 5"):
        Executable(program([KernelStep(CHECK, "check", (1,), 8)])).profile([-X])


def test_many_threads() -> None:
    """Threads run one executable at once, nested calls included, and get their own results."""
    inner = Executable(program([scale(1, 3, 8), scale(3, 2, 8)]))
    outer = Executable(program([NumpyStep(lambda a: inner.run([a]), (1,), (3,)), scale(3, 2, 8)]))
    wrong: list[int] = []

    def work(number: int) -> None:
        x = np.full(8, number, np.float32)
        for _ in range(300):
            if not (outer.run([x])[0] == 8 * x).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_recursion() -> None:
    """An executable may be run from within its own NumPy step."""
    holder: list[Executable] = []

    def again(array: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
        return tuple(holder[0].run([array - 1])) if array[0] > 0 else (array,)

    holder.append(Executable(program([scale(1, 3, 8), NumpyStep(again, (1,), (4,)), scale(4, 2, 8)])))
    x = np.full(8, 3, np.float32)
    np.testing.assert_array_equal(holder[0].run([x])[0], 0 * x)


def test_arrays_of_a_call_are_let_go() -> None:
    """After a run an executable holds neither inputs nor outputs."""
    ready = Executable(program([NumpyStep(lambda a: (a,), (1,), (2,))]))
    x = X.copy()
    output = ready.run([x])[0]
    for array in (x, output):
        assert not [holder for holder in gc.get_referrers(array) if isinstance(holder, list)]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_signals_are_answered_during_long_runs() -> None:
    """D14: Ctrl-C answers within a piece, not at the end of the run."""

    class AlarmError(Exception):
        pass

    def interrupt(number: int, frame: object) -> None:
        raise AlarmError

    size = 2**22
    steps = [scale(3, 4, size, cost=8 * size)] * 2000
    ready = Executable(program([scale(1, 3, size), *steps, scale(4, 2, size)], size))
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        start = time.perf_counter()
        with pytest.raises(AlarmError):
            ready.run([np.ones(size, np.float32)])
        assert time.perf_counter() - start < 0.5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_large_outputs_are_recycled() -> None:
    """D12: calls in the steady state take no new memory, and an output that lives keeps its own."""
    size = buffers.POOLED_FROM
    x = np.ones(size, np.float32)
    ready = Executable(program([scale(1, 2, size)], size))
    kept = ready.run([x])[0]
    address = ready.run([x])[0].ctypes.data
    before = buffers.memory_report()
    for _ in range(50):
        output = ready.run([x])[0]
        assert output.ctypes.data == address and output.ctypes.data % buffers.ALIGNMENT == 0
        del output
    after = buffers.memory_report()
    assert (after.results_in_use, after.results_idle) == (before.results_in_use, before.results_idle)
    assert (kept == 2).all()


def test_dtypes_beyond_float32() -> None:
    """Slots of every dtype of the language reach kernels as they are."""
    for dtype in ("bool", "int8", "uint16", "int64", "uint64", "float64"):
        text = f"""\
def kernel(addresses, block, lo, hi):
    x = {dtype}_at(addresses, block[0], 0)
    out = {dtype}_at(addresses, block[1], 1)
    for i in range(lo, hi):
        out[i] = x[i]
    return 0
"""
        exact = np.dtype(dtype)
        made = Program(
            {1: Slot("input", exact, (5,)), 2: Slot("output", exact, (5,))},
            (KernelStep(text, "copy", (1, 2), 5),),
            (1,),
            (2,),
        )
        x = np.array([0, 1, 1, 0, 1], exact)
        np.testing.assert_array_equal(run_one(made, x)[0], x)
    assert F64.itemsize == 8
