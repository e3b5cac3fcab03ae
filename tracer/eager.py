"""Eager mode: every op runs at once, by its NumPy meaning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphjit.compiler.location import add_location, user_location
from graphjit.compiler.op import Op
from graphjit.compiler.operand import Operand
from graphjit.compiler.tensortype import TensorType
from graphjit.compiler.writer import Symbol, leaked
from graphjit.runtime.errors import GraphjitError

from .state import State, StateInterpreter
from .tensor import Tensor


class EagerInterpreter(StateInterpreter):
    """Computes each op with NumPy."""

    def apply(self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
        for operand in operands:
            if isinstance(operand, Symbol):
                raise leaked(operand)
        try:
            types = op.infer_types(tuple(operand.type for operand in operands), attributes)
            arrays = [operand._array for operand in operands]  # type: ignore[attr-defined]  # Tensors, as no symbol is among them
            with np.errstate(all="ignore"):
                results = op.numpy(*arrays, **attributes)
        except GraphjitError as error:
            add_location(error, user_location())
            raise
        if not op.several:
            results = (results,)
        return tuple(_tensor(result, type) for result, type in zip(results, types, strict=True))

    def constant(self, array: np.ndarray[Any, Any]) -> Operand:
        return Tensor(array)

    def read_variable(self, variable: State) -> Operand:
        return Tensor(variable.array)

    def assign_variable(self, variable: State, value: Operand) -> None:
        if isinstance(value, Symbol):
            raise leaked(value)
        array: np.ndarray[Any, Any] = value._array  # type: ignore[attr-defined]  # a Tensor, as it is no symbol
        variable.array = array if array.flags.c_contiguous else array.copy()


def _tensor(result: Any, type: TensorType) -> Tensor:
    return Tensor(np.asarray(result, dtype=type.dtype.numpy))
