"""C built with `gcc -O3 -march=native -ffast-math -fopenmp`: the limit that the others are held against.

Its results go to memory that is there already, and many calls are timed without Python in between.
"""

from __future__ import annotations

import ctypes
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Case, Inputs
from benchmarks.workloads import elementwise, rows

MODES = ("c",)

SOURCE = Path(__file__).with_suffix(".c")
FLAGS = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC")
CONSTANTS = {
    "RATE": elementwise.RATE,
    "VOLATILITY": elementwise.VOLATILITY,
    "ROOT_HALF": elementwise.ROOT_HALF,
    "GELU_SCALE": elementwise.GELU_SCALE,
    "GELU_CUBE": elementwise.GELU_CUBE,
    "EPSILON": rows.EPSILON,
}


def versions() -> dict[str, str]:
    """gcc's.

    Raises:
      ImportError: if there is no gcc.
    """
    try:
        done = subprocess.run(["gcc", "--version"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        raise ImportError(f"no gcc: {error}") from error
    return {"gcc": done.stdout.splitlines()[0]}


@lru_cache(maxsize=2)
def library(dtype: np.dtype[Any]) -> ctypes.CDLL:
    """The workloads for a dtype."""
    values = [f"-D{name}={value!r}" for name, value in CONSTANTS.items()]
    with tempfile.TemporaryDirectory() as folder:
        built = Path(folder) / "workloads.so"
        command = ["gcc", *FLAGS, f"-DDOUBLE={int(dtype == np.float64)}", *values, str(SOURCE), "-o", str(built), "-lm"]
        subprocess.run(command, check=True)
        return ctypes.CDLL(str(built))


def call_of(name: str, arrays: Sequence[Any], results: int, sizes: Sequence[int]) -> Case:
    """A case that calls the C function `name` on the arrays, of which the last so many are results."""
    code = library(np.result_type(*[array.dtype for array in arrays if array.dtype.kind == "f"]))
    addresses = (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
    lengths = (ctypes.c_long * len(sizes))(*sizes)
    function = getattr(code, name)

    def call() -> Any:
        function(addresses, lengths)
        return list(arrays[len(arrays) - results :])

    def many(count: int) -> None:
        code.repeat(function, addresses, lengths, ctypes.c_long(count))

    return Case(call, many=many)


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays."""
    maker = MAKERS.get(workload)
    return maker(*inputs.values()) if maker else None


def like_the_first(name: str, results: int = 1) -> Callable[..., Case]:
    """A workload whose results are shaped like its first input."""

    def maker(*inputs: Any) -> Case:
        outputs = [np.zeros_like(inputs[0]) for _ in range(results)]
        return call_of(name, [*inputs, *outputs], results, inputs[0].shape)

    return maker


def logsumexp(x: Any) -> Case:
    """R3a."""
    return call_of("logsumexp", [x, np.zeros(x.shape[0], x.dtype)], 1, x.shape)


def mean_squared_error(predictions: Any, targets: Any) -> Case:
    """R3b."""
    outputs = [np.zeros((), predictions.dtype), np.zeros_like(predictions)]
    return call_of("mean_squared_error", [predictions, targets, *outputs], 2, predictions.shape)


MAKERS: dict[str, Callable[..., Case]] = {
    "E1": like_the_first("chain"),
    "E2": like_the_first("option_values", results=2),
    "E3": like_the_first("activations"),
    "R1": like_the_first("softmax"),
    "R2": like_the_first("layer_norm"),
    "R3a": logsumexp,
    "R3b": mean_squared_error,
}
