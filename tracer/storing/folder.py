"""A saved module is a folder of three files.

    header.json          {"format", "version", "files": {name: {"bytes", "sha256"}}, "sha256" of the rest}
    module.json          objects and graphs
    arrays.safetensors   variables and large constants

A folder is written beside the place where it belongs, and renamed; what is read is first compared with its checksum.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphjit.runtime.errors import FormatError, InvalidArgumentError, NotFoundError

from .arrayfile import read_arrays, write_arrays
from .documents import field, only, parse_json

Array = np.ndarray[Any, Any]
FORMAT = "graphjit module"
VERSION = 1
_HEADER, _MODULE, _ARRAYS = "header.json", "module.json", "arrays.safetensors"
_MOST_HEADER_BYTES = 4096


def write_folder(folder: str | os.PathLike[str], document: Any, arrays: Mapping[str, Array]) -> None:
    """Write a saved module; the folder is there as a whole, or what was there before is.

    Raises:
      InvalidArgumentError: if something else than a saved module is in the way.
    """
    target = os.path.abspath(folder)
    _require_free(target)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    temporary = _beside(target)
    os.mkdir(temporary)
    try:
        _write(os.path.join(temporary, _MODULE), json.dumps(document, allow_nan=False).encode("utf-8"))
        write_arrays(os.path.join(temporary, _ARRAYS), arrays)
        _write(os.path.join(temporary, _HEADER), _header_of(temporary))
        _put_in_place(temporary, target)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _beside(target: str) -> str:
    return os.path.join(os.path.dirname(target), f".graphjit-{secrets.token_hex(8)}")


def _require_free(target: str) -> None:
    if not os.path.lexists(target):
        return
    if not os.path.isdir(target):
        raise InvalidArgumentError(f"{target!r} is a file; a module is saved into a folder")
    if os.listdir(target) and not os.path.isfile(os.path.join(target, _HEADER)):
        raise InvalidArgumentError(f"the folder {target!r} holds something else than a saved module; give another name")


def _put_in_place(temporary: str, target: str) -> None:
    if not os.path.lexists(target):
        os.rename(temporary, target)
        return
    former = _beside(target)
    os.rename(target, former)
    try:
        os.rename(temporary, target)
    except BaseException:
        os.rename(former, target)
        raise
    shutil.rmtree(former, ignore_errors=True)


def _write(path: str, content: bytes) -> None:
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _header_of(folder: str) -> bytes:
    files = {name: _facts(os.path.join(folder, name)) for name in (_MODULE, _ARRAYS)}
    header = {"format": FORMAT, "version": VERSION, "files": files}
    return json.dumps({**header, "sha256": _checksum_of(header)}, indent=1).encode("utf-8")


def _checksum_of(header: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode("utf-8")).hexdigest()


def _facts(path: str) -> dict[str, Any]:
    with open(path, "rb") as file:
        return {"bytes": os.fstat(file.fileno()).st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


# --- reading


def read_folder(folder: str | os.PathLike[str]) -> tuple[Any, dict[str, Array]]:
    """The description and the arrays of a saved module, as they were written.

    Raises:
      NotFoundError: if there is no such folder.
      FormatError: if it holds no saved module, one of another version, or a damaged one.
    """
    path = os.fspath(folder)
    if not os.path.isdir(path):
        raise NotFoundError(f"there is no folder {path!r}")
    files = _read_header(os.path.join(path, _HEADER))
    for name in (_MODULE, _ARRAYS):
        _require_same(os.path.join(path, name), files[name])
    with _Named(os.path.join(path, _MODULE)), open(os.path.join(path, _MODULE), "rb") as file:
        document = parse_json(file.read())
    arrays, _ = read_arrays(os.path.join(path, _ARRAYS))
    return document, arrays


class _Named:
    """Lets errors begin with the name of a file."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        if isinstance(error, FormatError):
            raise FormatError(f"{self._path!r} is damaged: {error.message}") from None


def _read_header(path: str) -> dict[str, Any]:
    if not os.path.isfile(path):
        raise FormatError(f"there is no {_HEADER} in {os.path.dirname(path)!r}, so it is no saved module")
    with open(path, "rb") as file:
        content = file.read(_MOST_HEADER_BYTES + 1)
    with _Named(path):
        if len(content) > _MOST_HEADER_BYTES:
            raise FormatError(f"it has more than {_MOST_HEADER_BYTES} bytes")
        header = parse_json(content)
        if not isinstance(header, dict) or header.get("format") != FORMAT:
            raise FormatError(f'its "format" must be {FORMAT!r}')
        if type(header.get("version")) is not int or header["version"] != VERSION:
            raise FormatError(f"it has version {header.get('version')!r}; version {VERSION} can be read")
        only(header, ("format", "version", "files", "sha256"))
        checksum = header.pop("sha256")
        if checksum != _checksum_of(header):
            raise FormatError("its checksum does not fit its content")
        return only(field(header, "files", dict), (_MODULE, _ARRAYS))


def _require_same(path: str, facts: Any) -> None:
    with _Named(path):
        if not os.path.isfile(path):
            raise FormatError("it is missing")
        size = field(only(facts, ("bytes", "sha256")), "bytes", int)
        if os.path.getsize(path) != size:
            raise FormatError(f"it has {os.path.getsize(path)} bytes, but {size} were written")
        if _facts(path) != facts:
            raise FormatError("its checksum does not fit its content")


__all__: list[str] = []
