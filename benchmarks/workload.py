"""What a workload is: sizes, inputs, NumPy's answer, and how near to it a peer has to come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Arrays = dict[str, Array]


@dataclass(frozen=True)
class Tolerance:
    """A result `y` passes where `|y - reference| <= absolute + relative * |reference|`."""

    relative: float
    absolute: float


@dataclass(frozen=True)
class Workload:
    """One thing that is timed, for every peer alike.

    `inputs(random, *shape)` makes float64 arrays; they are rounded to the dtype in question before anybody, the
    reference included, sees them. `reference(**inputs)` is NumPy's answer in float64: a list of arrays.
    A workload with `steps` changes its own state: the reference is that after so many calls from the first state.
    """

    name: str
    title: str
    sizes: Mapping[str, tuple[int, ...]]
    inputs: Callable[..., Arrays]
    reference: Callable[..., list[Array]]
    tolerances: Mapping[str, Tolerance]
    steps: int = 1

    def arrays(self, size: str, dtype: str) -> dict[str, npt.NDArray[np.generic]]:
        """The inputs of a size: floating-point arrays in `dtype`, whole numbers as they are."""
        made = self.inputs(np.random.default_rng(0), *self.sizes[size])
        return {name: _rounded(np.asarray(array), dtype) for name, array in made.items()}

    def expected(self, arrays: Mapping[str, npt.NDArray[np.generic]]) -> list[Array]:
        """NumPy's answer in float64 for these inputs."""
        results = self.reference(**{name: _widened(array) for name, array in arrays.items()})
        return [np.asarray(result, np.float64) for result in results]


def _rounded(array: npt.NDArray[np.generic], dtype: str) -> npt.NDArray[np.generic]:
    return np.asarray(array, dtype if array.dtype.kind == "f" else None, order="C")


def _widened(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    return array.astype(np.float64) if array.dtype.kind == "f" else array


def error_of(results: list[npt.NDArray[np.generic]], expected: list[Array], tolerance: Tolerance) -> float:
    """The largest deviation in units of the tolerance: above 1, or not a number, is wrong."""
    if [result.shape for result in results] != [wanted.shape for wanted in expected]:
        return float("inf")
    worst = 0.0
    for result, wanted in zip(results, expected, strict=True):
        flat, right = result.reshape(-1), wanted.reshape(-1)
        for begin in range(0, flat.size, _BLOCK):
            worst = _worse(worst, _deviation(flat[begin : begin + _BLOCK], right[begin : begin + _BLOCK], tolerance))
    return worst


_BLOCK = 2**16
"""Elements that are compared at once: temporaries of this size stay in cache."""


def _deviation(result: npt.NDArray[np.generic], wanted: Array, tolerance: Tolerance) -> float:
    allowed = tolerance.absolute + tolerance.relative * np.abs(wanted)
    with np.errstate(all="ignore"):
        return float(np.max(np.abs(result.astype(np.float64) - wanted) / allowed, initial=0.0))


def _worse(one: float, other: float) -> float:
    """The larger of two; what is not a number is larger than all."""
    return one if one != one or one >= other else other
