"""Errors that graphs raise, in JSON: Python's own classes and ours by name, with what they say."""

from __future__ import annotations

import builtins
from typing import Any

from graphjit.runtime import errors
from graphjit.runtime.errors import FormatError

from .notation import format_constant
from .parsing import parse_constant

_PLAIN = (str, int, float, bool, type(None))


def _classes() -> dict[str, type[Exception]]:
    found = {**vars(builtins), **{name: getattr(errors, name) for name in dir(errors)}}
    return {name: one for name, one in found.items() if isinstance(one, type) and issubclass(one, Exception)}


_CLASSES = _classes()


def error_as_json(error: BaseException) -> list[Any]:
    """Its class's name and what it was made of; for a class of the user's own that of the next one that is known.

    >>> error_as_json(ValueError("no", 3))
    ['ValueError', ['"no"', '3']]
    """
    known = next((one for one in type(error).__mro__ if _CLASSES.get(one.__name__) is one), Exception)
    values = error.args if all(isinstance(one, _PLAIN) for one in error.args) else (str(error),)
    if known is not type(error):
        values = (f"{type(error).__name__}: {error}",)
    return [known.__name__, [format_constant(one) for one in values]]


def error_of_json(found: Any) -> Exception:
    """The error that was written down.

    Raises:
      FormatError: if it is none.
    """
    fits = type(found) is list and len(found) == 2 and type(found[1]) is list
    if not fits or not all(isinstance(one, str) for one in (found[0], *found[1])):
        raise FormatError("an error has a class and a list of what it says")
    cls = _CLASSES.get(found[0])
    if cls is None:
        raise FormatError(f"{found[0][:80]!r} is no class of errors that is known")
    values = [parse_constant(one) for one in found[1]]
    if not all(isinstance(one, _PLAIN) for one in values):
        raise FormatError("an error is made of texts and numbers")
    try:
        return cls(*values)
    except Exception as error:  # noqa: BLE001 -- a constructor may refuse its arguments in any way
        raise FormatError(f"{found[0]} cannot be made of this: {error}") from None


__all__: list[str] = []
