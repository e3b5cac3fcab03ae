"""Random programs of branches and loops within each other: compiled equals eager, for values and gradients (row G23).

In eager mode Python chooses and loops, so nothing of the graphs for control flow is used there. There are 16 programs
here; `GRAPHJIT_RANDOM_CONTROL_FLOW=400 pytest tests/random_programs` runs more. A failure prints seed and program.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj

pytestmark = pytest.mark.filterwarnings("ignore::graphjit.RetraceWarning")

SEEDS = range(int(os.environ.get("GRAPHJIT_RANDOM_CONTROL_FLOW", "16")))
_EXPRESSIONS = (
    "gj.sin({a})", "gj.tanh({a})", "{a} * {b}", "{a} + {b}", "{a} - 0.5 * {b}", "gj.exp(-{a} * {a})",
    "gj.maximum({a}, {b})", "{a} / (1.0 + {b} * {b})", "gj.reduce_sum({a}) * {b}", "gj.reverse({a}, [0])",
    "gj.concat([{a}[1:], {b}[:1]], 0)", "gj.stop_gradient({a}) * {b}", "gj.where({a} > {b}, {a}, 2.0 * {b})",
    "gj.linalg.matvec(w, {a})", "v * {a}",
)  # fmt: skip


class Writer:
    """Writes a random program over the values a, b and c as Python text."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.lines = ["def program(a, b, c, w, v):"]

    def expression(self) -> str:
        one, other = self.random.choice(list("abc"), 2)
        return str(self.random.choice(_EXPRESSIONS)).format(a=one, b=other)

    def block(self, depth: int, indent: str) -> None:
        """Statements that change a, b and c."""
        for _ in range(int(self.random.integers(1, 4))):
            kind = self.random.integers(0, 5) if depth else 0
            if kind <= 2:
                target = self.random.choice(list("abc"))
                self.lines.append(f"{indent}{target} = {self.expression()}")
            elif kind == 3:
                self.branch(depth, indent)
            else:
                self.loop(depth, indent)

    def function(self, name: str, depth: int, indent: str, arguments: str = "", count: str = "") -> None:
        self.lines.append(f"{indent}def {name}({arguments}):")
        if not arguments:
            self.lines.append(f"{indent}    a, b, c = {name}_state")
        self.block(depth - 1, indent + "    ")
        if count:
            self.lines.append(f"{indent}    {count} = {count} + 1")
        self.lines.append(f"{indent}    return {f'{count}, ' if count else ''}a, b, c")

    def branch(self, depth: int, indent: str) -> None:
        name = f"f{len(self.lines)}"
        self.lines.append(f"{indent}{name}_true_state = {name}_false_state = (a, b, c)")
        self.function(f"{name}_true", depth, indent)
        self.function(f"{name}_false", depth, indent)
        test = f"gj.reduce_sum({self.random.choice(list('abc'))}) > {self.random.normal():.2f}"
        self.lines.append(f"{indent}a, b, c = gj.cond({test}, {name}_true, {name}_false)")

    def loop(self, depth: int, indent: str) -> None:
        name = f"f{len(self.lines)}"
        self.function(f"{name}_body", depth, indent, "i, a, b, c", "i")
        limit = int(self.random.integers(0, 4))
        test = f"i < {limit}" if self.random.random() < 0.6 else f"(i < 4) & (gj.reduce_sum(a) < {limit})"
        self.lines.append(f"{indent}_, a, b, c = gj.while_loop(lambda i, a, b, c: {test}, {name}_body, (0, a, b, c))")

    def program(self) -> str:
        self.block(3, "    ")
        self.branch(2, "    ")
        self.loop(2, "    ")
        self.lines.append("    return gj.reduce_sum(a * b) + gj.reduce_sum(gj.sin(c))")
        return "\n".join(self.lines)


def program_of(seed: int) -> tuple[str, Callable[..., Any]]:
    text = Writer(seed).program()
    scope: dict[str, Any] = {"gj": gj}
    exec(compile(text, f"<program {seed}>", "exec"), scope)
    return text, scope["program"]


def arguments_of(seed: int) -> list[Any]:
    random = np.random.default_rng(seed + 1)
    vectors = [gj.constant(random.normal(size=3)) for _ in range(3)]
    return [*vectors, gj.constant(random.normal(size=(3, 3)) * 0.5)]


def value_and_gradients(function: Callable[..., Any], arguments: list[Any], v: Any) -> list[Any]:
    with gj.GradientTape() as tape:
        tape.watch(arguments)
        y = function(*arguments, v)
    return [y, *tape.gradient(y, [*arguments, v], unconnected_gradients="zero")]


def assert_close(found: list[Any], wanted: list[Any], text: str, seed: int) -> None:
    for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
        a, b = one.numpy(), other.numpy()
        scale = max(1.0, float(np.max(np.abs(b))))
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9 * scale, err_msg=f"seed {seed}, number {place}\n{text}")


@pytest.mark.parametrize("seed", SEEDS)
def test_compiled_control_flow_equals_python(seed: int) -> None:
    text, program = program_of(seed)
    arguments, v = arguments_of(seed), gj.Variable(0.75, dtype=gj.float64)
    wanted = value_and_gradients(program, arguments, v)
    compiled = gj.compile(program)
    assert_close([compiled(*arguments, v)], wanted[:1], text, seed)
    assert_close(value_and_gradients(compiled, arguments, v), wanted, text, seed)
    inside = gj.compile(lambda *given: value_and_gradients(program, list(given[:-1]), given[-1]))
    assert_close(list(inside(*arguments, v)), wanted, text, seed)


def second_derivatives(function: Callable[..., Any], arguments: list[Any], v: Any) -> list[Any]:
    with gj.GradientTape() as outer:
        outer.watch(arguments)
        found = value_and_gradients(function, arguments, v)
        total = gj.add_n([gj.reduce_sum(one * one) for one in found[1:]])
    return [total, *outer.gradient(total, arguments, unconnected_gradients="zero")]


@pytest.mark.parametrize("seed", list(SEEDS)[::3])
def test_second_derivatives_of_control_flow(seed: int) -> None:
    """Row F6: the gradient of the norm of the gradient, with both tapes outside, both inside."""
    text, program = program_of(seed)
    arguments, v = arguments_of(seed), gj.Variable(0.75, dtype=gj.float64)
    wanted = second_derivatives(program, arguments, v)
    assert_close(second_derivatives(gj.compile(program), arguments, v), wanted, text, seed)
    inside = gj.compile(lambda *given: second_derivatives(program, list(given[:-1]), given[-1]))
    assert_close(list(inside(*arguments, v)), wanted, text, seed)


@pytest.mark.parametrize("seed", list(SEEDS)[::4])
def test_directional_derivatives_of_control_flow(seed: int) -> None:
    """Row G14: forward mode through branches and loops."""
    text, program = program_of(seed)
    arguments, v = arguments_of(seed), gj.Variable(0.75, dtype=gj.float64)
    tangents = [gj.ones_like(one) for one in arguments]

    def along(function: Callable[..., Any]) -> list[Any]:
        with gj.ForwardAccumulator(arguments, tangents) as accumulator:
            y = function(*arguments, v)
        return [y, accumulator.jvp(y, unconnected_gradients="zero")]

    assert_close(along(gj.compile(program)), along(program), text, seed)
