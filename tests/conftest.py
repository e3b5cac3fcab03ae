"""Golden files: texts that are compared with what was accepted before.

pytest --update-golden      accept what the tests produce now; read the difference before committing
"""

from __future__ import annotations

from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent / "golden"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flag that accepts new texts."""
    parser.addoption("--update-golden", action="store_true", help="accept the texts that the tests produce")


class Golden:
    """The accepted texts of one test."""

    def __init__(self, name: str, update: bool) -> None:
        self._name = name
        self._update = update

    def check(self, text: str, part: str = "") -> None:
        """Compare a text with the accepted one; `part` tells several texts of a test apart."""
        path = _FOLDER / f"{self._name}{f'.{part}' if part else ''}.txt"
        if self._update:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text + "\n", encoding="utf-8")
        assert path.exists(), f"{path} is missing; accept the text with --update-golden"
        assert text + "\n" == path.read_text(encoding="utf-8")


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> Golden:
    """The accepted texts of the running test."""
    name = f"{request.node.path.stem}/{request.node.name}"
    return Golden(name, request.config.getoption("--update-golden"))
