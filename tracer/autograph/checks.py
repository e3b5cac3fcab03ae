"""`assert` and `raise` under conditions on traced values become checks when the compiled function runs.

assert t, message       _gj.assert_(t, lambda: message)
raise error             raise _gj.raised(error)
"""

from __future__ import annotations

import ast

from .jumps import Block
from .logic import Later
from .templates import constant, fill


def convert_assert(node: ast.Assert, operators: str, later: Later) -> Block:
    """`assert`; as in Python it does nothing under `python -O`."""
    message = constant(None, node) if node.msg is None else later(node.msg)
    text = "if __debug__:\n    gj.assert_(test, message)"
    return fill(text, node, gj=operators, test=node.test, message=message)


def convert_raise(node: ast.Raise, operators: str, is_caught: bool) -> Block:
    """`raise error`; `is_caught` says that an `except` of the same function stands around it."""
    if node.exc is None:
        return [node]
    text = "raise gj.raised(error, is_caught)" if is_caught else "raise gj.raised(error)"
    made = fill(text, node, gj=operators, error=node.exc, is_caught=constant(True, node))
    raising = made[0]
    assert isinstance(raising, ast.Raise)
    raising.cause = node.cause
    return made


__all__: list[str] = []
