"""Which variables statements assign and read, and which of them somebody reads afterwards.

Only variables of one function are looked at. What inner functions read of them is read at any time, so such
variables always count as read.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

INNER = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
Names = frozenset[str]
Nodes = ast.AST | Sequence[ast.AST]


def own_nodes(nodes: Nodes) -> Iterator[ast.AST]:
    """The nodes of a function's own code: of inner functions and classes only what is run where they are defined."""
    stack = list(nodes) if isinstance(nodes, Sequence) else [nodes]
    while stack:
        node = stack.pop()
        yield node
        if isinstance(node, INNER):
            stack.extend(_run_at_once(node))
        elif isinstance(node, ast.comprehension):
            stack.extend([node.iter, *node.ifs])  # the variable is the comprehension's own
        else:
            stack += children(node)


_CHILDLESS_FIELDS = frozenset({"arg", "attr", "ctx", "id", "kind", "op", "ops", "type_comment"})
_fields: dict[type[ast.AST], tuple[str, ...]] = {}


def children(node: ast.AST) -> list[ast.AST]:
    """The nodes directly inside of a node, without those that say only how it is used, or which operator it is.

    `ast.iter_child_nodes` takes four times as long, and converting a function is mostly walking over it.
    """
    kind = type(node)
    fields = _fields.get(kind)
    if fields is None:
        fields = _fields[kind] = tuple(name for name in kind._fields if name not in _CHILDLESS_FIELDS)
    found: list[ast.AST] = []
    for name in fields:
        value = getattr(node, name, None)
        if type(value) is list:
            found += [one for one in value if isinstance(one, ast.AST)]
        elif isinstance(value, ast.AST):
            found.append(value)
    return found


def all_nodes(roots: Nodes) -> Iterator[ast.AST]:
    """The nodes and all nodes inside of them, functions and classes included, but for those that `children` leaves."""
    stack = list(roots) if isinstance(roots, Sequence) else [roots]
    while stack:
        node = stack.pop()
        yield node
        stack += children(node)


def _run_at_once(node: ast.AST) -> Iterable[ast.AST]:
    """What of an inner function or class belongs to the code around it."""
    if isinstance(node, ast.ClassDef):
        return [*node.decorator_list, *node.bases, *node.keywords]
    arguments: ast.arguments = node.args  # type: ignore[attr-defined]  # all others have them
    defaults = [*arguments.defaults, *(one for one in arguments.kw_defaults if one is not None)]
    return [*getattr(node, "decorator_list", ()), *defaults]


def assigned(nodes: Nodes) -> Names:
    """The variables that the code binds, deletes or imports."""
    return frozenset(name for node in own_nodes(nodes) for name in _bound_by(node))


def _bound_by(node: ast.AST) -> Iterable[str]:
    """The names that a node binds."""
    if isinstance(node, ast.Name):
        return () if isinstance(node.ctx, ast.Load) else (node.id,)
    return _bound_by_statement(node) if isinstance(node, _BINDING) else ()


_BINDING = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.alias,
    ast.ExceptHandler,
    ast.MatchAs,
    ast.MatchStar,
    ast.MatchMapping,
)


