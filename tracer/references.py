"""What a function's code names beside its own variables: globals, and attributes of them.

Only the code is read; nothing is run.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import pairwise
from types import CodeType
from typing import NamedTuple


class Reference(NamedTuple):
    """`name.attribute.attribute...` at a line; `module` is set where the name is imported on the spot."""

    name: str
    attributes: tuple[str, ...]
    line: int
    module: str = ""


_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_CELL = frozenset({"LOAD_DEREF", "LOAD_CLASSDEREF", "LOAD_FROM_DICT_OR_DEREF"})
_ATTRIBUTE = frozenset({"LOAD_ATTR", "LOAD_METHOD"})
_SKIPPED = frozenset({"CACHE", "EXTENDED_ARG", "PRECALL", "NOT_TAKEN", "NOP"})


class References(NamedTuple):
    """What a code object and the code inside it name."""

    globals: tuple[Reference, ...]
    cells: tuple[Reference, ...]


@lru_cache(maxsize=1024)
def references_of(code: CodeType) -> References:
    """The names that the code and the functions defined in it use.

    >>> import math
    >>> def area(r):
    ...     return math.pi * r * r
    >>> references_of(area.__code__).globals[0][:2]
    ('math', ('pi',))
    """
    codes = [(one, _instructions(one)) for one in _all_code(code)]
    imported = {name: module for _, instructions in codes for name, module in _imports(instructions)}
    found_globals: dict[tuple[str, tuple[str, ...], str], Reference] = {}
    found_cells: dict[tuple[str, tuple[str, ...]], Reference] = {}
    for one, instructions in codes:
        for operation, reference in _chains(one, instructions, imported):
            if operation in _GLOBAL or reference.module:
                found_globals.setdefault((*reference[:2], reference.module), reference)
            else:
                found_cells.setdefault(reference[:2], reference)
        for reference in _imported_names(one, instructions):
            found_globals.setdefault((*reference[:2], reference.module), reference)
    return References(tuple(found_globals.values()), tuple(found_cells.values()))


def _all_code(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _all_code(constant)


def _instructions(code: CodeType) -> list[dis.Instruction]:
    return [one for one in dis.get_instructions(code) if one.opname not in _SKIPPED]


def _line(instruction: dis.Instruction, code: CodeType) -> int:
    positions = instruction.positions
    return (positions.lineno if positions else None) or code.co_firstlineno


def _chains(
    code: CodeType, instructions: list[dis.Instruction], imported: Mapping[str, str]
) -> Iterator[tuple[str, Reference]]:
    """Each load of a global, a cell or an imported module, with the attributes that are read from it."""
    for index, instruction in enumerate(instructions):
        operation, name = instruction.opname, _loaded(instruction)
        module = "" if operation in _GLOBAL else imported.get(name, "")
        if operation not in _GLOBAL and operation not in _CELL and not module:
            continue
        attributes: list[str] = []
        for following in instructions[index + 1 :]:
            if following.opname not in _ATTRIBUTE:
                break
            attributes.append(str(following.argval))
        yield operation, Reference(name, tuple(attributes), _line(instruction, code), module)


def _loaded(instruction: dis.Instruction) -> str:
    """The name of what an instruction leaves on top of the stack, "" where it loads no variable."""
    operation, argument = instruction.opname, instruction.argval
    if operation in _GLOBAL or operation in _CELL:
        return str(argument)
    if "LOAD_FAST" not in operation:
        return ""
    # Newer versions of Python load two variables, or store one and load another, in one instruction.
    return str(argument[-1] if isinstance(argument, tuple) else argument)


def _imports(instructions: list[dis.Instruction]) -> Iterator[tuple[str, str]]:
    """Variables of the function that hold a module: the variable and the module's name."""
    for one, following in pairwise(instructions):
        if one.opname == "IMPORT_NAME" and following.opname.startswith(("STORE_FAST", "STORE_DEREF")):
            argument = following.argval
            yield str(argument[0] if isinstance(argument, tuple) else argument), str(one.argval)


def _imported_names(code: CodeType, instructions: list[dis.Instruction]) -> Iterator[Reference]:
    """What `from module import name` inside of the function takes."""
    module = ""
    for one in instructions:
        if one.opname == "IMPORT_NAME":
            module = str(one.argval)
        elif one.opname == "IMPORT_FROM":
            yield Reference(module, (str(one.argval),), _line(one, code), module)


__all__: list[str] = []
