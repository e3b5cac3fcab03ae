"""Random draws as pure functions of a key and a counter.

Word i of a draw is `threefry(key, counter + i)`, whatever the shape, so one seed gives
the same numbers in eager mode and in compiled functions, on any number of threads. The
numbers come from the words by arithmetic that the kernels fuse. What keeps keys and
counters from call to call is not known here.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError, InvalidArgumentError, ShapeError
from graphjit.runtime.threefry import threefry as threefry_array

from ..dispatch import apply, current_interpreter
from ..families import elementwise
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import PUBLIC, Operand, as_operand, require_rank
from ..tensortype import (
    DType,
    TensorType,
    as_dtype,
    broadcast_shapes,
    element_count,
    float16,
    float32,
    float64,
    int32,
    int64,
    uint64,
)
from ..writer import static_value
from .arithmetic import add, multiply
from .bitwise import bitwise_and, bitwise_xor, right_shift
from .casting import cast
from .shaping import reshape
from .sizes import length_of_shape, shape_value, size_along, static_shape, when_known
from .sources import iota_op

Array = np.ndarray[Any, Any]
_BLOCK = 16384  # words that stay in the processor's cache while NumPy goes over them


# --- words ------------------------------------------------------------------------------------


def _require_words(types: tuple[TensorType, ...]) -> None:
    for one in types:
        if one.dtype is not uint64:
            raise DtypeError(f"keys and counters are uint64, not {one.dtype.name}")


def _threefry_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    _require_words(types)
    return (TensorType(uint64, broadcast_shapes(*(one.shape for one in types))),)


threefry_op = declare(
    Op(
        name="threefry",
        kind=Kind.ELEMENTWISE,
        infer=_threefry_type,
        numpy=threefry_array,
        kernel="threefry({0}, {1})",
        gradient=Differentiability.NONE,
        examples=(
            Example(("u64[3]", "u64[3]")),
            Example(("u64[]", "u64[2,33]")),
            Example(("u64[]", "u64[]")),
            Example(("u64[]", "u64[0]")),
        ),
        dtypes="u",
        doc="64 random bits for each pair of a key and a counter.",
    )
)


def _words_array(key: Array, counter: Array, shape: tuple[int, ...]) -> Array:
    words = np.empty(element_count(shape), np.uint64)
    for start in range(0, words.size, _BLOCK):
        block = words[start : start + _BLOCK]
        block[...] = threefry_array(key, counter + np.arange(start, start + block.size, dtype=np.uint64))
    return words.reshape(shape)


def _words_definition(key: Any, counter: Any, *, shape: tuple[int, ...]) -> Any:
    positions = apply(iota_op, shape=(element_count(shape),), dtype=uint64, axis=0)
    return reshape(apply(threefry_op, key, add(counter, positions)), shape)


def _words_type(types: tuple[TensorType, ...], *, shape: tuple[int, ...]) -> tuple[TensorType, ...]:
    _require_words(types)
    return (TensorType(uint64, shape),)


random_words_op = declare(
    Op(
        name="random_words",
        kind=Kind.COMPOSED,
        infer=_words_type,
        numpy=lambda key, counter, *, shape: _words_array(key, counter, shape),
        definition=_words_definition,
        gradient=Differentiability.NONE,
        examples=(
            Example((np.uint64(7), np.uint64(2**63)), {"shape": (2, 3)}),
            Example((np.uint64(7), np.uint64(0)), {"shape": ()}),
            Example((np.uint64(7), np.uint64(2**64 - 2)), {"shape": (0, 3)}),
            Example((np.uint64(7), np.uint64(2**64 - 2)), {"shape": (70,)}),
        ),
        doc="64 random bits for each element of a shape, from consecutive counters.",
    )
)


def _words_of_sizes_type(types: tuple[TensorType, ...]) -> tuple[TensorType, ...]:
    _require_words(types[:2])
    return (TensorType(uint64, (None,) * length_of_shape(types[2])),)


def _sizes(shape: Array) -> tuple[int, ...]:
    return tuple(int(size) for size in shape)


def _words_of_sizes_definition(key: Any, counter: Any, shape: Any) -> Any:
    return when_known([shape], lambda sizes: apply(random_words_op, key, counter, shape=_sizes(sizes)))


random_words_of_sizes_op = declare(
    Op(
        name="random_words_of_sizes",
        kind=Kind.COMPOSED,
        infer=_words_of_sizes_type,
        numpy=lambda key, counter, shape: _words_array(key, counter, _sizes(shape)),
        definition=_words_of_sizes_definition,
        gradient=Differentiability.NONE,
        fails=True,
        static_operands=(2,),
        examples=(Example((np.uint64(7), np.uint64(0), np.array([2, 3], np.int32))),),
        doc="random_words, where the shape is an operand.",
    )
)


def draw_words(key: Operand, counter: Operand, shape: Any) -> Any:
    """64 random bits for each element of a shape that may be known only when the graph runs."""
    sizes = static_shape(shape)
    if isinstance(sizes, Operand):
        return apply(random_words_of_sizes_op, key, counter, sizes)
    if any(size < 0 for size in sizes):
        raise ShapeError(f"cannot draw numbers of shape {list(sizes)}: sizes are not negative")
    return apply(random_words_op, key, counter, shape=sizes)


# --- keys -------------------------------------------------------------------------------------

_SECOND_STREAM = 0x9E3779B97F4A7C15  # any odd constant: the key of a draw that needs two words an element


def word(value: int) -> Operand:
    """A constant word."""
    return current_interpreter().constant(np.array(value % 2**64, np.uint64))


def key_of_seed(seed: Any) -> Operand:
    """The key that a seed of two integers stands for.

    Raises:
      InvalidArgumentError: if the seed is not two integers.
    """
    operand = as_operand(seed)
    if not operand.type.dtype.is_integer or operand.type.shape != (2,):
        raise InvalidArgumentError(f"a seed is two integers, such as [1, 2], not {operand.type}")
    halves = cast(operand, uint64)
    key: Operand = apply(threefry_op, halves[0], halves[1])
    return key


def split(seed: Any, num: int = 2) -> Any:
    """`num` new seeds that are independent of each other and of the old one.

    Args:
      seed: two integers.
      num: how many.

    Returns: an int64 tensor of shape (num, 2).

    >>> import graphjit as gj
    >>> gj.random.split([1, 2], 3).shape
    TensorShape([3, 2])
    """
    return cast(draw_words(key_of_seed(seed), word(0), (num, 2)), int64)


def fold_in(seed: Any, data: Any) -> Any:
    """A new seed from a seed and an integer, such as the number of a step.

    Args:
      seed: two integers.
      data: a scalar integer.

    Returns: an int64 tensor of shape (2,).
    """
    number = cast(data, uint64)
    return cast(draw_words(apply(threefry_op, key_of_seed(seed), number), word(0), (2,)), int64)


# --- numbers out of words -----------------------------------------------------------------------


def _scaled(integers: Any, dtype: DType, scale: float) -> Any:
    return multiply(cast(integers, dtype), scale)


def _top_bits(words: Any, count: int) -> Any:
    """The upper bits as signed integers, which processors convert to floats fastest."""
    return cast(right_shift(words, np.uint64(64 - count)), int32 if count < 32 else int64)


def _unit_interval(words: Any, dtype: DType) -> Any:
    """Multiples of 2**-24 (float32), 2**-53 (float64) or 2**-11 (float16) in [0, 1)."""
    if dtype is float16:
        return cast(_scaled(_top_bits(words, 11), float32, 2.0**-11), float16)
    bits = 24 if dtype is float32 else 53
    return _scaled(_top_bits(words, bits), dtype, 2.0**-bits)


def _open_interval(words: Any, dtype: DType) -> Any:
    """Odd multiples of 2**-24 (float32) or 2**-53 (float64) in (0, 1): never 0 and never 1."""
    bits = 23 if dtype is float32 else 52
    return _scaled(cast(_top_bits(words, bits), dtype) + 0.5, dtype, 2.0**-bits)


def _standard_normal(key: Operand, counter: Operand, shape: Any, dtype: DType) -> Any:
    """Standard normal numbers: Box and Muller, "A note on the generation of random normal deviates" (1958)."""
    words = draw_words(key, counter, shape)
    if dtype is float32:
        radius_bits, angle = 31, _scaled(cast(words, int32), float32, math.pi * 2.0**-31)
    else:
        other = draw_words(bitwise_xor(key, word(_SECOND_STREAM)), counter, shape)
        radius_bits, angle = 53, _scaled(cast(other, int64), float64, math.pi * 2.0**-63)
    uniform = _scaled(cast(_top_bits(words, radius_bits), dtype) + 1.0, dtype, 2.0**-radius_bits)
    return PUBLIC["sqrt"](-2.0 * PUBLIC["log"](uniform)) * PUBLIC["cos"](angle)


def _standard_truncated(key: Operand, counter: Operand, shape: Any, dtype: DType) -> Any:
    """Standard normal numbers between -2 and 2, by the inverse of their distribution function."""
    centred = 2.0 * _open_interval(draw_words(key, counter, shape), dtype) - 1.0
    return math.sqrt(2.0) * PUBLIC["erfinv"](math.erf(math.sqrt(2.0)) * centred)


_affine_op = elementwise(
    "affine", 3, lambda x, scale, offset: x * scale + offset,
    # `add_rounded` is never fused with the product, so the numbers are the same bits as NumPy's
    "add_rounded({0} * {1}, {2})",
    [
        lambda g, y, x, scale, offset: g * scale,
        lambda g, y, x, scale, offset: g * x,
        lambda g, y, x, scale, offset: g,
    ],
    "x * scale + offset, rounded after each step.", "f", None, (-4.0, 4.0), {"ulp": 0.0},
)  # fmt: skip


def _float_dtype(dtype: Any, what: str) -> DType:
    wanted = as_dtype(dtype)
    if not wanted.is_floating:
        raise DtypeError(f"{what} numbers are floats, not {wanted.name}")
    return wanted


def _located(
    standard: Callable[..., Any], key: Operand, counter: Operand, shape: Any, mean: Any, stddev: Any, dtype: DType
) -> Any:
    """mean + stddev * standard numbers, which are drawn in float32 for float16."""
    wide = float32 if dtype is float16 else dtype
    drawn = cast(standard(key, counter, shape, wide), dtype)
    return apply(_affine_op, drawn, as_operand(stddev, dtype), as_operand(mean, dtype))


def draw_normal(key: Operand, counter: Operand, shape: Any, mean: Any, stddev: Any, dtype: Any) -> Any:
    """Normal numbers from the words at `counter` and after."""
    return _located(_standard_normal, key, counter, shape, mean, stddev, _float_dtype(dtype, "normal"))


def draw_truncated_normal(key: Operand, counter: Operand, shape: Any, mean: Any, stddev: Any, dtype: Any) -> Any:
    """Normal numbers within two standard deviations, from the words at `counter` and after."""
    wanted = _float_dtype(dtype, "truncated normal")
    return _located(_standard_truncated, key, counter, shape, mean, stddev, wanted)


def draw_uniform(key: Operand, counter: Operand, shape: Any, minval: Any, maxval: Any, dtype: Any) -> Any:
    """Uniform numbers in [minval, maxval) from the words at `counter` and after."""
    wanted = as_dtype(dtype)
    if wanted.is_integer:
        return _uniform_integers(draw_words(key, counter, shape), minval, maxval, wanted)
    unit = _unit_interval(draw_words(key, counter, shape), _float_dtype(wanted, "uniform"))
    low, high = as_operand(minval, wanted), as_operand(1 if maxval is None else maxval, wanted)
    _require_interval(low, high)
    if _is_number(low, 0.0) and _is_number(high, 1.0):
        return unit
    # rounding can reach maxval, which does not belong to the interval
    return PUBLIC["minimum"](apply(_affine_op, unit, high - low, low), PUBLIC["nextafter"](high, low))


def _is_number(operand: Operand, number: float) -> bool:
    known = static_value(operand)
    return known is not None and known.shape == () and float(known) == number


def _uniform_integers(words: Any, minval: Any, maxval: Any, dtype: DType) -> Any:
    bits = 8 * dtype.size
    if minval is None and maxval is None:
        return cast(right_shift(words, np.uint64(64 - bits)), dtype)
    if minval is None or maxval is None:
        raise InvalidArgumentError(
            f"uniform {dtype.name} numbers need minval and maxval; both None means all numbers of the dtype"
        )
    low, high = as_operand(minval, dtype, "minval"), as_operand(maxval, dtype, "maxval")
    _require_order(low, high)
    count = cast(high, uint64) - cast(low, uint64)
    return low + cast(_product_top(words, count, bits), dtype)


def _require_interval(low: Operand, high: Operand) -> None:
    least, most = static_value(low), static_value(high)
    if least is not None and most is not None and np.any(least > most):
        raise InvalidArgumentError(
            f"minval {least} is above maxval {most}; the arguments are uniform(shape, minval, maxval), and maxval is 1 "
            "where it is not given"
        )


def _require_order(low: Operand, high: Operand) -> None:
    least, most = static_value(low), static_value(high)
    if least is not None and most is not None and not np.all(least < most):
        raise InvalidArgumentError(f"there is no integer from minval {least} up to but excluding maxval {most}")


def _product_top(words: Any, count: Any, bits: int) -> Any:
    """words * count / 2**64, rounded down: a number below `count`, as even as the words.

    Lemire, "Fast random integer generation in an interval" (2019). A count of up to 32 bits needs
    the upper halves of the words only.
    """
    half, mask = np.uint64(32), np.uint64(2**32 - 1)
    high = right_shift(words, half)
    if bits <= 32:
        return right_shift(high * count, half)
    low, count_low, count_high = bitwise_and(words, mask), bitwise_and(count, mask), right_shift(count, half)
    cross = high * count_low + right_shift(low * count_low, half)
    other = low * count_high + bitwise_and(cross, mask)
    return high * count_high + right_shift(cross, half) + right_shift(other, half)


def draw_shuffle(key: Operand, counter: Operand, value: Any) -> Any:
    """The rows of a tensor in random order, which sorts the words at `counter` and after."""
    operand = as_operand(value)
    require_rank(operand.type, 1, "what is shuffled")
    words = draw_words(key, counter, shape_value([size_along(operand, 0)]))
    return PUBLIC["gather"](operand, PUBLIC["argsort"](words))


def draw_categorical(key: Operand, counter: Operand, logits: Any, num_samples: Any, dtype: Any) -> Any:
    """Classes drawn with probability softmax(logits): the greatest of the logits plus Gumbel noise."""
    operand, wanted = as_operand(logits), as_dtype(dtype)
    if operand.type.rank != 2 or not operand.type.dtype.is_floating:
        raise InvalidArgumentError(f"logits are floats of shape (batch, classes), not {operand.type}")
    wide = cast(operand, float32) if operand.type.dtype is float16 else operand
    shape = [size_along(operand, 0), num_samples, size_along(operand, 1)]
    uniform = _open_interval(draw_words(key, counter, shape_value(shape)), wide.type.dtype)
    noise = -PUBLIC["log"](-PUBLIC["log"](uniform))
    chosen = PUBLIC["argmax"](PUBLIC["expand_dims"](wide, 1) + noise, axis=-1)
    return cast(chosen, wanted)


# --- stateless draws ------------------------------------------------------------------------------


def stateless_uniform(
    shape: Any, seed: Any, minval: Any = 0, maxval: Any = None, dtype: Any = float32, name: str | None = None
) -> Any:
    """Uniform numbers in [minval, maxval), the same ones each time.

    Args:
      shape: the shape; its sizes may be traced values.
      seed: two integers; equal seeds give equal numbers.
      minval, maxval: the limits, scalars or tensors that broadcast to the shape. maxval is 1 by default for
        floats; of an integer dtype all numbers are drawn if both are None.
      dtype: a float or an integer dtype.

    Raises:
      InvalidArgumentError: if the seed is not two integers, or the integer interval is empty.

    >>> import graphjit as gj
    >>> print(gj.random.stateless_uniform([3], seed=[1, 2], maxval=100, dtype=gj.int32).shape)
    (3,)
    """
    return draw_uniform(key_of_seed(seed), word(0), shape, minval, maxval, dtype)


def stateless_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None
) -> Any:
    """Normal numbers, the same ones each time.

    Args:
      shape: the shape; its sizes may be traced values.
      seed: two integers; equal seeds give equal numbers.
      mean, stddev: scalars or tensors that broadcast to the shape.
      dtype: a float dtype.

    Raises:
      InvalidArgumentError: if the seed is not two integers.
      DtypeError: if the dtype is not a float.
    """
    return draw_normal(key_of_seed(seed), word(0), shape, mean, stddev, dtype)


def stateless_truncated_normal(
    shape: Any, seed: Any, mean: Any = 0.0, stddev: Any = 1.0, dtype: Any = float32, name: str | None = None
) -> Any:
    """Normal numbers within two standard deviations of the mean, the same ones each time.

    Arguments and errors: see `stateless_normal`.
    """
    return draw_truncated_normal(key_of_seed(seed), word(0), shape, mean, stddev, dtype)


def stateless_shuffle(value: Any, seed: Any, name: str | None = None) -> Any:
    """The rows of a tensor in an order that depends on the seed only.

    Raises:
      ShapeError: for a scalar.
      InvalidArgumentError: if the seed is not two integers.
    """
    return draw_shuffle(key_of_seed(seed), word(0), value)


def stateless_categorical(logits: Any, num_samples: Any, seed: Any, dtype: Any = int64, name: str | None = None) -> Any:
    """Classes drawn with probability softmax(logits), the same ones each time.

    Args:
      logits: floats of shape (batch, classes), not necessarily normalised.
      num_samples: how many draws for each row.
      seed: two integers.
      dtype: the integer dtype of the result.

    Returns: class numbers of shape (batch, num_samples).
    """
    return draw_categorical(key_of_seed(seed), word(0), logits, num_samples, dtype)


__all__: list[str] = []
