"""Graphs that are one record on a tape, and whose gradients are graphs.

The gradient is derived from the graph as it was traced, before any simplification. It is cut in two: what the
backward part needs of the forward part is handed over (the residuals), so that nothing is computed twice.
Where the backward run is itself recorded, for a higher order, the whole derivative runs as one graph
of the inputs and cotangents, which is differentiated in the same way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.derivative import Derivative, Halves, Positions, cut, derive, write_into
from graphjit.compiler.dispatch import Scope, current_scope, tell_recorders
from graphjit.compiler.gradient import Recording, is_differentiable
from graphjit.compiler.graph import Graph, Value, without_effects
from graphjit.compiler.op import Kind, Op, Pullback
from graphjit.compiler.tensortype import TensorType
from graphjit.compiler.writer import GraphWriter
from graphjit.runtime.errors import UnimplementedError
from graphjit.runtime.fields import dataclass

from .program import Program
from .tensor import Tensor

Array = np.ndarray[Any, Any]


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
                graph = Graph(one.name, inputs, without_effects(one.equations), one.reached)
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
