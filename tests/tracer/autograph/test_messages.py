"""What cannot be compiled, and what fails when it runs: the messages name variables, types, shapes and lines."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import GraphjitError, InvalidArgumentError, ShapeError, TraceError, UnimplementedError

X = gj.constant(1.0)
LONG = gj.constant(np.arange(12, dtype=np.float32))


def refused(function: Any, *arguments: Any) -> str:
    """The message with which compiling a function fails."""
    with pytest.raises(GraphjitError) as caught:
        gj.compile(function)(*arguments)
    return str(caught.value)


def test_e1_conditions_that_are_no_boolean_scalars() -> None:
    """E1: an integer or a vector as a condition."""

    def number(n: Any) -> Any:
        if n:
            return n
        return n + 1

    def vector(v: Any) -> Any:
        if v > 0:
            return v
        return -v

    message = refused(number, gj.constant(1))
    assert "the condition of `if`" in message and "i32" in message and "gj.cast" in message and "if n:" in message
    message = refused(vector, LONG)
    assert "shape (12,)" in message and "gj.where" in message and "gj.reduce_any" in message


def test_e2_a_variable_of_one_branch() -> None:
    """E2: 'y' must also be initialized in the other branch; both lines."""

    def f(x: Any) -> Any:
        if x > 0:
            y = x * 2
        return y

    message = refused(f, X)
    assert "'y' must also be initialized in the other branch" in message
    assert "if x > 0:" in message and "return y" in message


def test_e2_a_variable_that_nobody_reads_may_be_missing() -> None:
    """E2: only what is read later counts."""

    def f(x: Any) -> Any:
        if x > 0:
            y = x * 2
            x = y
        return x

    assert float(gj.compile(f)(X)) == 2.0


def test_e2_dtypes_of_branches() -> None:
    """E2: both dtypes, both lines."""

    def f(x: Any) -> Any:
        if x > 0:
            y = gj.cast(x, gj.int32)
        else:
            y = x * 3.0
        return y

    message = refused(f, X)
    assert "'y' has dtype int32 in the main branch, but dtype float32 in the else branch" in message
    assert "y = gj.cast(x, gj.int32)" in message and "y = x * 3.0" in message


def test_e2_none_in_one_branch() -> None:
    """E2: 'y' is None at the end of the else branch."""

    def f(x: Any) -> Any:
        y = None
        if x > 0:
            y = x
        return y

    assert "'y' is None at the end of the else branch" in refused(f, X)


def test_e2_structures_of_branches() -> None:
    """E2: the same nested structure is needed."""

    def f(x: Any) -> Any:
        if x > 0:
            y = [x, x]
        else:
            y = [x]
        return y

    assert "'y' must have the same nested structure in the main branch and the else branch" in refused(f, X)


def test_e2_strings_of_branches() -> None:
    """E3: strings that differ become string tensors; those that are alike stay strings."""

    def f(x: Any) -> Any:
        return "positive" if x > 0 else "negative"

    compiled = gj.compile(f)
    assert (compiled(X).numpy(), compiled(-X - 1.0).numpy()) == (b"positive", b"negative")

    def g(x: Any) -> Any:
        return "number" if x > 0 else "number"

    assert gj.compile(g)(X) == "number"


def test_e4_return_in_one_branch_only() -> None:
    """E4: the other branch must also return a value."""

    def f(x: Any) -> Any:
        if x > 0:
            return x

    assert "the else branch must also have a return statement" in refused(f, X)


def test_e5_dtype_that_changes_in_a_loop() -> None:
    """E5: both dtypes, both lines, the variable's name."""

    def f(x: Any) -> Any:
        v = gj.constant(1)
        while x > 0:
            v = gj.cast(v, gj.float32) * 0.5
            x = x - 1.0
        return v

    message = refused(f, X)
    assert "'v' has dtype int32 before the loop, but dtype float32 after one iteration" in message
    assert "v = gj.cast(v, gj.float32) * 0.5" in message


def test_e5_shape_that_changes_in_a_loop() -> None:
    """E5: both shapes, and the variable's name; shape invariants allow it."""

    def f(x: Any) -> Any:
        v = gj.zeros([1])
        while x > 0:
            v = gj.concat([v, [1.0]], 0)
            x = x - 1.0
        return v

    message = refused(f, X)
    assert "'v' has shape (1,) before the loop, but shape (2,) after one iteration" in message
    assert "shape_invariants" in message and "v = gj.concat([v, [1.0]], 0)" in message

    def g(x: Any) -> Any:
        v = gj.zeros([1])
        while x > 0:
            gj.autograph.set_loop_options(shape_invariants=[(v, [None])])
            v = gj.concat([v, [1.0]], 0)
            x = x - 1.0
        return v

    assert np.asarray(gj.compile(g)(gj.constant(3.0))).tolist() == [0.0, 1.0, 1.0, 1.0]


