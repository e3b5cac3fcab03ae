"""How a value lies in a buffer: an offset and a stride for each axis, both in elements.

A view op (transpose, slice, broadcast ...) changes only the layout; kernels read
through it and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from graphjit.runtime.fields import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Element (i, j, ...) lies at `offset + i * strides[0] + j * strides[1] + ...`."""

    offset: int
    strides: tuple[int, ...]


def contiguous(shape: Sequence[int]) -> Layout:
    """The row-major layout without gaps.

    >>> contiguous((2, 3, 4))
    Layout(offset=0, strides=(12, 4, 1))
    """
    strides: list[int] = []
    step = 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return Layout(0, tuple(reversed(strides)))


def reshaped(layout: Layout, shape: Sequence[int], wanted: Sequence[int]) -> Layout | None:
    """The layout under which the same elements have the shape `wanted`, or None where that needs a copy.

    Axes are merged and split in groups of equal element counts; the axes of a group that are merged must
    follow each other in memory. The way NumPy does it (`_attempt_nocopy_reshape`).

    >>> reshaped(Layout(0, (8, 1)), (2, 4), (2, 2, 2))
    Layout(offset=0, strides=(8, 2, 1))
    >>> reshaped(Layout(0, (8, 1)), (2, 4), (8,)) is None
    True
    """
    if 0 in wanted:
        return Layout(layout.offset, contiguous(wanted).strides)
    axes = [(size, stride) for size, stride in zip(shape, layout.strides, strict=True) if size != 1]
    strides: list[int] = []
    targets = [size for size in wanted if size != 1]
    while targets:
        group, parts = _matching_group(axes, targets)
        if any(outer != inner * size for (_, outer), (size, inner) in pairwise(group)):
            return None
        step = group[-1][1]
        strides.extend(stride * step for stride in contiguous(parts).strides)
        del axes[: len(group)], targets[: len(parts)]
    found = iter(strides)
    return Layout(layout.offset, tuple(0 if size == 1 else next(found) for size in wanted))


def _matching_group(
    axes: Sequence[tuple[int, int]], targets: Sequence[int]
) -> tuple[Sequence[tuple[int, int]], Sequence[int]]:
    """The fewest leading axes and targets that have the same element count."""
    taken, given = 1, 1
    have, want = axes[0][0], targets[0]
    while have != want:
        if have < want:
            have *= axes[taken][0]
            taken += 1
        else:
            want *= targets[given]
            given += 1
    return axes[:taken], targets[:given]
