"""Bad input: an error of ours that names the op, the shapes and the user's line, in both modes; or a right answer.

Cases are made from the op table: every op with operands, and for each of its operands a list of
things that users pass by mistake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from op_cases import materialise

import graphjit as gj
from graphjit.compiler.dispatch import apply
from graphjit.compiler.op import Kind, Op, all_ops
from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.runtime.errors import GraphjitError


def _overlapping(array: np.ndarray[Any, Any]) -> Any:
    return np.lib.stride_tricks.as_strided(array, (3, 3), (array.itemsize, array.itemsize))


MUTATIONS: dict[str, Callable[[np.ndarray[Any, Any]], Any]] = {
    "another shape": lambda array: np.ones((7, 11, 13), array.dtype),
    "another dtype": lambda array: array.astype(np.complex64 if array.dtype.kind == "f" else np.float32),
    "another rank": lambda array: array[None, None],
    "empty": lambda array: np.zeros((0,), array.dtype),
    "a scalar": lambda array: np.ones((), array.dtype),
    "None": lambda array: None,
    "a string": lambda array: "seven",
    "an object array": lambda array: np.array([object()] * 3),
    "strings": lambda array: np.array(["a", "b"]),
    "dates": lambda array: np.zeros(3, "datetime64[s]"),
    "a ragged list": lambda array: [[1.0, 2.0], [3.0]],
    "a set": lambda array: {1, 2},
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "float16": lambda array: array.astype(np.float16),
    "a matrix": lambda array: np.ones((2, 2), array.dtype).view(np.matrix),
    "read-only": lambda array: _read_only(array),
    "overlapping": lambda array: _overlapping(np.ones(8, array.dtype)),
    "reversed": lambda array: array[::-1] if array.ndim else array,
    "NaN": lambda array: (
        np.full_like(array, np.nan)
        if array.dtype.kind == "f"
        else np.full_like(array, True)
        if array.dtype == bool
        else -np.ones_like(array)
    ),
    "the largest": lambda array: np.full_like(array, np.finfo(array.dtype).max if array.dtype.kind == "f" else 100),
}


def _read_only(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    copy = array.copy()
    copy.flags.writeable = False
    return copy


def _cases() -> Iterator[tuple[Op, int, str]]:
    """Every fifth combination of op, operand and mutation, so that all ops and all mutations come up.

    Ops that only gradient rules write have no public function, and no user hands them operands.
    """
    number = 0
    for op in all_ops():
        if op.name not in PUBLIC or not op.examples[0].operands:
            continue
        for position in range(len(op.examples[0].operands)):
            for mutation in MUTATIONS:
                number += 1
                if number % 5 == 0:
                    yield op, position, mutation


CASES = list(_cases())


def test_there_are_enough_cases() -> None:
    """At least 300 cases are generated."""
    assert len(CASES) >= 300


def _snapshot(values: list[Any]) -> list[Any]:
    return [value.copy() if isinstance(value, np.ndarray) and value.dtype != object else None for value in values]


def _outcome(function: Callable[..., Any], values: list[Any]) -> Any:
    """The results as arrays, or the error if it is one of ours; other errors fail the test."""
    before = _snapshot(values)
    try:
        results = function(*values)
    except GraphjitError as error:
        results = error
    for value, copy in zip(values, before, strict=True):
        if copy is not None:
            np.testing.assert_array_equal(value, copy, err_msg="an input was written to")
    if isinstance(results, GraphjitError):
        return results
    return [np.asarray(one) for one in (results if isinstance(results, tuple) else (results,))]


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize(("op", "position", "mutation"), CASES, ids=lambda value: getattr(value, "name", str(value)))
def test_a_mistake_gives_our_error_or_the_right_answer(op: Op, position: int, mutation: str) -> None:
    """Section 6: no error from inside NumPy or Numba reaches the user; both modes say the same."""
    example = op.examples[0]
    values: list[Any] = list(materialise(op, example, "f32", seed=1))
    values[position] = MUTATIONS[mutation](np.asarray(values[position]))

    public = PUBLIC.get(op.name) if op.kind is Kind.ELEMENTWISE and not example.attributes else None

    def call(*arguments: Any) -> Any:
        tensors = [gj.convert_to_tensor(one) if isinstance(one, np.ndarray) else one for one in arguments]
        if public is not None:
            return public(*tensors)
        return apply(op, *(as_operand(one) for one in tensors), **example.attributes)

    eager = _outcome(call, values)
    if isinstance(eager, GraphjitError) and mutation in ("another shape", "another dtype", "another rank"):
        assert op.name in str(eager), f"the op's name is missing: {eager}"
    compiled = _outcome(gj.compile(call), values)
    if isinstance(eager, GraphjitError) or isinstance(compiled, GraphjitError):
        assert isinstance(eager, GraphjitError) and isinstance(compiled, GraphjitError), (eager, compiled)
        for error in (eager, compiled):
            assert len(str(error)) > 15
            assert "test_bad_input.py" in str(error), f"the user's line is missing: {error}"
        return
    for one, other in zip(compiled, eager, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        np.testing.assert_allclose(one, other, rtol=1e-3 if one.dtype.itemsize < 4 else 1e-5, atol=1e-6)
