"""Running a graph with NumPy: the backend "numpy" and the yardstick of the others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dump.text import parse_graph
from graphjit.compiler.graph import Graph, Location
from graphjit.compiler.op import Example, Kind, Op
from graphjit.compiler.tensortype import type_of_array
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DivisionByZeroError, InvalidArgumentError, VerificationError
from graphjit.runtime.fields import replace

X = np.float32([[1, 2, 3], [4, 5, 6]])
PLACE = Location("/home/me/train.py", 12, "step", "y = a // b")


def written(body: Any, *arrays: Any) -> Graph:
    return write_graph("f", [type_of_array(array) for array in arrays], body)


def test_outputs_share_memory_with_nothing() -> None:
    """An input, a constant, a view of an input, a view of a temporary, the same value twice."""
    weights = np.float32([1, 2, 3])

    def body(x: Any) -> list[Any]:
        constant, doubled = gj.constant(weights), x * 2.0
        return [
            x,
            constant,
            gj.transpose(x),
            gj.transpose(doubled),
            doubled,
            doubled,
            gj.broadcast_to(constant, [2, 3]),
        ]

    graph = written(body, X)
    outputs = run_reference(graph, [X])
    literals = [one.attributes["value"].array for one in graph.equations if one.op.name == "constant"]
    for position, output in enumerate(outputs):
        others = [*outputs[:position], *literals, X]
        assert not any(np.shares_memory(output, other) for other in others), position
        assert output.flags.writeable and output.flags.c_contiguous
    np.testing.assert_array_equal(outputs[0], X)
    np.testing.assert_array_equal(outputs[2], X.T)


def test_no_warning_for_infinities_and_nan() -> None:
    found = run_reference(written(lambda x: (gj.log(x), x / x, gj.exp(x)), X), [X * 0 - 1])
    assert np.isnan(found[0]).all()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ([X, X], "f has 1 inputs, but 2 arrays were given"),
        ([X.astype(np.float64)], r"input 0 %a must be f32\[\?,3\], but the array is float64\[2, 3\]"),
        ([X[:, :2]], r"must be f32\[\?,3\], but the array is float32\[2, 2\]"),
        ([X[0]], r"but the array is float32\[3\]"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arrays: list[Any], message: str) -> None:
    graph = parse_graph("f(%a: f32[?,3]) { %b = exp(%a) return %b }")
    with pytest.raises(InvalidArgumentError, match=message):
        run_reference(graph, arrays)


def placed(graph: Graph) -> Graph:
    return graph.with_equations([replace(equation, location=PLACE) for equation in graph.equations])


def test_errors_name_the_users_line() -> None:
    """D19: graphjit's own errors in the message, all others in a note."""
    graph = placed(parse_graph("f(%a: i32[2], %b: i32[2]) { %c = floordiv(%a, %b) return %c }"))
    with pytest.raises(DivisionByZeroError, match=r"train.py:12 in step: y = a // b"):
        run_reference(graph, [np.int32([1, 2]), np.int32([1, 0])])
    graph = graph.with_equations([replace(graph.equations[0], op=_op(lambda a, b: a.no_such_attribute))])
    with pytest.raises(AttributeError) as caught:
        run_reference(graph, [np.int32([1, 2])] * 2)
    assert caught.value.__notes__ == ["while running odd at /home/me/train.py:12 in step: y = a // b"]


def _op(numpy: Any) -> Op:
    return Op("odd", Kind.CALL, lambda types: types[:1], numpy, examples=(Example(("f64[]",)),))


def test_an_op_that_makes_something_else_than_inferred_is_found() -> None:
    graph = placed(parse_graph("f(%a: i32[2], %b: i32[2]) { %c = floordiv(%a, %b) return %c }"))
    wrong = graph.with_equations([replace(graph.equations[0], op=_op(lambda a, b: a.astype(np.int64)))])
    with pytest.raises(
        VerificationError, match=r"odd was inferred to make i32\[2\], but made int64\[2\], at .*train.py:12"
    ):
        run_reference(wrong, [np.int32([1, 2])] * 2)


def test_temporaries_die_early() -> None:
    """A chain of large temporaries needs two of them at a time."""
    alive: list[int] = []

    class Counted(np.ndarray):  # type: ignore[type-arg]  # counts its instances only
        count = 0

        def __array_finalize__(self, base: Any) -> None:
            Counted.count += 1

        def __del__(self) -> None:
            Counted.count -= 1

    def grow(a: Any) -> Any:
        made = np.zeros(2, np.float32).view(Counted)
        alive.append(Counted.count)
        return made

    step = Op("grow", Kind.CALL, lambda types: types, grow, examples=(Example(("f64[]",)),))
    chain = written(lambda x: gj.exp(gj.exp(gj.exp(gj.exp(gj.exp(x))))), X[0, :2])
    counted = chain.with_equations([replace(equation, op=step) for equation in chain.equations])
    run_reference(counted, [X[0, :2]])
    assert max(alive) <= 2
