"""Logistic regression three ways: a ready model, everything by hand, and a layer and model of one's own.

Two clouds of points are told apart by a line, which all three find.

    python examples/logistic_regression.py --out build/examples
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from plots import save_plot

import graphjit as gj

keras = gj.keras


def clouds(count: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of shape (count, 2) around two centres, and which cloud each is from, as float32."""
    random = np.random.default_rng(seed)
    cloud = random.integers(0, 2, count)
    centres = np.array([[-2.0, -1.0], [1.5, 1.5]])
    points = centres[cloud] + random.standard_normal((count, 2))
    return points.astype(np.float32), cloud.astype(np.float32)


def with_a_ready_model(points: np.ndarray, cloud: np.ndarray, steps: int):
    """One dense layer and `fit`."""
    model = keras.Sequential([keras.layers.Dense(1, input_shape=(2,))])
    model.compile("SGD", keras.losses.BinaryCrossentropy(from_logits=True), ["accuracy"])
    model.fit(points, cloud, batch_size=100, epochs=max(steps // 10, 1), verbose=0)
    return lambda x: gj.reshape(gj.sigmoid(model(x)), [-1])


def cross_entropy(cloud, probability):
    """The mean binary cross entropy; the small number keeps the logarithm finite."""
    one = gj.math.log(probability + 1e-7) * cloud
    zero = gj.math.log(1.0 - probability + 1e-7) * (1.0 - cloud)
    return -gj.reduce_mean(one + zero)


def by_hand(points: np.ndarray, cloud: np.ndarray, steps: int):
    """Tensors, a tape, and new tensors in each step."""

    def predict(x, weights, bias):
        return gj.reshape(gj.sigmoid(gj.add(gj.matmul(x, weights), bias)), [-1])

    @gj.compile
    def step(weights, bias, rate):
        with gj.GradientTape() as tape:
            tape.watch([weights, bias])
            loss = cross_entropy(cloud, predict(points, weights, bias))
        by_weights, by_bias = tape.gradient(loss, (weights, bias))
        return weights - rate * by_weights, bias - rate * by_bias

    weights = gj.constant(np.random.default_rng(1).standard_normal((2, 1)), dtype=gj.float32)
    bias = gj.constant(0.0)
    for _ in range(steps):
        weights, bias = step(weights, bias, 0.1)
    return lambda x: predict(x, weights, bias)


class Line(keras.layers.Layer):
    """A product and a sum, whose weights are made when the first input is seen."""

    def build(self, input_shape) -> None:
        self.weights_of_axes = self.add_weight("weights", shape=[input_shape[-1], 1])
        self.bias = self.add_weight("bias", shape=[1])

    def call(self, inputs):
        return inputs @ self.weights_of_axes + self.bias


class Probability(keras.Model):
    """The sigmoid of a line."""

    def __init__(self) -> None:
        super().__init__(name="probability")
        self.line = Line()

    def call(self, inputs):
        return gj.reshape(gj.sigmoid(self.line(inputs)), [-1])


def with_parts_of_its_own(points: np.ndarray, cloud: np.ndarray, steps: int):
    """A layer, a model, an optimizer, and a loop."""
    model, loss_of, optimizer = Probability(), keras.losses.BinaryCrossentropy(), keras.optimizers.SGD(0.1)

    @gj.compile
    def step():
        with gj.GradientTape() as tape:
            loss = loss_of(y_true=cloud, y_pred=model(points))
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))

    for _ in range(steps):
        step()
    return model


WAYS = {"ready model": with_a_ready_model, "by hand": by_hand, "own layer and model": with_parts_of_its_own}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("build/examples"))
    options = parser.parse_args()
    gj.random.set_seed(1)
    points, cloud = clouds()
    predictors = {name: way(points, cloud, options.steps) for name, way in WAYS.items()}
    for name, predict in predictors.items():
        probability = predict(points)
        right = np.round(probability) == cloud
        print(f"{name:20} loss {float(cross_entropy(cloud, probability)):.4f}, accuracy {right.numpy().mean():.1%}")

    def draw(axis) -> None:
        axis.scatter(*points.T, c=cloud, s=6, cmap="coolwarm")
        across, up = np.meshgrid(np.linspace(-6, 6, 60), np.linspace(-5, 6, 60))
        grid = np.stack([across.ravel(), up.ravel()], axis=1).astype(np.float32)
        for (name, predict), style in zip(predictors.items(), ("-", "--", ":"), strict=True):
            axis.contour(across, up, np.reshape(predict(grid).numpy(), across.shape), [0.5], linestyles=style)
            axis.plot([], [], style, color="black", label=name)
        axis.legend(title="probability 0.5")

    save_plot(options.out / "logistic_regression.png", draw)


if __name__ == "__main__":
    main()
