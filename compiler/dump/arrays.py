"""Reading a constant array from the text form (`notation` says how it is written)."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..graph import Literal
from ..tensortype import DType, TensorType
from .tokens import Tokens


def read_literal(tokens: Tokens, wanted: TensorType) -> Literal:
    """The array of type `wanted` whose elements come next.

    Raises:
      FormatError: if they are of another number or kind.
    """
    if tokens.at("..."):
        tokens.fail("this text was shortened for people: the array's elements are left out")
    if tokens.accept("base64"):
        return Literal(_decoded(tokens, wanted))
    if wanted.rank == 0 or tokens.at("["):
        elements = list(_nested(tokens, wanted, 0))
        if wanted.dtype.is_string:
            return Literal(_of_strings(elements, wanted))
        return Literal(np.array(elements, dtype=wanted.dtype.numpy).reshape(wanted.sizes))
    if wanted.dtype.is_string:
        tokens.fail("strings are written one by one")
    if wanted.byte_count > tokens.splat_bytes:
        tokens.fail(f"an array of one repeated element has at most {tokens.splat_bytes} bytes here, not {wanted}")
    return Literal(np.full(wanted.sizes, _element(tokens, wanted.dtype)))


def _decoded(tokens: Tokens, wanted: TensorType) -> np.ndarray[Any, Any]:
    token = tokens.take_kind("string", "a string in base64")
    if wanted.dtype.is_string:
        tokens.fail("strings are written one by one", token)
    try:
        data = base64.b64decode(token.text[1:-1], validate=True)
    except (binascii.Error, ValueError):
        tokens.fail("the array is not well-formed base64", token)
    if len(data) != wanted.byte_count:
        tokens.fail(f"{len(data)} bytes are given for an array of type {wanted}", token)
    little = np.frombuffer(data, wanted.dtype.numpy.newbyteorder("<"))
    return little.astype(wanted.dtype.numpy).reshape(wanted.sizes)


def _nested(tokens: Tokens, wanted: TensorType, axis: int) -> Iterator[Any]:
    if axis == wanted.rank:
        yield _element(tokens, wanted.dtype)
        return
    tokens.expect("[")
    for position in range(wanted.sizes[axis]):
        if position:
            tokens.expect(",")
        yield from _nested(tokens, wanted, axis + 1)
    tokens.expect("]")


def _element(tokens: Tokens, dtype: DType) -> Any:
    if dtype.is_bool:
        return _boolean(tokens)
    if dtype.is_string:
        return _string(tokens)
    if dtype.is_complex:
        return _complex(tokens, dtype)
    return _number(tokens, dtype.numpy)


def _of_strings(elements: list[Any], wanted: TensorType) -> np.ndarray[Any, Any]:
    array = np.empty(len(elements), object)
    array[:] = elements
    return array.reshape(wanted.sizes)


def _string(tokens: Tokens) -> bytes:
    token = tokens.take_kind("string", "a string")
    try:
        return str(json.loads(token.text)).encode("latin-1")
    except ValueError:
        tokens.fail("a string of an array has characters that stand for bytes", token)


def _boolean(tokens: Tokens) -> Any:
    token = tokens.take_kind("word", "true or false")
    if token.text not in ("true", "false"):
        tokens.fail(f"true or false was expected, but {token.text!r} came", token)
    return np.bool_(token.text == "true")


def _complex(tokens: Tokens, dtype: DType) -> Any:
    part = np.dtype(f"f{dtype.size // 2}")
    tokens.expect("(")
    real = _number(tokens, part)
    tokens.expect(",")
    imaginary = _number(tokens, part)
    tokens.expect(")")
    return np.array([real, imaginary], part).view(dtype.numpy)[0]


def _number(tokens: Tokens, dtype: np.dtype[Any]) -> Any:
    token = tokens.take_kind("number", "a number")
    try:
        return number_from_text(token.text, dtype)
    except (ValueError, OverflowError):
        tokens.fail(f"{token.text} is no element of an array of {dtype}", token)


def number_from_text(text: str, dtype: np.dtype[Any]) -> Any:
    """The NumPy number that a decimal, or a float's bits in hexadecimal, stand for.

    Raises:
      ValueError, OverflowError: if it is no number of that dtype.

    >>> number_from_text("0x7fc00000", np.dtype("float32"))
    np.float32(nan)
    """
    if dtype.kind in "iu":
        return dtype.type(int(text))
    if text.startswith("0x"):
        bits = int(text, 16).to_bytes(dtype.itemsize, "little")
        return np.frombuffer(bits, dtype.newbyteorder("<")).astype(dtype)[0]
    value = float(text)
    if np.isfinite(value) and abs(value) > float(np.finfo(dtype).max):
        raise OverflowError(text)
    return dtype.type(value)
