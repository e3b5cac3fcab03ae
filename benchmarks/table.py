"""Tables of a run, and runs put together."""

from __future__ import annotations

import statistics
from typing import Any

from benchmarks.case import LIMIT, OURS, PEERS
from benchmarks.workloads import WORKLOADS

Document = dict[str, Any]
Row = dict[str, dict[str, Any]]
"""The cells of one row, by mode."""
Key = tuple[str, str, str]
"""Workload, dtype, size."""


def merged(documents: list[Document]) -> Document:
    """One document of several runs; where two have a row, the later one's counts, whole, as ratios need one run."""
    rows: dict[Key, list[dict[str, Any]]] = {}
    for document in documents:
        found = rows_of(document)
        rows |= {key: list(cells.values()) for key, cells in found.items()}
    whole = {"machine": dict(documents[0]["machine"]), "peers": {}, "cells": []}
    for document in documents:
        whole["peers"] |= document["peers"]
        whole.setdefault("footprint", []).extend(document.get("footprint", []))
        whole["machine"]["load_after"] = document["machine"].get("load_after")
    ordered = sorted(rows, key=lambda key: (list(WORKLOADS).index(key[0]), key[1], "sml".index(key[2])))
    whole["cells"] = [cell for key in ordered for cell in rows[key]]
    return whole


def rows_of(document: Document) -> dict[Key, Row]:
    """The cells, by row and mode."""
    rows: dict[Key, Row] = {}
    for cell in document["cells"]:
        rows.setdefault((cell["workload"], cell["dtype"], cell["size"]), {})[cell["mode"]] = cell
    return rows


def best_peer(row: Row) -> str | None:
    """The fastest mode that is neither ours nor the limit."""
    times = {mode: cell["median"] for mode, cell in row.items() if "median" in cell and mode not in (*OURS, LIMIT)}
    return min(times, key=times.__getitem__, default=None)


def ratio(row: Row, other: str | None) -> float | None:
    """graphjit's time over another's: the median of the ratios of the rounds."""
    ours, theirs = row.get(OURS[0], {}), row.get(other or "", {})
    if "median" not in ours or "median" not in theirs:
        return None
    # who is far behind after the first rounds has no more of them
    return statistics.median(a / b for a, b in zip(ours["rounds"], theirs["rounds"], strict=False))


def markdown(document: Document) -> str:
    """What was measured on, and a row for each workload, dtype and size."""
    modes = [mode for group in PEERS.values() for mode in group if _was_measured(document, mode)]
    head = ["row", "dtype", *modes, "best peer", "graphjit / best", "graphjit / C"]
    lines = [_row(head), _row(["---"] * len(head))]
    for key, row in rows_of(document).items():
        times = [_time(row.get(mode)) for mode in modes]
        best = best_peer(row)
        lines.append(
            _row(
                [f"{key[0]}-{key[2]}", key[1], *times, best or "-", _ratio(ratio(row, best)), _ratio(ratio(row, LIMIT))]
            )
        )
    return "\n".join([*_preamble(document), "", *lines, "", *_footprint(document)])


def _footprint(document: Document) -> list[str]:
    figures = document.get("footprint", [])
    if not figures:
        return []
    lines = [_row(["figure", "of", "value", "asked at most", ""]), _row(["---"] * 5)]
    for figure in figures:
        most = "-" if figure["most"] is None else f"{figure['most']:g}"
        value = f"{figure['value']:.3g} {figure['unit']}"
        lines.append(_row([figure["what"], figure["mode"], value, most, figure["beside"]]))
    return [*lines, ""]


