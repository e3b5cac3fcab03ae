"""What kernel text becomes, and what of it is refused: the translation to LLVM IR by itself."""

import ctypes

import numpy as np
import pytest

from graphjit.runtime.errors import InvalidArgumentError, KernelError
from graphjit.runtime.kernelcache import identity_of, load_kernel
from graphjit.runtime.kernelcompiler import kernel_compiler, set_kernel_compiler
from graphjit.runtime.plain import run_plain
from graphjit.runtime.translation import kernel_text_to_ir

HEAD = """\
def kernel(addresses, block, lo, hi):
    x = float32_at(addresses, block[0], 0)
    y = float32_at(addresses, block[1], 1)
    k = int8_at(addresses, block[2], 2)
"""


def text_of(body: str) -> str:
    """A kernel over float32 `x` and `y` and int8 `k`."""
    return HEAD + "".join(f"    {line}\n" for line in body.splitlines()) + "    return 0\n"


def run(text: str) -> tuple[int, np.ndarray[tuple[int], np.dtype[np.float32]]]:
    """The kernel's code, and what it made of y, natively; plain Python must give the same."""
    results = []
    kernel = load_kernel(text)
    kind = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64)
    for way in ("native", "plain"):
        status, x, y, k = np.zeros(16, np.int64), *(np.arange(8, dtype=d) for d in (np.float32, np.float32, np.int8))
        addresses = np.array([a.ctypes.data for a in (status, x, y, k)], np.uint64)
        block = np.array([1, 2, 3], np.uint64)
        if way == "native":
            code = kind(kernel.address)(addresses.ctypes.data, block.ctypes.data, 0, 8)
        else:
            code = run_plain(text, addresses, block, 0, 8)
        results.append((int(code), y))
    (code, y), (plain_code, plain_y) = results
    assert code == plain_code and y.tobytes() == plain_y.tobytes()
    return code, y


def test_a_loop_carries_what_it_changes() -> None:
    """Sums of rows, one in the other: each loop hands its values on, and gives them to what comes behind it."""
    body = """\
total = float32(0.0)
for i in range(lo, hi):
    row = float32(0.0)
    for j in range(i):
        row = float32(row + x[j])
    y[i] = row
    total = float32(total + row)
y[0] = total"""
    rows = [sum(range(i)) for i in range(8)]
    assert run(text_of(body))[1].tolist() == [sum(rows), *rows[1:]]


def test_branches_join() -> None:
    """What either branch leaves in a name, and what one of them leaves as it was."""
    body = """\
for i in range(lo, hi):
    v = x[i]
    w = float32(1.0)
    if v < float32(3.0):
        v = float32(v + float32(10.0))
    else:
        if v == float32(5.0):
            w = float32(100.0)
        v = float32(-v)
    y[i] = float32(v * w)"""
    assert run(text_of(body))[1].tolist() == [10.0, 11.0, 12.0, -3.0, -4.0, -500.0, -6.0, -7.0]


def test_a_branch_returns() -> None:
    """A branch that returns joins nothing, and both may return."""
    body = """\
for i in range(lo, hi):
    if x[i] > float32(4.0):
        return 3
    y[i] = float32(0.0)"""
    code, y = run(text_of(body))
    assert code == 3 and y.tolist() == [0.0] * 5 + [5.0, 6.0, 7.0]
    both = HEAD + "    if lo < hi:\n        return 1\n    else:\n        return 2\n"
    assert run(both)[0] == 1


def test_what_llvm_is_told() -> None:
    """Other scopes are not touched, addresses and block do not change, sums may be contracted, and nothing unwinds."""
    ir = kernel_text_to_ir(text_of("for i in range(lo, hi):\n    y[i] = float32(x[i] * x[i] + y[i])"), "named")
    (store,) = [line for line in ir.splitlines() if " store " in line]
    assert "align 4, !alias.scope !6, !noalias !9" in store
    assert '!3 = !{!"scope 1", !0}' in ir and "!6 = !{!3}" in ir and "!9 = !{!2, !4}" in ir
    assert ir.count("!invariant.load") == 6
    assert "fmul contract float" in ir and "fadd contract float" in ir and "add nuw i64" in ir
    assert "define i64 @named(ptr %addresses, ptr %block, i64 %lo, i64 %hi) nounwind" in ir


