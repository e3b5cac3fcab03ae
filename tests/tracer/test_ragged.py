"""Ragged tensors: rows of different lengths, against NumPy row by row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from bothways import both_ways

import graphjit as gj

ROWS = [[3.0, 1.0, 4.0], [], [1.0, 5.0], [9.0]]
DEEP = [[[1, 2], [3]], [], [[4], [5, 6, 7]]]


def _ragged(rows: Any = ROWS, dtype: Any = gj.float64) -> Any:
    return gj.ragged.constant(rows, dtype=dtype)


def test_parts() -> None:
    """Splits, lengths, starts, row numbers, shapes."""
    x = _ragged()
    assert x.row_splits.numpy().tolist() == [0, 3, 3, 5, 6]
    assert x.row_lengths().numpy().tolist() == [3, 0, 2, 1]
    assert x.row_starts().numpy().tolist() == [0, 3, 3, 5] and x.row_limits().numpy().tolist() == [3, 3, 5, 6]
    assert x.value_rowids().numpy().tolist() == [0, 0, 0, 2, 2, 3]
    assert (int(x.nrows()), x.shape.as_list(), x.dtype, x.ragged_rank, len(x)) == (4, [4, None], gj.float64, 1, 4)
    assert x.bounding_shape().numpy().tolist() == [4, 3]
    assert x.to_list() == ROWS and repr(x) == f"<gj.RaggedTensor {ROWS}>"
    deep = _ragged(DEEP, gj.int32)
    assert (deep.ragged_rank, deep.shape.as_list()) == (2, [3, None, None])
    assert deep.to_list() == DEEP and deep.bounding_shape().numpy().tolist() == [3, 2, 3]
    assert deep.row_lengths(axis=2).to_list() == [[2, 1], [], [1, 3]]


def test_making() -> None:
    """Every way to say where rows begin and end."""
    values = [1, 2, 3, 4]
    for x in (
        gj.RaggedTensor.from_row_splits(values, [0, 2, 2, 4]),
        gj.RaggedTensor.from_row_lengths(values, [2, 0, 2]),
        gj.RaggedTensor.from_value_rowids(values, [0, 0, 2, 2]),
        gj.RaggedTensor.from_value_rowids(values, [0, 0, 2, 2], nrows=3),
        gj.RaggedTensor.from_tensor([[1, 2, 0], [0, 0, 0], [3, 4, 0]], padding=0),
        gj.RaggedTensor.from_tensor([[1, 2, 9], [9, 9, 9], [3, 4, 9]], lengths=[2, 0, 2]),
        gj.ragged.stack([gj.constant([1, 2]), gj.constant([], gj.int32), gj.constant([3, 4])]),
    ):
        assert x.to_list() == [[1, 2], [], [3, 4]]
    assert gj.RaggedTensor.from_tensor([[1, 2], [3, 4]]).to_list() == [[1, 2], [3, 4]]
    cube = np.arange(12).reshape(2, 3, 2)
    assert gj.RaggedTensor.from_tensor(cube, ragged_rank=2).to_list() == cube.tolist()
    rows = gj.ragged.constant([[[1, 2]], [[3, 4], [5, 6]]], inner_shape=(2,))
    assert (rows.ragged_rank, rows.shape.as_list()) == (1, [2, None, 2])
    assert gj.ragged.constant([[], []]).dtype is gj.float32
    assert gj.ragged.constant([["a"], []]).to_list() == [[b"a"], []]


def test_to_tensor() -> None:
    x = _ragged()
    found = both_ways(lambda x: (x.to_tensor(), x.to_tensor(-1.0), x.to_tensor(shape=[None, 2])), x)
    assert found[0].numpy().tolist() == [[3, 1, 4], [0, 0, 0], [1, 5, 0], [9, 0, 0]]
    assert found[1].numpy().tolist() == [[3, 1, 4], [-1, -1, -1], [1, 5, -1], [9, -1, -1]]
    assert found[2].numpy().tolist() == [[3, 1], [0, 0], [1, 5], [9, 0]]
    assert x.to_tensor(shape=[5, 1]).numpy().tolist() == [[3], [0], [1], [9], [0]]
    assert _ragged(DEEP, gj.int32).to_tensor().numpy()[2].tolist() == [[4, 0, 0], [5, 6, 7]]
    assert gj.ragged.constant([["a"], ["b", "c"]]).to_tensor().numpy().tolist() == [[b"a", b""], [b"b", b"c"]]


@pytest.mark.parametrize("name", ["sum", "mean", "max", "min", "prod"])
def test_reductions(name: str) -> None:
    """Each row, each column over the rows that reach it, all; rows and columns of deeper ones."""
    function = getattr(gj, f"reduce_{name}")
    plain: Callable[..., Any] = getattr(np, name)
    full = [[3.0, 1.0, 4.0], [2.0], [1.0, 5.0]]
    columns = [[3.0, 2.0, 1.0], [1.0, 5.0], [4.0]]
    x = _ragged(full)
    found = both_ways(lambda x: [function(x, axis=axis) for axis in (1, -1, 0, None)], x)
    np.testing.assert_allclose(found[0].numpy(), [plain(row) for row in full])
    np.testing.assert_allclose(found[1].numpy(), [plain(row) for row in full])
    np.testing.assert_allclose(found[2].numpy(), [plain(column) for column in columns])
    np.testing.assert_allclose(found[3].numpy(), plain(np.concatenate(full)))
    deep = gj.cast(_ragged(DEEP, gj.int32), gj.float64)
    found = both_ways(lambda x: [function(x, axis=axis) for axis in (0, 1, 2)], deep)
    assert found[2].to_list() == [[plain(row) for row in rows] for rows in DEEP]
    assert found[1].to_list() == [[plain([1, 3]), 2], [], [plain([4, 5]), 6, 7]]
    assert found[0].to_list() == [[plain([1, 4]), 2], [plain([3, 5]), 6, 7]]


def test_reductions_of_empty_rows_and_of_truth() -> None:
    x = _ragged([[], [2.0]])
    assert gj.reduce_sum(x, axis=1).numpy().tolist() == [0, 2]
    assert gj.reduce_prod(x, axis=1).numpy().tolist() == [1, 2]
    assert np.isnan(gj.reduce_mean(x, axis=1).numpy()[0])
    assert gj.reduce_max(x, axis=1).numpy()[0] == gj.float64.min
    truth = gj.ragged.constant([[True, False], [], [True]])
    assert gj.reduce_all(truth, axis=1).numpy().tolist() == [False, True, True]
    assert gj.reduce_any(truth, axis=1).numpy().tolist() == [True, False, True]


def test_elementwise() -> None:
    """Scalars, ragged tensors with equal rows, columns; NumPy's functions; comparisons."""

    def f(x: Any, y: Any) -> Any:
        column = gj.constant([[1.0], [2.0], [3.0], [4.0]], gj.float64)
        return x + 1, 2 * x, x - y, x / 2, -x, abs(x), x**2, gj.sin(x), np.exp(x), x > 2, x == y, x * column, 1 - x

    def plain(x: Any, y: Any, row: Any) -> Any:
        return x + 1, 2 * x, x - y, x / 2, -x, abs(x), x**2, np.sin(x), np.exp(x), x > 2, x == y, x * row, 1 - x

    x, y = _ragged(), _ragged([[3.0, 2.0, 4.0], [], [0.0, 5.0], [1.0]])
    found = both_ways(f, x, y)
    ids = x.value_rowids().numpy() + 1.0
    for one, wanted in zip(found, plain(x.values.numpy(), y.values.numpy(), ids), strict=True):
        np.testing.assert_allclose(one.values.numpy(), wanted)
        assert one.row_splits.numpy().tolist() == x.row_splits.numpy().tolist()


