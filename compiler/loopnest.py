"""A fused group as a loop nest with numbers: loops, strides, and what is computed where.

Axes become strides here: every buffer is seen as an offset and one stride for each
loop. Neighbouring loops that every buffer walks through without a gap are one loop.
What is left says which values are computed before the loops, once per row, or for
each element, and in which pass over the row.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from graphjit.runtime.fields import dataclass, field

from .graph import Equation, Graph, Value
from .layout import Layout, contiguous
from .loopspace import Axes
from .op import Kind


@dataclass(frozen=True, slots=True)
class Access:
    """A buffer as the loops see it. `computed` means that there is no buffer: the position is the element."""

    offset: int
    strides: tuple[int, ...]
    computed: bool = False


@dataclass(frozen=True, slots=True)
class Source:
    """Where an input of a group lies."""

    layout: Layout
    computed: bool = False


@dataclass(frozen=True)
class LoopNest:
    """Loops (outermost first) and, for every value, how it varies with them.

    `inner` are the loops inside a row: those that reductions run over, or the last loop where there
    is no reduction. `reads` and `writes` hold the accesses of inputs and outputs. `varies` tells the
    loops that a value depends on, `level` how many row reductions come before it. A reduction in
    `ended` is accumulated in memory, once for each round of the loops in its value.
    Where `rounds` is given, the loops 0 and 1 run over so many rounds together, and the last time
    loop 1 ends early.
    """

    graph: Graph
    sizes: tuple[int, ...]
    inner: frozenset[int]
    reads: Mapping[Value, Access]
    writes: Mapping[Value, Access]
    varies: Mapping[Value, frozenset[int]]
    level: Mapping[Value, int]
    ended: Mapping[Value, frozenset[int]]
    row_reductions: frozenset[Value]
    rounds: int | None = None
    over: Mapping[Value, Value] = field(default_factory=dict)
    """For an output that lies where an input lies that input: each element is read and written in one round."""

    @property
    def outer(self) -> tuple[int, ...]:
        """The loops around a row, outermost first."""
        return tuple(loop for loop in range(len(self.sizes)) if loop not in self.inner)

    @property
    def passes(self) -> int:
        """How often a row is walked through, at most."""
        return 1 + max(self.level.values(), default=0)

    @property
    def has_independent_rounds(self) -> bool:
        """Whether the rounds of the outermost loop can run in any order: each one writes elements of its own."""
        whole_rows = not self.row_reductions or 0 not in self.inner
        return bool(self.sizes) and whole_rows and all(self.writes[value].strides[0] for value in self.ended)

    def is_written_per_row(self, value: Value) -> bool:
        """Whether a result is stored once for each row, and not for each element of it."""
        strides = self.writes[value].strides
        return not any(strides[loop] for loop in self.inner) and self.is_per_row(value)

    def meets_elements(self, value: Value) -> bool:
        """Whether a reduction in memory meets every element of a row, and not one value per row."""
        kept = {loop for loop, stride in enumerate(self.writes[value].strides) if stride}
        return bool((self.ended[value] | kept) & self.inner)

    def is_per_row(self, value: Value) -> bool:
        """Whether a value is the same for all elements of a row."""
        return not self.varies[value] & self.inner


def build_loopnest(
    graph: Graph,
    domain: Sequence[int],
    inner: Sequence[int] | None,
    axes: Sequence[Axes],
    sources: Sequence[Source],
    targets: Mapping[Value, Layout] | None = None,
    over: Mapping[Value, Value] | None = None,
) -> LoopNest:
    """The loop nest of a `fused` equation whose inputs lie at `sources`.

    `targets` say where outputs lie that are no buffer of their own; `over` tells the inputs in whose
    place outputs are computed.
    """
    defined = [*graph.inputs, *(equation.output for equation in graph.equations)]
    axes_of = dict(zip(defined, axes, strict=True))
    loops = len(domain)
    reads = {
        value: Access(source.layout.offset, _strides(axes_of[value], source.layout.strides, loops), source.computed)
        for value, source in zip(graph.inputs, sources, strict=True)
    }
    writes = {}
    for value in graph.outputs:
        target = (targets or {}).get(value) or contiguous(value.type.sizes)
        writes[value] = Access(target.offset, _strides(axes_of[value], target.strides, loops))
    row = frozenset(inner or ())
    ended_loops, row_reductions = _reductions(graph, axes_of, row)
    accesses = [*reads.values(), *writes.values()]
    kept = _kept_loops(domain, row, accesses, ended_loops.values())
    number = {loop: position for position, loop in enumerate(kept)}
    sizes = _collapsed_sizes(domain, kept)
    collapsed_row = frozenset(number[loop] for loop in row if loop in number)
    ended = {
        value: frozenset(number[loop] for loop in loops_ if loop in number) for value, loops_ in ended_loops.items()
    }
    collapsed_reads = {value: _collapsed(access, kept) for value, access in reads.items()}
    varies, level = _dependence(graph, collapsed_reads, collapsed_row, ended, row_reductions)
    if inner is None and sizes:
        collapsed_row = frozenset({len(sizes) - 1})
    return LoopNest(
        graph,
        sizes,
        collapsed_row,
        collapsed_reads,
        {value: _collapsed(access, kept) for value, access in writes.items()},
        varies,
        level,
        ended,
        row_reductions,
        over=over or {},
    )


def _strides(axes: Axes, strides: Sequence[int], loops: int) -> tuple[int, ...]:
    by_loop = [0] * loops
    for loop, stride in zip(axes, strides, strict=True):
        if loop is not None:
            by_loop[loop] = stride
    return tuple(by_loop)


def _reductions(
    graph: Graph, axes_of: Mapping[Value, Axes], row: frozenset[int]
) -> tuple[dict[Value, frozenset[int]], frozenset[Value]]:
    """The reductions that are accumulated in memory, with their loops, and those that are made per row.

    A reduction over axes of size 1 only is neither: it is elementwise.
    """
    ended: dict[Value, frozenset[int]] = {}
    per_row: set[Value] = set()
    for equation in graph.equations:
        if equation.op.kind is Kind.REDUCTION:
            loops = _reduced_loops(equation, axes_of)
            if loops == row:
                per_row.update(equation.outputs if loops else ())
            elif loops:
                ended[equation.output] = loops
    return ended, frozenset(per_row)


def _reduced_loops(equation: Equation, axes_of: Mapping[Value, Axes]) -> frozenset[int]:
    axes = axes_of[equation.operands[0]]
    return frozenset(loop for axis in equation.attributes["axis"] if (loop := axes[axis]) is not None)


def _kept_loops(
    domain: Sequence[int],
    row: frozenset[int],
    accesses: Sequence[Access],
    ended: Iterable[frozenset[int]],
) -> tuple[int, ...]:
    """The loops that stay: each stands for itself and for the loops before it that were merged into it."""
    groups = [row, *ended]
    kept: list[int] = []
    for loop in range(len(domain)):
        if kept and kept[-1] == loop - 1 and _mergeable(loop - 1, loop, domain, groups, accesses):
            kept[-1] = loop
        else:
            kept.append(loop)
    return tuple(kept)


def _mergeable(
    first: int,
    second: int,
    domain: Sequence[int],
    groups: Sequence[frozenset[int]],
    accesses: Sequence[Access],
) -> bool:
    if any((first in group) != (second in group) for group in groups):
        return False
    return all(access.strides[first] == access.strides[second] * domain[second] for access in accesses)


def _collapsed_sizes(domain: Sequence[int], kept: Sequence[int]) -> tuple[int, ...]:
    sizes: list[int] = []
    start = 0
    for loop in kept:
        size = 1
        for merged in domain[start : loop + 1]:
            size *= merged
        sizes.append(size)
        start = loop + 1
    return tuple(sizes)


def _collapsed(access: Access, kept: Sequence[int]) -> Access:
    return Access(access.offset, tuple(access.strides[loop] for loop in kept), access.computed)


def _dependence(
    graph: Graph,
    reads: Mapping[Value, Access],
    row: frozenset[int],
    ended: Mapping[Value, frozenset[int]],
    row_reductions: frozenset[Value],
) -> tuple[dict[Value, frozenset[int]], dict[Value, int]]:
    """For every value the loops it depends on, and the number of row reductions before it."""
    varies = {
        value: frozenset(loop for loop, stride in enumerate(access.strides) if stride)
        for value, access in reads.items()
    }
    level = dict.fromkeys(reads, 0)
    for equation in graph.equations:
        value = equation.output
        loops = frozenset[int]().union(*(varies[operand] for operand in equation.operands))
        depth = max((level[operand] for operand in equation.operands), default=0)
        if value in row_reductions:
            loops -= row
            depth += 1
        elif value in ended:
            loops -= ended[value]
        varies[value] = loops
        level[value] = depth
    return varies, level
