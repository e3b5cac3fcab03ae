"""Windows that slide over axes: where they lie, and what they hold side by side.

Tensors are [batch, ...sizes, channels]. A window holds, for each of the axes between, `window` elements that are
`dilation` apart, and the next one begins `stride` further.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError, ShapeError
from graphjit.runtime.fields import dataclass

from ..tensortype import Dimension, TensorType
from .padding import pad
from .reduction import Array
from .slicing import take_slice

Integers = tuple[int, ...]
Bounds = tuple[int | None, ...]


@dataclass(frozen=True)
class Windows:
    """Sizes, strides and dilations, one for each axis over which windows slide."""

    sizes: Integers
    strides: Integers
    dilations: Integers

    @property
    def rank(self) -> int:
        """Over how many axes they slide."""
        return len(self.sizes)

    @property
    def extents(self) -> Integers:
        """How many elements a window reaches over."""
        return tuple((size - 1) * by + 1 for size, by in zip(self.sizes, self.dilations, strict=True))

    def count(self, sizes: Sequence[Dimension]) -> tuple[Dimension, ...]:
        """How many windows there are over axes of these sizes.

        Raises:
          ShapeError: if a window does not fit.
        """
        return tuple(map(_count, sizes, self.extents, self.strides))

    def offsets(self) -> Iterator[Integers]:
        """The places within a window, the last axis fastest."""
        places = (range(0, extent, by) for extent, by in zip(self.extents, self.dilations, strict=True))
        return itertools.product(*places)

    def elements(self, x: Any, offset: Integers) -> Any:
        """The elements of all windows at one place within them, as a slice."""
        return take_slice(x, *self.bounds(x.type, offset))

    def bounds(self, x: TensorType, offset: Integers) -> tuple[Bounds, Bounds, Integers]:
        """Begin, end and step of that slice."""
        counts = self.count(x.shape[1:-1])
        ends = tuple(map(_end, offset, counts, self.strides, self.extents))
        return (None, *offset, None), (None, *ends, None), (1, *self.strides, 1)


def _end(place: int, count: Dimension, stride: int, extent: int) -> int | None:
    """Where the slice that begins at `place` within the first window ends."""
    if count is not None:
        return place + (count - 1) * stride + 1
    return None if place == extent - 1 else place - extent + 1


def _count(size: Dimension, extent: int, stride: int) -> Dimension:
    if size is None:
        return None
    if size < extent:
        raise ShapeError(f"a window that reaches over {extent} elements does not fit into an axis of {size}")
    return (size - extent) // stride + 1


def windows_of(x: Array, windows: Windows) -> Array:
    """A view of an array with the elements of each window: [batch, ...counts, channels, ...window]."""
    axes = tuple(range(1, windows.rank + 1))
    view = np.lib.stride_tricks.sliding_window_view(x, windows.extents, axes)
    starts = tuple(slice(None, None, stride) for stride in windows.strides)
    inner = tuple(slice(None, None, by) for by in windows.dilations)
    return view[(slice(None), *starts, slice(None), *inner)]


def as_integers(value: Any, rank: int, what: str) -> Integers:
    """One positive integer for each axis; a single one counts for all.

    Raises:
      InvalidArgumentError: if there are more or fewer.
    """
    given = [value] * rank if isinstance(value, int | np.integer) else list(value)
    if len(given) == rank + 2 and given[0] == given[-1] == 1:
        given = given[1:-1]
    if len(given) == 1:
        given = given * rank
    if len(given) != rank or any(int(one) != one or one < 1 for one in given):
        raise InvalidArgumentError(f"{what} is a positive integer, or {rank} of them, not {value!r}")
    return tuple(int(one) for one in given)


def paddings_for(type: TensorType, windows: Windows, padding: Any) -> list[tuple[int, int]]:
    """How many elements are added before and after each axis: none for "VALID"; "SAME" keeps sizes at stride 1.

    Raises:
      InvalidArgumentError: for another word.
      ShapeError: if that depends on a size that is not known.
    """
    if not isinstance(padding, str):
        return [(int(before), int(after)) for before, after in padding]
    word = padding.upper()
    if word == "VALID":
        return [(0, 0)] * windows.rank
    if word == "CAUSAL" and windows.rank == 1:
        return [(windows.extents[0] - 1, 0)]
    if word != "SAME":
        raise InvalidArgumentError(f"padding is 'VALID' or 'SAME', or pairs of numbers, not {padding!r}")
    return list(map(_same, type.shape[1:-1], windows.extents, windows.strides))


def _same(size: Dimension, extent: int, stride: int) -> tuple[int, int]:
    if stride == 1:
        total = extent - 1
    elif size is None:
        raise ShapeError("padding 'SAME' with a stride needs sizes that are known when the function is traced")
    else:
        total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def padded(x: Any, pairs: Sequence[tuple[int, int]], value: Any = 0) -> Any:
    """The tensor with elements added along the axes between batch and channels."""
    if not any(map(any, pairs)):
        return x
    return pad(x, [(0, 0), *pairs, (0, 0)], constant_values=value)


def to_last(x: Any, data_format: str | None, transpose: Any) -> Any:
    """A tensor [batch, channels, ...] as [batch, ..., channels], if that is its format.

    Raises:
      InvalidArgumentError: for another format.
    """
    if is_channels_first(data_format):
        return transpose(x, [0, *range(2, x.type.rank), 1])
    return x


def from_last(x: Any, data_format: str | None, transpose: Any) -> Any:
    """The other way round."""
    if is_channels_first(data_format):
        return transpose(x, [0, x.type.rank - 1, *range(1, x.type.rank - 1)])
    return x


def is_channels_first(data_format: str | None) -> bool:
    """Whether the channels stand behind the batch."""
    if data_format is None or data_format == "channels_last" or (data_format[0] == "N" and data_format[-1] == "C"):
        return False
    if data_format == "channels_first" or data_format.startswith("NC"):
        return True
    raise InvalidArgumentError(f"data_format is of the form N...C or NC..., not {data_format!r}")


__all__: list[str] = []
