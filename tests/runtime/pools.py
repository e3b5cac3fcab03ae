"""A pool of processes that run a shared kernel, for a test that starts it in a process of its own."""

import multiprocessing
import warnings

import numpy as np
from programs import program, scale

from graphjit.runtime import executable, threads
from graphjit.runtime.executable import Executable

SIZE = 4000


def double(number: int) -> float:
    """The sum of `SIZE` times twice a number, by a kernel that three threads share."""
    threads.set_number_of_threads(3)
    ready = Executable(program([scale(1, 2, SIZE, cost=executable.SHARED_COST)], SIZE))
    return float(ready.run([np.full(SIZE, number, np.float32)])[0].sum())


def main(method: str) -> None:
    """Use threads here, then in two processes that are started by `method`."""
    warnings.filterwarnings("ignore", "This process.*is multi-threaded", DeprecationWarning)
    assert double(1) == 2 * SIZE
    with multiprocessing.get_context(method).Pool(2) as pool:
        print(pool.map(double, range(4)))
