"""Random draws: the generator's published vectors, distributions, errors, and the same bits in both modes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy import stats

import graphjit as gj
from graphjit.compiler.backends.jit import build
from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import TensorType, int32
from graphjit.compiler.writer import write_graph
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError
from graphjit.runtime.threefry import threefry

random = gj.random
SEED = np.array([3, -4], np.int32)
MANY = 200_000


def _word(low: int, high: int) -> Any:
    return np.array([low | high << 32], np.uint64)


@pytest.mark.parametrize(
    ("counter", "key", "wanted"),
    [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x243F6A88, 0x85A308D3), (0x13198A2E, 0x03707344), (0xC4923A9C, 0x483DF7A0)),
    ],
)
def test_known_answers(counter: tuple[int, int], key: tuple[int, int], wanted: tuple[int, int]) -> None:
    """The vectors that the authors of Random123 publish for threefry2x32 with 20 rounds."""
    assert threefry(_word(*key), _word(*counter))[0] == _word(*wanted)[0]


def _bits_of_flips(vary: Callable[[Any, Any], Any]) -> float:
    """The mean number of result bits that change when one bit of an operand changes."""
    base = np.arange(1000, dtype=np.uint64)
    flips = [
        np.bitwise_count(vary(base, np.uint64(1) << np.uint64(bit)) ^ vary(base, np.uint64(0))) for bit in range(64)
    ]
    return float(np.mean(flips))


def test_every_bit_matters() -> None:
    """A change of one bit of key or counter changes half of the word's bits."""
    assert abs(_bits_of_flips(lambda x, flip: threefry(np.uint64([99]), x ^ flip)) - 32) < 0.1
    assert abs(_bits_of_flips(lambda x, flip: threefry(x ^ flip, np.uint64([99]))) - 32) < 0.1


# --- both modes -----------------------------------------------------------------------------------

_EXACT: dict[str, Callable[[Any], Any]] = {
    "uniform float16": lambda s: random.stateless_uniform([50, 3], s, dtype=gj.float16),
    "uniform float32": lambda s: random.stateless_uniform([50, 3], s),
    "uniform float64": lambda s: random.stateless_uniform([50, 3], s, dtype=gj.float64),
    "uniform in an interval": lambda s: random.stateless_uniform([50, 3], s, -0.3, 0.7),
    "uniform float64 in an interval": lambda s: random.stateless_uniform([99], s, -0.3, 0.7, dtype=gj.float64),
    "uniform int32": lambda s: random.stateless_uniform([99], s, -5, 50, gj.int32),
    "uniform int64": lambda s: random.stateless_uniform([99], s, -(2**62), 2**62 + 12345, gj.int64),
    "uniform uint8": lambda s: random.stateless_uniform([99], s, 3, 250, gj.uint8),
    "all of int16": lambda s: random.stateless_uniform([99], s, None, None, gj.int16),
    "truncated normal": lambda s: random.stateless_truncated_normal([99], s, 1.0, 2.0),
    "shuffle": lambda s: random.stateless_shuffle(gj.reshape(gj.range(60), [20, 3]), s),
    "categorical": lambda s: random.stateless_categorical(gj.constant([[0.0, 1.0], [2.0, -1.0]]), 40, s),
    "split": lambda s: random.split(s, 5),
    "fold in": lambda s: random.fold_in(s, 7),
}  # fmt: skip
_NEAR: dict[str, Callable[[Any], Any]] = {
    "normal float16": lambda s: random.stateless_normal([99], s, dtype=gj.float16),
    "normal float32": lambda s: random.stateless_normal([50, 3], s, 2.0, 3.0),
    "normal float64": lambda s: random.stateless_normal([99], s, dtype=gj.float64),
}


def _in_kernels(function: Callable[[Any], Any]) -> Any:
    graph = write_graph("draw", [TensorType(int32, (2,))], function)
    return build(optimize(graph)[-1].graph).run([SEED])[0]


@pytest.mark.parametrize("name", _EXACT)
def test_i1_same_bits_in_both_modes(name: str) -> None:
    """I1: eager and compiled draws are equal to the last bit where only arithmetic is involved."""
    eager = _EXACT[name](gj.constant(SEED)).numpy()
    np.testing.assert_array_equal(_in_kernels(_EXACT[name]), eager, strict=True)
    np.testing.assert_array_equal(_EXACT[name](gj.constant(SEED)).numpy(), eager)
    assert not np.array_equal(_EXACT[name](gj.constant(SEED + 1)).numpy(), eager)