def test_indexing() -> None:
    """Rows, rows between, parts of rows, elements; a row number that is traced."""
    x = _ragged()

    def f(x: Any, k: Any) -> Any:
        return x[0], x[-1], x[k], x[1:3], x[::2], x[:, :1], x[:, 1:], x[:, -2:], x[1:, :-1], x[2, 1], x[2:, 0]

    found = both_ways(f, x, gj.constant(2))
    wanted = (
        ROWS[0], ROWS[-1], ROWS[2], ROWS[1:3], ROWS[::2], [row[:1] for row in ROWS], [row[1:] for row in ROWS],
        [row[-2:] for row in ROWS], [row[:-1] for row in ROWS[1:]], 5.0, [1.0, 9.0],
    )  # fmt: skip
    for one, expected in zip(found, wanted, strict=True):
        got = one.to_list() if isinstance(one, gj.RaggedTensor) else one.numpy().tolist()
        assert got == expected
    deep = _ragged(DEEP, gj.int32)
    assert deep[2].to_list() == DEEP[2] and deep[2, 1].numpy().tolist() == [5, 6, 7] and deep[1:].to_list() == DEEP[1:]
    assert [row.numpy().tolist() for row in x] == ROWS


def test_mapping_concatenating_masking() -> None:
    def f(x: Any) -> Any:
        return (
            gj.ragged.map_flat_values(gj.add, x, x),
            gj.concat([x, x[:2]], 0),
            gj.ragged.concat([x, x * 10], 1),
            gj.ragged.boolean_mask(x, x > 2.0),
            gj.map_fn(gj.reduce_sum, x),
            gj.ragged.map_fn(lambda row: gj.cumsum(row), x),
            gj.ragged.boolean_mask([[1, 2], [3, 4]], [[True, False], [True, True]]),
        )

    found = both_ways(f, _ragged())
    wanted = (
        [[2 * one for one in row] for row in ROWS],
        ROWS + ROWS[:2],
        [row + [10 * one for one in row] for row in ROWS],
        [[one for one in row if one > 2] for row in ROWS],
        [8.0, 0.0, 6.0, 9.0],
        [np.cumsum(row).tolist() for row in ROWS],
        [[1], [3, 4]],
    )
    for one, expected in zip(found, wanted, strict=True):
        assert (one.to_list() if isinstance(one, gj.RaggedTensor) else one.numpy().tolist()) == expected


