"""Finding the user's own line, and the user's own name for a value, from the Python stack.

A frame is the user's when its code is not graphjit's and not a library's that
calls back into graphjit (NumPy, functools, contextlib).
"""

from __future__ import annotations

import dis
import linecache
import os
import sys
from functools import lru_cache
from types import CodeType, FrameType

from graphjit.runtime.errors import GraphjitError, observe_errors
from graphjit.runtime.fields import dataclass

from .graph import Location
from .operand import PUBLIC

_PACKAGE = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
_OWN_FOLDERS = tuple(
    os.path.join(_PACKAGE, name) + os.sep for name in ("runtime", "compiler", "tracer", "nn", "src/graphjit")
)
_LIBRARIES = tuple(
    os.path.dirname(os.path.realpath(module.__file__)) + os.sep
    for module in (sys.modules.get("numpy"),)
    if module is not None and module.__file__ is not None
)
_LIBRARY_FILES = frozenset(
    {os.path.realpath(os.path.join(os.path.dirname(os.__file__), name)) for name in ("contextlib.py", "functools.py")}
)


@lru_cache(maxsize=4096)
def is_own_file(filename: str) -> bool:
    """Whether code of this file belongs to graphjit, or to a library that only passes calls on."""
    path = os.path.realpath(filename)
    installed = f"{os.sep}graphjit{os.sep}"
    if path.startswith(_OWN_FOLDERS) or path.startswith(_LIBRARIES) or path in _LIBRARY_FILES:
        return True
    return installed in path and "site-packages" in path


def user_frame() -> FrameType | None:
    """The innermost frame that is the user's."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and is_own_file(frame.f_code.co_filename):
        frame = frame.f_back
    return frame


def location_of_frame(frame: FrameType) -> Location:
    """File, line, function and text of the line that the frame is at."""
    code = frame.f_code
    line = frame.f_lineno or code.co_firstlineno
    text = linecache.getline(code.co_filename, line, frame.f_globals).strip()
    return _location(code.co_filename, line, code.co_name, text)


@lru_cache(maxsize=1024)
def _location(file: str, line: int, function: str, text: str) -> Location:
    """One object for each place, as many graphs may have it."""
    return Location(file, line, function, text)


CodeLine = tuple[CodeType, int]
"""A line as it can be noted quickly; `location_of_line` makes it readable."""


def user_line() -> CodeLine | None:
    """Where the user is, for callers that cannot afford `user_location`."""
    frame = user_frame()
    return None if frame is None else (frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno)


def location_of_line(line: CodeLine | None) -> Location | None:
    """The location that `user_line` noted."""
    if line is None:
        return None
    code, number = line
    text = linecache.getline(code.co_filename, number).strip()
    return _location(code.co_filename, number, code.co_name, text)


def user_location() -> Location | None:
    """Where the user is, or None when no frame is the user's."""
    frame = user_frame()
    return None if frame is None else location_of_frame(frame)


def user_location_and_name() -> tuple[Location | None, str]:
    """Where the user is, and the variable to which the running call's result will be assigned, or ""."""
    frame = user_frame()
    if frame is None:
        return None, ""
    return location_of_frame(frame), _assigned_names(frame.f_code).get(frame.f_lasti, "")


_STORES = frozenset({"STORE_FAST", "STORE_NAME", "STORE_DEREF", "STORE_GLOBAL"})


@lru_cache(maxsize=2048)
def _assigned_names(code: CodeType) -> dict[int, str]:
    """For each instruction directly followed by a store to a variable: the variable's name.

    Python 3.11 places a frame whose call is running in the cache entries behind the call, so these count too.
    """
    names: dict[int, str] = {}
    previous = -1
    for instruction in dis.get_instructions(code):
        if instruction.opname in _STORES and previous >= 0:
            names.update(dict.fromkeys(range(previous, instruction.offset, 2), str(instruction.argval)))
        if instruction.opname not in ("CACHE", "EXTENDED_ARG"):
            previous = instruction.offset
    return names


def describe(location: Location | None) -> str:
    """One line that shows where something was written.

    >>> describe(Location("train.py", 12, "step", "h = x @ w"))
    'train.py:12 in step: h = x @ w'
    """
    if location is None:
        return "(unknown line)"
    where = f" in {location.function}" if location.function not in ("", "<module>") else ""
    text = f": {location.text}" if location.text else ""
    return f"{location}{where}{text}"


@dataclass(frozen=True, slots=True)
class Described:
    """A location as errors show it: file, line, function and the line's text."""

    location: Location

    def __str__(self) -> str:
        return describe(self.location)


def place(location: Location) -> str:
    """File and line, short enough to stand beside code.

    >>> place(Location("/home/me/train.py", 12))
    'train.py:12'
    """
    return f"{os.path.basename(location.file)}:{location.line}"


def add_location(error: Exception, location: Location | None) -> None:
    """Let the error's message name the line of the failing equation; the first one that is added stays."""
    if location is None or not isinstance(error, GraphjitError) or error.pinned:
        return
    error.location = Described(location)
    error.pinned = True


def note_where_user_is(error: GraphjitError) -> None:
    """Put the user's line on a new error, and the public function that was called there."""
    frame: FrameType | None = sys._getframe(1)
    called: list[str] = []
    while frame is not None and is_own_file(frame.f_code.co_filename):
        if _is_called_by_users(frame.f_code):
            called.append(frame.f_code.co_name)
        frame = frame.f_back
    if frame is None:
        return
    error.location = Described(location_of_frame(frame))
    error.entry = called[-1].rstrip("_") if called else ""


def _is_called_by_users(code: CodeType) -> bool:
    """Whether it is the body of a public function: among the ops' files those in the table of public ones."""
    if _OPS in code.co_filename:
        return code.co_name in PUBLIC
    return code.co_filename.endswith(_FILES_OF_FUNCTIONS) and not code.co_name.startswith(("_", "<"))


# Where the functions that users call on tensors stand.
_OPS = os.path.join("compiler", "ops") + os.sep
_FILES_OF_FUNCTIONS = (os.path.join("compiler", "families.py"), os.path.join("tracer", "tensor.py"))

observe_errors(note_where_user_is)
