"""The short list: what Python does in eager mode and no graph can, with the reason and the error that says it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import GraphjitError

t = gj.constant
LONG = t(np.arange(12, dtype=np.float32))


def functions_that_a_branch_chooses(x: Any) -> Any:
    if x > 0:
        function = gj.exp
    else:
        function = gj.sqrt
    return function(x)


def lists_of_two_lengths(x: Any) -> Any:
    items = [x]
    if x > 0:
        items.append(x)
    return items


def none_from_one_branch(x: Any) -> Any:
    found = None
    if x > 0:
        found = x
    return found


def a_python_list_by_a_traced_number(x: Any) -> Any:
    names = ["a", "bb", "ccc"]
    return x * len(names[gj.cast(x, gj.int32)])


def a_key_that_a_long_loop_adds(v: Any) -> Any:
    table: dict[str, Any] = {}
    for x in v:
        table["last"] = x
    return table["last"]


def a_list_in_an_open_loop(x: Any) -> Any:
    found = []
    while x > 0.5:
        x = x / 2
        found.append(x)
    return found


def a_condition_that_selects_items(v: Any) -> Any:
    return [x for x in v if x > 3]


def the_truth_of_a_float(x: Any) -> Any:
    return x and 3.0


def an_error_that_is_caught(x: Any) -> Any:
    try:
        if x > 0:
            raise ValueError("positive")
    except ValueError:
        return -x
    return x


REFUSED: list[tuple[Callable[..., Any], Any, str, str]] = [
    (functions_that_a_branch_chooses, t(1.0), "a graph holds values, no functions", "'function' is"),
    (lists_of_two_lengths, t(1.0), "how many results there are is fixed", "'list' must have the same nested structure"),
    (none_from_one_branch, t(1.0), "None is no tensor", "'found' is None at the end of the else branch"),
    (a_python_list_by_a_traced_number, t(1.0), "Python's lists are indexed while tracing", "an index or a size"),
    (a_key_that_a_long_loop_adds, LONG, "what a loop carries is fixed", "keep their items"),
    (a_list_in_an_open_loop, t(5.0), "nobody knows how many items there will be", "gj.TensorArray"),
    (a_condition_that_selects_items, LONG, "nobody knows how many items there will be", "gj.boolean_mask"),
    (the_truth_of_a_float, t(1.0), "conditions are booleans", "must be a boolean scalar"),
    (an_error_that_is_caught, t(1.0), "errors are raised when the graph runs", "an `except` around"),
]


@pytest.mark.parametrize(
    ("function", "argument", "reason", "message"), REFUSED, ids=[one[0].__name__ for one in REFUSED]
)
def test_refused(function: Callable[..., Any], argument: Any, reason: str, message: str) -> None:
    """Eager mode runs it; compiling it is an error of ours that names what is in the way and the user's line."""
    function(argument)
    with pytest.raises(GraphjitError) as caught:
        gj.compile(function)(argument)
    assert message in str(caught.value), reason
    assert "test_refused.py" in str(caught.value)
