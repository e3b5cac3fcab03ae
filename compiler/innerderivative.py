"""The derivative of a graph that an equation holds, cut in two like that of a whole graph.

The forward part is the graph itself, with more equations behind its own; the values that it hands over become
further results of the equation. So nothing is computed twice, and an effect in the graph stays the only one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from graphjit.runtime.fields import dataclass

from .dispatch import apply_all, current_interpreter, current_scope, interpreting, tell_recorders
from .gradient import Recording, backward, is_differentiable
from .graph import Equation, Graph, Value, without_effects
from .kernelcost import is_costly
from .op import Kind, Op
from .operand import PUBLIC, Operand
from .subgraph import SubgraphWriter
from .tensortype import TensorType
from .writer import Symbol


@dataclass(frozen=True)
class InnerHalves:
    """A graph's derivative by some of its inputs.

    Attributes:
      forward: equations that begin with the graph's own.
      backward: equations that read what `wanted` names, the graph's inputs, cotangents and captures.
      cotangents: for each of the first results its cotangent, None where it has none.
      gradients: for each input by which was differentiated.
      kept: values of the forward part that the backward part reads; results and inputs may be among them.
      captures: operands of the graph around that only the backward part reads, with the values that stand for them.
    """

    forward: tuple[Equation, ...]
    backward: tuple[Equation, ...]
    cotangents: tuple[Value | None, ...]
    gradients: tuple[Value | None, ...]
    kept: tuple[Value, ...]
    captures: tuple[tuple[Operand, Value], ...]


class _Continued(SubgraphWriter):
    """Writes behind the equations of a finished graph."""

    def __init__(self, graph: Graph) -> None:
        super().__init__(graph.name, current_interpreter(), locate=False)
        self.inputs = list(graph.inputs)
        self.equations = list(graph.equations)
        self.environment = {value: Symbol(value, self) for value in graph.values()}
        for equation in graph.equations:
            self._producers.update(dict.fromkeys(equation.outputs, equation))

    def symbols(self, values: Sequence[Value], equation: Equation | None = None) -> tuple[Symbol, ...]:
        """Values of the graph as operands."""
        return tuple(Symbol(value, self, None if equation is None else equation.location) for value in values)


def _recorded(writer: _Continued, graph: Graph, by: Sequence[int]) -> Recording:
    recording = Recording()
    for position in by:
        recording.watch(Symbol(graph.inputs[position], writer))
    for equation in graph.equations:
        operands, outputs = writer.symbols(equation.operands), writer.symbols(equation.outputs, equation)
        recording.record(equation.op, operands, equation.attributes, outputs)
    return recording


def active_carried(graph: Graph, count: int, wanted: Sequence[int]) -> list[int]:
    """Which of the first `count` inputs, which a loop carries, depend on the wanted ones after some rounds."""
    writer = _Continued(graph)
    active = [position for position in range(count) if position in wanted]
    while True:
        sources = sorted({*wanted, *active})
        recording = _recorded(writer, graph, sources)
        keys = recording.reach([Symbol(graph.inputs[position], writer) for position in sources])
        found = [
            position
            for position in range(count)
            if position in active
            or (id(graph.outputs[position]) in keys and is_differentiable(graph.inputs[position].type.dtype))
        ]
        if found == active:
            return active
        active = found


def derive_inside(
    graph: Graph, count: int, by: Sequence[int], available: Collection[Value], fixed: Collection[Value] = ()
) -> InnerHalves:
    """The derivative of a graph's first `count` results by the inputs at these positions.

    Args:
      graph: the graph; its equations stay the same ones.
      by: positions of inputs.
      available: inputs that are there for the backward part too.
      fixed: those of them that are the same in every round, so that what is computed from them alone
        is computed again rather than kept.
    """
    writer = _Continued(graph)
    recording = _recorded(writer, graph, by)
    sources = [Symbol(graph.inputs[position], writer) for position in by]
    reached = recording.reach(sources)
    cotangents = [
        writer.input(value.type, "g") if id(value) in reached and is_differentiable(value.type.dtype) else None
        for value in graph.outputs[:count]
    ]
    seeds = [
        (Symbol(value, writer), cotangent)
        for value, cotangent in zip(graph.outputs, cotangents, strict=False)
        if cotangent is not None
    ]
    with interpreting(writer):
        found = backward(recording, seeds, sources)
        gradients = [found.of(source) for source in sources]
        values = tuple(None if one is None else writer.lift(one).value for one in gradients)
    given = tuple(None if one is None else one.value for one in cotangents)
    return _cut(graph, writer, given, values, frozenset(available), frozenset(fixed))


def _cut(
    graph: Graph,
    writer: _Continued,
    cotangents: tuple[Value | None, ...],
    gradients: tuple[Value | None, ...],
    available: frozenset[Value],
    fixed: frozenset[Value],
) -> InnerHalves:
    captures = tuple((operand, symbol.value) for operand, symbol in writer.captured)
    late = {value for value in cotangents if value is not None}.union(value for _, value in captures)
    forward: list[Equation] = []
    after: list[Equation] = []
    for equation in writer.equations:
        if any(operand in late for operand in equation.operands):
            late.update(equation.outputs)
            after.append(equation)
        else:
            forward.append(equation)
    results = [one for one in gradients if one is not None]
    repeated, kept = _handed_over(forward, after, results, late | available, _made_from(forward, fixed))
    needed = _leading_to(forward, {*graph.outputs, *kept})
    return InnerHalves(needed, (*repeated, *after), cotangents, gradients, kept, captures)


def _handed_over(
    forward: Sequence[Equation],
    after: Sequence[Equation],
    results: Sequence[Value],
    present: Collection[Value],
    known: Collection[Value],
) -> tuple[tuple[Equation, ...], tuple[Value, ...]]:
    """What the backward part reads beside what is present: equations to repeat there, and values to keep."""
    makers = {output: equation for equation in forward for output in equation.outputs}
    ragged = _ragged(forward)
    wanted = [operand for equation in after for operand in equation.operands] + list(results)
    repeated: set[Equation] = set()
    kept: dict[Value, None] = {}
    seen: set[Value] = set()
    while wanted:
        value = wanted.pop()
        if value in present or value in seen:
            continue
        seen.add(value)
        maker = makers.get(value)
        if maker is not None and (value in known or value in ragged or _is_cheap(maker)):
            repeated.add(maker)
            wanted.extend(maker.operands)
        else:
            kept[value] = None
    there = {output for equation in repeated for output in equation.outputs}
    again = without_effects([equation for equation in forward if equation in repeated])
    return again, tuple(value for value in kept if value not in there)


def _ragged(equations: Sequence[Equation]) -> set[Value]:
    """What may have another size in every round, so that it cannot be stacked: what loops inside of it keep."""
    found: set[Value] = set()
    for equation in equations:
        is_source = equation.op.kind is Kind.CONTROL or all(one.type.is_static for one in equation.operands)
        if is_source or any(operand in found for operand in equation.operands):
            found.update(output for output in equation.outputs if not output.type.is_static)
    return found


def _made_from(equations: Sequence[Equation], inputs: frozenset[Value]) -> set[Value]:
    """What is computed from these inputs alone, and cannot fail."""
    known = set(inputs)
    for equation in equations:
        if not equation.must_run and all(operand in known for operand in equation.operands):
            known.update(equation.outputs)
    return known


def _is_cheap(equation: Equation) -> bool:
    """Whether to compute its result again costs less than to keep it, round for round."""
    if equation.must_run:
        return False
    if equation.op.kind is Kind.ELEMENTWISE and equation.op.kernel is not None:
        return not is_costly(equation)
    return equation.op.kind in (Kind.SOURCE, Kind.VIEW)


def _leading_to(equations: Sequence[Equation], values: Collection[Value]) -> tuple[Equation, ...]:
    """The equations that lead to the values, or count by themselves."""
    needed = set(values)
    found = []
    for equation in reversed(equations):
        if equation.must_run or any(output in needed for output in equation.outputs):
            needed.update(equation.operands)
            found.append(equation)
    return tuple(reversed(found))


def continued(graph: Graph, write: Callable[[], Sequence[Operand]], name: str) -> Graph:
    """A graph with more equations, and the results that `write` returns."""
    writer = _Continued(graph)
    with interpreting(writer):
        outputs = tuple(writer.lift(one).value for one in write())
    assert not writer.captured, "what continues a graph reads nothing of the graph around"
    return Graph(name, graph.inputs, tuple(writer.equations), outputs)


def here(value: Value) -> Symbol:
    """A value of the graph that is being continued."""
    writer = current_interpreter()
    assert isinstance(writer, _Continued)
    return Symbol(value, writer)


def extended(
    op: Op,
    operands: tuple[Any, ...],
    results: tuple[Any, ...],
    attributes: Mapping[str, Any],
    types: Sequence[TensorType],
    place: int,
) -> tuple[Any, ...]:
    """All results of an equation that is given other attributes, and more results from number `place` on.

    Recorders learn of it as of another op: of what is computed from the further results, too.
    """
    first = results[0]
    if not isinstance(first, Symbol):
        return apply_all(op, operands, attributes)
    equation = first.writer.extend(first.value, attributes, types, place)
    outputs = tuple(Symbol(value, first.writer, equation.location) for value in equation.outputs)
    tell_recorders(current_scope(), op, operands, attributes, outputs)
    return outputs


def present_attributes(results: tuple[Any, ...], attributes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The attributes that the equation of these results has by now."""
    first = results[0]
    equation = first.writer.producer_of(first.value) if isinstance(first, Symbol) else None
    return attributes if equation is None else equation.attributes


def zeros_of(type: TensorType) -> Operand:
    """Zeros of a type; sizes that are unknown are 0."""
    zeros: Operand = PUBLIC["zeros"](tuple(size or 0 for size in type.shape), type.dtype)
    return zeros
