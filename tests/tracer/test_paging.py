"""SEMANTICS J4: one offline HTML page of a compiled function; a notebook shows it."""

import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

import graphjit as gj


class Texts(HTMLParser):
    """The texts of a page's sheets by the titles of their tabs, and which user's lines each line belongs to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sheets: list[str] = []
        self.places: list[str] = []
        self.outside: list[str] = []
        self._inside = False
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: Any) -> None:
        known = dict(attributes)
        if tag == "pre":
            self._inside = True
            self.sheets.append("")
        self.places.extend((known.get("data-places") or "").split())
        self.outside.extend(known[name] for name in ("src", "href") if name in known)

    def handle_endtag(self, tag: str) -> None:
        if tag == "pre":
            self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.sheets[-1] += data + "\n"


@gj.compile
def doubled(x: Any) -> Any:
    """<b>not bold</b>"""
    root = gj.sqrt(x * x)
    return root + root


def test_j4_the_page_has_source_stages_kernels_and_traces(tmp_path: Any) -> None:
    doubled(np.float32([1, 2]))
    page = doubled.page(str(tmp_path / "page.html"))
    assert (tmp_path / "page.html").read_text(encoding="utf-8") == page
    texts = Texts(page)
    source = texts.sheets[0]
    assert "root = gj.sqrt(x * x)" in source and "<b>not bold</b>" in source  # as text, not as a tag
    everything = "\n".join(texts.sheets[1:])
    for wanted in ("%root: f32[2] = sqrt(", "def kernel(addresses", "trace 1 (", "1 kernels"):
        assert wanted in everything
    assert texts.outside == []


def test_j4_lines_of_all_stages_know_the_users_line() -> None:
    doubled(np.float32([1, 2]))
    line = doubled.python_function.__code__.co_firstlineno + 3
    assert Texts(doubled.page()).places.count(f"test_paging.py:{line}") > 5


def test_j4_what_a_pass_changed_is_marked() -> None:
    @gj.compile
    def f(x: Any) -> Any:
        return gj.sqrt(x * 1.0)

    f(np.float32([1, 2]))
    page = f.page()
    assert re.search(r'class="old"[^>]*>[^<]*multiply', page)
    assert re.search(r'class="new"[^>]*>[^<]*sqrt', page)


def test_j4_a_function_without_source_and_one_not_called() -> None:
    space: dict[str, Any] = {}
    exec("def f(x):\n    return x + 1", space)
    f = gj.compile(space["f"])
    with pytest.raises(gj.errors.FailedPreconditionError, match="not called yet"):
        f.page()
    assert f._repr_html_().startswith("<code>&lt;gj.Function f")
    f(np.float32(1))
    assert "add(" in f.page()
    assert f._repr_html_().startswith("<iframe srcdoc=")
