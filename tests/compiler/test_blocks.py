"""D14: large reductions are cut into blocks that threads share, with the same bits for any number of threads."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler import blocks
from graphjit.compiler.backends.jit import NativeRunner, build
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.graph import Graph
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import TensorType, float32, int32
from graphjit.compiler.writer import write_graph
from graphjit.runtime import executable, threads
from graphjit.runtime.errors import InvalidArgumentError

Function = Callable[..., Any]
RNG = np.random.default_rng(0)
X = RNG.standard_normal((96, 40)).astype(np.float32)
CUBE = RNG.standard_normal((48, 5, 7)).astype(np.float32)
NUMBERS = RNG.integers(1, 50, (64, 6)).astype(np.int32)
SCALAR = np.float32(1.5)


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever can be cut is cut, and shared in small parts."""
    monkeypatch.setattr(blocks, "SHARED_COST", 1)
    monkeypatch.setattr(executable, "SHARED_COST", 1)
    monkeypatch.setattr(executable, "_PART_COST", 1)
    before = threads.number_of_threads()
    yield
    threads.set_number_of_threads(before)


def written(function: Function, *arrays: Any) -> Graph:
    """The graph of a function of arrays like these."""
    dtypes = {"float32": float32, "int32": int32}
    types = [TensorType(dtypes[array.dtype.name], array.shape) for array in map(np.asarray, arrays)]
    return optimize(write_graph("f", types, function))[-1].graph


def extents(runner: NativeRunner) -> list[int]:
    """The extents of the kernels, in order."""
    return [step.extent for step in runner.executable.program.steps]  # type: ignore[union-attr]  # kernels only


CUT: list[tuple[str, Function, tuple[Any, ...], int]] = [
    ("all elements", lambda x: gj.reduce_sum(x * x), (X,), 2),
    ("one axis", lambda x: gj.reduce_sum(x, axis=0), (X,), 2),
    ("keepdims", lambda x: gj.reduce_max(x, axis=0, keepdims=True), (X,), 2),
    ("all, keepdims", lambda x: gj.reduce_min(x, keepdims=True), (X,), 2),
    ("product", lambda x: gj.reduce_prod(gj.abs(x), axis=0), (X,), 2),
    ("logical", lambda x: gj.reduce_any(x > 2.0, axis=0), (X,), 2),
    ("integers", lambda n: gj.reduce_sum(n), (NUMBERS,), 2),
    ("scalars behind", lambda x: gj.sqrt(gj.reduce_sum(x * x)) * 2.0 - 1.0, (X,), 2),
    ("a scalar before and behind", lambda x, s: gj.reduce_sum(x * s) / gj.exp(s), (X, SCALAR), 2),
    ("a mean", lambda x: gj.reduce_mean(gj.square(x)), (X,), 2),
    ("two of one operand", lambda x: (gj.reduce_sum(x * 3.0), gj.reduce_max(x * 3.0)), (X,), 2),
    ("beside a stored result", lambda x: (gj.tanh(x), gj.reduce_sum(gj.tanh(x))), (X,), 2),
    ("beside a stored result, one axis", lambda x: (gj.tanh(x), gj.reduce_sum(gj.tanh(x), axis=0)), (X,), 2),
    ("outer and inner axis", lambda x: gj.reduce_sum(x, axis=(0, 2)), (CUBE,), 2),
    ("outer axes", lambda x: gj.reduce_sum(x, axis=(0, 1)), (CUBE,), 2),
    ("rows first", lambda x: gj.reduce_sum(gj.exp(x - gj.reduce_max(x, axis=1, keepdims=True)), axis=0), (X,), 2),
    ("transposed", lambda x: gj.reduce_sum(gj.transpose(x) * 2.0), (X,), 2),
    ("a part", lambda x: gj.reduce_sum(x[:64, 1:9], axis=0), (X,), 2),
    ("a last block that is shorter", lambda x: gj.reduce_sum(x * x), (X.ravel()[:997],), 2),
    ("the same, with stored elements", lambda x: (x * x, gj.reduce_max(x * x)), (X.ravel()[:3001],), 2),
    ("the same, one axis", lambda x: gj.reduce_sum(x, axis=0), (X[:41],), 2),
    ("the same, all axes of rows", lambda x: gj.reduce_sum(x[:, 1:9]), (X[:53],), 2),
    ("broadcast", lambda x, s: gj.reduce_sum(x + gj.reshape(s, [1, 1])), (X, SCALAR), 2),
]


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("function", "arrays", "count"), [row[1:] for row in CUT], ids=[row[0] for row in CUT])
def test_reductions_in_blocks(function: Function, arrays: tuple[Any, ...], count: int) -> None:
    """One kernel over the blocks and one that puts them together; the same bits for any number of threads."""
    graph = written(function, *arrays)
    runner = build(graph)
    assert len(extents(runner)) == count and extents(runner)[0] > 1
    results = []
    for number in (1, 2, 5):
        threads.set_number_of_threads(number)
        results.append(runner.run(list(map(np.asarray, arrays))))
    for got, expected in zip(results[0], run_reference(graph, list(map(np.asarray, arrays))), strict=True):
        np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-5)
    for other in results[1:]:
        for got, expected in zip(other, results[0], strict=True):
            assert got.tobytes() == expected.tobytes()


@pytest.mark.usefixtures("always")
def test_what_is_not_cut() -> None:
    """A row that is walked through again, few rounds, and rounds that are independent as they are."""
    assert extents(build(written(lambda x: x / gj.reduce_sum(x), X.ravel()[:1024]))) == [1]
    assert extents(build(written(lambda x: gj.reduce_sum(x), np.zeros(16, np.float32)))) == [1]
    assert extents(build(written(lambda x: gj.reduce_sum(x, axis=1), X))) == [96]


@pytest.mark.usefixtures("always")
def test_a_reduction_over_a_middle_axis_is_shared_as_it_is() -> None:
    """Each round of the outermost loop accumulates elements of its own."""
    runner = build(written(lambda x: gj.reduce_sum(x, axis=1), CUBE))
    assert extents(runner) == [48]
    for number in (1, 3):
        threads.set_number_of_threads(number)
        np.testing.assert_allclose(runner.run([CUBE])[0], CUBE.sum(1), rtol=1e-5, atol=1e-5)


def test_small_reductions_are_one_kernel() -> None:
    """What takes less than handing over is not cut."""
    assert extents(build(written(lambda x: gj.reduce_sum(x * x), X))) == [1]


def test_large_reductions_are_cut_by_their_cost() -> None:
    """Blocks are neither many nor small."""
    (first, last) = extents(build(written(lambda x: gj.reduce_sum(x), np.zeros((2**22,), np.float32))))
    assert 4 <= first <= 64 and last == 1


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("count", [1, 4])
def test_a_failing_element_is_found_in_blocks(count: int) -> None:
    """The first failing element is the one that is reported, whoever meets it."""
    threads.set_number_of_threads(count)
    runner = build(written(lambda n, d: gj.reduce_sum(n // d), NUMBERS, NUMBERS))
    assert len(extents(runner)) == 2
    divisors = NUMBERS.copy()
    np.testing.assert_array_equal(runner.run([NUMBERS, divisors])[0], np.sum(NUMBERS // divisors))
    divisors[50:, 3] = 0
    with pytest.raises(InvalidArgumentError, match="zero"):
        runner.run([NUMBERS, divisors])
