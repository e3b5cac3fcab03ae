"""Kernel text in, machine code out: compiled once per computer, shared within a process.

A kernel's identity is its text without comments, together with everything that
decides its machine code: processor, versions, and this package's own sources. So
equal kernels are one, and users' lines in comments do not make them differ. Where
the folder has the code, no compiler runs, and LLVM is not even imported.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import sys
import threading
import time
import weakref
import zlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import llvmlite

from graphjit.runtime import flatcode
from graphjit.runtime.cachefolder import CacheFolder, default_folder
from graphjit.runtime.errors import KernelError
from graphjit.runtime.fields import dataclass
from graphjit.runtime.interleaving import has_long_rounds, with_rounds_side_by_side
from graphjit.runtime.kernelcompiler import compiler_version, kernel_compiler
from graphjit.runtime.processor import host

_DOCSTRING = re.compile(r'"""(.*?)"""', re.DOTALL)
_PARTS = 2
_SOURCES = (
    *("expressions", "flatcode", "interleaving", "irwriting", "kernel_language", "kernelcache"),
    *("machinecode", "numbatranslation", "objectlinking", "threefry", "translation", "wordcode"),
)

_lock = threading.RLock()


@dataclass(frozen=True)
class _Made:
    """Object code and compressed IR, and where they came from."""

    parts: list[bytes]
    origin: str
    compile_ms: float


class Kernel:
    """Machine code of one kernel: an `int64 f(uint64* addresses, uint64* block, uint64 lo, uint64 hi)`."""

    __slots__ = ("__weakref__", "_code", "_ir", "address", "compile_ms", "identity", "name", "origin", "text")

    def __init__(self, text: str, name: str, identity: str, made: _Made) -> None:
        """Load the machine code; `load_kernel` makes these."""
        self.text = text
        self.name = name
        self.identity = identity
        self.origin = made.origin
        """`compiled` or `loaded` from the folder, by whoever asked first in this process."""
        self.compile_ms = made.compile_ms
        self._code = _in_memory(made.parts[0], symbol_of(identity))
        self._ir = made.parts[1]
        self.address = self._code.address

    def __repr__(self) -> str:
        return f"<Kernel {self.name} {self.identity[:12]}, {self.origin}>"

    def llvm(self) -> str:
        """The optimised LLVM IR."""
        return zlib.decompress(self._ir).decode()

    def assembly(self) -> str:
        """The assembly text."""
        return str(_machinecode().assembly(self.llvm()))


@dataclass(frozen=True)
class KernelCounters:
    """How many kernels this process has compiled, loaded from the folder, and found in memory."""

    compiled: int = 0
    loaded: int = 0
    shared: int = 0


@dataclass(frozen=True)
class _Language:
    """What a text is written in: its file's ending, and `compile_text(text, symbol)`, which makes a module."""

    suffix: str
    compile_text: Callable[[str, str], Any]


def _in_memory(code: bytes, symbol: str) -> Any:
    """Machine code ready to run, with its `address`; raises KernelError if it cannot be."""
    if flatcode.is_image(code):
        return flatcode.MappedCode(code)
    return _machinecode().LoadedCode(code, symbol)


def _machinecode() -> Any:
    """The module that needs LLVM, imported when it is first needed; under the lock, as a fork waits for that."""
    with _lock:
        from graphjit.runtime import machinecode

        return machinecode


def normalized(text: str) -> str:
    """The text without comments, docstrings and blank lines: what decides the machine code.

    >>> normalized("x = 1  # a line of the user's\\n\\n# and another\\ny = 2\\n")
    'x = 1\\ny = 2\\n'
    """
    bare = _DOCSTRING.sub("", text)
    lines = (line.split("#", 1)[0].rstrip() for line in bare.splitlines())
    return "".join(line + "\n" for line in lines if line)


def symbol_of(identity: str) -> str:
    """The name of the C function of a kernel."""
    return f"kernel_{identity[:16]}"


@lru_cache(maxsize=1)
def _environment() -> str:
    """What decides the machine code of a text beside its compiler: processor, versions, this package's sources."""
    here = host()
    facts = {
        "graphjit": getattr(sys.modules.get("graphjit"), "__version__", ""),
        "sources": _sources_digest(),
        "llvmlite": llvmlite.__version__,
        "llvm": here.llvm_version,
        "python": [*sys.version_info[:3], platform.python_implementation()],
        "cpu": [here.triple, here.cpu, here.features],
    }
    return json.dumps(facts, sort_keys=True)


