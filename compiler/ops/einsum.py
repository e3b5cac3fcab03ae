"""Einstein's summation: sums of products by the names of axes, as matrix products.

Each operand is brought to axes that differ (a diagonal for a name that it repeats, a sum for a name that
nobody else has), and then two at a time become one matrix product, in the order that NumPy's
`einsum_path` finds. All of it is written with public ops, so gradients need no rules here.
"""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.runtime.fields import dataclass

from ..operand import as_operands, public
from ..tensortype import Dimension
from .diagonals import diag_part
from .linear import matmul
from .reduction import reduce_sum
from .shaping import expand_dims, identity, reshape, squeeze, transpose
from .sizes import Size, sizes_of

# --- the text -------------------------------------------------------------------------------------


def _parsed(equation: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """The axes of each operand and of the result, one letter each, without ellipses.

    >>> _parsed("...ij,jk", [3, 2])
    (['Aij', 'jk'], 'Aik')
    """
    text = equation.replace(" ", "")
    inputs, arrow, output = text.partition("->")
    terms = inputs.split(",")
    if len(terms) != len(ranks):
        raise InvalidArgumentError(f"einsum: {equation!r} names {len(terms)} operands, but {len(ranks)} are given")
    for term in (*terms, output):
        _check_term(term, equation)
    letters = _ellipsis_letters(terms, ranks, text)
    spelled = [_spelled(term, rank, letters, equation) for term, rank in zip(terms, ranks, strict=True)]
    return spelled, _output(output, spelled, letters, equation) if arrow else _implicit(spelled, letters)


def _check_term(term: str, equation: str) -> None:
    plain = term.replace("...", "", 1)
    if not all(letter in string.ascii_letters for letter in plain):
        raise InvalidArgumentError(f"einsum: {equation!r} may hold letters, commas, '->' and '...' only")


def _ellipsis_letters(terms: Sequence[str], ranks: Sequence[int], text: str) -> str:
    """Letters for the axes that ellipses stand for, as many as the longest needs."""
    counts = [rank - len(term) + 3 for term, rank in zip(terms, ranks, strict=True) if "..." in term]
    free = [letter for letter in string.ascii_uppercase + string.ascii_lowercase if letter not in text]
    count = max(counts, default=0)
    if count > len(free):
        raise InvalidArgumentError(f"einsum: {text!r} needs more than {len(string.ascii_letters)} names of axes")
    return "".join(free[: max(count, 0)])


def _spelled(term: str, rank: int, letters: str, equation: str) -> str:
    if "..." in term:
        count = rank - len(term) + 3
        if count < 0:
            raise ShapeError(
                f"einsum: {term!r} of {equation!r} names {len(term) - 3} axes of an operand of rank {rank}"
            )
        return term.replace("...", letters[len(letters) - count :])
    if len(term) != rank:
        raise ShapeError(f"einsum: {term!r} of {equation!r} names {len(term)} axes of an operand of rank {rank}")
    return term


def _output(term: str, inputs: Sequence[str], letters: str, equation: str) -> str:
    output = term.replace("...", letters)
    known = set("".join(inputs))
    for letter in output:
        if letter not in known or output.count(letter) > 1:
            raise InvalidArgumentError(
                f"einsum: axis {letter!r} of the result of {equation!r} must be named once there, and by an operand"
            )
    return output


def _implicit(inputs: Sequence[str], letters: str) -> str:
    """Without "->": the ellipses' axes, then the names that occur once, in alphabetical order."""
    every = "".join(inputs)
    used = [letter for letter in letters if letter in every]
    once = sorted(letter for letter in set(every) if letter not in letters and every.count(letter) == 1)
    return "".join([*used, *once])


# --- one operand ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Term:
    """An operand and the names of its axes."""

    value: Any
    axes: str

    def ordered(self, axes: str) -> Any:
        """The operand with its axes in another order."""
        return self.value if axes == self.axes else transpose(self.value, [self.axes.index(one) for one in axes])

    def without(self, axes: Sequence[str]) -> str:
        return "".join(one for one in self.axes if one not in axes)


def _size_of_axes(terms: Sequence[_Term]) -> dict[str, Dimension]:
    """The size of each name; axes of size 1 broadcast."""
    sizes: dict[str, Dimension] = {}
    for term in terms:
        for letter, size in zip(term.axes, term.value.type.shape, strict=True):
            known = sizes.get(letter, 1)
            if size not in (1, None) and known not in (1, None, size):
                raise ShapeError(f"einsum: axis {letter!r} has size {known} in one operand and {size} in another")
            if known == 1 or (known is None and size != 1):
                sizes[letter] = size
    return sizes


def _with_diagonals(term: _Term) -> _Term:
    """The operand with each name once: along a repeated name only the diagonal counts."""
    repeated = next((one for one in term.axes if term.axes.count(one) > 1), None)
    if repeated is None:
        return term
    first = term.axes.index(repeated)
    second = term.axes.index(repeated, first + 1)
    rest = [axis for axis in range(len(term.axes)) if axis not in (first, second)]
    sizes = {term.value.type.shape[first], term.value.type.shape[second]}
    if len(sizes - {None}) > 1:
        raise ShapeError(f"einsum: axis {repeated!r} has sizes {sorted(sizes - {None})} in one operand")
    turned = transpose(term.value, [*rest, first, second])
    names = "".join(term.axes[axis] for axis in rest) + repeated
    return _with_diagonals(_Term(diag_part(turned), names))


def _without_broadcast_axes(term: _Term, sizes: Mapping[str, Dimension]) -> _Term:
    """The operand without axes of size 1 that broadcast against a greater size of that name."""
    shape = term.value.type.shape
    gone = [axis for axis, name in enumerate(term.axes) if shape[axis] == 1 and sizes[name] != 1]
    if not gone:
        return term
    return _Term(squeeze(term.value, gone), "".join(name for axis, name in enumerate(term.axes) if axis not in gone))


def _summed(term: _Term, kept: str) -> _Term:
    """The operand summed over the names that nobody needs."""
    gone = [axis for axis, name in enumerate(term.axes) if name not in kept]
    if not gone:
        return term
    return _Term(reduce_sum(term.value, gone), "".join(name for name in term.axes if name in kept))


# --- two operands ---------------------------------------------------------------------------------


def _product(a: _Term, b: _Term, kept: str) -> _Term:
    """The product of two operands, summed over the names that both have and nobody needs."""
    a, b = _summed(a, kept + b.axes), _summed(b, kept + a.axes)
    shared = [name for name in a.axes if name in b.axes]
    batch = "".join(name for name in shared if name in kept)
    summed = "".join(name for name in shared if name not in kept)
    rows, columns = a.without(shared), b.without(shared)
    if not summed:
        return _elementwise_product(a, b, batch, rows, columns)
    known = dict(zip(a.axes + b.axes, [*sizes_of(a.value), *sizes_of(b.value)], strict=True))
    left = _as_matrices(a.ordered(batch + rows + summed), batch, rows, summed, known)
    right = _as_matrices(b.ordered(batch + summed + columns), batch, summed, columns, known)
    result = matmul(left, right)
    names = batch + rows + columns
    if len(rows) != 1 or len(columns) != 1:
        result = reshape(result, [known[name] for name in names])
    return _Term(result, names)


def _as_matrices(value: Any, batch: str, rows: str, columns: str, known: Mapping[str, Size]) -> Any:
    """The operand with its axes grouped to stacks of matrices."""
    if len(rows) == 1 and len(columns) == 1:
        return value
    return reshape(value, [*(known[name] for name in batch), _count(known, rows), _count(known, columns)])


def _count(known: Mapping[str, Size], names: str) -> Size:
    count: Size = 1
    for name in names:
        count = count * known[name]
    return count


def _elementwise_product(a: _Term, b: _Term, batch: str, rows: str, columns: str) -> _Term:
    left, right = a.ordered(batch + rows), b.ordered(batch + columns)
    for _ in columns:
        left = expand_dims(left, -1)
    for _ in rows:
        right = expand_dims(right, len(batch))
    return _Term(left * right, batch + rows + columns)


# --- all of them ----------------------------------------------------------------------------------


def _path(terms: Sequence[_Term], output: str) -> list[tuple[int, ...]]:
    """Which operands to multiply first; unknown sizes count as 16."""
    if len(terms) <= 2:
        return [tuple(range(len(terms)))]
    equation = ",".join(term.axes for term in terms) + "->" + output
    sizes = {
        name: 16 if size is None else size
        for term in terms
        for name, size in zip(term.axes, term.value.type.shape, strict=True)
    }
    stands = [np.broadcast_to(np.float32(0), [sizes[name] for name in term.axes]) for term in terms]
    path, _ = np.einsum_path(equation, *stands, optimize="greedy")
    return [tuple(step) for step in path[1:]]


def _contracted(terms: list[_Term], output: str) -> _Term:
    for step in _path(terms, output):
        chosen = [terms[position] for position in step]
        terms = [term for position, term in enumerate(terms) if position not in step]
        result, *rest = chosen
        while rest:
            other, *rest = rest
            kept = output + "".join(term.axes for term in (*terms, *rest))
            result = _product(result, other, kept)
        terms.append(result)
    (last,) = terms
    return _summed(last, output)


def _from_lists(arguments: Sequence[Any]) -> tuple[str, list[Any]]:
    """The text and the operands of the form `einsum(a, [0, 1], b, [1, 2], [0, 2])`."""
    operands = list(arguments[: len(arguments) // 2 * 2 : 2])
    lists = list(arguments[1 : len(operands) * 2 : 2])
    terms = ["".join("..." if one is Ellipsis else string.ascii_letters[one] for one in part) for part in lists]
    output = arguments[-1] if len(arguments) % 2 else None
    equation = ",".join(terms)
    if output is not None:
        equation += "->" + "".join("..." if one is Ellipsis else string.ascii_letters[one] for one in output)
    return equation, operands


@public()
def einsum(equation: Any, *inputs: Any, optimize: Any = "greedy", name: str | None = None) -> Any:
    """Sums of products by the names of axes (Einstein's convention, NumPy's forms).

    Args:
      equation: for example "ij,jk->ik": the axes of each operand, and of the result. Names that the result
        lacks are summed over. Without "->" the result has the names that occur once, in alphabetical
        order. A name that an operand repeats means its diagonal; "..." means any axes, which broadcast.
      inputs: the operands, of one dtype.
      optimize: for NumPy's sake; the order of several operands is always the greedy one.

    Raises:
      InvalidArgumentError: if the text is no such equation.
      ShapeError: if ranks or sizes do not fit it.

    >>> import graphjit as gj
    >>> print(gj.einsum("ij,j->i", [[1, 2], [3, 4]], [1, 10]))
    gj.Tensor([21 43], shape=(2,), dtype=int32)
    """
    if isinstance(equation, str):
        text, values = equation, list(inputs)
    else:
        text, values = _from_lists((equation, *inputs))
    operands = as_operands(*values)
    axes, output = _parsed(text, [one.type.rank for one in operands])
    terms = [_with_diagonals(_Term(value, names)) for value, names in zip(operands, axes, strict=True)]
    sizes = _size_of_axes(terms)
    terms = [_without_broadcast_axes(term, sizes) for term in terms]
    result = _contracted(terms, output)
    answer = result.ordered(output)
    return identity(answer) if any(answer is one for one in operands) else answer


__all__ = ["einsum"]
