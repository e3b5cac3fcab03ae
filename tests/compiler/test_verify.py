"""The checker finds every broken rule of graphs, and says where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from graphjit.compiler.dump.text import parse_graph
from graphjit.compiler.graph import Equation, Graph, Value
from graphjit.compiler.op import find_op
from graphjit.compiler.ops.control import fused_op
from graphjit.compiler.tensortype import TensorType, float32, float64
from graphjit.compiler.verify import verify
from graphjit.runtime.errors import VerificationError
from graphjit.runtime.fields import replace

GOOD = """
f(%a: f32[3], %b: f32[3]) {
  %c = add(%a, %b)
  %d = exp(%c)
  return %d, %a
}
"""


def second(graph: Graph, **changes: Any) -> Graph:
    """The graph with its second equation changed."""
    first, other = graph.equations
    return graph.with_equations([first, replace(other, **changes)])


def value(shape: tuple[int | None, ...], dtype: Any = float32) -> Value:
    return Value(TensorType(dtype, shape))


def graph_inside(graph: Graph) -> Graph:
    """The graph with its first equation inside an equation."""
    inner = Graph("inner", graph.inputs, (graph.equations[1],), graph.equations[0].outputs)
    held = {"graph": inner, "domain": (3,), "inner": None, "axes": ((0,), (0,), (0,))}
    return graph.with_equations([Equation(fused_op, graph.inputs, held, graph.equations[0].outputs)], graph.inputs)


BAD_AXIS = {"axis": (5,), "keepdims": False}

FAULTS: list[tuple[str, Callable[[Graph], Graph]]] = [
    ("operand 0 is not defined before", lambda g: g.with_equations(g.equations[1:])),
    ("operand 0 is not defined before", lambda g: g.with_equations(g.equations[::-1])),
    ("result 0 is defined already", lambda g: second(g, outputs=g.equations[0].outputs)),
    ("result 0 is defined already", lambda g: second(g, outputs=g.inputs[:1])),
    ("result 1 is defined already", lambda g: second(g, op=fused_op, outputs=(g.outputs[0],) * 2)),
    ("an input is listed twice", lambda g: Graph("f", (g.inputs[0],) * 2, (), ())),
    ("output 1 is not defined", lambda g: g.with_equations(g.equations, [g.outputs[0], value((3,))])),
    (r"result 0 is f32\[4\], but exp makes f32\[3\]", lambda g: second(g, outputs=(value((4,)),))),
    (r"result 0 is f32\[\?\], but exp makes f32\[3\]", lambda g: second(g, outputs=(value((None,)),))),
    (r"result 0 is f64\[3\], but exp makes f32\[3\]", lambda g: second(g, outputs=(value((3,), float64),))),
    ("exp has 1 results, but 2 are defined", lambda g: second(g, outputs=(*g.outputs[:1], value((3,))))),
    ("exp does not take 2 operands", lambda g: second(g, operands=g.inputs)),
    ("inference refuses it: reduce_sum", lambda g: second(g, op=find_op("reduce_sum"), attributes=BAD_AXIS)),
    ("the attribute axis is a list, which is not a constant", lambda g: second(g, attributes={"axis": [1]})),
    ("the attribute axis is a tuple, which is not a constant", lambda g: second(g, attributes={"axis": ([1],)})),
    ("the attribute value is a ndarray, which is", lambda g: second(g, attributes={"value": np.ones(3)})),
    ("operand 0 is not defined before", graph_inside),
]  # fmt: skip


@pytest.mark.parametrize(("message", "fault"), FAULTS)
def test_a_broken_graph_is_refused(message: str, fault: Callable[[Graph], Graph]) -> None:
    with pytest.raises(VerificationError, match=message):
        verify(fault(parse_graph(GOOD)))


def test_the_message_stands_at_the_place() -> None:
    """STYLE: verification errors print the graph with the message at the place."""
    with pytest.raises(VerificationError) as caught:
        verify(second(parse_graph(GOOD), outputs=(value((4,)),)))
    assert "  %3: f32[4] = exp(%c)\n  ^ result 0 is f32[4], but exp makes f32[3]\n  return" in str(caught.value)
    with pytest.raises(VerificationError) as caught:
        graph = parse_graph(GOOD)
        verify(graph.with_equations(graph.equations, [value((3,))]))
    assert "  return %<undefined>\n  ^ output 0 is not defined\n}" in str(caught.value)
    with pytest.raises(VerificationError) as caught:
        verify(Graph("f", graph.inputs[:1] * 2, (), ()))
    assert "{\n  ^ an input is listed twice\n" in str(caught.value)


def test_a_good_graph_is_returned() -> None:
    graph = parse_graph(GOOD)
    assert verify(graph) is graph


def test_a_known_size_may_refine_an_unknown_one() -> None:
    graph = parse_graph("f(%a: f32[?]) { %b: f32[3] = exp(%a) return %b }")
    assert verify(graph) is graph


def test_trusted_equations_are_still_checked_for_their_place() -> None:
    graph = parse_graph(GOOD)
    other = value((4,))
    changed = second(graph, outputs=(other,))
    wrong = changed.with_equations(changed.equations, [other])
    assert verify(wrong, trusted=set(wrong.equations)) is wrong
    with pytest.raises(VerificationError, match="operand 0 is not defined before"):
        verify(graph.with_equations(graph.equations[::-1]), trusted=set(graph.equations))
