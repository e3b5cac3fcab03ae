"""What a layer is called with, as it takes it: tensors of its dtype; and what it was made with."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphjit.compiler.operand import Operand, as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.state import State
from graphjit.tracer.structure import flatten, unflatten

from ..byname import serialize
from .holding import Holder
from .penalties import running_call

_log = logging.getLogger("graphjit")


def as_argument(layer: Holder, value: Any) -> Any:
    """An argument with tensors for arrays and numbers, of the layer's dtype if they are floats."""
    if isinstance(value, Operand | State):
        return _cast(layer, value)
    if isinstance(value, np.ndarray | np.generic | bool | int | float) or _is_numbers(value):
        return _from_numbers(layer, value)
    if isinstance(value, list | tuple | Mapping):
        leaves, structure = flatten(value)
        return unflatten(structure, [as_argument(layer, leaf) for leaf in leaves])
    return value


def _cast(layer: Holder, value: Any) -> Any:
    record = layer._record
    name = value.dtype.name
    if name == record.dtype or not record.autocast or not name.startswith("float"):
        return value
    if not record.has_warned and running_call() is None:
        record.has_warned = True
        _log.warning(
            "the layer %r computes in %s and casts its input of %s; make it with dtype=%r, or call "
            "gj.keras.backend.set_floatx(%r), to compute in that",
            layer.name,
            record.dtype,
            name,
            name,
            name,
        )
    return cast(value, record.dtype)


def _from_numbers(layer: Holder, value: Any) -> Any:
    if isinstance(value, np.ndarray):
        operand = as_operand(value)
        is_float = operand.dtype.name.startswith("float")
        return cast(operand, layer._record.dtype) if is_float and layer._record.autocast else operand
    operand = as_operand(value)
    return _cast_quietly(layer, operand)


def _cast_quietly(layer: Holder, operand: Any) -> Any:
    is_other = operand.dtype.name.startswith("float") and operand.dtype.name != layer._record.dtype
    return cast(operand, layer._record.dtype) if is_other and layer._record.autocast else operand


def _is_numbers(value: Any) -> bool:
    """Whether it is a nested list of nothing but numbers, and not empty."""
    if isinstance(value, list | tuple):
        return bool(value) and all(_is_numbers(one) for one in value)
    return isinstance(value, bool | int | float | np.generic)


def parameters_of(cls: Any) -> frozenset[str]:
    return frozenset(inspect.signature(cls.__init__).parameters)


def given_to(layer: Holder) -> dict[str, Any]:
    """The arguments that a layer was made with, by name."""
    args, kwargs = layer._record.arguments
    try:
        bound = inspect.signature(type(layer).__init__).bind(layer, *args, **kwargs)
    except TypeError as error:
        raise InvalidArgumentError(f"{type(layer).__name__}: {error}") from None
    own = dict(list(bound.arguments.items())[1:])
    for name, parameter in bound.signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            own.update(own.pop(name, {}))
        elif parameter.kind is inspect.Parameter.VAR_POSITIONAL and own.get(name):
            raise InvalidArgumentError(
                f"{type(layer).__name__} takes any number of positional arguments; give it a get_config()"
            )
    return {name: serialize(value) for name, value in own.items()}


__all__: list[str] = []
