"""Where values lie: in a buffer of their own, or as a view of another value's buffer."""

from __future__ import annotations

from graphjit.runtime.fields import dataclass

from .graph import Equation, Graph, Value
from .layout import Layout, contiguous
from .op import Kind


@dataclass(frozen=True, slots=True)
class Place:
    """A value's elements: those of the value `root`, seen through `layout`."""

    root: Value
    layout: Layout


def own_place(value: Value) -> Place:
    """The place of a value with a buffer of its own."""
    return Place(value, contiguous(value.type.sizes))


def place_of_result(equation: Equation, value: Value) -> Place:
    """The place of a result of an equation that is no view."""
    if is_computed(equation):
        return Place(value, equation.op.kernel(**equation.attributes))
    return own_place(value)


def is_computed(equation: Equation | None) -> bool:
    """Whether the result has no buffer because each element is its own position (iota)."""
    return equation is not None and equation.op.kind is Kind.SOURCE and equation.op.kernel is not None


def place_of_view(equation: Equation, source: Place) -> Place | None:
    """The place of a view's result, or None where no layout can express it."""
    layout = equation.op.kernel(source.layout, equation.operands[0].type, **equation.attributes)
    return None if layout is None else Place(source.root, layout)


def find_places(graph: Graph) -> dict[Value, Place]:
    """The place of every value of known size; views that would need a copy are left out."""
    places: dict[Value, Place] = {value: own_place(value) for value in graph.inputs if value.type.has_plain_memory}
    for equation in graph.equations:
        if equation.op.kind is not Kind.VIEW:
            places.update(
                (value, place_of_result(equation, value)) for value in equation.outputs if value.type.has_plain_memory
            )
            continue
        source = places.get(equation.operands[0])
        place = None if source is None or not equation.output.type.is_static else place_of_view(equation, source)
        if place is not None:
            places[equation.output] = place
    return places
