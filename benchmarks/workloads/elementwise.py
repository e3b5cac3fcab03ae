"""E1 to E3: each element by itself."""

from __future__ import annotations

import numpy as np

from benchmarks.workload import Array, Arrays, Tolerance, Workload

RATE = 0.02
VOLATILITY = 0.3
ROOT_HALF = 0.7071067811865476
GELU_SCALE = 0.7978845608028654
"""sqrt(2 / pi)"""
GELU_CUBE = 0.044715


def chain_inputs(random: np.random.Generator, count: int) -> Arrays:
    """Normal numbers."""
    return {"x": random.standard_normal(count)}


def chain(x: Array) -> list[Array]:
    """Seven adds and multiplies."""
    return [(((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x]


def option_inputs(random: np.random.Generator, count: int) -> Arrays:
    """Spots, strikes and years as in the well-known benchmarks of Black-Scholes."""
    return {
        "spot": random.uniform(5, 30, count),
        "strike": random.uniform(1, 100, count),
        "years": random.uniform(0.25, 10, count),
    }


def option_values(spot: Array, strike: Array, years: Array) -> list[Array]:
    """European call and put; Black, F. and Scholes, M. (1973), The Pricing of Options and Corporate Liabilities."""
    from scipy.special import erf

    spread = VOLATILITY * np.sqrt(years)
    d1 = (np.log(spot / strike) + (RATE + 0.5 * VOLATILITY * VOLATILITY) * years) / spread
    d2 = d1 - spread
    discounted = strike * np.exp(-RATE * years)
    call = spot * (0.5 + 0.5 * erf(d1 * ROOT_HALF)) - discounted * (0.5 + 0.5 * erf(d2 * ROOT_HALF))
    return [call, call - spot + discounted]


def activations(x: Array) -> list[Array]:
    """gelu(tanh(sigmoid(x))), gelu in the form with tanh.

    Hendrycks, D. and Gimpel, K. (2016), Gaussian Error Linear Units.
    """
    y = np.tanh(1 / (1 + np.exp(-x)))
    return [0.5 * y * (1 + np.tanh(GELU_SCALE * (y + GELU_CUBE * y * y * y)))]


WORKLOADS = (
    Workload(
        "E1",
        "chain of 7 adds and multiplies",
        {"s": (2**14,), "m": (2**19,), "l": (2**24,)},
        chain_inputs,
        chain,
        {"float32": Tolerance(1e-5, 1e-4), "float64": Tolerance(1e-13, 1e-12)},
    ),
    Workload(
        "E2",
        "Black-Scholes, call and put",
        {"s": (2**14,), "m": (2**19,), "l": (2**22,)},
        option_inputs,
        option_values,
        {"float32": Tolerance(1e-5, 1e-4), "float64": Tolerance(1e-13, 1e-12)},
    ),
    Workload(
        "E3",
        "gelu(tanh(sigmoid(x)))",
        {"s": (2**14,), "m": (2**19,), "l": (2**23,)},
        chain_inputs,
        activations,
        {"float32": Tolerance(1e-5, 1e-6), "float64": Tolerance(1e-13, 1e-14)},
    ),
)
