"""Losses as objects: a function of true and predicted values, weighted and averaged over the batch."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.comparing import logical_and
from graphjit.tracer.converting import as_called

from ..byname import Configurable, serialize
from ..masks import mask_of
from ..module import snake_case
from .functions import (
    binary_crossentropy,
    binary_focal_crossentropy,
    categorical_crossentropy,
    categorical_hinge,
    cosine_similarity,
    hinge,
    huber,
    kl_divergence,
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
    poisson,
    sparse_categorical_crossentropy,
    squared_hinge,
)
from .reducing import as_floats, as_reduction, like, reduced, same_rank, weighted, with_mask


class Loss(Configurable):
    """What training minimises. A subclass defines `call(y_true, y_pred)`: one number for each example.

    Args:
      reduction: "sum_over_batch_size" (the mean, the default), "sum", or "none" for one number each.
      name: by default the class's name in snake_case.

    >>> import graphjit as gj
    >>> class MeanSquaredError(gj.keras.losses.Loss):
    ...     def call(self, y_true, y_pred):
    ...         return gj.reduce_mean(gj.square(y_pred - y_true), axis=-1)
    >>> print(float(MeanSquaredError()([[1.0, 2.0]], [[2.0, 4.0]])))
    2.5
    """

    name: str = ""
    reduction: Any = "sum_over_batch_size"

    def __init__(self, reduction: Any = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None:
        self.reduction = as_reduction(reduction)
        self.name = name or snake_case(type(self).__name__)

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """One number for each example."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch.

        Args:
          y_true, y_pred: arrays or tensors; true values are cast to the predictions' dtype.
          sample_weight: for each example what its loss is multiplied by.

        Steps that do not count in the predictions (see `gj.keras.layers.Masking`) do not count here.
        """
        predicted = as_floats(y_pred)
        true = like(y_true, predicted)
        return self._finished(as_called(self.call)(true, predicted), y_pred, sample_weight)

    def _finished(self, values: Any, y_pred: Any, sample_weight: Any) -> Any:
        """The losses of examples, weighted, without those that the predictions' mask leaves out, and reduced."""
        masks = [one for one in (mask_of(y_pred), mask_of(values)) if one is not None]
        mask = reduce(logical_and, masks) if masks else None
        weights = with_mask(sample_weight, mask, values.dtype, self.reduction)
        return reduced(weighted(values, weights), self.reduction)

    def get_config(self) -> dict[str, Any]:
        """The arguments that every loss has."""
        return {"reduction": self.reduction, "name": self.name or snake_case(type(self).__name__)}


class LossFunction(Loss):
    """A loss that calls a function."""

    keeps_labels = False
    """Whether true values are handed on in their own dtype."""

    def __init__(
        self,
        function: Callable[..., Any],
        reduction: Any = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **arguments: Any,
    ) -> None:
        super().__init__(reduction, name or getattr(function, "__name__", None))
        self.function = function
        self.arguments = arguments

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """What the function gives."""
        return as_called(self.function)(*same_rank(y_true, y_pred), **self.arguments)

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """The loss of a batch; see `Loss`."""
        if not self.keeps_labels:
            return super().__call__(y_true, y_pred, sample_weight)
        values = self.function(as_operand(y_true), as_floats(y_pred), **self.arguments)
        return self._finished(values, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {} if type(self) is not LossFunction else {"function": serialize(self.function)}
        return {**super().get_config(), **own, **self.arguments}


class _Plain(LossFunction):
    """A loss of which only reduction and name are chosen."""

    formula: Callable[..., Any]

    def __init__(self, reduction: Any = "sum_over_batch_size", name: str | None = None, dtype: Any = None) -> None:
        super().__init__(type(self).formula, reduction, name or snake_case(type(self).__name__))


def _plain(name: str, formula: Callable[..., Any]) -> Any:
    """A class of losses that calls a function without further arguments."""
    first = (formula.__doc__ or "").strip().splitlines()[0]
    members = {
        "formula": staticmethod(formula),
        "__doc__": f"{first}\n\nArguments: see `Loss`.",
        "__module__": __name__,
    }
    return type(name, (_Plain,), members)


MeanSquaredError = _plain("MeanSquaredError", mean_squared_error)
MeanAbsoluteError = _plain("MeanAbsoluteError", mean_absolute_error)
MeanAbsolutePercentageError = _plain("MeanAbsolutePercentageError", mean_absolute_percentage_error)
MeanSquaredLogarithmicError = _plain("MeanSquaredLogarithmicError", mean_squared_logarithmic_error)
LogCosh = _plain("LogCosh", log_cosh)
Hinge = _plain("Hinge", hinge)
SquaredHinge = _plain("SquaredHinge", squared_hinge)
CategoricalHinge = _plain("CategoricalHinge", categorical_hinge)
Poisson = _plain("Poisson", poisson)
KLDivergence = _plain("KLDivergence", kl_divergence)


class CosineSimilarity(LossFunction):
    """Minus the cosine of the angle between true and predicted vectors along `axis`."""

    def __init__(
        self,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, axis=axis)


class Huber(LossFunction):
    """Half the square of an error up to `delta`, linear beyond."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: Any = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, delta=delta)


class BinaryCrossentropy(LossFunction):
    """The cross entropy of labels 0 and 1; arguments: see `binary_crossentropy` and `Loss`.

    >>> import graphjit as gj
    >>> loss = BinaryCrossentropy(from_logits=True)
    >>> print(round(float(loss(y_true=[0.0, 1.0], y_pred=[0.0, 0.0])), 4))
    0.6931
    """

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy, reduction, name, from_logits=from_logits, label_smoothing=label_smoothing, axis=axis
        )


class BinaryFocalCrossentropy(LossFunction):
    """The binary cross entropy that counts hard examples more; arguments: see `binary_focal_crossentropy`."""

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )


class CategoricalCrossentropy(LossFunction):
    """The cross entropy of labels that are distributions; arguments: see `categorical_crossentropy`."""

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: Any = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The cross entropy of each example."""
        return self.function(y_true, y_pred, **self.arguments)


class SparseCategoricalCrossentropy(LossFunction):
    """The cross entropy of labels that are class numbers; arguments: see `sparse_categorical_crossentropy`.

    >>> import graphjit as gj
    >>> loss = SparseCategoricalCrossentropy(from_logits=True)
    >>> print(round(float(loss([1], [[0.0, 0.0]])), 4))
    0.6931
    """

    keeps_labels = True

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: Any = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy, reduction, name, from_logits=from_logits, ignore_class=ignore_class
        )


__all__ = [
    "BinaryCrossentropy",
    "BinaryFocalCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalHinge",
    "CosineSimilarity",
    "Hinge",
    "Huber",
    "KLDivergence",
    "LogCosh",
    "Loss",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "SparseCategoricalCrossentropy",
    "SquaredHinge",
]
