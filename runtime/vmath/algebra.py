"""Formulas as LLVM instructions: numbers, integers and conditions with operators.

A formula of this package is a Python function of `Number`s. Run on llvmlite's builder, each
operator emits one instruction, so that the formula's text is the machine code's text, and a
kernel pays neither type inference nor inlining for it. Everything is branch-free, so that
LLVM's loop vectoriser can take the loop around it.

Rounding is fixed: `+`, `-` and `*` carry a flag of their own (`afn`, which means nothing on
them), since Numba adds `contract` to every instruction without flags and LLVM would then fuse
where the error analysis says "rounded". What shall be fused is written `fused(a, b, c)`.

It knows nothing of Numba, and nothing of the functions written with it.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from llvmlite import ir

from graphjit.runtime.fields import dataclass
from graphjit.runtime.processor import host

ROUNDED = ("afn",)


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: its widths, and the constants that formulas ask for."""

    name: str
    width: int
    fraction_bits: int

    @property
    def bias(self) -> int:
        """Exponent field of 1.0."""
        return (1 << (self.width - self.fraction_bits - 2)) - 1

    @property
    def magic(self) -> float:
        """1.5 * 2^fraction_bits: adding it rounds to an integer and leaves that in the low bits."""
        return 1.5 * 2.0**self.fraction_bits

    @property
    def smallest_normal(self) -> float:
        """The least number with a full significand."""
        return math.ldexp(1.0, 1 - self.bias)

    @property
    def float_type(self) -> Any:
        """The LLVM type of a number."""
        return ir.FloatType() if self.width == 32 else ir.DoubleType()

    @property
    def integer_type(self) -> Any:
        """The LLVM type of a number's bits."""
        return ir.IntType(self.width)

    def round(self, value: float) -> float:
        """The nearest number of this format."""
        return float(struct.unpack("f", struct.pack("f", value))[0]) if self.width == 32 else value

    def bits(self, value: float) -> int:
        """The bits of the nearest number of this format."""
        code, integer_code = ("<f", "<I") if self.width == 32 else ("<d", "<Q")
        return int(struct.unpack(integer_code, struct.pack(code, value))[0])


FLOAT32 = Format("float32", 32, 23)
FLOAT64 = Format("float64", 64, 52)


@dataclass(frozen=True, eq=False)
class Condition:
    """A truth value; joins with `&`, `|` and `~`."""

    builder: Any
    value: Any

    def __and__(self, other: Condition) -> Condition:
        return Condition(self.builder, self.builder.and_(self.value, other.value))

    def __or__(self, other: Condition) -> Condition:
        return Condition(self.builder, self.builder.or_(self.value, other.value))

    def __invert__(self) -> Condition:
        return Condition(self.builder, self.builder.not_(self.value))


@dataclass(frozen=True, eq=False)
class Integer:
    """Bits of a number, as a whole number of the same width; wraps around."""

    builder: Any
    value: Any
    format: Format

    def _operand(self, other: Integer | int) -> Any:
        if isinstance(other, Integer):
            return other.value
        return ir.Constant(self.value.type, other & ((1 << self.value.type.width) - 1))

    def _emit(self, operation: str, other: Integer | int) -> Integer:
        result = getattr(self.builder, operation)(self.value, self._operand(other))
        return Integer(self.builder, result, self.format)

    def __add__(self, other: Integer | int) -> Integer:
        return self._emit("add", other)

    def __sub__(self, other: Integer | int) -> Integer:
        return self._emit("sub", other)

    def __mul__(self, other: Integer | int) -> Integer:
        return self._emit("mul", other)

    def __and__(self, other: Integer | int) -> Integer:
        return self._emit("and_", other)

    def __or__(self, other: Integer | int) -> Integer:
        return self._emit("or_", other)

    def __xor__(self, other: Integer | int) -> Integer:
        return self._emit("xor", other)

    def __lshift__(self, other: Integer | int) -> Integer:
        return self._emit("shl", other)

    def __rshift__(self, other: Integer | int) -> Integer:
        """The logical shift: zeros come in from the left."""
        return self._emit("lshr", other)

    def shifted_signed(self, places: int) -> Integer:
        """The arithmetic shift to the right: the sign comes in from the left."""
        return self._emit("ashr", places)

    def _compare(self, sign: str, other: Integer | int) -> Condition:
        return Condition(self.builder, self.builder.icmp_signed(sign, self.value, self._operand(other)))

    def __lt__(self, other: Integer | int) -> Condition:
        return self._compare("<", other)

    def __gt__(self, other: Integer | int) -> Condition:
        return self._compare(">", other)

    def is_equal(self, other: Integer | int) -> Condition:
        """Whether the bits are those of `other`."""
        return self._compare("==", other)

    def is_nonzero(self) -> Condition:
        """Whether any bit is set."""
        return self._compare("!=", 0)

    def constant(self, value: int) -> Integer:
        """`value` as a whole number of this width."""
        return Integer(self.builder, self._operand(value), self.format)

    def with_width_of(self, target: Format) -> Integer:
        """The low bits in the width of `target`, zeros before them."""
        if target is self.format:
            return self
        convert = self.builder.zext if target.width > self.format.width else self.builder.trunc
        return Integer(self.builder, convert(self.value, target.integer_type), target)

    def to_number(self) -> Number:
        """The nearest number to this signed whole number."""
        return Number(self.builder, self.builder.sitofp(self.value, self.format.float_type), self.format)

    def as_number(self) -> Number:
        """The number that has these bits."""
        return Number(self.builder, self.builder.bitcast(self.value, self.format.float_type), self.format)


