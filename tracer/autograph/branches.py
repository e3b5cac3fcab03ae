"""`if` statements become two functions, of which an operator calls one, or traces both.

if x > 0:              def then():
    y = x                  nonlocal y
else:                      y = x
    y = -x             def otherwise():
                           nonlocal y
                           y = -x
                       _gj.branch(x > 0, then, otherwise, ('y',))()
"""

from __future__ import annotations

import ast

from .blocks import Context, arm, handed_on
from .jumps import Block
from .names import Names
from .templates import constant, fill, load, strings


def convert_if(node: ast.stmt, context: Context, visible: Names) -> Block:
    """The statements that stand for an `if`."""
    assert isinstance(node, ast.If)
    at = node.test
    names = handed_on(node, context, [*node.body, *node.orelse], visible, context.liveness.after[id(node)])
    then = arm(context, "then", node.body, visible, at)
    otherwise = arm(context, "otherwise", node.orelse, visible, at) if node.orelse else []
    returns = getattr(node, "returns", False)
    is_guard = getattr(node, "is_guard", False)
    call = "gj.operator(test, then, otherwise, names)()"
    made = fill(
        f"return {call}" if returns else call,
        at,
        gj=context.operators,
        test=node.test,
        then=load(then[0].name, at),  # type: ignore[attr-defined]  # a function
        otherwise=load(otherwise[0].name, at) if otherwise else constant(None, at),  # type: ignore[attr-defined]  # a function
        names=strings(names, at),
    )
    _rename_operator(made[0], "returned" if returns else "guard" if is_guard else "branch")
    return [*then, *otherwise, *made]


def _rename_operator(statement: ast.stmt, name: str) -> None:
    for node in ast.walk(statement):
        if isinstance(node, ast.Attribute) and node.attr == "operator":
            node.attr = name


__all__: list[str] = []
