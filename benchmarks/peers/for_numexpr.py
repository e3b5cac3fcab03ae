"""numexpr: expressions as text, evaluated in blocks by its threads; no erf, no products, and few reductions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numexpr
import numpy as np

from benchmarks.case import Case, Inputs
from benchmarks.workloads.elementwise import GELU_CUBE, GELU_SCALE
from benchmarks.workloads.small import LINKS


def versions() -> dict[str, str]:
    """numexpr's."""
    return {"numexpr": numexpr.__version__}


def make(workload: str, mode: str, inputs: Inputs) -> Case | None:
    """The workload on these arrays."""
    maker = MAKERS.get(workload)
    return maker(**inputs) if maker else None


def evaluated(text: str, **values: Any) -> Case:
    """A case that evaluates one expression; after the first time without parsing it."""
    numexpr.validate(text, local_dict=values, truediv=True)
    return Case(lambda: numexpr.re_evaluate(local_dict=values))


def chain(x: Any) -> Case:
    """E1."""
    two, one, three, half = (x.dtype.type(number) for number in (2, 1, 3, 0.5))
    return evaluated("(((x * two + one) * x - three) * x + half) * x", x=x, two=two, one=one, three=three, half=half)


def activations(x: Any) -> Case:
    """E3: two expressions, as the first one's value is used four times."""
    names = {"one": 1.0, "half": 0.5, "scale": GELU_SCALE, "cube": GELU_CUBE}
    constants = {name: x.dtype.type(value) for name, value in names.items()}

    def call() -> Any:
        y = numexpr.evaluate("tanh(one / (one + exp(-x)))", local_dict={"x": x} | constants)
        return numexpr.evaluate(
            "half * y * (one + tanh(scale * (y + cube * y * y * y)))", local_dict={"y": y} | constants
        )

    return Case(call)


def mean_squared_error(predictions: Any, targets: Any) -> Case:
    """R3b."""
    scale = predictions.dtype.type(2 / predictions.size)
    both = {"p": predictions, "t": targets, "scale": scale}

    def call() -> Any:
        total = numexpr.evaluate("sum((p - t) * (p - t))", local_dict=both)
        return np.asarray(total / predictions.size, predictions.dtype), numexpr.evaluate(
            "scale * (p - t)", local_dict=both
        )

    return Case(call)


def links(x: Any) -> Case:
    """L1b."""
    text = "x"
    for _ in range(LINKS):
        text = f"({text}) * x + half"
    return evaluated(text, x=x, half=x.dtype.type(0.5))


MAKERS: dict[str, Callable[..., Case]] = {
    "E1": chain,
    "E3": activations,
    "R3b": mean_squared_error,
    "L1b": links,
}
