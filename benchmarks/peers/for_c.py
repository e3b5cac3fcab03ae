"""C built with `gcc -O3 -march=native -ffast-math -fopenmp`: the limit that the others are held against.

Its results go to memory that is there already, and many calls are timed without Python in between.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.case import Case, Inputs, aligned, nothing
from benchmarks.workloads import elementwise, loops, rows, training

SOURCE = Path(__file__).with_suffix(".c")
COMPILE_FLAGS = ("-O3", "-march=native", "-ffast-math", "-fopenmp", "-fPIC", "-c")
LINK_FLAGS = ("-shared", "-fopenmp")
"""Without -ffast-math: gcc would link start-up code that makes the whole process take denormal numbers for zero."""
CONSTANTS = {
    "RATE": elementwise.RATE,
    "VOLATILITY": elementwise.VOLATILITY,
    "ROOT_HALF": elementwise.ROOT_HALF,
    "GELU_SCALE": elementwise.GELU_SCALE,
    "GELU_CUBE": elementwise.GELU_CUBE,
    "EPSILON": rows.EPSILON,
    "STEP_RATE": training.RATE,
    "ADAM_RATE": training.ADAM_RATE,
    "ADAM_EPSILON": training.ADAM_EPSILON,
    "DECAY_1": training.DECAY_1,
    "DECAY_2": training.DECAY_2,
    "NEAR": loops.NEAR,
    "PRANDTL": loops.PRANDTL,
    "RAYLEIGH": loops.RAYLEIGH,
    "RATIO": loops.RATIO,
    "TIME_STEP": loops.TIME_STEP,
    "ROUNDS": loops.ROUNDS,
    "ESCAPED": loops.ESCAPED,
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
        built, compiled = Path(folder) / "workloads.so", Path(folder) / "workloads.o"
        defined = [f"-DDOUBLE={int(dtype == np.float64)}", *values]
        subprocess.run(["gcc", *COMPILE_FLAGS, *defined, str(SOURCE), "-o", str(compiled)], check=True)
        subprocess.run(["gcc", *LINK_FLAGS, str(compiled), "-o", str(built), "-lm"], check=True)
        code = ctypes.CDLL(str(built))
    code.set_gemm(ctypes.c_void_p(gemm_address("dgemm" if dtype == np.float64 else "sgemm")))
    return code


def gemm_address(name: str) -> int:
    """Where SciPy's OpenBLAS has this function; it uses one thread, as the C code shares the work out itself."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # read when SciPy's OpenBLAS is loaded, which is now
    from scipy.linalg import cython_blas

    capsule = cython_blas.__pyx_capi__[name]
    python = ctypes.pythonapi
    python.PyCapsule_GetName.restype = ctypes.c_char_p
    python.PyCapsule_GetName.argtypes = [ctypes.py_object]
    python.PyCapsule_GetPointer.restype = ctypes.c_void_p
    python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
    return int(python.PyCapsule_GetPointer(capsule, python.PyCapsule_GetName(capsule)))


