"""1,797 handwritten digits, 8x8 (Alpaydin and Kaynak 1998), from scikit-learn, which brings them along."""

from __future__ import annotations

from typing import Any

import numpy as np

from graphjit.runtime.errors import NotFoundError

Array = np.ndarray[Any, Any]


def load_data(test_part: float = 1 / 6, seed: int = 0) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """Pictures of numbers from 0 to 16, and what they show: (x_train, y_train), (x_test, y_test), float32 and int64.

    Args:
      test_part: the part of the pictures that is for testing.
      seed: which ones these are.

    Raises:
      NotFoundError: if scikit-learn is not installed.

    >>> (x_train, y_train), (x_test, y_test) = load_data()
    >>> x_train.shape, y_test.shape
    ((1498, 8, 8), (299,))
    """
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise NotFoundError("the digits come with scikit-learn: pip install scikit-learn") from None
    bunch = load_digits()
    order = np.random.default_rng(seed).permutation(len(bunch.target))
    x, y = bunch.images[order].astype(np.float32), bunch.target[order].astype(np.int64)
    count = int(len(y) * test_part)
    return (x[count:], y[count:]), (x[:count], y[:count])


__all__ = ["load_data"]
