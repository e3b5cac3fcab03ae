"""Calling Python when a compiled function runs: `py_function`, `numpy_function`, `print`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.dispatch import apply, apply_all, interpreting
from graphjit.compiler.operand import Operand, as_operand
from graphjit.compiler.ops.callbacks import Callback, print_op, python_call_op
from graphjit.compiler.tensortype import TensorSpec, TensorType, as_dtype
from graphjit.runtime.errors import InvalidArgumentError

from .eager import EagerInterpreter
from .state import State
from .structure import flatten, unflatten
from .subtrace import is_tracing
from .tape import GradientTape
from .tensor import Tensor

Array = np.ndarray[Any, Any]


def py_function(
    func: Callable[..., Any] | None = None,
    inp: Any = None,
    Tout: Any = None,  # noqa: N803 -- TensorFlow's name
    name: str | None = None,
) -> Any:
    """Call a Python function on tensors with numbers, also where a compiled function runs.

    It is called each time, in program order. The gradient is that of the ops that it runs.

    Args:
      func: called with eager tensors; returns a tensor, a sequence of them, or None.
      inp: a list of tensors.
      Tout: what it returns: a dtype or a `TensorSpec`, or a list of them; [] for nothing. With a dtype alone the result
        has as many axes as the first of `inp`.
      name: accepted for TensorFlow's sake.

    Raises:
      InvalidArgumentError: if it returns something else than announced, when it runs.

    >>> import graphjit as gj
    >>> @gj.compile
    ... def f(x):
    ...     return gj.py_function(lambda x: x * x if x > 0 else -x, [x], gj.float32)
    >>> print(f(gj.constant(3.0)), f(gj.constant(-3.0)))
    gj.Tensor(9.0, shape=(), dtype=float32) gj.Tensor(3.0, shape=(), dtype=float32)
    """
    if func is None or not callable(func):
        raise InvalidArgumentError("py_function: func must be a function of tensors")
    operands = [as_operand(one) for one in inp or ()]
    if not is_tracing():
        return _as_announced(func(*operands), Tout)

    def run(*arrays: Array) -> list[Array]:
        with interpreting(_EAGER):
            return [_array(one) for one in _listed(func(*map(Tensor, arrays)))]

    def gradient(*arrays: Array) -> list[Any]:
        with interpreting(_EAGER):
            tensors = [Tensor(array) for array in arrays]
            given, seeds = tensors[: len(operands)], tensors[len(operands) :]
            with GradientTape() as tape:
                tape.watch([one for one in given if one.dtype.is_floating])
                results = _listed(func(*given))
            targets = [(one, seed) for one, seed in zip(results, seeds, strict=True) if isinstance(one, Operand)]
            found = tape.gradient([one for one, _ in targets], given, [seed for _, seed in targets])
            return [None if one is None else _array(one) for one in found]

    return _traced_call(Callback(_name_of(func), run, gradient), operands, Tout)


def numpy_function(
    func: Callable[..., Any] | None = None,
    inp: Any = None,
    Tout: Any = None,  # noqa: N803 -- TensorFlow's name
    stateful: bool = True,
    name: str | None = None,
) -> Any:
    """Call a function of NumPy arrays, also where a compiled function runs; no gradient flows through it.

    Args:
      func: called with arrays; returns an array or number, a sequence of them, or None.
      inp, Tout, name: see `py_function`.
      stateful: accepted for TensorFlow's sake: it is called each time, in program order.

    >>> import graphjit as gj
    >>> import numpy as np
    >>> f = gj.compile(lambda x: gj.numpy_function(np.sort, [x], gj.float32))
    >>> print(f(gj.constant([3.0, 1.0, 2.0])))
    gj.Tensor([1. 2. 3.], shape=(3,), dtype=float32)
    """
    if func is None or not callable(func):
        raise InvalidArgumentError("numpy_function: func must be a function of arrays")
    operands = tuple(as_operand(one) for one in inp or ())
    run = Callback(_name_of(func), lambda *arrays: _listed(func(*arrays)))
    return _traced_call(run, operands, Tout)


_EAGER = EagerInterpreter()


def _name_of(func: Any) -> str:
    return str(getattr(func, "__name__", type(func).__name__))


def _listed(answer: Any) -> list[Any]:
    if answer is None:
        return []
    return list(answer) if isinstance(answer, list | tuple) else [answer]


def _array(value: Any) -> Array:
    return np.asarray(as_operand(value).numpy())  # type: ignore[attr-defined]  # the eager interpreter makes tensors


def _announced(announced: Any, operands: Sequence[Operand]) -> tuple[TensorType, ...]:
    given = announced if isinstance(announced, list | tuple) else [] if announced is None else [announced]
    open_shape = (None,) * operands[0].type.rank if operands else ()
    return tuple(
        TensorType(one.dtype, tuple(one.shape.as_list()))
        if isinstance(one, TensorSpec)
        else TensorType(as_dtype(one), open_shape)
        for one in given
    )


def _traced_call(callback: Callback, operands: Sequence[Operand], announced: Any) -> Any:
    results = apply_all(
        python_call_op, tuple(operands), {"callback": callback, "results": _announced(announced, operands)}
    )
    if isinstance(announced, list | tuple):
        return list(results)
    return results[0] if results else None


def _as_announced(answer: Any, announced: Any) -> Any:
    """What a function returned in eager mode, with tensors for numbers."""
    given = announced if isinstance(announced, list | tuple) else [] if announced is None else [announced]
    found = _listed(answer)
    if len(found) != len(given):
        raise InvalidArgumentError(f"py_function: the function returned {len(found)} values, not {len(given)}")
    results = [as_operand(value, as_dtype(getattr(one, "dtype", one))) for value, one in zip(found, given, strict=True)]
    if isinstance(announced, list | tuple):
        return results
    return results[0] if results else None


# --- printing -------------------------------------------------------------------------------------------


class _Shown:
    """Stands for a tensor in the text of a nested structure."""

    def __repr__(self) -> str:
        return "\0"


class _Plain:
    """Stands for what is shown as text in a nested structure."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __repr__(self) -> str:
        return repr(self.value)


