"""gj.nn as functions: what the namespace holds, and dropout."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphjit as gj
from graphjit.nn import functional
from graphjit.runtime.errors import DtypeError, InvalidArgumentError


def test_the_namespace_holds_every_function() -> None:
    for name in functional.__all__:
        assert getattr(gj.nn, name) is getattr(functional, name)


def test_dropout_keeps_the_mean_and_scales_what_stays() -> None:
    x = gj.ones([200, 200])
    found = np.asarray(gj.nn.dropout(x, rate=0.25, seed=3))
    assert set(np.unique(found)) == {np.float32(0), np.float32(1) / np.float32(0.75)}
    assert found.mean() == pytest.approx(1.0, abs=0.02)


def test_dropout_draws_the_same_in_both_modes() -> None:
    """Row I1: one seed, one stream, eager or compiled; the next call goes on in it."""
    x = gj.ones([4, 5])
    gj.random.set_seed(7)
    eager = [np.asarray(gj.nn.dropout(x, 0.5)) for _ in range(2)]
    gj.random.set_seed(7)
    compiled = gj.compile(lambda t: gj.nn.dropout(t, 0.5))
    for wanted in eager:
        np.testing.assert_array_equal(compiled(x), wanted)
    assert not np.array_equal(*eager)


def test_dropout_of_whole_slices() -> None:
    found = np.asarray(gj.nn.dropout(gj.ones([50, 8]), 0.5, noise_shape=[None, 1], seed=1))
    assert all(len(set(row)) == 1 for row in found.tolist())
    assert 0.0 in found and 2.0 in found


def test_the_gradient_passes_where_elements_stay() -> None:
    x = gj.constant(np.arange(1.0, 41.0))
    with gj.GradientTape() as tape:
        tape.watch(x)
        y = gj.nn.dropout(x, 0.5, seed=2)
    np.testing.assert_allclose(tape.gradient(y, x), np.asarray(y) / np.asarray(x))


def test_rate_zero_keeps_everything() -> None:
    x = gj.constant([1.0, 2.0])
    np.testing.assert_array_equal(gj.nn.dropout(x, 0), x)


@pytest.mark.parametrize("rate", [1.0, -0.1, 2, float("nan")])
def test_wrong_rates_are_refused(rate: Any) -> None:
    with pytest.raises(InvalidArgumentError, match=r"rate must be in \[0, 1\)"):
        gj.nn.dropout([1.0], rate)


def test_integers_are_refused() -> None:
    with pytest.raises(DtypeError, match="dropout"):
        gj.nn.dropout([1, 2], 0.5)
