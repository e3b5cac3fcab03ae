"""What stands around a layer's `build`, whoever calls it: names for its weights, and the note that they exist."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from graphjit.tracer.lifting import init_scope

from .shapes import as_shapes, of_any_batch


def noted(build: Callable[..., Any]) -> Callable[..., Any]:
    """A layer's `build` that may be called by hand, as `layer.build((None, 3))`."""

    @functools.wraps(build)
    def build_once(layer: Any, *args: Any, **kwargs: Any) -> Any:
        record = layer._record
        if record.in_build:
            return build(layer, *args, **kwargs)
        given = (as_shapes(args[0]), *args[1:]) if args else args
        if args:
            record.built_for = of_any_batch(given[0])
        record.in_build = True
        try:
            with init_scope(), layer._naming():
                result = build(layer, *given, **kwargs)
        finally:
            record.in_build = False
        record.built = True
        layer.restore_pending()
        return result

    return build_once


__all__: list[str] = []
