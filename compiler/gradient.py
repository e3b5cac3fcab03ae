"""Differentiation: one reverse walk over recorded equations, for tapes and graphs alike.

A record is an op with the operands it had and the outputs it gave; operands may be
tensors, symbols or variables. Rules are written with public ops, so the walk computes at
once or writes equations, depending on who interprets; higher orders and forward mode
come from recording the walk itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from typing import Any, NamedTuple

from graphjit.runtime.errors import GradientError, GraphjitError

from .dispatch import recording_by
from .graph import Location
from .location import CodeLine, describe, location_of_line, user_line
from .op import Differentiability, Kind, Op, Pullback
from .operand import PUBLIC
from .tensortype import DType
from .writer import Symbol


class Record(NamedTuple):
    """One interpreted op, and the user's line that asked for it."""

    op: Op
    operands: tuple[Any, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[Any, ...]
    code_line: CodeLine | None = None

    @property
    def location(self) -> Location | None:
        """Where the user wrote it."""
        first = self.outputs[0] if self.outputs else None
        traced = first.location if isinstance(first, Symbol) else None
        return traced or location_of_line(self.code_line)


def key_of(value: Any) -> int:
    """What identifies a value to a walk: a symbol by the value it stands for, anything else by itself."""
    return id(value.value if isinstance(value, Symbol) else value)


def is_differentiable(dtype: DType) -> bool:
    """Whether values of this dtype have gradients."""
    return dtype.numpy.kind in "fc"


class Recording:
    """The records of all ops that depend on what is watched.

    Args:
      on_discrete: called with outputs of recorded ops that have no gradients, because of their dtype.
    """

    def __init__(self, on_discrete: Callable[[Any], None] | None = None) -> None:
        self.records: list[Record] = []
        self._on_discrete = on_discrete
        self._tracked: set[int] = set()
        self._alive: list[Any] = []  # keys are identities, so their owners must live as long

    def watch(self, value: Any) -> None:
        """Follow everything that is computed from `value` from now on."""
        key = key_of(value)
        if key not in self._tracked:
            self._tracked.add(key)
            self._alive.append(value)
            if isinstance(value, Symbol):
                value.writer.watched.add(value.value)

    @property
    def tracked(self) -> Set[int]:
        """The keys of what is watched and of what depends on it."""
        return self._tracked

    def is_tracked(self, value: Any) -> bool:
        """Whether `value` is watched or depends on something that is."""
        return key_of(value) in self._tracked

    def record(
        self, op: Op, operands: tuple[Any, ...], attributes: Mapping[str, Any], outputs: tuple[Any, ...]
    ) -> bool:
        """Note an op that was interpreted, if it depends on what is watched and can be differentiated.

        Says whether it did.
        """
        tracked = self._tracked
        for operand in operands:
            if key_of(operand) in tracked:
                break
        else:
            return False
        if op.gradient is Differentiability.NONE or not outputs:
            return False
        line = None if isinstance(outputs[0], Symbol) else user_line()
        self.records.append(Record(op, operands, attributes, outputs, line))
        for output in outputs:
            if is_differentiable(output.dtype):
                tracked.add(key_of(output))
            elif self._on_discrete is not None:
                self._on_discrete(output)
        return True

    def reach(self, sources: Iterable[Any]) -> set[int]:
        """The keys of the watched sources and of all recorded values that depend on them through gradient rules."""
        reached = {key_of(source) for source in sources if self.is_tracked(source)}
        for record in self.records:
            if _depends(record, reached):
                reached.update(key_of(output) for output in record.outputs if is_differentiable(output.dtype))
        return reached

    def between(self, sources: Iterable[Any], targets: Iterable[Any]) -> Recording:
        """The part of the recording that leads from the sources to the targets."""
        reached = self.reach(sources)
        leading = {key_of(target) for target in targets}
        part = Recording()
        part._tracked = reached
        part._alive = self._alive
        for record in reversed(self.records):
            if _depends(record, reached) and any(key_of(output) in leading for output in record.outputs):
                part.records.append(record)
                leading.update(key_of(operand) for operand in record.operands)
        part.records.reverse()
        return part


def _depends(record: Record, reached: Set[int]) -> bool:
    """Whether a gradient may flow from the record's outputs to what is reached."""
    rules = record.op.gradient
    if isinstance(rules, list | tuple) and None in rules:
        return any(
            key_of(operand) in reached and record.op.rule(position) is not None
            for position, operand in enumerate(record.operands)
        )
    return any(key_of(operand) in reached for operand in record.operands)


class Cotangents:
    """What has been accumulated for each value during a walk."""

    def __init__(self) -> None:
        self._by_key: dict[int, Any] = {}

    def add(self, value: Any, cotangent: Any) -> None:
        """Add one contribution."""
        key = key_of(value)
        present = self._by_key.get(key)
        self._by_key[key] = cotangent if present is None else PUBLIC["add"](present, cotangent)

    def of(self, value: Any) -> Any:
        """The sum of the contributions, None where there was none."""
        return self._by_key.get(key_of(value))

    def take(self, value: Any, kept: Set[int]) -> Any:
        """The sum of the contributions, which is forgotten unless the value's key is in `kept`."""
        key = key_of(value)
        return self._by_key.get(key) if key in kept else self._by_key.pop(key, None)


Observer = Callable[[Record, Sequence[Any], Any, Any], None]
"""Called with a record, the cotangents of its outputs, an operand, and the cotangent that a rule gave for it."""


def backward(
    recording: Recording,
    seeds: Iterable[tuple[Any, Any]],
    sources: Sequence[Any] | None = None,
    observer: Observer | None = None,
) -> Cotangents:
    """Walk the records in reverse from `seeds`, pairs of a value and its cotangent.

    Where `sources` are named, only what leads to them is walked, and only their cotangents are kept. What
    is not watched gets none.

    Raises:
      GradientError: if the walk reaches an op that has no rule.
    """
    cotangents = Cotangents()
    for value, cotangent in seeds:
        cotangents.add(value, cotangent)
    wanted = recording.tracked if sources is None else recording.reach(sources)
    kept = wanted if sources is None else {key_of(source) for source in sources}
    for record in reversed(recording.records):
        incoming = [cotangents.take(output, kept) for output in record.outputs]
        if any(one is not None for one in incoming) and _depends(record, wanted):
            _pull_back(record, incoming, wanted, cotangents, observer)
    return cotangents


def _pull_back(
    record: Record, incoming: list[Any], wanted: Set[int], cotangents: Cotangents, observer: Observer | None
) -> None:
    _require_rules(record)
    try:
        for operand, contribution in _contributions(record, incoming, wanted):
            if record.op.kind is Kind.ELEMENTWISE:
                contribution = PUBLIC["sum_to_shape_of"](contribution, operand)
            if observer is not None:
                observer(record, incoming, operand, contribution)
            cotangents.add(operand, contribution)
    except GraphjitError as error:
        error.add_note(f"while differentiating {record.op.name}, written at {describe(record.location)}")
        raise


def _contributions(record: Record, incoming: list[Any], wanted: Set[int]) -> Iterator[tuple[Any, Any]]:
    """Each operand that is wanted with its cotangent, where there is one."""
    g, y = _joined(record, incoming)
    asked = tuple(key_of(operand) in wanted and is_differentiable(operand.dtype) for operand in record.operands)
    rules = record.op.gradient
    if isinstance(rules, Pullback):
        found = rules.function(asked, g, y, *record.operands, **record.attributes)
        for operand, one, is_asked in zip(record.operands, found, asked, strict=True):
            if is_asked and one is not None:
                yield operand, one
        return
    for position, (operand, is_asked) in enumerate(zip(record.operands, asked, strict=True)):
        rule = record.op.rule(position) if is_asked else None
        if rule is None:
            continue
        contribution = rule(g, y, *record.operands, **record.attributes)
        if contribution is not None:
            yield operand, contribution


def _require_rules(record: Record) -> None:
    if record.op.gradient is Differentiability.MISSING:
        raise GradientError(
            f"{record.op.name} has no gradient rule; it was written at {describe(record.location)}. "
            "Put gj.stop_gradient around it, or give the rule with gj.custom_gradient"
        )


def _joined(record: Record, incoming: list[Any]) -> tuple[Any, Any]:
    if not record.op.several:
        return incoming[0], record.outputs[0]
    filled = tuple(
        PUBLIC["zeros_like"](output) if one is None else one
        for one, output in zip(incoming, record.outputs, strict=True)
    )
    return filled, record.outputs


def forward(recording: Recording, tangents: Sequence[tuple[Any, Any]], target: Any) -> Any:
    """The derivative of `target` along `tangents` (pairs of a watched value and its tangent), or None.

    The reverse walk is linear in its seed, so its own reverse is the forward derivative.
    """
    seed = PUBLIC["zeros_like"](target)
    linear = Recording()
    linear.watch(seed)
    sources = [value for value, _ in tangents]
    with recording_by(linear):
        cotangents = backward(recording, [(target, seed)], sources)
    pairs = [(cotangents.of(value), tangent) for value, tangent in tangents]
    reached = [(cotangent, tangent) for cotangent, tangent in pairs if cotangent is not None]
    return backward(linear, reached, [seed]).of(seed) if reached else None
