"""Compute with padded operands piece by piece: at the edges the padding is a number, between them nothing is padded.

>>> from graphjit.compiler.dump.text import show
>>> show(peel, '''
... f(%a: f32[9999], %b: f32[10000]) {
...   %zero = constant() {value=dense<f32[]: 0.0>}
...   %p: f32[10000] = pad(%a, %zero) {interior=(0,), paddings=((0, 1),)}
...   %c: f32[10000] = add(%p, %b)
...   return %c
... }
... ''')
f(%a: f32[9999], %b: f32[10000]) {
  %zero: f32[] = constant() {value=dense<f32[]: 0.0>}
  %3: f32[9999] = strided_slice(%b) {begin=(0,), drop=(), end=(9999,), step=(1,)}
  %4: f32[9999] = add(%a, %3)
  %5: f32[1] = strided_slice(%b) {begin=(9999,), drop=(), end=(10000,), step=(1,)}
  %6: f32[1] = add(%zero, %5)
  %c: f32[10000] = concat(%4, %6) {axis=0}
  return %c
}

So the gradient of differences between neighbours, a sum of padded terms, is one loop that reads no padded copy,
and a loop over each edge; the kernels write their pieces where the whole lies. Cheap terms are computed again from
what they are made of, not stored and read. A sum over what the inner piece computes anyway is cut at the same
places, so that one loop does both; only in such a sum does the order of additions change.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, cast

from graphjit.runtime.fields import dataclass

from ..dispatch import apply, interpreting
from ..graph import Equation, Graph, Value
from ..kernel_facts import runs_in_kernel, why_not_type
from ..kernelcost import is_costly
from ..op import Kind
from ..operand import Operand
from ..ops.broadcasting import broadcast_to
from ..ops.joining import concat_op
from ..ops.padding import pad_op
from ..ops.slicing import slice_along
from ..rewriting import Rewriter, rewrite
from .dce import dce

_FEWEST_ELEMENTS = 4096
"""Below this a kernel for each edge takes longer than a padded copy."""
_MOST_PIECES = 5
_MOST_EQUATIONS = 40
"""What one piece may consist of."""


def peel(graph: Graph) -> Graph:
    """The graph with elementwise equations over padded operands cut at the paddings."""
    cuts = _find_cuts(graph)
    return dce(rewrite(_Peeler(graph, cuts), graph, _step)) if cuts else graph


@dataclass(frozen=True, slots=True)
class _Cut:
    """Where a value is cut: the axis, and the places of the cuts with both ends."""

    axis: int
    borders: tuple[int, ...]

    @property
    def pieces(self) -> list[tuple[int, int]]:
        """Begin and end of each piece."""
        return list(pairwise(self.borders))

    @property
    def main(self) -> tuple[int, int]:
        """The largest piece."""
        return max(self.pieces, key=lambda piece: piece[1] - piece[0])


class _Peeler(Rewriter):
    """A rewriter that knows where to cut: elementwise results, and the operands of sums."""

    def __init__(self, graph: Graph, cuts: Mapping[Value, _Cut]) -> None:
        super().__init__(graph)
        self.cuts = cuts


def _step(peeler: _Peeler, equation: Equation) -> Sequence[Operand] | None:
    cut = peeler.cuts.get(equation.outputs[0]) if equation.outputs else None
    if cut is None:
        return None
    if equation.op.name == "reduce_sum":
        return [_sum_of_pieces(peeler, equation, cut)]
    pieces = [_Piece(peeler, cut.axis, *piece).of_result(equation) for piece in cut.pieces]
    return [apply(concat_op, *pieces, axis=cut.axis)]


def _sum_of_pieces(peeler: _Peeler, equation: Equation, cut: _Cut) -> Operand:
    (operand,) = equation.operands
    pieces = [_Piece(peeler, cut.axis, *piece).of(operand) for piece in cut.pieces]
    first, *others = [apply(equation.op, piece, **equation.attributes) for piece in pieces]
    for other in others:
        first = first + other
    return cast(Operand, first)


# --- where to cut -----------------------------------------------------------------------------


def _find_cuts(graph: Graph) -> dict[Value, _Cut]:
    """The values to cut: those computed from padded ones, and what is summed beside them."""
    cuts: dict[Value, _Cut] = {}
    if not any(equation.op is pad_op for equation in graph.equations):
        return cuts
    readers = graph.uses()
    for equation in graph.equations:
        if not _ends_here(equation, readers):
            continue
        cut = _cut_of(graph, equation)
        known = None if cut is None else _parts_in_main_piece(graph, equation, cut)
        if cut is not None and known is not None:
            cuts[equation.output] = cut
            cuts.update(_cuts_of_sums(graph, cut, known))
    return cuts


def _ends_here(equation: Equation, readers: Mapping[Value, list[Equation]]) -> bool:
    """Whether this is a large elementwise equation whose result no kernel takes in."""
    if equation.op.kind is not Kind.ELEMENTWISE or not runs_in_kernel(equation):
        return False
    value = equation.output
    large = value.type.element_count >= _FEWEST_ELEMENTS
    return large and not any(runs_in_kernel(one) for one in readers.get(value, []))


def _cut_of(graph: Graph, equation: Equation) -> _Cut | None:
    """Cuts at the paddings along one axis, where most of the result lies in one piece."""
    terms = _cheap_terms(graph, equation.output)
    pads = [one for value in terms if (one := graph.producers.get(value)) is not None and one.op is pad_op]
    axes = [axis for pad in pads for axis in _padded_axes(pad)]
    if not axes:
        return None
    axis = axes[0]
    size = equation.output.type.sizes[axis]
    paddings = [pad.attributes["paddings"][axis] for pad in pads if _padded_axes(pad) == [axis]]
    borders = {0, size, *(before for before, _after in paddings), *(size - after for _before, after in paddings)}
    cut = _Cut(axis, tuple(sorted(borders)))
    begin, end = cut.main
    few = 1 < len(cut.pieces) <= _MOST_PIECES
    return cut if few and 2 * (end - begin) >= size else None


def _cheap_terms(graph: Graph, value: Value) -> set[Value]:
    """The values of its shape that a value is computed from through cheap equations, itself and the last ones."""
    found: set[Value] = set()
    stack = [value]
    while stack and len(found) < _MOST_EQUATIONS:
        one = stack.pop()
        if one in found or one.type.shape != value.type.shape:
            continue
        found.add(one)
        equation = graph.producers.get(one)
        if equation is not None and (one is value or _is_computed_again(equation)):
            stack.extend(equation.operands)
    return found


def _is_computed_again(equation: Equation) -> bool:
    """Whether computing an element again takes less than storing and reading it."""
    cheap = not is_costly(equation) and not equation.must_run
    return cheap and equation.op.kind is Kind.ELEMENTWISE and runs_in_kernel(equation)


def _padded_axes(pad: Equation) -> list[int]:
    """The one axis along which there is padding; none where there are several, or gaps."""
    if any(pad.attributes["interior"]) or why_not_type(pad.output.type) is not None:
        return []
    axes = [axis for axis, padding in enumerate(pad.attributes["paddings"]) if any(padding)]
    return axes if len(axes) == 1 else []


def _parts_in_main_piece(graph: Graph, equation: Equation, cut: _Cut) -> set[tuple[Value, int, int]] | None:
    """Which parts of which values the largest piece is computed from; None where that is too much."""
    trial = Rewriter(graph)
    for one in graph.equations:
        trial.keep(one)
    with interpreting(trial):
        piece = _Piece(trial, cut.axis, *cut.main)
        piece.of_result(equation)
    return set(piece.known) if len(piece.known) <= _MOST_EQUATIONS else None


def _cuts_of_sums(graph: Graph, cut: _Cut, known: set[tuple[Value, int, int]]) -> dict[Value, _Cut]:
    """Sums of what the largest piece computes anyway: of these elements they are taken in the same loop."""
    found: dict[Value, _Cut] = {}
    for equation in graph.equations:
        if equation.op.name != "reduce_sum" or cut.axis not in equation.attributes["axis"]:
            continue
        (operand,) = equation.operands
        producer = graph.producers.get(operand)
        if producer is None or not _is_computed_again(producer) or not runs_in_kernel(equation):
            continue
        terms = _cheap_terms(graph, operand)
        shared = Counter((begin, end) for value, begin, end in known if value in terms)
        if shared:
            (begin, end), _often = shared.most_common(1)[0]
            size = operand.type.sizes[cut.axis]
            found[equation.output] = _Cut(cut.axis, tuple(sorted({0, begin, end, size})))
    return found


# --- pieces -----------------------------------------------------------------------------------


class _Piece:
    """Values from `begin` to `end` along an axis of the result, written as often as the result needs them."""

    def __init__(self, writer: Rewriter, axis: int, begin: int, end: int) -> None:
        self._writer = writer
        self._axis = axis
        self._from_behind = 0
        self._bounds = begin, end
        self.known: dict[tuple[Value, int, int], Operand] = {}

    def of_result(self, equation: Equation) -> Operand:
        """The result of an equation that is not written yet."""
        self._from_behind = equation.output.type.rank - self._axis
        return self._filled(equation.output, self._computed(equation, *self._bounds))

    def of(self, value: Value) -> Operand:
        """A value that is written already, computed again."""
        self._from_behind = value.type.rank - self._axis
        return self._filled(value, self.part(value, *self._bounds))

    def _filled(self, value: Value, made: Operand) -> Operand:
        """The piece in its full shape; it may be the same everywhere, where all was padding."""
        begin, end = self._bounds
        shape = [end - begin if axis == self._axis else size for axis, size in enumerate(value.type.sizes)]
        return made if list(made.type.shape) == shape else cast(Operand, broadcast_to(made, shape))

    def part(self, value: Value, begin: int, end: int) -> Operand:
        """The value between two places along the axis; all of it where it has no such axis."""
        (whole,) = self._writer.symbols([value])
        axis = value.type.rank - self._from_behind
        if axis < 0 or value.type.sizes[axis] == 1:
            return whole
        if (begin, end) == (0, value.type.sizes[axis]):
            return whole
        key = (value, begin, end)
        if key not in self.known:
            self.known[key] = self._new_part(whole, axis, begin, end)
        return self.known[key]

    def _new_part(self, whole: Any, axis: int, begin: int, end: int) -> Operand:
        producer = self._writer.producers.get(whole.value)
        if producer is not None and producer.op is pad_op and _padded_axes(producer) == [axis]:
            return self._part_of_padded(producer, axis, begin, end)
        if producer is not None and _is_computed_again(producer) and len(self.known) <= _MOST_EQUATIONS:
            return self._computed(producer, begin, end)
        sliced: Operand = slice_along(whole, axis, begin, end)
        return sliced

    def _part_of_padded(self, pad: Equation, axis: int, begin: int, end: int) -> Operand:
        inner, filling = pad.operands
        before = pad.attributes["paddings"][axis][0]
        if end <= before or begin >= before + inner.type.sizes[axis]:
            return self._writer.symbols([filling])[0]
        return self.part(inner, begin - before, end - before)

    def _computed(self, equation: Equation, begin: int, end: int) -> Operand:
        operands = [self.part(operand, begin, end) for operand in equation.operands]
        made: Operand = apply(equation.op, *operands, **equation.attributes)
        return made
