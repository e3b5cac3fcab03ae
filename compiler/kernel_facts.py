"""Which equations can be part of a kernel; all others run as NumPy steps."""

from __future__ import annotations

from .graph import Equation
from .op import Kind
from .tensortype import TensorType

_KINDS = frozenset({Kind.ELEMENTWISE, Kind.REDUCTION})
_NOT_IN_KERNELS = frozenset({"float16", "complex64", "complex128", "string"})


def runs_in_kernel(equation: Equation) -> bool:
    """Whether the equation is a loop over elements that a kernel can hold."""
    return why_not_in_kernel(equation) is None


def why_not_in_kernel(equation: Equation) -> str | None:
    """The reason why an equation is no part of a kernel, or None where it can be."""
    if equation.op.kind not in _KINDS:
        return f"{equation.op.name} is {equation.op.kind.value}, not a loop over elements"
    if equation.op.kernel is None:
        return f"{equation.op.name} has no kernel"
    for value in (*equation.operands, *equation.outputs):
        reason = why_not_type(value.type)
        if reason is not None:
            return reason
    return None


def why_not_type(type: TensorType) -> str | None:
    """The reason why kernels do not hold values of a type, or None where they do."""
    if type.dtype.name in _NOT_IN_KERNELS:
        return f"kernels do not compute with {type.dtype.name}"
    if not type.is_static:
        return f"the size of {type} is known only when it runs"
    return None
