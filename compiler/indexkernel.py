"""Kernels of gathering along an axis, and of adding up what was gathered: indices are checked where they are read.

Rows of the operand are read, or rows of the result added to, at positions that another operand holds:

    for i0 in the places before the axis:
        for i1 in the indices:
            at = index i1 (of batch i0), checked
            for i2 in the places behind the axis:
                result[i0, i1, i2] = x[i0, at, i2]          or      result[i0, at, i2] += g[i0, i1, i2]

Knows the two ops by the facet `index_kernel` of their declarations.
"""

from __future__ import annotations

from graphjit.runtime.fields import dataclass

from .emit import EmittedKernel, Word
from .graph import Equation
from .kernel_facts import why_not_type
from .loopkernel import LoopWriter
from .tensortype import element_count

_LONGEST_SERIAL = 2**23
"""Elements that a kernel adds up in one piece, which no signal interrupts: some ten milliseconds."""
_NARROW = 16
"""Rows of fewer elements are not cut into columns."""
_COLUMNS = 64
"""So many elements of a row lie in one piece: whole lines of the cache."""


@dataclass(frozen=True, slots=True)
class _Sizes:
    """How many places there are before the axis, along it, of indices, and behind the axis."""

    before: int
    size: int
    count: int
    behind: int
    batched: bool


def index_kernel(equation: Equation) -> EmittedKernel | None:
    """The kernel of an equation whose op says `index_kernel`; None where it must be a NumPy step."""
    kind = equation.op.index_kernel
    if not kind or any(why_not_type(value.type) for value in (*equation.operands, *equation.outputs)):
        return None
    sizes = _sizes(equation)
    if sizes is None or 0 in (sizes.before, sizes.size, sizes.count, sizes.behind):
        return None
    return _gathering(equation, sizes) if kind == "gather" else _adding(equation, sizes)


def _sizes(equation: Equation) -> _Sizes | None:
    """None where some axes but not all before the axis are batches."""
    axis, batch = equation.attributes["axis"], equation.attributes["batch_dims"]
    whole = equation.operands[0] if equation.op.index_kernel == "gather" else equation.output
    if batch not in (0, axis):
        return None
    shape, indices = whole.type.sizes, equation.operands[1].type.sizes
    return _Sizes(
        element_count(shape[:axis]),
        shape[axis],
        element_count(indices[batch:]),
        element_count(shape[axis + 1 :]),
        batched=batch > 0,
    )


class _Text:
    """The parts that both kernels have."""

    def __init__(self, equation: Equation, sizes: _Sizes) -> None:
        self.equation = equation
        self.writer = LoopWriter()
        self.sizes = sizes
        self.source, self.index, self.target = (
            self.writer.pointer(value) for value in (*equation.operands, equation.output)
        )
        self.names = {
            name: self._number(f"n{place}", number)
            for place, (name, number) in enumerate(
                (("size", sizes.size), ("count", sizes.count), ("behind", sizes.behind))
            )
        }

    def _number(self, name: str, number: int) -> str:
        self.writer.header.append(f"    {name} = {self.writer.word(Word(number=number))}")
        return name

    def read_index(self, indent: int) -> None:
        """Let `at` be the index of this round; leave with an error if it is out of range."""
        writer = self.writer
        place = f"i0 * {self.names['count']} + i1" if self.sizes.batched else "i1"
        writer.line(f"at = uint64(int64({self.index}[{place}]))", indent)
        writer.line(f"if at >= {self.names['size']}:", indent)
        if self.equation not in writer.checks:
            writer.checks.append(self.equation)
        details = writer.details_name()
        writer.line(f"{details}[0] = int64(at)", indent + 1)
        writer.line(f"{details}[1] = int64({place})", indent + 1)
        writer.line(f"return {writer.checks.index(self.equation) + 1}", indent + 1)

    def element(self, along: str, length: str, outer: bool, column: str) -> str:
        """The position of an element: before the axis, along it, behind it."""
        row = f"(i0 * {self.names[length]} + {along})" if outer else along
        return row if self.sizes.behind == 1 else f"{row} * {self.names['behind']} + {column}"

    def over_columns(self, width: str, indent: int, statement: str) -> None:
        """A statement for each place behind the axis."""
        if self.sizes.behind > 1:
            self.writer.line(f"for i2 in range({width}):", indent)
            indent += 1
        self.writer.line(statement, indent)


def _gathering(equation: Equation, sizes: _Sizes) -> EmittedKernel:
    text = _Text(equation, sizes)
    writer, outer = text.writer, sizes.before > 1
    indent = 1
    if outer:
        writer.line("for i0 in range(lo, hi):", indent)
        indent += 1
    writer.line(f"for i1 in range({text.names['count'] if outer else 'lo, hi'}):", indent)
    text.read_index(indent + 1)
    target, source = text.element("i1", "count", outer, "i2"), text.element("at", "size", outer, "i2")
    text.over_columns(text.names["behind"], indent + 1, f"{text.target}[{target}] = {text.source}[{source}]")
    return writer.finished(equation.op.name, sizes.before if outer else sizes.count)


def _adding(equation: Equation, sizes: _Sizes) -> EmittedKernel | None:
    """Each piece of the kernel adds up rows, or columns, of its own, in the order of the indices."""
    dtype = equation.output.type.dtype
    outer, cut = sizes.before > 1, sizes.before == 1 and sizes.behind >= _NARROW
    if dtype.is_bool or (not outer and not cut and sizes.size + sizes.count * sizes.behind > _LONGEST_SERIAL):
        return None
    text = _Text(equation, sizes)
    writer = text.writer
    width, begin, indent = text.names["behind"], "", 1
    if outer or cut:
        writer.line("for i0 in range(lo, hi):", indent)
        indent += 1
    if cut:
        writer.line(f"begin = i0 * uint64({_COLUMNS})", indent)
        writer.line(f"width = minimum(uint64({_COLUMNS}), uint64({width} - begin))", indent)
        width, begin = "width", "begin + "
    zero, add = (text.element(along, "size", outer, f"{begin}i2") for along in ("i3", "at"))
    source = text.element("i1", "count", outer, f"{begin}i2")
    writer.line(f"for i3 in range({text.names['size']}):", indent)
    text.over_columns(width, indent + 1, f"{text.target}[{zero}] = {dtype.name}(0)")
    writer.line(f"for i1 in range({text.names['count']}):", indent)
    text.read_index(indent + 1)
    added = f"{text.target}[{add}] = {dtype.name}({text.target}[{add}] + {text.source}[{source}])"
    text.over_columns(width, indent + 1, added)
    blocks = -(-sizes.behind // _COLUMNS)
    return writer.finished(equation.op.name, sizes.before if outer else blocks if cut else 1)


def index_error(values: tuple[int, ...], equation: Equation) -> str:
    """What is said of an index that is out of range: its value and its flat position among the indices."""
    sizes = _sizes(equation)
    assert sizes is not None
    type = equation.operands[1].type
    value = values[0] % 2**64 if type.dtype.is_unsigned else values[0]
    place = values[1]
    where: list[int] = []
    for size in reversed(type.sizes):
        place, position = divmod(place, size)
        where.insert(0, position)
    at = f" (at position {where} of the indices)" if where else ""
    axis = equation.attributes["axis"]
    return f"index {value}{at} is out of range for axis {axis} of size {sizes.size}"


__all__: list[str] = []
