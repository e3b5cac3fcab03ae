"""Strings: tensors of byte strings, changed, measured, searched and joined element by element.

Text is UTF-8. These ops run as NumPy steps, and no gradient flows through them; what makes rows of
different lengths (splitting, code points) has its ops in `stringparts`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from graphjit.runtime.errors import DtypeError, InvalidArgumentError, OutOfRangeError

from ..dispatch import apply
from ..families import reduced_shape
from ..op import Differentiability, Example, Kind, Op, declare
from ..operand import as_operand, require_kind
from ..tensortype import (
    DType,
    TensorType,
    as_dtype,
    bool_,
    broadcast_shapes,
    float32,
    float64,
    int32,
    int64,
    normalize_axes,
    string,
)
from .sizes import static_integer

Array = np.ndarray[Any, Any]

UNITS = ("BYTE", "UTF8_CHAR")


def texts(*values: Any) -> Array:
    """An array of byte strings for the examples of ops.

    >>> texts("a", b"b")
    array([b'a', b'b'], dtype=object)
    """
    array = np.empty(len(values), object)
    for place, value in enumerate(values):
        array[place] = value.encode() if isinstance(value, str) else value
    return array


def text_of(element: bytes) -> str:
    """The text of a byte string; bytes that are no UTF-8 come back by `bytes_of`."""
    return element.decode("utf-8", "surrogateescape")


def bytes_of(text: str) -> bytes:
    """The byte string of a text."""
    return text.encode("utf-8", "surrogateescape")


def string_operand(value: Any, what: str) -> Any:
    """An operand of strings.

    Raises:
      DtypeError: if it holds something else.
    """
    operand = as_operand(value)
    if not operand.type.dtype.is_string:
        raise DtypeError(
            f"{what} takes strings, not {operand.type.dtype.name} of shape {operand.shape}; "
            "gj.strings.as_string writes numbers as strings"
        )
    return operand


def one_of(what: str, value: Any, allowed: Sequence[Any]) -> Any:
    """`value`, if it is allowed.

    Raises:
      InvalidArgumentError: if it is not; the message lists what is.
    """
    if value not in allowed:
        raise InvalidArgumentError(f"{what} is one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value


def _text_argument(value: Any, what: str) -> str:
    if isinstance(value, bytes):
        return text_of(value)
    if not isinstance(value, str):
        raise InvalidArgumentError(f"{what} is a Python string, known when the function is traced; not {value!r}")
    return value


# --- one element at a time ------------------------------------------------------------------------------


def _declare_each(
    name: str, function: Callable[..., Any], result: DType, examples: Sequence[Example], doc: str, fails: bool = False
) -> Op:
    """An op that makes one element of one string; `function(element, **attributes)` is its meaning."""

    def infer(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
        require_kind(types[0], "O")
        return (TensorType(result, types[0].shape),)

    def numpy(x: Array, **attributes: Any) -> Array:
        found = np.frompyfunc(lambda element: function(element, **attributes), 1, 1)(x)
        return np.asarray(found, object).astype(result.numpy)

    return declare(
        Op(
            name=name,
            kind=Kind.CALL,
            infer=infer,
            numpy=numpy,
            gradient=Differentiability.NONE,
            fails=fails,
            examples=tuple(examples),
            doc=doc,
        )
    )


def _cased(method: str) -> Callable[..., bytes]:
    def cased(element: bytes, *, encoding: str) -> bytes:
        found: bytes = bytes_of(getattr(text_of(element), method)()) if encoding else getattr(element, method)()
        return found

    return cased


_CASES = (
    Example((texts("Ab", "É", ""),), {"encoding": ""}),
    Example((texts("Ab", "É", b"\xff"),), {"encoding": "utf-8"}),
)
lower_op = _declare_each("string_lower", _cased("lower"), string, _CASES, "Small letters for capital ones.")
upper_op = _declare_each("string_upper", _cased("upper"), string, _CASES, "Capital letters for small ones.")
strip_op = _declare_each(
    "string_strip",
    lambda element: element.strip(),
    string,
    (Example((texts(" a ", "b\n", "", "c d"),)),),
    "The strings without white space at their ends.",
)
length_op = _declare_each(
    "string_length",
    lambda element, *, unit: len(element) if unit == "BYTE" else len(text_of(element)),
    int32,
    (Example((texts("café", ""),), {"unit": "BYTE"}), Example((texts("café", ""),), {"unit": "UTF8_CHAR"})),
    "How many bytes or characters each string has.",
)


@lru_cache(maxsize=256)
def compiled_pattern(pattern: str) -> re.Pattern[str]:
    """A regular expression, in which \\d, \\w and \\s are those of ASCII.

    Raises:
      InvalidArgumentError: if it is none.
    """
    try:
        return re.compile(pattern, re.ASCII)
    except re.error as error:
        raise InvalidArgumentError(f"{pattern!r} is no regular expression: {error}") from None


full_match_op = _declare_each(
    "string_full_match",
    lambda element, *, pattern: compiled_pattern(pattern).fullmatch(text_of(element)) is not None,
    bool_,
    (Example((texts("ab1", "b", ""),), {"pattern": r"a.*\d"}),),
    "Whether a regular expression matches the whole of each string.",
)


def _replaced(element: bytes, *, pattern: str, rewrite: str, everywhere: bool) -> bytes:
    # \0 is the whole match here, and a character of code 0 in Python.
    return bytes_of(
        compiled_pattern(pattern).sub(re.sub(r"\\0", r"\\g<0>", rewrite), text_of(element), 0 if everywhere else 1)
    )


replace_op = _declare_each(
    "string_replace",
    _replaced,
    string,
    (
        Example((texts("ab ab", "c"),), {"pattern": "(a)(b)", "rewrite": r"\2\1\0", "everywhere": True}),
        Example((texts("aa", "c"),), {"pattern": "a", "rewrite": "é", "everywhere": False}),
    ),
    "The strings with what a regular expression matches replaced.",
)


def lower(input: Any, encoding: str = "", name: str | None = None) -> Any:
    """Strings in small letters: those of ASCII, or all where `encoding` is "utf-8".

    >>> import graphjit as gj
    >>> print(gj.strings.lower(["Ab", "C"]))
    gj.Tensor([b'ab' b'c'], shape=(2,), dtype=string)
    """
    return _in_case(lower_op, "lower", input, encoding)


def upper(input: Any, encoding: str = "", name: str | None = None) -> Any:
    """Strings in capital letters; see `lower`.

    >>> import graphjit as gj
    >>> print(gj.strings.upper("ab").numpy().decode())
    AB
    """
    return _in_case(upper_op, "upper", input, encoding)


def _in_case(op: Op, name: str, input: Any, encoding: str) -> Any:
    one_of(f"strings.{name}: encoding", encoding.lower(), ("", "utf-8"))
    return apply(op, string_operand(input, f"strings.{name}"), encoding=encoding.lower())


def strip(input: Any, name: str | None = None) -> Any:
    """Strings without white space at their ends.

    >>> import graphjit as gj
    >>> print(gj.strings.strip([" a ", "b\\n"]))
    gj.Tensor([b'a' b'b'], shape=(2,), dtype=string)
    """
    return apply(strip_op, string_operand(input, "strings.strip"))


def length(input: Any, unit: str = "BYTE", name: str | None = None) -> Any:
    """How long each string is, as int32.

    Args:
      input: strings of any shape.
      unit: "BYTE" or "UTF8_CHAR".

    >>> import graphjit as gj
    >>> word = gj.constant("café")
    >>> print(gj.strings.length(word), gj.strings.length(word, unit="UTF8_CHAR"))
    gj.Tensor(5, shape=(), dtype=int32) gj.Tensor(4, shape=(), dtype=int32)
    """
    one_of("strings.length: unit", unit, UNITS)
    return apply(length_op, string_operand(input, "strings.length"), unit=unit)


def regex_full_match(input: Any, pattern: Any, name: str | None = None) -> Any:
    """Whether a regular expression matches the whole of each string.

    Args:
      input: strings of any shape.
      pattern: a Python string, in the syntax of Python's `re`.

    >>> import graphjit as gj
    >>> print(gj.strings.regex_full_match(["a1", "b"], r"[a-z]\\d"))
    gj.Tensor([ True False], shape=(2,), dtype=bool)
    """
    wanted = _text_argument(pattern, "strings.regex_full_match: pattern")
    compiled_pattern(wanted)
    return apply(full_match_op, string_operand(input, "strings.regex_full_match"), pattern=wanted)


def regex_replace(input: Any, pattern: Any, rewrite: Any, replace_global: bool = True, name: str | None = None) -> Any:
    """Strings with what a regular expression matches replaced.

    Args:
      input: strings of any shape.
      pattern: a Python string, in the syntax of Python's `re`.
      rewrite: a Python string; \\1 to \\9 stand for groups, \\0 for the whole match.
      replace_global: whether all matches are replaced, or the first one.

    >>> import graphjit as gj
    >>> print(gj.strings.regex_replace("a-b-c", "-", "+").numpy())
    b'a+b+c'
    """
    wanted = _text_argument(pattern, "strings.regex_replace: pattern")
    new = _text_argument(rewrite, "strings.regex_replace: rewrite")
    compiled_pattern(wanted)
    operand = string_operand(input, "strings.regex_replace")
    return apply(replace_op, operand, pattern=wanted, rewrite=new, everywhere=bool(replace_global))


# --- parts of strings -----------------------------------------------------------------------------------


def _part(element: bytes, position: int, count: int, unit: str) -> bytes:
    whole: Any = element if unit == "BYTE" else text_of(element)
    first = position + len(whole) if position < 0 else position
    if not 0 <= first <= len(whole):
        raise OutOfRangeError(f"strings.substr: position {position} is out of range for {element!r}")
    if count < 0:
        raise InvalidArgumentError(f"strings.substr: a length is not negative, but {count} was given")
    part = whole[first : first + count]
    return part if unit == "BYTE" else bytes_of(part)


def _substr_type(types: tuple[TensorType, ...], *, unit: str) -> tuple[TensorType, ...]:
    require_kind(types[0], "O")
    for one in types[1:]:
        require_kind(one, "iu", "positions and lengths")
    return (TensorType(string, broadcast_shapes(*(one.shape for one in types))),)


def _parts_of(x: Array, first: Array, count: Array, *, unit: str) -> Array:
    return np.asarray(np.frompyfunc(partial(_part, unit=unit), 3, 1)(x, first, count), object)


substr_op = declare(
    Op(
        name="string_part",
        kind=Kind.CALL,
        infer=_substr_type,
        numpy=_parts_of,
        gradient=Differentiability.NONE,
        fails=True,
        examples=(
            Example((texts("hello", "cafés"), np.int32(1), np.int32(3)), {"unit": "BYTE"}),
            Example((texts("hello", "cafés"), np.array([0, -2]), np.array([9, 2])), {"unit": "UTF8_CHAR"}),
        ),
        doc="Some bytes or characters of each string, from a position on.",
    )
)


def substr(input: Any, pos: Any, len: Any, unit: str = "BYTE", name: str | None = None) -> Any:  # noqa: A002 -- TensorFlow's name
    """Parts of strings, from a position on.

    Args:
      input: strings.
      pos: where they begin; negative ones count from the end.
      len: how long they are at most; the three shapes broadcast.
      unit: what both count: "BYTE" or "UTF8_CHAR".

    Raises:
      OutOfRangeError: if a position lies behind the end of its string.

    >>> import graphjit as gj
    >>> print(gj.strings.substr(["hello", "world"], 1, 3))
    gj.Tensor([b'ell' b'orl'], shape=(2,), dtype=string)
    """
    one_of("strings.substr: unit", unit, UNITS)
    x = string_operand(input, "strings.substr")
    return apply(substr_op, x, as_operand(pos, int32), as_operand(len, int32), unit=unit)


# --- several strings become one -------------------------------------------------------------------------


def _join_type(types: tuple[TensorType, ...], *, separator: str) -> tuple[TensorType, ...]:
    for one in types:
        require_kind(one, "O")
    return (TensorType(string, broadcast_shapes(*(one.shape for one in types))),)


def _joined_arrays(*arrays: Array, separator: str) -> Array:
    between = bytes_of(separator)
    return np.asarray(np.frompyfunc(lambda *each: between.join(each), len(arrays), 1)(*arrays), object)


join_op = declare(
    Op(
        name="string_join",
        kind=Kind.CALL,
        infer=_join_type,
        numpy=_joined_arrays,
        gradient=Differentiability.NONE,
        examples=(
            Example((texts("a", "b"), texts("c", "d"), texts("e")), {"separator": "-"}),
            Example((texts("a", "b"),), {"separator": ""}),
        ),
        doc="The strings of several tensors, one behind the other.",
    )
)


def join(inputs: Any, separator: str = "", name: str | None = None) -> Any:
    """The strings of several tensors one behind the other, element by element.

    Args:
      inputs: a list of strings and tensors of strings, whose shapes broadcast.
      separator: a Python string that is put between them.

    >>> import graphjit as gj
    >>> print(gj.strings.join([["a", "b"], "1"], separator="-"))
    gj.Tensor([b'a-1' b'b-1'], shape=(2,), dtype=string)
    """
    operands = [string_operand(one, "strings.join") for one in inputs]
    if not operands:
        raise InvalidArgumentError("strings.join: there is nothing to join; give at least one tensor of strings")
    return apply(join_op, *operands, separator=_text_argument(separator, "strings.join: separator"))


def _reduce_type(
    types: tuple[TensorType, ...], *, axis: tuple[int, ...], keepdims: bool, separator: str
) -> tuple[TensorType, ...]:
    require_kind(types[0], "O")
    axes = normalize_axes(axis, types[0].rank)
    return (TensorType(string, reduced_shape(types[0].shape, axes, keepdims)),)


def _reduced_array(x: Array, *, axis: tuple[int, ...], keepdims: bool, separator: str) -> Array:
    kept = [one for one in range(x.ndim) if one not in axis]
    shape = tuple(x.shape[one] for one in kept)
    rows = x.transpose(*kept, *reversed(axis)).reshape(int(np.prod(shape)), -1)
    result = np.empty(len(rows), object)
    for place, row in enumerate(rows):
        result[place] = bytes_of(separator).join(row)
    return result.reshape(reduced_shape(x.shape, axis, keepdims))


reduce_join_op = declare(
    Op(
        name="string_reduce_join",
        kind=Kind.CALL,
        infer=_reduce_type,
        numpy=_reduced_array,
        gradient=Differentiability.NONE,
        examples=(
            Example((texts("a", "b"),), {"axis": (0,), "keepdims": False, "separator": "-"}),
            Example((texts("a", "b", "c", "d").reshape(2, 2),), {"axis": (1, 0), "keepdims": True, "separator": ""}),
        ),
        doc="The strings along axes, one behind the other.",
    )
)


def reduce_join(
    inputs: Any, axis: Any = None, keepdims: bool = False, separator: str = "", name: str | None = None
) -> Any:
    """The strings along axes one behind the other.

    Args:
      inputs: strings.
      axis: an axis or a list of them: strings are joined along the first, then along the second and so on; None for
        all of them, the last one first.
      keepdims: whether the axes stay, with size 1.
      separator: a Python string that is put between them.

    >>> import graphjit as gj
    >>> print(gj.strings.reduce_join([["a", "b"], ["c", "d"]], axis=1, separator="+"))
    gj.Tensor([b'a+b' b'c+d'], shape=(2,), dtype=string)
    """
    operand = string_operand(inputs, "strings.reduce_join")
    normalize_axes(axis, operand.type.rank)
    given = range(operand.type.rank)[::-1] if axis is None else [axis] if hasattr(axis, "__index__") else axis
    axes = tuple(int(one) % operand.type.rank for one in given)
    between = _text_argument(separator, "strings.reduce_join: separator")
    return apply(reduce_join_op, operand, axis=axes, keepdims=bool(keepdims), separator=between)


# --- strings and numbers --------------------------------------------------------------------------------

_NUMBERS = (float32, float64, int32, int64)


def _number_type(types: tuple[TensorType, ...], *, dtype: DType) -> tuple[TensorType, ...]:
    require_kind(types[0], "O")
    return (TensorType(dtype, types[0].shape),)


def _numbers(x: Array, *, dtype: DType) -> Array:
    def number(element: bytes) -> Any:
        text = text_of(element).strip()
        try:
            value = float(text) if dtype.is_floating else int(text)
        except ValueError:
            value = None
        if value is None or "_" in text or not (dtype.is_floating or dtype.min <= value <= dtype.max):
            raise InvalidArgumentError(f"strings.to_number: {element!r} is no {dtype.name}")
        return value

    with np.errstate(over="ignore"):
        return np.asarray(np.frompyfunc(number, 1, 1)(x), object).astype(dtype.numpy)


to_number_op = declare(
    Op(
        name="string_to_number",
        kind=Kind.CALL,
        infer=_number_type,
        numpy=_numbers,
        gradient=Differentiability.NONE,
        fails=True,
        examples=(
            Example((texts("1.5", "-2", " inf "),), {"dtype": float32}),
            Example((texts("15", "-2"),), {"dtype": int64}),
        ),
        doc="The numbers that strings spell.",
    )
)


def to_number(input: Any, out_type: Any = float32, name: str | None = None) -> Any:
    """The numbers that strings spell.

    Args:
      input: strings of any shape.
      out_type: float32, float64, int32 or int64.

    Raises:
      InvalidArgumentError: if a string is no number of that dtype.

    >>> import graphjit as gj
    >>> print(gj.strings.to_number(["1.5", "2"]))
    gj.Tensor([1.5 2. ], shape=(2,), dtype=float32)
    """
    wanted = as_dtype(out_type)
    if wanted not in _NUMBERS:
        raise DtypeError(f"strings.to_number makes float32, float64, int32 or int64, not {wanted.name}")
    return apply(to_number_op, string_operand(input, "strings.to_number"), dtype=wanted)


def _written_type(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
    require_kind(types[0], "biufO", "what is written as strings")
    return (TensorType(string, types[0].shape),)


def _written(x: Array, *, pattern: str, width: int, fill: str) -> Array:
    def text(element: Any) -> bytes:
        if isinstance(element, bytes):
            shown = text_of(element)
        elif isinstance(element, bool):
            shown = str(element).lower()
        else:
            shown = pattern % element if pattern else str(element)
        if fill == "0" and shown[:1] == "-":
            return bytes_of("-" + shown[1:].rjust(width - 1, fill))
        return bytes_of(shown.rjust(width, fill or " "))

    return np.asarray(np.frompyfunc(text, 1, 1)(x.astype(object)), object)


as_string_op = declare(
    Op(
        name="as_string",
        kind=Kind.CALL,
        infer=_written_type,
        numpy=_written,
        gradient=Differentiability.NONE,
        examples=(
            Example((np.array([1.5, -2.25]),), {"pattern": "%.2f", "width": -1, "fill": ""}),
            Example((np.array([3, -4], np.int32),), {"pattern": "", "width": 4, "fill": "0"}),
            Example((np.array([True, False]),), {"pattern": "", "width": -1, "fill": ""}),
        ),
        doc="Numbers as strings.",
    )
)


def as_string(
    input: Any,
    precision: int = -1,
    scientific: bool = False,
    shortest: bool = False,
    width: int = -1,
    fill: str = "",
    name: str | None = None,
) -> Any:
    """Numbers, truth values and strings as strings.

    Args:
      input: a tensor.
      precision: digits behind the point of floats, 6 by default.
      scientific: whether floats are written with an exponent.
      shortest: whether floats are written with an exponent or without, whatever is shorter.
      width: the least length.
      fill: the character that shorter ones begin with; a space by default.

    Raises:
      InvalidArgumentError: if a choice for floats is made for other elements, or `fill` is no single character.

    >>> import graphjit as gj
    >>> print(gj.strings.as_string([1.5, 2.0], precision=2), gj.strings.as_string(7, width=3, fill="0").numpy())
    gj.Tensor([b'1.50' b'2.00'], shape=(2,), dtype=string) b'007'
    """
    operand = as_operand(input)
    if len(fill) > 1:
        raise InvalidArgumentError(f"strings.as_string: fill is a single character, not {fill!r}")
    if scientific and shortest:
        raise InvalidArgumentError("strings.as_string: scientific and shortest exclude each other")
    digits = static_integer(precision)
    if not operand.type.dtype.is_floating:
        if digits != -1 or scientific or shortest:
            raise InvalidArgumentError(
                f"strings.as_string: precision, scientific and shortest are for floats, not {operand.type.dtype.name}"
            )
        pattern = ""
    else:
        kind = "e" if scientific else "g" if shortest else "f"
        pattern = f"%{'' if digits in (-1, None) else f'.{digits}'}{kind}"
    return apply(as_string_op, operand, pattern=pattern, width=int(width), fill=fill)


# --- a text with tensors in it --------------------------------------------------------------------------


def _format_type(types: tuple[TensorType, ...], **_attributes: Any) -> tuple[TensorType, ...]:
    return (TensorType(string, ()),)


def _formatted(*arrays: Array, pieces: tuple[str, ...], summarize: int) -> Array:
    from .callbacks import shown

    parts = [pieces[0]]
    for array, piece in zip(arrays, pieces[1:], strict=True):
        parts += [shown(array, summarize), piece]
    return np.array(bytes_of("".join(parts)), object)


format_op = declare(
    Op(
        name="string_format",
        kind=Kind.CALL,
        infer=_format_type,
        numpy=_formatted,
        gradient=Differentiability.NONE,
        examples=(Example((np.arange(10), np.float32(1.5)), {"pieces": ("a: ", " b: ", "."), "summarize": 3}),),
        doc="A text with tensors in it.",
    )
)


def format(  # noqa: A001 -- TensorFlow's name
    template: str, inputs: Any, placeholder: str = "{}", summarize: int = 3, name: str | None = None
) -> Any:
    """A text with tensors in it, as one string.

    Args:
      template: a Python string.
      inputs: a tensor for each placeholder in it, or a single one.
      placeholder: what the tensors take the place of.
      summarize: how many elements at the ends of each axis are shown; -1 for all.

    Raises:
      InvalidArgumentError: if there are not as many tensors as placeholders.

    >>> import graphjit as gj
    >>> print(gj.strings.format("x is {}", gj.constant([1, 2])).numpy().decode())
    x is [1 2]
    """
    given = list(inputs) if isinstance(inputs, list | tuple) else [inputs]
    pieces = tuple(template.split(placeholder))
    if len(pieces) != len(given) + 1:
        raise InvalidArgumentError(
            f"strings.format: {len(pieces) - 1} placeholders {placeholder!r} in {template!r}, but {len(given)} tensors"
        )
    return apply(format_op, *map(as_operand, given), pieces=pieces, summarize=int(summarize))


__all__ = [
    "as_string",
    "format",
    "join",
    "length",
    "lower",
    "reduce_join",
    "regex_full_match",
    "regex_replace",
    "strip",
    "substr",
    "to_number",
    "upper",
]
