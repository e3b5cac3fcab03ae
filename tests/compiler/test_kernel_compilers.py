"""Both compilers of kernels give the same bits: our translation, and Numba, on the examples of every op."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from op_cases import Array, Case, cases_of

from graphjit.compiler.backends.jit import build
from graphjit.compiler.dispatch import apply_all
from graphjit.compiler.op import all_ops
from graphjit.compiler.pipeline import optimize
from graphjit.compiler.tensortype import type_of_array
from graphjit.compiler.writer import write_graph
from graphjit.runtime.kernelcache import identity_of
from graphjit.runtime.kernelcompiler import set_kernel_compiler

CASES = tuple({case.op.name: case for op in all_ops() for case in reversed(tuple(cases_of(op)))}.values())


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """The setting is the process's."""
    yield
    set_kernel_compiler("direct")


def _run(case: Case, compiler: str) -> tuple[list[Array], set[str]]:
    """The results, and the names of the kernels that made them."""
    set_kernel_compiler(compiler)
    types = [type_of_array(array) for array in case.arrays]
    graph = write_graph("f", types, lambda *symbols: apply_all(case.op, symbols, case.attributes))
    runner = build(optimize(graph)[-1].graph)
    kernels = {kernel.identity for kernel in runner.executable.kernels}
    assert kernels == {identity_of(kernel.text) for kernel in runner.executable.kernels}
    return [np.asarray(result) for result in runner.run(list(case.arrays))], kernels


def _bits(array: Array) -> Array:
    """The bits, where any NaN is every other."""
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), array.dtype.type(np.nan), array)
    return np.frombuffer(array.tobytes(), np.uint8)


@pytest.mark.parametrize("case", CASES, ids=repr)
def test_both_compilers_give_the_same_bits(case: Case) -> None:
    """D9: the text of kernels keeps its promise of compiling with Numba, which somebody else wrote."""
    ours, our_kernels = _run(case, "direct")
    numbas, numba_kernels = _run(case, "numba")
    assert len(our_kernels) == len(numba_kernels) and not our_kernels & numba_kernels
    for result, other in zip(ours, numbas, strict=True):
        if result.dtype.kind == "O":  # strings, whose arrays hold addresses
            np.testing.assert_array_equal(result, other)
        else:
            np.testing.assert_array_equal(_bits(result), _bits(other))
