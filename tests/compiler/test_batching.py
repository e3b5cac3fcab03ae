"""What is done for a row, done for all rows at once: every op of the table equals a Python loop (row F3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from op_cases import Array, Case, cases_of

from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.batching import at_once, why_not_at_once
from graphjit.compiler.dispatch import apply_all
from graphjit.compiler.graph import Graph
from graphjit.compiler.op import Kind, all_ops
from graphjit.compiler.tensortype import type_of_array
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import GraphjitError

_ROWS = 3


def _is_for_rows(case: Case) -> bool:
    """Whether an op does the same for every row: no effect, no state, and sizes that do not depend on values."""
    if case.op.kind is Kind.SOURCE or case.op.static_operands or not case.arrays:
        return False
    graph = _alone(case)
    return why_not_at_once(graph.inputs, graph.equations) is None


def _alone(case: Case) -> Graph:
    types = [type_of_array(one) for one in case.arrays]
    return write_graph("row", types, lambda *operands: list(apply_all(case.op, operands, case.attributes)))


def _every_case() -> list[Case]:
    dtypes = ("f64", "as_it_is", "bool", "i32")
    return [case for op in all_ops() for case in cases_of(op) if case.name.endswith(dtypes) and _is_for_rows(case)]


def _rows(array: Array, number: int) -> Array:
    """Rows that are alike, but for floats: those of other rows are in another order."""
    if array.dtype.kind not in "fc" or array.size < 2:
        return array
    return np.roll(array.reshape(-1), number).reshape(array.shape)


def _run_many(graph: Graph, arrays: Sequence[Array], is_batched: Sequence[bool]) -> tuple[Graph, list[Array]]:
    types = [type_of_array(one) for one in arrays]

    def body(*operands: Any) -> Any:
        return at_once(graph, operands, is_batched, _ROWS)

    many = write_graph("many", types, body)
    return many, run_reference(many, list(arrays))


def _choices(count: int) -> list[list[bool]]:
    """Which operands have rows: all of them, and each alone."""
    alone = [[place == one for place in range(count)] for one in range(count)]
    return [[True] * count, *(alone if count > 1 else [])]


@pytest.mark.parametrize("case", _every_case(), ids=repr)
def test_f3_every_op_for_many_rows(case: Case) -> None:
    """F3: what an op gives for rows at once is what it gives for each row."""
    graph = _alone(case)
    for is_batched in _choices(len(case.arrays)):
        rows = [
            [_rows(array, number) if flag else array for array, flag in zip(case.arrays, is_batched, strict=True)]
            for number in range(_ROWS)
        ]
        try:
            wanted = [run_reference(graph, row) for row in rows]
        except GraphjitError:  # numbers in another order may be none that the op takes
            rows = [list(case.arrays)] * _ROWS
            wanted = [run_reference(graph, row) for row in rows]
        columns = zip(*rows, strict=True)
        arrays = [np.stack(column) if flag else column[0] for column, flag in zip(columns, is_batched, strict=True)]
        _, found = _run_many(graph, arrays, is_batched)
        for one, column in zip(found, zip(*wanted, strict=True), strict=True):
            expected = np.stack(column)
            assert one.dtype == expected.dtype and one.shape == expected.shape
            if one.dtype.kind in "fc":
                close = 1e-9 if one.dtype.itemsize >= 8 else 1e-4
                np.testing.assert_allclose(one, expected, rtol=close, atol=close)
            else:
                np.testing.assert_array_equal(one, expected)
