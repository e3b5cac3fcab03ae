"""Drop what branches and loops compute, carry, stack or take in for nobody.

>>> from graphjit.compiler.dump.text import show
>>> show(prune, '''
... f(%p: bool[], %a: f32[2], %b: f32[2]) {
...   %x, %y = cond(%p, %a, %b) {
...     if_false=no(%a: f32[2], %b: f32[2]) { return %a, %b },
...     if_true=yes(%a: f32[2], %b: f32[2]) { %c = exp(%a); return %c, %b }
...   }
...   return %x
... }
... ''')
f(%p: bool[], %a: f32[2], %b: f32[2]) {
  %x: f32[2] = cond(%p, %a) {
    if_false=no(%a: f32[2]) {
      return %a
    },
    if_true=yes(%a: f32[2]) {
      %c: f32[2] = exp(%a)
      return %c
    }
  }
  return %x
}

A gradient reads a loop's history, and often not what the loop was written for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from graphjit.runtime.fields import replace

from ..control import BRANCHES, LOOPS
from ..graph import Equation, Graph, Value
from ..ops.branching import branch_attributes, branches_of, cond_op
from ..ops.looping import while_op


def prune(graph: Graph) -> Graph:
    """The graph whose branches and loops do only what is read."""
    read = set(graph.outputs)
    kept: list[Equation] = []
    for equation in reversed(graph.equations):
        if equation.op in BRANCHES:
            equation = _branches(equation, read)
        elif equation.op in LOOPS:
            equation = _loop(equation, read)
        read.update(equation.operands)
        kept.append(equation)
    kept.reverse()
    same = all(new is old for new, old in zip(kept, graph.equations, strict=True))
    return graph if same else graph.with_equations(kept)


def _needed(graph: Graph, outputs: Collection[Value]) -> tuple[tuple[Equation, ...], set[Value]]:
    """The equations that lead to some results, or count by themselves, and all that is read on the way."""
    read = set(outputs)
    found = []
    for equation in reversed(graph.equations):
        if equation.must_run or any(value in read for value in equation.outputs):
            read.update(equation.operands)
            found.append(equation)
    return tuple(reversed(found)), read


def _narrowed(graph: Graph, outputs: Sequence[Value], inputs: Sequence[int] | None = None) -> Graph:
    """A graph with some of its results and inputs, and what they need."""
    equations, _ = _needed(graph, outputs)
    places = range(len(graph.inputs)) if inputs is None else inputs
    return Graph(graph.name, tuple(graph.inputs[place] for place in places), equations, tuple(outputs))


def _pick(values: Sequence[Any], places: Collection[int]) -> tuple[Any, ...]:
    return tuple(value for place, value in enumerate(values) if place in places)


def _branches(equation: Equation, read: Collection[Value]) -> Equation:
    graphs = branches_of(equation.attributes)
    wanted = [place for place, value in enumerate(equation.outputs) if value in read]
    used: set[int] = set()
    for graph in graphs:
        _, inside = _needed(graph, _pick(graph.outputs, wanted))
        used.update(place for place, value in enumerate(graph.inputs) if value in inside)
    if len(wanted) == len(equation.outputs) and len(used) == len(equation.operands) - 1:
        return equation
    inputs = sorted(used)
    narrowed = [_narrowed(graph, _pick(graph.outputs, wanted), inputs) for graph in graphs]
    return replace(
        equation,
        operands=(equation.operands[0], *_pick(equation.operands[1:], used)),
        attributes=branch_attributes(narrowed, equation.op is cond_op),
        outputs=_pick(equation.outputs, wanted),
    )


def _loop(equation: Equation, read: Collection[Value]) -> Equation:
    body: Graph = equation.attributes["body"]
    carried: int = equation.attributes["carried"]
    is_while = equation.op is while_op
    condition: Graph | None = equation.attributes.get("condition")
    asked = set() if condition is None else _needed(condition, condition.outputs)[1]
    tested = set() if condition is None else {p for p, value in enumerate(condition.inputs) if value in asked}
    stacked = {place for place in range(carried, len(body.outputs)) if equation.outputs[place] in read}
    state = {place for place in range(carried) if equation.outputs[place] in read or place in tested}
    while True:
        _, inside = _needed(body, _pick(body.outputs, state | stacked))
        met = {place for place in range(carried) if body.inputs[place] in inside} | state
        if met == state:
            break
        state = met
    used = state | tested | {p for p, value in enumerate(body.inputs) if p >= carried and value in inside}
    if len(used) == len(body.inputs) and len(stacked) == len(body.outputs) - carried:
        return equation
    outputs = _pick(body.outputs, state | stacked)
    inputs = sorted(used)
    offset = 0 if is_while else 1
    attributes = {**equation.attributes, "body": _narrowed(body, outputs, inputs), "carried": len(state)}
    if condition is not None:
        attributes["condition"] = _narrowed(condition, condition.outputs, inputs)
    if not is_while:
        behind = carried + equation.attributes["sliced"]
        attributes["sliced"] = sum(carried <= place < behind for place in used)
    rest = range(len(body.outputs), len(equation.outputs))
    return replace(
        equation,
        operands=(*equation.operands[:offset], *_pick(equation.operands[offset:], used)),
        attributes=attributes,
        outputs=_pick(equation.outputs, {*state, *stacked, *rest}),
    )
