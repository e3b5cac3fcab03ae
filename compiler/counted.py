"""Loops whose number of rounds is known before they run: a number goes up by a constant until it reaches another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .graph import Graph, Value, constant_of

Array = np.ndarray[Any, Any]


def known_rounds(attributes: Mapping[str, Any], operands: Sequence[Array | None]) -> int | None:
    """How many rounds a `while` runs, None where that is not known.

    Args:
      attributes: of the equation.
      operands: the arrays of the operands that are constants, None for the others.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> condition = parse_graph("c(%i: i32[], %n: i32[]) { %1 = less(%i, %n) return %1 }")
    >>> body = parse_graph('''b(%i: i32[], %n: i32[]) {
    ...   %2 = constant() {value=dense<i32[]: 3>}
    ...   %3 = add(%i, %2)
    ...   return %3
    ... }''')
    >>> known_rounds({"condition": condition, "body": body, "carried": 1}, [np.int32(0), np.int32(10)])
    4
    """
    condition, body, carried = attributes["condition"], attributes["body"], attributes["carried"]
    test = condition.producers.get(condition.outputs[0])
    if test is None or test.op.name not in ("less", "less_equal"):
        return None
    if any(one is not test and one.op.name != "constant" for one in condition.equations):
        return None
    counter, limit_value = test.operands
    if counter not in condition.inputs[:carried] or not counter.type.dtype.is_integer or counter.type.rank:
        return None
    place = condition.inputs.index(counter)
    begin, limit = _number(operands[place]), _known(limit_value, condition, operands, carried)
    step = _step(body, place)
    if begin is None or limit is None or step is None or step <= 0:
        return None
    end = limit + (test.op.name == "less_equal")
    rounds = max(0, -(-(end - begin) // step))
    return rounds if begin + rounds * step <= np.iinfo(counter.type.dtype.numpy).max else None


def _number(array: Array | None) -> int | None:
    return None if array is None or array.size != 1 else int(array.reshape(-1)[0])


def _known(value: Value, graph: Graph, operands: Sequence[Array | None], carried: int) -> int | None:
    if value in graph.inputs:
        place = graph.inputs.index(value)
        return _number(operands[place]) if place >= carried else None
    return _number(constant_of(value, graph.producers))


def _step(body: Graph, place: int) -> int | None:
    """By how much a round raises a carried number, None if that is not a constant."""
    equation = body.producers.get(body.outputs[place])
    if equation is None or equation.op.name != "add":
        return None
    before = body.inputs[place]
    others = [operand for operand in equation.operands if operand is not before]
    return _number(constant_of(others[0], body.producers)) if len(others) == 1 else None
