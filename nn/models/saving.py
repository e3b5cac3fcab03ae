"""Saving models: what they are made of, weights, and training, in one file that is read without running it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from graphjit.compiler.tensortype import TensorShape, element_count
from graphjit.runtime.errors import FormatError, GraphjitError, InvalidArgumentError, NotFoundError
from graphjit.tracer.state import State
from graphjit.tracer.storing.arrayfile import read_arrays, write_arrays

from .. import losses, metrics, optimizers
from ..byname import allowed_object, custom_object_scope, deserialize, serialize
from ..layers import LAYERS
from ..layers.allowance import allowing
from ..layers.layer import Layer
from ..layers.tracking import Path
from .model import Model
from .sequential import Sequential

Array = np.ndarray[Any, Any]
_VERSION = 1
_OPTIMIZER = "optimizer/"
MODELS = {**LAYERS, "model": Model, "sequential": Sequential}


# --- weights --------------------------------------------------------------------------------------


def weights_by_path(layer: Any, path: Path = (), seen: set[int] | None = None) -> Iterator[tuple[Path, Any]]:
    """Pairs of path and variable, in this layer and in those inside, each variable once."""
    seen = set() if seen is None else seen
    if id(layer) in seen:
        return
    seen.add(id(layer))
    items = layer.own_items() if isinstance(layer, Layer) else layer._flatten(recursive=False, with_path=True)
    for place, value in items:
        whole = (*path, *(str(one) for one in place))
        if not isinstance(value, State):
            yield from weights_by_path(value, whole, seen)
        elif id(value) not in seen:
            seen.add(id(value))
            yield whole, value


def _name(path: Path) -> str:
    return "/".join(path)


def save_weights(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write the weights of a model into a file; see `Model.save_weights`."""
    _require_new(filepath, overwrite)
    write_arrays(filepath, {_name(path): variable.numpy() for path, variable in weights_by_path(model)})


def _require_new(filepath: Any, overwrite: bool) -> None:
    if not overwrite and os.path.exists(filepath):
        raise InvalidArgumentError(f"{os.fspath(filepath)!r} exists; overwrite=True replaces it")


