"""Matrix products of the BLAS that NumPy came with, as addresses that native code can call.

Whole numbers are passed as pointers to little-endian int64 words, of which a BLAS
with 32-bit numbers reads the lower half: both kinds work. Knows nothing of steps.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from graphjit.runtime.errors import UnimplementedError
from graphjit.runtime.fields import dataclass


@dataclass(frozen=True)
class Blas:
    """Addresses of Fortran BLAS functions; those of the thread control are 0 where there is none."""

    source: str
    sgemm: int
    dgemm: int
    get_threads: int
    set_threads: int


@lru_cache(maxsize=1)
def blas() -> Blas:
    """NumPy's own BLAS, or else SciPy's."""
    found = _numpy_blas() or _scipy_blas()
    if found is None:
        raise UnimplementedError("neither NumPy nor SciPy offers a BLAS with sgemm and dgemm")
    return found


def _numpy_blas() -> Blas | None:
    """The library behind NumPy's linear algebra, whose symbols its extension module sees."""
    from numpy.linalg import _umath_linalg

    try:
        library = ctypes.CDLL(_umath_linalg.__file__)
    except OSError:
        return None
    for prefix, suffix in (("scipy_", "64_"), ("", "64_"), ("", "")):
        addresses = [_address(library, f"{prefix}{name}_{suffix}") for name in ("sgemm", "dgemm")]
        if all(addresses):
            getter, setter = (
                _address(library, f"{prefix}openblas_{verb}_num_threads{suffix}") for verb in ("get", "set")
            )
            threads = (getter, setter) if getter and setter else (0, 0)
            return Blas("numpy", addresses[0], addresses[1], *threads)
    return None


def _address(library: Any, name: str) -> int:
    try:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0
    except AttributeError:
        return 0


def _scipy_blas() -> Blas | None:
    """The functions that SciPy offers to Cython modules; they have no thread control."""
    try:
        from scipy.linalg import cython_blas
    except ImportError:
        return None
    name_of = ctypes.pythonapi.PyCapsule_GetName
    name_of.restype, name_of.argtypes = ctypes.c_char_p, [ctypes.py_object]
    pointer_of = ctypes.pythonapi.PyCapsule_GetPointer
    pointer_of.restype, pointer_of.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsules = [cython_blas.__pyx_capi__[name] for name in ("sgemm", "dgemm")]
    sgemm, dgemm = (pointer_of(capsule, name_of(capsule)) for capsule in capsules)
    return Blas("scipy", sgemm, dgemm, 0, 0)
