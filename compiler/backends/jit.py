"""The native backend: a graph becomes an executable of kernels, matrix products and NumPy steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphjit.runtime.errors import DivisionByZeroError, InvalidArgumentError
from graphjit.runtime.executable import Executable

from ..graph import Graph
from ..location import add_location
from ..passes.fuse import fuse
from ..plan import PlannedStep, plan


@dataclass(frozen=True)
class NativeRunner:
    """A graph that is ready to run."""

    graph: Graph
    executable: Executable
    build_ms: float

    def run(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[np.ndarray[Any, Any]]:
        """The outputs of the graph for these inputs, in buffers of their own."""
        return self.executable.run(arrays)


def explain(tag: object, code: int, detail: tuple[int, ...]) -> Exception:
    """The error for a kernel's nonzero code, in the user's terms."""
    assert isinstance(tag, PlannedStep) and tag.kernel is not None
    equation = tag.kernel.checks[code - 1]
    kind = DivisionByZeroError if "zero" in equation.op.error else InvalidArgumentError
    shown = ", ".join(str(type) for type in equation.operand_types)
    error = kind(f"{equation.op.name}({shown}): {equation.op.error}")
    add_location(error, equation.location)
    return error


def build(graph: Graph) -> NativeRunner:
    """Compile an optimised graph with static shapes."""
    begin = time.perf_counter()
    fused = fuse(graph)
    executable = Executable(plan(fused), explain)
    return NativeRunner(fused, executable, (time.perf_counter() - begin) * 1e3)
