"""Random streams: generators whose state is a hidden variable, and the global one.

A draw reads the state, computes the numbers by the pure ops of `draws`, and assigns the
advanced state. In a compiled function the state is read and assigned as every variable is, so
eager and compiled calls draw the same numbers, and a call that fails leaves the stream as it was.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.compiler.operand import PUBLIC, Operand, as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.draws import (
    draw_categorical,
    draw_normal,
    draw_shuffle,
    draw_truncated_normal,
    draw_uniform,
    draw_words,
    word,
)
from graphjit.compiler.ops.sizes import shape_value, size_along, static_shape
from graphjit.compiler.tensortype import element_count, float32, int64, uint64
from graphjit.runtime.errors import DtypeError, InvalidArgumentError
from graphjit.runtime.threefry import threefry

from .variable import Variable

ALGORITHM = "threefry"
_DEFAULT_SEED = 87654321  # TensorFlow's, for streams with a seed of their own before set_seed was called


class _Drawing:
    """Reading a state and assigning the next one happen under one lock."""

    lock = threading.RLock()


def _renew_lock() -> None:
    _Drawing.lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_lock)


def _key(*seeds: int) -> int:
    """A key out of integers, of each of which the lower 64 bits count."""
    key = np.zeros(1, np.uint64)
    for seed in seeds:
        key = threefry(key, np.array([seed % 2**64], np.uint64))
    return int(key[0])


def _state_array(key: int, counter: int) -> np.ndarray[Any, Any]:
    return np.array([key % 2**64, counter % 2**64], np.uint64)


def _integer(value: Any, what: str) -> int:
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise InvalidArgumentError(f"{what} must be an integer, not {value!r}")
    return int(value.__index__())


def _word_count(shape: Any) -> Operand:
    """How many words a draw of this shape uses."""
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        count: Operand = PUBLIC["reduce_prod"](cast(sizes, uint64))
        return count
    return word(element_count(sizes))


class Generator:
    """A stream of random numbers.

    Made by `from_seed`, `from_state`, `from_key_counter` or `from_non_deterministic_state`.

    >>> import graphjit as gj
    >>> generator = gj.random.Generator.from_seed(1)
    >>> generator.normal([2]).shape
    TensorShape([2])
    """

    def __init__(self, copy_from: Generator | None = None, state: Any = None, alg: str | None = None) -> None:
        if (copy_from is None) == (state is None):
            raise InvalidArgumentError("a generator is made from another generator or from a state: give one of them")
        if alg not in (None, ALGORITHM, "auto_select", "philox"):
            raise InvalidArgumentError(f"the algorithm of generators is {ALGORITHM!r}, there is no {alg!r}")
        source = state if copy_from is None else copy_from.state
        self._state = Variable(_valid_state(source), trainable=False, name="generator_state", dtype=uint64)

    @classmethod
    def from_seed(cls, seed: int, alg: str | None = None) -> Generator:
        """The stream of an integer, of which the lower 64 bits count.

        Raises:
          InvalidArgumentError: if the seed is no integer.
        """
        return cls(state=_state_array(_key(_integer(seed, "a seed")), 0), alg=alg)

    @classmethod
    def from_state(cls, state: Any, alg: str | None = None) -> Generator:
        """A stream that goes on from a state: two integers, key and counter."""
        return cls(state=state, alg=alg)

    @classmethod
    def from_key_counter(cls, key: int, counter: int, alg: str | None = None) -> Generator:
        """The stream of a key, from a counter on."""
        return cls(state=_state_array(_integer(key, "a key"), _integer(counter, "a counter")), alg=alg)

    @classmethod
    def from_non_deterministic_state(cls, alg: str | None = None) -> Generator:
        """A stream that differs from run to run."""
        return cls(state=_state_array(secrets.randbits(64), 0), alg=alg)

    @classmethod
    def with_state(cls, state: Any) -> Generator:
        """The stream whose state is held by a variable, which others may hold too."""
        made = object.__new__(cls)
        made._state = state
        return made

    @property
    def state(self) -> Variable:
        """The variable that holds key and counter."""
        return self._state

    @property
    def key(self) -> Any:
        """The key, as a scalar tensor."""
        return self._state.read_value()[0]

    @property
    def algorithm(self) -> str:
        """The name of the counter-based function."""
        return ALGORITHM

    def reset(self, state: Any) -> None:
        """Go on from a state: two integers, key and counter."""
        self._state.assign(_valid_state(state))

    def reset_from_seed(self, seed: int) -> None:
        """Start again as the stream of a seed."""
        self._state.assign(_state_array(_key(_integer(seed, "a seed")), 0))

    def reset_from_key_counter(self, key: int, counter: int) -> None:
        """Go on with a key, from a counter on."""
        self._state.assign(_state_array(_integer(key, "a key"), _integer(counter, "a counter")))

    def skip(self, delta: Any) -> None:
        """Go on as if `delta` numbers had been drawn."""
        self._draw(cast(delta, uint64), lambda key, counter: None)

    def _draw(self, count: Operand, function: Callable[[Operand, Operand], Any]) -> Any:
        """What `function(key, counter)` draws with `count` words; the state changes if it succeeds."""
        with _Drawing.lock:
            state = self._state.read_value()
            key, counter = state[0], state[1]
            drawn = function(key, counter)
            self._state.assign(PUBLIC["stack"]([key, counter + count]))
            return drawn

    def normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None
    ) -> Any:
        """Normal numbers; see `gj.random.normal`."""
        return self._draw(_word_count(shape), lambda k, c: draw_normal(k, c, shape, mean, stddev, dtype))

    def truncated_normal(
        self, shape: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None
    ) -> Any:
        """Normal numbers within two standard deviations; see `gj.random.truncated_normal`."""
        return self._draw(_word_count(shape), lambda k, c: draw_truncated_normal(k, c, shape, mean, stddev, dtype))

    def uniform(
        self, shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, name: str | None = None
    ) -> Any:
        """Uniform numbers; see `gj.random.uniform`."""
        return self._draw(_word_count(shape), lambda k, c: draw_uniform(k, c, shape, minval, maxval, dtype))

    def uniform_full_int(self, shape: Any, dtype: Any = uint64, name: str | None = None) -> Any:
        """Uniform integers among all of the dtype."""
        return self.uniform(shape, None, None, dtype)

    def shuffle(self, value: Any, name: str | None = None) -> Any:
        """The rows of a tensor in random order; see `gj.random.shuffle`."""
        operand = as_operand(value)
        rows = [size_along(operand, 0)] if operand.type.rank else []
        return self._draw(_word_count(shape_value(rows)), lambda k, c: draw_shuffle(k, c, operand))

    def categorical(self, logits: Any, num_samples: Any, dtype: Any = int64, name: str | None = None) -> Any:
        """Classes drawn with probability softmax(logits); see `gj.random.categorical`."""
        operand = as_operand(logits)
        sizes = [size_along(operand, axis) for axis in range(operand.type.rank)]
        count = _word_count(shape_value([*sizes, num_samples]))
        return self._draw(count, lambda k, c: draw_categorical(k, c, operand, num_samples, dtype))

    def make_seeds(self, count: int = 1) -> Any:
        """Seeds for the stateless draws, an int64 tensor of shape (2, count)."""
        words = self._draw(word(2 * count), lambda k, c: draw_words(k, c, (2, count)))
        return cast(words, int64)

    def split(self, count: int = 1) -> list[Generator]:
        """New generators, independent of each other and of what this one draws afterwards.

        Inside a compiled function this creates variables, so the generators must be kept, in an attribute say.
        """
        keys = self._draw(word(count), lambda k, c: draw_words(k, c, (count,)))
        zero = word(0)
        return [Generator(state=PUBLIC["stack"]([keys[number], zero])) for number in range(count)]

    def __repr__(self) -> str:
        return f"<gj.random.Generator {ALGORITHM}, state={self._state.array.tolist()}>"


def _valid_state(state: Any) -> Any:
    """Key and counter as a uint64 vector."""
    operand = as_operand(np.asarray(state, np.uint64) if isinstance(state, list | tuple) else state)
    if operand.type.shape != (2,) or not operand.type.dtype.is_integer:
        raise InvalidArgumentError(f"a generator's state is two integers, key and counter, not {operand.type}")
    return cast(operand, uint64)


# --- the global stream, and streams with a seed of their own ------------------------------------


class _Streams:
    """The global seed, the global generator, and one generator for each seed of an op."""

    seed: int | None = None
    everybody: Generator | None = None
    by_seed: dict[int, Generator] = {}  # noqa: RUF012 -- there is one of it


def get_global_generator() -> Generator:
    """The generator that draws without a seed of their own use."""
    with _Drawing.lock:
        if _Streams.everybody is None:
            _Streams.everybody = Generator.from_non_deterministic_state()
        return _Streams.everybody


def set_global_generator(generator: Generator) -> None:
    """Let draws without a seed of their own use another generator.

    Functions that were compiled before go on with the old one.

    Raises:
      DtypeError: if it is no generator.
    """
    if not isinstance(generator, Generator):
        raise DtypeError(f"the global generator must be a gj.random.Generator, not {generator!r}")
    _Streams.everybody = generator


def own_streams() -> tuple[int | None, np.ndarray[Any, Any], dict[int, np.ndarray[Any, Any]]]:
    """The global seed, the state of the global stream, and those of the streams of seeds."""
    with _Drawing.lock:
        everybody = get_global_generator().state.array
        return _Streams.seed, everybody, {seed: one.state.array for seed, one in _Streams.by_seed.items()}


def restore_own_streams(seed: int | None, everybody: Any, own: dict[int, Any]) -> None:
    """Let streams go on from these states; streams of other seeds start when they are used."""
    with _Drawing.lock:
        _Streams.seed = seed
        get_global_generator().reset(everybody)
        for number, generator in _Streams.by_seed.items():
            if number not in own:
                generator.reset_from_key_counter(_own_key(number), 0)
        for number, state in own.items():
            _stream(number).reset(state)


def set_seed(seed: int) -> None:
    """Start the global stream, and all streams with a seed of their own, again.

    Eager and compiled functions draw the same numbers after the same `set_seed`.

    Raises:
      InvalidArgumentError: if the seed is no integer.

    >>> import graphjit as gj
    >>> gj.random.set_seed(7); first = gj.random.normal([3])
    >>> gj.random.set_seed(7); again = gj.random.normal([3])
    >>> bool(gj.reduce_all(first == again))
    True
    """
    number = _integer(seed, "a seed")
    with _Drawing.lock:
        _Streams.seed = number
        get_global_generator().reset_from_seed(number)
        for own, generator in _Streams.by_seed.items():
            generator.reset_from_key_counter(_own_key(own), 0)


def _own_key(seed: int) -> int:
    return _key(_DEFAULT_SEED if _Streams.seed is None else _Streams.seed, seed)


def _stream(seed: Any) -> Generator:
    """The global generator, or the stream of an op's own seed."""
    if seed is None:
        return get_global_generator()
    number = _integer(seed, "a seed")
    with _Drawing.lock:
        if number not in _Streams.by_seed:
            _Streams.by_seed[number] = Generator.from_key_counter(_own_key(number), 0)
        return _Streams.by_seed[number]


def normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = float32,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """Normal numbers from the global stream, or from the stream of a seed.

    Args:
      shape: the shape; its sizes may be traced values.
      mean, stddev: scalars or tensors that broadcast to the shape.
      dtype: a float dtype.
      seed: names a stream of its own; each call goes on with it, and `set_seed` starts it again.

    Raises:
      DtypeError: if the dtype is not a float.
    """
    return _stream(seed).normal(shape, mean, stddev, dtype)


def truncated_normal(
    shape: Any,
    mean: Any = 0.0,
    stddev: Any = 1.0,
    dtype: Any = float32,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """Normal numbers within two standard deviations of the mean; arguments as for `normal`."""
    return _stream(seed).truncated_normal(shape, mean, stddev, dtype)


def uniform(
    shape: Any,
    minval: Any = 0,
    maxval: Any = None,
    dtype: Any = float32,
    seed: int | None = None,
    name: str | None = None,
) -> Any:
    """Uniform numbers in [minval, maxval) from the global stream, or from the stream of a seed.

    Args:
      shape: the shape; its sizes may be traced values.
      minval, maxval: the limits, scalars or tensors that broadcast to the shape; maxval is 1 by default
        for floats. Of an integer dtype all numbers are drawn if both are None.
      dtype: a float or an integer dtype.
      seed: see `normal`.

    Raises:
      InvalidArgumentError: if an integer interval is empty, or has one limit only.
    """
    return _stream(seed).uniform(shape, minval, maxval, dtype)


def shuffle(value: Any, seed: int | None = None, name: str | None = None) -> Any:
    """The rows of a tensor in random order.

    Raises:
      ShapeError: for a scalar.
    """
    return _stream(seed).shuffle(value)


def categorical(
    logits: Any, num_samples: Any, dtype: Any = None, seed: int | None = None, name: str | None = None
) -> Any:
    """Classes drawn with probability softmax(logits).

    Args:
      logits: floats of shape (batch, classes), not necessarily normalised.
      num_samples: how many draws for each row.
      dtype: the integer dtype of the result, int64 by default.
      seed: see `normal`.

    Returns: class numbers of shape (batch, num_samples).
    """
    return _stream(seed).categorical(logits, num_samples, int64 if dtype is None else dtype)


__all__ = [
    "Generator",
    "categorical",
    "get_global_generator",
    "normal",
    "set_global_generator",
    "set_seed",
    "shuffle",
    "truncated_normal",
    "uniform",
]
