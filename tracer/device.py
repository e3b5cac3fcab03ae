"""`gj.device`: programs that name a device run; there is one, the CPU."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from graphjit.runtime.errors import InvalidArgumentError

_NAME = re.compile(
    r"(?:/job:(?P<job>\w+))?(?:/replica:(?P<replica>\d+))?(?:/task:(?P<task>\d+))?"
    r"/?(?:device:)?(?P<kind>CPU|GPU|TPU)(?::(?P<number>\d+|\*))?",
    re.IGNORECASE,
)
_HERE = {"job": ("localhost",), "replica": ("0",), "task": ("0",), "number": ("0", "*")}
"""What a name may say of the only device; what it leaves out is any."""


@contextmanager
def device(device_name: str | None) -> Iterator[None]:
    """Inside, ops run on the CPU, whatever is asked for; another kind of device than a CPU gives a warning.

    Args:
      device_name: such as "CPU:0", "/cpu:0" or "/job:localhost/replica:0/task:0/device:CPU:0"; None for any.

    Raises:
      InvalidArgumentError: if the name is no device's name, or that of a CPU which is not there.

    >>> with device("/CPU:0"):
    ...     pass
    """
    if device_name is not None:
        _check(device_name)
    yield


def _check(name: object) -> None:
    found = _NAME.fullmatch(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidArgumentError(f"{name!r} is no device; graphjit has 'CPU:0'")
    if found["kind"].upper() != "CPU":
        warnings.warn(f"graphjit runs on the CPU, not on {name!r}", stacklevel=4)
        return
    for part, known in _HERE.items():
        if found[part] is not None and found[part].lower() not in known:
            raise InvalidArgumentError(f"{name!r} is not there; graphjit has one CPU, 'CPU:0', on this machine")


__all__ = ["device"]
