"""What converted code calls while it runs; a value that is no traced one always means what it means in Python.

Each is loaded when code that calls it is run first: most functions need few of them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .branching import branch, choose, guard, returned
    from .calling import called
    from .changes import changing, made
    from .checking import assert_, raised
    from .conditions import and_, in_, not_, or_, truth
    from .looping import each, goes_on
    from .values import rows, settled, value

_MODULES = {
    "branching": ("branch", "choose", "guard", "returned"),
    "calling": ("called",),
    "changes": ("changing", "made"),
    "checking": ("assert_", "raised"),
    "looping": ("each", "goes_on"),
    "conditions": ("and_", "in_", "not_", "or_", "truth"),
    "values": ("rows", "settled", "value"),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found: object = getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)
    globals()[name] = found
    return found


__all__ = [
    "and_",
    "assert_",
    "branch",
    "called",
    "changing",
    "choose",
    "each",
    "goes_on",
    "guard",
    "in_",
    "made",
    "not_",
    "or_",
    "raised",
    "returned",
    "rows",
    "settled",
    "truth",
    "value",
]