def short(document: Document, dtype: str = "float32") -> str:
    """A line for each workload and size: the time, the ratios to the best peer and to C, and that in the other dtype.

    Workloads that were not measured in `dtype` show the other.
    """
    other = "float64" if dtype == "float32" else "float32"
    head = ["workload", "size", "graphjit", "best peer", "ratio", "ratio to C", f"ratio in {other}"]
    lines = [_row(head), _row(["---"] * len(head))]
    rows = rows_of(document)
    for (name, kind, size), row in rows.items():
        best = best_peer(row)
        stands_beside = kind == other and (name, dtype, size) in rows
        if stands_beside or best is None or "median" not in row.get(OURS[0], {}):
            continue
        beside = rows.get((name, other, size), {}) if kind == dtype else {}
        shape = " x ".join(f"{length:,}" for length in WORKLOADS[name].sizes[size]) or "a number"
        times = [f"{_microseconds(row[mode]['median'])} us" for mode in (OURS[0], best)]
        ratios = [_ratio(ratio(row, best)), _ratio(ratio(row, LIMIT)), _ratio(ratio(beside, best_peer(beside)))]
        title = f"{name} {WORKLOADS[name].title}{'' if kind == dtype else f', {kind}'}{_mark(row)}"
        lines.append(_row([title, shape, times[0], f"{best} {times[1]}", *ratios]))
    return "\n".join([*lines, ""])


BEGIN, END = "<!-- benchmarks -->\n", "<!-- end of benchmarks -->\n"


def with_table(text: str, document: Document, dtype: str = "float32") -> str:
    """The text with the short table, and what it was measured on, between the marks.

    Raises:
      ValueError: if the text has no marks.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the file has no place for the table: it should have lines {BEGIN.strip()} and {END.strip()}")
    return "".join([before, begin, _caption(document, dtype), "\n", short(document, dtype), end, after])


def _caption(document: Document, dtype: str) -> str:
    machine = document["machine"]
    fields = [*machine["processor"].split()[:2], f"{len(machine['processors'])} threads for everybody", dtype]
    there = ", ".join(name for name, about in document["peers"].items() if "absent" not in about and name != LIMIT)
    return (
        f"{' '.join(fields[:2])}, {', '.join(fields[2:])}, {machine['date'][:10]}; measured: {there}, and C. "
        "A star: other programs ran meanwhile.\n"
    )


def above(document: Document) -> list[str]:
    """Rows where a peer is faster, or where C is more than a quarter faster at m and l."""
    lines = []
    for (name, dtype, size), row in rows_of(document).items():
        best = best_peer(row)
        over, over_limit = ratio(row, best), ratio(row, LIMIT)
        if over is not None and over > 1.0:
            lines.append(f"{name}-{size} {dtype}: {over:.2f} times {best}")
        if over_limit is not None and over_limit > 1.25 and size != "s":
            lines.append(f"{name}-{size} {dtype}: {over_limit:.2f} times C")
    return lines


def _preamble(document: Document) -> list[str]:
    machine = document["machine"]
    load = f"load {machine['load_before']} to {machine.get('load_after')}"
    lines = [
        "Microseconds a call: the median over the rounds, and the minimum of all in brackets. "
        "Ratios are medians of the rounds' ratios. "
        "Where a row has a star, other programs ran meanwhile.",
        "",
        f"{machine['processor']}, {len(machine['processors'])} processors and threads for everybody, "
        f"{machine['system']}, {machine['date']}, {load}, commit {machine['commit']}.",
        "",
    ]
    for name, about in document["peers"].items():
        if "absent" in about:
            lines.append(f"- {name}: absent ({about['absent']})")
        else:
            versions = ", ".join(f"{library} {version}" for library, version in about["versions"].items())
            lines.append(f"- {name}: {versions}; imported in {about['import_seconds']:.2f} s")
    return lines


def _mark(row: Row) -> str:
    """A star where other programs ran during some rounds."""
    return "\\*" if any(cell.get("disturbed") for cell in row.values()) else ""


def _was_measured(document: Document, mode: str) -> bool:
    return any(cell["mode"] == mode and "absent" not in cell for cell in document["cells"])


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _time(cell: dict[str, Any] | None) -> str:
    if cell is None or "absent" in cell:
        return "-"
    if "median" in cell:
        return f"{_microseconds(cell['median'])} ({_microseconds(cell['minimum'])})"
    if "failed" in cell:
        return "failed"
    return f"wrong by {cell['error']:.2g} tolerances"


def _microseconds(seconds: float) -> str:
    value = seconds * 1e6
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
