"""Random programs: compiled equals eager, for values and for gradients.

The number of programs is 150 here; `GRAPHJIT_RANDOM_PROGRAMS=2000 pytest tests/random_programs` runs more.
A failure prints the seed and the shrunk program as Python.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

import graphjit as gj

from .generate import Program, programs

# Compiling the same small program many times in a loop is what users are warned of.
pytestmark = pytest.mark.filterwarnings("ignore::graphjit.RetraceWarning")

COUNT = int(os.environ.get("GRAPHJIT_RANDOM_PROGRAMS", "150"))

random_programs = settings(max_examples=COUNT, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)


def _assert_close(got: Any, wanted: Any, program: Program, what: str) -> None:
    a, b = np.asarray(got), np.asarray(wanted)
    assert (a.dtype, a.shape) == (b.dtype, b.shape), what
    if b.dtype.kind != "f":
        np.testing.assert_array_equal(a, b, err_msg=what)
        return
    # Sums are re-associated, so the error grows with the largest number, not with each element.
    relative = 2e-3 if program.computes_in("float32") else 1e-9
    largest = float(np.max(np.abs(b[np.isfinite(b)]), initial=1.0))
    np.testing.assert_allclose(a, b, rtol=relative, atol=relative * largest, err_msg=what)


@random_programs
@given(programs())
def test_compiled_equals_eager(program: Program) -> None:
    """Values, dtypes and shapes agree, and no input is written to."""
    function = program.function()
    arrays = program.arrays()
    before = [array.copy() for array in arrays]
    wanted = function(*(gj.constant(array) for array in arrays))
    got = gj.compile(function)(*arrays)
    for number, (one, other) in enumerate(zip(got, wanted, strict=True)):
        _assert_close(one, other, program, f"output {number} of {program!r}")
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy)


def _gradients(function: Any, arrays: list[np.ndarray[Any, Any]]) -> list[Any]:
    inputs = [gj.constant(array) for array in arrays]
    with gj.GradientTape() as tape:
        tape.watch([one for one in inputs if one.dtype.is_floating])
        targets = [one for one in function(*inputs) if one.dtype.is_floating]
    floating = [one for one in inputs if one.dtype.is_floating]
    return list(tape.gradient(targets, floating)) if targets and floating else []


@random_programs
@given(programs(most=8))
def test_gradients_of_compiled_equal_those_of_eager(program: Program) -> None:
    """G1, F6: a tape around the compiled function sees the slopes that it sees around the eager one."""
    function = program.function()
    arrays = program.arrays()
    wanted = _gradients(function, arrays)
    got = _gradients(gj.compile(function), arrays)
    for number, (one, other) in enumerate(zip(got, wanted, strict=True)):
        what = f"gradient {number} of {program!r}"
        assert (one is None) == (other is None), what
        if other is not None:
            _assert_close(one, other, program, what)
