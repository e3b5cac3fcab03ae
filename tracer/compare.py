"""Eager against graph: the same answers? the same gradients? how much faster, and from which call on?

`compare` runs a function both ways on the same arguments and from the same state of its Variables
(which it puts back), checks that they agree, and times them in turn, in rounds, so that a machine that
becomes slower meanwhile slows both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import optree

from graphjit.runtime.fields import dataclass, field

from . import compiling
from .function import Function
from .tape import GradientTape
from .tensor import Tensor
from .variable import Variable

if TYPE_CHECKING:
    from graphjit.compiler.report import Report


@dataclass(frozen=True)
class ValueComparison:
    """One result both ways: its type, and how far the two are apart.

    `ulp` counts representable numbers of the dtype between the two at the worst element, which may be a tiny one
    that is left of a cancellation; `relative` is the largest difference divided by the largest magnitude, and
    `ulp_of_largest` says the same in units in the last place of the largest number. All are 0 where all bits agree.
    """

    name: str
    eager: str
    graph: str
    ulp: float
    ulp_of_largest: float
    relative: float

    @property
    def same_type(self) -> bool:
        """Whether dtype and shape agree."""
        return self.eager == self.graph


@dataclass(frozen=True)
class Timing:
    """Seconds per call, over rounds."""

    minimum: float
    median: float


@dataclass(frozen=True)
class Comparison:
    """What `compare` found; print it, or read its fields.

    Times are in seconds per call, `trace_ms` and `compile_ms` in milliseconds. `break_even_calls` is the number
    of calls after which tracing and compiling has paid for itself, None where the graph is not faster.
    """

    name: str
    values: tuple[ValueComparison, ...]
    gradients: tuple[ValueComparison, ...]
    eager_error: str | None
    graph_error: str | None
    eager: Timing | None
    graph: Timing | None
    trace_ms: float
    compile_ms: float
    report: Report | None = field(default=None, repr=False)

    @property
    def speedup(self) -> float | None:
        """How many times faster the graph is, by medians."""
        if self.eager is None or self.graph is None:
            return None
        return self.eager.median / self.graph.median

    @property
    def break_even_calls(self) -> int | None:
        """After how many calls compiling has paid for itself."""
        if self.eager is None or self.graph is None:
            return None
        gain = self.eager.median - self.graph.median
        cost = (self.trace_ms + self.compile_ms) / 1e3
        return None if gain <= 0 else int(np.ceil(cost / gain))

    @property
    def agrees(self) -> bool:
        """Whether both ways gave the same types and floats no further apart than rounding, or the same error."""
        if self.eager_error is not None or self.graph_error is not None:
            return _kind(self.eager_error) == _kind(self.graph_error)
        pairs = (*self.values, *self.gradients)
        return all(one.same_type and (one.ulp <= 64 or one.relative <= 1e-5) for one in pairs)

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def _kind(error: str | None) -> str | None:
    return None if error is None else error.split(":", 1)[0]


def _lines(found: Comparison) -> list[str]:
    lines = [f"{found.name}: eager and graph {'agree' if found.agrees else 'DIFFER'}"]
    for way, error in (("eager", found.eager_error), ("graph", found.graph_error)):
        if error is not None:
            lines.append(f"  {way} raised {error}")
    for kind, pairs in (("value", found.values), ("gradient", found.gradients)):
        for one in pairs:
            types = one.eager if one.same_type else f"{one.eager} eagerly, {one.graph} compiled"
            lines.append(
                f"  {kind:8} {one.name:24} {types:20} "
                f"{one.ulp_of_largest:>6.3g} ULP of the largest, {one.ulp:.3g} ULP at the worst element"
            )
    if found.eager is not None and found.graph is not None:
        lines.extend(_timing_lines(found, found.eager, found.graph))
    return lines


def _timing_lines(found: Comparison, eager: Timing, graph: Timing) -> list[str]:
    calls = found.break_even_calls
    pays = "never" if calls is None else f"after {calls:,} calls"
    return [
        f"  {'time':8} {'':24} {'minimum':>12} {'median':>12}",
        f"  {'eager':33} {eager.minimum * 1e6:>9.1f} us {eager.median * 1e6:>9.1f} us",
        f"  {'graph':33} {graph.minimum * 1e6:>9.1f} us {graph.median * 1e6:>9.1f} us",
        f"  graph is {found.speedup:.2f} times as fast; trace {found.trace_ms:.1f} ms, "
        f"compile {found.compile_ms:.1f} ms, pays {pays}",
    ]


def compare(
    function: Callable[..., Any],
    *args: Any,
    rounds: int = 9,
    seconds: float = 0.5,
    gradients: bool = True,
    **kwargs: Any,
) -> Comparison:
    """Run a function eagerly and compiled, and compare values, gradients, errors and times.

    Args:
      function: a compiled function, or a Python function, which is then compiled.
      args, kwargs: what to call it with. Variables that it changes are put back afterwards.
      rounds: how many rounds of timing; each way runs in each round.
      seconds: about how long each way runs in all rounds together.
      gradients: whether to compare gradients of a weighted sum of the floating results with respect to the
        floating arguments and the trainable Variables that the function reads.

    >>> import graphjit as gj
    >>> found = gj.compare(lambda x: gj.reduce_sum(x * x), gj.constant([1.0, 2.0]), rounds=1, seconds=0.01)
    >>> found.agrees, [one.name for one in found.gradients]
    (True, ['args[0]'])
    """
    compiled = function if isinstance(function, Function) else compiling.compile(function)
    plain = compiled.python_function
    eager_run, graph_run = _Run(plain, args, kwargs), _Run(compiled, args, kwargs)
    variables = _variables_of(compiled, args, kwargs)
    eager_out, eager_error = eager_run.outcome(variables)
    graph_out, graph_error = graph_run.outcome(variables)
    name = getattr(plain, "__name__", "function")
    if eager_error or graph_error:
        return Comparison(name, (), (), eager_error, graph_error, None, None, 0.0, 0.0)
    values = _compared(eager_out, graph_out)
    slopes = _compared_gradients(plain, compiled, args, kwargs, variables) if gradients else ()
    eager, graph = _timed(eager_run, graph_run, variables, rounds, seconds)
    report = compiled.report()
    return Comparison(name, values, slopes, None, None, eager, graph, report.trace_ms, report.compile_ms, report)


class _Run:
    """A function with its arguments, run from a given state of Variables that is put back."""

    def __init__(self, function: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.function, self.args, self.kwargs = function, args, kwargs

    def __call__(self) -> Any:
        return self.function(*self.args, **self.kwargs)

    def outcome(self, variables: Sequence[Variable]) -> tuple[dict[str, Any], str | None]:
        """Results and new values of Variables by name, or the error."""
        with _Restored(variables):
            try:
                result = self()
            except Exception as error:  # noqa: BLE001 -- what it raises is the result that is compared
                return {}, f"{type(error).__name__}: {error}"
            found = _named_leaves("result", result)
            found.update((f"{one.name} afterwards", one.numpy()) for one in variables)
        return found, None


class _Restored:
    """Puts Variables back to what they hold now."""

    def __init__(self, variables: Sequence[Variable]) -> None:
        self.variables = variables

    def __enter__(self) -> None:
        self.before = [one.numpy().copy() for one in self.variables]

    def __exit__(self, *_error: object) -> None:
        for variable, value in zip(self.variables, self.before, strict=True):
            variable.assign(value)


def _named_leaves(prefix: str, tree: Any) -> dict[str, np.ndarray[Any, Any]]:
    paths, leaves, _spec = optree.tree_flatten_with_path(tree, none_is_leaf=False, namespace="graphjit")
    names = [prefix + "".join(f"[{key!r}]" for key in path) for path in paths]
    return {
        name: np.asarray(leaf.numpy() if hasattr(leaf, "numpy") else leaf)
        for name, leaf in zip(names, leaves, strict=True)
    }


def _compared(eager: dict[str, Any], graph: dict[str, Any]) -> tuple[ValueComparison, ...]:
    found = []
    for name in (*eager, *(name for name in graph if name not in eager)):
        one, other = eager.get(name), graph.get(name)
        found.append(_compare_arrays(name, one, other))
    return tuple(found)


def _described(array: np.ndarray[Any, Any] | None) -> str:
    return "nothing" if array is None else f"{array.dtype.name}{list(array.shape)}"


def _compare_arrays(
    name: str, eager: np.ndarray[Any, Any] | None, graph: np.ndarray[Any, Any] | None
) -> ValueComparison:
    types = _described(eager), _described(graph)
    if eager is None or graph is None or types[0] != types[1]:
        worst = 0.0 if eager is None and graph is None else float("inf")
        return ValueComparison(name, *types, worst, worst, worst)
    relative = relative_distance(eager, graph)
    unit = float(np.finfo(eager.dtype).eps) if eager.dtype.kind == "f" else 1.0
    return ValueComparison(name, *types, ulp_distance(eager, graph), relative / unit, relative)


def relative_distance(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """The largest difference, divided by the largest finite magnitude; infinite where NaN or infinities differ."""
    a, b = np.asarray(one, np.float64), np.asarray(other, np.float64)
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return float("inf")
    scale = max(float(np.max(np.abs(a[finite]), initial=0.0)), float(np.finfo(np.float64).tiny))
    return float(np.max(np.abs(a[finite] - b[finite]), initial=0.0)) / scale


def ulp_distance(one: np.ndarray[Any, Any], other: np.ndarray[Any, Any]) -> float:
    """How many representable numbers lie between the two, at the worst element.

    For floats the bits are read as integers that are ordered as the numbers are (Dawson, Comparing Floating
    Point Numbers, 2012); other dtypes: 0 if equal, else infinite. NaN equals NaN.

    >>> ulp_distance(np.float32([1.0]), np.nextafter(np.float32([1.0]), np.float32(2)))
    1.0
    """
    if one.dtype.kind != "f":
        return 0.0 if np.array_equal(one, other) else float("inf")
    both_nan = np.isnan(one) & np.isnan(other)
    if bool(np.any(np.isnan(one) != np.isnan(other))):
        return float("inf")
    a, b = (_ordered(np.where(both_nan, 0, array).astype(array.dtype)) for array in (one, other))
    return float(np.max(np.abs(a - b), initial=0.0))


def _ordered(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    bits = np.ascontiguousarray(array).view(f"i{array.dtype.itemsize}")
    least = np.iinfo(bits.dtype).min
    ordered = np.where(bits < 0, least - bits, bits)
    return np.asarray(ordered, np.longdouble)


def _variables_of(compiled: Function, args: Sequence[Any], kwargs: dict[str, Any]) -> list[Variable]:
    """The Variables that the compiled function reads or assigns for these arguments."""
    try:
        found = compiled.get_concrete_function(*args, **kwargs).variables
    except Exception:  # noqa: BLE001 -- the run itself will show the error, in both ways
        return []
    return [one for one in found if isinstance(one, Variable)]


def _compared_gradients(
    plain: Callable[..., Any],
    compiled: Function,
    args: Sequence[Any],
    kwargs: dict[str, Any],
    variables: Sequence[Variable],
) -> tuple[ValueComparison, ...]:
    arguments = {
        f"args[{number}]": Tensor(np.asarray(leaf))
        for number, leaf in enumerate(args)
        if isinstance(leaf, np.ndarray | Tensor) and np.asarray(leaf).dtype.kind == "f"
    }
    watched = [arguments.get(f"args[{number}]", leaf) for number, leaf in enumerate(args)]
    trainable = {one.name: one for one in variables if one.trainable}
    sources = {**arguments, **trainable}
    if not sources:
        return ()
    both = []
    for function in (plain, compiled):
        with _Restored(variables):
            both.append(_gradients(function, watched, kwargs, arguments, sources))
    return _compared(*both) if both[0] or both[1] else ()


def _gradients(
    function: Callable[..., Any],
    args: Sequence[Any],
    kwargs: dict[str, Any],
    watched: dict[str, Tensor],
    sources: dict[str, Any],
) -> dict[str, Any]:
    with GradientTape() as tape:
        tape.watch(list(watched.values()))
        result = function(*args, **kwargs)
    leaves = optree.tree_leaves(result, namespace="graphjit")
    targets = [leaf for leaf in leaves if isinstance(leaf, Tensor) and leaf.type.dtype.is_floating]
    if not targets:
        return {}
    # Weights, as the plain sum of a normalised result has a gradient of zero, of which only noise is left.
    weights = [np.cos(np.arange(one.numpy().size)).reshape(one.shape) for one in targets]
    cotangents = [Tensor(weight.astype(one.dtype.numpy)) for weight, one in zip(weights, targets, strict=True)]
    found = tape.gradient(targets, sources, output_gradients=cotangents)
    return {name: np.asarray(slope.numpy()) for name, slope in found.items() if slope is not None}


def _timed(
    eager: _Run, graph: _Run, variables: Sequence[Variable], rounds: int, seconds: float
) -> tuple[Timing, Timing]:
    """Seconds per call of both ways, each round after the other's."""
    times: tuple[list[float], list[float]] = ([], [])
    with _Restored(variables):
        counts = [_calls_for(run, seconds / rounds) for run in (eager, graph)]
        for _round in range(rounds):
            for run, count, found in zip((eager, graph), counts, times, strict=True):
                found.append(_time_calls(run, count) / count)
    timings = tuple(Timing(min(found), float(np.median(found))) for found in times)
    return timings[0], timings[1]


def _time_calls(run: _Run, count: int) -> float:
    begin = time.perf_counter()
    for _call in range(count):
        run()
    return time.perf_counter() - begin


def _calls_for(run: _Run, seconds: float) -> int:
    """How many calls take about this long."""
    run()
    once = max(_time_calls(run, 3) / 3, 1e-7)
    return max(1, int(seconds / once))
