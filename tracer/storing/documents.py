"""JSON that somebody else wrote: read with a bound on its size, and taken apart with a check at each step."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, TypeVar

from graphjit.runtime.errors import FormatError

T = TypeVar("T")
_MOST_BYTES = 1 << 28
_WORDS = {dict: "an object", list: "a list", str: "a text", int: "an integer", bool: "true or false"}


def parse_json(data: bytes) -> Any:
    """What a JSON text says.

    Raises:
      FormatError: if it is none, is nested deeper than Python goes, names something twice, or holds NaN.

    >>> parse_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    graphjit.runtime.errors.FormatError: 'a' is given twice
    ...
    """
    if len(data) > _MOST_BYTES:
        raise FormatError(f"a description has at most {_MOST_BYTES} bytes, not {len(data)}")
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_distinct, parse_constant=_refused)
    except (ValueError, RecursionError) as error:
        if isinstance(error, FormatError):
            raise
        raise FormatError(f"it is no JSON: {error}") from None


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise FormatError(f"{next(name for name in names if names.count(name) > 1)!r} is given twice")
    return found


def _refused(word: str) -> NoReturn:
    raise FormatError(f"{word} is no number of JSON")


@contextmanager
def at(place: str) -> Iterator[None]:
    """Let errors begin with the place in the document."""
    try:
        yield
    except FormatError as error:
        raise FormatError(f"{place}: {error.message}") from None


def of_kind(found: Any, kind: type[T], what: str) -> T:
    """The value itself, which must be of exactly this kind."""
    if type(found) is not kind:
        raise FormatError(f"{what} must be {_WORDS[kind]}, not {_shown(found)}")
    return found


def field(found: Any, name: str, kind: type[T]) -> T:
    """A field of an object, which must be of exactly this kind."""
    return of_kind(of_kind(found, dict, "this").get(name), kind, repr(name))


def only(found: Any, names: Sequence[str]) -> dict[str, Any]:
    """The value itself, which must be an object with exactly these fields."""
    given = of_kind(found, dict, "this")
    if given.keys() != set(names):
        raise FormatError(f"an object with {', '.join(names)} must stand here, not one with {', '.join(given)[:100]}")
    return given


def tagged(found: Any) -> tuple[str, Any]:
    """The only name and value of an object that says by its name what it is."""
    if type(found) is not dict or len(found) != 1:
        raise FormatError(f"an object with one field must stand here, not {_shown(found)}")
    return next(iter(found.items()))


def number_below(found: Any, limit: int, what: str) -> int:
    """A number from 0 to `limit` - 1."""
    if type(found) is not int or not 0 <= found < limit:
        raise FormatError(f"{_shown(found)} is no {what}: there are {limit}")
    return found


def _shown(found: Any) -> str:
    if isinstance(found, dict | list):
        return f"{_WORDS[type(found)]} of {len(found)}"
    return repr(found)[:80]


__all__: list[str] = []
