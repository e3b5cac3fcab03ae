"""Large reductions in blocks, which threads can share: one kernel reduces the blocks, small ones put them together.

The outermost loop is cut into equal blocks, and whatever is reduced over it gets one
result for each block. How many blocks there are follows from sizes alone, and they
are put together in order, so results do not depend on the number of threads.

A row reduction without loops around it can be cut where all that follows it is computed
once: a vector's norm, but not a vector divided by its norm. The last block may be
shorter than the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from graphjit.runtime.fields import dataclass, replace
from graphjit.runtime.program import SHARED_COST

from .graph import Equation, Graph, Value
from .loopnest import Access, LoopNest
from .tensortype import TensorType

_BLOCK_COST = SHARED_COST // 4
_MOST_BLOCKS = 1024
_SHORTEST_BLOCK = 16
"""Rounds that a block has at least: the results of blocks are small beside what is reduced."""
_WHOLE_ROUNDS = 64
"""Blocks of many rounds are multiples of this, so that each begins where a line of the cache does."""


@dataclass(frozen=True)
class Blocks:
    """A nest that leaves one result for each block in `partials`, and the nests that put them together."""

    nest: LoopNest
    partials: tuple[Value, ...]
    rests: tuple[LoopNest, ...]


def in_blocks(nest: LoopNest, cost: int) -> Blocks | None:
    """The nest in blocks; None where it is small, can be shared as it is, or cannot be cut."""
    ended = [value for value, loops in nest.ended.items() if 0 in loops]
    rows = [value for value in nest.row_reductions if 0 in nest.inner]
    if cost < SHARED_COST or not (ended or rows) or not _can_be_cut(nest, bool(rows)):
        return None
    size = _block_size(nest.sizes[0], cost)
    count = -(-nest.sizes[0] // size)
    if count < 2:
        return None
    partials = {value: Value(TensorType(value.type.dtype, (count, *value.type.sizes))) for value in (*ended, *rows)}
    rests = [_combined(nest, value, partials[value], count) for value in ended]
    if rows:
        rests.append(_continued(nest, {value: partials[value] for value in rows}, count))
    return Blocks(_cut(nest, partials, count, size), tuple(partials.values()), tuple(rests))


def _can_be_cut(nest: LoopNest, rows: bool) -> bool:
    """Whether the outermost loop is the same for all results, and nothing walks through a reduced row again."""
    if any(0 not in loops and not nest.writes[value].strides[0] for value, loops in nest.ended.items()):
        return False
    if not rows:
        return True
    late = [one for one in nest.graph.equations if any(nest.level[operand] for operand in one.operands)]
    return all(nest.is_per_row(value) for equation in late for value in (*equation.operands, equation.output))


def _block_size(rounds: int, cost: int) -> int:
    """How many rounds a block has, so that there are about as many blocks as the cost asks for."""
    wanted = max(2, min(cost // _BLOCK_COST, _MOST_BLOCKS, rounds // _SHORTEST_BLOCK))
    size = max(_SHORTEST_BLOCK, -(-rounds // wanted))
    return -(-size // _WHOLE_ROUNDS) * _WHOLE_ROUNDS if size > 4 * _WHOLE_ROUNDS else size


# --- the blocks -------------------------------------------------------------------------------


def _cut(nest: LoopNest, partials: Mapping[Value, Value], count: int, size: int) -> LoopNest:
    """The nest with a loop over blocks around it, and without what comes after reduced rows."""
    rows = 0 in nest.inner and bool(nest.row_reductions)
    kept = [
        equation
        for equation in nest.graph.equations
        if not rows or equation.output in partials or not nest.level[equation.output]
    ]
    equations = tuple(
        replace(equation, outputs=tuple(partials.get(value, value) for value in equation.outputs)) for equation in kept
    )
    writes = {
        value: _cut_access(access, size)
        for value, access in nest.writes.items()
        if value not in partials and not (rows and nest.level[value])
    }
    writes |= {partial: _partial_access(nest, value, partial) for value, partial in partials.items()}
    known = {*nest.graph.inputs, *(equation.output for equation in kept)}
    return LoopNest(
        Graph(nest.graph.name, nest.graph.inputs, equations, tuple(writes)),
        (count, size, *nest.sizes[1:]),
        _shifted(nest.inner),
        {value: _cut_access(access, size) for value, access in nest.reads.items()},
        writes,
        {partials.get(value, value): _cut_loops(nest.varies[value], value in partials) for value in known},
        {partials.get(value, value): nest.level[value] for value in known},
        {partials.get(value, value): _shifted(loops) for value, loops in nest.ended.items()},
        frozenset(partials.get(value, value) for value in nest.row_reductions),
        nest.sizes[0] if count * size > nest.sizes[0] else None,
        {value: source for value, source in nest.over.items() if value in writes},
    )


def _shifted(loops: Iterable[int]) -> frozenset[int]:
    return frozenset(loop + 1 for loop in loops)


def _cut_loops(loops: frozenset[int], partial: bool) -> frozenset[int]:
    """The loops that a value varies with: with the blocks as well, if with the loop that is cut."""
    return _shifted(loops) | ({0} if partial or 0 in loops else set())


def _cut_access(access: Access, size: int) -> Access:
    first, *rest = access.strides
    return replace(access, strides=(first * size, first, *rest))


def _partial_access(nest: LoopNest, value: Value, partial: Value) -> Access:
    """One result after the other, each as it would lie in the whole result, if it has a place there."""
    inside = nest.writes[value].strides if value in nest.writes else (0,) * len(nest.sizes)
    return Access(0, (value.type.element_count, *inside))


# --- what puts them together ------------------------------------------------------------------


def _combined(nest: LoopNest, value: Value, partial: Value, count: int) -> LoopNest:
    """The reduction of the blocks' results to a result that is complete after all loops."""
    length = value.type.element_count
    if length == 1:
        return _continued(nest, {value: partial}, count, alone=True)
    equation = replace(nest.graph.producers[value], operands=(partial,))
    return LoopNest(
        Graph(f"{nest.graph.name}_together", (partial,), (equation,), (value,)),
        (count, length),
        frozenset({1}),
        {partial: Access(0, (length, 1))},
        {value: Access(0, (0, 1))},
        {partial: frozenset({0, 1}), value: frozenset({1})},
        {partial: 0, value: 0},
        {value: frozenset({0})},
        frozenset(),
    )


