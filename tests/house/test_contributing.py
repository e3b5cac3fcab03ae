"""CONTRIBUTING's worked example is run as it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

_CHECKS = """
import numpy as np
import graphjit as gj
from graphjit.compiler.op import find_op

x = np.linspace(0.1, 4.0, 37)
y = softcap(gj.constant(x))
np.testing.assert_allclose(y, x / (1 + x), rtol=1e-15)
compiled = gj.compile(softcap)
np.testing.assert_allclose(compiled(x), y, rtol=1e-15)
assert compiled.report().numpy_steps == 0
with gj.GradientTape() as tape:
    v = gj.Variable(x)
    total = gj.reduce_sum(softcap(v))
step = 1e-6
expected = [((x + step) / (1 + x + step) - (x - step) / (1 + x - step)) / (2 * step)]
np.testing.assert_allclose(tape.gradient(total, v), expected[0], rtol=1e-6)
assert find_op("softcap").examples
print("added with one declaration")
"""


def test_the_worked_example_adds_an_op_in_one_place(tmp_path: Path) -> None:
    """Adding an op touches one file: the block in CONTRIBUTING is all that it takes."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    found = re.search(r"<!-- worked example: an op -->\n```python\n(.*?)```", text, re.DOTALL)
    assert found is not None
    script = tmp_path / "softcap.py"
    script.write_text(found[1] + _CHECKS)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "added with one declaration"
