"""Files of named arrays with a text beside them: the safetensors format (github.com/huggingface/safetensors).

Reading one runs nothing of what is in it; sizes are checked before memory is taken, and a checksum over text and
arrays finds what was changed. What the format does not know is stored as what it knows: complex numbers as pairs of
floats, byte strings as their bytes one after the other, beside their lengths.
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
_COMPLEX, _LENGTHS, _BYTES = "~complex", "~lengths", "~bytes"


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, Array], text: str = "") -> None:
    """Write arrays and a text; the file is there as a whole or not at all. Folders are made."""
    from safetensors.numpy import save

    stored = {name: one for title, array in arrays.items() for name, one in _stored(title, array).items()}
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


def _stored(name: str, array: Array) -> dict[str, Array]:
    """An array as those that the format knows."""
    native = np.ascontiguousarray(array).reshape(array.shape)
    if array.dtype.kind == "c":
        pairs = native.reshape(-1).view(f"f{array.dtype.itemsize // 2}")
        return {name + _COMPLEX: pairs.reshape(*array.shape, 2)}
    if array.dtype.kind == "O":
        texts = [bytes(one) for one in native.reshape(-1)]
        lengths = np.array([len(one) for one in texts], np.int64).reshape(array.shape)
        return {name + _LENGTHS: lengths, name + _BYTES: np.frombuffer(b"".join(texts), np.uint8)}
    return {name: native}


def _restored(stored: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays that were stored as these.

    Raises:
      FormatError: if parts of one do not fit each other.
    """
    found: dict[str, Array] = {}
    for name, array in stored.items():
        if name.endswith(_COMPLEX):
            found[name.removesuffix(_COMPLEX)] = _as_complex(name, array)
        elif name.endswith(_LENGTHS):
            title = name.removesuffix(_LENGTHS)
            found[title] = _as_strings(title, array, stored.get(title + _BYTES))
        elif not name.endswith(_BYTES):
            found[name] = array
        elif name.removesuffix(_BYTES) + _LENGTHS not in stored:
            raise FormatError(f"nothing says how long the strings in {name!r} are")
    return found


def _as_complex(name: str, array: Array) -> Array:
    if array.dtype.kind != "f" or array.dtype.itemsize < 4 or array.shape[-1:] != (2,):
        raise FormatError(f"the array {name!r} does not hold pairs of floats")
    joined = np.ascontiguousarray(array).reshape(-1).view(f"c{2 * array.dtype.itemsize}")
    return joined.reshape(array.shape[:-1])


def _as_strings(name: str, lengths: Array, content: Array | None) -> Array:
    fits = content is not None and content.dtype == np.uint8 and content.ndim == 1 and lengths.dtype == np.int64
    if content is None or not fits or (lengths < 0).any() or (lengths > content.size).any():
        raise FormatError(f"the bytes and the lengths of the strings {name!r} do not fit each other")
    ends = np.cumsum(lengths.reshape(-1), dtype=np.int64)
    if (int(ends[-1]) if ends.size else 0) != content.size:
        raise FormatError(f"the strings {name!r} have {content.size} bytes, which is not the sum of their lengths")
    texts = np.empty(lengths.size, object)
    joined, begin = content.tobytes(), 0
    for place, end in enumerate(ends.tolist()):
        texts[place] = joined[begin:end]
        begin = end
    return texts.reshape(lengths.shape)


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
        return _restored(stored), text
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
