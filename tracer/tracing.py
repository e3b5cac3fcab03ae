"""Running a Python function once with symbols for its tensors, and writing down what it does.

What the function reaches beside its arguments becomes an input as well: tensors and arrays that were
there before, and variables, whose last assigned values are extra outputs. So the graph is pure, and state is
carried by whoever runs it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Sequence
from enum import IntEnum
from functools import partial
from typing import Any
from weakref import ref

import numpy as np

from graphjit.compiler.backends.reference import run_reference
from graphjit.compiler.dispatch import interpreting
from graphjit.compiler.graph import Equation, Graph, Literal, Value
from graphjit.compiler.location import describe, user_location
from graphjit.compiler.op import find_op
from graphjit.compiler.operand import PUBLIC, Operand, as_array
from graphjit.compiler.ops.reading import read_variable_op
from graphjit.compiler.tensortype import DType, TensorType, as_dtype, float32, float64, int32
from graphjit.compiler.writer import Symbol
from graphjit.runtime.errors import InvalidArgumentError, TraceError
from graphjit.runtime.fields import dataclass

from .adapting import adapting
from .adoption import Adoption, same_elements
from .callnames import CallingWriter
from .results import Results, take_results_apart
from .signature import Call, NumberSlot, Slot, TensorSlot
from .state import State, StateInterpreter
from .structure import flatten, unflatten
from .unrolling import with_loops

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Argument:
    """An input that is the tensor at a position among the call's leaves."""

    position: int


@dataclass(frozen=True, slots=True)
class Number:
    """An input that is the Python number at a position among the call's leaves, as a dtype."""

    position: int
    dtype: DType


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """An input that is an eager tensor from outside."""

    tensor: Any


@dataclass(frozen=True, slots=True, eq=False)
class CapturedArray:
    """An input that is the user's array, with what it holds at the time of the call."""

    array: Array


@dataclass(frozen=True, slots=True, eq=False)
class CapturedVariable:
    """An input that is what a variable holds at the time of the call."""

    variable: State


@dataclass(frozen=True, slots=True)
class ArgumentVariable:
    """An input that is what the variable at a position among the call's leaves holds."""

    position: int


Source = Argument | Number | Captured | CapturedArray | CapturedVariable | ArgumentVariable
VariableSource = CapturedVariable | ArgumentVariable


def source_key(source: Source) -> tuple[Hashable, ...]:
    """Equal for inputs that come from the same place."""
    match source:
        case Captured(tensor):
            return Captured, id(tensor)
        case CapturedArray(array):
            facts = array.__array_interface__
            return CapturedArray, facts["data"][0], array.shape, array.strides, facts["typestr"]
        case CapturedVariable(variable):
            return CapturedVariable, id(variable)
        case Number(position, dtype):
            return Number, position, dtype
    return type(source).__name__, source.position


@dataclass(frozen=True)
class TracedFunction:
    """What a trace found out.

    Attributes:
      graph: its inputs are filled from `sources`; its outputs are the results' tensors, then one for each update.
      results: how the outputs are put together.
      updates: for each output behind the results' the position among `sources` of the variable that gets it.
      contents: arrays whose elements the trace depends on, with the elements.
      created: the variables that the function created.
    """

    graph: Graph
    sources: tuple[Source, ...]
    results: Results
    updates: tuple[int, ...]
    contents: tuple[tuple[Array, Array], ...]
    created: tuple[State, ...]
    milliseconds: float


class _Traced:
    """A variable during a trace: its input, and what it would hold now."""

    def __init__(self, variable: State, source: VariableSource, symbol: Symbol) -> None:
        self.variable = variable
        self.source = source
        self.input = symbol.value
        self.latest = symbol.value


