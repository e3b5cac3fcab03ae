"""Strings taken apart, and put together again: words, bytes, characters, code points."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import require_kind
from ..tensortype import TensorType, int32, int64, string
from .strings import Array, one_of, texts

ENCODINGS = ("UTF-8", "UTF-16-BE", "UTF-32-BE")
ERRORS = ("replace", "strict", "ignore")


def encoding_named(what: str, name: str) -> str:
    """The encoding that is called so, with or without hyphens.

    Raises:
      InvalidArgumentError: if it is none that there is.

    >>> encoding_named("the encoding", "utf8")
    'UTF-8'
    """
    known = {one.replace("-", ""): one for one in ENCODINGS}
    return str(one_of(what, known.get(str(name).upper().replace("-", ""), name), ENCODINGS))


def decoded(element: bytes, encoding: str, errors: str) -> str:
    """The text of a byte string.

    Raises:
      InvalidArgumentError: if it is none in that encoding, and errors are "strict".
    """
    try:
        return element.decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{element!r} is no {encoding}: {error.reason} at byte {error.start}") from None


def _words(element: bytes, *, separator: str, most: int, encoding: str, errors: str) -> list[Any]:
    return element.split(separator.encode() or None, most)


def _bytes(element: bytes, *, separator: str, most: int, encoding: str, errors: str) -> list[Any]:
    return [element[place : place + 1] for place in range(len(element))]


def _characters(element: bytes, *, separator: str, most: int, encoding: str, errors: str) -> list[Any]:
    return [one.encode(encoding) for one in decoded(element, encoding, errors)]


def _codes(element: bytes, *, separator: str, most: int, encoding: str, errors: str) -> list[Any]:
    return [ord(one) for one in decoded(element, encoding, errors)]


_TAKEN = {"words": _words, "bytes": _bytes, "characters": _characters, "codes": _codes}


def _parts_type(types: tuple[TensorType, ...], *, into: str, **_attributes: Any) -> tuple[TensorType, ...]:
    require_kind(types[0], "O")
    return (TensorType(int32 if into == "codes" else string, (None,)), TensorType(int64, types[0].shape))


def _parts(x: Array, *, into: str, **attributes: Any) -> tuple[Array, Array]:
    found = [_TAKEN[into](element, **attributes) for element in x.ravel()]
    lengths = np.array([len(one) for one in found], np.int64).reshape(x.shape)
    elements = [part for one in found for part in one]
    result = np.empty(len(elements), np.int32 if into == "codes" else object)
    for place, element in enumerate(elements):
        result[place] = element
    return result, lengths


def _example(into: str, *values: Any, separator: str = "", most: int = -1) -> Example:
    return Example(
        (texts(*values),),
        {"into": into, "separator": separator, "most": most, "encoding": "UTF-8", "errors": "replace"},
    )


string_parts_op: Op = declare(
    Op(
        name="string_parts",
        kind=Kind.CALL,
        infer=_parts_type,
        numpy=_parts,
        several=True,
        gradient=Differentiability.NONE,
        fails=lambda types, attributes: attributes["errors"] == "strict",
        examples=(
            _example("words", " a bc ", "", "d"),
            _example("words", "a,b,,c", "d", separator=",", most=2),
            _example("bytes", "é"),
            _example("characters", "éa", b"\xff"),
            _example("codes", "éa"),
        ),
        doc="The words, bytes, characters or code points of all strings, and how many each has.",
    )
)


def parts(
    x: Any, into: str, separator: str = "", most: int = -1, encoding: str = "UTF-8", errors: str = "replace"
) -> Any:
    """The parts of all strings, and how many each has."""
    encoding = encoding_named("the encoding", encoding)
    one_of("errors", errors, ERRORS)
    return apply(string_parts_op, x, into=into, separator=separator, most=most, encoding=encoding, errors=errors)


def _encoded_type(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
    codes, splits = types
    require_kind(codes, "iu", "code points")
    require_kind(splits, "iu", "row splits")
    count = splits.shape[0]
    return (TensorType(string, (None if count is None else count - 1,)),)


def _encoded(codes: Array, splits: Array, *, encoding: str, errors: str) -> Array:
    result = np.empty(len(splits) - 1, object)
    for row in range(len(result)):
        characters = [_character(int(code), errors) for code in codes[splits[row] : splits[row + 1]]]
        result[row] = "".join(characters).encode(encoding)
    return result


def _character(code: int, errors: str) -> str:
    if 0 <= code < 0x110000 and not 0xD800 <= code < 0xE000:
        return chr(code)
    if errors == "strict":
        raise InvalidArgumentError(f"{code} is no code point of a character")
    return "\ufffd" if errors == "replace" else ""


encode_op: Op = declare(
    Op(
        name="encode_codes",
        kind=Kind.CALL,
        infer=_encoded_type,
        numpy=_encoded,
        gradient=Differentiability.NONE,
        fails=lambda types, attributes: attributes["errors"] == "strict",
        examples=(
            Example(
                (np.array([99, 233, 97, -1], np.int32), np.array([0, 2, 2, 4])),
                {"encoding": "UTF-8", "errors": "replace"},
            ),
        ),
        doc="The strings of rows of code points.",
    )
)

__all__: list[str] = []
