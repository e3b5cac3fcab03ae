"""The reverse walk: what is recorded, what is walked, and who is asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dispatch import apply, apply_all, interpreting, recording_by
from graphjit.compiler.gradient import Recording, backward, forward, key_of
from graphjit.compiler.graph import Graph
from graphjit.compiler.op import Kind, Op, Pullback
from graphjit.compiler.tensortype import TensorType, float64
from graphjit.compiler.writer import GraphWriter, replay


def _x(value: float = 2.0) -> Any:
    return gj.constant(np.float64(value))


def _recorded(x: Any, f: Any) -> tuple[Recording, Any]:
    recording = Recording()
    recording.watch(x)
    with recording_by(recording):
        return recording, f(x)


def test_only_what_depends_on_the_watched_is_recorded() -> None:
    """Other ops, and ops without gradient, leave no record."""
    x, other = _x(), _x()
    recording, _ = _recorded(x, lambda x: (other * other, gj.floor(x), x * other))
    assert [record.op.name for record in recording.records] == ["multiply"]
    assert recording.is_tracked(x)
    assert not recording.is_tracked(other)


def test_records_know_the_users_line() -> None:
    """So that errors on the way back can name it."""
    recording, _ = _recorded(_x(), lambda x: x * 3.0)
    location = recording.records[0].location
    assert location is not None
    assert "lambda x: x * 3.0" in location.text


def test_reach_and_between() -> None:
    """Reach goes forward from the sources through rules; between cuts what does not lead to the target."""
    x = _x()
    recording, (y, _z) = _recorded(x, lambda x: (gj.exp(x) * 2.0, gj.tanh(x)))
    assert {key_of(x), key_of(y)} < recording.reach([x])
    assert recording.reach([_x()]) == set()
    assert [record.op.name for record in recording.between([x], [y]).records] == ["exp", "multiply"]


def test_only_the_way_to_the_sources_is_walked() -> None:
    """The rules of other paths are not called."""
    x, w = _x(), _x(5.0)
    recording = Recording()
    recording.watch(x)
    recording.watch(w)
    with recording_by(recording):
        y = gj.exp(x) * gj.tanh(w)
    seen: list[str] = []
    found = backward(
        recording, [(y, _x(1.0))], [w], lambda record, incoming, operand, contribution: seen.append(record.op.name)
    )
    assert seen == ["multiply", "tanh"]
    assert found.of(x) is None
    assert float(found.of(w)) == pytest.approx(np.exp(2.0) * (1 - np.tanh(5.0) ** 2))


def _product(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    return (types[0],)


def _pulled_back(asked: list[tuple[bool, ...]]) -> Op:
    def cotangents(wanted: tuple[bool, ...], g: Any, y: Any, a: Any, b: Any) -> list[Any]:
        asked.append(wanted)
        return [g * b, None]

    return Op(
        name="product",
        kind=Kind.CALL,
        infer=_product,
        numpy=lambda a, b: a * b,
        gradient=Pullback(cotangents),
    )


def test_a_pullback_is_called_once_and_told_what_is_wanted() -> None:
    """All cotangents at once; those that are None, or of no interest, are left out."""
    asked: list[tuple[bool, ...]] = []
    op = _pulled_back(asked)
    x, w = _x(), _x(5.0)
    recording, y = _recorded(x, lambda x: apply(op, x, w))
    assert float(backward(recording, [(y, _x(1.0))], [x]).of(x)) == 5.0
    assert asked == [(True, False)]
    rule = op.rule(0)
    assert rule is not None
    assert float(rule(_x(1.0), y, x, w)) == 5.0


def test_forward_is_the_transpose_of_the_transpose() -> None:
    """The derivative along a tangent, None where the target does not depend on it."""
    x = _x(3.0)
    recording, y = _recorded(x, lambda x: x * x)
    assert float(forward(recording, [(x, _x(10.0))], y)) == 60.0
    assert forward(recording, [(_x(), _x())], y) is None


def test_closures_over_another_graph_are_found() -> None:
    """A rule that uses values of the graph it was written in is differentiated by their counterparts."""
    first = GraphWriter("first", locate=False)
    with interpreting(first):
        a = first.input(TensorType(float64, ()), "a")
        e = gj.exp(a)
        graph: Graph = first.finish([e])
    second = GraphWriter("second", locate=False)
    b = second.input(TensorType(float64, ()), "b")
    recording = Recording()
    recording.watch(b)
    with interpreting(second, (recording,)):
        replay(graph, [b], second)
        (y,) = apply_all(gj.multiply.op, (a, e), {})  # type: ignore[attr-defined]  # factories put the op there
        slope = backward(recording, [(y, second.constant(np.float64(1.0)))], [b]).of(b)
        result = second.finish([slope])
    (found,) = run_reference(result, [np.float64(2.0)])
    assert float(found) == pytest.approx(np.exp(2.0) * 3.0)
