"""The native loop that walks a table of steps: kernels, matrix products and copies with no Python between.

A table is rows of eight uint64 words, the first of which says what the row is:

    END                               stop; the answer is 0
    KERNEL   address, block, lo, hi   call a kernel; a nonzero code stops the walk
    GEMM     block                    a matrix product, described by `GEMM_WORDS`
    COPY     target, source, bytes    slots; they do not overlap, or are the same, and then nothing is done
    PAUSE                             stop; the answer is this row's number + 1
    SHARED   address, block, lo, hi, part, wakes
                                      as KERNEL, in parts of `part` rounds that threads share; whether it wakes them

    JUMP     row                      go on there
    UNLESS   row, slot                go on there if the boolean in the slot is false
    CASE     row, slot, number, bytes if the integer in the slot is this number
    ENDED    row, slot                if the int64 in the slot is not positive
    BACK     row, slot, most          count in the slot; go on there, or after `most` times pause
    ADD      slot, other, number      int64s: the first becomes the other plus the number
    SWAP     slot, other              exchange addresses
    ROW      slot, other, index, bytes
                                      the slot is row `index` (a slot) of the other
    GROW     slot, index              pause unless there is memory for row `index` (a slot)

A frame is six words: the addresses of the slots' addresses, of the table, of the
binding and of the threads' board, the number of slots, and the address of the
number of rows that each growing slot has memory for. A binding says which
slots the arrays of a call fill: the count of arrays to check, the count of arrays,
then a slot for each.

`run(objects, frame, first)` binds (unless `objects` is null), then walks from row
`first` on. A kernel's code ends in the last status word, and the answer is
-(row + 1). `NOT_PLAIN` means: an array was not C-contiguous or not aligned, and
nothing was done. Knows nothing of programs.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any, Final

import numpy as np

from graphjit.runtime import objectlayout as layout
from graphjit.runtime.kernel_language import STATUS_WORDS
from graphjit.runtime.kernelcache import load_ir
from graphjit.runtime.sharing import share_ir

END: Final = 0
KERNEL: Final = 1
GEMM: Final = 2
COPY: Final = 3
PAUSE: Final = 4
SHARED: Final = 5
JUMP: Final = 6
UNLESS: Final = 7
CASE: Final = 8
ENDED: Final = 9
BACK: Final = 10
ADD: Final = 11
SWAP: Final = 12
ROW: Final = 13
GROW: Final = 14
ROW_WORDS: Final = 8
NOT_PLAIN: Final = -(2**63)
SEEN: Final = NOT_PLAIN + 1
KNOWN_REFERENCES: Final = 4
"""To an array that is written where it lies: its holder's, those of the lists of inputs and outputs, of `commit`."""
CODE_WORD: Final = STATUS_WORDS - 1

GEMM_WORDS: Final = (
    *("function", "transpose_a", "transpose_b", "m", "n", "k", "lda", "ldb", "ldc"),
    *("a", "b", "c", "offset_a", "offset_b", "offset_c"),
    *("batch", "stride_a", "stride_b", "stride_c", "alpha", "beta"),
    *("get_threads", "set_threads", "shared"),
    *("strips", "strip", "splits_m", "move_a", "move_b", "move_c"),
)
"""The words of a product's block, in BLAS's column-major terms: slots a, b, c, offsets and strides in bytes,
alpha and beta as bits, transposes as characters; the thread control or 0, and whether threads share the strips.
A product is cut into `strips` of `strip` columns (of rows, where it `splits_m`), `move_...` bytes apart."""


def _row_words(names: tuple[str, ...]) -> str:
    """IR that loads the words 1, 2, ... of the current row."""
    lines = []
    for place, name in enumerate(names, 1):
        lines.append(f"  %{name}.at = getelementptr i64, ptr %row, i64 {place}\n")
        lines.append(f"  %{name} = load i64, ptr %{name}.at\n")
    return "".join(lines)


def _slot_address(slot: str) -> str:
    return (
        f"  %{slot}.place = getelementptr i64, ptr %addresses, i64 %{slot}\n"
        f"  %{slot}.address = load i64, ptr %{slot}.place\n"
    )


def _block_words(names: tuple[str, ...]) -> str:
    """IR that loads these words of a product's block."""
    return "".join(
        f"  %{name}.at = getelementptr i64, ptr %block, i64 {GEMM_WORDS.index(name)}\n"
        f"  %{name} = load i64, ptr %{name}.at\n"
        for name in names
    )


