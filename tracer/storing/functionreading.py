"""Compiled functions out of JSON that somebody else wrote: every statement is checked before anything relies on it."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Protocol

from graphjit.compiler.dump.interchange import ArraySource, graph_of
from graphjit.compiler.graph import Equation, Graph, Value
from graphjit.compiler.tensortype import TensorShape, TensorSpec, TensorType
from graphjit.compiler.verify import verify
from graphjit.runtime.errors import FormatError, GraphjitError, InvalidArgumentError, VerificationError

from ..cache import Entry
from ..compiling import BACKENDS, CHECKS
from ..concrete import Concrete
from ..function import Function, Settings
from ..guards import make_guards
from ..program import Options
from ..results import TENSOR, Results
from ..signature import Call, Names, NumberSlot, Slot, TensorSlot, ValueSlot, VariableSlot, value_key
from ..state import State
from ..structure import unflatten
from ..tensor import Tensor
from ..tracing import (
    Argument,
    ArgumentVariable,
    Captured,
    CapturedVariable,
    Number,
    Rank,
    Source,
    TracedFunction,
    rank_of,
)
from .documents import at, field, number_below, of_kind, only, tagged
from .nesting import decode_structure, record_classes
from .replay import LoadedParameters, Replay
from .savable import require_savable
from .values import decode_dtype, decode_shape, decode_value

_OF_PASSES = frozenset({"fused", "copy"})
"""Ops that only passes write: they hold what was checked before."""
_KINDS = {"int": int, "float": float}
_MOST_LEAVES = 100_000


class Finding(ArraySource, Protocol):
    """What functions hold, by number and name."""

    def variable(self, number: Any) -> State:
        """The variable of a number. Raises: FormatError if there is none."""

    def tensor(self, name: Any) -> Tensor:
        """The tensor of a name, the same each time. Raises: FormatError if there is none."""


def decode_function(found: Any, objects: Finding) -> tuple[Function, list[Entry]]:
    """The function that `encode_function` wrote, and all of its traces.

    Raises:
      FormatError: if it wrote no such thing.
    """
    only(found, ("name", "doc", "parameters", "options", "input_signature", "traces", "serving"))
    name = field(found, "name", str)
    with at(f"function {name[:80]!r}"):
        replay = Replay(name, _decoded_parameters(found["parameters"]), _text_or_none(found["doc"]))
        parameters = LoadedParameters(replay, name)
        traces = field(found, "traces", list)
        settings = Settings(
            name,
            _decoded_options(found["options"]),
            _decoded_specs(found["input_signature"]),
            cache_size=max(128, len(traces)),
            autograph=False,
        )
        function = _made(replay, settings, parameters)
        entries = []
        for number, one in enumerate(traces):
            with at(f"trace {number}"):
                entries.append(_decoded_trace(one, settings.options, parameters, name, objects))
        replay.entries = entries[: number_below(found["serving"], len(entries) + 1, "number of traces")]
        for entry in replay.entries:
            function.adopt(entry)
        parameters.known = {k: v for one in entries for k, v in record_classes(one.structure).items()}
        return function, entries


def _made(replay: Replay, settings: Settings, parameters: LoadedParameters) -> Function:
    try:
        return Function(replay, settings, parameters=parameters)
    except GraphjitError as error:
        raise FormatError(f"its input_signature does not fit it: {error.message}") from None


def _text_or_none(found: Any) -> str | None:
    return None if found is None else of_kind(found, str, "a text")


def _decoded_parameters(found: Any) -> inspect.Signature:
    if found is None:
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        pairs = zip(("args", "kwargs"), kinds, strict=True)
        return inspect.Signature([inspect.Parameter(name, kind) for name, kind in pairs])
    listed = [_decoded_parameter(one) for one in of_kind(found, list, "parameters")]
    try:
        return inspect.Signature(listed)
    except ValueError as error:
        raise FormatError(f"its parameters are none: {error}") from None


def _decoded_parameter(found: Any) -> inspect.Parameter:
    if type(found) is not list or len(found) != 3 or type(found[2]) is not list or len(found[2]) > 1:
        raise FormatError("a parameter has name, kind and default")
    kind = inspect._ParameterKind(number_below(found[1], 5, "kind of parameter"))
    default = decode_value(found[2][0]) if found[2] else inspect.Parameter.empty
    try:
        return inspect.Parameter(of_kind(found[0], str, "a name"), kind, default=default)
    except ValueError as error:
        raise FormatError(f"a parameter is none: {error}") from None


def _decoded_options(found: Any) -> Options:
    if type(found) is not list or len(found) != 3:
        raise FormatError("the options are backend, exact and check")
    backend, exact, check = found
    if backend not in BACKENDS or type(exact) is not bool or check not in CHECKS:
        raise FormatError(f"{found!r} are no options")
    return Options(backend, exact, check)


def _decoded_specs(found: Any) -> Any:
    if found is None:
        return None
    if type(found) is not list or len(found) != 2:
        raise FormatError("an input_signature has a structure and specifications")
    structure = decode_structure(found[0])
    specs = [decode_value(one) for one in of_kind(found[1], list, "specifications")]
    nested = _unflattened(structure, specs)
    if not isinstance(nested, tuple) or len(nested) != 2 or nested[1] != {} or not isinstance(nested[0], tuple):
        raise FormatError("an input_signature is nested as positional arguments are")
    if not all(isinstance(one, TensorSpec) for one in specs):
        raise FormatError("an input_signature holds TensorSpecs")
    return nested[0]


def _unflattened(structure: Any, leaves: Sequence[Any]) -> Any:
    if structure.num_leaves != len(leaves):
        raise FormatError(f"a structure of {structure.num_leaves} leaves has {len(leaves)} parts")
    return unflatten(structure, leaves)


# --- traces


def _decoded_trace(found: Any, options: Options, parameters: LoadedParameters, name: str, objects: Finding) -> Entry:
    only(found, ("arguments", "slots", "ties", "sources", "updates", "results", "kept", "graph"))
    structure = decode_structure(found["arguments"])
    given = field(found, "slots", list)
    if structure.num_leaves != len(given) or len(given) > _MOST_LEAVES:
        raise FormatError(f"there are {len(given)} slots for {structure.num_leaves} arguments")
    slots = tuple(_decoded_slot(one, place) for place, one in enumerate(given))
    _require_aliases(slots)
    ties = _decoded_ties(found["ties"], slots, objects)
    traced = _decoded_traced(found, slots, name, objects)
    leaves: list[Any] = [slot.value if isinstance(slot, ValueSlot) else object() for slot in slots]
    call = Call(structure, Names(parameters.names, structure), leaves, slots, [None] * len(slots))
    _require_call(unflatten(structure, leaves))
    entry = Entry(call, slots, Concrete(traced, options), make_guards((), traced))
    entry.ties = ties
    entry.reached = frozenset({*entry.reached, *(id(one) for _, one in ties if one is not None)})
    return entry


def _require_call(nested: Any) -> None:
    fits = type(nested) is tuple and len(nested) == 2 and type(nested[0]) is tuple and type(nested[1]) is dict
    if not fits or not all(type(name) is str for name in nested[1]):
        raise FormatError("arguments are a tuple of positional ones and a dict of those with names")


def _decoded_slot(found: Any, place: int) -> Slot:
    kind, inner = tagged(found)
    if kind == "tensor":
        return TensorSlot(_decoded_type(inner))
    if kind == "variable":
        if type(inner) is not list or len(inner) != 3 or type(inner[1]) is not bool:
            raise FormatError("a variable has type, trainable and alias")
        return VariableSlot(_decoded_type(inner[0]), inner[1], number_below(inner[2], place + 1, "alias"))
    if kind == "number" and inner in _KINDS:
        return NumberSlot(_KINDS[inner])
    if kind != "value":
        raise FormatError(f"{kind!r} is no kind of argument")
    value = decode_value(inner)
    return ValueSlot(value_key(value), value)


def _require_aliases(slots: Sequence[Slot]) -> None:
    for slot in slots:
        if isinstance(slot, VariableSlot):
            first = slots[slot.alias]
            if not isinstance(first, VariableSlot) or (first.type, first.alias) != (slot.type, slot.alias):
                raise FormatError("an argument is said to be the same variable as another one, which it cannot be")


def _decoded_type(found: Any) -> TensorType:
    if type(found) is not list or len(found) != 2 or type(found[1]) is not list:
        raise FormatError("a type has a dtype and sizes")
    return TensorType(decode_dtype(found[0]), tuple(decode_shape(found[1])))


def _decoded_ties(found: Any, slots: Sequence[Slot], objects: Finding) -> tuple[tuple[int, State | None], ...]:
    ties: list[tuple[int, State | None]] = []
    for one in of_kind(found, list, "ties"):
        if type(one) is not list or len(one) != 2:
            raise FormatError("a tie has a position and a variable")
        position = number_below(one[0], len(slots), "argument")
        ties.append((position, None if one[1] is None else objects.variable(one[1])))
    if [position for position, _ in ties] != [i for i, slot in enumerate(slots) if isinstance(slot, VariableSlot)]:
        raise FormatError("each variable among the arguments has a tie")
    return tuple(ties)


def _decoded_traced(found: Any, slots: Sequence[Slot], name: str, objects: Finding) -> TracedFunction:
    graph = graph_of(found["graph"], objects)
    _check_graph(graph)
    sources = tuple(_decoded_source(one, slots, objects) for one in field(found, "sources", list))
    updates = tuple(number_below(one, len(sources), "source") for one in field(found, "updates", list))
    results = _decoded_results(found, name)
    _check_sources(graph, sources, slots, objects)
    _check_updates(graph, sources, updates, slots, results.count)
    return TracedFunction(graph, sources, results, updates, (), (), 0.0)


def _check_graph(graph: Graph) -> None:
    try:
        verify(graph)
        require_savable(graph)
    except (VerificationError, InvalidArgumentError) as error:
        raise FormatError(f"its graph is none: {error.message}") from None
    for one in _all_equations(graph):
        if one.op.name in _OF_PASSES:
            raise FormatError(f"{one.op.name!r} does not stand in graphs that were traced")


def _all_equations(graph: Graph) -> list[Equation]:
    inner = [each for equation in graph.equations for one in equation.graphs for each in _all_equations(one)]
    return [*graph.equations, *inner]


def _decoded_results(found: Any, name: str) -> Results:
    structure = decode_structure(found["results"])
    kept = [TENSOR if one == {"tensor": True} else decode_value(one) for one in field(found, "kept", list)]
    if structure.num_leaves != len(kept):
        raise FormatError(f"a result of {structure.num_leaves} leaves has {len(kept)} parts")
    return Results(structure, kept, name)


def _decoded_source(found: Any, slots: Sequence[Slot], objects: Finding) -> Source:
    kind, inner = tagged(found)
    if kind == "argument":
        return Argument(number_below(inner, len(slots), "argument"))
    if kind == "argument_variable":
        return ArgumentVariable(number_below(inner, len(slots), "argument"))
    if kind == "variable":
        return CapturedVariable(objects.variable(inner))
    if kind == "constant":
        return Captured(objects.tensor(inner))
    if kind != "number" or type(inner) is not list or len(inner) != 2:
        raise FormatError(f"{kind!r} is no source of an input")
    return Number(number_below(inner[0], len(slots), "argument"), decode_dtype(inner[1]))


def _check_sources(graph: Graph, sources: Sequence[Source], slots: Sequence[Slot], objects: Finding) -> None:
    """What fills the inputs must be of their types, and stand in the order in which calls put it."""
    if len(sources) != len(graph.inputs):
        raise FormatError(f"there are {len(sources)} sources for {len(graph.inputs)} inputs")
    ranks = [rank_of(source) for source in sources]
    if ranks != sorted(ranks):
        raise FormatError("inputs stand in another order than arguments, constants, variables, numbers")
    given = [source.position for source in sources if isinstance(source, Argument)]
    if given != [place for place, slot in enumerate(slots) if isinstance(slot, TensorSlot)]:
        raise FormatError("each tensor among the arguments is an input, in order")
    for value, source in zip(graph.inputs, sources, strict=True):
        if not _fills(source, value, slots):
            raise FormatError(f"the input {value.name or '?'}: {value.type} is filled by something else")
    held = [_identity(source, slots) for source in sources if rank_of(source) is not Rank.FIXED]
    if len(set(held)) != len(held):
        raise FormatError("two inputs are filled by the same variable or number")


def _identity(source: Source, slots: Sequence[Slot]) -> Any:
    if isinstance(source, CapturedVariable):
        return id(source.variable)
    if isinstance(source, ArgumentVariable):
        slot = slots[source.position]
        return "variable", slot.alias if isinstance(slot, VariableSlot) else source.position
    return source


def _fills(source: Source, value: Value, slots: Sequence[Slot]) -> bool:
    match source:
        case Argument(position):
            slot = slots[position]
            return isinstance(slot, TensorSlot) and slot.type == value.type
        case Number(position, dtype):
            is_fitting = dtype.is_floating or dtype.is_complex or slots[position] == NumberSlot(int)
            is_number = isinstance(slots[position], NumberSlot)
            return is_number and is_fitting and not dtype.is_bool and value.type == TensorType(dtype, ())
        case ArgumentVariable(position):
            slot = slots[position]
            return isinstance(slot, VariableSlot) and slot.type == value.type and slot.alias == position
        case CapturedVariable(variable):
            return value.type.accepts(variable.type) and value.type.is_static
        case Captured(tensor):
            return bool(value.type == tensor.type)
    return False


def _check_updates(
    graph: Graph, sources: Sequence[Source], updates: Sequence[int], slots: Sequence[Slot], count: int
) -> None:
    """The outputs behind the results are the new values of variables among the inputs."""
    if count + len(updates) != len(graph.outputs) or len(set(updates)) != len(updates):
        raise FormatError(f"{count} results and {len(updates)} updates do not make {len(graph.outputs)} outputs")
    for index, output in zip(updates, graph.outputs[count:], strict=True):
        source = sources[index]
        if not isinstance(source, CapturedVariable | ArgumentVariable):
            raise FormatError(f"the input {index} is updated, but it is no variable")
        allowed = _allowed(source, slots)
        if not allowed.accepts(output.type) and not output.type.accepts(allowed):
            raise FormatError(f"a variable of type {allowed} gets {output.type}")


def _allowed(source: CapturedVariable | ArgumentVariable, slots: Sequence[Slot]) -> TensorType:
    if isinstance(source, ArgumentVariable):
        slot = slots[source.position]
        assert isinstance(slot, VariableSlot)  # _check_sources said so
        return slot.type
    held = source.variable.type
    shape = getattr(source.variable, "shape", TensorShape(held.shape))
    return held if shape.rank is None else TensorType(held.dtype, tuple(shape))


__all__: list[str] = []
