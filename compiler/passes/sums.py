"""Add up products of rounds in one product behind the loop.

>>> from graphjit.compiler.dump.text import show
>>> show(sums, '''
... f(%x: f32[9,5,2], %w: f32[2,4], %g: f32[5,4]) {
...   %n = constant() {value=dense<i64[]: 9>}
...   %a, %b = scan(%n, %g, %w, %x) {
...     body=body(%g: f32[5,4], %sum: f32[2,4], %row: f32[5,2]) {
...       %h = tanh(%g)
...       %p = matmul(%row, %h) {transpose_a=true, transpose_b=false}
...       %t = add(%sum, %p)
...       return %h, %t
...     },
...     carried=2, length=9, reverse=false, sliced=1
...   }
...   return %b
... }
... ''')
f(%x: f32[9,5,2], %w: f32[2,4], %g: f32[5,4]) {
  %n: i64[] = constant() {value=dense<i64[]: 9>}
  %a: f32[5,4], %5: f32[9,5,4] = scan(%n, %g, %x) {
    body=body(%g: f32[5,4], %row: f32[5,2]) {
      %h: f32[5,4] = tanh(%g)
      return %h, %h
    },
    carried=1,
    length=9,
    reverse=false,
    sliced=1
  }
  %6: f32[45,2] = reshape(%x) {shape=(45, 2)}
  %7: f32[45,4] = reshape(%5) {shape=(45, 4)}
  %8: f32[2,4] = matmul(%6, %7) {transpose_a=true, transpose_b=false}
  %b: f32[2,4] = add(%w, %8)
  return %b
}

So are the gradients of a recurrent cell's weights. The sum of a product's factors over the same rounds, the gradient of
a bias, is one sum as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from graphjit.runtime.fields import dataclass, field

from ..graph import Equation, Graph, Value
from ..loopparts import LoopParts, parts_of, written_again
from ..operand import PUBLIC, Operand
from ..ops.linear import matmul_op
from ..ops.looping import scan_op
from ..rewriting import Rewriter, rewrite

_FEWEST_ROUNDS = 4


def sums(graph: Graph) -> Graph:
    """The graph whose loops leave sums of products to one product."""
    if not any(equation.op is scan_op for equation in graph.equations):
        return graph
    return rewrite(Rewriter(graph), graph, _step)


@dataclass(frozen=True)
class _Sum:
    """A carried value to which each round adds a term: its place, the addition, and what makes the term."""

    place: int
    addition: Equation
    term: Equation


@dataclass
class _Rounds:
    """What a loop stacks, with what is to be stacked in addition."""

    parts: LoopParts
    fresh: list[Value] = field(default_factory=list)

    def has(self, value: Value) -> bool:
        """Whether there are the values of all rounds anyway."""
        there = [row for _, row in self.parts.rows] + [*self.parts.stacked, *self.fresh]
        return any(value is one for one in there)

    def is_made(self, value: Value) -> bool:
        """Whether a round makes a value, or gets it as a row or from the round before."""
        return all(value is not shared for _, shared in self.parts.shared)

    def want(self, value: Value) -> None:
        """Let the loop stack a value."""
        if not self.has(value):
            self.fresh.append(value)


def _step(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
    if equation.op is not scan_op or (equation.attributes["length"] or 0) < _FEWEST_ROUNDS:
        return None
    parts = parts_of(rewriter, equation)
    if not parts.is_static:
        return None
    rounds = _Rounds(parts)
    found = _sums_of(parts)
    taken = [one for one in found if _is_product(one.term) and all(map(rounds.is_made, one.term.operands))]
    for one in taken:
        for factor in one.term.operands:
            rounds.want(factor)
    taken += [one for one in found if _is_sum_of_rows(one.term) and rounds.has(one.term.operands[0])]
    return _written(parts, rounds, taken) if taken else None


def _sums_of(parts: LoopParts) -> list[_Sum]:
    readers = parts.body.uses()
    producers = parts.body.producers
    found = []
    for place, ((_, before), after) in enumerate(zip(parts.carried, parts.handed_on, strict=True)):
        addition = producers.get(after)
        if addition is None or addition.op.name != "add" or before not in addition.operands:
            continue
        term = next((one for one in addition.operands if one is not before), None)
        is_alone = len(readers.get(before, ())) == 1 and before not in parts.body.outputs
        is_read_once = after not in readers and parts.body.outputs.count(after) == 1
        made = None if term is None else producers.get(term)
        fits = term is not None and term.type == before.type and before.type.dtype.numpy.kind == "f"
        if made is not None and is_alone and is_read_once and fits:
            found.append(_Sum(place, addition, made))
    return found


def _is_read_once(parts: LoopParts, term: Equation) -> bool:
    return len(parts.body.uses()[term.output]) == 1 and term.output not in parts.body.outputs


def _is_product(term: Equation) -> bool:
    """Whether a term is the product of two matrices over rows, as the gradient of a weight is."""
    if term.op is not matmul_op or not term.attributes["transpose_a"] or term.attributes["transpose_b"]:
        return False
    return all(operand.type.rank == 2 for operand in term.operands)


def _is_sum_of_rows(term: Equation) -> bool:
    return term.op.name == "reduce_sum" and not term.attributes["keepdims"]


def _written(parts: LoopParts, rounds: _Rounds, taken: Sequence[_Sum]) -> list[Operand]:
    places = {one.place: one for one in taken}
    gone = {one.addition for one in taken} | {one.term for one in taken if _is_read_once(parts, one.term)}
    left = [place for place in range(len(parts.carried)) if place not in places]
    outputs = [*(parts.handed_on[place] for place in left), *parts.stacked, *rounds.fresh]
    made = written_again(
        parts,
        [parts.carried[place] for place in left],
        parts.rows,
        parts.shared,
        [one for one in parts.body.equations if one not in gone],
        outputs,
    )
    all_rounds = {row: operand for operand, row in parts.rows}
    all_rounds |= dict(zip(outputs[len(left) :], made[len(left) :], strict=True))
    finals = dict(zip(left, made, strict=False))
    for place, one in places.items():
        finals[place] = PUBLIC["add"](parts.carried[place][0], _total(one.term, all_rounds))
    return [*(finals[place] for place in range(len(parts.carried))), *made[len(left) : len(left) + len(parts.stacked)]]


def _total(term: Equation, all_rounds: dict[Value, Operand]) -> Operand:
    """The sum of a term over all rounds."""
    given = [all_rounds[operand] for operand in term.operands]
    if term.op is matmul_op:
        left, right = (PUBLIC["reshape"](one, (prod(one.type.sizes[:-1]), one.type.sizes[-1])) for one in given)
        product: Operand = PUBLIC["matmul"](left, right, transpose_a=True)
        return product
    total: Operand = PUBLIC["reduce_sum"](given[0], axis=(0, *(axis + 1 for axis in term.attributes["axis"])))
    return total
