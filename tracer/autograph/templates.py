"""Writing syntax trees as Python text with gaps.

>>> import ast
>>> at = ast.parse("if x: pass").body[0]
>>> print(ast.unparse(fill("def name(): body", at, name="then", body=[at])[0]))
def then():
    if x:
        pass
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

Filling = str | ast.expr | Sequence[ast.stmt] | Sequence[str]


def fill(text: str, at: ast.AST, **fillings: Any) -> list[ast.stmt]:
    """The statements of `text`; names that are fillings are replaced.

    Args:
      text: Python statements.
      at: the node whose place in the user's file the new nodes get.
      fillings: for a name an expression or another name; for a name that stands alone as a statement a list of
        statements; for a name in `nonlocal` a list of names, where an empty one takes the statement away.
    """
    filler = _Filler(at, fillings)
    return [made for statement in _parsed(text) for made in filler.statement(statement)]


def fill_expression(text: str, at: ast.AST, **fillings: Any) -> ast.expr:
    """The same for one expression."""
    (statement,) = fill(text, at, **fillings)
    assert isinstance(statement, ast.Expr)
    return statement.value


@lru_cache(maxsize=256)
def _parsed(text: str) -> tuple[ast.stmt, ...]:
    return tuple(ast.parse(text).body)


class _Filler:
    """Copies nodes of a template, with what stands in the gaps."""

    def __init__(self, at: ast.AST, fillings: dict[str, Any]) -> None:
        self._at = at
        self._fillings = fillings

    def statement(self, node: ast.stmt) -> list[ast.stmt]:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Name):
            found = self._fillings.get(node.value.id)
            if isinstance(found, list):
                return found
        if isinstance(node, ast.Nonlocal | ast.Global):
            names = [one for name in node.names for one in self._names(name)]
            return [self._placed(type(node)(names=names))] if names else []
        return [self._copy(node)]

    def _names(self, name: str) -> list[str]:
        found = self._fillings.get(name, name)
        return [found] if isinstance(found, str) else list(found)

    def _copy(self, node: Any) -> Any:
        if isinstance(node, ast.Name) and node.id in self._fillings:
            found = self._fillings[node.id]
            return self._placed(ast.Name(found, node.ctx)) if isinstance(found, str) else found
        values = {field: self._field(field, value) for field, value in ast.iter_fields(node)}
        return self._placed(type(node)(**values))

    def _field(self, field: str, value: Any) -> Any:
        if isinstance(value, list):
            if value and isinstance(value[0], ast.stmt):
                return [made for one in value for made in self.statement(one)]
            return [self._copy(one) if isinstance(one, ast.AST) else one for one in value]
        if isinstance(value, ast.AST):
            return self._copy(value)
        if field in ("name", "arg") and isinstance(value, str):
            return self._fillings.get(value, value)
        return value

    def _placed(self, node: Any) -> Any:
        return ast.copy_location(node, self._at) if "lineno" in node._attributes else node


def strings(names: Sequence[str], at: ast.AST) -> ast.expr:
    """A tuple of strings."""
    constants: list[ast.expr] = [ast.copy_location(ast.Constant(name), at) for name in names]
    made = ast.Tuple(constants, ast.Load())
    return ast.copy_location(made, at)


def load(name: str, at: ast.AST) -> ast.expr:
    """A variable that is read."""
    return ast.copy_location(ast.Name(name, ast.Load()), at)


def constant(value: Any, at: ast.AST) -> ast.expr:
    """A constant."""
    return ast.copy_location(ast.Constant(value), at)


def assignment(name: str, value: ast.expr, at: ast.AST) -> ast.stmt:
    """`name = value`."""
    return fill("name = value", at, name=name, value=value)[0]


__all__: list[str] = []
