"""What a kernel costs, in the bytes that could be read and written in the same time: decides threads, never results."""

from __future__ import annotations

from .graph import Equation
from .op import Kind
from .tensortype import element_count

_CHEAP_CALLS = (
    "abs(", "absolute(", "maximum(", "minimum(", "select(", "floor(", "ceil(", "rint(", "trunc(", "copysign(", "isnan(",
    "isinf(", "isfinite(", "fma(", "boolean(", "float32(", "float64(", "int32(", "int64(", "{T}(", "{T0}(", "{T1}(",
)  # fmt: skip
_COSTLY = 4
"""How many elements could be read in the time of an exponential."""


def is_costly(equation: Equation) -> bool:
    """Whether an element takes much longer than it takes to read it."""
    if equation.op.kind is not Kind.ELEMENTWISE:
        return False
    kernel = equation.op.kernel
    text: str = kernel(equation.operand_types, equation.attributes) if callable(kernel) else kernel
    for cheap in _CHEAP_CALLS:
        text = text.replace(cheap, "")
    return any(text[position] == "(" and text[position - 1].isalnum() for position in range(1, len(text)))


def kernel_cost(equation: Equation) -> int:
    """About what a fused equation costs: what it reads and writes, and its costly ops."""
    loops = element_count(equation.attributes["domain"])
    values = [*equation.operands, *equation.outputs]
    values += [one.output for one in equation.attributes["graph"].equations if is_costly(one)] * _COSTLY
    return sum(min(loops, value.type.element_count) * value.type.dtype.size for value in values)
