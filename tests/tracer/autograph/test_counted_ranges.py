"""E7: `for i in gj.range(n)` with a traced bound counts; it picks nothing from the tensor of the numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphjit as gj


def _poly(start: Any, stop: Any, step: Any) -> Any:
    total = gj.constant(0, start.dtype)
    for i in gj.range(start, stop, step):
        if i > 70:
            break
        total = total * 2 % 1009 + i
    return total


@pytest.mark.parametrize("bounds", [(2, 9, 3), (9, 2, -2), (3, 3, 1), (-4, 100, 7), (5, 2, 1)])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
def test_e7_numbers_are_the_tensors(bounds: tuple[int, int, int], dtype: Any) -> None:
    """E7: the same numbers, of the same dtype, as eagerly; with `break`."""
    given = [gj.constant(dtype(one)) for one in bounds]
    compiled = gj.compile(_poly)
    found, wanted = compiled(*given), compiled.eager(*given)
    assert (int(found), found.dtype) == (int(wanted), wanted.dtype)


def test_e7_nothing_is_picked() -> None:
    """E7: the body reads no tensor of numbers, so the loop is a kernel."""

    @gj.compile
    def f(n: Any, x: Any) -> Any:
        for i in gj.range(n):
            x = 0.5 * x + gj.cast(i, x.dtype)
        return x

    assert float(f(gj.constant(3), gj.constant(8.0))) == 1.0 + 0.5 + 2.0
    (loop,) = [one for one in f.graph.equations if one.op.name == "while"]
    assert "gather" not in {one.op.name for one in loop.attributes["body"].equations}


def test_e7_a_step_of_zero_is_refused() -> None:
    """E7: as eagerly."""
    given = [gj.constant(one) for one in (1, 5, 0)]
    for way in (gj.compile(_poly), _poly):
        with pytest.raises(gj.errors.InvalidArgumentError, match="delta is 0"):
            way(*given)
