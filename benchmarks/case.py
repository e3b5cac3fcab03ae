"""A case: one workload as one framework runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

Inputs = Mapping[str, npt.NDArray[np.generic]]


def as_numpy(result: Any) -> list[npt.NDArray[np.generic]]:
    """An array, or a tuple or list of such, as a list of NumPy's."""
    return [np.asarray(part) for part in (result if isinstance(result, tuple | list) else (result,))]


def aligned(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    """A copy that begins at a multiple of 64 bytes, so that nobody is faster by luck."""
    room = np.empty(array.nbytes + 64, np.uint8)
    begin = -room.ctypes.data % 64
    copy = room[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Case:
    """How to run a workload, and how to look at what came out.

    `call()` runs it once and returns when the result is there. `arrays` makes of what `call` returned a list of NumPy
    arrays in the order of the reference's. `reset` puts the state back to where it was at first. `many(count)`, where
    it is given, runs the workload so many times without Python in between.
    """

    call: Callable[[], Any]
    arrays: Callable[[Any], list[npt.NDArray[np.generic]]] = as_numpy
    reset: Callable[[], None] = nothing
    many: Callable[[int], Any] | None = None


class Peer(Protocol):
    """What each module in `peers/` has."""

    def versions(self) -> dict[str, str]:
        """The framework's version, and those that matter beside it."""

    def make(self, workload: str, mode: str, inputs: Inputs) -> Case | None:
        """The workload in one mode on these inputs; None where the framework has no good way to do it."""


PEERS = {
    "graphjit": ("graphjit", "graphjit-eager"),
    "numpy": ("numpy",),
    "numba": ("numba-serial", "numba-parallel"),
    "numexpr": ("numexpr",),
    "jax": ("jax",),
    "pytensor": ("pytensor-numba", "pytensor-c"),
    "torch": ("torch-eager", "torch-compile"),
    "tensorflow": ("tensorflow", "tensorflow-xla"),
    "c": ("c",),
}
"""Each framework's modes; the module of the framework is `peers/for_NAME.py`."""

OURS = PEERS["graphjit"]
LIMIT = "c"


def load_peer(name: str) -> Peer:
    """The module of a framework, which imports it.

    Raises:
      ImportError: if the framework is not installed.
    """
    return importlib.import_module(f"benchmarks.peers.for_{name}")  # type: ignore[return-value]  # checked by tests
