"""Data and a switch that the articles' tests share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphjit as tf

MODES = pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])


def in_mode(compiled: bool, function: Callable[..., Any]) -> Any:
    """The function as it is, or compiled."""
    return tf.function(function) if compiled else function


def pictures(count: int = 512) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Pictures, 28 x 28, whose brightest of ten bands is their kind."""
    random = np.random.default_rng(1)
    y = random.integers(0, 10, count)
    x = random.random((count, 28, 28)) * 0.5
    for picture, kind in zip(x, y, strict=True):
        picture[:, 2 * kind : 2 * kind + 3] += 0.5
    return x, y


def blobs(count: int = 1000, distance: float = 3.0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Points of two clouds, (count, 2) in float64, and which cloud each is from."""
    random = np.random.default_rng(3)
    y = random.integers(0, 2, count)
    return random.standard_normal((count, 2)) + distance * y[:, None] - distance / 2, y
