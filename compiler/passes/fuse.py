"""Group equations that can share their loops; each group becomes one `fused` equation, and later one kernel.

>>> from graphjit.compiler.dump.text import show
>>> show(fuse, '''
... f(%x: f32[64,10]) {
...   %a: f32[64,10] = exp(%x)
...   %b: f32[64,10] = tanh(%a)
...   return %b
... }
... ''')
f(%x: f32[64,10]) {
  %b: f32[64,10] = fused(%x) {
    axes=((0, 1), (0, 1), (0, 1)),
    domain=(64, 10),
    graph=exp_tanh(%x: f32[64,10]) {
      %a: f32[64,10] = exp(%x)
      %b: f32[64,10] = tanh(%a)
      return %b
    },
    inner=none
  }
  return %b
}
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from graphjit.runtime.fields import dataclass, replace

from ..contraction import as_product, runs_in_blas
from ..control import runs_natively
from ..graph import Equation, Graph, Value, constant_of
from ..kernel_facts import runs_in_kernel
from ..loopkernel import is_scalar_loop
from ..loopspace import LoopSpace
from ..maploop import is_map_loop
from ..op import Kind
from ..ops.control import fused_op
from ..ops.copying import copy_op
from ..views import Place, is_computed, own_place, place_of_result, place_of_view

MOST_STATEMENTS = 100
MOST_BUFFERS = 28
MOST_RESULTS = 28
"""Of the values of a group, so many may still wait for readers, which could be other groups' equations."""

