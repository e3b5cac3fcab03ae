"""What each function means to plain Python: NumPy scalars in, the same type out.

For kernel text that runs without the JIT. float32 is computed in float64 and rounded, so it is
nearly always the nearest number; float64 is NumPy's or the C library's function. The native
functions agree within their own bounds, not bit for bit; Python's float64 lgamma is the worst
here, off by some tens of ULP near its zeros.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np


def _sigmoid(x: Any) -> Any:
    decay = np.exp(-np.abs(x))
    return np.where(x < 0.0, decay, 1.0) / (1.0 + decay)


def _softplus(x: Any) -> Any:
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


def _lgamma(x: Any) -> float:
    if math.isfinite(x) and x <= 0.0 and x == math.floor(x):
        return math.inf
    try:
        return math.lgamma(x)
    except OverflowError:
        return math.inf


_WIDE: dict[str, Callable[..., Any]] = {
    **{name: getattr(np, name) for name in ("exp", "exp2", "expm1", "log", "log2", "log10", "log1p")},
    **{name: getattr(np, name) for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh", "cbrt", "hypot")},
    **{name: getattr(np, "arc" + name[1:]) for name in ("asin", "acos", "atan", "asinh", "acosh", "atanh")},
    "atan2": np.arctan2,
    "pow": np.power,
    "erf": math.erf,
    "erfc": math.erfc,
    "lgamma": _lgamma,
    "sigmoid": _sigmoid,
    "softplus": _softplus,
}


def _plain(name: str, wide: Callable[..., Any]) -> Callable[..., Any]:
    """`wide` on float64 values of the arguments, its result in their own type."""

    def function(*arguments: Any) -> Any:
        with np.errstate(all="ignore"):
            return arguments[0].dtype.type(wide(*(np.float64(argument) for argument in arguments)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"{name} of NumPy scalars of one type; the result has that type."
    return function


FUNCTIONS: dict[str, Callable[..., Any]] = {name: _plain(name, wide) for name, wide in _WIDE.items()}