def _sources_digest() -> str:
    """A digest of the modules that give a text its meaning, so that editing them makes kernels anew."""
    folder = Path(__file__).parent
    files = [folder / f"{name}.py" for name in _SOURCES]
    files += sorted((folder / "vmath").glob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def identity_of(text: str) -> str:
    """The name of a kernel's text on this computer, for the compiler that is chosen."""
    compiler = kernel_compiler()
    return _digest(normalized(text), _environment(), compiler, compiler_version(compiler))


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


class KernelStore:
    """The kernels of a process, over a folder."""

    def __init__(self, folder: CacheFolder) -> None:
        self._folder = folder
        self._kernels: weakref.WeakValueDictionary[str, Kernel] = weakref.WeakValueDictionary()
        self.counters = KernelCounters()

    def load(self, text: str, name: str, identity: str, language: _Language) -> Kernel:
        """The code of a text: from memory, else from the folder, else compiled."""
        kernel = self._kernels.get(identity)
        if kernel is not None:
            self._count(shared=1)
            return kernel
        with _lock:
            kernel = self._kernels.get(identity)
            if kernel is None:
                kernel = self._from_folder(text, name, identity)
            if kernel is None:
                kernel = self._compiled(text, name, identity, language)
            self._kernels[identity] = kernel
            return kernel

    def _from_folder(self, text: str, name: str, identity: str) -> Kernel | None:
        parts = self._folder.load(identity, _PARTS)
        if parts is None:
            return None
        try:
            kernel = Kernel(text, name, identity, _Made(parts, "loaded", 0.0))
        except KernelError as error:
            self._folder.discard(identity, str(error))
            return None
        self._count(loaded=1)
        return kernel

    def _compiled(self, text: str, name: str, identity: str, language: _Language) -> Kernel:
        start = time.perf_counter()
        module = language.compile_text(text, symbol_of(identity))
        parts = [_machinecode().object_code(module, symbol_of(identity)), zlib.compress(str(module).encode(), 6)]
        made = _Made(parts, "compiled", 1e3 * (time.perf_counter() - start))
        kernel = Kernel(text, name, identity, made)
        self._folder.store(identity, parts, text, language.suffix)
        self._count(compiled=1)
        return kernel

    def _count(self, compiled: int = 0, loaded: int = 0, shared: int = 0) -> None:
        with _lock:
            now = self.counters
            self.counters = KernelCounters(now.compiled + compiled, now.loaded + loaded, now.shared + shared)


def _compile_kernel(text: str, symbol: str) -> Any:
    """The optimised module of a kernel's text."""
    if kernel_compiler() == "numba":
        from graphjit.runtime.numbatranslation import kernel_text_to_ir
    else:
        from graphjit.runtime.translation import kernel_text_to_ir
    machinecode, bare = _machinecode(), normalized(text)
    code = kernel_text_to_ir(bare, symbol)
    module = machinecode.parse(with_rounds_side_by_side(code) if has_long_rounds(bare) else code)
    machinecode.optimize(module, symbol)
    return module


def _compile_steps(ir: str, symbol: str) -> Any:
    """The module of LLVM IR without loops that take long, whose function `entry` gets the symbol."""
    module = _parsed_ir(ir, symbol)
    _machinecode().optimize_steps(module, symbol)
    return module


def _compile_loops(ir: str, symbol: str) -> Any:
    """The same of LLVM IR that spends its time in loops."""
    module = _parsed_ir(ir, symbol)
    _machinecode().optimize_loops(module, symbol)
    return module


def _parsed_ir(ir: str, symbol: str) -> Any:
    return _machinecode().parse(ir.replace("@entry(", f"@{symbol}("))


_KERNEL_LANGUAGE = _Language(".py", _compile_kernel)
_STEPS = _Language(".ll", _compile_steps)
_LOOPS = _Language(".ll", _compile_loops)


@lru_cache(maxsize=1)
def _store() -> KernelStore:
    folder = default_folder()
    return KernelStore(CacheFolder(folder / "kernels" if folder is not None else None))


def load_kernel(text: str, name: str = "kernel") -> Kernel:
    """The machine code of a kernel's text, ready to call; raises KernelError if it is not in the language.

    Equal texts share one kernel while anybody holds it; `name` is for people.
    """
    return _store().load(text, name, identity_of(text), _KERNEL_LANGUAGE)


def load_ir(ir: str, name: str, has_loops: bool = False) -> Kernel:
    """The machine code of the function `entry` of LLVM IR, kept in the folder as kernels are.

    The IR has the vectors that it is to have; `has_loops` says whether it spends its time in loops.
    """
    return _store().load(ir, name, _digest(ir, _environment()), _LOOPS if has_loops else _STEPS)


def kernel_counters() -> KernelCounters:
    """How many kernels this process has compiled, loaded and shared."""
    return _store().counters


def _hold() -> None:
    """Before a fork: wait for whoever compiles, in the order in which compiling takes the locks."""
    _lock.acquire()
    numba = sys.modules.get("graphjit.runtime.numbatranslation")
    if numba is not None:
        numba.global_compiler_lock.acquire()
    llvm = sys.modules.get("graphjit.runtime.machinecode")
    if llvm is not None:
        llvm.hold()


def _let_go() -> None:
    llvm = sys.modules.get("graphjit.runtime.machinecode")
    if llvm is not None:
        llvm.let_go()
    numba = sys.modules.get("graphjit.runtime.numbatranslation")
    if numba is not None:
        numba.global_compiler_lock.release()
    _lock.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_let_go, after_in_child=_let_go)
