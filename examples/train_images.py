"""Train a small network on images: Variables, a gradient tape and the update in one compiled function.

Prints loss and accuracy for each epoch, then what compiling gained, and writes the
graph's dumps into a folder.

    python examples/train_images.py --epochs 5 --hidden 128 --dumps dumps
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from images import Images, load_images

import graphjit as gj


class Network(gj.Module):
    """pixels -> hidden (tanh) -> classes.

    tanh rather than relu, so that eager and graph training can be compared after thousands of steps: where a sum is
    within rounding of relu's kink, the two ways may fall on different sides, and from there on the weights differ.
    """

    def __init__(self, pixels: int, hidden: int, classes: int = 10, seed: int = 0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.w1 = gj.Variable(rng.normal(0, np.sqrt(2 / pixels), (pixels, hidden)).astype(np.float32), name="w1")
        self.b1 = gj.Variable(gj.zeros([hidden]), name="b1")
        self.w2 = gj.Variable(rng.normal(0, np.sqrt(2 / hidden), (hidden, classes)).astype(np.float32), name="w2")
        self.b2 = gj.Variable(gj.zeros([classes]), name="b2")

    def __call__(self, x):
        """Logits of shape (batch, classes) for images of shape (batch, pixels)."""
        hidden = gj.tanh(x @ self.w1 + self.b1)
        return hidden @ self.w2 + self.b2


def loss_of(network: Network, x, y):
    """The mean cross entropy of a batch."""
    logits = network(x)
    return gj.reduce_mean(gj.nn.sparse_softmax_cross_entropy_with_logits(labels=y, logits=logits))


def train_step(network: Network, x, y, rate: float):
    """One step of gradient descent; returns the loss before it."""
    with gj.GradientTape() as tape:
        loss = loss_of(network, x, y)
    variables = network.trainable_variables
    for variable, gradient in zip(variables, tape.gradient(loss, variables), strict=True):
        variable.assign_sub(rate * gradient)
    return loss


@gj.compile
def accuracy_of(network: Network, x, y):
    """The share of images whose largest logit is at their label."""
    guesses = gj.argmax(network(x), axis=1)
    return gj.reduce_mean(gj.cast(guesses == y, gj.float32))


def train(network: Network, images: Images, step, epochs: int, batch: int, rate: float, progress: bool = True) -> float:
    """Train, print a line for each epoch, and return the seconds that the steps took."""
    rng = np.random.default_rng(1)
    count = len(images.train_x) // batch
    seconds = 0.0
    for epoch in range(1, epochs + 1):
        order = rng.permutation(len(images.train_x))
        total = 0.0
        for number in range(count):
            chosen = order[number * batch : (number + 1) * batch]
            x, y = images.train_x[chosen], images.train_y[chosen]
            begin = time.perf_counter()
            loss = step(network, x, y, rate)
            seconds += time.perf_counter() - begin
            total += float(loss)
            if progress and sys.stdout.isatty() and number % 100 == 0:
                print(f"\repoch {epoch}: {number}/{count} batches, loss {total / (number + 1):.4f}", end="")
        if progress:
            accuracy = float(accuracy_of(network, images.test_x, images.test_y))
            print(f"\repoch {epoch}: loss {total / count:.4f}, test accuracy {accuracy:.2%}            ")
    return seconds


def difference(one: Network, other: Network) -> float:
    """The largest difference of two networks' weights, relative to the largest weight."""
    pairs = zip(one.trainable_variables, other.trainable_variables, strict=True)
    return max(float(np.max(np.abs(a.numpy() - b.numpy())) / np.max(np.abs(b.numpy()))) for a, b in pairs)


def write_dumps(step, folder: Path) -> None:
    """Every stage of the compiled step, as text, JSON and DOT, and the report."""
    folder.mkdir(parents=True, exist_ok=True)
    stages = ("python", "traced", "optimized", "kernels", "llvm", "asm")
    for stage in stages:
        (folder / f"step.{stage}.txt").write_text(step.dump(stage))
    for form in ("json", "dot"):
        (folder / f"step.optimized.{form}").write_text(step.dump("optimized", format=form))
    (folder / "step.report.txt").write_text(str(step.report()))
    print(f"dumps are in {folder}/")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, help="train on so many images, by default on all")
    parser.add_argument("--hidden", type=int)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rate", type=float)
    parser.add_argument("--dumps", type=Path, default=Path("dumps"))
    options = parser.parse_args()

    images = load_images().first(options.images).as_rows()
    small = images.name == "digits"
    hidden = options.hidden or (20 if small else 128)
    rate = options.rate or (0.5 if small else 0.1)
    epochs = options.epochs * (4 if small else 1)
    print(f"{images.name}: {len(images.train_x)} images, network {images.pixels}-{hidden}-10, batch {options.batch}")

    network = Network(images.pixels, hidden)
    compiled_step = gj.compile(train_step)
    train(network, images, compiled_step, epochs, options.batch, rate)

    print("\nthe same training for one epoch, eagerly and compiled:")
    eager, graph = Network(images.pixels, hidden), Network(images.pixels, hidden)
    steps = len(images.train_x) // options.batch
    eager_seconds = train(eager, images, train_step, 1, options.batch, rate, progress=False)
    graph_seconds = train(graph, images, compiled_step, 1, options.batch, rate, progress=False)
    print(f"  eager {eager_seconds / steps * 1e6:.0f} us a step, graph {graph_seconds / steps * 1e6:.0f} us a step")
    print(f"  weights differ by at most {difference(graph, eager):.1e} (relative)\n")

    x, y = images.train_x[: options.batch], images.train_y[: options.batch]
    print(gj.compare(compiled_step, Network(images.pixels, hidden), x, y, rate))
    write_dumps(compiled_step, options.dumps)


if __name__ == "__main__":
    main()
