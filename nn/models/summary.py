"""The table of a model's layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.runtime.errors import FailedPreconditionError

_UNITS = ((2**30, "GB"), (2**20, "MB"), (2**10, "KB"))


def _size(variables: list[Any]) -> str:
    count = sum(int(np.prod(one.array.shape)) for one in variables)
    size = sum(one.array.nbytes for one in variables)
    shown = next((f"{size / unit:.2f} {name}" for unit, name in _UNITS if size >= unit), f"{size:.2f} B")
    return f"{count:,} ({shown})"


def _shape_of(layer: Any) -> str:
    shape = layer.output_shape_seen()
    return "?" if shape is None else str(shape)


def summary_of(model: Any, line_length: int | None = None) -> str:
    """The table as text.

    Raises:
      FailedPreconditionError: before the weights exist.
    """
    if not model.built:
        raise FailedPreconditionError(
            f"{model.name!r} has no weights yet: call it on data, or build(input_shape), before its summary"
        )
    head = ("Layer (type)", "Output Shape", "Param #")
    rows = [
        (f"{one.name} ({type(one).__name__})", _shape_of(one), f"{one.count_params() if one.built else 0:,}")
        for one in model.layers
    ]
    widths = [max(len(row[column]) for row in (head, *rows)) + 2 for column in range(3)]
    if line_length is not None:
        widths[0] = max(widths[0], line_length - widths[1] - widths[2])
    lines = [f'Model: "{model.name}"', "━" * sum(widths)]
    lines += _table(head, rows, widths)
    lines.append(f" Total params: {_size(model.weights)}")
    lines.append(f" Trainable params: {_size(model.trainable_variables)}")
    lines.append(f" Non-trainable params: {_size(model.non_trainable_variables)}")
    return "\n".join(lines)


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], widths: list[int]) -> list[str]:
    shown = ["".join(f" {cell}".ljust(width) for cell, width in zip(row, widths, strict=True)) for row in (head, *rows)]
    return [shown[0].rstrip(), "━" * sum(widths), *(one.rstrip() for one in shown[1:]), "━" * sum(widths)]


__all__: list[str] = []
