"""Each word of the kernel language means natively what it means plainly, on the nastiest values."""

import ctypes
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from graphjit.runtime import kernel_language as language, vmath
from graphjit.runtime.errors import KernelError
from graphjit.runtime.kernelcache import load_kernel
from graphjit.runtime.kernelcompiler import COMPILERS, set_kernel_compiler
from graphjit.runtime.plain import plain_namespace, run_plain

Array = np.ndarray[Any, Any]


@pytest.fixture(autouse=True, params=COMPILERS)
def compiler(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every test holds for both compilers of kernels."""
    set_kernel_compiler(request.param)
    yield request.param
    set_kernel_compiler("direct")


def run_native(text: str, addresses: Array, block: Array, lo: int, hi: int) -> int:
    """The kernel's code after running it as machine code."""
    kernel = load_kernel(text)
    function = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint64)(
        kernel.address
    )
    return int(function(addresses.ctypes.data, block.ctypes.data, lo, hi))


def run_both(text: str, inputs: list[Array], outputs: list[np.dtype[Any]], size: int) -> list[list[Array]]:
    """Outputs of native and of plain runs, for slots 1, 2, ...: inputs, then outputs."""
    found = []
    for run in (run_native, run_plain):
        results = [np.zeros(size, dtype) for dtype in outputs]
        status = np.zeros(language.STATUS_WORDS, np.int64)
        slots = [status, *inputs, *results]
        addresses = np.array([slot.ctypes.data for slot in slots], np.uint64)
        block = np.arange(1, len(slots), dtype=np.uint64)
        assert run(text, addresses, block, 0, size) == 0
        found.append(results)
    return found


def nasty(dtype: str) -> Array:
    """Zeros, ones, extremes, their neighbours, and for floats NaN, infinities, denormals, halves."""
    exact = np.dtype(dtype)
    if dtype == "bool":
        return np.array([False, True])
    if exact.kind in "iu":
        limits = np.iinfo(exact)
        values = {0, 1, 2, 3, 7, 8, 31, 32, 63, 64, limits.max, limits.max - 1, limits.min, limits.min + 1}
        values |= {-1, -2, -3, -7} if exact.kind == "i" else set()
        return np.array(sorted(v for v in values if limits.min <= v <= limits.max), exact)
    facts = np.finfo(exact)
    positive = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0, 0.1, 7.25, 255.0, 256.5, 300.0, 32768.0, 65536.0, 2147483520.0]
    positive += [2147483648.0, 4294967296.0, 2.0**52 + 0.5, 2.0**63, 1.7e19, 2.0**64, 1e30, math.inf]
    positive += [float(facts.max), float(facts.tiny), float(facts.smallest_subnormal), float(facts.eps)]
    return np.array([*positive, *(-v for v in positive), math.nan], exact)


def pairs(dtype: str) -> tuple[Array, Array]:
    """Every value beside every value."""
    values = nasty(dtype)
    left, right = np.meshgrid(values, values)
    return np.ascontiguousarray(left.ravel()), np.ascontiguousarray(right.ravel())


def same_bits(left: Array, right: Array) -> Array:
    """Where two arrays agree bit for bit, any NaN with any NaN."""
    if left.dtype.kind == "f":
        whole = f"u{left.dtype.itemsize}"
        equal: Array = (left.view(whole) == right.view(whole)) | (np.isnan(left) & np.isnan(right))
        return equal
    result: Array = left == right
    return result


def words_kernel(dtype: str, words: list[language.Word]) -> str:
    """A kernel that applies each word to every pair, one output a word."""
    constructor = language.constructor_name(dtype)
    lines = ["def kernel(addresses, block, lo, hi):"]
    lines += [f"    {name} = {dtype}_at(addresses, block[{k}], {k})" for k, name in enumerate("xyz")]
    for k, word in enumerate(words):
        result = word.result_for(dtype)
        lines.append(f"    out{k} = {result}_at(addresses, block[{k + 3}], {k + 3})")
    lines.append("    for i in range(lo, hi):")
    lines += [f"        {letter} = {array}[i]" for letter, array in zip("abc", "xyz", strict=True)]
    for k, word in enumerate(words):
        operands = ["a == b", "b", "c"] if word.condition else ["a", "b", "c"][: word.operands]
        lines.append(f"        out{k}[i] = {word.name}({', '.join(operands)})")
    lines += [f"        unused = {constructor}(a)", "    return 0", ""]
    return "\n".join(lines)


@pytest.mark.parametrize("dtype", language.DTYPES)
def test_words_agree(dtype: str) -> None:
    """Every word that a dtype has gives the same bits natively and plainly."""
    words = [word for word in language.WORDS.values() if word.body_for(dtype) is not None]
    left, right = pairs(dtype)
    third = np.roll(right, 5)
    outputs = [np.dtype(word.result_for(dtype)) for word in words]
    native, plain = run_both(words_kernel(dtype, words), [left, right, third], outputs, left.size)
    for word, got, expected in zip(words, native, plain, strict=True):
        wrong = np.flatnonzero(~same_bits(got, expected))
        shown = [(left[k], right[k], third[k], got[k], expected[k]) for k in wrong[:5]]
        assert not wrong.size, f"{word.name} of {dtype}: (a, b, c, native, plain) = {shown}"