GRADIENTS: dict[str, Callable[[Any], Any]] = {
    "sum of rows": lambda x: gj.reduce_sum(gj.reduce_sum(x, axis=1) ** 2),
    "mean of rows": lambda x: gj.reduce_sum(gj.reduce_mean(x, axis=1)[2:] ** 2),
    "greatest": lambda x: gj.reduce_sum(gj.reduce_max(x, axis=1)[2:] ** 3),
    "least of columns": lambda x: gj.reduce_sum(gj.reduce_min(x, axis=0) ** 2),
    "products": lambda x: gj.reduce_sum(gj.reduce_prod(x, axis=1) ** 2),
    "tensor": lambda x: gj.reduce_sum(gj.sin(x.to_tensor())),
    "cut tensor": lambda x: gj.reduce_sum(x.to_tensor(shape=[None, 2]) ** 2),
    "from tensor": lambda x: gj.reduce_sum(
        gj.reduce_prod(gj.RaggedTensor.from_tensor(x.to_tensor(), lengths=[2, 1, 0, 1]), axis=1) ** 2
    ),
    "part": lambda x: gj.reduce_sum(x[:, :2] ** 3) + gj.reduce_sum(x[0] * 2.0),
    "beside": lambda x: gj.reduce_sum(gj.ragged.concat([x, x * x], 1) ** 2),
    "column": lambda x: gj.reduce_sum(x * gj.reshape(gj.reduce_sum(x, axis=1), [-1, 1])),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_g_gradients_flow_through_the_elements(name: str) -> None:
    """Against central differences, eagerly and compiled; the gradient of a ragged tensor is ragged."""
    function = GRADIENTS[name]
    x = _ragged([[3.0, 1.0, 4.0], [], [1.5, 5.0], [0.5]])

    def gradient(x: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = function(x)
        return tape.gradient(y, x)

    eager, compiled = gradient(x), gj.compile(gradient)(x)
    assert isinstance(eager, gj.RaggedTensor) and eager.row_splits.numpy().tolist() == [0, 3, 3, 5, 6]
    values = x.values.numpy()
    wanted = np.zeros_like(values)
    for place in range(len(values)):
        step = np.zeros_like(values)
        step[place] = 1e-6
        up, down = (float(function(x.with_values(values + sign * step))) for sign in (1, -1))
        wanted[place] = (up - down) / 2e-6
    np.testing.assert_allclose(eager.values.numpy(), wanted, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(compiled.values.numpy(), wanted, rtol=1e-6, atol=1e-6)


def test_through_compiled_functions() -> None:
    """A5: an argument and a result; a new number of rows is a new shape, another split of as many is not."""
    f = gj.compile(lambda x: {"twice": x * 2, "sum": gj.reduce_sum(x, axis=1)})
    assert f(_ragged([[1.0], [2.0, 3.0]]))["twice"].to_list() == [[2.0], [4.0, 6.0]]
    assert f(_ragged([[1.0, 2.0], [3.0]]))["sum"].numpy().tolist() == [3.0, 3.0]
    assert f.trace_count == 1
    assert f(_ragged([[1.0]]))["sum"].numpy().tolist() == [1.0]


def test_in_branches_and_loops() -> None:
    """E1: a branch may choose between ragged tensors of equal rows."""

    def f(x: Any, flag: Any) -> Any:
        return x * 2.0 if flag else x + 1.0

    compiled = gj.compile(f)
    assert compiled(_ragged(), gj.constant(True)).to_list() == [[2 * one for one in row] for row in ROWS]
    assert compiled(_ragged(), gj.constant(False)).to_list() == [[one + 1 for one in row] for row in ROWS]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: gj.RaggedTensor.from_row_splits([1, 2], [0, 3]), gj.errors.InvalidArgumentError, "from 0 to 2"),
        (lambda: gj.RaggedTensor.from_row_splits([1, 2], [0, 2, 1, 2]), gj.errors.InvalidArgumentError, "ascend"),
        (lambda: gj.RaggedTensor.from_row_lengths([1, 2], [3, -1]), gj.errors.InvalidArgumentError, "not negative"),
        (lambda: gj.RaggedTensor.from_value_rowids([1, 2], [1, 0]), gj.errors.InvalidArgumentError, "ascending"),
        (lambda: gj.RaggedTensor.from_tensor([1, 2]), gj.errors.ShapeError, "higher rank"),
        (lambda: gj.ragged.constant([1, [2]]), gj.errors.InvalidArgumentError, "equally deep"),
        (lambda: _ragged() + _ragged([[1.0], [2.0], [3.0], [4.0, 5.0, 6.0]]), gj.errors.ShapeError, "lengths"),
        (lambda: _ragged() + gj.zeros([3]), gj.errors.ShapeError, "rows, 1"),
        (lambda: _ragged()[7], gj.errors.OutOfRangeError, "of 4 rows"),
        (lambda: _ragged()[:, 2], gj.errors.InvalidArgumentError, "too short"),
        (lambda: gj.reduce_sum(_ragged(), axis=2), gj.errors.ShapeError, "axis 2"),
        (lambda: gj.matmul(_ragged(), gj.eye(3)), gj.errors.DtypeError, "to_tensor"),
        (lambda: gj.reduce_std(_ragged(), axis=1), gj.errors.DtypeError, "to_tensor"),
        (lambda: bool(_ragged()), gj.errors.DtypeError, "neither true nor false"),
    ],
)
def test_refused(call: Any, error: type[Exception], words: str) -> None:
    """Bad uses say what was needed and what to do."""
    with pytest.raises(error, match=words):
        call()


