"""Passes over data: training, measuring and asking a model, batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from graphjit.compiler.operand import Operand
from graphjit.runtime.errors import InvalidArgumentError
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.state import State
from graphjit.tracer.structure import flatten, unflatten

from ..callbacks.callback import CallbackList, History
from ..callbacks.writing import ProgressLine
from .batches import ArrayBatches, IteratedBatches, array_parts, is_arrays, make_batches, split_off, three_parts
from .steps import Steps

Batches = ArrayBatches | IteratedBatches


class Passes(Steps):
    """The part of a model that goes over data. Abstract: see `Model`."""

    stop_training: bool = False
    history: History | None = None

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Iterable[Any] | None = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        class_weight: Mapping[int, float] | None = None,
        sample_weight: Any = None,
        initial_epoch: int = 0,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
        validation_freq: int = 1,
        **kwargs: Any,
    ) -> History:
        """Train the model; each step is one call of a compiled function.

        Args:
          x: inputs: an array, a structure of arrays, or something that gives batches (inputs, targets) or (inputs,
            targets, weights): a `gj.data.Dataset`, a generator, a list of tuples.
          y: targets, where x is arrays.
          batch_size: 32 by default.
          epochs: the number of passes over the data; with `initial_epoch` the number of the last one.
          verbose: 0 for silence, 1 ("auto") for a line of progress, 2 for a line for each epoch.
          callbacks: see `gj.keras.callbacks`.
          validation_split: the part of the arrays, from their end, on which the model is measured after each epoch.
          validation_data: a tuple (x, y) or (x, y, weights) of arrays, or something that gives batches.
          shuffle: whether each epoch has another order; it follows `gj.random.set_seed`.
          class_weight, sample_weight: what the losses of examples are multiplied by.
          steps_per_epoch, validation_steps: how many batches make a pass over something that gives batches.

        Returns:
          A `History`: `history.history["loss"]` holds one number for each epoch.
        """
        self._required()
        _require_count("epochs", epochs)
        train, validation = self._data(
            (x, y, sample_weight), batch_size, validation_split, validation_data, shuffle, class_weight, steps_per_epoch
        )
        measured = self._validation_batches(validation, validation_batch_size or batch_size, validation_steps)
        self.history = History()
        verbose = 1 if verbose == "auto" else int(verbose)
        # The history comes last: callbacks may add to the logs.
        every = [*(callbacks or ()), self.history]
        listeners = CallbackList(every, self, epochs=epochs, steps=_count(train), verbose=verbose)
        self.stop_training = False
        listeners.tell("on_train_begin")
        logs: dict[str, Any] = {}
        for epoch in range(initial_epoch, epochs):
            self.reset_metrics()
            listeners.tell("on_epoch_begin", epoch)
            if verbose:
                print(f"Epoch {epoch + 1}/{epochs}")
            line = ProgressLine(_count(train), verbose)
            done, logs = self._run_epoch("train", train, listeners, line)
            if measured is not None and (epoch + 1) % validation_freq == 0:
                logs.update({f"val_{name}": value for name, value in self._measure(measured, listeners).items()})
            line.finish(done, logs)
            listeners.tell("on_epoch_end", epoch, logs)
            if self.stop_training:
                break
        listeners.tell("on_train_end", logs)
        return self.history

    def _data(
        self,
        given: tuple[Any, Any, Any],
        batch_size: int | None,
        validation_split: float,
        validation_data: Any,
        shuffle: bool,
        class_weight: Mapping[int, float] | None,
        steps: int | None,
    ) -> tuple[Batches, Any]:
        """Batches for training, and what is left for validation."""
        x, y, sample_weight = given
        if not validation_split or validation_data is not None:
            seed = _seed() if shuffle else None
            made = make_batches(x, y, sample_weight, batch_size, steps, shuffle, class_weight, seed)
            return made, validation_data
        if not is_arrays(x):
            raise InvalidArgumentError("validation_split needs arrays; give batches for validation as validation_data")
        parts, rest = split_off(array_parts(x, y, sample_weight, class_weight), validation_split)
        return ArrayBatches(parts, batch_size or 32, shuffle, _seed() if shuffle else None), rest

    def _validation_batches(self, data: Any, batch_size: int | None, steps: int | None) -> Batches | None:
        if data is None:
            return None
        if isinstance(data, tuple):
            x, y, sample_weight = three_parts(data)
            return make_batches(x, y, sample_weight, batch_size, steps)
        if isinstance(data, np.ndarray | Operand):
            raise InvalidArgumentError(
                "validation_data is a tuple of inputs and targets, (x, y), or something that gives batches; not "
                f"one array of shape {tuple(data.shape)}"
            )
        return make_batches(data, steps=steps)

    def _run_epoch(
        self, kind: str, batches: Batches, listeners: CallbackList, line: ProgressLine
    ) -> tuple[int, dict[str, Any]]:
        """All batches once; returns how many there were, and what was measured."""
        step, returns_logs = self._step(kind)
        told = listeners.listens(*_BATCH_EVENTS[kind])
        logs: Any = None
        done = 0
        for data in batches:
            if told:
                _tell_all(listeners, _BATCH_EVENTS[kind][::2], done)
            logs = step(*data)
            done += 1
            if told:
                _tell_all(listeners, _BATCH_EVENTS[kind][1::2], done - 1, self._logs(logs, returns_logs))
            if line.is_due():
                line.show(done, self._logs(logs, returns_logs))
            if self.stop_training and kind == "train":
                break
        if not done:
            raise InvalidArgumentError("the data gave no batch; a generator that was used up gives none")
        self._note_weights()
        return done, self._logs(logs, returns_logs)

    def _logs(self, returned: Any, returns_logs: bool) -> dict[str, Any]:
        """What was measured, as floats by name."""
        if returns_logs:
            if not isinstance(returned, Mapping):
                raise InvalidArgumentError("train_step and test_step return a dict of names and numbers")
            return {str(name): float(value) for name, value in returned.items()}
        return {metric.name: _as_number(metric.result()) for metric in self.metrics}

    def _measure(self, batches: Batches, listeners: CallbackList) -> dict[str, Any]:
        self.reset_metrics()
        listeners.tell("on_test_begin")
        _, logs = self._run_epoch("test", batches, listeners, ProgressLine(None, 0))
        listeners.tell("on_test_end", logs)
        return logs

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        sample_weight: Any = None,
        steps: int | None = None,
        callbacks: Iterable[Any] | None = None,
        return_dict: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Measure loss and metrics; arguments: see `fit`.

        Returns:
          The loss; or a list of the loss and the metrics; or a dict by names.
        """
        self._required()
        batches = make_batches(x, y, sample_weight, batch_size, steps)
        verbose = 1 if verbose == "auto" else int(verbose)
        listeners = CallbackList(callbacks, self, epochs=1, steps=_count(batches), verbose=verbose)
        line = ProgressLine(_count(batches), verbose)
        self.reset_metrics()
        listeners.tell("on_test_begin")
        done, logs = self._run_epoch("test", batches, listeners, line)
        line.finish(done, logs)
        listeners.tell("on_test_end", logs)
        if return_dict:
            return logs
        values = list(logs.values())
        return values[0] if len(values) == 1 else values

    def predict(
        self,
        x: Any,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        callbacks: Iterable[Any] | None = None,
    ) -> Any:
        """What the model gives for all examples, as arrays; the step is compiled.

        Args:
          x: see `fit`; targets in batches are ignored.
          batch_size: 32 by default.
        """
        batches = make_batches(x, None, None, batch_size, steps)
        listeners = CallbackList(callbacks, self, steps=_count(batches), verbose=0)
        listeners.tell("on_predict_begin")
        step: Any = self._predict_batch
        if self.run_eagerly:
            step = step.eager
        results: list[list[Any]] = []
        structure: Any = None
        for number, data in enumerate(batches):
            listeners.tell("on_predict_batch_begin", number)
            leaves, structure = flatten(step(data[0]))
            results.append([np.asarray(leaf) for leaf in leaves])
            listeners.tell("on_predict_batch_end", number)
        listeners.tell("on_predict_end")
        if not results:
            raise InvalidArgumentError("the data gave no batch; a generator that was used up gives none")
        return unflatten(structure, [np.concatenate(parts) for parts in zip(*results, strict=True)])

    def train_on_batch(
        self, x: Any, y: Any = None, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = False
    ) -> Any:
        """One step of training; returns what the metrics measured on this batch."""
        return self._run_batch("train", array_parts(x, y, sample_weight, class_weight), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Measure on one batch; returns what the metrics measured on it."""
        return self._run_batch("test", array_parts(x, y, sample_weight), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """What the model gives for one batch, as arrays."""
        leaves, structure = flatten(self._predict_batch(*array_parts(x, None, None)))
        return unflatten(structure, [np.asarray(leaf) for leaf in leaves])

    def _run_batch(self, kind: str, parts: tuple[Any, ...], return_dict: bool) -> Any:
        self._required()
        step, returns_logs = self._step(kind)
        self.reset_metrics()
        logs = self._logs(step(*parts), returns_logs)
        values = list(logs.values())
        return logs if return_dict else values[0] if len(values) == 1 else values


_BATCH_EVENTS = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
}


def _tell_all(listeners: CallbackList, events: Sequence[str], *args: Any) -> None:
    for event in events:
        listeners.tell(event, *args)


def _count(batches: Batches) -> int | None:
    count = len(batches) if isinstance(batches, ArrayBatches) else batches.count()
    return None if count < 0 else count


def _seed() -> int:
    """A seed from the global stream, so that `gj.random.set_seed` makes training repeatable."""
    from graphjit.tracer.generator import uniform

    with init_scope():
        return int(np.asarray(uniform([], 0, 2**31 - 1, "int32")))


def _as_number(value: Any) -> Any:
    array = np.asarray(value.read_value() if isinstance(value, State) else value)
    return float(array) if array.ndim == 0 else array


def _require_count(name: str, count: Any) -> None:
    if not hasattr(count, "__index__"):
        raise InvalidArgumentError(f"{name} is a whole number, not {count!r}")


__all__: list[str] = []
