"""What a compiled function shows of itself: traces, stages, kernels, reports."""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable
from typing import Any

from graphjit.compiler.graph import Graph
from graphjit.runtime.errors import FailedPreconditionError

from .cache import CacheInfo, Entry, TraceCache
from .concrete import Concrete
from .inspecting import dump_function, graph_of_stage, report_of
from .pinned import pretty
from .retraces import Retrace, Retraces
from .signature import Call


class Shown:
    """What users look at when they want to know what became of their function."""

    __slots__ = ()

    name: str
    python_function: Callable[..., Any]
    _cache: TraceCache
    _last: Entry | None
    _retraces: deque[Retrace]
    _trace_count: int

    def _concrete_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Concrete, Call]:
        """The trace that serves these arguments, made now if there is none, and the call."""
        raise NotImplementedError("a compiled function says which trace serves a call")

    @property
    def trace_count(self) -> int:
        """How many traces were made."""
        return self._trace_count

    def experimental_get_tracing_count(self) -> int:
        """How many traces were made."""
        return self._trace_count

    def retraces(self) -> Retraces:
        """A record for each trace: where it was called, what differed, how long it took, what to change."""
        return Retraces(self._retraces)

    def cache_info(self) -> CacheInfo:
        """Hits, misses, the most traces that are kept, and how many are."""
        return self._cache.info()

    def pretty_printed_concrete_signatures(self, verbose: bool = True) -> str:
        """The traces in words: inputs, outputs, captures, times and hits."""
        return pretty(self.name, list(self._cache), verbose)

    def report(self) -> Any:
        """What became of the latest trace: kernels, what was fused and why two ops were not, NumPy steps.

        Raises:
          FailedPreconditionError: if the function was not called yet.
        """
        return report_of(self._latest())

    def dump(self, stage: str = "optimized", format: str = "text") -> str:  # noqa: A002 -- the word that users know
        """A stage of the latest trace as text: see `inspecting.dump_function`.

        Raises:
          FailedPreconditionError: if the function was not called yet.
          NotFoundError: if there is no such stage or format; the message lists them.
        """
        return dump_function(self, self._latest(), stage, format)

    def stepping(self, *stops: int | str, stage: str = "traced") -> Callable[..., Any]:
        """The function run from its graph, one of your lines after the other, for a debugger.

        Breakpoints that your editor or `pdb` has on lines of the function stop inside of the graph, branches and
        loops included; the values have your names. Each op runs by its NumPy meaning.

        Args:
          stops: lines, or names of values, behind which Python's `breakpoint()` is called.
          stage: which graph: "traced", or a pass by its name.

        Returns: what takes the same arguments and gives the same results.

        Raises, when it is called:
          NotFoundError: if nothing in the graph has such a line or name, or if there is no such stage.

        >>> import graphjit as gj
        >>> @gj.compile
        ... def hypotenuse(a, b):
        ...     squares = a * a + b * b
        ...     return gj.sqrt(squares)
        >>> print(hypotenuse.stepping()(gj.constant(3.0), gj.constant(4.0)))
        gj.Tensor(5.0, shape=(), dtype=float32)
        """
        from .stepping import run_by_lines

        def step(*args: Any, **kwargs: Any) -> Any:
            concrete, call = self._concrete_for(args, kwargs)
            surroundings = getattr(inspect.unwrap(self.python_function), "__globals__", {})
            return run_by_lines(concrete, call, graph_of_stage(concrete, stage), stops, surroundings)

        return step

    def page(self, path: str | None = None) -> str:
        """The latest trace as one offline HTML page: your source beside every stage, what each pass changed, kernels.

        Args:
          path: where to write it, if it is to be written.

        Raises:
          FailedPreconditionError: if the function was not called yet.
        """
        from .paging import page_of

        return page_of(self, self.name, self._latest(), self.retraces(), path)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        from .paging import in_notebook

        return in_notebook(repr(self), None if self._last is None else self.page())

    def _latest(self) -> Concrete:
        if self._last is None:
            raise FailedPreconditionError(f"{self.name!r} was not called yet, so there is nothing to show")
        return self._last.concrete

    @property
    def graph(self) -> Graph:
        """The graph of the latest trace, as traced."""
        return self._latest().traced.graph


__all__: list[str] = []
