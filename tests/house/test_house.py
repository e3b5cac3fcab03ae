"""The house rules that can be checked."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import graphjit

ROOT = Path(__file__).parents[2]
LAYERS = ("runtime", "compiler", "tracer", "nn")


def _run(code: str) -> str:
    """What a fresh Python prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_needs_neither_numba_nor_scipy() -> None:
    """`import graphjit` stays light."""
    loaded = _run(
        "import sys, graphjit\n"
        "print([name for name in ('numba', 'scipy', 'llvmlite', 'sklearn') if name in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("layer", LAYERS)
def test_a_layer_refuses_to_be_imported_by_itself(layer: str) -> None:
    """D1: a second copy of a layer would hold a second table of ops."""
    done = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r}); import {layer}"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert f"import graphjit.{layer}" in done.stderr


def test_tracebacks_name_the_files_that_one_edits() -> None:
    """D1: in a checkout the layers are links; modules are known by their real files."""
    from graphjit.compiler import graph

    if (ROOT / "src" / "graphjit" / "compiler").is_symlink():
        assert Path(graph.__file__) == ROOT / "compiler" / "graph.py"


def _modules() -> list[str]:
    return [
        info.name for info in pkgutil.walk_packages(graphjit.__path__, "graphjit.") if info.name.split(".")[1] in LAYERS
    ]


def test_every_module_says_what_it_is() -> None:
    """Each module has a docstring."""
    silent = [name for name in _modules() if not (importlib.import_module(name).__doc__ or "").strip()]
    assert silent == []


def test_no_module_is_named_like_another_library() -> None:
    """D2: no module of ours hides one of the standard library or of a dependency."""
    taken = {*sys.stdlib_module_names, "numpy", "numba", "scipy", "llvmlite", "optree", "platformdirs"}
    vague = {"util", "utils", "helper", "helpers", "misc", "base", "manager", "common"}
    names = {name.rsplit(".", 1)[-1] for name in _modules()}
    assert names & (taken | vague) == set()


def test_silenced_warnings_say_why() -> None:
    """Every `noqa` and `type: ignore` names its code, and its reason stands beside it."""
    bare = []
    for folder in LAYERS:
        for path in (ROOT / folder).rglob("*.py"):
            for number, line in enumerate(path.read_text().splitlines(), 1):
                for mark in ("# type: ignore", "# noqa"):
                    if mark in line and not _has_reason(line.split(mark, 1)[1]):
                        bare.append(f"{path.relative_to(ROOT)}:{number}")
    assert bare == []


def _has_reason(rest: str) -> bool:
    rest = rest.strip()
    if rest.startswith("["):
        return "#" in rest.split("]", 1)[1]
    return rest.startswith(":") and ("--" in rest or "#" in rest)


def test_functions_are_small() -> None:
    """Nine functions in ten have at most 30 lines."""
    lengths = []
    for folder in LAYERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.FunctionDef):
                    lengths.append((node.end_lineno or node.lineno) - node.lineno + 1)
    lengths.sort()
    assert lengths[int(len(lengths) * 0.9)] <= 30


def test_every_public_name_is_exported() -> None:
    """`__all__` is what is there: type checkers of users go by it."""
    listed = set(graphjit.__all__)
    namespaces = {"autodiff", "autograph", "bitwise", "config", "debugging", "errors", "linalg", "math", "nest", "nn"}
    namespaces |= {"data", "initializers", "keras", "losses", "metrics", "optimizers"}
    missing = {name for name in listed if not hasattr(graphjit, name)}
    unlisted = {name for name in dir(graphjit) if not name.startswith("_")} - listed - namespaces - set(LAYERS)
    assert (missing, unlisted - {"random"}) == (set(), set())
