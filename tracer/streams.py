"""The state of all random streams that draws use which name no generator, to be saved and restored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from .generator import own_streams, restore_own_streams

Array = np.ndarray[Any, Any]


class Streams:
    """The global random stream and those of seeds, as something that checkpoints keep.

    >>> import graphjit as gj
    >>> streams = gj.random.Streams()
    >>> state = streams.state_to_save()
    >>> first = gj.random.normal([2])
    >>> streams.restore_state(state)
    >>> bool(gj.reduce_all(gj.random.normal([2]) == first))
    True
    """

    def state_to_save(self) -> dict[str, Array]:
        """Where the streams are, as arrays."""
        seed, everybody, own = own_streams()
        return {
            "seed": np.array([] if seed is None else [seed % 2**64], np.uint64),
            "global": everybody,
            "own_seeds": np.array([one % 2**64 for one in own], np.uint64),
            "own": np.array(list(own.values()), np.uint64).reshape(len(own), 2),
        }

    def restore_state(self, state: Mapping[str, Array]) -> None:
        """Let the streams go on from where they were.

        Raises:
          InvalidArgumentError: if this is no such state.
        """
        names = ("seed", "global", "own_seeds", "own")
        fits = set(state) == set(names) and all(state[name].dtype == np.uint64 for name in names)
        count = state["own_seeds"].size if fits else 0
        shapes = [state[name].shape for name in names] if fits else []
        if not fits or shapes[0] not in ((0,), (1,)) or shapes[1:] != [(2,), (count,), (count, 2)]:
            raise InvalidArgumentError("these arrays are not the state of random streams")
        seeds = [_signed(one) for one in state["own_seeds"]]
        seed = _signed(state["seed"][0]) if state["seed"].size else None
        restore_own_streams(seed, state["global"], dict(zip(seeds, state["own"], strict=True)))


@contextmanager
def as_before() -> Iterator[None]:
    """What is drawn inside does not count: afterwards streams go on from where they were."""
    before = own_streams()
    try:
        yield
    finally:
        restore_own_streams(*before)


def _signed(word: Any) -> int:
    return int(np.uint64(word).astype(np.int64))


__all__ = ["Streams"]
