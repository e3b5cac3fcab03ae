"""What a kernel costs, in the bytes that could be read and written in the same time: decides threads, never results."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .graph import Equation, Graph, Value
from .op import Kind
from .tensortype import element_count

_PER_CALL: Mapping[str, tuple[int, int]] = {
    **dict.fromkeys(("exp", "exp2"), (4, 7)),
    **dict.fromkeys(("expm1", "log", "log1p", "sigmoid", "tanh", "asin", "acos", "atan"), (7, 9)),
    **dict.fromkeys(("sinh", "cosh", "cbrt", "log2", "log10", "atan2", "atanh", "hypot"), (9, 11)),
    **dict.fromkeys(("erf", "acosh", "asinh", "softplus"), (8, 15)),
    **dict.fromkeys(("sin", "cos", "tan", "erfc", "pow"), (18, 30)),
    **dict.fromkeys(("lgamma", "integer_power", "nextafter", "floordiv", "floormod", "truncmod"), (36, 44)),
    "threefry": (8, 8),
    "sqrt": (3, 4),
}
"""How many elements could be read in the time of each function, in float32 and in float64."""
_COSTLY = 4
_PER_STATEMENT = 0.25

_CALLED = re.compile(r"([A-Za-z_]\w*)\(")
_DIVISION = re.compile(r"(?<!/)/(?!/)")


def is_costly(equation: Equation) -> bool:
    """Whether an element takes much longer than it takes to read it.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> graph = parse_graph("f(%a: f32[3]) { %b = exp(%a); %c = add(%a, %b); return %c }")
    >>> [is_costly(equation) for equation in graph.equations]
    [True, False]
    """
    return element_cost(equation) >= _COSTLY


def element_cost(equation: Equation) -> float:
    """How many elements could be read in the time that an elementwise equation takes for one."""
    if equation.op.kind is not Kind.ELEMENTWISE:
        return 0.0
    kernel = equation.op.kernel
    text: str = kernel(equation.operand_types, equation.attributes) if callable(kernel) else kernel
    wide = equation.output.type.dtype.size > 4
    calls = sum(_PER_CALL[name][wide] for name in _CALLED.findall(text) if name in _PER_CALL)
    return _PER_STATEMENT + calls + (4 if wide else 2) * len(_DIVISION.findall(text))


def kernel_cost(equation: Equation) -> int:
    """About what a fused equation costs: what it reads and writes, and its operations."""
    loops = element_count(equation.attributes["domain"])
    moved = sum(min(loops, value.type.element_count) * value.type.dtype.size for value in _buffers(equation))
    inside: Graph = equation.attributes["graph"]
    return moved + int(sum(_work(one, loops) for one in inside.equations))


def _buffers(equation: Equation) -> tuple[Value, ...]:
    return (*equation.operands, *equation.outputs)


def _work(equation: Equation, loops: int) -> float:
    if equation.op.kind is Kind.SOURCE:
        return 0.0
    return element_cost(equation) * min(loops, equation.output.type.element_count) * equation.output.type.dtype.size
