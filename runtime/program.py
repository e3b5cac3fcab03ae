"""What an executable runs, as pure data: slots, steps, and which slots are inputs and outputs.

Slots are numbered from 1 on, since slot 0 is the status area of kernels. The
compiler writes programs and the runner reads them; neither is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

SlotKind: TypeAlias = Literal["input", "output", "temporary", "constant"]
NumpyFunction: TypeAlias = Callable[..., Sequence[npt.NDArray[Any]]]

SHARED_COST: Final = 2**20
"""A kernel that costs fewer bytes runs on one thread: it takes less than about 15 us."""


@dataclass(frozen=True)
class Slot:
    """A numbered place for one array."""

    kind: SlotKind
    dtype: np.dtype[Any]
    shape: tuple[int, ...] = ()
    offset: int = 0
    """Where a temporary lies in the arena, in bytes."""
    dynamic: bool = False
    """Whether the shape is known only when a NumPy step, which alone may, has filled the slot."""

    @property
    def nbytes(self) -> int:
        """The size in bytes of a slot that is not dynamic."""
        size = int(self.dtype.itemsize)
        for length in self.shape:
            size *= length
        return size


@dataclass(frozen=True)
class KernelStep:
    """A kernel over `lo..hi = 0..extent`, whose pieces may run in any order."""

    kernel_text: str
    name: str
    block: tuple[int, ...]
    """The words that the kernel reads as `block[n]`: slot numbers and sizes."""
    extent: int
    label: str = ""
    tag: object = None
    """Opaque; handed back when the step fails."""
    cost: int = 0
    """About how many bytes it reads and writes; decides pieces, never results."""


@dataclass(frozen=True)
class GemmStep:
    """c = alpha * op(a) @ op(b) + beta * c, in row-major terms; op transposes where told.

    op(a) is m x k, op(b) is k x n, c is m x n. A row of a (as it is stored) begins
    `lda` elements after the one before; 0 means: rows lie close. `batch` products run
    with operands `batch_stride_...` elements apart; 0 shares an operand. The matrices
    begin `offset_...` elements behind their slots' beginnings.
    """

    a: int
    b: int
    c: int
    m: int
    n: int
    k: int
    dtype: np.dtype[Any]
    transpose_a: bool = False
    transpose_b: bool = False
    alpha: float = 1.0
    beta: float = 0.0
    batch: int = 1
    batch_stride_a: int = 0
    batch_stride_b: int = 0
    batch_stride_c: int = 0
    lda: int = 0
    ldb: int = 0
    ldc: int = 0
    offset_a: int = 0
    offset_b: int = 0
    offset_c: int = 0
    label: str = ""
    tag: object = None


@dataclass(frozen=True)
class CopyStep:
    """Copies `nbytes` bytes from the beginning of one slot to that of another."""

    source: int
    target: int
    nbytes: int
    label: str = ""
    tag: object = None


@dataclass(frozen=True)
class NumpyStep:
    """A call of Python: `function(*arrays)` gets read-only arrays, and returns one array per output.

    A result is copied into its slot, whose dtype and shape it must have; a dynamic
    slot keeps it as it is.
    """

    function: NumpyFunction
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    label: str = ""
    tag: object = None


Step: TypeAlias = KernelStep | GemmStep | CopyStep | NumpyStep


@dataclass(frozen=True)
class Program:
    """Everything that an executable needs."""

    slots: Mapping[int, Slot]
    """By number; numbers are positive and need not be dense."""
    steps: tuple[Step, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    arena_bytes: int = 0
    constants: Mapping[int, npt.NDArray[Any]] = field(default_factory=dict)
