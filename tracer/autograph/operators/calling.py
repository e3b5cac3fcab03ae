"""What a call in converted code calls: the user's functions converted, Python's builtins with a meaning for tensors."""

from __future__ import annotations

import builtins
import functools
from collections.abc import Callable
from types import BuiltinMethodType, FunctionType, MethodType
from typing import Any

from graphjit.compiler.location import is_own_file
from graphjit.compiler.operand import PUBLIC

from ...subtrace import is_tracing
from ..conversion import converted_function
from ..policy import is_marked, no_convert, reason_against
from .changes import arms, changing, made

_CHANGING_METHODS = frozenset(
    {
        "append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse", "update", "setdefault", "popitem",
        "add", "discard", "appendleft", "popleft", "extendleft", "rotate", "difference_update", "intersection_update",
        "symmetric_difference_update",
    }
)  # fmt: skip


def called(function: Any) -> Any:
    """What is to be called for `function`."""
    if not is_tracing():
        return function
    kind = type(function)
    if kind is FunctionType:
        return _python_function(function)
    if kind is MethodType:
        return _method(function)
    if kind is BuiltinMethodType:
        return _builtin(function)
    if isinstance(function, type):
        return _class(function)
    if kind is functools.partial:
        return functools.partial(called(function.func), *map(_argument, function.args), **function.keywords)
    return _object(function)


def converted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function, a method or a callable object with converted control flow; unchanged where that is not possible."""
    if isinstance(function, FunctionType):
        return converted_function(function, _operators())
    if isinstance(function, MethodType):
        bound: Callable[..., Any] = _method(function)
        return bound
    if isinstance(function, functools.partial):
        return functools.partial(converted(function.func), *function.args, **function.keywords)
    found = _object(function)
    return found  # type: ignore[no-any-return]  # it was callable


def _operators() -> Any:
    from .. import operators

    return operators


def _python_function(function: FunctionType) -> Any:
    if is_own_file(function.__code__.co_filename):
        return _replacement(function) or _own(function)
    return converted_function(function, _operators())


def _method(method: MethodType) -> Any:
    inner = method.__func__
    if not isinstance(inner, FunctionType) or is_marked(method):
        return method
    made_of = converted_function(inner, _operators())
    return method if made_of is inner else MethodType(made_of, method.__self__)


def _builtin(function: Any) -> Any:
    replaced = _replacement(function)
    if replaced is not None:
        return replaced
    if function.__name__ in _CHANGING_METHODS and arms() and function.__self__ is not None:
        changing(function.__self__)
    return function


_MAY_BE_REPLACED = frozenset(map(id, (*vars(builtins).values(), functools.reduce, PUBLIC["stack"])))


def _replacement(function: Any) -> Callable[..., Any] | None:
    """What is called in the place of one of Python's functions, where tensors give it a meaning."""
    if id(function) not in _MAY_BE_REPLACED:
        return None
    from .builtin_functions import REPLACED  # many functions call none, and need none of what it needs

    return REPLACED.get(id(function))


def _class(cls: type) -> Any:
    replaced = _replacement(cls)
    if replaced is not None:
        return replaced
    if not arms():
        return cls
    return functools.partial(_constructed, cls)


def _constructed(cls: type, *args: Any, **kwargs: Any) -> Any:
    return made(cls(*args, **kwargs))


def _object(function: Any) -> Any:
    """An object whose class says what calling it does."""
    replaced = _replacement(function)
    if replaced is not None:
        return replaced
    call = type(function).__call__ if callable(function) else None
    if not isinstance(call, FunctionType) or is_marked(function) or is_own_file(call.__code__.co_filename):
        return function
    made_of = converted_function(call, _operators())
    return function if made_of is call else MethodType(made_of, function)


# --- graphjit's own functions that take functions ------------------------------------------------------


def _own(function: FunctionType) -> Any:
    """A function of graphjit's; functions that it gets are converted, as it will call them."""
    if not function.__module__.startswith("graphjit.tracer") or function.__name__ in _TAKE_FUNCTIONS_AS_THEY_ARE:
        return function
    return functools.partial(_with_converted_functions, function)


_TAKE_FUNCTIONS_AS_THEY_ARE = frozenset({no_convert.__name__, "compile", "py_function", "numpy_function", "decorate"})


def _with_converted_functions(function: FunctionType, *args: Any, **kwargs: Any) -> Any:
    return function(*map(_argument, args), **{name: _argument(one) for name, one in kwargs.items()})


def _argument(value: Any) -> Any:
    if isinstance(value, FunctionType) and not reason_against(value):
        return converted_function(value, _operators())
    if isinstance(value, MethodType):
        return _method(value)
    if isinstance(value, list | tuple) and type(value) in (list, tuple):
        return type(value)(_argument(one) for one in value)
    return value


__all__: list[str] = []
