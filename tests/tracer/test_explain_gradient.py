"""Explanations of gradients: D19 and rows G3, G4, G16 and G20."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.tracer.explain_gradient import GradientState


def _explained(f: Any, x: Any, watch: bool = True) -> gj.GradientExplanation:
    """The explanation of df/dx, which must be the same before and after the tape is used up."""
    with gj.GradientTape() as tape:
        if watch:
            tape.watch(x)
        y = f(x)
    before = tape.explain(y, x)
    if tape.gradient(y, x) is None:
        assert tape.explain(y, x) == before
    assert str(before) == before.text
    return before


def test_connected() -> None:
    """An ordinary gradient is said to be one."""
    assert _explained(lambda x: x * x, gj.constant(2.0)).state is GradientState.CONNECTED


def test_g3_not_watched() -> None:
    """G3, G20: a tensor that is not watched, perhaps because it was a variable once."""
    found = _explained(lambda x: x * 2.0, gj.constant(2.0), watch=False)
    assert found.state is GradientState.NOT_WATCHED
    assert "tape.watch(source)" in found.text
    assert "assign_add" in found.text


def test_g3_variables_that_are_not_watched() -> None:
    """G3: not read, or not trainable."""
    unread, frozen = gj.Variable(1.0, name="unread"), gj.Variable(1.0, trainable=False, name="frozen")
    with gj.GradientTape() as tape:
        y = frozen * 2.0
    assert "'unread:0' was not read" in tape.explain(y, unread).text
    assert "'frozen:0' is not trainable" in tape.explain(y, frozen).text


def test_g4_dtypes() -> None:
    """G4: an integer source, an integer target, a cast to integers on the way."""
    assert "source holds int32" in _explained(lambda n: gj.cast(n, gj.float32), gj.constant(2)).text
    assert "target holds int32" in _explained(lambda x: gj.cast(x, gj.int32), gj.constant(2.0)).text
    found = _explained(lambda x: gj.cast(gj.cast(x, gj.int32) + 1, gj.float32), gj.constant(2.0))
    assert (found.state, found.op) == (GradientState.NO_GRADIENT, "cast")


def test_g16_an_op_without_gradient() -> None:
    """G16: the op is named, with the user's line, however much is computed behind it."""

    def f(x: Any) -> Any:
        steps = gj.floor(x)
        for _ in range(3):
            steps = steps * 2.0 + 1.0
        return gj.reduce_sum(steps)

    found = _explained(f, gj.constant([1.5, 2.5]))
    assert (found.state, found.op) == (GradientState.NO_GRADIENT, "floor")
    assert found.location is not None
    assert found.location.text == "steps = gj.floor(x)"
    assert found.location.text in found.text


def test_an_operand_that_only_chooses() -> None:
    """A condition and an index get no gradient."""
    found = _explained(lambda x: gj.where(x > 0.0, 1.0, 2.0), gj.constant([1.0, -1.0]))
    assert (found.state, found.op) == (GradientState.NO_GRADIENT, "greater")


def test_stop_gradient() -> None:
    """stop_gradient is told apart from ops that have no gradient."""
    found = _explained(lambda x: gj.stop_gradient(x * 2.0) + 1.0, gj.constant(1.0))
    assert found.state is GradientState.STOPPED
    assert "stop_gradient(x * 2.0)" in found.text


def test_g10_assignment() -> None:
    """G10: an assignment on the way, by the variable that was assigned."""
    for trainable in (True, False):
        v = gj.Variable(1.0, trainable=trainable)

        def f(x: Any, v: gj.Variable = v) -> Any:
            v.assign(x * 2.0)
            return v * 3.0

        found = _explained(f, gj.constant(1.0))
        assert (found.state, found.op) == (GradientState.ASSIGNED, "assign")
        assert "v.assign(x * 2.0)" in found.text


def test_g10_what_was_assigned_later_is_not_blamed() -> None:
    """G10: reads before the assignment, and after the next one, do not depend on it."""
    v = gj.Variable(1.0)

    def early(x: Any) -> Any:
        before = v * 3.0
        v.assign(x * 2.0)
        return before

    def again(x: Any) -> Any:
        v.assign(x * 2.0)
        v.assign(5.0)
        return v * 3.0

    for f in (early, again):
        assert _explained(f, gj.constant(1.0)).state is GradientState.NOT_CONNECTED