# Constants that are worth being seen by the machine-code compiler. Other scalars are
# passed in, so that kernels which differ only in a learning rate are one kernel.
_WRITTEN_OUT = frozenset({0.0, 1.0, -1.0, 2.0, 0.5, -0.5, 3.0, 4.0, 0.25, float("inf"), float("-inf")})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an equation did not join the group that `beside` is in."""

    equation: Equation
    beside: Equation
    reason: str


class _Unit:
    """Equations that run as one step: a group that shares its loops, or one equation by itself."""

    __slots__ = ("equations", "is_needed", "mark", "needs", "outer", "position", "space", "waiting")

    def __init__(self, position: int, mark: int, equation: Equation | None = None) -> None:
        self.position = position
        self.mark = mark
        """One bit that no other unit has."""
        self.needs = 0
        """The marks of all units that it needs, directly or through others."""
        self.is_needed = False
        self.space: LoopSpace | None = None
        self.equations: list[Equation] = [] if equation is None else [equation]
        self.outer: set[Value] = set()  # what it reads from outside
        self.waiting: dict[Value, int] = {}  # how many readers of a value have not joined it

    def enter(self, equation: Equation, readers: Mapping[Value, int]) -> None:
        """Note that an equation has joined, and that its results wait for their readers."""
        for operand in set(equation.operands) & self.waiting.keys():
            self.waiting[operand] -= 1
            if not self.waiting[operand]:
                del self.waiting[operand]
        self.waiting.update({value: readers[value] for value in equation.outputs if value in readers})


class _Fuser:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.unit_of: dict[Value, _Unit] = {}
        self.units: list[_Unit] = []
        self.position: dict[Value, int] = {}
        self.refusals: list[Refusal] = []
        self.readers = _numbers_of_readers(graph)
        self.marks = 0

    # --- forming groups -----------------------------------------------------------------------

    def run(self) -> Graph:
        last_effect: _Unit | None = None
        follows: dict[_Unit, _Unit] = {}
        for position, equation in enumerate(self.graph.equations):
            for output in equation.outputs:
                self.position[output] = position
            unit = self._place(position, equation)
            if equation.has_effect:
                if last_effect is not None:
                    follows[unit] = last_effect
                last_effect = unit
        return self._written(self._ordered(follows))

    def _place(self, position: int, equation: Equation) -> _Unit:
        if equation.op.kind is Kind.VIEW:
            self._alias_in_groups(equation)
            return self._alone(position, equation)
        if not runs_in_kernel(equation):
            return self._alone(position, equation)
        tried: set[_Unit] = set()
        # Asked anew each time, as an attempt may have merged two of the candidates.
        while rest := [unit for unit in self._candidates(equation) if unit not in tried]:
            unit = rest[0]
            tried.add(unit)
            refusal = self._join(unit, equation)
            if refusal is None:
                return unit
            self.refusals.append(Refusal(equation, unit.space.equations[0] if unit.space else equation, refusal))
        unit = _Unit(position, self._mark())
        unit.space = LoopSpace()
        if unit.space.add(equation) is not None:
            return self._alone(position, equation)
        self.units.append(unit)
        self._adopt(unit, equation)
        return unit

    def _alone(self, position: int, equation: Equation) -> _Unit:
        unit = _Unit(position, self._mark(), equation)
        self.units.append(unit)
        self._read(unit, equation.operands)
        for output in equation.outputs:
            self.unit_of[output] = unit
        return unit

    def _alias_in_groups(self, equation: Equation) -> None:
        """A view of a value of a group is known to the group as well, where it keeps its loops."""
        (operand,) = equation.operands
        unit = self._group_of(operand)
        if unit is not None and unit.space is not None and unit.space.add(equation) is None:
            unit.enter(equation, self.readers)

    def _group_of(self, value: Value) -> _Unit | None:
        """The group that knows the value: it computes it, or a view's source of it."""
        unit = self.unit_of.get(value)
        while unit is not None and unit.space is None:
            (equation,) = unit.equations
            if equation.op.kind is not Kind.VIEW:
                return None
            unit = self.unit_of.get(equation.operands[0])
        return unit

    def _candidates(self, equation: Equation) -> list[_Unit]:
        """The groups that compute an operand, the one with the most loops first."""
        found = dict.fromkeys(
            unit
            for operand in equation.operands
            if (unit := self._group_of(operand)) is not None and unit.space is not None and unit.space.computes(operand)
        )
        return sorted(found, key=lambda unit: -len(unit.space.domain if unit.space else ()))

    def _join(self, unit: _Unit, equation: Equation) -> str | None:
        """Let a group take the equation in; None, or why it cannot."""
        assert unit.space is not None
        if len(unit.space.equations) >= MOST_STATEMENTS or len(unit.space.inputs) >= MOST_BUFFERS:
            return "the kernel would be too large"
        if len(unit.waiting) >= MOST_RESULTS:
            return "the kernel might have too many results"
        self._merge_operands(unit, equation)
        if any(self._depends(operand, unit) for operand in equation.operands if not unit.space.computes(operand)):
            return "another operand is made from the group's results by a step in between"
        refusal = unit.space.add(equation)
        if refusal is None:
            self._adopt(unit, equation)
        return refusal

    def _merge_operands(self, unit: _Unit, equation: Equation) -> None:
        """Bring the other groups that compute operands into this one, where their loops are the same."""
        for operand in equation.operands:
            other = self._group_of(operand)
            if other is None or other is unit or other.space is None or not other.space.computes(operand):
                continue
            if self._can_merge(unit, other):
                self._merge(unit, other)

    def _can_merge(self, unit: _Unit, other: _Unit) -> bool:
        assert unit.space is not None and other.space is not None
        if len(unit.space.equations) + len(other.space.equations) > MOST_STATEMENTS:
            return False
        if len(unit.space.inputs) + len(other.space.inputs) > MOST_BUFFERS:
            return False
        if len(unit.waiting) + len(other.waiting) > MOST_RESULTS:
            return False
        return not self._reaches(other, unit) and not self._reaches(unit, other)

    def _merge(self, unit: _Unit, other: _Unit) -> None:
        assert unit.space is not None and other.space is not None
        if not unit.space.merge(other.space):
            return
        for value in other.space.axes:
            if self.unit_of.get(value) is other:
                self.unit_of[value] = unit
        unit.outer.update(other.outer)
        unit.is_needed |= other.is_needed
        self._need(unit, other.needs)
        for one in self.units:
            if one.needs & other.mark:
                one.needs |= unit.mark | unit.needs
        unit.waiting.update(other.waiting)
        self.units.remove(other)

    def _adopt(self, unit: _Unit, equation: Equation) -> None:
        assert unit.space is not None
        self.unit_of[equation.output] = unit
        unit.enter(equation, self.readers)
        self._read(unit, [operand for operand in equation.operands if not unit.space.computes(operand)])

    # --- dependencies ---------------------------------------------------------------------------

    def _mark(self) -> int:
        self.marks += 1
        return 1 << self.marks

    def _read(self, unit: _Unit, values: Iterable[Value]) -> None:
        """Note what a unit reads, and so which units it needs."""
        for value in values:
            unit.outer.add(value)
            source = self.unit_of.get(value)
            if source is not None and source is not unit:
                source.is_needed = True
                self._need(unit, source.mark | source.needs)

    def _need(self, unit: _Unit, marks: int) -> None:
        """Note that a unit needs others, and that so does whoever needs it."""
        if not marks & ~unit.needs:
            return
        unit.needs |= marks
        if unit.is_needed:
            for one in self.units:
                if one.needs & unit.mark:
                    one.needs |= marks

    def _depends(self, value: Value, unit: _Unit) -> bool:
        """Whether `value` is made by, or from, what `unit` computes."""
        start = self.unit_of.get(value)
        return start is not None and (start is unit or self._reaches(start, unit))

    def _reaches(self, start: _Unit, goal: _Unit) -> bool:
        """Whether `start` needs `goal`, directly or through others."""
        return bool(start.needs & goal.mark)

    def _ordered(self, follows: Mapping[_Unit, _Unit]) -> list[_Unit]:
        """The units in an order in which each comes after what it needs, else as the user wrote them."""
        waits: dict[_Unit, set[_Unit]] = {}
        wakes: dict[_Unit, list[_Unit]] = {}
        for unit in self.units:
            needed = {self.unit_of[value] for value in unit.outer if value in self.unit_of} - {unit}
            if unit in follows:
                needed.add(follows[unit])
            waits[unit] = needed
            for one in needed:
                wakes.setdefault(one, []).append(unit)
        ready = [(unit.position, index, unit) for index, unit in enumerate(self.units) if not waits[unit]]
        heapq.heapify(ready)
        ordered: list[_Unit] = []
        number = len(self.units)
        while ready:
            unit = heapq.heappop(ready)[2]
            ordered.append(unit)
            for other in wakes.get(unit, ()):
                waits[other].discard(unit)
                if not waits[other]:
                    number += 1
                    heapq.heappush(ready, (other.position, number, other))
        assert len(ordered) == len(self.units), "groups depend on each other in a circle"
        return ordered

    # --- writing --------------------------------------------------------------------------------

    def _written(self, units: Iterable[_Unit]) -> Graph:
        ordered = list(units)
        read_outside = self._read_outside(ordered)
        equations: list[Equation] = []
        for unit in ordered:
            if unit.space is None:
                equations.extend(unit.equations)
            else:
                equations.append(self._fused(unit.space, read_outside))
        return _without_unused_views(self.graph.with_equations(equations))

    def _read_outside(self, ordered: list[_Unit]) -> set[Value]:
        """What units read from each other; a view that nobody reads reads nothing."""
        read = set(self.graph.outputs)
        for unit in reversed(ordered):
            if unit.space is not None:
                read.update(unit.outer)
                continue
            (equation,) = unit.equations
            if equation.op.kind is not Kind.VIEW or equation.output in read:
                read.update(equation.operands)
        return read

    def _fused(self, space: LoopSpace, read_outside: set[Value]) -> Equation:
        members = sorted(space.equations, key=lambda equation: self.position[equation.output])
        outputs = tuple(
            equation.output
            for equation in members
            if equation.op.kind is not Kind.VIEW and equation.output in read_outside
        )
        return fused_equation(space, members, outputs, self.graph.producers)


