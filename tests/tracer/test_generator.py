"""Random streams: what a state is, how streams follow from seeds, and the same numbers in both modes."""

from __future__ import annotations

import copy
import pickle
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError

random = gj.random
Generator = random.Generator

_DRAWS: dict[str, Callable[[], Any]] = {
    "uniform": lambda: random.uniform([5]),
    "uniform integers": lambda: random.uniform([5], 0, 1000, gj.int32),
    "truncated normal": lambda: random.truncated_normal([5]),
    "shuffle": lambda: random.shuffle(gj.range(20)),
    "categorical": lambda: random.categorical(gj.zeros([2, 9]), 7),
    "own seed": lambda: random.uniform([5], seed=42),
}


@pytest.mark.parametrize("name", _DRAWS)
def test_i1_calls_go_on_with_the_stream(name: str) -> None:
    """I1: each call draws other numbers, set_seed starts again, and a compiled function draws what eager mode draws."""
    draw = _DRAWS[name]
    random.set_seed(11)
    eager = [draw().numpy() for _ in range(3)]
    assert not np.array_equal(eager[0], eager[1]) and not np.array_equal(eager[1], eager[2])
    compiled = gj.compile(draw)
    for _ in range(2):
        random.set_seed(11)
        for wanted in eager:
            np.testing.assert_array_equal(compiled().numpy(), wanted, strict=True)


def test_i1_normal_in_both_modes() -> None:
    """I1: log and cos may differ by 2 ULP each between the modes."""
    random.set_seed(5)
    eager = [random.normal([100]).numpy() for _ in range(2)]
    compiled = gj.compile(lambda: random.normal([100]))
    random.set_seed(5)
    for wanted in eager:
        np.testing.assert_allclose(compiled().numpy(), wanted, rtol=2e-6, atol=1e-6)


def test_modes_share_one_stream() -> None:
    """I1: eager and compiled draws take turns on the same stream."""
    random.set_seed(3)
    wanted = [random.uniform([4]).numpy() for _ in range(4)]
    compiled = gj.compile(lambda: random.uniform([4]))
    random.set_seed(3)
    found = [(compiled if turn % 2 else lambda: random.uniform([4]))().numpy() for turn in range(4)]
    np.testing.assert_array_equal(found, wanted)


def test_i2_a_seed_of_its_own_is_a_stream() -> None:
    """I2: `seed=` gives a sequence that depends on both seeds, not a constant."""
    random.set_seed(1)
    first = [random.uniform([3], seed=9).numpy() for _ in range(2)]
    other = random.uniform([3], seed=10).numpy()
    everybody = random.uniform([3]).numpy()
    assert len({tuple(one) for one in (*first, other, everybody)}) == 4
    random.set_seed(1)
    np.testing.assert_array_equal([random.uniform([3], seed=9).numpy() for _ in range(2)], first)
    random.set_seed(2)
    assert not np.array_equal(random.uniform([3], seed=9).numpy(), first[0])


def test_draws_in_a_loop_of_a_trace_differ() -> None:
    """Two draws in one compiled function are two draws."""

    @gj.compile
    def twice() -> Any:
        return random.uniform([4]), random.uniform([4])

    random.set_seed(8)
    one, two = twice()
    random.set_seed(8)
    np.testing.assert_array_equal(one.numpy(), random.uniform([4]).numpy())
    np.testing.assert_array_equal(two.numpy(), random.uniform([4]).numpy())


def test_d5_a_failing_call_leaves_the_stream() -> None:
    """Decision 4: a compiled call that raises leaves every random stream as it found it; an eager draw too."""
    generator = Generator.from_seed(1)

    @gj.compile
    def divide(x: Any) -> Any:
        return generator.uniform([3]), 1 // x

    before = generator.state.numpy()
    with pytest.raises(ZeroDivisionError):
        divide(gj.constant([1, 0]))
    np.testing.assert_array_equal(generator.state.numpy(), before)
    with pytest.raises(InvalidArgumentError):
        generator.uniform([3], 5, 5, gj.int32)
    np.testing.assert_array_equal(generator.state.numpy(), before)
    divide(gj.constant([1, 2]))
    assert generator.state.numpy()[1] == before[1] + 3


def test_generators_follow_from_their_seeds() -> None:
    """I2: equal seeds, equal streams; others are others; big and negative seeds are allowed."""
    np.testing.assert_array_equal(
        Generator.from_seed(1).normal([9]).numpy(), Generator.from_seed(1).normal([9]).numpy()
    )
    starts = [Generator.from_seed(seed).uniform([4]).numpy() for seed in (0, 1, -1, 2**63, 2**40)]
    assert len({tuple(start) for start in starts}) == 5
    one, two = Generator.from_non_deterministic_state(), Generator.from_non_deterministic_state()
    assert not np.array_equal(one.uniform([4]).numpy(), two.uniform([4]).numpy())