def load_weights(model: Any, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Read the weights of a model from a file; see `Model.load_weights`."""
    arrays, _ = read_arrays(filepath)
    own = {name: array for name, array in arrays.items() if not name.startswith(_OPTIMIZER)}
    _fill(model, own, os.fspath(filepath), skip_mismatch)


def _fill(model: Any, arrays: dict[str, Array], source: str, skip_mismatch: bool) -> None:
    """Assign arrays to weights by their paths; those of layers that are not built yet wait for them."""
    known = {_name(path): variable for path, variable in weights_by_path(model)}
    pairs = []
    for name, variable in known.items():
        array = arrays.get(name)
        if array is not None and array.shape == variable.array.shape:
            pairs.append((variable, array))
        elif not skip_mismatch:
            there = "is missing" if array is None else f"has shape {array.shape}"
            raise InvalidArgumentError(
                f"{source!r} does not fit the model: the weight {name!r} of shape {variable.array.shape} {there}"
            )
    waiting = {name: array for name, array in arrays.items() if name not in known}
    if waiting and not skip_mismatch and not _may_grow(model):
        raise InvalidArgumentError(f"{source!r} does not fit the model: it has no {', '.join(sorted(waiting)[:5])}")
    for variable, array in pairs:
        variable.assign(array.astype(variable.array.dtype))
    if waiting and _may_grow(model):
        model._record.pending.update({tuple(name.split("/")): array for name, array in waiting.items()})
        model.restore_pending()


def _may_grow(model: Any) -> bool:
    """Whether there are layers whose weights do not exist yet."""
    waiting, seen = [model], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen or not isinstance(one, Layer):
            continue
        seen.add(id(one))
        if not one.built:
            return True
        waiting.extend(one._sublayers())
    return False


# --- models ---------------------------------------------------------------------------------------


def save_model(model: Any, filepath: str | os.PathLike[str], overwrite: bool = True, **_: Any) -> None:
    """Write a model into one file: what it is made of, its weights, and how it is trained.

    Args:
      filepath: any name; the content is the same whatever it ends with.
      overwrite: whether a file of that name is replaced.

    Raises:
      InvalidArgumentError: if something in the model cannot be written down.
    """
    _require_new(filepath, overwrite)
    training = model._training
    described = {
        "version": _VERSION,
        "model": serialize(model),
        "input_shape": serialize(model._record.built_for),
        "training": None if training is None else _described_training(training),
    }
    arrays = {_name(path): variable.numpy() for path, variable in weights_by_path(model)}
    if training is not None:
        kept = training.optimizer.variables
        arrays.update({f"{_OPTIMIZER}{number}": np.asarray(one.numpy()) for number, one in enumerate(kept)})
    write_arrays(filepath, arrays, json.dumps(described))


def _described_training(training: Any) -> dict[str, Any]:
    given = {name: serialize(value) for name, value in training.arguments.items() if name != "optimizer"}
    return {**given, "optimizer": serialize(training.optimizer)}


def load_model(
    filepath: str | os.PathLike[str],
    custom_objects: Mapping[str, Any] | None = None,
    compile: bool = True,  # noqa: A002 -- Keras's name
    **_: Any,
) -> Any:
    """The model that `save` wrote; classes and functions of one's own are found by name.

    Args:
      filepath: the file.
      custom_objects: classes and functions by the names under which they were saved; those that were registered
        with `register_keras_serializable` need not be given.
      compile: whether it is made ready for training, its optimizer where it was.

    Raises:
      NotFoundError: if there is no such file, or nothing of a name.
      FormatError: if it is no such file, or damaged.
    """
    arrays, text = read_arrays(filepath)
    source = os.fspath(filepath)
    described = _parsed(text, source)
    own = {name: array for name, array in arrays.items() if not name.startswith(_OPTIMIZER)}
    try:
        with custom_object_scope(custom_objects), allowing(sum(array.nbytes for array in own.values())):
            model = _model(described, own, source)
            if compile and described.get("training") is not None:
                _compile(model, described["training"], arrays, source)
    except NotFoundError:
        raise  # a class of the user's own, which custom_objects is to name
    except _WRONG as error:
        said = error.message if isinstance(error, GraphjitError) else f"{type(error).__name__}: {error}"
        raise FormatError(f"{source!r} describes no model: {said}") from error
    return model


_WRONG = (GraphjitError, TypeError, ValueError, AttributeError, LookupError, ArithmeticError, RecursionError)
"""What constructors raise on arguments of the wrong kinds: they are written for right ones."""
_MOST_ELEMENTS = 1 << 26


def _model(described: Mapping[str, Any], arrays: dict[str, Array], source: str) -> Any:
    """The model of a description, with its weights."""
    model = deserialize(described["model"], MODELS, "model or layer")
    if not isinstance(model, Layer):
        raise FormatError(f"it is a {type(model).__name__!r}")
    if not model.built and described.get("input_shape") is not None and isinstance(model, Model):
        model.build(_as_shape(described["input_shape"]))
    _fill(model, arrays, source, False)
    return model


def _as_shape(value: Any) -> Any:
    if isinstance(value, list) and any(isinstance(one, list) for one in value):
        return [_as_shape(one) for one in value]
    shape = TensorShape(value)
    if shape.rank is not None and element_count(tuple(size or 1 for size in shape)) > _MOST_ELEMENTS:
        raise FormatError(f"an input of shape {shape} is larger than {_MOST_ELEMENTS} elements")
    return shape


def _parsed(text: str, source: str) -> dict[str, Any]:
    try:
        described = json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{source!r} is damaged: its description is no JSON: {error}") from error
    if not isinstance(described, dict) or "model" not in described:
        raise FormatError(f"{source!r} holds weights only, no model; make the model and use load_weights")
    if described.get("version") != _VERSION:
        raise FormatError(f"{source!r} has format {described.get('version')!r}; this version reads {_VERSION}")
    return described


def _compile(model: Any, described: Any, arrays: Mapping[str, Array], source: str) -> None:
    if not isinstance(described, Mapping):
        raise FormatError(f"{source!r} is damaged: how the model is trained is {described!r}")
    optimizer = optimizers.deserialize(described["optimizer"])
    model.compile(
        optimizer=optimizer,
        loss=_revived(described.get("loss"), losses),
        metrics=_revived(described.get("metrics"), metrics),
        loss_weights=described.get("loss_weights"),
        weighted_metrics=_revived(described.get("weighted_metrics"), metrics),
    )
    kept = [arrays[f"{_OPTIMIZER}{number}"] for number in range(len(arrays)) if f"{_OPTIMIZER}{number}" in arrays]
    if len(kept) > len(optimizer.variables):
        optimizer.build(model.trainable_variables)
    variables = optimizer.variables
    if len(kept) != len(variables):
        raise FormatError(f"{source!r} has {len(kept)} arrays for the optimizer, which keeps {len(variables)}")
    for variable, array in zip(variables, kept, strict=True):
        try:
            variable.assign(array.reshape(variable.array.shape).astype(variable.array.dtype))
        except (ValueError, GraphjitError) as error:
            raise FormatError(f"{source!r} is damaged: an array of the optimizer does not fit: {error}") from error


def _revived(value: Any, module: Any) -> Any:
    """Losses and metrics of a configuration: objects are made, names of one's own are looked up now."""
    if isinstance(value, str):
        own = allowed_object(value)
        return value if own is None else own
    if isinstance(value, list):
        return [_revived(one, module) for one in value]
    if isinstance(value, Mapping):
        if "class_name" in value:
            return module.deserialize(value)
        return {name: _revived(one, module) for name, one in value.items()}
    return value


__all__ = ["load_model", "save_model"]
