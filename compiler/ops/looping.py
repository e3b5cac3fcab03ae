"""Ops that run a graph again and again.

`while` runs `body` as long as `condition` is true. `scan` runs it a number of times that is known before, over the
rows of some operands. What a round hands to the next is carried: the first results of `body`. Its other
results are stacked, one row for each round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from ..dispatch import apply, apply_all
from ..graph import Graph, Literal, Value
from ..innerderivative import active_carried, continued, derive_inside, extended, here, present_attributes
from ..op import Example, Kind, Op, Pullback, declare, find_op
from ..operand import PUBLIC, require_kind
from ..tensortype import Dimension, TensorType, float64, int32, int64
from ..writer import write_graph
from .arithmetic import add, multiply, subtract
from .branching import Array, can_fail, require_inputs
from .comparing import less
from .sources import constant_op


def _require_carried(body: Graph, carried: int) -> None:
    for position, (given, made) in enumerate(zip(body.inputs[:carried], body.outputs[:carried], strict=True)):
        if not given.type.accepts(made.type):
            raise InvalidArgumentError(
                f"{body.name}: carried value {position} is {given.type}, but a round makes it {made.type}"
            )


def _stacked(type: TensorType, length: Dimension) -> TensorType:
    return TensorType(type.dtype, (length, *type.shape))


def _row(type: TensorType) -> TensorType:
    if not type.rank:
        raise InvalidArgumentError("a loop runs over the rows of tensors, and a scalar has none")
    return TensorType(type.dtype, type.shape[1:])


# --- gradients --------------------------------------------------------------------------------------


class _Backwards:
    """The derivative of a loop: a loop over the rounds in the other order, over what each round kept.

    Args:
      body: what a round does by now; its first results are those that cotangents `g` came for.
      carried, sliced: how many of its inputs are carried, and how many are rows.
      wanted: for each input of the body whether a cotangent is asked for.
      g: cotangents of the carried values and of the stacked ones.
    """

    def __init__(self, body: Graph, carried: int, sliced: int, wanted: Sequence[bool], g: Sequence[Any]) -> None:
        self.body = body
        self.carried, self.sliced = carried, sliced
        self.g = g
        asked = [place for place, is_wanted in enumerate(wanted) if is_wanted]
        self.active = active_carried(body, carried, asked)
        behind = carried + sliced
        rows = [place for place in asked if carried <= place < behind]
        fixed = [place for place in asked if place >= behind]
        by = [*self.active, *rows, *fixed]
        self.half = derive_inside(body, len(g), by, body.inputs[carried:], body.inputs[behind:])
        found = dict(zip(by, self.half.gradients, strict=True))
        self.gradients = found
        self.rows = [place for place in rows if found[place] is not None]
        self.fixed = [place for place in fixed if found[place] is not None]
        stacked = body.outputs[carried:]
        self.fresh = [value for value in self.half.kept if value not in stacked]
        """What is kept and is no stacked result yet."""

    @property
    def is_needed(self) -> bool:
        """Whether there is anything to compute."""
        return bool(self.active or self.rows or self.fixed)

    def extended_body(self) -> Graph:
        """The body with what is kept as further stacked results."""
        outputs = (*self.body.outputs, *self.fresh)
        return Graph(self.body.name, self.body.inputs, self.half.forward, outputs)

    def apply(
        self, rounds: Any, stacked: Sequence[Any], over: Sequence[Any], captured: Sequence[Any], again: Any
    ) -> dict[int, Any]:
        """The cotangents by number of the body's input.

        `stacked` are all stacked results of the extended loop, `over` and `captured` the operands for the rows and
        the other inputs, `again` the length and order of the new loop.
        """
        carried, behind = self.carried, self.carried + self.sliced
        body_inputs, outputs = self.body.inputs, (*self.body.outputs, *self.fresh)
        seeds = [place for place, value in enumerate(self.half.cotangents) if value is not None and place >= carried]
        sums = [Value(body_inputs[place].type, "sum") for place in self.fixed]
        state = [self.half.cotangents[place] or Value(body_inputs[place].type, "g") for place in self.active]
        rows = [self.half.cotangents[place] for place in seeds]
        inputs = (*state, *sums, *rows, *self.half.kept, *body_inputs[carried:], *(v for _, v in self.half.captures))
        places = [outputs[carried:].index(value) for value in self.half.kept]
        graph = continued(
            Graph(self.body.name, tuple(inputs), self.half.backward, ()),  # type: ignore[arg-type]  # seeds have cotangents
            partial(self._results, state, sums),
            f"{self.body.name}_gradient",
        )
        operands = (
            rounds,
            *(self.g[place] for place in self.active),
            *(PUBLIC["zeros_like"](captured[place - behind]) for place in self.fixed),
            *(self.g[place] for place in seeds),
            *(stacked[place] for place in places),
            *over,
            *captured,
            *(operand for operand, _ in self.half.captures),
        )
        sliced = len(seeds) + len(places) + len(over)
        attributes = {"body": graph, "carried": len(state) + len(sums), "sliced": sliced, **again}
        found = apply_all(find_op("scan"), operands, attributes)
        return dict(zip((*self.active, *self.fixed, *self.rows), found, strict=True))

    def _results(self, state: Sequence[Value], sums: Sequence[Value]) -> list[Any]:
        """What a round of the new loop hands on, and its rows."""
        found: list[Any] = []
        for place, before in zip(self.active, state, strict=True):
            value = self.gradients[place]
            found.append(PUBLIC["zeros_like"](here(before)) if value is None else here(value))
        for place, total in zip(self.fixed, sums, strict=True):
            found.append(add(here(total), here(_known(self.gradients[place]))))
        found.extend(here(_known(self.gradients[place])) for place in self.rows)
        return found


def _known(value: Value | None) -> Value:
    assert value is not None
    return value


def _while_gradient(
    wanted: tuple[bool, ...], g: Any, y: Any, *operands: Any, condition: Graph, body: Graph, carried: int
) -> Sequence[Any]:
    present = present_attributes(y, {"condition": condition, "body": body, "carried": carried})
    back = _Backwards(present["body"], carried, 0, wanted, g[:-1])
    if not back.is_needed:
        return [None] * len(operands)
    stacked = _extended(while_op, operands, y, present, back, len(present["body"].outputs), None)
    captured = operands[carried:]
    found = back.apply(y[-1], stacked[:-1], (), captured, {"length": None, "reverse": True})
    return [found.get(place) if is_wanted else None for place, is_wanted in enumerate(wanted)]


def _extended(
    op: Op,
    operands: tuple[Any, ...],
    y: tuple[Any, ...],
    present: Mapping[str, Any],
    back: _Backwards,
    place: int,
    length: Dimension,
) -> tuple[Any, ...]:
    """Let the loop keep what its derivative reads; its results behind the carried ones."""
    types = [_stacked(value.type, length) for value in back.fresh]
    if not types and len(present["body"].outputs) == len(back.g):
        return y[back.carried :]
    attributes = {**present, "body": back.extended_body()}
    return extended(op, operands, y, attributes, types, place)[back.carried :]


def _scan_gradient(
    wanted: tuple[bool, ...],
    g: Any,
    y: Any,
    *operands: Any,
    body: Graph,
    carried: int,
    sliced: int,
    length: int | None,
    reverse: bool,
) -> Sequence[Any]:
    given = {"body": body, "carried": carried, "sliced": sliced, "length": length, "reverse": reverse}
    present = present_attributes(y, given)
    back = _Backwards(present["body"], carried, sliced, wanted[1:], g)
    if not back.is_needed:
        return [None] * len(operands)
    rounds, _, over, captured = _split_scan(operands, carried, sliced)
    stacked = _extended(scan_op, operands, y, present, back, len(present["body"].outputs), length)
    found = back.apply(rounds, stacked, over, captured, {"length": length, "reverse": not reverse})
    return [None, *(found.get(place) if is_wanted else None for place, is_wanted in enumerate(wanted[1:]))]


# --- while ------------------------------------------------------------------------------------------


def _infer_while(
    types: tuple[TensorType, ...], *, condition: Graph, body: Graph, carried: int
) -> tuple[TensorType, ...]:
    require_inputs(condition, types)
    require_inputs(body, types)
    _require_carried(body, carried)
    if len(condition.outputs) != 1 or condition.outputs[0].type.rank:
        raise InvalidArgumentError("the condition of a loop is a scalar")
    require_kind(condition.outputs[0].type, "b", "the condition of a loop")
    finals = [value.type for value in body.inputs[:carried]]
    rows = [_stacked(value.type, None) for value in body.outputs[carried:]]
    return (*finals, *rows, TensorType(int64, ()))


def _history(rows: list[Array], body: Graph, carried: int) -> Array:
    """What each round kept, for the gradient.

    Raises:
      ShapeError: if its size changes from round to round.
    """
    for before, after in pairwise(rows):
        if before.shape != after.shape:
            open_ones = [one.name for one in body.inputs[:carried] if not one.type.is_static and one.name]
            names = " or ".join(map(repr, open_ones)) or "a value"
            raise ShapeError(
                f"the gradient of a loop needs what each round computed, in one tensor, but the size of {names} "
                f"changes from round to round: something that depends on it has shape {before.shape} in one, and "
                f"{after.shape} in the next. Let it have its full size before the loop, and write into it with "
                "gj.TensorArray or gj.tensor_scatter_nd_update"
            )
    return np.array(rows)


def _run_while(*arrays: Array, condition: Graph, body: Graph, carried: int) -> tuple[Array, ...]:
    from ..backends.reference import run_reference

    state, captured = list(arrays[:carried]), arrays[carried:]
    rows: list[list[Array]] = []
    while run_reference(condition, [*state, *captured])[0]:
        results = run_reference(body, [*state, *captured])
        state = results[:carried]
        rows.append(results[carried:])
    stacked = [
        _history([row[place] for row in rows], body, carried) if rows else _no_rows(value.type)
        for place, value in enumerate(body.outputs[carried:])
    ]
    return (*map(np.array, state), *stacked, np.array(len(rows), np.int64))


def _no_rows(type: TensorType) -> Array:
    return np.empty((0, *(size or 0 for size in type.shape)), type.dtype.numpy)


def _number(value: int) -> Any:
    return apply(constant_op, value=Literal(np.array(value, np.int32)))


_SCALAR = TensorType(float64, ())
_COUNT = TensorType(int32, ())
_FROM_ONE_TO_TEN = {
    "condition": write_graph("condition", [_SCALAR, _SCALAR], lambda x, limit: less(x, limit)),
    "body": write_graph("body", [_SCALAR, _SCALAR], lambda x, limit: [add(x, x), multiply(x, limit)]),
    "carried": 1,
}
_POWERS = {
    "condition": write_graph(
        "condition",
        [_COUNT, TensorType(float64, (None,)), TensorType(float64, (None,))],
        lambda i, x, y: less(i, _number(3)),
    ),
    "body": write_graph(
        "body",
        [_COUNT, TensorType(float64, (None,)), TensorType(float64, (None,))],
        lambda i, x, y: [add(i, _number(1)), multiply(x, y)],
    ),
    "carried": 2,
}

while_op: Op = declare(
    Op(
        name="while",
        kind=Kind.CONTROL,
        infer=_infer_while,
        numpy=_run_while,
        gradient=Pullback(_while_gradient),
        several=True,
        fails=can_fail,
        examples=(
            Example(("f64[] in (1, 1.5)", "f64[] in (9, 10)"), _FROM_ONE_TO_TEN),
            Example(("f64[] in (11, 12)", "f64[] in (9, 10)"), _FROM_ONE_TO_TEN),
            Example((np.int32(0), "f64[3]", "f64[3]"), _POWERS),
        ),
        doc=(
            "Runs `body` while `condition` is true; both take all operands, the first `carried` of which become what "
            "`body` made of them. Results: the last carried values, the stacked ones, and the number of rounds."
        ),
    )
)


# --- scan -------------------------------------------------------------------------------------------


def _split_scan(
    operands: Sequence[Any], carried: int, sliced: int
) -> tuple[Any, Sequence[Any], Sequence[Any], Sequence[Any]]:
    end = 1 + carried + sliced
    return operands[0], operands[1 : 1 + carried], operands[1 + carried : end], operands[end:]


def _infer_scan(
    types: tuple[TensorType, ...], *, body: Graph, carried: int, sliced: int, length: int | None, reverse: bool
) -> tuple[TensorType, ...]:
    rounds, state, over, captured = _split_scan(types, carried, sliced)
    require_kind(rounds, "iu", "the number of rounds")
    for one in over:
        if None not in (length, one.shape[0]) and length != one.shape[0]:
            raise InvalidArgumentError(f"a loop of {length} rounds over {one}")
    require_inputs(body, [*state, *map(_row, over), *captured])
    _require_carried(body, carried)
    finals = [value.type for value in body.inputs[:carried]]
    return (*finals, *(_stacked(value.type, length) for value in body.outputs[carried:]))


def _run_scan(
    *arrays: Array, body: Graph, carried: int, sliced: int, length: int | None, reverse: bool
) -> tuple[Array, ...]:
    from ..backends.reference import run_reference

    rounds, state, over, captured = _split_scan(arrays, carried, sliced)
    count = int(rounds)
    rows: list[list[Array]] = []
    for one in over:
        if len(one) != count:
            raise InvalidArgumentError(f"a loop of {count} rounds over {len(one)} rows")
    for number in reversed(range(count)) if reverse else range(count):
        results = run_reference(body, [*state, *(np.array(one[number]) for one in over), *captured])
        state = results[:carried]
        rows.append(results[carried:])
    if reverse:
        rows.reverse()
    stacked = [
        np.array([row[place] for row in rows]) if rows else _no_rows(value.type)
        for place, value in enumerate(body.outputs[carried:])
    ]
    return (*map(np.array, state), *stacked)


_SUM = write_graph("body", [_SCALAR, _SCALAR, _SCALAR], lambda s, x, scale: [add(s, multiply(x, scale)), s])
_DIFFERENCES = write_graph("body", [TensorType(float64, (None,))] * 2, lambda s, x: [x, subtract(x, s)])

scan_op: Op = declare(
    Op(
        name="scan",
        kind=Kind.CONTROL,
        infer=_infer_scan,
        numpy=_run_scan,
        gradient=Pullback(_scan_gradient),
        several=True,
        fails=can_fail,
        examples=(
            Example(
                (np.int64(4), "f64[]", "f64[4]", "f64[]"),
                {"body": _SUM, "carried": 1, "sliced": 1, "length": 4, "reverse": False},
            ),
            Example(
                (np.int64(3), "f64[2]", "f64[3,2]"),
                {"body": _DIFFERENCES, "carried": 1, "sliced": 1, "length": None, "reverse": True},
            ),
            Example(
                (np.int64(0), "f64[]", "f64[0]", "f64[]"),
                {"body": _SUM, "carried": 1, "sliced": 1, "length": None, "reverse": False},
            ),
        ),
        doc=(
            "Runs `body` as often as operand 0 says (`length`, where that is known). It takes the `carried` values, "
            "a row of each of the `sliced` operands, and the others. Results: the last carried values and the stacked "
            "ones. `reverse` begins with the last row."
        ),
    )
)


def stacked_of(attributes: Mapping[str, Any]) -> int:
    """How many results of a loop's body are stacked."""
    body: Graph = attributes["body"]
    return len(body.outputs) - int(attributes["carried"])


__all__: list[str] = []
