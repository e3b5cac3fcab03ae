"""The conversion itself: which functions, with which source, and what the converted code keeps of them."""

from __future__ import annotations

import functools
import linecache
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import TraceError

ONE = gj.constant(1.0)


def value(result: Any) -> Any:
    """A result's number or numbers."""
    return np.asarray(result).tolist()


def twice_if_positive(x: Any) -> Any:
    """A function that other functions call."""
    if x > 0:
        return 2 * x
    return x


class Scale:
    """An object whose methods have control flow."""

    def __init__(self, factor: float) -> None:
        self.factor = factor
        self.__limit = 10.0

    def __call__(self, x: Any) -> Any:
        if x > self.__limit:
            return x
        return self.apply(x)

    def apply(self, x: Any) -> Any:
        """A method."""
        if x < 0:
            return -x * self.factor
        return x * self.factor


class Steep(Scale):
    """One that asks its base class."""

    def apply(self, x: Any) -> Any:
        """A method that calls that of the base class inside of a branch."""
        if x > 1:
            return super().apply(x) * 100
        return super().apply(x)


def test_called_functions_methods_and_objects_are_converted() -> None:
    """E: what a compiled function calls is converted, too: functions, methods, objects, partials, lambdas."""
    scale, steep = Scale(3.0), Steep(2.0)
    part = functools.partial(twice_if_positive)

    @gj.compile
    def f(x: Any) -> Any:
        inner = lambda y: y if y > 0 else -y
        return twice_if_positive(x), scale(x), steep(x), part(x), inner(x), steep.apply(x)

    for number in (-2.0, 0.5, 3.0, 11.0):
        plain = number if number > 0 else -number
        want = (twice_if_positive(number), scale(number), steep(number), part(number), plain, steep.apply(number))
        assert [value(one) for one in f(gj.constant(number))] == pytest.approx(list(want))


def test_lambdas_on_one_line_are_told_apart() -> None:
    """E17, A17: by the positions of their instructions."""
    f, g = gj.compile(lambda x: x if x > 0 else 2 * x), gj.compile(lambda x: x if x > 0 else 3 * x)
    h = gj.compile(lambda x: (lambda y: y if y > 0 else 4 * y)(x))
    assert [value(one(-ONE)) for one in (f, g, h)] == [-2.0, -3.0, -4.0]


def test_enclosing_variables_are_shared() -> None:
    """The converted function has the user's cells: assignments are seen on both sides."""
    count = 0
    limit = 1.0

    @gj.compile
    def f(x: Any) -> Any:
        nonlocal count
        count += 1
        if x > limit:
            return x
        return -x

    assert value(f(ONE)) == -1.0
    assert count == 1
    limit = 0.5
    assert value(f(ONE)) == 1.0
    assert count == 2


def test_defaults_and_keywords_are_kept() -> None:
    """Positional-only, keyword-only, star arguments, and their defaults."""

    def f(a: Any, /, b: Any = 2.0, *others: Any, c: Any = 3.0, **named: Any) -> Any:
        if a > 0:
            return a + b + c + sum(others) + named.get("d", 0.0)
        return a

    assert value(gj.compile(f)(ONE)) == 6.0
    assert value(gj.compile(f)(ONE, 1.0, 1.0, c=0.5, d=0.25)) == 3.75


