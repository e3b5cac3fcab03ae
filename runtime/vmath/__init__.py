"""Vector mathematics for kernels: elementary functions that LLVM's loop vectoriser turns into vector code.

Each name has a plain meaning, `plain_namespace()[name]`, for kernel text that runs without the
JIT, and a native one, `numba_namespace()[name]`, for float32 and float64 in Numba's nopython
code. The native ones are formulas written out as LLVM instructions where they are called:
branch-free, without tables or calls, so that a loop around them becomes vector code, and so
that its body and its tail give the same bits. `emit` writes the same instructions through any
llvmlite builder.

Errors are at most 2 ULP, measured against mpmath (tests/runtime/test_vmath_accuracy.py states the
bound of each), subnormal operands and results included; sin, cos and tan keep theirs up to the
largest number. lgamma alone has more: 3 ULP above 0, and 3 epsilon times max(1, lgamma(|x|))
below 0, where its zeros are not whole numbers. Special values are those of C99's annex F. The
CPU needs fused multiply-add (each x86 since 2013, each ARM64): without it LLVM calls the C
library for each step. Flush-to-zero must be off.

Knows nothing of kernels; importing it imports neither Numba nor llvmlite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

UNARY = (
    "exp", "exp2", "expm1", "log", "log2", "log10", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh",
    "asin", "acos", "atan", "asinh", "acosh", "atanh", "erf", "erfc", "lgamma", "cbrt", "sigmoid", "softplus",
)  # fmt: skip
BINARY = ("pow", "atan2", "hypot")
NAMES = UNARY + BINARY


@lru_cache(maxsize=1)
def plain_namespace() -> dict[str, Callable[..., Any]]:
    """Each function's plain meaning: NumPy scalars of one type in, a scalar of that type out."""
    from graphjit.runtime.vmath.plain import FUNCTIONS

    return dict(FUNCTIONS)


@lru_cache(maxsize=1)
def numba_namespace() -> dict[str, Any]:
    """Each function's native meaning, as a Numba intrinsic: T(T) or T(T, T), T float32 or float64."""
    from graphjit.runtime.vmath.native import namespace

    return namespace()


def emit(name: str, builder: Any, values: Sequence[Any], dtype: str) -> Any:
    """The LLVM value of function `name` at `values`, its instructions written by llvmlite's `builder`.

    `dtype` is "float32" or "float64", and the values have that type.
    """
    from graphjit.runtime.vmath.algebra import FLOAT32, FLOAT64
    from graphjit.runtime.vmath.formulas import emit as emit_formula

    return emit_formula(name, builder, values, {"float32": FLOAT32, "float64": FLOAT64}[dtype])


def function_text(symbol: str, name: str, dtype: str) -> str:
    """LLVM IR of a function `symbol`, to be inlined, that computes `name`; first the declarations that it needs."""
    from llvmlite import ir

    kind = ir.FloatType() if dtype == "float32" else ir.DoubleType()
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(kind, [kind] * (2 if name in BINARY else 1)), symbol)
    function.linkage = "internal"
    function.attributes.add("alwaysinline")
    function.attributes.add("nounwind")
    builder = ir.IRBuilder(function.append_basic_block())
    builder.ret(emit(name, builder, function.args, dtype))
    others = [one for one in module.functions if one is not function]
    return "\n".join(map(str, [*others, function]))
