"""Which arguments share a trace."""

from __future__ import annotations

import dataclasses
import enum
import fractions
import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import DtypeError, SignatureError


def traces(f: Callable[..., Any], *arguments: Any) -> int:
    """How many traces it takes to call a function with each of the arguments."""
    compiled = gj.compile(f)
    for one in arguments:
        compiled(one)
    count: int = compiled.trace_count
    return count


def ignore(x: Any) -> Any:
    """A function that does not look at its argument."""
    return gj.constant(1.0)


def total(x: Any) -> Any:
    """The sum of all elements."""
    return gj.reduce_sum(x)


def test_a2_tensors_count_by_dtype_and_shape() -> None:
    """A2: the numbers never matter."""
    one, two = gj.constant([1.0]), gj.constant([2.0])
    assert traces(total, one, two) == 1
    assert traces(total, one, gj.constant([1.0, 2.0]), gj.constant([1])) == 3


def test_a3_arrays_and_numpy_scalars_are_tensors() -> None:
    """A3: float64 stays float64, and a NumPy scalar is a 0-d array."""
    seen: list[Any] = []

    @gj.compile
    def f(x: Any) -> Any:
        seen.append((x.dtype, tuple(x.shape)))
        return x

    f(np.float64(1.5))
    f(np.float64(2.5))
    f(np.ones(2))
    f(gj.constant([1.0, 2.0], gj.float64))
    f(np.ones(2, np.float16))
    assert seen == [(gj.float64, ()), (gj.float64, (2,)), (gj.float16, (2,))]
    assert f(np.ones(2)).dtype == gj.float64


class Tagged(np.ndarray):
    """An array of another class."""


def test_a3_every_kind_of_array_is_taken_or_refused_by_name() -> None:
    """A3: strided, transposed, big-endian, read-only and subclassed arrays; masked and object arrays are refused."""
    f = gj.compile(lambda x: x * 2)
    base = np.arange(6, dtype=np.int32).reshape(2, 3)
    frozen = base.copy()
    frozen.flags.writeable = False
    for array in (base.T, base[:, ::-1], base.astype(">i4"), frozen, base.view(Tagged), base[:1, 1:]):
        np.testing.assert_array_equal(f(array), np.asarray(array) * 2)
    with pytest.raises(SignatureError, match="argument 'x' is a masked array"):
        f(np.ma.masked_array([1, 2], [0, 1]))
    with pytest.raises(SignatureError, match="argument 'x' is an array of dtype object"):
        f(np.array([object()]))
    with pytest.raises(DtypeError, match="become string"):
        f(np.array(["a"]))


def test_a4_python_values_count_by_exact_type_and_value() -> None:
    """A4: 1, True and 1.0 are three signatures; -0.0 is not 0.0; NaN is NaN."""
    assert traces(ignore, 1, True, 1.0, np.int32(1)) == 4
    assert traces(ignore, 0.0, -0.0) == 2
    assert traces(ignore, float("nan"), float("nan")) == 1
    assert traces(ignore, None, "a", "b", b"a", 1j, complex(-0.0, 1.0)) == 6

    class Color(enum.Enum):
        RED = 1
        BLUE = 2

    assert traces(ignore, Color.RED, Color.BLUE, Color.RED) == 2


def test_a5_structures_are_keys() -> None:
    """A5: lists are not tuples, a dict's order does not count, everything nests."""
    pair = namedtuple("pair", "a b")
    x = gj.constant(1.0)
    assert traces(ignore, [x, x], (x, x), pair(x, x), [x, [x]]) == 4
    assert traces(ignore, {"a": x, "b": x}, {"b": x, "a": x}, {"a": x}) == 2
    assert traces(ignore, OrderedDict(a=x), {"a": x}) == 2
    assert traces(ignore, [1, {"a": (None, "x")}], [1, {"a": (None, "x")}], [1, {"a": (None, "y")}]) == 2

    @gj.compile
    def f(batch: Any) -> Any:
        return batch["x"][0] * 2.0 + batch["y"].a

    assert f({"x": [x], "y": pair(x, 1)}).numpy() == 3.0


@dataclasses.dataclass(frozen=True)
class Point:
    """A dataclass with tensors."""

    x: Any
    label: str = "p"
    rest: Any = None


def test_a6_slices_sets_and_dataclasses_are_keys() -> None:
    """A6: they work as arguments and as results."""
    rows = gj.constant([1.0, 2.0, 3.0])
    pick = gj.compile(lambda s: rows[s])
    assert pick(slice(1, None)).numpy().tolist() == [2.0, 3.0]
    assert pick(slice(0, 1)).numpy().tolist() == [1.0]
    assert pick.trace_count == 2
    assert traces(ignore, {1, 2}, {2, 1}, {1, True + 2}, frozenset({1, 2})) == 3
    assert traces(ignore, Point(gj.constant(1.0)), Point(gj.constant(2.0)), Point(gj.constant(1.0), "q")) == 2

    @gj.compile
    def move(p: Point) -> Point:
        return dataclasses.replace(p, x=p.x + 1.0)

    moved = move(Point(gj.constant(1.0), "here"))
    assert isinstance(moved, Point)
    assert (moved.x.numpy(), moved.label) == (2.0, "here")


