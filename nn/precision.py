"""The dtype that layers compute in unless they are told otherwise, and the small number beside it."""

from __future__ import annotations

from typing import Any

from graphjit.compiler.tensortype import as_dtype
from graphjit.runtime.errors import InvalidArgumentError

_FLOATS = ("float16", "float32", "float64")
_settings: dict[str, Any] = {"floatx": "float32", "epsilon": 1e-7}


def floatx() -> str:
    """The dtype of layers, losses and metrics that were made without one: "float32" unless `set_floatx` was called."""
    name: str = _settings["floatx"]
    return name


def set_floatx(value: Any) -> None:
    """Let layers, losses and metrics that are made from now on compute in another dtype.

    Raises:
      InvalidArgumentError: if it is none of float16, float32 and float64.

    >>> set_floatx("float64")
    >>> floatx()
    'float64'
    >>> set_floatx("float32")
    """
    name = as_dtype(value).name
    if name not in _FLOATS:
        raise InvalidArgumentError(f"layers compute in one of {', '.join(_FLOATS)}, not in {name}")
    _settings["floatx"] = name


def epsilon() -> float:
    """What keeps logarithms and quotients of losses finite: 1e-7 unless `set_epsilon` was called."""
    value: float = _settings["epsilon"]
    return value


def set_epsilon(value: float) -> None:
    """Set the small number that `epsilon()` gives."""
    _settings["epsilon"] = float(value)


def image_data_format() -> str:
    """Where images have their channels if nothing else is said: always "channels_last" here."""
    return "channels_last"


__all__ = ["epsilon", "floatx", "image_data_format", "set_epsilon", "set_floatx"]
