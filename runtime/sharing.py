"""Native code that shares the rounds of a kernel among threads: a board, those who wait at it, and who fills it.

A board is words in memory that never moves. The caller of a kernel writes down the
job, opens it, wakes the sleepers and takes part itself. Each thread has a share of the
parts, always the same one, so that it finds in its own cache what it wrote there before;
when it has done these it takes those that others are late with. So nobody waits for a
thread that has not woken up. The job is closed when the parts are gone, and done
when nobody is active any more. A board is for one job at a time: who finds it in use
runs the kernel alone.

Sleeping and waking go through Python's own locks, which need neither the interpreter
nor its state; before a thread sleeps it looks for the next job for some microseconds.
Of several parts that fail, the first one counts, as if they had run in order: only parts
behind one that failed are left out, and each thread has status words of its own. Knows
nothing of programs.
"""

from __future__ import annotations

from typing import Final

from graphjit.runtime.jobboard import (
    ACQUIRE,
    ACTIVE,
    ADDRESSES,
    BLOCK,
    BUSY,
    CODE,
    FAILED,
    FAILING,
    GET_ALLOWED,
    GET_PROCESSOR,
    HIGH,
    KERNEL,
    LINE,
    LOCK,
    LOW,
    NAP,
    NAP_LOCK,
    NEXT,
    NUMBER,
    OPEN,
    OWNED,
    PART,
    PARTS,
    PROCESSOR,
    RELEASE,
    SET_ALLOWED,
    SHARE,
    SHARES,
    SLOTS,
    STATUS,
    STOP,
    THREADS,
    WORKERS,
)
from graphjit.runtime.kernel_language import STATUS_WORDS
from graphjit.runtime.processor import host

_LOOKS: Final = 2000
"""How often a thread that has nothing to do looks for the next job before it sleeps: 50 to 100 us.

Waking it takes the caller 5 us and the thread 30 to 60, which is why calls that follow each other find it awake.
"""
_NAP_MICROSECONDS: Final = 50
_LEFT_ALONE: Final = 3
"""The last eighth (2 ** 3) of a share is its owner's: others who took it would help by less than what it costs that
the next kernel finds its data in the cache of another processor. Measured: 24 us instead of 28 for 2 MiB."""
_MASK_BYTES: Final = 128
"""Of a set of processors, as the system's functions take it: 1,024 of them."""


def _relax() -> tuple[str, str]:
    """IR that tells the processor that a loop waits for another thread, and its declaration."""
    triple = host().triple
    if triple.startswith(("x86_64", "i686")):
        return "  call void @llvm.x86.sse2.pause()\n", "declare void @llvm.x86.sse2.pause()\n"
    if triple.startswith(("aarch64", "arm64")):
        return "  call void @llvm.aarch64.hint(i32 1)\n", "declare void @llvm.aarch64.hint(i32)\n"
    return "", ""


def _word(name: str, place: int) -> str:
    return f"  %{name} = getelementptr i64, ptr %board, i64 {place}\n"


def _loaded(name: str, place: int) -> str:
    return _word(f"{name}.at", place) + f"  %{name} = load i64, ptr %{name}.at\n"


def _take_part_ir() -> str:
    """Take parts of the open job until none is left, with addresses and status words of one's own.

    The parts of one's own share come first. Then those that others have left: of their shares, one after the other.
    """
    job = ("kernel", KERNEL), ("addresses", ADDRESSES), ("slots", SLOTS), ("block", BLOCK)
    bounds = ("low", LOW), ("high", HIGH), ("part", PART), ("parts", PARTS), ("shares", SHARES), ("each", SHARE)
    loads = "".join(_loaded(name, place) for name, place in (*job, *bounds))
    return f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)
declare i64 @llvm.umin.i64(i64, i64)

