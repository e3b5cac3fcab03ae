"""Object files linked into images, which `flatcode` maps: done once, when the machine code is made.

An object file is sections with holes for each other's addresses. Laid side by side, their
distances are known, and fill the holes wherever the image is put. What is left are the addresses
of a few C functions, for which the image has a table.

Knows ELF for x86-64 as far as kernels use it (System V ABI, AMD64 supplement, section 4.4); what is
anything else, `linked` leaves to LLVM's own linker.
"""

from __future__ import annotations

import json
import mmap
import struct
from collections.abc import Sequence
from typing import Final

from graphjit.runtime.fields import dataclass
from graphjit.runtime.flatcode import MAGIC, SUPPORTED, WORD_BYTES

_WRITTEN, _ALLOCATED = 1, 2
_SYMBOLS, _RELOCATIONS, _ZEROS, _UNWINDING = 2, 4, 8, 0x70000001
_RELATIVE32, _CALL32, _RELATIVE64 = 2, 4, 24
_JUMP: Final = b"\xff\x25"
"""jmp *distance(%rip): how code gets to a function that the table has the address of."""
_STUB_BYTES: Final = 8


@dataclass(slots=True)
class _Section:
    """A section of an object file, and where it lies in the image."""

    kind: int
    flags: int
    content: bytes
    size: int
    names: int
    applies_to: int
    alignment: int
    place: int | None = None

    @property
    def is_loaded(self) -> bool:
        """Whether it is code or data, and not about the file."""
        return bool(self.flags & _ALLOCATED) and self.kind != _UNWINDING


@dataclass(frozen=True, slots=True)
class _Symbol:
    """A name of an object file: the number of its section, 0 where it is defined elsewhere, and its place there."""

    name: str
    section: int
    value: int


class _UnknownError(Exception):
    """The object file has something that is not known here."""


def linked(code: bytes, symbol: str) -> bytes | None:
    """The image of an object file that enters at `symbol`; None where it has anything that is not known here."""
    if not SUPPORTED or code[:6] != b"\x7fELF\x02\x01":
        return None
    try:
        return _Linker(code).image(symbol)
    except _UnknownError:
        return None


class _Linker:
    """Lays the sections of one object file side by side and fills the holes."""

    def __init__(self, code: bytes) -> None:
        self._sections = _sections_of(code)
        self._symbols = _symbols_of(self._sections)
        self._outside = sorted({one.name for one in self._symbols if not one.section and one.name})
        self._fixed = 0
        """How many bytes, from the first on, nobody writes to; the table follows."""
        self._stubs = 0
        self._bytes = bytearray()

    def image(self, symbol: str) -> bytes:
        """A line of facts, then the bytes."""
        self._lay_out()
        for position in range(len(self._outside)):
            place = self._stubs + position * _STUB_BYTES
            distance = self._fixed + position * WORD_BYTES - (place + 6)
            self._bytes[place : place + 6] = _JUMP + struct.pack("<i", distance)
        for section in self._sections:
            if section.kind == _RELOCATIONS and self._sections[section.applies_to].is_loaded:
                self._fill(section.content, self._place(section.applies_to))
        entry = next((self._address(one) for one in self._symbols if one.name == symbol and one.section), None)
        if entry is None:
            raise _UnknownError
        facts = {"entry": entry, "fixed": self._fixed, "outside": self._outside, "size": len(self._bytes)}
        return MAGIC + json.dumps(facts).encode() + b"\n" + bytes(self._bytes).rstrip(b"\0")

    def _lay_out(self) -> None:
        """Code and constants, stubs, and on a page of its own the table and the variables."""
        loaded = [section for section in self._sections if section.is_loaded]
        for section in loaded:
            if not section.flags & _WRITTEN:
                self._append(section)
        self._stubs = self._aligned(_STUB_BYTES)
        self._bytes.extend(bytes(_STUB_BYTES * len(self._outside)))
        self._fixed = self._aligned(mmap.PAGESIZE)
        self._bytes.extend(bytes(WORD_BYTES * len(self._outside)))
        for section in loaded:
            if section.flags & _WRITTEN:
                self._append(section)

    def _append(self, section: _Section) -> None:
        section.place = self._aligned(section.alignment)
        self._bytes.extend(bytes(section.size) if section.kind == _ZEROS else section.content)

    def _aligned(self, alignment: int) -> int:
        """The next place of this alignment."""
        self._bytes.extend(bytes(-len(self._bytes) % max(1, alignment)))
        return len(self._bytes)

    def _place(self, section: int) -> int:
        place = self._sections[section].place if section < len(self._sections) else None
        if place is None:
            raise _UnknownError
        return place

    def _address(self, symbol: _Symbol) -> int:
        """Where a symbol is, or for a function elsewhere the jump to it."""
        if symbol.section:
            return self._place(symbol.section) + symbol.value
        if not symbol.name:
            raise _UnknownError
        return self._stubs + self._outside.index(symbol.name) * _STUB_BYTES

    def _fill(self, relocations: bytes, base: int) -> None:
        for offset, info, addend in struct.iter_unpack("<QQq", relocations):
            kind, symbol = info & 0xFFFFFFFF, self._symbols[info >> 32]
            size = {_RELATIVE32: 4, _CALL32: 4, _RELATIVE64: 8}.get(kind)
            if size is None or (not symbol.section and kind != _CALL32):
                raise _UnknownError
            hole = base + offset
            distance = self._address(symbol) + addend - hole
            self._bytes[hole : hole + size] = distance.to_bytes(size, "little", signed=True)


def _sections_of(code: bytes) -> list[_Section]:
    (table,) = struct.unpack_from("<Q", code, 40)
    size, count = struct.unpack_from("<HH", code, 58)
    sections = []
    for number in range(count):
        _name, kind, flags, _address, offset, length, link, info, alignment, _entry = struct.unpack_from(
            "<IIQQQQIIQQ", code, table + number * size
        )
        content = b"" if kind == _ZEROS else code[offset : offset + length]
        sections.append(_Section(kind, flags, content, length, link, info, alignment))
    return sections


def _symbols_of(sections: Sequence[_Section]) -> list[_Symbol]:
    table = next((section for section in sections if section.kind == _SYMBOLS), None)
    if table is None:
        raise _UnknownError
    names = sections[table.names].content
    return [
        _Symbol(names[name : names.index(0, name)].decode(), section, value)
        for name, _info, _other, section, value, _size in struct.iter_unpack("<IBBHQQ", table.content)
    ]
