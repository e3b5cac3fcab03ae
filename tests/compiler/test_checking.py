"""gj.debugging: assertions, and tensors that must be finite; rows J2, J3 and D7 of the semantics."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from differences import check_gradient

import graphjit as gj
from graphjit import debugging
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

PAIRS: list[tuple[Callable[..., None], Any, Any, Any]] = [
    # assertion, x, a y that holds, a y that does not
    (debugging.assert_equal, [1, 2], [1, 2], [1, 3]),
    (debugging.assert_none_equal, [1, 2], [2, 1], [1, 1]),
    (debugging.assert_less, [1, 2], [2, 3], [2, 2]),
    (debugging.assert_less_equal, [1, 2], [1, 3], [2, 1]),
    (debugging.assert_greater, [1, 2], [0, 1], [1, 1]),
    (debugging.assert_greater_equal, [1, 2], [1, 1], [2, 2]),
    (debugging.assert_near, [1.0, 2.0], [1.0, 2.0000002], [1.0, 2.1]),
]
SIGNS: list[tuple[Callable[..., None], Any, Any]] = [
    (debugging.assert_positive, [1, 2], [0, 2]),
    (debugging.assert_negative, [-1, -2], [0, -2]),
    (debugging.assert_non_negative, [0, 2], [-1, 2]),
    (debugging.assert_non_positive, [0, -2], [1, -2]),
]


@pytest.mark.parametrize(("check", "x", "good", "bad"), PAIRS, ids=lambda one: getattr(one, "__name__", ""))
def test_comparisons_in_both_modes(check: Any, x: Any, good: Any, bad: Any) -> None:
    """Row J3: nothing happens where it holds; else an error, which a compiled function raises when it runs."""

    def function(a: Any, b: Any) -> Any:
        check(a, b, message="weights")
        return a + b

    compiled = gj.compile(function)
    for run in (function, compiled):
        run(gj.constant(x), gj.constant(good))
        with pytest.raises(InvalidArgumentError, match=r"weights: .* does not hold at \d of 2 places"):
            run(gj.constant(x), gj.constant(bad))
        run(gj.constant(x), gj.constant(good))
    assert check(x, good) is None


@pytest.mark.parametrize(("check", "good", "bad"), SIGNS, ids=lambda one: getattr(one, "__name__", ""))
def test_signs_in_both_modes(check: Any, good: Any, bad: Any) -> None:
    def function(a: Any) -> Any:
        check(a)
        return a

    for run in (function, gj.compile(function)):
        run(gj.constant(good))
        with pytest.raises(InvalidArgumentError, match=r"x .* 0 does not hold at 1 of 2 places"):
            run(gj.constant(bad))


def test_the_error_shows_places_and_values() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        debugging.assert_less(np.arange(6).reshape(2, 3), [9, 1, 2], message="limits", summarize=2)
    text = str(caught.value)
    assert "limits: x < y does not hold at 4 of 6 places"[:40] in text
    assert "[0, 1], [0, 2]" not in text or "the first" in text
    assert "x = [" in text and "y = [" in text and "shape is (2, 3)" in text


def test_scalars_and_empty_tensors() -> None:
    debugging.assert_equal(1, 1)
    debugging.assert_less(np.zeros((0, 3)), np.zeros(3))
    with pytest.raises(InvalidArgumentError, match="x == y does not hold"):
        debugging.assert_equal(1, 2)


def test_constants_are_checked_while_tracing_and_leave_nothing() -> None:
    """What is known is checked at once."""

    @gj.compile
    def fine(x: Any) -> Any:
        debugging.assert_equal(gj.shape(x), [3])
        debugging.assert_positive(gj.constant([1, 2]))
        debugging.Assert(gj.constant(True), [x])
        return x

    fine(gj.zeros([3]))
    assert "assert_true" not in fine.dump("traced")
    with pytest.raises(InvalidArgumentError, match="x == y does not hold"):
        fine(gj.zeros([4]))


def test_an_assertion_stays_where_nobody_reads_anything() -> None:
    """Row D7: effects run each time, in program order, whatever else is dropped."""

    @gj.compile
    def function(x: Any) -> Any:
        debugging.assert_less(x, 10.0, "first")
        debugging.assert_less(x, 5.0, "second")
        return gj.zeros([])

    function(gj.constant(1.0))
    with pytest.raises(InvalidArgumentError, match="second"):
        function(gj.constant(7.0))
    with pytest.raises(InvalidArgumentError, match="first"):
        function(gj.constant(12.0))


def test_gradients_flow_beside_assertions() -> None:
    x = gj.constant([1.0, 2.0])
    with gj.GradientTape() as tape:
        tape.watch(x)
        debugging.assert_positive(x)
        y = gj.reduce_sum(x * x)
    assert tape.gradient(y, x).numpy().tolist() == [2.0, 4.0]


def test_assert_shows_its_data() -> None:
    def function(x: Any) -> Any:
        debugging.Assert(gj.reduce_all(x > 0), [x, gj.constant(7)], summarize=2)
        return x

    for run in (function, gj.compile(function)):
        run(gj.constant([1, 2, 3]))
        with pytest.raises(InvalidArgumentError, match=r"data\[0\] = \[ ?-1, +2\](.|\n)*data\[1\] = \[7\]"):
            run(gj.constant([-1, 2, 3]))
    with pytest.raises(DtypeError, match="condition"):
        debugging.Assert(gj.constant(1), [])


def test_check_numerics_in_both_modes() -> None:
    """Row J2: the eager error says how many there are, and where the first is."""
    good, bad = gj.constant([[1.0, 2.0]]), gj.constant([[1.0, np.nan], [np.inf, -np.inf]])
    for function in (debugging.check_numerics, debugging.assert_all_finite):
        np.testing.assert_array_equal(function(good, "w"), good)
        with pytest.raises(InvalidArgumentError, match=r"weights: .* 1 NaN and 2 infinite .* first at \[0, 1\]: nan"):
            function(bad, "weights")
        compiled = gj.compile(lambda x, f=function: f(x * 2.0, "weights") + 1.0)
        np.testing.assert_array_equal(compiled(good), [[3.0, 5.0]])
        with pytest.raises(InvalidArgumentError, match="weights: an element is NaN or infinite"):
            compiled(bad)
    check_gradient(lambda x: debugging.check_numerics(x, ""), np.ones((2, 2)))


def test_check_numerics_stays_where_nobody_reads_it() -> None:
    @gj.compile
    def function(x: Any) -> Any:
        debugging.check_numerics(x, "unused")
        return gj.zeros([])

    with pytest.raises(InvalidArgumentError, match="unused"):
        function(gj.constant(np.nan))


def test_ranks_and_dtypes_are_checked_at_once() -> None:
    x = gj.zeros([2, 3])
    debugging.assert_rank(x, 2)
    debugging.assert_rank(x, gj.constant(2))
    debugging.assert_rank_at_least(x, 1)
    debugging.assert_rank_in(x, [1, 2])
    debugging.assert_type(x, gj.float32)
    debugging.assert_integer(gj.constant(1))
    assert debugging.assert_scalar(3).numpy() == 3
    for check, error in (
        (lambda: debugging.assert_rank(x, 1, "images"), ShapeError),
        (lambda: debugging.assert_rank_at_least(x, 3, "images"), ShapeError),
        (lambda: debugging.assert_rank_in(x, (0, 1), "images"), ShapeError),
        (lambda: debugging.assert_scalar(x, message="images"), ShapeError),
        (lambda: debugging.assert_type(x, gj.int32, "images"), DtypeError),
        (lambda: debugging.assert_integer(x, "images"), DtypeError),
    ):
        with pytest.raises(error, match="images: "):
            check()
        with pytest.raises(error, match="images: "):
            gj.compile(check)()


def test_numeric_tensors() -> None:
    assert debugging.is_numeric_tensor(gj.constant(1.0))
    assert debugging.is_numeric_tensor(gj.Variable(1))
    assert not debugging.is_numeric_tensor(gj.constant(True))
    assert not debugging.is_numeric_tensor(np.ones(3))


def test_assert_shapes() -> None:
    x, y, z = gj.zeros([3, 4]), gj.zeros([4, 5]), gj.zeros([7, 4])
    debugging.assert_shapes([(x, ("N", "D")), (y, ("D", "M")), (z, ("...", "D")), (gj.constant(1), ())])
    debugging.assert_shapes([(x, "ND"), (x, (3, None)), (x, ("*", 4)), (x, (".", "D")), (gj.zeros([4]), "D")])
    debugging.assert_shapes({x.ref(): ("N", "D"), y.ref(): ("D", 5)})
    for shapes in ([(x, "NN")], [(x, "N")], [(x, (3, 5))], [(x, "ND"), (y, "ND")], [(x, ("...", "A", "B", "C"))]):
        with pytest.raises(ShapeError, match="shape"):
            debugging.assert_shapes(shapes)
    with pytest.raises(ShapeError, match="batch: "):
        debugging.assert_shapes([(x, "NN")], message="batch")


def test_assert_shapes_with_unknown_sizes() -> None:
    """Row A12: sizes that are unknown while tracing are checked when the function runs."""

    @gj.compile(input_signature=[gj.TensorSpec([None, 4]), gj.TensorSpec([None])])
    def function(x: Any, y: Any) -> Any:
        debugging.assert_shapes([(x, ("N", 4)), (y, "N")])
        return x

    function(gj.zeros([2, 4]), gj.zeros([2]))
    with pytest.raises(InvalidArgumentError, match="'N'"):
        function(gj.zeros([2, 4]), gj.zeros([3]))


def test_order() -> None:
    assert gj.math.is_non_decreasing([1, 1, 2]).numpy() and not gj.math.is_non_decreasing([2, 1]).numpy()
    assert gj.math.is_strictly_increasing([1, 2]).numpy() and not gj.math.is_strictly_increasing([1, 1]).numpy()
    assert gj.math.is_non_decreasing(gj.zeros([0])).numpy() and gj.math.is_strictly_increasing([5]).numpy()
