"""The machine code of vmath: vector instructions without calls, and one result in body and tail."""

from __future__ import annotations

import platform
import re
import subprocess
import sys
import time
from typing import Any

import numba
import numpy as np
import pytest
from llvmlite import ir
from vmath_loops import FLOAT_TYPES, compiled, native

from graphjit.runtime import vmath

ON_X86 = platform.machine() in ("x86_64", "AMD64")
LABEL, JUMP = re.compile(r"(\.L\w+):"), re.compile(r"\s+j\w+\s+(\.L\w+)")


def loops(assembly: str) -> list[str]:
    """The bodies of the innermost loops: from a label to the first jump back to it."""
    lines = assembly.splitlines()
    starts: dict[str, int] = {}
    found = []
    for number, line in enumerate(lines):
        if label := LABEL.match(line):
            starts[label[1]] = number
        elif (jump := JUMP.match(line)) and jump[1] in starts:
            found.append("\n".join(lines[starts[jump[1]] : number + 1]))
    return found


@pytest.mark.skipif(not ON_X86, reason="reads x86 assembly")
@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", vmath.NAMES)
def test_loops_are_vector_code(name: str, dtype: str) -> None:
    """Some loop works on whole registers, and none calls anything or multiplies words one by one."""
    assembly = next(iter(compiled(name, dtype).inspect_asm().values()))
    bodies = loops(assembly.split("\n_ZN7cpython")[0])  # Numba's wrapper for Python calls much
    packed = re.compile(r"v(fn?m(add|sub)\d+|mul|add)p[sd]\s.*%[yz]mm")  # float32 pow computes in float64
    assert any(packed.search(body) for body in bodies), f"{name} is not vectorised"
    assert not any(re.search(r"\scallq?\s", body) for body in bodies), f"{name} calls a function"
    assert not any(re.search(r"\s(mulx|imulq)\s", body) and packed.search(body) for body in bodies)


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", vmath.NAMES)
def test_body_and_tail_agree(name: str, dtype: str) -> None:
    """An element's result does not depend on the array's length or where it stands."""
    generator = np.random.default_rng(3)
    points = np.concatenate([generator.uniform(0, 3, 60), 10.0 ** generator.uniform(-30, 30, 68)])
    x = (points * np.where(generator.random(128) < 0.3, -1, 1)).astype(FLOAT_TYPES[dtype])
    arguments = (x, x[::-1].copy()) if name in vmath.BINARY else (x,)
    whole = native(name, *arguments)
    for length in range(1, 65):
        for offset in (0, 1, 7, 64):
            part = native(name, *(argument[offset : offset + length] for argument in arguments))
            assert part.tobytes() == whole[offset : offset + length].tobytes(), (length, offset)


def test_import_stays_light() -> None:
    """Neither importing vmath nor its plain meanings needs Numba or llvmlite."""
    text = (
        "import sys; from graphjit.runtime import vmath; vmath.plain_namespace();"
        "sys.exit(any(name in sys.modules for name in ('numba', 'llvmlite')))"
    )
    subprocess.run([sys.executable, "-c", text], check=True)


def test_the_namespace_is_built_once() -> None:
    """The same intrinsics each time, one for each name."""
    first = vmath.numba_namespace()
    assert first is vmath.numba_namespace()
    assert set(first) == set(vmath.NAMES) == set(vmath.plain_namespace())


@pytest.mark.parametrize("argument", [numba.int64, numba.complex128])
def test_other_types_are_refused(argument: Any) -> None:
    """Integers are converted by who emits the kernel, never here."""
    exp = vmath.numba_namespace()["exp"]
    with pytest.raises(numba.TypingError):
        numba.njit(numba.float64(argument))(lambda x: exp(x))


@pytest.mark.parametrize("dtype", FLOAT_TYPES)
@pytest.mark.parametrize("name", vmath.NAMES)
def test_emission_is_quick(name: str, dtype: str) -> None:
    """A use costs a kernel few milliseconds: the instructions are written without Numba's inference."""
    kind = ir.FloatType() if dtype == "float32" else ir.DoubleType()
    count = 2 if name in vmath.BINARY else 1
    elapsed = []
    for _ in range(5):
        function = ir.Function(ir.Module(), ir.FunctionType(kind, [kind] * count), "f")
        builder = ir.IRBuilder(function.append_basic_block())
        start = time.perf_counter()
        builder.ret(vmath.emit(name, builder, function.args, dtype))
        elapsed.append(time.perf_counter() - start)
    assert min(elapsed) < 0.02
