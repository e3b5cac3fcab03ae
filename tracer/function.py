"""A compiled function: traced once for each signature, and run compiled from then on."""

from __future__ import annotations

import functools
import inspect
import sys
import threading
from collections import deque
from collections.abc import Callable, Hashable
from contextlib import nullcontext
from types import MethodType
from typing import Any
from weakref import ref

import numpy as np

from graphjit.compiler.dispatch import current_scope, is_plain
from graphjit.compiler.location import describe, user_location
from graphjit.compiler.operand import as_operand
from graphjit.compiler.writer import GraphWriter
from graphjit.runtime.errors import FailedPreconditionError, SignatureError
from graphjit.runtime.fields import dataclass, field

from .autograph import advice as _advice  # noqa: F401 -- what errors say about control flow
from .binding import Methods
from .cache import Entry, TraceCache
from .callnames import CallingWriter
from .concrete import Concrete
from .converting import as_called, converting
from .exploring import exploring
from .generalizing import Generalizer
from .guards import Guards, make_guards
from .looking import Shown
from .modes import functions_run_eagerly
from .pinned import ConcreteFunction
from .program import Options
from .recursion import running_in_trace
from .results import take_results_apart
from .retraces import (
    DROPPED,
    FIRST,
    Cause,
    Retrace,
    Warner,
    cause_of_arguments,
    cause_of_change,
    distance,
    recompiled,
)
from .settling import settle, settle_objects
from .shortcut import key_without_numbers, simple_key
from .signature import Call, Parameters, Slot, ValueSlot, call_of_leaves
from .specs import InputSignature
from .state import State
from .structure import flatten, unflatten
from .tensor import Tensor
from .tracing import TracedFunction, trace
from .widening import widened

_KEPT_RECORDS = 1000


@dataclass(frozen=True)
class Settings:
    """What `compile` was told.

    Attributes: see `compile`.
    """

    name: str | None = None
    options: Options = field(default_factory=Options)
    input_signature: Any = None
    reduce_retracing: bool = False
    static: tuple[str, ...] = ()
    cache_size: int = 128
    autograph: bool = True


