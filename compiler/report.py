"""What became of a graph: which equations share a kernel, which stand alone and why, what compiling cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from graphjit.runtime.executable import Executable
from graphjit.runtime.fields import dataclass
from graphjit.runtime.program import GemmStep, KernelStep, NumpyStep

from .graph import Equation, Graph
from .location import place
from .op import Kind
from .ops.looping import scan_op
from .passes.fuse import Refusal
from .plan import PlannedStep


@dataclass(frozen=True, slots=True)
class FusedKernel:
    """One kernel: its name, the equations in it, and whether it was compiled now or was on disk."""

    name: str
    equations: tuple[str, ...]
    origin: str
    compile_ms: float

    def __str__(self) -> str:
        cost = f", {self.compile_ms:.0f} ms" if self.origin == "compiled" else ""
        return f"{self.name} ({len(self.equations)} equations, {self.origin}{cost})"


@dataclass(frozen=True, slots=True)
class Apart:
    """Two neighbours that are not in one kernel, and why."""

    equation: str
    beside: str
    reason: str

    def __str__(self) -> str:
        return f"{self.equation}\n    not with {self.beside}: {self.reason}"


@dataclass(frozen=True)
class Report:
    """What `f.report()` returns; print it, or read its fields.

    `fused` are the kernels with the equations in them, `apart` the neighbours that are not in one kernel,
    `numpy` the equations that run as NumPy steps, each with the reason, and `loops` what is done row by row, because
    it cannot be done for all rows at once.
    """

    name: str
    kernels_compiled: int
    kernels_loaded: int
    numpy_steps: int
    matrix_products: int
    trace_ms: float
    compile_ms: float
    arena_bytes: int
    fused: tuple[FusedKernel, ...]
    apart: tuple[Apart, ...]
    numpy: tuple[str, ...]
    loops: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"{self.name}: {len(self.fused)} kernels ({self.kernels_compiled} compiled, {self.kernels_loaded} from "
            f"the cache), {self.matrix_products} matrix products, {self.numpy_steps} NumPy steps",
            f"  traced in {self.trace_ms:.1f} ms, compiled in {self.compile_ms:.1f} ms, "
            f"{self.arena_bytes:,} bytes of temporaries",
        ]
        for kernel in self.fused:
            lines.append(f"  kernel {kernel}")
            lines.extend(f"    {equation}" for equation in kernel.equations)
        lines.extend(f"  NumPy step {text}" for text in self.numpy)
        lines.extend(f"  row by row: {text}" for text in self.loops)
        lines.extend(f"  apart: {apart}" for apart in self.apart)
        return "\n".join(lines)


def describe_equation(equation: Equation) -> str:
    """An equation in one line, with the user's name and line.

    >>> from graphjit.compiler.dump.text import parse_graph
    >>> describe_equation(parse_graph("f(%a: f32[3]) { %b = exp(%a); return %b }").equations[0])
    'b = exp(f32[3])'
    """
    name = equation.outputs[0].name
    shown = ", ".join(str(type) for type in equation.operand_types)
    where = f"  # {place(equation.location)}" if equation.location else ""
    return f"{name or '_'} = {equation.op.name}({shown}){where}"


def make_report(
    graph: Graph, executable: Executable, refusals: Sequence[Refusal], trace_ms: float, compile_ms: float
) -> Report:
    """The report of a fused graph and its executable."""
    steps = executable.program.steps
    numpy = [step.tag for step in steps if isinstance(step, NumpyStep) and isinstance(step.tag, PlannedStep)]
    return Report(
        name=graph.name,
        kernels_compiled=executable.kernels_compiled,
        kernels_loaded=executable.kernels_loaded,
        numpy_steps=executable.numpy_steps,
        matrix_products=sum(isinstance(step, GemmStep) for step in steps),
        trace_ms=trace_ms,
        compile_ms=compile_ms,
        arena_bytes=executable.program.arena_bytes,
        fused=_fused_kernels(executable),
        apart=_apart(refusals),
        loops=tuple(_row_by_row(graph)),
        numpy=tuple(f"{describe_equation(tag.equation)}: {tag.why_numpy}" for tag in numpy),
    )


def _row_by_row(graph: Graph) -> Iterator[str]:
    """Loops over rows that carry nothing from row to row, with the names of what is done there."""
    for equation in graph.equations:
        if equation.op is scan_op and equation.attributes["carried"] == 0:
            body: Graph = equation.attributes["body"]
            inside = [one for each in body.equations for one in _members(each) if one.op.kind is not Kind.SOURCE]
            yield f"{describe_equation(equation)}: {', '.join(dict.fromkeys(one.op.name for one in inside))}"


def _fused_kernels(executable: Executable) -> tuple[FusedKernel, ...]:
    steps = [step for step in executable.program.steps if isinstance(step, KernelStep)]
    found: list[FusedKernel] = []
    for step, kernel in zip(steps, executable.kernels, strict=True):
        assert isinstance(step.tag, PlannedStep)
        equations = tuple(describe_equation(equation) for equation in _members(step.tag.equation))
        found.append(FusedKernel(step.name, equations, kernel.origin, kernel.compile_ms))
    return tuple(found)


def _members(equation: Equation) -> list[Equation]:
    """The equations that a kernel runs."""
    inside: Graph | None = equation.attributes.get("graph")
    if inside is None:
        return [equation]
    return [one for one in inside.equations if one.op.kind is not Kind.SOURCE]


def _apart(refusals: Sequence[Refusal]) -> tuple[Apart, ...]:
    return tuple(Apart(describe_equation(one.equation), describe_equation(one.beside), one.reason) for one in refusals)
