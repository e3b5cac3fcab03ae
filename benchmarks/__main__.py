"""`python -m benchmarks`: measure, and write JSON, a Markdown table and a plot."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

from benchmarks import driver, plot, table
from benchmarks.case import PEERS
from benchmarks.workloads import WORKLOADS, chosen

EVERY_MODE = [mode for modes in PEERS.values() for mode in modes]


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", type=_words, default=list(WORKLOADS), metavar="E1,R", help="workloads, or beginnings")
    parser.add_argument("--peers", type=_words, default=EVERY_MODE, metavar="jax,numba", help="frameworks or modes")
    parser.add_argument("--sizes", type=_words, default=["s", "m", "l"], metavar="s,m,l")
    parser.add_argument("--dtypes", type=_words, default=["float32", "float64"], metavar="float32,float64")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each peer in each row")
    parser.add_argument("--turn", type=float, default=0.02, help="seconds of a turn")
    parser.add_argument("--longest", type=float, default=math.inf, help="seconds after which no row is begun")
    parser.add_argument("--processors", type=_numbers, default=sorted(os.sched_getaffinity(0))[:2], metavar="0,1")
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PATH", help="its own interpreter")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), help="folder")
    parser.add_argument(
        "--footprint", action="store_true", help="instead of the workloads: first calls, compile time, memory"
    )
    parser.add_argument("--readme", type=Path, help="also put the short table between the marks in this file")
    parser.add_argument("--merge", type=Path, nargs="+", help="measure nothing: one table of these JSON files")
    return parser.parse_args(given)


def _words(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _numbers(text: str) -> list[int]:
    return [int(word) for word in _words(text)]


def modes_of(names: list[str]) -> list[str]:
    """The modes that these names stand for: a mode for itself, else a framework for all its modes.

    Raises:
      KeyError: if a name is neither.
    """
    known = dict.fromkeys([*PEERS, *EVERY_MODE])
    unknown = [name for name in names if name not in known]
    if unknown:
        raise KeyError(f"there is no peer {unknown[0]!r}; there are {', '.join(known)}")
    whole = [name for name in names if name not in EVERY_MODE]
    return [mode for name, modes in PEERS.items() for mode in modes if name in whole or mode in names]


def measured(options: argparse.Namespace) -> dict[str, Any]:
    """The document of a run with these options."""
    pythons = dict(pair.split("=", 1) for pair in options.python)
    plan = driver.Plan(
        workloads=chosen(options.only),
        modes=modes_of(options.peers),
        processors=options.processors,
        sizes=options.sizes,
        dtypes=options.dtypes,
        rounds=options.rounds,
        turn_seconds=options.turn,
        longest=options.longest,
        pythons=pythons,
    )
    with (options.out / "errors.log").open("w") as errors:
        if options.footprint:
            return driver.run_footprint(plan, errors, say)
        return driver.run(plan, errors, say, lambda document: save(document, options.out))


def say(line: str) -> None:
    """Tell how far it is."""
    print(line, file=sys.stderr, flush=True)


def save(document: dict[str, Any], folder: Path) -> None:
    """The JSON."""
    (folder / "benchmarks.json").write_text(json.dumps(document, indent=1))


def write(document: dict[str, Any], folder: Path) -> None:
    """JSON, tables and picture."""
    save(document, folder)
    (folder / "benchmarks.md").write_text(table.markdown(document))
    (folder / "short.md").write_text(table.short(document))
    plot.draw(document, folder / "benchmarks.svg")
    print(table.markdown(document))
    print("\n".join(["Above what is asked:", *(table.above(document) or ["nothing"])]))


def main(given: list[str] | None = None) -> None:
    """Run."""
    options = arguments(given)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.merge:
        document = table.merged([json.loads(path.read_text()) for path in options.merge])
    else:
        document = measured(options)
    write(document, options.out)
    if options.readme:
        options.readme.write_text(table.with_table(options.readme.read_text(), document))


if __name__ == "__main__":
    main()