def test_g20_numpy() -> None:
    """G20: where the path ends is said, and how values lose their history."""
    found = _explained(lambda x: gj.constant(np.tanh(gj.exp(x).numpy())) * 2.0, gj.constant(1.0))
    assert found.state is GradientState.NOT_CONNECTED
    assert "exp at" in found.text
    assert ".numpy()" in found.text


def test_a_function_that_decides_by_itself() -> None:
    """A compiled function in between that gives no gradient is named, before and after."""
    v = gj.Variable(2.0)

    @gj.compile
    def stepped(x: Any) -> Any:
        return gj.floor(x) * v

    found = _explained(stepped, gj.constant(1.5))
    assert (found.state, found.op) == (GradientState.NO_GRADIENT, "stepped")
    assert "decides that by itself" in found.text


def test_missing_rule() -> None:
    """G16: an op without a rule is an error of gradient, and explained as such."""
    with gj.GradientTape() as tape:
        x = gj.Variable([1.0, 2.0])
        y = gj.unique(x)[0]
    found = tape.explain(y, x)
    assert found.state is GradientState.MISSING_RULE
    assert "unique has no gradient rule" in found.text


def test_nan_in_the_walk_back() -> None:
    """The values are fine; the op whose rule made the first NaN is named."""
    found = _explained(lambda x: gj.reduce_sum(gj.sqrt(x) * 0.0), gj.constant([0.0, 1.0]))
    assert (found.state, found.op) == (GradientState.NAN, "sqrt")
    assert "values are fine" in found.text


def test_nan_in_the_values() -> None:
    """The op that made the first NaN on the way forward is named."""
    found = _explained(lambda x: gj.exp(gj.log(x) * 2.0), gj.constant([-1.0, 1.0]))
    assert (found.state, found.op) == (GradientState.NAN, "log")
    assert "values have already" in found.text


def test_infinite() -> None:
    """G17: sqrt'(0) is infinite."""
    found = _explained(gj.sqrt, gj.constant(0.0))
    assert (found.state, found.op) == (GradientState.INFINITE, "sqrt")


def test_zero() -> None:
    """The op that let nothing through is named."""
    found = _explained(lambda x: gj.reduce_sum(gj.maximum(x * 2.0, 9.0)), gj.constant([1.0, 2.0]))
    assert (found.state, found.op) == (GradientState.ZERO, "maximum")


def test_the_latest_tape_is_asked() -> None:
    """Without a tape, the one that was entered last is meant; if it is gone, that is said."""
    x = gj.Variable(1.0)
    with gj.GradientTape() as tape:
        y = gj.round(x)
    assert gj.explain_gradient(y, x) == gj.explain_gradient(y, x, tape)
    del tape
    gc.collect()
    with pytest.raises(RuntimeError, match="no gradient tape"):
        gj.explain_gradient(y, x)


def test_a_used_tape_explains_what_was_none_only() -> None:
    """Of a gradient that existed, a used tape has nothing left to tell."""
    x = gj.Variable(1.0)
    with gj.GradientTape() as tape:
        y = x * 2.0
    tape.gradient(y, x)
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.explain(y, x)


def test_explaining_keeps_nothing_alive() -> None:
    """What is behind an op without gradient is not held by the tape."""
    x = gj.Variable(np.ones(3))
    with gj.GradientTape() as tape:
        behind = gj.round(x) * 2.0
        held = weakref.ref(behind)
        y = gj.reduce_sum(behind)
        del behind
        gc.collect()
        assert held() is None
    assert tape.explain(y, x).op in ("round", "rint")


def test_what_is_refused() -> None:
    """Targets and sources are tensors or variables."""
    with gj.GradientTape() as tape:
        pass
    with pytest.raises(ValueError, match="the source is 3"):
        tape.explain(gj.constant(1.0), 3)


def test_inside_of_a_compiled_function() -> None:
    """The path is explained there too; numbers do not exist yet."""
    texts: list[Any] = []

    @gj.compile
    def f(x: Any) -> Any:
        with gj.GradientTape(persistent=True) as tape:
            tape.watch(x)
            y = gj.floor(x) * 2.0
            z = x * 2.0
        texts.extend([tape.explain(y, x), tape.explain(z, x)])
        return y

    f(gj.constant(1.5))
    assert [one.state for one in texts] == [GradientState.NO_GRADIENT, GradientState.CONNECTED]
    assert "y = gj.floor(x) * 2.0" in texts[0].text
