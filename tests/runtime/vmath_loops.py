"""What the tests of vmath share: loops over arrays compiled as kernels are, and distances in ULP."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath as mp
import numba
import numpy as np

from graphjit.runtime import vmath

FLOAT_TYPES = {"float32": np.float32, "float64": np.float64}


@cache
def compiled(name: str, dtype: str) -> Any:
    """A compiled loop that applies the function to each element; arrays in, last array out."""
    function = vmath.numba_namespace()[name]
    array = numba.types.Array(getattr(numba, dtype), 1, "C")

    def unary(x: Any, out: Any) -> None:
        for index in range(np.uint64(x.size)):
            out[index] = function(x[index])

    def binary(x: Any, y: Any, out: Any) -> None:
        for index in range(np.uint64(x.size)):
            out[index] = function(x[index], y[index])

    body, count = (binary, 3) if name in vmath.BINARY else (unary, 2)
    options = {"error_model": "numpy", "fastmath": {"contract"}, "nogil": True}
    return numba.njit(numba.void(*[array] * count), **options)(body)


def native(name: str, *arguments: Any) -> Any:
    """The function over whole arrays."""
    arrays = [np.ascontiguousarray(argument) for argument in arguments]
    out = np.empty_like(arrays[0])
    compiled(name, arrays[0].dtype.name)(*arrays, out)
    return out


def ulp_of(exact: Any, float_type: Any) -> Any:
    """The distance of neighbouring numbers at `exact`; that of subnormals below the normal ones."""
    facts = np.finfo(float_type)
    exponent = int(mp.frexp(exact)[1]) - 1 if exact else facts.minexp
    return mp.mpf(2) ** (max(exponent, int(facts.minexp)) - facts.nmant)


def distance(value: float, exact: Any, float_type: Any) -> float:
    """How far `value` is from the exact result, in ULP; infinity stands for what rounds beyond the largest."""
    largest = mp.mpf(float(np.finfo(float_type).max))
    if np.isnan(value):
        return np.inf
    if np.isinf(value):
        beyond = abs(exact) >= largest and (exact > 0) == (value > 0)
        return 0.0 if beyond else np.inf
    return float(abs(mp.mpf(float(value)) - exact) / ulp_of(exact, float_type))


def worst(name: str, exact: Callable[..., Any], *arguments: Any) -> tuple[float, tuple[float, ...]]:
    """The largest distance over the arguments, and where it is."""
    values = native(name, *arguments)
    points = list(zip(*arguments, strict=True))
    distances = [
        distance(value, exact(*(mp.mpf(float(x)) for x in point)), arguments[0].dtype.type)
        for value, point in zip(values, points, strict=True)
    ]
    index = int(np.argmax(distances))
    return distances[index], points[index]