class Function(Shown):
    """A compiled function; made by `compile`.

    Attributes:
      python_function, __wrapped__: the Python function.
      name: shown in messages and dumps.
    """

    # `_cache` is a slot, so that native code finds it.
    __slots__ = ("__dict__", "__weakref__", "_cache")

    __name__: str
    __qualname__: str

    def __init__(
        self,
        python_function: Callable[..., Any],
        settings: Settings,
        instance: Any = None,
        parameters: Parameters | None = None,
    ) -> None:
        _require_results(python_function)
        functools.update_wrapper(self, python_function, updated=())
        self.python_function = python_function
        self.settings = settings
        self._instance: Callable[[], Any] | None = None if instance is None else ref(instance)
        found = getattr(python_function, "__name__", None) or type(python_function).__name__
        self.name: str = settings.name or str(found)
        self._parameters = parameters or Parameters(python_function, self.name, is_method=instance is not None)
        self._signature = self._make_signature()
        self._lock = threading.RLock()
        self._cache = TraceCache(settings.cache_size)
        self._generalizer = Generalizer(settings.static)
        self._retraces: deque[Retrace] = deque(maxlen=_KEPT_RECORDS)
        self._trace_count = 0
        self._warner = Warner(self.name)
        self._last: Entry | None = None
        self._methods = Methods()

    def _make_signature(self) -> InputSignature | None:
        given = self.settings.input_signature
        return None if given is None else InputSignature(given, self._parameters)

    # --- calling ---

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run for these arguments; trace first if no trace fits."""
        if functions_run_eagerly():
            return self.eager(*args, **kwargs)
        if not is_plain():
            return self._call(args, kwargs)
        key, arrays = simple_key(args, kwargs)
        entry = self._cache.short.get(key)
        if entry is not None and entry.guards.hold():
            result = entry.concrete.run(arrays, None)
            if self._cache.settled.get(key) is not entry:
                self._settle(settle, entry, key, args, kwargs, arrays)
            return result
        return self._call_simply(args, kwargs, key, arrays)

    def _settle(self, settle: Callable[..., None], entry: Entry, *call: Any) -> None:
        """Let further calls that look like this one run without Python, where that is possible."""
        with self._lock:
            settle(Function, self._cache, entry, *call)

    def _call_simply(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], key: Hashable | None, arrays: list[Any]
    ) -> Any:
        """Run where nobody listens; calls that look the same take a shorter way from then on."""
        if key is None:
            return self._call_with_objects(args, kwargs)
        free = self._cache.free.get(key_without_numbers(args)) if self._cache.free and not kwargs else None
        if free is not None:
            wide_key = key_without_numbers(args, free)
            entry = self._cache.short.get(wide_key)
            if entry is not None and entry.guards.hold():
                result = entry.concrete.run(arrays, call_of_leaves(list(args)))
                if self._cache.settled.get(wide_key) is not entry:
                    self._settle(settle, entry, wide_key, args, kwargs, arrays, free)
                return result
        call = self._take_apart(args, kwargs)
        entry = self._entry(call)
        in_order = [call.arrays[position] for position in entry.concrete.positions]
        if _are_in_order(arrays, in_order, kwargs):
            free = entry.number_positions()
            if not free and not entry.concrete.needs_call:
                self._cache.remember(key, entry)
            elif not kwargs and len(call.leaves) == len(args) and entry.concrete.needs_numbers_only:
                self._cache.free[key_without_numbers(args)] = free
                self._cache.remember(key_without_numbers(args, free), entry)
        return entry.concrete.call(call)

    def _call_with_objects(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run where nobody listens, for arguments that are not all simple."""
        call = self._take_apart(args, kwargs)
        entry = self._entry(call)
        result = entry.concrete.call(call)
        entry.slow += 1
        if entry.slow > 1 and entry.slow & (entry.slow - 1) == 0:  # seldom, as the objects may be others each time
            self._settle(settle_objects, entry, args, kwargs, call)
        return result

    def _call(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if isinstance(current_scope().interpreter, GraphWriter):
            return self._inline(args, kwargs)
        call = self._take_apart(args, kwargs)
        return _run(self._entry(call), call)

    def _take_apart(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        call = self._take_apart_plainly(args, kwargs)
        return call if self._signature is not None else self._generalizer.generalized(call)

    def _take_apart_plainly(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        """The same with the values of all numbers."""
        bound = self._parameters.bind(args, kwargs)
        parts = self._parameters if self._signature is None else self._signature
        return parts.take_apart(*bound)

    def _inline(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the Python function does while another function is traced."""
        bound = self._parameters.bind(args, kwargs)
        leaves, structure = flatten(bound)
        trace = current_scope().interpreter
        scope = trace.inside(self.name) if isinstance(trace, CallingWriter) else nullcontext()
        with running_in_trace(self, self.name, structure, leaves), scope, converting(self.settings.autograph):
            return self._run_python(self._traced_target(), *bound)

    def eager(self, *args: Any, **kwargs: Any) -> Any:
        """Run the Python function itself, so that breakpoints and prints work; the results have the same types.

        >>> import graphjit as gj
        >>> @gj.compile
        ... def double(x):
        ...     return 2 * x
        >>> print(double.eager(3))
        gj.Tensor(6, shape=(), dtype=int32)
        """
        return self._run_python(self._target(), *self._parameters.bind(args, kwargs))

    def _run_python(self, target: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the Python function with tensors for arrays; the results are those of a compiled call."""
        if self._signature is not None:
            args, kwargs = self._signature.converted(args, kwargs)
        leaves, structure = flatten((args, kwargs))
        positional, keywords = unflatten(structure, list(map(_as_argument, leaves)))
        results, tensors = take_results_apart(target(*positional, **keywords), self.name)
        return results.put_together(tensors)

    def _traced_target(self) -> Callable[..., Any]:
        """What a trace calls: the Python function, with control flow that goes into the graph if that is wanted."""
        return as_called(self._target())

    def _target(self) -> Callable[..., Any]:
        """The Python function, bound to its object."""
        if self._instance is None:
            return self.python_function
        instance = self._instance()
        if instance is None:
            raise FailedPreconditionError(f"the object whose method {self.name!r} is does not exist any more")
        return MethodType(self.python_function, instance)

    # --- tracing ---

    def _entry(self, call: Call) -> Entry:
        """The trace that serves a call; made now if there is none."""
        entry = self._cache.find(call)
        if entry is None:
            with self._lock:
                entry = self._cache.find(call) or self._cache.find_wider(call)
                if entry is None:
                    entry = self._traced_entry(call)
        self._last = entry
        return entry

    def _traced_entry(self, call: Call) -> Entry:
        call = self._generalizer.withdrawn(call)
        cause = self._cause(call)
        opens = self.settings.reduce_retracing and self._signature is None
        slots = widened(self._cache, call) if opens else call.slots
        traced, guards = self._trace(call, slots)
        entry = self._keep(call, slots, traced, guards, cause)
        wider = self._generalizer.try_wider(call, traced, self._trace)
        if wider is not None:
            entry = self._keep(wider.call, wider.slots, wider.traced, wider.guards, wider.cause)
        return entry

    def _keep(self, call: Call, slots: tuple[Slot, ...], traced: TracedFunction, guards: Guards, cause: Cause) -> Entry:
        concrete = Concrete(traced, self.settings.options)
        entry = Entry(call, slots, concrete, guards)
        self._cache.add(entry, (call.structure, slots))
        if slots != call.slots:
            self._cache.enter(entry, call.key)
        self._cache.misses += 1
        self._note(cause, traced)
        return entry

    def _trace(self, call: Call, slots: tuple[Slot, ...]) -> tuple[TracedFunction, Guards]:
        """Trace for a call, with the slots that the trace is to serve."""
        target = self._target()
        objects = [leaf for leaf in call.leaves if not isinstance(leaf, Tensor | State | np.ndarray)]
        running = running_in_trace(self, self.name, call.structure, call.leaves)
        with running, exploring(target, *objects) as explorer, converting(self.settings.autograph):
            for one in objects:
                explorer.add_contents(one)
            try:
                traced = trace(self._traced_target(), call, self.name, slots, may_create=self._trace_count == 0)
            except Exception as error:
                error.add_note(f"while tracing {self.name!r}, called at {describe(user_location())}")
                raise
        return traced, make_guards(explorer.places.values(), traced)

    def _cause(self, call: Call) -> Cause:
        """Why a call needs a new trace."""
        entries = list(self._cache)
        if not entries:
            return DROPPED if self._trace_count else FIRST
        same = [one for one in entries if one.structure == call.structure and one.slots == call.slots]
        changes = [entry.guards.first_change() for entry in reversed(same)]
        change = next((one for one in changes if one is not None), None)
        if change is not None:
            return cause_of_change(change)
        nearest = min(reversed(entries), key=lambda one: distance(one.structure, one.slots, call))
        return cause_of_arguments(call, nearest.structure, nearest.slots)

    def _note(self, cause: Cause, traced: TracedFunction) -> None:
        record = Retrace(
            self._trace_count + 1,
            user_location(),
            cause.argument,
            cause.old,
            cause.new,
            traced.milliseconds,
            cause.advice,
        )
        self._trace_count += 1
        self._retraces.append(record)
        if record.number == 1 and self._instance is None:
            recompiled.note(self.python_function, record)
        self._warner.note(cause, record)

    # --- methods ---

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """A method: each instance has traces of its own, which die with it."""
        if instance is None:
            return self
        return self._methods.of(instance, self)

    def for_instance(self, instance: Any) -> Function:
        """The same function with `instance` before the arguments, and with traces of its own."""
        return Function(self.python_function, self.settings, instance)

    # --- traces ---

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> ConcreteFunction:
        """The trace for these arguments, made without running it.

        Args: values, or `TensorSpec`s for tensors, whose shapes may hold None.

        >>> import graphjit as gj
        >>> @gj.compile
        ... def double(x):
        ...     return 2.0 * x
        >>> concrete = double.get_concrete_function(gj.TensorSpec([None], gj.float32))
        >>> print(concrete(gj.constant([1.0, 2.0])))
        gj.Tensor([2. 4.], shape=(2,), dtype=float32)
        """
        if self._signature is not None and not args and not kwargs:
            call = self._signature.call_of_specs()
        else:
            call = self._take_apart_plainly(args, kwargs)
        return ConcreteFunction(self.name, self._entry(call), call, self._take_apart_plainly, _run)

    def clear(self) -> None:
        """Let go of all traces; the next call traces anew."""
        with self._lock:
            self._cache.clear()
            self._generalizer.clear()
            self._last = None

    def _concrete_for(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Concrete, Call]:
        call = self._take_apart(args, kwargs)
        return self._entry(call).concrete, call

    # --- what is saved ---

    @property
    def parameters(self) -> Parameters:
        """The parameters of the Python function."""
        return self._parameters

    @property
    def declared(self) -> InputSignature | None:
        """The input_signature, where one was given."""
        return self._signature

    def entries_that_hold(self) -> list[Entry]:
        """The traces that would serve a call now."""
        return [entry for entry in self._cache if entry.guards.hold()]

    def adopt(self, entry: Entry) -> None:
        """Let calls be served by a trace that was made elsewhere."""
        self._cache.add(entry, (entry.structure, entry.slots))

    def concrete_of(self, entry: Entry) -> ConcreteFunction:
        """One trace as a thing of its own."""
        leaves = [slot.value if isinstance(slot, ValueSlot) else None for slot in entry.slots]
        call = Call(entry.structure, entry.names, leaves, entry.slots, [])
        return ConcreteFunction(self.name, entry, call, self._take_apart_plainly, _run)

    # --- copies ---

    def __deepcopy__(self, memo: dict[int, Any]) -> Function:
        return Function(self.python_function, self.settings)

    def __copy__(self) -> Function:
        return Function(self.python_function, self.settings)

    def __reduce__(self) -> Any:
        if _is_found_by_name(self) and not _is_pickled_by_value(self):
            return self.__qualname__
        return Function, (self.python_function, self.settings)

    def __repr__(self) -> str:
        count = self.trace_count
        return f"<gj.Function {self.name}{self._parameters.signature or ''}: {count} trace{'' if count == 1 else 's'}>"


def _require_results(function: Callable[..., Any]) -> None:
    """Refuse functions whose calls give no results but something that is still to be run."""
    for kind, is_kind in _NO_RESULTS.items():
        if is_kind(function):
            raise SignatureError(
                f"{getattr(function, '__name__', function)!r} is {kind}, whose call runs nothing yet; "
                "compile the functions that it calls"
            )


_NO_RESULTS: dict[str, Callable[[Any], bool]] = {
    "a generator function": inspect.isgeneratorfunction,
    "a coroutine function": inspect.iscoroutinefunction,
    "an asynchronous generator function": inspect.isasyncgenfunction,
}


def _are_in_order(arrays: list[Any], in_order: list[Any], kwargs: dict[str, Any]) -> bool:
    """Whether the arrays among simple arguments are the inputs, in order; keywords may change it."""
    if len(arrays) != len(in_order):
        return False
    pairs = zip(arrays, in_order, strict=True)
    return all(one is other or (not kwargs and one.shape == () == other.shape) for one, other in pairs)


def _run(entry: Entry, call: Call) -> Any:
    """Run a trace for a call that fits it."""
    scope = current_scope()
    return entry.concrete.run_recorded(call, scope) if scope.recorders else entry.concrete.call(call)


def _as_argument(leaf: Any) -> Any:
    """A leaf as the Python function gets it: arrays are tensors, as in a trace."""
    return as_operand(leaf) if isinstance(leaf, np.ndarray | np.generic) else leaf


def _is_found_by_name(function: Function) -> bool:
    found: Any = sys.modules.get(function.__module__)
    for part in function.__qualname__.split("."):
        found = getattr(found, part, None)
    return found is function


def _is_pickled_by_value(function: Function) -> bool:
    """Whether cloudpickle is at work on a function that another process cannot import."""
    if function.__module__ != "__main__":
        return False
    frame = sys._getframe(1)
    while frame is not None:
        if "cloudpickle" in frame.f_globals.get("__name__", ""):
            return True
        frame = frame.f_back  # type: ignore[assignment]  # None ends the loop
    return False


__all__ = ["Function"]
