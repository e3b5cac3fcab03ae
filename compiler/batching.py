"""What a graph does for one, done for many at once: a graph of rows becomes ops on whole tensors.

Each equation follows the rule of its op, or of its op's kind: elementwise ops broadcast, reductions reduce later
axes, a matrix product has one more axis in front, a loop carries more. An equation that has no rule becomes a loop over
the rows that holds nothing else. What may not be taken apart at all, `why_not_at_once` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from .batchrules import Outputs, aligned, axes_shift, repeated
from .dispatch import apply_all, current_interpreter
from .graph import Equation, Graph, Value
from .op import Kind
from .operand import PUBLIC, Operand
from .ops.branching import branch_attributes, branches_of, cond_op, switch_op
from .ops.looping import scan_op, while_op
from .tensortype import TensorType
from .writer import GraphWriter, write_graph

_BY_KIND = {Kind.ELEMENTWISE: aligned, Kind.REDUCTION: axes_shift("axis")}


def why_not_at_once(inputs: Iterable[Value], equations: Sequence[Equation]) -> str | None:
    """Why a graph's rows must be done one after the other; None where they need not."""
    for equation in equations:
        if equation.has_effect:
            return f"{equation.op.name} has an effect, which keeps its order"
        if any(callable(one) for one in equation.attributes.values()):
            return f"{equation.op.name} calls Python"
        for inner in equation.graphs:
            reason = why_not_at_once(inner.inputs, inner.equations)
            if reason is not None:
                return reason
    values = [*inputs, *(value for equation in equations for value in equation.outputs)]
    unknown = next((value for value in values if not value.type.is_static), None)
    return None if unknown is None else f"the shape {unknown.type.shape} is not known"


def at_once(graph: Graph, operands: Sequence[Operand], is_batched: Sequence[bool], size: int) -> list[Operand]:
    """The outputs of a graph for `size` rows, stacked along a first axis, written by who interprets.

    Args:
      graph: what is done with a row.
      operands: what its inputs are; those with `is_batched` have a first axis along which the rows stand.
      is_batched: for each operand.
      size: the number of rows.
    """
    found, flags = _walk(graph, operands, is_batched, size)
    return [one if batched else repeated(one, size) for one, batched in zip(found, flags, strict=True)]


def _walk(
    graph: Graph, operands: Sequence[Operand], is_batched: Sequence[bool], size: int
) -> tuple[list[Operand], list[bool]]:
    writer = current_interpreter()
    made = dict(zip(graph.inputs, operands, strict=True))
    batched = {value for value, flag in zip(graph.inputs, is_batched, strict=True) if flag}
    before = writer.location if isinstance(writer, GraphWriter) else None
    for equation in graph.equations:
        if isinstance(writer, GraphWriter):
            writer.location = equation.location or before
        given = [made[value] for value in equation.operands]
        flags = [value in batched for value in equation.operands]
        outputs, has_rows = _done(equation, given, flags, size)
        made.update(zip(equation.outputs, outputs, strict=True))
        batched.update(value for value, flag in zip(equation.outputs, has_rows, strict=True) if flag)
    if isinstance(writer, GraphWriter):
        writer.location = before
    return [made[value] for value in graph.outputs], [value in batched for value in graph.outputs]


def _done(
    equation: Equation, operands: Sequence[Operand], is_batched: Sequence[bool], size: int
) -> tuple[Outputs, Sequence[bool]]:
    """An equation's results, and which of them have rows."""
    if not any(is_batched):
        return apply_all(equation.op, tuple(operands), equation.attributes), [False] * len(equation.outputs)
    if equation.op is scan_op and not is_batched[0]:
        return _scan(equation, operands, is_batched, size)
    if equation.op is while_op and not _decides(equation, is_batched):
        return _while(equation, operands, is_batched, size)
    return _all_rows(equation, operands, is_batched, size), [True] * len(equation.outputs)


def _all_rows(equation: Equation, operands: Sequence[Operand], is_batched: Sequence[bool], size: int) -> Outputs:
    op = equation.op
    if op in (cond_op, switch_op) and not is_batched[0]:
        return _branches(equation, operands, is_batched, size)
    rule = op.batch or _BY_KIND.get(op.kind)
    found = None if rule is None else rule(op, operands, is_batched, equation.attributes, size)
    if found is not None:
        return found
    inside = _definition(equation)
    if inside is not None:
        return at_once(inside, operands, is_batched, size)
    return one_by_one(equation, operands, is_batched, size)


def _definition(equation: Equation) -> Graph | None:
    """What a composed op is made of, for a row."""
    op = equation.op
    if op.kind is not Kind.COMPOSED or op.definition is None:
        return None
    declined: list[None] = []

    def written(*operands: Operand) -> Sequence[Operand]:
        results = op.definition(*operands, **equation.attributes)  # type: ignore[misc]  # it was asked for above
        if results is None:
            declined.append(None)
            return []
        return list(results) if op.several else [results]

    graph = write_graph(op.name, equation.operand_types, written)
    return None if declined else graph


