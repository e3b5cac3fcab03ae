"""The losses and metrics that a model was compiled with, for one output or several."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.reduction import reduce_mean
from graphjit.compiler.ops.sizes import size_along
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.converting import as_called
from graphjit.tracer.structure import flatten

from .. import losses as losses_module, metrics as metrics_module
from ..losses.functions import sparse_categorical_crossentropy
from ..losses.loss import Loss, LossFunction, SparseCategoricalCrossentropy
from ..metrics.metric import Mean, MeanMetricWrapper, Metric, resetting


def as_loss(identifier: Any) -> Any:
    """A loss object for a name, a function or an object."""
    found = losses_module.get(identifier)
    if found is None or isinstance(found, Loss):
        return found
    if found is sparse_categorical_crossentropy:
        return SparseCategoricalCrossentropy()
    return LossFunction(found)


_ACCURACIES = ("accuracy", "acc")
_CROSSENTROPIES = ("crossentropy", "ce")


def as_metric(identifier: Any, y_true: Any, y_pred: Any) -> Metric:
    """A metric object for a name, a function or an object; 'accuracy' is chosen by the shapes, as in Keras."""
    chosen = identifier
    if isinstance(identifier, str) and identifier.lower() in (*_ACCURACIES, *_CROSSENTROPIES):
        ending = "accuracy" if identifier.lower() in _ACCURACIES else "crossentropy"
        chosen = f"{_kind_of_labels(y_true, y_pred)}_{ending}"
    found = metrics_module.get(chosen)
    if isinstance(found, type):
        found = found()
    metric = found if isinstance(found, Metric) else _as_class(found)
    if isinstance(identifier, str):
        metric.name = identifier
    return metric


def _as_class(function: Any) -> Metric:
    """The metric of a function; those of this library know what becomes of labels."""
    cls = metrics_module.CLASS_OF_FUNCTION.get(function)
    return MeanMetricWrapper(function) if cls is None else cls()


def _kind_of_labels(y_true: Any, y_pred: Any) -> str:
    true, predicted = as_operand(y_true).type.shape, as_operand(y_pred).type.shape
    if not predicted or predicted[-1] == 1 or len(predicted) == 1:
        return "binary"
    if len(true) < len(predicted) or true[-1] == 1:
        return "sparse_categorical"
    return "categorical"


def _for_outputs(value: Any, names: Sequence[str], count: int, what: str) -> list[Any]:
    """What is given for each output: by name, by position, or one thing for all."""
    if isinstance(value, Mapping):
        unknown = set(value) - set(names)
        if unknown:
            raise InvalidArgumentError(f"{what} is given for {sorted(unknown)}, but the outputs are {list(names)}")
        return [value.get(name) for name in names]
    if isinstance(value, list | tuple) and count > 1:
        if len(value) != count:
            raise InvalidArgumentError(f"{what} has {len(value)} entries, but the model has {count} outputs")
        return list(value)
    return [value[0] if isinstance(value, list | tuple) and len(value) == 1 else value] * count


class Scoring:
    """Losses, their weights, and metrics.

    Args: those of `Model.compile`.
    """

    def __init__(self, loss: Any, metrics: Any, loss_weights: Any, weighted_metrics: Any) -> None:
        self._loss = loss
        self._loss_weights = loss_weights
        self._given = (metrics, weighted_metrics)
        self._losses: list[Any] | None = None
        self._weights: list[float] = []
        self._metrics: list[list[tuple[Metric, bool]]] | None = None
        self._output_losses: list[Mean] = []
        self.loss_tracker = Mean(name="loss")
        if loss is not None and not isinstance(loss, list | tuple | Mapping):
            as_loss(loss)

    # --- losses ---

    def loss(self, y_true: Any, y_pred: Any, sample_weight: Any, names: Sequence[str] | None) -> Any:
        """The weighted sum of the outputs' losses; None if the model was compiled without one."""
        predicted, keys = _outputs(y_pred, names)
        if self._losses is None:
            self._build_losses(keys)
        assert self._losses is not None
        true = _targets(y_true, len(predicted), keys)
        weights = _targets(sample_weight, len(predicted), keys)
        terms = []
        several = [one for one in self._losses if one is not None]
        for position, loss in enumerate(self._losses):
            if loss is None:
                continue
            term = loss(true[position], predicted[position], sample_weight=weights[position])
            term = reduce_mean(term) if term.type.rank else term
            if len(several) > 1:
                self._output_losses[position].update_state(term)
            factor = self._weights[position]
            terms.append(term if factor == 1 else term * factor)
        return sum(terms[1:], terms[0]) if terms else None

    def _build_losses(self, keys: Sequence[str]) -> None:
        given = _for_outputs(self._loss, keys, len(keys), "loss")
        self._losses = [as_loss(one) for one in given]
        weights = _for_outputs(self._loss_weights, keys, len(keys), "loss_weights")
        self._weights = [1.0 if one is None else float(one) for one in weights]
        several = sum(one is not None for one in self._losses) > 1
        self._output_losses = [Mean(name=f"{key}_loss") for key in keys] if several else []

    # --- metrics ---

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any, names: Sequence[str] | None) -> None:
        """Let all metrics take in a batch."""
        if not any(self._given):
            return
        predicted, keys = _outputs(y_pred, names)
        true = _targets(y_true, len(predicted), keys)
        weights = _targets(sample_weight, len(predicted), keys)
        if self._metrics is None:
            self._metrics = self._build_metrics(true, predicted, keys)
        for position, metrics in enumerate(self._metrics):
            for metric, is_weighted in metrics:
                weight = weights[position] if is_weighted else None
                as_called(metric.update_state)(true[position], predicted[position], **_if_given(weight))

    def _build_metrics(
        self, true: Sequence[Any], predicted: Sequence[Any], keys: Sequence[str]
    ) -> list[list[tuple[Metric, bool]]]:
        built: list[list[tuple[Metric, bool]]] = [[] for _ in keys]
        for given, is_weighted in zip(self._given, (False, True), strict=True):
            for position, entry in enumerate(_metrics_by_output(given, keys)):
                for one in entry:
                    metric = as_metric(one, true[position], predicted[position])
                    if len(keys) > 1 and not isinstance(one, Metric):
                        metric.name = f"{keys[position]}_{metric.name}"
                    if is_weighted and metric.name in {other.name for other, _ in built[position]}:
                        metric.name = f"weighted_{metric.name}"
                    built[position].append((metric, is_weighted))
        return built

    @property
    def metrics(self) -> list[Metric]:
        """All metrics that exist by now: the mean loss first."""
        given = [metric for group in self._metrics or [] for metric, _ in group]
        return [self.loss_tracker, *self._output_losses, *given]

    def results(self) -> dict[str, Any]:
        """What the metrics measured, by name."""
        return {metric.name: metric.result() for metric in self.metrics}

    def reset(self) -> None:
        """Let all metrics start again."""
        for metric in self.metrics:
            resetting(metric)


