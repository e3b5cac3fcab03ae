"""Metrics: numbers that gather over batches. Their state is variables, so they run in compiled steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.compiler.operand import as_operand
from graphjit.compiler.ops.arithmetic import divide_no_nan
from graphjit.compiler.ops.casting import cast
from graphjit.compiler.ops.reduction import reduce_mean, reduce_sum
from graphjit.compiler.ops.shaping import expand_dims, squeeze
from graphjit.compiler.ops.sizes import size_of
from graphjit.compiler.tensortype import TensorShape, as_dtype
from graphjit.tracer.attributes import not_listening
from graphjit.tracer.converting import as_called
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.variable import Variable

from .. import initializers
from ..byname import Configurable, serialize
from ..losses.reducing import as_floats, like, same_rank, with_mask
from ..masks import mask_of
from ..module import snake_case
from ..precision import floatx


class Metric(Configurable):
    """Something that is measured over many batches.

    A subclass makes its state with `add_weight` in `__init__`, changes it in `update_state`, and computes
    `result` of it. Calling the metric updates it and returns the result.

    Args:
      name: by default the class's name in snake_case.
      dtype: of its state; by default that of `floatx()`.

    >>> import graphjit as gj
    >>> class Largest(gj.keras.metrics.Metric):
    ...     def __init__(self, **kwargs):
    ...         super().__init__(**kwargs)
    ...         self.largest = self.add_weight("largest", initializer="zeros")
    ...     def update_state(self, values, sample_weight=None):
    ...         self.largest.assign(gj.maximum(self.largest, gj.reduce_max(values)))
    ...     def result(self):
    ...         return self.largest
    >>> metric = Largest()
    >>> print(float(metric([1.0, 3.0])), float(metric([2.0])))
    3.0 3.0
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        """A metric without state yet."""
        made = super().__new__(cls)
        made._variables = []
        return made

    _variables: list[Any]
    name: str = ""
    _dtype: str = "float32"

    def __init__(self, name: str | None = None, dtype: Any = None, **kwargs: Any) -> None:
        self.name = name or snake_case(type(self).__name__)
        self._dtype = as_dtype(dtype or floatx()).name

    @property
    def dtype(self) -> str:
        """The dtype of its state."""
        return self._dtype

    @property
    def variables(self) -> list[Any]:
        """What it keeps."""
        return list(self._variables)

    weights = variables

    def own_items(self) -> list[tuple[tuple[str, ...], Any]]:
        """Pairs of path and variable, for checkpoints."""
        return [((str(number),), variable) for number, variable in enumerate(self._variables)]

    def add_weight(
        self,
        name: Any = None,
        shape: Any = (),
        aggregation: Any = None,
        synchronization: Any = None,
        initializer: Any = None,
        dtype: Any = None,
    ) -> Any:
        """A new variable that `reset_state` sets to 0.

        Args:
          name: of the variable; a shape in its place is accepted, as in Keras 3.
          shape: a scalar by default.
          initializer: zeros by default.
        """
        if name is not None and not isinstance(name, str):
            name, shape = None, name
        wanted = as_dtype(dtype or self._dtype)
        with init_scope():
            start = initializers.get(initializer or "zeros")(tuple(TensorShape(shape)), dtype=wanted.name)
            variable = Variable(cast(start, wanted), trainable=False, name=name or "variable", dtype=wanted)
        self._variables.append(variable)
        return variable

    add_variable = add_weight

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Take in a batch."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state(...)")

    def result(self) -> Any:
        """What was measured since the last `reset_state`."""
        raise NotImplementedError(f"{type(self).__name__} must define result()")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Update the state, and return the result."""
        as_called(self.update_state)(*args, **kwargs)
        return as_operand(self.result())

    def reset_state(self) -> None:
        """Start again: all variables become 0."""
        for variable in self._variables:
            variable.assign(np.zeros(variable.array.shape, variable.array.dtype))

    def reset_states(self) -> None:
        """The same as `reset_state`."""
        self.reset_state()

    def get_config(self) -> dict[str, Any]:
        """The arguments that every metric has."""
        return {"name": self.name, "dtype": self._dtype}

    def __repr__(self) -> str:
        return f"<gj.nn.metrics.{type(self).__name__} name={self.name}>"


def resetting(metric: Any) -> None:
    """Reset a metric by the method that it has; a user's class may define either of the two."""
    own = type(metric)
    if own.reset_states is not Metric.reset_states:
        metric.reset_states()
    else:
        metric.reset_state()


class Sum(Metric):
    """The sum of all values."""

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_weight("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Add values, each times its weight."""
        weighted, _ = _weighted(values, sample_weight, self._dtype)
        self.total.assign_add(reduce_sum(weighted))

    def result(self) -> Any:
        """The sum."""
        return self.total.read_value()


class Mean(Metric):
    """The weighted mean of all values.

    >>> mean = Mean()
    >>> mean.update_state([1.0, 3.0]); mean.update_state(8.0)
    >>> print(float(mean.result()))
    4.0
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name, dtype)
        self.total = self.add_weight("total")
        self.count = self.add_weight("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Take in values, each with its weight."""
        weighted, count = _weighted(values, sample_weight, self._dtype)
        self.total.assign_add(reduce_sum(weighted))
        self.count.assign_add(count)

    def result(self) -> Any:
        """The mean; 0 before the first value."""
        return divide_no_nan(self.total.read_value(), self.count.read_value())


def _weighted(values: Any, sample_weight: Any, dtype: str) -> tuple[Any, Any]:
    """Values times weights, and the sum of the weights."""
    numbers = cast(as_operand(values), dtype)
    if sample_weight is None:
        return numbers, cast(size_of(numbers), dtype)
    weights = cast(as_operand(sample_weight), dtype)
    while weights.type.rank > numbers.type.rank and weights.type.shape[-1] == 1:
        weights = squeeze(weights, -1)
    while 0 < weights.type.rank < numbers.type.rank:
        weights = expand_dims(weights, -1)
    return numbers * weights, reduce_sum(weights + numbers * 0.0)


class MeanMetricWrapper(Mean):
    """The mean of a function of true and predicted values.

    Args:
      fn: the function, of y_true and y_pred; further keyword arguments are handed on to it.
    """

    keeps_labels = False

    def __init__(self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **arguments: Any) -> None:
        super().__init__(name or getattr(fn, "__name__", "mean"), dtype)
        self._function = fn
        self._arguments = arguments

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]  # as Keras
        """Take in a batch."""
        with not_listening():
            function, arguments = self._function, self._arguments
        predicted = as_floats(y_pred)
        true = as_operand(y_true)
        if not self.keeps_labels:
            true, predicted = same_rank(like(true, predicted), predicted)
        weights = with_mask(sample_weight, mask_of(y_pred), self._dtype, "sum")
        super().update_state(as_called(function)(true, predicted, **arguments), weights)

    def get_config(self) -> dict[str, Any]:
        """The arguments."""
        own = {"fn": serialize(self._function)} if type(self) is MeanMetricWrapper else {}
        return {**super().get_config(), **own, **self._arguments}


def mean_of(values: Any) -> Any:
    """The mean over the last axis; a vector as it is."""
    return reduce_mean(values, -1) if values.type.rank > 1 else values


__all__ = ["Mean", "MeanMetricWrapper", "Metric", "Sum"]
