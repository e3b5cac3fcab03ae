"""Parts of one's own: a loss, an activation, a first value, a penalty, a layer, a model, a metric, and the loop.

The data is a bumpy function of eight numbers, measured with some gross errors, which is why the loss is Huber's.

    python examples/own_parts.py --out build/examples
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from plots import save_plot

import graphjit as gj

keras = gj.keras


class Huber(keras.losses.Loss):
    """Squares of small errors, sizes of large ones (Huber 1964), so that gross errors do not rule."""

    def __init__(self, threshold: float = 1.0, **others) -> None:
        super().__init__(**others)
        self.threshold = threshold

    def call(self, wanted, found):
        error = gj.abs(wanted - found)
        small, large = gj.square(error) / 2, self.threshold * error - self.threshold**2 / 2
        return gj.where(error < self.threshold, small, large)

    def get_config(self) -> dict:
        return {**super().get_config(), "threshold": self.threshold}


def squareplus(x):
    """A smooth relu without an exponential (Barron 2021)."""
    return (x + gj.sqrt(gj.square(x) + 1.0)) / 2.0


def scaled_normal(shape, dtype=gj.float32):
    """Normal numbers whose spread fits the number of inputs."""
    return gj.random.normal(shape, stddev=np.sqrt(1.0 / shape[0]), dtype=dtype)


def small_weights(weights):
    """A penalty."""
    return 1e-4 * gj.reduce_sum(gj.square(weights))


class Noise(keras.layers.Layer):
    """Adds normal numbers, in training only."""

    def __init__(self, spread: float, **others) -> None:
        super().__init__(**others)
        self.spread = spread

    def call(self, inputs, training=None):
        return inputs + gj.random.normal(gj.shape(inputs), stddev=self.spread) if training else inputs


class Residual(keras.layers.Layer):
    """Two dense layers, to whose result the input is added."""

    def __init__(self, width: int, **others) -> None:
        super().__init__(**others)
        self.inner = [
            keras.layers.Dense(width, squareplus, kernel_initializer=scaled_normal, kernel_regularizer=small_weights)
            for _ in range(2)
        ]

    def call(self, inputs):
        x = inputs
        for layer in self.inner:
            x = layer(x)
        return inputs + x


class Regressor(keras.Model):
    """Noise, a dense layer, one block twice (its weights are shared), another one, and a number."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.noise = Noise(0.02)
        self.first = keras.layers.Dense(width, squareplus)
        self.blocks = [Residual(width), Residual(width)]
        self.last = keras.layers.Dense(1)

    def call(self, inputs):
        x = self.first(self.noise(inputs))
        for block in (self.blocks[0], self.blocks[0], self.blocks[1]):
            x = block(x)
        return self.last(x)


class WithinTenth(keras.metrics.Metric):
    """The share of examples that are less than a tenth off."""

    def __init__(self, **others) -> None:
        super().__init__(**others)
        self.close = self.add_weight("close", initializer="zeros")
        self.count = self.add_weight("count", initializer="zeros")

    def update_state(self, wanted, found, sample_weight=None) -> None:
        close = gj.cast(gj.abs(wanted - found) < 0.1, gj.float32)
        self.close.assign_add(gj.reduce_sum(close))
        self.count.assign_add(gj.cast(gj.size(close), gj.float32))

    def result(self):
        return self.close / self.count


def measurements(count: int, seed: int, gross: float) -> tuple[np.ndarray, np.ndarray]:
    """Places of shape (count, 8) and what was measured there, (count, 1); a part of it is wrong by far."""
    random = np.random.default_rng(seed)
    x = random.uniform(-1, 1, (count, 8)).astype(np.float32)
    y = np.sin(3 * x[:, 0]) + x[:, 1] * x[:, 2] + 0.5 * np.abs(x[:, 3])
    y += np.where(random.random(count) < gross, random.normal(0, 20, count), 0)
    return x, y[:, None].astype(np.float32)


def train(model: Regressor, x: np.ndarray, y: np.ndarray, epochs: int) -> list[float]:
    """A loop with a line of progress; returns the mean loss of each epoch."""
    loss_of, optimizer = Huber(0.5), keras.optimizers.Nadam(0.003)
    mean_loss, metrics = keras.metrics.Mean(name="loss"), [keras.metrics.MeanAbsoluteError(name="mean error")]
    metrics.append(WithinTenth(name="within a tenth"))

    @gj.compile
    def step(x, y):
        with gj.GradientTape() as tape:
            found = model(x, training=True)
            loss = gj.add_n([loss_of(y, found), *model.losses])
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        mean_loss(loss)
        for metric in metrics:
            metric(y, found)

    dataset = gj.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed=1).batch(32, drop_remainder=True)
    losses = []
    for epoch in range(1, epochs + 1):
        for number, (x_batch, y_batch) in enumerate(dataset, 1):
            step(x_batch, y_batch)
            if number % 50 == 0 or number == len(dataset):
                shown = " - ".join(f"{one.name}: {one.result():.4f}" for one in [mean_loss, *metrics])
                print(f"\repoch {epoch}: {number}/{len(dataset)} - {shown}", end="" if number < len(dataset) else "\n")
        losses.append(float(mean_loss.result()))
        for metric in [mean_loss, *metrics]:
            metric.reset_state()
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--examples", type=int, default=8000)
    parser.add_argument("--out", type=Path, default=Path("build/examples"))
    options = parser.parse_args()
    gj.random.set_seed(1)
    model = Regressor()
    losses = train(model, *measurements(options.examples, seed=1, gross=0.05), options.epochs)
    x_test, y_test = measurements(1000, seed=2, gross=0.0)
    found = model.predict(x_test, verbose=0)
    error = np.abs(found - y_test).mean()
    print(f"without gross errors: mean error {error:.4f} where the data spread by {y_test.std():.2f}")

    def draw(axes) -> None:
        axes[0].plot(range(1, len(losses) + 1), losses)
        axes[0].set(title="loss", xlabel="epoch")
        axes[1].scatter(y_test, found, s=4)
        axes[1].axline((0, 0), slope=1, color="grey")
        axes[1].set(title="new examples", xlabel="true", ylabel="found")

    save_plot(options.out / "own_parts.png", draw, columns=2)


if __name__ == "__main__":
    main()
