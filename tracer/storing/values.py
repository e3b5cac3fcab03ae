"""Python values in JSON, exact to type and bit: numbers, texts, None, dtypes, shapes, ranges, sets."""

from __future__ import annotations

import base64
import binascii
import math
import struct
from typing import Any

from graphjit.compiler.tensortype import BY_SHORT_NAME, DType, TensorShape, TensorSpec
from graphjit.runtime.errors import FormatError, InvalidArgumentError, ShapeError

from ..signature import described
from .documents import number_below, of_kind, tagged

_MOST_AXES = 64
_PLAIN_INT = 2**63


def is_plain_value(value: Any) -> bool:
    """Whether it can be written down."""
    try:
        encode_value(value)
    except InvalidArgumentError:
        return False
    return True


def encode_value(value: Any) -> Any:
    """A value as what JSON knows.

    Raises:
      InvalidArgumentError: if there is no form for it.

    >>> encode_value((1, True))
    Traceback (most recent call last):
    graphjit.runtime.errors.InvalidArgumentError: a tuple of 2 is no number, text, dtype, shape, range or set
    ...
    >>> encode_value(float("-inf")), encode_value(range(3))
    ({'float': 'fff0000000000000'}, {'range': [0, 3, 1]})
    """
    kind = type(value)
    if value is None or kind in (bool, str):
        return value
    if kind is int:
        return value if abs(value) < _PLAIN_INT else {"int": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"float": struct.pack(">d", value).hex()}
    encode = _ENCODERS.get(kind)
    if encode is None:
        raise InvalidArgumentError(f"{described(value)} is no number, text, dtype, shape, range or set")
    return encode(value)


def _encoded_shape(shape: TensorShape) -> Any:
    return None if shape.rank is None else shape.as_list()


_ENCODERS: dict[type, Any] = {
    complex: lambda value: {"complex": [encode_value(value.real), encode_value(value.imag)]},
    bytes: lambda value: {"bytes": base64.b64encode(value).decode("ascii")},
    type(...): lambda value: {"ellipsis": True},
    range: lambda value: {"range": [encode_value(one) for one in (value.start, value.stop, value.step)]},
    DType: lambda value: {"dtype": value.short},
    TensorShape: lambda value: {"shape": _encoded_shape(value)},
    TensorSpec: lambda value: {"spec": [_encoded_shape(value.shape), value.dtype.short, value.name]},
    set: lambda value: {"set": sorted(map(encode_value, value), key=repr)},
    frozenset: lambda value: {"frozenset": sorted(map(encode_value, value), key=repr)},
}


def decode_value(found: Any, depth: int = 0) -> Any:
    """The value that `encode_value` wrote.

    Raises:
      FormatError: if it wrote no such thing.
    """
    if found is None or type(found) in (bool, str, int):
        return found
    if type(found) is float:
        if not math.isfinite(found):
            raise FormatError("a number is too large for a float")
        return found
    name, inner = tagged(found)
    decode = _DECODERS.get(name)
    if decode is None or depth > 8:
        raise FormatError(f"{name!r} is no kind of value here")
    return decode(inner, depth + 1)


def _int(inner: Any, depth: int) -> int:
    text = of_kind(inner, str, "an integer")
    try:
        return int(text, 16)
    except ValueError:
        raise FormatError(f"{text[:40]!r} is no integer in hexadecimal") from None


def _float(inner: Any, depth: int) -> float:
    text = of_kind(inner, str, "a float")
    try:
        (value,) = struct.unpack(">d", bytes.fromhex(text))
    except (ValueError, struct.error):
        raise FormatError(f"{text[:40]!r} are no bits of a float") from None
    return float(value)


def _parts(inner: Any, count: int, depth: int) -> list[Any]:
    parts = of_kind(inner, list, "the parts")
    if len(parts) != count:
        raise FormatError(f"{count} parts must stand here, not {len(parts)}")
    return [decode_value(one, depth) for one in parts]


def _complex(inner: Any, depth: int) -> complex:
    real, imaginary = _parts(inner, 2, depth)
    if type(real) is not float or type(imaginary) is not float:
        raise FormatError("a complex number has two floats")
    return complex(real, imaginary)


def _bytes(inner: Any, depth: int) -> bytes:
    try:
        return base64.b64decode(of_kind(inner, str, "bytes"), validate=True)
    except (binascii.Error, ValueError):
        raise FormatError("bytes are not well-formed base64") from None


def _range(inner: Any, depth: int) -> range:
    parts = _parts(inner, 3, depth)
    if any(type(one) is not int for one in parts) or parts[2] == 0:
        raise FormatError("a range has three integers, the last of which is not zero")
    return range(*parts)


def decode_dtype(found: Any) -> DType:
    """The dtype with a short name such as "f32"."""
    dtype = BY_SHORT_NAME.get(of_kind(found, str, "a dtype"))
    if dtype is None:
        raise FormatError(f"{found[:40]!r} is no dtype; there are {', '.join(BY_SHORT_NAME)}")
    return dtype


def decode_shape(found: Any) -> TensorShape:
    """The shape of a list of sizes, or of null, which may be any."""
    if found is None:
        return TensorShape(None)
    sizes = of_kind(found, list, "a shape")
    if len(sizes) > _MOST_AXES:
        raise FormatError(f"a shape has at most {_MOST_AXES} axes")
    try:
        return TensorShape([None if one is None else number_below(one, 1 << 62, "size") for one in sizes])
    except ShapeError as error:
        raise FormatError(error.message) from None


def _spec(inner: Any, depth: int) -> TensorSpec:
    parts = of_kind(inner, list, "a TensorSpec")
    if len(parts) != 3 or not isinstance(parts[2], str | None):
        raise FormatError("a TensorSpec has shape, dtype and name")
    return TensorSpec(decode_shape(parts[0]), decode_dtype(parts[1]), parts[2])


def _set(inner: Any, depth: int) -> Any:
    try:
        return {decode_value(one, depth) for one in of_kind(inner, list, "a set")}
    except TypeError:
        raise FormatError("a set holds values that can be its elements") from None


_DECODERS: dict[str, Any] = {
    "int": _int,
    "float": _float,
    "complex": _complex,
    "bytes": _bytes,
    "ellipsis": lambda inner, depth: ...,
    "range": _range,
    "dtype": lambda inner, depth: decode_dtype(inner),
    "shape": lambda inner, depth: decode_shape(inner),
    "spec": _spec,
    "set": _set,
    "frozenset": lambda inner, depth: frozenset(_set(inner, depth)),
}

__all__: list[str] = []
