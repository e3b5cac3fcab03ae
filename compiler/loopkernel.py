"""Loops over scalars as one kernel with the loop inside, whose carried values stay in registers.

A `while` runs a limited number of rounds, so that signals are answered: it goes on where it was when it is called
again, as long as it says that there is more. So does a `scan` of very many rounds; others run all rounds at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphjit.runtime.fields import dataclass, field
from graphjit.runtime.kernel_language import STATUS_SLOT

from .emit import EmittedKernel, Word, check_text_of, comment_of, dtype_name, filled, literal_text
from .graph import Equation, Graph, Value
from .kernel_facts import why_not_type
from .kernelcost import element_cost
from .op import Kind
from .ops.looping import scan_op, while_op
from .tensortype import TensorType, bool_, int64

MOST_STATEMENTS = 300
"""How long the body of a loop in one kernel may be."""

_ROUNDS = "    for i0 in range(n0):"
_MOST_WORK = 1 << 24
"""What a kernel may cost without a pause, in additions: some 25 milliseconds."""


def is_scalar_loop(equation: Equation) -> bool:
    """Whether a loop carries, reads and stacks single numbers only, by ops that kernels know."""
    if equation.op is while_op:
        body: Graph = equation.attributes["body"]
        graphs = [equation.attributes["condition"], body]
        fits = len(body.outputs) == equation.attributes["carried"]
    elif equation.op is scan_op:
        body = equation.attributes["body"]
        graphs = [body]
        fits = equation.attributes["length"] is not None
    else:
        return False
    return fits and sum(len(one.equations) for one in graphs) <= MOST_STATEMENTS and all(map(_is_scalar, graphs))


def _is_scalar(graph: Graph) -> bool:
    numbers = all(why_not_type(value.type) is None and value.type.element_count == 1 for value in graph.values())
    return numbers and all(map(_is_statement, graph.equations))


def _is_statement(equation: Equation) -> bool:
    if equation.op.kind is Kind.ELEMENTWISE:
        return equation.op.kernel is not None
    return equation.op.kind is Kind.VIEW or equation.op.name == "constant"


def _cost(*graphs: Graph) -> int:
    """What a round costs, in additions."""
    return max(1, int(sum(1 + element_cost(one) for graph in graphs for one in graph.equations)))


def goes_in_pieces(equation: Equation) -> bool:
    """Whether the kernel of a scalar loop is called until it says that there is no more."""
    if equation.op is while_op:
        return True
    return bool(equation.attributes["length"] * _cost(equation.attributes["body"]) > _MOST_WORK)


@dataclass(frozen=True)
class LoopKernel:
    """A loop's kernel, and what its words name: values of the body's graph, or these.

    `finals` are the buffers of carried values when it ends; where it goes in pieces also when it begins.
    """

    kernel: EmittedKernel
    inputs: Mapping[int, Value]
    """For each input of the body that the kernel reads from a buffer of its own: that buffer."""
    finals: tuple[Value, ...]
    stacked: tuple[Value, ...] = ()
    rounds: Value | None = None
    more: Value | None = None


@dataclass
class LoopWriter:
    """Writes the text of a kernel with a loop."""

    lines: list[str] = field(default_factory=list)
    header: list[str] = field(default_factory=list)
    words: list[Word] = field(default_factory=list)
    checks: list[Equation] = field(default_factory=list)
    pointers: int = 0
    names: int = 0
    details: str = ""

    def line(self, text: str, indent: int = 1, comment: str = "") -> None:
        self.lines.append("    " * indent + text + (f"  # {comment}" if comment else ""))

    def word(self, word: Word) -> str:
        self.words.append(word)
        return f"block[{len(self.words) - 1}]"

    def pointer(self, value: Value) -> str:
        """The name of a pointer to a buffer."""
        name = f"x{self.pointers}"
        at = f"{value.type.dtype.name}_at(addresses, {self.word(Word(buffer=value))}, {self.pointers})"
        self.header.append(f"    {name} = {at}  # {f'{value.name}: ' if value.name else ''}{value.type}")
        self.pointers += 1
        return name

    def fresh(self, letter: str = "v") -> str:
        self.names += 1
        return f"{letter}{self.names - 1}"

    def statements(self, graph: Graph, names: dict[Value, str], indent: int) -> None:
        """The equations of a graph whose inputs have names."""
        for equation in graph.equations:
            (value,) = equation.outputs
            if equation.op.name == "constant":
                names[value] = literal_text(equation.attributes["value"].array.item(), value.type.dtype)
            elif equation.op.kind is Kind.VIEW:
                names[value] = names[equation.operands[0]]
            else:
                self.compute(equation, names, indent)

    def compute(self, equation: Equation, names: dict[Value, str], indent: int) -> None:
        value = equation.output
        operands = [names[operand] for operand in equation.operands]
        check = check_text_of(equation)
        if check is not None:
            self.check(equation, filled(check, equation, operands), operands, indent)
        name = names[value] = self.fresh()
        expression = filled(equation.op.kernel, equation, operands)
        self.line(f"{name} = {dtype_name(value.type.dtype)}({expression})", indent, comment_of(equation))

    def check(self, equation: Equation, condition: str, operands: Sequence[str], indent: int) -> None:
        if equation not in self.checks:
            self.checks.append(equation)
        self.line(f"if {condition}:", indent)
        for position, operand in enumerate(operands):
            if f"{{{position}}}" in equation.op.error:
                self.line(f"{self.details_name()}[{position}] = int64({operand})", indent + 1)
        self.line(f"return {self.checks.index(equation) + 1}", indent + 1)

    def details_name(self) -> str:
        if not self.details:
            self.details = "details"
            self.header.append(f"    details = int64_at(addresses, {STATUS_SLOT}, {self.pointers})")
            self.pointers += 1
        return self.details

    def hand_on(
        self, carried: Sequence[str], results: Sequence[Value], names: Mapping[Value, str], indent: int
    ) -> None:
        """Let the carried names be what a round made; all at once, as they may change places."""
        made = []
        for value, name in zip(results, carried, strict=True):
            source = names[value]
            if source in carried and source != name:
                held = self.fresh()
                self.line(f"{held} = {dtype_name(value.type.dtype)}({source})", indent)
                source = held
            made.append(source)
        for value, name, source in zip(results, carried, made, strict=True):
            if source != name:
                self.line(f"{name} = {dtype_name(value.type.dtype)}({source})", indent)

    def finished(self, name: str, extent: int = 1) -> EmittedKernel:
        """The kernel, whose outermost loop has so many rounds."""
        lines = [f"# {name}", "def kernel(addresses, block, lo, hi):", *self.header, *self.lines, "    return 0", ""]
        return EmittedKernel("\n".join(lines), tuple(self.words), extent, tuple(self.checks))


def buffer_like(value: Value) -> Value:
    """What stands for the buffer of a value."""
    return Value(value.type, value.name)


def while_kernel(equation: Equation) -> LoopKernel:
    """The kernel of a scalar `while`."""
    condition, body = equation.attributes["condition"], equation.attributes["body"]
    count: int = equation.attributes["carried"]
    writer = LoopWriter()
    finals = tuple(map(buffer_like, body.inputs[:count]))
    captured = {place: buffer_like(body.inputs[place]) for place in range(count, len(body.inputs))}
    rounds, more = Value(TensorType(int64, ()), "rounds"), Value(TensorType(bool_, ()), "more")
    pointers = [writer.pointer(one) for one in finals]
    places = {place: writer.pointer(one) for place, one in captured.items()}
    counted, flag = writer.pointer(rounds), writer.pointer(more)
    carried = [writer.fresh("c") for _ in finals]
    for name, pointer in zip(carried, pointers, strict=True):
        writer.line(f"{name} = {pointer}[0]")
    fixed = {place: writer.fresh() for place in captured}
    for place, name in fixed.items():
        writer.line(f"{name} = {places[place]}[0]")
    inputs = [*carried, *(fixed[place] for place in range(count, len(body.inputs)))]
    limit = max(1, _MOST_WORK // _cost(body, condition))
    writer.line(f"n = {counted}[0]")
    writer.line(f"left = int64({limit})")
    _ask(writer, condition, inputs, 1)
    writer.line("go = boolean(again)")
    writer.line("while go:")
    names = dict(zip(body.inputs, inputs, strict=True))
    writer.statements(body, names, 2)
    writer.hand_on(carried, body.outputs, names, 2)
    writer.line("n = int64(n + int64(1))", 2)
    writer.line("left = int64(left - int64(1))", 2)
    _ask(writer, condition, inputs, 2)
    writer.line("go = boolean(again & (left > int64(0)))", 2)
    for name, pointer in zip(carried, pointers, strict=True):
        writer.line(f"{pointer}[0] = {name}")
    writer.line(f"{counted}[0] = n")
    writer.line(f"{flag}[0] = again")
    return LoopKernel(writer.finished("while_" + body.name), captured, finals, (), rounds, more)


def _ask(writer: LoopWriter, condition: Graph, inputs: Sequence[str], indent: int) -> None:
    names = dict(zip(condition.inputs, inputs, strict=True))
    writer.statements(condition, names, indent)
    writer.line(f"again = boolean({names[condition.outputs[0]]})", indent)


def scan_kernel(equation: Equation) -> LoopKernel:
    """The kernel of a scalar `scan`."""
    attributes = equation.attributes
    body: Graph = attributes["body"]
    count, sliced, in_pieces = attributes["carried"], attributes["sliced"], goes_in_pieces(equation)
    writer = LoopWriter()
    first = count if in_pieces else 0
    inputs = {place: buffer_like(value) for place, value in enumerate(body.inputs) if place >= first}
    finals = tuple(map(buffer_like, body.outputs[:count]))
    stacked = tuple(map(buffer_like, body.outputs[count:]))
    pointers = {place: writer.pointer(one) for place, one in inputs.items()}
    ends = [writer.pointer(one) for one in (*finals, *stacked)]
    writer.header.append(f"    n0 = {writer.word(Word(number=attributes['length']))}")
    pieces = _Pieces(writer) if in_pieces else None
    index = "i0"
    if attributes["reverse"]:
        writer.header.append(f"    last = {writer.word(Word(number=attributes['length'] - 1))}")
        index = "last - i0"
    carried = [writer.fresh("c") for _ in finals]
    for place, name in enumerate(carried):
        writer.line(f"{name} = {ends[place] if in_pieces else pointers[place]}[0]")
    names = dict(zip(body.inputs, carried, strict=False))
    for place in range(count + sliced, len(body.inputs)):
        names[body.inputs[place]] = writer.fresh()
        writer.line(f"{names[body.inputs[place]]} = {pointers[place]}[0]")
    if pieces is None:
        writer.lines.append(_ROUNDS)
    else:
        pieces.begin(max(1, _MOST_WORK // _cost(body)))
    for place in range(count, count + sliced):
        names[body.inputs[place]] = writer.fresh()
        writer.line(f"{names[body.inputs[place]]} = {pointers[place]}[{index}]", 2)
    writer.statements(body, names, 2)
    for value, pointer in zip(body.outputs[count:], ends[count:], strict=True):
        writer.line(f"{pointer}[{index}] = {dtype_name(value.type.dtype)}({names[value]})", 2)
    writer.hand_on(carried, body.outputs[:count], names, 2)
    if pieces is not None:
        pieces.end()
    elif writer.lines[-1] == _ROUNDS:
        writer.lines.pop()  # rounds that change nothing; Python has no loops without a body
    for name, pointer in zip(carried, ends, strict=False):
        writer.line(f"{pointer}[0] = {name}")
    kernel = writer.finished("scan_" + body.name)
    if pieces is None:
        return LoopKernel(kernel, inputs, finals, stacked)
    return LoopKernel(kernel, inputs, finals, stacked, pieces.rounds, pieces.more)


class _Pieces:
    """Writes a loop over `i0` from where it stopped before up to `n0`, with a limit of its rounds."""

    def __init__(self, writer: LoopWriter) -> None:
        self.rounds, self.more = Value(TensorType(int64, ()), "rounds"), Value(TensorType(bool_, ()), "more")
        self._writer = writer
        self._pointers = writer.pointer(self.rounds), writer.pointer(self.more)

    def begin(self, limit: int) -> None:
        """The head of the loop, whose body stands at indentation 2."""
        self._writer.line(f"i0 = uint64({self._pointers[0]}[0])")
        self._writer.line(f"left = int64({limit})")
        self._writer.line("again = boolean(i0 < n0)")
        self._writer.line("go = boolean(again)")
        self._writer.line("while go:")

    def end(self) -> None:
        """The end of the body, and what stands behind the loop."""
        self._writer.line("i0 = uint64(i0 + uint64(1))", 2)
        self._writer.line("left = int64(left - int64(1))", 2)
        self._writer.line("again = boolean(i0 < n0)", 2)
        self._writer.line("go = boolean(again & (left > int64(0)))", 2)
        self._writer.line(f"{self._pointers[0]}[0] = int64(i0)")
        self._writer.line(f"{self._pointers[1]}[0] = again")