def test_a6_what_cannot_be_a_key_is_refused_by_name() -> None:
    """A6: the message names the argument and its type."""
    f = gj.compile(ignore)
    with pytest.raises(TypeError, match="argument 'x' is a bytearray"):
        f(bytearray(b"a"))
    with pytest.raises(TypeError, match="argument 'x' is a generator: it would be used up"):
        f(one for one in (1, 2))
    with pytest.raises(TypeError, match=r"argument \"x\[1\]\['a'\]\" is a list_iterator"):
        f((1, {"a": iter([1])}))


def test_a7_objects_count_by_identity_and_library_values_by_value() -> None:
    """A7: an object of the user's is itself; a path or a fraction is its value."""

    class Thing:
        pass

    thing = Thing()
    assert traces(ignore, thing, thing, Thing()) == 2
    assert traces(ignore, Path("a"), Path("a"), Path("b")) == 2
    assert traces(ignore, fractions.Fraction(1, 2), fractions.Fraction(2, 4), 0.5) == 2
    assert traces(ignore, gj.float32, gj.float32, gj.float64) == 2
    assert traces(lambda f: f(gj.constant(1.0)), gj.tanh, gj.exp, gj.tanh) == 2


def test_a7_a_dead_object_is_not_taken_for_a_new_one() -> None:
    """A7: an address that is used again is another object."""

    class Scale:
        def __init__(self, k: float) -> None:
            self.k = k

    f = gj.compile(lambda x, s: x * s.k)
    x = gj.constant(1.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", gj.RetraceWarning)
        for k in range(20):
            assert f(x, Scale(float(k))).numpy() == k


def test_a8_a_class_can_say_how_it_is_taken_apart() -> None:
    """A8: register_structure."""

    class Box:
        def __init__(self, content: Any, tag: str) -> None:
            self.content, self.tag = content, tag

    gj.register_structure(Box, lambda b: ((b.content,), b.tag), lambda tag, parts: Box(*parts, tag))

    @gj.compile
    def f(box: Box) -> Box:
        return Box(box.content * 2.0, box.tag)

    made = f(Box(gj.constant(2.0), "t"))
    assert (made.content.numpy(), made.tag) == (4.0, "t")
    f(Box(gj.constant(3.0), "t"))
    assert f.trace_count == 1
    f(Box(gj.constant(3.0), "u"))
    assert f.trace_count == 2


def test_a9_variables_count_by_type_and_by_which_are_the_same() -> None:
    """A9: (v, w) shares with (w, v), not with (v, v)."""
    v, w = gj.Variable(1.0), gj.Variable(2.0)

    @gj.compile
    def f(a: Any, b: Any) -> Any:
        a.assign_add(10.0)
        return a + b

    assert f(v, w).numpy() == 13.0
    assert f(w, v).numpy() == 23.0
    assert f.trace_count == 1
    assert f(v, v).numpy() == 42.0
    assert f.trace_count == 2
    assert (v.numpy(), w.numpy()) == (21.0, 12.0)
    f(gj.Variable(1.0, trainable=False), w)
    f(gj.Variable([1.0]), w)
    assert f.trace_count == 4


def test_a9_an_argument_that_is_also_captured_is_another_trace() -> None:
    """A9: the pattern includes variables that the function reaches by itself."""
    v, w = gj.Variable(1.0), gj.Variable(100.0)

    @gj.compile
    def f(a: Any) -> Any:
        a.assign_add(1.0)
        return v + 0.0

    assert f(w).numpy() == 1.0
    assert f(v).numpy() == 2.0
    assert f(w).numpy() == 2.0
    assert f(v).numpy() == 3.0
    assert f.trace_count == 2


def test_a11_a_wider_trace_serves_and_the_most_specific_wins() -> None:
    """A11: a call of shape (3,) may use a trace for (None,)."""
    f = gj.compile(lambda x: x * 2.0)
    f.get_concrete_function(gj.TensorSpec([None, 2], gj.float32))
    f.get_concrete_function(gj.TensorSpec([None, None], gj.float32))
    f(gj.ones((3, 2)))
    f(gj.ones((4, 2)))
    f(gj.ones((4, 3)))
    assert f.trace_count == 2
    by_traces = f.pretty_printed_concrete_signatures().split("\n\n")
    assert "2 hits" in by_traces[0]
    assert "1 hits" in by_traces[1]


def test_a12_reduce_retracing_opens_the_sizes_that_differ() -> None:
    """A12: the second shape is traced for open sizes; another rank is traced by itself."""
    f = gj.compile(lambda x: gj.reduce_sum(x * 2.0), reduce_retracing=True)
    for size in range(1, 6):
        assert f(gj.ones((size, 2))).numpy() == 4.0 * size
    assert f.trace_count == 2
    assert f(gj.ones((2,))).numpy() == 4.0
    assert f(gj.ones((7,))).numpy() == 14.0
    assert f(gj.ones((9,))).numpy() == 18.0
    assert f.trace_count == 4


def test_g19_a_tape_cannot_be_an_argument() -> None:
    """G19: it would record nothing; the error says what to do."""
    f = gj.compile(lambda x, tape: x)
    with (
        gj.GradientTape() as tape,
        pytest.raises(TypeError, match=r"argument 'tape' is a GradientTape.*record the call"),
    ):
        f(gj.constant(1.0), tape)