def test_e5_none_before_a_loop() -> None:
    """E5: None is no tensor."""

    def f(v: Any) -> Any:
        best = None
        for x in v:
            best = x
        return best

    assert "'best' is None before the loop, but a tensor" in refused(f, LONG)


def test_e6_a_loop_that_never_runs() -> None:
    """E6: a variable that only the loop assigns is an error where it is read, if no round ran."""

    def f(n: Any) -> Any:
        for i in range(n):
            z = i * 2
        return z

    compiled = gj.compile(f)
    assert int(compiled(gj.constant(3))) == 4
    with pytest.raises(InvalidArgumentError, match=r"'z'(.|\n)*at least once(.|\n)*to initialize z"):
        compiled(gj.constant(0))


def test_e6_what_is_not_read_is_no_error() -> None:
    """E6: Python does not mind, so neither do we."""

    def f(n: Any) -> Any:
        total = 0
        for i in range(n):
            z = i * 2
            total += z
        if n > 0:
            total += z
        return total

    compiled = gj.compile(f)
    assert int(compiled(gj.constant(3))) == 10
    assert int(compiled(gj.constant(0))) == 0


def test_e7_scalars_have_no_rows() -> None:
    """E7: a loop over a scalar."""

    def f(x: Any) -> Any:
        for row in x:
            x = row
        return x

    assert "a scalar tensor cannot be iterated" in refused(f, X)


def test_e12_the_right_side_of_and() -> None:
    """E12: `x and 5` is no condition."""
    assert "the right side of `and`" in refused(lambda x: x > 0 and 5, X)


def test_e14_lists_in_loops_of_unknown_length() -> None:
    """E14: the message names the list and gj.TensorArray."""

    def f(x: Any) -> Any:
        out = []
        while x > 0:
            out.append(x)
            x = x - 1.0
        return gj.stack(out)

    message = refused(f, X)
    assert "'out'" in message or "list" in message
    assert "gj.TensorArray" in message


def test_e14_items_of_a_growing_list() -> None:
    """E14: what earlier rounds appended cannot be read in the loop."""

    def f(v: Any) -> Any:
        out = [v[0]]
        for x in v:
            out.append(out[-1] + x)
        return gj.stack(out)

    assert "gj.TensorArray" in refused(f, LONG)


def test_e15_assertions() -> None:
    """E15: an assertion about a traced value raises when the function runs, with the user's message."""

    def f(x: Any) -> Any:
        assert x > 0, "x must be positive"
        return gj.sqrt(x)

    compiled = gj.compile(f)
    assert float(compiled(gj.constant(4.0))) == 2.0
    with pytest.raises(AssertionError, match="x must be positive"):
        compiled(gj.constant(-4.0))
    assert float(compiled(gj.constant(9.0))) == 3.0


def test_e16_raise_in_a_branch() -> None:
    """E16: the user's own exception, when the function runs, and only where the branch is taken."""

    def f(x: Any) -> Any:
        if x < 0:
            raise ValueError("negative")
        return gj.sqrt(x)

    compiled = gj.compile(f)
    assert float(compiled(gj.constant(4.0))) == 2.0
    with pytest.raises(ValueError, match="negative") as caught:
        compiled(gj.constant(-4.0))
    assert 'raise ValueError("negative")' in "".join(caught.value.__notes__)


def test_e16_raise_in_a_loop() -> None:
    """E16: in the round that meets it."""

    def f(v: Any) -> Any:
        s = 0.0
        for x in v:
            if x > 8:
                raise RuntimeError("too large")
            s += x
        return s

    compiled = gj.compile(f)
    assert float(compiled(LONG * 0.5)) == 33.0
    with pytest.raises(RuntimeError, match="too large"):
        compiled(LONG)


def test_e16_a_raise_that_python_would_catch() -> None:
    """E16: `except` cannot catch what is raised when the function runs; that is said at once."""

    def f(x: Any) -> Any:
        try:
            if x < 0:
                raise ValueError("negative")
        except ValueError:
            x = -x
        return x

    with pytest.raises(UnimplementedError, match="`except` around"):
        gj.compile(f)(X)


