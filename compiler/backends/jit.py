"""The native backend: a graph becomes an executable of kernels, matrix products and NumPy steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphjit.runtime.errors import NotFoundError
from graphjit.runtime.executable import Executable
from graphjit.runtime.fields import dataclass

from ..control import runs_natively
from ..graph import Graph
from ..indexkernel import index_error
from ..inplace import Updates
from ..location import add_location
from ..passes.fuse import Refusal, fuse_and_explain
from ..plan import PlannedStep, Planner, plan

if TYPE_CHECKING:
    from ..report import Report


@dataclass(frozen=True)
class NativeRunner:
    """A graph that is ready to run."""

    graph: Graph
    executable: Executable
    refusals: tuple[Refusal, ...]
    build_ms: float

    def run(self, arrays: Sequence[np.ndarray[Any, Any]], holders: tuple[Any, ...] = ()) -> list[np.ndarray[Any, Any]]:
        """The outputs of the graph for these inputs, in buffers of their own.

        With `holders`, what has the inputs that outputs replace in slots `array`, an output may be its
        input's array.
        """
        return self.executable.run(arrays, holders)

    def report(self, trace_ms: float = 0.0) -> Report:
        """What became of the graph."""
        from ..report import make_report  # few programs ask, and every first call would pay

        return make_report(self.graph, self.executable, self.refusals, trace_ms, self.build_ms)

    def dump(self, stage: str) -> str:
        """The kernels as emitted text ("kernels"), LLVM IR ("llvm") or assembly ("asm").

        Raises:
          NotFoundError: for another stage.
        """
        readers = {
            "kernels": lambda kernel: kernel.text,
            "llvm": lambda kernel: kernel.llvm(),
            "asm": lambda kernel: kernel.assembly(),
        }
        if stage not in readers:
            raise NotFoundError(f"there is no stage {stage!r}; the native stages are {', '.join(readers)}")
        kernels = dict.fromkeys(self.executable.kernels)
        return "\n\n".join(readers[stage](kernel).strip() for kernel in kernels) + "\n"


def explain(tag: object, code: int, detail: tuple[int, ...]) -> Exception:
    """The error for a kernel's nonzero code, in the user's terms."""
    assert isinstance(tag, PlannedStep) and tag.kernel is not None
    equation = tag.kernel.checks[code - 1]
    shown = ", ".join(str(type) for type in equation.operand_types)
    values = [
        value % 2**64 if type.dtype.is_unsigned else value
        for value, type in zip(detail, equation.operand_types, strict=False)
    ]
    if equation.op.index_kernel:
        what = index_error(detail, equation)
    else:
        what = equation.op.error.format(*values, **equation.attributes)
    error = equation.op.error_type(f"{equation.op.name}({shown}): {what}")
    add_location(error, equation.location)
    return error


def build(graph: Graph, updates: Updates = ()) -> NativeRunner:
    """Compile an optimised graph whose inputs have static shapes; `updates` tells which outputs replace inputs."""
    begin = time.perf_counter()
    fused, refusals = fuse_and_explain(graph)
    executable = Executable(plan(fused, updates, _planner_for(fused)), explain)
    return NativeRunner(fused, executable, tuple(refusals), (time.perf_counter() - begin) * 1e3)


def _planner_for(graph: Graph) -> type[Planner]:
    """What plans a graph: without branches and loops the part of the planner that knows of none."""
    if not any(map(runs_natively, graph.equations)):
        return Planner
    from ..controlplan import ControlPlanner  # many programs have neither

    return ControlPlanner
