"""A picture of a run: for each row how many times as long as graphjit each peer takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.case import LIMIT, OURS, PEERS
from benchmarks.table import Document, Row, rows_of

_COLOURS = {
    "numpy": "#4d77cf",
    "numba": "#00a3e0",
    "numexpr": "#8d99ae",
    "jax": "#8e44ad",
    "pytensor": "#2a9d8f",
    "torch": "#ee4c2c",
    "tensorflow": "#ff9f1c",
    "c": "#222222",
}


def draw(document: Document, path: Path, dtype: str = "float32") -> bool:
    """Write the picture (the ending says the format); False where there is no matplotlib or nothing to draw."""
    rows = {key: row for key, row in rows_of(document).items() if key[1] == dtype and "median" in row.get(OURS[0], {})}
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    if not rows:
        return False
    figure = Figure(figsize=(9, 1.5 + 0.27 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for framework, colour in _COLOURS.items():
        places, ratios = _fastest_of(framework, list(rows.values()))
        if not places:
            continue
        marker = "|" if framework == LIMIT else "o"
        size = 130 if framework == LIMIT else 26
        axes.scatter(ratios, places, size, colour, marker=marker, label=_label(framework), zorder=3)
    _finish(axes, [f"{name}-{size}" for name, _, size in rows], dtype)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    figure.savefig(path, dpi=150)
    return True


def _label(framework: str) -> str:
    return "C, the limit" if framework == LIMIT else framework


def _fastest_of(framework: str, rows: list[Row]) -> tuple[list[int], list[float]]:
    places, ratios = [], []
    for place, row in enumerate(rows):
        times = [row[mode]["median"] for mode in PEERS[framework] if "median" in row.get(mode, {})]
        if times:
            places.append(place)
            ratios.append(min(times) / row[OURS[0]]["median"])
    return places, ratios


def _finish(axes: Any, names: list[str], dtype: str) -> None:
    axes.set_xscale("log")
    axes.axvline(1, color="#2e7d32", linewidth=2, label="graphjit")
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_xlabel(f"time as a multiple of graphjit's ({dtype}; right of the line graphjit is faster)")
    for side in (axes.xaxis.set_major_formatter, axes.xaxis.set_minor_formatter):
        side(_plain)


def _plain(value: float, _position: int) -> str:
    """1, 2, 5 and their tens, hundreds, tenths: enough for a logarithmic axis."""
    return f"{value:g}" if f"{value:e}"[0] in "125" else ""
