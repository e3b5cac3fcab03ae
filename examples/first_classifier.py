"""A first classifier: layers in a row, trained by `fit`; then the same in a loop and with a loss of one's own.

python examples/first_classifier.py --out build/examples
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from images import Images, load_images
from plots import save_plot

import graphjit as gj

keras = gj.keras


def classifier(images: Images):
    """Pixels -> 128 rectified numbers, a fifth of which is dropped in training -> a logit for each of ten kinds."""
    return keras.Sequential(
        [
            keras.layers.Flatten(input_shape=images.size),
            keras.layers.Dense(128, activation="relu"),
            keras.layers.Dropout(0.2),
            keras.layers.Dense(10),
        ]
    )


def fit(images: Images, epochs: int) -> list[float]:
    """The short way; returns the loss of each epoch."""
    model = classifier(images)
    model.compile(
        optimizer="adam",
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = model.fit(images.train_x, images.train_y, epochs=epochs, verbose=2).history
    loss, accuracy = model.evaluate(images.test_x, images.test_y, verbose=0)
    print(f"fit: test loss {loss:.4f}, test accuracy {accuracy:.1%}")
    return history["loss"]


class BrierScore(keras.losses.Loss):
    """The squared distance of the probabilities from what was seen.

    Brier, G. W. (1950), Verification of Forecasts Expressed in Terms of Probability.
    """

    def call(self, labels, logits):
        """One number for each image; the class makes their mean."""
        seen = gj.one_hot(gj.cast(labels, gj.int64), logits.shape[-1])
        return gj.reduce_sum(gj.square(gj.nn.softmax(logits) - seen), axis=-1)


def train(images: Images, epochs: int) -> list[float]:
    """The long way: every step is ours; returns the loss of each epoch."""
    model = classifier(images)
    loss_of = BrierScore()
    optimizer = keras.optimizers.Adam(0.001)
    dataset = gj.data.Dataset.from_tensor_slices((images.train_x, images.train_y)).shuffle(10_000).batch(64)

    @gj.compile
    def step(x, y):
        with gj.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
        gradients = tape.gradient(loss, model.trainable_weights)
        optimizer.apply_gradients(zip(gradients, model.trainable_weights, strict=True))
        return loss

    losses = []
    for epoch in range(epochs):
        mean = keras.metrics.Mean()
        for number, (x, y) in enumerate(dataset):
            loss = step(x, y)
            mean.update_state(loss)
            if number % 400 == 0:
                print(f"epoch {epoch + 1}, step {number:3d}: loss {float(loss):.4f}")
        losses.append(float(mean.result()))
    guesses = np.argmax(model(images.test_x), axis=1)
    print(f"loop: Brier score {losses[-1]:.4f}, test accuracy {np.mean(guesses == images.test_y):.1%}")
    return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, help="train on so many images, by default on all")
    parser.add_argument("--out", type=Path, default=Path("build/examples"))
    options = parser.parse_args()
    gj.random.set_seed(1)
    images = load_images().first(options.images)
    print(f"{images.name}: {len(images.train_x)} images of {images.size[0]} x {images.size[1]} pixels")
    by_fit, by_loop = fit(images, options.epochs), train(images, options.epochs)

    def draw(axes) -> None:
        curves = {"cross entropy, fit": by_fit, "Brier score, own loop": by_loop}
        for axis, (name, losses) in zip(axes, curves.items(), strict=True):
            axis.plot(range(1, len(losses) + 1), losses, marker="o")
            axis.set(title=name, xlabel="epoch", ylabel="loss")

    save_plot(options.out / "first_classifier.png", draw, columns=2)


if __name__ == "__main__":
    main()
