"""How many threads a kernel may use, and the threads themselves.

Kernels run on the caller's thread; of those that take long, other threads take parts
(`sharing` says how). The threads are started when the first such kernel runs, sleep
while there is nothing to do, and hold no lock of the interpreter. A forked child has
none of them and starts its own. How many there are never changes a result.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import threading
import time
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np

from graphjit.runtime import jobboard
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.runtime.jobboard import board

if TYPE_CHECKING:
    from graphjit.runtime.kernelcache import Kernel

_VARIABLE: Final = "GRAPHJIT_NUM_THREADS"
_PATIENCE: Final = 1.0
"""Seconds that threads may take to leave when the interpreter ends."""

_lock = threading.Lock()
_started: list[threading.Thread] = []
_wanted = 0
"""The number that is set; 0 until somebody asks."""
_settled = 0
"""The number for which threads have been started."""


def number_of_threads() -> int:
    """How many threads a kernel may use, the caller's included.

    At first this is what the environment variable GRAPHJIT_NUM_THREADS says, else the
    number of processors that this process may use.

    Raises:
      InvalidArgumentError: if the variable holds something other than a whole number from 1 to 256.
    """
    if not _wanted:
        _want(_number_at_first(), unless_set=True)
    return _wanted


def set_number_of_threads(count: int) -> None:
    """Let a kernel, and a matrix product, use `count` threads, the caller's included; 1 means no others.

    Results do not depend on it. Kernels that run already keep the threads that they have.

    Raises:
      InvalidArgumentError: if `count` is not a whole number from 1 to 256.

    >>> before = number_of_threads()
    >>> set_number_of_threads(1)
    >>> number_of_threads()
    1
    >>> set_number_of_threads(before)
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer) or not 1 <= count <= jobboard.MOST_THREADS:
        raise InvalidArgumentError(
            f"the number of threads should be a whole number from 1 to {jobboard.MOST_THREADS}, and is {count!r}"
        )
    _want(int(count))


def _want(count: int, unless_set: bool = False) -> None:
    global _wanted
    with _lock:
        if unless_set and _wanted:
            return
        _wanted = count
        board[jobboard.WANTED] = count
        board[jobboard.THREADS] = min(count, 1 + len(_started))


def _number_at_first() -> int:
    text = os.environ.get(_VARIABLE)
    if text is None:
        return min(processors(), jobboard.MOST_THREADS)
    if not text.isdecimal() or not 1 <= int(text) <= jobboard.MOST_THREADS:
        raise InvalidArgumentError(
            f"the environment variable {_VARIABLE} should be a whole number from 1 to {jobboard.MOST_THREADS},"
            f" and is {text!r}"
        )
    return int(text)


@lru_cache(maxsize=1)
def processors() -> int:
    """How many processors this process may use, as first asked."""
    if hasattr(os, "process_cpu_count"):
        return int(os.process_cpu_count() or 1)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def start_threads() -> None:
    """Start the threads that are wanted and not there yet; costs next to nothing where they are."""
    if not _settled or _settled != _wanted:
        _start(number_of_threads())


def _start(wanted: int) -> None:
    global _settled
    code = _worker()
    with _lock:
        if board[jobboard.STOP]:
            return
        try:
            while len(_started) < wanted - 1:
                _start_one(len(_started), code)
        except RuntimeError:  # the system has no more threads, or the interpreter ends: fewer give the same results
            _started.pop()
        board[jobboard.THREADS] = min(wanted, 1 + len(_started))
        _settled = wanted


def _start_one(number: int, code: Kernel) -> None:
    if not board[jobboard.ACQUIRE]:
        board[jobboard.ACQUIRE], board[jobboard.RELEASE], board[jobboard.NAP] = jobboard.lock_functions()
        board[jobboard.NAP_LOCK] = jobboard.new_held_lock()
        board[jobboard.GET_PROCESSOR : jobboard.SET_ALLOWED + 1] = jobboard.placing_functions()
    if not board[jobboard.worker_word(number, jobboard.LOCK)]:
        board[jobboard.worker_word(number, jobboard.LOCK)] = jobboard.new_held_lock()
    run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint64)(code.address)
    thread = threading.Thread(target=run, args=(jobboard.ADDRESS, number), name=f"graphjit-{number + 1}", daemon=True)
    _started.append(thread)  # first: a signal's exception in between must not let two have one number
    thread.start()


@lru_cache(maxsize=1)
def _worker() -> Kernel:
    """What a thread runs; only here LLVM is needed."""
    from graphjit.runtime import sharing
    from graphjit.runtime.kernelcache import load_ir

    return load_ir(sharing.worker_ir(), "worker")


def _stop() -> None:
    """Before the interpreter goes: no thread may be inside of machine code that is about to be freed."""
    with _lock:
        board[jobboard.THREADS] = 1
        board[jobboard.STOP] = 1
        deadline = time.monotonic() + _PATIENCE
        for number, thread in enumerate(_started):
            while thread.is_alive() and time.monotonic() < deadline:
                _wake(number)
                thread.join(0.001)


def _wake(number: int) -> None:
    asleep = jobboard.worker_word(number, jobboard.ASLEEP)
    if board[asleep]:
        board[asleep] = 0
        jobboard.release_lock(int(board[jobboard.worker_word(number, jobboard.LOCK)]))


def _forget() -> None:
    """In a forked child: the threads are the parent's, and whoever held a lock is not here."""
    global _lock, _settled
    _lock = threading.Lock()
    _started.clear()
    _settled = 0
    board[:] = 0
    board[jobboard.WANTED] = _wanted


atexit.register(_stop)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