def _continued(nest: LoopNest, partials: Mapping[Value, Value], count: int, alone: bool = False) -> LoopNest:
    """The reduction of the blocks' results to scalars, and, unless it is `alone`, what follows it."""
    equations = [replace(nest.graph.producers[value], operands=(partial,)) for value, partial in partials.items()]
    if not alone:
        equations += _following(nest, partials)
    made = {equation.output for equation in equations}
    inputs = [value for value in nest.graph.inputs if any(value in equation.operands for equation in equations)]
    outputs = tuple(value for value in nest.writes if value in made and (value in partials or nest.level[value]))
    level = dict.fromkeys([*partials.values(), *inputs], 0)
    for equation in equations:
        below = max((level[operand] for operand in equation.operands), default=0)
        level[equation.output] = 1 if equation.output in partials else below
    return LoopNest(
        Graph(f"{nest.graph.name}_together", (*partials.values(), *inputs), tuple(equations), outputs),
        (count,),
        frozenset({0}),
        {partial: Access(0, (1,)) for partial in partials.values()}
        | {value: replace(nest.reads[value], strides=(0,)) for value in inputs},
        {value: Access(nest.writes[value].offset, (0,)) for value in outputs},
        {value: frozenset({0}) if value in partials.values() else frozenset() for value in level},
        level,
        {},
        frozenset(partials),
    )


def _following(nest: LoopNest, partials: Mapping[Value, Value]) -> list[Equation]:
    """What is computed from the reduced rows, and the scalars that it needs."""
    found: list[Equation] = []
    needed: set[Value] = set()
    for equation in reversed(nest.graph.equations):
        late = nest.level[equation.output] > 0 and equation.output not in nest.ended
        if equation.output not in partials and (late or equation.output in needed):
            found.append(equation)
            needed.update(equation.operands)
    return found[::-1]