def test_rows_that_differ_are_found_when_a_compiled_function_runs() -> None:
    f = gj.compile(lambda x, y: x + y)
    with pytest.raises(gj.errors.ShapeError, match=r"\[2, 1\] and \[1, 2\]"):
        f(_ragged([[1.0, 2.0], [3.0]]), _ragged([[1.0], [2.0, 3.0]]))


def test_random_rows_against_numpy() -> None:
    """Many random raggednesses, rows of rows too."""
    seed = int(np.random.default_rng().integers(2**32))
    print("seed", seed)
    generator = np.random.default_rng(seed)

    @gj.compile(reduce_retracing=True)
    def f(x: Any) -> Any:
        return [function(x, axis=axis) for function in (gj.reduce_sum, gj.reduce_max) for axis in (0, 1, 2)]

    for _ in range(20):
        rows = [
            [generator.integers(0, 9, generator.integers(1, 4)).tolist() for _ in range(generator.integers(1, 4))]
            for _ in range(3)
        ]
        found = f(gj.ragged.constant(rows))
        for function, results in ((sum, found[:3]), (max, found[3:])):
            assert results[2].to_list() == [[function(one) for one in group] for group in rows]
            assert results[1].to_list() == [_columns(group, function) for group in rows]
            height = max(map(len, rows))
            wanted = [
                _columns([group[place] for group in rows if place < len(group)], function) for place in range(height)
            ]
            assert results[0].to_list() == wanted


def _columns(rows: list[list[int]], function: Any) -> list[int]:
    return [function([row[place] for row in rows if place < len(row)]) for place in range(max(map(len, rows)))]
