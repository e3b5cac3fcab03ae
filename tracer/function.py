"""`compile`: a Python function that is traced once for each signature and runs compiled from then on."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Hashable
from typing import Any

from graphjit.compiler.dispatch import current_scope
from graphjit.compiler.writer import GraphWriter

from .concrete import Concrete, Options
from .modes import functions_run_eagerly
from .results import take_results_apart
from .signature import Call, Parameters
from .tracing import trace


class Function:
    """A compiled function; made by `compile`."""

    def __init__(self, python_function: Callable[..., Any], options: Options, name: str | None = None) -> None:
        self.python_function = python_function
        functools.update_wrapper(self, python_function, updated=())
        self._name: str = name or getattr(python_function, "__name__", type(python_function).__name__)
        self._options = options
        self._parameters = Parameters(python_function)
        self._lock = threading.RLock()
        self._entries: dict[Hashable, Concrete] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if functions_run_eagerly():
            return self.eager(*args, **kwargs)
        scope = current_scope()
        if isinstance(scope.interpreter, GraphWriter):
            return self.python_function(*args, **kwargs)
        call = self._parameters.take_apart(*self._parameters.bind(args, kwargs))
        return self._concrete(call).call(call)

    def _concrete(self, call: Call) -> Concrete:
        key = call.key
        found = self._entries.get(key)
        if found is None:
            with self._lock:
                found = self._entries.get(key)
                if found is None:
                    traced = trace(self.python_function, call, self._name)
                    found = self._entries[key] = Concrete(traced, self._options)
        return found

    def eager(self, *args: Any, **kwargs: Any) -> Any:
        """Run the Python function itself, with tensors for arrays, as in compiled calls."""
        results, tensors = take_results_apart(self.python_function(*args, **kwargs), self._name)
        return results.put_together(tensors)


def compile(  # noqa: A001 -- the public name; Python's builtin is not used here
    function: Callable[..., Any] | None = None, *, backend: str = "jit", name: str | None = None
) -> Any:
    """Trace a function once for each signature of its arguments, and run it compiled from then on.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def double(x):
    ...     return x + x
    >>> print(double(gj.constant(2.0)))
    gj.Tensor(4.0, shape=(), dtype=float32)
    """
    if function is None:
        return functools.partial(compile, backend=backend, name=name)
    return Function(function, Options(backend), name)


function = compile

__all__ = ["Function", "compile", "function"]
