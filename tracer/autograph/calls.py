"""What a call calls is converted when the call is made: `f(x)` becomes `_gj.called(f)(x)`.

So functions of the user's are converted too, and Python's builtins get a meaning for traced values.
"""

from __future__ import annotations

import ast

from .names import Names
from .templates import constant, fill_expression, load

_LOOK_AT_THE_FRAME = frozenset({"super", "locals", "globals", "vars", "dir", "eval", "exec", "__import__"})
_NEVER_CONVERTED = frozenset({"isinstance", "issubclass", "hasattr", "callable", "type", "id", "repr", "slice"})


def convert_call(node: ast.Call, operators: str, shadowed: Names) -> ast.expr:
    """A call; `shadowed` are names that do not mean Python's builtins in the function."""
    kept = (_LOOK_AT_THE_FRAME | _NEVER_CONVERTED) - shadowed
    if isinstance(node.func, ast.Name) and node.func.id in kept:
        return node
    node.func = called(node.func, operators)
    return node


def called(function: ast.expr, operators: str) -> ast.expr:
    """What is called, converted."""
    return fill_expression("gj.called(function)", function, gj=operators, function=function)


def is_bare_super(node: ast.Call) -> bool:
    """Whether it is `super()`, which finds class and object by looking at the function that it stands in."""
    return isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args and not node.keywords


def explicit_super(node: ast.Call, first: str) -> ast.expr:
    """`super(__class__, self)`, which works in blocks that became functions as well."""
    node.args = [load("__class__", node), load(first, node)]
    return node


def rows(iterable: ast.expr, operators: str) -> ast.expr:
    """What a comprehension goes through: rows of tensors, or the items themselves."""
    return fill_expression("gj.rows(iterable)", iterable, gj=operators, iterable=iterable)


def truth(test: ast.expr, operators: str) -> ast.expr:
    """A condition of a comprehension, which must be a Python truth value."""
    return fill_expression("gj.truth(test, what)", test, gj=operators, test=test, what=constant("if", test))


__all__: list[str] = []