define internal void @take_part(ptr %board, i64 %me) noinline {{
entry:
{loads}  %function = inttoptr i64 %kernel to ptr
  %theirs = inttoptr i64 %addresses to ptr
  %words = inttoptr i64 %block to ptr
  %mine = alloca i64, i64 %slots, align 8
  %status = alloca [{STATUS_WORDS} x i64], align 8
  %bytes = mul i64 %slots, 8
  call void @llvm.memcpy.p0.p0.i64(ptr %mine, ptr %theirs, i64 %bytes, i1 false)
  call void @llvm.memset.p0.i64(ptr %status, i8 0, i64 {8 * STATUS_WORDS}, i1 false)
  store ptr %status, ptr %mine
  %slack = lshr i64 %each, {_LEFT_ALONE}
{_word("failed", FAILED)}  br label %choose
choose:
  %turn = phi i64 [ 0, %entry ], [ %turned, %next ]
  %some = icmp ult i64 %turn, %shares
  br i1 %some, label %share, label %end
share:
  %place = add i64 %me, %turn
  %whose = urem i64 %place, %shares
  %before = mul i64 %whose, %each
  %after = add i64 %before, %each
  %stop = call i64 @llvm.umin.i64(i64 %after, i64 %parts)
  %line = mul i64 %whose, {LINE}
  %counter = add i64 %line, {NEXT}
  %next.at = getelementptr i64, ptr %board, i64 %counter
  %owned.at = getelementptr i64, ptr %next.at, i64 {OWNED}
  %own = icmp eq i64 %turn, 0
  br i1 %own, label %be_owner, label %ask_owner
be_owner:
  store atomic i64 1, ptr %owned.at seq_cst, align 8
  br label %look
ask_owner:
  %owned = load atomic i64, ptr %owned.at seq_cst, align 8
  %is_owned = icmp ne i64 %owned, 0
  %lag.owned = select i1 %is_owned, i64 %slack, i64 0
  br label %look
look:
  %lag = phi i64 [ 0, %be_owner ], [ %lag.owned, %ask_owner ], [ %lag, %run ]
  %coming = load atomic i64, ptr %next.at seq_cst, align 8
  %reach = add i64 %coming, %lag
  %left = icmp ult i64 %reach, %stop
  br i1 %left, label %take, label %next
take:
  %number = atomicrmw add ptr %next.at, i64 1 seq_cst
  %taken = icmp ult i64 %number, %stop
  br i1 %taken, label %check, label %next
check:
  %failed.now = load atomic i64, ptr %failed seq_cst, align 8
  %counts = icmp ult i64 %number, %failed.now
  br i1 %counts, label %run, label %next
run:
  %distance = mul i64 %number, %part
  %first = add i64 %low, %distance
  %whole = add i64 %first, %part
  %last = call i64 @llvm.umin.i64(i64 %whole, i64 %high)
  %code = call i64 %function(ptr %mine, ptr %words, i64 %first, i64 %last)
  %fine = icmp eq i64 %code, 0
  br i1 %fine, label %look, label %enter_first
enter_first:
{_word("failing", FAILING)}  br label %enter
enter:
  %locked = atomicrmw xchg ptr %failing, i64 1 seq_cst
  %free = icmp eq i64 %locked, 0
  br i1 %free, label %compare, label %enter
compare:
  %failed.before = load atomic i64, ptr %failed seq_cst, align 8
  %earlier = icmp ult i64 %number, %failed.before
  br i1 %earlier, label %keep, label %leave
keep:
  store atomic i64 %number, ptr %failed seq_cst, align 8
{_word("kept", CODE)}  store i64 %code, ptr %kept
{_word("details", STATUS)}  call void @llvm.memcpy.p0.p0.i64(
    ptr %details, ptr %status, i64 {8 * STATUS_WORDS}, i1 false)
  br label %leave
leave:
  store atomic i64 0, ptr %failing seq_cst, align 8
  br label %next
next:
  %turned = add i64 %turn, 1
  br label %choose
end:
  ret void
}}
"""


def _move_away_ir() -> str:
    """Move the thread to another processor if it is on the caller's; where it may run stays as it was.

    A thread that is woken may be put where the caller runs, if somebody else is on the other processors at that
    moment. There it waits for the caller, and is left for milliseconds.
    """
    return f"""
