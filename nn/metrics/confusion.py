"""Metrics of yes-or-no predictions: counts of right and wrong ones, and quotients of these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import divide_no_nan
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.comparing import greater, logical_and, logical_not
from graphjit.compiler.ops.reduction import reduce_sum
from graphjit.compiler.ops.selecting import maximum, where
from graphjit.compiler.ops.shaping import expand_dims, reshape
from graphjit.compiler.ops.transcendental import log, sigmoid
from graphjit.runtime.errors import InvalidArgumentError, UnimplementedError

from ..losses.reducing import as_floats, like, same_rank
from .metric import Metric


class _Counting(Metric):
    """Counts, for each threshold, examples that are right or wrong in certain ways.

    `counted` names them: a prediction is positive above the threshold, and true where it equals the label.
    """

    counted: tuple[str, ...] = ()

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        super().__init__(name, dtype)
        self.thresholds = thresholds
        limits = [0.5] if thresholds is None else thresholds
        self._limits = [float(one) for one in (limits if isinstance(limits, Sequence | np.ndarray) else [limits])]
        if not all(0 <= one <= 1 for one in self._limits):
            raise InvalidArgumentError(f"thresholds lie in [0, 1], not {self._limits}")
        self._counts = {kind: self.add_weight(kind, (len(self._limits),)) for kind in self.counted}
        for kind, variable in self._counts.items():
            setattr(self, kind, variable)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        predicted = as_floats(y_pred)
        true, predicted = same_rank(like(y_true, predicted), predicted)
        weights = None if sample_weight is None else _as_row(_spread(sample_weight, predicted))
        truth = _as_row(true) > 0.5
        limits = as_operand(np.array(self._limits, predicted.dtype.numpy))
        positive = greater(_as_row(predicted), expand_dims(limits, 1))
        for kind, variable in self._counts.items():
            right = truth if kind in ("true_positives", "false_negatives") else logical_not(truth)
            chosen = positive if kind.endswith("positives") else logical_not(positive)
            hits = cast(logical_and(chosen, right), self._dtype)
            variable.assign_add(reduce_sum(hits if weights is None else hits * cast(weights, self._dtype), 1))

    def _one_or_all(self, values: Any) -> Any:
        """A scalar where there is one threshold."""
        return values[0] if len(self._limits) == 1 else values

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "thresholds": self.thresholds}


def _as_row(values: Any) -> Any:
    return reshape(values, [1, -1])


def _spread(sample_weight: Any, like_this: Any) -> Any:
    weights = as_operand(sample_weight)
    while 0 < weights.type.rank < like_this.type.rank:
        weights = expand_dims(weights, -1)
    return cast(weights, like_this.dtype) + like_this * 0.0


class _Count(_Counting):
    def result(self) -> Any:
        """The count."""
        return self._one_or_all(self._counts[self.counted[0]].read_value())


class TruePositives(_Count):
    """How many positives were found."""

    counted = ("true_positives",)


class FalsePositives(_Count):
    """How many negatives were taken for positives."""

    counted = ("false_positives",)


class TrueNegatives(_Count):
    """How many negatives were found."""

    counted = ("true_negatives",)


class FalseNegatives(_Count):
    """How many positives were missed."""

    counted = ("false_negatives",)


class _Quotient(_Counting):
    """The first count divided by the sum of both."""

    true_positives: Any

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        if top_k is not None:
            raise UnimplementedError(f"{type(self).__name__} counts by thresholds, not among the greatest (top_k)")
        super().__init__(thresholds, name, dtype)
        self.class_id = class_id

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch; with class_id only the column of that class."""
        if self.class_id is not None:
            y_true, y_pred = as_operand(y_true)[..., self.class_id], as_operand(y_pred)[..., self.class_id]
        super().update_state(y_true, y_pred, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        return {**super().get_config(), "class_id": self.class_id}

    def result(self) -> Any:
        """The quotient; 0 before the first example."""
        first, second = (self._counts[kind].read_value() for kind in self.counted)
        return self._one_or_all(divide_no_nan(first, first + second))


class Precision(_Quotient):
    """How many of the predicted positives are true.

    >>> precision = Precision()
    >>> print(float(precision([0, 1, 1, 1], [1, 0, 1, 1])))
    0.666...
    """

    counted = ("true_positives", "false_positives")
    false_positives: Any


class Recall(_Quotient):
    """How many of the positives were found."""

    counted = ("true_positives", "false_negatives")
    false_negatives: Any


class AUC(_Counting):
    """The area under the curve of recall over false alarms (ROC), or of precision over recall (PR).

    Args:
      num_thresholds: how many thresholds approximate the curve.
      curve: "ROC" or "PR".
      from_logits: whether predictions are logits.

    The trapezoidal rule is used for ROC. Between two points of PR, true positives are taken to grow in proportion to
    predicted ones, over which precision is then integrated (Davis and Goadrich 2006).
    """

    counted = ("true_positives", "true_negatives", "false_positives", "false_negatives")

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        name: str | None = "auc",
        dtype: Any = None,
        from_logits: bool = False,
    ) -> None:
        if curve not in ("ROC", "PR"):
            raise InvalidArgumentError(f"the curve is 'ROC' or 'PR', not {curve!r}")
        inner = [step / (num_thresholds - 1) for step in range(1, num_thresholds - 1)]
        super().__init__([0.0, *inner, 1.0], name, dtype)
        self._limits[0], self._limits[-1] = -1e-7, 1.0 + 1e-7
        self.num_thresholds, self.curve, self.from_logits = num_thresholds, curve, from_logits

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Take in a batch."""
        predicted = as_floats(y_pred)
        super().update_state(y_true, sigmoid(predicted) if self.from_logits else predicted, sample_weight)

    def result(self) -> Any:
        """The area."""
        hits, rejects, alarms, misses = (self._counts[kind].read_value() for kind in self.counted)
        recall = divide_no_nan(hits, hits + misses)
        if self.curve == "PR":
            return _area_under_precision(hits, hits + alarms, hits + misses)
        places = divide_no_nan(alarms, alarms + rejects)
        return reduce_sum((places[:-1] - places[1:]) * (recall[:-1] + recall[1:]) / 2.0)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        config = super().get_config()
        del config["thresholds"]
        more = {"num_thresholds": self.num_thresholds, "curve": self.curve, "from_logits": self.from_logits}
        return {**config, **more}


def _area_under_precision(hits: Any, predicted: Any, positives: Any) -> Any:
    """The area under precision over recall; the counts fall from one threshold to the next."""
    slope = divide_no_nan(hits[:-1] - hits[1:], maximum(predicted[:-1] - predicted[1:], 0.0))
    start = hits[1:] - slope * predicted[1:]
    both = logical_and(predicted[:-1] > 0.0, predicted[1:] > 0.0)
    ratio = where(both, divide_no_nan(predicted[:-1], maximum(predicted[1:], 0.0)), 1.0)
    pieces = slope * (hits[:-1] - hits[1:] + start * log(ratio))
    return reduce_sum(divide_no_nan(pieces, maximum(positives[1:], 0.0)))


__all__ = ["AUC", "FalseNegatives", "FalsePositives", "Precision", "Recall", "TrueNegatives", "TruePositives"]
