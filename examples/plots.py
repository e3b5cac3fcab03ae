"""Pictures of what the examples do, where matplotlib is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def save_plot(path: Path, draw: Callable[[Any], None], columns: int = 1) -> None:
    """Let `draw` fill the axes of a figure (an array of them, if there are several columns), and save it."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print(f"{path.name} was not drawn: pip install matplotlib")
        return
    figure = Figure(figsize=(6 * columns, 4), layout="constrained")
    draw(figure.subplots(1, columns))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    print(f"see {path}")
