"""Take small tensors that a loop computes with apart into numbers, so that the loop can be one kernel.

>>> from graphjit.compiler.dump.text import show
>>> show(scalars, '''
... f(%n: i32[], %x: f32[2]) {
...   %last = scan(%n, %x) {
...     body=body(%x: f32[2]) {
...       %a = strided_slice(%x) {begin=(0,), drop=(0,), end=(1,), step=(1,)}
...       %y = multiply(%x, %a)
...       return %y
...     },
...     carried=1, length=99, reverse=false, sliced=0
...   }
...   return %last
... }
... ''')
f(%n: i32[], %x: f32[2]) {
  %2: f32[] = strided_slice(%x) {begin=(0,), drop=(0,), end=(1,), step=(1,)}
  %3: f32[] = strided_slice(%x) {begin=(1,), drop=(0,), end=(2,), step=(1,)}
  %4: f32[], %5: f32[] = scan(%n, %2, %3) {
    body=body(%x_0: f32[], %x_1: f32[]) {
      %y_0: f32[] = multiply(%x_0, %x_0)
      %y_1: f32[] = multiply(%x_1, %x_0)
      return %y_0, %y_1
    },
    carried=2,
    length=99,
    reverse=false,
    sliced=0
  }
  %6: f32[1] = reshape(%4) {shape=(1,)}
  %7: f32[1] = reshape(%5) {shape=(1,)}
  %last: f32[2] = concat(%6, %7) {axis=0}
  return %last
}

A point of three coordinates that moves is such a tensor. An element of a result is computed from the elements that
broadcasting pairs; where an op only moves elements, NumPy says which go where by moving their numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..dispatch import apply_all
from ..graph import Equation, Graph, Literal, Value
from ..kernel_facts import why_not_type
from ..loopkernel import MOST_STATEMENTS, is_scalar_loop
from ..maploop import is_map_loop
from ..op import Kind
from ..operand import PUBLIC, Operand
from ..ops.looping import scan_op, while_op
from ..ops.slicing import index_along
from ..rewriting import Rewriter, rewrite
from ..tensortype import TensorType

_MOST_ELEMENTS = 16
_MOST_AROUND = 64
_LEAST_ROUNDS = 16

Elements = dict[Value, tuple[Value, ...]]
"""For each value of a graph the numbers that stand for its elements, in C order."""


def scalars(graph: Graph) -> Graph:
    """The graph whose loops over small tensors are loops over numbers."""
    if not any(equation.op in (while_op, scan_op) for equation in graph.equations):
        return graph
    return rewrite(Rewriter(graph), graph, _step)


def _step(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
    if not _can_be_split(equation):
        return None
    attributes = dict(equation.attributes)
    operands = list(rewriter.symbols(equation.operands))
    body: Graph = attributes["body"]
    head = [operands.pop(0)] if equation.op is scan_op else []
    carried, sliced = attributes["carried"], attributes.get("sliced", 0)
    parts = [
        _elements(operand, value.type.shape, 1 if carried <= place < carried + sliced else 0)
        for place, (operand, value) in enumerate(zip(operands, body.inputs, strict=True))
    ]
    counts = [len(part) for part in parts]
    attributes["carried"] = sum(counts[:carried])
    if equation.op is scan_op:
        attributes["sliced"] = sum(counts[carried : carried + sliced])
    attributes |= {name: _split(one) for name, one in attributes.items() if isinstance(one, Graph)}
    made = iter(apply_all(equation.op, (*head, *(one for part in parts for one in part)), attributes))
    results = [
        _whole([next(made) for _ in range(_count(value.type))], value.type.shape, 0 if place < carried else 1)
        for place, value in enumerate(body.outputs)
    ]
    return [*results, *made]


# --- around the loop --------------------------------------------------------------------------------


def _elements(operand: Operand, shape: tuple[Any, ...], behind: int) -> list[Operand]:
    """The elements of a tensor, or of all its rows: `behind` axes stand before those of `shape`."""
    if shape == ():
        return [operand]
    count, first = int(np.prod(shape)), operand.type.sizes[:behind]
    flat = operand if len(shape) == 1 else PUBLIC["reshape"](operand, [*first, count])
    return [index_along(flat, behind, one) for one in range(count)]


def _whole(elements: Sequence[Operand], shape: tuple[Any, ...], behind: int) -> Operand:
    """The tensor, or the rows, of elements."""
    if shape == ():
        return elements[0]
    first = list(elements[0].type.sizes[:behind])
    joined: Operand = PUBLIC["concat"]([PUBLIC["reshape"](one, [*first, 1]) for one in elements], behind)
    return joined if len(shape) == 1 else PUBLIC["reshape"](joined, [*first, *shape])


# --- inside of it -----------------------------------------------------------------------------------


def _split(graph: Graph) -> Graph:
    """The graph whose inputs, equations and outputs are numbers."""
    elements: Elements = {value: _numbers(value) for value in graph.inputs}
    equations = [one for equation in graph.equations for one in _split_equation(equation, elements)]
    inputs = [one for value in graph.inputs for one in elements[value]]
    outputs = [one for value in graph.outputs for one in elements[value]]
    return Graph(graph.name, tuple(inputs), tuple(equations), tuple(outputs))


def _split_equation(equation: Equation, elements: Elements) -> Iterator[Equation]:
    output = equation.output
    if equation.op.kind in (Kind.VIEW, Kind.JOIN):
        elements[output] = _moved(equation, elements)
        return
    if output.type.shape == () and all(len(elements[one]) == 1 for one in equation.operands):
        operands = tuple(elements[one][0] for one in equation.operands)
        elements[output] = (output,)
        yield Equation(equation.op, operands, equation.attributes, (output,), equation.location)
        return
    made = elements[output] = _numbers(output)
    paired = [_broadcast(elements[one], one.type.shape, output.type.shape) for one in equation.operands]
    attributes = _attributes_of_elements(equation, len(made))
    for place, value in enumerate(made):
        operands = tuple(one[place] for one in paired)
        yield Equation(equation.op, operands, attributes(place), (value,), equation.location)


def _attributes_of_elements(equation: Equation, count: int) -> Callable[[int], Any]:
    """The attributes of an element's equation; a constant has its value there."""
    if equation.op.name != "constant":
        return lambda place: equation.attributes
    numbers = np.broadcast_to(equation.attributes["value"].array, equation.output.type.sizes).reshape(count)
    return lambda place: {"value": Literal(numbers[place])}