def _numbers_of_readers(graph: Graph) -> Counter[Value]:
    """How many equations read each value; the graph's results have one reader more."""
    read = Counter(value for equation in graph.equations for value in set(equation.operands))
    read.update(set(graph.outputs))
    return read


def fused_equation(
    space: LoopSpace,
    members: list[Equation],
    outputs: tuple[Value, ...],
    producers: Mapping[Value, Equation],
) -> Equation:
    """The `fused` equation of a loop space; its outputs keep their identity outside."""
    needed = _needed(members, outputs)
    members = [equation for equation in members if equation in needed]
    written_out = _constants_written_out(members, producers)
    computed = {equation.output for equation in members}
    inputs = [
        (value, axes)
        for value, axes in space.inputs.items()
        if value not in computed and value not in written_out and _is_read(value, members)
    ]
    graph = Graph(
        _name(members),
        tuple(value for value, _axes in inputs),
        (*written_out.values(), *members),
        outputs,
    )
    inside = _with_own_values(graph)
    axes = (
        *(axes for _value, axes in inputs),
        *(() for _constant in written_out),
        *(space.axes[equation.output] for equation in members),
    )
    attributes = {"graph": inside, "domain": tuple(space.domain), "inner": space.inner, "axes": axes}
    location = next((equation.location for equation in reversed(members) if equation.location), None)
    return Equation(fused_op, tuple(value for value, _axes in inputs), attributes, outputs, location)


