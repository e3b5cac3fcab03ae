"""Nested arguments and results as flat lists of leaves, and back.

Lists, tuples, named tuples, dicts and what is registered with `register_structure` are taken apart;
so are dataclasses, attrs classes and slices, without registration. None is a leaf. A dict's order
does not count. Knows nothing of tensors.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

import optree

NAMESPACE = "graphjit"
C = TypeVar("C", bound=type[Any])

_lock = threading.Lock()
_registered: set[type] = set()


def register_structure(
    cls: C,
    flatten: Callable[[Any], tuple[Sequence[Any], Any]],
    unflatten: Callable[[Any, Sequence[Any]], Any],
    names: Sequence[str] = (),
) -> C:
    """Let instances of a class be taken apart when they are arguments or results of compiled functions.

    Args:
      cls: the class.
      flatten: `instance -> (children, rest)`; `rest` is compared with == and must be hashable.
      unflatten: `(rest, children) -> instance`.
      names: the attributes that the children are, for messages and dumps.

    Raises:
      ValueError: if the class is registered already.

    >>> class Pair:
    ...     def __init__(self, one, other):
    ...         self.one, self.other = one, other
    >>> _ = register_structure(Pair, lambda p: ((p.one, p.other), None), lambda rest, kids: Pair(*kids))
    >>> flatten(Pair(1, [2]))[0]
    [1, 2]
    """
    optree.register_pytree_node(
        cls,
        (lambda instance: (*flatten(instance), tuple(names))) if names else flatten,
        unflatten,  # type: ignore[arg-type]  # optree types the result as a collection; any object is allowed
        path_entry_type=optree.GetAttrEntry if names else optree.AutoEntry,
        namespace=NAMESPACE,
    )
    _registered.add(cls)
    return cls


register_structure(slice, lambda s: ((s.start, s.stop, s.step), None), lambda rest, parts: slice(*parts))


def flatten(value: Any) -> tuple[list[Any], Any]:
    """The leaves of a nested value, and its structure.

    >>> flatten({"b": (1, None), "a": [2]})[0]
    [2, 1, None]
    """
    leaves, structure = optree.tree_flatten(value, none_is_leaf=True, namespace=NAMESPACE)
    if _register_new(leaves):
        return flatten(value)
    return leaves, structure


def flatten_down_to(value: Any, kind: type) -> tuple[list[Any], Any]:
    """The leaves of a nested value, instances of `kind` among them, and its structure."""
    flatten(value)  # registers classes that have fields
    leaves, structure = optree.tree_flatten(
        value, lambda one: isinstance(one, kind), none_is_leaf=True, namespace=NAMESPACE
    )
    return leaves, structure


def unflatten(structure: Any, leaves: Iterable[Any]) -> Any:
    """The nested value with this structure and these leaves."""
    return optree.tree_unflatten(structure, leaves)


def leaf_paths(structure: Any) -> list[str]:
    """How each leaf is reached, as one writes it: `[0]`, `['x'].weight`."""
    return [accessor.codify("") for accessor in structure.accessors()]


def _register_new(leaves: Sequence[Any]) -> bool:
    """Register the classes among the leaves that have fields; whether there was one."""
    found = {cls for cls in map(type, leaves) if field_names(cls) is not None}
    if not found:
        return False
    with _lock:
        for cls in found - _registered:
            _register_fields(cls)
    return True


@lru_cache(maxsize=1024)
def field_names(cls: type) -> tuple[str, ...] | None:
    """The fields of a dataclass or an attrs class, None for any other class."""
    if dataclasses.is_dataclass(cls):
        return tuple(field.name for field in dataclasses.fields(cls))
    attributes = getattr(cls, "__attrs_attrs__", None)
    return None if attributes is None else tuple(one.name for one in attributes)


def is_named_tuple(cls: type) -> bool:
    """Whether it is a class of named tuples."""
    return bool(optree.is_namedtuple_class(cls))


def _register_fields(cls: type) -> None:
    optree.register_pytree_node(
        cls,
        _take_apart,
        _Rest.rebuilt,  # type: ignore[arg-type]  # optree types the result as a collection; any object is allowed
        path_entry_type=optree.GetAttrEntry,
        namespace=NAMESPACE,
    )
    _registered.add(cls)


def _take_apart(instance: Any) -> tuple[list[Any], _Rest, tuple[str, ...]]:
    wanted = field_names(type(instance)) or ()  # type: ignore[arg-type]  # every class can be a key
    names = tuple(name for name in wanted if hasattr(instance, name))
    values = vars(instance) if hasattr(instance, "__dict__") else {}
    others = {name: value for name, value in values.items() if name not in names}
    return [getattr(instance, name) for name in names], _Rest(type(instance), names, others), names


class _Rest:
    """What there is to an instance beside the values of its fields."""

    __slots__ = ("cls", "names", "others")

    def __init__(self, cls: type, names: tuple[str, ...], others: dict[str, Any]) -> None:
        self.cls = cls
        self.names = names
        self.others = others

    def rebuilt(self, children: Iterable[Any]) -> Any:
        """An instance with these fields, made without running `__init__`."""
        made: Any = object.__new__(self.cls)
        for name, value in (*zip(self.names, children, strict=True), *self.others.items()):
            object.__setattr__(made, name, value)
        return made

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, _Rest)
            and (self.cls, self.names) == (other.cls, other.names)
            and self.others.keys() == other.others.keys()
            and all(value is other.others[name] for name, value in self.others.items())
        )

    def __hash__(self) -> int:
        return hash((self.cls, self.names))


__all__ = ["register_structure"]
