"""Datasets."""

from __future__ import annotations

import gzip
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphjit as gj

Dataset = gj.data.Dataset


def listed(dataset: Any) -> list[Any]:
    """The elements as Python numbers."""
    return [one.numpy().tolist() for one in dataset]


def test_slices_in_batches() -> None:
    """Structures keep their form, dtypes stay, the last batch is smaller; each iteration starts anew."""
    dataset = Dataset.from_tensor_slices({"x": np.arange(10.0).reshape(5, 2), "y": [1, 2, 3, 4, 5]}).batch(2)
    for _ in range(2):
        found = list(dataset)
        assert [one["x"].shape[0] for one in found] == [2, 2, 1]
        assert found[2]["y"].numpy().tolist() == [5] and found[0]["x"].dtype == gj.float64
    assert len(dataset) == 3 and int(dataset.cardinality()) == 3
    assert len(dataset.element_spec) == 2
    assert len(list(Dataset.range(5).batch(2, drop_remainder=True))) == 2
    with pytest.raises(ValueError, match="one number of rows"):
        Dataset.from_tensor_slices((np.ones(2), np.ones(3)))


def test_batches_of_slices_and_of_rows_are_equal() -> None:
    """The short way gives what the long one does."""
    x = np.random.default_rng(1).standard_normal((7, 3))
    short, long = Dataset.from_tensor_slices(x).batch(3), Dataset.from_tensor_slices(x).skip(0).batch(3)
    assert listed(short) == listed(long) and len(short) == len(long) == 3


def test_map_filter_reduce() -> None:
    """Functions are compiled; tuples are spread over their arguments."""
    pairs = Dataset.zip(Dataset.range(4), Dataset.range(10, 20))
    assert listed(pairs.map(lambda a, b: a + b)) == [10, 12, 14, 16]
    assert listed(Dataset.range(6).filter(lambda x: x % 2 == 0)) == [0, 2, 4]
    assert int(Dataset.range(5).reduce(np.int64(0), lambda total, x: total + x)) == 10
    assert [len(one) for one in Dataset.range(2).map(lambda x: (x, x + 1))] == [2, 2]


def test_take_skip_repeat_concatenate() -> None:
    """And how many elements there are."""
    numbers = Dataset.range(3)
    assert listed(numbers.repeat(2)) == [0, 1, 2, 0, 1, 2]
    assert listed(numbers.repeat().skip(2).take(3)) == [2, 0, 1]
    assert listed(numbers.concatenate(Dataset.range(2))) == [0, 1, 2, 0, 1]
    assert [int(n) for n, _ in numbers.enumerate(5)] == [5, 6, 7]
    counts = (numbers.repeat(), numbers.filter(lambda x: x > 0), numbers.skip(5), numbers.repeat().take(4))
    assert [int(one.cardinality()) for one in counts] == [-1, -2, 0, 4]
    with pytest.raises(TypeError, match="no end"):
        len(numbers.repeat())
    assert listed(Dataset.from_tensor_slices(np.arange(4).reshape(2, 2)).unbatch()) == [0, 1, 2, 3]


def test_interleave() -> None:
    """Blocks of several datasets in turns; what has ended makes room for the next; messages name the mistake."""
    thrice = Dataset.range(1, 5).interleave(lambda x: Dataset.from_tensors(x).repeat(3), cycle_length=2, block_length=2)
    assert listed(thrice) == [1, 1, 2, 2, 1, 2, 3, 3, 4, 4, 3, 4]
    for wrong in (lambda: Dataset.zip(Dataset.range(2), [1, 2]), lambda: Dataset.range(2).concatenate([1])):
        with pytest.raises(ValueError, match=r"takes datasets, not list; make one with"):
            wrong()


def test_shuffled_rows_are_those_of_single_elements() -> None:
    """Batches of shuffled slices take rows at once, in the order that element by element gives."""
    rows = np.arange(40).reshape(20, 2)
    for size in (20, 5):
        short = Dataset.from_tensor_slices(rows).shuffle(size, seed=3).batch(8)
        long = Dataset.from_tensor_slices(rows).skip(0).shuffle(size, seed=3).batch(8)
        for _ in range(2):
            assert listed(short) == listed(long)