def _numbers(value: Value) -> tuple[Value, ...]:
    if value.type.shape == ():
        return (value,)
    one = TensorType(value.type.dtype, ())
    return tuple(Value(one, f"{value.name}_{place}" if value.name else "") for place in range(_count(value.type)))


def _broadcast(elements: tuple[Value, ...], shape: Any, wanted: Any) -> list[Value]:
    places = np.broadcast_to(np.arange(len(elements)).reshape(shape), wanted)
    return [elements[place] for place in places.ravel()]


def _moved(equation: Equation, elements: Elements) -> tuple[Value, ...]:
    """What an op that only moves elements makes."""
    known: list[Value] = []
    numbered = []
    for operand in equation.operands:
        mine = elements[operand]
        numbered.append(np.arange(len(known), len(known) + len(mine)).reshape(operand.type.sizes))
        known.extend(mine)
    places = np.asarray(equation.op.numpy(*numbered, **equation.attributes))
    return tuple(known[place] for place in places.ravel())


# --- which loops ------------------------------------------------------------------------------------


def _can_be_split(equation: Equation) -> bool:
    """Whether a loop carries tensors, all small, and computes with them element by element."""
    if not _can_be_a_kernel(equation) or is_scalar_loop(equation) or is_map_loop(equation):
        return False
    graphs = equation.graphs
    if not all(_is_small(value.type) for graph in graphs for value in graph.values()):
        return False
    around = sum(_count(value.type) for value in graphs[-1].inputs)
    equations = [one for graph in graphs for one in graph.equations]
    return (
        all(map(_works_by_elements, equations))
        and sum(map(_statements, equations)) <= MOST_STATEMENTS
        and around <= _MOST_AROUND
    )


def _can_be_a_kernel(equation: Equation) -> bool:
    """Whether kernels hold loops of this kind, and it pays."""
    if equation.op is while_op:
        return bool(len(equation.attributes["body"].outputs) == equation.attributes["carried"])
    return equation.op is scan_op and bool((equation.attributes["length"] or 0) >= _LEAST_ROUNDS)


def _is_small(type: TensorType) -> bool:
    return why_not_type(type) is None and 0 < _count(type) <= _MOST_ELEMENTS


def _count(type: TensorType) -> int:
    return int(np.prod(type.sizes)) if type.shape else 1


def _statements(equation: Equation) -> int:
    return 0 if equation.op.kind in (Kind.VIEW, Kind.JOIN) else _count(equation.output.type)


def _works_by_elements(equation: Equation) -> bool:
    if len(equation.outputs) != 1:
        return False
    if equation.op.kind is Kind.ELEMENTWISE:
        # what can fail names elements of whole tensors in its message
        return equation.op.kernel is not None and not (equation.must_run and equation.output.type.shape)
    return equation.op.kind in (Kind.VIEW, Kind.JOIN) or equation.op.name == "constant"


__all__ = ["scalars"]
