"""The language of kernels: every name that a kernel's text may use, with its plain and its native meaning.

A kernel is Python text that defines `kernel(addresses, block, lo, hi)`. Its
words stand in one table, `WORDS`: the plain meaning is a Python function over
NumPy scalars (what `plain.run_plain` executes), the native meaning is LLVM IR
over `%a`, `%b`, `%c` (what `wordcode` defines). Both must agree bit for bit; a
test runs each word over nasty values. To these come the pointers, one dtype's
constructor each (`float32(x)`, for bool `boolean(x)`), `inf` and `nan`, and the
functions of `vmath` by their names (`exp`, `tanh`, `pow` ...).

What a kernel may take for granted:

* `addresses[n]` is the address of slot `n`; slot 0 is the status area, 16 int64
  words in which a kernel that returns a nonzero code may leave details;
* `block[n]` holds this step's slot numbers and sizes;
* `float32_at(addresses, slot, scope)` (and so on, one per dtype) is a typed
  pointer; pointers of different scopes never overlap, and `scope` is a literal.
  A result written over its operand uses ONE pointer for both;
* `lo, hi` is a piece of the outermost loop's range; the pieces may run in any
  order. A kernel whose rounds depend on each other has one round;
* all indices are uint64, and integers wrap: the emitter wraps each integer
  result in its dtype (`int32(a + b)`);
* nothing raises: division by zero and shifts beyond the width have results.

Three readers give a text its meaning: `plain` runs it as Python, `translation` makes
machine code of it, and `numbatranslation` does so by Numba, with the same bits. This
module knows neither Numba nor llvmlite, so that reading a kernel costs nothing.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from graphjit.runtime.fields import dataclass
from graphjit.runtime.threefry import threefry, threefry_body

DTYPES: Final = (
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
)
"""The names of the dtypes of kernels; `float32_at` and `float32` are built from them."""

STATUS_SLOT: Final = 0
STATUS_WORDS: Final = 16

LLVM_TYPES: Final = {
    "bool": "i1",
    **{f"{sign}int{bits}": f"i{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)},
    "float32": "float",
    "float64": "double",
}
"""The LLVM type of a value of each dtype (a bool in memory is a byte)."""


def kind_of(dtype: str) -> str:
    """`float`, `signed`, `unsigned` or `bool`."""
    if dtype.startswith("float"):
        return "float"
    if dtype == "bool":
        return "bool"
    return "unsigned" if dtype.startswith("u") else "signed"


def constructor_name(dtype: str) -> str:
    """What a kernel calls to make a value of this dtype: the dtype's name, `boolean` for bool."""
    return "boolean" if dtype == "bool" else dtype


def bits_of(dtype: str) -> int:
    """The width of a value in bits; a bool has one."""
    return 1 if dtype == "bool" else int(dtype.lstrip("uintfloa"))


@dataclass(frozen=True)
class Word:
    """One name of the language: its plain meaning, and its native one per kind or dtype of the first operand.

    `native` maps a kind (or a dtype, which comes first) to the body of an LLVM
    function over `%a`, `%b`, `%c`. In a body `{T}` is the
    operand's type, `{S}` its suffix in the names of intrinsics, `{bits}` its width.
    """

    name: str
    operands: int
    plain: Callable[..., Any]
    native: dict[str, str]
    result: str = "same"
    """`same` as the first operand's dtype, a dtype, or `second`."""
    condition: bool = False
    """Whether the first operand is a bool beside the others' dtype, as in `select`."""

    def body_for(self, dtype: str) -> str | None:
        """The native meaning for operands of this dtype; None where it has none."""
        return self.native.get(dtype, self.native.get(kind_of(dtype)))

    def result_for(self, dtype: str) -> str:
        """The dtype of the result for operands of this dtype."""
        return dtype if self.result == "same" else self.result


# --- The pieces that native meanings are written with ---


def _call(intrinsic: str, operands: int = 1, extra: str = "") -> str:
    """The body that hands its operands to an LLVM intrinsic."""
    passed = ", ".join(f"{{T}} %{name}" for name in "abc"[:operands])
    return f"  %r = call contract {{T}} @llvm.{intrinsic}.{{S}}({passed}{extra})\n  ret {{T}} %r\n"


def _call_integer(intrinsic: str, operands: int = 1, extra: str = "") -> str:
    return _call(intrinsic, operands, extra).replace("call contract", "call")


