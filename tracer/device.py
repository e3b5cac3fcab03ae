"""`gj.device`: programs that name a device run; there is one, the CPU."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from graphjit.runtime.errors import InvalidArgumentError

_NAME = re.compile(
    r"(?:/job:\w+)?(?:/replica:\d+)?(?:/task:\d+)?/?(?:device:)?(CPU|GPU|TPU)(?::(\d+|\*))?",
    re.IGNORECASE,
)


@contextmanager
def device(device_name: str | None) -> Iterator[None]:
    """Inside, ops run on the CPU, whatever is asked for; another device than a CPU gives a warning.

    Raises:
      InvalidArgumentError: if the name is no device's name.

    >>> with device("/CPU:0"):
    ...     pass
    """
    found = None if device_name is None else _NAME.fullmatch(device_name)
    if device_name is not None and found is None:
        raise InvalidArgumentError(f"{device_name!r} is no device; graphjit has 'CPU:0'")
    if found is not None and found[1].upper() != "CPU":
        warnings.warn(f"graphjit runs on the CPU, not on {device_name!r}", stacklevel=3)
    yield


__all__ = ["device"]
