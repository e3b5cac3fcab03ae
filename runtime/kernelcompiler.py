"""Which compiler reads the text of kernels: our own translation to LLVM IR, or Numba.

Both know the same language, and a test holds that they give the same bits. Ours is the
one that is used; Numba's is there to check it, and costs ten times as much. Imports neither.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Final

from graphjit.runtime.errors import InvalidArgumentError, KernelError

COMPILERS: Final = ("direct", "numba")
_VARIABLE: Final = "GRAPHJIT_KERNEL_COMPILER"

_chosen: str | None = None


def kernel_compiler() -> str:
    """What makes machine code of kernels that are in no cache: "direct", or "numba".

    At first this is what the environment variable GRAPHJIT_KERNEL_COMPILER says, else "direct".

    Raises:
      InvalidArgumentError: if the variable holds anything else.
    """
    if _chosen is None:
        set_kernel_compiler(os.environ.get(_VARIABLE, COMPILERS[0]))
    return str(_chosen)


def set_kernel_compiler(name: str) -> None:
    """Let kernels from now on be compiled by "direct", which is fast, or by "numba", to compare.

    Results and speed do not depend on it, only the time that compiling takes. Kernels that are loaded stay.

    Raises:
      InvalidArgumentError: for any other name.

    >>> set_kernel_compiler("numba")
    >>> kernel_compiler()
    'numba'
    >>> set_kernel_compiler("direct")
    """
    global _chosen
    if name not in COMPILERS:
        raise InvalidArgumentError(f"kernels are compiled by {' or '.join(map(repr, COMPILERS))}, and not by {name!r}")
    _chosen = name


def compiler_version(name: str) -> str:
    """What tells one version of a compiler from another, apart from what both of them use."""
    return "" if name == "direct" else _numba_version_file()


def _numba_version_file() -> str:
    """Numba's version as its own file states it: importing Numba, or importlib.metadata, takes far longer."""
    spec = importlib.util.find_spec("numba")
    if spec is None or spec.origin is None:
        raise KernelError("Numba is not installed; gj.config.set_kernel_compiler('direct') needs none")
    return (Path(spec.origin).parent / "_version.py").read_text()