def test_shuffle() -> None:
    """All elements, another order each time, the same for one seed; a small buffer only moves them a little."""
    dataset = Dataset.range(50).shuffle(50, seed=3)
    first, second = listed(dataset), listed(dataset)
    assert sorted(first) == sorted(second) == list(range(50)) and first != second
    assert listed(Dataset.range(50).shuffle(50, seed=3)) == first
    fixed = Dataset.range(50).shuffle(50, seed=3, reshuffle_each_iteration=False)
    assert listed(fixed) == listed(fixed)
    assert listed(Dataset.range(50).shuffle(3, seed=1))[0] < 3
    gj.random.set_seed(4)
    one = listed(Dataset.range(20).shuffle(20))
    gj.random.set_seed(4)
    assert listed(Dataset.range(20).shuffle(20)) == one


def test_generators() -> None:
    """Called for each iteration; what they give is checked against what was announced."""

    def numbers(stop: int) -> Any:
        for number in range(stop):
            yield number, [number, number]

    signature = (gj.TensorSpec([], "int32"), gj.TensorSpec([2], "float32"))
    dataset = Dataset.from_generator(numbers, args=[2], output_signature=signature)
    for _ in range(2):
        assert [(int(a), b.numpy().tolist()) for a, b in dataset] == [(0, [0.0, 0.0]), (1, [1.0, 1.0])]
    wrong = Dataset.from_generator(lambda: [[1, 2, 3]], output_signature=gj.TensorSpec([2], "int32"))
    with pytest.raises(ValueError, match=r"gave shape \(3,\), but \(2,\) was announced"):
        list(wrong)


def test_cache_and_prefetch() -> None:
    """Elements are made once; a thread makes them ahead, hands its errors over, and ends."""
    calls: list[int] = []

    def source() -> Any:
        calls.append(1)
        yield from range(3)

    cached = Dataset.from_generator(source).cache()
    assert listed(cached) == listed(cached) == [0, 1, 2] and len(calls) == 1
    assert listed(Dataset.range(5).prefetch(2)) == [0, 1, 2, 3, 4]

    def failing() -> Any:
        yield 1
        raise KeyError("own error")

    with pytest.raises(KeyError, match="own error"):
        list(Dataset.from_generator(failing).prefetch(1))
    iterator = iter(Dataset.range(100).prefetch(1))
    next(iterator)
    del iterator
    deadline = time.monotonic() + 10
    while any(one.name == "graphjit-prefetch" for one in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(one.name == "graphjit-prefetch" for one in threading.enumerate())


def test_fit_takes_a_dataset() -> None:
    """With validation, and with an endless one."""
    x = np.random.default_rng(1).standard_normal((40, 2)).astype("f")
    data = Dataset.from_tensor_slices((x, x[:, :1])).shuffle(40).batch(8)
    model = gj.keras.Sequential([gj.keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    history = model.fit(data, epochs=3, validation_data=data, verbose=0).history
    assert len(history["val_loss"]) == 3 and history["loss"][2] < history["loss"][0]
    model.fit(data.repeat(), epochs=2, steps_per_epoch=3, verbose=0)
    assert model.predict(data).shape == (40, 1)


def test_fashion_mnist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The four files, packed or not; a message that says how to get them; damage is found."""
    for name, count in (("train", 3), ("t10k", 2)):
        images = b"\0\0\x08\x03" + np.array([count, 2, 2], ">u4").tobytes() + bytes(range(4 * count))
        labels = b"\0\0\x08\x01" + np.array([count], ">u4").tobytes() + bytes(count)
        (tmp_path / f"{name}-images-idx3-ubyte.gz").write_bytes(gzip.compress(images))
        (tmp_path / f"{name}-labels-idx1-ubyte").write_bytes(labels)
    monkeypatch.setenv("GRAPHJIT_FASHION_MNIST", str(tmp_path))
    (x, y), (x_test, y_test) = gj.keras.datasets.fashion_mnist.load_data()
    assert (x.shape, y.shape, x_test.shape, y_test.tolist()) == ((3, 2, 2), (3,), (2, 2, 2), [0, 0])
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\x01\0\0\0\x05\0")
    with pytest.raises(ValueError, match="cut off"):
        gj.keras.datasets.fashion_mnist.load_data()
    (tmp_path / "train-images-idx3-ubyte.gz").write_bytes(b"\x1f\x8bnothing")
    with pytest.raises(ValueError, match="damaged"):
        gj.keras.datasets.fashion_mnist.load_data()
    with pytest.raises(LookupError, match="apt install dataset-fashion-mnist"):
        gj.keras.datasets.fashion_mnist.load_data(tmp_path / "nowhere")
