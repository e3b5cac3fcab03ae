"""Module: a named container that finds the variables and modules among its attributes.

A subclass is an ordinary class: attributes hold variables, other modules, and lists, tuples and dicts of
them, and nothing has to be registered.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any

from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError
from graphjit.tracer.converting import as_called
from graphjit.tracer.function import Function
from graphjit.tracer.namescope import name_scope
from graphjit.tracer.parts import Parts
from graphjit.tracer.state import State

Path = tuple[Any, ...]


class Module:
    """Holds variables and other modules as attributes, and finds them again.

    `super().__init__()` needs to be called only to give a name.

    Args:
      name: an identifier; by default the class's name in snake_case.

    Raises:
      InvalidArgumentError: if the name is no identifier.

    >>> import graphjit as gj
    >>> class Dense(gj.Module):
    ...     def __init__(self, inputs, outputs):
    ...         super().__init__()
    ...         self.w = gj.Variable(gj.zeros([inputs, outputs]), name="w")
    ...         self.b = gj.Variable(gj.zeros([outputs]), name="b")
    ...     def __call__(self, x):
    ...         return x @ self.w + self.b
    >>> [v.name for v in Dense(3, 2).trainable_variables]
    ['b:0', 'w:0']
    """

    _ignored_attributes: frozenset[str] = frozenset({"_name"})

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = snake_case(type(self).__name__)
        elif not isinstance(name, str) or not name.isidentifier():
            raise InvalidArgumentError(f"the name of a module is an identifier, such as 'encoder', not {name!r}")
        self._name = name

    @property
    def name(self) -> str:
        """The name that was given, or the class's name in snake_case."""
        return getattr(self, "_name", None) or snake_case(type(self).__name__)

    @property
    def name_scope(self) -> AbstractContextManager[str]:
        """A context in which variables that are created get the module's name as a prefix.

        Raises:
          FailedPreconditionError: before `super().__init__()`.
        """
        if "_name" not in vars(self):
            raise FailedPreconditionError(
                f"{type(self).__name__} has no name yet; call super().__init__() before its name scope is used"
            )
        return name_scope(self.name)

    @property
    def variables(self) -> tuple[Any, ...]:
        """All variables of the module and of the modules in it, each once.

        The module's own come first, in the order of the attributes' names, then those of its modules.
        """
        return tuple(self._flatten(predicate=_is_variable))

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """Those of `variables` that are trainable."""
        return tuple(self._flatten(predicate=lambda value: _is_variable(value) and value.trainable))

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        """Those of `variables` that are not trainable."""
        return tuple(self._flatten(predicate=lambda value: _is_variable(value) and not value.trainable))

    @property
    def submodules(self) -> tuple[Any, ...]:
        """All modules in this one, and in them, each once."""
        return tuple(self._flatten(predicate=lambda value: isinstance(value, Module)))

    def _flatten(
        self,
        recursive: bool = True,
        predicate: Callable[[Any], bool] | None = None,
        attribute_traversal_key: Callable[[str], Any] | None = None,
        with_path: bool = False,
    ) -> Iterator[Any]:
        """The values among the attributes for which `predicate` is true, each once.

        Args:
          recursive: whether to look into modules too.
          predicate: by default true for everything.
          attribute_traversal_key: the sorting key of attribute names.
          with_path: whether to give pairs of path and value.
        """
        wanted = predicate or (lambda value: True)
        found = _walk(self, recursive, wanted, attribute_traversal_key, (), {id(self)})
        return found if with_path else (value for _, value in found)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Let a method run in the module's name scope, so that variables it creates carry the module's name.

        >>> import graphjit as gj
        >>> class Scale(gj.Module):
        ...     @gj.Module.with_name_scope
        ...     def __call__(self, x):
        ...         if not hasattr(self, "w"):
        ...             self.w = gj.Variable(2.0, name="w")
        ...         return x * self.w
        >>> scale = Scale()
        >>> print(scale(3.0).numpy(), scale.w.name)
        6.0 scale/w:0
        """

        @functools.wraps(method)
        def in_scope(self: Module, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return as_called(method)(self, *args, **kwargs)

        return in_scope

    def parts_to_save(self, is_root: bool) -> Parts:
        """What is saved of it: its attributes, and the compiled functions that are its methods.

        Args:
          is_root: whether it is what is saved, and not only a part of it.
        """
        return Parts("module", {"class": type(self).__name__}, {**vars(self), **compiled_methods(self)})


def compiled_methods(owner: Any) -> dict[str, Any]:
    """The compiled functions among the methods of an object, by name; the steps of fit are not among them."""
    own = [cls for cls in reversed(type(owner).__mro__) if not cls.__module__.startswith("graphjit.nn.models.")]
    held = {name: value for cls in own for name, value in vars(cls).items()}
    names = [name for name, value in held.items() if isinstance(getattr(value, "__func__", value), Function)]
    return {name: getattr(owner, name) for name in sorted(names)}


def _is_variable(value: Any) -> bool:
    return isinstance(value, State)


def _walk(
    module: Module,
    recursive: bool,
    wanted: Callable[[Any], bool],
    key: Callable[[str], Any] | None,
    path: Path,
    seen: set[int],
) -> Iterator[tuple[Path, Any]]:
    """Pairs of path and wanted value: the module's own, then those of its modules."""
    inner: list[tuple[Path, Module]] = []
    for name in sorted(vars(module), key=key):
        if name in module._ignored_attributes:
            continue
        for place, leaf in _leaves(vars(module)[name], (*path, name), set()):
            if id(leaf) in seen:
                continue
            seen.add(id(leaf))
            if wanted(leaf):
                yield place, leaf
            if recursive and isinstance(leaf, Module):
                inner.append((place, leaf))
    for place, one in inner:
        yield from _walk(one, recursive, wanted, key, place, seen)


def _leaves(value: Any, path: Path, around: set[int]) -> Iterator[tuple[Path, Any]]:
    """What lists, tuples and dicts hold, however deep; a container that holds itself is entered once."""
    if not isinstance(value, list | tuple | Mapping):
        yield path, value
        return
    if id(value) in around:
        return
    inside = {*around, id(value)}
    for name, item in _items(value):
        yield from _leaves(item, (*path, name), inside)


def _items(value: Any) -> Iterator[tuple[Any, Any]]:
    if not isinstance(value, Mapping):
        return iter(enumerate(value))
    names = list(value)
    try:
        names.sort()
    except TypeError:
        names.sort(key=lambda name: (type(name).__name__, str(name)))
    return iter([(name, value[name]) for name in names])


def snake_case(name: str) -> str:
    """The name of a class as names of modules are written.

    >>> snake_case("MyLayer"), snake_case("MLPBlock")
    ('my_layer', 'mlp_block')
    """
    spaced = re.sub(r"((?<=[a-z0-9])[A-Z]|(?!^)[A-Z](?=[a-z]))", r"_\1", name)
    return spaced.lower().lstrip("_") or "module"
