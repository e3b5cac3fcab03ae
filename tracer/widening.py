"""Traces for open sizes: which sizes to leave open when another shape comes."""

from __future__ import annotations

from collections.abc import Iterable

from graphjit.compiler.tensortype import TensorType

from .cache import Entry
from .signature import Call, Slot, TensorSlot


def widened(entries: Iterable[Entry], call: Call) -> tuple[Slot, ...]:
    """The slots to trace a call for: sizes are open where an earlier trace, alike in everything else, has others."""
    like = next((one for one in reversed(list(entries)) if _differs_in_sizes(one, call)), None)
    return call.slots if like is None else tuple(map(_joined, like.slots, call.slots))


def _differs_in_sizes(entry: Entry, call: Call) -> bool:
    """Whether a trace is for arguments that differ from the call's in sizes only."""
    return entry.structure == call.structure and all(
        old == new or _joined(old, new) != new for old, new in zip(entry.slots, call.slots, strict=True)
    )


def _joined(old: Slot, new: Slot) -> Slot:
    """A slot for both, where they are tensors of one dtype and rank; else the new one."""
    if not isinstance(old, TensorSlot) or not isinstance(new, TensorSlot):
        return new
    if old.type.dtype is not new.type.dtype or old.type.rank != new.type.rank:
        return new
    sizes = tuple(a if a == b else None for a, b in zip(old.type.shape, new.type.shape, strict=True))
    return TensorSlot(TensorType(new.type.dtype, sizes))


__all__: list[str] = []