def _bound_by_statement(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            yield name
        case ast.alias(name=name, asname=short):
            yield short or name.split(".")[0]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.MatchMapping(rest=str(name)):
            yield name


def mentioned(nodes: Nodes) -> Names:
    """All variables that the code names, inner functions included."""
    found: set[str] = set()
    for node in all_nodes(nodes):
        if isinstance(node, ast.Name):
            found.add(node.id)
        elif isinstance(node, ast.Nonlocal | ast.Global):
            found.update(node.names)
        else:
            found.update(_bound_by(node))
    return frozenset(found)


def captured(nodes: Nodes) -> Names:
    """The variables that functions and classes inside of the code may read or assign, whenever they run."""
    found: set[str] = set()
    for node in own_nodes(nodes):
        if isinstance(node, INNER):
            found |= free_names(node)
        elif isinstance(node, ast.GeneratorExp):
            found |= mentioned(node) - mentioned([g.target for g in node.generators])
    return frozenset(found)


def free_names(node: ast.AST) -> Names:
    """What an inner function or class names that is not its own."""
    body: Any = node.body  # type: ignore[attr-defined]  # the kinds in INNER have one
    inside = mentioned(body)
    if isinstance(node, ast.ClassDef):
        return inside
    outer = declared(body)
    return (inside - (assigned(body) - outer) - parameters(node.args)) | outer  # type: ignore[attr-defined]  # not a class


def assigned_by_inner(nodes: Nodes) -> Names:
    """The variables that inner functions declare `nonlocal`."""
    return frozenset(
        name
        for node in own_nodes(nodes)
        if isinstance(node, INNER)
        for inside in ast.walk(node)
        if isinstance(inside, ast.Nonlocal)
        for name in inside.names
    )


def parameters(arguments: ast.arguments) -> Names:
    """The names of the parameters."""
    return frozenset(one.arg for one in all_nodes(arguments) if isinstance(one, ast.arg))


def declared(nodes: Nodes, kind: type[ast.stmt] | tuple[type[ast.stmt], ...] = (ast.Nonlocal, ast.Global)) -> Names:
    """The names that the code declares `nonlocal` or `global`."""
    return frozenset(name for node in own_nodes(nodes) if isinstance(node, kind) for name in node.names)  # type: ignore[attr-defined]  # both kinds have names


def reads(nodes: Nodes) -> Names:
    """The variables that the code itself reads."""
    return frozenset(
        node.id for node in own_nodes(nodes) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    ) | captured(nodes)


# --- what is read later ---------------------------------------------------------------------------


class Liveness:
    """For each branch and loop the variables that may be read afterwards.

    Jumps must have been converted: there is no `break`, and `return` stands last in its block.

    Attributes:
      after: for an `if`, `for` or `while` by its `id`: what may be read behind it.
      again: for a loop by its `id`: what may be read when its body begins anew.

    Args:
      outer: variables of the functions around, which others may read at any time.
    """

    def __init__(self, body: Sequence[ast.stmt], outer: Names = frozenset()) -> None:
        self.after: dict[int, Names] = {}
        self.again: dict[int, Names] = {}
        self._always = captured(body) | outer
        self.block(body, self._always)

    def block(self, statements: Sequence[ast.stmt], live: Names) -> Names:
        """What may be read when the statements begin, given what may be read behind them."""
        for statement in reversed(statements):
            live = self._statement(statement, live | self._always)
        return live | self._always

    def _statement(self, node: ast.stmt, after: Names) -> Names:
        match node:
            case ast.If():
                self.after[id(node)] = after
                return reads(node.test) | self.block(node.body, after) | self.block(node.orelse, after)
            case ast.While():
                return self._loop(node, node.body, reads(node.test) | stops_of(node), frozenset(), after)
            case ast.For():
                head = stops_of(node) | _read_by_target(node.target)
                return reads(node.iter) | self._loop(node, node.body, head, assigned(node.target), after)
            case ast.With():
                inside = self.block(node.body, after)
                items = frozenset().union(*(assigned(one) for one in node.items))
                return (inside - items) | frozenset().union(*(reads(one) for one in node.items))
            case ast.Try() | ast.TryStar():
                return self._try(node, after)
            case ast.Match():
                cases = [self.block(one.body, after) | reads(one) for one in node.cases]
                return reads(node.subject) | after.union(*cases)
            case ast.Return() | ast.Raise():
                return reads(node)
        return (after - _surely_assigned(node)) | reads(node) | _augmented(node)

    def _loop(self, node: ast.stmt, body: Sequence[ast.stmt], head: Names, targets: Names, after: Names) -> Names:
        """A loop's beginning can be reached from its end: repeat until nothing is added."""
        self.after[id(node)] = after
        live = after | head
        while True:
            self.again[id(node)] = live
            more = live | (self.block(body, live) - targets)
            if more == live:
                return live
            live = more

    def _try(self, node: ast.Try | ast.TryStar, after: Names) -> Names:
        """Any part of the body may be left for a handler."""
        final = self.block(node.finalbody, after)
        handlers = final.union(*(self.block(one.body, final) | reads(one) for one in node.handlers))
        before, self._always = self._always, self._always | handlers
        inside = self.block(node.body, self.block(node.orelse, final))
        self._always = before
        return inside | handlers


def stops_of(node: ast.AST) -> Names:
    """The variable that says whether a loop was left, if there is one."""
    stop = getattr(node, "stop", None)
    return frozenset() if stop is None else frozenset({stop})


def _read_by_target(target: ast.expr) -> Names:
    return reads(target)


def _augmented(node: ast.stmt) -> Names:
    if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
        return frozenset({node.target.id})
    return frozenset()


def _surely_assigned(node: ast.stmt) -> Names:
    if isinstance(node, ast.AnnAssign) and node.value is None:
        return frozenset()
    return assigned(node)


# --- what may not be assigned yet -----------------------------------------------------------------


def unsure_reads(body: Sequence[ast.stmt], given: Names) -> set[int]:
    """The `id`s of names that are read where the function may not have assigned them; `given` are assigned at first."""
    found: set[int] = set()
    _Assignments(assigned(body), found).block(body, given)
    return found


class _Assignments:
    """Follows what has been assigned for sure."""

    def __init__(self, own: Names, unsure: set[int]) -> None:
        self._own = own
        self._unsure = unsure

    def block(self, statements: Sequence[ast.stmt], known: Names) -> Names:
        for statement in statements:
            known = self._statement(statement, known)
        return known

    def _statement(self, node: ast.stmt, known: Names) -> Names:
        match node:
            case ast.If():
                known = self._run(node.test, known)
                ends = [
                    self.block(arm, known)
                    for arm in (node.body, node.orelse)
                    if not _leaves(self.block(arm, known), arm)
                ]
                return frozenset.intersection(*ends) if ends else known
            case ast.While():
                inside = self._run(node.test, known)
                self.block(node.body, inside)
                return inside
            case ast.For():
                known = self._run(node.iter, known)
                self.block(node.body, known | assigned(node.target))
                return known
            case ast.With():
                for item in node.items:
                    known = self._run(item, known)
                return self.block(node.body, known)
            case ast.Try() | ast.TryStar():
                behind = self.block(node.orelse, self.block(node.body, known))
                for handler in node.handlers:
                    behind &= self.block(handler.body, known | assigned_by_handler(handler))
                return self.block(node.finalbody, known) | behind
            case ast.Match():
                known = self._run(node.subject, known)
                for case in node.cases:
                    self.block(case.body, self._run(case, known) | assigned(case.pattern))
                return known
            case ast.Delete():
                return self._run(node, known) - assigned(node)
        return self._run(node, known)

    def _run(self, node: ast.AST, known: Names) -> Names:
        """Look at what a simple statement or an expression reads; what it assigns is known then."""
        for one in own_nodes(node):
            if isinstance(one, ast.Name) and one.id in self._own - known and isinstance(one.ctx, ast.Load):
                self._unsure.add(id(one))
            if isinstance(one, ast.AugAssign) and isinstance(one.target, ast.Name):
                self._unsure.update({id(one.target)} if one.target.id in self._own - known else ())
        return known | (assigned(node) - _conditionally_bound(node))


def _conditionally_bound(node: ast.AST) -> Names:
    """What is assigned by `:=` inside of an expression that may not be run."""
    return frozenset(
        one.target.id
        for lazy in own_nodes(node)
        if isinstance(lazy, ast.BoolOp | ast.IfExp | ast.Compare)
        for one in all_nodes(lazy)
        if isinstance(one, ast.NamedExpr)
    )


def _leaves(_end: Names, arm: Sequence[ast.stmt]) -> bool:
    return bool(arm) and isinstance(arm[-1], ast.Return | ast.Raise)


def assigned_by_handler(handler: ast.ExceptHandler) -> Names:
    """The variable that holds the exception."""
    return frozenset() if handler.name is None else frozenset({handler.name})


__all__: list[str] = []
