"""Making a model of what another one is made of, with weights of its own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from graphjit.runtime.errors import FormatError

from ..byname import custom_object_scope, deserialize
from ..layers import LAYERS
from .model import Model
from .sequential import Sequential

_MODELS = {**LAYERS, "model": Model, "sequential": Sequential}


def clone_model(model: Any) -> Any:
    """A model of the same layers with new weights.

    >>> import graphjit as gj
    >>> model = gj.keras.Sequential([gj.keras.layers.Dense(2, input_shape=(3,))])
    >>> copy = clone_model(model)
    >>> copy.count_params(), copy.layers[0] is model.layers[0]
    (8, False)
    """
    return type(model).from_config(model.get_config())


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The model that `to_json` wrote down, with new weights.

    Raises:
      FormatError: if the text describes no model.
      NotFoundError: if a class of one's own is missing in `custom_objects`.
    """
    try:
        config = json.loads(json_string)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"the description of a model is JSON, but: {error}") from error
    with custom_object_scope(custom_objects):
        return deserialize(config, _MODELS, "model or layer")


__all__: list[str] = []
