"""What passes need to know of the ops that hold graphs: which operand becomes which input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .graph import Equation, Graph, Value
from .op import Op
from .ops.branching import branch_attributes, branches_of, common_type, cond_op, switch_op
from .ops.looping import scan_op, while_op
from .tensortype import TensorType

BRANCHES = (cond_op, switch_op)
LOOPS = (while_op, scan_op)

Write = Callable[[Graph, Sequence[TensorType], int], Graph]
"""Given a graph, the types of its inputs, and how many of the last of them are operands of the equation as they are:
the graph for these types."""


def retyped(op: Op, types: Sequence[TensorType], attributes: Mapping[str, Any], write: Write) -> dict[str, Any]:
    """The attributes of a branching or looping equation with graphs for operands of these types."""
    if op in BRANCHES:
        inner = list(types[1:])
        graphs = [write(graph, inner, len(inner)) for graph in branches_of(attributes)]
        return dict(branch_attributes(graphs, op is cond_op))
    if op is while_op:
        return _retyped_while(types, attributes, write)
    if op is scan_op:
        return _retyped_scan(types, attributes, write)
    return dict(attributes)


def _retyped_while(types: Sequence[TensorType], attributes: Mapping[str, Any], write: Write) -> dict[str, Any]:
    count = attributes["carried"]
    captured = list(types[count:])
    carried, body = _settled(attributes["body"], types[:count], captured, len(captured), write)
    condition = write(attributes["condition"], [*carried, *captured], len(captured))
    return {**attributes, "condition": condition, "body": body}


def _retyped_scan(types: Sequence[TensorType], attributes: Mapping[str, Any], write: Write) -> dict[str, Any]:
    count = attributes["carried"]
    behind = 1 + count + attributes["sliced"]
    over = types[1 + count : behind]
    rows = [TensorType(one.dtype, one.shape[1:]) for one in over]
    rest = [*rows, *types[behind:]]
    _, body = _settled(attributes["body"], types[1 : 1 + count], rest, len(types) - behind, write)
    length = next((one.shape[0] for one in over if one.shape[0] is not None), attributes["length"])
    return {**attributes, "body": body, "length": length}


def _settled(
    body: Graph, first: Sequence[TensorType], rest: Sequence[TensorType], as_they_are: int, write: Write
) -> tuple[list[TensorType], Graph]:
    """The types that a loop's carried values have in every round, and its body for them."""
    carried = list(first)
    while True:
        written = write(body, [*carried, *rest], as_they_are)
        outputs = written.outputs[: len(carried)]
        wider = [common_type([old, value.type]) for old, value in zip(carried, outputs, strict=True)]
        if wider == carried:
            return carried, written
        carried = wider


def runs_natively(equation: Equation) -> bool:
    """Whether branches or a loop become steps of the program: everything in them has known sizes.

    Apart from what inner loops stack, which may be read by loops over its rows.
    """
    if equation.op not in (*BRANCHES, *LOOPS):
        return False
    if equation.op is switch_op and equation.operands[0].type.dtype.name not in ("int32", "int64"):
        return False
    if equation.op is scan_op and equation.operands[0].type.dtype.name != "int64":
        return False
    stacked = () if equation.op in BRANCHES else equation.outputs[equation.attributes["carried"] :]
    finals = [one for one in equation.outputs if one not in stacked]
    known = all(one.type.has_plain_memory for one in (*finals, *_read_whole(equation)))
    return known and all(map(_is_known, equation.graphs)) and all(map(_rows_are_known, stacked))


def _rows_are_known(value: Value) -> bool:
    return None not in value.type.shape[1:] and not value.type.dtype.is_string


def _read_whole(equation: Equation) -> tuple[Value, ...]:
    """The operands that are not read row by row."""
    if equation.op is not scan_op:
        return equation.operands
    begin = 1 + equation.attributes["carried"]
    return (*equation.operands[:begin], *equation.operands[begin + equation.attributes["sliced"] :])


def _is_known(graph: Graph) -> bool:
    """Whether a graph's values have known sizes, but for what is stacked and read row by row."""
    opened = {value for value in graph.values() if not value.type.has_plain_memory}
    if not opened:
        return True
    if not all(value in graph.producers and _rows_are_known(value) for value in opened):
        return False
    makers = {graph.producers[value] for value in opened}
    if not all(maker.op in LOOPS and runs_natively(maker) for maker in makers) or opened & set(graph.outputs):
        return False
    readers = [equation for equation in graph.equations if opened & set(equation.operands)]
    return all(runs_natively(one) and not opened & set(_read_whole(one)) for one in readers)