def _is_read(value: Value, members: list[Equation]) -> bool:
    return any(value in equation.operands for equation in members)


def _needed(members: list[Equation], outputs: tuple[Value, ...]) -> set[Equation]:
    """The members that outputs depend on, or that can fail: views taken in for nobody are left out."""
    live = set(outputs)
    needed: set[Equation] = set()
    for equation in reversed(members):
        if equation.output in live or (equation.must_run and equation.op.kind is not Kind.VIEW):
            needed.add(equation)
            live.update(equation.operands)
    return needed


def _constants_written_out(members: list[Equation], producers: Mapping[Value, Equation]) -> dict[Value, Equation]:
    """The scalar constants among the operands that stand as literals in the kernel."""
    found: dict[Value, Equation] = {}
    for equation in members:
        for operand in equation.operands:
            array = constant_of(operand, producers)
            if array is not None and array.ndim == 0 and _is_written_out(array):
                found[operand] = producers[operand]
    return found


def _is_written_out(array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> bool:
    number = array.item()
    if isinstance(number, bool):
        return True
    return number in _WRITTEN_OUT and not (number == 0 and np.signbit(number))


def _with_own_values(graph: Graph) -> Graph:
    """The same graph over values of its own, as inside and outside are different scopes."""
    renamed: dict[Value, Value] = {}
    inputs = tuple(Value(value.type, value.name) for value in graph.inputs)
    renamed.update(zip(graph.inputs, inputs, strict=True))
    equations: list[Equation] = []
    for equation in graph.equations:
        outputs = tuple(Value(value.type, value.name) for value in equation.outputs)
        renamed.update(zip(equation.outputs, outputs, strict=True))
        operands = tuple(renamed[operand] for operand in equation.operands)
        equations.append(Equation(equation.op, operands, equation.attributes, outputs, equation.location))
    return Graph(graph.name, inputs, tuple(equations), tuple(renamed[value] for value in graph.outputs))


def _name(members: list[Equation]) -> str:
    """A name for the kernel: its ops in order, shortened."""
    names = list(dict.fromkeys(equation.op.name for equation in members if equation.op.kind is not Kind.VIEW))
    text = "_".join(names)
    return text if len(text) <= 48 else text[:45].rstrip("_") + "_etc"


def _without_unused_views(graph: Graph) -> Graph:
    """Views that were taken into groups may have no reader left outside."""
    read = set(graph.outputs)
    kept: list[Equation] = []
    for equation in reversed(graph.equations):
        is_free = equation.op.kind in (Kind.VIEW, Kind.SOURCE)
        if is_free and not any(output in read for output in equation.outputs):
            continue
        kept.append(equation)
        read.update(equation.operands)
    return graph.with_equations(kept[::-1])


def fuse(graph: Graph) -> Graph:
    """The graph with its groups as `fused` equations."""
    return fuse_and_explain(graph)[0]


def fuse_and_explain(graph: Graph) -> tuple[Graph, list[Refusal]]:
    """The fused graph, and for every equation that read a group's result and did not join it, why.

    The graphs of branches and loops that become steps of the program are fused as well.
    """
    refusals: list[Refusal] = []
    inner = [_fused_inside(equation, refusals) for equation in graph.equations]
    changed = any(new is not old for new, old in zip(inner, graph.equations, strict=True))
    fuser = _Fuser(materialize(graph.with_equations(inner) if changed else graph))
    return fuser.run(), [*refusals, *fuser.refusals]


def _fused_inside(equation: Equation, refusals: list[Refusal]) -> Equation:
    if not runs_natively(equation) or is_scalar_loop(equation) or is_map_loop(equation):
        return equation
    attributes = dict(equation.attributes)
    for name, value in equation.attributes.items():
        if isinstance(value, Graph):
            attributes[name], found = fuse_and_explain(value)
            refusals.extend(found)
    return replace(equation, attributes=attributes)


def materialize(graph: Graph) -> Graph:
    """Write a copy where elements must lie otherwise: see `_Materializer`."""
    return _Materializer(graph).run()


class _Materializer:
    """Writes copies: of what a reshape cannot see as a view, of operands that BLAS cannot read where they
    lie, of positions that are needed in memory, and of results that are views.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.places: dict[Value, Place] = {}
        self.computed: set[Value] = set()
        self.equations: list[Equation] = []

    def run(self) -> Graph:
        for value in self.graph.inputs:
            if value.type.has_plain_memory:
                self.places[value] = own_place(value)
        for equation in self.graph.equations:
            self.add(equation)
        outputs = [self.output(value) for value in self.graph.outputs]
        return self.graph.with_equations(self.equations, outputs)

    def add(self, equation: Equation) -> None:
        if equation.op.kind is Kind.VIEW:
            self.add_view(equation)
            return
        if runs_natively(equation):
            equation = self.with_own_buffers(equation)
        elif not runs_in_kernel(equation):
            if equation.op.pieces is None:
                equation = self.with_buffers(equation)
            equation = self.with_blas_operands(equation)
        self.append(equation)

    def append(self, equation: Equation) -> None:
        self.equations.append(equation)
        for value in equation.outputs:
            if value.type.has_plain_memory:
                self.places[value] = place_of_result(equation, value)
        if is_computed(equation):
            self.computed.update(equation.outputs)

    def add_view(self, equation: Equation) -> None:
        source = self.places.get(equation.operands[0])
        if source is None or not equation.output.type.has_plain_memory:
            self.equations.append(equation)
            return
        place = place_of_view(equation, source)
        if place is None:
            equation = replace(equation, operands=(self.copied(equation.operands[0], equation),))
            place = place_of_view(equation, own_place(equation.operands[0]))
        assert place is not None, f"{equation.op.name} is no view even of contiguous elements"
        self.equations.append(equation)
        self.places[equation.output] = place

    def copied(self, value: Value, at: Equation) -> Value:
        copied = _copy_of(value, at)
        self.append(copied)
        return copied.output

    def with_buffers(self, equation: Equation) -> Equation:
        """Positions (iota) have no memory, so whoever is no kernel reads a copy of them."""
        operands = tuple(
            self.copied(value, equation)
            if (place := self.places.get(value)) is not None and place.root in self.computed
            else value
            for value in equation.operands
        )
        return replace(equation, operands=operands)

    def with_own_buffers(self, equation: Equation) -> Equation:
        """Branches and loops read what lies as it is, so they get copies of views."""
        operands = tuple(
            self.copied(value, equation)
            if (place := self.places.get(value)) is not None and (place.root is not value or value in self.computed)
            else value
            for value in equation.operands
        )
        return replace(equation, operands=operands)

    def with_blas_operands(self, equation: Equation) -> Equation:
        if equation.op.kind is not Kind.CONTRACTION or not runs_in_blas(equation):
            return equation
        a, b, *added = (self.places[value] for value in equation.operands)
        plain = all(place.root is value for place, value in zip(added, equation.operands[2:], strict=True))
        if plain and as_product(equation, a, b) is not None:
            return equation
        operands = tuple(
            value if self.places[value].root is value else self.copied(value, equation) for value in equation.operands
        )
        return replace(equation, operands=operands)

    def output(self, value: Value) -> Value:
        """A result must have a buffer of its own."""
        producer = self.graph.producers.get(value)
        place = self.places.get(value)
        if producer is None or place is None or (place.root is value and value not in self.computed):
            return value
        return self.copied(value, producer)


def _copy_of(value: Value, at: Equation) -> Equation:
    return Equation(copy_op, (value,), {}, (Value(value.type, value.name),), at.location)
