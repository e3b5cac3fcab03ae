"""Datasets in compiled functions: row D9, iterators advance with each call; and what the rows on loops (E) say."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import graphjit as gj

Dataset = gj.data.Dataset


def numbers(count: int = 5) -> Any:
    """0.0, 1.0, ..."""
    return Dataset.from_tensor_slices(np.arange(count, dtype="f"))


def totals(dataset: Any) -> Any:
    """A sum in which the order counts."""
    total = gj.constant(0.0)
    for x in dataset:
        total = total * 0.5 + gj.reduce_sum(x)
    return total


def with_break(dataset: Any) -> Any:
    total, last = gj.constant(0.0), -1
    for number, x in enumerate(dataset):
        if gj.reduce_sum(x) > 2.5:
            break
        total += gj.reduce_sum(x)
        last = number
    return total, last


def with_continue_and_else(dataset: Any) -> Any:
    total = gj.constant(0.0)
    for x in dataset:
        if gj.reduce_sum(x) == 1.0:
            continue
        total += gj.reduce_sum(x)
    else:
        total += 100.0
    return total


def with_return(dataset: Any) -> Any:
    for x in dataset:
        if gj.reduce_sum(x) > 1.5:
            return gj.reduce_sum(x)
    return gj.constant(-1.0)


def two_at_a_time(dataset: Any) -> Any:
    total = gj.constant(0.0)
    for x, y in zip(dataset, dataset.skip(1)):  # noqa: B905 -- the second one is shorter
        total += gj.reduce_sum(x) * gj.reduce_sum(y)
    return total


def beside_a_tensor(dataset: Any) -> Any:
    total = gj.constant(0.0)
    for x, weight in zip(dataset, gj.constant([1.0, 10.0, 100.0]), strict=False):
        total += gj.reduce_sum(x) * weight
    return total


def one_in_the_other(dataset: Any) -> Any:
    total = gj.constant(0.0)
    for x in dataset:
        for y in dataset:
            total += gj.reduce_sum(x) * gj.reduce_sum(y)
            if total > 50.0:
                break
    return total


def several_loops(dataset: Any) -> Any:
    return totals(dataset) + totals(dataset.repeat(2)) + sum(gj.reduce_sum(x) for x in dataset) + len(dataset)


def mapped(dataset: Any) -> Any:
    total = gj.constant(0.0)
    for x in map(gj.square, dataset):
        total += gj.reduce_sum(x)
    return total


PROGRAMS = [
    totals, with_break, with_continue_and_else, with_return, two_at_a_time, beside_a_tensor, one_in_the_other,
    several_loops, mapped,
]  # fmt: skip


@pytest.mark.parametrize(
    "make", [numbers, lambda: numbers(7).batch(3), lambda: numbers(0)], ids=["rows", "batches", "none"]
)
@pytest.mark.parametrize("program", PROGRAMS)
def test_loops_over_datasets(program: Callable[..., Any], make: Callable[[], Any]) -> None:
    """E7 to E11: loops in graphs do what Python's do, each time that the function is called."""
    dataset, compiled = make(), gj.function(program)
    for _ in range(2):
        for found, expected in zip(np.ravel(compiled(dataset)), np.ravel(program(dataset)), strict=True):
            np.testing.assert_allclose(found, expected)
    assert compiled.trace_count == 1


def test_each_call_asks_anew() -> None:
    """D9: what a generator gives differs from call to call, and a shuffled dataset has another order each time."""
    calls = [0]

    def source() -> Iterator[Any]:
        calls[0] += 1
        yield from np.arange(3, dtype="f") * calls[0]

    dataset = Dataset.from_generator(source, output_signature=gj.TensorSpec([], "float32"))
    compiled = gj.function(totals)
    assert [float(compiled(dataset)) for _ in range(3)] == [2.5, 5.0, 7.5]
    assert compiled.trace_count == 1 and calls[0] == 3
    one, other = (numbers(50).shuffle(50, seed=3) for _ in range(2))
    assert [float(compiled(one)) for _ in range(3)] == pytest.approx([float(totals(other)) for _ in range(3)])


def test_no_more_elements_are_asked_for_than_in_python() -> None:
    """E8: behind a break nothing is drawn."""
    drawn = []

    def source() -> Iterator[Any]:
        for number in range(100):
            drawn.append(number)
            yield np.float32(number)

    dataset = Dataset.from_generator(source, output_signature=gj.TensorSpec([], "float32"))
    compiled = gj.function(with_break)
    assert float(compiled(dataset)[0]) == 3.0 and drawn == [0, 1, 2, 3]


def test_iterators_go_on_where_they_stopped() -> None:
    """D9: next() of an iterator, from outside as argument or global, advances with each call; its end is an error."""
    ahead = iter(Dataset.range(4))
    compiled = gj.function(lambda it: next(it) * 10)
    assert [int(compiled(ahead)) for _ in range(3)] == [0, 10, 20]
    assert int(next(ahead)) == 3
    with pytest.raises(gj.errors.OutOfRangeError, match="at its end"):
        compiled(ahead)
    rest = iter(Dataset.range(5))
    next(rest)
    assert int(gj.function(lambda: sum_of(rest))()) == 10


def sum_of(values: Any) -> Any:
    """The sum of an iterator's rest."""
    total = gj.constant(0, "int64")
    for x in values:
        total += x
    return total