def _both(body: str) -> dict[str, str]:
    return {"signed": body, "unsigned": body}


_IDENTITY: Final = "  ret {T} %a\n"

_IS_NAN: Final = "  %r = fcmp uno {T} %a, %a\n  ret i1 %r\n"
_IS_INFINITE: Final = (
    "  %m = call {T} @llvm.fabs.{S}({T} %a)\n  %r = fcmp oeq {T} %m, 0x7FF0000000000000\n  ret i1 %r\n"
)
_IS_FINITE: Final = "  %m = call {T} @llvm.fabs.{S}({T} %a)\n  %r = fcmp one {T} %m, 0x7FF0000000000000\n  ret i1 %r\n"
_SIGN_BIT: Final = "  %bits = bitcast {T} %a to i{bits}\n  %r = icmp slt i{bits} %bits, 0\n  ret i1 %r\n"

_SHIFT: Final = """\
  %wide = icmp uge {{T}} %b, {{bits}}
  %shifted = {op} {{T}} %a, %b
  %r = select i1 %wide, {{T}} 0, {{T}} %shifted
  ret {{T}} %r
"""
_SHIFT_SIGNED: Final = """\
  %wide = icmp uge {T} %b, {bits}
  %last = sub {T} {bits}, 1
  %count = select i1 %wide, {T} %last, {T} %b
  %r = ashr {T} %a, %count
  ret {T} %r
"""

# A divisor of 0 gives 0; INT_MIN / -1 wraps to INT_MIN. Neither may reach the processor's division.
_SAFE_UNSIGNED: Final = """\
  %none = icmp eq {T} %b, 0
  %by = select i1 %none, {T} 1, {T} %b
"""
_SAFE_SIGNED: Final = """\
  %none = icmp eq {T} %b, 0
  %opposite = icmp eq {T} %b, -1
  %special = or i1 %none, %opposite
  %by = select i1 %special, {T} 1, {T} %b
  %negated = sub {T} 0, %a
"""
# No processor divides whole vectors of integers. A quotient of floats with more than twice the digits,
# truncated, is the exact one: a/b is at least 1/b away from the next integer, and rounding moves it less.
_WIDE_FLOATS: Final = {8: "float", 16: "float", 32: "double"}


def _quotient(bits: int, sign: str) -> str:
    """IR for `%q`, the truncated quotient of %a and %by; `sign` is s or u."""
    wide = _WIDE_FLOATS.get(bits)
    if wide is None:
        return f"  %q = {sign}div i{bits} %a, %by\n"
    return f"""\
  %a.wide = {sign}itofp i{bits} %a to {wide}
  %by.wide = {sign}itofp i{bits} %by to {wide}
  %q.wide = fdiv {wide} %a.wide, %by.wide
  %q = fpto{sign}i {wide} %q.wide to i{bits}
"""


def _remainder(bits: int, sign: str) -> str:
    """IR for `%m`, the remainder of %a and %by with the sign of %a."""
    if bits not in _WIDE_FLOATS:
        return f"  %m = {sign}rem i{bits} %a, %by\n"
    return f"  %back = mul i{bits} %q, %by\n  %m = sub i{bits} %a, %back\n"


def _division(signed: str, unsigned: str) -> dict[str, str]:
    """Bodies by dtype, with `QUOTIENT` and `REMAINDER` replaced by the IR for them."""
    bodies = {}
    for bits in (8, 16, 32, 64):
        for dtype, sign, body in ((f"int{bits}", "s", signed), (f"uint{bits}", "u", unsigned)):
            quotient, remainder = _quotient(bits, sign), _remainder(bits, sign)
            bodies[dtype] = body.replace("QUOTIENT\n", quotient).replace("REMAINDER\n", remainder)
    return bodies


