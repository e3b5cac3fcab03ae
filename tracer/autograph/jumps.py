"""`return`, `break` and `continue` become assignments and conditions.

Afterwards every `return` stands last in the function, or last in an arm of an `if` that is last itself; loops have
neither `break` nor `continue` nor `else`, and say by their attribute `stop` which variable ends them.

>>> import ast
>>> function = ast.parse('''
... def f(x):
...     for v in x:
...         if v < 0:
...             continue
...         if v > 3:
...             return v
...     return x
... ''').body[0]
>>> print(ast.unparse(lower_jumps(function, Fresh(function))))
def f(x):
    returned = False
    broke = False
    for v in x:
        if v < 0:
            pass
        elif v > 3:
            result = v
            returned = True
            broke = True
    if returned:
        return result
    else:
        return x
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from .names import INNER, all_nodes, mentioned
from .templates import assignment, constant, fill, fill_expression, load

Block = list[ast.stmt]
_LOOPS = (ast.For, ast.While)


class Fresh:
    """New names that the function does not use.

    Attributes:
      made: all that were given out.
    """

    def __init__(self, function: ast.AST) -> None:
        self._taken = set(mentioned(function)) | {one.arg for one in all_nodes(function) if isinstance(one, ast.arg)}
        self.made: set[str] = set()

    def __call__(self, stem: str) -> str:
        name, number = stem, 1
        while name in self._taken:
            number += 1
            name = f"{stem}_{number}"
        self._taken.add(name)
        self.made.add(name)
        return name


def lower_jumps(function: ast.FunctionDef, fresh: Fresh) -> ast.FunctionDef:
    """The function without jumps; the tree that is given is used up."""
    lowering = _Returns(fresh)
    body = lowering.tail(function.body)
    function.body = _Loops(fresh).block(body)
    return function


def contains(nodes: ast.AST | Sequence[ast.AST], kinds: Any, into_loops: bool = True) -> bool:
    """Whether there is such a statement in the function's own code."""
    for node in nodes if isinstance(nodes, Sequence) else [nodes]:
        if isinstance(node, kinds):
            return True
        if isinstance(node, INNER) or (isinstance(node, _LOOPS) and not into_loops):
            # A loop's `else` belongs to the code around it.
            if isinstance(node, _LOOPS) and contains(node.orelse, kinds, into_loops):
                return True
            continue
        if contains(list(ast.iter_child_nodes(node)), kinds, into_loops):
            return True
    return False


def leaves(statements: Sequence[ast.stmt], kinds: Any = (ast.Return, ast.Raise, ast.Break, ast.Continue)) -> bool:
    """Whether the end of the statements cannot be reached."""
    return any(_leaves(one, kinds) for one in statements)


def _leaves(node: ast.stmt, kinds: Any) -> bool:
    match node:
        case ast.If():
            return leaves(node.body, kinds) and leaves(node.orelse, kinds)
        case ast.With():
            return leaves(node.body, kinds)
        case ast.Try():
            ends = leaves(node.body, kinds) or leaves(node.orelse, kinds)
            return leaves(node.finalbody, kinds) or (ends and all(leaves(one.body, kinds) for one in node.handlers))
        case ast.Match():
            return _is_complete(node) and all(leaves(one.body, kinds) for one in node.cases)
        case ast.While() | ast.For() if not contains(node.body, ast.Break, into_loops=False):
            return leaves(node.orelse, kinds) or (isinstance(node, ast.While) and is_endless(node))
    return isinstance(node, kinds)


def _is_complete(node: ast.Match) -> bool:
    last = node.cases[-1]
    return last.guard is None and isinstance(last.pattern, ast.MatchAs) and last.pattern.pattern is None


def is_endless(node: ast.While) -> bool:
    """Whether the condition is a constant that is true."""
    return isinstance(node.test, ast.Constant) and bool(node.test.value)


def inner_blocks(node: ast.stmt) -> list[tuple[Any, str]]:
    """The lists of statements inside of a compound statement: who holds them, and under which name."""
    holders: list[Any] = [node]
    if isinstance(node, ast.Try | ast.TryStar):
        holders += node.handlers
    if isinstance(node, ast.Match):
        holders += node.cases
    names = ("body", "orelse", "finalbody")
    return [(holder, name) for holder in holders for name in names if getattr(holder, name, None)]


def _if(test: ast.expr, body: Block, orelse: Block, at: ast.AST, is_guard: bool = False) -> ast.If:
    made = ast.If(test, body or [ast.copy_location(ast.Pass(), at)], orelse)
    made.is_guard = is_guard  # type: ignore[attr-defined]  # says to `branches` that the user did not write it
    return ast.copy_location(made, at)