class Trace(CallingWriter, StateInterpreter):
    """Writes the graph of one Python function.

    Args:
      name: of the graph.
      call: the arguments, whose numbers serve to compute initial values of new variables.
      may_create: whether variables may be created.
    """

    def __init__(self, name: str, call: Call, may_create: bool = True) -> None:
        super().__init__(name)
        self.call = call
        self.sources: list[Source] = []
        self.created: list[ref[State]] = []
        self._may_create = may_create
        self._captured: dict[int, Symbol] = {}
        self._adopted: list[Adoption] = []
        self._variables: dict[int, _Traced] = {}
        self._numbers: dict[tuple[int, DType], Symbol] = {}
        self._alias: dict[int, int] = {
            id(leaf): position for position, leaf in reversed(list(enumerate(call.leaves))) if isinstance(leaf, State)
        }

    # --- inputs ---

    def input_from(self, source: Source, type: TensorType, name: str = "") -> Symbol:
        """A new input of the graph, and where its numbers come from."""
        self.sources.append(source)
        return self.input(type, name)

    def stand_in(self, position: int, slot: Slot, leaf: Any) -> Any:
        """What the function gets for an argument."""
        match slot:
            case TensorSlot(type):
                return self.input_from(Argument(position), type, self.call.names[position])
            case NumberSlot():
                return adapting(leaf, position, partial(self._number, position))
        return leaf

    def _number(self, position: int, dtype: DType) -> Symbol:
        """The input that is a number of any value, as a dtype."""
        found = self._numbers.get((position, dtype))
        if found is None:
            # Whether the kind of number fits the dtype does not depend on its value.
            as_array(self.call.leaves[position], dtype, f"argument {self.call.names[position]!r}")
            source = Number(position, dtype)
            found = self.input_from(source, TensorType(dtype, ()), self.call.names[position])
            self._numbers[position, dtype] = found
        return found

    def lift_concrete(self, operand: Operand) -> Symbol:
        found = self._captured.get(id(operand))
        if found is None:
            found = self.input_from(Captured(operand), operand.type)
            self._captured[id(operand)] = found
        return found

    def adopt_array(self, array: Array, converted: Array) -> Operand:
        wanted = as_dtype(converted.dtype)
        if wanted.is_string:
            raise TraceError(
                "an array of strings is used inside of a compiled function, which could not tell when it changes; "
                "hand it over as an argument, or make a tensor of it outside with gj.constant"
            )
        symbol = self._adoption(array, converted)
        return symbol if symbol.type.dtype is wanted else PUBLIC["cast"](symbol, wanted)

    def _adoption(self, array: Array, converted: Array) -> Symbol:
        for adoption in self._adopted:
            if adoption.is_of(array):
                return Symbol(adoption.value, self)
        native = as_dtype(array.dtype.newbyteorder("="))
        snapshot = converted if converted.dtype == native.numpy else np.array(array, native.numpy, order="C")
        # Which array it is, and whether it is one at all, shows when the function has returned.
        symbol = self.input_from(CapturedArray(snapshot), TensorType(native, array.shape))
        self._adopted.append(Adoption(array, snapshot, symbol.value))
        return symbol

    def static_value(self, operand: Operand) -> Array | None:
        known = super().static_value(operand)
        if known is not None or not isinstance(operand, Symbol):
            return known
        for adoption in self._adopted:
            if adoption.value is operand.value:
                adoption.baked = True
                return adoption.snapshot
        for source, value in zip(self.sources, self.inputs, strict=True):
            if value is operand.value and isinstance(source, Captured):
                array: Array = source.tensor._array
                return array
        return None

    # --- variables ---

    def read_variable(self, variable: State) -> Operand:
        traced = self._traced(variable)
        location, name = self._place()
        type = traced.latest.type
        operands = (traced.latest, traced.input)
        return self.append(read_variable_op, operands, {}, (type,), location, name)[0]

    def type_of_variable(self, variable: State) -> TensorType:
        found = self._variables.get(id(variable))
        return variable.type if found is None else found.latest.type

    def assign_variable(self, variable: State, value: Operand) -> None:
        self._traced(variable).latest = self.lift(value).value

    def _traced(self, variable: State) -> _Traced:
        found = self._variables.get(id(variable))
        if found is None:
            position = self._alias.get(id(variable))
            source = CapturedVariable(variable) if position is None else ArgumentVariable(position)
            symbol = self.input_from(source, variable.type, variable.name.removesuffix(":0"))
            found = self._variables[id(variable)] = _Traced(variable, source, symbol)
        return found

    def initial_array(self, value: Operand) -> Array:
        target = self.lift(value).value
        equations = leading_to(target, self.equations)
        read = {target}.union(*(equation.operands for equation in equations))
        inputs = tuple(one for one in self.inputs if one in read)
        graph = Graph(self.name, inputs, equations, (target,))
        (array,) = run_reference(graph, [self._held_by(one) for one in inputs])
        return array

    def _held_by(self, value: Value) -> Array:
        """What an input holds in the call that made this trace necessary."""
        array = numbers_of(self.sources[self.inputs.index(value)], self.call)
        if array is None:
            raise TraceError(
                f"a variable is created from the argument {value.name!r}, whose numbers are not known: "
                "the function is traced for a signature; call it with numbers first"
            )
        return array

    def variable_created(self, variable: State) -> None:
        if not self._may_create:
            raise InvalidArgumentError(
                f"{self.name!r} creates the variable {variable.name!r} in a trace that is not its first, "
                f"at {describe(user_location())}. Create variables once: outside of the function, "
                "or inside under `if self.v is None:`"
            )
        self.created.append(ref(variable))

    # --- the end ---

    def finished(self, results: Results, outputs: Sequence[Operand], milliseconds: float) -> TracedFunction:
        """What was traced; the trace is over and holds nothing of the user's any more.

        Raises:
          InvalidArgumentError: if a variable was created that nobody keeps.
        """
        changed = [one for one in self._variables.values() if one.latest is not one.input]
        values = (*(self.lift(output).value for output in outputs), *(one.latest for one in changed))
        self.closed = True
        sources = dict(zip(self.inputs, self.sources, strict=True))
        created = self._require_kept(sources)
        constants, contents = self._settle(sources)
        inputs = tuple(sorted(sources, key=lambda value: rank_of(sources[value])))
        graph = with_loops(Graph(self.name, inputs, (*constants, *self.equations), values))
        updates = tuple(inputs.index(one.input) for one in changed)
        ordered = tuple(sources[value] for value in inputs)
        self._captured.clear()
        return TracedFunction(graph, ordered, results, updates, contents, created, milliseconds)

    def _settle(self, sources: dict[Value, Source]) -> tuple[list[Equation], tuple[tuple[Array, Array], ...]]:
        """Tell the user's arrays from those that the function made: these become constants."""
        constants: list[Equation] = []
        contents: list[tuple[Array, Array]] = []
        for adoption in self._adopted:
            shown = adoption.shown()
            lasts = shown is not None and same_elements(adoption.snapshot, shown)
            if shown is not None and lasts and not adoption.baked:
                sources[adoption.value] = CapturedArray(shown)
                continue
            if shown is not None and lasts:
                contents.append((shown, adoption.snapshot))
            del sources[adoption.value]
            constants.append(_constant(adoption.value, adoption.snapshot))
        return constants, tuple(contents)

    def _require_kept(self, sources: dict[Value, Source]) -> tuple[State, ...]:
        """The variables that were created; somebody beside the trace must hold each."""
        made = {id(one()): one for one in self.created}
        inputs = {id(one.variable): one.input for one in self._variables.values() if id(one.variable) in made}
        self._variables.clear()
        self.sources.clear()
        for value in inputs.values():
            del sources[value]
        found = {key: one() for key, one in made.items()}
        lost = [key for key, variable in found.items() if variable is None]
        if lost:
            raise InvalidArgumentError(
                f"{self.name!r} creates a variable that nobody keeps, so that it would be another one in each call; "
                "keep it in an attribute, or create it outside of the function"
            )
        kept = {key: variable for key, variable in found.items() if variable is not None}
        sources.update((value, CapturedVariable(kept[key])) for key, value in inputs.items())
        return tuple(kept.values())


