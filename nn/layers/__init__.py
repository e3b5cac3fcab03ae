"""Layers, and finding them by name."""

from typing import Any

from ..byname import deserialize as _deserialize, serialize as _serialize, table_of
from . import (
    cells as _cells,
    convolution as _convolution,
    dense as _dense,
    masking as _masking,
    normalization as _normalization,
    operating as _operating,
    plain as _plain,
    recurrent as _recurrent,
    stacking as _stacking,
    wrapping as _wrapping,
)
from .cells import *
from .connecting import *
from .convolution import *
from .dense import *
from .layer import *
from .masking import *
from .normalization import *
from .operating import *
from .plain import *
from .recurrent import *
from .stacking import *
from .wrapping import *

_MODULES = (
    _cells,
    _convolution,
    _dense,
    _masking,
    _normalization,
    _operating,
    _plain,
    _recurrent,
    _stacking,
    _wrapping,
)
LAYERS = table_of(*(getattr(module, name) for module in _MODULES for name in module.__all__ if name != "Input"))


def serialize(layer: Any) -> Any:
    """The layer as a configuration, without its weights."""
    return _serialize(layer)


def deserialize(config: Any) -> Any:
    """The layer that `serialize` wrote down, with new weights."""
    return _deserialize(config, LAYERS, "layer")
