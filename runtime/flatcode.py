"""Machine code that loads without LLVM: an image is mapped, and the C functions that it calls are looked up.

`objectlinking` makes the images. A process that finds its kernels in the folder never imports LLVM,
which takes longer than all else in a first call. Knows nothing of kernels or caches.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import platform
import struct
import sys
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from graphjit.runtime.errors import KernelError

SUPPORTED: Final = sys.platform == "linux" and platform.machine() == "x86_64" and sys.maxsize > 2**32
"""Whether object files of this computer can become images."""

MAGIC: Final = b"graphjit image 1 "
"""What an image begins with: then a line of facts, then the bytes, without the zeros at their end."""
WORD_BYTES: Final = 8


def is_image(code: bytes) -> bool:
    """Whether this is what `linked` made."""
    return code.startswith(MAGIC)


class MappedCode:
    """An image in this process's memory; freed with the last reference to this object."""

    def __init__(self, image: bytes) -> None:
        """Map it; raises KernelError if this process may not, or it wants functions that are not there."""
        head, _, content = image.partition(b"\n")
        facts = json.loads(head[len(MAGIC) :])
        try:
            self._memory = _private_memory(facts["size"])
            self._memory[: len(content)] = content
            self._hold = ctypes.c_char.from_buffer(self._memory)
            start = ctypes.addressof(self._hold)
            for position, name in enumerate(facts["outside"]):
                place = facts["fixed"] + position * WORD_BYTES
                self._memory[place : place + WORD_BYTES] = struct.pack("<Q", _function_address(name))
            _make_executable(start, facts["fixed"])
        except (OSError, AttributeError) as error:
            raise KernelError(f"machine code could not be mapped: {error}") from error
        self.address: int = start + facts["entry"]


def _private_memory(size: int) -> mmap.mmap:
    return mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, mmap.PROT_READ | mmap.PROT_WRITE)


@lru_cache(maxsize=1)
def _process() -> Any:
    """The C library, and all else that this process has loaded."""
    return ctypes.CDLL(None, use_errno=True)


@lru_cache(maxsize=256)
def _function_address(name: str) -> int:
    return int(ctypes.cast(_process()[name], ctypes.c_void_p).value or 0)


def _make_executable(start: int, size: int) -> None:
    protect: Callable[[ctypes.c_void_p, ctypes.c_size_t, int], int] = _process().mprotect
    if protect(ctypes.c_void_p(start), ctypes.c_size_t(size), mmap.PROT_READ | mmap.PROT_EXEC):
        raise OSError(ctypes.get_errno(), "mprotect")
