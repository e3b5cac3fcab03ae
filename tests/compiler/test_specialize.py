"""From unknown sizes to the shapes of one call."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dump.text import format_graph, parse_graph
from graphjit.compiler.graph import Graph, Location
from graphjit.compiler.op import Kind
from graphjit.compiler.operand import PUBLIC
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.specialize import specialize
from graphjit.compiler.tensortype import TensorType, float32, float64, type_of_array
from graphjit.compiler.verify import verify
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.runtime.fields import replace


def f32(*shape: int | None) -> TensorType:
    return TensorType(float32, shape)


def written(body: Callable[..., Any], *types: TensorType) -> Graph:
    return verify(write_graph("f", types, body))


def ops_of(graph: Graph) -> list[str]:
    return [equation.op.name for equation in graph.equations]


def agrees(body: Callable[..., Any], unknown: list[TensorType], *arrays: np.ndarray[Any, Any]) -> Graph:
    """The graph for these arrays, which computes what the graph with unknown sizes computes."""
    general = written(body, *unknown)
    special = verify(specialize(general, [type_of_array(array) for array in arrays]))
    wanted = run_reference(general, arrays)
    for graph in (special, optimize(special)[-1].graph):
        for found, expected in zip(run_reference(graph, arrays), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-6)
    return special


X = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_a_static_graph_is_returned_as_it_is() -> None:
    graph = written(lambda x: gj.exp(x) + 1.0, f32(2, 3))
    assert specialize(graph, [f32(2, 3)]) is graph


def test_names_lines_and_order_are_kept() -> None:
    graph = parse_graph("f(%a: f32[?,3]) { %b = exp(%a) %c = add(%b, %a) return %c, %b }")
    place = Location("train.py", 7, "step", "b = gj.exp(a)")
    equations = [replace(one, location=place) for one in graph.equations]
    special = specialize(graph.with_equations(equations), [f32(5, 3)])
    assert format_graph(special, locations=True) == (
        "f(%a: f32[5,3]) {\n"
        "  %b: f32[5,3] = exp(%a)  # train.py:7\n"
        "  %c: f32[5,3] = add(%b, %a)  # train.py:7\n"
        "  return %c, %b\n"
        "}"
    )


def test_arithmetic_on_sizes_is_done() -> None:
    """reshape(x, [shape(x)[0], -1]) and shapes that are computed from shapes become static."""

    def body(x: Any) -> Any:
        rows = gj.shape(x)[0]
        return gj.reshape(x, [rows // 2, -1]), gj.reshape(x, gj.shape(x)[::-1])

    special = agrees(body, [f32(None, None)], X)
    assert [value.type for value in special.outputs] == [f32(2, 6), f32(3, 4)]
    assert ops_of(optimize(special)[-1].graph) == ["reshape", "reshape"]


BODIES: list[tuple[str, Callable[..., Any]]] = [
    ("zeros_like", lambda x: gj.zeros_like(x) + x),
    ("broadcast to another's shape", lambda x: gj.broadcast_to(x[:1], gj.shape(x))),
    ("mean", lambda x: gj.reduce_mean(x, axis=0)),
    ("softmax", lambda x: gj.nn.softmax(x)),
    ("size as a number", lambda x: x * gj.cast(gj.size(x), gj.float32)),
    ("concat of sizes", lambda x: gj.reshape(x, gj.concat([gj.shape(x)[:1], [1], gj.shape(x)[1:]], 0))),
    ("slices to the end", lambda x: x[1:, ::-1]),
    ("tile by a size", lambda x: gj.tile(x, [1, gj.shape(x)[1]])),
    ("a range of a size", lambda x: gj.cast(gj.range(gj.shape(x)[0]), gj.float32)),
]


@pytest.mark.parametrize("body", [one[1] for one in BODIES], ids=[one[0] for one in BODIES])
@pytest.mark.parametrize("array", [X, X[:0], X[:1, :1]], ids=["4x3", "0x3", "1x1"])
def test_everything_becomes_static(body: Callable[..., Any], array: np.ndarray[Any, Any]) -> None:
    special = agrees(body, [f32(None, None)], array)
    assert all(value.type.is_static for value in special.values()), format_graph(special)


def test_ops_that_do_not_wait_stay_composed() -> None:
    """Patterns such as log(softmax(x)) are looked for after specialising."""
    special = specialize(written(lambda x: gj.log(gj.nn.softmax(x)), f32(None, 3)), [f32(4, 3)])
    assert ops_of(special) == ["softmax", "log"]
    assert any(equation.op.kind is Kind.COMPOSED for equation in special.equations)


def test_gradients_of_broadcasting_become_sums() -> None:
    """Rules written with sum_to_shape_of are right whether the size turns out to be 1 or not."""

    def body(x: Any, y: Any) -> Any:
        return PUBLIC["sum_to_shape_of"](x + y, x)

    for rows in (1, 4):
        special = agrees(body, [f32(None, 3), f32(4, 3)], X[:rows], X)
        last = optimize(special)[-1].graph
        assert ("reduce_sum" in ops_of(last)) == (rows == 1)


def test_sizes_that_depend_on_data_stay_unknown() -> None:
    special = agrees(lambda x: gj.boolean_mask(x, x[:, 0] > 2) * 2.0, [f32(None, 3)], X)
    assert special.outputs[0].type == f32(None, 3)


def test_a_type_that_does_not_fit_is_refused() -> None:
    graph = parse_graph("f(%a: f32[?,3]) { %b = exp(%a) return %b }")
    with pytest.raises(
        InvalidArgumentError, match=r"input 0 %a was traced as f32\[\?,3\], which does not take f32\[2,4\]"
    ):
        specialize(graph, [f32(2, 4)])
    with pytest.raises(InvalidArgumentError, match="does not take f64"):
        specialize(graph, [TensorType(float64, (2, 3))])
    with pytest.raises(InvalidArgumentError, match="f has 1 inputs, but 2 types were given"):
        specialize(graph, [f32(2, 3), f32(2, 3)])


def test_shapes_that_do_not_go_together_name_the_users_line() -> None:
    graph = parse_graph("f(%a: f32[?], %b: f32[?]) { %c = add(%a, %b) return %c }")
    (equation,) = graph.equations
    place = Location("/home/me/train.py", 12, "step", "c = a + b")
    placed = replace(equation, location=place)
    with pytest.raises(ShapeError, match=r"(?s)do not broadcast.*train.py:12 in step: c = a \+ b"):
        specialize(graph.with_equations([placed]), [f32(2), f32(3)])


def test_arithmetic_that_fails_is_left_to_the_call() -> None:
    """Decision 2: a division of a size by zero raises where the user runs it."""
    graph = written(lambda x: (x, gj.shape(x)[0] // 0), f32(None))
    special = specialize(graph, [f32(3)])
    assert "floordiv" in ops_of(special)
    with pytest.raises(ZeroDivisionError):
        run_reference(optimize(special)[-1].graph, [X[0]])
