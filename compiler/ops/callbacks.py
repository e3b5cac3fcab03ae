"""Ops that call back into Python when a graph runs: the user's functions, and printing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from ..dispatch import apply
from ..op import Differentiability, Example, Kind, Op, Pullback, declare
from ..tensortype import TensorType, float64

Array = np.ndarray[Any, Any]


class Callback:
    """A Python function of arrays.

    Args:
      name: of the user's function, for messages.
      function: from the operands' arrays to a sequence of arrays.
      gradient: the function from the operands' arrays, and behind them the cotangents of the results, to the
        operands' cotangents; None where no gradient flows.
    """

    __slots__ = ("function", "gradient", "name")

    def __init__(
        self,
        name: str,
        function: Callable[..., Sequence[Any]],
        gradient: Callable[..., Sequence[Any]] | None = None,
    ) -> None:
        self.name = name
        self.function = function
        self.gradient = gradient

    def __repr__(self) -> str:
        return f"<callback {self.name}>"


def _result_types(
    types: tuple[TensorType, ...], *, callback: Callback, results: tuple[TensorType, ...]
) -> tuple[TensorType, ...]:
    return results


def _called(*arrays: Array, callback: Callback, results: tuple[TensorType, ...]) -> tuple[Array, ...]:
    # Copies: the user's function may keep or change what it gets, and what it returns.
    found = callback.function(*(np.array(array) for array in arrays))
    if len(found) != len(results):
        raise InvalidArgumentError(f"{callback.name} returned {len(found)} values, but {len(results)} were announced")
    return tuple(_checked(one, wanted, callback.name) for one, wanted in zip(found, results, strict=True))


def _checked(value: Any, wanted: TensorType, name: str) -> Array:
    array = np.array(value)
    if array.dtype.kind in "iuf" and not isinstance(value, np.ndarray | np.generic) and array.dtype.kind != "c":
        array = array.astype(wanted.dtype.numpy)
    if array.dtype != wanted.dtype.numpy:
        raise InvalidArgumentError(f"{name} returned {array.dtype}, but {wanted.dtype.name} was announced")
    fits = array.ndim == wanted.rank and all(
        size is None or size == found for size, found in zip(wanted.shape, array.shape, strict=True)
    )
    if not fits:
        raise InvalidArgumentError(
            f"{name} returned shape {array.shape}, but {wanted.shape} was expected; announce what it returns with "
            "gj.TensorSpec(shape, dtype)"
        )
    return array


def _pull_back(
    wanted: tuple[bool, ...],
    g: tuple[Any, ...],
    y: tuple[Any, ...],
    *operands: Any,
    callback: Callback,
    results: tuple[TensorType, ...],
) -> Sequence[Any]:
    if callback.gradient is None:
        return [None] * len(operands)
    floats = [place for place, is_wanted in enumerate(wanted) if is_wanted]
    types = tuple(operands[place].type for place in floats)
    count = len(operands)

    def gradient(*arrays: Array) -> list[Any]:
        found = callback.gradient(*arrays)  # type: ignore[misc]  # it is not None
        given = [np.zeros_like(array) if one is None else one for one, array in zip(found, arrays[:count], strict=True)]
        return [given[place] for place in floats]

    called = apply(
        python_call_op, *operands, *g, callback=Callback(f"the gradient of {callback.name}", gradient), results=types
    )
    answers: list[Any] = [None] * count
    for place, one in zip(floats, called, strict=True):
        answers[place] = one
    return answers


_EXAMPLE = Callback("twice", lambda x: [x + x], lambda x, g: [g + g])

python_call_op: Op = declare(
    Op(
        name="python_call",
        kind=Kind.CALL,
        infer=_result_types,
        numpy=_called,
        gradient=Pullback(_pull_back),
        several=True,
        effect=True,
        fails=True,
        examples=(
            Example((np.array([1.5, -2.0, 0.25]),), {"callback": _EXAMPLE, "results": (TensorType(float64, (None,)),)}),
            Example((np.array(0.5),), {"callback": _EXAMPLE, "results": (TensorType(float64, ()),)}),
        ),
        doc="What a Python function returns for the operands' arrays, called each time that the graph runs.",
    )
)


# --- printing -------------------------------------------------------------------------------------------


def _nothing(types: tuple[TensorType, ...], **_words: Any) -> tuple[TensorType, ...]:
    return ()


def _printed(*arrays: Array, pieces: tuple[str, ...], summarize: int, stream: str, end: str) -> tuple[()]:
    texts = [
        element for pair in zip(pieces, [shown(array, summarize) for array in arrays], strict=False) for element in pair
    ]
    text = "".join([*texts, *pieces[len(arrays) :]]) + end
    if stream.startswith("file://"):
        with open(stream.removeprefix("file://"), "a", encoding="utf-8") as file:
            file.write(text)
    else:
        print(text, end="", file=sys.stdout if stream == "stdout" else sys.stderr, flush=True)
    return ()


def shown(array: Array, summarize: int) -> str:
    """An array as text: of each axis the first and last `summarize` elements; -1 for all.

    >>> shown(np.arange(10), 2)
    '[0 1 ... 8 9]'
    """
    if summarize < 0:
        return np.array2string(array, threshold=sys.maxsize)
    return np.array2string(
        array, threshold=2 * summarize if array.size > 2 * summarize else sys.maxsize, edgeitems=summarize
    )


print_op: Op = declare(
    Op(
        name="print",
        kind=Kind.CALL,
        infer=_nothing,
        numpy=_printed,
        gradient=Differentiability.NONE,
        several=True,
        effect=True,
        examples=(
            Example(("f64[3]",), {"pieces": ("x = ", ""), "summarize": 3, "stream": "stdout", "end": "\n"}),
            Example((), {"pieces": ("text",), "summarize": 3, "stream": "stdout", "end": ""}),
        ),
        doc="Writes texts and the operands between them, each time that the graph runs.",
    )
)

__all__: list[str] = []