class Rank(IntEnum):
    """In which order a graph's inputs stand."""

    ARGUMENT = 0
    FIXED = 1
    VARIABLE = 2
    CONVERTED = 3


def rank_of(source: Source) -> Rank:
    """Where an input stands: arguments, what never changes, variables, and what is converted for each call."""
    match source:
        case Argument():
            return Rank.ARGUMENT
        case Captured():
            return Rank.FIXED
        case CapturedArray(array):
            return Rank.FIXED if array.dtype.isnative else Rank.CONVERTED
        case CapturedVariable():
            return Rank.VARIABLE
    return Rank.CONVERTED


def leading_to(target: Value, equations: Sequence[Equation]) -> tuple[Equation, ...]:
    """The equations that a value is computed by."""
    needed, kept = {target}, []
    for equation in reversed(equations):
        if any(output in needed for output in equation.outputs):
            needed.update(equation.operands)
            kept.append(equation)
    return tuple(reversed(kept))


def _constant(value: Value, array: Array) -> Equation:
    return Equation(find_op("constant"), (), {"value": Literal(array)}, (value,))


def numbers_of(source: Source, call: Call) -> Array | None:
    """What an input is filled with in a call; None where the call says only its type."""
    match source:
        case Argument(position):
            return call.arrays[position]
        case Number(position, dtype):
            return number_array(call.leaves[position], dtype)
        case Captured(tensor):
            return tensor._array  # type: ignore[no-any-return]  # tensors hold arrays
        case CapturedArray(array):
            return array.astype(array.dtype.newbyteorder("="), copy=False)
        case CapturedVariable(variable):
            return variable.array
        case ArgumentVariable(position):
            return call.leaves[position].array  # type: ignore[no-any-return]  # the slot there says: a variable