@dataclass(frozen=True, eq=False)
class Number:
    """A float32 or float64; Python floats beside it become constants of its format."""

    builder: Any
    value: Any
    format: Format

    def constant(self, value: float) -> Number:
        """`value`, rounded to this format."""
        constant = ir.Constant(self.format.float_type, self.format.round(value))
        return Number(self.builder, constant, self.format)

    def _operand(self, other: Number | float) -> Any:
        return other.value if isinstance(other, Number) else self.constant(other).value

    def _emit(self, operation: str, left: Any, right: Any) -> Number:
        return Number(self.builder, getattr(self.builder, operation)(left, right, flags=ROUNDED), self.format)

    def __add__(self, other: Number | float) -> Number:
        return self._emit("fadd", self.value, self._operand(other))

    def __sub__(self, other: Number | float) -> Number:
        return self._emit("fsub", self.value, self._operand(other))

    def __mul__(self, other: Number | float) -> Number:
        return self._emit("fmul", self.value, self._operand(other))

    def __truediv__(self, other: Number | float) -> Number:
        return Number(self.builder, self.builder.fdiv(self.value, self._operand(other)), self.format)

    def __radd__(self, other: float) -> Number:
        return self._emit("fadd", self._operand(other), self.value)

    def __rsub__(self, other: float) -> Number:
        return self._emit("fsub", self._operand(other), self.value)

    def __rmul__(self, other: float) -> Number:
        return self._emit("fmul", self._operand(other), self.value)

    def __rtruediv__(self, other: float) -> Number:
        return self.constant(other) / self

    def __neg__(self) -> Number:
        return Number(self.builder, self.builder.fneg(self.value), self.format)

    def _compare(self, sign: str, other: Number | float) -> Condition:
        return Condition(self.builder, self.builder.fcmp_ordered(sign, self.value, self._operand(other)))

    def __lt__(self, other: Number | float) -> Condition:
        return self._compare("<", other)

    def __gt__(self, other: Number | float) -> Condition:
        return self._compare(">", other)

    def __le__(self, other: Number | float) -> Condition:
        return self._compare("<=", other)

    def __ge__(self, other: Number | float) -> Condition:
        return self._compare(">=", other)

    def is_equal(self, other: Number | float) -> Condition:
        """Whether the values are equal; never so for NaN."""
        return self._compare("==", other)

    def is_nan(self) -> Condition:
        """Whether this is not a number."""
        return Condition(self.builder, self.builder.fcmp_unordered("uno", self.value, self.value))

    def is_infinite(self) -> Condition:
        """Whether this is either infinity."""
        return absolute(self).is_equal(math.inf)

    def bits(self) -> Integer:
        """The bits, as an integer."""
        return Integer(self.builder, self.builder.bitcast(self.value, self.format.integer_type), self.format)

    def sign_bit(self) -> Integer:
        """The sign bit, in its place."""
        return self.bits() & (1 << (self.format.width - 1))

    def with_format(self, target: Format) -> Number:
        """The same value in `target`, rounded where it does not fit."""
        if target is self.format:
            return self
        convert = self.builder.fpext if target.width > self.format.width else self.builder.fptrunc
        return Number(self.builder, convert(self.value, target.float_type), target)


def _call(name: str, *arguments: Number) -> Number:
    """A call of one of LLVM's own functions, which becomes one instruction."""
    first = arguments[0]
    kind = first.format.float_type
    signature = ir.FunctionType(kind, [kind] * len(arguments))
    module = first.builder.module
    function = module.declare_intrinsic(f"llvm.{name}", [kind], signature)
    result = first.builder.call(function, [argument.value for argument in arguments])
    return Number(first.builder, result, first.format)


