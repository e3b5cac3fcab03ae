"""How many operands an op takes: read off its NumPy meaning and its examples.

Asked of graphs that come from outside: inference alone lets many ops have an operand too many, and
NumPy would take it for something else (`np.exp(x, y)` writes into y).
"""

from __future__ import annotations

import inspect
from functools import cache

from .op import Op


def takes(op: Op, count: int) -> bool:
    """Whether the op can have this many operands.

    >>> from graphjit.compiler.op import find_op
    >>> takes(find_op("exp"), 1), takes(find_op("exp"), 2)
    (True, False)
    """
    return count in _counts_of_examples(op) or _takes_any(op)


@cache
def _counts_of_examples(op: Op) -> frozenset[int]:
    return frozenset(len(example.operands) for example in op.examples)


@cache
def _takes_any(op: Op) -> bool:
    """Whether the NumPy meaning has a parameter for any number of arrays; NumPy's own functions have none."""
    if not inspect.isfunction(op.numpy):
        return not op.examples
    kinds = [parameter.kind for parameter in inspect.signature(op.numpy).parameters.values()]
    return inspect.Parameter.VAR_POSITIONAL in kinds
