"""Loading what `save` wrote, without the program that wrote it."""

from __future__ import annotations

import os
from typing import Any

from graphjit.compiler.dump.parsing import INFERENCE_ERRORS
from graphjit.runtime.errors import FormatError

from .lifting import init_scope
from .storing.folder import read_folder
from .storing.objectreading import Make, Reader


def load_objects(folder: str | os.PathLike[str], make: Make) -> tuple[Any, dict[str, Any]]:
    """The object that was saved, and the single traces that were named.

    Args:
      folder: where it was saved.
      make: makes objects of the layers above, whose attributes are set later.

    Raises: see `gj.load`.
    """
    document, arrays = read_folder(folder)
    with init_scope():
        try:
            return Reader(document, arrays, make).read()
        except FormatError as error:
            raise FormatError(f"{os.fspath(folder)!r} is damaged: {error.message}") from None
        except (*INFERENCE_ERRORS, RecursionError, MemoryError) as error:
            raise FormatError(f"{os.fspath(folder)!r} is damaged: {error}") from error


__all__: list[str] = []
