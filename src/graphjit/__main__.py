"""`python -m graphjit compare module:function`: eager against graph from the shell.

The module says what to call the function with, in a function of the same name with
`_arguments` behind it, which returns a tuple; without one the function is called without arguments.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from graphjit.runtime.errors import NotFoundError


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; 0 where eager and graph agree, else 1."""
    parser = argparse.ArgumentParser(prog="python -m graphjit", description=__doc__.split("\n", 1)[0])
    commands = parser.add_subparsers(dest="command", required=True)
    compare = commands.add_parser("compare", help="run a function eagerly and compiled, and compare")
    compare.add_argument("target", help="module:function")
    compare.add_argument("--rounds", type=int, default=9)
    compare.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args(words)
    return _compare(options.target, options.rounds, options.seconds)


def _compare(target: str, rounds: int, seconds: float) -> int:
    import graphjit

    module_name, _colon, name = target.partition(":")
    sys.path.insert(0, os.getcwd())
    module = importlib.import_module(module_name)
    function = getattr(module, name, None)
    if function is None:
        raise NotFoundError(f"module {module_name} has no function {name!r}")
    arguments: tuple[object, ...] = getattr(module, f"{name}_arguments", tuple)()
    found = graphjit.compare(function, *arguments, rounds=rounds, seconds=seconds)
    print(found)
    return 0 if found.agrees else 1


if __name__ == "__main__":
    sys.exit(main())