def _if_given(weight: Any) -> dict[str, Any]:
    return {} if weight is None else {"sample_weight": weight}


def _metrics_by_output(given: Any, keys: Sequence[str]) -> list[list[Any]]:
    if not given:
        return [[] for _ in keys]
    if len(keys) == 1 and not isinstance(given, Mapping):
        flat = [one for group in given for one in (group if isinstance(group, list | tuple) else [group])]
        return [flat if isinstance(given, list | tuple) else [given]]
    entries = _for_outputs(given, keys, len(keys), "metrics")
    return [list(one) if isinstance(one, list | tuple) else [] if one is None else [one] for one in entries]


def _outputs(y_pred: Any, names: Sequence[str] | None) -> tuple[list[Any], list[str]]:
    """The outputs in order, and their names."""
    if isinstance(y_pred, Mapping):
        return list(y_pred.values()), [str(name) for name in y_pred]
    leaves = flatten(y_pred)[0]
    if names is None or len(names) != len(leaves):
        names = [f"output_{position + 1}" for position in range(len(leaves))]
    return leaves, list(names)


def _targets(value: Any, count: int, keys: Sequence[str]) -> list[Any]:
    """Targets or weights, one for each output."""
    if value is None:
        return [None] * count
    if isinstance(value, Mapping):
        return [value.get(key) for key in keys]
    if count > 1 and isinstance(value, list | tuple):
        if len(value) != count:
            raise InvalidArgumentError(f"the model has {count} outputs, but there are {len(value)} targets")
        return list(value)
    if count == 1 and isinstance(value, list | tuple) and len(value) == 1:
        return [value[0]]
    return [value] * count


def held_metrics(owner: Any) -> list[Metric]:
    """The metrics among an object's attributes, and in lists, tuples and dicts there."""
    found: list[Metric] = []
    waiting = list(vars(owner).values())
    while waiting:
        value = waiting.pop(0)
        if isinstance(value, Metric) and not any(value is one for one in found):
            found.append(value)
        elif isinstance(value, list | tuple):
            waiting = [*value, *waiting]
        elif isinstance(value, Mapping):
            waiting = [*value.values(), *waiting]
    return found


def batch_size_of(x: Any) -> Any:
    """The number of examples in a batch, as a float."""
    first = as_operand(flatten(x)[0][0])
    return cast(size_along(first, 0), "float32") if first.type.rank else 1.0


__all__: list[str] = []
