"""What a function's code names beside its own variables: globals, and attributes of them.

Only the code is read; nothing is run.
"""

from __future__ import annotations

import dis
from collections.abc import Iterator
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
    found_globals: dict[tuple[str, tuple[str, ...], str], Reference] = {}
    found_cells: dict[tuple[str, tuple[str, ...]], Reference] = {}
    for one in _all_code(code):
        imported = dict(_imports(one))
        for operation, reference in _chains(one, frozenset(imported)):
            if operation in _CELL:
                found_cells.setdefault(reference[:2], reference)
                continue
            if operation == "LOAD_FAST":
                reference = reference._replace(module=imported[reference.name])
            found_globals.setdefault((*reference[:2], reference.module), reference)
        for reference in _imported_names(one):
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


def _chains(code: CodeType, imported: frozenset[str]) -> Iterator[tuple[str, Reference]]:
    """Each load of a global, a cell or an imported module, with the attributes that are read from it."""
    instructions = _instructions(code)
    for index, instruction in enumerate(instructions):
        operation, name = instruction.opname, instruction.argval
        fast = operation.startswith("LOAD_FAST") and name in imported
        if operation not in _GLOBAL and operation not in _CELL and not fast:
            continue
        attributes: list[str] = []
        for following in instructions[index + 1 :]:
            if following.opname not in _ATTRIBUTE:
                break
            attributes.append(str(following.argval))
        kind = "LOAD_FAST" if fast else operation
        yield kind, Reference(str(name), tuple(attributes), _line(instruction, code))


def _imports(code: CodeType) -> Iterator[tuple[str, str]]:
    """Local variables that hold a module: the variable and the module's name."""
    instructions = _instructions(code)
    for one, following in pairwise(instructions):
        if one.opname == "IMPORT_NAME" and following.opname == "STORE_FAST":
            yield str(following.argval), str(one.argval)


def _imported_names(code: CodeType) -> Iterator[Reference]:
    """What `from module import name` inside of the function takes."""
    module = ""
    for one in _instructions(code):
        if one.opname == "IMPORT_NAME":
            module = str(one.argval)
        elif one.opname == "IMPORT_FROM":
            yield Reference(module, (str(one.argval),), _line(one, code), module)


__all__: list[str] = []
