"""Memory for temporaries and results: kept, aligned, and used again.

The first touch of fresh memory costs more than the arithmetic done in it, so an
executable keeps an arena for its temporaries, and the memory of a large result
returns to a pool when the last array on it dies. Everything here is safe under
threads (single atomic operations, no locks: memory may return during a garbage
collection) and in forked children (memory is private). Knows nothing of steps.
"""

from __future__ import annotations

import math
import mmap
import os
import weakref
from collections import deque
from collections.abc import Callable
from functools import partial
from sys import getrefcount
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from graphjit.runtime.errors import ResourceExhaustedError
from graphjit.runtime.fields import dataclass

ALIGNMENT: Final = 64
HUGE_PAGE: Final = 2**21
POOLED_FROM: Final = 2**18
"""Results of fewer bytes come from NumPy's allocator, which is faster for them."""


class Memory:
    """A span of private memory, aligned to 64 bytes (to huge pages from 2 MiB on), zero at first."""

    __slots__ = ("__weakref__", "address", "mapped", "purpose", "size", "start")

    def __init__(self, size: int, purpose: str) -> None:
        """Map `size` bytes; raises ResourceExhaustedError if the computer has not that much."""
        self.size = size
        self.purpose = purpose
        slack = HUGE_PAGE if size >= HUGE_PAGE else 0
        try:
            mapped = _mapped(max(size, 1) + slack)
        except (OSError, ValueError, OverflowError) as error:
            raise ResourceExhaustedError(f"{size:,} bytes of memory for {purpose}: {error}") from error
        if slack and hasattr(mmap, "MADV_HUGEPAGE"):
            _advise(mapped)
        self.mapped = mapped
        first = address_of(np.frombuffer(mapped, np.uint8))
        self.start = -first % (slack or ALIGNMENT)
        self.address = first + self.start
        _alive[id(self)] = self


_alive: weakref.WeakValueDictionary[int, Memory] = weakref.WeakValueDictionary()


def _mapped(size: int) -> mmap.mmap:
    """Fresh memory that a forked child gets a copy of; Python's default would share it."""
    if hasattr(mmap, "MAP_PRIVATE"):
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    return mmap.mmap(-1, size)


def _advise(mapped: mmap.mmap) -> None:
    """Ask for huge pages; a system that has none says so, and ordinary ones do."""
    try:
        mapped.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        return


def address_of(array: npt.NDArray[Any]) -> int:
    """The address of an array's first element."""
    return int(array.__array_interface__["data"][0])


