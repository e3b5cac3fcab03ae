"""What weights start with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import PUBLIC
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.filling import eye, ones, zeros
from graphjit.compiler.tensortype import as_dtype
from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.tracer.generator import Generator, normal, truncated_normal, uniform

from .byname import Configurable, deserialize as _deserialize, instantiate, serialize as _serialize, table_of
from .precision import floatx


class Initializer(Configurable):
    """A function of shape and dtype that gives what a weight starts with.

    A subclass defines `__call__(shape, dtype=None)`; so does any function of these two.
    """

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """The numbers, of this shape and dtype."""
        raise NotImplementedError(f"{type(self).__name__} must define __call__(shape, dtype)")


def _sizes(shape: Any) -> tuple[int, ...]:
    sizes = [shape] if isinstance(shape, int) else list(shape)
    if any(size is None for size in sizes):
        raise ShapeError(f"the shape of a weight must be known, not {tuple(sizes)}")
    return tuple(int(size) for size in sizes)


def _dtype(dtype: Any) -> Any:
    return as_dtype(dtype or floatx())


class Constant(Initializer):
    """One number everywhere, or an array of the shape.

    >>> print(Constant(2.0)([2]).numpy())
    [2. 2.]
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """The number, `shape` times."""
        array = np.asarray(self.value, _dtype(dtype).numpy)
        return PUBLIC["identity"](np.broadcast_to(array, _sizes(shape)).copy())

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"value": self.value}


class Zeros(Initializer):
    """Zeros."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Zeros of the shape."""
        return zeros(_sizes(shape), _dtype(dtype))


class Ones(Initializer):
    """Ones."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Ones of the shape."""
        return ones(_sizes(shape), _dtype(dtype))


class _Random(Initializer):
    """Numbers drawn from the global stream, or from a stream of a seed: then always the same for one shape."""

    seed: int | None = None

    def _normal(self, sizes: tuple[int, ...], mean: float, stddev: float, dtype: Any) -> Any:
        draw = normal if self.seed is None else Generator.from_seed(self.seed).normal
        return draw(sizes, mean, stddev, dtype)

    def _truncated(self, sizes: tuple[int, ...], mean: float, stddev: float, dtype: Any) -> Any:
        draw = truncated_normal if self.seed is None else Generator.from_seed(self.seed).truncated_normal
        return draw(sizes, mean, stddev, dtype)

    def _uniform(self, sizes: tuple[int, ...], low: float, high: float, dtype: Any) -> Any:
        draw = uniform if self.seed is None else Generator.from_seed(self.seed).uniform
        return draw(sizes, low, high, dtype)


class RandomNormal(_Random):
    """Normal numbers."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: int | None = None) -> None:
        self.mean, self.stddev, self.seed = mean, stddev, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Numbers of the shape."""
        return self._normal(_sizes(shape), self.mean, self.stddev, _dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"mean": self.mean, "stddev": self.stddev, "seed": self.seed}


