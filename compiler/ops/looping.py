"""Ops that run a graph again and again.

`while` runs `body` as long as `condition` is true. `scan` runs it a number of times that is known before, over the
rows of some operands. What a round hands to the next is carried: the first results of `body`. Its other
results are stacked, one row for each round.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from ..graph import Graph
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import require_kind
from ..tensortype import Dimension, TensorType, float64, int32, int64
from ..writer import write_graph
from .arithmetic import add, multiply, subtract
from .branching import Array, can_fail, require_inputs
from .comparing import less


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


def _run_while(*arrays: Array, condition: Graph, body: Graph, carried: int) -> tuple[Array, ...]:
    from ..backends.reference import run_reference

    state, captured = list(arrays[:carried]), arrays[carried:]
    rows: list[list[Array]] = []
    while run_reference(condition, [*state, *captured])[0]:
        results = run_reference(body, [*state, *captured])
        state = results[:carried]
        rows.append(results[carried:])
    stacked = [
        np.array([row[place] for row in rows]) if rows else _no_rows(value.type)
        for place, value in enumerate(body.outputs[carried:])
    ]
    return (*map(np.array, state), *stacked, np.array(len(rows), np.int64))


def _no_rows(type: TensorType) -> Array:
    return np.empty((0, *(size or 0 for size in type.shape)), type.dtype.numpy)


_SCALAR = TensorType(float64, ())
_COUNT = TensorType(int32, ())
_FROM_ONE_TO_TEN = {
    "condition": write_graph("condition", [_SCALAR, _SCALAR], lambda x, limit: less(x, limit)),
    "body": write_graph("body", [_SCALAR, _SCALAR], lambda x, limit: [add(x, x), multiply(x, limit)]),
    "carried": 1,
}
_POWERS = {
    "condition": write_graph(
        "condition", [_COUNT, TensorType(float64, (None,)), TensorType(float64, (None,))], lambda i, x, y: less(i, 3)
    ),
    "body": write_graph(
        "body",
        [_COUNT, TensorType(float64, (None,)), TensorType(float64, (None,))],
        lambda i, x, y: [add(i, 1), multiply(x, y)],
    ),
    "carried": 2,
}

while_op: Op = declare(
    Op(
        name="while",
        kind=Kind.CONTROL,
        infer=_infer_while,
        numpy=_run_while,
        gradient=Differentiability.MISSING,
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
        gradient=Differentiability.MISSING,
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
