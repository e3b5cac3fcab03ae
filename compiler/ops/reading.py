"""The op that reads a variable in a graph.

A variable's value is an input of the graph, and what was assigned to it last is another value.
A read gives that latest value, but it is differentiated as the variable: assigning cuts the history
of what was assigned, and all reads of a variable count for it.
"""

from __future__ import annotations

from typing import Any

from ..op import Example, Kind, Op, declare
from ..tensortype import TensorType


def _latest_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    return (types[0],)


def _of_the_variable(g: Any, y: Any, latest: Any, variable: Any) -> Any:
    return g


read_variable_op: Op = declare(
    Op(
        name="read_variable",
        kind=Kind.COMPOSED,
        infer=_latest_type,
        numpy=lambda latest, variable: latest,
        definition=lambda latest, variable: latest,
        gradient=[None, _of_the_variable],
        examples=(
            Example(("f64[2,3]", "f64[2,3]"), differentiable=False),
            Example(("f64[]", "f64[]"), differentiable=False),
        ),
        doc="The latest value (operand 0) of a variable; differentiated as its graph input (operand 1).",
    )
)

__all__: list[str] = []
