"""A bounded folder of named, checked entries: machine code that outlives the process.

An entry is one file: a JSON header line (sizes and a checksum), then the parts as
they are. Whatever is wrong with the folder or an entry is a miss and one logged
warning, never an exception. No entry is ever executed or unpickled here. Knows
nothing of kernels.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger("graphjit")

SUFFIX = ".kernel"
TEXT_SUFFIXES = (".py", ".ll", ".json")
DEFAULT_LIMIT = 256 * 2**20
_STORES_BETWEEN_TRIMS = 32
_TOUCH_AFTER_SECONDS = 60


def default_folder() -> Path | None:
    """Where entries live: `GRAPHJIT_CACHE_DIR`, else the user's cache folder; None if `GRAPHJIT_CACHE=0`."""
    if os.environ.get("GRAPHJIT_CACHE", "1") == "0":
        return None
    named = os.environ.get("GRAPHJIT_CACHE_DIR")
    if named:
        return Path(named)
    import platformdirs

    return Path(platformdirs.user_cache_dir("graphjit"))


class CacheFolder:
    """The entries in one folder, the longest unused of which go when the limit (in bytes) is passed."""

    def __init__(self, folder: Path | None, limit: int = DEFAULT_LIMIT) -> None:
        """`folder` is made when it is first needed; None turns the cache off."""
        self._folder = folder
        self._limit = limit
        self._checked = False
        self._warned = False
        self._stores = 0

    def load(self, name: str, parts: int) -> list[bytes] | None:
        """The parts of an entry, or None if it is not there or anything is wrong with it."""
        if not self._usable():
            return None
        path = self._path(name)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(f"cannot read {path}: {error}")
            return None
        found = _unpacked(content, name, parts)
        if found is None:
            self._warn(f"{path} is damaged; it is compiled again")
            self._remove(path)
            return None
        self._touch(path)
        return found

    def discard(self, name: str, why: str) -> None:
        """Remove an entry that turned out to be of no use."""
        self._warn(f"{name}: {why}; it is compiled again")
        if self._usable():
            self._remove(self._path(name))

    def store(self, name: str, parts: Sequence[bytes], text: str, language: str = ".py") -> None:
        """Keep an entry, and a text for people beside it; whoever reads sees all of it or nothing.

        `language` is the ending of the text's name, one of `TEXT_SUFFIXES`.
        """
        if not self._usable():
            return
        path = self._path(name)
        try:
            self._write(path.with_suffix(language), text.encode(), durable=False)
            self._write(path, _packed(name, parts), durable=True)
        except OSError as error:
            self._warn(f"cannot write {path}: {error}")
            return
        if self._stores % _STORES_BETWEEN_TRIMS == 0:
            self.trim()
        self._stores += 1

    def trim(self) -> None:
        """Remove the entries that were not used for longest until the rest is within 3/4 of the limit."""
        if not self._usable():
            return
        entries = self._entries()
        total = sum(size for _, size in entries.values())
        if total <= self._limit:
            return
        for path, (_, size) in sorted(entries.items(), key=lambda entry: entry[1]):
            self._remove(path)
            total -= size
            if total <= self._limit * 3 // 4:
                return

    def _entries(self) -> dict[Path, tuple[float, int]]:
        """Last use, and size with its text, of every entry and of every file that was left half-written."""
        assert self._folder is not None
        found: dict[Path, tuple[float, int]] = {}
        try:
            with os.scandir(self._folder) as files:
                for file in files:
                    self._add_entry(found, file)
        except OSError as error:
            self._warn(f"cannot list {self._folder}: {error}")
        return found

    def _add_entry(self, found: dict[Path, tuple[float, int]], file: os.DirEntry[str]) -> None:
        path = Path(file.path)
        if path.suffix not in (SUFFIX, ".part", *TEXT_SUFFIXES):
            return
        entry = path if path.suffix == ".part" else path.with_suffix(SUFFIX)
        used, size = found.get(entry, (0.0, 0))
        try:
            facts = file.stat(follow_symlinks=False)
        except FileNotFoundError:
            return  # another process has finished or removed it since the folder was listed
        found[entry] = (max(used, facts.st_mtime), size + facts.st_size)

    def _path(self, name: str) -> Path:
        assert self._folder is not None
        return self._folder / (name + SUFFIX)

    def _usable(self) -> bool:
        if self._folder is not None and not self._checked:
            self._checked = True
            problem = _problem_with(self._folder)
            if problem:
                self._warn(f"{problem}; kernels are not kept")
                self._folder = None
        return self._folder is not None

    def _write(self, path: Path, content: bytes, durable: bool) -> None:
        """Write a file that is there as a whole or not at all, and where `durable`, after a power cut too."""
        import tempfile  # takes milliseconds, and a warm start writes nothing

        handle, temporary = tempfile.mkstemp(suffix=".part", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            os.replace(temporary, path)
        except OSError:
            self._remove(Path(temporary))
            raise

    def _remove(self, path: Path) -> None:
        """Remove an entry's file and its texts, if they are still there."""
        for victim in (path, *map(path.with_suffix, TEXT_SUFFIXES)):
            try:
                victim.unlink(missing_ok=True)
            except OSError as error:
                self._warn(f"cannot remove {victim}: {error}")

    def _touch(self, path: Path) -> None:
        """Note the use, at most once a minute."""
        try:
            if time.time() - path.stat().st_mtime > _TOUCH_AFTER_SECONDS:
                os.utime(path)
        except OSError as error:
            _log.debug("cannot note the use of %s: %s", path, error)

    def _warn(self, message: str) -> None:
        """One warning for a folder, whatever goes wrong with it; the rest is for those who debug."""
        _log.log(logging.DEBUG if self._warned else logging.WARNING, "kernel cache: %s", message)
        self._warned = True


def _problem_with(folder: Path) -> str | None:
    """Why the folder cannot be trusted or used; makes it if it is not there."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
    except OSError as error:
        return f"cannot use {folder}: {error}"
    if not hasattr(os, "getuid"):
        return None
    if facts.st_uid != os.getuid():
        return f"{folder} belongs to another user"
    if stat.S_IMODE(facts.st_mode) & 0o077:
        return f"{folder} is open to other users (chmod 700 it)"
    return None


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _packed(name: str, parts: Sequence[bytes]) -> bytes:
    content = b"".join(parts)
    header = {"name": name, "sizes": [len(part) for part in parts], "sha256": _digest(content)}
    return json.dumps(header).encode() + b"\n" + content


def _unpacked(content: bytes, name: str, parts: int) -> list[bytes] | None:
    head, _, rest = content.partition(b"\n")
    try:
        header = json.loads(head)
        sizes = [int(size) for size in header["sizes"]]
        good = header["name"] == name and header["sha256"] == _digest(rest)
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not good or len(sizes) != parts or min(sizes) < 0 or sum(sizes) != len(rest):
        return None
    found = []
    for size in sizes:
        found.append(rest[:size])
        rest = rest[size:]
    return found
