"""Ops that hold a graph: groups of equations that run as one kernel."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Graph
from ..op import Differentiability, Example, Kind, Op, declare
from ..tensortype import TensorType, float64
from ..writer import write_graph
from .arithmetic import add


def _types_of_outputs(types: tuple[TensorType, ...], *, graph: Graph, **_space: Any) -> tuple[TensorType, ...]:
    return tuple(value.type for value in graph.outputs)


def _run_graph(*arrays: np.ndarray[Any, Any], graph: Graph, **_space: Any) -> tuple[np.ndarray[Any, Any], ...]:
    from ..backends.reference import run_reference

    return tuple(run_reference(graph, arrays))


_TWICE = write_graph("twice", [TensorType(float64, (3,))], lambda x: add(x, x))


fused_op = declare(
    Op(
        name="fused",
        kind=Kind.CONTROL,
        infer=_types_of_outputs,
        numpy=_run_graph,
        gradient=Differentiability.MISSING,
        several=True,
        fails=lambda types, attributes: any(equation.must_run for equation in attributes["graph"].equations),
        examples=(Example(("f64[3]",), {"graph": _TWICE, "domain": (3,), "inner": None, "axes": ((0,), (0,))}),),
        doc=(
            "Equations that run as one loop nest. `domain` holds the sizes of the loops, `inner` the loops that "
            "reductions run over (None where there is no such reduction), and `axes` tells for each input and then "
            "each equation's output which loop each of its axes runs along (None: size 1, or it does not vary)."
        ),
    )
)
