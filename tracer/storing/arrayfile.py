"""Files of named arrays with a text beside them: the safetensors format (github.com/huggingface/safetensors).

Reading one runs nothing of what is in it; sizes are checked before memory is taken, and a checksum over text and
arrays finds what was changed. Complex numbers, which the format does not know, are stored as pairs of floats.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphjit.compiler.tensortype import as_dtype
from graphjit.runtime.errors import DtypeError, FormatError, NotFoundError

Array = np.ndarray[Any, Any]
_TEXT, _CHECKSUM = "graphjit", "sha256"
_COMPLEX = "~complex"


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array], text: str = "") -> None:
    """Write arrays and a text; the file is there as a whole or not at all. Folders are made."""
    from safetensors.numpy import save

    stored = {_stored_name(name, array): _stored(array) for name, array in arrays.items()}
    content = save(stored, {_TEXT: text, _CHECKSUM: _checksum(stored, text)})
    folder = os.path.dirname(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    temporary = os.path.join(folder, f".graphjit-{secrets.token_hex(8)}")
    try:
        with open(temporary, "xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def has_dtype(array: Any) -> bool:
    """Whether tensors may have an array's dtype."""
    try:
        as_dtype(array.dtype.newbyteorder("="))
    except DtypeError:
        return False
    return True


def _stored_name(name: str, array: Array) -> str:
    return name + _COMPLEX if array.dtype.kind == "c" else name


def _stored(array: Array) -> Array:
    native = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype.kind != "c":
        return native
    return native.reshape(-1).view(f"f{array.dtype.itemsize // 2}").reshape(*array.shape, 2)


def _restored(name: str, array: Array) -> tuple[str, Array]:
    if not name.endswith(_COMPLEX):
        return name, array
    if array.dtype.kind != "f" or array.dtype.itemsize < 4 or array.shape[-1:] != (2,):
        raise FormatError(f"the array {name!r} does not hold pairs of floats")
    joined = np.ascontiguousarray(array).reshape(-1).view(f"c{2 * array.dtype.itemsize}")
    return name.removesuffix(_COMPLEX), joined.reshape(array.shape[:-1])


def _checksum(arrays: Mapping[str, Array], text: str) -> str:
    found = hashlib.sha256(text.encode("utf-8"))
    for name in sorted(arrays):
        array = arrays[name]
        found.update(repr((name, array.dtype.str, array.shape)).encode("utf-8"))
        found.update(np.ascontiguousarray(array).data if array.size else b"")
    return found.hexdigest()


def read_arrays(path: str | os.PathLike[str]) -> tuple[dict[str, Array], str]:
    """The arrays and the text of a file; a file that another program wrote has no text and no checksum.

    Raises:
      NotFoundError: if there is no such file.
      FormatError: if it is no such file, or damaged.
    """
    if not os.path.isfile(path):
        raise NotFoundError(f"there is no file {os.fspath(path)!r}")
    source = repr(os.fspath(path))
    stored, facts = _read(path, source)
    text = facts.get(_TEXT, "")
    if facts and facts.get(_CHECKSUM) != _checksum(stored, text):
        raise FormatError(f"{source} is damaged: its checksum does not fit its content")
    try:
        return dict(_restored(name, array) for name, array in stored.items()), text
    except FormatError as error:
        raise FormatError(f"{source} is damaged: {error.message}") from None


def _read(path: str | os.PathLike[str], source: str) -> tuple[dict[str, Array], Mapping[str, str]]:
    """The arrays as they are stored, and the texts beside them."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="numpy") as file:
            stored = {name: np.asarray(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118 -- no mapping
            return stored, file.metadata() or {}
    except (SafetensorError, ValueError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise FormatError(f"{source} is no file of arrays, or damaged: {error}") from error


__all__: list[str] = []
