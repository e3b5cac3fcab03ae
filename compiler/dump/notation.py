"""How attribute constants are written in the text form: exact to the bit, and parseable.

    integer 3   float 1.5, nan, -inf   text "same"   true false none   tuple (1, 2)
    dtype f32   type f32[2,?]
    string  "caf\\u00c3\\u00a9", in arrays: each character stands for a byte
    array   dense<f32[2]: [1.0, -0.0]>, dense<f32[9]: 1.0> (all alike), dense<f32[99]: base64 "...">
    graph   a nested block
    0x7ff8000000000001 is a float given by its bits, for NaNs that no word names

What has no notation (a Python callable) is shown between angle brackets and refused by the parser.
"""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import numpy as np

from ..graph import Literal
from ..tensortype import DType, TensorType

INLINE_ELEMENTS = 64
"""Arrays of more elements are written as base64."""

SHOWN_ELEMENTS = 16
"""Arrays of more elements are elided where the text is for people only."""

SPLAT_BYTES = 1 << 28
"""Arrays of more bytes are not written as one repeated element: no short text may ask for all memory."""


def format_constant(value: Any, shorten: bool = False) -> str:
    """The notation of an attribute constant that is no graph.

    >>> format_constant((1, -0.0, True, None, "same"))
    '(1, -0.0, true, none, "same")'
    >>> format_constant(Literal(np.float32([1.1, np.inf])))
    'dense<f32[2]: [1.1, inf]>'
    """
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _format_float(value)
    if isinstance(value, str):
        return json.dumps(value)
    return _format_structure(value, shorten)


def _format_structure(value: Any, shorten: bool) -> str:
    if isinstance(value, tuple):
        items = ", ".join(format_constant(one, shorten) for one in value)
        return f"({items},)" if len(value) == 1 else f"({items})"
    if isinstance(value, DType):
        return value.short
    if isinstance(value, TensorType):
        return str(value)
    if isinstance(value, Literal):
        return format_literal(value, shorten)
    kind = "callable" if callable(value) else "object"
    return f"<{kind} {getattr(value, '__name__', type(value).__name__)}>"


def _format_float(value: float) -> str:
    text = repr(float(value))
    bits = struct.pack("<d", value)
    if struct.pack("<d", float(text)) == bits:
        return text
    return f"0x{int.from_bytes(bits, 'little'):016x}"


def format_literal(literal: Literal, shorten: bool = False) -> str:
    """The notation of a constant array."""
    array = literal.array
    if literal.type.dtype.is_string:
        return f"dense<{literal.type}: {_format_strings(array, shorten)}>"
    return f"dense<{literal.type}: {_format_elements(array, shorten)}>"


def _format_elements(array: np.ndarray[Any, Any], shorten: bool) -> str:
    if array.size > 1 and array.nbytes <= SPLAT_BYTES and _all_alike(array):
        return _format_element(array.flat[0])
    if array.size <= (SHOWN_ELEMENTS if shorten else INLINE_ELEMENTS):
        return _format_nested(array)
    if shorten:
        return "..."
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return f'base64 "{base64.b64encode(little.tobytes()).decode("ascii")}"'


def _format_strings(array: np.ndarray[Any, Any], shorten: bool) -> str:
    """Strings as JSON has them, of characters that stand for bytes."""
    if shorten and array.size > SHOWN_ELEMENTS:
        return "..."
    if array.ndim == 0:
        return json.dumps(array.item().decode("latin-1"))
    return "[" + ", ".join(_format_strings(np.asarray(part, object), shorten) for part in array) + "]"


def _all_alike(array: np.ndarray[Any, Any]) -> bool:
    flat = array.reshape(-1).view(np.uint8).reshape(array.size, array.itemsize)
    return bool((flat == flat[0]).all())


def _format_nested(array: np.ndarray[Any, Any]) -> str:
    if array.ndim == 0:
        return _format_element(array[()])
    return "[" + ", ".join(_format_nested(part) for part in array) + "]"


def _format_element(element: Any) -> str:
    kind = element.dtype.kind
    if kind == "b":
        return "true" if element else "false"
    if kind == "c":
        return f"({_format_numpy_float(element.real)}, {_format_numpy_float(element.imag)})"
    return _format_numpy_float(element) if kind == "f" else str(int(element))


def _format_numpy_float(element: Any) -> str:
    """The shortest decimal that gives the element's bits back when it is read as float64 and rounded."""
    bits = element.tobytes()
    for text in (str(element), repr(float(element))):
        if element.dtype.type(float(text)).tobytes() == bits:
            return text
    return f"0x{int.from_bytes(bits, 'little'):0{2 * len(bits)}x}"