class TruncatedNormal(RandomNormal):
    """Normal numbers within two standard deviations."""

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Numbers of the shape."""
        return self._truncated(_sizes(shape), self.mean, self.stddev, _dtype(dtype))


class RandomUniform(_Random):
    """Uniform numbers in [minval, maxval)."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: int | None = None) -> None:
        self.minval, self.maxval, self.seed = minval, maxval, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Numbers of the shape."""
        return self._uniform(_sizes(shape), self.minval, self.maxval, _dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"minval": self.minval, "maxval": self.maxval, "seed": self.seed}


def fans(sizes: Sequence[int]) -> tuple[float, float]:
    """How many inputs and outputs a weight connects, as Keras counts: the last two axes times the others.

    >>> fans((3, 3, 4, 8))
    (36.0, 72.0)
    """
    if not sizes:
        return 1.0, 1.0
    if len(sizes) == 1:
        return float(sizes[0]), float(sizes[0])
    field = math.prod(sizes[:-2])
    return float(sizes[-2] * field), float(sizes[-1] * field)


_TRUNCATED_STDDEV = 0.87962566103423978
"""The standard deviation of a normal distribution that is cut at two standard deviations."""


class VarianceScaling(_Random):
    """Random numbers whose variance is scale / n, with n the inputs, the outputs or their mean (`mode`).

    Args:
      scale: a positive number.
      mode: "fan_in", "fan_out" or "fan_avg".
      distribution: "truncated_normal", "untruncated_normal" or "uniform".
      seed: a stream of its own; then it gives the same numbers each time.

    Glorot and Bengio 2010: scale 1, fan_avg. He et al. 2015: scale 2, fan_in. LeCun et al. 1998: scale 1, fan_in.

    >>> VarianceScaling(seed=1)([3, 2]).shape
    TensorShape([3, 2])
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: int | None = None,
    ) -> None:
        if scale <= 0:
            raise InvalidArgumentError(f"the scale of an initializer is positive, not {scale}")
        if mode not in ("fan_in", "fan_out", "fan_avg"):
            raise InvalidArgumentError(f"mode is 'fan_in', 'fan_out' or 'fan_avg', not {mode!r}")
        if distribution == "normal":
            distribution = "truncated_normal"
        if distribution not in ("truncated_normal", "untruncated_normal", "uniform"):
            raise InvalidArgumentError(
                f"distribution is 'truncated_normal', 'untruncated_normal' or 'uniform', not {distribution!r}"
            )
        self.scale, self.mode, self.distribution, self.seed = scale, mode, distribution, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Numbers of the shape."""
        sizes = _sizes(shape)
        fan_in, fan_out = fans(sizes)
        count = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[self.mode]
        variance = self.scale / max(1.0, count)
        if self.distribution == "uniform":
            limit = math.sqrt(3 * variance)
            return self._uniform(sizes, -limit, limit, _dtype(dtype))
        if self.distribution == "untruncated_normal":
            return self._normal(sizes, 0.0, math.sqrt(variance), _dtype(dtype))
        return self._truncated(sizes, 0.0, math.sqrt(variance) / _TRUNCATED_STDDEV, _dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"scale": self.scale, "mode": self.mode, "distribution": self.distribution, "seed": self.seed}


class _Preset(VarianceScaling):
    """A `VarianceScaling` of which only the seed is chosen."""

    preset: tuple[float, str, str]

    def __init__(self, seed: int | None = None) -> None:
        super().__init__(*self.preset, seed=seed)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"seed": self.seed}


class GlorotUniform(_Preset):
    """Uniform with limit sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010): what layers use by default."""

    preset = (1.0, "fan_avg", "uniform")


class GlorotNormal(_Preset):
    """Normal with variance 2 / (inputs + outputs) (Glorot and Bengio 2010)."""

    preset = (1.0, "fan_avg", "truncated_normal")


class HeNormal(_Preset):
    """Normal with variance 2 / inputs (He et al. 2015), for relu."""

    preset = (2.0, "fan_in", "truncated_normal")


class HeUniform(_Preset):
    """Uniform with limit sqrt(6 / inputs) (He et al. 2015), for relu."""

    preset = (2.0, "fan_in", "uniform")


class LecunNormal(_Preset):
    """Normal with variance 1 / inputs (LeCun et al. 1998), for selu."""

    preset = (1.0, "fan_in", "truncated_normal")


class LecunUniform(_Preset):
    """Uniform with limit sqrt(3 / inputs) (LeCun et al. 1998)."""

    preset = (1.0, "fan_in", "uniform")


class Orthogonal(_Random):
    """A random orthogonal matrix times `gain` (Saxe et al. 2014); the leading axes count as one."""

    def __init__(self, gain: float = 1.0, seed: int | None = None) -> None:
        self.gain, self.seed = gain, seed

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """Numbers of the shape, which has at least two axes."""
        sizes = _sizes(shape)
        if len(sizes) < 2:
            raise ShapeError(f"an orthogonal matrix has two axes or more, not shape {sizes}")
        rows, columns = math.prod(sizes[:-1]), sizes[-1]
        tall = self._normal((max(rows, columns), min(rows, columns)), 0.0, 1.0, _dtype("float64"))
        factor, triangle = np.linalg.qr(np.asarray(tall))
        factor = factor * np.sign(np.diagonal(triangle))
        matrix = factor.T if rows < columns else factor
        return cast(self.gain * np.reshape(matrix, sizes), _dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"gain": self.gain, "seed": self.seed}


class Identity(Initializer):
    """The identity matrix times `gain`."""

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Any, dtype: Any = None, **kwargs: Any) -> Any:
        """A matrix of the shape."""
        rows, columns = _sizes(shape)
        return self.gain * eye(rows, columns, dtype=_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {"gain": self.gain}


INITIALIZERS = table_of(
    Constant,
    Zeros,
    Ones,
    RandomNormal,
    TruncatedNormal,
    RandomUniform,
    VarianceScaling,
    GlorotUniform,
    GlorotNormal,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    Orthogonal,
    Identity,
    zero=Zeros,
    one=Ones,
    normal=RandomNormal,
    uniform=RandomUniform,
)


def get(identifier: Any) -> Any:
    """The initializer with a name or configuration; an initializer or a function is given back.

    >>> get("he_normal").scale
    2.0
    """
    return instantiate(identifier, INITIALIZERS, "initializer")


def serialize(initializer: Any) -> Any:
    """The initializer as a configuration."""
    return _serialize(initializer)


def deserialize(config: Any) -> Any:
    """The initializer that `serialize` wrote down."""
    return _deserialize(config, INITIALIZERS, "initializer")


__all__ = [
    "Constant",
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "Identity",
    "Initializer",
    "LecunNormal",
    "LecunUniform",
    "Ones",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
    "Zeros",
    "deserialize",
    "get",
    "serialize",
]
