"""Whose code something is: the user's, which may change while the program runs, or a library's, which is trusted."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import lru_cache
from types import CodeType, ModuleType

from graphjit.compiler.location import is_own_file

_LIBRARY_FOLDERS = tuple(
    {
        os.path.realpath(path) + os.sep
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
        if (path := sysconfig.get_paths().get(name))
    }
)
_OWN_WATCHED = "graphjit.nn"
"""Layers and optimizers are ours, but users change their attributes."""


@lru_cache(maxsize=8192)
def is_library_file(filename: str) -> bool:
    """Whether the file belongs to Python, to an installed package or to graphjit."""
    if filename.startswith("<frozen"):
        return True
    path = os.path.realpath(filename)
    installed = any(f"{os.sep}{name}{os.sep}" in path for name in ("site-packages", "dist-packages"))
    return installed or path.startswith(_LIBRARY_FOLDERS) or is_own_file(filename)


def is_library_code(code: CodeType) -> bool:
    """Whether a function's code belongs to a library."""
    return is_library_file(code.co_filename)


def is_library_module(module: ModuleType) -> bool:
    """Whether a module belongs to a library; modules without a file are built in, but `__main__` is the user's."""
    name = module.__name__
    if name == "__main__":
        return False
    file = getattr(module, "__file__", None)
    if file is None:
        paths = list(getattr(module, "__path__", ()))
        return is_library_file(os.path.join(paths[0], "x.py")) if paths else name in sys.builtin_module_names
    return is_library_file(file)


def is_own_class(cls: type) -> bool:
    """Whether a class is graphjit's: what the class holds does not change, what its objects hold may."""
    return cls.__module__.split(".")[0] == "graphjit"


def is_library_class(cls: type) -> bool:
    """Whether a class belongs to a library."""
    name = cls.__module__
    if name == _OWN_WATCHED or name.startswith(_OWN_WATCHED + "."):
        return False
    module = sys.modules.get(name)
    return module is not None and is_library_module(module)


__all__: list[str] = []
