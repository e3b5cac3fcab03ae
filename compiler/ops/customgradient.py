"""The op behind custom gradients: values that were computed one way and are differentiated another way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..graph import Graph
from ..op import Example, Kind, Op, Pullback, declare
from ..tensortype import TensorType
from ..writer import interpret


class CustomRule:
    """What gives the cotangents of a custom gradient's arguments.

    `function(g, arguments)` gets the cotangents of all results and the arguments (as they are known where the
    gradient is taken), and returns one cotangent, or None, for each argument. A rule that was `written` down is
    a graph of these, which gives the cotangents of the arguments at the positions `gives`.
    """

    __slots__ = ("function", "gives", "graph", "name")

    def __init__(
        self,
        name: str,
        function: Callable[[tuple[Any, ...], tuple[Any, ...]], Sequence[Any]],
        graph: Graph | None = None,
        gives: tuple[int, ...] = (),
    ) -> None:
        self.name = name
        self.function = function
        self.graph = graph
        self.gives = gives

    def __repr__(self) -> str:
        return f"<gradient of {self.name}>"


def written_rule(name: str, graph: Graph, gives: Sequence[int]) -> CustomRule:
    """The rule that a graph is: from cotangents and arguments to the cotangents of the arguments at some positions."""

    def cotangents(g: tuple[Any, ...], arguments: tuple[Any, ...]) -> list[Any]:
        found = dict(zip(gives, interpret(graph, (*g, *arguments)), strict=True))
        return [found.get(position) for position in range(len(arguments))]

    return CustomRule(name, cotangents, graph, tuple(gives))


def _types_of_results(types: tuple[TensorType, ...], *, count: int, rule: CustomRule) -> tuple[TensorType, ...]:
    return types[:count]


def _results(*arrays: np.ndarray[Any, Any], count: int, rule: CustomRule) -> tuple[np.ndarray[Any, Any], ...]:
    return arrays[:count]


def _cotangents(
    wanted: tuple[bool, ...], g: tuple[Any, ...], y: tuple[Any, ...], *operands: Any, count: int, rule: CustomRule
) -> Sequence[Any]:
    nothing = (None,) * count
    if not any(wanted[count:]):
        return (None,) * len(operands)
    return (*nothing, *rule.function(g, operands[count:]))


def _plain(g: tuple[Any, ...], arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return (*g, *(None,) * (len(arguments) - len(g)))


custom_gradient_op: Op = declare(
    Op(
        name="custom_gradient",
        kind=Kind.COMPOSED,
        infer=_types_of_results,
        numpy=_results,
        definition=lambda *operands, count, rule: operands[:count],
        gradient=Pullback(_cotangents),
        several=True,
        examples=(
            Example(
                ("f64[2,3]", "f64[2,3]"), {"count": 1, "rule": CustomRule("example", _plain)}, differentiable=False
            ),
        ),
        doc=(
            "The first `count` operands as they are; the gradient goes to the operands after them, "
            "and is what `rule` says."
        ),
    )
)

__all__: list[str] = []
