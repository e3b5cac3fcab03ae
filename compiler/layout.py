"""How a value lies in a buffer: an offset and a stride for each axis, both in elements.

A view op (transpose, slice, broadcast ...) changes only the layout; kernels read
through it and nothing is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Layout:
    """Element (i, j, ...) lies at `offset + i * strides[0] + j * strides[1] + ...`."""

    offset: int
    strides: tuple[int, ...]

    def is_contiguous(self, shape: Sequence[int]) -> bool:
        """Whether it is what `contiguous(shape)` gives; strides of axes of size 1 do not count."""
        plain = contiguous(shape).strides
        return self.offset == 0 and all(
            size == 1 or mine == wanted
            for size, mine, wanted in zip(shape, self.strides, plain, strict=True)
        )


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
