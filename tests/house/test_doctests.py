"""Every example in a docstring runs and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import graphjit

# in a checkout the walk also comes by the benchmarks, which are no part of graphjit
MODULES = sorted(
    info.name
    for info in pkgutil.walk_packages(graphjit.__path__, "graphjit.")
    if not info.name.endswith(("__main__", ".benchmarks"))
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings(name: str) -> None:
    """The module's doctests pass."""
    module = importlib.import_module(name)
    found = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    assert found.failed == 0


def test_there_are_examples() -> None:
    """The walk over the modules finds a fair number of examples."""
    finder = doctest.DocTestFinder()
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) >= 100
