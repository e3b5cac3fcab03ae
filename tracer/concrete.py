"""A traced function that is ready to run: for one signature, with its inputs bound and its results put together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.graph import Graph
from graphjit.compiler.pipeline import Stage, optimize
from graphjit.compiler.specialize import specialize
from graphjit.compiler.tensortype import type_of_array

from .signature import Call
from .state import State
from .tensor import Tensor
from .tracing import (
    ArgumentVariable,
    Captured,
    CapturedArray,
    CapturedVariable,
    Rank,
    Source,
    TracedFunction,
    numbers_of,
    rank_of,
)

if TYPE_CHECKING:
    from graphjit.compiler.backends.jit import NativeRunner

Array = np.ndarray[Any, Any]
Run = Callable[[Sequence[Array]], list[Array]]


@dataclass(frozen=True)
class Options:
    """How graphs are compiled.

    Attributes:
      backend: "jit" for native kernels, "numpy" for each op's NumPy meaning.
      exact: whether to give up the freedoms that optimising takes.
      check: "nan" to look for NaN and infinity after every op.
    """

    backend: str = "jit"
    exact: bool = False
    check: str | None = None


@dataclass
class Compiled:
    """A graph for static shapes, compiled."""

    run: Run
    stages: list[Stage]
    runner: NativeRunner | None
    milliseconds: float


def compile_graph(graph: Graph, options: Options) -> Compiled:
    """Optimise a graph with static input shapes, and make it ready to run."""
    begin = time.perf_counter()
    if options.backend == "numpy":
        return Compiled(lambda arrays: run_reference(graph, arrays), [], None, 0.0)
    # Numba and SciPy are loaded by the first compilation, not by `import graphjit`.
    from graphjit.compiler.backends import jit

    stages = optimize(graph)
    runner = jit.build(stages[-1].graph)
    return Compiled(runner.run, stages, runner, (time.perf_counter() - begin) * 1e3)


class Program:
    """A graph whose inputs may have unknown sizes, compiled once for each combination of actual shapes."""

    def __init__(self, graph: Graph, options: Options) -> None:
        self.graph = graph
        self.options = options
        self._lock = threading.Lock()
        self._by_shapes: dict[Hashable, Compiled] = {}
        self._only: Compiled | None = None
        self._static = all(value.type.is_static for value in graph.inputs)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs for these inputs, whose types were checked."""
        only = self._only
        return (self.compiled(arrays) if only is None else only).run(arrays)

    def compiled(self, arrays: Sequence[Array]) -> Compiled:
        """The compiled graph for the shapes of these arrays."""
        key = None if self._static else tuple(array.shape for array in arrays)
        found = self._by_shapes.get(key)
        if found is None:
            with self._lock:
                found = self._by_shapes.get(key) or self._compile(key, arrays)
        return found

    def _compile(self, key: Hashable, arrays: Sequence[Array]) -> Compiled:
        found = compile_graph(specialize(self.graph, [type_of_array(array) for array in arrays]), self.options)
        self._by_shapes[key] = found
        if self._static:
            self._only = found
        return found

    @property
    def versions(self) -> list[Compiled]:
        """What was compiled so far."""
        return list(self._by_shapes.values())


class Concrete:
    """One trace, bound and ready to run."""

    def __init__(self, traced: TracedFunction, options: Options) -> None:
        self.traced = traced
        self.program = Program(traced.graph, options)
        self.hits = 0
        by_rank: dict[Rank, list[Any]] = {rank: [] for rank in Rank}
        for source in traced.sources:
            by_rank[rank_of(source)].append(source)
        self.positions = tuple(source.position for source in by_rank[Rank.ARGUMENT])
        self._fixed: list[Array] = [_array_of(source) for source in by_rank[Rank.FIXED]]
        self.variables: list[State] = [source.variable for source in by_rank[Rank.VARIABLE]]
        self._others = by_rank[Rank.CONVERTED]
        self._updates = [traced.sources[index] for index in traced.updates]
        self._count = traced.results.count

    def call(self, call: Call) -> Any:
        """Run for arguments that fit the signature."""
        return self.run([call.arrays[position] for position in self.positions], call)

    def inputs(self, arrays: list[Array], call: Call | None) -> list[Array]:
        """All inputs of the graph, given the arrays among the arguments."""
        inputs = arrays + self._fixed
        if self.variables:
            inputs += [variable.array for variable in self.variables]
        if self._others:
            assert call is not None
            inputs += [_required(numbers_of(source, call)) for source in self._others]
        return inputs

    def run(self, arrays: list[Array], call: Call | None) -> Any:
        """Run the graph; only when it has succeeded do variables get their new values."""
        outputs = self.program.run(self.inputs(arrays, call))
        self.hits += 1
        if self._updates:
            for variable, array in zip(self._updated(call), outputs[self._count :], strict=True):
                variable.array = array
        return self.traced.results.put_together([Tensor(array) for array in outputs[: self._count]])

    def _updated(self, call: Call | None) -> list[State]:
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
