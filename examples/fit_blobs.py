"""Logistic regression by hand: two clouds of points, a loss written out, gradient descent with a tape."""

from __future__ import annotations

import numpy as np

import graphjit as gj


def blobs(count: int = 1000, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Points of shape (count, 2) around two centres, and the number of the centre as float32 (count,)."""
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 2, count)
    centres = np.array([[-2.0, -1.0], [2.0, 1.5]])
    points = centres[label] + rng.standard_normal((count, 2))
    return points.astype(np.float32), label.astype(np.float32)


def predict(points, weights, bias):
    """The probability that each point belongs to the second cloud."""
    return gj.reshape(gj.sigmoid(points @ weights + bias), [-1])


def cross_entropy(targets, probabilities):
    """The mean binary cross entropy; the small number keeps the logarithm finite."""
    one = gj.math.log(probabilities + 1e-7) * targets
    zero = gj.math.log(1.0 - probabilities + 1e-7) * (1.0 - targets)
    return -gj.reduce_mean(one + zero)


@gj.compile
def step(points, targets, weights, bias, rate):
    """One step of gradient descent on plain tensors; returns the loss and the new parameters."""
    with gj.GradientTape() as tape:
        tape.watch([weights, bias])
        loss = cross_entropy(targets, predict(points, weights, bias))
    weights_gradient, bias_gradient = tape.gradient(loss, [weights, bias])
    return loss, weights - rate * weights_gradient, bias - rate * bias_gradient


def main() -> None:
    points, targets = blobs()
    weights = gj.constant(np.random.default_rng(1).standard_normal((2, 1)).astype(np.float32))
    bias = gj.constant(0.0)
    for number in range(501):
        loss, weights, bias = step(points, targets, weights, bias, 0.1)
        if number % 100 == 0:
            right = np.round(predict(points, weights, bias)) == targets
            print(f"step {number:3d}: loss {float(loss):.4f}, accuracy {np.mean(right):.1%}")
    print(f"traced {step.trace_count} time(s)")
    print(step.report())


if __name__ == "__main__":
    main()
