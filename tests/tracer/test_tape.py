"""Gradient tapes: rows G1 to G10, G16, G19, G20 and G22, eagerly and in compiled functions."""

from __future__ import annotations

import gc
import logging
import threading
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphjit as gj
from graphjit.tracer import tape as tape_module


def _eager(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


@pytest.fixture(params=["eager", "compiled"])
def mode(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """What makes a function run eagerly, or compiled."""
    return gj.compile if request.param == "compiled" else _eager


def _number(tensor: Any) -> float:
    return float(np.asarray(tensor))


# --- watching -------------------------------------------------------------------------------------


def test_g1_variables_are_watched_and_tensors_are_not(mode: Callable[..., Any]) -> None:
    """G1: trainable variables are watched on reading; tensors when they are given to watch."""
    v, frozen = gj.Variable(3.0), gj.Variable(2.0, trainable=False)

    def gradients(x: Any, y: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch({"x": [x]})
            z = v * v * frozen * x * y
        found = tape.gradient(z, [v, x, frozen, y])
        assert found[2:] == [None, None]
        return found[:2]

    dv, dx = mode(gradients)(gj.constant(5.0), gj.constant(7.0))
    assert (_number(dv), _number(dx)) == (2 * 3 * 2 * 5 * 7, 9 * 2 * 7)


def test_g1_what_cannot_be_watched() -> None:
    """G1: a number is refused with its value and type; so is watching before `with`."""
    with gj.GradientTape() as tape, pytest.raises(ValueError, match=r"3.0 of type 'float'"):
        tape.watch(3.0)
    with pytest.raises(RuntimeError, match=r"with gj\.GradientTape"):
        gj.GradientTape().watch(gj.constant(1.0))
    with pytest.raises(RuntimeError, match="recorded nothing"):
        gj.GradientTape().gradient(gj.constant(1.0), gj.constant(1.0))


class _Pair(NamedTuple):
    a: Any
    b: Any


def test_g2_structures() -> None:
    """G2: the answer has the structure of the sources; None among them stays None."""
    v, w = gj.Variable(2.0), gj.Variable(3.0)
    with gj.GradientTape(persistent=True) as tape:
        y = v * v * w
    found = tape.gradient(y, {"p": _Pair(v, None), "l": [w, (v,)]})
    assert isinstance(found["p"], _Pair)
    assert found["p"].b is None
    assert [_number(one) for one in (found["p"].a, found["l"][0], found["l"][1][0])] == [12.0, 4.0, 12.0]
    with pytest.raises(ValueError, match="a source is 2"):
        tape.gradient(y, [2])
    with pytest.raises(ValueError, match="a target is None"):
        tape.gradient(None, v)


def test_g2_targets_add_up(mode: Callable[..., Any]) -> None:
    """G2: the elements of a target, and several targets, count together; sources may repeat."""
    v = gj.Variable([1.0, 2.0])

    def gradients() -> Any:
        with gj.GradientTape(persistent=True) as tape:
            y = v * v
            z = 3.0 * v
        return (
            tape.gradient(y, v),
            tape.gradient([y, z], v),
            tape.gradient([y, y], v),
            tape.gradient(y, y),
            tape.gradient(v, v),
            tape.gradient(y, [v, v])[1],
        )

    found = [np.asarray(one).tolist() for one in mode(gradients)()]
    assert found == [[2, 4], [5, 7], [4, 8], [1, 1], [1, 1], [2, 4]]


def test_g2_intermediate_values_are_sources(mode: Callable[..., Any]) -> None:
    """G2: what was computed on the way is a source like any other."""

    def gradients(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            h = x * x
            y = h * h * x
        return tape.gradient(y, [h, x])

    dh, dx = mode(gradients)(gj.constant(2.0))
    assert (_number(dh), _number(dx)) == (2 * 4 * 2, 5 * 16)


def test_g3_unconnected() -> None:
    """G3: None, or zeros of the source's shape and dtype; any other word is refused."""
    v, w = gj.Variable(1.0), gj.Variable(np.ones((2, 2)))
    with gj.GradientTape(persistent=True) as tape:
        y = v * v + gj.reduce_sum(gj.stop_gradient(gj.cast(w, gj.float32)))
    assert tape.gradient(y, w) is None
    zero = tape.gradient(y, w, unconnected_gradients=gj.UnconnectedGradients.ZERO)
    assert (zero.shape, zero.dtype) == ((2, 2), gj.float64)
    assert np.all(zero.numpy() == 0)
    assert tape.gradient(y, w, unconnected_gradients="zero").numpy().sum() == 0
    with pytest.raises(ValueError, match="'none' or 'zero'"):
        tape.gradient(y, w, unconnected_gradients="nope")


def test_g4_integers_have_no_gradient(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """G4: integer targets and sources give None, and one line in the log for each kind of use."""
    monkeypatch.setattr(tape_module, "_warned", set())
    x, n = gj.constant(2.0), gj.constant(3)
    with caplog.at_level(logging.WARNING, "graphjit"):
        with gj.GradientTape(persistent=True) as tape:
            tape.watch([x, n, n])
            y = x * gj.cast(n, gj.float32)
            k = gj.cast(x, gj.int32) * n
        assert tape.gradient(y, [x, n])[1] is None
        assert tape.gradient([k, k], x) is None
        assert tape.gradient([k, y], x).numpy() == 3.0
    lines = [record.getMessage() for record in caplog.records]
    assert [line.split(" must")[0] for line in lines] == [
        "the dtype of the watched tensor",
        "the dtype of the source",
        "the dtype of the target",
    ]


def test_g5_output_gradients(mode: Callable[..., Any]) -> None:
    """G5: they weigh the target's elements."""

    def weighted(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y, z = x * x, 2.0 * x
        return tape.gradient([y, z], x, output_gradients=[[1.0, 10.0], None])

    assert np.asarray(mode(weighted)(gj.constant([1.0, 2.0]))).tolist() == [4.0, 42.0]


def test_g5_wrong_output_gradients_are_refused() -> None:
    """G5: TensorFlow broadcasts them silently; here another shape, dtype or count is an error."""
    x = gj.Variable([1.0, 2.0])
    with gj.GradientTape(persistent=True) as tape:
        y = x * x
    with pytest.raises(ValueError, match=r"shape \(1,\), but its target has shape \(2,\)"):
        tape.gradient(y, x, output_gradients=[10.0])
    with pytest.raises(ValueError, match="shape"):
        tape.gradient(y, x, output_gradients=10.0)
    with pytest.raises(TypeError, match="float64"):
        tape.gradient(y, x, output_gradients=gj.constant(np.ones(2)))
    with pytest.raises(ValueError, match="another structure than the 3 targets"):
        tape.gradient([y, y, y], x, output_gradients=[y, y])


def test_g5_one_output_gradient_for_one_target() -> None:
    """G5: a list is then the numbers of that one, or a list with it."""
    x = gj.Variable([1.0, 2.0])
    with gj.GradientTape(persistent=True) as tape:
        y = x * x
    for given in ([1.0, 2.0], [gj.constant([1.0, 2.0])], np.array([1.0, 2.0])):
        assert tape.gradient(y, x, output_gradients=given).numpy().tolist() == [2.0, 8.0]


# --- using a tape ---------------------------------------------------------------------------------


def test_g6_a_tape_gives_one_gradient() -> None:
    """G6: the second call says so, unless the tape is persistent; wrong arguments do not use it up."""
    x = gj.Variable(3.0)
    with gj.GradientTape() as tape:
        y = x * x
    with pytest.raises(ValueError, match="unconnected"):
        tape.gradient(y, x, unconnected_gradients="nope")
    assert _number(tape.gradient(y, x)) == 6.0
    with pytest.raises(RuntimeError, match="persistent=True"):
        tape.gradient(y, x)
    with gj.GradientTape(persistent=True) as lasting:
        y = x * x
    assert [_number(lasting.gradient(y, x)) for _ in range(2)] == [6.0, 6.0]


def test_g6_gradient_inside_of_the_context(caplog: pytest.LogCaptureFixture) -> None:
    """G6: allowed; a persistent tape warns in the log, because it records the derivative too."""
    x = gj.Variable(3.0)
    with gj.GradientTape() as tape:
        y = x * x
        assert _number(tape.gradient(y, x)) == 6.0
    with caplog.at_level(logging.WARNING, "graphjit"), gj.GradientTape(persistent=True) as lasting:
        first = lasting.gradient(x * x * x, x)
        assert any("persistent tape inside" in record.message for record in caplog.records)
    assert _number(lasting.gradient(first, x)) == 18.0


def test_g6_a_used_tape_lets_go_of_its_tensors() -> None:
    """G6: nothing that was recorded outlives the gradient, or the reset of a persistent tape."""
    x = gj.Variable(np.ones(4))

    def record(tape: gj.GradientTape) -> tuple[Any, weakref.ref[Any]]:
        with tape:
            hidden = x * 2.0
            y = gj.reduce_sum(hidden * hidden)
        return y, weakref.ref(hidden)

    tape = gj.GradientTape()
    y, hidden = record(tape)
    assert tape.gradient(y, x).numpy().tolist() == [8.0] * 4
    gc.collect()
    assert hidden() is None
    lasting = gj.GradientTape(persistent=True)
    y, hidden = record(lasting)
    lasting.gradient(y, x)
    assert hidden() is not None
    lasting.reset()
    gc.collect()
    assert hidden() is None


def test_g7_higher_orders(mode: Callable[..., Any]) -> None:
    """G7: nested tapes: 32, 48 and 48 for x**4 at 2."""

    def orders(x: Any) -> Any:
        with gj.GradientTape() as third:
            third.watch(x)
            with gj.GradientTape() as second:
                second.watch(x)
                with gj.GradientTape() as first:
                    first.watch(x)
                    y = x * x * x * x
                dy = first.gradient(y, x)
            ddy = second.gradient(dy, x)
        return dy, ddy, third.gradient(ddy, x)

    assert [_number(one) for one in mode(orders)(gj.constant(2.0))] == [32.0, 48.0, 48.0]


def test_g7_second_order_with_one_persistent_tape(mode: Callable[..., Any]) -> None:
    """G7: gradient inside of a persistent tape is recorded, so it can be differentiated: 12.0."""

    def second(x: Any) -> Any:
        with gj.GradientTape(persistent=True) as tape:
            tape.watch(x)
            dy = tape.gradient(x * x * x, x)
        return tape.gradient(dy, x)

    assert _number(mode(second)(gj.constant(2.0))) == 12.0


def test_g7_reentering_goes_on_recording() -> None:
    """G7: a tape may be entered again; entering it twice at once is a ValueError."""
    x = gj.Variable(3.0)
    tape = gj.GradientTape()
    with tape:
        y = x * x
        with pytest.raises(ValueError, match="records already"), tape:
            pass
    with tape:
        z = y * x
    assert _number(tape.gradient(z, x)) == 27.0


def test_g8_watched_variables() -> None:
    """G8: in the order of reading, and still there after gradient; or only those that are asked for."""
    a, b, c = (gj.Variable(1.0, name=name) for name in "abc")
    with gj.GradientTape() as tape:
        y = b * a * b
    assert [v.name for v in tape.watched_variables()] == ["b:0", "a:0"]
    tape.gradient(y, a)
    assert [v.name for v in tape.watched_variables()] == ["b:0", "a:0"]
    with gj.GradientTape(watch_accessed_variables=False) as asked:
        asked.watch(c)
        y = a * c
    assert [v.name for v in asked.watched_variables()] == ["c:0"]
    assert [one is None for one in asked.gradient(y, [a, c])] == [True, False]


def test_g8_reset_and_stop_recording() -> None:
    """G8: reset forgets what was recorded and watched; stop_recording pauses."""
    x = gj.Variable(3.0)
    with gj.GradientTape() as tape:
        _ = x * x
        tape.reset()
        y = x * 2.0
        with tape.stop_recording():
            hidden = y * y
        z = y + hidden
    assert len(tape.watched_variables()) == 1
    assert _number(tape.gradient(z, x)) == 2.0
    with pytest.raises(RuntimeError, match="does not record"), tape.stop_recording():
        pass


def test_g8_stop_recording_pauses_one_tape_only() -> None:
    """G8: other tapes go on."""
    x = gj.Variable(3.0)
    with gj.GradientTape() as outer, gj.GradientTape() as inner, inner.stop_recording():
        y = x * x
    assert inner.gradient(y, x) is None
    assert _number(outer.gradient(y, x)) == 6.0


def test_g9_stop_gradient_hides_what_is_before_it(mode: Callable[..., Any]) -> None:
    """G9: nothing flows through, and the gradient functions before it are not even called."""
    called: list[str] = []

    @gj.custom_gradient
    def watched(x: Any) -> Any:
        def gradient(g: Any) -> Any:
            called.append("gradient")
            return g

        return x * 1.0, gradient

    def cut(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.stop_gradient(watched(x)) * x
        return tape.gradient(y, x)

    assert _number(mode(cut)(gj.constant(3.0))) == 3.0
    assert called == []


def test_g10_assignment_cuts_history(mode: Callable[..., Any]) -> None:
    """G10: dy/dx0 is None, dy/dx1 is not; reads before and after an assignment count for the variable (24.0)."""
    v = gj.Variable(1.0)

    def cut(x0: Any, x1: Any) -> Any:
        v.assign(1.0)
        with gj.GradientTape() as tape:
            tape.watch([x0, x1])
            before = v * 4.0
            v.assign(x0 * 5.0)
            after = v * x1
            y = before * 1.0 + after
        by_x0, by_x1, by_v = tape.gradient(y, [x0, x1, v])
        assert by_x0 is None
        return by_x1, by_v

    by_x1, by_v = mode(cut)(gj.constant(2.0), gj.constant(20.0))
    assert (_number(by_x1), _number(by_v)) == (10.0, 24.0)


def test_g10_sliced_assignment_cuts_history(mode: Callable[..., Any]) -> None:
    """G10: likewise."""
    v = gj.Variable([1.0, 1.0])

    def cut(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            v[0].assign(x * 5.0)
            y = gj.reduce_sum(v * 3.0) + x
        return tape.gradient(y, [x, v])

    by_x, by_v = mode(cut)(gj.constant(2.0))
    assert _number(by_x) == 1.0
    assert np.asarray(by_v).tolist() == [3.0, 3.0]


def test_g10_assign_add_reads_nothing_for_the_tape() -> None:
    """G10: assign_add alone does not let the variable be watched."""
    v = gj.Variable(1.0)
    with gj.GradientTape() as tape:
        v.assign_add(1.0)
    assert tape.watched_variables() == ()


def test_g16_ops_without_gradient() -> None:
    """G16: rounding, comparing, argmax and casting to integers give None; an op without a rule is an error."""
    x = gj.Variable([1.0, 2.0, 2.0])
    with gj.GradientTape(persistent=True) as tape:
        flat = [gj.round(x), gj.floor(x), gj.cast(x > 1.5, gj.float32), gj.cast(gj.cast(x, gj.int32), gj.float32)]
        found = gj.unique(x)[0] * 1.0
    assert [tape.gradient(one, x) for one in flat] == [None] * 4
    with pytest.raises(LookupError, match=r"unique has no gradient rule; it was written at .*test_tape"):
        tape.gradient(found, x)


def test_g16_an_op_without_a_rule_matters_only_on_the_way() -> None:
    """G16: what does not lead to the sources is not walked."""
    x, w = gj.Variable([1.0, 2.0]), gj.Variable(2.0)
    with gj.GradientTape() as tape:
        y = gj.reduce_sum(gj.unique(x)[0]) * w
    assert _number(tape.gradient(y, w)) == 3.0


def test_g19_gradient_of_a_compiled_function() -> None:
    """G19: a tape outside sees through a compiled function, to arguments and variables."""
    v = gj.Variable(3.0)

    @gj.compile
    def f(x: Any) -> Any:
        return x * x * v

    x = gj.constant(2.0)
    with gj.GradientTape() as outer:
        outer.watch(x)
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = f(x)
        dx, dv = tape.gradient(y, [x, v])
    assert (_number(dx), _number(dv)) == (12.0, 4.0)
    assert _number(outer.gradient(dx, v)) == 4.0


def test_g19_a_variable_updated_in_the_function() -> None:
    """G19, G10: an assignment in a compiled function cuts history, as it does outside."""
    v = gj.Variable(1.0)

    @gj.compile
    def f(x: Any) -> Any:
        before = v * x
        v.assign(x * 7.0)
        return before + v * 3.0

    x = gj.constant(2.0)
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = f(x)
    dx, dv = tape.gradient(y, [x, v])
    assert (_number(dx), _number(dv), _number(v)) == (1.0, 5.0, 14.0)


def test_g20_numpy_breaks_the_path() -> None:
    """G20: a NumPy computation on the numbers leaves no trace: None."""
    x = gj.Variable([1.0, 2.0])
    with gj.GradientTape() as tape:
        y = gj.reduce_sum(gj.constant(np.tanh(x.numpy())) * 2.0)
    assert tape.gradient(y, x) is None


def test_g20_a_variable_replaced_by_a_tensor() -> None:
    """G20: `x = x + 1` makes a tensor, which is not watched."""
    x: Any = gj.Variable(2.0)
    found = []
    for _ in range(2):
        with gj.GradientTape() as tape:
            y = x + 1.0
        found.append(tape.gradient(y, x))
        x = x + 1.0
    assert _number(found[0]) == 1.0
    assert found[1] is None


def test_g22_equal_values_are_different_things(mode: Callable[..., Any]) -> None:
    """G22: x, identity(x), x + 0 and x * 1 are four things to differentiate by."""

    def by_each(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            others = [gj.identity(x), x + 0.0, x * 1.0]
            tape.watch(others)
            y = others[0] * 2.0 + others[1] * 3.0 + others[2] * 5.0 + x * 7.0
        return tape.gradient(y, [*others, x])

    assert [_number(one) for one in mode(by_each)(gj.constant(1.0))] == [2.0, 3.0, 5.0, 17.0]


# --- what else may happen -------------------------------------------------------------------------


def test_threads_do_not_see_each_others_tapes() -> None:
    """D8: a tape hears only its own thread."""
    x = gj.Variable(3.0)
    made: list[Any] = []
    with gj.GradientTape() as tape:
        thread = threading.Thread(target=lambda: made.append(x * x))
        thread.start()
        thread.join()
    assert tape.gradient(made[0], x) is None


def test_an_exception_inside_leaves_no_tape_behind() -> None:
    """A tape stops recording however its `with` ends."""
    x = gj.Variable(3.0)
    tape = gj.GradientTape()
    with pytest.raises(ZeroDivisionError), tape:
        y = x * x
        _ = 1 / 0
    late = y * x
    assert tape.gradient(late, x) is None


def test_broadcasting_is_undone(mode: Callable[..., Any]) -> None:
    """Gradients have the shapes of their sources, whatever was broadcast."""

    def gradients(x: Any, y: Any, z: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch([x, y, z])
            out = x * y + z
        return tape.gradient(out, [x, y, z])

    shapes = [(3, 1), (1, 4), ()]
    found = mode(gradients)(*(gj.constant(np.full(shape, 2.0)) for shape in shapes))
    assert [np.asarray(one).shape for one in found] == shapes
    assert [float(np.asarray(one).sum()) for one in found] == [24.0, 24.0, 12.0]


def test_many_records_do_not_recurse() -> None:
    """The walk is a loop: ten thousand ops on the path are no problem."""
    x = gj.Variable(1.0)
    with gj.GradientTape() as tape:
        y = x * 1.0
        for _ in range(10_000):
            y = y + x
    assert _number(tape.gradient(y, x)) == 10_001.0


def test_errors_in_a_rule_name_the_op() -> None:
    """An error on the way back says which op was differentiated, and where it was written."""

    @gj.custom_gradient
    def wrong(x: Any) -> Any:
        return x * 1.0, lambda g: gj.matmul(g, g)

    x = gj.Variable(1.0)
    with gj.GradientTape() as tape:
        y = wrong(x)
    with pytest.raises(ValueError, match="rank") as caught:
        tape.gradient(y, x)
    assert any("while differentiating custom_gradient, written at" in note for note in caught.value.__notes__)
