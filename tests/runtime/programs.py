"""Small programs and kernel texts that several tests of the runtime share."""

from typing import Any

import numpy as np

from graphjit.runtime.program import KernelStep, Program, Slot, Step

F32 = np.dtype(np.float32)
F64 = np.dtype(np.float64)

SCALE = """\
def kernel(addresses, block, lo, hi):
    x = float32_at(addresses, block[0], 0)
    out = float32_at(addresses, block[1], 1)
    for i in range(lo, hi):
        out[i] = x[i] * float32(2.0)
    return 0
"""
"""out = 2 x"""

CHECK = """\
def kernel(addresses, block, lo, hi):
    status = int64_at(addresses, 0, 0)
    x = float32_at(addresses, block[0], 1)
    for i in range(lo, hi):
        if x[i] < float32(0.0):
            status[0] = int64(i)
            return 5
    return 0
"""
"""Fails with code 5 and the place of the first negative element."""


def scale(source: int, target: int, size: int, **facts: Any) -> KernelStep:
    """A step that doubles one slot into another."""
    return KernelStep(SCALE, "scale", (source, target), size, **facts)


def program(steps: list[Step], size: int = 8, outputs: tuple[int, ...] = (2,), **slots: Slot) -> Program:
    """A program of float32 vectors: slot 1 in, slot 2 out, slots 3 and 4 temporaries; others by `slot5=...`."""
    vectors = {
        1: Slot("input", F32, (size,)),
        2: Slot("output", F32, (size,)),
        3: Slot("temporary", F32, (size,), 0),
        4: Slot("temporary", F32, (size,), 4 * size),
    }
    vectors |= {int(name.removeprefix("slot")): slot for name, slot in slots.items()}
    return Program(vectors, tuple(steps), (1,), outputs, 8 * size)
