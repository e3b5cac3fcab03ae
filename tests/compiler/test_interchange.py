"""Graphs as JSON: everything comes back, nothing that is wrong comes through."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from graphjit.compiler.dump.dot import graph_to_dot
from graphjit.compiler.dump.interchange import graph_from_json, graph_to_json
from graphjit.compiler.dump.text import format_graph, parse_graph
from graphjit.compiler.equality import graphs_equal
from graphjit.compiler.graph import Equation, Graph, Literal, Location, Value
from graphjit.compiler.op import find_op
from graphjit.compiler.ops.control import fused_op
from graphjit.compiler.tensortype import TensorType, float32
from graphjit.compiler.verify import verify
from graphjit.runtime.errors import FormatError


def sample() -> Graph:
    """A graph with names, lines, unknown sizes, odd floats, a big array and a graph inside."""
    x = Value(TensorType(float32, (None, 3)), "x")
    y, z = (Value(x.type, name) for name in ("", "z"))
    weights = Literal(np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32))
    w = Value(weights.type, "w")
    place = Location("/home/me/train.py", 12, "step", 'h = gj.exp("x")')
    inner = parse_graph("inner(%a: f32[?,3]) { %b = exp(%a) return %b }")
    held = {"graph": inner, "domain": (-0.0, float("nan"), True, 1, None, "text", float32), "inner": (), "axes": x.type}
    equations = (
        Equation(find_op("constant"), (), {"value": weights}, (w,), place),
        Equation(find_op("exp"), (x,), {}, (y,), place),
        Equation(fused_op, (y,), held, (z,)),
    )
    return verify(Graph("<lambda>", (x,), equations, (z, w, x)))


def test_everything_comes_back() -> None:
    """Structure, names, locations, and every attribute to the bit."""
    graph = sample()
    back = verify(graph_from_json(graph_to_json(graph)))
    assert graphs_equal(back, graph)
    assert back.name == graph.name
    assert [value.name for value in back.values()] == [value.name for value in graph.values()]
    assert [equation.location for equation in back.equations] == [one.location for one in graph.equations]
    assert format_graph(back, locations=True) == format_graph(graph, locations=True)


def test_a_callable_cannot_be_written_down() -> None:
    graph = sample()
    equation = graph.equations[1]
    held = Equation(equation.op, equation.operands, {"function": len}, equation.outputs)
    with pytest.raises(FormatError, match="exp holds a Python callable"):
        graph_to_json(graph.with_equations([held]))


def change(path: str, value: Any) -> Callable[[Any], None]:
    """Put a value at a place in the document."""

    def put(document: Any) -> None:
        *inner, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        for part in inner:
            document = document[part]
        document[last] = value

    return put


FAULTS = [
    ("format", "pickle", '"format" must be'),
    ("version", 2, "version 2; version 1 can be read"),
    ("graph", [], "'graph' must be a dict"),
    ("graph/name", 3, "'name' must be a str"),
    ("graph/inputs", {}, "'inputs' must be a list"),
    ("graph/inputs/0", "x", "a value must be an object"),
    ("graph/inputs/0/type", "f32[", "was expected"),
    ("graph/inputs/0/type", "f32[2] f32", "nothing may follow"),
    ("graph/outputs", [99], "outputs: 99 is no value"),
    ("graph/outputs", [-1], "outputs: -1 is no value"),
    ("graph/outputs", [True], "outputs: True is no value"),
    ("graph/equations/1", None, "equation 1: an equation must be an object"),
    ("graph/equations/1/op", "no_such_op", "equation 1: there is no op named 'no_such_op'"),
    ("graph/equations/1/op", None, "'op' must be a str"),
    ("graph/equations/1/operands", [2], "equation 1: 2 is no value that is defined before"),
    ("graph/equations/1/operands", [0, 0], "exp does not take 2 operands"),
    ("graph/equations/1/outputs", [], "its results are given as nothing"),
    ("graph/equations/1/outputs/0/type", "f32[2,4]", r"exp makes f32\[\?,3\], but"),
    ("graph/equations/1/location", ["x"], "a location is"),
    ("graph/equations/0/attributes/value", "dense<f32[2]: [1.0]>", "constant: attribute value: line 1"),
    ("graph/equations/0/attributes/value", 3, "must be a text or a graph"),
    ("graph/equations/0/attributes/value", "3", "constant does not take"),
    ("graph/equations/2/attributes/graph/equations/0/op", "expo", "graph: equation 0: there is no op"),
]


@pytest.mark.parametrize(("path", "value", "message"), FAULTS)
def test_what_is_no_graph_is_refused(path: str, value: Any, message: str) -> None:
    document = json.loads(graph_to_json(sample()))
    change(path, value)(document)
    with pytest.raises(FormatError, match=message):
        graph_from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "[", "[]", "3", "null", "[" * 100_000, '{"format": "graphjit graph"}'])
def test_what_is_no_document_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        graph_from_json(text)


def test_graphs_inside_graphs_are_bounded() -> None:
    document = json.loads(graph_to_json(sample()))
    for _ in range(70):
        inner = document["graph"]
        document = json.loads(graph_to_json(sample()))
        document["graph"]["equations"][2]["attributes"]["graph"] = inner
    with pytest.raises(FormatError, match="nested 64 deep"):
        graph_from_json(json.dumps(document))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.data())
def test_damage_raises_nothing_but_format_errors(data: st.DataObject) -> None:
    text = graph_to_json(sample())
    begin = data.draw(st.integers(0, len(text)))
    patch = data.draw(st.text('"{}[]0123456789:,.nulltrefas', max_size=4))
    damaged = text[:begin] + patch + text[begin + data.draw(st.integers(0, 8)) :]
    try:
        verify(graph_from_json(damaged))
    except FormatError:
        return


def test_dot_shows_clusters_of_lines_and_inner_graphs(golden: Any) -> None:
    """D17: DOT."""
    golden.check(graph_to_dot(sample()))
