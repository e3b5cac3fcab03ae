"""Every function's formula by name, and how one is emitted into a builder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.runtime.vmath import exponential, gamma, hyperbolic, inverse, logarithm, power, special, trigonometric
from graphjit.runtime.vmath.algebra import Format, Number

_UNARY: tuple[Callable[[Number], Number], ...] = (
    exponential.exp,
    exponential.exp2,
    exponential.expm1,
    exponential.sigmoid,
    logarithm.log,
    logarithm.log2,
    logarithm.log10,
    logarithm.log1p,
    logarithm.softplus,
    hyperbolic.sinh,
    hyperbolic.cosh,
    hyperbolic.tanh,
    hyperbolic.asinh,
    hyperbolic.acosh,
    hyperbolic.atanh,
    inverse.asin,
    inverse.acos,
    inverse.atan,
    special.erf,
    special.erfc,
    gamma.lgamma,
    power.cbrt,
    trigonometric.sin,
    trigonometric.cos,
    trigonometric.tan,
)
_BINARY: tuple[Callable[[Number, Number], Number], ...] = (inverse.atan2, power.pow, power.hypot)

# name: (number of arguments, formula)
FORMULAS: dict[str, tuple[int, Callable[..., Number]]] = {
    **{formula.__name__: (1, formula) for formula in _UNARY},
    **{formula.__name__: (2, formula) for formula in _BINARY},
}


def emit(name: str, builder: Any, values: Sequence[Any], target: Format) -> Any:
    """The LLVM value of function `name` at `values`, its instructions written by `builder`."""
    _, formula = FORMULAS[name]
    return formula(*(Number(builder, value, target) for value in values)).value
