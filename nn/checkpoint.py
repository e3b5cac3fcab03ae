"""Checkpoints: what training has come to, in one file, so that it goes on with the same numbers.

A checkpoint knows nothing of classes: it keeps the variables that hang on some objects, by the way that leads to
them, and puts their values into objects that the program has made anew.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from graphjit.runtime.errors import FormatError, InvalidArgumentError, NotFoundError
from graphjit.tracer.generator import Generator
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.state import State
from graphjit.tracer.storing.arrayfile import read_arrays, write_arrays
from graphjit.tracer.storing.documents import parse_json
from graphjit.tracer.streams import Streams
from graphjit.tracer.variable import Variable

from .module import Module

Array = np.ndarray[Any, Any]
Path = tuple[str, ...]
_FORMAT = {"format": "graphjit checkpoint", "version": 1}


class Checkpoint:
    """The state of some objects: variables, modules, layers, models, optimizers, metrics, random streams, and lists,
    tuples and dicts of them.

    Objects that are restored may be younger than the checkpoint: weights of layers that were never called, and what
    an optimizer keeps for variables it has not seen yet, get their values when they come into being.

    Args:
      objects: by the names under which they are kept.

    Raises:
      InvalidArgumentError: if something has no state that is known here.

    >>> import tempfile
    >>> import graphjit as gj
    >>> step, weights = gj.Variable(3), gj.Variable([1.0, 2.0])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = gj.Checkpoint(step=step, weights=weights).save(folder + "/run")
    ...     _ = step.assign(0), weights.assign([0.0, 0.0])
    ...     _ = gj.Checkpoint(step=step, weights=weights).restore(path).assert_consumed()
    >>> print(step.numpy(), weights.numpy())
    3 [1. 2.]
    """

    def __init__(self, root: Any = None, **objects: Any) -> None:
        self.objects: dict[str, Any] = {**({} if root is None else {"root": root}), **objects}
        for name, value in self.objects.items():
            if not _has_state(value):
                raise InvalidArgumentError(
                    f"the checkpoint's {name!r} is {value!r}, which has no state; variables, modules, layers, models, "
                    "optimizers, metrics, random streams, iterators of datasets and containers of them have"
                )
        with init_scope():
            self.save_counter = Variable(np.int64(0), trainable=False, name="save_counter")

    def __getattr__(self, name: str) -> Any:
        objects = vars(self).get("objects", {})
        if name in objects:
            return objects[name]
        raise AttributeError(f"the checkpoint has no {name!r}; it has {', '.join(objects) or 'nothing'}")

    def _everything(self) -> dict[str, Any]:
        return {**self.objects, "save_counter": self.save_counter}

    def save(self, file_prefix: str | os.PathLike[str]) -> str:
        """Write a file whose name is the prefix and a number that grows with each call; its path."""
        self.save_counter.assign_add(1)
        return self.write(f"{os.fspath(file_prefix)}-{int(self.save_counter)}")

    def write(self, path: str | os.PathLike[str]) -> str:
        """Write a file of exactly this name; its path. Folders are made, and a file that is there is replaced."""
        arrays = {}
        for name, holder in _holders(self._everything()).items():
            if isinstance(holder, State):
                arrays[name] = holder.array
            else:
                arrays.update({f"{name}/{part}": value for part, value in holder.state_to_save().items()})
        write_arrays(path, arrays, json.dumps(_FORMAT))
        return os.fspath(path)

    def restore(self, path: str | os.PathLike[str] | None) -> RestoreStatus:
        """Put the values of a file into the objects.

        Args:
          path: what `save` returned. With None, as a manager without checkpoints gives it, nothing happens.

        Returns:
          What says which values have found their place.

        Raises:
          NotFoundError: if there is no such file.
          FormatError: if it is no checkpoint, or damaged.
          InvalidArgumentError: if a value does not fit its variable; then nothing is changed.
        """
        if path is None:
            return RestoreStatus(self, {}, "no checkpoint")
        arrays, text = read_arrays(path)
        source = repr(os.fspath(path))
        try:
            known = parse_json(text.encode("utf-8")) == _FORMAT
        except FormatError:
            known = False
        if not known:
            raise FormatError(f"{source} is no checkpoint that this version of graphjit reads")
        status = RestoreStatus(self, arrays, source)
        status.take_up()
        return status

    read = restore

    def __repr__(self) -> str:
        return f"<gj.Checkpoint of {', '.join(self.objects) or 'nothing'}>"


class RestoreStatus:
    """Which values of a checkpoint have found their place."""

    def __init__(self, checkpoint: Checkpoint, arrays: Mapping[str, Array], source: str) -> None:
        self._checkpoint = checkpoint
        self._waiting = dict(arrays)
        self._source = source
        self._unsaved: list[str] = []
        self._filled: set[int] = set()
        self._handed: set[str] = set()

    def take_up(self) -> None:
        """Assign what has a place by now; the rest is left with those who will make its place."""
        everything = self._checkpoint._everything()
        holders = _holders(everything)
        states: dict[str, Any] = {name: one for name, one in holders.items() if isinstance(one, State)}
        pairs = [(one, self._waiting[name]) for name, one in states.items() if name in self._waiting]
        for variable, array in pairs:
            self._require_fit(variable, array)
        others = [(name, one) for name, one in holders.items() if not isinstance(one, State)]
        # Iterators may draw while they are put in their place; random streams come after them, variables last.
        for name, holder in sorted(others, key=lambda pair: isinstance(pair[1], Streams)):
            parts = {one: array for one, array in self._waiting.items() if one.startswith(name + "/")}
            if parts:
                holder.restore_state({one.removeprefix(name + "/"): array for one, array in parts.items()})
                self._take(parts)
                self._filled.add(id(holder))
        for variable, array in pairs:
            variable.assign(array)
            self._filled.add(id(variable))
        self._take({name: array for name, array in self._waiting.items() if name in states})
        self._unsaved = [name for name, one in holders.items() if id(one) not in self._filled]
        for path, owner in _growing(everything):
            prefix = "".join(f"{part}/" for part in path)
            share = {name: array for name, array in self._waiting.items() if name.startswith(prefix)}
            self._handed.update(share)
            owner.expect({tuple(name.removeprefix(prefix).split("/")): array for name, array in share.items()})

    def _take(self, taken: Mapping[str, Array]) -> None:
        for name in taken:
            del self._waiting[name]

    def _require_fit(self, variable: Any, array: Array) -> None:
        if variable.array.dtype != array.dtype or not variable.shape.is_compatible_with(array.shape):
            raise InvalidArgumentError(
                f"{self._source} does not fit: {variable.name!r} is {variable.dtype.name} of shape {variable.shape}, "
                f"but {array.dtype} of shape {array.shape} was saved"
            )

    def assert_consumed(self) -> RestoreStatus:
        """Nothing of the checkpoint is left over, and no variable of the objects was left out.

        Raises:
          InvalidArgumentError: if it is not so; the message names what is.
        """
        self.assert_existing_objects_matched()
        if self._waiting:
            raise InvalidArgumentError(
                f"{self._source} holds values that have no place yet: {_some(self._waiting)}; make the variables "
                "first, give the checkpoint the objects that it was saved with, or use expect_partial()"
            )
        return self

    def assert_existing_objects_matched(self) -> RestoreStatus:
        """Every variable of the objects got its value.

        Raises:
          InvalidArgumentError: if one did not; the message names it.
        """
        self._note_arrivals()
        if self._unsaved:
            raise InvalidArgumentError(f"{self._source} holds no value for {_some(self._unsaved)}")
        return self

    def _note_arrivals(self) -> None:
        """Strike out what layers and optimizers have taken up since."""
        later = _holders(self._checkpoint._everything())
        for name in self._handed.intersection(later):
            self._waiting.pop(name, None)
            self._filled.add(id(later[name]))
        self._unsaved = [name for name, one in later.items() if id(one) not in self._filled]

    def expect_partial(self) -> RestoreStatus:
        """Says that values are left over on purpose."""
        return self


def _some(names: Any) -> str:
    listed = sorted(names)
    return ", ".join(map(repr, listed[:5])) + (f" and {len(listed) - 5} more" if len(listed) > 5 else "")


# --- what hangs on objects


def _has_state(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_has_state, value))
    if isinstance(value, Mapping):
        return all(map(_has_state, value.values()))
    return isinstance(value, State | Generator | Module | Checkpoint) or _is_stateful(value) or _has_items(value)


def _is_stateful(value: Any) -> bool:
    return hasattr(value, "state_to_save") and hasattr(value, "restore_state")


def _has_items(value: Any) -> bool:
    return hasattr(value, "own_items")


def _holders(objects: Mapping[str, Any]) -> dict[str, Any]:
    """Variables, and objects that save themselves, by the way that leads to them; each once."""
    found: dict[str, Any] = {}
    seen: set[int] = set()
    for path, value in _walk(objects, (), seen):
        if isinstance(value, State) or _is_stateful(value):
            found["/".join(path)] = value
    return found


def _growing(objects: Mapping[str, Any]) -> list[tuple[Path, Any]]:
    """What may still make variables, and takes their values beforehand: models, layers and optimizers."""
    found: list[tuple[Path, Any]] = []
    for path, value in _walk(objects, (), set()):
        is_inside = any(path[: len(around)] == around for around, _ in found)
        if hasattr(value, "expect") and not is_inside:
            found.append((path, value))
    return found


def _walk(value: Any, path: Path, seen: set[int]) -> Iterator[tuple[Path, Any]]:
    """Everything with state, the outer before the inner; lists and dicts are entered."""
    is_container = isinstance(value, list | tuple | Mapping)
    if id(value) in seen or not (is_container or _has_state(value)):
        return
    seen.add(id(value))
    if is_container:
        for name, one in value.items() if isinstance(value, Mapping) else enumerate(value):
            yield from _walk(one, (*path, str(name)), seen)
        return
    yield path, value
    for inner, one in _parts(value):
        yield from _walk(one, (*path, *map(str, inner)), seen)


def _parts(value: Any) -> list[tuple[tuple[Any, ...], Any]]:
    if isinstance(value, State) or _is_stateful(value):
        return []
    if isinstance(value, Generator):
        return [(("state",), value.state)]
    if isinstance(value, Checkpoint):
        return [((name,), one) for name, one in value._everything().items()]
    if _has_items(value):
        return list(value.own_items())
    return [((name,), one) for name, one in vars(value).items() if not name.startswith("__")]


# --- several checkpoints


class CheckpointManager:
    """The latest checkpoints of a training run, in a folder.

    Args:
      checkpoint: what is saved.
      directory: the folder, which is made.
      max_to_keep: how many files are kept; the oldest go first. None: all.
      checkpoint_name: what the files' names begin with.

    Raises:
      InvalidArgumentError: if `max_to_keep` is not positive, or the name has a slash.

    >>> import tempfile
    >>> import graphjit as gj
    >>> step = gj.Variable(0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manager = gj.CheckpointManager(gj.Checkpoint(step=step), folder, max_to_keep=2)
    ...     for _ in range(3):
    ...         _ = step.assign_add(1), manager.save()
    ...     [path[-6:] for path in manager.checkpoints]
    ['ckpt-2', 'ckpt-3']
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        directory: str | os.PathLike[str],
        max_to_keep: int | None,
        checkpoint_name: str = "ckpt",
    ) -> None:
        if max_to_keep is not None and max_to_keep < 1:
            raise InvalidArgumentError(f"max_to_keep is a positive number or None, not {max_to_keep!r}")
        if not checkpoint_name or os.path.basename(checkpoint_name) != checkpoint_name:
            raise InvalidArgumentError(f"{checkpoint_name!r} is no name of a file")
        self.checkpoint = checkpoint
        self.directory = os.fspath(directory)
        self.max_to_keep = max_to_keep
        self._name = checkpoint_name
        os.makedirs(self.directory, exist_ok=True)

    @property
    def checkpoints(self) -> list[str]:
        """The paths of the files that there are, the latest last."""
        return _files(self.directory, re.escape(self._name))

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the latest file, None where there is none."""
        return next(reversed(self.checkpoints), None)

    def save(self, checkpoint_number: int | None = None) -> str:
        """Write a file, and remove those that are too many; its path.

        Args:
          checkpoint_number: its number, by default one more than that of the latest.
        """
        path = os.path.join(self.directory, self._name)
        if checkpoint_number is None:
            latest = self.latest_checkpoint
            if latest is not None:
                before = max(int(self.checkpoint.save_counter), _number(latest))
                self.checkpoint.save_counter.assign(before)
            written = self.checkpoint.save(path)
        else:
            written = self.checkpoint.write(f"{path}-{int(checkpoint_number)}")
        surplus = len(self.checkpoints) - (self.max_to_keep or len(self.checkpoints))
        for old in self.checkpoints[: max(surplus, 0)]:
            os.remove(old)
        return written

    def restore_or_initialize(self) -> str | None:
        """Restore the latest file, if there is one; its path."""
        latest = self.latest_checkpoint
        if latest is not None:
            self.checkpoint.restore(latest)
        return latest


def latest_checkpoint(checkpoint_dir: str | os.PathLike[str], latest_filename: Any = None) -> str | None:
    """The path of the checkpoint with the greatest number in a folder, None where there is none."""
    return next(reversed(_files(os.fspath(checkpoint_dir), r"[^/]+")), None)


def _number(path: str) -> int:
    return int(path.rpartition("-")[2])


def _files(directory: str, name: str) -> list[str]:
    if not os.path.isdir(directory):
        raise NotFoundError(f"there is no folder {directory!r}")
    wanted = re.compile(rf"{name}-[0-9]{{1,18}}")
    found = [os.path.join(directory, one) for one in os.listdir(directory) if wanted.fullmatch(one)]
    return sorted((one for one in found if os.path.isfile(one)), key=_number)


__all__ = ["Checkpoint", "CheckpointManager", "RestoreStatus", "latest_checkpoint"]
