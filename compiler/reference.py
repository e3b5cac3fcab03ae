"""Hashable stand-ins for things whose == compares elements."""

from __future__ import annotations

from typing import Any


class Reference:
    """Identifies one tensor, symbol or variable; equal only to references to the same thing.

    `identity` is what tells the thing from others where several objects stand for it (symbols of one value).
    """

    __slots__ = ("_identity", "_target")

    def __init__(self, target: Any, identity: Any = None) -> None:
        self._target = target
        self._identity = target if identity is None else identity

    def deref(self) -> Any:
        """The tensor, symbol or variable."""
        return self._target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and other._identity is self._identity

    def __hash__(self) -> int:
        return id(self._identity)

    def __repr__(self) -> str:
        return f"<Reference to {self._target!r}>"
