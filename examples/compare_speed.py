"""Eager against graph on a few functions: values, gradients, time per call, and when compiling pays."""

from __future__ import annotations

import numpy as np

import graphjit as gj


@gj.compile
def chain(x):
    """Seven adds and multiplies."""
    return (((x * 2.0 + 1.0) * x - 3.0) * x + 0.5) * x


@gj.compile
def black_scholes(spot, strike, years, rate, volatility):
    """The value of a European call.

    Black, F. and Scholes, M. (1973), The Pricing of Options and Corporate Liabilities.
    """
    root = volatility * gj.sqrt(years)
    d1 = (gj.math.log(spot / strike) + (rate + 0.5 * volatility * volatility) * years) / root
    d2 = d1 - root
    return spot * normal_distribution(d1) - strike * gj.exp(-rate * years) * normal_distribution(d2)


def normal_distribution(x):
    """The probability that a standard normal number is at most x."""
    return 0.5 * (1.0 + gj.math.erf(x * 0.7071067811865476))


@gj.compile
def layer_norm(x):
    """Each row shifted and scaled to mean 0 and variance 1."""
    mean = gj.reduce_mean(x, axis=-1, keepdims=True)
    centred = x - mean
    variance = gj.reduce_mean(gj.square(centred), axis=-1, keepdims=True)
    return centred * gj.math.rsqrt(variance + 1e-5)


@gj.compile
def mean_squared_error(predictions, targets):
    """A loss, with everything before it in one kernel."""
    return gj.reduce_mean(gj.square(predictions - targets))


def main() -> None:
    rng = np.random.default_rng(0)
    numbers = rng.standard_normal(2**19).astype(np.float32)
    prices = [rng.uniform(low, high, 2**17).astype(np.float32) for low, high in ((5, 30), (1, 100), (0.25, 10))]
    rows = rng.standard_normal((1024, 1000)).astype(np.float32)
    for function, arguments in (
        (chain, (numbers,)),
        (black_scholes, (*prices, 0.02, 0.3)),
        (layer_norm, (rows,)),
        (mean_squared_error, (rows, rows[::-1].copy())),
    ):
        print(gj.compare(function, *arguments))
        print()


if __name__ == "__main__":
    main()