_DIVIDE_UNSIGNED: Final = _SAFE_UNSIGNED + "QUOTIENT\n  %r = select i1 %none, {T} 0, {T} %q\n  ret {T} %r\n"
_REMAINDER_UNSIGNED: Final = (
    _SAFE_UNSIGNED + "QUOTIENT\nREMAINDER\n  %r = select i1 %none, {T} 0, {T} %m\n  ret {T} %r\n"
)
_TRUNCATED_QUOTIENT: Final = (
    _SAFE_SIGNED
    + """\
QUOTIENT
  %wrapped = select i1 %opposite, {T} %negated, {T} %q
  %r = select i1 %none, {T} 0, {T} %wrapped
  ret {T} %r
"""
)
_TRUNCATED_REMAINDER: Final = (
    _SAFE_SIGNED + "QUOTIENT\nREMAINDER\n  %r = select i1 %special, {T} 0, {T} %m\n  ret {T} %r\n"
)
_FLOOR_QUOTIENT: Final = (
    _SAFE_SIGNED
    + """\
QUOTIENT
REMAINDER
  %signs = xor {T} %a, %by
  %differ = icmp slt {T} %signs, 0
  %left = icmp ne {T} %m, 0
  %lower = and i1 %differ, %left
  %step = sext i1 %lower to {T}
  %floored = add {T} %q, %step
  %wrapped = select i1 %opposite, {T} %negated, {T} %floored
  %r = select i1 %none, {T} 0, {T} %wrapped
  ret {T} %r
"""
)
_FLOOR_REMAINDER: Final = (
    _SAFE_SIGNED
    + """\
QUOTIENT
REMAINDER
  %signs = xor {T} %m, %by
  %differ = icmp slt {T} %signs, 0
  %left = icmp ne {T} %m, 0
  %shift = and i1 %differ, %left
  %added = select i1 %shift, {T} %by, {T} 0
  %floored = add {T} %m, %added
  %r = select i1 %special, {T} 0, {T} %floored
  ret {T} %r
"""
)

# NumPy's npy_divmod, branch-free: the remainder takes the divisor's sign, the quotient is rounded to whole.
_FLOAT_DIVMOD: Final = """\
  %m = frem {T} %a, %b
  %left = fcmp une {T} %m, 0.0
  %m_low = fcmp olt {T} %m, 0.0
  %b_low = fcmp olt {T} %b, 0.0
  %differ = xor i1 %m_low, %b_low
  %shift = and i1 %left, %differ
  %m_shifted = fadd {T} %m, %b
  %m_moved = select i1 %shift, {T} %m_shifted, {T} %m
  %zero = call {T} @llvm.copysign.{S}({T} 0.0, {T} %b)
"""
_FLOAT_FLOORMOD: Final = (
    _FLOAT_DIVMOD
    + """\
  %r = select i1 %left, {T} %m_moved, {T} %zero
  ret {T} %r
"""
)
_FLOAT_FLOORDIV: Final = (
    _FLOAT_DIVMOD
    + """\
  %rest = fsub {T} %a, %m
  %q = fdiv {T} %rest, %b
  %q_lower = fsub {T} %q, 1.0
  %q_moved = select i1 %shift, {T} %q_lower, {T} %q
  %f = call {T} @llvm.floor.{S}({T} %q_moved)
  %off = fsub {T} %q_moved, %f
  %far = fcmp ogt {T} %off, 0.5
  %f_next = fadd {T} %f, 1.0
  %whole = select i1 %far, {T} %f_next, {T} %f
  %plain = fdiv {T} %a, %b
  %q_zero = call {T} @llvm.copysign.{S}({T} 0.0, {T} %plain)
  %is_zero = fcmp oeq {T} %q_moved, 0.0
  %exact = select i1 %is_zero, {T} %q_zero, {T} %whole
  %b_zero = fcmp oeq {T} %b, 0.0
  %r = select i1 %b_zero, {T} %plain, {T} %exact
  ret {T} %r
"""
)

_POWER: Final = """\
entry:
  br label %loop
loop:
  %result = phi {T} [ 1, %entry ], [ %next, %loop ]
  %base = phi {T} [ %a, %entry ], [ %square, %loop ]
  %left = phi {T} [ %b, %entry ], [ %half, %loop ]
  %bit = and {T} %left, 1
  %odd = icmp ne {T} %bit, 0
  %product = mul {T} %result, %base
  %next = select i1 %odd, {T} %product, {T} %result
  %square = mul {T} %base, %base
  %half = lshr {T} %left, 1
  %more = icmp ne {T} %half, 0
  br i1 %more, label %loop, label %done
done:
"""
_POWER_UNSIGNED: Final = _POWER + "  ret {T} %next\n"
_POWER_SIGNED: Final = (
    _POWER + "  %negative = icmp slt {T} %b, 0\n  %r = select i1 %negative, {T} 0, {T} %next\n  ret {T} %r\n"
)

