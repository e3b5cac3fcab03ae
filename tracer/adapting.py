"""Python numbers that a trace does not depend on: it reads them at each call, as whatever dtype they are used with.

While a function is traced with such a number, whatever would let its value decide what is traced (a comparison,
arithmetic in Python, a key of a dict) is refused, so that the trace holds for every value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphjit.compiler.operand import AdaptingNumber, Operand
from graphjit.compiler.tensortype import DType, float32, int32
from graphjit.runtime.errors import TraceError


class ValueNeededError(TraceError):
    """Python asked for the value of a number that was to be any number; `position` tells which leaf it was."""

    def __init__(self, position: int, what: str) -> None:
        super().__init__(f"{what} needs the value of the number at position {position}")
        self.position = position


Adapt = Callable[[DType], Operand]


class AdaptingInteger(int, AdaptingNumber):
    """An int of any value."""

    position: int
    adapt: Adapt

    def adapted(self, dtype: DType | None) -> Operand:
        """The operand that it is where `dtype` is asked for."""
        return self.adapt(int32 if dtype is None else dtype)


class AdaptingFloat(float, AdaptingNumber):
    """A float of any value."""

    position: int
    adapt: Adapt

    def adapted(self, dtype: DType | None) -> Operand:
        """The operand that it is where `dtype` is asked for."""
        return self.adapt(float32 if dtype is None else dtype)


def adapting(value: int | float, position: int, adapt: Adapt) -> AdaptingInteger | AdaptingFloat:
    """A stand-in for a number; `adapt(dtype)` gives the operand that stands for it in the graph."""
    made = AdaptingInteger(value) if isinstance(value, int) else AdaptingFloat(value)
    made.position = position
    made.adapt = adapt
    return made


def _refused(name: str) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        raise ValueNeededError(self.position, f"{name}()")

    return method


def _left_to_operand(name: str) -> Callable[..., Any]:
    def method(self: Any, *others: Any) -> Any:
        if others and (isinstance(others[0], Operand) or hasattr(others[0], "read_value")):
            return NotImplemented
        raise ValueNeededError(self.position, f"{name}()")

    return method


_ARITHMETIC = (
    "add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow", "lshift", "rshift", "and",
    "or", "xor", "matmul",
)  # fmt: skip
_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_OTHERS = (
    "abs", "neg", "pos", "invert", "bool", "int", "float", "complex", "index", "round", "trunc", "floor", "ceil",
    "hash", "str", "repr", "format", "reduce", "reduce_ex", "getnewargs",
)  # fmt: skip
_METHODS = (
    "as_integer_ratio", "bit_count", "bit_length", "conjugate", "fromhex", "hex", "is_integer", "to_bytes", "real",
    "imag", "numerator", "denominator",
)  # fmt: skip


def _refuse_the_rest(cls: type) -> None:
    for name in _ARITHMETIC:
        setattr(cls, f"__{name}__", _left_to_operand(name))
        setattr(cls, f"__r{name}__", _left_to_operand(name))
    for name in _COMPARISONS:
        setattr(cls, f"__{name}__", _left_to_operand(name))
    for name in _OTHERS:
        setattr(cls, f"__{name}__", _refused(name))
    for name in _METHODS:
        if hasattr(cls, name):
            setattr(cls, name, property(_refused(name)))


_refuse_the_rest(AdaptingInteger)
_refuse_the_rest(AdaptingFloat)

__all__: list[str] = []
