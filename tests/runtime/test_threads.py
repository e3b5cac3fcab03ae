"""D14: kernels that threads share: the same bits and errors for any number of threads, and nothing left behind."""

import ctypes
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from programs import CHECK, program, scale

from graphjit.runtime import executable, gemm, jobboard, sequencer as walk, threads
from graphjit.runtime.blas import blas
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.runtime.executable import Executable
from graphjit.runtime.fields import replace
from graphjit.runtime.program import GemmStep, KernelStep, NumpyStep, Program, Slot

FOLDER = os.path.dirname(__file__)
COST = executable.SHARED_COST

COUNT = """\
def kernel(addresses, block, lo, hi):
    x = float32_at(addresses, block[0], 0)
    for i in range(lo, hi):
        x[i] = x[i] + float32(1.0)
    return 0
"""
"""x += 1: shows how often each round ran."""


@pytest.fixture(params=[1, 2, 3, 8])
def count(request: pytest.FixtureRequest) -> Iterator[int]:
    """Numbers of threads, more than there are processors among them."""
    before = threads.number_of_threads()
    threads.set_number_of_threads(request.param)
    yield request.param
    threads.set_number_of_threads(before)


@pytest.fixture
def several() -> Iterator[None]:
    """Four threads."""
    before = threads.number_of_threads()
    threads.set_number_of_threads(4)
    yield
    threads.set_number_of_threads(before)


def shared_rows(ready: Executable) -> list[tuple[int, ...]]:
    """The rows of the table that threads share."""
    return [row for row in ready._plan.rows if row[0] == walk.SHARED]


@pytest.mark.parametrize("size", [2, 63, 1000, 4097, 100_003])
def test_each_round_runs_once(count: int, size: int) -> None:
    """Parts of any size cover all rounds, and none twice."""
    x = np.arange(size, dtype=np.float32)
    steps = [scale(1, 3, size, cost=COST), KernelStep(COUNT, "count", (3,), size, cost=9 * COST), scale(3, 2, size)]
    ready = Executable(program(steps, size))
    assert len(shared_rows(ready)) == 2
    for _ in range(50):
        np.testing.assert_array_equal(ready.run([x])[0], 2 * (2 * x + 1))


def test_small_kernels_are_not_shared() -> None:
    """Handing over would take longer than they do; and one round cannot be shared."""
    assert not shared_rows(Executable(program([scale(1, 2, 8, cost=executable.JOINED_COST - 1)])))
    assert not shared_rows(Executable(program([scale(1, 2, 1, cost=9 * COST)], 1)))


@pytest.mark.usefixtures("several")
def test_middling_kernels_wake_nobody() -> None:
    """They are shared with threads that are awake; while these sleep, no job is opened."""
    size = 10_000
    x = np.arange(size, dtype=np.float32)
    Executable(program([scale(1, 2, size, cost=COST)], size)).run([x])
    ready = Executable(program([scale(1, 2, size, cost=COST - 1)], size))
    assert shared_rows(ready) and not ready.shares
    _wait_until_asleep(range(len(threads._started)))
    number = int(jobboard.board[jobboard.NUMBER])
    np.testing.assert_array_equal(ready.run([x])[0], 2 * x)
    assert jobboard.board[jobboard.NUMBER] == number
    both = [scale(1, 3, size, cost=COST), scale(3, 2, size, cost=COST - 1)]
    mixed = Executable(program(both, size))
    for _ in range(50):
        np.testing.assert_array_equal(mixed.run([x])[0], 4 * x)
    assert jobboard.board[jobboard.NUMBER] > number + 50


def test_parts_keep_to_lines_of_the_cache() -> None:
    """Where a thread begins, no other thread writes."""
    (row,) = shared_rows(Executable(program([scale(1, 2, 10**6, cost=10 * COST)], 10**6)))
    assert row[5] % 64 == 0 and row[5] < 10**6