def test_a_whole_epoch_is_one_call() -> None:
    """A loop of training steps, the short last batch included, does what the steps do one by one."""
    random = np.random.default_rng(1)
    x = random.standard_normal((70, 4)).astype("f")
    y = (x @ random.standard_normal((4, 1))).astype("f")
    found = []
    for compiled in (False, True):
        gj.random.set_seed(1)
        model = gj.keras.Sequential([gj.keras.layers.Dense(8, "relu"), gj.keras.layers.Dense(1)])
        optimizer, mean = gj.keras.optimizers.Adam(0.01), gj.keras.metrics.Mean()
        dataset = Dataset.from_tensor_slices((x, y)).shuffle(70, seed=2).batch(16)

        def epoch(dataset: Any, model: Any = model, optimizer: Any = optimizer, mean: Any = mean) -> Any:
            for x, y in dataset:
                with gj.GradientTape() as tape:
                    loss = gj.reduce_mean(gj.square(model(x, training=True) - y))
                gradients = tape.gradient(loss, model.trainable_variables)
                optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
                mean(loss)
            return mean.result()

        model(x[:1])
        run = gj.function(epoch) if compiled else epoch
        found.append([float(run(dataset)) for _ in range(3)])
    np.testing.assert_allclose(found[0], found[1], rtol=1e-4)
    assert found[1][2] < found[1][0]


@pytest.mark.parametrize("compiled", [False, True])
def test_gradients_through_a_loop_over_a_dataset(compiled: bool) -> None:
    """F6: a tape around the loop sees every round."""
    w = gj.Variable(2.0)

    def slope(dataset: Any) -> Any:
        with gj.GradientTape() as tape:
            total = gj.constant(1.0)
            for x in dataset:
                total = total * w + x * w * w
        return total, tape.gradient(total, w)

    run = gj.function(slope) if compiled else slope
    value, gradient = run(numbers(4))
    assert (float(value), float(gradient)) == (60.0, 100.0)  # 2 w^4 + 2 w^3 + 3 w^2 at 2


def test_errors_leave_state_as_it_was() -> None:
    """A23: an error of the generator in the middle of the loop takes all assignments back; the next call works."""
    v, fails = gj.Variable(0.0), [True]

    def source() -> Iterator[Any]:
        yield np.float32(1)
        if fails[0]:
            raise KeyError("the file is gone")
        yield np.float32(2)

    dataset = Dataset.from_generator(source, output_signature=gj.TensorSpec([], "float32"))

    @gj.function
    def add_all(dataset: Any) -> None:
        for x in dataset:
            v.assign_add(x)

    with pytest.raises(KeyError, match="the file is gone"):
        add_all(dataset)
    assert float(v) == 0.0
    fails[0] = False
    add_all(dataset)
    assert float(v) == 3.0


def test_full_batches_have_known_sizes() -> None:
    """Of batches of which only the last one is smaller, a loop's graph knows the sizes: two loops, no open size."""
    compiled = gj.function(totals)
    compiled(numbers(7).batch(3).prefetch(1))
    text = compiled.dump("traced")
    assert "f32[3]" in text and "f32[1]" in text and "f32[?]" not in text and text.count("while(") == 2
    drawn = gj.function(with_break)(numbers(7).batch(2))
    np.testing.assert_allclose(drawn[0], with_break(numbers(7).batch(2))[0])


def test_threads_have_places_of_their_own() -> None:
    """A20: the same function runs in several threads, each of which goes through all elements."""
    compiled, dataset = gj.function(totals), numbers(200)
    expected = float(compiled(dataset))
    found: list[float] = []
    threads = [threading.Thread(target=lambda: found.append(float(compiled(dataset)))) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [expected] * 4


def test_what_is_said_of_elements() -> None:
    """element_spec: without making an element where that is known; sizes that differ are None."""

    def never() -> Iterator[Any]:
        raise AssertionError("no element was asked for")
        yield

    pair = (gj.TensorSpec([2], "float32"), gj.TensorSpec([], "int32"))
    dataset = Dataset.from_generator(never, output_signature=pair)
    assert dataset.element_spec == pair and dataset.shuffle(3).repeat().take(5).prefetch(1).element_spec == pair
    assert dataset.batch(4).element_spec[0] == gj.TensorSpec([None, 2], "float32")
    assert dataset.batch(4, drop_remainder=True).unbatch().element_spec == pair
    assert numbers(6).batch(3).element_spec == gj.TensorSpec([3], "float32")
    assert numbers(6).batch(4).element_spec == gj.TensorSpec([None], "float32")
    assert Dataset.zip(numbers(), Dataset.range(2)).element_spec[1] == gj.TensorSpec([], "int64")
    assert numbers().enumerate().element_spec[0] == gj.TensorSpec([], "int64")
    both = numbers(6).batch(3).concatenate(numbers(4).batch(2))
    assert both.element_spec == gj.TensorSpec([None], "float32")
    assert numbers().map(lambda x: gj.stack([x, x])).element_spec == gj.TensorSpec([2], "float32")
    with pytest.raises(ValueError, match="two kinds"):
        _ = numbers().concatenate(Dataset.range(3)).element_spec
    gj.random.set_seed(1)
    shuffled = Dataset.range(9).map(lambda x: x).shuffle(9)
    _ = shuffled.element_spec
    first = [int(one) for one in shuffled]
    gj.random.set_seed(1)
    assert [int(one) for one in Dataset.range(9).map(lambda x: x).shuffle(9)] == first


def test_what_cannot_be_listed() -> None:
    """A dataset of unknown length cannot be written out in a graph; the message says what to do."""
    endless = gj.function(lambda ds: [x + 1 for x in ds])
    assert len(endless(Dataset.range(3))) == 3
    with pytest.raises(TypeError, match="no end"):
        endless(Dataset.range(3).repeat())


def test_shapes_are_checked_when_the_function_runs() -> None:
    """An element of another shape than the first one is refused, and named."""
    ragged = Dataset.from_generator(lambda: [np.ones(2, "f"), np.ones(3, "f")])
    with pytest.raises(ValueError, match=r"returned shape \(3,\), but \(2,\) was expected"):
        gj.function(totals)(ragged)
