"""A network of modules, and why its first weights matter: gradients that vanish on their way back.

Three networks of sigmoid layers differ only in the numbers that they start with. Zeros make all neurons of a layer the
same one. Numbers from 0 to 1 add up over 784 pixels, so that every sigmoid says 1 and lets no gradient through. Normal
numbers whose spread fits the layer's size (Glorot and Bengio 2010) learn.

    python examples/vanishing_gradient.py --out build/examples
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path

import numpy as np
from images import Images, load_images
from plots import save_plot

import graphjit as gj


class SigmoidLayer(gj.Module):
    """A product, a sum and a sigmoid; a softmax in the last layer."""

    def __init__(self, weights, is_last: bool) -> None:
        super().__init__()
        self.w = gj.Variable(weights, name="w")
        self.b = gj.Variable(gj.zeros([weights.shape[-1]]), name="b")
        self.is_last = is_last

    def __call__(self, x):
        y = x @ self.w + self.b
        return gj.nn.softmax(y) if self.is_last else gj.sigmoid(y)


class Network(gj.Module):
    """Layers one after the other.

    Args:
      sizes: how wide the input and each layer are.
      first_weights: from an input's and an output's width to the weights between them.
    """

    def __init__(self, sizes, first_weights) -> None:
        super().__init__()
        pairs = list(pairwise(sizes))
        self.layers = [
            SigmoidLayer(first_weights(*pair), is_last=number == len(pairs)) for number, pair in enumerate(pairs, 1)
        ]

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


STARTS = {
    "zeros": lambda inputs, outputs: gj.zeros([inputs, outputs]),
    "uniform from 0 to 1": lambda inputs, outputs: gj.random.uniform([inputs, outputs]),
    "fitting normal": lambda inputs, outputs: gj.random.normal([inputs, outputs]) * gj.sqrt(2 / (inputs + outputs)),
}


def cross_entropy(seen, probabilities):
    """The sum over the kinds of the mean over the images; the small number keeps the logarithm finite."""
    return -gj.reduce_sum(gj.reduce_mean(seen * gj.math.log(probabilities + 1e-12), axis=0))


@gj.compile
def step(network: Network, x, seen, rate):
    """One step of gradient descent; returns the loss before it, and the mean size of each layer's gradient."""
    with gj.GradientTape() as tape:
        loss = cross_entropy(seen, network(x))
    weights = [layer.w for layer in network.layers] + [layer.b for layer in network.layers]
    gradients = tape.gradient(loss, weights)
    for variable, gradient in zip(weights, gradients, strict=True):
        variable.assign_sub(rate * gradient)
    return loss, [gj.reduce_mean(gj.abs(one)) for one in gradients[: len(network.layers)]]


def train(network: Network, images: Images, steps: int) -> tuple[list[float], list[float]]:
    """The sizes of the gradients in the first step, layer by layer, and the losses of all steps."""
    kinds = np.eye(10, dtype=np.float32)
    random = np.random.default_rng(0)
    sizes, losses = [], []
    for _ in range(steps):
        chosen = random.integers(0, len(images.train_x), 128)
        loss, found = step(network, images.train_x[chosen], kinds[images.train_y[chosen]], 0.5)
        sizes = sizes or [float(one) for one in found]
        losses.append(float(loss))
    return sizes, losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--out", type=Path, default=Path("build/examples"))
    options = parser.parse_args()
    gj.random.set_seed(1)
    images = load_images().as_rows()
    found = {}
    for name, first_weights in STARTS.items():
        network = Network([images.pixels, 100, 50, 10], first_weights)
        sizes, losses = found[name] = train(network, images, options.steps)
        guesses = np.argmax(network(images.test_x), axis=1)
        neurons = len(np.unique(network.layers[0].w.numpy(), axis=1).T)
        print(f"{name}: mean gradients by layer {', '.join(f'{one:.1e}' for one in sizes)}")
        print(
            f"  loss {losses[0]:.3f} -> {losses[-1]:.3f}, test accuracy {np.mean(guesses == images.test_y):.1%}, ",
            end="",
        )
        print(f"{neurons} different neurons of 100")

    def draw(axes) -> None:
        for place, (name, (sizes, losses)) in enumerate(found.items()):
            at = np.arange(len(sizes)) + 0.25 * place
            axes[0].bar(at, np.maximum(sizes, 1e-12), 0.25, label=name)
            axes[1].plot(losses, label=name)
        axes[0].set(
            title="mean size of the first gradient (a bar at the bottom: exactly 0)", yscale="log", ylim=(1e-13, 1)
        )
        axes[0].set_xticks(np.arange(3) + 0.25, ["layer 1", "layer 2", "layer 3"])
        axes[1].set(title="loss", xlabel="step")
        axes[0].legend()

    save_plot(options.out / "vanishing_gradient.png", draw, columns=2)


if __name__ == "__main__":
    main()