@pytest.mark.parametrize("cost", [COST, 16 * COST])
def test_the_first_error_counts(count: int, cost: int) -> None:
    """Of many elements that fail in different parts, the first one is reported, as if one thread ran them in order."""
    told = []

    def explain(tag: object, code: int, detail: tuple[int, ...]) -> Exception:
        told.append((tag, code, detail[0]))
        return ValueError("negative")

    size = 50_000
    ready = Executable(program([KernelStep(CHECK, "check", (1,), size, tag="check", cost=cost)], size), explain)
    rng = np.random.default_rng(count)
    for _ in range(20):
        x = np.ones(size, np.float32)
        places = rng.integers(0, size, 1 + int(rng.integers(0, 40)))
        x[places] = -1
        with pytest.raises(ValueError, match="negative"):
            ready.run([x])
        assert told[-1] == ("check", 5, places.min())
    ready.run([np.ones(size, np.float32)])


@pytest.mark.usefixtures("several")
def test_concurrent_and_nested_callers() -> None:
    """Callers at once share one set of threads: who finds it in use runs alone, with the same results."""
    size = 20_000
    inner = Executable(program([scale(1, 3, size, cost=COST), scale(3, 2, size, cost=COST)], size))
    steps = [NumpyStep(lambda a: inner.run([a]), (1,), (3,)), scale(3, 2, size, cost=COST)]
    outer = Executable(program(steps, size))
    wrong: list[int] = []

    def work(number: int) -> None:
        x = np.full(size, number, np.float32)
        for _ in range(100):
            if not (outer.run([x])[0] == 8 * x).all():
                wrong.append(number)

    callers = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert not wrong
    assert jobboard.board[jobboard.BUSY] == 0 and jobboard.board[jobboard.ACTIVE] == 0


@pytest.mark.usefixtures("several")
def test_while_the_threads_are_in_use() -> None:
    """A caller never waits for another one's job."""
    size = 1000
    x = np.arange(size, dtype=np.float32)
    ready = Executable(program([scale(1, 2, size, cost=COST)], size))
    ready.run([x])
    number = int(jobboard.board[jobboard.NUMBER])
    jobboard.board[jobboard.BUSY] = 1
    try:
        np.testing.assert_array_equal(ready.run([x])[0], 2 * x)
    finally:
        jobboard.board[jobboard.BUSY] = 0
    assert jobboard.board[jobboard.NUMBER] == number
    ready.run([x])
    assert jobboard.board[jobboard.NUMBER] == number + 1


@pytest.mark.usefixtures("several")
def test_idle_threads_sleep() -> None:
    """Nothing is burnt while there is nothing to do."""
    Executable(program([scale(1, 2, 1000, cost=COST)], 1000)).run([np.ones(1000, np.float32)])
    assert len(threads._started) >= 3
    _wait_until_asleep(range(len(threads._started)))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads cannot be bound here")
@pytest.mark.usefixtures("several")
def test_where_threads_may_run_stays() -> None:
    """A thread that moves away from the caller's processor may run afterwards where it might before; or cannot move."""
    x = np.ones(100_000, np.float32)
    ready = Executable(program([scale(1, 2, x.size, cost=COST)], x.size))
    ready.run([x])
    workers = [thread.native_id for thread in threads._started[:3] if thread.native_id is not None]
    everywhere = os.sched_getaffinity(0)
    for allowed in ({min(everywhere)}, everywhere):
        for worker in workers:
            os.sched_setaffinity(worker, allowed)
        os.sched_setaffinity(0, {min(everywhere)})
        try:
            for _ in range(200):
                assert (ready.run([x])[0] == 2).all()
        finally:
            os.sched_setaffinity(0, everywhere)
        _wait_until_asleep(workers)
        assert [os.sched_getaffinity(worker) for worker in workers] == [allowed] * len(workers)


def _wait_until_asleep(workers: Sequence[int]) -> None:
    words = [jobboard.worker_word(worker, jobboard.ASLEEP) for worker in range(len(workers))]
    deadline = time.monotonic() + 10
    while not all(jobboard.board[word] for word in words):
        assert time.monotonic() < deadline
        time.sleep(0.001)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")  # that is what is tested
