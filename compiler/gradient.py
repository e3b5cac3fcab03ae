"""Differentiation: one reverse walk over recorded equations, for tapes and graphs alike.

A record is an op with the operands it had and the outputs it gave; operands may be
tensors or symbols. Rules are written with public ops, so the walk computes at once
or writes equations, depending on who interprets; higher orders and forward mode
come from recording the walk itself.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graphjit.runtime.errors import GradientError

from .dispatch import add_recorder, remove_recorder
from .location import add_location, user_location
from .op import Differentiability, Kind, Op
from .operand import PUBLIC, Operand


@dataclass(frozen=True, slots=True)
class Record:
    """One interpreted op."""

    op: Op
    operands: tuple[Any, ...]
    attributes: Mapping[str, Any]
    outputs: tuple[Any, ...]


def key_of(value: Any) -> int:
    """What identifies a value to a walk: a symbol by the value it stands for, anything else by itself."""
    inner = getattr(value, "value", None) if isinstance(value, Operand) else None
    return id(value if inner is None or callable(inner) else inner)


class Recording:
    """The records of all ops that depend on what is watched."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self._tracked: set[int] = set()
        self._alive: list[Any] = []  # keys are identities, so their owners must live as long

    def watch(self, value: Any) -> None:
        """Follow everything that is computed from `value` from now on."""
        key = key_of(value)
        if key not in self._tracked:
            self._tracked.add(key)
            self._alive.append(value)

    def is_tracked(self, value: Any) -> bool:
        """Whether `value` is watched or depends on something that is."""
        return key_of(value) in self._tracked

    def record(
        self, op: Op, operands: tuple[Any, ...], attributes: Mapping[str, Any], outputs: tuple[Any, ...]
    ) -> None:
        if op.gradient is Differentiability.NONE:
            return
        if any(key_of(operand) in self._tracked for operand in operands):
            self.records.append(Record(op, operands, attributes, outputs))
            self._tracked.update(
                key_of(output) for output in outputs if output.type.dtype.is_floating or output.type.dtype.is_complex
            )


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


def backward(recording: Recording, seeds: Iterable[tuple[Any, Any]]) -> Cotangents:
    """Walk the records in reverse from `seeds`, pairs of a value and its cotangent.

    Raises:
      GradientError: if the walk reaches an op that has no rule.
    """
    cotangents = Cotangents()
    for value, cotangent in seeds:
        cotangents.add(value, cotangent)
    for record in reversed(recording.records):
        incoming = [cotangents.of(output) for output in record.outputs]
        if any(one is not None for one in incoming):
            _pull_back(record, incoming, recording, cotangents)
    return cotangents


def _pull_back(record: Record, incoming: list[Any], recording: Recording, cotangents: Cotangents) -> None:
    _require_rules(record)
    g, y = _joined(record, incoming)
    for position, operand in enumerate(record.operands):
        rule = record.op.rule(position)
        if rule is None or not recording.is_tracked(operand):
            continue
        contribution = rule(g, y, *record.operands, **record.attributes)
        if contribution is None:
            continue
        if record.op.kind is Kind.ELEMENTWISE:
            contribution = PUBLIC["sum_to_shape_of"](contribution, operand)
        cotangents.add(operand, contribution)


def _require_rules(record: Record) -> None:
    if isinstance(record.op.gradient, Differentiability):
        error = GradientError(
            f"{record.op.name} has no gradient rule; put gj.stop_gradient around it, "
            "or give the rule with gj.custom_gradient"
        )
        add_location(error, user_location())
        raise error


def _joined(record: Record, incoming: list[Any]) -> tuple[Any, Any]:
    if not record.op.several:
        return incoming[0], record.outputs[0]
    filled = tuple(
        PUBLIC["zeros_like"](output) if one is None else one
        for one, output in zip(incoming, record.outputs, strict=True)
    )
    return filled, record.outputs


def forward(
    recording: Recording, tangents: Sequence[tuple[Any, Any]], target: Any
) -> Any:
    """The derivative of `target` along `tangents` (pairs of a watched value and its tangent), or None.

    The reverse walk is linear in its seed, so its own reverse is the forward derivative.
    """
    seed = PUBLIC["zeros_like"](target)
    linear = Recording()
    linear.watch(seed)
    add_recorder(linear)
    try:
        cotangents = backward(recording, [(target, seed)])
    finally:
        remove_recorder(linear)
    pairs = [(cotangents.of(value), tangent) for value, tangent in tangents]
    reached = [(cotangent, tangent) for cotangent, tangent in pairs if cotangent is not None]
    return backward(linear, reached).of(seed) if reached else None
