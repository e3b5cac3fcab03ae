"""LLVM IR to machine code of this computer, and machine code into this process.

The only place that optimises and loads. Needs llvmlite alone. Knows nothing of
kernels or caches.
"""

from __future__ import annotations

import threading
from functools import lru_cache
from typing import Any

import llvmlite.binding as llvm

from graphjit.runtime.errors import KernelError
from graphjit.runtime.flatcode import SUPPORTED
from graphjit.runtime.objectlinking import linked
from graphjit.runtime.processor import host

_LIBRARIES_PER_JIT = 64

ALLOWED_SYMBOLS = frozenset(
    name + suffix
    for name in (
        *("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "erf", "erfc"),
        *("exp", "exp2", "expm1", "fma", "fmod", "hypot", "lgamma", "log", "log10", "log1p", "log2"),
        *("nextafter", "pow", "sin", "sinh", "tan", "tanh", "tgamma"),
    )
    for suffix in ("", "f")
) | {"memcpy", "memmove", "memset"}
"""What machine code may call: the C library's mathematics and memory."""

_lock = threading.RLock()


def hold() -> None:
    """Wait until no thread is inside of LLVM, and keep all out: for a fork, whose child has one thread."""
    _lock.acquire()
    llvm.ffi.lib._lock.__enter__()


def let_go() -> None:
    """Undo `hold`, in the parent and in the child."""
    llvm.ffi.lib._lock.__exit__(None, None, None)
    _lock.release()


@lru_cache(maxsize=1)
def _target_machine() -> Any:
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    here = host()
    # what is within 2 GiB of itself can be an image; LLVM's linker gives no such promise
    model = "small" if SUPPORTED else "jitdefault"
    return llvm.Target.from_triple(here.triple).create_target_machine(
        cpu=here.cpu, features=here.features, opt=3, reloc="pic", codemodel=model, jit=True
    )


def data_layout() -> str:
    """The target's data layout, as a module's header states it."""
    return str(_target_machine().target_data)


def optimize(module: Any, entry: str) -> None:
    """Run LLVM's O3 pipeline, vectorisers included, over a module in place; only `entry` stays visible."""
    with _lock:
        _prepare(module, entry)
        passes = _passes(3, vectors=True)
        passes.getModulePassManager().run(module, passes)


def optimize_loops(module: Any, entry: str) -> None:
    """The same for code that is written with the vectors that it is to have: loops lose what can stand before them.

    Products take half of the time to compile, and run as fast as behind O3.
    """
    with _lock:
        _prepare(module, entry)
        passes = _passes(1, vectors=False)
        passes.getModulePassManager().run(module, passes)


def optimize_steps(module: Any, entry: str) -> None:
    """The same for code that is written as it is to run: it is cleaned up, and what is marked so is inlined.

    The code of quick calls takes a third of the time to compile, and runs as fast as behind O3.
    """
    with _lock:
        _prepare(module, entry)
        manager = llvm.create_new_module_pass_manager()
        manager.add_always_inliner_pass()
        manager.add_sroa_pass()
        manager.add_instruction_combine_pass()
        manager.add_simplify_cfg_pass()
        manager.add_new_gvn_pass()
        manager.add_simplify_cfg_pass()
        manager.run(module, _passes(1, vectors=False))


def _prepare(module: Any, entry: str) -> None:
    """Check a module, and say what it is for; only `entry` stays visible."""
    module.data_layout = str(_target_machine().target_data)
    module.triple = host().triple
    for function in module.functions:
        if not function.is_declaration and function.name != entry:
            function.linkage = "internal"
    for variable in module.global_variables:
        if not variable.is_declaration:
            variable.linkage = "internal"
    module.verify()


def _passes(level: int, vectors: bool) -> Any:
    tuning = llvm.create_pipeline_tuning_options(level)
    tuning.loop_vectorization = vectors
    tuning.slp_vectorization = vectors
    tuning.loop_interleaving = vectors
    tuning.loop_unrolling = vectors
    return llvm.create_pass_builder(_target_machine(), tuning)


def parse(ir: str) -> Any:
    """A module from LLVM IR text; raises KernelError if it is none."""
    _target_machine()
    try:
        return llvm.parse_assembly(ir)
    except RuntimeError as error:
        raise KernelError(f"LLVM does not take this code: {error}") from error


def object_code(module: Any, symbol: str) -> bytes:
    """The machine code of an optimised module that enters at `symbol`: an image where possible, else an object file.

    Raises KernelError if it calls what is not allowed.
    """
    unknown = sorted(
        function.name
        for function in module.functions
        if function.is_declaration and not function.name.startswith("llvm.") and function.name not in ALLOWED_SYMBOLS
    )
    if unknown:
        raise KernelError(f"machine code would call {', '.join(unknown)}, which no kernel may")
    with _lock:
        code = bytes(_target_machine().emit_object(module))
    return linked(code, symbol) or code


def assembly(ir: str) -> str:
    """The assembly text of optimised LLVM IR."""
    with _lock:
        return str(_target_machine().emit_assembly(parse(ir)))


class _Loader:
    """JIT sessions in turn: each takes 64 libraries, and is freed when the last of them is.

    A session keeps 10 KiB for each library that it ever held, so one session for
    ever would grow with every kernel that comes and goes.
    """

    def __init__(self) -> None:
        self._session: Any = None
        self._count = 0

    def link(self, code: bytes, symbol: str) -> tuple[Any, Any]:
        if self._session is None or self._count % _LIBRARIES_PER_JIT == 0:
            _target_machine()
            self._session = llvm.create_lljit_compiler(suppress_errors=True)
        self._count += 1
        builder = llvm.JITLibraryBuilder().add_object_img(code).add_current_process().export_symbol(symbol)
        return builder.link(self._session, f"library_{self._count}"), self._session


_loader = _Loader()


class LoadedCode:
    """Machine code in this process; freed with the last reference to this object."""

    def __init__(self, code: bytes, symbol: str) -> None:
        """Link `code`; raises KernelError if it is no object code or calls something unknown."""
        with _lock:
            try:
                # the library first: attributes die in this order, and it must not outlive its session
                self._library, self._session = _loader.link(code, symbol)
            except RuntimeError as error:
                raise KernelError(f"machine code {symbol} could not be loaded: {error}") from error
        self.address: int = self._library[symbol]
        if not self.address:
            raise KernelError(f"machine code has no function {symbol}")