def call_of(
    name: str, arrays: Sequence[Any], results: Sequence[Any], sizes: Sequence[int], reset: Callable[[], None] = nothing
) -> Case:
    """A case that calls the C function `name`; its results are some of the arrays."""
    code = library(np.result_type(*[array.dtype for array in arrays if array.dtype.kind == "f"]))
    addresses = (ctypes.c_void_p * len(arrays))(*[array.ctypes.data for array in arrays])
    lengths = (ctypes.c_long * len(sizes))(*sizes)
    function = getattr(code, name)

    def call(_kept: Sequence[Any] = arrays) -> Any:  # C knows only their addresses
        function(addresses, lengths)
        return list(results)

    def many(count: int) -> None:
        code.repeat(function, addresses, lengths, ctypes.c_long(count))

    return Case(call, many=many, reset=reset)


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays."""
    maker = MAKERS.get(workload)
    return maker(*inputs.values()) if maker else None


def like_the_first(name: str, results: int = 1) -> Callable[..., Case]:
    """A workload whose results are shaped like its first input."""

    def maker(*inputs: Any) -> Case:
        outputs = [aligned(np.zeros_like(inputs[0])) for _ in range(results)]
        return call_of(name, [*inputs, *outputs], outputs, inputs[0].shape)

    return maker


def logsumexp(x: Any) -> Case:
    """R3a."""
    output = np.zeros(x.shape[0], x.dtype)
    return call_of("logsumexp", [x, output], [output], x.shape)


def mean_squared_error(predictions: Any, targets: Any) -> Case:
    """R3b."""
    outputs = [np.zeros((), predictions.dtype), aligned(np.zeros_like(predictions))]
    return call_of("mean_squared_error", [predictions, targets, *outputs], outputs, predictions.shape)


def product(a: Any, b: Any) -> Case:
    """K1."""
    output = aligned(np.zeros((len(a), b.shape[1]), a.dtype))
    return call_of("product", [a, b, output], [output], (*a.shape, b.shape[1]))


def rosenbrock(x: Any) -> Case:
    """G1."""
    outputs = [np.zeros((), x.dtype), aligned(np.zeros_like(x))]
    return call_of("rosenbrock", [x, *outputs], outputs, x.shape)


def training_case(name: str, data: Sequence[Any], start: Sequence[Any], scratch: Sequence[Any], sizes: Any) -> Case:
    """A case whose parameters are updated in place; `scratch` and the parameters are put back by a reset."""
    values = [aligned(value) for value in start]
    loss = np.zeros((), values[0].dtype)
    # the moments start at 0, and the rest of the scratch is written before it is read
    before = [*start, *[np.zeros_like(part) for part in scratch]]

    def reset() -> None:
        for array, first in zip([*values, *scratch], before, strict=True):
            array[...] = first

    return call_of(name, [*data, *values, *scratch, loss], [loss, *values], sizes, reset)


def descend(images: Any, labels: Any, *start: Any) -> Case:
    """M1."""
    batch, (pixels, width), classes = len(images), start[0].shape, len(start[3])
    scratch = [np.zeros((batch, columns), images.dtype) for columns in (width, classes, width)]
    return training_case("descend", [images, labels], start, scratch, (batch, pixels, width, classes))


def adapt(images: Any, labels: Any, *start: Any) -> Case:
    """M1b: gradients, moments, the count of steps, activations and their gradients are scratch."""
    widths = [len(images[0]), *[len(bias) for bias in start[1::2]]]
    state = [aligned(np.zeros_like(value)) for _ in range(3) for value in start]
    layers = [aligned(np.zeros((len(images), columns), images.dtype)) for columns in (*widths[1:], *widths[1:3])]
    scratch = [*state, np.zeros((), images.dtype), *layers]
    return training_case("adapt", [images, labels], start, scratch, (len(images), *widths))


def regress(x: Any, y: Any, *start: Any) -> Case:
    """M2."""
    return training_case("regress", [x, y], start, [], x.shape)


def cube_root(a: Any) -> Case:
    """C1."""
    output = np.zeros_like(a)
    return call_of("cube_root", [a, output], [output], ())


def attractor(x: Any, y: Any, z: Any, steps: Any) -> Case:
    """C2."""
    outputs = [np.zeros_like(x) for _ in range(3)]
    return call_of("attractor", [x, y, z, *outputs], outputs, (int(steps),))


def vector_attractor(point: Any, steps: Any) -> Case:
    """C2v."""
    output = aligned(np.zeros_like(point))
    return call_of("vector_attractor", [point, output], [output], (int(steps),))


def mandelbrot(cr: Any, ci: Any) -> Case:
    """C3."""
    output = aligned(np.zeros_like(cr))
    case = call_of("mandelbrot", [cr, ci, output], [output], (cr.size,))
    return replace(case, arrays=lambda result: loops.compared(result[0]))


def network(name: str, widths: Sequence[int], x: Any, values: Sequence[Any]) -> Case:
    """C4 and C5: behind the loss and the gradients stands scratch, so many widths for each time, or for one."""
    time, batch, width = x.shape
    results = [np.zeros((), x.dtype), *[aligned(np.zeros_like(value)) for value in values]]
    states = np.zeros((time + 1, batch, width), x.dtype)
    scratch = [states, *[np.zeros((time, batch, count * width), x.dtype) for count in widths]]
    scratch += [np.zeros((batch, 3 * width), x.dtype) for _ in range(2)]
    return call_of(name, [x, *values, *results, *map(aligned, scratch)], results, x.shape)


def rnn(x: Any, *values: Any) -> Case:
    """C4."""
    return network("rnn", (1,), x, values)


def gru(x: Any, *values: Any) -> Case:
    """C5."""
    return network("gru", (3, 1, 3, 3), x, values)


MAKERS: dict[str, Callable[..., Case]] = {
    "E1": like_the_first("chain"),
    "E2": like_the_first("option_values", results=2),
    "E3": like_the_first("activations"),
    "R1": like_the_first("softmax"),
    "R2": like_the_first("layer_norm"),
    "R3a": logsumexp,
    "R3b": mean_squared_error,
    "M1": descend,
    "M1b": adapt,
    "M2": regress,
    "K1": product,
    "G1": rosenbrock,
    "C1": cube_root,
    "C2": attractor,
    "C2v": vector_attractor,
    "C3": mandelbrot,
    "C4": rnn,
    "C5": gru,
}
