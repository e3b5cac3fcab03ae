"""Converted functions as text that one can read."""

from __future__ import annotations

import ast
import copy
import functools
import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

from graphjit.runtime.errors import NotFoundError

from .conversion import OPERATORS, conversion_of
from .policy import reason_against


def converted_source(function: Callable[..., Any]) -> str:
    """The Python that is traced for a function, after the conversion of its control flow.

    What is called is converted as well (`_gj.called(f)(x)` in the code); the text shows the plain calls.

    Raises:
      NotFoundError: if there is no source.
    """
    plain = _plain_function(function)
    if plain is None:
        raise NotFoundError("there is no source of the function")
    reason = reason_against(plain)
    if reason:
        return f"# not converted: {reason}\n{_source(plain)}"
    conversion = conversion_of(plain)
    if conversion.tree is None:
        return f"# not converted: {conversion.reason}\n{_source(plain)}"
    shown = _Shown().visit(copy.deepcopy(conversion.tree))
    shown.name = plain.__name__ if plain.__name__.isidentifier() else "lambda_"
    ast.fix_missing_locations(shown)
    return ast.unparse(shown) + "\n"


def _plain_function(function: Callable[..., Any]) -> FunctionType | None:
    """The Python function behind a method, a partial, a compiled function or a callable object."""
    found: Any = inspect.unwrap(function)
    if isinstance(found, functools.partial):
        return _plain_function(found.func)
    if isinstance(found, MethodType):
        found = found.__func__
    if not isinstance(found, FunctionType):
        found = type(found).__call__ if callable(found) else None
    return found if isinstance(found, FunctionType) else None


def _source(function: FunctionType) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        raise NotFoundError("there is no source of the function") from None


class _Shown(ast.NodeTransformer):
    """Takes away what every call, list and attribute has around it."""

    _QUIET = frozenset({"called", "rows", "changing", "made", "value", "settled"})

    def visit_Call(self, node: ast.Call) -> Any:
        self.generic_visit(node)
        match node.func:
            case ast.Attribute(value=ast.Name(id=name), attr=operator):
                if name.startswith(OPERATORS) and operator in self._QUIET:
                    return node.args[0]
                if name.startswith(OPERATORS) and operator == "truth":
                    return node.args[0]
        return node


__all__: list[str] = []
