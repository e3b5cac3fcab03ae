"""Losses: classes, functions, and finding them by name."""

from typing import Any

from ..byname import deserialize as _deserialize, instantiate, serialize as _serialize, table_of
from . import functions as _functions, loss as _loss
from .functions import *
from .functions import (
    binary_crossentropy as bce,
    kl_divergence as kld,
    log_cosh as logcosh,
    mean_absolute_error as mae,
    mean_absolute_percentage_error as mape,
    mean_squared_error as mse,
    mean_squared_logarithmic_error as msle,
)
from .loss import *

LOSSES = table_of(
    *(getattr(_functions, name) for name in _functions.__all__),
    bce=bce,
    kld=kld,
    logcosh=logcosh,
    mae=mae,
    mape=mape,
    mse=mse,
    msle=msle,
    huber_loss=huber,
)
CLASSES = table_of(*(getattr(_loss, name) for name in _loss.__all__))


def get(identifier: Any) -> Any:
    """The loss with a name or configuration: 'mse' gives the function; a function or object is given back.

    >>> get("mse").__name__
    'mean_squared_error'
    """
    if isinstance(identifier, dict):
        return deserialize(identifier)
    return instantiate(identifier, {**CLASSES, **LOSSES}, "loss")


def serialize(loss: Any) -> Any:
    """The loss as a name or a configuration."""
    return _serialize(loss)


def deserialize(config: Any) -> Any:
    """The loss that `serialize` wrote down."""
    table = {**LOSSES, **CLASSES} if isinstance(config, dict) else {**CLASSES, **LOSSES}
    return _deserialize(config, table, "loss")


__all__ = [*_functions.__all__, *_loss.__all__, "bce", "deserialize", "get", "kld", "logcosh", "mae", "mape", "mse"]
__all__ += ["msle", "serialize"]