def _strips_ir() -> str:
    """The kernel `strips(addresses, block, lo, hi)`: each round is one call of BLAS, for a strip of one product."""
    places = "".join(
        f"  %{name}.at = getelementptr i64, ptr %block, i64 {place}\n" for place, name in enumerate(GEMM_WORDS)
    )
    operands = [f"{what}_{name}" for what in ("offset", "stride", "move") for name in "abc"]
    loaded = ("function", "m", "n", "a", "b", "c", "strips", "strip", "splits_m", *operands)
    loads = "".join(f"  %{name} = load i64, ptr %{name}.at\n" for name in loaded)
    moved = "".join(
        f"  %{name}.distance = mul i64 %which, %stride_{name}\n"
        f"  %{name}.along = mul i64 %mine, %move_{name}\n"
        f"  %{name}.first = add i64 %{name}.address, %offset_{name}\n"
        f"  %{name}.matrix = add i64 %{name}.first, %{name}.distance\n"
        f"  %{name}.moved = add i64 %{name}.matrix, %{name}.along\n"
        f"  %{name}.pointer = inttoptr i64 %{name}.moved to ptr\n"
        for name in "abc"
    )
    return f"""
define internal i64 @strips(ptr %addresses, ptr %block, i64 %lo, i64 %hi) {{
entry:
{places}{loads}{_slot_address("a")}{_slot_address("b")}{_slot_address("c")}
  %call = inttoptr i64 %function to ptr
  %by_m = icmp ne i64 %splits_m, 0
  %side = select i1 %by_m, i64 %m, i64 %n
  %m.here = alloca i64, align 8
  %n.here = alloca i64, align 8
  br label %loop
loop:
  %i = phi i64 [ %lo, %entry ], [ %next, %again ]
  %more = icmp ult i64 %i, %hi
  br i1 %more, label %again, label %done
again:
  %which = udiv i64 %i, %strips
  %mine = urem i64 %i, %strips
  %before = mul i64 %mine, %strip
  %rest = sub i64 %side, %before
  %size = call i64 @llvm.umin.i64(i64 %rest, i64 %strip)
  %m.size = select i1 %by_m, i64 %size, i64 %m
  %n.size = select i1 %by_m, i64 %n, i64 %size
  store i64 %m.size, ptr %m.here
  store i64 %n.size, ptr %n.here
{moved}  call void %call(ptr %transpose_a.at, ptr %transpose_b.at, ptr %m.here, ptr %n.here, ptr %k.at,
    ptr %alpha.at, ptr %a.pointer, ptr %lda.at, ptr %b.pointer, ptr %ldb.at,
    ptr %beta.at, ptr %c.pointer, ptr %ldc.at, i64 1, i64 1)
  %next = add i64 %i, 1
  br label %loop
done:
  ret i64 0
}}
"""


def _gemm_ir() -> str:
    """The function that runs one product by BLAS, which is kept to one thread: its strips are shared by ours."""
    return f"""{_strips_ir()}
@depth = internal global i64 0
@threads_before = internal global i32 1

define internal void @gemm(ptr %block, ptr %addresses, ptr %board, i64 %slots) {{
entry:
{_block_words(("batch", "strips", "shared", "get_threads", "set_threads"))}
  %rounds = mul i64 %batch, %strips
  %get = inttoptr i64 %get_threads to ptr
  %set = inttoptr i64 %set_threads to ptr
  %controlled = icmp ne i64 %set_threads, 0
  br i1 %controlled, label %limit, label %run
limit:
  %outer = atomicrmw add ptr @depth, i64 1 seq_cst
  %first = icmp eq i64 %outer, 0
  br i1 %first, label %lower, label %run
lower:
  %before = call i32 %get()
  store atomic i32 %before, ptr @threads_before seq_cst, align 4
  %many = icmp sgt i32 %before, 1
  br i1 %many, label %one, label %run
one:
  call void %set(i32 1)
  br label %run
run:
  %alone = icmp eq i64 %shared, 0
  br i1 %alone, label %by_itself, label %together
by_itself:
  %own = call i64 @strips(ptr %addresses, ptr %block, i64 0, i64 %rounds)
  br label %ran
together:
  %others = call i64 @share(
    ptr %board, i64 %slots, ptr %addresses, ptr @strips, ptr %block, i64 0, i64 %rounds, i64 1,
    i64 1)
  br label %ran
ran:
  br i1 %controlled, label %unlimit, label %return
unlimit:
  %inner = atomicrmw sub ptr @depth, i64 1 seq_cst
  %last = icmp eq i64 %inner, 1
  br i1 %last, label %restore, label %return
restore:
  %after = load atomic i32, ptr @threads_before seq_cst, align 4
  %raise = icmp sgt i32 %after, 1
  br i1 %raise, label %again_many, label %return
again_many:
  call void %set(i32 %after)
  br label %return
return:
  ret void
}}
"""


