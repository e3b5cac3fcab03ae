"""From a fused graph to a program: a slot for each buffer, a step for each equation, an arena for temporaries.

A temporary's place in the arena is free again after the last step that reads it. `inplace` says
what is computed in the place of something else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import GraphjitError
from graphjit.runtime.fields import dataclass, field, replace
from graphjit.runtime.program import CopyStep, GemmStep, KernelStep, NumpyStep, Program, Slot, SlotKind, Step

from .blocks import in_blocks
from .boxkernel import box_kernel, is_box_update, lies_plainly
from .contraction import product_of
from .emit import EmittedKernel, emit_kernel
from .graph import Equation, Graph, Value
from .indexkernel import index_kernel
from .inplace import InPlace, Updates, plan_in_place
from .kernel_facts import why_not_in_kernel, why_not_type
from .kernelcost import kernel_cost
from .layout import Layout, contiguous
from .location import add_location
from .loopnest import LoopNest, Source, build_loopnest
from .op import Kind, Piece
from .ops.control import fused_op
from .ops.copying import copy_op
from .tensortype import TensorType, element_count
from .views import Place, find_places, is_computed, own_place, place_of_view

_ALIGNMENT = 64


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """What a step came from, for reports and for explaining its failures.

    `why_numpy` says why it is a NumPy step; `kernel` is None for steps that are no kernels.
    """

    equation: Equation
    kernel: EmittedKernel | None = None
    why_numpy: str | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    """Where in a join's result an operand lies, which is written there at once and never copied."""

    whole: Value
    layout: Layout


def find_parts(graph: Graph) -> dict[Value, _Part]:
    """The results of kernels that nobody reads but a join whose pieces do not overlap."""
    uses, outputs = graph.uses(), set(graph.outputs)
    found: dict[Value, _Part] = {}
    for equation in graph.equations:
        for piece in _separate_pieces(equation):
            operand = equation.operands[piece.operand]
            value = _stored_value(graph, operand)
            alone = len(uses[operand]) == len(uses[value]) == equation.operands.count(operand) == 1
            if alone and not {value, operand} & outputs and _is_stored_once(graph.producers.get(value), value):
                layout = _without_ones(_layout_of_piece(equation, piece), operand.type, value.type)
                found[value] = found[operand] = _Part(equation.output, layout)
    return found


def _stored_value(graph: Graph, value: Value) -> Value:
    """What a value is a view of that adds or drops axes of size 1 and no more; else the value."""
    while (equation := graph.producers.get(value)) is not None and equation.op.kind is Kind.VIEW:
        (source,) = equation.operands
        if not source.type.is_static or _sizes_above_one(source.type) != _sizes_above_one(value.type):
            break
        place = place_of_view(equation, own_place(source))
        if place is None or _without_ones(place.layout, value.type, source.type) != _plain_layout(source.type):
            break
        value = source
    return value


def _plain_layout(type: TensorType) -> Layout:
    return _without_ones(contiguous(type.sizes), type, type)


def _sizes_above_one(type: TensorType) -> list[int]:
    return [size for size in type.sizes if size != 1]


def _without_ones(layout: Layout, type: TensorType, target: TensorType) -> Layout:
    """The layout of a value of one type as one of another type, which has the same axes apart from those of size 1."""
    strides = iter([stride for stride, size in zip(layout.strides, type.sizes, strict=True) if size != 1])
    return Layout(layout.offset, tuple(0 if size == 1 else next(strides) for size in target.sizes))


def _separate_pieces(equation: Equation) -> Sequence[Piece]:
    """The pieces of a join, if each of its elements is in one of them and kernels write it; else none."""
    if equation.op.pieces is None or any(why_not_type(one) for one in _types(equation)):
        return []
    pieces = equation.op.pieces(equation.operand_types, **equation.attributes)
    covered = sum(element_count(piece.sizes) for piece in pieces)
    return pieces if covered == equation.output.type.element_count else []


