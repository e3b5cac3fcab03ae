"""Whose functions are converted: the user's, and those of the packages that the user names."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar

from ..origin import is_library_code

F = TypeVar("F", bound=Callable[..., Any])

_MARK = "__graphjit_no_convert__"

unconverted: list[str] = []
"""Modules and packages whose functions are left as they are, beside those that never are converted: the standard
library, installed packages, and graphjit itself."""

converted: list[str] = []
"""Installed packages and modules whose functions are converted all the same."""


def no_convert(function: F) -> F:
    """Leave a function as it is: its `if`, `for` and `while` are Python's, also when a compiled function calls it.

    >>> import graphjit as gj
    >>> @gj.no_convert
    ... def describe(x):
    ...     return "many" if len(x) > 3 else "few"
    >>> describe([1, 2])
    'few'
    """
    setattr(inspect.unwrap(function), _MARK, True)
    setattr(function, _MARK, True)
    return function


def is_marked(function: Any) -> bool:
    """Whether `no_convert` was put on it."""
    return getattr(function, _MARK, False) is True


def reason_against(function: FunctionType) -> str:
    """Why a function is not converted, in words; "" if it may be."""
    if is_marked(function):
        return "gj.no_convert says so"
    if function.__code__.co_flags & _NO_RESULTS:
        return "generators and coroutines run as they are"
    module = function.__globals__.get("__name__", "")
    if _is_among(module, converted):
        return ""
    if _is_among(module, unconverted):
        return f"gj.autograph.unconverted holds {module!r}"
    return "it belongs to a library" if is_library_code(function.__code__) else ""


_NO_RESULTS = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR


def _is_among(module: str, names: list[str]) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


__all__ = ["converted", "no_convert", "unconverted"]
