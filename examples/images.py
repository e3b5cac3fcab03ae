"""Images to train on: Fashion-MNIST where it is installed, else the small digits of scikit-learn."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

import graphjit as gj


@dataclass(frozen=True)
class Images:
    """Images, (count, height, width) in 0..1 as float32, and their labels as int64, to train on and to test with."""

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray

    @property
    def size(self) -> tuple[int, ...]:
        """The shape of an image."""
        return self.train_x.shape[1:]

    @property
    def pixels(self) -> int:
        """How many pixels an image has."""
        return int(np.prod(self.size))

    def as_rows(self) -> Images:
        """The same with the pixels of an image in one row."""
        rows = [x.reshape(len(x), -1) for x in (self.train_x, self.test_x)]
        return Images(self.name, rows[0], self.train_y, rows[1], self.test_y)

    def first(self, count: int | None) -> Images:
        """The same with at most so many images to train on."""
        return Images(self.name, self.train_x[:count], self.train_y[:count], self.test_x, self.test_y)


def load_images() -> Images:
    """Fashion-MNIST (28 x 28 pixels, 60,000 + 10,000) where its files are, else the digits (8 x 8, 1,498 + 299)."""
    try:
        name, data, white = "Fashion-MNIST", gj.keras.datasets.fashion_mnist.load_data(), 255
    except LookupError as missing:
        print(f"{missing}\nTraining on digits instead.")
        name, data, white = "digits", gj.keras.datasets.digits.load_data(), 16
    (train_x, train_y), (test_x, test_y) = data
    scaled = [(x / white).astype(np.float32) for x in (train_x, test_x)]
    return Images(name, scaled[0], train_y.astype(np.int64), scaled[1], test_y.astype(np.int64))
