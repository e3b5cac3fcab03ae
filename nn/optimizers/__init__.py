"""Optimizers: classes, schedules, and finding them by name."""

from typing import Any

from ..byname import deserialize as _deserialize, instantiate, serialize as _serialize, table_of
from . import rules as _rules, schedules
from .optimizer import Optimizer
from .rules import *

OPTIMIZERS = table_of(*(getattr(_rules, name) for name in _rules.__all__))


def get(identifier: Any) -> Any:
    """The optimizer with a name or configuration; an optimizer is given back.

    >>> get("adam").name
    'adam'
    """
    return instantiate(identifier, OPTIMIZERS, "optimizer")


def serialize(optimizer: Any) -> Any:
    """The optimizer as a configuration, without what it has gathered."""
    return _serialize(optimizer)


def deserialize(config: Any) -> Any:
    """The optimizer that `serialize` wrote down."""
    return _deserialize(config, OPTIMIZERS, "optimizer")


__all__ = [*_rules.__all__, "Optimizer", "deserialize", "get", "schedules", "serialize"]