define internal void @move_away(ptr %board) noinline {{
entry:
{_loaded("get", GET_PROCESSOR)}  %known = icmp ne i64 %get, 0
  br i1 %known, label %ask, label %end
ask:
  %call = inttoptr i64 %get to ptr
  %here = call i32 %call()
  %here.long = sext i32 %here to i64
{_loaded("theirs", PROCESSOR)}  %same = icmp eq i64 %here.long, %theirs
  %few = icmp ult i64 %here.long, {8 * _MASK_BYTES}
  %wanted = and i1 %same, %few
  br i1 %wanted, label %look, label %end
look:
{_loaded("get_allowed", GET_ALLOWED)}{_loaded("set_allowed", SET_ALLOWED)}  %getter = inttoptr i64 %get_allowed to ptr
  %setter = inttoptr i64 %set_allowed to ptr
  %allowed = alloca [{_MASK_BYTES} x i8], align 8
  %others = alloca [{_MASK_BYTES} x i8], align 8
  call void @llvm.memset.p0.i64(ptr %allowed, i8 0, i64 {_MASK_BYTES}, i1 false)
  %got = call i32 %getter(i32 0, i64 {_MASK_BYTES}, ptr %allowed)
  %fine = icmp eq i32 %got, 0
  br i1 %fine, label %move, label %end
move:
  call void @llvm.memcpy.p0.p0.i64(ptr %others, ptr %allowed, i64 {_MASK_BYTES}, i1 false)
  %byte = lshr i32 %here, 3
  %bit = and i32 %here, 7
  %place = getelementptr i8, ptr %others, i32 %byte
  %bits = load i8, ptr %place
  %bit.short = trunc i32 %bit to i8
  %one = shl i8 1, %bit.short
  %rest = xor i8 %one, -1
  %left = and i8 %bits, %rest
  store i8 %left, ptr %place
  %moved = call i32 %setter(i32 0, i64 {_MASK_BYTES}, ptr %others)
  %back = call i32 %setter(i32 0, i64 {_MASK_BYTES}, ptr %allowed)
  br label %end
end:
  ret void
}}
"""


def share_ir() -> str:
    """`@share`, which runs a kernel with whoever is there, and `@hold` and `@let_go`, which take the board.

    `@share(board, slots, addresses, kernel, block, lo, hi, part, wakes)` gives the kernel's code. A null board means:
    alone; so does a job that wakes nobody while the first thread sleeps.
    """
    relax, declared = _relax()
    return f"""{declared}{_take_part_ir()}
define internal i1 @hold(ptr %board) {{
entry:
{_word("busy", BUSY)}  %was = atomicrmw xchg ptr %busy, i64 1 seq_cst
  %free = icmp eq i64 %was, 0
  ret i1 %free
}}

define internal void @let_go(ptr %board) {{
entry:
{_word("busy", BUSY)}  store atomic i64 0, ptr %busy seq_cst, align 8
  ret void
}}

define internal void @wake(ptr %board, i64 %threads) {{
entry:
{_loaded("release", RELEASE)}  %call = inttoptr i64 %release to ptr
  br label %each
each:
  %count = phi i64 [ 1, %entry ], [ %more, %again ]
  %left = icmp ult i64 %count, %threads
  br i1 %left, label %look, label %end
look:
  %worker = sub i64 %count, 1
  %words = mul i64 %worker, {LINE}
  %place = add i64 %words, {WORKERS}
  %asleep = getelementptr i64, ptr %board, i64 %place
  %may_sleep = load atomic i64, ptr %asleep seq_cst, align 8
  %silent = icmp ne i64 %may_sleep, 0
  br i1 %silent, label %claim, label %again
claim:
  %was = atomicrmw xchg ptr %asleep, i64 0 seq_cst
  %sleeps = icmp ne i64 %was, 0
  br i1 %sleeps, label %release_it, label %again
release_it:
  %lock.at = getelementptr i64, ptr %asleep, i64 {LOCK}
  %lock = load ptr, ptr %lock.at
  call void %call(ptr %lock)
  br label %again
again:
  %more = add i64 %count, 1
  br label %each
end:
  ret void
}}