def _control_ir() -> str:
    """The rows that say which row is next, or where slots lie."""
    return """jump:
  br label %walk
unless:
  %truth.place = getelementptr i64, ptr %addresses, i64 %w2
  %truth.at = load ptr, ptr %truth.place
  %truth = load i8, ptr %truth.at
  %is_false = icmp eq i8 %truth, 0
  br i1 %is_false, label %jump, label %advance
case:
  %choice.place = getelementptr i64, ptr %addresses, i64 %w2
  %choice.at = load ptr, ptr %choice.place
  %is_long = icmp eq i64 %w4, 8
  br i1 %is_long, label %long, label %short
long:
  %long_choice = load i64, ptr %choice.at
  br label %compare
short:
  %loaded = load i32, ptr %choice.at
  %short_choice = sext i32 %loaded to i64
  br label %compare
compare:
  %choice = phi i64 [ %long_choice, %long ], [ %short_choice, %short ]
  %is_chosen = icmp eq i64 %choice, %w3
  br i1 %is_chosen, label %jump, label %advance
ended:
  %left.place = getelementptr i64, ptr %addresses, i64 %w2
  %left.at = load ptr, ptr %left.place
  %left_rounds = load i64, ptr %left.at
  %is_over = icmp sle i64 %left_rounds, 0
  br i1 %is_over, label %jump, label %advance
back:
  %turns.place = getelementptr i64, ptr %addresses, i64 %w2
  %turns.at = load ptr, ptr %turns.place
  %turns = load i64, ptr %turns.at
  %turned = add i64 %turns, 1
  %rests = icmp uge i64 %turned, %w3
  %counted = select i1 %rests, i64 0, i64 %turned
  store i64 %counted, ptr %turns.at
  br i1 %rests, label %pause, label %jump
add:
  %sum.place = getelementptr i64, ptr %addresses, i64 %w1
  %sum.at = load ptr, ptr %sum.place
  %term.place = getelementptr i64, ptr %addresses, i64 %w2
  %term.at = load ptr, ptr %term.place
  %term = load i64, ptr %term.at
  %sum = add i64 %term, %w3
  store i64 %sum, ptr %sum.at
  br label %advance
swap:
  %one.place = getelementptr i64, ptr %addresses, i64 %w1
  %other.place = getelementptr i64, ptr %addresses, i64 %w2
  %one = load i64, ptr %one.place
  %other = load i64, ptr %other.place
  store i64 %other, ptr %one.place
  store i64 %one, ptr %other.place
  br label %advance
row_of:
  %whole.place = getelementptr i64, ptr %addresses, i64 %w2
  %whole = load i64, ptr %whole.place
  %index.place = getelementptr i64, ptr %addresses, i64 %w3
  %index.at = load ptr, ptr %index.place
  %index = load i64, ptr %index.at
  %distance = mul i64 %index, %w4
  %row_address = add i64 %whole, %distance
  %row.place = getelementptr i64, ptr %addresses, i64 %w1
  store i64 %row_address, ptr %row.place
  br label %advance
grow:
  %wanted.place = getelementptr i64, ptr %addresses, i64 %w2
  %wanted.at = load ptr, ptr %wanted.place
  %wanted_row = load i64, ptr %wanted.at
  %capacity.at = getelementptr i64, ptr %capacities, i64 %w1
  %capacity = load i64, ptr %capacity.at
  %is_full = icmp sge i64 %wanted_row, %capacity
  br i1 %is_full, label %pause, label %advance
"""


