"""Small functions that are run three ways: Python on eager tensors, compiled, and differentiated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import graphjit as gj

t = gj.constant


@dataclass(frozen=True)
class Case:
    """A function and arguments for it.

    Attributes:
      has_loose_dtypes: whether the compiled function may give a float where Python gives an int, because a branch
        or loop that is only decided when it runs has one dtype.
      has_gradient: whether to differentiate by the float arguments.
    """

    function: Callable[..., Any]
    arguments: tuple[tuple[Any, ...], ...]
    has_loose_dtypes: bool = False
    has_gradient: bool = True


class Cases(list[Case]):
    """The cases of one file; used as a decorator factory."""

    def __call__(self, *arguments: Any, loose: bool = False, gradient: bool = True) -> Any:
        """Enter a function; each argument is a tuple of arguments, or a single one."""

        def enter(function: Callable[..., Any]) -> Callable[..., Any]:
            calls = tuple(one if isinstance(one, tuple) else (one,) for one in arguments)
            self.append(Case(function, calls, loose, gradient))
            return function

        return enter

    @property
    def parametrize(self) -> Any:
        """A mark that runs a test for each case."""
        return pytest.mark.parametrize("case", self, ids=[case.function.__name__ for case in self])


def require_parity(case: Case) -> None:
    """Compare the ways to run a function."""
    compiled = gj.compile(case.function)
    inside = _differentiated(case.function)
    for place, arguments in enumerate(case.arguments):
        want = case.function(*arguments)
        _require_equal(compiled(*arguments), want, not case.has_loose_dtypes)
        sources = _sources(arguments)
        if not (case.has_gradient and sources):
            continue
        gradients = _gradients(case.function, arguments)
        _require_equal_gradients(inside(*arguments), gradients)
        if place == 0:  # the others would compile the same graphs
            _require_equal_gradients(_gradients(compiled, arguments), gradients)


def _require_equal(got: Any, want: Any, with_dtypes: bool) -> None:
    leaves, wanted = gj.nest.flatten(got), gj.nest.flatten(want)
    assert len(leaves) == len(wanted)
    for one, other in zip(leaves, wanted, strict=True):
        if other is None or isinstance(other, str):
            assert one == other
            continue
        tensor = gj.convert_to_tensor(other)
        if with_dtypes:
            assert one.dtype == tensor.dtype
        np.testing.assert_allclose(np.asarray(one), np.asarray(tensor), rtol=1e-5, atol=1e-6)


def _sources(arguments: tuple[Any, ...]) -> list[Any]:
    return [one for one in arguments if gj.is_tensor(one) and one.dtype.is_floating]


def _differentiated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The gradients, computed inside of a compiled function, by NumPy: natively the other way runs."""

    def gradients(*arguments: Any) -> Any:
        return _gradients(function, arguments)

    return gj.compile(gradients, backend="numpy")


def _gradients(function: Callable[..., Any], arguments: tuple[Any, ...]) -> list[Any]:
    sources = _sources(arguments)
    with gj.GradientTape() as tape:
        for one in sources:
            tape.watch(one)
        results = function(*arguments)
        targets = [one for one in gj.nest.flatten(results) if gj.is_tensor(one) and one.dtype.is_floating]
        target = gj.add_n([gj.reduce_sum(one) for one in targets]) if targets else None
    if target is None:
        return []
    return list(tape.gradient(target, sources, unconnected_gradients="zero"))


def _require_equal_gradients(got: list[Any], want: list[Any]) -> None:
    for one, other in zip(got, want, strict=False):
        np.testing.assert_allclose(np.asarray(one), np.asarray(other), rtol=1e-4, atol=1e-5)
