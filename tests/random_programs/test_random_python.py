"""Random Python functions with nested branches and loops: compiled equals eager (rows C7, E1, E4-E12, F6, G23).

There are `break`, `continue`, `return`, `else` of loops, `try`/`finally`, `with`, Variables, lists, attributes and
inner functions. In eager mode Python runs them as they are; a Variable holds the same afterwards, and the gradients
agree.
There are 24 programs here; `GRAPHJIT_RANDOM_PYTHON=1000:3000 pytest tests/random_programs` runs others. A failure
prints the seed and the program.
"""

from __future__ import annotations

import contextlib
import linecache
import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj

pytestmark = [
    pytest.mark.filterwarnings("ignore::graphjit.RetraceWarning"),
    pytest.mark.filterwarnings("ignore::graphjit.autograph.UnrolledLoopWarning"),
]


def _seeds() -> range:
    first, _, last = os.environ.get("GRAPHJIT_RANDOM_PYTHON", "0:24").rpartition(":")
    return range(int(first or 0), int(last))


SEEDS = _seeds()
NAMES = "abcd"
_EXPRESSIONS = (
    "gj.sin({p}) + {q}", "gj.tanh({p} * {q})", "{p} - 0.5 * {q}", "0.25 * {p} * {p} - {q}", "gj.cos({p})", "-{p}",
    "gj.maximum({p}, {q}) - 0.25", "({p} if {test} else {q})", "max({p}, {q})", "abs({p}) - {q} / 3.0",
    "{p} * v", "v - {p}", "box.x * 0.5 + {p}", "items[1] - {p}", "mixed({p}, {q})",
)  # fmt: skip
_TESTS = (
    "{p} > {q}", "{p} < 0.3", "{p} > {q} and {q} < 1.0", "{p} < -0.2 or {q} > 0.4", "not {p} > 0.1",
    "-0.5 < {p} < {q} + 1.0", "v > {p}", "box.x < {p}", "k % 2 == 0", "k > 2",
)  # fmt: skip
_ITERABLES = (
    "range(n)", "range(3)", "m", "range(1, n)", "enumerate(m)", "zip(m, m[1:])", "reversed(m)", "m[:3]", "[a, b, c]",
    "range(12)", "[1, 2, 3, 4]", "range(n - 1, -1, -1)",
)  # fmt: skip


