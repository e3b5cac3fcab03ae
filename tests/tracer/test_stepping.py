"""SEMANTICS J5: breakpoints inside of a graph, by line and by name, without an edit of the function."""

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

import graphjit as gj

Stops = list[tuple[str, int, dict[str, Any]]]


@pytest.fixture
def stops(monkeypatch: pytest.MonkeyPatch) -> Stops:
    """Where a debugger was opened: file, line, and the names there."""
    found: Stops = []

    def hook() -> None:
        frame = sys._getframe(1)
        found.append((frame.f_code.co_filename, frame.f_lineno, dict(frame.f_locals)))

    monkeypatch.setattr(sys, "breakpointhook", hook)
    return found


@gj.compile
def halved(x: Any, n: Any) -> Any:
    squares = x * x
    total = gj.reduce_sum(squares)
    while n > 0:
        total = total * 0.5
        n = n - 1
    return total


FIRST = halved.python_function.__code__.co_firstlineno + 1
X = np.float32([1, 2, 3])


def test_j5_stops_at_a_name_in_the_users_file(stops: Stops) -> None:
    result = halved.stepping("squares")(X, gj.constant(2))
    ((file, line, names),) = stops
    assert (file, line) == (__file__, FIRST + 1)
    np.testing.assert_array_equal(names["squares"], X * X)
    assert "total" not in names  # it comes later
    assert float(result) == float(halved(X, gj.constant(2))) == 3.5


def test_j5_stops_at_a_line_inside_a_loop_at_every_turn(stops: Stops) -> None:
    halved.stepping(FIRST + 4)(X, gj.constant(2))
    assert [line for _, line, _ in stops] == [FIRST + 4] * 2
    assert [float(names["total"]) for _, _, names in stops] == [7.0, 3.5], stops


def test_j5_a_stage_behind_the_passes_can_be_stepped_through(stops: Stops) -> None:
    halved(X, gj.constant(2))
    result = halved.stepping("squares", stage="optimized")(X, gj.constant(2))
    assert float(result) == 3.5
    assert len(stops) == 1


def test_j5_variables_are_updated_when_all_has_run(stops: Stops) -> None:
    count = gj.Variable(1.0)

    @gj.compile
    def step(x: Any) -> Any:
        doubled = 2.0 * x
        count.assign_add(doubled)
        return doubled

    step.stepping("doubled")(gj.constant(3.0))
    assert len(stops) == 1
    assert float(count) == 7.0


def test_j5_an_unknown_place_is_refused_with_what_there_is() -> None:
    with pytest.raises(gj.errors.NotFoundError, match=r"no value has the name 'sqares'.*squares, total"):
        halved.stepping("sqares")(X, gj.constant(2))
    with pytest.raises(gj.errors.NotFoundError, match="no equation stems from line 1 "):
        halved.stepping(1)(X, gj.constant(2))
    with pytest.raises(gj.errors.NotFoundError, match="are none: nothing that it computes depends on tensors"):
        gj.compile(lambda x: x + 1).stepping("x")(2)
    with pytest.raises(gj.errors.NotFoundError, match="no stage 'fancy'; the stages are traced"):
        halved.stepping(stage="fancy")(X, gj.constant(2))


PROGRAM = """
import graphjit as gj

@gj.compile
def hypotenuse(a, b):
    squares = a * a + b * b
    root = gj.sqrt(squares)
    return root + 0.0

print(hypotenuse.stepping("squares")(gj.constant(3.0), gj.constant(4.0)))
"""


def test_j5_pdb_steps_along_the_users_lines(tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    commands = "print('is', float(squares))\ntbreak 8\ncontinue\nprint('is', float(root), gj.__name__)\ncontinue\n"
    done = subprocess.run([sys.executable, program], input=commands, capture_output=True, text=True, check=True)
    assert "is 25.0" in done.stdout
    assert "-> return root + 0.0" in done.stdout
    assert "is 5.0 graphjit" in done.stdout
    assert "gj.Tensor(5.0, shape=(), dtype=float32)" in done.stdout


def test_j2_nan_inside_a_loop_is_found_where_it_is_made() -> None:
    @gj.compile(check="nan")
    def f(x: Any) -> Any:
        while x > -2.0:
            x = x - 1.0
            y = gj.sqrt(x)
            x = x + 0.0 * y
        return x

    with pytest.raises(gj.errors.InvalidArgumentError, match=r"sqrt\(f32\[\] -1.0\) gives nan(.|\n)*y = gj.sqrt\(x\)"):
        f(gj.constant(2.0))


def test_j7_results_of_calls_have_the_names_they_are_assigned_to() -> None:
    @gj.compile
    def f(x: Any) -> Any:
        root = gj.sqrt(x)
        with gj.name_scope("inside"):
            total = gj.reduce_sum(root, axis=0)
        logits = gj.nn.softmax(root)
        return total, logits

    f(gj.constant([1.0, 4.0]))
    text = f.dump("traced")
    assert "%root: f32[2] = sqrt(%x)" in text
    assert "%total: f32[] = reduce_sum(%root)" in text
    assert "%logits: f32[2] = " in text
