"""Arrays made ready for training: labels as rows with a one, vectors of length one."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from .precision import floatx

Array = np.ndarray[Any, Any]


def to_categorical(x: Any, num_classes: int | None = None) -> Array:
    """Labels as rows with a one at the place that the label names, and zeros elsewhere; an array of floats.

    Args:
      x: integers from 0 on, of any shape; a last axis of size 1 goes.
      num_classes: the length of the rows; by default the greatest label and one more.

    Raises:
      InvalidArgumentError: if a label has no place.

    >>> to_categorical([0, 2, 1], 3)
    array([[1., 0., 0.],
           [0., 0., 1.],
           [0., 1., 0.]], dtype=float32)
    """
    labels = np.asarray(x).astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    count = int(labels.max(initial=-1)) + 1 if num_classes is None else int(num_classes)
    if labels.size and (labels.min() < 0 or labels.max() >= count):
        raise InvalidArgumentError(
            f"labels lie between 0 and {count - 1} for {count} classes, but there are {labels.min()} and {labels.max()}"
        )
    return np.eye(count, dtype=floatx())[labels]


def normalize(x: Any, axis: int = -1, order: float = 2) -> Array:
    """Vectors along an axis divided by their norm; those of norm 0 stay.

    >>> normalize([[3.0, 4.0], [0.0, 0.0]])
    array([[0.6, 0.8],
           [0. , 0. ]])
    """
    array = np.atleast_1d(np.asarray(x))
    norms = np.asarray(np.linalg.norm(array, order, axis, keepdims=True))
    norms[norms == 0] = 1
    return np.asarray(array / norms)


__all__: list[str] = []
