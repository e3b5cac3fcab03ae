"""Graphs that are one record on a tape, and whose gradients are graphs.

The gradient is derived from the graph as it was traced, before any simplification. It is cut in two: what the
backward part needs of the forward part is handed over (the residuals), so that nothing is computed twice.
Where the backward run is itself recorded, for a higher order, the whole derivative runs as one graph
of the inputs and cotangents, which is differentiated in the same way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import Scope, current_scope, interpreting, tell_recorders
from graphjit.compiler.gradient import Recording, backward, is_differentiable
from graphjit.compiler.graph import Equation, Graph, Value
from graphjit.compiler.op import Kind, Op, Pullback
from graphjit.compiler.operand import Operand
from graphjit.compiler.tensortype import TensorType
from graphjit.compiler.writer import GraphWriter, Symbol, replay
from graphjit.runtime.errors import UnimplementedError

from .program import Program
from .tensor import Tensor

Array = np.ndarray[Any, Any]
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


@dataclass(frozen=True)
class Residuals:
    """What one recorded run kept for its gradient."""

    by: Positions
    arrays: tuple[Array, ...]


class Differentiable:
    """A graph for static types that runs as one record.

    Args:
      program: of the graph as it was traced.
      types: of its inputs.
      count: how many of its outputs are results; the others are new values of variables.
    """

    def __init__(
        self,
        program: Program,
        types: Sequence[TensorType],
        count: int,
        origins: Mapping[Value, Value] | None = None,
    ) -> None:
        self._plain = program
        self._graph = program.graph
        self._types = tuple(types)
        self._count = count
        self._origins = origins or {}
        self._lock = threading.RLock()
        self._derivatives: dict[Positions, Derivative] = {}
        self._halves: dict[Positions, tuple[Halves, Program, Program]] = {}
        self._wholes: dict[Positions, Differentiable] = {}
        self._op = Op(
            name=program.graph.name,
            kind=Kind.CALL,
            infer=_not_inferred,
            numpy=_not_inferred,
            gradient=Pullback(self._pull_back),
            several=True,
        )

    def run(self, scope: Scope, operands: Sequence[Any]) -> tuple[list[Tensor], list[Array]]:
        """The results as tensors, which recorders know of, and the new values of variables."""
        arrays = [operand._array for operand in operands]
        by = self._tracked(scope, operands)
        outputs, residuals = self._run_forward(by, arrays)
        tensors = [Tensor(array) for array in outputs[: self._count]]
        tell_recorders(scope, self._op, tuple(operands), {"kept": Residuals(by, residuals)}, tuple(tensors))
        return tensors, outputs[self._count :]

    def _tracked(self, scope: Scope, operands: Sequence[Any]) -> Positions:
        recordings = [getattr(one, "recording", one) for one in scope.recorders]
        listeners = [one for one in recordings if isinstance(one, Recording)]
        return tuple(
            position
            for position, operand in enumerate(operands)
            if is_differentiable(operand.dtype) and any(one.is_tracked(operand) for one in listeners)
        )

    def _run_forward(self, by: Positions, arrays: list[Array]) -> tuple[list[Array], tuple[Array, ...]]:
        if not by:
            return self._plain.run(arrays), ()
        halves, forward, _ = self._cut(by)
        outputs = forward.run(arrays)
        count = len(outputs) - len(halves.residuals)
        return outputs[:count], tuple(outputs[count:])

    def _derivative(self, by: Positions) -> Derivative:
        with self._lock:
            found = self._derivatives.get(by)
            if found is None:
                found = derive(self._graph, self._types, self._count, by, self._origins)
                self._derivatives[by] = found
            return found

    def _cut(self, by: Positions) -> tuple[Halves, Program, Program]:
        found = self._halves.get(by)
        if found is None:
            with self._lock:
                halves = cut(self._derivative(by))
                programs = self._plain.like(halves.forward), self._plain.like(halves.backward)
                found = self._halves.setdefault(by, (halves, *programs))
        return found

    def _whole(self, by: Positions) -> Differentiable:
        """The derivative as a graph of inputs and cotangents that can be differentiated again."""
        with self._lock:
            found = self._wholes.get(by)
            if found is None:
                one = self._derivative(by)
                inputs = (*one.inputs, *one.cotangents)
                pure = tuple(equation for equation in one.equations if not equation.has_effect)
                graph = Graph(one.name, inputs, pure, one.reached)
                types = [value.type for value in inputs]
                found = Differentiable(self._plain.like(graph), types, len(one.reached), one.origins)
                self._wholes[by] = found
            return found

    # --- the gradient rule ---

    def _pull_back(
        self, wanted: tuple[bool, ...], g: tuple[Any, ...], y: tuple[Any, ...], *operands: Any, kept: Residuals
    ) -> Sequence[Any]:
        asked = tuple(position for position, is_asked in enumerate(wanted) if is_asked)
        cotangents = [one for one, output in zip(g, y, strict=True) if is_differentiable(output.dtype)]
        scope = current_scope()
        plain = not scope.recorders and not isinstance(scope.interpreter, GraphWriter)
        if plain and set(asked) <= set(kept.by):
            found = self._run_backward(kept, operands, cotangents)
        else:
            found = self._run_whole(scope, asked, [*operands, *cotangents])
        return [found.get(position) for position in range(len(operands))]

    def _run_backward(self, kept: Residuals, operands: Iterable[Any], cotangents: Iterable[Any]) -> dict[int, Any]:
        _, _, program = self._cut(kept.by)
        arrays = [*kept.arrays, *(one._array for one in (*operands, *cotangents))]
        return self._named(kept.by, [Tensor(array) for array in program.run(arrays)])

    def _run_whole(self, scope: Scope, by: Positions, operands: Sequence[Any]) -> dict[int, Any]:
        whole = self._whole(by)
        if isinstance(scope.interpreter, GraphWriter):
            found: Sequence[Any] = write_into(scope.interpreter, whole._graph, operands, whole._origins)
        else:
            found, _ = whole.run(scope, operands)
        return self._named(by, found)

    def _named(self, by: Positions, found: Sequence[Any]) -> dict[int, Any]:
        """Gradients by position of the input."""
        derivative = self._derivative(by)
        left = iter(found)
        return {
            position: next(left) for position, value in zip(by, derivative.gradients, strict=True) if value is not None
        }


def _not_inferred(*_: Any, **__: Any) -> Any:
    raise UnimplementedError("a recorded call is not an op that can be written into a graph")


__all__: list[str] = []
