"""Folding runs of equal equations, as unrolled Python loops leave them, into loops of the graph.

    %2 = multiply(%1, %a)          %2, %3 = scan(...) {
    %3 = add(%2, %b)                 body=body(%x, %a, %b) {
    %4 = multiply(%3, %a)              %1 = multiply(%x, %a)
    %5 = add(%4, %b)                   %2 = add(%1, %b)
    ...                                return %2 } }

What a round reads must be made by itself, handed on by a round before, be the same in all rounds, a constant, or one
row after the other of a tensor. Else the run stays as it is, and `Rerolled.unrolled` says why. The rounds do
the same in the same order, so values, gradients, errors and effects are those of the run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.fields import dataclass, replace

from .dispatch import apply_all, interpreting
from .equality import attribute_key, attributes_key
from .graph import Equation, Graph, Literal, Location, Value
from .op import find_op
from .operand import PUBLIC
from .ops.dynamicslices import dynamic_update_slice_op
from .periods import Run, runs_of
from .rowsequences import Row, are_regular, direction_of, row_of, slices_of, step_between
from .tensortype import TensorType
from .writer import GraphWriter, Symbol

LEAST = 500
"""Runs of fewer rounds stay as they are: they give the compiler more freedom."""

_MOST_LAG = 8
_MOST_SKIPPED = 2
_SMALL = 64


@dataclass(frozen=True)
class Unrolled:
    """A run that could not be folded: where its body begins, how many equations it has, how often, and why."""

    location: Location | None
    size: int
    rounds: int
    reason: str


@dataclass(frozen=True)
class Rerolled:
    """A graph whose runs are loops, and the runs that are not."""

    graph: Graph
    unrolled: tuple[Unrolled, ...] = ()


def reroll(graph: Graph, least: int | None = None) -> Rerolled:
    """The graph with loops for its runs of equal equations, and for those of the graphs inside.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> lines = "".join(f"%x{i + 1} = sin(%x{i}) " for i in range(5))
    >>> print(reroll(parse_graph("f(%x0: f32[]) {" + lines + "return %x5 }"), least=3).graph)
    f(%x0: f32[]) {
      %1: i64[] = constant() {value=dense<i64[]: 4>}
      %2: f32[] = scan(%1, %x0) {
        body=body(%x0: f32[]) {
          %x1: f32[] = sin(%x0)
          return %x1
        },
        carried=1,
        length=4,
        reverse=false,
        sliced=0
      }
      %x5: f32[] = sin(%2)
      return %x5
    }
    """
    least = LEAST if least is None else least
    inner: list[Unrolled] = []
    equations = [_inside(equation, least, inner) for equation in graph.equations]
    if any(new is not old for new, old in zip(equations, graph.equations, strict=True)):
        graph = graph.with_equations(equations)
    if len(graph.equations) < least:
        return Rerolled(graph, tuple(inner))
    folding = _Folding(graph, least)
    return Rerolled(folding.graph(), (*inner, *folding.unrolled))


def _inside(equation: Equation, least: int, unrolled: list[Unrolled]) -> Equation:
    held = {name: value for name, value in equation.attributes.items() if isinstance(value, Graph)}
    if not held:
        return equation
    found = {name: reroll(value, least) for name, value in held.items()}
    for one in found.values():
        unrolled.extend(one.unrolled)
    if all(found[name].graph is held[name] for name in held):
        return equation
    return replace(equation, attributes={**equation.attributes, **{name: one.graph for name, one in found.items()}})


class _IrregularError(Exception):
    """Why a run is not folded."""


@dataclass
class _Chain:
    """What is carried for a value that a round reads as it was `lag` rounds ago: that, and what comes until then."""

    made: tuple[int, int]
    initial: tuple[Value, ...]
    inputs: tuple[Value, ...]


class _Body:
    """The body of one loop while it is put together."""

    def __init__(self) -> None:
        self.chains: dict[Any, _Chain] = {}
        self.rows: dict[Any, tuple[Value, Value]] = {}
        self.captured: dict[Value, Value] = {}
        self.constants: dict[Value, Equation] = {}
        self.equations: list[Equation] = []

    def chain(self, made: tuple[int, int], initial: tuple[Value, ...]) -> Value:
        """The input that holds what was made `len(initial)` rounds ago."""
        key = (made, initial)
        if key not in self.chains:
            self.chains[key] = _Chain(made, initial, tuple(Value(one.type, one.name) for one in initial))
        return self.chains[key].inputs[0]

    def capture(self, value: Value, literal: Equation | None) -> Value:
        """The input, or the constant, that stands for what is the same in all rounds."""
        if literal is not None and literal.attributes["value"].array.size <= _SMALL:
            if value not in self.constants:
                self.constants[value] = replace(literal, outputs=(Value(value.type, value.name),))
            return self.constants[value].outputs[0]
        if value not in self.captured:
            self.captured[value] = Value(value.type, value.name)
        return self.captured[value]


class _Folding:
    """One graph whose runs are folded.

    Constants and rows of tensors count for no run. They are written where somebody reads them.
    """

    def __init__(self, graph: Graph, least: int) -> None:
        self._old = graph
        self._least = least
        self.unrolled: list[Unrolled] = []
        self._constants = {one.outputs[0]: one for one in graph.equations if one.op.name == "constant"}
        self._same_constants: dict[Any, Value] = {}
        self._rows = self._rows_of_inputs()
        self._sequence = [one for one in graph.equations if not self._is_lazy(one)]
        self._position = {value: place for place, one in enumerate(self._sequence) for value in one.outputs}
        self._new: list[Equation] = []
        self._known: set[Value] = set(graph.inputs)
        self._instead: dict[Value, Value] = {}

    def graph(self) -> Graph:
        """The new graph."""
        runs = self._runs()
        if not runs:
            return self._old
        readers = self._readers_outside(runs)
        place = 0
        for run in runs:
            for equation in self._sequence[place : run.begin]:
                self._copy(equation)
            place = self._folded(run, readers)
        for equation in self._sequence[place:]:
            self._copy(equation)
        outputs = tuple(self._operand(one) for one in self._old.outputs)
        return Graph(self._old.name, self._old.inputs, tuple(self._new), outputs)

    def _folded(self, run: Run, readers: set[Value]) -> int:
        """Write a loop for a run, if that is possible; the place where equations go on that are still to be written.

        The first rounds may read from elsewhere than others do, as where a gradient begins.
        """
        reason = ""
        for skipped in range(min(_MOST_SKIPPED, run.rounds - self._least) + 1):
            rest = Run(run.begin + skipped * run.period, run.period, run.rounds - skipped)
            try:
                self._fold(rest, readers)
            except _IrregularError as error:
                reason = reason or str(error)
                for equation in self._sequence[rest.begin : rest.begin + rest.period]:
                    self._copy(equation)
                continue
            return run.end - run.period  # the last round stays, and makes what is read behind the loop
        self._note(run, reason)
        return run.begin + (min(_MOST_SKIPPED, run.rounds - self._least) + 1) * run.period

    # --- finding the runs ---

    def _is_lazy(self, equation: Equation) -> bool:
        return equation.op.name == "constant" or any(one in self._rows for one in equation.outputs)

    def _rows_of_inputs(self) -> dict[Value, Row]:
        """The rows of tensors of which many rows are taken, each by its number."""
        taken = [one for one in self._old.equations if one.op.name == "strided_slice" and one.attributes["drop"]]
        counts = Counter(one.operands[0] for one in taken)
        return {
            one.outputs[0]: row_of(one)
            for one in taken
            if counts[one.operands[0]] >= self._least and None not in one.operands[0].type.shape
        }

    def _runs(self) -> list[Run]:
        if len(self._sequence) < self._least:
            return []
        numbers: dict[Any, int] = {}
        kinds = [numbers.setdefault(_kind(one), len(numbers)) for one in self._sequence]
        return runs_of(np.array(kinds, np.int64), self._least)

    def _readers_outside(self, runs: Sequence[Run]) -> set[Value]:
        """The values that somebody beside the equations of one run reads."""
        owner: dict[Value, Run] = {
            value: run for run in runs for one in self._sequence[run.begin : run.end] for value in one.outputs
        }
        found = set(self._old.outputs)
        within = {id(one): run for run in runs for one in self._sequence[run.begin : run.end]}
        for one in self._sequence:
            mine = within.get(id(one))
            found.update(value for value in one.operands if owner.get(value) is not mine)
        found.update(one.tensor for one in self._rows.values())
        return found

    def _note(self, run: Run, reason: str) -> None:
        location = self._sequence[run.begin].location
        self.unrolled.append(Unrolled(location, run.period, run.rounds, reason))

    # --- writing what is no run ---

    def _copy(self, equation: Equation) -> None:
        if equation.op.name == "stack" and len(equation.operands) >= self._least and self._stacked_rows(equation):
            return
        operands = tuple(self._operand(one) for one in equation.operands)
        same = all(new is old for new, old in zip(operands, equation.operands, strict=True))
        self._add(equation if same else replace(equation, operands=operands))

    def _add(self, equation: Equation) -> None:
        self._new.append(equation)
        self._known.update(equation.outputs)

    def _operand(self, value: Value) -> Value:
        """The value in the new graph; what is lazy is written now."""
        found = self._instead.get(value, value)
        if found in self._known:
            return found
        if found in self._constants:
            self._add(self._constants[found])
            return found
        row = self._rows[found]
        if row.equation is not None:
            operands = tuple(self._operand(one) for one in row.equation.operands)
            self._add(replace(row.equation, operands=operands))
            return found
        self._instead[value] = self._written(lambda x: PUBLIC["getitem"](x, row.place[0]), row.tensor)
        return self._instead[value]

    def _written(self, function: Callable[..., Any], *values: Value) -> Value:
        """What a function writes that is called with values of the new graph."""
        writer = GraphWriter(self._old.name, locate=False)
        with interpreting(writer):
            result = function(*(Symbol(one, writer) for one in values))
        for equation in writer.equations:
            self._add(equation)
        found: Value = result.value
        return found

    def _stacked_rows(self, equation: Equation) -> bool:
        """Write a stack of a loop's rows as the loop's result; whether that was possible."""
        if equation.attributes.get("axis") != 0:
            return False
        pieces = list(self._pieces(equation.operands))
        if len(pieces) > 8:
            return False
        parts = [self._tensor_of(rows) if rows else self._stack(values) for rows, values in pieces]
        joined = parts[0] if len(parts) == 1 else self._written(lambda *xs: PUBLIC["concat"](list(xs), 0), *parts)
        self._instead[equation.outputs[0]] = joined
        return True

    def _stack(self, values: Sequence[Value]) -> Value:
        return self._written(lambda *xs: PUBLIC["stack"](list(xs)), *(self._operand(one) for one in values))

    def _pieces(self, values: Sequence[Value]) -> Iterator[tuple[list[Row], list[Value]]]:
        """The values in pieces: rows that follow each other, and others."""
        rows: list[Row] = []
        piece: list[Value] = []
        for value in values:
            row = self._rows.get(value)
            if row is not None and len(row.place) != 1:
                row = None
            follows = row is not None and bool(rows) and row.key == rows[0].key and step_between(rows[-1], row) == (1,)
            if piece and not follows and (rows or row is not None):
                yield rows, piece
                rows, piece = [], []
            piece.append(value)
            rows.extend([] if row is None else [row])
        yield rows, piece

    def _tensor_of(self, rows: Sequence[Row]) -> Value:
        """The tensor that holds these rows, which follow each other, one for each round."""
        first, axis, step = rows[0], *direction_of(rows)
        size = len(rows)
        low = min(first.place[axis], rows[-1].place[axis])
        tensor = self._operand(first.tensor)
        if first.equation is None and low == 0 and size == tensor.type.shape[0] and step == 1:
            return tensor

        def part(x: Any) -> Any:
            index: list[Any] = [slice(None)] * len(first.place)
            if first.equation is not None:
                index = list(slices_of(first.equation))
            index[axis] = slice(low, low + (size - 1) * abs(step) + 1, abs(step))
            found = PUBLIC["getitem"](x, tuple(index))
            kept = axis - sum(1 for one in first.dropped if one < axis)
            if kept:
                order = [kept, *(one for one in range(found.type.rank) if one != kept)]
                found = PUBLIC["transpose"](found, order)
            return PUBLIC["reverse"](found, [0]) if step < 0 else found

        return self._written(part, tensor)

    # --- folding ---

    def _fold(self, run: Run, readers: set[Value]) -> None:
        """Write a loop for all rounds of a run but the last."""
        rounds = [self._sequence[begin : begin + run.period] for begin in range(run.begin, run.end, run.period)]
        body = _Body()
        mapped: dict[Value, Value] = {}
        sources = [
            [self._source(run, rounds, place, number) for number in range(len(one.operands))]
            for place, one in enumerate(rounds[0])
        ]
        for place, (one, given) in enumerate(zip(rounds[0], sources, strict=True)):
            operands = tuple(source(body, mapped) for source in given)
            if one.op.name == "pad" and len({each[place].attributes["paddings"] for each in rounds[:-1]}) > 1:
                mapped[one.outputs[0]] = self._placed(body, one, operands, [each[place] for each in rounds[:-1]])
                continue
            outputs = tuple(Value(value.type, value.name) for value in one.outputs)
            mapped.update(zip(one.outputs, outputs, strict=True))
            body.equations.append(replace(one, operands=operands, outputs=outputs))
        self._write_loop(rounds[:-1], body, mapped, readers)

    def _placed(self, body: _Body, one: Equation, operands: Sequence[Value], column: Sequence[Equation]) -> Value:
        """A tensor within zeros, at another place in each round: what the gradient of taking a row makes."""
        begins = np.array([[low for low, _ in each.attributes["paddings"]] for each in column], np.int32)
        begin = self._row_input(body, begins.tobytes(), lambda: self._constant(begins))
        writer = GraphWriter(self._old.name, locate=False)
        writer.location = one.location
        x, around, place = (Symbol(value, writer) for value in (*operands, begin))
        with interpreting(writer):
            zeros = PUBLIC["broadcast_to"](around, one.outputs[0].type.shape)
            (found,) = apply_all(dynamic_update_slice_op, (zeros, x, place), {})
        body.equations.extend(writer.equations)
        made: Value = found.value  # type: ignore[attr-defined]  # a symbol
        return made

    def _source(
        self, run: Run, rounds: Sequence[Sequence[Equation]], place: int, number: int
    ) -> Callable[[_Body, dict[Value, Value]], Value]:
        """Where an operand of the body comes from."""
        column = [one[place].operands[number] for one in rounds]
        last = self._place_in(run, column[-1])
        if last is not None:
            return self._made_in_run(run, rounds, column, last)
        if any(self._place_in(run, one) is not None for one in column):
            raise _IrregularError("what a round reads comes from another place in the rounds before")
        return self._from_outside(column[:-1])

    def _place_in(self, run: Run, value: Value) -> int | None:
        found = self._position.get(value)
        return found if found is not None and run.begin <= found < run.end else None

    def _made_in_run(
        self, run: Run, rounds: Sequence[Sequence[Equation]], column: Sequence[Value], last: int
    ) -> Callable[[_Body, dict[Value, Value]], Value]:
        made_in, place = divmod(last - run.begin, run.period)
        lag = len(rounds) - 1 - made_in
        output = rounds[made_in][place].outputs.index(column[-1])
        if lag > _MOST_LAG:
            raise _IrregularError(f"a round reads what was made {lag} rounds before")
        for number in range(lag, len(rounds)):
            if column[number] is not rounds[number - lag][place].outputs[output]:
                raise _IrregularError("what a round reads does not come from the same place in each round")
        if lag == 0:
            return lambda body, mapped: mapped[column[0]]
        initial = tuple(column[:lag])
        if any(self._place_in(run, one) is not None for one in initial):
            raise _IrregularError("the first rounds read from each other")
        made = (place, output)
        return lambda body, mapped: body.chain(made, tuple(self._constant_or_itself(one) for one in initial))

    def _constant_or_itself(self, value: Value) -> Value:
        """One value for all constants of the same bits."""
        equation = self._constants.get(value)
        if equation is None:
            return value
        return self._same_constants.setdefault(attribute_key(equation.attributes["value"]), value)

    def _from_outside(self, column: Sequence[Value]) -> Callable[[_Body, dict[Value, Value]], Value]:
        same = {self._constant_or_itself(one) for one in column}
        if len(same) == 1:
            (value,) = same
            return lambda body, mapped: body.capture(value, self._constants.get(value))
        if all(one in self._constants for one in column):
            return lambda body, mapped: self._row_input(body, tuple(column), lambda: self._constant_rows(column))
        rows = [self._rows[one] for one in column if one in self._rows]
        if len(rows) == len(column) and are_regular(rows):
            return lambda body, mapped: self._row_input(body, tuple(column), lambda: self._tensor_of(rows))
        raise _IrregularError("each round reads another tensor")

    def _row_input(self, body: _Body, key: Any, tensor: Callable[[], Value]) -> Value:
        if key not in body.rows:
            found = tensor()
            body.rows[key] = found, Value(TensorType(found.type.dtype, found.type.shape[1:]))
        return body.rows[key][1]

    def _constant_rows(self, column: Sequence[Value]) -> Value:
        arrays = [self._constants[one].attributes["value"].array for one in column]
        stacked = np.stack(arrays)
        return self._constant(stacked)

    def _constant(self, array: np.ndarray[Any, Any]) -> Value:
        literal = Literal(array)
        equation = Equation(find_op("constant"), (), {"value": literal}, (Value(literal.type),))
        self._add(equation)
        return equation.outputs[0]

    def _write_loop(
        self, rounds: Sequence[Sequence[Equation]], body: _Body, mapped: dict[Value, Value], readers: set[Value]
    ) -> None:
        chains = list(body.chains.values())
        made = [[value for one in each for value in one.outputs] for each in rounds]
        firsts = [value for one in rounds[0] for value in one.outputs]
        at = {
            (place, output): number
            for number, (place, output) in enumerate(
                (place, output) for place, one in enumerate(rounds[0]) for output in range(len(one.outputs))
            )
        }
        count = len(rounds)
        finals: dict[Value, int] = {}
        carried_inputs: list[Value] = []
        carried_outputs: list[Value] = []
        for chain in chains:
            lag = len(chain.inputs)
            number = at[chain.made]
            for step in range(lag):
                if count - lag + step >= 0:
                    finals.setdefault(made[count - lag + step][number], len(carried_inputs) + step)
            carried_inputs += chain.inputs
            carried_outputs += [*chain.inputs[1:], mapped[firsts[number]]]
        stacked = [
            number
            for number in range(len(firsts))
            if any(each[number] in readers and each[number] not in finals for each in made)
        ]
        inputs = (*carried_inputs, *(row for _, row in body.rows.values()), *body.captured.values())
        outputs = (*carried_outputs, *(mapped[firsts[number]] for number in stacked))
        graph = Graph("body", inputs, (*body.constants.values(), *body.equations), outputs)
        results = self._loop(graph, count, chains, body, rounds[0][0].location)
        for value, place in finals.items():
            self._instead[value] = results[place]
        for position, number in enumerate(stacked):
            tensor = results[len(carried_inputs) + position]
            for place, each in enumerate(made):
                if each[number] not in finals:
                    self._rows[each[number]] = Row(tensor, tensor, (place,), (0,))

    def _loop(
        self, body: Graph, count: int, chains: Sequence[_Chain], parts: _Body, location: Location | None
    ) -> tuple[Value, ...]:
        rounds = self._constant(np.array(count, np.int64))
        initial = [self._operand(one) for chain in chains for one in chain.initial]
        captured = [self._operand(one) for one in parts.captured]
        values = [rounds, *initial, *(tensor for tensor, _ in parts.rows.values()), *captured]
        writer = GraphWriter(self._old.name, locate=False)
        writer.location = location
        attributes = {
            "body": body, "carried": len(initial), "sliced": len(parts.rows), "length": count, "reverse": False,
        }  # fmt: skip
        with interpreting(writer):
            found = apply_all(find_op("scan"), tuple(Symbol(one, writer) for one in values), attributes)
        for equation in writer.equations:
            self._add(equation)
        return tuple(one.value for one in found if isinstance(one, Symbol))


def _kind(equation: Equation) -> Any:
    """Equal for equations that do the same, on the same line, with values of the same types."""
    attributes = equation.attributes
    if equation.op.name == "pad" and all(low >= 0 <= high for low, high in attributes["paddings"]):
        attributes = {**attributes, "paddings": ()}
    return (
        equation.op.name,
        attributes_key(attributes),
        tuple(one.type for one in equation.operands),
        tuple(one.type for one in equation.outputs),
        equation.location and (equation.location.file, equation.location.line),
    )


__all__: list[str] = []
