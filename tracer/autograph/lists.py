"""Changes of lists, dicts and objects are announced, so that a branch that is not taken can take them back.

    items[k] = v            _gj.changing(items)[k] = v
    self.total = v          _gj.changing(self, 'total').total = v
    out = []                out = _gj.made([])            where `out` is changed later

Methods that change a container (`items.append`) are noticed when they are called.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence

from .names import Names, own_nodes
from .templates import constant, fill_expression

_MADE_BY = frozenset({"list", "dict", "set", "deque", "defaultdict", "OrderedDict", "Counter"})


def changed_containers(statements: Sequence[ast.stmt]) -> Names:
    """The variables of a function whose items are set, or of which a method is called by itself."""
    found = set()
    for node in own_nodes(statements):
        match node:
            case ast.Subscript(value=ast.Name(id=name), ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name)))):
                found.add(name)
    return frozenset(found)


def convert_target(node: ast.expr, operators: str) -> ast.expr:
    """A subscript or an attribute that is assigned to or deleted."""
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        node.value = fill_expression("gj.changing(value)", node.value, gj=operators, value=node.value)
    elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
        text, name = "gj.changing(value, name)", constant(node.attr, node)
        node.value = fill_expression(text, node.value, gj=operators, value=node.value, name=name)
    return node


def convert_value(target: ast.expr, value: ast.expr, changed: Names, operators: str) -> ast.expr:
    """A new container that is assigned to a variable and changed later."""
    if not (isinstance(target, ast.Name) and target.id in changed and _makes_container(value)):
        return value
    return fill_expression("gj.made(value)", value, gj=operators, value=value)


def _makes_container(value: ast.expr) -> bool:
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp | ast.BinOp):
        return True
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id in _MADE_BY


__all__: list[str] = []