def _is_stored_once(equation: Equation | None, value: Value) -> bool:
    """Whether a kernel makes the value element by element; reductions have places of their own until they end."""
    if equation is None or equation.op is not fused_op:
        return False
    inside: Graph = equation.attributes["graph"]
    (result,) = [one for one, output in zip(inside.outputs, equation.outputs, strict=True) if output is value]
    return inside.producers[result].op.kind is Kind.ELEMENTWISE


def _layout_of_piece(equation: Equation, piece: Piece) -> Layout:
    """How the elements of an operand lie in the join's result."""
    whole = contiguous(equation.output.type.sizes).strides
    offset = sum(start * stride for start, stride in zip(piece.starts, whole, strict=True))
    return Layout(offset, tuple(step * stride for step, stride in zip(piece.steps, whole, strict=True)))


@dataclass
class Planner:
    """Plans graphs whose equations run one after the other."""

    graph: Graph
    places: dict[Value, Place]
    in_place: InPlace
    updates: Updates
    parts: dict[Value, _Part]
    numbers: dict[Value, int] = field(default_factory=dict)
    slots: dict[int, Slot] = field(default_factory=dict)
    constants: dict[int, np.ndarray[Any, Any]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    first: dict[int, int] = field(default_factory=dict)
    last: dict[int, int] = field(default_factory=dict)

    # --- slots ----------------------------------------------------------------------------------

    def new_slot(self, value: Value, slot: Slot) -> int:
        number = len(self.slots) + 1
        self.numbers[value] = number
        self.slots[number] = slot
        self.first[number] = len(self.steps)
        return number

    def own_slot(self, value: Value) -> int:
        """The slot of a result that is no view: its own, or that of the value which is computed in its place."""
        home = self.in_place.homes.get(value, value)
        if home not in self.numbers:
            kind: SlotKind = "output" if self.is_output(home) and home not in self.in_place.copied else "temporary"
            type = home.type
            if type.has_plain_memory:
                self.new_slot(home, Slot(kind, type.dtype.numpy, type.sizes))
            else:
                self.new_slot(home, Slot(kind, type.dtype.numpy, dynamic=True))
        self.numbers[value] = self.numbers[home]
        return self.numbers[value]

    def slot_under(self, operand: Value, outputs: Sequence[Value]) -> int:
        """The slot of an operand; that of the result for a state in whose place it is computed."""
        for output in outputs:
            if self.in_place.over.get(output) is operand and output in self.in_place.states:
                return self.own_slot(output)
        return self.slot_of(operand)

    def is_output(self, value: Value) -> bool:
        """Whether the value is a result of the program."""
        return value in self.graph.outputs

    def slot_of_result(self, value: Value) -> int:
        """The slot into which a kernel writes a result: its own, or that of the join that it is part of."""
        whole = self.parts[value].whole if value in self.parts else value
        return self.numbers[whole] if whole in self.numbers else self.own_slot(whole)

    def slot_of(self, value: Value) -> int:
        """The slot in which the elements of a value lie, which the next step reads."""
        place = self.places.get(value)
        number = self.numbers[value if place is None else place.root]
        self.last[number] = len(self.steps)
        return number

    # --- steps ----------------------------------------------------------------------------------

    def plan(self) -> Program:
        for value in self.graph.inputs:
            self.new_slot(value, _slot_of_given("input", value.type))
        for equation in self.in_place.order[: self.in_place.tail]:
            self.add(equation)
        outputs = self.inputs_returned()
        tail = len(self.steps)
        for result, state in self.in_place.states.items():
            if self.in_place.over.get(result) is state:
                self.copy(self.numbers[state], self.own_slot(result))
        for equation in self.in_place.order[self.in_place.tail :]:
            self.add(equation)
        for position, value in enumerate(self.graph.outputs):
            if position not in outputs:
                outputs[position] = self.output_slot(position, value)
        arena_bytes = self.lay_out_arena()
        inputs = tuple(self.numbers[value] for value in self.graph.inputs)
        updates = [(self.numbers[self.graph.inputs[one]], outputs[other]) for one, other in self.updates]
        return Program(
            self.slots,
            tuple(self.steps),
            inputs,
            tuple(outputs[position] for position in range(len(self.graph.outputs))),
            arena_bytes,
            self.constants,
            tuple(updates) if self.in_place.states else (),
            tail,
        )

    def inputs_returned(self) -> dict[int, int]:
        """Slots, by position, for outputs that are inputs: these are copied before a state is written."""
        found: dict[int, int] = {}
        for position, value in enumerate(self.graph.outputs if self.in_place.states else ()):
            if value in self.graph.inputs:
                found[position] = self.copied_slot(value)
        return found

    def output_slot(self, position: int, value: Value) -> int:
        """The slot of an output: that of its value, unless it is a state's and was computed elsewhere."""
        is_update = any(position == target for _state, target in self.updates)
        if value not in self.in_place.states or is_update != (value in self.in_place.copied):
            return self.slot_of(value)
        return self.copied_slot(value)

    def copied_slot(self, value: Value) -> int:
        """A new slot of an output, into which a value is copied."""
        number = self.new_slot(Value(value.type), Slot("output", value.type.dtype.numpy, value.type.sizes))
        self.copy(self.slot_of(value), number)
        return number

    def copy(self, source: int, target: int) -> None:
        """Copy a slot into another one of the same type."""
        nbytes = self.slots[target].nbytes
        self.last[source] = self.last[target] = len(self.steps)
        if nbytes and source != target:
            self.steps.append(CopyStep(source, target, nbytes, "copy"))

    def add(self, equation: Equation) -> None:
        if equation.op.kind is Kind.VIEW and equation.output in self.places:
            return
        if is_computed(equation):
            return
        if equation.op.name == "constant":
            self.add_constant(equation)
        elif equation.op is fused_op:
            self.add_kernel(equation)
        elif not any(add(equation) for add in (self.add_product, self.add_join, self.add_box, self.add_index_kernel)):
            self.add_numpy_step(equation)

    def add_constant(self, equation: Equation) -> None:
        array = equation.attributes["value"].array
        number = self.new_slot(equation.output, _slot_of_given("constant", equation.output.type))
        self.constants[number] = array

    def add_kernel(self, equation: Equation) -> None:
        inside: Graph = equation.attributes["graph"]
        sources = [self.source(operand) for operand in equation.operands]
        within = dict(zip(equation.operands, inside.inputs, strict=True))
        over = {
            value: within[self.in_place.over[output]]
            for value, output in zip(inside.outputs, equation.outputs, strict=True)
            if output in self.in_place.over
        }
        nest = build_loopnest(
            inside,
            equation.attributes["domain"],
            equation.attributes["inner"],
            equation.attributes["axes"],
            sources,
            {
                value: self.parts[output].layout
                for value, output in zip(inside.outputs, equation.outputs, strict=True)
                if output in self.parts
            },
            over=over,
        )
        slots = {
            value: self.slot_under(operand, equation.outputs)
            for value, operand, source in zip(inside.inputs, equation.operands, sources, strict=True)
            if not source.computed
        }
        for value, output in zip(inside.outputs, equation.outputs, strict=True):
            slots[value] = self.slot_of_result(output)
        cost = kernel_cost(equation)
        blocks = in_blocks(nest, cost)
        if blocks is None:
            self.add_nest(nest, slots, equation, cost)
            return
        for partial in blocks.partials:
            type = partial.type
            slots[partial] = self.new_slot(partial, Slot("temporary", type.dtype.numpy, type.sizes))
        self.add_nest(blocks.nest, slots, equation, cost)
        for rest in blocks.rests:
            part = replace(equation, attributes={**equation.attributes, "graph": rest.graph})
            self.add_nest(rest, slots, part, sum(map(_size, (*rest.reads, *rest.writes))))

    def add_nest(self, nest: LoopNest, slots: Mapping[Value, int], equation: Equation, cost: int) -> None:
        """A kernel step for a loop nest, whose buffers lie in `slots`."""
        kernel = emit_kernel(nest)
        block = tuple(word.number if word.buffer is None else slots[word.buffer] for word in kernel.words)
        for value in (*nest.reads, *nest.writes):
            if value in slots:
                self.last[slots[value]] = len(self.steps)
        self.steps.append(
            KernelStep(
                kernel.text,
                nest.graph.name,
                tuple(number % (1 << 64) for number in block),
                kernel.extent,
                label=nest.graph.name,
                tag=PlannedStep(equation, kernel),
                cost=cost,
            )
        )

    def add_join(self, equation: Equation) -> bool:
        """One copying kernel for each piece; pieces that are alike in their pattern share the kernel."""
        if equation.op.pieces is None or any(why_not_type(one) for one in _types(equation)):
            return False
        pieces = equation.op.pieces(equation.operand_types, **equation.attributes)
        sources = [self.source(operand) for operand in equation.operands]
        slots = [
            None if one.computed or operand in self.parts else self.slot_of(operand)
            for one, operand in _paired(sources, equation)
        ]
        target = self.slot_of_result(equation.output)
        for piece in pieces:
            if element_count(piece.sizes) and equation.operands[piece.operand] not in self.parts:
                self.add_piece(equation, piece, sources[piece.operand], slots[piece.operand], target)
        return True

    def add_box(self, equation: Equation) -> bool:
        """Write a box into a copy of a tensor, or into the tensor itself if the result is to lie there."""
        if not is_box_update(equation):
            return False
        x, box, begin = equation.operands
        places = [self.places.get(one) for one in equation.operands]
        if not all(map(lies_plainly, places, (one.type.sizes for one in equation.operands))):
            return False
        target = self.own_slot(equation.output)
        self.copy(self.slot_of(x), target)
        slots = {equation.output: target, box: self.slot_of(box), begin: self.slot_of(begin)}
        kernel = box_kernel(equation)
        block = tuple(word.number if word.buffer is None else slots[word.buffer] for word in kernel.words)
        name, cost = equation.op.name, 2 * element_count(box.type.sizes) * box.type.dtype.size
        self.last[target] = len(self.steps)
        self.steps.append(
            KernelStep(kernel.text, name, block, kernel.extent, name, PlannedStep(equation, kernel), cost)
        )
        return True

    def add_index_kernel(self, equation: Equation) -> bool:
        """One kernel that reads or adds to rows at computed positions, if both operands lie plainly."""
        kernel = index_kernel(equation)
        places = [self.places.get(one) for one in equation.operands]
        if kernel is None or not all(map(lies_plainly, places, (one.type.sizes for one in equation.operands))):
            return False
        slots = {value: self.slot_of(value) for value in equation.operands}
        slots[equation.output] = self.own_slot(equation.output)
        block = tuple(word.number if word.buffer is None else slots[word.buffer] for word in kernel.words)
        cost = sum(map(_size, (*equation.operands, equation.output)))
        tag = PlannedStep(equation, kernel)
        name = equation.op.name
        self.steps.append(KernelStep(kernel.text, name, block, kernel.extent, label=name, tag=tag, cost=cost))
        return True

    def add_piece(
        self, equation: Equation, piece: Piece, source: Source, source_slot: int | None, target_slot: int
    ) -> None:
        kernel, inside, outside = emit_piece(equation, piece, source)
        slots = {inside: source_slot, outside: target_slot}
        block = [word.number if word.buffer is None else slots[word.buffer] for word in kernel.words]
        self.steps.append(
            KernelStep(
                kernel.text,
                equation.op.name,
                tuple(number % (1 << 64) for number in block if number is not None),
                kernel.extent,
                label=equation.op.name,
                tag=PlannedStep(equation, kernel),
                cost=2 * element_count(piece.sizes) * equation.output.type.dtype.size,
            )
        )

    def source(self, operand: Value) -> Source:
        place = self.places[operand]
        return Source(place.layout, is_computed(self.graph.producers.get(place.root)))

    def add_product(self, equation: Equation) -> bool:
        if equation.op.kind is not Kind.CONTRACTION:
            return False
        product = product_of(equation, self.places)
        if product is None:
            return False
        a, b, *added = equation.operands
        slots = self.slot_of(a), self.slot_of(b), self.own_slot(equation.output)
        for c in added:
            if self.in_place.over.get(equation.output) is not c:
                self.copy(self.slot_of(c), slots[2])
        m, n, k = product.m, product.n, product.k
        self.steps.append(
            GemmStep(
                *slots,
                m,
                n,
                k,
                equation.output.type.dtype.numpy,
                transpose_a=product.a.transposed,
                transpose_b=product.b.transposed,
                alpha=equation.attributes.get("alpha", 1.0),
                beta=1.0 if added else 0.0,
                batch=product.batch,
                batch_stride_a=product.a.batch_distance,
                batch_stride_b=product.b.batch_distance,
                batch_stride_c=m * n,
                lda=product.a.row_distance,
                ldb=product.b.row_distance,
                ldc=n,
                offset_a=product.a.offset,
                offset_b=product.b.offset,
                label=equation.op.name,
                tag=PlannedStep(equation),
            )
        )
        return True

    def add_numpy_step(self, equation: Equation) -> None:
        places = [self.places.get(operand) for operand in equation.operands]
        inputs = tuple(self.slot_of(operand) for operand in equation.operands)
        outputs = tuple(self.own_slot(output) for output in equation.outputs)
        self.steps.append(
            NumpyStep(
                _numpy_function(equation, places),
                inputs,
                outputs,
                label=equation.op.name,
                tag=PlannedStep(equation, why_numpy=why_not_in_kernel(equation)),
            )
        )

    # --- memory ---------------------------------------------------------------------------------

    def lay_out_arena(self) -> int:
        """Give every temporary an offset such that those alive at the same time do not overlap."""
        lives = [
            (number, self.first[number], self.last.get(number, self.first[number]), _rounded(slot.nbytes))
            for number, slot in self.slots.items()
            if slot.kind == "temporary" and not slot.dynamic and not slot.is_row
        ]
        offsets = arena_offsets([(start, end, size) for _number, start, end, size in lives])
        total = 0
        for (number, _start, _end, size), offset in zip(lives, offsets, strict=True):
            slot = self.slots[number]
            self.slots[number] = Slot("temporary", slot.dtype, slot.shape, offset)
            total = max(total, offset + size)
        return total


def emit_piece(equation: Equation, piece: Piece, source: Source) -> tuple[EmittedKernel, Value, Value]:
    """The kernel that copies one operand of a join to its place, with the values it reads and writes."""
    box = TensorType(equation.output.type.dtype, piece.sizes)
    inside, outside = Value(box), Value(box)
    copying = Graph(equation.op.name, (inside,), (Equation(copy_op, (inside,), {}, (outside,)),), (outside,))
    rank = len(piece.sizes)
    layout = source.layout if len(source.layout.strides) == rank else Layout(source.layout.offset, (0,) * rank)
    loops = [axis for axis, size in enumerate(piece.sizes) if size != 1]
    axes = tuple(loops.index(axis) if axis in loops else None for axis in range(rank))
    nest = build_loopnest(
        copying,
        [piece.sizes[axis] for axis in loops],
        None,
        (axes, axes),
        [Source(layout, source.computed)],
        {outside: _layout_of_piece(equation, piece)},
    )
    return emit_kernel(nest), inside, outside


def _slot_of_given(kind: SlotKind, type: TensorType) -> Slot:
    """The slot of what is there before the first step; a dynamic one for what may only be passed on as an array."""
    return Slot(kind, type.dtype.numpy, type.sizes, dynamic=not type.has_plain_memory)


def _size(value: Value) -> int:
    return value.type.element_count * value.type.dtype.size


def _types(equation: Equation) -> tuple[TensorType, ...]:
    return (*equation.operand_types, equation.output.type)


def _paired(sources: Sequence[Source], equation: Equation) -> Iterator[tuple[Source, Value]]:
    return zip(sources, equation.operands, strict=True)


def _rounded(size: int) -> int:
    return max(_ALIGNMENT, -(-size // _ALIGNMENT) * _ALIGNMENT)


def arena_offsets(lives: Sequence[tuple[int, int, int]]) -> list[int]:
    """Offsets for buffers of (first step, last step, size), the largest placed first, each as low as it fits.

    >>> arena_offsets([(0, 1, 64), (1, 2, 64), (2, 3, 64)])
    [0, 64, 0]
    """
    order = sorted(range(len(lives)), key=lambda index: (-lives[index][2], lives[index][0]))
    offsets = [0] * len(lives)
    placed = np.zeros((4, len(lives)), np.int64)  # offset, end, first and last step of each, in order of offsets
    for count, index in enumerate(order):
        start, end, size = lives[index]
        low, high, first, last = placed[:, :count]
        beside = (first <= end) & (last >= start)
        bottoms = np.concatenate(([0], np.maximum.accumulate(high[beside])))
        gaps = np.flatnonzero(bottoms[:-1] + size <= low[beside])
        offset = offsets[index] = int(bottoms[gaps[0]] if gaps.size else bottoms[-1])
        at = int(np.searchsorted(low, offset))
        placed[:, at + 1 : count + 1] = placed[:, at:count].copy()
        placed[:, at] = offset, offset + size, start, end
    return offsets


def _numpy_function(
    equation: Equation, places: Sequence[Place | None]
) -> Callable[..., tuple[np.ndarray[Any, Any], ...]]:
    """The equation as a function of the arrays of its operands' slots."""
    op, attributes, several = equation.op, equation.attributes, equation.op.several
    views = [_view_of_slot(value, place) for value, place in zip(equation.operands, places, strict=True)]
    dtypes = [value.type.dtype.numpy for value in equation.outputs]

    def step(*arrays: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
        operands = [array if view is None else view(array) for array, view in zip(arrays, views, strict=True)]
        try:
            with np.errstate(all="ignore"):
                results = op.numpy(*operands, **attributes)
        except GraphjitError as error:
            add_location(error, equation.location)
            raise
        found = results if several else (results,)
        return tuple(np.asarray(result, dtype) for result, dtype in zip(found, dtypes, strict=True))

    return step


def _view_of_slot(value: Value, place: Place | None) -> Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]] | None:
    """How to see a value in the array of its slot; None where it is that array."""
    if place is None or place.root is value:
        return None
    shape = value.type.sizes
    layout: Layout = place.layout
    size = value.type.dtype.size
    strides = tuple(stride * size for stride in layout.strides)

    if 0 in shape:
        # NumPy refuses offsets and strides into a buffer of no bytes.
        return lambda array: np.empty(shape, array.dtype)

    def view(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.ndarray(shape, array.dtype, array, layout.offset * size, strides)

    return view


def plan(graph: Graph, updates: Updates = (), planner: type[Planner] = Planner) -> Program:
    """The program that runs a fused graph whose inputs have static shapes, some of which outputs replace."""
    places, parts = find_places(graph), find_parts(graph)
    return planner(graph, places, plan_in_place(graph, places, updates, frozenset(parts)), updates, parts).plan()


def planned_steps(program: Program) -> Mapping[int, PlannedStep]:
    """What each step came from, by its number."""
    found: dict[int, PlannedStep] = {}
    for number, step in enumerate(program.steps):
        if isinstance(step.tag, PlannedStep):
            found[number] = step.tag
    return found