def test_e17_conditions_of_comprehensions() -> None:
    """A condition on a traced value leaves the length unknown; the message names what to use."""
    assert "gj.boolean_mask" in refused(lambda v: [x for x in v if x > 0], LONG)


def test_e14_a_list_that_grows_under_a_condition() -> None:
    """E14: in a branch, and before a `break`; the message names gj.TensorArray and the line."""

    def f(v: Any) -> Any:
        out = []
        for x in v:
            if x > 7:
                break
            out.append(x * 2)
        return gj.stack(out)

    message = refused(f, LONG)
    assert "gj.TensorArray" in message
    assert "if x > 7:" in message


def test_f2_a_gradient_of_sizes_that_change() -> None:
    """F2, E5: shape invariants let a size change; its gradient says which variable, both shapes and the line."""

    @gj.compile
    def f(x: Any, n: Any) -> Any:
        y = gj.ones([1])
        i = 0
        while i < n:
            gj.autograph.set_loop_options(shape_invariants=[(y, [None])])
            y = gj.concat([y, y * x], 0)
            i += 1
        return y

    x = gj.constant(2.0)
    np.testing.assert_array_equal(f(x, gj.constant(2)), [1.0, 2.0, 2.0, 4.0])
    with (
        pytest.raises(ShapeError, match=r"'y' changes(.|\n)*\(1,\)(.|\n)*\(2,\)(.|\n)*while i < n"),
        gj.GradientTape() as tape,
    ):
        tape.watch(x)
        f(x, gj.constant(2))


def test_e20_a_long_python_loop() -> None:
    """E20: a loop that writes 600 equal bodies is made one in the graph, and nobody is warned."""

    def f(x: Any) -> Any:
        for i in range(600):
            x = x * 0.5 + i
        return x

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = gj.compile(f)
        np.testing.assert_allclose(compiled(X), f(X))
    assert compiled.dump("traced").count("\n") < 30


def test_e20_a_python_loop_that_stays_unrolled() -> None:
    """E20: the warning names the line, the reason and what to write instead."""

    def f(x: Any, items: Any) -> Any:
        for item in items:
            x = x * 0.5 + item
        return x

    items = [gj.constant(float(number)) for number in range(600)]
    with pytest.warns(
        gj.autograph.UnrolledLoopWarning, match=r"2 ops(.|\n)*600 times(.|\n)*another tensor(.|\n)*gj.stack"
    ) as found:
        gj.compile(f, backend="numpy")(X, items)
    assert found[0].filename == __file__


def test_arrays_that_a_branch_changes() -> None:
    """NumPy arrays are changed in place, in both arms: that is refused."""

    def f(x: Any) -> Any:
        table = np.zeros(3)
        if x > 0:
            table[0] = 1.0
        return x + table.sum()

    assert "an array is changed under a condition" in refused(f, X)


def test_d5_a_value_that_escapes_from_a_branch() -> None:
    """D5, D6: an object that a branch changes holds the branch's result, and a dead value only behind the trace."""

    class Box:
        last: Any = None

    box = Box()
    box.last = 0.0

    @gj.compile
    def f(x: Any) -> Any:
        if x > 0:
            box.last = x * 2.0
        else:
            box.last = x
        return box.last + 1.0

    assert float(f(X)) == 3.0
    with pytest.raises(GraphjitError, match="outside of that trace"):
        box.last + 1.0


def test_unknown_lengths_cannot_be_listed() -> None:
    """A list of the rows of a tensor whose length is only known when the function runs."""
    with pytest.raises(TraceError, match=r"gj\.map_fn"):
        gj.compile(lambda v: [x for x in gj.boolean_mask(v, v > 3)])(LONG)


def test_e12_the_right_side_of_and_changes_a_list() -> None:
    """E12, D1: what the right side does to Python's objects happens where it is computed, or it is an error."""

    def f(x: Any) -> Any:
        seen = [0.0, 1.0]

        def note(value: Any) -> Any:
            seen[0] = value
            return value > 1.0

        if x > 0 and note(x):
            x = x + 100.0
        return x + seen[0]

    compiled = gj.compile(f)
    for number in (2.0, -2.0, 0.5):
        np.testing.assert_array_equal(compiled(gj.constant(number)), f(gj.constant(number)))

    def grows(x: Any) -> Any:
        seen = [0.0]
        if x > 0 and seen.append(x) is None:
            x = x + 1.0
        return x + len(seen)

    assert "gj.TensorArray" in refused(grows, X)
