"""Runs a program: loads its kernels, lays its steps out as a table, and walks it for every call.

All that can be known before a call is computed once. A call takes a frame (the
slots' addresses and an arena) from a free list, so that calls may nest and run in
many threads at once, and no lock is held while they do. Python is entered between
native stretches only for NumPy steps, and about every 10 ms so that Ctrl-C
answers. Knows nothing of ops or graphs: an error is handed, with the failing
step's tag, to `explain`.
"""

from __future__ import annotations

import ctypes
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from graphjit.runtime import objectlayout as layout, sequencer as walk
from graphjit.runtime.buffers import (
    Arena,
    address_of,
    allocate_state,
    result_maker,
    shows_all_owners,
)
from graphjit.runtime.errors import GraphjitError, KernelError
from graphjit.runtime.fields import dataclass, replace
from graphjit.runtime.gemm import SHARED_PRODUCT, blas_words, own_product, product_cost, product_pieces
from graphjit.runtime.jobboard import ADDRESS as BOARD
from graphjit.runtime.kernel_language import STATUS_WORDS
from graphjit.runtime.kernelcache import Kernel, load_kernel
from graphjit.runtime.program import (
    JOINED_COST,
    PIECE_COST,
    SHARED_COST,
    Action,
    ControlStep,
    CopyStep,
    GemmStep,
    KernelStep,
    NumpyStep,
    Program,
    Slot,
    Step,
)
from graphjit.runtime.threads import number_of_threads, start_threads

Array: TypeAlias = npt.NDArray[Any]
Explain: TypeAlias = Callable[[object, int, tuple[int, ...]], Exception]

HOLDING_COST: Final = 2**16
"""A program of less than this many bytes keeps the interpreter's lock: handing over would take longer."""


_PART_COST: Final = 2**19
"""What a thread takes at a time: small enough for the threads to end together, large beside what taking costs."""
_PRODUCT_PART_COST: Final = 2**17
"""The same for products by our own kernels, whose parts share what is in the caches."""
_FEWEST_PARTS: Final = 32
_MOST_PARTS: Final = 256
_FEWEST_ROWS: Final = 64
"""What a growing slot begins with."""
_CONTROL_COST: Final = 64
"""What a control step costs, in bytes that could be read and written meanwhile."""
_WHOLE_ROUNDS: Final = 64
"""Parts of many rounds are multiples of this, so that two threads do not write into one line of the cache."""


_NO_STEP: Final = -1
"""Whose rows stop the walk for signals only."""

_ROWS: Final = {
    Action.JUMP: walk.JUMP,
    Action.UNLESS: walk.UNLESS,
    Action.CASE: walk.CASE,
    Action.ENDED: walk.ENDED,
    Action.BACK: walk.BACK,
    Action.ADD: walk.ADD,
    Action.SWAP: walk.SWAP,
    Action.ROW: walk.ROW,
    Action.GROW: walk.GROW,
}
_JUMPS: Final = (Action.JUMP, Action.UNLESS, Action.CASE, Action.ENDED, Action.BACK)


def _unexplained(tag: object, code: int, detail: tuple[int, ...]) -> Exception:
    """The error of a kernel when nobody knows better."""
    return KernelError(f"step {tag!r} failed with code {code}, detail {detail}")


@dataclass(frozen=True)
class StepTime:
    """How long one step took, in seconds."""

    label: str
    tag: object
    seconds: float


