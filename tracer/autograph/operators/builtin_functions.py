"""Python's builtin functions where an argument is a traced value; for all else they are Python's own."""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Callable, Iterable
from typing import Any

from graphjit.compiler.operand import PUBLIC, Operand, as_operand
from graphjit.compiler.tensortype import float32, float64, int32, int64
from graphjit.runtime.errors import InvalidArgumentError

from .branching import choose
from .conditions import and_, or_
from .growing import stacked_whole
from .iterables import Enumerated, Mapped, Range, Reversed, TensorRows, Zipped, listed, rows_of
from .values import holds_traced, is_traced

Key = Callable[[Any], Any]
_ABSENT = object()


def _len(values: Any) -> Any:
    """The number of items, which may be a traced value."""
    rows = rows_of(values)
    return builtins.len(values) if rows is None else rows.count()


def _range(*bounds: Any) -> Any:
    return Range(*bounds) if any(map(is_traced, bounds)) else builtins.range(*bounds)


def _float(x: Any = 0.0) -> Any:
    if not is_traced(x):
        return builtins.float(x)
    operand = _scalar(x, "float()")
    return (operand if operand.type.dtype.is_floating else PUBLIC["cast"](operand, float32)).as_weak()


def _int(x: Any = 0, *base: Any) -> Any:
    if not is_traced(x):
        return builtins.int(x, *base)
    operand = _scalar(x, "int()")
    if operand.type.dtype.is_integer:
        return operand.as_weak()
    return PUBLIC["cast"](operand, int64 if operand.type.dtype is float64 else int32).as_weak()


def _bool(x: Any = False) -> Any:
    return PUBLIC["cast"](_scalar(x, "bool()"), "bool") if is_traced(x) else builtins.bool(x)


def _scalar(x: Any, what: str) -> Operand:
    operand = as_operand(x)
    if operand.type.rank:
        raise InvalidArgumentError(f"{what} takes a scalar, but got {operand.type}; use gj.cast for whole tensors")
    return operand


def _round(number: Any, digits: int | None = None) -> Any:
    if not is_traced(number):
        return builtins.round(number) if digits is None else builtins.round(number, digits)
    return as_operand(number).__round__(digits)


def _pow(base: Any, exponent: Any, modulus: Any = None) -> Any:
    if not any(map(is_traced, (base, exponent, modulus))):
        return builtins.pow(base, exponent, modulus)
    return base**exponent if modulus is None else base**exponent % modulus


# --- of many, one ---------------------------------------------------------------------------------


def _sum(values: Iterable[Any], /, start: Any = 0) -> Any:
    rows = rows_of(values)
    if rows is None:
        return builtins.sum(values, start)
    if isinstance(rows, TensorRows):
        operand = as_operand(values)
        operand = PUBLIC["cast"](operand, int32) if operand.type.dtype.is_bool else operand
        total = PUBLIC["reduce_sum"](operand, axis=0)
        return total if type(start) is int and start == 0 else total + start
    return builtins.sum(rows, start)


def _any(values: Iterable[Any], /) -> Any:
    rows = rows_of(values)
    if isinstance(rows, TensorRows):
        return PUBLIC["reduce_any"](PUBLIC["cast"](_vector(values, "any()"), "bool"))
    return _until(values, or_, False)


def _all(values: Iterable[Any], /) -> Any:
    rows = rows_of(values)
    if isinstance(rows, TensorRows):
        return PUBLIC["reduce_all"](PUBLIC["cast"](_vector(values, "all()"), "bool"))
    return _until(values, and_, True)


def _until(values: Iterable[Any], join: Callable[..., Any], neutral: bool) -> Any:
    """Joins truth values, and goes no further than Python would."""
    found: Any = neutral
    for one in values:
        if is_traced(one):
            found = join(found, functools.partial(_itself, one))
        elif builtins.bool(one) is not neutral:
            return not neutral
    return found


def _itself(value: Any) -> Any:
    return value


def _vector(values: Any, what: str) -> Operand:
    operand = as_operand(values)
    if operand.type.rank != 1:
        raise InvalidArgumentError(
            f"{what} of a tensor with shape {operand.type.shape}: its rows have no truth value; "
            f"use gj.reduce_{what[:3]}"
        )
    return operand


def _max(*values: Any, key: Key | None = None, default: Any = _ABSENT) -> Any:
    return _extreme(builtins.max, "argmax", lambda one, best: one > best, values, _called(key), default)


def _min(*values: Any, key: Key | None = None, default: Any = _ABSENT) -> Any:
    return _extreme(builtins.min, "argmin", lambda one, best: one < best, values, _called(key), default)


def _called(key: Key | None) -> Key | None:
    from .calling import called

    found: Key | None = called(key)
    return found


