"""The decorator `compile`, and TensorFlow's name for it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from graphjit.runtime.errors import InvalidArgumentError

from .function import Function, Settings
from .program import Options

BACKENDS = ("jit", "numpy")
CHECKS = (None, "nan")


def compile(  # noqa: A001 -- the public name; Python's builtin is not used here
    function: Callable[..., Any] | None = None,
    input_signature: Any = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    *,
    static: Iterable[str] = (),
    exact: bool = False,
    backend: str = "jit",
    check: str | None = None,
    cache_size: int = 128,
    name: str | None = None,
    experimental_implements: Any = None,
    experimental_autograph_options: Any = None,
    experimental_attributes: Any = None,
    experimental_relax_shapes: bool | None = None,
    experimental_compile: bool | None = None,
    experimental_follow_type_hints: bool | None = None,
) -> Any:
    """Trace a function once for each signature of its arguments, and run it compiled from then on.

    Tensors, arrays and NumPy scalars count by dtype and shape; Python values by type and value; variables by
    dtype and shape; other objects by identity. What the function reads from outside (globals, enclosing
    variables, attributes) is checked before each call: where it has changed, the function is traced anew.
    Numbers, arrays and variables that the function returns become tensors.

    Args:
      function: the function, a method, or any callable; without it a decorator is returned.
      input_signature: a sequence of `TensorSpec`s, nested as the arguments are: the function is traced once,
        for these, and arguments are converted to them. Sizes may be None; a shape that is None as a
        whole means one trace for each rank.
      autograph: whether Python control flow on traced values goes into the graph (`if`, `while`, `for`, `and`, `max`
        and so on), in this function and in those that it calls.
      jit_compile: accepted for TensorFlow's sake; graphs always become native code.
      reduce_retracing: where a second shape comes, trace for unknown sizes where the two differ.
      static: names of parameters whose numbers are always part of the signature, however many come.
      exact: give the bits of eager mode: no fused multiply-add, no re-association, NumPy's mathematics.
      backend: "jit" for native kernels, "numpy" to run each op with NumPy.
      check: "nan" to look for NaN and infinity behind each op; slow, for finding where one comes from.
      cache_size: how many traces are kept; the one that was not used for longest goes first.
      name: shown in messages and dumps; by default the function's.

    Raises, when the function is called:
      SignatureError: if an argument does not fit the signature or cannot be part of one.
      TraceError: if the function asks for the numbers of a traced value.
      InvalidArgumentError: if it changes one of its arguments.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def double(x):
    ...     return x + x
    >>> print(double(gj.constant(2.0)))
    gj.Tensor(4.0, shape=(), dtype=float32)
    >>> print(double(gj.constant([1, 2])), double.trace_count)
    gj.Tensor([2 4], shape=(2,), dtype=int32) 2
    """
    if backend not in BACKENDS or check not in CHECKS:
        raise InvalidArgumentError(
            f"backend is one of {BACKENDS} and check one of {CHECKS}; {backend!r} and {check!r} were given"
        )
    settings = Settings(
        name,
        Options(backend, exact, check),
        input_signature,
        bool(reduce_retracing or experimental_relax_shapes),
        (static,) if isinstance(static, str) else tuple(static),
        cache_size,
        bool(autograph),
    )

    def decorate(one: Callable[..., Any]) -> Function:
        if not callable(one):
            raise InvalidArgumentError(f"compile needs a function, not {one!r}")
        return Function(one.python_function if isinstance(one, Function) else one, settings)

    return decorate if function is None else decorate(function)


function = compile

__all__ = ["compile", "function"]
