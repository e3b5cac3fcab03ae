"""Finding what holds an object: for messages about values that were kept where they should not be."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from types import CellType, ModuleType
from typing import Any


def describe_holder(value: Any) -> str:
    """The first thing outside of running functions that is found to hold `value`, in words; "" if there is none.

    >>> class Keeper:
    ...     pass
    >>> keeper = Keeper()
    >>> keeper.last = object()
    >>> describe_holder(keeper.last)
    "the attribute 'last' of a Keeper object"
    """
    # Not a generator expression: that would itself hold the value, in a cell.
    for holder in gc.get_referrers(value):
        text = _in_words(holder, value)
        if text:
            return text
    return ""


def _in_words(holder: Any, value: Any) -> str:
    if isinstance(holder, dict):
        return _of_dict(holder, value)
    if isinstance(holder, CellType):
        return "a variable of an enclosing function"
    if isinstance(holder, list | set):
        return f"a {type(holder).__name__}"
    return _attribute(holder, value) if hasattr(holder, "__dict__") else ""


def _of_dict(holder: dict[Any, Any], value: Any) -> str:
    """What a dict is: a module's names, an object's attributes, or a dict of the user's."""
    name = next((key for key, one in list(holder.items()) if one is value), None)
    if name is None:
        return ""
    for module in list(sys.modules.values()):
        if isinstance(module, ModuleType) and vars(module) is holder:
            return f"the global {name!r} of the module {module.__name__!r}"
    return next(_owners(holder, value), f"a dict, as {name!r}")


def _owners(holder: dict[Any, Any], value: Any) -> Iterator[str]:
    for owner in gc.get_referrers(holder):
        if getattr(owner, "__dict__", None) is holder:
            yield _attribute(owner, value)


def _attribute(owner: Any, value: Any) -> str:
    for name, one in list(vars(owner).items()):
        if one is value:
            kind = (
                f"the class {owner.__qualname__}" if isinstance(owner, type) else f"a {type(owner).__qualname__} object"
            )
            return f"the attribute {name!r} of {kind}"
    return ""


__all__: list[str] = []
