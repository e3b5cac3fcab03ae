"""The traces of one function, found by signature and guards, and bounded in number."""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from .concrete import Concrete
from .guards import Guards
from .signature import Call, NumberSlot, Slot, TensorSlot, ValueSlot, VariableSlot

if TYPE_CHECKING:
    from graphjit.runtime.quick.calls import QuickCall

_MOST_RECORDS = 8
"""So many signatures are tried in turn; to look for more would take longer than Python's way."""


class CacheInfo(NamedTuple):
    """Numbers about a function's traces: calls served by one, traces made, the most that are kept, how many are."""

    hits: int
    misses: int
    maxsize: int
    currsize: int


class Entry:
    """One trace: for which arguments it is, what else must hold, and what runs.

    `ties` says for each variable among the arguments which one it must be, where the function reaches it in another
    way as well; variables that are only arguments (None) may be any others.
    """

    __slots__ = ("concrete", "guards", "keys", "names", "reached", "seen", "slots", "slow", "structure", "ties", "used")

    def __init__(self, call: Call, slots: tuple[Slot, ...], concrete: Concrete, guards: Guards) -> None:
        self.structure = call.structure
        self.names = call.names
        self.slots = slots
        self.concrete = concrete
        self.guards = guards
        self.keys: list[Hashable] = []
        self.used = 0
        self.seen = 0
        self.slow = 0
        """How many calls with objects among their arguments went through Python."""
        reached = [*guards.variables(), *concrete.variables]
        self.reached = frozenset(map(id, reached))
        self.ties = tuple(
            (position, call.leaves[position] if id(call.leaves[position]) in self.reached else None)
            for position, slot in enumerate(slots)
            if isinstance(slot, VariableSlot)
        )

    def fits(self, call: Call) -> bool:
        """Whether variables are tied as they were: those among the arguments to those reached in other ways."""
        for position, tie in self.ties:
            leaf = call.leaves[position]
            if (leaf is not tie) if tie is not None else id(leaf) in self.reached:
                return False
        return True

    def accepts(self, call: Call) -> bool:
        """Whether arguments of another signature may be handed to this trace."""
        return self.structure == call.structure and all(map(_slot_accepts, self.slots, call.slots))

    def number_positions(self) -> frozenset[int]:
        """The positions of the numbers that may have any value."""
        return frozenset(position for position, slot in enumerate(self.slots) if isinstance(slot, NumberSlot))

    def unknown_sizes(self) -> int:
        """How many sizes of arguments are open: the fewer, the more specific is the trace."""
        types = (slot.type for slot in self.slots if isinstance(slot, TensorSlot))
        return sum(type.shape.count(None) for type in types)


def _slot_accepts(wanted: Slot, given: Slot) -> bool:
    if isinstance(wanted, TensorSlot) and isinstance(given, TensorSlot):
        return wanted.type.accepts(given.type)
    if isinstance(wanted, NumberSlot):
        return isinstance(given, ValueSlot) and type(given.value) is wanted.kind
    return wanted == given


class TraceCache:
    """The entries of one function; changed by one thread at a time, read by any."""

    # `quick` is a slot, so that native code finds it.
    __slots__ = ("__dict__", "__weakref__", "quick")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.misses = 0
        self.quick: tuple[QuickCall, ...] | None = None
        """What serves calls without Python: the records of signatures, the latest first."""
        self.settled: dict[Hashable, Entry] = {}
        """The entries for which, under a simpler key, a record was made or cannot be."""
        self.short: dict[Hashable, Entry] = {}
        """What serves calls that are told apart by a simpler key."""
        self.free: dict[Hashable, frozenset[int]] = {}
        """For simple arguments, told apart without their numbers, the positions of numbers of any value."""
        self._by_key: dict[Hashable, tuple[Entry, ...]] = {}
        self._entries: list[Entry] = []
        self._clock = itertools.count(1)
        self._retired_hits = 0

    def find(self, call: Call) -> Entry | None:
        """The entry for a call; of several, the one that knows most sizes."""
        for entry in self._by_key.get(call.key, ()):
            if entry.fits(call) and entry.guards.hold():
                return entry
        return None

    def find_wider(self, call: Call) -> Entry | None:
        """An entry that was traced for a wider signature; it is found at once from then on."""
        wider = [entry for entry in self._entries if entry.accepts(call) and entry.fits(call)]
        for entry in sorted(wider, key=Entry.unknown_sizes):
            if entry.guards.hold():
                self.enter(entry, call.key)
                return entry
        return None

    def add(self, entry: Entry, key: Hashable) -> None:
        """Keep an entry; the one that was not used for longest goes if there are too many."""
        self._entries.append(entry)
        self.enter(entry, key)
        self._note_uses()
        entry.used = next(self._clock)
        while len(self._entries) > self.limit:
            self.remove(min(self._entries, key=lambda one: one.used))

    def enter(self, entry: Entry, key: Hashable) -> None:
        """Let an entry be found under a key."""
        self._by_key[key] = (*self._by_key.get(key, ()), entry)
        entry.keys.append(key)
        if len(entry.keys) > self.limit:
            self._forget(entry, entry.keys.pop(0))

    def remember(self, key: Hashable, entry: Entry) -> None:
        """Let an entry be found under a simpler key."""
        if len(self.short) >= 8 * self.limit:
            self.short.clear()
            self.settled.clear()
            self.free.clear()
        self.short[key] = entry

    def settle(self, key: Hashable, entry: Entry, record: QuickCall | None) -> None:
        """Let a record, if there is one, serve the calls with a simpler key that an entry serves."""
        self.settled[key] = entry
        if record is not None:
            kept = tuple(one for one in self.quick or () if one.owner is not entry or one.key != key)
            self.quick = (record, *kept[: _MOST_RECORDS - 1])

    def _note_uses(self) -> None:
        """Note which entries were used since this was asked last; calls themselves only count."""
        for entry in self._entries:
            if entry.concrete.hits != entry.seen:
                entry.seen = entry.concrete.hits
                entry.used = next(self._clock)

    def remove(self, entry: Entry) -> None:
        """Let go of an entry."""
        self._entries.remove(entry)
        self._retired_hits += entry.concrete.hits
        for key in entry.keys:
            self._forget(entry, key)
        self.short = {key: one for key, one in self.short.items() if one is not entry}
        self.settled = {key: one for key, one in self.settled.items() if one is not entry}
        self.quick = tuple(one for one in self.quick or () if one.owner is not entry) or None

    def _forget(self, entry: Entry, key: Hashable) -> None:
        left = tuple(one for one in self._by_key.get(key, ()) if one is not entry)
        if left:
            self._by_key[key] = left
        else:
            self._by_key.pop(key, None)

    def clear(self) -> None:
        """Let go of all entries."""
        self.short = {}
        self.settled = {}
        self.free = {}
        self.quick = None
        self._by_key.clear()
        self._entries.clear()

    def __iter__(self) -> Iterator[Entry]:
        return iter(tuple(self._entries))

    def __len__(self) -> int:
        return len(self._entries)

    def info(self) -> CacheInfo:
        """Hits, misses, limit and size."""
        hits = self._retired_hits + sum(entry.concrete.hits for entry in self._entries)
        return CacheInfo(hits, self.misses, self.limit, len(self._entries))


__all__ = ["CacheInfo"]
