"""Loop nests as kernels: Python text with flat scalar loops, that one can read, run and compile.

The text depends on the pattern of a group (ops, dtypes, which loops which buffer walks
along), and not on sizes, apart from those of very short rows: sizes are words of the
step's block, read at run time. Names in
the text are numbered, so that kernels that differ only in the user's names are one; the
user's names and lines stand in comments.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from graphjit.runtime.fields import dataclass
from graphjit.runtime.kernel_language import STATUS_SLOT

from .families import ReductionKernel
from .graph import Equation, Literal, Value
from .location import place
from .loopnest import Access, LoopNest
from .op import Kind
from .rowpasses import RowWork, planned_spills, work_of
from .tensortype import DType

_SHORT_ROW = 4
"""Rows of so few elements are unrolled, and their size is part of the kernel: several rows fill a vector.

Measured beside a loop: squared distances of points in 2, 3 and 4 dimensions take 0.4, 0.55 and 0.6 of the
time, sums of such rows 0.3 to 0.5, softmax 0.5 to 1.1; from 8 elements on it is slower.
"""


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a kernel's block: the slot of a buffer, or a number."""

    buffer: Value | None = None
    number: int = 0


@dataclass(frozen=True, slots=True)
class EmittedKernel:
    """A kernel's text, what its block holds, and how many rounds its outermost loop has.

    `checks` are the equations whose failure the kernel reports, by error code minus 1.
    """

    text: str
    words: tuple[Word, ...]
    extent: int
    checks: tuple[Equation, ...]


def emit_kernel(nest: LoopNest) -> EmittedKernel:
    """The kernel of a loop nest."""
    return _Emitter(nest).run()


def dtype_name(dtype: DType) -> str:
    """What makes a scalar of this dtype in the kernel language."""
    return "boolean" if dtype.is_bool else dtype.name


def literal_text(value: Any, dtype: DType) -> str:
    """A scalar as an expression that gives exactly its bits.

    >>> from graphjit.compiler.tensortype import float32, int64
    >>> literal_text(0.1, float32), literal_text(-(2**63), int64), literal_text(float("inf"), float32)
    ('float32(0.10000000149011612)', 'int64(-9223372036854775807 - 1)', 'float32(1e999)')
    """
    name = dtype_name(dtype)
    if dtype.is_bool:
        return f"{name}({bool(value)})"
    if dtype.is_integer:
        number = int(value)
        return f"{name}({number + 1} - 1)" if number == -(2**63) else f"{name}({number})"
    number_ = float(np.asarray(value, dtype.numpy))
    if math.isinf(number_):
        return f"{name}({'-' if number_ < 0 else ''}1e999)"
    return f"{name}({number_!r})"


