"""One offline HTML page: the user's source beside every stage of a graph, with what each pass changed.

A line of a text belongs to the user's line that it names (`train.py:12`): pointing at one lights up the others.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from itertools import pairwise

from ..graph import Graph
from .text import format_graph


@dataclass(frozen=True)
class Sheet:
    """A text of the page.

    Attributes:
      title: what its tab says.
      lines: the text.
      note: a word beside the title, such as the milliseconds that a pass took.
      added: numbers of the lines that the sheet before it did not have.
      removed: the lines that it lost.
      repeats: whether it is the same as the sheet before it.
    """

    title: str
    lines: tuple[str, ...]
    note: str = ""
    added: frozenset[int] = frozenset()
    removed: tuple[str, ...] = ()
    repeats: bool = False


@dataclass(frozen=True)
class Source:
    """The user's function: its file, the number of its first line, its lines."""

    file: str = ""
    first: int = 1
    lines: tuple[str, ...] = field(default=())


def sheet(title: str, text: str, note: str = "") -> Sheet:
    """A text as a sheet."""
    return Sheet(title, tuple(text.splitlines()), note)


def graph_sheets(stages: Iterable[tuple[str, Graph, str]]) -> list[Sheet]:
    """Stages of a graph (title, graph, note) as sheets that know what each changed."""
    plain = [sheet(title, format_graph(graph, locations=True, shorten=True), note) for title, graph, note in stages]
    return plain[:1] + [_compared(before, after) for before, after in pairwise(plain)]


def _compared(before: Sheet, after: Sheet) -> Sheet:
    added: set[int] = set()
    removed: list[str] = []
    matcher = difflib.SequenceMatcher(None, before.lines, after.lines, autojunk=False)
    for kind, begin, end, new_begin, new_end in matcher.get_opcodes():
        if kind != "equal":
            removed.extend(before.lines[begin:end])
            added.update(range(new_begin, new_end))
    return Sheet(after.title, after.lines, after.note, frozenset(added), tuple(removed), not (added or removed))


def format_page(title: str, source: Source, sheets: Sequence[Sheet]) -> str:
    """The page as HTML that needs no other file and no network.

    >>> "&lt;lambda&gt;" in format_page("<lambda>", Source(), [sheet("traced", "f() { return }")])
    True
    """
    tabs = "".join(_tab(number, one) for number, one in enumerate(sheets))
    bodies = "".join(_body(number, one) for number, one in enumerate(sheets))
    return _PAGE.format(
        title=escape(title),
        style=_STYLE,
        script=_SCRIPT,
        source="".join(_source_lines(source)),
        tabs=tabs,
        sheets=bodies,
    )


def _source_lines(source: Source) -> Iterator[str]:
    file = os.path.basename(source.file)
    for number, text in enumerate(source.lines, source.first):
        yield _line(f"{number:>5}  {text}", [f"{file}:{number}"], "")


_PLACE = re.compile(r"[\w.<>-]+:\d+")


def _tab(number: int, one: Sheet) -> str:
    marks = " class=unchanged" if one.repeats else ""
    note = f" <small>{escape(one.note)}</small>" if one.note else ""
    return f"<button data-sheet={number}{marks}>{escape(one.title)}{note}</button>"


def _body(number: int, one: Sheet) -> str:
    lines = [_line(text, _PLACE.findall(text), "new" if at in one.added else "") for at, text in enumerate(one.lines)]
    gone = [_line(text, _PLACE.findall(text), "old") for text in one.removed]
    lost = f"<details open><summary>{len(gone)} lines gone</summary>{''.join(gone)}</details>" if gone else ""
    return f"<pre id=sheet{number} hidden>{''.join(lines)}{lost}</pre>"


def _line(text: str, places: Sequence[str], kind: str) -> str:
    return f'<div class="{kind}" data-places="{escape(" ".join(places))}">{escape(text) or " "}</div>'


_STYLE = """
:root { color-scheme: light dark; --line: #8884; --new: #2a72; --old: #c332; --lit: #fc06; }
body { margin: 0; font: 14px/1.45 system-ui, sans-serif; }
header { padding: .6rem 1rem; border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 1.1rem; }
main { display: grid; grid-template-columns: minmax(20rem, 2fr) 5fr; }
section { padding: .5rem 1rem; overflow: auto; height: calc(100vh - 3.6rem); box-sizing: border-box; }
section + section { border-left: 1px solid var(--line); }
pre { margin: .5rem 0; font: 12.5px/1.5 ui-monospace, monospace; }
pre div { white-space: pre; padding: 0 .3rem; }
.new { background: var(--new); } .old { background: var(--old); text-decoration: line-through; }
.lit { background: var(--lit); }
button { font: inherit; padding: .1rem .5rem; margin: 0 .2rem .2rem 0; }
button.unchanged { opacity: .55; } button[aria-selected=true] { font-weight: bold; opacity: 1; }
details { margin-top: .8rem; }
"""

_SCRIPT = """
const show = number => {
  document.querySelectorAll('[id^=sheet]').forEach(one => one.hidden = one.id !== 'sheet' + number);
  document.querySelectorAll('button').forEach(one => one.setAttribute('aria-selected', one.dataset.sheet === number));
};
document.querySelectorAll('button').forEach(one => one.onclick = () => show(one.dataset.sheet));
document.onmouseover = event => {
  const places = (event.target.dataset?.places || '').split(' ').filter(Boolean);
  const isLit = one => one.dataset.places.split(' ').some(place => places.includes(place));
  document.querySelectorAll('[data-places]').forEach(one => one.classList.toggle('lit', isLit(one)));
};
show('0');
"""

_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{style}</style></head>
<body><header><h1>{title}</h1></header>
<main><section><pre>{source}</pre></section><section><nav>{tabs}</nav>{sheets}</section></main>
<script>{script}</script></body></html>
"""

__all__ = ["Sheet", "Source", "format_page", "graph_sheets", "sheet"]
