"""What a layer knows of itself beside its attributes, and which arguments its `call` takes."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from graphjit.runtime.fields import dataclass, field

from .tracking import Path


@dataclass
class Record:
    """What a layer knows of itself beside its attributes.

    Attributes:
      arguments: those of its constructor.
      weights: what `add_weight` made.
      regularizers: pairs of a weight and what penalises it.
      calls: those on descriptions, in order.
      owner: a weak reference to the `Sequential` that the layer is in.
      pending: arrays by path, for weights that do not exist yet.
      input_dtypes: those of the tensors for which the weights were made.
    """

    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    name: str | None = None
    trainable: bool = True
    dtype: str = ""
    autocast: bool = True
    built: bool = False
    building: bool = False
    in_build: bool = False
    has_warned: bool = False
    has_dropped_mask: bool = False
    input_shape: Any = None
    built_for: Any = None
    output_shape: Any = None
    input_dtypes: tuple[Any, ...] = ()
    weights: list[Any] = field(default_factory=list)
    regularizers: list[tuple[Any, Callable[[Any], Any]]] = field(default_factory=list)
    calls: list[Any] = field(default_factory=list)
    owner: Any = None
    pending: dict[Path, np.ndarray[Any, Any]] = field(default_factory=dict)


class CallFacts(NamedTuple):
    """Which extra arguments a layer's `call` takes."""

    names: frozenset[str]
    takes_any: bool


_facts: WeakKeyDictionary[type, CallFacts] = WeakKeyDictionary()


def facts_of(cls: Any) -> CallFacts:
    found = _facts.get(cls)
    if found is None:
        found = _facts[cls] = _inspected(cls)
    return found


def _inspected(cls: Any) -> CallFacts:
    try:
        parameters = inspect.signature(cls.call).parameters.values()
    except (TypeError, ValueError):
        return CallFacts(frozenset(), True)
    takes_any = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in parameters)
    return CallFacts(frozenset(one.name for one in parameters), takes_any)


__all__: list[str] = []
