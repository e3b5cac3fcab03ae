"""Compute now what depends on constants only.

>>> from graphjit.compiler.dump.text import show
>>> show(fold, '''
... f(%a: f32[2]) {
...   %b = constant() {value=dense<f32[2]: [1.0, 2.0]>}
...   %c = add(%b, %b)
...   %d = add(%a, %c)
...   return %d
... }
... ''')
f(%a: f32[2]) {
  %b: f32[2] = constant() {value=dense<f32[2]: [1.0, 2.0]>}
  %c: f32[2] = constant() {value=dense<f32[2]: [2.0, 4.0]>}
  %d: f32[2] = add(%a, %c)
  return %d
}

Left alone: what can fail or has an effect, what may run long (calls, control flow), results of more
than 64 KiB, and repetitions, which are free in a kernel while their copies are not. An elementwise op
on repeated constants becomes the repetition of its result on the constants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import GraphjitError

from ..constants import unrepeated
from ..dispatch import apply
from ..graph import Equation, Graph, constant_of
from ..op import Kind, find_op
from ..operand import Operand
from ..rewriting import Rewriter, rewrite

MOST_BYTES = 64 * 1024
MOST_WORK = 1 << 22
"""Operand elements that are looked at while compiling, to make one result."""

_KINDS = frozenset({Kind.ELEMENTWISE, Kind.REDUCTION, Kind.VIEW, Kind.CONTRACTION, Kind.INDEXING})


def fold(graph: Graph) -> Graph:
    """The graph in which every small enough result of constants is a constant."""
    return rewrite(Rewriter(graph), graph, _step)


def _step(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
    op = equation.op
    if op.kind not in _KINDS or op.several or equation.must_run or not equation.operands:
        return None
    if op.kind is Kind.ELEMENTWISE:
        return _fold_repeated(rewriter, equation)
    sources = [constant_of(value, rewriter.producers) for value in equation.operands]
    known = [source for source in sources if source is not None]
    if len(known) < len(sources) or not _is_worth_it(equation, known):
        return None
    result = _compute(equation, known)
    return None if result is None else (rewriter.constant(result),)


def _is_worth_it(equation: Equation, operands: Sequence[np.ndarray[Any, Any]]) -> bool:
    if not equation.output.type.is_static or sum(array.size for array in operands) > MOST_WORK:
        return False
    made = equation.output.type.byte_count
    repeats = equation.op.kind is Kind.VIEW and made > operands[0].nbytes
    return made <= MOST_BYTES and not repeats


def _fold_repeated(rewriter: Rewriter, equation: Equation) -> Sequence[Operand] | None:
    """An elementwise op on constants, each possibly repeated by a broadcast."""
    sources = [unrepeated(value, rewriter.producers) for value in equation.operands]
    known = [source for source in sources if source is not None]
    if len(known) < len(sources):
        return None
    made = np.broadcast_shapes(*(array.shape for array in known))
    if int(np.prod(made)) * equation.output.type.dtype.size > MOST_BYTES:
        return None
    result = _compute(equation, known)
    if result is None:
        return None
    shape = equation.output.type.sizes
    constant = rewriter.constant(result)
    return (constant if made == shape else apply(find_op("broadcast_to"), constant, shape=shape),)


def _compute(equation: Equation, arrays: Sequence[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any] | None:
    try:
        with np.errstate(all="ignore"):
            result = equation.op.numpy(*arrays, **equation.attributes)
    except GraphjitError:
        return None  # the equation stays, and raises in the user's call
    return np.asarray(result, dtype=equation.output.type.dtype.numpy)
