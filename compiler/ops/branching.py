"""Ops that run one of several graphs.

All graphs take the operands behind the first, which decides; they have the same number of results, of the
same dtypes and ranks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError
from graphjit.runtime.fields import dataclass, field

from ..dispatch import apply_all
from ..graph import Graph, Value
from ..innerderivative import (
    InnerHalves,
    continued,
    derive_inside,
    extended,
    here,
    present_attributes,
    zeros_of,
)
from ..op import Example, Kind, Op, Pullback, declare, find_op
from ..operand import PUBLIC, require_kind
from ..tensortype import TensorType, float64
from ..writer import write_graph
from .arithmetic import add, multiply

Array = np.ndarray[Any, Any]


def branches_of(attributes: Mapping[str, Any]) -> list[Graph]:
    """The graphs of a branching equation, in the order of the deciding number (false before true)."""
    if "if_true" in attributes:
        return [attributes["if_false"], attributes["if_true"]]
    return [attributes[f"case_{number}"] for number in range(len(attributes))]


def branch_attributes(graphs: Sequence[Graph], is_cond: bool) -> dict[str, Graph]:
    """The attributes of a branching equation with these graphs: the reverse of `branches_of`."""
    if is_cond:
        return {"if_true": graphs[1], "if_false": graphs[0]}
    return {f"case_{number}": graph for number, graph in enumerate(graphs)}


def common_type(types: Sequence[TensorType]) -> TensorType:
    """The type that accepts all of these, which have one dtype and rank: sizes that differ are unknown."""
    first = types[0]
    if any(one.dtype is not first.dtype or one.rank != first.rank for one in types):
        raise InvalidArgumentError(f"the branches' results are {', '.join(map(str, types))}, which do not go together")
    sizes = zip(*(one.shape for one in types), strict=True)
    return TensorType(first.dtype, tuple(one[0] if len(set(one)) == 1 else None for one in sizes))


def require_inputs(graph: Graph, types: Sequence[TensorType]) -> None:
    """Refuse operands that do not fit the inputs of a graph that an equation holds.

    Raises:
      InvalidArgumentError: naming the first that does not.
    """
    if len(types) != len(graph.inputs):
        raise InvalidArgumentError(f"{graph.name} has {len(graph.inputs)} inputs, but gets {len(types)}")
    for value, type in zip(graph.inputs, types, strict=True):
        if not value.type.accepts(type):
            raise InvalidArgumentError(f"{graph.name}: input %{value.name} is {value.type}, but gets {type}")


def _types_of_branches(types: tuple[TensorType, ...], graphs: Sequence[Graph]) -> tuple[TensorType, ...]:
    for graph in graphs:
        require_inputs(graph, types[1:])
    if len({len(graph.outputs) for graph in graphs}) != 1:
        raise InvalidArgumentError("the branches have different numbers of results")
    outputs = zip(*(graph.outputs for graph in graphs), strict=True)
    return tuple(common_type([value.type for value in one]) for one in outputs)


def _infer_cond(types: tuple[TensorType, ...], *, if_true: Graph, if_false: Graph) -> tuple[TensorType, ...]:
    if not types or types[0].rank:
        raise InvalidArgumentError("the condition of a branch is a scalar")
    require_kind(types[0], "b", "the condition of a branch")
    return _types_of_branches(types, (if_false, if_true))


def _infer_switch(types: tuple[TensorType, ...], **cases: Graph) -> tuple[TensorType, ...]:
    if not types or types[0].rank:
        raise InvalidArgumentError("the number of a branch is a scalar")
    require_kind(types[0], "iu", "the number of a branch")
    return _types_of_branches(types, branches_of(cases))


def _run(graph: Graph, arrays: Sequence[Array]) -> tuple[Array, ...]:
    from ..backends.reference import run_reference

    return tuple(run_reference(graph, arrays))


def _run_cond(condition: Array, *arrays: Array, if_true: Graph, if_false: Graph) -> tuple[Array, ...]:
    return _run(if_true if condition else if_false, arrays)


def chosen(index: int, count: int) -> int:
    """The branch that a number means: one out of range means the last."""
    return index if 0 <= index < count else count - 1


def _run_switch(index: Array, *arrays: Array, **cases: Graph) -> tuple[Array, ...]:
    graphs = branches_of(cases)
    return _run(graphs[chosen(int(index), len(graphs))], arrays)


# --- gradients --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Slots:
    """Results that branches hand over to their backward parts: one holds a value of each branch, or of some."""

    types: list[TensorType] = field(default_factory=list)
    values: list[dict[int, Value]] = field(default_factory=list)

    def add(self, branch: int, value: Value) -> None:
        """Find a place for a value of a branch."""
        for type, holders in zip(self.types, self.values, strict=True):
            if type == value.type and branch not in holders:
                holders[branch] = value
                return
        self.types.append(value.type)
        self.values.append({branch: value})


def _pull_back(
    op: Op, wanted: tuple[bool, ...], g: tuple[Any, ...], y: tuple[Any, ...], operands: tuple[Any, ...], given: Any
) -> Sequence[Any]:
    """The same branch, backwards: each has its derivative, for what it keeps of its forward part."""
    graphs = branches_of(present_attributes(y, given))
    by = [place - 1 for place, is_wanted in enumerate(wanted) if is_wanted]
    halves = [derive_inside(one, len(y), by, one.inputs) for one in graphs]
    reached = [place for place in range(len(by)) if any(one.gradients[place] is not None for one in halves)]
    if not reached:
        return [None] * len(operands)
    slots = _Slots()
    for branch, half in enumerate(halves):
        for value in half.kept:
            slots.add(branch, value)
    histories = _extended(op, graphs, halves, slots, operands, y)
    seeds = [place for place in range(len(y)) if any(one.cotangents[place] is not None for one in halves)]
    captures = {id(operand): operand for half in halves for operand, _ in half.captures}
    backward = [
        _backward_graph(branch, graph, half, slots, seeds, reached, captures, by)
        for branch, (graph, half) in enumerate(zip(graphs, halves, strict=True))
    ]
    attributes = branch_attributes(backward, op.name == "cond")
    inputs = (operands[0], *operands[1:], *histories, *(g[place] for place in seeds), *captures.values())
    found = apply_all(op, inputs, attributes)
    gradients: list[Any] = [None] * len(operands)
    for place, gradient in zip(reached, found, strict=True):
        gradients[by[place] + 1] = gradient
    return gradients


def _extended(
    op: Op,
    graphs: Sequence[Graph],
    halves: Sequence[InnerHalves],
    slots: _Slots,
    operands: tuple[Any, ...],
    y: tuple[Any, ...],
) -> tuple[Any, ...]:
    """Let the equation hand over what the slots hold; the results that they are."""
    if not slots.types:
        return ()
    present = len(graphs[0].outputs)
    forward = [
        continued(
            Graph(graph.name, graph.inputs, half.forward, graph.outputs),
            partial(_with_slots, graph, branch, slots),
            graph.name,
        )
        for branch, (graph, half) in enumerate(zip(graphs, halves, strict=True))
    ]
    attributes = branch_attributes(forward, op.name == "cond")
    outputs = extended(op, operands, y, attributes, slots.types, present)
    return outputs[present:]


def _with_slots(graph: Graph, branch: int, slots: _Slots) -> list[Any]:
    held = zip(slots.types, slots.values, strict=True)
    return [
        *map(here, graph.outputs),
        *(here(holders[branch]) if branch in holders else zeros_of(type) for type, holders in held),
    ]


def _backward_graph(
    branch: int,
    graph: Graph,
    half: InnerHalves,
    slots: _Slots,
    seeds: Sequence[int],
    reached: Sequence[int],
    captures: Mapping[int, Any],
    by: Sequence[int],
) -> Graph:
    """The backward part of a branch, with the inputs that those of all branches have."""
    kept = [holders.get(branch) or Value(type) for type, holders in zip(slots.types, slots.values, strict=True)]
    cotangents = [half.cotangents[place] or Value(graph.outputs[place].type) for place in seeds]
    own = {id(operand): value for operand, value in half.captures}
    others = [own.get(key) or Value(operand.type) for key, operand in captures.items()]
    inputs = (*graph.inputs, *kept, *cotangents, *others)

    def gradients() -> list[Any]:
        found = []
        for place in reached:
            value = half.gradients[place]
            found.append(PUBLIC["zeros_like"](here(graph.inputs[by[place]])) if value is None else here(value))
        return found

    return continued(Graph(graph.name, inputs, half.backward, ()), gradients, f"{graph.name}_gradient")


def _of(op_name: str) -> Pullback:
    def function(wanted: tuple[bool, ...], g: Any, y: Any, *operands: Any, **given: Graph) -> Sequence[Any]:
        return _pull_back(find_op(op_name), wanted, g, y, operands, given)

    return Pullback(function)


# --- the ops ----------------------------------------------------------------------------------------


def can_fail(types: tuple[TensorType, ...], attributes: Mapping[str, Any]) -> bool:
    """Whether a graph that an equation holds has effects, or may raise."""
    graphs = [value for value in attributes.values() if isinstance(value, Graph)]
    return any(equation.must_run for graph in graphs for equation in graph.equations)


def _examples_of(shape: tuple[int | None, ...]) -> tuple[Graph, Graph]:
    type = TensorType(float64, shape)
    double = write_graph("double", [type, type], lambda x, y: [add(x, x), multiply(x, y)])
    square = write_graph("square", [type, type], lambda x, y: [multiply(x, x), y])
    return double, square


_DOUBLE, _SQUARE = _examples_of((None,))
_DOUBLE_SCALAR, _SQUARE_SCALAR = _examples_of(())

cond_op: Op = declare(
    Op(
        name="cond",
        kind=Kind.CONTROL,
        infer=_infer_cond,
        numpy=_run_cond,
        gradient=_of("cond"),
        several=True,
        fails=can_fail,
        examples=(
            Example((np.array(True), "f64[3]", "f64[3]"), {"if_true": _DOUBLE, "if_false": _SQUARE}),
            Example((np.array(False), "f64[]", "f64[]"), {"if_true": _DOUBLE_SCALAR, "if_false": _SQUARE_SCALAR}),
        ),
        doc="The results of `if_true` where operand 0 is true, else those of `if_false`.",
    )
)

switch_op: Op = declare(
    Op(
        name="switch",
        kind=Kind.CONTROL,
        infer=_infer_switch,
        numpy=_run_switch,
        gradient=_of("switch"),
        several=True,
        fails=can_fail,
        examples=(
            Example((np.int32(1), "f64[3]", "f64[3]"), {"case_0": _DOUBLE, "case_1": _SQUARE, "case_2": _DOUBLE}),
            Example((np.int32(-7), "f64[]", "f64[]"), {"case_0": _DOUBLE_SCALAR, "case_1": _SQUARE_SCALAR}),
        ),
        doc="The results of the graph whose number operand 0 is; of the last one where it is out of range.",
    )
)

__all__: list[str] = []
