"""Masks: which steps of a sequence count. A mask belongs to a tensor, and layers hand it on with what they return.

A mask is a tensor of booleans with the batch and the steps as its axes; where it is False, a step was only filled in.
It stands beside the tensor, not in it, for as long as the tensor (or the graph that it is a symbol of) lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import ReferenceType, WeakKeyDictionary, ref

from graphjit.compiler.graph import Value
from graphjit.compiler.writer import GraphWriter, Symbol
from graphjit.tracer.tensor import Tensor

_of_tensors: dict[int, tuple[ReferenceType[Tensor], Any]] = {}
# Values and not symbols: a symbol holds its writer, which would then never go.
_of_symbols: WeakKeyDictionary[GraphWriter, dict[Value, Any]] = WeakKeyDictionary()


def mask_of(value: Any) -> Any:
    """The mask of a tensor; None where every step counts.

    >>> import graphjit as gj
    >>> print(mask_of(gj.keras.layers.Masking()([[[1.0, 2.0], [0.0, 0.0]]])).numpy())
    [[ True False]]
    """
    if isinstance(value, Symbol):
        found = _of_symbols.get(value.writer, {}).get(value.value)
        return Symbol(found, value.writer) if isinstance(found, Value) else found
    held = _of_tensors.get(id(value))
    return held[1] if held is not None and held[0]() is value else None


def masks_of(nested: Any) -> Any:
    """The masks of tensors in lists, tuples and dicts, in their structure; None where there is none at all."""
    if isinstance(nested, list | tuple):
        found = [masks_of(one) for one in nested]
        return found if any(one is not None for one in found) else None
    if isinstance(nested, Mapping):
        by_name = {name: masks_of(one) for name, one in nested.items()}
        return by_name if any(one is not None for one in by_name.values()) else None
    return mask_of(nested)


def set_mask(value: Any, mask: Any) -> None:
    """Let a tensor have a mask."""
    if isinstance(value, Symbol):
        kept = value.writer.lift(mask).value if isinstance(mask, Symbol) else mask
        _of_symbols.setdefault(value.writer, {})[value.value] = kept
    elif isinstance(value, Tensor):
        place = id(value)
        _of_tensors[place] = (ref(value, lambda _: _of_tensors.pop(place, None)), mask)


def set_masks(nested: Any, masks: Any) -> None:
    """Let tensors in lists and tuples have masks, in the same structure; None changes nothing."""
    if isinstance(masks, list | tuple):
        for one, mask in zip(nested, masks, strict=True):
            set_masks(one, mask)
    elif masks is not None:
        set_mask(nested, masks)


__all__: list[str] = []
