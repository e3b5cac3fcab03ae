"""Gathering along an axis and adding up what was gathered, as kernels: right numbers, checked indices."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.compiler.operand import PUBLIC

pytestmark = pytest.mark.filterwarnings("ignore:.*was compiled again")

SHAPES = [
    ((5,), 0, (7,)),
    ((5, 3), 0, (4,)),
    ((5, 40), 0, (2, 3)),
    ((6, 150), 0, (9,)),
    ((5, 3), 0, ()),
    ((4, 5), 1, (6,)),
    ((2, 3, 5, 2), 2, (3, 2)),
    ((1, 5, 1), 1, (2,)),
    ((3, 0), 0, (2,)),
    ((3, 2), 0, (0,)),
]


@pytest.mark.parametrize(("shape", "axis", "count"), SHAPES)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "uint8", "bool"])
@pytest.mark.parametrize("index", ["int32", "int64", "uint8", "uint64"])
def test_gather_is_numpys_take(shape: Any, axis: int, count: Any, dtype: str, index: str) -> None:
    generator = np.random.default_rng(0)
    x = (generator.normal(size=shape) * 5).astype(dtype)
    places = generator.integers(0, shape[axis], count).astype(index)
    f = gj.compile(lambda x, i: gj.gather(x, i, axis=axis))
    for _ in range(3):
        np.testing.assert_array_equal(f(x, places).numpy(), np.take(x, places, axis), strict=True)
    assert f.report().numpy_steps == 0 or 0 in (*shape, *np.shape(places))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize(("shape", "axis", "count"), SHAPES)
def test_adding_up_is_numpys_to_the_bit(shape: Any, axis: int, count: Any, dtype: str) -> None:
    """Repeated indices add up in their order, whether rows, columns or batches are done side by side."""
    generator = np.random.default_rng(1)
    whole = np.zeros(shape, dtype)
    places = generator.integers(0, shape[axis], count)
    g = (generator.normal(size=(*shape[:axis], *count, *shape[axis + 1 :])) * 5).astype(dtype)
    np.add.at(whole, (*[slice(None)] * axis, places), g)
    f = gj.compile(lambda g, i, like: PUBLIC["ungather"](g, i, like, axis))
    found = f(g, places, np.zeros(shape, dtype)).numpy()
    assert found.tobytes() == whole.tobytes()
    assert f.report().numpy_steps == 0 or 0 in (*shape, *np.shape(places))


def test_large_ones_are_shared_between_threads() -> None:
    """D14: the same bits as in one piece."""
    generator = np.random.default_rng(2)
    x, places = generator.normal(size=(3000, 200)).astype(np.float32), generator.integers(0, 3000, 20_000)
    np.testing.assert_array_equal(gj.compile(gj.gather)(x, places).numpy(), x[places])
    g = generator.normal(size=(20_000, 200)).astype(np.float32)
    whole = np.zeros_like(x)
    np.add.at(whole, places, g)
    found = gj.compile(lambda g, i, x: PUBLIC["ungather"](g, i, x, 0))(g, places, x)
    assert found.numpy().tobytes() == whole.tobytes()


def test_along_the_last_axis() -> None:
    """take_along_axis, and its gradient, with a row of indices for each row."""
    generator = np.random.default_rng(3)
    x, places = generator.normal(size=(2, 6, 10)), generator.integers(-10, 10, (2, 6, 3))

    def f(x: Any, i: Any) -> Any:
        with gj.GradientTape() as tape:
            tape.watch(x)
            y = gj.take_along_axis(x, i, axis=-1)
        return y, tape.gradient(y, x, output_gradients=gj.cast(i, gj.float64))

    compiled = gj.compile(f)
    y, slope = compiled(x, places)
    np.testing.assert_array_equal(y.numpy(), np.take_along_axis(x, places, -1))
    wanted = np.zeros_like(x)
    batch, row = np.arange(2)[:, None, None], np.arange(6)[None, :, None]
    np.add.at(wanted, (batch, row, places % 10), places.astype(float))
    np.testing.assert_array_equal(slope.numpy(), wanted)
    assert compiled.report().numpy_steps == 0


@pytest.mark.parametrize("bad", [-1, 5, 6, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("place", [0, 3, 8])
def test_every_bad_index_is_an_error(bad: int, place: int) -> None:
    """Never a wrong read: the error names the index, where it stands, the axis and the line, each time."""
    x, i = np.ones((5, 3), np.float32), np.zeros((3, 3), np.int32)
    i[place // 3, place % 3] = bad
    f = gj.compile(lambda x, i: gj.gather(x, i))
    f(x, np.zeros((3, 3), np.int32))
    message = rf"index {bad} \(at position \[{place // 3}, {place % 3}\] of the indices\).*axis 0 of size 5"
    for _ in range(3):
        with pytest.raises(gj.errors.OutOfRangeError, match=message) as caught:
            f(x, i)
        assert "test_index_kernels.py" in str(caught.value)
    adding = gj.compile(lambda g, i, x: PUBLIC["ungather"](g, i, x, 0))
    with pytest.raises(gj.errors.OutOfRangeError, match=message):
        adding(np.ones((3, 3, 3), np.float32), i, x)


@pytest.mark.parametrize(("dtype", "bad"), [("int64", 2**62), ("int64", -(2**63)), ("uint64", 2**63), ("uint8", 255)])
def test_far_indices(dtype: str, bad: int) -> None:
    """What does not fit 64 bits with a sign is out of range too, and shown as it is."""
    f = gj.compile(lambda x, i: gj.gather(x, i))
    with pytest.raises(gj.errors.OutOfRangeError, match=f"index {bad} "):
        f(np.ones(5), np.array([0, bad], dtype))


def test_a23_variables_stay_when_an_index_is_bad() -> None:
    """A23: a call that raises leaves every variable as it was."""
    table = gj.Variable(np.ones((100, 200), np.float32))

    @gj.compile
    def step(i: Any) -> Any:
        table.assign_sub(table * 0.5)
        rows = gj.gather(table, i)
        table.assign_add(gj.reduce_sum(rows) * gj.ones_like(table))
        return rows

    for _ in range(3):
        with pytest.raises(gj.errors.OutOfRangeError):
            step(np.array([0, 100]))
        assert (table.numpy() == 1).all()


def test_training_an_embedding_needs_no_numpy_step() -> None:
    """The whole step is kernels, and does what eager mode does."""
    tables = [gj.Variable(np.linspace(-1, 1, 60, dtype=np.float32).reshape(10, 6)) for _ in range(2)]

    def step(table: Any, words: Any) -> Any:
        with gj.GradientTape() as tape:
            loss = gj.reduce_mean(gj.tanh(gj.gather(table, words)) ** 2)
        table.assign_sub(0.5 * tape.gradient(loss, table))
        return loss

    compiled = gj.compile(step)
    words = np.array([[1, 2, 1], [9, 1, 0]])
    for _ in range(4):
        np.testing.assert_allclose(compiled(tables[0], words).numpy(), step(tables[1], words).numpy(), rtol=1e-5)
    np.testing.assert_allclose(tables[0].numpy(), tables[1].numpy(), rtol=1e-5, atol=1e-6)
    assert compiled.report().numpy_steps == 0


def test_views_are_read_as_they_lie() -> None:
    """Transposed, reversed and cut operands and indices."""
    x, i = np.arange(24.0).reshape(4, 6), np.array([[0, 1], [2, 3]])

    def f(x: Any, i: Any) -> Any:
        return (
            gj.gather(gj.transpose(x), i),
            gj.gather(x[:, 1:], i),
            gj.gather(x, gj.transpose(i)),
            gj.gather(x[1:], i[0]),
        )

    found = gj.compile(f)(x, i)
    for one, wanted in zip(found, (x.T[i], x[:, 1:][i], x[i.T], x[1:][i[0]]), strict=True):
        np.testing.assert_array_equal(one.numpy(), wanted)


def test_in_a_loop() -> None:
    """Rows that a loop picks by a number that it computes."""

    @gj.compile
    def walk(next_place: Any, steps: Any) -> Any:
        place = gj.constant(0, gj.int64)
        total = gj.constant(0, gj.int64)
        for _ in gj.range(steps):
            place = gj.gather(next_place, place)
            total += place
        return place, total

    order = np.array([3, 0, 1, 4, 2])
    place, wanted = 0, 0
    for _ in range(17):
        place = order[place]
        wanted += place
    found = walk(order, gj.constant(17))
    assert (int(found[0]), int(found[1])) == (place, wanted)
    with pytest.raises(gj.errors.OutOfRangeError, match="index 7"):
        walk(np.array([1, 2, 7]), gj.constant(17))