def _run_ir() -> str:
    """The function that binds the arrays of a call and walks the table."""
    return f"""
define i64 @entry(ptr %objects, ptr %frame, i64 %first) {{
entry:
  %addresses.at = getelementptr i64, ptr %frame, i64 0
  %addresses = load ptr, ptr %addresses.at
  %table.at = getelementptr i64, ptr %frame, i64 1
  %table = load ptr, ptr %table.at
  %binding.at = getelementptr i64, ptr %frame, i64 2
  %binding = load ptr, ptr %binding.at
  %board.at = getelementptr i64, ptr %frame, i64 3
  %board = load ptr, ptr %board.at
  %slot_count.at = getelementptr i64, ptr %frame, i64 4
  %slot_count = load i64, ptr %slot_count.at
  %capacities.at = getelementptr i64, ptr %frame, i64 5
  %capacities = load ptr, ptr %capacities.at
  %unbound = icmp eq ptr %objects, null
  br i1 %unbound, label %start, label %bind
bind:
  %checked = load i64, ptr %binding
  %count.at = getelementptr i64, ptr %binding, i64 1
  %count = load i64, ptr %count.at
  %slots = getelementptr i64, ptr %binding, i64 2
  %items = getelementptr i8, ptr %objects, i64 {layout.ITEMS}
  br label %each
each:
  %k = phi i64 [ 0, %bind ], [ %k_next, %bound ]
  %left = icmp ult i64 %k, %count
  br i1 %left, label %take, label %start
take:
  %item.at = getelementptr ptr, ptr %items, i64 %k
  %item = load ptr, ptr %item.at
  %flags.at = getelementptr i8, ptr %item, i64 {layout.FLAGS}
  %flags = load i32, ptr %flags.at
  %plain_bits = and i32 %flags, {layout.PLAIN}
  %plain = icmp eq i32 %plain_bits, {layout.PLAIN}
  %unchecked = icmp uge i64 %k, %checked
  %good = or i1 %plain, %unchecked
  br i1 %good, label %bound, label %not_plain
bound:
  %data.at = getelementptr i8, ptr %item, i64 {layout.DATA}
  %data = load i64, ptr %data.at
  %slot.at = getelementptr i64, ptr %slots, i64 %k
  %slot = load i64, ptr %slot.at
  %place = getelementptr i64, ptr %addresses, i64 %slot
  store i64 %data, ptr %place
  %k_next = add i64 %k, 1
  br label %each
not_plain:
  ret i64 {NOT_PLAIN}

start:
  br label %walk
walk:
  %step = phi i64 [ %first, %start ], [ %after, %advance ], [ %w1, %jump ]
  %row = getelementptr [{ROW_WORDS} x i64], ptr %table, i64 %step
  %kind = load i64, ptr %row
{_row_words(("w1", "w2", "w3", "w4", "w5", "w6"))}  switch i64 %kind, label %pause [
    i64 {END}, label %end
    i64 {KERNEL}, label %kernel
    i64 {GEMM}, label %product
    i64 {COPY}, label %copy
    i64 {SHARED}, label %shared
    i64 {JUMP}, label %jump
    i64 {UNLESS}, label %unless
    i64 {CASE}, label %case
    i64 {ENDED}, label %ended
    i64 {BACK}, label %back
    i64 {ADD}, label %add
    i64 {SWAP}, label %swap
    i64 {ROW}, label %row_of
    i64 {GROW}, label %grow
  ]
{_control_ir()}kernel:
  %function = inttoptr i64 %w1 to ptr
  %block = inttoptr i64 %w2 to ptr
  %own_code = call i64 %function(ptr %addresses, ptr %block, i64 %w3, i64 %w4)
  br label %ran
shared:
  %shared_function = inttoptr i64 %w1 to ptr
  %shared_block = inttoptr i64 %w2 to ptr
  %shared_code = call i64 @share(
    ptr %board, i64 %slot_count, ptr %addresses, ptr %shared_function, ptr %shared_block, i64 %w3, i64 %w4, i64 %w5,
    i64 %w6)
  br label %ran
ran:
  %code = phi i64 [ %own_code, %kernel ], [ %shared_code, %shared ]
  %fine = icmp eq i64 %code, 0
  br i1 %fine, label %advance, label %failed
product:
  %gemm_block = inttoptr i64 %w1 to ptr
  call void @gemm(ptr %gemm_block, ptr %addresses, ptr %board, i64 %slot_count)
  br label %advance
copy:
{_slot_address("w1")}{_slot_address("w2")}  %target = inttoptr i64 %w1.address to ptr
  %source = inttoptr i64 %w2.address to ptr
  %same = icmp eq i64 %w1.address, %w2.address
  br i1 %same, label %advance, label %move
move:
  call void @llvm.memcpy.p0.p0.i64(ptr %target, ptr %source, i64 %w3, i1 false)
  br label %advance
advance:
  %after = add i64 %step, 1
  br label %walk
failed:
  %status = load ptr, ptr %addresses
  %code.at = getelementptr i64, ptr %status, i64 {CODE_WORD}
  store i64 %code, ptr %code.at
  %negative = xor i64 %step, -1
  ret i64 %negative
pause:
  %answer = add i64 %step, 1
  ret i64 %answer
end:
  ret i64 0
}}
"""


