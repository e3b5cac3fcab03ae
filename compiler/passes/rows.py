"""Let a loop that picks rows by the number of the round have these rows.

>>> from graphjit.compiler.dump.text import show
>>> show(rows, '''
... f(%x: f32[3,2], %s: f32[2]) {
...   %n = constant() {value=dense<i64[]: 3>}
...   %zero = constant() {value=dense<i32[]: 0>}
...   %last, %sum = scan(%n, %zero, %s, %x) {
...     body=body(%i: i32[], %s: f32[2], %x: f32[3,2]) {
...       %row = gather(%x, %i) {axis=0, batch_dims=0}
...       %one = constant() {value=dense<i32[]: 1>}
...       %next = add(%i, %one)
...       %t = add(%s, %row)
...       return %next, %t
...     },
...     carried=2, length=3, reverse=false, sliced=0
...   }
...   return %sum
... }
... ''')
f(%x: f32[3,2], %s: f32[2]) {
  %n: i64[] = constant() {value=dense<i64[]: 3>}
  %zero: i32[] = constant() {value=dense<i32[]: 0>}
  %last: i32[], %sum: f32[2] = scan(%n, %zero, %s, %x, %x) {
    body=body(%i: i32[], %s: f32[2], %row: f32[2], %x: f32[3,2]) {
      %one: i32[] = constant() {value=dense<i32[]: 1>}
      %next: i32[] = add(%i, %one)
      %t: f32[2] = add(%s, %row)
      return %next, %t
    },
    carried=2,
    length=3,
    reverse=false,
    sliced=1
  }
  return %sum
}

So is `for row in tensor` traced, whose rows then need no check and no copy, and are known to later passes. Numbers that
follow from the number of the round are computed for all rounds here, to see which rows are picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.fields import dataclass, field

from ..graph import Equation, Graph, Value, substitute
from ..loopparts import LoopParts, Pair, parts_of, written_again
from ..op import Kind
from ..operand import Operand
from ..ops.gathering import gather_op
from ..ops.looping import scan_op
from ..ops.slicing import slice_along, take_slice
from ..rewriting import Rewriter, rewrite

_MOST_ROUNDS = 1 << 16

Numbers = np.ndarray[Any, Any]
"""A number for each round."""


def rows(graph: Graph) -> Graph:
    """The graph whose loops over rows have them."""
    if not any(equation.op is scan_op for equation in graph.equations):
        return graph
    return rewrite(Rewriter(graph), graph, _step)


def _step(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
    if equation.op is not scan_op or equation.attributes["reverse"]:
        return None
    parts = parts_of(rewriter, equation)
    if not parts.length or parts.length > _MOST_ROUNDS:
        return None
    found = _Rows(rewriter, parts, _numbers(rewriter, parts))
    found.look()
    pairs = [*parts.rows, *found.fresh]
    over = {value: operand for operand, value in pairs}
    results = [found.replaced.get(value, value) for value in parts.body.outputs]
    handed_on, stacked = results[: len(parts.carried)], results[len(parts.carried) :]
    left = [value for value in stacked if value not in over]
    if not found.replaced and len(left) == len(stacked):
        return None
    made = iter(written_again(parts, parts.carried, pairs, parts.shared, found.kept, [*handed_on, *left]))
    finals = [next(made) for _ in parts.carried]
    # stacked rows are what they are rows of
    return [*finals, *(over[value] if value in over else next(made) for value in stacked)]


def _numbers(rewriter: Rewriter, parts: LoopParts) -> dict[Value, Numbers]:
    """The numbers in a body that are known for each round."""
    found: dict[Value, Numbers] = {}
    producers = parts.body.producers
    for (operand, value), after in zip(parts.carried, parts.handed_on, strict=True):
        begin = rewriter.static_value(operand)
        step = _raised_by(value, producers.get(after), producers)
        if begin is None or begin.ndim or not value.type.dtype.is_integer or step is None:
            continue
        last = int(begin) + step * int(parts.length or 0)
        if np.iinfo(begin.dtype).min <= last <= np.iinfo(begin.dtype).max:
            found[value] = (int(begin) + step * np.arange(parts.length or 0)).astype(begin.dtype)
    lists: dict[Value, Numbers] = {}
    for operand, value in parts.shared:
        known = _integers(rewriter, rewriter.lift(operand).value)
        if known is not None and known.ndim == 0:
            found[value] = np.full(parts.length or 0, known)
        elif known is not None:
            lists[value] = known
    for equation in parts.body.equations:
        _note(equation, found, lists, parts.length or 0)
    return found


def _integers(rewriter: Rewriter, value: Value) -> Numbers | None:
    """An integer, or a list of them such as a range, where it is known."""
    equation = rewriter.producers.get(value)
    if equation is None or value.type.rank > 1 or value.type.dtype.numpy.kind not in "iu":
        return None
    if equation.op.name in ("constant", "iota"):
        return np.asarray(equation.op.numpy(**equation.attributes))
    if equation.op.kind not in (Kind.ELEMENTWISE, Kind.VIEW) or equation.must_run:
        return None
    given = [_integers(rewriter, operand) for operand in equation.operands]
    known = [one for one in given if one is not None]
    return np.asarray(equation.op.numpy(*known, **equation.attributes)) if len(known) == len(given) else None


def _raised_by(value: Value, equation: Equation | None, producers: Any) -> int | None:
    if equation is None or equation.op.name != "add" or value not in equation.operands:
        return None
    others = [one for one in equation.operands if one is not value]
    step = producers.get(others[0]) if len(others) == 1 else None
    if step is None or step.op.name != "constant":
        return None
    return int(step.attributes["value"].array)


def _note(equation: Equation, found: dict[Value, Numbers], lists: dict[Value, Numbers], length: int) -> None:
    if equation.op is gather_op and equation.output.type.rank == 0:
        numbers, places = (known.get(one) for known, one in zip((lists, found), equation.operands, strict=True))
        if numbers is not None and places is not None and ((places >= 0) & (places < len(numbers))).all():
            found[equation.output] = numbers[places]
        return
    if equation.op.name == "constant":
        array = equation.attributes["value"].array
        if array.ndim == 0 and array.dtype.kind in "iub":
            found[equation.output] = np.full(length, array)
        elif array.ndim == 1 and array.dtype.kind in "iu":
            lists[equation.output] = array
        return
    if equation.op.kind is not Kind.ELEMENTWISE or equation.must_run or len(equation.outputs) != 1:
        return
    is_number = equation.output.type.rank == 0 and equation.output.type.dtype.numpy.kind in "iub"
    if is_number and all(operand in found for operand in equation.operands):
        given = [found[operand] for operand in equation.operands]
        found[equation.output] = np.asarray(equation.op.numpy(*given, **equation.attributes))


@dataclass
class _Rows:
    """The rows that a body picks, and what is left of the body."""

    rewriter: Rewriter
    parts: LoopParts
    numbers: dict[Value, Numbers]
    fresh: list[Pair] = field(default_factory=list)
    replaced: dict[Value, Value] = field(default_factory=dict)
    kept: list[Equation] = field(default_factory=list)

    def look(self) -> None:
        """Replace the equations that pick rows."""
        shared = {value: operand for operand, value in self.parts.shared}
        for original in self.parts.body.equations:
            equation = substitute(original, self.replaced)
            over = self.picked(equation, shared) if equation.op is gather_op else None
            if over is None:
                self.kept.append(equation)
            else:
                row = Value(equation.output.type, equation.output.name)
                self.fresh.append((over, row))
                self.replaced[original.output] = row
                if original.output in self.numbers:
                    self.numbers[row] = self.numbers[original.output]

    def picked(self, equation: Equation, shared: dict[Value, Operand]) -> Operand | None:
        """What has the rows that an equation picks, in their order."""
        x, index = equation.operands
        places = self.numbers.get(index)
        if places is None or equation.attributes != {"axis": 0, "batch_dims": 0}:
            return None
        inside = self.parts.body.producers.get(x)
        if inside is not None and inside.op.name == "constant":
            return _in_order(self.rewriter.constant(inside.attributes["value"].array), places.astype(np.int64))
        return _in_order(shared[x], places.astype(np.int64)) if x in shared else None


def _in_order(x: Operand, places: Numbers) -> Operand | None:
    size, count = x.type.sizes[0], len(places)
    first, last = int(places[0]), int(places[-1])
    if not 0 <= min(first, last) <= max(first, last) < size:
        return None
    if np.array_equal(places, first + np.arange(count)):
        part: Operand = x if count == size else slice_along(x, 0, first, last + 1)
        return part
    if np.array_equal(places, first - np.arange(count)):
        others = (None,) * (x.type.rank - 1)
        steps = (-1, *[1] * len(others))
        turned: Operand = take_slice(x, (first, *others), (last - 1 if last else None, *others), steps)
        return turned
    return None