REFUSED = [
    ("y[0] = x[0] + float64(1.0)", "joins float32 and float64"),
    ("y[0] = float64(x[0])", "stores float64 into float32"),
    ("y[0] = 1.0", "has no dtype"),
    ("y[0] = x[0] + 1.0", "has no dtype"),
    ("v = 3", "has no dtype"),
    ("k[0] = k[0] + k[1]", "must be wrapped: int8"),
    ("v = int64(k[0] + k[1])", "must be wrapped before it becomes int64"),
    ("v = k[0] / k[1]", "no such operator for int8"),
    ("v = x[0] // x[1]", "no such operator for float32"),
    ("v = x[0] % x[1]", "no such operator for float32"),
    ("v = ~x[0]", "no such operator for float32"),
    ("v = not (x[0] < x[1])", "no such operator for bool"),
    ("v = x[0] < 1", r"float32\(1\)"),
    ("v = x[0] < x[1] < x[2]", "not in the kernel language"),
    ("v = x[0] if lo < hi else x[1]", "not in the kernel language"),
    ("v = x[0] < x[1] and lo < hi", "not in the kernel language"),
    ("v = abs(x[0])", "abs.float32. is no word"),
    ("v = maximum(x[0])", "maximum does not take float32"),
    ("v = maximum(x[0], k[0])", "maximum does not take float32, int8"),
    ("v = select(x[0], x[0], x[0])", "select does not take"),
    ("v = exp(k[0])", "exp does not take int8"),
    ("v = sqrt(k[0])", "sqrt does not take int8"),
    ("v = x", "x is a pointer"),
    ("x = y", "y is a pointer"),
    ("x = float64_at(addresses, block[0], 0)", "x is float32, and cannot become float64"),
    ("v = x[k[0]]", "an index must be uint64"),
    ("v = x[-1]", "has no dtype"),
    ("v = lo[0]", "lo is no pointer"),
    ("v = float32_at(addresses, block[0], 62)", "from 0 to 61"),
    ("v = float32_at(addresses, block[0], lo)", "the scope a literal"),
    ("v = float32_at(block, block[0], 3)", "the scope a literal"),
    ("v = x[0]\nv = k[0]", "v is float32, and cannot become int8"),
    ("for i in range(lo):\n    v = x[i]\ny[0] = v", "v is unknown here"),
    ("for i in range(lo):\n    v = x[i]\ny[i] = x[0]", "i is unknown here"),
    ("for i in range(0, hi, 2):\n    y[i] = x[i]", "a loop runs over range"),
    ("for i in block:\n    y[i] = x[i]", "a loop runs over range"),
    ("for i in range(hi):\n    return 1", "must not always return"),
    ("for i in range(k[0]):\n    y[i] = x[i]", "an index must be uint64"),
    ("while lo < hi:\n    y[0] = x[0]\nelse:\n    y[0] = x[1]", "no such statement"),
    ("y[0] += x[0]", "no such statement"),
    ("v = w = x[0]", "no such statement"),
    ("v, w = x[0], x[1]", "no such statement"),
    ("return lo", "no such statement"),
    ("return True", "no such statement"),
    ("return 1", "behind a return"),
    ("import os", "no such statement"),
    ("if x[0]:\n    return 1", "a condition must be bool"),
]


@pytest.mark.parametrize(("body", "why"), REFUSED, ids=[body for body, _why in REFUSED])
def test_what_is_refused(body: str, why: str) -> None:
    """The language is small: everything else is an error that names the line and holds the text."""
    text = text_of(body)
    with pytest.raises(KernelError, match=why) as caught:
        kernel_text_to_ir(text, "k")
    assert "line " in str(caught.value) and text in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["", "x = 1\n", HEAD, "def kernel(a):\n    return 0\n", "def other(addresses, block, lo, hi):\n    return 0\n"],
)
def test_what_is_no_kernel(text: str) -> None:
    """A text is one function that ends."""
    with pytest.raises(KernelError, match=r"one function|end with a return"):
        kernel_text_to_ir(text, "k")


def test_the_compiler_is_a_setting() -> None:
    """Each compiler's kernels are told apart, and there are two of them."""
    text = text_of("y[0] = x[0]")
    ours = identity_of(text)
    try:
        set_kernel_compiler("numba")
        assert kernel_compiler() == "numba" and identity_of(text) != ours
    finally:
        set_kernel_compiler("direct")
    assert identity_of(text) == ours
    with pytest.raises(InvalidArgumentError, match="'direct' or 'numba', and not by 'gcc'"):
        set_kernel_compiler("gcc")
