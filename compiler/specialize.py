"""From a graph with unknown sizes to the graph for the shapes of one call.

Types are inferred again from the actual ones, composed ops that waited for sizes become what they are
defined as, and integer arithmetic on sizes is done on the way, so that a shape that was computed is a
shape that is known. Everything below (passes, fusion, kernels) then sees static types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import GraphjitError, InvalidArgumentError

from .control import retyped
from .counted import known_rounds
from .dispatch import interpreting
from .graph import Graph
from .op import Kind, Op
from .operand import Operand
from .ops.looping import scan_op, while_op
from .tensortype import TensorType
from .writer import GraphWriter, replay

_MOST_ELEMENTS = 64
"""Larger integer arrays are data, not sizes."""


def specialize(graph: Graph, types: Sequence[TensorType]) -> Graph:
    """The graph for inputs of these types; the graph itself where everything is known already.

    Sizes that depend on data (of `unique`, say) stay unknown.

    Raises:
      InvalidArgumentError: if a type does not fit its input.
      ShapeError: if shapes do not go together that might have; the message names the user's line.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> from graphjit.compiler.tensortype import TensorType, float32
    >>> graph = parse_graph("f(%a: f32[?,3]) { %b = exp(%a); %c = add(%b, %b); return %c }")
    >>> print(specialize(graph, [TensorType(float32, (2, 3))]))
    f(%a: f32[2,3]) {
      %b: f32[2,3] = exp(%a)
      %c: f32[2,3] = add(%b, %b)
      return %c
    }
    """
    _check(graph, types)
    if _is_special(graph, types):
        return graph
    writer = _Specializer(graph.name, locate=False)
    inputs = [writer.input(given, value.name) for value, given in zip(graph.inputs, types, strict=True)]
    with interpreting(writer):
        return writer.finish(replay(graph, inputs, writer))


def _check(graph: Graph, types: Sequence[TensorType]) -> None:
    if len(types) != len(graph.inputs):
        raise InvalidArgumentError(f"{graph.name} has {len(graph.inputs)} inputs, but {len(types)} types were given")
    for position, (value, given) in enumerate(zip(graph.inputs, types, strict=True)):
        if not value.type.accepts(given):
            name = f" %{value.name}" if value.name else ""
            raise InvalidArgumentError(
                f"{graph.name}: input {position}{name} was traced as {value.type}, which does not take {given}"
            )


def _is_special(graph: Graph, types: Sequence[TensorType]) -> bool:
    same = all(value.type == given for value, given in zip(graph.inputs, types, strict=True))
    known = same and all(value.type.is_static for value in graph.values())
    return known and not any(equation.graphs for equation in graph.equations)


class _Specializer(GraphWriter):
    """Writes ops with what is known now: definitions that waited, and integers that can be computed."""

    def apply(self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
        if op.kind is Kind.CONTROL:
            inside = self._inside(op, operands, attributes)
            return self._counted(operands, inside) if op is while_op else super().apply(op, operands, inside)
        begin = len(self.equations)
        outputs = super().apply(op, operands, attributes)
        if op.name == "constant" or op.effect:
            return outputs
        computed = self._computed(op, operands, attributes, outputs)
        if computed is not None:
            del self.equations[begin:]
            return (self.constant(computed),)
        if op.kind is Kind.COMPOSED:
            return self._defined(op, operands, attributes, outputs)
        return outputs

    def _counted(self, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> tuple[Operand, ...]:
        """A `while`; as a `scan` where the number of rounds is known."""
        rounds = known_rounds(attributes, [self.static_value(operand) for operand in operands])
        if rounds is None:
            return super().apply(while_op, operands, attributes)
        count = self.constant(np.array(rounds, np.int64))
        kept = {"body": attributes["body"], "carried": attributes["carried"]}
        given = {**kept, "sliced": 0, "length": rounds, "reverse": False}
        return (*super().apply(scan_op, (count, *operands), given), count)

    def _inside(self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        """The attributes with graphs for these operands; as they were where such a graph would only fail."""

        def write(graph: Graph, types: Sequence[TensorType], as_they_are: int) -> Graph:
            writer = _Specializer(graph.name, locate=False)
            inputs = [writer.input(given, value.name) for value, given in zip(graph.inputs, types, strict=True)]
            known: list[Operand] = list(inputs)
            for place in range(1, as_they_are + 1):
                array = self.static_value(operands[-place])
                if array is not None and _may_be_sizes(known[-place].type):
                    known[-place] = writer.constant(array)
            with interpreting(writer):
                return writer.finish(replay(graph, known, writer))

        try:
            return retyped(op, [operand.type for operand in operands], attributes, write)
        except GraphjitError:
            return attributes

    def _computed(
        self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any], outputs: Sequence[Operand]
    ) -> np.ndarray[Any, Any] | None:
        """The op's result where it is a few integers that follow from constants."""
        if len(outputs) != 1 or op.several or not _may_be_sizes(outputs[0].type):
            return None
        arrays = [self.static_value(operand) for operand in operands]
        known = [array for array in arrays if array is not None and array.size <= _MOST_ELEMENTS]
        if len(known) < len(operands):
            return None
        try:
            with np.errstate(all="ignore"):
                return np.asarray(op.numpy(*known, **attributes), outputs[0].type.dtype.numpy)
        except GraphjitError:
            return None  # the equation stays, and raises in the user's call

    def _defined(
        self, op: Op, operands: tuple[Operand, ...], attributes: Mapping[str, Any], outputs: tuple[Operand, ...]
    ) -> tuple[Operand, ...]:
        """The definition's results where they tell more than the equation that was just written."""
        assert op.definition is not None
        static = all(output.type.is_static for output in outputs)
        if static and not all(_may_be_sizes(output.type) for output in outputs):
            return outputs
        end = len(self.equations)
        results = op.definition(*operands, **attributes)
        if results is None:
            return outputs
        defined = tuple(results) if op.several else (results,)
        if static and any(self.static_value(result) is None for result in defined):
            del self.equations[end:]
            return outputs
        del self.equations[end - 1]
        return defined


def _may_be_sizes(one: TensorType) -> bool:
    small = one.is_static and one.element_count <= _MOST_ELEMENTS
    return small and (one.dtype.is_integer or one.dtype.is_bool)
