"""Saving modules with their variables and compiled functions, and loading them without their source."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from graphjit.runtime.errors import FailedPreconditionError, FormatError, ShapeError
from graphjit.tracer.load import load_objects
from graphjit.tracer.parts import Parts
from graphjit.tracer.save import save_objects
from graphjit.tracer.structure import flatten, unflatten

from .module import Module


class LoadedModule(Module):
    """A module that was loaded: the attributes that it had, without its class.

    Attributes:
      signatures: the single traces that were named when it was saved.
    """

    _kind = "module"

    def __init__(self, class_name: str, absent: Mapping[str, str]) -> None:
        self._class_name = class_name
        self._absent = dict(absent)

    @property
    def name(self) -> str:
        """The name that the module had."""
        return str(vars(self).get("_name") or self._class_name)

    @property
    def signatures(self) -> dict[str, Any]:
        """The single traces that were named when it was saved."""
        found: dict[str, Any] = vars(self).get("signatures", {})
        return found

    def set_loaded(self, name: str, value: Any) -> None:
        """Give it an attribute that was saved."""
        if not name.isidentifier():
            raise FormatError(f"{name[:80]!r} is no name of an attribute")
        vars(self)[name] = value

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call what the module did when it was called, if that was a compiled function.

        Raises:
          FailedPreconditionError: if it was not.
        """
        function = vars(self).get("__call__")
        if not callable(function):
            raise FailedPreconditionError(
                f"the {self._class_name} that was saved had no compiled __call__; decorate it with gj.compile and "
                f"save it again. There are: {', '.join(self.function_names()) or 'no compiled functions'}"
            )
        return function(*args, **kwargs)

    def parts_to_save(self, is_root: bool) -> Parts:
        """What is saved of it: what was loaded."""
        own = {name: value for name, value in vars(self).items() if name not in ("_class_name", "_absent")}
        own.pop("signatures", None)
        return Parts(self._kind, {"class": self._class_name}, own)

    def function_names(self) -> list[str]:
        """The names of its compiled functions."""
        return sorted(name for name, value in vars(self).items() if hasattr(value, "get_concrete_function"))

    def __getattr__(self, name: str) -> Any:
        absent = vars(self).get("_absent", {})
        if name in absent:
            raise AttributeError(
                f"{name!r} of the {self._class_name} was a {absent[name]}, which is not saved: variables, modules, "
                "compiled functions, tensors, arrays, numbers, texts and containers of them are"
            )
        raise AttributeError(f"the loaded {vars(self).get('_class_name', 'module')} has no attribute {name!r}")

    def __repr__(self) -> str:
        return f"<gj.LoadedModule {self._class_name}: {', '.join(self.function_names()) or 'no functions'}>"


class LoadedLayer(LoadedModule):
    """A layer or model that was loaded: its weights, what hangs on it, and its call for batches of any size."""

    _kind = "layer"

    @property
    def weights(self) -> list[Any]:
        """All variables, each once."""
        return list(self.variables)

    def predict(self, x: Any, batch_size: int = 32) -> Any:
        """What it gives for all examples, as arrays.

        Args:
          x: an array, or a structure of arrays with one row for each example.
          batch_size: how many examples are computed at once.

        Raises:
          ShapeError: if there is no example, or the arrays differ in their number of rows.
        """
        leaves, structure = flatten(x)
        arrays = [np.asarray(leaf) for leaf in leaves]
        rows = {array.shape[0] if array.ndim else 0 for array in arrays}
        if len(rows) != 1 or 0 in rows:
            raise ShapeError(f"examples are rows of arrays, but the shapes are {[array.shape for array in arrays]}")
        results = []
        for start in range(0, rows.pop(), batch_size):
            part = unflatten(structure, [array[start : start + batch_size] for array in arrays])
            results.append(flatten(self(part)))
        joined = [
            np.concatenate([np.asarray(one) for one in ones]) for ones in zip(*(r for r, _ in results), strict=True)
        ]
        return unflatten(results[0][1], joined)


def save(module: Any, folder: str | os.PathLike[str], signatures: Any = None) -> None:
    """Write a module into a folder, with all that it needs to run elsewhere: its source is not needed then.

    Variables, modules, tensors, arrays, numbers, texts, and lists, tuples and dicts of these are saved wherever they
    hang on the module, each once. So are compiled functions, as attributes or methods, with the traces that serve
    calls now; a function with an `input_signature` is traced for it. Other attributes are left out, and say so
    when they are asked for. The folder holds JSON and safetensors, with checksums.

    Args:
      module: a `Module`, a layer, a model; or a compiled function, or a list, tuple or dict of such things.
      folder: made now; a saved module that is there already is replaced at once.
      signatures: single traces that are found by name later: a dict of names and concrete functions (or compiled
        functions with an input_signature), or one of these for the name "serving_default".

    Raises:
      InvalidArgumentError: if a trace calls back into Python (py_function), or has an argument that only this
        program knows; or if something else is in the folder.

    >>> import tempfile
    >>> import graphjit as gj
    >>> class Line(gj.Module):
    ...     def __init__(self):
    ...         self.slope = gj.Variable(2.0)
    ...     @gj.compile
    ...     def __call__(self, x):
    ...         return self.slope * x
    >>> line = Line()
    >>> _ = line(gj.constant([1.0, 2.0]))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     gj.save(line, folder + "/line")
    ...     again = gj.load(folder + "/line")
    >>> print(again(gj.constant([3.0, 4.0])), again.slope.numpy())
    gj.Tensor([6. 8.], shape=(2,), dtype=float32) 2.0
    """

    def parts_of(value: Any) -> Any:
        return value.parts_to_save(value is module) if isinstance(value, Module) else None

    save_objects(module, folder, signatures, parts_of)


def load(folder: str | os.PathLike[str]) -> Any:
    """What `save` wrote: a module with the same attributes, variables and compiled functions.

    Functions take the arguments for which they were traced before they were saved, and list these where others come.
    Tapes see through them, other compiled functions may call them, and all of it can be saved again. Nothing of
    what is in the folder is run while it is read, and sizes are checked before memory is taken.

    Args:
      folder: what was given to `save`.

    Raises:
      NotFoundError: if there is no such folder.
      FormatError: if it holds no saved module, one of another version, or a damaged one; the message says what is
        wrong.
    """
    root, signatures = load_objects(folder, _make)
    if isinstance(root, LoadedModule) and signatures:
        root.set_loaded("signatures", signatures)
    return root


def _make(kind: str, facts: Mapping[str, str], absent: Mapping[str, str]) -> Any:
    if kind not in _KINDS or facts.keys() != {"class"}:
        raise FormatError(f"{kind[:80]!r} is no kind of object")
    return _KINDS[kind](facts["class"], absent)


_KINDS: dict[str, type[LoadedModule]] = {"module": LoadedModule, "layer": LoadedLayer}

__all__ = ["LoadedLayer", "LoadedModule", "load", "save"]
