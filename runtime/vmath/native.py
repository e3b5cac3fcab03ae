"""The functions as Numba knows them: one llvmlite intrinsic per name, which emits its formula.

Kept apart so that importing vmath imports neither Numba nor llvmlite.
"""

from __future__ import annotations

from typing import Any

from numba import types
from numba.extending import intrinsic

from graphjit.runtime.vmath.algebra import FLOAT32, FLOAT64
from graphjit.runtime.vmath.formulas import FORMULAS, emit

FORMATS = {types.float32: FLOAT32, types.float64: FLOAT64}


def _signature(arguments: tuple[Any, ...]) -> Any:
    """T(T, ...) for float32 and float64; None, by which Numba refuses, for anything else."""
    first = arguments[0]
    if first not in FORMATS or any(argument != first for argument in arguments):
        return None
    return first(*arguments)


def _generator(name: str) -> Any:
    """What writes the formula's instructions where Numba calls it."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return emit(name, builder, list(values), FORMATS[signature.return_type])

    return generate


def _unary(name: str) -> Any:
    """The intrinsic of a function of one argument."""
    generate = _generator(name)

    def typed(context: Any, x: Any) -> Any:
        signature = _signature((x,))
        return None if signature is None else (signature, generate)

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def _binary(name: str) -> Any:
    """The intrinsic of a function of two arguments."""
    generate = _generator(name)

    def typed(context: Any, x: Any, y: Any) -> Any:
        signature = _signature((x, y))
        return None if signature is None else (signature, generate)

    typed.__name__ = typed.__qualname__ = name
    return intrinsic(typed)


def namespace() -> dict[str, Any]:
    """Every function's name and intrinsic."""
    return {name: (_binary if count == 2 else _unary)(name) for name, (count, _) in FORMULAS.items()}