@pytest.mark.parametrize("name", _NEAR)
def test_i1_same_numbers_in_both_modes(name: str) -> None:
    """I1: normal draws go through log and cos, which may differ by 2 ULP each."""
    eager = _NEAR[name](gj.constant(SEED)).numpy()
    np.testing.assert_allclose(_in_kernels(_NEAR[name]), eager, rtol=16 * np.finfo(eager.dtype).eps, atol=1e-6)


def test_the_shape_does_not_matter() -> None:
    """Word i of a draw is the same in every shape."""
    flat = random.stateless_uniform([12], SEED).numpy()
    np.testing.assert_array_equal(random.stateless_uniform([3, 4], SEED).numpy(), flat.reshape(3, 4))
    np.testing.assert_array_equal(random.stateless_uniform([5], SEED).numpy(), flat[:5])
    assert random.stateless_uniform([], SEED).shape == ()
    assert random.stateless_uniform([0, 3], SEED).shape == (0, 3)


def test_a_shape_that_is_known_when_it_runs() -> None:
    """Sizes may be traced values."""

    def draw(x: Any) -> Any:
        return random.stateless_normal(gj.shape(x), SEED)

    graph = write_graph("draw", [TensorType(int32, (None, None))], draw)
    (found,) = run_reference(graph, [np.zeros((2, 3), np.int32)])
    np.testing.assert_array_equal(found, random.stateless_normal([2, 3], SEED).numpy())


# --- distributions, with fixed seeds ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_is_uniform(dtype: str) -> None:
    """Kolmogorov and Smirnov find nothing, neighbours do not correlate, and the limits hold."""
    drawn = random.stateless_uniform([MANY], [1, 2], dtype=dtype).numpy().astype(np.float64)
    assert drawn.min() >= 0.0 and drawn.max() < 1.0
    assert stats.kstest(drawn, "uniform").pvalue > 1e-3
    assert abs(np.corrcoef(drawn[:-1], drawn[1:])[0, 1]) < 4 / math.sqrt(MANY)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_normal_is_normal(dtype: str) -> None:
    drawn = random.stateless_normal([MANY], [1, 2], 3.0, 2.0, dtype).numpy().astype(np.float64)
    assert stats.kstest((drawn - 3.0) / 2.0, "norm").pvalue > 1e-3
    assert abs(drawn.mean() - 3.0) < 4 * 2.0 / math.sqrt(MANY)
    assert abs(stats.kurtosis(drawn)) < 0.05
    assert np.abs((drawn - 3.0) / 2.0).max() > 4.0


def test_truncated_normal_is_within_two_deviations() -> None:
    drawn = random.stateless_truncated_normal([MANY], [1, 2], dtype="float64").numpy()
    assert np.abs(drawn).max() <= 2.0
    assert stats.kstest(drawn, stats.truncnorm(-2, 2).cdf).pvalue > 1e-3


@pytest.mark.parametrize(("low", "high", "dtype"), [(-3, 4, "int32"), (0, 7, "int64"), (250, 255, "uint8")])
def test_integers_are_even(low: int, high: int, dtype: str) -> None:
    """Every integer of the interval comes as often as the others, and no other comes."""
    drawn = random.stateless_uniform([MANY], [5, 6], low, high, dtype).numpy().astype(np.int64)
    counts = np.bincount(drawn - low, minlength=high - low)
    assert len(counts) == high - low
    assert stats.chisquare(counts).pvalue > 1e-3


def test_integers_of_wide_intervals() -> None:
    """Nearly all of int64: the upper bits are even too."""
    low, high = -(2**63), 2**63 - 1
    drawn = random.stateless_uniform([MANY], [5, 6], low, high, "int64").numpy()
    assert stats.kstest((drawn / 2.0**64) + 0.5, "uniform").pvalue > 1e-3
    exact = [low + (int(word) * (high - low) >> 64) for word in _words(5, 6, 50)]
    assert drawn[:50].tolist() == exact