def print_(
    *inputs: Any,
    output_stream: Any = None,
    summarize: int | None = None,
    sep: str = " ",
    end: str = "\n",
    name: str | None = None,
) -> None:
    """Print tensors and texts each time that a function runs (exported as `gj.print`).

    Args:
      inputs: tensors, texts, numbers, and nested structures of them.
      output_stream: sys.stderr (by default), sys.stdout, or "file://" and a path.
      summarize: how many elements at the ends of each axis are shown, 3 by default; -1 for all.
      sep, end: what stands between the inputs and behind them.
      name: accepted for TensorFlow's sake.

    >>> import graphjit as gj
    >>> import sys
    >>> @gj.compile
    ... def f(x):
    ...     gj.print("x is", x, {"double": x + x}, output_stream=sys.stdout)
    ...     return x
    >>> _ = f(gj.constant([1, 2]))
    x is [1 2] {'double': [2 4]}
    """
    operands: list[Operand] = []
    texts = [_text_of(one, operands) for one in inputs]
    pieces = tuple(sep.join(texts).split("\0"))
    words = {
        "pieces": pieces,
        "summarize": 3 if summarize is None else int(summarize),
        "stream": _stream_name(output_stream),
        "end": end,
    }
    apply(print_op, *operands, **words)


def _text_of(value: Any, operands: list[Operand]) -> str:
    """The text of an input with a mark for each tensor in it, which is added to the operands."""
    if isinstance(value, str):
        return value.replace("\0", "")
    leaves, structure = flatten(value)
    shown: list[Any] = []
    for leaf in leaves:
        if isinstance(leaf, Operand | State | np.ndarray):
            operands.append(as_operand(leaf))
            shown.append(_Shown())
        else:
            shown.append(_Plain(leaf))
    return repr(unflatten(structure, shown))


def _stream_name(stream: Any) -> str:
    if stream is None or stream is sys.stderr or stream == "stderr":
        return "stderr"
    if stream is sys.stdout or stream == "stdout":
        return "stdout"
    if isinstance(stream, str) and stream.startswith("file://"):
        return stream
    raise InvalidArgumentError(f"print: output_stream is sys.stderr, sys.stdout or 'file://path', not {stream!r}")


__all__ = ["numpy_function", "print_", "py_function"]
