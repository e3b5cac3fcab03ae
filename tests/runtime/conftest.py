"""Every test session keeps its kernels in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_kernel_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh kernel folder, so that no test depends on what ran before."""
    folder = tmp_path_factory.mktemp("graphjit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHJIT_CACHE_DIR", str(folder))
        yield folder
