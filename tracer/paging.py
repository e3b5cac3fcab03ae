"""A compiled function as one HTML page, and as what a notebook shows."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any

from graphjit.compiler.dump.page import Sheet, Source, format_page, graph_sheets, sheet
from graphjit.compiler.graph import Graph

from .concrete import Concrete
from .inspecting import NATIVE_STAGES, to_code
from .retraces import Retraces


def page_of(function: Any, name: str, concrete: Concrete, retraces: Retraces, path: str | None = None) -> str:
    """HTML of the latest trace: source, every stage with what it changed, kernels, machine code, report, traces.

    Args: `path` is where to write it, if it is to be written.
    """
    sheets = [*_report(concrete), *graph_sheets(_stages(concrete)), *_native(concrete)]
    sheets.append(sheet("traces", str(retraces)))
    source = _source(function)
    if source.lines:
        sheets.append(sheet("python", to_code(function)))
    text = format_page(name, source, sheets)
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


def in_notebook(name: str, page: str | None) -> str:
    """What a notebook shows: the page in a frame of its own, so that its style stays there; without one the name."""
    if page is None:
        return f"<code>{escape(name)}</code>"
    return f'<iframe srcdoc="{escape(page)}" style="width: 100%; height: 36rem; border: 1px solid #8884"></iframe>'


def _stages(concrete: Concrete) -> list[tuple[str, Graph, str]]:
    found = [("traced", concrete.traced.graph, f"{concrete.traced.milliseconds:.1f} ms")]
    for compiled in concrete.program.versions[-1:]:
        found += [(stage.name, stage.graph, f"{stage.milliseconds:.1f} ms") for stage in compiled.stages]
        if compiled.runner is not None:
            found.append(("fused", compiled.runner.graph, ""))
    return found


def _report(concrete: Concrete) -> list[Sheet]:
    runners = [one.runner for one in concrete.program.versions[-1:] if one.runner is not None]
    return [sheet("report", str(runner.report(concrete.traced.milliseconds))) for runner in runners]


def _native(concrete: Concrete) -> list[Sheet]:
    runners = [one.runner for one in concrete.program.versions[-1:] if one.runner is not None]
    return [sheet(stage, runner.dump(stage)) for runner in runners for stage in NATIVE_STAGES]


def _source(function: Callable[..., Any]) -> Source:
    """The user's own text; nothing where there is none, as for code that was made by `exec`."""
    python = inspect.unwrap(function)
    try:
        lines, first = inspect.getsourcelines(python)
    except (OSError, TypeError):
        return Source()
    return Source(inspect.getsourcefile(python) or "", first, tuple(line.rstrip("\n") for line in lines))


__all__: list[str] = []
