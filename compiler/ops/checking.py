"""Checks of values: assertions about tensors, and tensors that must be finite (`gj.debugging`).

What is known while a function is traced (ranks, dtypes, sizes, constants) is checked at once and leaves
nothing in the graph; everything else is checked each time that the graph runs, in program order.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from ..dispatch import apply, current_interpreter
from ..families import infer_elementwise
from ..location import add_location, user_location
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import Operand, as_operand, as_operands, public, require_kind
from ..tensortype import TensorType
from ..writer import Symbol, static_value
from . import arithmetic, comparing
from .reduction import Array, reduce_all
from .shaping import ravel
from .slicing import slice_along

# --- the assertion --------------------------------------------------------------------------------


def _assert_type(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
    require_kind(types[0], "b", "the condition")
    return ()


def _assert_array(
    condition: Array, *data: Array, message: str, claim: str, names: tuple[str, ...], summarize: int
) -> tuple[()]:
    if not np.all(condition):
        raise InvalidArgumentError(_complaint(condition, data, message, claim, names, summarize))
    return ()


def _complaint(
    condition: Array, data: Sequence[Array], message: str, claim: str, names: Sequence[str], summarize: int
) -> str:
    """What was claimed, at how many places it does not hold, and the values at the first of them."""
    if not claim:
        return message
    lines = [f"{message}: {claim} does not hold" if message else f"{claim} does not hold"]
    if condition.ndim:
        places = [tuple(int(one) for one in place) for place in np.argwhere(~condition)]
        shown = [list(place) for place in places[:summarize]]
        first = ", the first" if len(places) > summarize else ""
        lines[0] += f" at {len(places)} of {condition.size} places{first}: {shown}"
        for name, array in zip(names, data, strict=True):
            spread = np.broadcast_to(array, np.broadcast_shapes(array.shape, condition.shape))
            values = [spread[place].item() for place in places[:summarize]]
            lines.append(f"{name} = {values} there; its shape is {array.shape}")
    else:
        for name, array in zip(names, data, strict=True):
            elements = np.array2string(array.reshape(-1)[:summarize], separator=", ")
            lines.append(f"{name} = {elements} (its first elements); its shape is {array.shape}")
    return "\n  ".join(lines)


_WORDS = {"message": "", "claim": "x < y", "names": ("x", "y"), "summarize": 3}

assert_true_op = declare(
    Op(
        name="assert_true",
        kind=Kind.CALL,
        infer=_assert_type,
        numpy=_assert_array,
        gradient=Differentiability.NONE,
        effect=True,
        fails=True,
        several=True,
        examples=(
            Example((np.array([True, True]), np.array([1.0, 2.0]), np.array([3.0, 4.0])), _WORDS),
            Example((np.array(True), np.zeros((2, 3)), np.zeros(0)), _WORDS),
            Example((np.zeros((0, 2), bool), np.zeros((0, 2)), np.zeros(2)), _WORDS),
        ),
        doc="Raises an error that shows the data, where a condition does not hold.",
    )
)


def _require(
    condition: Any, data: Sequence[Any], message: Any, claim: str, names: Sequence[str], summarize: Any
) -> None:
    """Check a condition now if it and the data are known, else when the graph runs."""
    words = {
        "message": "" if message is None else str(message),
        "claim": claim,
        "names": tuple(names),
        "summarize": 3 if summarize is None else int(summarize),
    }
    known = _known([condition, *data])
    if known is None:
        apply(assert_true_op, condition, *data, **words)
    else:
        _check_now(known, words)


def _known(operands: Sequence[Any]) -> list[Array] | None:
    """The numbers of all operands, where a trace knows them already."""
    if not any(isinstance(one, Symbol) for one in operands):
        return None
    found = [static_value(one) for one in operands]
    return None if any(one is None for one in found) else [np.asarray(one) for one in found]


def _check_now(arrays: Sequence[Array], words: Mapping[str, Any]) -> None:
    try:
        assert_true_op.numpy(*arrays, **words)
    except InvalidArgumentError as error:
        add_location(error, user_location())
        raise


def _condition(relation: Any, operands: Sequence[Operand]) -> Any:
    """Where a comparison holds, as a constant if a trace knows the operands."""
    known = _known(operands)
    if known is None:
        return relation(*operands)
    return current_interpreter().constant(np.asarray(relation.op.numpy(*known)))


def _compare(relation: Any, symbol: str, x: Any, y: Any, message: Any, summarize: Any) -> None:
    left, right = as_operands(x, y)
    condition = _condition(relation, (left, right))
    _require(condition, (left, right), message, f"x {symbol} y", ("x", "y"), summarize)


def _compare_with_zero(relation: Any, symbol: str, x: Any, message: Any, summarize: Any) -> None:
    operand = as_operand(x)
    zero = as_operand(0, operand.type.dtype)
    condition = _condition(relation, (operand, zero))
    _require(condition, (operand,), message, f"x {symbol} 0", ("x",), summarize)


@public()
def assert_equal(x: Any, y: Any, message: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raise an error unless x == y, element by element; the shapes broadcast.

    Args:
      x, y: tensors of one dtype.
      message: what the error begins with.
      summarize: how many of the places and values the error shows, 3 by default.

    Raises:
      InvalidArgumentError: where it does not hold; in a compiled function, when it runs.

    >>> import graphjit as gj
    >>> gj.debugging.assert_equal([1, 2], [1, 2])
    """
    _compare(comparing.equal, "==", x, y, message, summarize)


