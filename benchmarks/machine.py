"""What the times were measured on."""

from __future__ import annotations

import datetime
import os
import platform
import subprocess
from pathlib import Path
from typing import Any


def describe_machine(processors: list[int]) -> dict[str, Any]:
    """Processor, system, load and date."""
    return {
        "processor": _processor(),
        "processors": processors,
        "system": platform.platform(),
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "load_before": load_average(),
        "commit": _commit(),
    }


def load_average() -> list[float]:
    """The load of the last 1, 5 and 15 minutes."""
    return [round(load, 2) for load in os.getloadavg()]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def _commit() -> str:
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
