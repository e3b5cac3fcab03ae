"""The loops that the compiler emits become vector code: read from the machine code itself."""

import platform
import re

import pytest

from graphjit.runtime import processor
from graphjit.runtime.kernelcache import load_kernel

pytestmark = pytest.mark.skipif(
    platform.machine().lower() not in ("x86_64", "amd64") or "+avx2" not in processor.host().features,
    reason="reads the names of AVX instructions",
)

WIDE = r"[yz]mm\d"


def kernel(pointers: str, body: str) -> str:
    """A kernel over `name:dtype` pointers, each in a scope of its own."""
    lines = ["def kernel(addresses, block, lo, hi):"]
    for number, pointer in enumerate(pointers.split()):
        name, dtype = pointer.split(":")
        lines.append(f"    {name} = {dtype}_at(addresses, block[{number}], {number})")
    lines += [f"    {line}" for line in body.strip().splitlines()]
    return "\n".join([*lines, "    return 0", ""])


ELEMENTWISE = "for i in range(lo, hi):\n    o[i] = {}"
CASES = {
    "sum of two": (kernel("x:float32 y:float32 o:float32", ELEMENTWISE.format("x[i] + y[i]")), "vaddps"),
    "in place": (kernel("x:float32 y:float32", "for i in range(lo, hi):\n    x[i] = x[i] + y[i]"), "vaddps"),
    "rows": (
        kernel(
            "x:float32 y:float32 o:float32",
            "n = block[3]\nfor i in range(lo, hi):\n"
            "    for j in range(n):\n        o[i * n + j] = tanh(x[i * n + j]) + float32(2.0) * y[j]",
        ),
        r"vfmadd\w*ps",
    ),
    "sum": (
        kernel(
            "x:float32 o:float32",
            "s = float32(0.0)\nfor i in range(lo, hi):\n    s = accumulate(s, x[i])\no[0] = s",
        ),
        "vaddps",
    ),
    "dot product": (
        kernel(
            "x:float64 y:float64 o:float64",
            "s = float64(0.0)\nfor i in range(lo, hi):\n    s = accumulate(s, x[i] * y[i])\no[0] = s",
        ),
        r"vfmadd\w*pd|vaddpd",
    ),
    "maximum": (
        kernel(
            "x:float32 o:float32",
            "s = float32(-inf)\nfor i in range(lo, hi):\n    s = maximum(s, x[i])\no[0] = s",
        ),
        "vmaxps",
    ),
    "integers": (
        kernel("x:int32 y:int32 o:int32", ELEMENTWISE.format("int32(x[i] * y[i])")),
        "vpmulld",
    ),
    "integer division": (
        kernel("x:int32 y:int32 o:int32", ELEMENTWISE.format("floordiv(x[i], y[i])")),
        "vdivpd",
    ),
    "cast": (kernel("x:float32 o:int32", ELEMENTWISE.format("int32(x[i])")), "vcvttps2dq"),
    "select": (
        kernel("c:bool x:float32 o:float32", ELEMENTWISE.format("select(c[i], x[i], float32(0.0))")),
        r"vmovups|vblend|vmaskmov",
    ),
    "exp": (kernel("x:float32 o:float32", ELEMENTWISE.format("exp(x[i])")), r"vfmadd\w*ps"),
}


@pytest.mark.parametrize("case", CASES)
def test_vector_code(case: str) -> None:
    """The kernel's instruction works on whole wide registers."""
    text, instruction = CASES[case]
    assembly = load_kernel(text, case).assembly()
    assert re.search(rf"\b({instruction})\b[^\n]*%{WIDE}", assembly), assembly


def test_no_overlap_checks() -> None:
    """Pointers of different scopes need no check at run time: there is one vector loop and no scalar twin of it."""
    llvm = load_kernel(*[CASES["sum of two"][0]]).llvm()
    assert "diff.check" not in llvm and "memcheck" not in llvm and "vector.body" in llvm


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_long_rounds_run_side_by_side(dtype: str) -> None:
    """A loop with a long chain of instructions has four vectors in work at a time."""
    text = kernel(f"x:{dtype} o:{dtype}", ELEMENTWISE.format("tanh(x[i])"))
    divisions = len(re.findall(rf"vdivp[sd]\b[^\n]*%{WIDE}", load_kernel(text).assembly()))
    assert divisions >= 4, divisions


def test_one_scope_is_checked() -> None:
    """Pointers of one scope may overlap, and LLVM asks before it uses vectors."""
    text = CASES["sum of two"][0].replace("block[2], 2", "block[2], 0")
    assert "diff.check" in load_kernel(text).llvm()