@pytest.mark.usefixtures("several")
def test_a_forked_child_has_threads_of_its_own() -> None:
    """The child of a process with threads runs shared kernels, and the parent goes on."""
    size = 5000
    x = np.arange(size, dtype=np.float32)
    ready = Executable(program([scale(1, 2, size, cost=COST)], size))
    ready.run([x])
    child = os.fork()
    if child == 0:
        fine = not threads._started and (ready.run([x])[0] == 2 * x).all() and len(threads._started) == 3
        os._exit(0 if fine and threads.number_of_threads() == 4 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    np.testing.assert_array_equal(ready.run([x])[0], 2 * x)


SCRIPT = """
import os, sys, threading
sys.path.insert(0, {tests!r})
import numpy as np
from programs import program, scale
from graphjit.runtime import executable, threads
from graphjit.runtime.executable import Executable
{body}
"""
RUN = """
ready = Executable(program([scale(1, 2, 4000, cost=executable.SHARED_COST)], 4000))
for _ in range(100):
    assert (ready.run([np.ones(4000, np.float32)])[0] == 2).all()
"""


def run_script(body: str, environment: Mapping[str, str]) -> str:
    """What a fresh process prints; it must end well."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.format(tests=FOLDER, body=body)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    "ending",
    [
        "",
        "sys.exit(0)",
        "os._exit(0)",
        "import atexit; atexit.register(ready.run, [np.ones(4000, np.float32)])",
        "import time; time.sleep(0.1)",
        "threading.Thread(target=lambda: [ready.run([np.ones(4000, np.float32)]) for _ in range(10**9)],"
        " daemon=True).start()",
    ],
)
def test_the_interpreter_ends(ending: str) -> None:
    """A process that used threads ends at once and well, whatever they are doing."""
    run_script(RUN + ending, {"GRAPHJIT_NUM_THREADS": "4"})


@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_pools_of_processes(method: str) -> None:
    """Workers of multiprocessing, however they are started, run shared kernels."""
    script = f"import sys; sys.path.insert(0, {FOLDER!r}); import pools; pools.main({method!r})"
    assert run_script(script, {}) == "[0.0, 8000.0, 16000.0, 24000.0]\n"


class TestSetting:
    """How many threads there are."""

    @pytest.mark.parametrize("wrong", [0, -1, 257, 2.0, "2", None, True])
    def test_wrong_numbers(self, wrong: Any) -> None:
        """Only whole numbers from 1 to 256, and nothing changes."""
        before = threads.number_of_threads()
        with pytest.raises(InvalidArgumentError, match="from 1 to 256"):
            threads.set_number_of_threads(wrong)
        assert threads.number_of_threads() == before

    def test_fewer_and_more(self) -> None:
        """Threads that are not wanted any more sleep on, and are there when they are wanted again."""
        before = threads.number_of_threads()
        x = np.ones(1000, np.float32)
        ready = Executable(program([scale(1, 2, 1000, cost=COST)], 1000))
        for wanted in (3, 1, 2, 5, 1, 4):
            threads.set_number_of_threads(wanted)
            assert threads.number_of_threads() == wanted
            assert (ready.run([x])[0] == 2).all()
            assert jobboard.board[jobboard.THREADS] == wanted
        threads.set_number_of_threads(before)

    def test_at_first(self) -> None:
        """The processors of this process; no thread is started before one is of use."""
        body = """
del os.environ["GRAPHJIT_NUM_THREADS"]
print(threads.number_of_threads(), len(threads._started))
"""
        processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        assert run_script(body, {"GRAPHJIT_NUM_THREADS": "7"}) == f"{processors} 0\n"

    def test_environment(self) -> None:
        """GRAPHJIT_NUM_THREADS says how many."""
        assert run_script("print(threads.number_of_threads())", {"GRAPHJIT_NUM_THREADS": "7"}) == "7\n"

    @pytest.mark.parametrize("wrong", ["", "0", "-1", "two", "1.5", "999"])
    def test_wrong_environment(self, wrong: str) -> None:
        """What is no number is refused in plain words."""
        body = """
try:
    threads.number_of_threads()
except ValueError as error:
    print(error)
"""
        said = run_script(body, {"GRAPHJIT_NUM_THREADS": wrong})
        assert said.startswith("the environment variable GRAPHJIT_NUM_THREADS should be") and repr(wrong) in said


class TestProducts:
    """Matrix products and the threads of BLAS."""

    @pytest.fixture
    def seen(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
        """BLAS without own kernels, which notes how many threads it had in each product."""
        library = blas()
        if not library.get_threads:
            pytest.skip("this BLAS has no thread control")
        get = ctypes.CFUNCTYPE(ctypes.c_int)(library.get_threads)
        put = ctypes.CFUNCTYPE(None, ctypes.c_int)(library.set_threads)
        found: list[int] = []
        at = ctypes.CFUNCTYPE(None)(lambda: found.append(get()))
        spied = replace(library, sgemm=ctypes.cast(at, ctypes.c_void_p).value or 0)
        monkeypatch.setattr(gemm, "blas", lambda: spied)
        monkeypatch.setattr(gemm, "_pays", lambda step: False)
        before, ours = get(), threads.number_of_threads()
        put(3)
        yield found
        assert get() == 3
        put(before)
        threads.set_number_of_threads(ours)

    def run(self, size: int) -> None:
        """A product of square matrices."""
        exact = np.dtype(np.float32)
        slots = {1: Slot("input", exact, (size, size)), 2: Slot("output", exact, (size, size))}
        made = Program(slots, (GemmStep(1, 1, 2, size, size, size, exact),), (1,), (2,))
        Executable(made).run([np.zeros((size, size), np.float32)])

    def test_small_and_large(self, seen: list[int]) -> None:
        """BLAS is kept to one thread, and has its own back afterwards; a large product is cut into strips."""
        threads.set_number_of_threads(3)
        self.run(16)
        assert seen == [1]
        self.run(512)
        strips = -(-512 // gemm.strip_size(GemmStep(1, 1, 2, 512, 512, 512, np.dtype(np.float32))))
        assert seen == [1] * (1 + strips) and (strips > 1 or threads.processors() == 1)

    def test_while_our_threads_work(self, seen: list[int]) -> None:
        """A product that finds the threads at work runs its strips alone."""
        threads.set_number_of_threads(3)
        jobboard.board[jobboard.BUSY] = 1
        try:
            self.run(512)
        finally:
            jobboard.board[jobboard.BUSY] = 0
        assert set(seen) == {1}


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("turned", [(False, False), (True, True)])
@pytest.mark.parametrize(("m", "n", "batch"), [(300, 130, 1), (70, 700, 1), (200, 90, 3), (128, 20, 1)])
def test_products_have_the_same_bits(
    m: int, n: int, batch: int, turned: tuple[bool, bool], own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D13, D14: strips of a product by BLAS, and blocks of our own, do not depend on the number of threads."""
    monkeypatch.setattr(gemm, "_pays", lambda step: own)
    monkeypatch.setattr(gemm, "_STRIP_COST", 2**16)
    monkeypatch.setattr(gemm, "processors", lambda: 5)
    k = 400
    rng = np.random.default_rng(m)
    a = rng.standard_normal((batch, *((k, m) if turned[0] else (m, k)))).astype(np.float32)
    b = rng.standard_normal((batch, *((n, k) if turned[1] else (k, n)))).astype(np.float32)
    strides = {"batch_stride_a": m * k, "batch_stride_b": k * n, "batch_stride_c": m * n}
    step = GemmStep(1, 2, 3, m, n, k, np.dtype(np.float32), *turned, batch=batch, **strides)
    slots = {number: Slot("input", step.dtype, array.shape) for number, array in ((1, a), (2, b))}
    slots[3] = Slot("output", step.dtype, (batch, m, n))
    ready = Executable(Program(slots, (step,), (1, 2), (3,)))
    expected = (a.swapaxes(1, 2) if turned[0] else a) @ (b.swapaxes(1, 2) if turned[1] else b)
    before = threads.number_of_threads()
    try:
        found = []
        for many in (1, 2, 7):
            threads.set_number_of_threads(many)
            found.append(ready.run([a, b])[0])
    finally:
        threads.set_number_of_threads(before)
    np.testing.assert_allclose(found[0], expected, rtol=1e-4, atol=1e-3)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])
