"""LLVM IR of one function, as text: fresh names, blocks, and what loads and stores tell LLVM about aliasing.

Knows nothing of the kernel language.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

INVARIANT: Final = -1
"""The scope of memory that nobody writes to while the function runs."""

_DOMAIN: Final = 0
_NOTHING: Final = 1
_FIRST_SCOPE: Final = 2


class IRWriter:
    """Collects the instructions of one function; `name` takes what the next names begin with."""

    def __init__(self, scopes: Sequence[int]) -> None:
        """`scopes` are the alias scopes that loads and stores may name."""
        self._lines: list[str] = []
        self._count = 0
        self._scopes = {scope: number for number, scope in enumerate(sorted(scopes))}
        self.name = "t"
        self.block = "entry"

    def fresh(self) -> str:
        """A name that nothing has."""
        self._count += 1
        return f"%{self.name}.{self._count}"

    def emit(self, instruction: str) -> str:
        """Write an instruction that has a result; the result's name."""
        name = self.fresh()
        self._lines.append(f"  {name} = {instruction}\n")
        return name

    def write(self, instruction: str) -> None:
        """Write an instruction that has no result."""
        self._lines.append(f"  {instruction}\n")

    def labels(self, *names: str) -> tuple[str, ...]:
        """Fresh labels of blocks."""
        self._count += 1
        return tuple(f"{name}.{self._count}" for name in names)

    def start(self, label: str) -> None:
        """Begin a block."""
        self._lines.append(f"{label}:\n")
        self.block = label

    def place(self) -> int:
        """A place at which `insert` can write later."""
        self._lines.append("")
        return len(self._lines) - 1

    def insert(self, place: int, instructions: Sequence[str]) -> None:
        """Write instructions at a place that was kept for them."""
        self._lines[place] = "".join(f"  {instruction}\n" for instruction in instructions)

    def body(self) -> str:
        """All that was written."""
        return "".join(self._lines)

    # --- aliasing -----------------------------------------------------------------------------

    def access(self, scope: int) -> str:
        """What a load or store of a scope says: that it overlaps with no other scope."""
        if scope == INVARIANT:
            return f", !invariant.load !{_NOTHING}"
        number, count = self._scopes[scope], len(self._scopes)
        alone = f", !alias.scope !{_FIRST_SCOPE + count + number}"
        return alone + (f", !noalias !{_FIRST_SCOPE + 2 * count + number}" if count > 1 else "")

    def metadata(self) -> str:
        """The definitions of what `access` names: the scopes, each alone in a list, and its list of all others."""
        count = len(self._scopes)
        nodes = ['!{!"graphjit"}', "!{}"]
        nodes += [f'!{{!"scope {scope}", !{_DOMAIN}}}' for scope in self._scopes]
        scopes = [f"!{_FIRST_SCOPE + number}" for number in range(count)]
        nodes += [f"!{{{scope}}}" for scope in scopes]
        nodes += [f"!{{{', '.join(other for other in scopes if other != scope)}}}" for scope in scopes]
        return "".join(f"!{number} = {node}\n" for number, node in enumerate(nodes))
