"""Callbacks that change or end training by what was measured."""

from __future__ import annotations

import inspect
import math
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from graphjit.runtime.errors import InvalidArgumentError

from .callback import Callback, Logs

_MODES = ("auto", "min", "max")


class _Watching(Callback):
    """Knows whether a metric has become better."""

    def __init__(self, monitor: str, mode: str, min_delta: float = 0.0) -> None:
        if mode not in _MODES:
            raise InvalidArgumentError(f"mode is one of {', '.join(_MODES)}, not {mode!r}")
        self.monitor = monitor
        growing = mode == "max" or (mode == "auto" and _should_grow(monitor))
        self._sign = 1.0 if growing else -1.0
        self.min_delta = abs(min_delta)
        self.best = -math.inf * self._sign

    def _value(self, logs: Logs) -> float | None:
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ", ".join(logs or {}) or "nothing"
            warnings.warn(
                f"{type(self).__name__} watches {self.monitor!r}, which is not measured; there are: {known}",
                UserWarning,
                stacklevel=4,
            )
            return None
        return float(value)

    def _is_better(self, value: float, than: float) -> bool:
        return self._sign * (value - than) > self.min_delta


def _should_grow(monitor: str) -> bool:
    return monitor.endswith(("acc", "accuracy", "auc", "precision", "recall")) or monitor.startswith("fmeasure")


class EarlyStopping(_Watching):
    """Ends training when a metric has not become better for some epochs.

    Args:
      monitor: the metric's name in the logs.
      min_delta: less than that is not better.
      patience: how many epochs without anything better are put up with.
      verbose: 1 to say so.
      mode: "min", "max", or "auto": accuracies are to grow, everything else is to fall.
      baseline: what must be reached for anything to count as better.
      restore_best_weights: whether the weights of the best epoch are put back at the end.
      start_from_epoch: how many epochs do not count at first.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0.0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience, self.verbose, self.baseline = patience, verbose, baseline
        self.restore_best_weights, self.start_from_epoch = restore_best_weights, start_from_epoch
        self.stopped_epoch = 0
        self.best_epoch = 0
        self._weights: list[Any] | None = None
        self.wait = 0

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start with nothing reached."""
        self.wait, self.stopped_epoch, self.best_epoch, self._weights = 0, 0, 0, None
        self.best = -math.inf * self._sign if self.baseline is None else self.baseline

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Compare, and stop if it has been enough."""
        value = self._value(logs) if epoch >= self.start_from_epoch else None
        if value is None:
            return
        if self.restore_best_weights and self._weights is None:
            self._weights = self.model.get_weights()
        if self._is_better(value, self.best):
            self.best, self.best_epoch, self.wait = value, epoch, 0
            if self.restore_best_weights:
                self._weights = self.model.get_weights()
            return
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs = None) -> None:
        """Say that it was stopped, and put the best weights back."""
        if self.stopped_epoch and self.verbose:
            print(f"Epoch {self.stopped_epoch + 1}: early stopping")
        if self.restore_best_weights and self._weights is not None:
            self.model.set_weights(self._weights)


class ModelCheckpoint(_Watching):
    """Saves the model, or its weights, after epochs.

    Args:
      filepath: where to; `{epoch}` and the metrics' names in it are filled in: "model-{epoch:02d}-{val_loss:.2f}".
      monitor, mode: see `EarlyStopping`; only `save_best_only` looks at them.
      verbose: 1 to say so.
      save_best_only: whether only epochs that are better than all before are saved.
      save_weights_only: whether weights are saved rather than the whole model.
      save_freq: "epoch", or a number of batches.
      initial_value_threshold: what the first saved epoch must be better than.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode)
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise InvalidArgumentError(f"save_freq is 'epoch' or a number of batches, not {save_freq!r}")
        self.filepath, self.verbose = os.fspath(filepath), verbose
        self.save_best_only, self.save_weights_only, self.save_freq = save_best_only, save_weights_only, save_freq
        if initial_value_threshold is not None:
            self.best = initial_value_threshold
        self._epoch = 0
        self._batches = 0
        if save_freq != "epoch":
            # Who defines this is told of each batch, which costs time.
            self.on_train_batch_end = self._count  # type: ignore[method-assign]  # see above

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Note the epoch."""
        self._epoch = epoch

    def _count(self, batch: int, logs: Logs = None) -> None:
        self._batches += 1
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save(self._epoch, logs)

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Save."""
        if self.save_freq == "epoch":
            self._save(epoch, logs)

    def _save(self, epoch: int, logs: Logs) -> None:
        if self.save_best_only:
            value = self._value(logs)
            if value is None or not self._is_better(value, self.best):
                return
            self.best = value
        path = self.filepath.format(epoch=epoch + 1, **(logs or {}))
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: saving model to {path}")
        if self.save_weights_only:
            self.model.save_weights(path)
        else:
            self.model.save(path)


class LearningRateScheduler(Callback):
    """Sets the learning rate at the start of each epoch.

    Args:
      schedule: a function of the epoch, or of the epoch and the present rate.
      verbose: 1 to say so.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose
        self._takes_rate = len(inspect.signature(schedule).parameters) > 1

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """Set the rate."""
        present = float(np.asarray(self.model.optimizer.learning_rate))
        rate = float(self.schedule(epoch, present) if self._takes_rate else self.schedule(epoch))
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the rate to the logs."""
        if isinstance(logs, dict):
            logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))


class ReduceLROnPlateau(_Watching):
    """Multiplies the learning rate by `factor` when a metric has not become better for some epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if factor >= 1:
            raise InvalidArgumentError(f"the factor is less than 1, not {factor}")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.wait = self._rest = 0

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Add the rate to the logs, compare, and reduce the rate if it has been enough."""
        if isinstance(logs, dict):
            logs["learning_rate"] = float(np.asarray(self.model.optimizer.learning_rate))
        value = self._value(logs)
        if value is None:
            return
        if self._rest:
            self._rest, self.wait = self._rest - 1, 0
        if self._is_better(value, self.best):
            self.best, self.wait = value, 0
        elif not self._rest:
            self.wait += 1
            if self.wait >= self.patience:
                self._reduce(epoch)

    def _reduce(self, epoch: int) -> None:
        present = float(np.asarray(self.model.optimizer.learning_rate))
        if present > self.min_lr:
            rate = max(present * self.factor, self.min_lr)
            self.model.optimizer.learning_rate = rate
            if self.verbose:
                print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")
            self._rest, self.wait = self.cooldown, 0


class TerminateOnNaN(Callback):
    """Ends training when the loss is not a number any more."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """Look at the loss."""
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            print(f"Batch {batch}: Invalid loss, terminating training")
            self.model.stop_training = True


__all__ = ["EarlyStopping", "LearningRateScheduler", "ModelCheckpoint", "ReduceLROnPlateau", "TerminateOnNaN"]
