"""Running a trace line by line, so that a debugger stops inside of the graph at the user's own lines.

For every run of equations that stem from one line a statement is made that stands, as Python sees it, at that line of
the user's file. Breakpoints, `next`, `list` and a debugger's other means work on it as on the function itself; the
names are the user's, their values tensors. Branches and bodies of loops are run the same way.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from types import CodeType
from typing import Any

from graphjit.compiler.backends.reference import Values, run_equation, run_reference, walking
from graphjit.compiler.graph import Equation, Graph, Location
from graphjit.runtime.errors import NotFoundError
from graphjit.runtime.fields import dataclass

from .concrete import Concrete
from .signature import Call
from .state import replace_all
from .tensor import Tensor

Stop = int | str
"""Where to open the debugger: a line, or the name of a value."""


@dataclass(frozen=True)
class Line:
    """Equations that follow each other and stem from the same line."""

    location: Location
    equations: tuple[Equation, ...]


def run_by_lines(
    concrete: Concrete, call: Call, graph: Graph, stops: Iterable[Stop], surroundings: Mapping[str, Any]
) -> Any:
    """What the trace gives for a call, from one of its graphs, each op by its NumPy meaning.

    Args:
      graph: the trace's graph, as traced or behind a pass.
      stops: lines of the user's files and names of values; Python's `breakpoint()` is called when each was computed.
      surroundings: global names that one can use in the debugger.

    Raises:
      NotFoundError: if nothing in the graph stems from such a line or has such a name; the message lists what there is.
    """
    wanted = frozenset(stops)
    _require_all(wanted, graph)
    inputs = concrete.inputs([call.arrays[position] for position in concrete.positions], call)
    with walking(functools.partial(_walk_by_lines, stops=wanted, surroundings=surroundings)):
        outputs = run_reference(graph, inputs)
    count = concrete.traced.results.count
    replace_all(concrete.updated_variables(call), outputs[count:])
    return concrete.traced.results.put_together([Tensor(array) for array in outputs[:count]])


def _walk_by_lines(graph: Graph, values: Values, stops: frozenset[Stop], surroundings: Mapping[str, Any]) -> None:
    """Run a graph as a program whose statements stand at the user's lines."""
    lines = _lines(graph)
    namespace: dict[str, Any] = {value.name: Tensor(array) for value, array in values.items()}

    def run(number: int) -> None:
        for equation in lines[number].equations:
            run_equation(equation, values)
            namespace.update((output.name, Tensor(values[output])) for output in equation.outputs)

    pauses = {number for number, line in enumerate(lines) if _is_wanted(line, stops)}
    _execute(_Program(graph.name, lines, pauses, {**surroundings, "__run": run}, namespace), range(len(lines)))


def _lines(graph: Graph) -> list[Line]:
    nowhere = Location("<graph>", 1, graph.name)
    found: list[Line] = []
    for location, equations in groupby(graph.equations, lambda one: one.location or nowhere):
        found.append(Line(location, tuple(equations)))
    return found


@dataclass(frozen=True)
class _Program:
    """The lines of a graph as something to execute.

    `surroundings` are its global names; the one called `__run` runs the equations of a line by its number.
    """

    name: str
    lines: Sequence[Line]
    pauses: set[int]
    surroundings: dict[str, Any]
    namespace: dict[str, Any]


def _execute(program: _Program, numbers: Sequence[int]) -> None:
    """Run the lines as one module for each stretch in one file, since a code object has one file."""
    for file, stretch in groupby(numbers, lambda number: program.lines[number].location.file):
        code = _code(program, file, list(stretch))
        exec(code, program.surroundings, program.namespace)


def _code(program: _Program, file: str, numbers: list[int]) -> CodeType:
    body: list[ast.stmt] = []
    for number in numbers:
        line = program.lines[number].location.line
        body.append(_statement("__run", [ast.Constant(number)], line))
        if number in program.pauses:
            body.append(_statement("breakpoint", [], line))
    # A debugger that was opened on the last line stops at the next one that begins.
    body.append(_statement("__run", [], program.lines[numbers[-1]].location.line + 1, call=False))
    module = ast.Module(body, [])
    return compile(module, file, "exec").replace(co_name=program.name)


def _statement(name: str, arguments: list[ast.expr], line: int, *, call: bool = True) -> ast.stmt:
    target: ast.expr = ast.Name(name, ast.Load())
    statement = ast.Expr(ast.Call(target, arguments, []) if call else target)
    for node in ast.walk(statement):
        ast.copy_location(node, ast.Constant(None, lineno=line, col_offset=0, end_lineno=line, end_col_offset=0))
    return statement


def _is_wanted(line: Line, stops: frozenset[Stop]) -> bool:
    return line.location.line in stops or any(
        output.name in stops for equation in line.equations for output in equation.outputs
    )


def _require_all(stops: frozenset[Stop], graph: Graph) -> None:
    """Refuse places that no equation stems from."""
    lines, names = _places(graph)
    for stop in stops - lines - names:
        known = sorted(names) if isinstance(stop, str) else sorted(lines)
        what = "value has the name" if isinstance(stop, str) else "equation stems from line"
        raise NotFoundError(f"no {what} {stop!r} in {graph.name!r}; there {_listed(known)}")


def _listed(known: Sequence[Stop]) -> str:
    return f"are {', '.join(map(str, known))}" if known else "are none: nothing that it computes depends on tensors"


def _places(graph: Graph) -> tuple[set[Stop], set[Stop]]:
    lines: set[Stop] = set()
    names: set[Stop] = set()
    for equation in graph.equations:
        if equation.location is not None:
            lines.add(equation.location.line)
        names.update(output.name for output in equation.outputs if output.name)
        for inner in equation.graphs:
            inside = _places(inner)
            lines |= inside[0]
            names |= inside[1]
    return lines, names


__all__: list[str] = []