def test_decorated_inner_functions() -> None:
    """Decorators run as they stand; what they wrap is converted when it is called."""

    def logged(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def wrapper(*args: Any) -> Any:
            if len(args) > 1:
                return function(*args) + 100
            return function(*args)

        return wrapper

    @gj.compile
    def f(x: Any) -> Any:
        @logged
        def inner(y: Any) -> Any:
            if y > 0:
                return y
            return 0.0

        return inner(x)

    assert value(f(ONE)) == 1.0
    assert value(f(-ONE)) == 0.0


def test_recursion_on_a_python_number() -> None:
    """A19: unrolled."""

    def power(x: Any, n: int) -> Any:
        if n == 0:
            return 1.0
        half = power(x, n // 2)
        return half * half * x if n % 2 else half * half

    assert value(gj.compile(power)(gj.constant(2.0), 10)) == 1024.0


def test_recursion_on_a_traced_value_is_named() -> None:
    """A19: it would never end; the error says where."""

    def fact(n: Any) -> Any:
        if n <= 1:
            return 1
        return n * fact(n - 1)

    with pytest.raises(TraceError, match=r"'fact' calls itself without end(.|\n)*if n <= 1"):
        gj.compile(fact)(gj.constant(5))


def test_no_convert_also_on_inner_functions() -> None:
    """E18: a function that is marked is Python's own, wherever it stands."""

    @gj.compile
    def f(x: Any) -> Any:
        @gj.no_convert
        def inner(y: Any) -> Any:
            if y > 0:
                return y
            return -y

        return inner(x)

    with pytest.raises(TraceError, match=r"bool\(\)(.|\n)*gj.no_convert"):
        f(ONE)


def test_autograph_false_leaves_python_alone() -> None:
    """`compile(autograph=False)`: neither the function nor what it calls is converted."""
    f = gj.compile(twice_if_positive, autograph=False)
    with pytest.raises(TraceError, match="autograph=False"):
        f(ONE)
    assert value(gj.compile(twice_if_positive)(ONE)) == 2.0


def test_modules_can_be_left_out() -> None:
    """E19: a list that can be read and extended."""
    gj.autograph.unconverted.append(__name__)
    try:
        with pytest.raises(TraceError):
            gj.compile(lambda x: twice_if_positive(x))(ONE)
    finally:
        gj.autograph.unconverted.remove(__name__)
    assert value(gj.compile(lambda x: twice_if_positive(x))(ONE)) == 2.0


def test_functions_without_source_still_trace() -> None:
    """E17: code of exec has no source: it traces, and an `if` on a traced value says why that cannot be."""
    namespace: dict[str, Any] = {"gj": gj}
    exec("def f(x):\n    return x * 2\ndef g(x):\n    if x > 0:\n        return x\n    return -x\n", namespace)
    assert value(gj.compile(namespace["f"])(ONE)) == 2.0
    with pytest.raises(TraceError, match=r"'g' was not converted, because its source is not there(.|\n)*gj.cond"):
        gj.compile(namespace["g"])(ONE)


def test_notebook_cells_have_source() -> None:
    """Cells stand in linecache under names that are no files."""
    text = "def f(x):\n    if x > 0:\n        return x\n    return -x\n"
    name = "<ipython-input-1-graphjit>"
    linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
    namespace: dict[str, Any] = {}
    exec(compile(text, name, "exec"), namespace)
    assert value(gj.compile(namespace["f"])(-ONE)) == 1.0


def test_a_file_that_was_changed_is_not_trusted(tmp_path: Any) -> None:
    """Source that does not belong to the code is not used: the function runs as it was loaded."""
    path = tmp_path / "changing.py"
    path.write_text("def f(x):\n    return x * 2\n")
    namespace: dict[str, Any] = {}
    exec(compile(path.read_text(), str(path), "exec"), namespace)
    path.write_text("def other(x, y):\n    return x * 3\n")
    linecache.checkcache(str(path))
    assert value(gj.compile(namespace["f"])(ONE)) == 2.0


def test_generators_and_context_managers_run_as_they_are() -> None:
    """E17: generators are not converted, and work."""
    seen: list[str] = []

    @contextmanager
    def noted() -> Iterator[None]:
        seen.append("in")
        yield
        seen.append("out")

    def halves(x: Any) -> Iterator[Any]:
        for number in range(3):
            yield x / 2**number

    @gj.compile
    def f(x: Any) -> Any:
        total = 0.0
        with noted():
            for one in halves(x):
                if one > 0.5:
                    total += one
        return total

    assert value(f(ONE)) == 1.0
    assert seen == ["in", "out"]


def test_errors_stand_at_the_users_line() -> None:
    """E22: the traceback shows the user's lines under the function's own name, and no generated code."""

    @gj.compile
    def f(x: Any) -> Any:
        for i in range(3):
            if x > 0:
                x = x + [][i]
        return x

    with pytest.raises(IndexError) as caught:
        f(ONE)
    frames = [one for one in traceback.extract_tb(caught.value.__traceback__) if one.filename == __file__]
    assert frames[-1].line == "x = x + [][i]"
    assert {one.name for one in frames[1:]} == {"f"}


def test_equations_know_the_users_lines_and_names() -> None:
    """The dump shows variables and lines of the user's, inside of branches as well."""

    @gj.compile
    def f(x: Any) -> Any:
        if x > 0:
            doubled = x * 2.0
        else:
            doubled = x * 3.0
        return doubled

    f(ONE)
    text = f.dump("traced")
    assert "doubled" in text
    assert "test_conversion.py" in text


def test_the_converted_source_can_be_read() -> None:
    """B8: `f.dump("python")` and `gj.autograph.to_code`."""
    f = gj.compile(twice_if_positive)
    f(ONE)
    text = f.dump("python")
    assert text == gj.autograph.to_code(twice_if_positive)
    assert text.splitlines()[0] == "def twice_if_positive(x):"
    assert "_gj.returned(x > 0, then, otherwise, ())()" in text
    compile(text, "shown", "exec")


def test_eager_mode_runs_python() -> None:
    """J1: in eager mode nothing is converted: a breakpoint stops in the user's own code."""
    codes = set()

    def f(x: Any) -> Any:
        codes.add(sys._getframe().f_code)
        if x > 0:
            return x
        return -x

    compiled = gj.compile(f)
    with gj.eager_mode():
        compiled(ONE)
    assert codes == {f.__code__}


def test_conversion_is_made_once_for_a_code_object() -> None:
    """Closures of one function share the converted code, and keep their own variables."""

    def make(limit: float) -> Callable[[Any], Any]:
        def f(x: Any) -> Any:
            if x > limit:
                return x * limit
            return x

        return f

    low, high = gj.compile(make(0.5)), gj.compile(make(2.0))
    assert (value(low(ONE)), value(high(ONE))) == (0.5, 1.0)


def test_guards_see_what_converted_code_reads() -> None:
    """D3: globals and attributes that are read inside of branches are guarded."""
    scale = Scale(3.0)
    f = gj.compile(lambda x: scale(x))
    assert value(f(ONE)) == 3.0
    scale.factor = 5.0
    assert value(f(ONE)) == 5.0
    assert f.trace_count == 2


def test_private_names_are_mangled_as_in_the_class() -> None:
    """Names with two underscores mean the class's own also in converted code."""
    assert value(gj.compile(Scale(2.0))(gj.constant(12.0))) == 12.0


def test_what_graphjit_calls_is_converted() -> None:
    """The `call` of a layer, a custom gradient's functions, and functions that are handed over."""

    class Bent(gj.Module):
        @gj.Module.with_name_scope
        def __call__(self, x: Any) -> Any:
            if x > 0:
                return x
            return x * 0.1

    @gj.custom_gradient
    def bent(x: Any) -> Any:
        y = x * 2 if x > 0 else x

        def gradient(g: Any) -> Any:
            if x > 0:
                return g * 2
            return g

        return y, gradient

    @gj.compile
    def slope(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = bent(x)
        return tape.gradient(y, x)

    layer = gj.compile(Bent())
    assert [value(layer(one)) for one in (ONE, -ONE)] == pytest.approx([1.0, -0.1])
    assert [value(slope(one)) for one in (ONE, -ONE)] == [2.0, 1.0]
    compiled = gj.compile(bent)
    with gj.GradientTape() as tape:
        tape.watch(ONE)
        y = compiled(ONE)
    assert value(tape.gradient(y, ONE)) == 2.0


def test_functions_that_are_handed_over() -> None:
    """`gj.while_loop` and `gj.cond` call converted functions."""

    @gj.compile
    def f(x: Any) -> Any:
        def halved(y: Any, n: Any) -> Any:
            if y > 10:
                return y / 4, n + 1
            return y / 2, n + 1

        return gj.while_loop(lambda y, n: y > 1 and n < 10, halved, (x, 0))

    assert [value(one) for one in f(gj.constant(64.0))] == [1.0, 4]
