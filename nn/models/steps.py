"""How a model is compiled, and its steps: one batch of training, of measuring, of asking."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError
from graphjit.tracer.attributes import not_listening
from graphjit.tracer.compiling import compile as compile_function
from graphjit.tracer.converting import as_called
from graphjit.tracer.tape import GradientTape

from .. import optimizers
from ..layers.layer import Layer
from ..metrics.metric import resetting
from .batches import three_parts
from .scoring import Scoring, batch_size_of, held_metrics


class Training:
    """What `compile` was told, and what training keeps.

    Attributes:
      optimizer, scoring: how the model is trained and measured.
      arguments: those of `compile`, for saving.
      trained: the variables for which the steps were traced.
    """

    def __init__(self, optimizer: Any, scoring: Scoring, run_eagerly: bool, arguments: dict[str, Any]) -> None:
        self.optimizer = optimizer
        self.scoring = scoring
        self.run_eagerly = run_eagerly
        self.arguments = arguments
        self.trained: tuple[Any, ...] = ()


class Steps(Layer):
    """The part of a model that says what one batch does to it. Abstract: see `Model`."""

    _training: Training | None = None
    output_names: Sequence[str] | None = None

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        metrics: Any = None,
        loss_weights: Any = None,
        weighted_metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
        auto_scale_loss: bool = True,
        **kwargs: Any,
    ) -> None:
        """Say how the model is trained and measured.

        Args:
          optimizer, loss: names, objects or functions.
          metrics: a list of names, objects or functions; for several outputs a list for each, or a dict.
          loss_weights: what the losses of several outputs are multiplied by.
          weighted_metrics: like `metrics`, but they get the weights of the examples.
          run_eagerly: whether steps run as plain Python, for breakpoints.
          steps_per_execution, jit_compile, auto_scale_loss: accepted for Keras's sake.

        Raises:
          NotFoundError: if there is nothing of a name.
        """
        if kwargs:
            raise InvalidArgumentError(f"compile does not take {', '.join(map(repr, kwargs))}")
        arguments = {
            "optimizer": optimizer,
            "loss": loss,
            "metrics": metrics,
            "loss_weights": loss_weights,
            "weighted_metrics": weighted_metrics,
        }
        scoring = Scoring(loss, metrics, loss_weights, weighted_metrics)
        self._training = Training(optimizers.get(optimizer), scoring, bool(run_eagerly), arguments)
        self._forget_steps()

    def _forget_steps(self) -> None:
        for step in (self._train_batch, self._test_batch, self._user_train_batch, self._user_test_batch):
            step.clear()

    def _required(self) -> Training:
        if self._training is None:
            raise FailedPreconditionError(
                f"{self.name!r} must be compiled first: call compile(optimizer=..., loss=...)"
            )
        return self._training

    @property
    def optimizer(self) -> Any:
        """The optimizer that `compile` was given; None before."""
        return None if self._training is None else self._training.optimizer

    @optimizer.setter
    def optimizer(self, value: Any) -> None:
        self._required().optimizer = optimizers.get(value)
        self._forget_steps()

    @property
    def run_eagerly(self) -> bool:
        """Whether steps run as plain Python; it may be set."""
        return self._training is not None and self._training.run_eagerly

    @run_eagerly.setter
    def run_eagerly(self, value: bool) -> None:
        self._required().run_eagerly = bool(value)

    @property
    def loss(self) -> Any:
        """The loss that `compile` was given; None before."""
        return None if self._training is None else self._training.arguments["loss"]

    @property
    def metrics(self) -> list[Any]:
        """The metrics: the mean loss first. Those of `compile` come into being with the first batch."""
        compiled = [] if self._training is None else self._training.scoring.metrics
        return [*compiled, *held_metrics(self)]

    @property
    def metrics_names(self) -> list[str]:
        """The names of `metrics`."""
        return [metric.name for metric in self.metrics]

    def reset_metrics(self) -> None:
        """Let all metrics start again."""
        for metric in self.metrics:
            resetting(metric)

    def compute_loss(self, x: Any = None, y: Any = None, y_pred: Any = None, sample_weight: Any = None) -> Any:
        """What training minimises: the losses of `compile`, and what layers add."""
        training = self._required()
        with not_listening():
            loss = training.scoring.loss(y, y_pred, sample_weight, self.output_names)
            penalties = self.losses
        terms = [*([] if loss is None else [loss]), *penalties]
        if not terms:
            raise InvalidArgumentError(f"{self.name!r} has nothing to minimise: give compile() a loss, or use add_loss")
        total = sum(terms[1:], terms[0])
        with not_listening():
            training.scoring.loss_tracker.update_state(total, sample_weight=batch_size_of(y if x is None else x))
        return total

    def compute_metrics(self, x: Any, y: Any, y_pred: Any, sample_weight: Any = None) -> dict[str, Any]:
        """Let the metrics of `compile` take in a batch; returns what all metrics have measured."""
        scoring = self._required().scoring
        with not_listening():
            scoring.update(y, y_pred, sample_weight, self.output_names)
            return scoring.results()

    def train_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """One step of training on a batch (x, y, weights); a subclass may define another one, which runs compiled."""
        x, y, sample_weight = three_parts(data)
        with GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x, y, y_pred, sample_weight)
        with not_listening():
            variables = self.trainable_variables
        optimizer = self._required().optimizer
        gradients = tape.gradient(loss, variables)
        optimizer.apply_gradients(zip(gradients, variables, strict=True))
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def test_step(self, data: tuple[Any, ...]) -> dict[str, Any]:
        """Measure on a batch (x, y, weights); a subclass may define another one, which runs compiled."""
        x, y, sample_weight = three_parts(data)
        y_pred = self(x, training=False)
        self.compute_loss(x, y, y_pred, sample_weight)
        return self.compute_metrics(x, y, y_pred, sample_weight)

    def predict_step(self, data: tuple[Any, ...]) -> Any:
        """What the model gives for a batch (x,); a subclass may define another one, which runs compiled."""
        return self(data[0], training=False)

    @compile_function
    def _train_batch(self, *data: Any) -> None:
        as_called(self.train_step)(data)

    @compile_function
    def _user_train_batch(self, *data: Any) -> Any:
        return as_called(self.train_step)(data)

    @compile_function
    def _test_batch(self, *data: Any) -> None:
        as_called(self.test_step)(data)

    @compile_function
    def _user_test_batch(self, *data: Any) -> Any:
        return as_called(self.test_step)(data)

    @compile_function
    def _predict_batch(self, *data: Any) -> Any:
        return as_called(self.predict_step)(data)

    def _step(self, kind: str) -> tuple[Callable[..., Any], bool]:
        """The compiled step of a kind, and whether it returns what was measured.

        The steps of `Model` keep it in the metrics only, where it is read when it is shown.
        """
        own = getattr(type(self), f"{kind}_step") is getattr(Steps, f"{kind}_step")
        step = getattr(self, f"_{kind}_batch" if own else f"_user_{kind}_batch")
        self._forget_other_weights()
        return (step.eager if self.run_eagerly else step), not own

    def _forget_other_weights(self) -> None:
        """Steps are traced for certain weights: where others are trained now, they are traced anew."""
        training = self._training
        if training is None:
            return
        trained = [id(variable) for variable in self.trainable_variables]
        if training.trained and trained != [id(variable) for variable in training.trained]:
            self._forget_steps()
        self._note_weights()

    def _note_weights(self) -> None:
        if self._training is not None:
            self._training.trained = tuple(self.trainable_variables)


__all__: list[str] = []
