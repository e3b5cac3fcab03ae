"""Builds models out of the tracer's parts."""

if __name__ != "graphjit.nn":
    raise ImportError("import graphjit.nn, not nn: a second copy of this package would hold a second table of ops")

import typing as _typing

from graphjit.nn.functional import *
from graphjit.runtime.missing import missing_attribute as _missing_attribute

if _typing.TYPE_CHECKING:
    from graphjit.nn import callbacks, constraints, initializers, losses, metrics, models, optimizers, regularizers
    from graphjit.nn.layers import *
    from graphjit.nn.models import *

# Functions are there at once; layers and models are loaded when they are first used.
_MODULES = (
    "activations",
    "callbacks",
    "constraints",
    "data",
    "datasets",
    "initializers",
    "layers",
    "losses",
    "metrics",
    "models",
    "optimizers",
    "regularizers",
)


def __getattr__(name: str) -> object:
    import importlib

    if name in _MODULES:
        return importlib.import_module(f"graphjit.nn.{name}")
    if name[:1].isupper():
        for module in ("layers", "models"):
            found: object = getattr(importlib.import_module(f"graphjit.nn.{module}"), name, None)
            if found is not None:
                globals()[name] = found
                return found
    raise _missing_attribute("graphjit.nn", name, (*globals(), *_MODULES))
