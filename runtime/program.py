"""What an executable runs, as pure data: slots, steps, and which slots are inputs and outputs.

Slots are numbered from 1 on, since slot 0 is the status area of kernels. The
compiler writes programs and the runner reads them; neither is known here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from graphjit.runtime.fields import dataclass, field

SlotKind: TypeAlias = Literal["input", "output", "temporary", "constant"]
NumpyFunction: TypeAlias = Callable[..., Sequence[npt.NDArray[Any]]]

PIECE_COST: Final = 2**27
"""Bytes that a native stretch may read and write before Python gets to answer signals.

A byte costs about 1/64 ns in the cache, two to four times that in memory, and up to twenty times in kernels
that are no vector code, so this is 2 to 40 ms.
"""
JOINED_COST: Final = 2**18
"""A kernel that costs fewer bytes runs on one thread; up to SHARED_COST others join if they are awake anyway."""
SHARED_COST: Final = 2**20
"""A kernel that costs fewer bytes wakes nobody: it takes less than about 15 us."""


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

    is_row: bool = False
    """Whether it is a row of what lies in other slots: control steps say where."""
    count: int = 0
    """The slot of the number of rows, of a dynamic slot that is filled row by row; `shape` is a row's."""

    @property
    def nbytes(self) -> int:
        """The size in bytes of a slot, or of a row of it."""
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


class Action(StrEnum):
    """What a control step does, with its words. Counts and indices are slots of int64."""

    JUMP = "jump"  # go on at the target
    UNLESS = "unless"  # slot: at the target, if the boolean in it is false
    CASE = "case"  # slot, number, bytes of the integer in it: at the target, if it is this number
    ENDED = "ended"  # slot: at the target, if the number in it is not positive
    BACK = "back"  # slot: at the target, but every so often at the next step, so that signals are answered
    ADD = "add"  # slot, other slot, number: set the first to the other plus the number
    SWAP = "swap"  # two slots: they change places in memory
    ROW = "row"  # slot, other slot, index, bytes: the first is row `index` of the other
    GROW = "grow"  # slot, index: there is memory for row `index`


@dataclass(frozen=True)
class ControlStep:
    """Says which step is next, or where slots lie."""

    action: Action
    words: tuple[int, ...]
    target: int = 0
    """The number of the step to go on with, for actions that may jump."""
    label: str = ""
    tag: object = None


Step: TypeAlias = KernelStep | GemmStep | CopyStep | NumpyStep | ControlStep


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
    updates: tuple[tuple[int, int], ...] = ()
    """Pairs of slots, an input and an output: the output may lie where the input lies."""
    tail: int = 0
    """The first of the steps that write such outputs: those before do not, and these cannot fail."""