class Writer:
    """Writes a random function of four scalars, a count and a vector as Python text."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.lines: list[str] = []
        self.loops = 0
        self.size = 0

    def choice(self, options: Any) -> Any:
        return options[int(self.random.integers(len(options)))]

    def name(self) -> str:
        return str(self.choice(NAMES))

    def test(self) -> str:
        return str(self.choice(_TESTS)).format(p=self.name(), q=self.name())

    def expression(self) -> str:
        return str(self.choice(_EXPRESSIONS)).format(p=self.name(), q=self.name(), test=self.test())

    def add(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)
        self.size += 1

    def block(self, depth: int, in_loop: bool) -> None:
        """Statements, the last of which may leave a loop or the function."""
        for _ in range(int(self.random.integers(1, 4))):
            self.statement(depth, in_loop)
        if self.random.random() < 0.12 and depth > 1:
            self.add(depth, self.leaving(in_loop))

    def leaving(self, in_loop: bool) -> str:
        options = ["break", "continue", "continue", f"return {self.expression()}"] if in_loop else []
        return str(self.choice([*options, f"return {self.expression()}"]))

    def statement(self, depth: int, in_loop: bool) -> None:
        deep = depth > 4 or self.size > 45
        kind = self.random.random()
        if deep or kind < 0.4:
            self.simple(depth)
        elif kind < 0.62:
            self.branch(depth, in_loop)
        elif kind < 0.76:
            self.for_loop(depth)
        elif kind < 0.86:
            self.while_loop(depth)
        elif kind < 0.93:
            self.wrapped(depth, in_loop)
        else:
            self.add(depth, f"if {self.test()}:")
            self.add(depth + 1, self.leaving(in_loop))

    def simple(self, depth: int) -> None:
        kind = self.random.random()
        if kind < 0.6:
            self.add(depth, f"{self.name()} = {self.expression()}")
        elif kind < 0.7:
            self.add(depth, f"{self.name()} {self.choice(['+=', '-='])} {self.expression()}")
        elif kind < 0.8:
            self.add(depth, f"v.{self.choice(['assign', 'assign_add', 'assign_sub'])}(gj.tanh({self.expression()}))")
        elif kind < 0.85:
            self.add(depth, f"box.x = gj.tanh({self.expression()})")
        elif kind < 0.9:
            self.add(depth, f"items[{self.choice([0, 1])}] = gj.sin({self.expression()})")
        elif kind < 0.95:
            self.add(depth, "k += 1")
        else:
            self.add(depth, f"{self.name()}, {self.name()} = {self.expression()}, {self.expression()}")

    def branch(self, depth: int, in_loop: bool) -> None:
        self.add(depth, f"if {self.test()}:")
        self.block(depth + 1, in_loop)
        if self.random.random() < 0.25:
            self.add(depth, f"elif {self.test()}:")
            self.block(depth + 1, in_loop)
        if self.random.random() < 0.5:
            self.add(depth, "else:")
            self.block(depth + 1, in_loop)

    def for_loop(self, depth: int) -> None:
        self.loops += 1
        iterable = str(self.choice(_ITERABLES))
        target = f"i{self.loops}"
        if iterable.startswith(("enumerate", "zip")):
            target = f"{target}, j{self.loops}"
        self.add(depth, f"for {target} in {iterable}:")
        if not iterable.startswith(("enumerate", "[", "range")):
            self.add(depth + 1, f"{self.name()} = gj.tanh(i{self.loops} + {self.name()})")
        elif iterable.startswith("enumerate"):
            self.add(depth + 1, f"{self.name()} = gj.sin(j{self.loops} * {self.name()})")
        self.block(depth + 1, in_loop=True)
        self.orelse(depth)

    def while_loop(self, depth: int) -> None:
        self.loops += 1
        counter = f"w{self.loops}"
        self.add(depth, f"{counter} = 0")
        tests = [f"{counter} < {self.choice([2, 5])}", f"{counter} < n", f"({self.test()}) and {counter} < 6"]
        if self.random.random() < 0.2:
            self.add(depth, "while True:")
            self.add(depth + 1, f"if {counter} > 3 or {self.test()}:")
            self.add(depth + 2, "break")
        else:
            self.add(depth, f"while {self.choice(tests)}:")
        self.add(depth + 1, f"{counter} += 1")
        self.block(depth + 1, in_loop=True)
        self.orelse(depth)

    def orelse(self, depth: int) -> None:
        if self.random.random() < 0.2:
            self.add(depth, "else:")
            self.add(depth + 1, f"{self.name()} = {self.expression()}")

    def wrapped(self, depth: int, in_loop: bool) -> None:
        if self.random.random() < 0.5:
            self.add(depth, "with quiet():")
            self.block(depth + 1, in_loop)
            return
        self.add(depth, "try:")
        self.block(depth + 1, in_loop)
        self.add(depth, "finally:")
        self.add(depth + 1, f"d = {self.expression()}")

    def program(self) -> str:
        self.lines = [
            "def program(a, b, c, d, m, n):",
            "    box, items, k = Box(), [a, b], 0",
            "    def mixed(p, q):",
            "        if p > q:",
            "            return p - q",
            "        return gj.sin(q) + box.x",
        ]
        for _ in range(int(self.random.integers(2, 5))):
            self.statement(1, in_loop=False)
        self.add(1, "return a + 2.0 * b - c * d + gj.tanh(box.x) + items[0] * items[1] + 0.1 * k")
        return "\n".join(self.lines) + "\n"


class Box:
    """Something with an attribute."""

    def __init__(self) -> None:
        self.x: Any = gj.constant(0.5, gj.float64)


@contextlib.contextmanager
def quiet() -> Any:
    """Something for `with`."""
    yield


def program_of(seed: int, v: Any) -> tuple[str, Callable[..., Any]]:
    """A program as text, which is where Python looks for source, and as a function."""
    text, name = Writer(seed).program(), f"<random python {seed}>"
    linecache.cache[name] = len(text), None, text.splitlines(keepends=True), name
    scope: dict[str, Any] = {"gj": gj, "v": v, "Box": Box, "quiet": quiet, "__name__": "random_python"}
    exec(compile(text, name, "exec"), scope)
    return text, scope["program"]


def arguments_of(seed: int) -> list[Any]:
    random = np.random.default_rng(seed + 1)
    scalars = [gj.constant(random.normal(), gj.float64) for _ in range(4)]
    return [*scalars, gj.constant(random.normal(size=10)), gj.constant(int(random.integers(0, 6)))]


def outcome(function: Callable[..., Any], arguments: list[Any], v: Any) -> list[Any]:
    """The value, what the Variable holds, and the gradients; or the name of the error."""
    v.assign(0.75)
    try:
        with gj.GradientTape() as tape:
            tape.watch(arguments[:5])
            y = gj.convert_to_tensor(function(*arguments)) * 1.0
        gradients = tape.gradient(y, [*arguments[:5], v], unconnected_gradients="zero")
    except UnboundLocalError:
        return ["unassigned"]
    except gj.errors.InvalidArgumentError as error:
        if "assigned" not in str(error) and "initialize" not in str(error):
            raise
        return ["unassigned"]
    # What has grown beyond all bounds has gradients of rounding errors.
    return [y, v.read_value(), *(gradients if abs(float(y)) < 1e3 else [])]


def assert_same(found: list[Any], wanted: list[Any], about: str) -> None:
    assert len(found) == len(wanted), f"{found[:1]} is not {wanted[:1]}, {about}"
    for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if isinstance(other, str):
            assert one == other, about
            continue
        np.testing.assert_allclose(
            np.asarray(one), np.asarray(other), rtol=1e-7, atol=1e-8, err_msg=f"number {place}, {about}"
        )


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_python_equals_python(seed: int) -> None:
    """The tape is outside of the compiled function, and inside."""
    v = gj.Variable(0.75, dtype=gj.float64)
    text, program = program_of(seed, v)
    arguments = arguments_of(seed)
    wanted = outcome(program, arguments, v)
    about = f"seed {seed}\n{text}"
    compiled = gj.compile(program)
    assert_same(outcome(compiled, arguments, v), wanted, about)
    if len(wanted) > 2:

        def inside(*given: Any) -> Any:
            with gj.GradientTape() as tape:
                tape.watch(given[:5])
                y = program(*given) * 1.0
            return [y, *tape.gradient(y, [*given[:5], v], unconnected_gradients="zero")]

        v.assign(0.75)
        y, *gradients = gj.compile(inside)(*arguments)
        assert_same([y, v.read_value(), *gradients], wanted, about)