class Frame:
    """What one run at a time needs: the slots' addresses, status words, an arena, views for NumPy steps."""

    __slots__ = ("_keep", "addresses", "arena", "buffers", "capacities", "pointer", "status", "values")

    def __init__(self, plan: _Plan) -> None:
        self.arena = Arena(plan.program.arena_bytes)
        self.addresses = np.zeros(plan.slot_count, np.uint64)
        self.status = np.zeros(STATUS_WORDS, np.int64)
        self.addresses[0] = address_of(self.status)
        self.values: list[Array | None] = [None] * plan.slot_count
        for number, slot in plan.program.slots.items():
            if slot.kind == "temporary" and not slot.dynamic and not slot.is_row:
                self.addresses[number] = self.arena.address + slot.offset
                if number in plan.viewed:
                    self.values[number] = self.arena.array(slot.offset, slot.shape, slot.dtype)
        for number, constant in plan.constants.items():
            self.addresses[number] = address_of(constant)
            self.values[number] = constant
        self.capacities = np.zeros(plan.slot_count, np.int64)
        self.buffers: dict[int, Array] = {}
        """The memory of growing slots; it is kept from run to run."""
        words = (self.addresses, plan.table, plan.binding)
        self._keep = np.array([*map(address_of, words), BOARD, plan.slot_count, address_of(self.capacities)], np.uint64)
        self.pointer = address_of(self._keep)

    def place(self, slot: int) -> int:
        """Where the address of a slot's elements stands."""
        return address_of(self.addresses) + 8 * slot

    def array(self, number: int, slot: Slot, moves: bool) -> Array | None:
        """What lies in a slot now."""
        if slot.count:
            rows = self.view(slot.count, (), np.dtype(np.int64))
            return (
                self.buffers[number][: int(rows)] if number in self.buffers else np.empty((0, *slot.shape), slot.dtype)
            )
        return self.view(number, slot.shape, slot.dtype) if moves else self.values[number]

    def view(self, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
        """The memory at a slot's address as an array."""
        size = math.prod(shape) * dtype.itemsize
        if not size:
            return np.empty(shape, dtype)
        memory = (ctypes.c_char * size).from_address(int(self.addresses[number]))
        return np.ndarray(shape, dtype, memoryview(memory))

    def grow(self, number: int, slot: Slot, index: int) -> None:
        """Let a growing slot have memory for row `index`, and as much again."""
        old = self.buffers.get(number)
        new = np.empty((max(_FEWEST_ROWS, 2 * (index + 1)), *slot.shape), slot.dtype)
        if old is not None:
            new[: len(old)] = old
        self.buffers[number] = new
        self.addresses[number] = address_of(new)
        self.capacities[number] = len(new)


class _Plan:
    """A program made ready: table, binding, constants, kernels."""

    def __init__(self, program: Program) -> None:
        self.program = _with_own_outputs(program)
        self.slot_count = 1 + max(self.program.slots, default=0)
        self.kernels: list[Kernel] = []
        self._product_kernels: list[Kernel] = []
        self.cost = 0
        """The bytes that a run without pauses reads and writes; a pause counts as a whole piece."""
        self.constants = {n: _own_constant(array) for n, array in self.program.constants.items()}
        self._blocks: list[Array] = []
        self.viewed = {
            number
            for step in self.program.steps
            if isinstance(step, NumpyStep)
            for number in (*step.inputs, *step.outputs)
        }
        self.moving = {
            number
            for step in self.program.steps
            if isinstance(step, ControlStep) and step.action in (Action.SWAP, Action.ROW)
            for number in step.words[: 1 if step.action is Action.ROW else 2]
        }
        """The slots whose addresses change while the program runs."""
        self.rows: list[tuple[int, ...]] = []
        self.row_steps: list[int] = []
        """The step that each row belongs to."""
        self.tail_row: int | None = None
        """The pause before the steps that write updates where states lie."""
        self._lay_out()
        self.table = _words(self.rows)
        self.paused_steps = self._paused_steps()
        """By row, the steps that need Python; at other rows the walk stops for signals only."""
        order = (*self.program.inputs, *self.fixed_outputs())
        self.filled = order
        self.emptied = tuple(
            n for n, slot in self.program.slots.items() if (slot.dynamic and slot.kind != "constant") or n in order
        )
        self.binding = _words([(len(self.program.inputs), len(order), *order)])

    def _paused_steps(self) -> dict[int, NumpyStep | ControlStep]:
        found: dict[int, NumpyStep | ControlStep] = {}
        for row, number in enumerate(self.row_steps):
            step = self.program.steps[number] if 0 <= number < len(self.program.steps) else None
            if isinstance(step, NumpyStep) or (isinstance(step, ControlStep) and step.action is Action.GROW):
                found[row] = step
        return found

    def fixed_outputs(self) -> list[int]:
        """The slots of the outputs whose shapes are known."""
        return [n for n in self.program.outputs if not self.program.slots[n].dynamic]

    def _lay_out(self) -> None:
        spent = 0
        first_rows: list[int] = []
        costs: list[int] = []
        for number, step in enumerate(self.program.steps):
            first_rows.append(len(self.rows))
            costs.append(0)
            if self.program.updates and number == self.program.tail:
                self.tail_row = len(self.rows)
                self._add((walk.PAUSE,), _NO_STEP)
            for row, cost in self._rows_of(step):
                self.cost += PIECE_COST if row[0] in (walk.PAUSE, walk.BACK) else cost
                costs[-1] += cost
                if spent and spent + cost > PIECE_COST and self.tail_row is None:
                    self._add((walk.PAUSE,), _NO_STEP)
                    spent = 0
                self._add(row, number)
                spent = 0 if row[0] == walk.PAUSE else spent + cost
        first_rows.append(len(self.rows))
        if any(self.program.slots[number].dynamic for number in self.program.outputs):
            self._add((walk.PAUSE,), len(self.program.steps))
        self._add((walk.END,), len(self.program.steps))
        self._aim(first_rows, costs)

    def _aim(self, first_rows: Sequence[int], costs: Sequence[int]) -> None:
        """Let jumps know the rows they go to, and loops how many rounds they may go without a pause."""
        for number, step in enumerate(self.program.steps):
            if not isinstance(step, ControlStep) or step.action not in _JUMPS:
                continue
            place = first_rows[number]
            row = [*self.rows[place]]
            row[1] = first_rows[step.target]
            if step.action is Action.BACK:
                row[3] = max(1, PIECE_COST // max(1, sum(costs[step.target : number + 1])))
            self.rows[place] = tuple(row)

    def _add(self, row: tuple[int, ...], step: int) -> None:
        self.rows.append(row + (0,) * (walk.ROW_WORDS - len(row)))
        self.row_steps.append(step)

    def _rows_of(self, step: Step) -> list[tuple[tuple[int, ...], int]]:
        """The rows of a step, each with its cost."""
        if isinstance(step, KernelStep):
            kernel = load_kernel(step.kernel_text, step.name)
            self.kernels.append(kernel)
            return self._kernel_rows(kernel, step.block, step.extent, step.cost or HOLDING_COST)
        if isinstance(step, GemmStep):
            return self._product_rows(step)
        if isinstance(step, CopyStep):
            return [((walk.COPY, step.target, step.source, step.nbytes), 2 * step.nbytes)]
        if isinstance(step, ControlStep):
            words = (0, *step.words) if step.action in _JUMPS else step.words
            return [((_ROWS[step.action], *words), _CONTROL_COST)]
        return [((walk.PAUSE,), 0)]

    def _product_rows(self, step: GemmStep) -> list[tuple[tuple[int, ...], int]]:
        own = own_product(step)
        if own is None:
            return [
                ((walk.GEMM, self._block(blas_words(piece))), product_cost(piece)) for piece in product_pieces(step)
            ]
        self._product_kernels.append(own.kernel)
        cost = product_cost(step)
        if cost < SHARED_PRODUCT or own.extent < 2:
            return self._kernel_rows(own.kernel, own.words, own.extent, cost)
        part = -(-own.extent // min(own.extent, cost // _PRODUCT_PART_COST, _MOST_PARTS))
        return [((walk.SHARED, own.kernel.address, self._block(own.words), 0, own.extent, part, 1), cost)]

    def _kernel_rows(
        self, kernel: Kernel, words: Sequence[int], extent: int, cost: int
    ) -> list[tuple[tuple[int, ...], int]]:
        block = self._block(words)
        pieces = max(1, min(extent, math.ceil(cost / PIECE_COST)))
        bounds = [extent * piece // pieces for piece in range(pieces + 1)]
        return [
            (_kernel_row(kernel.address, block, low, high, cost // pieces), cost // pieces)
            for low, high in pairwise(bounds)
        ]

    def _block(self, words: Sequence[int]) -> int:
        block = _words([tuple(words)])
        self._blocks.append(block)
        return address_of(block)


def _kernel_row(address: int, block: int, low: int, high: int, cost: int) -> tuple[int, ...]:
    """A piece of a kernel, for many threads where it takes long enough."""
    rounds = high - low
    if cost < JOINED_COST or rounds < 2:
        return (walk.KERNEL, address, block, low, high)
    part = -(-rounds // min(rounds, max(_FEWEST_PARTS, cost // _PART_COST), _MOST_PARTS))
    if part > 4 * _WHOLE_ROUNDS:
        part = -(-part // _WHOLE_ROUNDS) * _WHOLE_ROUNDS
    return (walk.SHARED, address, block, low, high, part, int(cost >= SHARED_COST))


def _words(rows: Sequence[tuple[int, ...]]) -> Array:
    """Rows of whole numbers, negative ones in two's complement, as uint64 words."""
    return np.array([[word & (2**64 - 1) for word in row] for row in rows], np.uint64)


def _own_constant(array: Array) -> Array:
    """A constant that nobody else writes to, as kernels can read it."""
    if not array.flags.writeable and array.flags.c_contiguous and array.flags.aligned:
        return array
    own = np.array(array, order="C")
    own.flags.writeable = False
    return own


def _with_own_outputs(program: Program) -> Program:
    """The program with a slot for each output: what is passed through or listed twice is copied."""
    slots, steps, outputs = dict(program.slots), list(program.steps), []
    for number in program.outputs:
        slot = slots[number]
        if slot.dynamic or (slot.kind == "output" and number not in outputs):
            outputs.append(number)
            continue
        fresh = 1 + max(slots)
        slots[fresh] = replace(slot, kind="output", offset=0)
        steps.append(CopyStep(number, fresh, slot.nbytes, "copy to output"))
        outputs.append(fresh)
    return replace(program, slots=slots, steps=tuple(steps), outputs=tuple(outputs))


class Executable:
    """A program, ready to run; safe to call from many threads at once."""

    def __init__(self, program: Program, explain: Explain = _unexplained) -> None:
        """Load or compile the kernels; `explain(tag, code, detail)` makes the exception of a failed one."""
        self._plan = _Plan(program)
        self._explain = explain
        self._sequencer = walk.sequencer()
        self._frames: deque[Frame] = deque([Frame(self._plan)])
        short = self._plan.cost < HOLDING_COST
        self.holds_lock = short
        """Whether a run is so short that other Python threads wait meanwhile."""
        self._start = self._sequencer.start_holding if short else self._sequencer.start
        self._resume = self._sequencer.resume_holding if short else self._sequencer.resume
        slots = self._plan.program.slots
        self._results = [result_maker(slots[n].shape, slots[n].dtype) for n in self._plan.fixed_outputs()]
        self._binds = self._sequencer.binds
        self._updated = self._updated_positions()
        self._states = {place: source for source, place, _slot in self._updated}
        self._tail = None if self._plan.tail_row is None else self._plan.tail_row + 1
        """How the walk answers at the pause before the tail."""
        self._offset = 0
        """Where holders have their arrays, once one was seen."""
        self._input_count = len(program.inputs)
        self.shares = any(row[0] == walk.GEMM or (row[0] == walk.SHARED and row[6]) for row in self._plan.rows)
        """Whether `start_threads` must be called before a run."""
        number_of_threads()  # so that matrix products know the setting

    @property
    def program(self) -> Program:
        """The program, in which every output has a slot of its own."""
        return self._plan.program

    @property
    def kernels(self) -> tuple[Kernel, ...]:
        """One kernel for each kernel step, in order."""
        return tuple(self._plan.kernels)

    @property
    def kernels_compiled(self) -> int:
        """How many different kernels had to be compiled in this process."""
        return sum(kernel.origin == "compiled" for kernel in set(self._plan.kernels))

    @property
    def kernels_loaded(self) -> int:
        """How many different kernels came from the folder."""
        return sum(kernel.origin == "loaded" for kernel in set(self._plan.kernels))

    @property
    def compile_ms(self) -> float:
        """What compiling took, in milliseconds; 0 where all kernels were there."""
        return sum(kernel.compile_ms for kernel in set(self._plan.kernels))

    @property
    def numpy_steps(self) -> int:
        """How many steps return to Python."""
        return sum(isinstance(step, NumpyStep) for step in self._plan.program.steps)

    @property
    def runs_through(self) -> bool:
        """Whether a run needs no Python before its end, unless it fails, and what it gives is known before.

        It may stop for signals, and before its updates (`tail`), and goes on from there.
        """
        slots = self._plan.program.slots
        known = not any(slots[n].dynamic or slots[n].count for n in self._plan.program.outputs)
        return known and not self._plan.paused_steps

    @property
    def stops(self) -> bool:
        """Whether even a short run stops before its end."""
        return self._tail is not None

    @property
    def tail(self) -> int:
        """How a run answers before it writes updates that may lie where their states lie; 0 if there are none."""
        return (self._tail or 0) if self._sequencer.counts else 0

    def take_frame(self) -> Frame:
        """A frame for the caller alone, who fills the places of inputs and outputs and walks it himself."""
        try:
            return self._frames.pop()
        except IndexError:
            return Frame(self._plan)

    def _updated_positions(self) -> list[tuple[int, int, int]]:
        """For each update the position of the state among the inputs, of the output among the fixed ones, its slot."""
        program = self._plan.program
        fixed = self._plan.fixed_outputs()
        return [(program.inputs.index(state), fixed.index(result), result) for state, result in program.updates]

    def run(self, arrays: Sequence[Array], holders: tuple[Any, ...] = ()) -> list[Array]:
        """The outputs for these inputs, whose dtypes and shapes the caller has checked.

        Inputs are never written, and no output shares memory with one, but for this: `holders` are,
        for each update of the program, what has its input in a slot `array`. If those slots and the list
        `arrays` hold the only references to these inputs, all updates are written where their inputs
        lie, and are the same arrays. Until then nothing can fail, and nobody sees them half written.

        Raises what `explain` makes of a kernel's error, and what a NumPy step raises.
        """
        if len(arrays) != self._input_count:
            raise GraphjitError(f"{len(arrays)} arrays for {self._input_count} inputs")
        if self.shares:
            start_threads()
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = Frame(self._plan)
        try:
            if self._tail is None or not self._binds or not self._sequencer.counts:
                holders = ()
            outputs = self._outputs_over(arrays) if holders else [make() for make in self._results]
            if self._binds:
                answer = self._start((*arrays, *outputs), frame.pointer, 0)
            else:
                answer = self._bind(frame, arrays, outputs)
            if answer and answer == self._tail:
                answer = self._run_tail(frame, arrays, outputs, holders)
            if answer:
                return self._go_on(frame, arrays, outputs, answer, holders)
            return outputs
        finally:
            self._frames.append(frame)

    def _outputs_over(self, arrays: Sequence[Array]) -> list[Array]:
        """New arrays for the outputs, apart from those that may lie where their inputs lie."""
        return [
            make() if place not in self._states else arrays[self._states[place]]
            for place, make in enumerate(self._results)
        ]

    def _run_tail(self, frame: Frame, arrays: Sequence[Array], outputs: list[Array], holders: tuple[Any, ...]) -> int:
        """Run what writes updates: over the states if nobody else sees them, else into new arrays."""
        tail = self._tail
        assert tail is not None
        if not holders:
            return int(self._resume(None, frame.pointer, tail))
        states = tuple([arrays[source] for source, _place, _slot in self._updated])
        if all(map(shows_all_owners, states)):
            self._offset = self._offset or layout.slot_offset(type(holders[0]), "array")
            answer = self._sequencer.commit(states, holders, self._offset, frame.pointer, tail)
            if answer != walk.SEEN:
                return answer
        self._renew(frame, outputs)
        return int(self._resume(None, frame.pointer, tail))

    def _renew(self, frame: Frame, outputs: list[Array]) -> None:
        """Give the outputs that replace states memory of their own."""
        slots = self._plan.program.slots
        for _source, place, number in self._updated:
            outputs[place] = allocate_state(slots[number].shape, slots[number].dtype)
            frame.addresses[number] = address_of(outputs[place])

    def _bind(self, frame: Frame, arrays: Sequence[Array], outputs: Sequence[Array]) -> int:
        """Bind and run without reading NumPy's objects from native code."""
        if not all(array.flags.c_contiguous and array.flags.aligned for array in arrays):
            return walk.NOT_PLAIN
        numbers = self._plan.binding[0, 2:]
        for number, array in zip(numbers, (*arrays, *outputs), strict=True):
            frame.addresses[number] = address_of(array)
        return int(self._resume(None, frame.pointer, 0))

    def _go_on(
        self, frame: Frame, arrays: Sequence[Array], outputs: list[Array], answer: int, holders: tuple[Any, ...]
    ) -> list[Array]:
        """Take care of whatever made the walk stop before its end, until it ends."""
        if answer == walk.NOT_PLAIN:
            plain = [np.require(array, requirements=["C", "A"]) for array in arrays]
            if holders:
                self._renew(frame, outputs)
            return self._restart(frame, plain, outputs)
        self._fill(frame, arrays, outputs)
        steps = self._plan.paused_steps
        try:
            while answer:
                if answer < 0:
                    raise self._error(frame, -answer - 1)
                if answer == self._tail:
                    self._let_go_of_states(frame)
                    answer = self._run_tail(frame, arrays, outputs, holders)
                    continue
                step = steps.get(answer - 1)
                if step is not None:
                    self._run_paused(frame, step)
                answer = self._resume(None, frame.pointer, answer)
            return self._collected(frame, outputs)
        finally:
            self._empty(frame)

    def _restart(self, frame: Frame, arrays: Sequence[Array], outputs: list[Array]) -> list[Array]:
        if self._binds:
            answer = self._start((*arrays, *outputs), frame.pointer, 0)
        else:
            answer = self._bind(frame, arrays, outputs)
        return self._go_on(frame, arrays, outputs, answer, ()) if answer else outputs

    def _fill(self, frame: Frame, arrays: Sequence[Array], outputs: Sequence[Array]) -> None:
        """Make inputs and outputs known by slot, for NumPy steps."""
        values = frame.values
        for number, array in zip(self._plan.filled, (*arrays, *outputs), strict=True):
            values[number] = array

    def _empty(self, frame: Frame) -> None:
        """Let go of the arrays of this call."""
        values = frame.values
        for number in self._plan.emptied:
            values[number] = None

    def _let_go_of_states(self, frame: Frame) -> None:
        """So that their references are those of the caller, and of `outputs`."""
        for state, result in self._plan.program.updates:
            frame.values[state] = frame.values[result] = None

    def _error(self, frame: Frame, row: int) -> Exception:
        step = self._plan.program.steps[self._plan.row_steps[row]]
        status = tuple(int(word) for word in frame.status)
        return self._explain(step.tag, status[walk.CODE_WORD], status[: walk.CODE_WORD])

    def _run_paused(self, frame: Frame, step: NumpyStep | ControlStep) -> None:
        """Run the step at which the walk stopped."""
        slots = self._plan.program.slots
        if isinstance(step, ControlStep):
            slot, index = step.words
            frame.grow(slot, slots[slot], int(frame.view(index, (), np.dtype(np.int64))))
            return
        moving = self._plan.moving
        results = step.function(*(_read_only(frame.array(n, slots[n], n in moving)) for n in step.inputs))
        if len(results) != len(step.outputs):
            raise GraphjitError(f"{step.label}: {len(results)} results for {len(step.outputs)} outputs")
        for output, result in zip(step.outputs, results, strict=True):
            self._put(frame, output, result, step.label)

    def _put(self, frame: Frame, number: int, result: Array, label: str) -> None:
        slot = self._plan.program.slots[number]
        array = np.asarray(result)
        if array.dtype != slot.dtype or not (slot.dynamic or array.shape == slot.shape):
            raise GraphjitError(
                f"{label}: the result is {array.dtype}{list(array.shape)}, not {slot.dtype}{list(slot.shape)}"
            )
        if slot.dynamic:
            plain = np.require(array, requirements=["C", "A"])
            frame.values[number] = plain
            frame.addresses[number] = address_of(plain)
        else:
            target = frame.array(number, slot, number in self._plan.moving)
            assert target is not None
            np.copyto(target, array)

    def _collected(self, frame: Frame, outputs: Sequence[Array]) -> list[Array]:
        """The outputs in order; a dynamic one is copied, since its function may have kept it."""
        fixed = iter(outputs)
        found = []
        for number in self._plan.program.outputs:
            if self._plan.program.slots[number].dynamic:
                value = frame.array(number, self._plan.program.slots[number], False)
                if value is None:
                    raise GraphjitError(f"no step filled slot {number}")
                found.append(np.array(value, order="C"))
            else:
                found.append(next(fixed))
        return found

    def profile(self, arrays: Sequence[Array]) -> list[StepTime]:
        """Run once, step by step, and return how long each took."""
        if self.shares:
            start_threads()
        if any(isinstance(step, ControlStep) for step in self._plan.program.steps):
            return self._timed_whole(arrays)
        frame = Frame(self._plan)
        plain = [np.require(array, requirements=["C", "A"]) for array in arrays]
        outputs = [make() for make in self._results]
        self._fill(frame, plain, outputs)
        for number, array in zip(self._plan.binding[0, 2:], (*plain, *outputs), strict=True):
            frame.addresses[number] = address_of(array)
        return [self._timed(frame, number) for number in range(len(self._plan.program.steps))]

    def _timed_whole(self, arrays: Sequence[Array]) -> list[StepTime]:
        """All steps of a program with branches or loops as one, since which of them run shows when it runs."""
        start = time.perf_counter()
        self.run(arrays)
        return [StepTime("all steps", None, time.perf_counter() - start)]

    def _timed(self, frame: Frame, number: int) -> StepTime:
        step = self._plan.program.steps[number]
        rows = [row for row, owner in enumerate(self._plan.row_steps) if owner == number]
        seconds = 0.0
        for row in rows:
            single = np.array([self._plan.table[row], _words([(walk.END,) + (0,) * 7])[0]])
            facts = [address_of(frame.addresses), address_of(single), 0, BOARD, self._plan.slot_count, 0]
            words = np.array(facts, np.uint64)
            start = time.perf_counter()
            paused = self._plan.paused_steps.get(row)
            if paused is not None:
                self._run_paused(frame, paused)
                answer = 0
            else:
                answer = self._resume(None, address_of(words), 0)
            seconds += time.perf_counter() - start
            if answer < 0:
                raise self._error(frame, row)
        return StepTime(step.label, step.tag, seconds)


def _read_only(array: Array | None) -> Array:
    """A view through which nobody writes."""
    assert array is not None
    view = array.view()
    view.flags.writeable = False
    return view
