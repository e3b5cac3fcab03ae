"""Elementwise ops: one result per element, operands broadcast."""

from __future__ import annotations

import numpy as np

from ..families import binary, unary

add = binary(
    "add", np.add, "{0} + {1}", [lambda g, z, x, y: g, lambda g, z, x, y: g],
    doc="x + y, element by element.", commutes=True, unit=-0.0,
)  # fmt: skip
subtract = binary(
    "subtract", np.subtract, "{0} - {1}", [lambda g, z, x, y: g, lambda g, z, x, y: -g],
    doc="x - y, element by element.",
)  # fmt: skip
multiply = binary(
    "multiply", np.multiply, "{0} * {1}", [lambda g, z, x, y: g * y, lambda g, z, x, y: g * x],
    doc="x * y, element by element.", commutes=True, unit=1.0,
)  # fmt: skip
negative = unary("negative", np.negative, "-{0}", [lambda g, y, x: -g], doc="-x.", dtypes="if")
tanh = unary(
    "tanh", np.tanh, "tanh({0})", [lambda g, y, x: g * (1 - y * y)],
    doc="Hyperbolic tangent.", domain=(-20, 20),
)  # fmt: skip
exp = unary("exp", np.exp, "exp({0})", [lambda g, y, x: g * y], doc="e to the power x.")