define internal void @wait(ptr %board) {{
entry:
{_word("active", ACTIVE)}{_loaded("nap", NAP)}{_loaded("nap_lock", NAP_LOCK)}  %call = inttoptr i64 %nap to ptr
  %lock = inttoptr i64 %nap_lock to ptr
  br label %look
look:
  %looks = phi i64 [ 0, %entry ], [ %more, %relax ], [ %more, %sleep ]
  %still = load atomic i64, ptr %active seq_cst, align 8
  %some = icmp ne i64 %still, 0
  br i1 %some, label %on, label %end
on:
  %more = add i64 %looks, 1
  %long = icmp ugt i64 %looks, {_LOOKS}
  br i1 %long, label %sleep, label %relax
relax:
{relax}  br label %look
sleep:
  %slept = call i32 %call(ptr %lock, i64 {_NAP_MICROSECONDS}, i32 0)
  br label %look
end:
  ret void
}}

define internal i64 @share(
  ptr %board, i64 %slots, ptr %addresses, ptr %function, ptr %block, i64 %low, i64 %high, i64 %part, i64 %wakes
) {{
entry:
  %nobody = icmp eq ptr %board, null
  br i1 %nobody, label %alone, label %ask
ask:
{_loaded("threads", THREADS)}  %several = icmp ugt i64 %threads, 1
  br i1 %several, label %choose, label %alone
choose:
  %must_be_awake = icmp eq i64 %wakes, 0
{_word("first.asleep", WORKERS)}  %sleeping = load atomic i64, ptr %first.asleep seq_cst, align 8
  %sleeps = icmp ne i64 %sleeping, 0
  %too_small = and i1 %must_be_awake, %sleeps
  br i1 %too_small, label %alone, label %try
try:
  %free = call i1 @hold(ptr %board)
  br i1 %free, label %fill, label %alone
alone:
  %own_code = call i64 %function(ptr %addresses, ptr %block, i64 %low, i64 %high)
  ret i64 %own_code
fill:
{_word("kernel.at", KERNEL)}  store ptr %function, ptr %kernel.at
{_word("addresses.at", ADDRESSES)}  store ptr %addresses, ptr %addresses.at
{_word("slots.at", SLOTS)}  store i64 %slots, ptr %slots.at
{_word("block.at", BLOCK)}  store ptr %block, ptr %block.at
{_word("low.at", LOW)}  store i64 %low, ptr %low.at
{_word("high.at", HIGH)}  store i64 %high, ptr %high.at
{_word("part.at", PART)}  store i64 %part, ptr %part.at
  %rounds = sub i64 %high, %low
  %up = add i64 %rounds, %part
  %up_less = sub i64 %up, 1
  %parts = udiv i64 %up_less, %part
{_word("parts.at", PARTS)}  store i64 %parts, ptr %parts.at
{_word("shares.at", SHARES)}  store i64 %threads, ptr %shares.at
  %parts_up = add i64 %parts, %threads
  %parts_less = sub i64 %parts_up, 1
  %share = udiv i64 %parts_less, %threads
{_word("share.at", SHARE)}  store i64 %share, ptr %share.at
{_word("failed.at", FAILED)}  store i64 -1, ptr %failed.at
  br label %begin_share
begin_share:
  %which = phi i64 [ 0, %fill ], [ %following, %begin_share ]
  %start = mul i64 %which, %share
  %line = mul i64 %which, {LINE}
  %place = add i64 %line, {NEXT}
  %next.at = getelementptr i64, ptr %board, i64 %place
  store atomic i64 %start, ptr %next.at monotonic, align 8
  %owned.at = getelementptr i64, ptr %next.at, i64 {OWNED}
  store atomic i64 0, ptr %owned.at monotonic, align 8
  %following = add i64 %which, 1
  %again = icmp ult i64 %following, %threads
  br i1 %again, label %begin_share, label %open_it
open_it:
{_loaded("get", GET_PROCESSOR)}  %places = icmp ne i64 %get, 0
  br i1 %places, label %place_it, label %number_it
place_it:
  %get.call = inttoptr i64 %get to ptr
  %here = call i32 %get.call()
  %here.long = sext i32 %here to i64
{_word("processor", PROCESSOR)}  store i64 %here.long, ptr %processor
  br label %number_it
number_it:
{_loaded("last_number", NUMBER)}  %number = add i64 %last_number, 1
  store i64 %number, ptr %last_number.at
{_word("open.at", OPEN)}  store atomic i64 %number, ptr %open.at seq_cst, align 8
  %woken = select i1 %must_be_awake, i64 0, i64 %threads
  call void @wake(ptr %board, i64 %woken)
  call void @take_part(ptr %board, i64 0)
  store atomic i64 0, ptr %open.at seq_cst, align 8
  call void @wait(ptr %board)
  %failed = load i64, ptr %failed.at
  %fine = icmp eq i64 %failed, -1
  br i1 %fine, label %good, label %bad
bad:
{_loaded("code", CODE)}{_word("details", STATUS)}  %status = load ptr, ptr %addresses
  call void @llvm.memcpy.p0.p0.i64(ptr %status, ptr %details, i64 {8 * STATUS_WORDS}, i1 false)
  br label %good
good:
  %answer = phi i64 [ 0, %number_it ], [ %code, %bad ]
  call void @let_go(ptr %board)
  ret i64 %answer
}}
"""


def worker_ir() -> str:
    """`entry(board, number, _, _)`: take part in jobs, look for more, sleep, until the board says stop."""
    relax, declared = _relax()
    return f"""{declared}{_take_part_ir()}{_move_away_ir()}
