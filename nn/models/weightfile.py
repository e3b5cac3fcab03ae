"""Files of named arrays with a text beside them: the safetensors format (github.com/huggingface/safetensors).

Reading one runs nothing of what is in it; sizes are checked before memory is taken.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphjit.runtime.errors import FormatError, NotFoundError

Array = np.ndarray[Any, Any]


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array], text: str = "") -> None:
    """Write arrays and a text; the file is there as a whole or not at all. Folders are made."""
    from safetensors.numpy import save

    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    content = save({name: np.ascontiguousarray(array) for name, array in arrays.items()}, {"graphjit": text})
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".graphjit-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def read_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, Array], str]:
    """The arrays and the text of a file.

    Raises:
      NotFoundError: if there is no such file.
      FormatError: if it is no such file, or damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise NotFoundError(f"there is no file {os.fspath(path)!r}")
    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            arrays = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 -- no mapping
            text = (file.metadata() or {}).get("graphjit", "")
    except (SafetensorError, ValueError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise FormatError(f"{os.fspath(path)!r} is no file of weights, or damaged: {error}") from error
    return arrays, text


__all__: list[str] = []
