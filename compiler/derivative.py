"""The derivative of a graph, as a graph; and how it is cut in two.

The part that does not depend on cotangents can run with the graph itself; what the other part needs of it is
handed over, so that nothing is computed twice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphjit.runtime.fields import dataclass

from .dispatch import interpreting
from .gradient import Recording, backward, is_differentiable
from .graph import Equation, Graph, Value
from .op import Kind
from .operand import Operand
from .tensortype import TensorType
from .writer import GraphWriter, Symbol, replay

Positions = tuple[int, ...]


@dataclass(frozen=True)
class Derivative:
    """The derivative of a graph by some of its inputs, as a graph of the inputs and of cotangents.

    Attributes:
      inputs, cotangents: its inputs, in two groups; there is a cotangent for each differentiable result.
      equations: the forward part and then the backward part.
      results: the forward graph's outputs.
      gradients: for each input by which was differentiated its cotangent, None where there is none.
      origins: values of the traced graph and those that stand for them here.
    """

    name: str
    inputs: tuple[Value, ...]
    cotangents: tuple[Value, ...]
    equations: tuple[Equation, ...]
    results: tuple[Value, ...]
    gradients: tuple[Value | None, ...]
    origins: Mapping[Value, Value]

    @property
    def reached(self) -> tuple[Value, ...]:
        """The gradients that there are."""
        return tuple(value for value in self.gradients if value is not None)


def derive(
    graph: Graph, types: Sequence[TensorType], count: int, by: Positions, origins: Mapping[Value, Value]
) -> Derivative:
    """The derivative of the first `count` outputs of a graph, for inputs of these types."""
    writer = GraphWriter(f"{graph.name}_gradient", locate=False)
    inputs = [writer.input(given, value.name) for value, given in zip(graph.inputs, types, strict=True)]
    recording = Recording()
    for position in by:
        recording.watch(inputs[position])
    with interpreting(writer, (recording,)):
        outputs = write_into(writer, graph, inputs, origins)
    targets = [output for output in outputs[:count] if is_differentiable(output.dtype)]
    cotangents = [writer.input(target.type, "g") for target in targets]
    with interpreting(writer):
        found = backward(recording, zip(targets, cotangents, strict=True), [inputs[position] for position in by])
        gradients = [found.of(inputs[position]) for position in by]
        values = tuple(None if one is None else writer.lift(one).value for one in gradients)
    return Derivative(
        writer.name,
        tuple(symbol.value for symbol in inputs),
        tuple(symbol.value for symbol in cotangents),
        tuple(writer.equations),
        tuple(symbol.value for symbol in outputs),
        values,
        {value: symbol.value for value, symbol in writer.environment.items()},
    )


def write_into(
    writer: GraphWriter, graph: Graph, operands: Sequence[Operand], origins: Mapping[Value, Value]
) -> list[Symbol]:
    """Write a graph's equations into `writer`; closures over values of its origin find their counterparts."""
    held: dict[Value, list[Value]] = {}
    for value, here in origins.items():
        held.setdefault(here, []).append(value)
    for value, operand in zip(graph.inputs, operands, strict=True):
        symbol = writer.lift(operand)
        writer.environment.update(dict.fromkeys(held.get(value, ()), symbol))
    outputs = replay(graph, operands, writer)
    for here, values in held.items():
        if here in writer.environment:
            writer.environment.update(dict.fromkeys(values, writer.environment[here]))
    return outputs


@dataclass(frozen=True)
class Halves:
    """A derivative cut in two.

    Attributes:
      forward: its outputs are the results and then the residuals.
      backward: from `needs` (which of residuals, inputs and cotangents it reads) to the gradients.
    """

    forward: Graph
    backward: Graph
    residuals: tuple[Value, ...]


def cut(derivative: Derivative) -> Halves:
    """Separate what does not depend on the cotangents from what does."""
    late: set[Value] = set(derivative.cotangents)
    forward: list[Equation] = []
    after: list[Equation] = []
    for equation in derivative.equations:
        if any(operand in late for operand in equation.operands):
            late.update(equation.outputs)
            after.append(equation)
        else:
            forward.append(equation)
    repeated, residuals = _handed_over(derivative, forward, after, late)
    return Halves(
        Graph(derivative.name, derivative.inputs, tuple(forward), (*derivative.results, *residuals)),
        Graph(
            derivative.name,
            (*residuals, *derivative.inputs, *derivative.cotangents),
            (*repeated, *after),
            derivative.reached,
        ),
        tuple(residuals),
    )


def _handed_over(
    derivative: Derivative, forward: Sequence[Equation], after: Sequence[Equation], late: set[Value]
) -> tuple[list[Equation], list[Value]]:
    """What the backward part reads of the forward part: equations to repeat there, and values to keep."""
    makers = {output: equation for equation in forward for output in equation.outputs}
    wanted = [operand for equation in after for operand in equation.operands]
    wanted.extend(value for value in derivative.reached)
    repeated: set[Equation] = set()
    residuals: dict[Value, None] = {}
    while wanted:
        value = wanted.pop()
        maker = makers.get(value)
        if maker is None or value in late or maker in repeated:
            continue
        if _costs_nothing(maker):
            repeated.add(maker)
            wanted.extend(maker.operands)
        else:
            residuals[value] = None
    return [equation for equation in forward if equation in repeated], list(residuals)


def _costs_nothing(equation: Equation) -> bool:
    """Whether to write an equation again is better than to keep its result: constants, and views."""
    return equation.op.kind in (Kind.SOURCE, Kind.VIEW) and not equation.must_run
