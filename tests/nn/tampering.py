"""Changing saved files, for tests: bytes, and what JSON says with checksums that fit again."""

from __future__ import annotations

import copy
import hashlib
import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from graphjit.tracer.storing.folder import _checksum_of

NASTY: tuple[Any, ...] = (
    None,
    True,
    -1,
    2**31,
    2**70,
    1e308,
    "",
    "../../etc/passwd",
    "\x00",
    "*",
    "f32[99999999999,99999999999]",
    "dense<f32[1000000000]: 1.0>",
    "dense<f32[0,1000000000000000000]: []>",
    [],
    {},
    [[]] * 20,
    {"tensor": True},
    {"tuple": ["*"] * 30},
    {"int": "f" * 1000},
    {"float": "7ff8000000000001"},
    {"range": [0, 2**62, 1]},
    {"array": "0 w:0"},
    {"set": [[], {}]},
)


def flipped(content: bytes, chance: random.Random) -> bytes:
    """A few bytes changed, or some cut off or put in."""
    changed = bytearray(content)
    kind = chance.randrange(4)
    if kind == 0:
        return bytes(changed[: chance.randrange(len(changed))])
    for _ in range(chance.choice((1, 1, 2, 5))):
        place = chance.randrange(len(changed))
        if kind == 1:
            changed[place] ^= 1 << chance.randrange(8)
        elif kind == 2:
            changed[place] = chance.randrange(256)
        else:
            changed[place:place] = bytes(chance.randrange(256) for _ in range(chance.randrange(9)))
    return bytes(changed)


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in a document with each of its keys."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        keys: Any = list(one) if isinstance(one, dict) else range(len(one))
        for key in keys:
            yield one, key
            if isinstance(one[key], dict | list):
                waiting.append(one[key])


def changed_document(document: Any, chance: random.Random) -> Any:
    """A document with one thing left out, doubled, exchanged, or replaced by something nasty."""
    changed = copy.deepcopy(document)
    everywhere = list(places(changed))
    holder, key = chance.choice(everywhere)
    other, other_key = chance.choice(everywhere)
    kind = chance.randrange(6)
    if kind == 0:
        del holder[key]
    elif kind == 1:
        holder[key] = chance.choice(NASTY)
    elif kind == 2:
        holder[key], other[other_key] = copy.deepcopy(other[other_key]), copy.deepcopy(holder[key])
    elif kind == 3 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif isinstance(holder[key], int):
        holder[key] += chance.choice((-1, 1, 7, 2**40))
    elif isinstance(holder[key], str):
        holder[key] = _changed_text(holder[key], chance)
    else:
        holder[key] = copy.deepcopy(other[other_key])
    return changed


def _changed_text(text: str, chance: random.Random) -> str:
    place = chance.randrange(len(text) + 1)
    return text[:place] + chance.choice(("", "0", "9999", "-", ",", "(", "]", "x", "?")) + text[place + 1 :]


def write_document(folder: Path, document: Any) -> None:
    """Replace the description of a saved module, with checksums that fit."""
    write_text(folder, json.dumps(document).encode())


def write_text(folder: Path, content: bytes) -> None:
    """The same for a text."""
    (folder / "module.json").write_bytes(content)
    seal(folder)


def seal(folder: Path) -> None:
    """Let the header's checksums fit the files."""
    header = json.loads((folder / "header.json").read_text())
    del header["sha256"]
    for name, facts in header["files"].items():
        content = (folder / name).read_bytes()
        facts.update(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
    (folder / "header.json").write_text(json.dumps({**header, "sha256": _checksum_of(header)}))
