"""Strings taken apart into rows: functions of `gj.strings` whose results are ragged."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.dispatch import apply
from graphjit.compiler.operand import PUBLIC, as_operand
from graphjit.compiler.ops.stringparts import ERRORS, encode_op, encoding_named, parts
from graphjit.compiler.ops.strings import one_of, string_operand
from graphjit.compiler.tensortype import int32, int64
from graphjit.runtime.errors import InvalidArgumentError, ShapeError

from .raggedtensor import RaggedTensor, splits_of_lengths


def _in_rows(operand: Any, values: Any, lengths: Any) -> Any:
    """Parts of strings in rows, one for each string; of a single string, a vector."""
    if operand.type.rank == 0:
        return values
    ragged: Any = RaggedTensor(values, splits_of_lengths(PUBLIC["reshape"](lengths, [-1])))
    for axis in range(operand.type.rank - 1, 0, -1):
        shape = PUBLIC["shape_of"](operand, out_type=int64)
        rows = PUBLIC["reduce_prod"](shape[:axis])
        ragged = RaggedTensor(ragged, PUBLIC["range_"](0, rows + 1, dtype=int64) * shape[axis])
    return ragged


def _taken_apart(input: Any, what: str, into: str, **choices: Any) -> Any:
    if isinstance(input, RaggedTensor):
        return _below(input, lambda values: _taken_apart(values, what, into, **choices))
    operand = string_operand(input, what)
    return _in_rows(operand, *parts(operand, into, **choices))


def _below(ragged: RaggedTensor, function: Any) -> RaggedTensor:
    """What a function that adds an axis gives for the innermost rows."""
    inner = ragged.values
    return ragged.with_values(_below(inner, function) if isinstance(inner, RaggedTensor) else function(inner))


def split(input: Any, sep: Any = None, maxsplit: int = -1, name: str | None = None) -> Any:
    """The words of each string, as rows of a ragged tensor; of a single string, a vector.

    Args:
      input: strings.
      sep: a Python string that stands between words; by default white space of any length.
      maxsplit: how many times each string is split at most; -1 for as often as can be.

    >>> import graphjit as gj
    >>> gj.strings.split(["a bc", "", "d"])
    <gj.RaggedTensor [[b'a', b'bc'], [], [b'd']]>
    """
    if sep is not None and not isinstance(sep, str | bytes):
        raise InvalidArgumentError(f"strings.split: sep is a Python string, not {sep!r}")
    between = sep.decode() if isinstance(sep, bytes) else sep or ""
    return _taken_apart(input, "strings.split", "words", separator=between, most=int(maxsplit))


def bytes_split(input: Any, name: str | None = None) -> Any:
    """The bytes of each string, as rows of strings; of a single string, a vector.

    >>> import graphjit as gj
    >>> print(gj.strings.bytes_split("ab"))
    gj.Tensor([b'a' b'b'], shape=(2,), dtype=string)
    """
    return _taken_apart(input, "strings.bytes_split", "bytes")


def unicode_split(input: Any, input_encoding: str = "UTF-8", errors: str = "replace", name: str | None = None) -> Any:
    """The characters of each string, as rows of strings; of a single string, a vector.

    Args:
      input: strings.
      input_encoding: "UTF-8", "UTF-16-BE" or "UTF-32-BE".
      errors: "replace", "strict" or "ignore": what is done with bytes that are no text.

    >>> import graphjit as gj
    >>> [one.decode() for one in gj.strings.unicode_split("née").numpy()]
    ['n', 'é', 'e']
    """
    return _taken_apart(input, "strings.unicode_split", "characters", encoding=input_encoding, errors=errors)


def unicode_decode(input: Any, input_encoding: str = "UTF-8", errors: str = "replace", name: str | None = None) -> Any:
    """The code points of each string, as int32 in rows; of a single string, a vector. See `unicode_split`.

    >>> import graphjit as gj
    >>> print(gj.strings.unicode_decode("café", "UTF-8"))
    gj.Tensor([ 99  97 102 233], shape=(4,), dtype=int32)
    """
    return _taken_apart(input, "strings.unicode_decode", "codes", encoding=input_encoding, errors=errors)


def unicode_encode(input: Any, output_encoding: str = "UTF-8", errors: str = "replace", name: str | None = None) -> Any:
    """The strings of code points along the last axis.

    Args:
      input: integers of rank 1 or more, or ragged ones.
      output_encoding: "UTF-8", "UTF-16-BE" or "UTF-32-BE".
      errors: "replace", "strict" or "ignore": what is done with numbers that are no code points.

    Raises:
      InvalidArgumentError: if a number is no code point, and errors are "strict".

    >>> import graphjit as gj
    >>> gj.strings.unicode_encode([99, 97, 102, 233], "UTF-8").numpy()
    b'caf\\xc3\\xa9'
    """
    output_encoding = encoding_named("strings.unicode_encode: output_encoding", output_encoding)
    one_of("strings.unicode_encode: errors", errors, ERRORS)
    if isinstance(input, RaggedTensor):
        if isinstance(input.values, RaggedTensor):
            return input.with_values(unicode_encode(input.values, output_encoding, errors))
        return apply(encode_op, input.values, input.row_splits, encoding=output_encoding, errors=errors)
    codes = as_operand(input, int32)
    if not codes.type.rank:
        raise ShapeError("strings.unicode_encode: code points lie along an axis; give [code] for a single one")
    shape = PUBLIC["shape_of"](codes, out_type=int64)
    rows = PUBLIC["reduce_prod"](shape[:-1])
    splits = PUBLIC["range_"](0, rows + 1, dtype=int64) * shape[-1]
    found = apply(encode_op, PUBLIC["reshape"](codes, [-1]), splits, encoding=output_encoding, errors=errors)
    return PUBLIC["reshape"](found, codes.type.shape[:-1] if codes.type.is_static else shape[:-1])


def unicode_transcode(
    input: Any, input_encoding: str, output_encoding: str, errors: str = "replace", name: str | None = None
) -> Any:
    """Strings in another encoding.

    >>> import graphjit as gj
    >>> gj.strings.unicode_transcode("é", "UTF-8", "UTF-16-BE").numpy()
    b'\\x00\\xe9'
    """
    operand = string_operand(input, "strings.unicode_transcode")
    if not operand.type.rank:
        return unicode_encode(unicode_decode(operand, input_encoding, errors), output_encoding, errors)
    flat = PUBLIC["reshape"](operand, [-1])
    found = unicode_encode(unicode_decode(flat, input_encoding, errors), output_encoding, errors)
    return PUBLIC["reshape"](found, PUBLIC["shape_of"](operand))


__all__ = ["bytes_split", "split", "unicode_decode", "unicode_encode", "unicode_split", "unicode_transcode"]