def test_state_and_skip() -> None:
    """The state is key and counter; skipping is drawing without looking."""
    generator = Generator.from_seed(4)
    whole = generator.uniform([10]).numpy()
    generator.reset_from_seed(4)
    generator.skip(6)
    np.testing.assert_array_equal(generator.uniform([4]).numpy(), whole[6:])
    again = Generator.from_state(generator.state, alg="philox")
    np.testing.assert_array_equal(again.uniform([4]).numpy(), generator.uniform([4]).numpy())
    key, counter = generator.state.numpy().tolist()
    third = Generator.from_key_counter(key, counter - 4)
    generator.reset([key, counter - 4])
    np.testing.assert_array_equal(third.uniform([4]).numpy(), generator.uniform([4]).numpy())
    assert generator.key.numpy() == key and generator.algorithm == "threefry"
    assert not generator.state.trainable


def test_copies_are_independent() -> None:
    generator = Generator.from_seed(4)
    copies = [Generator(generator), copy.deepcopy(generator), pickle.loads(pickle.dumps(generator))]
    wanted = generator.uniform([4]).numpy()
    for one in copies:
        np.testing.assert_array_equal(one.uniform([4]).numpy(), wanted)


def test_split_and_make_seeds() -> None:
    """Split generators draw other numbers than each other and than their parent."""
    generator = Generator.from_seed(4)
    children = generator.split(3)
    starts = [one.uniform([4]).numpy() for one in (*children, generator)]
    assert len({tuple(start) for start in starts}) == 4
    seeds = generator.make_seeds(2)
    assert seeds.shape == (2, 2) and seeds.dtype == gj.int64
    assert random.stateless_uniform([2], seeds[:, 0]).shape == (2,)


def test_c6_split_in_a_compiled_function() -> None:
    """C6: new generators are new variables, which somebody must keep; then they go on from call to call."""
    generator = Generator.from_seed(4)
    with pytest.raises(InvalidArgumentError, match="keep"):
        gj.compile(lambda: generator.split(2)[0].uniform([2]))()
    kept: dict[str, Any] = {}

    @gj.compile
    def draw() -> Any:
        if not kept:
            kept["children"] = generator.split(2)
        return kept["children"][1].uniform([2])

    generator.reset_from_seed(4)
    found = [draw().numpy() for _ in range(2)]
    generator.reset_from_seed(4)
    child = generator.split(2)[1]
    np.testing.assert_array_equal(found, [child.uniform([2]).numpy() for _ in range(2)])


def test_full_range_integers() -> None:
    drawn = Generator.from_seed(1).uniform_full_int([1000], gj.int8).numpy()
    assert drawn.min() < -120 and drawn.max() > 120 and drawn.dtype == np.int8
    assert Generator.from_seed(1).uniform_full_int([3]).dtype == gj.uint64


def test_the_global_generator_can_be_replaced() -> None:
    before = random.get_global_generator()
    try:
        random.set_global_generator(Generator.from_seed(77))
        np.testing.assert_array_equal(random.uniform([3]).numpy(), Generator.from_seed(77).uniform([3]).numpy())
    finally:
        random.set_global_generator(before)
    with pytest.raises(DtypeError, match="Generator"):
        random.set_global_generator(3)


def test_a_shape_known_when_the_function_runs() -> None:
    """The counter advances by as many words as were drawn, also where only a run tells how many."""
    generator = Generator.from_seed(1)

    @gj.compile(input_signature=[gj.TensorSpec([None, None])])
    def noisy(x: Any) -> Any:
        return x + generator.uniform(gj.shape(x))

    found = [noisy(gj.zeros([2, 3])).numpy(), noisy(gj.zeros([4, 1])).numpy()]
    generator.reset_from_seed(1)
    np.testing.assert_array_equal(found[0], generator.uniform([2, 3]).numpy())
    np.testing.assert_array_equal(found[1], generator.uniform([4, 1]).numpy())


def test_threads_never_draw_the_same_numbers() -> None:
    generator = Generator.from_seed(1)
    drawn: list[int] = []

    def work() -> None:
        drawn.extend(int(generator.uniform_full_int([])) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 200


def test_arguments_that_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="integer"):
        random.set_seed(1.5)  # type: ignore[arg-type]  # refused on purpose
    with pytest.raises(InvalidArgumentError, match="integer"):
        random.normal([1], seed="x")  # type: ignore[arg-type]  # refused on purpose
    with pytest.raises(InvalidArgumentError, match="two integers"):
        Generator.from_state([1, 2, 3])
    with pytest.raises(InvalidArgumentError, match="one of them"):
        Generator()
    with pytest.raises(InvalidArgumentError, match="mersenne"):
        Generator.from_seed(1, alg="mersenne")
    with pytest.raises(ShapeError):
        random.shuffle(3)
    with pytest.raises(InvalidArgumentError, match="minval and maxval"):
        random.uniform([2], dtype=gj.int32)
