"""Showing what became of a compiled function: stages, kernels, reports."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from graphjit.compiler.dump.dot import graph_to_dot
from graphjit.compiler.dump.interchange import graph_to_json
from graphjit.compiler.dump.text import format_graph
from graphjit.compiler.graph import Graph
from graphjit.runtime.errors import FailedPreconditionError, NotFoundError

from .concrete import Concrete
from .program import Compiled

if TYPE_CHECKING:
    from graphjit.compiler.report import Report

NATIVE_STAGES = ("kernels", "llvm", "asm")
FORMATS: dict[str, Callable[[Graph], str]] = {
    "text": lambda graph: format_graph(graph, locations=True, shorten=True),
    "json": graph_to_json,
    "dot": graph_to_dot,
}


def _compiled(concrete: Concrete) -> Compiled:
    versions = concrete.program.versions
    if not versions:
        raise FailedPreconditionError(f"{concrete.traced.graph.name!r} was traced, but not run yet")
    return versions[-1]


def report_of(concrete: Concrete) -> Report:
    """What became of a trace's graph.

    Raises:
      FailedPreconditionError: if it was not compiled to native code.
    """
    runner = _compiled(concrete).runner
    if runner is None:
        raise FailedPreconditionError("there is a report for backend='jit' only")
    return runner.report(concrete.traced.milliseconds)


def dump_function(function: Any, concrete: Concrete, stage: str, format: str) -> str:  # noqa: A002 -- the public parameter's name
    """A stage as text.

    Args:
      stage: "python" for the source with converted control flow, "traced" for the graph as traced, a pass by its
        name for the graph behind it, "optimized" for the last of these, "fused" for the groups that are kernels,
        "kernels", "llvm" or "asm".
      format: for graphs "text", "json" or "dot".

    Raises:
      FailedPreconditionError: if the stage is only there when the function has run.
      NotFoundError: if there is no such stage or format.
    """
    if format not in FORMATS:
        raise NotFoundError(f"there is no format {format!r}; the formats are {', '.join(FORMATS)}")
    if stage == "python":
        return to_code(function)
    if stage in NATIVE_STAGES:
        runner = _compiled(concrete).runner
        if runner is not None:
            return runner.dump(stage)
    return FORMATS[format](graph_of_stage(concrete, stage, ("python",), NATIVE_STAGES))


def graph_of_stage(concrete: Concrete, stage: str, before: tuple[str, ...] = (), behind: tuple[str, ...] = ()) -> Graph:
    """A trace's graph at a stage.

    Args: `before` and `behind` are stages without a graph, which the message lists as well.

    Raises:
      FailedPreconditionError: if the stage is only there when the function has run.
      NotFoundError: if no graph has this name.
    """
    if stage == "traced":
        return concrete.traced.graph
    compiled = _compiled(concrete)
    stages = {one.name: one.graph for one in compiled.stages}
    stages["optimized"] = compiled.stages[-1].graph if compiled.stages else compiled.graph
    if compiled.runner is not None:
        stages["fused"] = compiled.runner.graph
    if stage not in stages:
        known = ", ".join((*before, "traced", *stages, *behind))
        raise NotFoundError(f"there is no stage {stage!r}; the stages are {known}")
    return stages[stage]


def to_code(entity: Callable[..., Any]) -> str:
    """The Python that is traced for a function, compiled or not: its control flow is converted.

    Raises:
      NotFoundError: if there is no source.

    >>> import graphjit as gj
    >>> def relu(x):
    ...     if x > 0:
    ...         return x
    ...     return 0.0
    >>> print(gj.autograph.to_code(relu))
    def relu(x):
    <BLANKLINE>
        def then():
            return x
    <BLANKLINE>
        def otherwise():
            return 0.0
        return _gj.returned(x > 0, then, otherwise, ())()
    <BLANKLINE>
    """
    from .autograph.showing import converted_source

    settings = getattr(entity, "settings", None)
    if settings is not None and not settings.autograph:
        return _source(inspect.unwrap(entity))
    return converted_source(entity)


def _source(function: Callable[..., Any]) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        raise NotFoundError("there is no source of the function") from None


__all__ = ["to_code"]
