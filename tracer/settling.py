"""Letting calls that were seen before run without Python from then on.

What that needs is loaded when a function is called again, not by `import graphjit`.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np

from .cache import Entry, TraceCache
from .signature import Call

Array = np.ndarray[Any, Any]


def settle(
    function: type,
    cache: TraceCache,
    entry: Entry,
    key: Hashable,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    arrays: list[Array],
    free: frozenset[int] = frozenset(),
) -> None:
    """Make the record of a call with simple arguments, if there can be one.

    Args:
      function: the class of compiled functions.
      key, arrays: see `simple_key`.
      free: the positions of numbers of any value.
    """
    from graphjit.runtime.quick.calls import install

    from .quick import quick_call, roles_of

    record = quick_call(key, entry, args, kwargs, arrays, free) if install(roles_of(function)) else None
    cache.settle(key, entry, record)


def settle_objects(
    function: type, cache: TraceCache, entry: Entry, args: tuple[Any, ...], kwargs: dict[str, Any], call: Call
) -> None:
    """Make the record of a call with these very objects among its arguments, if there can be one."""
    from graphjit.runtime.quick.calls import install

    from .quick import quick_call_with_objects, roles_of

    record = quick_call_with_objects(entry, args, kwargs, call) if install(roles_of(function)) else None
    if record is not None:
        cache.settle(record.key, entry, record)


__all__: list[str] = []
