"""The board at which threads take jobs: its layout, its memory, and Python's locks as native code sees them.

`sharing` says what the words are for. Needs no LLVM, so that settings can be made before anything is compiled.
"""

from __future__ import annotations

import ctypes
import sys
from typing import Final

import numpy as np

from graphjit.runtime.buffers import address_of
from graphjit.runtime.kernel_language import STATUS_WORDS

MOST_THREADS: Final = 256

LINE: Final = 8
"""Words of a cache line; what different threads write stands in different ones."""
THREADS, WANTED, ACQUIRE, RELEASE, NAP, NAP_LOCK, STOP = range(7)
"""How many threads may take part, how many are wanted (0: nobody said), the addresses of the functions of
locks, a lock that nobody releases, whether all shall leave."""
BUSY: Final = LINE
OPEN: Final = 2 * LINE
"""The number of the open job, or 0."""
NUMBER: Final = OPEN + 1
_JOB: Final = 3 * LINE
KERNEL, ADDRESSES, SLOTS, BLOCK, LOW, HIGH, PART, PARTS, SHARES, SHARE = range(_JOB, _JOB + 10)
"""What runs on what, from where to where, in parts of so many rounds; how many parts, shares, parts of a share."""
GET_PROCESSOR, GET_ALLOWED, SET_ALLOWED, PROCESSOR = range(SHARE + 1, SHARE + 5)
"""The addresses of the functions that say where a thread runs and where it may, or 0; where the job's caller runs."""
ACTIVE: Final = 5 * LINE
"""How many look at the job; FAILING is a lock for what follows it."""
FAILING: Final = 6 * LINE
FAILED, CODE = FAILING + 1, FAILING + 2
STATUS: Final = 7 * LINE
WORKERS: Final = STATUS + STATUS_WORDS
ASLEEP, LOCK = 0, 1
NEXT: Final = WORKERS + MOST_THREADS * LINE
"""For each share, in a line of its own, the number of the part that is taken next."""
OWNED: Final = 1
"""Behind it: whether the share's own thread is here, which takes all parts of it that others leave."""
BOARD_WORDS: Final = NEXT + MOST_THREADS * LINE

_words = np.zeros(BOARD_WORDS + LINE, np.uint64)
board = _words[(-address_of(_words) % (8 * LINE)) // 8 :][:BOARD_WORDS]
"""This process's board, which never moves."""
ADDRESS: Final = address_of(board)


def worker_word(worker: int, word: int) -> int:
    """The place of ASLEEP or LOCK of a worker in the board."""
    return WORKERS + worker * LINE + word


def lock_functions() -> tuple[int, int, int]:
    """The addresses of Python's functions that acquire a lock, release it, and acquire it within a time."""
    names = ("PyThread_acquire_lock", "PyThread_release_lock", "PyThread_acquire_lock_timed")
    acquire, release, nap = (ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value or 0 for name in names)
    return acquire, release, nap


def placing_functions() -> tuple[int, int, int]:
    """The addresses of `sched_getcpu`, `sched_getaffinity` and `sched_setaffinity`; zeros where one is missing."""
    if not sys.platform.startswith("linux"):
        return 0, 0, 0
    library = ctypes.CDLL(None)
    names = ("sched_getcpu", "sched_getaffinity", "sched_setaffinity")
    found = [getattr(library, name, None) for name in names]
    get, get_allowed, set_allowed = (
        0 if one is None else ctypes.cast(one, ctypes.c_void_p).value or 0 for one in found
    )
    return (get, get_allowed, set_allowed) if get and get_allowed and set_allowed else (0, 0, 0)


def new_held_lock() -> int:
    """A lock that is held already; it is never freed."""
    allocate = ctypes.pythonapi.PyThread_allocate_lock
    allocate.restype = ctypes.c_void_p
    acquire = ctypes.pythonapi.PyThread_acquire_lock
    acquire.argtypes = [ctypes.c_void_p, ctypes.c_int]
    lock = int(allocate())
    acquire(lock, 1)
    return lock


def release_lock(lock: int) -> None:
    """Let the one who waits for a lock have it."""
    release = ctypes.pythonapi.PyThread_release_lock
    release.argtypes = [ctypes.c_void_p]
    release.restype = None
    release(lock)
