"""Saving objects with their variables and compiled functions into a folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from graphjit.runtime.errors import InvalidArgumentError

from .binding import Method
from .function import Function
from .pinned import ConcreteFunction
from .storing.folder import write_folder
from .storing.objectwriting import PartsOf, Writer

DEFAULT_SIGNATURE = "serving_default"


def save_objects(root: Any, folder: str | os.PathLike[str], signatures: Any, parts_of: PartsOf) -> None:
    """Write an object and all that hangs on it.

    Args:
      root: an object that `parts_of` knows, a compiled function, a variable, or a list, tuple or dict of these.
      folder: made now; a saved module that is there already is replaced.
      signatures: see `gj.save`.
      parts_of: says of objects of the layers above what they are made of; None for others.

    Raises: see `gj.save`.
    """
    writer = Writer(parts_of)
    document = writer.document(root, _by_name(signatures))
    write_folder(folder, document, writer.arrays)


def _by_name(signatures: Any) -> dict[str, ConcreteFunction]:
    """Single traces by the names under which they will be found."""
    if signatures is None:
        return {}
    given = signatures if isinstance(signatures, Mapping) else {DEFAULT_SIGNATURE: signatures}
    return {_name(name): _concrete(name, value) for name, value in given.items()}


def _name(name: Any) -> str:
    if not isinstance(name, str):
        raise InvalidArgumentError(f"the names of signatures are texts, not {name!r}")
    return name


def _concrete(name: str, value: Any) -> ConcreteFunction:
    if isinstance(value, ConcreteFunction):
        return value
    function = value._function if isinstance(value, Method) else value
    if not isinstance(function, Function):
        raise InvalidArgumentError(
            f"the signature {name!r} is a compiled function or what get_concrete_function() gives, not {value!r}"
        )
    entries = function.entries_that_hold()
    if function.declared is None and len(entries) != 1:
        raise InvalidArgumentError(
            f"the signature {name!r} is a function with {len(entries)} traces and no input_signature; "
            "choose one with get_concrete_function(...)"
        )
    return function.get_concrete_function() if function.declared else function.concrete_of(entries[0])


__all__: list[str] = []