class _Emitter:
    def __init__(self, nest: LoopNest) -> None:
        self.nest = nest
        self.lines: list[str] = []
        self.indent = 1
        self.header: list[str] = []
        self.words: list[Word] = []
        self.names: dict[Value, str] = {}
        self.pointers: dict[Value, str] = {}
        self.checks: list[Equation] = []
        self.size_names: dict[int, str] = {}
        self.stride_names: dict[tuple[Value, int], str] = {}
        self.counter = 0
        self.producers = nest.graph.producers
        self.spills = planned_spills(nest)
        self.split = nest.has_independent_rounds

    # --- the whole ----------------------------------------------------------------------------

    def run(self) -> EmittedKernel:
        self._declare_buffers()
        self._initialize_ended()
        self._constants()
        self._per_row(depth=0, level=0)
        self._loops(list(self.nest.outer))
        text = "\n".join(
            [
                f"# {self.nest.graph.name}",
                "def kernel(addresses, block, lo, hi):",
                *self.header,
                *self.lines,
                "    return 0",
                "",
            ]
        )
        extent = self.nest.sizes[0] if self.split else 1
        return EmittedKernel(text, tuple(self.words), extent, tuple(self.checks))

    def _loops(self, outer: list[int]) -> None:
        """The loops around the rows, and in the innermost of them the passes over a row."""
        if not outer:
            self._passes()
            return
        loop, *rest = outer
        with self._loop(loop):
            if rest:
                self._per_row(depth=loop + 1, level=0)
            self._loops(rest)

    def _passes(self) -> None:
        depth = len(self.nest.outer)
        for level in range(self.nest.passes):
            if level > 0 or depth > 0:
                self._per_row(depth=depth, level=level)
            self._pass(level)

    # --- declarations -------------------------------------------------------------------------

    def _declare_buffers(self) -> None:
        buffers = [(value, "x", access) for value, access in self.nest.reads.items() if not access.computed] + [
            (value, "y", access) for value, access in self.nest.writes.items() if value not in self.nest.over
        ]
        for scope, (value, letter, _access) in enumerate(buffers):
            name = f"{letter}{scope}"
            self.pointers[value] = name
            word = self._word(Word(buffer=value))
            at = f"{value.type.dtype.name}_at(addresses, {word}, {scope})"
            self.header.append(f"    {name} = {at}  # {f'{value.name}: ' if value.name else ''}{value.type}")
        for value, source in self.nest.over.items():
            self.pointers[value] = self.pointers[source]

    def _word(self, word: Word) -> str:
        self.words.append(word)
        return f"block[{len(self.words) - 1}]"

    def _size(self, loop: int) -> str:
        if loop not in self.size_names:
            name, size = f"n{loop}", self.nest.sizes[loop]
            short = loop in self.nest.inner and bool(self.nest.outer) and size <= _SHORT_ROW
            text = f"uint64({size})" if short else self._word(Word(number=size))
            self.header.append(f"    {name} = {text}")
            self.size_names[loop] = name
        return self.size_names[loop]

    def _stride(self, value: Value, loop: int, stride: int) -> str:
        if (value, loop) not in self.stride_names:
            name = f"s{len(self.stride_names)}"
            self.header.append(f"    {name} = {self._word(Word(number=stride))}")
            self.stride_names[value, loop] = name
        return self.stride_names[value, loop]

    def _index(self, value: Value, access: Access) -> str:
        terms: list[str] = []
        if access.offset:
            terms.append(self._stride(value, -1, access.offset))
        for loop, stride in enumerate(access.strides):
            if stride == 1:
                terms.append(f"i{loop}")
            elif stride:
                terms.append(f"i{loop} * {self._stride(value, loop, stride)}")
        return " + ".join(terms) or "0"

    # --- text ---------------------------------------------------------------------------------

    def _line(self, text: str, comment: str = "") -> None:
        self.lines.append("    " * self.indent + text + (f"  # {comment}" if comment else ""))

    @contextmanager
    def _loop(self, loop: int) -> Iterator[None]:
        self._line(f"for i{loop} in range({self._bounds(loop)}):")
        self.indent += 1
        yield
        self.indent -= 1

    def _bounds(self, loop: int) -> str:
        if loop == 0 and self.split:
            return "lo, hi"
        size = self._size(loop)
        if loop != 1 or self.nest.rounds is None:
            return size
        if "rounds = " not in "".join(self.header):
            self.header.append(f"    rounds = {self._word(Word(number=self.nest.rounds))}")
        self._line(f"left = uint64(rounds - i0 * {size})")
        self._line(f"m1 = minimum({size}, left)")
        return "m1"

    def _new_name(self, letter: str = "v") -> str:
        self.counter += 1
        return f"{letter}{self.counter - 1}"

    # --- what is computed where -----------------------------------------------------------------

    def _depth(self, value: Value) -> int:
        """In how many outer loops a value per row has to be computed."""
        nest = self.nest
        if nest.level[value] > 0:
            return len(nest.outer)
        return max((loop + 1 for loop in nest.varies[value]), default=0)

    def _store_depth(self, value: Value) -> int:
        access = self.nest.writes[value]
        return max((loop + 1 for loop, stride in enumerate(access.strides) if stride), default=0)

    def _constants(self) -> None:
        for equation in self.nest.graph.equations:
            if equation.op.kind is Kind.SOURCE:
                literal: Literal = equation.attributes["value"]
                self.names[equation.output] = literal_text(literal.array.item(), equation.output.type.dtype)

    def _per_row(self, depth: int, level: int) -> None:
        """Values that are the same along a row, their stores, and sums of them."""
        nest = self.nest
        for value in nest.reads:
            if level == 0 and nest.is_per_row(value) and self._depth(value) == depth:
                self._load(value, self.names)
        for equation in nest.graph.equations:
            value = equation.output
            if value in nest.ended:
                self._accumulate_per_row(equation, depth, level)
                continue
            mine = nest.is_per_row(value) and nest.level[value] == level and self._depth(value) == depth
            if mine and value not in nest.row_reductions and equation.op.kind is not Kind.SOURCE:
                self._compute(equation, self.names)
            if value in nest.writes and nest.is_written_per_row(value) and nest.level[value] == level:
                at = len(nest.outer) if level else max(self._store_depth(value), self._depth(value))
                if at == depth:
                    self._store(value, self.names[value])

    def _accumulate_per_row(self, equation: Equation, depth: int, level: int) -> None:
        (operand,) = equation.operands
        nest = self.nest
        if depth == len(nest.outer) and nest.level[operand] == level and not nest.meets_elements(equation.output):
            self._combine_in_memory(equation, self.names[operand])

    # --- passes over a row ----------------------------------------------------------------------

    def _pass(self, level: int) -> None:
        work = work_of(self.nest, level)
        if work.is_empty:
            return
        accumulators = {equation.output: self._open_accumulator(equation) for equation in work.sums}
        self._row_loops(sorted(self.nest.inner), level, work, accumulators)
        for equation in work.sums:
            self.names[equation.output] = self._closed_accumulator(equation, accumulators[equation.output])

    def _open_accumulator(self, equation: Equation) -> str:
        name = self._new_name("acc")
        order = _order_dtype(equation)
        initial = self._initial(equation) if order is None else f"{order}(0)"
        self._line(f"{name} = {initial}", comment_of(equation))
        return name

    def _closed_accumulator(self, equation: Equation, accumulator: str) -> str:
        """The name of what was accumulated, as a number of the equation's dtype."""
        if _order_dtype(equation) is None:
            return accumulator
        name = self._new_name()
        kernel: ReductionKernel = equation.op.kernel
        dtype = dtype_name(equation.output.type.dtype)
        number = str(kernel.order_of).format(x=f"{dtype}_from_order({accumulator})")
        self._line(f"{name} = {dtype}({number})")
        return name

    def _row_loops(self, loops: list[int], level: int, work: RowWork, accumulators: Mapping[Value, str]) -> None:
        if not loops:
            names = dict(self.names)
            self._row_body(level, work.wanted, work.stores, names)
            for equation in (*work.sums, *work.ends):
                self._take_in(equation, accumulators.get(equation.output), names[equation.operands[0]])
            return
        loop, *rest = loops
        local = dict(accumulators)
        registers = [one for one in work.ends if not rest and loop in self.nest.ended[one.output]]
        for equation in registers:
            local[equation.output] = self._open_accumulator(equation)
        with self._loop(loop):
            self._row_loops(rest, level, work, local)
        for equation in registers:
            self._combine_in_memory(equation, self._closed_accumulator(equation, local[equation.output]))

    def _take_in(self, equation: Equation, accumulator: str | None, name: str) -> None:
        if accumulator is None:
            self._combine_in_memory(equation, name)
        else:
            self._combine(equation, accumulator, name)

    def _row_body(self, level: int, wanted: Sequence[Value], stores: Sequence[Value], names: dict[Value, str]) -> None:
        """Everything that the wanted values need for one element, and the stores."""
        needed = self._needed(wanted, level, names)
        for value in self.nest.reads:
            if value in needed and value not in names:
                self._load(value, names)
        for equation in self.nest.graph.equations:
            value = equation.output
            if value not in needed or value in names:
                continue
            if self._is_spilled_before(value, level):
                name = names[value] = self._new_name()
                target = self.spills[value][0]
                self._line(f"{name} = {self._element(target)}")
                continue
            self._compute(equation, names)
            if value in self.spills and self.spills[value][1] == level:
                self._store(self.spills[value][0], names[value])
        for value in stores:
            self._store(value, names[value])

    def _needed(self, wanted: Sequence[Value], level: int, names: Mapping[Value, str]) -> set[Value]:
        needed: set[Value] = set()
        stack = [value for value in wanted if value not in names]
        while stack:
            value = stack.pop()
            if value in needed:
                continue
            needed.add(value)
            if value in self.producers and not self._is_spilled_before(value, level):
                stack.extend(one for one in self.producers[value].operands if one not in names)
        return needed

    def _is_spilled_before(self, value: Value, level: int) -> bool:
        return value in self.spills and self.spills[value][1] < level

    # --- statements ---------------------------------------------------------------------------

    def _load(self, value: Value, names: dict[Value, str]) -> None:
        access = self.nest.reads[value]
        name = names[value] = self._new_name()
        if access.computed:
            self._line(f"{name} = {dtype_name(value.type.dtype)}({self._index(value, access)})")
        else:
            self._line(f"{name} = {self.pointers[value]}[{self._index(value, access)}]")

    def _element(self, value: Value) -> str:
        return f"{self.pointers[value]}[{self._index(value, self.nest.writes[value])}]"

    def _store(self, value: Value, name: str) -> None:
        self._line(f"{self._element(value)} = {name}")

    def _compute(self, equation: Equation, names: dict[Value, str]) -> None:
        value = equation.output
        if equation.op.kind is Kind.VIEW:
            names[value] = names[equation.operands[0]]
            return
        operands = [names[operand] for operand in equation.operands]
        check = check_text_of(equation)
        if check is not None:
            self._check(equation, check, operands)
        name = names[value] = self._new_name()
        if equation.op.kind is Kind.REDUCTION:
            expression = self._combined(equation, self._initial(equation), operands[0])
        else:
            expression = filled(equation.op.kernel, equation, operands)
        self._line(f"{name} = {dtype_name(value.type.dtype)}({expression})", comment_of(equation))

    def _check(self, equation: Equation, check: str, operands: Sequence[str]) -> None:
        condition = filled(check, equation, operands)
        if equation not in self.checks:
            self.checks.append(equation)
        self._line(f"if {condition}:")
        for position, operand in enumerate(operands):
            if f"{{{position}}}" in equation.op.error:
                self._line(f"    {self._details()}[{position}] = int64({operand})")
        self._line(f"    return {self.checks.index(equation) + 1}")

    def _details(self) -> str:
        """The pointer to the words in which a failing kernel leaves what it found."""
        if "details = " not in "".join(self.header):
            self.header.append(f"    details = int64_at(addresses, {STATUS_SLOT}, {len(self.pointers)})")
        return "details"

    # --- reductions ---------------------------------------------------------------------------

    def _initial(self, equation: Equation) -> str:
        kernel: ReductionKernel = equation.op.kernel
        text = kernel.initial(equation.output.type.dtype)
        return literal_text(_number(text), equation.output.type.dtype)

    def _combined(self, equation: Equation, accumulator: str, name: str) -> str:
        kernel: ReductionKernel = equation.op.kernel
        dtype = dtype_name(equation.output.type.dtype)
        return f"{dtype}({kernel.combine.format(acc=accumulator, x=name, T=dtype)})"

    def _combine(self, equation: Equation, accumulator: str, name: str) -> None:
        order = _order_dtype(equation)
        combined = self._combined(equation, accumulator, name)
        if order is not None:
            kernel: ReductionKernel = equation.op.kernel
            number = str(kernel.order_of).format(x=name)
            combined = f"{order}(maximum({accumulator}, {dtype_name(equation.output.type.dtype)}_order({number})))"
        self._line(f"{accumulator} = {combined}", comment_of(equation))

    def _combine_in_memory(self, equation: Equation, name: str) -> None:
        element = self._element(equation.output)
        self._line(f"{element} = {self._combined(equation, element, name)}", comment_of(equation))

    def _initialize_ended(self) -> None:
        for value in self.nest.ended:
            equation = self.producers[value]
            loops = [loop for loop, stride in enumerate(self.nest.writes[value].strides) if stride]
            self._initialize(equation, loops)

    def _initialize(self, equation: Equation, loops: list[int]) -> None:
        if not loops:
            self._store(equation.output, self._initial(equation))
            return
        with self._loop(loops[0]):
            self._initialize(equation, loops[1:])