def _mark_jumping(node: ast.stmt) -> None:
    """What only one arm of such an `if` assigns is there for what follows it, as the other arm jumps past that."""
    if isinstance(node, ast.If):
        node.is_guard = True  # type: ignore[attr-defined]  # the same as for those that the user did not write


# --- return ---------------------------------------------------------------------------------------


class _Returns:
    """Moves `return` to where nothing follows."""

    def __init__(self, fresh: Fresh) -> None:
        self._fresh = fresh
        self._returned = ""
        self._result = ""

    def tail(self, statements: Block, falls_off: bool = True) -> Block:
        """Statements behind which the function ends; `falls_off` says that Python itself returns None there."""
        for place, node in enumerate(statements):
            before, rest = statements[:place], statements[place + 1 :]
            if isinstance(node, ast.Return | ast.Raise):
                return [*before, node]
            if contains(node, ast.Return):
                return [*before, *self._returning(node, rest)]
        if falls_off or leaves(statements):
            return statements
        return [*statements, *_return_none(statements)]

    def _returning(self, node: ast.stmt, rest: Block) -> Block:
        if isinstance(node, ast.If) and (leaves(node.body) or leaves(node.orelse) or not rest):
            node.body = self.tail(node.body if leaves(node.body) else node.body + rest, falls_off=False)
            node.orelse = self._orelse(node, rest)
            node.returns = True  # type: ignore[attr-defined]  # says to `branches` that both arms return
            return [node]
        if isinstance(node, ast.With | ast.Match) and leaves([node]):
            for holder, name in inner_blocks(node):
                setattr(holder, name, self.tail(getattr(holder, name)))
            return [node]
        return self._flagged(node, rest)

    def _orelse(self, node: ast.If, rest: Block) -> Block:
        orelse = node.orelse if leaves(node.orelse) else node.orelse + rest
        return self.tail(orelse, falls_off=False) or [
            ast.copy_location(ast.Return(constant(None, node.test)), node.test)
        ]

    def _flagged(self, node: ast.stmt, rest: Block) -> Block:
        """Note the result, and return it behind the statement."""
        self._returned = self._returned or self._fresh("returned")
        self._result = self._result or self._fresh("result")
        at = _header(node)
        surely = leaves([node], ast.Return)
        first = assignment(self._returned, constant(False, at), at)
        noted = self._noting([node], in_loop=False)
        last = ast.copy_location(ast.Return(load(self._result, at)), at)
        if surely:
            return [first, *noted, last]
        behind = _if(load(self._returned, at), [last], rest, at, is_guard=True)
        return [first, *noted, *self._returning(behind, [])]

    def _noting(self, statements: Block, in_loop: bool) -> Block:
        """The statements with `result = ...; returned = True` for `return`, and a `break` in loops."""
        made: Block = []
        for place, node in enumerate(statements):
            rest = statements[place + 1 :]
            if isinstance(node, ast.Return):
                return [*made, *self._note(node, in_loop)]
            if not contains(node, ast.Return):
                made.append(node)
                continue
            _mark_jumping(node)
            if isinstance(node, ast.If) and (leaves(node.body) or leaves(node.orelse)):
                node.body = self._noting(node.body if leaves(node.body) else node.body + rest, in_loop)
                node.orelse = self._noting(node.orelse if leaves(node.orelse) else node.orelse + rest, in_loop)
                return [*made, node]
            return [*made, *self._noted_compound(node, rest, in_loop)]
        return made

    def _noted_compound(self, node: ast.stmt, rest: Block, in_loop: bool) -> Block:
        is_loop = isinstance(node, _LOOPS)
        at = _header(node)
        for holder, name in inner_blocks(node):
            inside = in_loop or (is_loop and name == "body")
            setattr(holder, name, self._noting(getattr(holder, name), inside))
        if is_loop and in_loop:
            leave: Block = [ast.copy_location(ast.Break(), at)]
            return [node, _if(load(self._returned, at), leave, self._noting(rest, in_loop), at, is_guard=True)]
        if in_loop or not rest:
            return [node, *self._noting(rest, in_loop)]
        test = fill_expression("not returned", at, returned=self._returned)
        return [node, _if(test, self._noting(rest, in_loop), [], at, is_guard=True)]

    def _note(self, node: ast.Return, in_loop: bool) -> Block:
        value = node.value or constant(None, node)
        made = fill("result = value\nreturned = True", node, result=self._result, returned=self._returned, value=value)
        return [*made, ast.copy_location(ast.Break(), node)] if in_loop else made


def _return_none(statements: Block) -> Block:
    if not statements:
        return []
    at = _header(statements[-1])
    return [ast.copy_location(ast.Return(constant(None, at)), at)]