@pytest.mark.parametrize("source", language.DTYPES)
def test_conversions_agree(source: str) -> None:
    """Every dtype's constructor gives the same bits natively and plainly, for every source dtype."""
    values = nasty(source)
    lines = ["def kernel(addresses, block, lo, hi):", f"    x = {source}_at(addresses, block[0], 0)"]
    for k, target in enumerate(language.DTYPES, 1):
        lines.append(f"    out{k} = {target}_at(addresses, block[{k}], {k})")
    lines.append("    for i in range(lo, hi):")
    for k, target in enumerate(language.DTYPES, 1):
        lines.append(f"        out{k}[i] = {language.constructor_name(target)}(x[i])")
    lines.append("    return 0\n")
    outputs = [np.dtype(target) for target in language.DTYPES]
    native, plain = run_both("\n".join(lines), [values], outputs, values.size)
    for target, got, expected in zip(language.DTYPES, native, plain, strict=True):
        wrong = np.flatnonzero(~same_bits(got, expected))
        shown = [(values[k], got[k], expected[k]) for k in wrong[:5]]
        assert not wrong.size, f"{target}({source}): (value, native, plain) = {shown}"


@pytest.mark.parametrize("target", [d for d in language.DTYPES if language.kind_of(d) != "float"])
@pytest.mark.parametrize("source", ["float32", "float64"])
def test_float_to_integer_is_defined(source: str, target: str) -> None:
    """NaN gives 0 (True for bool), and a value inside of the dtype's range gives what NumPy gives."""
    values = nasty(source)
    converted = language.convert(values, target)
    assert converted[np.isnan(values)].tolist() == [target == "bool"]
    if target != "bool":
        limits = np.iinfo(target)
        inside = (values > float(limits.min) - 1) & (values < float(limits.max))
        np.testing.assert_array_equal(converted[inside], values[inside].astype(target))


def test_float_to_small_integer_wraps() -> None:
    """As in C on x86-64 (SEMANTICS H4): 300 is 44 as uint8."""
    assert language.convert(np.float32(300.0), "uint8") == 44
    assert language.convert(np.float64(-1.0), "uint64") == 2**64 - 1


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_math_agrees(dtype: str) -> None:
    """Every transcendental function means what its plain meaning says (vmath's tests hold the accuracy)."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.01, 0.99, 64).astype(dtype)
    y = rng.uniform(0.01, 0.99, 64).astype(dtype)
    names = list(vmath.NAMES)
    lines = ["def kernel(addresses, block, lo, hi):"]
    lines += [f"    x = {dtype}_at(addresses, block[0], 0)", f"    y = {dtype}_at(addresses, block[1], 1)"]
    lines += [f"    out{k} = {dtype}_at(addresses, block[{k + 2}], {k + 2})" for k in range(len(names))]
    lines.append("    for i in range(lo, hi):")
    for k, name in enumerate(names):
        operands = "x[i], y[i]" if name in vmath.BINARY else "x[i] + 1" if name == "acosh" else "x[i]"
        operands = operands.replace("+ 1", f"+ {dtype}(1.0)")
        lines.append(f"        out{k}[i] = {name}({operands})")
    lines.append("    return 0\n")
    native, plain = run_both("\n".join(lines), [x, y], [np.dtype(dtype)] * len(names), x.size)
    for name, got, expected in zip(names, native, plain, strict=True):
        tolerance = 8 * np.finfo(dtype).eps
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance, err_msg=name)


def test_words_are_complete() -> None:
    """Plain and native namespaces hold exactly the same names, and words do not hide vector math."""
    from graphjit.runtime.numbatranslation import native_namespace

    assert set(native_namespace()) == set(plain_namespace())
    assert not set(language.WORDS) & set(vmath.NAMES)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("out[0] = x[0] + float64(1.0)", "float64"),
        ("out[0] = maximum(x[0], float64(1.0))", "maximum"),
        ("out[0] = nonsense(x[0])", "nonsense"),
        ("y = float32_at(addresses, block[0], lo)", "literal"),
        ("out[0] = shift_left(x[0], x[0])", "shift_left"),
        ("out[0] = = x[0]", "syntax"),
    ],
)
def test_what_is_not_in_the_language(line: str, why: str) -> None:
    """A text outside of the language is a KernelError that holds the text."""
    text = f"""\
def kernel(addresses, block, lo, hi):
    x = float32_at(addresses, block[0], 0)
    out = float32_at(addresses, block[1], 1)
    {line}
    return 0
"""
    with pytest.raises(KernelError, match=why) as caught:
        load_kernel(text)
    assert line in str(caught.value)


def test_kernel_reports_an_error_code_and_details() -> None:
    """A kernel that returns a code leaves details in the status area, natively and plainly."""
    text = """\
def kernel(addresses, block, lo, hi):
    status = int64_at(addresses, 0, 0)
    x = int32_at(addresses, block[0], 1)
    for i in range(lo, hi):
        if x[i] < 0:
            status[0] = int64(i)
            status[1] = int64(x[i])
            return 7
    return 0
"""
    x = np.array([3, 4, -5, 6], np.int32)
    for run in (run_native, run_plain):
        status = np.zeros(language.STATUS_WORDS, np.int64)
        addresses = np.array([status.ctypes.data, x.ctypes.data], np.uint64)
        assert run(text, addresses, np.array([1], np.uint64), 0, 4) == 7
        assert status[:2].tolist() == [2, -5]
