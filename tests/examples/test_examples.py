"""Each example runs, in a small size, says what it should, and draws its picture."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "examples"
SHARED = {"images.py", "plots.py"}
SMALL = {
    "compare_speed.py": ([], "times as fast"),
    "first_classifier.py": (["--epochs", "1", "--images", "300"], "Brier score"),
    "inspect_graph.py": ([], "--- kernels ---"),
    "logistic_regression.py": (["--steps", "60"], "own layer and model"),
    "own_network.py": (["--epochs", "2", "--images", "300"], "times"),
    "own_parts.py": (["--epochs", "1", "--examples", "320"], "within a tenth"),
    "train_images.py": (["--epochs", "1", "--images", "300"], "dumps are in"),
    "vanishing_gradient.py": (["--steps", "20"], "mean gradients by layer"),
}


@pytest.mark.parametrize("name", SMALL)
def test_an_example_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a small size; what it draws or writes is where it was told to put it."""
    arguments, expected = SMALL[name]
    draws = "save_plot" in (FOLDER / name).read_text()
    folder = ["--out", str(tmp_path)] if draws else ["--dumps", str(tmp_path)] if name == "train_images.py" else []
    monkeypatch.setattr(sys, "argv", [name, *arguments, *folder])
    monkeypatch.syspath_prepend(str(FOLDER))
    runpy.run_path(str(FOLDER / name), run_name="__main__")
    assert expected in capsys.readouterr().out
    if draws:
        pytest.importorskip("matplotlib")
        assert (tmp_path / name).with_suffix(".png").stat().st_size > 5000


def test_every_example_is_tested_and_listed() -> None:
    """A new script needs a row above and a line in the README."""
    assert {path.name for path in FOLDER.glob("*.py")} - SHARED == set(SMALL)
    readme = (FOLDER.parent / "README.md").read_text()
    assert all(f"`{name}`" in readme for name in SMALL)


def test_uniform_weights_let_no_gradient_through(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the story of the vanishing gradient says is so."""
    monkeypatch.syspath_prepend(str(FOLDER))
    names = runpy.run_path(str(FOLDER / "vanishing_gradient.py"))
    images = names["load_images"]().as_rows()
    sizes = {
        start: names["train"](names["Network"]([images.pixels, 100, 50, 10], first), images, 1)[0]
        for start, first in names["STARTS"].items()
    }
    assert sizes["uniform from 0 to 1"][0] < 1e-12 < 1e-6 < sizes["fitting normal"][0]
    assert sizes["zeros"][0] == 0.0 and sizes["zeros"][2] > 0
