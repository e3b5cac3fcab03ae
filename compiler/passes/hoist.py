"""Compute before a loop what its rounds would compute alike, and products of rows for all rows at once.

>>> from graphjit.compiler.dump.text import show
>>> show(hoist, '''
... f(%x: f32[3,5,2], %w: f32[2,4], %s: f32[5,4]) {
...   %n = constant() {value=dense<i64[]: 3>}
...   %sum = scan(%n, %s, %x, %w) {
...     body=body(%s: f32[5,4], %row: f32[5,2], %w: f32[2,4]) {
...       %p = matmul(%row, %w) {transpose_a=false, transpose_b=false}
...       %t = add(%s, %p)
...       return %t
...     },
...     carried=1, length=3, reverse=false, sliced=1
...   }
...   return %sum
... }
... ''')
f(%x: f32[3,5,2], %w: f32[2,4], %s: f32[5,4]) {
  %n: i64[] = constant() {value=dense<i64[]: 3>}
  %4: f32[3,5,4] = matmul(%x, %w) {transpose_a=false, transpose_b=false}
  %sum: f32[5,4] = scan(%n, %s, %x, %4, %w) {
    body=body(%s: f32[5,4], %row: f32[5,2], %p: f32[5,4], %w: f32[2,4]) {
      %t: f32[5,4] = add(%s, %p)
      return %t
    },
    carried=1,
    length=3,
    reverse=false,
    sliced=2
  }
  return %sum
}

One large product takes a fraction of the time of many small ones. What may fail stays, as the loop may have no rounds.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..batching import at_once
from ..graph import Equation, Graph, Value
from ..loopparts import LoopParts, Pair, parts_of, written_again
from ..op import Kind
from ..operand import Operand
from ..ops.linear import matmul_op
from ..ops.looping import scan_op
from ..rewriting import Rewriter, rewrite
from ..writer import replay

_PURE = (Kind.ELEMENTWISE, Kind.VIEW, Kind.REDUCTION, Kind.CONTRACTION)


def hoist(graph: Graph) -> Graph:
    """The graph whose loops do in each round only what differs."""
    if not any(equation.op is scan_op for equation in graph.equations):
        return graph
    return rewrite(Rewriter(graph), graph, _step)


def _step(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
    if equation.op is not scan_op or not equation.attributes["length"]:
        return None
    parts = parts_of(rewriter, equation)
    if not parts.is_static:
        return None
    alike = _following(parts, [value for _, value in parts.shared])
    by_row = _following(parts, [value for pairs in (parts.rows, parts.shared) for _, value in pairs])
    wide = any(value.type.rank for value in parts.body.values())
    same = [one.output for one in alike if wide and one.op.kind not in (Kind.SOURCE, Kind.VIEW)]
    products = [one.output for one in by_row if _is_worth_it(one, parts, alike)]
    if not same and not products:
        return None
    shared = [*parts.shared, *_once(rewriter, parts, alike, same)]
    rows = [*parts.rows, *_for_all_rows(parts, by_row, products)]
    gone = {*same, *products}
    kept = [one for one in parts.body.equations if not gone.intersection(one.outputs)]
    return written_again(parts, parts.carried, rows, shared, kept, parts.body.outputs)


def _following(parts: LoopParts, known: Sequence[Value]) -> dict[Equation, None]:
    """The equations that follow from these inputs alone, and may be computed where they are not needed."""
    values = set(known)
    found: dict[Equation, None] = {}
    for equation in parts.body.equations:
        is_pure = equation.op.kind in _PURE or equation.op.name == "constant"
        if is_pure and not equation.must_run and all(operand in values for operand in equation.operands):
            values.update(equation.outputs)
            found[equation] = None
    return found


def _is_worth_it(equation: Equation, parts: LoopParts, alike: dict[Equation, None]) -> bool:
    """Whether an equation is a product of a row with a matrix that is the same in all rounds."""
    if equation.op is not matmul_op or equation.attributes["transpose_a"]:
        return False
    left, right = equation.operands
    same = {value for _, value in parts.shared} | {value for one in alike for value in one.outputs}
    return left not in same and right in same and right.type.rank == 2


def _once(rewriter: Rewriter, parts: LoopParts, known: dict[Equation, None], wanted: Sequence[Value]) -> list[Pair]:
    """Values that are alike in all rounds, each with an input for it."""
    graph, operands = _leading_to(parts, parts.shared, known, wanted)
    return list(zip(replay(graph, operands, rewriter), wanted, strict=True))


def _for_all_rows(parts: LoopParts, known: dict[Equation, None], wanted: Sequence[Value]) -> list[Pair]:
    """Values that follow from a row, for all rows, each with an input for a row of it."""
    graph, operands = _leading_to(parts, (*parts.rows, *parts.shared), known, wanted)
    flags = [place < len(parts.rows) for place in range(len(operands))]
    return list(zip(at_once(graph, operands, flags, parts.length or 0), wanted, strict=True))


def _leading_to(
    parts: LoopParts, given: Sequence[Pair], known: dict[Equation, None], wanted: Sequence[Value]
) -> tuple[Graph, list[Operand]]:
    """The part of the body that makes some values, and what its inputs are."""
    needed = set(wanted)
    found = []
    for equation in reversed(list(known)):
        if needed.intersection(equation.outputs):
            needed.update(equation.operands)
            found.append(equation)
    graph = Graph(parts.body.name, tuple(value for _, value in given), tuple(reversed(found)), tuple(wanted))
    return graph, [operand for operand, _ in given]