def sequencer_ir() -> str:
    """The sequencer as LLVM IR."""
    return share_ir() + _gemm_ir() + _run_ir()


def commit_ir() -> str:
    """`entry(arrays, frame, row, run, holders, count, offset)`: run on from a row, if nobody else sees the arrays.

    Each of `count` arrays has to be what the holder at its place in a tuple has `offset` bytes behind its
    beginning, and to have `KNOWN_REFERENCES`; else nothing is done, and the answer is `SEEN`.
    """
    return f"""
define i64 @entry(ptr %arrays, ptr %frame, i64 %row, ptr %run, ptr %holders, i64 %count, i64 %offset) {{
entry:
  %items = getelementptr i8, ptr %arrays, i64 {layout.ITEMS}
  %owners = getelementptr i8, ptr %holders, i64 {layout.ITEMS}
  br label %each
each:
  %k = phi i64 [ 0, %entry ], [ %next, %take ]
  %left = icmp ult i64 %k, %count
  br i1 %left, label %take, label %go
take:
  %item.at = getelementptr ptr, ptr %items, i64 %k
  %item = load ptr, ptr %item.at
  %owner.at = getelementptr ptr, ptr %owners, i64 %k
  %owner = load ptr, ptr %owner.at
  %slot = getelementptr i8, ptr %owner, i64 %offset
  %current = load ptr, ptr %slot
  %same = icmp eq ptr %current, %item
  %found = load i32, ptr %item
  %alone = icmp eq i32 %found, {KNOWN_REFERENCES}
  %good = and i1 %same, %alone
  %next = add i64 %k, 1
  br i1 %good, label %each, label %seen
seen:
  ret i64 {SEEN}
go:
  %answer = call i64 %run(ptr null, ptr %frame, i64 %row)
  ret i64 %answer
}}
"""


class Sequencer:
    """The compiled sequencer and the ways to call it."""

    def __init__(self) -> None:
        """Compile it, or load it from the folder."""
        self.code = load_ir(sequencer_ir(), "sequencer")
        frame, row = ctypes.c_void_p, ctypes.c_uint64
        self.start = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.py_object, frame, row)(self.code.address)
        """`start(tuple of arrays, frame, 0)`: bind, then run; other Python threads run meanwhile."""
        self.start_holding = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.py_object, frame, row)(self.code.address)
        """The same while other Python threads wait: for runs that are shorter than handing over."""
        self.resume = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, frame, row)(self.code.address)
        """`resume(None, frame, row)`: run on from a row."""
        self._commit_code = load_ir(commit_ir(), "commit")
        words = (ctypes.c_uint64, ctypes.c_uint64)
        self._commit = ctypes.PYFUNCTYPE(
            ctypes.c_int64, ctypes.py_object, frame, row, ctypes.c_void_p, ctypes.py_object, *words
        )(self._commit_code.address)
        self.counts = _references_are_known()
        """Whether `commit` may be called."""
        self.resume_holding = ctypes.PYFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, frame, row)(self.code.address)
        """The same while other Python threads wait."""
        self.binds = layout.tuples_are_known() and layout.arrays_are_known()
        """Whether arrays may be handed over as a tuple; else their addresses are asked from Python."""

    def commit(self, arrays: tuple[Any, ...], holders: tuple[Any, ...], offset: int, frame: int, row: int) -> int:
        """Run on from a row while other Python threads wait, if each array is its holder's and nobody else sees it.

        Otherwise nothing is done, and the answer is `SEEN`.
        """
        return int(self._commit(arrays, frame, row, self.code.address, holders, len(arrays), offset))


@lru_cache(maxsize=1)
def sequencer() -> Sequencer:
    """This process's sequencer."""
    return Sequencer()


def _references_are_known() -> bool:
    """Whether the number of an object's references stands where `commit` reads it, and other threads wait meanwhile."""
    if not getattr(sys, "_is_gil_enabled", lambda: True)():
        return False
    array = np.zeros(3)
    held = (array, array)
    count = ctypes.c_uint32.from_address(id(array))
    first = count.value
    more = [array] * 5
    return (first, count.value, len(held), len(more)) == (3, 8, 2, 5)
