"""Running a function as Python and compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import graphjit as gj


def both_ways(function: Callable[..., Any], *arguments: Any) -> Any:
    """What the compiled function returns, which is what it returns in eager mode."""
    compiled = gj.compile(function)
    eager = compiled.eager(*arguments)
    found = compiled(*arguments)
    for one, other in zip(gj.nest.flatten(found), gj.nest.flatten(eager), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy(), strict=True)
    return found
