"""Name scopes: prefixes of the names that variables get."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from graphjit.runtime.errors import InvalidArgumentError

_prefix: ContextVar[str] = ContextVar("graphjit_name_scope", default="")
_ALLOWED = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.\\/>-]*")


@contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Put `name/` before the names of variables that are created inside; gives the whole prefix.

    Raises:
      InvalidArgumentError: if the name is empty or holds characters that names cannot hold.

    >>> import graphjit as gj
    >>> with gj.name_scope("dense"):
    ...     print(gj.Variable(1.0, name="w").name)
    dense/w:0
    """
    if not isinstance(name, str) or not _ALLOWED.fullmatch(name):
        raise InvalidArgumentError(f"a name scope is letters, digits, '.', '_', '-' and '/', not {name!r}")
    token = _prefix.set(f"{_prefix.get()}{name.rstrip('/')}/")
    try:
        yield _prefix.get()
    finally:
        _prefix.reset(token)


def scoped_name(name: str) -> str:
    """The name behind the prefixes of all scopes that are open."""
    return _prefix.get() + name
