"""The graph: a flat, typed list of equations.

    Graph    = name, inputs: Value*, equations: Equation*, outputs: Value*
    Equation = outputs: Value+ , op, operands: Value*, attributes: name -> constant, location
    Value    = type, name          (its identity is itself; the name is only for readers)
    Literal  = the bits of a constant array

All of it is immutable. A graph says nothing of how it is run, and knows no op by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from graphjit.runtime.fields import dataclass, field, replace

from .tensortype import TensorType, bits_of, type_of_array

if TYPE_CHECKING:
    from .op import Op


@dataclass(frozen=True, slots=True)
class Location:
    """Where the user wrote it: file, line, function, and the source line's text."""

    file: str
    line: int
    function: str = ""
    text: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


class Value:
    """One edge of the graph. Two values are equal only if they are the same one."""

    __slots__ = ("name", "type")

    def __init__(self, type: TensorType, name: str = "") -> None:
        self.type = type
        self.name = name

    def __repr__(self) -> str:
        return f"<Value %{self.name or '?'}: {self.type}>"


class Literal:
    """A constant array as an attribute: equal when dtype, shape and bits are equal.

    >>> Literal(np.float32(0.0)) == Literal(np.float32(-0.0))
    False
    """

    __slots__ = ("_hash", "array")

    def __init__(self, array: Any) -> None:
        owned = np.array(array, order="C")
        owned.flags.writeable = False
        self.array: np.ndarray[Any, Any] = owned
        self._hash: int | None = None

    @property
    def type(self) -> TensorType:
        return type_of_array(self.array)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Literal):
            return NotImplemented
        mine, theirs = self.array, other.array
        return mine.dtype == theirs.dtype and mine.shape == theirs.shape and bool(bits_of(mine) == bits_of(theirs))

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((self.array.dtype, self.array.shape, bits_of(self.array)))
        return self._hash

    def __repr__(self) -> str:
        return f"Literal({self.array!r})"


Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Equation:
    """`outputs = op(operands, attributes)`, written by the user at `location`."""

    op: Op
    operands: tuple[Value, ...]
    attributes: Attributes
    outputs: tuple[Value, ...]
    location: Location | None = None

    @property
    def output(self) -> Value:
        """The only output."""
        (value,) = self.outputs
        return value

    @property
    def operand_types(self) -> tuple[TensorType, ...]:
        return tuple(value.type for value in self.operands)

    @property
    def graphs(self) -> tuple[Graph, ...]:
        """The graphs that it holds."""
        return tuple(value for value in self.attributes.values() if isinstance(value, Graph))

    @property
    def has_effect(self) -> bool:
        """Whether running it can be noticed, beside its results: it, or an equation inside of it."""
        return self.op.effect or any(one.has_effect for graph in self.graphs for one in graph.equations)

    @property
    def must_run(self) -> bool:
        """Whether it counts even where nobody reads its outputs: an effect, or a check that can fail."""
        return self.op.effect or self.op.can_fail(self.operand_types, self.attributes)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """Inputs, equations in the order in which they run, outputs."""

    name: str
    inputs: tuple[Value, ...]
    equations: tuple[Equation, ...]
    outputs: tuple[Value, ...]
    _producers: dict[Value, Equation] = field(default_factory=dict, init=False, repr=False)

    @property
    def producers(self) -> Mapping[Value, Equation]:
        """The equation that makes each value; inputs have none."""
        if not self._producers and self.equations:
            self._producers.update((output, equation) for equation in self.equations for output in equation.outputs)
        return self._producers

    def uses(self) -> dict[Value, list[Equation]]:
        """The equations that read each value, in order; outputs of the graph are not counted."""
        found: dict[Value, list[Equation]] = {}
        for equation in self.equations:
            for operand in dict.fromkeys(equation.operands):
                found.setdefault(operand, []).append(equation)
        return found

    def values(self) -> Iterator[Value]:
        """Every value, in the order in which it is defined."""
        yield from self.inputs
        for equation in self.equations:
            yield from equation.outputs

    def with_equations(self, equations: Sequence[Equation], outputs: Sequence[Value] | None = None) -> Graph:
        """The same graph with other equations and, if given, other outputs."""
        return Graph(self.name, self.inputs, tuple(equations), self.outputs if outputs is None else tuple(outputs))

    def __str__(self) -> str:
        from .dump.text import format_graph

        return format_graph(self, shorten=True)

    __repr__ = __str__


def without_effects(equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """The equations for a second run: what has an effect and no result is left out, inside of graphs too."""
    return tuple(
        _without_inner_effects(equation) for equation in equations if equation.outputs or not equation.op.effect
    )


def _without_inner_effects(equation: Equation) -> Equation:
    if equation.op.effect or not equation.has_effect:
        return equation
    inner = {
        name: value.with_equations(without_effects(value.equations))
        for name, value in equation.attributes.items()
        if isinstance(value, Graph)
    }
    return replace(equation, attributes={**equation.attributes, **inner})


def constant_of(value: Value, producers: Mapping[Value, Equation]) -> np.ndarray[Any, Any] | None:
    """The array that `value` always is, where a `constant` equation makes it, else None."""
    equation = producers.get(value)
    if equation is None or equation.op.name != "constant":
        return None
    literal: Literal = equation.attributes["value"]
    return literal.array


def substitute(equation: Equation, replacements: Mapping[Value, Value]) -> Equation:
    """The equation with its operands replaced where a replacement is named."""
    if not any(operand in replacements for operand in equation.operands):
        return equation
    operands = tuple(replacements.get(operand, operand) for operand in equation.operands)
    return replace(equation, operands=operands)


def rewrite_equations(
    graph: Graph, rewrite: Callable[[Equation], Sequence[Equation] | Mapping[Value, Value] | None]
) -> Graph:
    """Walk the equations once, in order, and let `rewrite` keep, drop or replace each.

    `rewrite(equation)` sees the equation with earlier replacements made, and returns
    None to keep it, a sequence of equations to put in its place, or a mapping from its
    outputs to values that stand for them.
    """
    replacements: dict[Value, Value] = {}
    equations: list[Equation] = []
    for original in graph.equations:
        equation = substitute(original, replacements)
        answer = rewrite(equation)
        if answer is None:
            equations.append(equation)
        elif isinstance(answer, Mapping):
            replacements.update(answer)
        else:
            equations.extend(answer)
    outputs = [replacements.get(value, value) for value in graph.outputs]
    return graph.with_equations(equations, outputs)
