"""Naming things by text, and writing them down as text: 'relu', 'adam', {"class_name": ..., "config": ...}.

A configuration holds numbers, texts, None, lists and dicts only. An object in it is a dict with its class's name
and its own configuration, a function its name. Names are looked up among what the caller allows, what was
registered, and the table of the kind of thing that is wanted; nothing is imported and no code is run.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np

from graphjit.compiler.tensortype import DType, TensorShape
from graphjit.runtime.errors import InvalidArgumentError, NotFoundError

from .module import snake_case

T = TypeVar("T")
_registered: dict[str, Any] = {}
_registered_names: dict[Any, str] = {}
_allowed: ContextVar[Mapping[str, Any] | None] = ContextVar("graphjit_custom_objects", default=None)


def register_keras_serializable(package: str = "Custom", name: str | None = None) -> Callable[[T], T]:
    """A decorator that lets a class or function of one's own be found by name when a model is loaded.

    >>> @register_keras_serializable(package="doc")
    ... def doubled(x):
    ...     return 2 * x
    >>> get_registered_name(doubled)
    'doc>doubled'
    """

    def register(target: T) -> T:
        full = f"{package}>{name or getattr(target, '__name__', '')}"
        _registered[full] = target
        _registered_names[target] = full
        return target

    return register


def get_registered_name(target: Any) -> str:
    """The name under which a class or function was registered, else its own."""
    try:
        found = _registered_names.get(target)
    except TypeError:
        found = None
    return found or str(target.__name__)


def get_registered_object(name: str) -> Any:
    """The class or function with a registered name, or None."""
    return _registered.get(name)


@contextmanager
def custom_object_scope(*custom_objects: Mapping[str, Any] | None) -> Iterator[None]:
    """Inside, names of classes and functions of one's own are looked up here first.

    >>> with custom_object_scope({"double": lambda x: 2 * x}):
    ...     find("double", {}, "function")(2)
    4
    """
    inner = {name: value for one in custom_objects if one for name, value in one.items()}
    token = _allowed.set({**(_allowed.get() or {}), **inner})
    try:
        yield
    finally:
        _allowed.reset(token)


def _plain(name: str) -> str:
    """How names are compared: he_normal, HeNormal and heNormal are one."""
    return name.replace("_", "").lower()


def find(name: str, table: Mapping[str, Any], kind: str) -> Any:
    """The class or function with a name.

    Args:
      table: names as `table_of` writes them.
      kind: what is wanted, for messages.

    Raises:
      NotFoundError: if there is none; the message gives names that are similar.
    """
    allowed = _allowed.get() or {}
    if name in allowed:
        return allowed[name]
    if name in _registered:
        return _registered[name]
    found = table.get(_plain(name))
    if found is not None:
        return found
    known = sorted({_shown(one) for one in table.values()} | set(allowed))
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    advice = f"did you mean {' or '.join(map(repr, near))}?" if near else f"there are: {', '.join(known)}"
    raise NotFoundError(
        f"there is no {kind} named {name!r}; {advice} A class or function of your own is handed over itself, "
        "or found through custom_objects={...} or register_keras_serializable"
    )


def _shown(value: Any) -> str:
    name = str(getattr(value, "__name__", value))
    return snake_case(name) if inspect.isclass(value) else name


def allowed_object(name: str) -> Any:
    """What the caller allowed, or what was registered, under a name; else None."""
    return (_allowed.get() or {}).get(name, _registered.get(name))


def table_of(*values: Any, **more: Any) -> dict[str, Any]:
    """A table of classes and functions by their own names, and by further ones."""
    named = {_plain(one.__name__): one for one in values}
    return {**named, **{_plain(name): value for name, value in more.items()}}


def instantiate(identifier: Any, table: Mapping[str, Any], kind: str) -> Any:
    """What a name, a configuration, a class or a ready object stands for; classes are called without arguments.

    Raises:
      InvalidArgumentError: if it is nothing of that.
    """
    if identifier is None:
        return None
    if isinstance(identifier, str):
        found = find(identifier, table, kind)
        return found() if inspect.isclass(found) else found
    if isinstance(identifier, Mapping):
        return deserialize(identifier, table, kind)
    if inspect.isclass(identifier):
        return identifier()
    if callable(identifier) or hasattr(identifier, "get_config"):
        return identifier
    raise InvalidArgumentError(f"a {kind} is a name, a function or an object, not {identifier!r}")


# --- configurations -------------------------------------------------------------------------------


def serialize(value: Any) -> Any:
    """An object as {"class_name": ..., "config": ...}, a function as its name, anything plain as it is.

    Raises:
      InvalidArgumentError: if it has no get_config() and is nothing plain.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    if isinstance(value, DType):
        return value.name
    if isinstance(value, TensorShape):
        return None if value.rank is None else value.as_list()
    if isinstance(value, Mapping):
        return {str(name): serialize(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [serialize(one) for one in value]
    if hasattr(value, "get_config") and not inspect.isclass(value):
        return {"class_name": get_registered_name(type(value)), "config": serialize(value.get_config())}
    if callable(value) and hasattr(value, "__name__"):
        return get_registered_name(value)
    raise InvalidArgumentError(
        f"{value!r} of type {type(value).__name__!r} cannot be written down; give its class a get_config() that "
        "returns numbers, texts, lists and dicts"
    )


def deserialize(config: Any, table: Mapping[str, Any], kind: str) -> Any:
    """The object or function that `serialize` wrote down.

    Raises:
      NotFoundError: if its class is not known.
      InvalidArgumentError: if this is no such configuration.
    """
    if config is None:
        return None
    if isinstance(config, str):
        return find(config, table, kind)
    if not isinstance(config, Mapping) or "class_name" not in config:
        raise InvalidArgumentError(f"the configuration of a {kind} has 'class_name' and 'config', not {config!r}")
    cls = find(str(config["class_name"]), table, kind)
    inner = config.get("config") or {}
    if hasattr(cls, "from_config"):
        return cls.from_config(dict(inner))
    return cls(**inner)


class Configurable:
    """Something that is made from its configuration again: `from_config(get_config())`."""

    def get_config(self) -> dict[str, Any]:
        """The arguments that make an equal object, as numbers, texts, lists and dicts."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """An object of the class from what `get_config` gave."""
        return cls(**config)


__all__ = [
    "custom_object_scope",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
]
