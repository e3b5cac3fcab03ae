"""This computer's processor, as LLVM names it, without asking LLVM in every process.

To import LLVM takes longer than the rest of a first call whose kernels are in the folder. So what
it said is kept in a folder beside them, under a name that is made of what the operating system
says of the processor and of the library's file; anything new there asks LLVM again.
"""

from __future__ import annotations

import hashlib
import json
import platform
import sys
from functools import lru_cache
from pathlib import Path
from typing import Final

import llvmlite

from graphjit.runtime.cachefolder import CacheFolder, default_folder
from graphjit.runtime.fields import dataclass

_DESCRIPTION: Final = Path("/proc/cpuinfo")
_CHANGING: Final = ("cpu MHz", "BogoMIPS", "bogomips", "processor", "apicid", "initial apicid", "core id")


@dataclass(frozen=True)
class Host:
    """The processor that code is made for."""

    triple: str
    cpu: str
    features: str
    llvm_version: tuple[int, ...]


@lru_cache(maxsize=1)
def host() -> Host:
    """This computer's processor."""
    folder = default_folder()
    name = _name()
    if name is None or folder is None:
        return _asked()
    kept = CacheFolder(folder / "processor")
    parts = kept.load(name, 1)
    if parts is not None:
        facts = json.loads(parts[0])
        return Host(facts["triple"], facts["cpu"], facts["features"], tuple(facts["llvm_version"]))
    found = _asked()
    text = json.dumps(vars(found), indent=1)
    kept.store(name, [text.encode()], text, ".json")
    return found


def _asked() -> Host:
    import llvmlite.binding as llvm

    return Host(
        llvm.get_process_triple(),
        llvm.get_host_cpu_name(),
        llvm.get_host_cpu_features().flatten(),
        tuple(llvm.llvm_version_info),
    )


def _name() -> str | None:
    """A digest of all that LLVM's answer depends on; None where the system does not describe its processor."""
    try:
        description = _DESCRIPTION.read_text().split("\n\n", 1)[0]
    except OSError:
        return None
    lines = [line for line in description.splitlines() if not line.startswith(_CHANGING)]
    library = sorted((Path(llvmlite.__file__).parent / "binding").glob("*llvmlite*.*"))
    files = [f"{file.name} {file.stat().st_size} {file.stat().st_mtime_ns}" for file in library]
    facts = [*lines, *files, llvmlite.__version__, platform.machine(), sys.platform]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()