define i64 @entry(ptr %board, i64 %worker) {{
entry:
{_word("threads.at", THREADS)}{_word("stop.at", STOP)}{_word("open.at", OPEN)}{_word("active", ACTIVE)}
{_loaded("acquire", ACQUIRE)}  %call = inttoptr i64 %acquire to ptr
  %words = mul i64 %worker, {LINE}
  %place = add i64 %words, {WORKERS}
  %asleep = getelementptr i64, ptr %board, i64 %place
  %lock.at = getelementptr i64, ptr %asleep, i64 {LOCK}
  %lock = load ptr, ptr %lock.at
  br label %begin
begin:
  %seen = phi i64 [ 0, %entry ], [ %seen.look, %slept ]
  %entered = atomicrmw add ptr %active, i64 1 seq_cst
  %number = load atomic i64, ptr %open.at seq_cst, align 8
  %is_open = icmp ne i64 %number, 0
  %is_new = icmp ne i64 %number, %seen
  %threads = load atomic i64, ptr %threads.at seq_cst, align 8
  %others = sub i64 %threads, 1
  %wanted = icmp ult i64 %worker, %others
  %open_new = and i1 %is_open, %is_new
  %mine = and i1 %open_new, %wanted
  br i1 %mine, label %work, label %done
work:
  call void @move_away(ptr %board)
  %me = add i64 %worker, 1
  call void @take_part(ptr %board, i64 %me)
  br label %done
done:
  %left = atomicrmw sub ptr %active, i64 1 seq_cst
  br label %look
look:
  %seen.look = phi i64 [ %number, %done ], [ %seen.look, %on ]
  %looks = phi i64 [ 0, %done ], [ %more, %on ]
  %stop = load atomic i64, ptr %stop.at seq_cst, align 8
  %stops = icmp ne i64 %stop, 0
  br i1 %stops, label %end, label %see
see:
  %now = load atomic i64, ptr %open.at seq_cst, align 8
  %now_open = icmp ne i64 %now, 0
  %now_new = icmp ne i64 %now, %seen.look
  %job = and i1 %now_open, %now_new
  br i1 %job, label %slept, label %count
count:
  %more = add i64 %looks, 1
  %tired = icmp ugt i64 %more, {_LOOKS}
  br i1 %tired, label %lie_down, label %on
on:
{relax}  br label %look
lie_down:
  store atomic i64 1, ptr %asleep seq_cst, align 8
  %late = load atomic i64, ptr %open.at seq_cst, align 8
  %late_open = icmp ne i64 %late, 0
  %late_new = icmp ne i64 %late, %seen.look
  %late_job = and i1 %late_open, %late_new
  %late_stop = load atomic i64, ptr %stop.at seq_cst, align 8
  %late_stops = icmp ne i64 %late_stop, 0
  %up = or i1 %late_job, %late_stops
  br i1 %up, label %get_up, label %sleep
get_up:
  %was = atomicrmw xchg ptr %asleep, i64 0 seq_cst
  %unnoticed = icmp ne i64 %was, 0
  br i1 %unnoticed, label %slept, label %sleep
sleep:
  %slept_for = call i32 %call(ptr %lock, i32 1)
  br label %slept
slept:
  br label %begin
end:
  ret i64 0
}}
"""