def _order_dtype(equation: Equation) -> str | None:
    """The dtype of the whole numbers in which a reduction finds an extreme of floats; None where it does not."""
    kernel: ReductionKernel = equation.op.kernel
    dtype = equation.output.type.dtype
    return None if kernel.order_of is None or not dtype.is_floating else f"uint{8 * dtype.size}"


def _number(text: str) -> Any:
    """The number that a reduction starts from, written as a literal."""
    if text in ("True", "False"):
        return text == "True"
    try:
        return int(text)
    except ValueError:
        return float(text)


def check_text_of(equation: Equation) -> str | None:
    """The expression that is true where an element is an error."""
    return equation.op.check_text(equation.operand_types, equation.attributes)


def filled(template: Any, equation: Equation, operands: Sequence[str]) -> str:
    """An op's template with the names of operands and dtypes put in."""
    text: str = template(equation.operand_types, equation.attributes) if callable(template) else template
    dtypes = {f"T{number}": dtype_name(operand.type.dtype) for number, operand in enumerate(equation.operands)}
    return text.format(*operands, T=dtype_name(equation.output.type.dtype), **dtypes)


def comment_of(equation: Equation) -> str:
    """What stands beside an equation's statement: the user's name and line."""
    name = f"{equation.output.name} = " if equation.output.name else ""
    where = f", {place(equation.location)}" if equation.location else ""
    return f"{name}{equation.op.name}{where}"
