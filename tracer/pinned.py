"""One trace of a function as a thing of its own: what `get_concrete_function` returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.compiler.graph import Graph
from graphjit.compiler.tensortype import TensorShape, TensorSpec, TensorType
from graphjit.runtime.errors import InvalidArgumentError, SignatureError

from .cache import Entry
from .results import TENSOR
from .signature import Call, NumberSlot, Slot, TensorSlot, ValueSlot, VariableSlot, described
from .state import State
from .structure import flatten, unflatten
from .tracing import Captured, CapturedArray, CapturedVariable

TakeApart = Callable[[tuple[Any, ...], dict[str, Any]], Call]
RunEntry = Callable[[Entry, Call], Any]


class ConcreteFunction:
    """A trace, to be called with arguments that fit it.

    Arguments that were Python values are part of the trace: they may be left out, or must be the same.
    """

    def __init__(self, name: str, entry: Entry, call: Call, take_apart: TakeApart, run: RunEntry) -> None:
        self.name = name
        self._entry = entry
        self._structure = call.structure
        self._values = [
            None if isinstance(slot, TensorSlot) else leaf for slot, leaf in zip(entry.slots, call.leaves, strict=True)
        ]
        self._take_apart = take_apart
        self._run = run

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run it.

        Raises:
          SignatureError: if a Python value is another one than the trace is for.
          InvalidArgumentError: if a tensor has another dtype or shape.
        """
        if self._is_short(args, kwargs):
            args, kwargs = self._complete(args)
        call = self._take_apart(args, kwargs)
        self._require_fit(call)
        return self._run(self._entry, call)

    def _is_short(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Whether only the tensors are given, without the Python values between them."""
        tensors = [slot for slot in self._entry.slots if isinstance(slot, TensorSlot | VariableSlot)]
        return not kwargs and len(args) == len(tensors) < len(self._entry.slots)

    def _complete(self, args: tuple[Any, ...]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        given = iter(args)
        leaves = [
            next(given) if isinstance(slot, TensorSlot | VariableSlot) else value
            for slot, value in zip(self._entry.slots, self._values, strict=True)
        ]
        complete: tuple[tuple[Any, ...], dict[str, Any]] = unflatten(self._structure, leaves)
        return complete

    def _require_fit(self, call: Call) -> None:
        if call.structure != self._entry.structure:
            raise SignatureError(
                f"{self.name!r} was traced for arguments nested as {self._entry.structure}, not as {call.structure}"
            )
        for position, (wanted, given) in enumerate(zip(self._entry.slots, call.slots, strict=True)):
            if not _fits(wanted, given):
                kind = InvalidArgumentError if isinstance(wanted, TensorSlot) else SignatureError
                name = call.names[position]
                raise kind(f"argument {name!r} of the traced {self.name!r} must be {wanted}, but {given} was given")

    # --- looking ---

    @property
    def entry(self) -> Entry:
        """The trace."""
        return self._entry

    @property
    def function(self) -> Any:
        """The compiled function that the trace was made for."""
        return getattr(self._take_apart, "__self__", None)

    @property
    def graph(self) -> Graph:
        """The graph as traced."""
        return self._entry.concrete.traced.graph

    @property
    def inputs(self) -> tuple[TensorSpec, ...]:
        """The types of all inputs of the graph: arguments first, then captures."""
        return tuple(TensorSpec(v.type.shape, v.type.dtype, v.name or None) for v in self.graph.inputs)

    @property
    def structured_input_signature(self) -> tuple[Any, Any]:
        """The arguments, with a TensorSpec for each tensor."""
        leaves = [
            TensorSpec(slot.type.shape, slot.type.dtype, self._entry.names[position])
            if isinstance(slot, TensorSlot)
            else value
            for position, (slot, value) in enumerate(zip(self._entry.slots, self._values, strict=True))
        ]
        signature: tuple[Any, Any] = unflatten(self._structure, leaves)
        return signature

    @property
    def structured_outputs(self) -> Any:
        """The result, with a TensorSpec for each tensor."""
        results = self._entry.concrete.traced.results
        types = iter(value.type for value in self.graph.outputs)
        return unflatten(results.structure, [_spec(next(types)) if one is TENSOR else one for one in results.kept])

    @property
    def output_shapes(self) -> Any:
        """The result, with a shape for each tensor."""
        return self._of_outputs(lambda spec: spec.shape)

    @property
    def output_dtypes(self) -> Any:
        """The result, with a dtype for each tensor."""
        return self._of_outputs(lambda spec: spec.dtype)

    def _of_outputs(self, take: Any) -> Any:
        leaves, structure = flatten(self.structured_outputs)
        return unflatten(structure, [take(one) if isinstance(one, TensorSpec) else one for one in leaves])

    @property
    def captured_inputs(self) -> list[Any]:
        """The tensors, arrays and variables from outside that the trace reads."""
        sources = self._entry.concrete.traced.sources
        found = {Captured: "tensor", CapturedArray: "array", CapturedVariable: "variable"}
        return [getattr(source, found[type(source)]) for source in sources if type(source) in found]

    @property
    def variables(self) -> tuple[State, ...]:
        """The variables that the trace reads or assigns and that are no arguments."""
        return tuple(self._entry.concrete.variables)

    @property
    def trainable_variables(self) -> tuple[State, ...]:
        """Those of the variables that are trainable."""
        return tuple(one for one in self.variables if one.trainable)

    @property
    def function_type(self) -> str:
        """The signature in words."""
        return f"({', '.join(_arguments(self._entry))}) -> {_outputs(self._entry)}"

    def pretty_printed_signature(self, verbose: bool = True) -> str:
        """Inputs, outputs and captures in words."""
        return _pretty(self.name, self._entry, verbose)

    def __str__(self) -> str:
        return self.pretty_printed_signature()

    def __repr__(self) -> str:
        return f"<gj.ConcreteFunction {self.name}{self.function_type}>"


def _spec(type: TensorType) -> TensorSpec:
    return TensorSpec(type.shape, type.dtype)


def _fits(wanted: Slot, given: Slot) -> bool:
    if isinstance(wanted, TensorSlot):
        return isinstance(given, TensorSlot) and wanted.type.accepts(given.type)
    if isinstance(wanted, NumberSlot):
        return isinstance(given, ValueSlot) and type(given.value) is wanted.kind
    return wanted == given


def _arguments(entry: Entry) -> list[str]:
    return [f"{entry.names[position]}: {_in_words(slot)}" for position, slot in enumerate(entry.slots)]


def _in_words(slot: Slot) -> str:
    match slot:
        case TensorSlot(type):
            return f"TensorSpec(shape={TensorShape(type.shape)}, dtype=gj.{type.dtype.name})"
        case ValueSlot(value=value):
            return f"Literal[{described(value)}]"
        case NumberSlot(kind):
            return kind.__name__
    return str(slot)


def _outputs(entry: Entry) -> str:
    results = entry.concrete.traced.results
    types = iter(value.type for value in entry.concrete.traced.graph.outputs)
    leaves = [_Words(_in_words(TensorSlot(next(types)))) if one is TENSOR else one for one in results.kept]
    return repr(unflatten(results.structure, leaves))


class _Words(str):
    """A text whose repr is itself."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


def _pretty(name: str, entry: Entry, verbose: bool) -> str:
    head = f"{name}({', '.join(_arguments(entry))}) -> {_outputs(entry)}"
    if not verbose:
        return head
    concrete = entry.concrete
    compile_ms = sum(one.milliseconds for one in concrete.program.versions)
    captured = [
        f"    {described(source.variable.name) if isinstance(source, CapturedVariable) else 'a tensor'}: {value.type}"
        for source, value in zip(concrete.traced.sources, concrete.traced.graph.inputs, strict=True)
        if isinstance(source, Captured | CapturedArray | CapturedVariable)
    ]
    lines = [head, "  Input Parameters:", *(f"    {one}" for one in _arguments(entry))]
    lines += ["  Output Type:", f"    {_outputs(entry)}", "  Captures:", *(captured or ["    None"])]
    lines.append(
        f"  traced in {concrete.traced.milliseconds:.1f} ms, compiled in {compile_ms:.1f} ms, {concrete.hits} hits"
    )
    return "\n".join(lines)


def pretty(name: str, entries: Sequence[Entry], verbose: bool) -> str:
    """All traces of a function in words."""
    return "\n\n".join(_pretty(name, entry, verbose) for entry in entries)


__all__ = ["ConcreteFunction"]