_SELECT: Final = "  %r = select i1 %a, {T} %b, {T} %c\n  ret {T} %r\n"


def _accumulating(op: str, floats: str) -> dict[str, str]:
    body = f"  %r = {op} {{T}} %a, %b\n  ret {{T}} %r\n"
    return {"float": f"  %r = {floats} reassoc contract {{T}} %a, %b\n  ret {{T}} %r\n", **_both(body)}


_ADD_ROUNDED: Final = {
    "float": "  %r = fadd {T} %a, %b\n  ret {T} %r\n",
    **_both("  %r = add {T} %a, %b\n  ret {T} %r\n"),
}
"""Without the freedom to join it with a product."""


def _extreme(name: str) -> dict[str, str]:
    letter = name[:3]
    return {
        "float": _call(name, 2),
        "signed": _call_integer("s" + letter, 2),
        "unsigned": _call_integer("u" + letter, 2),
        "bool": f"  %r = {'or' if letter == 'max' else 'and'} i1 %a, %b\n  ret i1 %r\n",
    }


# --- Plain meanings that NumPy does not have under one name ---


def convert(value: Any, dtype: str) -> Any:
    """A value, or an array, as the given dtype, with a defined result for every input.

    A float goes to an integer through the wide integer `wide` (int32 for 8 and
    16 bits, int64 for uint32, else itself): NaN gives 0, what lies outside of
    `wide` gives its nearest value, and the rest of the way wraps, so that 300.0
    is 44 as uint8, as in C on x86-64. Negative floats wrap as uint64 too.
    """
    array = np.asarray(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return np.uint64(value & (2**64 - 1)).astype(np.int64).astype(dtype)
    if array.dtype.kind != "f" or kind_of(dtype) not in ("signed", "unsigned"):
        with np.errstate(over="ignore", invalid="ignore"):
            return array.astype(dtype)[()]
    return _float_to_integer(array, dtype)


def _float_to_integer(array: Any, dtype: str) -> Any:
    wide = {"int8": "int32", "int16": "int32", "uint8": "int32", "uint16": "int32", "uint32": "int64"}
    target = np.dtype(wide.get(dtype, dtype))
    if dtype == "uint64":
        high = array >= 2.0**63
        low = _float_to_integer(np.where(high, 0.0, array), "int64").astype(np.uint64)
        top = np.where(high & (array < 2.0**64), array, 0.0).astype(np.uint64)
        return np.where(array >= 2.0**64, np.uint64(2**64 - 1), np.where(high, top, low))[()]
    limits = np.iinfo(target)
    above = array >= float(limits.max) + (0 if limits.max % 2 == 0 else 1)
    below = array <= float(limits.min)
    inside = np.where(above | below | np.isnan(array), 0.0, array).astype(target)
    whole = np.where(above, limits.max, np.where(below, limits.min, inside)).astype(target)
    return whole.astype(dtype)[()]


def _integer(value: Any, like: Any) -> Any:
    """A Python int wrapped into the dtype of a NumPy integer."""
    dtype = np.asarray(like).dtype
    wrapped = value & (2 ** (8 * dtype.itemsize) - 1)
    return np.frombuffer(wrapped.to_bytes(8, "little")[: dtype.itemsize], dtype.newbyteorder("<"))[0].astype(dtype)


def _is_float(value: Any) -> bool:
    return np.asarray(value).dtype.kind == "f"


def _shift_left(a: Any, b: Any) -> Any:
    width = 8 * a.dtype.itemsize
    count = int(b)
    return _integer(int(a) << count if 0 <= count < width else 0, a)


def _shift_right(a: Any, b: Any) -> Any:
    width = 8 * a.dtype.itemsize
    count = int(b) if 0 <= int(b) < width else width
    return _integer(int(a) >> count, a)


def _floordiv(a: Any, b: Any) -> Any:
    if _is_float(a):
        return np.floor_divide(a, b)
    return _integer(int(a) // int(b) if b else 0, a)


def _floormod(a: Any, b: Any) -> Any:
    if _is_float(a):
        return np.remainder(a, b)
    return _integer(int(a) % int(b) if b else 0, a)


def _truncdiv(a: Any, b: Any) -> Any:
    if _is_float(a):
        return np.trunc(a / b)
    quotient = abs(int(a)) // abs(int(b)) if b else 0
    return _integer(quotient if (a < 0) == (b < 0) else -quotient, a)


def _truncmod(a: Any, b: Any) -> Any:
    if _is_float(a):
        return np.fmod(a, b)
    remainder = abs(int(a)) % abs(int(b)) if b else 0
    return _integer(-remainder if a < 0 else remainder, a)


def _power(a: Any, b: Any) -> Any:
    return _integer(pow(int(a), int(b), 2**64), a) if b >= 0 else _integer(0, a)


def _absolute(a: Any) -> Any:
    return np.abs(a) if _is_float(a) else _integer(abs(int(a)), a)


def _accumulate(a: Any, b: Any) -> Any:
    return a + b if _is_float(a) else _integer(int(a) + int(b), a)


def _accumulate_product(a: Any, b: Any) -> Any:
    return a * b if _is_float(a) else _integer(int(a) * int(b), a)


def _maximum(a: Any, b: Any) -> Any:
    if _is_float(a) and a == b:
        return b if np.signbit(a) else a
    return np.maximum(a, b)


def _minimum(a: Any, b: Any) -> Any:
    if _is_float(a) and a == b:
        return a if np.signbit(a) else b
    return np.minimum(a, b)


def _fused_multiply_add(a: Any, b: Any, c: Any) -> Any:
    """a * b + c rounded once, by exact fractions."""
    from fractions import Fraction

    if not (np.isfinite(a) and np.isfinite(b) and np.isfinite(c)):
        return a * b + c
    exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
    if exact == 0:
        return a * b + c if a == 0 or b == 0 else type(a)(0.0)
    return _rounded(exact, type(a))


def _rounded(exact: Any, dtype: Any) -> Any:
    """The float of a dtype nearest to a fraction, ties to even; beyond the largest it is infinite."""
    try:
        guess = float(exact)
    except OverflowError:
        return dtype(math.inf if exact > 0 else -math.inf)
    near = dtype(guess)
    if dtype is np.float64 or not np.isfinite(near):
        return near
    from fractions import Fraction

    candidates = (np.nextafter(near, dtype(-np.inf)), near, np.nextafter(near, dtype(np.inf)))
    return min(
        (c for c in candidates if np.isfinite(c)),
        key=lambda c: (abs(Fraction(float(c)) - exact), int(c.view(np.uint32)) & 1),
    )


def _select(condition: Any, a: Any, b: Any) -> Any:
    return a if condition else b


def _count_ones(a: Any) -> Any:
    return _integer((int(a) & (2 ** (8 * a.dtype.itemsize) - 1)).bit_count(), a)


def _count_leading_zeros(a: Any) -> Any:
    width = 8 * a.dtype.itemsize
    return _integer(width - (int(a) & (2**width - 1)).bit_length(), a)


def _viewed(dtype: str) -> Callable[[Any], Any]:
    def view(a: Any) -> Any:
        return a.view(dtype)

    return view


def _bits(name: str, source: str, target: str) -> Word:
    body = f"  %r = bitcast {LLVM_TYPES[source]} %a to {LLVM_TYPES[target]}\n  ret {LLVM_TYPES[target]} %r\n"
    return Word(name, 1, _viewed(target), {source: body}, result=target)


def _order_of(bits: int) -> Callable[[Any], Any]:
    """The place of a float among all of them, from 0 for -inf on; 0.0 comes behind -0.0, NaN behind inf."""

    def order(a: Any) -> Any:
        raw = int(a.view(f"uint{bits}"))
        top = 1 << (bits - 1)
        place = raw + top if raw < top else 2 * top - 1 - raw
        return a.view(f"uint{bits}").dtype.type((place - _least_place(bits)) % (2 * top))

    return order


def _from_order(bits: int) -> Callable[[Any], Any]:
    def number(a: Any) -> Any:
        top = 1 << (bits - 1)
        place = (int(a) + _least_place(bits)) % (2 * top)
        raw = place - top if place >= top else 2 * top - 1 - place
        return a.dtype.type(raw).view(f"float{bits}")

    return number


def _least_place(bits: int) -> int:
    """The place of -inf among all bit patterns, ordered like the floats that they are."""
    return (1 << {32: 23, 64: 52}[bits]) - 1


def _order_words(bits: int) -> tuple[Word, Word]:
    """The words that take a float to its place in the order, and back."""
    kind, number = f"i{bits}", LLVM_TYPES[f"float{bits}"]
    last, rest = bits - 1, (1 << (bits - 1)) - 1
    least = _least_place(bits) + (1 << last)
    flipped = f"  %s = ashr {kind} %k, {last}\n  %f = and {kind} %s, {rest}\n  %o = xor {kind} %k, %f\n"
    there = f"  %k = bitcast {number} %a to {kind}\n{flipped}  %r = sub {kind} %o, {least}\n  ret {kind} %r\n"
    back = f"  %k = add {kind} %a, {least}\n{flipped}  %r = bitcast {kind} %o to {number}\n  ret {number} %r\n"
    return (
        Word(f"float{bits}_order", 1, _order_of(bits), {f"float{bits}": there}, result=f"uint{bits}"),
        Word(f"float{bits}_from_order", 1, _from_order(bits), {f"uint{bits}": back}, result=f"float{bits}"),
    )


# --- The table ---

WORDS: Final[dict[str, Word]] = {
    word.name: word
    for word in (
        Word("absolute", 1, _absolute, {
            "float": _call("fabs"), "signed": _call_integer("abs", extra=", i1 false"), "unsigned": _IDENTITY,
        }),
        Word("floor", 1, np.floor, {"float": _call("floor")}),
        Word("ceil", 1, np.ceil, {"float": _call("ceil")}),
        Word("rint", 1, np.rint, {"float": _call("rint")}),
        Word("trunc", 1, np.trunc, {"float": _call("trunc")}),
        Word("sqrt", 1, np.sqrt, {"float": _call("sqrt")}),
        Word("copysign", 2, np.copysign, {"float": _call("copysign", 2)}),
        Word("fma", 3, _fused_multiply_add, {"float": _call("fma", 3)}),
        Word("isnan", 1, np.isnan, {"float": _IS_NAN}, result="bool"),
        Word("isinf", 1, np.isinf, {"float": _IS_INFINITE}, result="bool"),
        Word("isfinite", 1, np.isfinite, {"float": _IS_FINITE}, result="bool"),
        Word("signbit", 1, np.signbit, {"float": _SIGN_BIT}, result="bool"),
        Word("maximum", 2, _maximum, _extreme("maximum")),
        Word("minimum", 2, _minimum, _extreme("minimum")),
        Word("accumulate", 2, _accumulate, _accumulating("add", "fadd")),
        Word("add_rounded", 2, _accumulate, _ADD_ROUNDED),
        Word("accumulate_product", 2, _accumulate_product, _accumulating("mul", "fmul")),
        Word("select", 3, _select, dict.fromkeys(("float", "signed", "unsigned", "bool"), _SELECT),
             condition=True),
        Word("logical_not", 1, np.logical_not, {"bool": "  %r = xor i1 %a, true\n  ret i1 %r\n"}),
        Word("floordiv", 2, _floordiv, {
            "float": _FLOAT_FLOORDIV, **_division(_FLOOR_QUOTIENT, _DIVIDE_UNSIGNED),
        }),
        Word("floormod", 2, _floormod, {
            "float": _FLOAT_FLOORMOD, **_division(_FLOOR_REMAINDER, _REMAINDER_UNSIGNED),
        }),
        Word("truncdiv", 2, _truncdiv, {
            "float": "  %q = fdiv {T} %a, %b\n  %r = call {T} @llvm.trunc.{S}({T} %q)\n  ret {T} %r\n",
            **_division(_TRUNCATED_QUOTIENT, _DIVIDE_UNSIGNED),
        }),
        Word("truncmod", 2, _truncmod, {
            "float": "  %r = frem {T} %a, %b\n  ret {T} %r\n",
            **_division(_TRUNCATED_REMAINDER, _REMAINDER_UNSIGNED),
        }),
        Word("integer_power", 2, _power, {"signed": _POWER_SIGNED, "unsigned": _POWER_UNSIGNED}),
        Word("shift_left", 2, _shift_left, _both(_SHIFT.format(op="shl"))),
        Word("shift_right", 2, _shift_right, {
            "signed": _SHIFT_SIGNED, "unsigned": _SHIFT.format(op="lshr"),
        }),
        Word("count_ones", 1, _count_ones, _both(_call_integer("ctpop"))),
        Word("count_leading_zeros", 1, _count_leading_zeros,
             _both(_call_integer("ctlz", extra=", i1 false"))),
        Word("threefry", 2, threefry, {"uint64": threefry_body()}),
        Word("nextafter", 2, np.nextafter, {
            "float32": "  %r = call float @nextafterf(float %a, float %b)\n  ret float %r\n",
            "float64": "  %r = call double @nextafter(double %a, double %b)\n  ret double %r\n",
        }),
        _bits("float32_bits", "float32", "uint32"),
        _bits("float64_bits", "float64", "uint64"),
        _bits("float32_from_bits", "uint32", "float32"),
        _bits("float64_from_bits", "uint64", "float64"),
        *_order_words(32),
        *_order_words(64),
    )
}  # fmt: skip
"""Every word apart from the pointers, the dtypes and the vector math."""

CONSTANTS: Final[dict[str, float]] = {"inf": math.inf, "nan": math.nan}
"""Floats that Python has no literal for; a dtype is put around them, `float32(inf)`."""


def conversion_body(source: str, target: str) -> str:
    """The native meaning of a dtype's constructor: LLVM IR that takes `%a` of `source` to `target`."""
    here, there = LLVM_TYPES[source], LLVM_TYPES[target]
    kinds = kind_of(source), kind_of(target)
    if source == target:
        return f"  ret {there} %a\n"
    if target == "bool":
        compare = "fcmp une" if kinds[0] == "float" else "icmp ne"
        return f"  %r = {compare} {here} %a, {'0.0' if kinds[0] == 'float' else '0'}\n  ret i1 %r\n"
    if kinds == ("float", "float"):
        operation = "fpext" if bits_of(target) > bits_of(source) else "fptrunc"
    elif kinds[1] == "float":
        operation = "sitofp" if kinds[0] == "signed" else "uitofp"
    elif kinds[0] == "float":
        return _float_to_integer_body(source, target)
    elif bits_of(target) == bits_of(source):
        return f"  ret {there} %a\n"
    elif bits_of(target) < bits_of(source):
        operation = "trunc"
    else:
        operation = "sext" if kinds[0] == "signed" else "zext"
    return f"  %r = {operation} {here} %a to {there}\n  ret {there} %r\n"


def _float_to_integer_body(source: str, target: str) -> str:
    """As `convert` says. LLVM's own saturating conversions are not used: on x86 they are not vectorised."""
    here, there = LLVM_TYPES[source], LLVM_TYPES[target]
    if target == "uint64":
        return f"""\
{_inside(here, "u", 64, "0.0", 2.0**64)}  %high = fptoui {here} %u.safe to i64
{_inside(here, "s", 64, _exact(-(2.0**63)), 2.0**63)}  %low = fptosi {here} %s.safe to i64
  %s.filled = select i1 %s.under, i64 {-(2**63)}, i64 %low
  %u.filled = select i1 %u.over, i64 -1, i64 %high
  %r = select i1 %u.under, i64 %s.filled, i64 %u.filled
  ret i64 %r
"""
    wide = {"uint32": 64}.get(target, max(32, bits_of(target)))
    limit = 2.0 ** (wide - 1)
    body = f"""\
{_inside(here, "s", wide, _exact(-limit), limit)}  %whole = fptosi {here} %s.safe to i{wide}
  %lower = select i1 %s.under, i{wide} {-int(limit)}, i{wide} %whole
  %w = select i1 %s.over, i{wide} {int(limit) - 1}, i{wide} %lower
"""
    if wide == bits_of(target):
        return body + f"  ret {there} %w\n"
    return body + f"  %r = trunc i{wide} %w to {there}\n  ret {there} %r\n"


def _inside(kind: str, name: str, width: int, low: str, high: float) -> str:
    """IR for `%NAME.under`, `%NAME.over`, and `%NAME.safe`, which is 0 where %a is beyond them or NaN."""
    return f"""\
  %{name}.under = fcmp olt {kind} %a, {low}
  %{name}.over = fcmp oge {kind} %a, {_exact(high)}
  %{name}.at_least = fcmp oge {kind} %a, {low}
  %{name}.below = fcmp olt {kind} %a, {_exact(high)}
  %{name}.in = and i1 %{name}.at_least, %{name}.below
  %{name}.safe = select i1 %{name}.in, {kind} %a, {kind} 0.0
"""


def _exact(value: float) -> str:
    """A float as LLVM writes it without rounding."""
    return "0x" + struct.pack(">d", value).hex().upper()