def _numbers(*values: Number | float) -> list[Number]:
    """Python floats among `values` made constants of the others' format."""
    pattern = next(value for value in values if isinstance(value, Number))
    return [value if isinstance(value, Number) else pattern.constant(value) for value in values]


def fused(x: Number | float, y: Number | float, z: Number | float) -> Number:
    """x * y + z, rounded once."""
    return _call("fma", *_numbers(x, y, z))


def square_root(x: Number) -> Number:
    """The square root, correctly rounded."""
    return _call("sqrt", x)


def absolute(x: Number) -> Number:
    """The value without its sign."""
    return _call("fabs", x)


def copy_sign(size: Number | float, sign: Number) -> Number:
    """The value of `size` with the sign of `sign`."""
    return _call("copysign", *_numbers(size, sign))


def whole(x: Number) -> Number:
    """The nearest whole number, ties to even, for every magnitude."""
    return _call("rint", x)


def select(condition: Condition, yes: Number | float, no: Number | float) -> Number:
    """`yes` where the condition holds, else `no`; both are computed."""
    if not isinstance(yes, Number) and not isinstance(no, Number):
        raise TypeError("select needs one Number to know its format by")
    first, second = _numbers(yes, no)
    value = condition.builder.select(condition.value, first.value, second.value)
    return Number(condition.builder, value, first.format)


def select_integer(condition: Condition, yes: Integer, no: Integer) -> Integer:
    """`yes` where the condition holds, else `no`."""
    value = condition.builder.select(condition.value, yes.value, no.value)
    return Integer(condition.builder, value, yes.format)


def window(high: Integer, low: Integer, start: Integer) -> Integer:
    """The word that begins `start` (modulo the width) bits into `high`, followed by `low`."""
    kind = high.format.integer_type
    function = high.builder.module.declare_intrinsic("llvm.fshl", [kind], ir.FunctionType(kind, [kind] * 3))
    value = high.builder.call(function, [high.value, low.value, start.value])
    return Integer(high.builder, value, high.format)


def at_most(x: Number, limit: Number | float) -> Number:
    """The lesser of the two; NaN where x is NaN."""
    return select(x > limit, limit, x)


def at_least(x: Number, limit: Number | float) -> Number:
    """The greater of the two; NaN where x is NaN."""
    return select(x < limit, limit, x)


def polynomial(x: Number, coefficients: Sequence[float]) -> Number:
    """c0 + c1 x + c2 x^2 + ..., by Horner's rule with fused steps."""
    result = x.constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        result = fused(result, x, coefficient)
    return result


def nearest_whole(x: Number, factor: float) -> tuple[Number, Integer]:
    """The whole number nearest x * factor, as a number and in the low bits of an integer.

    By adding and taking away 1.5 * 2^fraction_bits, which needs |x * factor| < 2^(fraction_bits - 1).
    """
    shifted = fused(x, factor, x.format.magic)
    return shifted - x.format.magic, shifted.bits()


def power_of_two(exponent: Integer) -> Number:
    """2^exponent, for exponents of normal numbers; only the low bits of `exponent` count."""
    target = exponent.format
    return ((exponent + target.bias) << target.fraction_bits).as_number()


@lru_cache(maxsize=1)
def scales_at_once() -> bool:
    """Whether this computer multiplies a whole vector by powers of 2 in one instruction (AVX-512's vscalef)."""
    here = set(host().features.split(","))
    return {"+avx512f", "+avx512dq", "+avx512vl"} <= here


def times_power_of_two(x: Number, exponent: Integer) -> Number:
    """x * 2^exponent, rounded once, for every exponent; a call of the C library where `scales_at_once` is false."""
    kinds = [x.format.float_type, x.format.integer_type]
    signature = ir.FunctionType(kinds[0], kinds)
    function = x.builder.module.declare_intrinsic("llvm.ldexp", kinds, signature)
    return Number(x.builder, x.builder.call(function, [x.value, exponent.value]), x.format)


def two_sum(x: Number, y: Number) -> tuple[Number, Number]:
    """x + y as its rounded value and the rest (Knuth)."""
    total = x + y
    part = total - x
    return total, (x - (total - part)) + (y - part)


def quick_two_sum(x: Number, y: Number) -> tuple[Number, Number]:
    """x + y as its rounded value and the rest, for |x| >= |y| (Dekker)."""
    total = x + y
    return total, y - (total - x)


def two_product(x: Number, y: Number | float) -> tuple[Number, Number]:
    """x * y as its rounded value and the rest, by a fused step."""
    product = x * y
    return product, fused(x, y, -product)
