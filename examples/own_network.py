"""Beyond layers: a network of plain Variables, a training loop of one's own, and what compiling its step gains.

The network is pixels - 20 - 10 and learns by plain gradient descent. The same functions run eagerly, where a
breakpoint stops inside them, and as graphs.

    python examples/own_network.py --epochs 5 --seeds 1 2 3
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from images import Images, load_images
from plots import save_plot

import graphjit as gj


class Network(gj.keras.Model):
    """pixels -> hidden (relu) -> ten logits, written out as products and sums."""

    def __init__(self, pixels: int, hidden: int = 20) -> None:
        super().__init__()
        weights = gj.keras.initializers.GlorotUniform()
        self.pixels = pixels
        self.w1 = gj.Variable(weights(shape=(pixels, hidden)), name="w1")
        self.b1 = gj.Variable(gj.zeros([hidden]), name="b1")
        self.w2 = gj.Variable(weights(shape=(hidden, 10)), name="w2")
        self.b2 = gj.Variable(gj.zeros([10]), name="b2")

    def call(self, x):
        """Logits of shape (batch, 10) for images of shape (batch, height, width)."""
        flat = gj.reshape(x, [-1, self.pixels])
        return gj.nn.relu(flat @ self.w1 + self.b1) @ self.w2 + self.b2


def learn_from(x, y, model: Network, loss_of, optimizer):
    """One step of training; returns the logits and the loss before it."""
    with gj.GradientTape() as tape:
        logits = model(x, training=True)
        loss = loss_of(y, logits)
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return logits, loss


def right_ones(logits, y) -> int:
    """How many of the largest logits stand at the labels."""
    return int((gj.math.argmax(logits, axis=1) == y).numpy().sum())


def train(model: Network, images: Images, step, epochs: int, seed: int) -> tuple[list[float], float]:
    """Train, with a line for each epoch; returns the accuracies in training, and the seconds of the median epoch."""
    loss_of = gj.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = gj.optimizers.SGD(0.1)
    count = len(images.train_x)
    # batches are cut once; each epoch has them in another order
    batches = gj.data.Dataset.from_tensor_slices((images.train_x, images.train_y)).batch(64)
    dataset = batches.shuffle(500, seed=seed)
    accuracies, seconds = [], []
    for epoch in range(1, epochs + 1):
        right, begin = 0, time.perf_counter()
        for x, y in dataset:
            logits, loss = step(x, y, model, loss_of, optimizer)
            right += right_ones(logits, y)
        seconds.append(time.perf_counter() - begin)
        accuracies.append(right / count)
        print(f"  epoch {epoch}: loss {loss.numpy():>7f}, accuracy {accuracies[-1]:>6.1%}, {seconds[-1]:.2f} s")
    return accuracies, float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--eager-epochs", type=int, default=1)
    parser.add_argument("--images", type=int, help="train on so many images, by default on all")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1])
    parser.add_argument("--out", type=Path, default=Path("build/examples"))
    options = parser.parse_args()
    images = load_images().first(options.images)

    curves = {}
    for seed in options.seeds:
        gj.random.set_seed(seed)
        model = Network(images.pixels)
        step = gj.compile(learn_from)
        print(f"{images.name}, seed {seed}, as a graph:")
        curves[seed], graph_seconds = train(model, images, step, options.epochs, seed)
        test = right_ones(model(images.test_x), images.test_y) / len(images.test_x)
        print(f"  test accuracy {test:.2%}; {step.trace_count} traces, one for full batches and one for the last")

    print("eagerly:")
    _, eager_seconds = train(Network(images.pixels), images, learn_from, options.eager_epochs, options.seeds[0])
    times = f"{eager_seconds / graph_seconds:.1f} times"
    print(f"an epoch takes {eager_seconds:.2f} s eagerly, {graph_seconds:.2f} s as a graph: {times}")

    model.save_weights(options.out / "own_network")
    again = Network(images.pixels)
    again.load_weights(options.out / "own_network")
    print("what the network read from the file sees:", gj.math.argmax(again(images.test_x[:5]), axis=1).numpy())

    def draw(axis) -> None:
        for seed, accuracies in curves.items():
            axis.plot(range(1, len(accuracies) + 1), accuracies, marker="o", label=f"seed {seed}")
        axis.set(title=f"{images.name}: accuracy in training", xlabel="epoch", ylabel="accuracy")
        axis.legend()

    save_plot(options.out / "own_network.png", draw)


if __name__ == "__main__":
    main()
