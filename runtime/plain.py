"""Kernels run as plain Python, with no compiler: for reading, stepping and debugging.

The names mean what `kernel_language` says. Slow by design, and exact: a breakpoint
in a kernel's text stops, and every value is a NumPy scalar. Knows nothing of machine code.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphjit.runtime import kernel_language as language, vmath
from graphjit.runtime.errors import KernelError


class PlainPointer:
    """Memory from an address on, as elements of one dtype; it has no end, as a pointer has none."""

    def __init__(self, address: int, dtype: str) -> None:
        self._address = int(address)
        self._dtype = np.dtype(dtype)

    def _element(self, index: Any) -> Any:
        place = self._address + int(index) * self._dtype.itemsize
        memory: Any = (ctypes.c_char * self._dtype.itemsize).from_address(place)
        return np.ndarray((1,), self._dtype, memory)

    def __getitem__(self, index: Any) -> Any:
        return self._element(index)[0]

    def __setitem__(self, index: Any, value: Any) -> None:
        if np.asarray(value).dtype != self._dtype:
            raise KernelError(f"a kernel stores {np.asarray(value).dtype} into {self._dtype}")
        self._element(index)[0] = value


def _pointer(dtype: str) -> Callable[..., PlainPointer]:
    def at(addresses: Sequence[int], slot: int, scope: int) -> PlainPointer:
        return PlainPointer(addresses[int(slot)], dtype)

    return at


def _constructor(dtype: str) -> Callable[[Any], Any]:
    def construct(value: Any) -> Any:
        return language.convert(value, dtype)

    return construct


def plain_namespace() -> dict[str, Any]:
    """Every name of the language with its plain meaning."""
    names: dict[str, Any] = dict(language.CONSTANTS)
    for dtype in language.DTYPES:
        names[f"{dtype}_at"] = _pointer(dtype)
        names[language.constructor_name(dtype)] = _constructor(dtype)
    names |= vmath.plain_namespace()
    names |= {word.name: word.plain for word in language.WORDS.values()}
    return names


def run_plain(text: str, addresses: Sequence[int], block: Sequence[int], lo: int, hi: int) -> int:
    """Run a kernel's text over memory with no JIT, and return its code.

    `addresses` and `block` are sequences of ints (a NumPy array of uint64 will do).
    """
    names = plain_namespace()
    exec(compile(text, "<kernel>", "exec"), names)
    with np.errstate(all="ignore"):
        code = names["kernel"]([int(a) for a in addresses], [int(b) for b in block], int(lo), int(hi))
    return int(code)
