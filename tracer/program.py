"""A graph that is compiled for the shapes of each call."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphjit.compiler.graph import Graph
from graphjit.compiler.tensortype import type_of_array
from graphjit.runtime.fields import dataclass

from .checked import run_checked

if TYPE_CHECKING:
    from graphjit.compiler.backends.jit import NativeRunner
    from graphjit.compiler.pipeline import Stage
    from graphjit.runtime.executable import Executable

Array = np.ndarray[Any, Any]
Run = Callable[[Sequence[Array]], list[Array]]


@dataclass(frozen=True)
class Options:
    """How graphs are compiled.

    Attributes:
      backend: "jit" for native kernels, "numpy" for each op's NumPy meaning.
      exact: whether to give the bits of eager mode: NumPy's arithmetic, behind the passes that keep every bit.
      check: "nan" to look for NaN and infinity after every op.
    """

    backend: str = "jit"
    exact: bool = False
    check: str | None = None


@dataclass(frozen=True)
class Compiled:
    """A graph for static shapes, compiled.

    `stages` are the graphs that the passes made, `runner` what runs natively; None for the backend "numpy".
    """

    run: Run
    graph: Graph
    stages: tuple[Stage, ...]
    runner: NativeRunner | None
    milliseconds: float


def compile_graph(graph: Graph, options: Options, updates: Sequence[tuple[int, int]] = ()) -> Compiled:
    """Optimise a graph with static input shapes, and make it ready to run.

    `updates` are pairs of positions, an input and the output that replaces it.
    """
    begin = time.perf_counter()
    if options.check == "nan":
        return Compiled(lambda arrays: run_checked(graph, arrays), graph, (), None, 0.0)
    if options.backend == "numpy" or options.exact:
        return _run_by_numpy(graph, options, begin)
    # The passes and the runtime are loaded by the first compilation, not by `import graphjit`.
    from graphjit.compiler.backends import jit
    from graphjit.compiler.pipeline import optimize

    stages = optimize(graph)
    runner = jit.build(stages[-1].graph, updates)
    return Compiled(runner.run, graph, tuple(stages), runner, (time.perf_counter() - begin) * 1e3)


def _run_by_numpy(graph: Graph, options: Options, begin: float) -> Compiled:
    """Every equation by its NumPy meaning; with `exact`, behind the passes that keep every bit."""
    from graphjit.compiler.backends.reference import run_reference
    from graphjit.compiler.pipeline import optimize

    stages = tuple(optimize(graph, exact=True)) if options.exact else ()
    final = stages[-1].graph if stages else graph
    return Compiled(
        lambda arrays: run_reference(final, arrays), graph, stages, None, (time.perf_counter() - begin) * 1e3
    )


_compiled: weakref.WeakValueDictionary[Hashable, Compiled] = weakref.WeakValueDictionary()
"""What is compiled now, by what it was made from."""
_MOST_EQUATIONS = 1000
"""Larger graphs are seldom traced twice, and comparing them takes a while."""


def compiled_once(graph: Graph, options: Options, updates: Sequence[tuple[int, int]] = ()) -> Compiled:
    """What `compile_graph` gives, shared by all who have the same graph, written at the same lines.

    So methods of many objects, and functions that are made again and again, are compiled once, and take memory once.
    """
    key = _key_of(graph, options, tuple(updates)) if len(graph.equations) <= _MOST_EQUATIONS else None
    found = None if key is None else _compiled.get(key)
    if found is None:
        found = compile_graph(graph, options, updates)
        if key is not None:
            _compiled[key] = found
    return found


def _key_of(graph: Graph, options: Options, updates: tuple[tuple[int, int], ...]) -> Hashable | None:
    """What decides what is compiled; None where that cannot be compared."""
    from graphjit.compiler.equality import text_key
    from graphjit.runtime.kernelcompiler import kernel_compiler

    key = (text_key(graph), options, updates, kernel_compiler())
    try:
        hash(key)
    except TypeError:  # an attribute of somebody's own op
        return None
    return key


_MOST_SHAPES = 64
"""For how many combinations of shapes a graph with open sizes stays compiled; the oldest goes first."""


class Program:
    """A graph whose inputs may have unknown sizes, compiled once for each combination of actual shapes."""

    def __init__(self, graph: Graph, options: Options, updates: Sequence[tuple[int, int]] = ()) -> None:
        self.graph = graph
        self.options = options
        self.updates = tuple(updates)
        """Pairs of positions, an input and the output that replaces it as the value of a variable."""
        self._lock = threading.Lock()
        self._by_shapes: dict[Hashable, Compiled] = {}
        self._only: Run | None = None
        self._static = all(value.type.is_static for value in graph.inputs)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """The outputs for these inputs, whose types were checked."""
        only = self._only
        return self.compiled(arrays).run(arrays) if only is None else only(arrays)

    def run_updating(self, arrays: list[Array], holders: tuple[Any, ...]) -> list[Array]:
        """The same; where nobody else sees the arrays of the holders, outputs that replace them are these arrays."""
        runner = self.compiled(arrays).runner
        return self.run(arrays) if runner is None else runner.run(arrays, holders)

    def compiled(self, arrays: Sequence[Array]) -> Compiled:
        """The compiled graph for the shapes of these arrays."""
        key = None if self._static else tuple(array.shape for array in arrays)
        found = self._by_shapes.get(key)
        if found is None:
            with self._lock:
                found = self._by_shapes.get(key) or self._compile(key, arrays)
        return found

    def executable(self, arrays: Sequence[Array]) -> Executable | None:
        """What runs the graph for these arrays in native code; None where something else does."""
        runner = self.compiled(arrays).runner
        return None if runner is None else runner.executable

    def like(self, graph: Graph) -> Program:
        """Another graph that is compiled in the same way."""
        return Program(graph, self.options)

    def _compile(self, key: Hashable, arrays: Sequence[Array]) -> Compiled:
        from graphjit.compiler.specialize import specialize

        special = specialize(self.graph, [type_of_array(array) for array in arrays])
        found = compiled_once(special, self.options, self.updates)
        while len(self._by_shapes) >= _MOST_SHAPES:
            del self._by_shapes[next(iter(self._by_shapes))]
        self._by_shapes[key] = found
        if self._static:
            self._only = found.run
        return found

    @property
    def versions(self) -> list[Compiled]:
        """What was compiled so far, the latest last."""
        return list(self._by_shapes.values())


__all__: list[str] = []
