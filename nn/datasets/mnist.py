"""MNIST, 70,000 handwritten digits, 28x28 (LeCun, Cortes and Burges 1998), from a file that one has already."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from graphjit.runtime.errors import FormatError, NotFoundError

Array = np.ndarray[Any, Any]
SETTING = "GRAPHJIT_MNIST"
_NAMES = ("x_train", "y_train", "x_test", "y_test")


def load_data(path: str | os.PathLike[str] | None = None) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
    """The digits and what they show: (x_train, y_train), (x_test, y_test), of 60,000 and 10,000, uint8.

    Nothing is fetched. The file is an .npz archive of four arrays with these names.

    Args:
      path: the file; by default what the environment variable GRAPHJIT_MNIST says.

    Raises:
      NotFoundError: if there is none; the message says what else there is.
      FormatError: if it is no such archive.
    """
    chosen = path or os.environ.get(SETTING)
    if chosen is None or not Path(chosen).is_file():
        where = "no file was named" if chosen is None else f"there is no file {chosen}"
        raise NotFoundError(
            f"the digits of MNIST are not here: {where}, and nothing is fetched. Name an mnist.npz with the arrays "
            f"{', '.join(_NAMES)} as load_data(path) or in the environment variable {SETTING}; or take pictures of the "
            "same form from gj.keras.datasets.fashion_mnist, or small digits from gj.keras.datasets.digits"
        )
    try:
        with np.load(chosen, allow_pickle=False) as archive:
            x_train, y_train, x_test, y_test = (archive[name] for name in _NAMES)
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise FormatError(f"{chosen} is no archive of the arrays {', '.join(_NAMES)}: {error}") from error
    return (x_train, y_train), (x_test, y_test)


__all__ = ["load_data"]
