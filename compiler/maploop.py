"""Loops that do the same to each element of arrays, a known number of times: the loop goes inside, element by element.

The elements are cut into chunks that stay in the first-level cache for all rounds, and threads share the chunks. So a
Mandelbrot set costs its arithmetic, and no memory traffic.
"""

from __future__ import annotations

from collections.abc import Sequence

from .emit import Word, dtype_name, literal_text
from .graph import Equation, Graph, Value
from .kernel_facts import why_not_type
from .kernelcost import element_cost
from .loopkernel import LoopKernel, LoopWriter, buffer_like
from .op import Kind
from .ops.looping import scan_op

_CHUNK = 512
_MOST_STATEMENTS = 60


def is_map_loop(equation: Equation) -> bool:
    """Whether a loop's rounds change every element by itself, as often as is known before."""
    if equation.op is not scan_op or equation.attributes["length"] is None or equation.attributes["sliced"]:
        return False
    body: Graph = equation.attributes["body"]
    if len(body.outputs) != equation.attributes["carried"] or len(body.equations) > _MOST_STATEMENTS:
        return False
    if any(why_not_type(value.type) is not None for value in body.values()):
        return False
    shapes = {value.type.sizes for value in body.values() if value.type.element_count != 1}
    return len(shapes) == 1 and 0 not in next(iter(shapes)) and all(map(_is_by_element, body.equations))


def _is_by_element(equation: Equation) -> bool:
    if equation.must_run:
        return False
    if equation.op.kind is Kind.ELEMENTWISE:
        return equation.op.kernel is not None
    if equation.op.kind is Kind.VIEW:
        return equation.operands[0].type.element_count == 1
    return equation.op.name == "constant" and _is_uniform(equation)


def _is_uniform(equation: Equation) -> bool:
    array = equation.attributes["value"].array
    return bool(array.size == 1 or array.tobytes() == array.reshape(-1)[:1].tobytes() * array.size)


def map_cost(equation: Equation) -> int:
    """What the loop costs, in bytes that could be read and written meanwhile."""
    body: Graph = equation.attributes["body"]
    work = sum(element_cost(one) * one.output.type.byte_count for one in body.equations if one.operands)
    return int(equation.attributes["length"] * work)


def map_kernel(equation: Equation) -> LoopKernel:
    """The kernel of such a loop."""
    return _MapKernel(equation).run()


class _MapKernel:
    def __init__(self, equation: Equation) -> None:
        self.body: Graph = equation.attributes["body"]
        self.rounds: int = equation.attributes["length"]
        self.count: int = equation.attributes["carried"]
        self.elements = max(value.type.element_count for value in self.body.values())
        self.writer = LoopWriter()
        self.inputs = {place: buffer_like(value) for place, value in enumerate(self.body.inputs)}
        self.finals = tuple(map(buffer_like, self.body.outputs[: self.count]))
        self.reads = {place: self.writer.pointer(one) for place, one in self.inputs.items()}
        self.ends = [self.writer.pointer(one) for one in self.finals]

    def is_wide(self, value: Value) -> bool:
        """Whether a value has many elements, and not one."""
        return value.type.element_count != 1

    def run(self) -> LoopKernel:
        writer = self.writer
        chunk = min(_CHUNK, self.elements)
        for name, number in (("n0", self.elements), ("n1", chunk), ("rounds", self.rounds)):
            writer.header.append(f"    {name} = {writer.word(Word(number=number))}")
        writer.line("for i0 in range(lo, hi):")
        writer.line("start = uint64(i0 * n1)", 2)
        writer.line("left = uint64(n0 - start)", 2)
        writer.line("m1 = minimum(n1, left)", 2)
        names = self.begin()
        writer.line("for i2 in range(rounds):", 2)
        self.round(names)
        for place, value in enumerate(self.body.outputs[: self.count]):
            if not self.is_wide(value):
                writer.line(f"{self.ends[place]}[0] = {names[self.body.inputs[place]]}", 2)
        kernel = writer.finished("map_" + self.body.name, -(-self.elements // chunk))
        return LoopKernel(kernel, self.inputs, self.finals)

    def begin(self) -> dict[Value, str]:
        """What is carried into the first round: single numbers in names, arrays in the results' memory."""
        names: dict[Value, str] = {}
        for place, value in enumerate(self.body.inputs):
            if not self.is_wide(value):
                names[value] = self.writer.fresh("c")
                self.writer.line(f"{names[value]} = {self.reads[place]}[0]", 2)
        wide = [place for place in range(self.count) if self.is_wide(self.body.inputs[place])]
        if wide:
            self.writer.line("for i1 in range(m1):", 2)
        for place in wide:
            self.writer.line(f"{self.ends[place]}[start + i1] = {self.reads[place]}[start + i1]", 3)
        return names

    def round(self, names: dict[Value, str]) -> None:
        """The statements of a round: those of single numbers, then those of each element."""
        body, writer = self.body, self.writer
        inside = dict(names)
        single = [one for one in body.equations if not self.is_wide(one.output)]
        self.write(single, inside, 3)
        writer.line("for i3 in range(m1):", 3)
        local = dict(inside)
        for place, value in enumerate(body.inputs):
            if self.is_wide(value):
                pointer = self.ends[place] if place < self.count else self.reads[place]
                local[value] = writer.fresh()
                writer.line(f"{local[value]} = {pointer}[start + i3]", 4)
        self.write([one for one in body.equations if self.is_wide(one.output)], local, 4)
        for place, value in enumerate(body.outputs[: self.count]):
            if self.is_wide(value) and value is not body.inputs[place]:
                writer.line(f"{self.ends[place]}[start + i3] = {dtype_name(value.type.dtype)}({local[value]})", 4)
        small = [place for place in range(self.count) if not self.is_wide(body.outputs[place])]
        carried = [names[body.inputs[place]] for place in small]
        writer.hand_on(carried, [body.outputs[place] for place in small], inside, 3)

    def write(self, equations: Sequence[Equation], names: dict[Value, str], indent: int) -> None:
        """Statements for equations, of which constants are literals and views are what they view."""
        for equation in equations:
            value = equation.output
            if equation.op.name == "constant":
                names[value] = literal_text(equation.attributes["value"].array.reshape(-1)[0].item(), value.type.dtype)
            elif equation.op.kind is Kind.VIEW:
                names[value] = names[equation.operands[0]]
            else:
                self.writer.compute(equation, names, indent)
