"""Model: a layer that can be trained, asked and saved."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np

from graphjit.compiler.tensortype import TensorShape
from graphjit.runtime.errors import FailedPreconditionError, InvalidArgumentError
from graphjit.tracer.attributes import not_listening
from graphjit.tracer.compiling import compile as compile_function
from graphjit.tracer.converting import as_called
from graphjit.tracer.lifting import init_scope
from graphjit.tracer.state import State
from graphjit.tracer.structure import flatten, unflatten
from graphjit.tracer.tape import GradientTape

from .. import optimizers
from ..callbacks.callback import CallbackList, History
from ..callbacks.writing import ProgressLine
from ..layers.layer import Layer
from ..metrics.metric import resetting
from ..precision import floatx
from .batches import ArrayBatches, IteratedBatches, array_parts, is_arrays, make_batches, split_off
from .scoring import Scoring, batch_size_of, held_metrics
from .summary import summary_of

Batches = ArrayBatches | IteratedBatches


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


class Model(Layer):
    """A layer that can be trained (`compile`, `fit`), measured (`evaluate`), asked (`predict`) and saved.

    A subclass makes its layers in `__init__` and defines `call(inputs, training=None)`. Or layers are called on
    `Input`s, and the model is made of what comes out: `Model(inputs, outputs)`.

    Args:
      inputs, outputs: descriptions, for a model of that second kind.
      others: see `Layer`.

    >>> import graphjit as gj
    >>> inputs = gj.keras.Input([3])
    >>> hidden = gj.keras.layers.Dense(4, activation="relu")(inputs)
    >>> model = gj.keras.Model(inputs, gj.keras.layers.Dense(1)(hidden))
    >>> model(gj.zeros([2, 3])).shape
    TensorShape([2, 1])
    """

    _untracked = Layer._untracked | {"_training", "_network", "optimizer", "history"}
    _training: Training | None = None
    _network: Any = None
    stop_training: bool = False
    history: History | None = None
    output_names: Sequence[str] | None = None

    def __init__(self, *args: Any, inputs: Any = None, outputs: Any = None, name: str | None = None, **kw: Any) -> None:
        if args and not isinstance(args[0], str) and args[0] is not None:
            inputs, outputs = args[0], args[1] if len(args) > 1 else outputs
        elif args:
            name = name or args[0]
        super().__init__(name=name, **kw)
        if inputs is not None:
            from .network import Network

            self._network = Network(inputs, outputs)
            self._stack = self._network.layers
            self.output_names = self._network.output_names
            self.built = True

    def call(self, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        """What the model computes; a subclass defines it."""
        if self._network is None:
            raise NotImplementedError(f"{type(self).__name__} must define call(inputs)")
        return self._network.run(inputs)

    def build(self, input_shape: Any) -> None:
        """Make the weights of all layers, by calling the model on zeros of this shape."""
        if not self._record.building:
            with init_scope():
                self(_zeros(input_shape))
        self.built = True

    def _naming(self) -> AbstractContextManager[Any]:
        """Variables in layers have the layers' names, and nothing before them."""
        return nullcontext()

    # --- training ---

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
        x, y, sample_weight = _three(data)
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
        x, y, sample_weight = _three(data)
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
        own = getattr(type(self), f"{kind}_step") is getattr(Model, f"{kind}_step")
        step = getattr(self, f"_{kind}_batch" if own else f"_user_{kind}_batch")
        self._forget_other_weights()
        eager = self._training is not None and self._training.run_eagerly
        return (step.eager if eager else step), not own

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
        train, validation = self._data(
            (x, y, sample_weight), batch_size, validation_split, validation_data, shuffle, class_weight, steps_per_epoch
        )
        measured = self._validation_batches(validation, validation_batch_size or batch_size, validation_steps)
        self.history = History()
        verbose = 1 if verbose == "auto" else int(verbose)
        every = [self.history, *(callbacks or ())]
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
            x, y, sample_weight = _three(data)
            return make_batches(x, y, sample_weight, batch_size, steps)
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
        if self._training is not None and self._training.run_eagerly:
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
        """One step of training; returns what the metrics have measured since they were reset."""
        return self._run_batch("train", array_parts(x, y, sample_weight, class_weight), return_dict)

    def test_on_batch(self, x: Any, y: Any = None, sample_weight: Any = None, return_dict: bool = False) -> Any:
        """Measure on one batch; returns what the metrics have measured since they were reset."""
        return self._run_batch("test", array_parts(x, y, sample_weight), return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """What the model gives for one batch, as arrays."""
        leaves, structure = flatten(self._predict_batch(*array_parts(x, None, None)))
        return unflatten(structure, [np.asarray(leaf) for leaf in leaves])

    def _run_batch(self, kind: str, parts: tuple[Any, ...], return_dict: bool) -> Any:
        self._required()
        step, returns_logs = self._step(kind)
        logs = self._logs(step(*parts), returns_logs)
        values = list(logs.values())
        return logs if return_dict else values[0] if len(values) == 1 else values

    # --- saving ---

    def save(self, filepath: Any, overwrite: bool = True, **kwargs: Any) -> None:
        """Write the model into one file, from which `gj.keras.models.load_model` makes it again.

        Args:
          filepath: any name; the content is the same whatever it ends with: weights as safetensors, what the model is
            made of and how it is trained as JSON beside them.
          overwrite: whether a file of that name is replaced.

        Raises:
          InvalidArgumentError: if something in the model cannot be written down, such as a lambda.
        """
        from .saving import save_model

        save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Write the weights into a file, by their places in the model; the name needs no ending."""
        from .saving import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, by_name: bool = False) -> None:
        """Read weights that a model of the same structure saved.

        Layers that are not built yet get theirs when they are.

        Args:
          filepath: the file.
          skip_mismatch: whether weights that are missing or have another shape keep what they hold.

        Raises:
          NotFoundError: if there is no such file.
          FormatError: if it is no file of weights.
          InvalidArgumentError: if it does not fit the model.
        """
        from .saving import load_weights

        load_weights(self, filepath, skip_mismatch)

    def get_config(self) -> dict[str, Any]:
        """What the model is made of; for a subclass the arguments that it was made with."""
        if self._network is not None and type(self) is Model:
            return {"name": self.name, **self._network.get_config()}
        return super().get_config()

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A model of what `get_config` gave."""
        if cls is Model and "calls" in config:
            from ..layers import LAYERS
            from .network import from_config

            inputs, outputs = from_config(config, {**LAYERS, "model": Model})
            return cls(inputs=inputs, outputs=outputs, name=config.get("name"))
        return cls(**config)

    # --- looking ---

    def summary(self, line_length: int | None = None, print_fn: Callable[[str], Any] | None = None, **_: Any) -> None:
        """Print the layers, the shapes of what they return, and how many numbers their weights hold.

        Raises:
          FailedPreconditionError: before the weights exist.
        """
        (print_fn or print)(summary_of(self, line_length))

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer with a name, or at a position.

        Raises:
          InvalidArgumentError: if there is none.
        """
        layers = self.layers
        if index is not None:
            if -len(layers) <= index < len(layers):
                return layers[index]
            raise InvalidArgumentError(f"{self.name!r} has {len(layers)} layers, none at {index}")
        found = next((layer for layer in layers if layer.name == name), None)
        if found is None:
            raise InvalidArgumentError(
                f"{self.name!r} has no layer {name!r}; there are: {', '.join(layer.name for layer in layers)}"
            )
        return found


_BATCH_EVENTS = {
    "train": ("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    "test": ("on_test_batch_begin", "on_test_batch_end"),
}


def _tell_all(listeners: CallbackList, events: Sequence[str], *args: Any) -> None:
    for event in events:
        listeners.tell(event, *args)


def _three(data: Any) -> tuple[Any, Any, Any]:
    """Inputs, targets and weights of a batch, None for what is not there."""
    if not isinstance(data, tuple):
        return data, None, None
    x, y, weights = (*data, None, None, None)[:3]
    return x, y, weights


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


def _zeros(shape: Any) -> Any:
    """Zeros for a shape, or for a structure of shapes; a batch of unknown size has one example."""
    if isinstance(shape, list | tuple) and any(isinstance(one, list | tuple | TensorShape) for one in shape):
        return [_zeros(one) for one in shape]
    return np.zeros([1 if size is None else size for size in TensorShape(shape)], floatx())


__all__ = ["Model"]
