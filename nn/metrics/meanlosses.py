"""Losses as metrics: their mean over all examples."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphjit.compiler.ops.arithmetic import sqrt, square

from ..losses import functions
from ..losses.reducing import as_floats, like, same_rank, with_mask
from ..masks import mask_of
from ..module import snake_case
from .metric import Mean, MeanMetricWrapper


class _Plain(MeanMetricWrapper):
    """A metric of which only the name is chosen."""

    formula: Callable[..., Any]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(type(self).formula, name or snake_case(type(self).__name__), dtype)


def _plain(name: str, formula: Callable[..., Any]) -> Any:
    """A class of metrics: the mean of a function without further arguments."""
    first = (formula.__doc__ or "").strip().splitlines()[0]
    doc = f"The mean over all examples of: {first[0].lower()}{first[1:]}"
    return type(name, (_Plain,), {"formula": staticmethod(formula), "__doc__": doc, "__module__": __name__})


MeanSquaredError = _plain("MeanSquaredError", functions.mean_squared_error)
MeanAbsoluteError = _plain("MeanAbsoluteError", functions.mean_absolute_error)
MeanAbsolutePercentageError = _plain("MeanAbsolutePercentageError", functions.mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _plain("MeanSquaredLogarithmicError", functions.mean_squared_logarithmic_error)
LogCoshError = _plain("LogCoshError", functions.log_cosh)
Hinge = _plain("Hinge", functions.hinge)
SquaredHinge = _plain("SquaredHinge", functions.squared_hinge)
CategoricalHinge = _plain("CategoricalHinge", functions.categorical_hinge)
Poisson = _plain("Poisson", functions.poisson)
KLDivergence = _plain("KLDivergence", functions.kl_divergence)


class RootMeanSquaredError(Mean):
    """The root of the mean squared error over all elements."""

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]  # as Keras
        """Take in a batch."""
        predicted = as_floats(y_pred)
        true, predicted = same_rank(like(y_true, predicted), predicted)
        weights = with_mask(sample_weight, mask_of(y_pred), predicted.dtype, "sum")
        super().update_state(square(predicted - true), weights)

    def result(self) -> Any:
        """The root of the mean."""
        return sqrt(super().result())


class CosineSimilarity(MeanMetricWrapper):
    """The mean cosine of the angle between true and predicted vectors."""

    def __init__(self, name: str | None = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(_cosine, name, dtype, axis=axis)


def _cosine(y_true: Any, y_pred: Any, axis: int) -> Any:
    return -functions.cosine_similarity(y_true, y_pred, axis)


class BinaryCrossentropy(MeanMetricWrapper):
    """The mean binary cross entropy."""

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        more = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(functions.binary_crossentropy, name, dtype, **more)


class CategoricalCrossentropy(MeanMetricWrapper):
    """The mean cross entropy, for labels that are distributions."""

    keeps_labels = True

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        more = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        super().__init__(functions.categorical_crossentropy, name, dtype, **more)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean cross entropy, for labels that are class numbers."""

    keeps_labels = True

    def __init__(
        self, name: str | None = "sparse_categorical_crossentropy", dtype: Any = None, from_logits: bool = False
    ) -> None:
        super().__init__(functions.sparse_categorical_crossentropy, name, dtype, from_logits=from_logits)


__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "KLDivergence",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "RootMeanSquaredError",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]