def _header(node: ast.stmt) -> ast.AST:
    """A small node at the beginning of a statement, whose place generated code gets."""
    match node:
        case ast.If() | ast.While():
            return node.test
        case ast.For():
            return node.target
        case ast.With():
            return node.items[0].context_expr
        case ast.Match():
            return node.subject
        case ast.Try() | ast.TryStar():
            return _header(node.body[0])
    return node


# --- break and continue ---------------------------------------------------------------------------


class _Loops:
    """Takes `break`, `continue` and `else` out of loops."""

    def __init__(self, fresh: Fresh) -> None:
        self._fresh = fresh

    def block(self, statements: Block) -> Block:
        """The same statements, with loops that nothing leaves."""
        return [made for node in statements for made in self._statement(node)]

    def _statement(self, node: ast.stmt) -> Block:
        for holder, name in inner_blocks(node):
            if not isinstance(node, INNER):
                setattr(holder, name, self.block(getattr(holder, name)))
        return self._loop(node) if isinstance(node, _LOOPS) else [node]

    def _loop(self, node: Any) -> Block:
        at = _header(node)
        orelse, node.orelse = node.orelse, []
        broke = self._fresh("broke") if contains(node.body, ast.Break, into_loops=False) else None
        if broke or contains(node.body, ast.Continue, into_loops=False):
            exits = _Exits(broke, self._fresh("skipped"))
            node.body = exits.lowered(node.body, at)
        node.stop = broke
        if broke is None:
            return [node, *orelse]
        first = assignment(broke, constant(False, at), at)
        if not orelse:
            return [first, node]
        test = fill_expression("not broke", at, broke=broke)
        return [first, node, _if(test, orelse, [], at, is_guard=True)]


class _Exits:
    """Takes `break` and `continue` out of one loop's body."""

    def __init__(self, broke: str | None, skipped: str) -> None:
        self._broke = broke
        self._skipped = skipped
        self._asks_skipped = False

    def lowered(self, statements: Block, at: ast.AST) -> Block:
        """The body without jumps."""
        body = self._block(statements)
        if self._asks_skipped:
            return [assignment(self._skipped, constant(False, at), at), *body]
        return _without(body, self._skipped) or [ast.copy_location(ast.Pass(), at)]

    def _block(self, statements: Block) -> Block:
        made: Block = []
        for place, node in enumerate(statements):
            rest = statements[place + 1 :]
            if isinstance(node, ast.Break):
                assert self._broke is not None
                return [*made, assignment(self._broke, constant(True, node), node)]
            if isinstance(node, ast.Continue):
                return [*made, assignment(self._skipped, constant(True, node), node)]
            if not contains(node, (ast.Break, ast.Continue), into_loops=False):
                made.append(node)
                continue
            return [*made, *self._leaving(node, rest)]
        return made

    def _leaving(self, node: ast.stmt, rest: Block) -> Block:
        _mark_jumping(node)
        if isinstance(node, ast.If) and (leaves(node.body) or leaves(node.orelse)):
            node.body = self._arm(node.body, rest, node)
            node.orelse = self._block(node.orelse if leaves(node.orelse) else node.orelse + rest)
            return [node]
        test = self._may_go_on(node, _header(node))
        for holder, name in inner_blocks(node):
            setattr(holder, name, self._block(getattr(holder, name)))
        if not rest:
            return [node]
        return [node, _if(test, self._block(rest), [], _header(node), is_guard=True)]

    def _arm(self, arm: Block, rest: Block, node: ast.If) -> Block:
        made = self._block(arm if leaves(arm) else arm + rest)
        return made or [ast.copy_location(ast.Pass(), node.test)]

    def _may_go_on(self, node: ast.stmt, at: ast.AST) -> ast.expr:
        """The condition under which what stands behind `node` runs."""
        breaks = contains(node, ast.Break, into_loops=False)
        skips = contains(node, ast.Continue, into_loops=False)
        self._asks_skipped |= skips
        if breaks and skips:
            return fill_expression("not (broke or skipped)", at, broke=self._broke, skipped=self._skipped)
        return fill_expression("not flag", at, flag=self._broke if breaks else self._skipped)


def _without(statements: Block, name: str) -> Block:
    """The statements without assignments to a name that nobody reads; blocks keep at least a `pass`."""
    made = []
    for node in statements:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == name:
            continue
        if not isinstance(node, INNER):
            for holder, field in inner_blocks(node):
                inside = _without(getattr(holder, field), name)
                empty = [] if field != "body" else [ast.copy_location(ast.Pass(), _header(node))]
                setattr(holder, field, inside or empty)
        made.append(node)
    return made


__all__: list[str] = []
