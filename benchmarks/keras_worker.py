"""The process of one Keras: a line that names a task is answered with the seconds of one call of it."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Task(NamedTuple):
    """What is timed: `steps` batches through a network."""

    method: str
    widths: tuple[int, ...]
    batch: int
    steps: int

    @property
    def label(self) -> str:
        """The task in words."""
        return f"{self.method} {'-'.join(map(str, self.widths))}, batch {self.batch}"


_SMALL = (784, 128, 10)
TASKS = {
    "fit": Task("fit", _SMALL, 32, 400),
    "fit-large-batch": Task("fit", _SMALL, 256, 100),
    "fit-three-layers": Task("fit", (784, 256, 128, 10), 32, 200),
    "validation": Task("fit with validation", _SMALL, 32, 400),
    "evaluate": Task("evaluate", _SMALL, 32, 400),
    "predict": Task("predict", _SMALL, 32, 400),
}


def _import_keras(framework: str) -> Any:
    """The framework's Keras, or graphjit's.

    Raises:
      ImportError: if it is not installed.
    """
    if framework == "graphjit":
        import graphjit

        return graphjit.keras
    os.environ["KERAS_BACKEND"] = framework.partition("-")[2]
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import keras

    _limit_threads(framework)
    return keras


def _limit_threads(framework: str) -> None:
    """As many threads as everybody has; JAX takes its number from the processors that the process may use."""
    count = len(os.sched_getaffinity(0))
    if framework == "keras-torch":
        import torch

        torch.set_num_threads(count)
    if framework == "keras-tensorflow":
        import tensorflow

        tensorflow.config.threading.set_intra_op_parallelism_threads(count)
        tensorflow.config.threading.set_inter_op_parallelism_threads(count)


def _network(keras: Any, widths: tuple[int, ...]) -> Any:
    layers = keras.layers
    hidden = [layers.Dense(width, activation="relu") for width in widths[1:-1]]
    model = keras.Sequential([layers.Input((widths[0],)), *hidden, layers.Dense(widths[-1])])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer="adam", loss=loss, metrics=["accuracy"])
    return model


def make_call(keras: Any, task: Task) -> Callable[[], Any]:
    """The call that is timed, for a framework's Keras."""
    random = np.random.default_rng(0)
    x = random.random((task.batch * task.steps, task.widths[0]), np.float32)
    y = random.integers(0, task.widths[-1], len(x))
    model = _network(keras, task.widths)
    words = {"batch_size": task.batch, "verbose": 0}
    if task.method == "evaluate":
        return lambda: model.evaluate(x, y, **words)
    if task.method == "predict":
        return lambda: model.predict(x, **words)
    if task.method == "fit with validation":
        words["validation_data"] = (x[: len(x) // 5], y[: len(x) // 5])
    return lambda: model.fit(x, y, **words)


def serve(framework: str) -> None:
    """Say what is here, then for each line that names a task time one call of it."""
    answers = os.fdopen(os.dup(1), "w")  # what frameworks print must not mix with the answers
    os.dup2(2, 1)

    def say(**answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    try:
        keras = _import_keras(framework)
    except ImportError as error:
        say(missing=str(error))
        return
    say(versions={"keras": getattr(keras, "__version__", "graphjit's"), "python": sys.version.split()[0]})
    calls: dict[str, Callable[[], Any]] = {}
    for line in sys.stdin:
        name = json.loads(line)["task"]
        if name not in calls:
            calls[name] = make_call(keras, TASKS[name])
            calls[name]()
        begin = time.perf_counter()
        calls[name]()
        say(seconds=time.perf_counter() - begin)


if __name__ == "__main__":
    os.sched_setaffinity(0, {int(number) for number in sys.argv[2].split(",")})
    serve(sys.argv[1])