@public()
def assert_none_equal(
    x: Any, y: Any, summarize: int | None = None, message: Any = None, name: str | None = None
) -> None:
    """Raise an error unless x != y, element by element; see `assert_equal`."""
    _compare(comparing.not_equal, "!=", x, y, message, summarize)


@public()
def assert_less(x: Any, y: Any, message: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raise an error unless x < y, element by element; see `assert_equal`."""
    _compare(comparing.less, "<", x, y, message, summarize)


@public()
def assert_less_equal(
    x: Any, y: Any, message: Any = None, summarize: int | None = None, name: str | None = None
) -> None:
    """Raise an error unless x <= y, element by element; see `assert_equal`."""
    _compare(comparing.less_equal, "<=", x, y, message, summarize)


@public()
def assert_greater(x: Any, y: Any, message: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raise an error unless x > y, element by element; see `assert_equal`."""
    _compare(comparing.greater, ">", x, y, message, summarize)


@public()
def assert_greater_equal(
    x: Any, y: Any, message: Any = None, summarize: int | None = None, name: str | None = None
) -> None:
    """Raise an error unless x >= y, element by element; see `assert_equal`."""
    _compare(comparing.greater_equal, ">=", x, y, message, summarize)


@public()
def assert_positive(x: Any, message: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raise an error unless x > 0, element by element; see `assert_equal`."""
    _compare_with_zero(comparing.greater, ">", x, message, summarize)


@public()
def assert_negative(x: Any, message: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raise an error unless x < 0, element by element; see `assert_equal`."""
    _compare_with_zero(comparing.less, "<", x, message, summarize)


@public()
def assert_non_negative(x: Any, message: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raise an error unless x >= 0, element by element; see `assert_equal`."""
    _compare_with_zero(comparing.greater_equal, ">=", x, message, summarize)


@public()
def assert_non_positive(x: Any, message: Any = None, summarize: int | None = None, name: str | None = None) -> None:
    """Raise an error unless x <= 0, element by element; see `assert_equal`."""
    _compare_with_zero(comparing.less_equal, "<=", x, message, summarize)


@public()
def assert_near(
    x: Any,
    y: Any,
    rtol: Any = None,
    atol: Any = None,
    message: Any = None,
    summarize: int | None = None,
    name: str | None = None,
) -> None:
    """Raise an error unless |x - y| <= atol + rtol * |y|, element by element.

    Args:
      x, y: floats of one dtype.
      rtol, atol: the tolerances; ten times the dtype's distance from 1 to the next number by default.
      message, summarize: see `assert_equal`.

    Raises:
      InvalidArgumentError: where it does not hold; in a compiled function, when it runs.

    >>> import graphjit as gj
    >>> gj.debugging.assert_near([1.0], [1.0000001])
    """
    left, right = as_operands(x, y)
    require_kind(left.type, "f", "x")
    least = 10.0 * float(np.finfo(left.type.dtype.numpy).eps)
    relative, absolute = (least if one is None else one for one in (rtol, atol))
    near = arithmetic.abs(left - right) <= absolute + relative * arithmetic.abs(right)
    claim = f"|x - y| <= {absolute:g} + {relative:g} * |y|" if rtol is None and atol is None else "x near y"
    _require(near, (left, right), message, claim, ("x", "y"), summarize)


@public()
def Assert(condition: Any, data: Any, summarize: int | None = None, name: str | None = None) -> None:  # noqa: N802 -- TensorFlow's name
    """Raise an error that shows the tensors in `data` unless a condition holds.

    Args:
      condition: a bool scalar; or any bool tensor, of which all elements must hold.
      data: a list of tensors.
      summarize: how many elements of each the error shows, 3 by default.

    Raises:
      InvalidArgumentError: if it does not hold; in a compiled function, when it runs.

    >>> import graphjit as gj
    >>> gj.debugging.Assert(gj.constant(2) > 1, data=[2])
    """
    truth = as_operand(condition, what="condition")
    require_kind(truth.type, "b", "condition")
    operands = [as_operand(one) for one in data]
    names = [f"data[{position}]" for position in range(len(operands))]
    known = _known([truth])
    if known is None or not np.all(known[0]):
        whole = truth if truth.type.rank == 0 else reduce_all(truth)
        _require(whole, operands, None, "the condition", names, summarize)


def require_true(condition: Any, message: str) -> None:
    """Raise an error with just this message unless a boolean scalar holds.

    Raises:
      InvalidArgumentError: if it does not hold; in a compiled function, when it runs.
    """
    _require(as_operand(condition), [], message, "", (), None)


# --- finite numbers -------------------------------------------------------------------------------


def _checked_array(x: Array, *, message: str) -> Array:
    finite = np.isfinite(x)
    if not np.all(finite):
        nans, place = int(np.isnan(x).sum()), tuple(int(one) for one in np.argwhere(~finite)[0])
        infinities = x.size - int(finite.sum()) - nans
        at = f", the first at {list(place)}" if place else ""
        raise InvalidArgumentError(
            f"{message or 'check_numerics'}: the tensor of shape {x.shape} has {nans} NaN and {infinities} "
            f"infinite elements{at}: {x[place]}"
        )
    return np.array(x)


check_numerics_op = declare(
    Op(
        name="check_numerics",
        kind=Kind.ELEMENTWISE,
        infer=lambda types, *, message: infer_elementwise("f", None)(types),
        numpy=_checked_array,
        gradient=[lambda g, y, x, *, message: g],
        kernel="{0}",
        kernel_check="logical_not(isfinite({0}))",
        error="{message}: an element is NaN or infinite",
        fails=True,
        examples=(
            Example(("f64[2,3]",), {"message": "x"}),
            Example(("f64[]",), {"message": ""}),
            Example(("f64[0,3]",), {"message": "x"}),
        ),
        doc="The tensor itself, whose elements must be finite.",
    )
)


@public()
def check_numerics(tensor: Any, message: str, name: str | None = None) -> Any:
    """The tensor itself; an error if an element is NaN or infinite.

    Args:
      tensor: floats.
      message: what the error begins with.

    Raises:
      InvalidArgumentError: if an element is NaN or infinite; in a compiled function, when it runs.
      DtypeError: if the elements are no floats.

    >>> import graphjit as gj
    >>> print(gj.debugging.check_numerics([1.0, 2.0], "weights"))
    gj.Tensor([1. 2.], shape=(2,), dtype=float32)
    """
    return apply(check_numerics_op, as_operand(tensor), message=str(message))


@public()
def assert_all_finite(x: Any, message: str, name: str | None = None) -> Any:
    """The same as `check_numerics`."""
    return check_numerics(x, message)


# --- order ----------------------------------------------------------------------------------------


def _neighbours(x: Any) -> tuple[Any, Any]:
    flat = ravel(x)
    return slice_along(flat, 0, 0, -1), slice_along(flat, 0, 1, None)


@public()
def is_non_decreasing(x: Any, name: str | None = None) -> Any:
    """Whether no element, in row-major order, is less than the one before it: a bool scalar.

    >>> import graphjit as gj
    >>> print(gj.math.is_non_decreasing([1, 1, 2]))
    gj.Tensor(True, shape=(), dtype=bool)
    """
    before, after = _neighbours(x)
    return reduce_all(comparing.less_equal(before, after))


@public()
def is_strictly_increasing(x: Any, name: str | None = None) -> Any:
    """Whether each element, in row-major order, is greater than the one before it: a bool scalar.

    >>> import graphjit as gj
    >>> print(gj.math.is_strictly_increasing([1, 1, 2]))
    gj.Tensor(False, shape=(), dtype=bool)
    """
    before, after = _neighbours(x)
    return reduce_all(comparing.less(before, after))


__all__ = [
    "Assert",
    "assert_all_finite",
    "assert_equal",
    "assert_greater",
    "assert_greater_equal",
    "assert_less",
    "assert_less_equal",
    "assert_near",
    "assert_negative",
    "assert_non_negative",
    "assert_non_positive",
    "assert_none_equal",
    "assert_positive",
    "check_numerics",
    "is_non_decreasing",
    "is_strictly_increasing",
]