class Arena:
    """Memory for the temporaries of one run, and arrays over parts of it."""

    def __init__(self, size: int) -> None:
        """Provide `size` bytes."""
        if size >= POOLED_FROM:
            self._memory: Memory | None = Memory(size, "temporaries")
            self._span = np.ndarray((size,), np.uint8, self._memory.mapped, self._memory.start)
        else:
            whole = np.zeros(size + ALIGNMENT, np.uint8)
            self._memory = None
            self._span = whole[-address_of(whole) % ALIGNMENT :][:size]
        self.address = address_of(self._span)

    def array(self, offset: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
        """An array over the bytes from `offset` on."""
        return np.ndarray(shape, dtype, self._span, offset)


class _Lease(np.ndarray):
    """The bytes under a result; when the last array on it dies, the memory goes back to its pool.

    It lies directly over the mapped memory: over another array, NumPy would make that
    one the base of the result and let go of this one.
    """

    _memory: Memory
    _pool: OutputPool

    def __del__(self) -> None:
        if hasattr(self, "_pool"):
            self._pool.take_back(self._memory)


_T = TypeVar("_T")
_KEPT_OF_EACH: Final = 4
_KEPT_SHARE: Final = 4
"""A quarter of a pool's limit is for leases that are kept."""


def _taken(leases: deque[_T]) -> tuple[_T, int]:
    """A lease that nobody else can take now, and its references; raises IndexError where there is none."""
    lease = leases.popleft()
    return lease, getrefcount(lease)


def _counted(leases: deque[_T]) -> list[tuple[_T, int]]:
    """All leases, each with its references."""
    return [(lease, getrefcount(lease)) for lease in tuple(leases)]


_UNSEEN: Final = _taken(deque([object()]))[1]
_UNSEEN_IN_PLACE: Final = _counted(deque([object()]))[0][1]
"""The references to a lease that only its pool keeps, as those two see them: they differ between versions of Python."""


class OutputPool:
    """Memory of results that died, by size, to be used for the next ones.

    The leases of the first few results of each size are kept with their memory: making a lease,
    and taking it back, takes longer than anything else that a call does beside its kernels.
    Whether an array is left on a kept lease, its references say.
    """

    def __init__(self, limit: int) -> None:
        """At most `limit` bytes lie idle; what returns beyond that is freed."""
        self.limit = limit
        self._idle: dict[int, deque[Memory]] = {}
        self._kept: dict[int, deque[_Lease]] = {}

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> npt.NDArray[Any]:
        """A C-contiguous array with anything in it, `size` bytes, aligned to 64 bytes."""
        return self.array(shape, dtype, rounded_size(size))

    def array(self, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> npt.NDArray[Any]:
        """The same in memory of `size` bytes, a size that `rounded_size` gives."""
        leases = self._kept.get(size)
        for _ in range(_KEPT_OF_EACH if leases else 0):
            assert leases is not None
            try:
                lease, references = _taken(leases)
            except IndexError:  # another thread looks at the last one
                break
            array = np.ndarray(shape, dtype, lease) if references == _UNSEEN else None
            leases.append(lease)
            if array is not None:
                return array
        return np.ndarray(shape, dtype, self._new_lease(size))

    def _new_lease(self, size: int) -> _Lease:
        memory = self._memory(size)
        lease = _Lease((memory.size,), np.uint8, memory.mapped, memory.start)
        lease._memory = memory
        lease._pool = self
        if len(self._kept.get(size, ())) < _KEPT_OF_EACH and self._kept_bytes() + size <= self.limit // _KEPT_SHARE:
            self._kept.setdefault(size, deque()).append(lease)
        return lease

    def _memory(self, size: int) -> Memory:
        stack = self._idle.get(size)
        if stack is not None:
            try:
                return stack.pop()
            except IndexError:  # none of this size is idle, or another thread took the last one
                return Memory(size, "results")
        return Memory(size, "results")

    def take_back(self, memory: Memory) -> None:
        """Keep the memory for the next result of its size, if the limit allows."""
        if self._stacked_bytes() + self._kept_bytes() + memory.size <= self.limit:
            self._idle.setdefault(memory.size, deque()).append(memory)

    def idle_bytes(self) -> int:
        """How much lies idle."""
        return self._stacked_bytes() + sum(
            lease._memory.size
            for leases in list(self._kept.values())
            for lease, references in _counted(leases)
            if references == _UNSEEN_IN_PLACE
        )

    def _stacked_bytes(self) -> int:
        return sum(size * len(stack) for size, stack in list(self._idle.items()))

    def _kept_bytes(self) -> int:
        """The memory of kept leases, whether arrays lie on it or not."""
        return sum(lease._memory.size for leases in list(self._kept.values()) for lease in tuple(leases))

    def clear(self) -> None:
        """Free what lies idle."""
        self._kept.clear()  # first: what only the pool keeps goes to the idle
        self._idle.clear()


def rounded_size(size: int) -> int:
    """The size class of a size: up to the next eighth of a power of two, in whole pages."""
    grain = max(1 << max(size.bit_length() - 4, 0), mmap.PAGESIZE)
    return -(-size // grain) * grain


def _default_limit() -> int:
    """A quarter of the computer's memory, at most 2 GiB."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return 2**30
    return min(os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE // 4, 2**31)


_pool = OutputPool(_default_limit())


def allocate_output(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An uninitialised C-contiguous array; a large one's memory is used again when its last array dies."""
    exact = np.dtype(dtype)
    size = math.prod(shape) * exact.itemsize
    if size < POOLED_FROM:
        return np.empty(shape, exact)
    return _pool.allocate(shape, exact, size)


def result_maker(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Callable[[], npt.NDArray[Any]]:
    """What makes such arrays as `allocate_output` does, without asking again what they are."""
    exact = np.dtype(dtype)
    size = math.prod(shape) * exact.itemsize
    if size < POOLED_FROM:
        return partial(np.empty, shape, exact)
    return partial(_pool.array, shape, exact, rounded_size(size))


class _Span(bytearray):
    """The bytes under a small state."""


def allocate_state(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """An array that can be written where it lies while nobody else sees it: aligned to 64 bytes, with anything in it.

    Every array that shows its memory keeps the array itself alive, so its references say who sees it.
    """
    exact = np.dtype(dtype)
    size = math.prod(shape) * exact.itemsize
    if size >= POOLED_FROM:
        return _pool.allocate(shape, exact, size)
    span = _Span(size + ALIGNMENT)
    return np.ndarray(shape, exact, span, -address_of(np.frombuffer(span, np.uint8)) % ALIGNMENT)


def shows_all_owners(array: npt.NDArray[Any]) -> bool:
    """Whether the references to the array are all that can reach its memory."""
    return type(array.base) in COUNTED


COUNTED: Final = (_Lease, _Span)
"""Of what class the bases of such arrays are."""


@dataclass(frozen=True)
class MemoryReport:
    """Bytes of memory that graphjit holds."""

    results_in_use: int
    results_idle: int
    results_idle_limit: int
    temporaries: int

    def __str__(self) -> str:
        rows = (
            ("results in use", self.results_in_use),
            ("results idle, to be used again", self.results_idle),
            ("limit of idle results", self.results_idle_limit),
            ("temporaries of executables", self.temporaries),
        )
        return "\n".join(f"{what:32}{size / 2**20:12,.1f} MiB" for what, size in rows)


def memory_report() -> MemoryReport:
    """What is held now; small results and small temporaries are NumPy's and are not counted."""
    alive = list(_alive.values())
    results = sum(memory.size for memory in alive if memory.purpose == "results")
    idle = _pool.idle_bytes()
    temporaries = sum(memory.size for memory in alive if memory.purpose == "temporaries")
    return MemoryReport(max(results - idle, 0), idle, _pool.limit, temporaries)


def release_idle_memory() -> None:
    """Give the memory that waits for the next results back to the system."""
    _pool.clear()
