"""Memory is aligned, used again, bounded, and never shared by two living arrays."""

import gc
import os
import threading

import numpy as np
import pytest

from graphjit.runtime import buffers
from graphjit.runtime.buffers import Arena, Memory, OutputPool, allocate_output, memory_report
from graphjit.runtime.errors import ResourceExhaustedError

BIG = (buffers.POOLED_FROM,)


def test_small_outputs_are_ordinary() -> None:
    """Small arrays are NumPy's own."""
    array = allocate_output((3, 4), np.float32)
    assert array.shape == (3, 4) and array.flags.owndata


def test_large_outputs_come_back() -> None:
    """The memory returns when the last array on it dies: a view counts."""
    buffers.release_idle_memory()  # what other tests left could come first
    array = allocate_output(BIG, np.float64)
    address = array.ctypes.data
    array[:] = 1
    view = array[5:].reshape(-1, 1)
    del array
    other = allocate_output(BIG, np.float64)
    assert other.ctypes.data != address
    other[:] = 2
    assert (view == 1).all()
    del view
    again = allocate_output(BIG, np.float64)
    assert again.ctypes.data == address and again.flags.writeable and again.flags.c_contiguous


@pytest.mark.parametrize("size", [1, 100, 2**18, 2**21, 2**21 + 1, 10**7])
def test_alignment(size: int) -> None:
    """64 bytes, and huge pages from 2 MiB on."""
    memory = Memory(size, "results")
    assert memory.address % buffers.ALIGNMENT == 0
    if size >= buffers.HUGE_PAGE:
        assert memory.address % buffers.HUGE_PAGE == 0
    arena = Arena(size)
    assert arena.address % buffers.ALIGNMENT == 0
    part = arena.array(0, (size,), np.dtype(np.uint8))
    part[:] = 2
    assert part.ctypes.data == arena.address


def test_limit() -> None:
    """Beyond the limit memory is freed, not kept."""
    pool = OutputPool(limit=3 * 2**20)
    arrays = [pool.allocate((2**20,), np.dtype(np.uint8), 2**20) for _ in range(5)]
    assert pool.idle_bytes() == 0
    del arrays
    gc.collect()
    assert pool.idle_bytes() == 3 * 2**20
    pool.clear()
    assert pool.idle_bytes() == 0


def test_the_first_few_leases_are_kept() -> None:
    """Results that follow each other lie on the same lease; two living ones never do, however many there are."""
    pool = OutputPool(limit=2**26)
    facts = ((2**18,), np.dtype(np.uint8), 2**18)
    first = pool.allocate(*facts)
    lease, address = id(first.base), first.ctypes.data
    del first
    again = pool.allocate(*facts)
    assert id(again.base) == lease and again.ctypes.data == address
    alive = [again, *(pool.allocate(*facts) for _ in range(9))]
    assert len({array.ctypes.data for array in alive}) == 10 and pool.idle_bytes() == 0
    view = alive[0][5:]
    del again, alive[0]
    alive.append(pool.allocate(*facts))
    assert alive[-1].ctypes.data != address and pool.idle_bytes() == 0
    del view, alive
    gc.collect()
    assert pool.idle_bytes() == 11 * 2**18
    pool.clear()
    assert pool.idle_bytes() == 0


def test_cleared_while_in_use() -> None:
    """What is in use when a pool is cleared returns later, as if its lease had not been kept."""
    pool = OutputPool(limit=2**26)
    array = pool.allocate((2**18,), np.dtype(np.uint8), 2**18)
    array[:] = 3
    pool.clear()
    other = pool.allocate((2**18,), np.dtype(np.uint8), 2**18)
    other[:] = 4
    assert (array == 3).all()
    del array
    assert pool.idle_bytes() == 2**18


def test_near_sizes_share_memory() -> None:
    """A slightly different shape finds the memory of the last one, and wastes an eighth at most."""
    for size in (2**18 + 1, 300_001, 10**6, 2**24 - 1, 2**24 + 1):
        rounded = buffers.rounded_size(size)
        assert size <= rounded <= size * 9 // 8 + 4096


def test_report() -> None:
    """What is in use and idle is counted, and can be read."""
    buffers.release_idle_memory()
    before = memory_report()
    array = allocate_output(BIG, np.float64)
    during = memory_report()
    assert during.results_in_use - before.results_in_use == array.nbytes
    del array
    after = memory_report()
    assert after.results_in_use == before.results_in_use and after.results_idle > 0
    assert "results in use" in str(after) and "MiB" in str(after)
    buffers.release_idle_memory()
    assert memory_report().results_idle == 0


def test_too_much() -> None:
    """More memory than there is: an error that says how much was asked for."""
    with pytest.raises(ResourceExhaustedError, match="bytes of memory for results"):
        allocate_output((2**58,), np.float64)


def test_many_threads() -> None:
    """Arrays of many threads never overlap."""
    wrong = []

    def work(number: int) -> None:
        for _ in range(100):
            array = allocate_output(BIG, np.uint8)
            array[:] = number
            if not (array == number).all():
                wrong.append(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_fork() -> None:
    """A forked child's results are its own."""
    array = allocate_output(BIG, np.uint8)
    array[:] = 1
    child = os.fork()
    if child == 0:
        array[:] = 2
        mine = allocate_output(BIG, np.uint8)
        mine[:] = 3
        os._exit(0 if (array == 2).all() else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert (array == 1).all()