def number_array(value: int | float, dtype: DType) -> Array:
    """A Python number as an array, as a literal would become one.

    Raises:
      DtypeError: if it does not fit the dtype.
    """
    if dtype is int32 or dtype is float64:
        return np.array(value, dtype.numpy)
    if dtype is float32 and -3e38 < value < 3e38:
        return np.array(value, np.float32)
    return as_array(value, dtype, "a number")


def trace(
    function: Callable[..., Any],
    call: Call,
    name: str,
    slots: Sequence[Slot] | None = None,
    may_create: bool = True,
) -> TracedFunction:
    """The graph of `function` for these arguments.

    Args:
      function: what is called, once.
      call: the arguments, taken apart.
      name: of the graph.
      slots: what to trace for, where it is wider than the arguments themselves.
      may_create: whether variables may be created.

    Raises:
      InvalidArgumentError: if the function changes one of its arguments.
      SignatureError: if it returns something that cannot be a result.
      TraceError: if it asks for the numbers of a symbol.
    """
    begin = time.perf_counter()
    writer = Trace(name, call, may_create)
    with interpreting(writer):
        results, outputs = _run(function, writer, call.slots if slots is None else slots)
    return writer.finished(results, outputs, (time.perf_counter() - begin) * 1e3)


def _run(function: Callable[..., Any], writer: Trace, slots: Sequence[Slot]) -> tuple[Results, list[Operand]]:
    call = writer.call
    leaves = [
        writer.stand_in(position, slot, leaf)
        for position, (slot, leaf) in enumerate(zip(slots, call.leaves, strict=True))
    ]
    arguments = unflatten(call.structure, leaves)
    args, kwargs = arguments
    result = function(*args, **kwargs)
    _require_unchanged(arguments, call, leaves, writer.name)
    return take_results_apart(result, writer.name)


def _require_unchanged(arguments: Any, call: Call, leaves: list[Any], name: str) -> None:
    after, structure = flatten(arguments)
    if structure == call.structure and all(one is other for one, other in zip(after, leaves, strict=True)):
        return
    changed = _first_change(arguments, call, leaves)
    raise InvalidArgumentError(
        f"{name!r} changes its argument {changed!r}; a compiled function must not modify its Python arguments. "
        "Copy it first (list(x), dict(x)), or return the new value"
    )


def _first_change(arguments: Any, call: Call, leaves: list[Any]) -> str:
    """The name of the parameter whose argument was changed."""
    before = unflatten(call.structure, leaves)
    for position, (old, new) in enumerate(zip(before[0], arguments[0], strict=True)):
        if _differ(old, new):
            return call.names.parameter(position)
    names: list[str] = list(before[1])
    return next(name for name in names if _differ(before[1][name], arguments[1].get(name)))


def _differ(old: Any, new: Any) -> bool:
    (old_leaves, old_structure), (new_leaves, new_structure) = flatten(old), flatten(new)
    if old_structure != new_structure:
        return True
    return any(one is not other for one, other in zip(old_leaves, new_leaves, strict=True))


__all__: list[str] = []
