"""The passes over a row: what each of them stores and sums, and what is kept from one for the next.

Pass n comes after n row reductions. A value that is the same along a row is computed
between the passes; the others are computed in each pass that needs them, unless they
are costly and a result's memory can keep them.
"""

from __future__ import annotations

from collections.abc import Sequence

from graphjit.runtime.fields import dataclass

from .graph import Equation, Value
from .kernelcost import is_costly
from .loopnest import LoopNest


@dataclass(frozen=True, slots=True)
class RowWork:
    """What one pass does for each element: store results, take part in row reductions (`sums`) and in
    reductions in memory (`ends`), and check (`checks`)."""

    stores: Sequence[Value]
    sums: Sequence[Equation]
    ends: Sequence[Equation]
    checks: Sequence[Equation]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not (self.stores or self.sums or self.ends or self.checks)

    @property
    def wanted(self) -> list[Value]:
        """The values that have to be computed."""
        reduced = [equation.operands[0] for equation in (*self.sums, *self.ends)]
        return [*self.stores, *reduced, *(equation.output for equation in self.checks)]


def work_of(nest: LoopNest, level: int) -> RowWork:
    """What is to be done in the pass behind `level` row reductions."""
    equations = nest.graph.equations
    return RowWork(
        stores=[
            value
            for value in nest.writes
            if value not in nest.ended and nest.level[value] == level and not nest.is_written_per_row(value)
        ],
        sums=[one for one in equations if one.output in nest.row_reductions and _reads_level(nest, one, level)],
        ends=[
            one
            for one in equations
            if one.output in nest.ended and _reads_level(nest, one, level) and nest.meets_elements(one.output)
        ],
        checks=[
            one
            for one in equations
            if one.op.check_text(one.operand_types, one.attributes) is not None
            and not nest.is_per_row(one.output)
            and nest.level[one.output] == level
        ],
    )


def _reads_level(nest: LoopNest, equation: Equation, level: int) -> bool:
    return nest.level[equation.operands[0]] == level


def planned_spills(nest: LoopNest) -> dict[Value, tuple[Value, int]]:
    """Costly values that a later pass needs again, each with the result whose memory keeps it until then.

    The memory is that of a result which is written in the last of these passes or behind it. The number is
    that of the first pass that computes the value; the later ones read it back.
    """
    passes = _passes_that_need(nest)
    spills: dict[Value, tuple[Value, int]] = {}
    taken: set[Value] = set()
    for equation in nest.graph.equations:
        value = equation.output
        needed_in = passes.get(value, [])
        if len(needed_in) < 2 or not is_costly(equation):
            continue
        last = needed_in[-1]
        target = next((one for one in nest.writes if one not in taken and _can_hold(nest, one, value, last)), None)
        if target is not None:
            taken.add(target)
            spills[value] = (target, needed_in[0])
    return spills


def _passes_that_need(nest: LoopNest) -> dict[Value, list[int]]:
    """The passes in which each value of the elements is computed, where nothing is kept."""
    producers = nest.graph.producers
    passes: dict[Value, list[int]] = {}
    for level in range(nest.passes):
        seen: set[Value] = set()
        stack = work_of(nest, level).wanted
        while stack:
            value = stack.pop()
            if value in seen or nest.is_per_row(value):
                continue
            seen.add(value)
            passes.setdefault(value, []).append(level)
            if value in producers:
                stack.extend(producers[value].operands)
    return passes


def _can_hold(nest: LoopNest, target: Value, value: Value, last: int) -> bool:
    """Whether the memory of result `target` is free until after pass `last`, and has the value's elements."""
    if target in nest.ended or target is value or target.type.dtype is not value.type.dtype:
        return False
    varies = {loop for loop, stride in enumerate(nest.writes[target].strides) if stride}
    return nest.level[target] >= last and varies >= nest.varies[value]
