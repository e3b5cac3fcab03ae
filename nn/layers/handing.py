"""How masks come to a layer with its input, and go on with what it returns."""

from __future__ import annotations

import warnings
from typing import Any

from graphjit.tracer.converting import as_called
from graphjit.tracer.structure import flatten

from ..masks import mask_of, masks_of, set_mask


def keep_masks(before: Any, after: Any) -> None:
    """Let arguments that were converted have the masks of what they were before."""
    if before is after or mask_of(before) is None:
        if isinstance(before, list | tuple) and isinstance(after, list | tuple):
            for one, other in zip(before, after, strict=True):
                keep_masks(one, other)
        return
    set_mask(after, mask_of(before))


def given_masks(args: tuple[Any, ...], kwargs: dict[str, Any], takes_mask: bool) -> Any:
    """The masks of a layer's input: what its caller says, else those that came with it, which `call` is then told."""
    said = kwargs.get("mask")
    if said is not None:
        return said
    found = masks_of(args[0]) if args else None
    if found is not None and takes_mask:
        kwargs["mask"] = found
    return found


def hand_on(layer: Any, inputs: Any, before: Any, outputs: Any, computes: bool) -> None:
    """Give what a layer returned the masks that its `compute_mask` says, where it has none yet."""
    if not computes:
        if before is not None and not layer.supports_masking:
            _warn_once(layer)
        if not layer.supports_masking or before is None:
            return
    leaves = flatten(outputs)[0]
    if all(mask_of(leaf) is not None for leaf in leaves):
        return
    found = as_called(layer.compute_mask)(inputs, before)
    masks = found if isinstance(found, list | tuple) else [found]
    for leaf, mask in zip(leaves, masks, strict=False):
        if mask is not None and mask_of(leaf) is None:
            set_mask(leaf, mask)


def _warn_once(layer: Any) -> None:
    if layer._record.has_dropped_mask:
        return
    layer._record.has_dropped_mask = True
    warnings.warn(
        f"the layer {layer.name!r} is given steps of which some do not count, but does not know of masks: layers "
        "behind it treat all steps alike. Set supports_masking = True in its class if it leaves the steps where "
        "they are, or define compute_mask",
        UserWarning,
        stacklevel=4,
    )


__all__: list[str] = []
