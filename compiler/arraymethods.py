"""Methods that NumPy's arrays have and that programs call on results: `x.mean(axis=0)` is `np.mean(x, axis=0)`.

Knows no ops: each method hands over to the NumPy function of its name, as that finds ours.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _like(function: Any) -> Callable[..., Any]:
    def method(self: Any, *arguments: Any, **keywords: Any) -> Any:
        return self.__array_function__(function, (type(self),), (self, *arguments), keywords)

    method.__name__ = function.__name__
    method.__doc__ = f"What np.{function.__name__} gives for it."
    return method


class ArrayMethods:
    """Reductions and changes of form as methods, with NumPy's arguments.

    >>> import graphjit as gj
    >>> x = gj.constant([[1.0, 2.0], [3.0, 4.0]])
    >>> print(x.mean(), x.sum(axis=0), x.reshape(4).max())
    gj.Tensor(2.5, shape=(), dtype=float32) gj.Tensor([4. 6.], shape=(2,), dtype=float32) gj.Tensor(4.0, shape=(), \
dtype=float32)
    """

    __slots__ = ()

    all, any = _like(np.all), _like(np.any)
    argmax, argmin = _like(np.argmax), _like(np.argmin)
    clip, cumsum, round = _like(np.clip), _like(np.cumsum), _like(np.round)
    max, mean, min = _like(np.max), _like(np.mean), _like(np.min)
    prod, std, sum, var = _like(np.prod), _like(np.std), _like(np.sum), _like(np.var)
    astype, ravel, squeeze = _like(np.astype), _like(np.ravel), _like(np.squeeze)
    flatten = ravel

    def reshape(self, *shape: Any) -> Any:
        """The same elements under another shape, given as one argument or as several."""
        return _like(np.reshape)(self, *shape if len(shape) == 1 else [shape])

    def transpose(self, *axes: Any) -> Any:
        """The axes in another order, all reversed without arguments."""
        if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], list | tuple)):
            axes = () if axes[0] is None else tuple(axes[0])
        return _like(np.transpose)(self, *([axes] if axes else []))


__all__: list[str] = []
