"""Images to train on: Fashion-MNIST where it is installed, else the small digits of scikit-learn.

Fashion-MNIST is Debian's package `dataset-fashion-mnist`; a folder with the same four
files can be named in the environment variable FASHION_MNIST.
"""

from __future__ import annotations

import gzip
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(os.environ.get("FASHION_MNIST", "/usr/share/datasets/fashion-mnist"))


@dataclass(frozen=True)
class Images:
    """Rows of pixels in 0..1 (float32) and their labels (int32), for training and for testing."""

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray

    @property
    def pixels(self) -> int:
        """How many pixels an image has."""
        return int(self.train_x.shape[1])


def _read_idx(path: Path) -> np.ndarray:
    """The array in one of MNIST's files: two zero bytes, a type, a rank, sizes (big-endian), elements."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} is no file of unsigned bytes in the IDX format")
    rank = content[3]
    shape = np.frombuffer(content, ">u4", rank, 4).astype(int)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * rank).reshape(shape)


def _rows(images: np.ndarray, largest: float) -> np.ndarray:
    return (images.reshape(len(images), -1) / largest).astype(np.float32)


def fashion_mnist() -> Images:
    """60,000 + 10,000 pictures of 28 x 28 pixels of clothes, in 10 classes."""
    train_x, train_y, test_x, test_y = (
        _read_idx(FOLDER / f"{name}-ubyte.gz")
        for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
    )
    return Images(
        "Fashion-MNIST", _rows(train_x, 255), train_y.astype(np.int32), _rows(test_x, 255), test_y.astype(np.int32)
    )


def digits() -> Images:
    """1,500 + 297 pictures of 8 x 8 pixels of digits."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, y = _rows(data.images, 16)[order], data.target.astype(np.int32)[order]
    return Images("digits", x[:1500], y[:1500], x[1500:], y[1500:])


def load_images() -> Images:
    """Fashion-MNIST where its files are, else the digits."""
    if (FOLDER / "train-images-idx3-ubyte.gz").exists():
        return fashion_mnist()
    print(f"Fashion-MNIST is not in {FOLDER} (Debian: apt install dataset-fashion-mnist); training on digits instead.")
    return digits()
