"""Callbacks: what is told of each epoch and batch of `fit`, `evaluate` and `predict`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphjit.runtime.errors import InvalidArgumentError

Logs = Mapping[str, Any] | None


class Callback:
    """Something that is told what a model is doing. A subclass defines the methods that it needs.

    `logs` are the metrics by name, as floats. Whoever wants to be told of each batch makes the loop read
    the metrics for each batch.

    Attributes:
      model: the model.
      params: a dict with epochs, steps and verbose.
    """

    model: Any = None
    params: Mapping[str, Any] = {}

    def set_model(self, model: Any) -> None:
        """Called once, before everything else."""
        self.model = model

    def set_params(self, params: Mapping[str, Any]) -> None:
        """Called once, before everything else."""
        self.params = params

    def on_train_begin(self, logs: Logs = None) -> None:
        """`fit` begins."""

    def on_train_end(self, logs: Logs = None) -> None:
        """`fit` ends."""

    def on_epoch_begin(self, epoch: int, logs: Logs = None) -> None:
        """An epoch begins; they count from 0."""

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """An epoch ends, validation included."""

    def on_train_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of `fit` begins."""

    def on_train_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch of `fit` ends."""

    def on_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of `fit` begins: an older name."""

    def on_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch of `fit` ends: an older name."""

    def on_test_begin(self, logs: Logs = None) -> None:
        """`evaluate`, or the validation in `fit`, begins."""

    def on_test_end(self, logs: Logs = None) -> None:
        """`evaluate`, or the validation in `fit`, ends."""

    def on_test_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of `evaluate` begins."""

    def on_test_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch of `evaluate` ends."""

    def on_predict_begin(self, logs: Logs = None) -> None:
        """`predict` begins."""

    def on_predict_end(self, logs: Logs = None) -> None:
        """`predict` ends."""

    def on_predict_batch_begin(self, batch: int, logs: Logs = None) -> None:
        """A batch of `predict` begins."""

    def on_predict_batch_end(self, batch: int, logs: Logs = None) -> None:
        """A batch of `predict` ends."""


_EVENTS = tuple(name for name in vars(Callback) if name.startswith("on_"))


class CallbackList:
    """Callbacks that are told together; for each event only those that define it."""

    def __init__(self, callbacks: Iterable[Any] | None, model: Any, **params: Any) -> None:
        self.callbacks = list(callbacks or ())
        for one in self.callbacks:
            if not hasattr(one, "set_params") or isinstance(one, type):
                raise InvalidArgumentError(
                    f"a callback is an object of a class derived from gj.keras.callbacks.Callback, not {one!r}"
                )
            one.set_params(params)
            one.set_model(model)
        self._listeners = {event: [one for one in self.callbacks if _defines(one, event)] for event in _EVENTS}

    def listens(self, *events: str) -> bool:
        """Whether anybody wants to be told of one of these."""
        return any(self._listeners[event] for event in events)

    def tell(self, event: str, *args: Any) -> None:
        """Tell those who define the event."""
        for one in self._listeners[event]:
            getattr(one, event)(*args)


def _defines(callback: Any, event: str) -> bool:
    own = getattr(type(callback), event, None)
    return (own is not None and own is not getattr(Callback, event)) or event in vars(callback)


class History(Callback):
    """What each epoch measured.

    Attributes:
      history: lists by the metrics' names.
      epoch: the numbers of the epochs.
    """

    def __init__(self) -> None:
        self.history: dict[str, list[float]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: Logs = None) -> None:
        """Start with no epochs."""
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: Logs = None) -> None:
        """Note what was measured."""
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)


class LambdaCallback(Callback):
    """A callback made of functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: print(epoch))`."""

    def __init__(self, **functions: Any) -> None:
        for name, function in functions.items():
            if name not in _EVENTS:
                raise ValueError(f"there is no event {name!r}; there are: {', '.join(_EVENTS)}")
            if function is not None:
                setattr(self, name, function)


__all__ = ["Callback", "CallbackList", "History", "LambdaCallback"]
