"""Fashion-MNIST: 70,000 pictures of clothes, 28x28, of ten kinds (Xiao, Rasul and Vollgraf 2017; MIT licence)."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from graphjit.runtime.errors import FormatError, NotFoundError

Array = np.ndarray[Any, Any]
SETTING = "GRAPHJIT_FASHION_MNIST"
USUAL_PLACE = "/usr/share/datasets/fashion-mnist"
_FILES = (
    ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
)
_MOST_BYTES = 2**28


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The pictures and their kinds: (x_train, y_train), (x_test, y_test), of 60,000 and 10,000, uint8.

    Nothing is fetched. The files are those of the data set's own page, and of Debian's package
    dataset-fashion-mnist.

    Args:
      path: the folder; by default what the environment variable GRAPHJIT_FASHION_MNIST says, then
        /usr/share/datasets/fashion-mnist.

    Raises:
      NotFoundError: if the files are not there; the message says how to get them.
      FormatError: if one is damaged.
    """
    folder = Path(path or os.environ.get(SETTING) or USUAL_PLACE)
    train, test = ((_read(folder, images), _read(folder, labels)) for images, labels in _FILES)
    return train, test


def _read(folder: Path, name: str) -> Array:
    """One file of the IDX format, packed or not."""
    found = next((one for one in (folder / f"{name}.gz", folder / name) if one.is_file()), None)
    if found is None:
        raise NotFoundError(
            f"there is no {name}.gz in {folder}. On Debian and Ubuntu: apt install dataset-fashion-mnist. Elsewhere: "
            f"put the four files of github.com/zalandoresearch/fashion-mnist into a folder, and name it in the "
            f"environment variable {SETTING} or as load_data(path)"
        )
    try:
        with gzip.open(found) if found.suffix == ".gz" else found.open("rb") as file:
            content = file.read(_MOST_BYTES)
    except (OSError, EOFError, zlib.error) as error:
        raise FormatError(f"{found} is damaged: {error}") from error
    return _parsed(content, found)


def _parsed(content: bytes, source: Path) -> Array:
    """Numbers of one byte: two zeros, 8, the number of axes, sizes of four bytes each, then the elements."""
    rank = content[3] if len(content) > 3 and content[:3] == b"\0\0\x08" else 0
    start = 4 + 4 * rank
    sizes = np.frombuffer(content[4:start], ">u4") if len(content) >= start else np.zeros(0)
    if not rank or int(np.prod(sizes.astype(object))) != len(content) - start:
        raise FormatError(f"{source} is no IDX file of bytes, or was cut off")
    return np.frombuffer(content, np.uint8, offset=start).reshape([int(size) for size in sizes]).copy()


__all__ = ["load_data"]
