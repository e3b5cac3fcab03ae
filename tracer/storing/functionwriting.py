"""Compiled functions in JSON: parameters, settings, and every trace with its signature, sources and graph."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

from graphjit.compiler.customrules import with_written_rules
from graphjit.compiler.dump.interchange import ArraySink, document_of
from graphjit.compiler.tensortype import TensorType
from graphjit.runtime.errors import FormatError, InvalidArgumentError

from ..cache import Entry
from ..function import Function
from ..results import TENSOR
from ..signature import NumberSlot, ObjectSlot, Slot, TensorSlot, ValueSlot, VariableSlot
from ..state import State
from ..tracing import Argument, ArgumentVariable, Captured, CapturedArray, CapturedVariable, Number, Source
from .nesting import encode_structure
from .savable import require_savable
from .values import encode_value, is_plain_value


class Numbering(ArraySink, Protocol):
    """Numbers and names of what functions hold, which is saved too."""

    def number_of(self, variable: State) -> int:
        """The number of a variable."""

    def name_of(self, holder: Any) -> str:
        """The name of the array of a tensor, or of an array itself, which is saved once."""


def entries_to_save(function: Function) -> list[Entry]:
    """The traces that serve calls now; where there is an input_signature, it is traced for that."""
    if function.declared is not None and not function.entries_that_hold():
        function.get_concrete_function()
    return function.entries_that_hold()


def encode_function(function: Function, entries: Sequence[Entry], serving: int, objects: Numbering) -> dict[str, Any]:
    """A function with some traces, the first of which, in the number of `serving`, serve calls.

    Raises:
      InvalidArgumentError: if a trace cannot be written down; the message says which and why.
    """
    options = function.settings.options
    return {
        "name": function.name,
        "doc": function.__doc__ if isinstance(function.__doc__, str) else None,
        "parameters": _encoded_parameters(function.parameters.signature),
        "options": [options.backend, options.exact, options.check],
        "input_signature": _encoded_specs(function),
        "traces": [_encoded_with_name(function, entry, objects) for entry in entries],
        "serving": serving,
    }


def _encoded_with_name(function: Function, entry: Entry, objects: Numbering) -> dict[str, Any]:
    try:
        return _encoded_trace(entry, objects)
    except (FormatError, InvalidArgumentError) as error:
        raise InvalidArgumentError(f"a trace of {function.name!r} cannot be saved: {error.message}") from error


def _encoded_parameters(signature: inspect.Signature | None) -> list[Any] | None:
    if signature is None:
        return None
    return [_encoded_parameter(one) for one in signature.parameters.values()]


def _encoded_parameter(parameter: inspect.Parameter) -> list[Any]:
    has_default = parameter.default is not inspect.Parameter.empty and is_plain_value(parameter.default)
    default = [encode_value(parameter.default)] if has_default else []
    return [parameter.name, int(parameter.kind), default]


def _encoded_specs(function: Function) -> Any:
    declared = function.declared
    if declared is None:
        return None
    return [encode_structure(declared.structure), [encode_value(one) for one in declared.leaves]]


# --- traces


def _encoded_trace(entry: Entry, objects: Numbering) -> dict[str, Any]:
    traced = entry.concrete.traced
    require_savable(traced.graph)
    results = traced.results
    return {
        "arguments": encode_structure(entry.structure),
        "slots": [_encoded_slot(slot, entry, position) for position, slot in enumerate(entry.slots)],
        "ties": [[position, None if one is None else objects.number_of(one)] for position, one in entry.ties],
        "sources": [_encoded_source(one, objects) for one in traced.sources],
        "updates": list(traced.updates),
        "results": encode_structure(results.structure),
        "kept": [{"tensor": True} if one is TENSOR else encode_value(one) for one in results.kept],
        "graph": document_of(with_written_rules(traced.graph), objects),
    }


def _encoded_slot(slot: Slot, entry: Entry, position: int) -> Any:
    match slot:
        case TensorSlot(type):
            return {"tensor": _encoded_type(type)}
        case VariableSlot(type, trainable, alias):
            return {"variable": [_encoded_type(type), trainable, alias]}
        case NumberSlot(kind):
            return {"number": kind.__name__}
        case ValueSlot(value=value):
            return {"value": encode_value(value)}
        case ObjectSlot(shown=shown):
            raise InvalidArgumentError(
                f"its argument {entry.names[position]!r} is {shown}, an object that only this program knows; "
                "let the object hold the function as a method, or clear() the function and call it with tensors"
            )


def _encoded_type(type: TensorType) -> list[Any]:
    return [type.dtype.short, list(type.shape)]


def _encoded_source(source: Source, objects: Numbering) -> Any:
    match source:
        case Argument(position):
            return {"argument": position}
        case Number(position, dtype):
            return {"number": [position, dtype.short]}
        case ArgumentVariable(position):
            return {"argument_variable": position}
        case CapturedVariable(variable):
            return {"variable": objects.number_of(variable)}
        case Captured(tensor):
            return {"constant": objects.name_of(tensor)}
        case CapturedArray(array):
            return {"constant": objects.name_of(array)}


__all__: list[str] = []
