"""A trace that is ready to run: its inputs are bound, its results are put together, its variables are updated."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.compiler.dispatch import Scope
from graphjit.compiler.tensortype import type_of_array

from .differentiated import Differentiable
from .program import Options, Program
from .signature import Call
from .state import State, read, replace_all
from .tensor import Tensor
from .tracing import (
    Argument,
    ArgumentVariable,
    Captured,
    CapturedArray,
    CapturedVariable,
    Number,
    Rank,
    Source,
    TracedFunction,
    numbers_of,
    rank_of,
)

Array = np.ndarray[Any, Any]


_MOST_SHAPES = 32
"""For how many combinations of shapes one trace keeps what its gradients need."""


class Concrete:
    """One trace, bound and ready to run."""

    def __init__(self, traced: TracedFunction, options: Options) -> None:
        self.traced = traced
        count = traced.results.count
        self.program = Program(
            traced.graph, options, [(source, count + number) for number, source in enumerate(traced.updates)]
        )
        self._hits = 0
        self.native_hits = np.zeros(1, np.int64)
        """Counts the calls that ran without Python."""
        by_rank: dict[Rank, list[Any]] = {rank: [] for rank in Rank}
        for source in traced.sources:
            by_rank[rank_of(source)].append(source)
        self.positions = tuple(source.position for source in by_rank[Rank.ARGUMENT])
        self.fixed: list[Array] = [_array_of(source) for source in by_rank[Rank.FIXED]]
        self.variables: list[State] = [source.variable for source in by_rank[Rank.VARIABLE]]
        self.others = by_rank[Rank.CONVERTED]
        self._updates = [traced.sources[index] for index in traced.updates]
        self._count = count
        captured = all(isinstance(source, CapturedVariable) for source in self._updates)
        self._holders = tuple(self.updated_variables(None)) if captured else ()
        """What is updated where it lies, unless it is an argument, which others see."""
        self._differentiable: dict[Any, Differentiable] = {}

    @property
    def hits(self) -> int:
        """How many calls it has served."""
        return self._hits + int(self.native_hits[0])

    @property
    def needs_call(self) -> bool:
        """Whether the arrays among the arguments are not enough to run."""
        return bool(self.others)

    @property
    def needs_numbers_only(self) -> bool:
        """Whether beside the arrays only Python numbers among the arguments are needed."""
        return self.numbers is not None

    @property
    def numbers(self) -> list[Number] | None:
        """The inputs that are Python numbers among the arguments; None where something else is converted as well."""
        found = [source for source in self.others if isinstance(source, Number)]
        return found if len(found) == len(self.others) else None

    def call(self, call: Call) -> Any:
        """Run for arguments that fit the signature."""
        return self.run([call.arrays[position] for position in self.positions], call)

    def inputs(self, arrays: list[Array], call: Call | None) -> list[Array]:
        """All inputs of the graph, given the arrays among the arguments."""
        inputs = arrays + self.fixed
        if self.variables:
            inputs += [variable.array for variable in self.variables]
        if self.others:
            assert call is not None
            inputs += [_required(numbers_of(source, call)) for source in self.others]
        return inputs

    def run(self, arrays: list[Array], call: Call | None) -> Any:
        """Run the graph; only when it has succeeded do variables get their new values."""
        inputs = self.inputs(arrays, call)
        if not self._updates:
            outputs = self.program.run(inputs)
        else:
            outputs = self.program.run_updating(inputs, self._holders)
            if outputs[self._count] is not inputs[self.traced.updates[0]]:
                replace_all(self.updated_variables(call), outputs[self._count :])
        self._hits += 1
        return self.traced.results.put_together([Tensor(array) for array in outputs[: self._count]])

    def run_recorded(self, call: Call, scope: Scope) -> Any:
        """Run the graph as one record for whoever listens."""
        operands = [self._operand(source, call) for source in self.traced.sources]
        shapes = tuple(operand._array.shape for operand in operands)
        graph = self._differentiable.get(shapes)
        if graph is None:
            types = [type_of_array(operand._array) for operand in operands]
            made = Differentiable(self.program, types, self._count)
            if len(self._differentiable) >= _MOST_SHAPES:
                self._differentiable.clear()
            graph = self._differentiable.setdefault(shapes, made)
        tensors, updates = graph.run(scope, operands)
        self._hits += 1
        replace_all(self.updated_variables(call), updates)
        return self.traced.results.put_together(tensors)

    def _operand(self, source: Source, call: Call) -> Any:
        """An input as a tensor, and as the one that recorders may know."""
        if isinstance(source, Captured):
            return source.tensor
        if isinstance(source, CapturedVariable | ArgumentVariable):
            return read(_variable_of(source, call))
        if isinstance(source, Argument) and isinstance(call.leaves[source.position], Tensor):
            return call.leaves[source.position]
        return Tensor(_required(numbers_of(source, call)))

    def updated_variables(self, call: Call | None) -> list[State]:
        """The variables that the call assigns to."""
        return [_variable_of(source, call) for source in self._updates]


def _variable_of(source: Source, call: Call | None) -> State:
    if isinstance(source, CapturedVariable):
        return source.variable
    assert call is not None and isinstance(source, ArgumentVariable)
    variable: State = call.leaves[source.position]
    return variable


def _required(array: Array | None) -> Array:
    assert array is not None
    return array


def _array_of(source: Captured | CapturedArray) -> Array:
    return source.array if isinstance(source, CapturedArray) else source.tensor._array


__all__: list[str] = []
