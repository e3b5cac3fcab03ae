"""What is compiled once: kernels over processes, and over shapes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import graphjit as gj
from graphjit.runtime.kernelcache import kernel_counters

_PROGRAM = """
import sys
import numpy as np
import graphjit as gj

w = gj.Variable(np.linspace(-1, 1, 12).reshape(4, 3).astype(np.float32))

@gj.compile
def step(x, labels):
    with gj.GradientTape() as tape:
        logits = gj.tanh(x) @ w
        loss = gj.reduce_mean(gj.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))
    w.assign_sub(0.1 * tape.gradient(loss, w))
    return loss

x = np.linspace(-2, 2, 20).reshape(5, 4).astype(np.float32)
losses = [float(step(x, np.array([0, 1, 2, 1, 0]))) for _ in range(3)]
report = step.report()
print(report.kernels_compiled, report.kernels_loaded, "numba" in sys.modules, losses)
"""


def _run(folder: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GRAPHJIT_CACHE_DIR": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(maxsplit=3)


def test_a_second_process_compiles_nothing(tmp_path: Path) -> None:
    """D15: kernels come from the folder, Numba is not imported, and the numbers are the same bits."""
    compiled, _loaded, _numba, losses = _run(tmp_path)
    assert int(compiled) > 0
    again, loaded, numba, same = _run(tmp_path)
    assert (again, numba) == ("0", "False")
    assert int(loaded) == int(compiled)
    assert same == losses


def test_a_new_shape_compiles_no_kernel() -> None:
    """A2, D10: kernels take their sizes at run time."""

    @gj.compile
    def f(x):
        return gj.nn.softmax(gj.tanh(x) * 2.0)

    f(np.ones((3, 5), np.float32))
    before = kernel_counters()
    f(np.ones((7, 11), np.float32))
    f(np.ones((64, 100), np.float32))
    after = kernel_counters()
    assert f.trace_count == 3
    assert (after.compiled, after.loaded) == (before.compiled, before.loaded)
