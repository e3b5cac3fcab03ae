"""Python numbers that bring a new trace with every value, and need not.

When numbers have brought three traces whose graphs are the same up to those literals, the function is traced
with numbers of any value. That trace is only kept if, with each of the three values put in, it is
the graph that was traced for the value.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from graphjit.compiler.equality import attributes_key
from graphjit.compiler.graph import Graph, Literal, Value
from graphjit.compiler.operand import as_array
from graphjit.runtime.errors import GraphjitError
from graphjit.runtime.fields import dataclass, replace

from .adapting import ValueNeededError
from .guards import Guards
from .retraces import Cause
from .signature import Call, NumberSlot, Slot, ValueSlot, value_key
from .tracing import Number, TracedFunction, source_key

Positions = frozenset[int]
TraceIt = Callable[[Call, tuple[Slot, ...]], tuple[TracedFunction, Guards]]
_DISTINCT = 3
_MOST_FAMILIES = 32


@dataclass(frozen=True)
class Wider:
    """A trace for numbers of any value."""

    call: Call
    slots: tuple[Slot, ...]
    traced: TracedFunction
    guards: Guards
    cause: Cause


@dataclass(frozen=True)
class _Seen:
    """What a trace for particular numbers computes; nothing of the user's is kept alive."""

    values: Mapping[int, Any]
    form: Hashable


class Generalizer:
    """Decides which numbers among the arguments of one function may have any value."""

    def __init__(self, static: tuple[str, ...]) -> None:
        self._static = frozenset(static)
        self._families: dict[Hashable, list[_Seen]] = {}
        self._free: dict[Hashable, Positions] = {}
        self._refused: dict[Hashable, Positions] = {}

    def generalized(self, call: Call) -> Call:
        """The call with its slots as the cache knows them: without values where any value does."""
        if not self._free:
            return call
        slots = tuple(map(_freed, call.slots))
        free = self._free.get((call.structure, slots))
        if not free:
            return call
        kept = zip(slots, call.slots, strict=True)
        return replace(call, slots=tuple(new if p in free else old for p, (new, old) in enumerate(kept)))

    def withdrawn(self, call: Call) -> Call:
        """The call with the values of all numbers, for a trace under other circumstances than those that were tried."""
        if not any(isinstance(slot, NumberSlot) for slot in call.slots):
            return call
        self._free.pop((call.structure, tuple(map(_freed, call.slots))), None)
        slots = tuple(
            ValueSlot(value_key(leaf), leaf) if isinstance(slot, NumberSlot) else slot
            for slot, leaf in zip(call.slots, call.leaves, strict=True)
        )
        return replace(call, slots=slots)

    @property
    def is_active(self) -> bool:
        """Whether some numbers may have any value."""
        return bool(self._free)

    def clear(self) -> None:
        """Forget everything."""
        self._families.clear()
        self._free.clear()
        self._refused.clear()

    def try_wider(self, call: Call, traced: TracedFunction, trace: TraceIt) -> Wider | None:
        """Take in a trace; a wider one if the numbers in it turn out not to matter."""
        numbers = self._candidates(call)
        if not numbers:
            return None
        while len(self._families) >= _MOST_FAMILIES:
            del self._families[next(iter(self._families))]
        family = self._families.setdefault((call.structure, tuple(map(_freed, call.slots))), [])
        family.append(_Seen({position: call.leaves[position] for position in numbers}, _form(traced, {})))
        del family[:-_DISTINCT]
        varying = frozenset(p for p in numbers if len({_exact(seen.values[p]) for seen in family}) > 1)
        if len(family) < _DISTINCT or not varying:
            return None
        found = self._attempt(call, varying, family, trace)
        family.clear()
        return found

    def _candidates(self, call: Call) -> Positions:
        """Positions of numbers that may turn out to be free."""
        refused = self._refused.get(call.structure, frozenset())
        return frozenset(
            position
            for position, slot in enumerate(call.slots)
            if isinstance(_freed(slot), NumberSlot)
            and position not in refused
            and call.names.parameter_of(position) not in self._static
        )

    def _attempt(self, call: Call, free: Positions, family: list[_Seen], trace: TraceIt) -> Wider | None:
        while free:
            slots = tuple(_freed(slot) if position in free else slot for position, slot in enumerate(call.slots))
            try:
                traced, guards = trace(call, slots)
            except ValueNeededError as error:
                self._refuse(call, frozenset({error.position}))
                free -= {error.position}
                continue
            except GraphjitError:
                # With plain values the trace succeeded, so it is the stand-in that does not fit.
                break
            if all(_is_instance(traced, seen) for seen in family):
                self._free[call.structure, tuple(map(_freed, call.slots))] = free
                return Wider(replace(call, slots=slots), slots, traced, guards, self._cause(call, free, family))
            break
        self._refuse(call, free)
        return None

    def _refuse(self, call: Call, positions: Positions) -> None:
        self._refused[call.structure] = self._refused.get(call.structure, frozenset()) | positions

    def _cause(self, call: Call, free: Positions, family: list[_Seen]) -> Cause:
        names = ", ".join(repr(call.names[position]) for position in sorted(free))
        old = "; ".join(", ".join(repr(seen.values[position]) for position in sorted(free)) for seen in family)
        return Cause(f"argument {names}", f"{old} in turn", "any number from now on", "", "number")


def _freed(slot: Slot) -> Slot:
    """The slot of a number of any value, where the slot is one of an int or a float."""
    if isinstance(slot, ValueSlot) and type(slot.value) in (int, float):
        limits = np.iinfo(np.int32)
        if type(slot.value) is float or limits.min <= slot.value <= limits.max:
            return NumberSlot(type(slot.value))
    return slot


def _exact(value: Any) -> Hashable:
    return type(value), value.hex() if isinstance(value, float) else value


def _is_instance(wide: TracedFunction, seen: _Seen) -> bool:
    """Whether the wide trace, with the numbers put in, is the trace that was made for them."""
    try:
        literals = {
            value: Literal(as_array(seen.values[source.position], source.dtype))
            for value, source in zip(wide.graph.inputs, wide.sources, strict=True)
            if isinstance(source, Number)
        }
    except GraphjitError:
        return False
    return _form(wide, literals) == seen.form


def _surroundings(traced: TracedFunction) -> Hashable:
    """Where inputs come from and outputs go to, numbers excepted."""
    sources = [source_key(source) for source in traced.sources]
    kept = tuple(value_key(one) for one in traced.results.kept)
    bound = tuple(key for key in sources if key[0] is not Number)
    return bound, tuple(sources[index] for index in traced.updates), traced.results.structure, kept


def _form(traced: TracedFunction, literals: Mapping[Value, Literal]) -> Hashable:
    """What a trace computes, with constants by their bits: equal where two traces do the same."""
    return _computation(traced.graph, literals), _surroundings(traced)


def _computation(graph: Graph, literals: Mapping[Value, Literal]) -> Hashable:
    tokens: dict[Value, Hashable] = dict(literals)
    inputs = [value for value in graph.inputs if value not in literals]
    tokens.update((value, number) for number, value in enumerate(inputs))
    equations: list[Hashable] = []
    for equation in graph.equations:
        if equation.op.name == "constant":
            tokens[equation.output] = equation.attributes["value"]
            continue
        operands = tuple(tokens[value] for value in equation.operands)
        equations.append((equation.op.name, attributes_key(equation.attributes), operands))
        tokens.update((value, (len(equations), place)) for place, value in enumerate(equation.outputs))
    types = tuple(value.type for value in inputs)
    return types, tuple(equations), tuple(tokens[value] for value in graph.outputs)


__all__: list[str] = []
