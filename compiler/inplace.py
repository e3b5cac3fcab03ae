"""What is computed in the memory of what it replaces: dying temporaries, and the state that a program updates.

A result may lie where an operand lies that nobody reads afterwards: in a kernel, if every element
is read and written in the same round, and in a product that is added to its operand.

State may be updated where it lies only if nothing that is left to do can fail or reads what was
there. So the steps that write it, and those that need them, become the program's tail, which
nothing interrupts. What cannot be computed there is computed elsewhere, and copied at the end.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphjit.runtime.fields import dataclass, field

from .contraction import product_of
from .graph import Equation, Graph, Value
from .kernelcost import kernel_cost
from .op import Kind
from .ops.control import fused_op
from .ops.linear import accumulate_op
from .views import Place

Updates = Sequence[tuple[int, int]]
"""Pairs (position among the graph's inputs, position among its outputs): a state, and what replaces it."""

_SMALLEST_STATE = 2**15
"""Bytes of state from which on an update where it lies pays."""
_LONGEST_TAIL = 2**30
"""What a tail, which nothing interrupts, may cost: some ten milliseconds."""


@dataclass
class InPlace:
    """Which values share memory, and in which order the equations run.

    Attributes:
      order: the equations; from `tail` on they belong to the tail.
      over: for a result the value in whose place it is computed by the equation that makes it.
      homes: for each value that lies in a later one's memory that last one.
      states: for each graph output that replaces a state the input that is this state.
      copied: those of them that are computed elsewhere.
    """

    order: tuple[Equation, ...]
    tail: int
    over: dict[Value, Value] = field(default_factory=dict)
    homes: dict[Value, Value] = field(default_factory=dict)
    states: dict[Value, Value] = field(default_factory=dict)
    copied: frozenset[Value] = frozenset()


def plan_in_place(
    graph: Graph, places: Mapping[Value, Place], updates: Updates, parts: frozenset[Value] = frozenset()
) -> InPlace:
    """Decide it for a fused graph; `parts` lie in other values' memory for another reason."""
    finder = _Finder(graph, places, parts)
    states = finder.states(updates)
    copied: frozenset[Value] = frozenset()
    while states:
        found = finder.with_states(states, copied)
        if isinstance(found, InPlace):
            return found
        if found is None:
            break
        copied |= {found}
    return finder.without_states()


class _Finder:
    def __init__(self, graph: Graph, places: Mapping[Value, Place], parts: frozenset[Value]) -> None:
        self.graph = graph
        self.parts = parts
        self.places = places
        self.equations = graph.equations
        self.readers: dict[Value, list[Equation]] = {}
        for equation in self.equations:
            if not self._is_alias(equation):
                for value in dict.fromkeys(self.root(operand) for operand in equation.operands):
                    self.readers.setdefault(value, []).append(equation)
        self.kept = {self.root(value) for value in graph.outputs}
        self.position = {equation: position for position, equation in enumerate(self.equations)}

    def root(self, value: Value) -> Value:
        """The value in whose buffer a value's elements lie."""
        place = self.places.get(value)
        return value if place is None else place.root

    def _is_alias(self, equation: Equation) -> bool:
        return equation.op.kind is Kind.VIEW and equation.output in self.places

    # --- state ----------------------------------------------------------------------------------

    def states(self, updates: Updates) -> dict[Value, Value]:
        """For each output that replaces a state the state; nothing where some cannot be updated where it lies."""
        found: dict[Value, Value] = {}
        for source, target in updates:
            state, result = self.graph.inputs[source], self.graph.outputs[target]
            made = self.graph.producers.get(result)
            if made is None or self._is_alias(made) or made.op.kind is Kind.SOURCE or made.op.name == "constant":
                return {}
            if result in found or not result.type.is_static or state.type != result.type:
                return {}
            found[result] = state
        return found if sum(map(_size, found)) >= _SMALLEST_STATE else {}

    def with_states(self, states: Mapping[Value, Value], copied: frozenset[Value]) -> InPlace | Value | None:
        """The plan; or a result that has to be copied at the end; or None where the tail would be too long."""
        direct = {result: state for result, state in states.items() if result not in copied}
        if 2 * sum(map(_size, direct)) < sum(map(_size, states)):
            return None
        over = {
            result: state for result, state in direct.items() if self._fits(self.graph.producers[result], result, state)
        }
        tail = self._tail(list(direct))
        refused = self._refused(direct, over, tail)
        if refused is not None:
            return refused
        if sum(map(_cost, tail)) > _LONGEST_TAIL:
            return None
        body = [equation for equation in self.equations if equation not in tail]
        order = (*body, *(equation for equation in self.equations if equation in tail))
        self._add_temporaries(over, order, frozenset(direct))
        return InPlace(order, len(body), over, self._homes(over), dict(states), copied)

    def _tail(self, results: Sequence[Value]) -> set[Equation]:
        """What writes the states, and all that reads what is written there."""
        tail: set[Equation] = set()
        stack = [self.graph.producers[result] for result in results]
        while stack:
            equation = stack.pop()
            if equation not in tail:
                tail.add(equation)
                stack.extend(reader for output in equation.outputs for reader in self.readers.get(output, ()))
        return tail

    def _refused(self, direct: Mapping[Value, Value], over: Mapping[Value, Value], tail: set[Equation]) -> Value | None:
        """A result whose state must not be written where it lies as early as its equation runs."""
        for result, state in direct.items():
            made = self.graph.producers[result]
            if any(not self._is_safe(equation) for equation in self._tail([result])):
                return result
            for reader in self.readers.get(state, ()):
                late = reader in tail and self.position[reader] > self.position[made]
                if late or (reader is made and over.get(result) is not state):
                    return result
        return None

    # --- temporaries ----------------------------------------------------------------------------

    def without_states(self) -> InPlace:
        """The plan where no state is updated where it lies."""
        over: dict[Value, Value] = {}
        self._add_temporaries(over, self.equations, frozenset())
        return InPlace(self.equations, len(self.equations), over, self._homes(over))

    def _add_temporaries(self, over: dict[Value, Value], order: Sequence[Equation], states: frozenset[Value]) -> None:
        """Let results lie where a temporary lies that nobody reads after their equation."""
        position = {equation: number for number, equation in enumerate(order)}
        last = {value: max(readers, key=position.__getitem__) for value, readers in self.readers.items()}
        taken: set[Value] = set()
        for equation in order:
            for result in equation.outputs:
                if result in over or result in states:
                    continue
                for value in equation.operands:
                    dies = last[self.root(value)] is equation and self._is_temporary(value) and value not in taken
                    if dies and self._fits(equation, result, value):
                        over[result] = value
                        taken.add(value)
                        break

    def _is_temporary(self, value: Value) -> bool:
        made = self.graph.producers.get(value)
        native = made is not None and (made.op is fused_op or made.op.kind is Kind.CONTRACTION)
        return native and value not in self.kept and value not in self.parts

    def _homes(self, over: Mapping[Value, Value]) -> dict[Value, Value]:
        """For each temporary in whose place something is computed the last value that lies there."""
        after = {value: result for result, value in over.items() if value in self.graph.producers}
        homes: dict[Value, Value] = {}
        for value in after:
            last = value
            while last in after:
                last = after[last]
            homes[value] = last
        return homes

    def _fits(self, equation: Equation, result: Value, value: Value) -> bool:
        """Whether each element of the result may be written where that element of the value was read."""
        if value.type != result.type or not result.type.is_static or result in self.parts:
            return False
        if equation.op is accumulate_op:
            a, b, c = equation.operands
            return c is value and value not in (self.root(a), self.root(b))
        if equation.op is not fused_op:
            return False
        inside: Graph = equation.attributes["graph"]
        axes = equation.attributes["axes"]
        domain = equation.attributes["domain"]
        target = inside.outputs[equation.outputs.index(result)]
        made = [one.output for one in inside.equations].index(target)
        if any(self.root(operand) is value and operand is not value for operand in equation.operands):
            return False
        places = [number for number, operand in enumerate(equation.operands) if operand is value]
        written = axes[len(inside.inputs) + made]
        once = all(loop in written for loop, size in enumerate(domain) if size != 1)
        if not once or not places or any(axes[number] != written for number in places):
            return False
        return not _is_read_again(inside, frozenset(inside.inputs[number] for number in places))

    def _is_safe(self, equation: Equation) -> bool:
        """Whether an equation runs natively without a pause, and cannot fail."""
        if equation.must_run:
            return False
        if equation.op.kind is Kind.CONTRACTION:
            return product_of(equation, self.places) is not None
        return equation.op is fused_op


def _is_read_again(inside: Graph, sources: frozenset[Value]) -> bool:
    """Whether something needs these inputs, and a reduction: a later pass over a row may read them."""
    near, late = set(sources), set[Value]()
    for equation in inside.equations:
        reads = any(value in near for value in equation.operands)
        follows = any(value in late for value in equation.operands)
        if follows and reads:
            return True
        if follows or equation.op.kind is Kind.REDUCTION:
            late.update(equation.outputs)
        elif reads:
            near.update(equation.outputs)
    return False


def _size(value: Value) -> int:
    return value.type.element_count * value.type.dtype.size


def _cost(equation: Equation) -> int:
    if equation.op is fused_op:
        return kernel_cost(equation)
    if equation.op.kind is Kind.CONTRACTION:
        rows = equation.operand_types[0].sizes[-2 if equation.attributes["transpose_a"] else -1]
        return equation.output.type.element_count * rows
    return 0