def _extreme(
    plain: Callable[..., Any],
    position: str,
    is_better: Callable[[Any, Any], Any],
    values: tuple[Any, ...],
    key: Key | None,
    default: Any,
) -> Any:
    """The first of the values that none is better than."""
    many = values[0] if builtins.len(values) == 1 else values
    rows = rows_of(many)
    if isinstance(rows, TensorRows) and key is None and as_operand(many).type.rank == 1:
        operand = as_operand(many)
        return operand[PUBLIC[position](operand)]
    items = builtins.list(rows if rows is not None else many)
    if not items:
        return plain(items) if default is _ABSENT else default
    measures = items if key is None else [key(one) for one in items]
    if not any(map(is_traced, measures)):
        return items[measures.index(plain(measures))]
    best, most = items[0], measures[0]
    for item, measure in builtins.zip(items[1:], measures[1:], strict=True):
        better = is_better(measure, most)
        best, most = _chosen(better, (item, measure), (best, most))
    return best


def _chosen(test: Any, then: tuple[Any, Any], otherwise: tuple[Any, Any]) -> Any:
    if all(isinstance(one, Operand) and not one.type.shape for one in (*then, *otherwise)):
        return tuple(PUBLIC["where"](test, one, other) for one, other in builtins.zip(then, otherwise, strict=True))
    return choose(test, lambda: then, lambda: otherwise)


def _sorted(values: Iterable[Any], /, *, key: Key | None = None, reverse: Any = False) -> Any:
    key = _called(key)
    rows = rows_of(values)
    items = [] if rows is not None else builtins.list(values)
    if rows is None and not any(map(is_traced, [one if key is None else key(one) for one in items])):
        return builtins.sorted(items, key=key, reverse=reverse)
    tensor = as_operand(values) if isinstance(rows, TensorRows) else PUBLIC["stack"](builtins.list(rows or items))
    if tensor.type.rank != 1 and key is None:
        raise InvalidArgumentError(
            f"sorted() of rows of shape {tensor.type.shape[1:]}, which have no order; use gj.sort"
        )
    measures = tensor if key is None else PUBLIC["stack"]([key(one) for one in tensor])
    order = PUBLIC["argsort"](measures, direction="DESCENDING" if reverse else "ASCENDING", stable=True)
    found = PUBLIC["gather"](tensor, order)
    return builtins.list(found) if rows is None or found.type.shape[0] is not None else found


# --- iterables ------------------------------------------------------------------------------------


def _enumerate(iterable: Any, start: Any = 0) -> Any:
    rows = rows_of(iterable)
    return builtins.enumerate(iterable, start) if rows is None else Enumerated(rows, start)


def _zip(*iterables: Any, strict: bool = False) -> Any:
    if not any(rows_of(one) is not None for one in iterables):
        return builtins.zip(*iterables, strict=strict)
    return Zipped([listed(one) for one in iterables], strict)


def _map(function: Callable[..., Any], *iterables: Any) -> Any:
    from .calling import called

    converted = called(function)
    if not any(rows_of(one) is not None for one in iterables):
        return builtins.map(converted, *iterables)
    return Mapped(converted, [listed(one) for one in iterables])


def _filter(function: Callable[..., Any] | None, iterable: Any) -> Any:
    from .calling import called
    from .conditions import truth

    test = _itself if function is None else called(function)
    return builtins.filter(lambda one: truth(test(one), "filter()"), iterable)


def _reversed(sequence: Any) -> Any:
    rows = rows_of(sequence)
    return builtins.reversed(sequence) if rows is None else Reversed(rows)


def _reduce(function: Callable[..., Any], iterable: Any, *initial: Any) -> Any:
    from .calling import called

    return functools.reduce(called(function), iterable, *initial)


def _print(*values: Any, **keywords: Any) -> Any:
    """At run time for traced values, if there is an op for that; else now, as all that Python does."""
    later = getattr(sys.modules["graphjit"], "print", None)
    if later is None or not any(map(holds_traced, values)):
        return builtins.print(*values, **keywords)
    stream = keywords.pop("file", None) or sys.stdout
    keywords.pop("flush", None)
    return later(*values, output_stream=stream, **keywords)


def _stack(values: Any, *args: Any, **kwargs: Any) -> Any:
    whole = stacked_whole(values) if not args and not kwargs else None
    return PUBLIC["stack"](values, *args, **kwargs) if whole is None else whole


_REPLACEMENTS: list[tuple[Any, Callable[..., Any]]] = [
    (builtins.len, _len),
    (builtins.range, _range),
    (builtins.float, _float),
    (builtins.int, _int),
    (builtins.bool, _bool),
    (builtins.round, _round),
    (builtins.pow, _pow),
    (builtins.sum, _sum),
    (builtins.any, _any),
    (builtins.all, _all),
    (builtins.max, _max),
    (builtins.min, _min),
    (builtins.sorted, _sorted),
    (builtins.enumerate, _enumerate),
    (builtins.zip, _zip),
    (builtins.map, _map),
    (builtins.filter, _filter),
    (builtins.reversed, _reversed),
    (builtins.print, _print),
    (functools.reduce, _reduce),
    (PUBLIC["stack"], _stack),
]

REPLACED: dict[int, Callable[..., Any]] = {id(function): ours for function, ours in _REPLACEMENTS}
"""By the `id` of a function what converted code calls in its place."""


__all__: list[str] = []