def one_by_one(equation: Equation, operands: Sequence[Operand], is_batched: Sequence[bool], size: int) -> Outputs:
    """A loop over the rows that does one equation."""
    inside = equation.operands
    rows = [place for place, flag in enumerate(is_batched) if flag]
    rest = [place for place, flag in enumerate(is_batched) if not flag]
    inputs = [Value(value.type, value.name) for value in inside]
    outputs = tuple(Value(value.type, value.name) for value in equation.outputs)
    alone = Equation(equation.op, tuple(inputs), equation.attributes, outputs, equation.location)
    body = Graph(equation.op.name, tuple(inputs[place] for place in (*rows, *rest)), (alone,), outputs)
    attributes = {"body": body, "carried": 0, "sliced": len(rows), "length": size, "reverse": False}
    given = (_count(size), *(operands[place] for place in (*rows, *rest)))
    return apply_all(scan_op, given, attributes)


def _count(size: int) -> Operand:
    return current_interpreter().constant(np.array(size, np.int64))


# --- ops that hold graphs -----------------------------------------------------------------------------


def _flags_of(graph: Graph, is_batched: Sequence[bool]) -> list[bool]:
    """Which outputs of a graph depend on inputs with rows."""
    batched = {value for value, flag in zip(graph.inputs, is_batched, strict=True) if flag}
    for equation in graph.equations:
        if any(operand in batched for operand in equation.operands):
            batched.update(equation.outputs)
    return [value in batched for value in graph.outputs]


def _settled(body: Graph, carried: Sequence[bool], rest: Sequence[bool]) -> list[bool]:
    """Which of a loop's carried values have rows in the end, as they must have from the beginning."""
    current = list(carried)
    while True:
        after = _flags_of(body, [*current, *rest])[: len(current)]
        wider = [one or other for one, other in zip(current, after, strict=True)]
        if wider == current:
            return current
        current = wider


def _rows_of(type: TensorType, size: int, flag: bool) -> TensorType:
    return TensorType(type.dtype, (size, *type.shape)) if flag else type


def _written(graph: Graph, is_batched: Sequence[bool], wanted: Sequence[bool], size: int) -> Graph:
    """The graph for many rows, whose outputs have rows where `wanted`."""
    types = [_rows_of(value.type, size, flag) for value, flag in zip(graph.inputs, is_batched, strict=True)]

    def body(*symbols: Operand) -> Sequence[Operand]:
        found, flags = _walk(graph, symbols, is_batched, size)
        return [
            repeated(one, size) if needed and not flag else one
            for one, flag, needed in zip(found, flags, wanted, strict=True)
        ]

    return write_graph(graph.name, types, body)


def _scan(
    equation: Equation, operands: Sequence[Operand], is_batched: Sequence[bool], size: int
) -> tuple[Outputs, Sequence[bool]]:
    """A loop of as many rounds for all rows, which does a round for all of them."""
    attributes = equation.attributes
    body: Graph = attributes["body"]
    count, end = attributes["carried"], 1 + attributes["carried"] + attributes["sliced"]
    carried = _settled(body, is_batched[1 : 1 + count], is_batched[1 + count :])
    inner = [*carried, *is_batched[1 + count :]]
    wanted = [*carried, *_flags_of(body, inner)[count:]]
    given = list(operands)
    for place, flag in enumerate(carried, 1):
        if flag and not is_batched[place]:
            given[place] = repeated(given[place], size)
    for place in range(1 + count, end):
        if is_batched[place]:
            given[place] = PUBLIC["moveaxis"](given[place], 0, 1)
    many = {**attributes, "body": _written(body, inner, wanted, size)}
    outputs = apply_all(scan_op, tuple(given), many)
    return _stacked_behind(outputs, wanted, count), wanted


def _decides(equation: Equation, is_batched: Sequence[bool]) -> bool:
    """Whether rows have loops of different lengths."""
    count = equation.attributes["carried"]
    carried = _settled(equation.attributes["body"], is_batched[:count], is_batched[count:])
    return any(_flags_of(equation.attributes["condition"], [*carried, *is_batched[count:]]))


def _while(
    equation: Equation, operands: Sequence[Operand], is_batched: Sequence[bool], size: int
) -> tuple[Outputs, Sequence[bool]]:
    """A loop whose condition is the same for all rows."""
    attributes = equation.attributes
    body: Graph = attributes["body"]
    count = attributes["carried"]
    carried = _settled(body, is_batched[:count], is_batched[count:])
    inner = [*carried, *is_batched[count:]]
    wanted = [*carried, *_flags_of(body, inner)[count:]]
    given = [
        repeated(one, size) if flag and not batched else one
        for one, flag, batched in zip(operands, inner, is_batched, strict=True)
    ]
    many = {
        **attributes,
        "body": _written(body, inner, wanted, size),
        "condition": _written(attributes["condition"], inner, [False], size),
    }
    outputs = apply_all(while_op, tuple(given), many)
    return [*_stacked_behind(outputs[:-1], wanted, count), outputs[-1]], [*wanted, False]


def _stacked_behind(outputs: Outputs, has_rows: Sequence[bool], count: int) -> list[Operand]:
    """A loop's results; what was stacked round by round has its rows first."""
    return [
        PUBLIC["moveaxis"](one, 1, 0) if place >= count and flag else one
        for place, (one, flag) in enumerate(zip(outputs, has_rows, strict=True))
    ]


def _branches(equation: Equation, operands: Sequence[Operand], is_batched: Sequence[bool], size: int) -> Outputs:
    """A branch that all rows take."""
    graphs = branches_of(equation.attributes)
    wanted = [True] * len(equation.outputs)
    many = [_written(graph, is_batched[1:], wanted, size) for graph in graphs]
    return apply_all(equation.op, tuple(operands), branch_attributes(many, equation.op is cond_op))