def _words(first: int, second: int, count: int) -> Any:
    key = threefry(np.array([first], np.uint64), np.array([second], np.uint64))
    return threefry(key, np.arange(count, dtype=np.uint64))


def test_categorical_follows_the_logits() -> None:
    """Classes come as often as softmax says; a logit of -inf never comes."""
    logits = np.array([[0.0, 1.0, 2.0, -np.inf], [3.0, 0.0, 0.0, 0.0]], np.float32)
    drawn = random.stateless_categorical(logits, MANY // 4, [1, 2]).numpy()
    assert drawn.dtype == np.int64 and drawn.shape == (2, MANY // 4)
    for row, classes in zip(logits, drawn, strict=True):
        wide = np.exp(row.astype(np.float64))
        wanted = wide / wide.sum()
        counts = np.bincount(classes, minlength=4)
        assert counts[wanted == 0].sum() == 0
        kept = wanted > 0
        assert stats.chisquare(counts[kept], wanted[kept] * len(classes)).pvalue > 1e-3


def test_shuffle_is_a_permutation_and_even() -> None:
    rows = np.arange(12).reshape(6, 2)
    shuffled = random.stateless_shuffle(rows, [1, 2]).numpy()
    assert sorted(map(tuple, shuffled)) == sorted(map(tuple, rows))
    first = [int(random.stateless_shuffle(np.arange(4), [7, number]).numpy()[0]) for number in range(2000)]
    assert stats.chisquare(np.bincount(first, minlength=4)).pvalue > 1e-3


def test_split_seeds_are_independent() -> None:
    seeds = random.split([1, 2], 3).numpy()
    assert len({tuple(seed) for seed in seeds} | {(1, 2)}) == 4
    streams = [random.stateless_uniform([MANY // 4], seed, dtype="float64").numpy() for seed in seeds]
    assert abs(np.corrcoef(streams[0], streams[1])[0, 1]) < 4 / math.sqrt(MANY // 4)
    assert not np.array_equal(random.fold_in([1, 2], 3).numpy(), random.fold_in([1, 2], 4).numpy())


# --- arguments ------------------------------------------------------------------------------------


def test_uniform_excludes_its_upper_limit() -> None:
    """Rounding could reach maxval; it does not."""
    drawn = random.stateless_uniform([MANY], [1, 2], 16777214.0, 16777216.0).numpy()
    assert drawn.min() == 16777214.0 and drawn.max() == 16777215.0


def test_gradients_flow_to_the_parameters() -> None:
    """mean and stddev are differentiable; the draw itself is not."""
    mean, stddev = gj.Variable(1.0), gj.Variable(2.0)
    with gj.GradientTape() as tape:
        drawn = random.stateless_normal([4], SEED, mean, stddev)
    by_mean, by_stddev = tape.gradient(drawn, [mean, stddev])
    assert by_mean.numpy() == 4.0
    np.testing.assert_allclose(by_stddev.numpy(), random.stateless_normal([4], SEED).numpy().sum(), rtol=1e-6)


def test_arguments_that_are_refused() -> None:
    """I2: the messages say what was needed."""
    with pytest.raises(InvalidArgumentError, match="two integers"):
        random.stateless_uniform([2], [1])
    with pytest.raises(InvalidArgumentError, match="two integers"):
        random.stateless_uniform([2], [1.0, 2.0])
    with pytest.raises(InvalidArgumentError, match="minval and maxval"):
        random.stateless_uniform([2], SEED, dtype=gj.int32)
    with pytest.raises(InvalidArgumentError, match="no integer from minval 5"):
        random.stateless_uniform([2], SEED, 5, 5, gj.int32)
    with pytest.raises(DtypeError, match="floats"):
        random.stateless_normal([2], SEED, dtype=gj.int32)
    with pytest.raises(DtypeError):
        random.stateless_uniform([2], SEED, dtype=gj.bool)
    with pytest.raises(ShapeError, match="negative"):
        random.stateless_normal([-1], SEED)
    with pytest.raises(ShapeError, match="rank 1"):
        random.stateless_shuffle(3, SEED)
    with pytest.raises(InvalidArgumentError, match="batch, classes"):
        random.stateless_categorical([1.0, 2.0], 3, SEED)
