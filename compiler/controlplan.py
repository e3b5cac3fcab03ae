"""Planning branches and loops: their graphs' steps stand in the program itself, with jumps between them.

What a loop carries has two slots: rounds read the one and write the other, and then the slots change addresses. What it
stacks is written row by row: a row's slot is moved along, so that kernels write where the row is to lie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from graphjit.runtime.fields import dataclass, field, replace
from graphjit.runtime.program import PIECE_COST, Action, ControlStep, KernelStep, Program, Slot

from .boxkernel import is_box_update
from .control import BRANCHES, runs_natively
from .graph import Equation, Graph, Value
from .loopkernel import LoopKernel, goes_in_pieces, is_scalar_loop, scan_kernel, while_kernel
from .maploop import is_map_loop, map_cost, map_kernel
from .op import Kind
from .ops.branching import branches_of, cond_op
from .ops.looping import while_op
from .plan import PlannedStep, Planner, find_parts
from .tensortype import TensorType, int64
from .views import find_places

_NUMBER = np.dtype(np.int64)
_STATEMENT_COST = 32
"""What a statement on scalars costs, in bytes that could be read and written meanwhile."""


@dataclass
class ControlPlanner(Planner):
    """Plans graphs with branches and loops."""

    targets: dict[Value, int] = field(default_factory=dict)
    """Where results are written that need no slot of their own."""
    pairs: list[tuple[int, int]] = field(default_factory=list)
    """Slots that change addresses with each other."""
    numbers_known: dict[int, int] = field(default_factory=dict)
    """Slots of constant whole numbers."""
    pinned: list[int] = field(default_factory=list)
    """Slots that are read to the end: counts of rows."""

    def plan(self) -> Program:
        self.top = set(self.graph.outputs)
        return super().plan()

    def is_output(self, value: Value) -> bool:
        return value in self.top

    def own_slot(self, value: Value) -> int:
        number = self.targets.get(value)
        if number is None:
            return super().own_slot(value)
        self.numbers[value] = number
        self.last[number] = len(self.steps)
        return number

    def add(self, equation: Equation) -> None:
        if not runs_natively(equation):
            super().add(equation)
        elif is_scalar_loop(equation) or is_map_loop(equation):
            self.add_loop_kernel(equation)
        elif equation.op in BRANCHES:
            self.add_branches(equation)
        elif equation.op is while_op:
            self.add_while(equation)
        else:
            self.add_scan(equation)

    # --- small steps ------------------------------------------------------------------------------

    def steer(self, action: Action, *words: int, target: int = 0, equation: Equation | None = None) -> int:
        """Add a control step; its number."""
        tag = None if equation is None else PlannedStep(equation)
        self.steps.append(ControlStep(action, words, target, action.value, tag))
        return len(self.steps) - 1

    def aim(self, step: int) -> None:
        """Let a jump go to the step that is added next."""
        jump = self.steps[step]
        assert isinstance(jump, ControlStep)
        self.steps[step] = replace(jump, target=len(self.steps))

    def scratch(self, type: TensorType, name: str = "") -> int:
        """A slot for a value of this type."""
        return self.new_slot(Value(type, name), Slot("temporary", type.dtype.numpy, type.sizes))

    def moving(self, type: TensorType) -> int:
        """A slot that is a row of others."""
        return self.new_slot(Value(type), Slot("temporary", type.dtype.numpy, type.sizes, is_row=True))

    def number(self, value: int) -> int:
        """A slot that holds a whole number."""
        if value not in self.numbers_known:
            slot = self.new_slot(Value(TensorType(int64, ())), Slot("constant", _NUMBER))
            self.constants[slot] = np.array(value, np.int64)
            self.numbers_known[value] = slot
        return self.numbers_known[value]

    def counter(self, source: int, offset: int) -> int:
        """A slot with the number that is in another slot, and something added."""
        slot = self.scratch(TensorType(int64, ()))
        self.add_number(slot, source, offset)
        return slot

    def add_number(self, target: int, source: int, offset: int) -> None:
        """Set a number to another one plus `offset`."""
        self.last[source] = self.last[target] = len(self.steps)
        self.steer(Action.ADD, target, source, offset)

    # --- graphs inside ----------------------------------------------------------------------------

    def plan_inside(self, graph: Graph, inputs: Sequence[int], targets: Mapping[Value, int]) -> None:
        """The steps of a graph that an equation holds, whose inputs lie in these slots."""
        outside = self.graph, self.places, self.parts, self.targets
        self.graph, self.places, self.parts = graph, find_places(graph), find_parts(graph)
        self.targets = dict(targets)
        self.numbers.update(zip(graph.inputs, inputs, strict=True))
        for equation in graph.equations:
            self.add(equation)
        for value in graph.outputs:
            self.last[self.numbers[value]] = len(self.steps)
        self.graph, self.places, self.parts, self.targets = outside

    def targets_of(self, values: Sequence[Value], slots: Sequence[int], graph: Graph) -> dict[Value, int]:
        """The results that can be written where they are wanted at once: each that a step of the graph makes."""
        found: dict[Value, int] = {}
        for value, slot in zip(values, slots, strict=True):
            if value in graph.producers and value not in found:
                found[value] = slot
        return found

    def settle(self, values: Sequence[Value], slots: Sequence[int]) -> None:
        """Copy the results that were not written where they are wanted."""
        for value, slot in zip(values, slots, strict=True):
            self.copy(self.numbers[value], slot)

    def keep_alive(self, start: int, slots: Sequence[int]) -> None:
        """What was there before step `start` and is read after it is read in every round."""
        end = len(self.steps) - 1
        for number, first in self.first.items():
            if first <= start and self.last.get(number, -1) >= start:
                self.last[number] = max(self.last[number], end)
        for number in slots:
            self.last[number] = max(self.last.get(number, end), end)

    # --- branches ---------------------------------------------------------------------------------

    def add_branches(self, equation: Equation) -> None:
        graphs = branches_of(equation.attributes)
        decision = self.slot_of(equation.operands[0])
        inputs = [self.slot_of(operand) for operand in equation.operands[1:]]
        results = [self.own_slot(value) for value in equation.outputs]
        start = len(self.steps)
        size = equation.operands[0].type.dtype.size
        jumps = [
            self.steer(Action.UNLESS, decision, equation=equation)
            if equation.op is cond_op
            else self.steer(Action.CASE, decision, number, size, equation=equation)
            for number in range(len(graphs) - 1)
        ]
        ends = []
        for number in reversed(range(len(graphs))):
            if number < len(jumps):
                self.aim(jumps[number])
            self.add_branch(graphs[number], inputs, results)
            if number:
                ends.append(self.steer(Action.JUMP))
        for jump in ends:
            self.aim(jump)
        self.keep_alive(start, results)

    def add_branch(self, graph: Graph, inputs: Sequence[int], results: Sequence[int]) -> None:
        self.plan_inside(graph, inputs, self.targets_of(graph.outputs, results, graph))
        self.settle(graph.outputs, results)

    # --- loops ------------------------------------------------------------------------------------

    def carry(self, values: Sequence[Value], operands: Sequence[Value]) -> tuple[list[int], list[int]]:
        """Two slots for each carried value, the first with what it begins with."""
        now, then = [], []
        for value, operand in zip(values, operands, strict=True):
            source = self.slot_of(operand)
            slot = self.new_slot(value, Slot("temporary", value.type.dtype.numpy, value.type.sizes))
            self.copy(source, slot)
            now.append(slot)
            then.append(self.scratch(value.type))
        self.pairs.extend(zip(now, then, strict=True))
        return now, then

    def go_round(
        self, body: Graph, carried: int, now: list[int], then: list[int], rows: list[int], inputs: list[int]
    ) -> None:
        """A round of a loop: what is carried changes from the slots `now` to `then`, which change places."""
        wanted = [*then, *rows]
        stays = [
            value is before or _is_written_into(body, before, value)
            for value, before in zip(body.outputs[:carried], body.inputs[:carried], strict=True)
        ]
        same = [*stays, *(False for _ in rows)]
        left = [(value, slot) for value, slot, is_same in zip(body.outputs, wanted, same, strict=True) if not is_same]
        values, slots = [value for value, _ in left], [slot for _, slot in left]
        targets = self.targets_of(values, slots, body)
        targets.update(
            (value, slot)
            for value, slot, is_same in zip(body.outputs, now, stays, strict=False)
            if is_same and value in body.producers
        )
        self.plan_inside(body, [*now, *inputs], targets)
        self.settle(values, slots)
        for one, other, is_same in zip(now, then, same, strict=False):
            if not is_same:
                self.last[one] = self.last[other] = len(self.steps)
                self.steer(Action.SWAP, one, other)

    def rows_of(self, stacked: Sequence[tuple[int, Value]], index: int, grows: bool) -> list[int]:
        """A slot for the row of each stacked result that a round writes."""
        found = []
        for slot, value in stacked:
            if grows:
                self.steer(Action.GROW, slot, index)
            found.append(self.row_of(slot, value.type, index))
        return found

    def row_of(self, slot: int, type: TensorType, index: int) -> int:
        """A slot for row number `index` of what lies in `slot`."""
        row = self.moving(type)
        self.last[slot] = self.last[index] = self.last[row] = len(self.steps)
        self.steer(Action.ROW, row, slot, index, self.slots[row].nbytes)
        return row

    def growing(self, value: Value, type: TensorType, count: int) -> int:
        """The slot of a stacked result whose rows are counted in slot `count`."""
        return self.new_slot(value, Slot("temporary", type.dtype.numpy, type.sizes, dynamic=True, count=count))

    def again(self, top: int, turns: int) -> None:
        """Jump back; slot `turns` counts how often, so that Python gets to answer signals in between."""
        self.last[turns] = len(self.steps)
        self.steer(Action.BACK, turns, target=top)
        self.steer(Action.JUMP, target=top)

    def add_while(self, equation: Equation) -> None:
        condition, body = equation.attributes["condition"], equation.attributes["body"]
        carried: int = equation.attributes["carried"]
        now, then = self.carry(equation.outputs[:carried], equation.operands[:carried])
        captured = [self.slot_of(operand) for operand in equation.operands[carried:]]
        zero = self.number(0)
        rounds = self.new_slot(equation.outputs[-1], Slot("temporary", _NUMBER))
        self.add_number(rounds, zero, 0)
        kept = [
            (self.growing(value, inside.type, rounds), inside)
            for value, inside in zip(equation.outputs[carried:-1], body.outputs[carried:], strict=True)
        ]
        turns = self.counter(self.number(0), 0)
        top = len(self.steps)
        self.plan_inside(condition, [*now, *captured], {})
        leave = self.steer(Action.UNLESS, self.numbers[condition.outputs[0]], equation=equation)
        rows = self.rows_of(kept, rounds, True)
        self.go_round(body, carried, now, then, rows, captured)
        self.add_number(rounds, rounds, 1)
        self.again(top, turns)
        self.keep_alive(top, [*now, *then, *captured, rounds, turns, *(slot for slot, _ in kept)])
        self.aim(leave)

    def add_scan(self, equation: Equation) -> None:
        attributes = equation.attributes
        body: Graph = attributes["body"]
        carried, sliced = attributes["carried"], attributes["sliced"]
        behind = 1 + carried + sliced
        rounds = self.slot_of(equation.operands[0])
        now, then = self.carry(equation.outputs[:carried], equation.operands[1 : 1 + carried])
        over = [self.slot_of(operand) for operand in equation.operands[1 + carried : behind]]
        captured = [self.slot_of(operand) for operand in equation.operands[behind:]]
        left = self.counter(rounds, 0)
        index = self.counter(rounds, -1) if attributes["reverse"] else self.counter(self.number(0), 0)
        kept = self.stacked_slots(equation, body.outputs[carried:], rounds)
        turns = self.counter(self.number(0), 0)
        top = len(self.steps)
        leave = self.steer(Action.ENDED, left, equation=equation)
        sources = [
            self.row_of(slot, value.type, index)
            for slot, value in zip(over, body.inputs[carried : carried + sliced], strict=True)
        ]
        rows = self.rows_of(kept, index, attributes["length"] is None)
        self.go_round(body, carried, now, then, rows, [*sources, *captured])
        self.add_number(index, index, -1 if attributes["reverse"] else 1)
        self.add_number(left, left, -1)
        self.again(top, turns)
        self.keep_alive(top, [*now, *then, *over, *captured, left, index, turns, *(slot for slot, _ in kept)])
        self.aim(leave)

    def add_loop_kernel(self, equation: Equation) -> None:
        """A loop over scalars as one step, or as one that is repeated as long as it says that there is more."""
        is_map = is_map_loop(equation)
        if not is_map and goes_in_pieces(equation):
            self.add_loop_in_pieces(equation)
            return
        loop = map_kernel(equation) if is_map else scan_kernel(equation)
        slots = {
            buffer: self.slot_of(operand)
            for buffer, operand in zip(loop.inputs.values(), equation.operands[1:], strict=True)
        }
        slots.update(
            (buffer, self.own_slot(value))
            for buffer, value in zip((*loop.finals, *loop.stacked), equation.outputs, strict=True)
        )
        work = equation.attributes["length"] * len(equation.attributes["body"].equations)
        self.add_emitted(loop, slots, equation, map_cost(equation) if is_map else _STATEMENT_COST * work)

    def add_loop_in_pieces(self, equation: Equation) -> None:
        is_while = equation.op is while_op
        loop = while_kernel(equation) if is_while else scan_kernel(equation)
        count: int = equation.attributes["carried"]
        operands = equation.operands if is_while else equation.operands[1:]
        slots: dict[Value, int] = {}
        for buffer, value, operand in zip(loop.finals, equation.outputs, operands, strict=False):
            source = self.slot_of(operand)
            slots[buffer] = self.new_slot(value, Slot("temporary", value.type.dtype.numpy, value.type.sizes))
            self.copy(source, slots[buffer])
        for buffer, operand in zip(loop.inputs.values(), operands[count:], strict=True):
            slots[buffer] = self.slot_of(operand)
        for buffer, value in zip(loop.stacked, equation.outputs[count:], strict=False):
            slots[buffer] = self.own_slot(value)
        assert loop.rounds is not None and loop.more is not None
        rounds = equation.outputs[-1] if is_while else loop.rounds
        slots[loop.rounds] = self.new_slot(rounds, Slot("temporary", _NUMBER))
        self.add_number(slots[loop.rounds], self.number(0), 0)
        slots[loop.more] = self.scratch(loop.more.type)
        turns = self.counter(self.number(0), 0)
        top = len(self.steps)
        self.add_emitted(loop, slots, equation, PIECE_COST // 4)
        leave = self.steer(Action.UNLESS, slots[loop.more])
        self.again(top, turns)
        self.keep_alive(top, [*slots.values(), turns])
        self.aim(leave)

    def add_emitted(self, loop: LoopKernel, slots: Mapping[Value, int], equation: Equation, cost: int) -> None:
        """The step of a loop's kernel, whose buffers lie in `slots`."""
        kernel = loop.kernel
        for number in slots.values():
            self.last[number] = len(self.steps)
        block = tuple(word.number if word.buffer is None else slots[word.buffer] for word in kernel.words)
        name = f"{equation.op.name}_loop"
        self.steps.append(
            KernelStep(kernel.text, name, block, kernel.extent, name, PlannedStep(equation, kernel), cost)
        )

    def stacked_slots(self, equation: Equation, inside: Sequence[Value], rounds: int) -> list[tuple[int, Value]]:
        """The slots of a scan's stacked results, with what a round adds to each."""
        outputs = equation.outputs[equation.attributes["carried"] :]
        if equation.attributes["length"] is not None:
            return [(self.own_slot(value), one) for value, one in zip(outputs, inside, strict=True)]
        count = self.counter(rounds, 0)
        self.pinned.append(count)
        return [(self.growing(value, one.type, count), one) for value, one in zip(outputs, inside, strict=True)]

    # --- memory -----------------------------------------------------------------------------------

    def lay_out_arena(self) -> int:
        for one, other in self.pairs:
            begin = min(self.first[one], self.first[other])
            end = max(self.last.get(one, begin), self.last.get(other, begin))
            self.first[one] = self.first[other] = begin
            self.last[one] = self.last[other] = end
        for number in self.pinned:
            self.last[number] = len(self.steps)
        return super().lay_out_arena()


def _is_written_into(body: Graph, before: Value, value: Value) -> bool:
    """Whether a round may write a box into what is carried: all that it reads of it is read before."""
    producer = body.producers.get(value)
    if producer is None or not is_box_update(producer) or producer.operands[0] is not before:
        return False
    if before in body.outputs or before in producer.operands[1:]:
        return False
    behind = body.equations[body.equations.index(producer) + 1 :]
    readers = [one for one in body.equations if one is not producer and before in one.operands]
    return not any(one in behind or one.op.kind is Kind.VIEW for one in readers)
