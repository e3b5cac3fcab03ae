"""Blocks of statements that become functions, and who owns the variables that they assign.

A variable belongs to the innermost function (the user's, or one made of a block) outside of which nobody names it;
blocks inside of that declare it `nonlocal`.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from graphjit.runtime.fields import dataclass, field

from .jumps import Block, Fresh, inner_blocks
from .names import INNER, Liveness, Names, assigned, mentioned, own_nodes
from .templates import fill


@dataclass
class Context:
    """What the conversion of one function knows.

    Attributes:
      fresh: gives new names.
      liveness: what is read behind branches and loops.
      globals: what the function declares `global`.
      operators: the name under which the generated code knows the operators.
      converters: for a kind of statement how it is converted: `(node, context, visible) -> statements`.
      by_others: the function's variables that inner functions assign, whenever they are called.
      tracked: the variables that some branch or loop hands on.
    """

    fresh: Fresh
    liveness: Liveness
    globals: Names
    operators: str
    converters: dict[type[ast.stmt], Convert]
    by_others: Names = frozenset()
    tracked: set[str] = field(default_factory=set)

    def assigned(self, parts: Sequence[ast.AST]) -> Names:
        """The variables that the code assigns, or lets inner functions assign."""
        calls = self.by_others and any(isinstance(one, ast.Call) for one in own_nodes(parts))
        return assigned(parts) | self.by_others if calls else assigned(parts)


Convert = Callable[[ast.stmt, Context, Names], Block]
_PLAIN_TESTS = frozenset({"isinstance", "issubclass", "hasattr", "callable"})


def is_plain_test(test: ast.expr) -> bool:
    """Whether a condition is a Python truth value whatever its parts are, so that Python's own `if` serves."""
    match test:
        case ast.Constant():
            return True
        case ast.Compare(ops=ops):
            return all(isinstance(one, ast.Is | ast.IsNot) for one in ops)
        case ast.Call(func=ast.Name(id=name)):
            return name in _PLAIN_TESTS
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return is_plain_test(operand)
        case ast.BoolOp(values=values):
            return all(map(is_plain_test, values))
    return False


def is_converted(node: ast.stmt) -> bool:
    """Whether a statement's blocks become functions."""
    if isinstance(node, ast.If):
        return not is_plain_test(node.test)
    return isinstance(node, ast.For | ast.While)


def arms_of(node: ast.stmt) -> list[list[ast.AST]]:
    """The parts of a converted statement that become functions."""
    match node:
        case ast.If():
            return [list(node.body), list(node.orelse)]
        case ast.While():
            return [[node.test], list(node.body)]
        case ast.For():
            return [[node.target, *node.body]]
    raise AssertionError(f"{type(node).__name__} is not converted")


def converted_block(statements: Block, context: Context, visible: Names, own: Names = frozenset()) -> Block:
    """The statements of one function, with its branches and loops converted.

    Args:
      visible: the variables of the functions around that are seen here as their own.
      own: variables that the function has by itself: its parameters.
    """
    constructs = list(_constructs(statements))
    owned = _owned(statements, constructs, context) - visible
    direct = assigned(list(_direct(statements))) | own
    inside = visible | owned | direct
    declarations = [
        made
        for name in sorted(owned - direct - context.globals)
        for made in fill("name: object", statements[0], name=name)
    ]
    return [*declarations, *_converted(statements, context, inside)]


def _converted(statements: Sequence[ast.stmt], context: Context, visible: Names) -> Block:
    made: Block = []
    for node in statements:
        if is_converted(node):
            made.extend(context.converters[type(node)](node, context, visible))
            continue
        if not isinstance(node, INNER):
            for holder, name in inner_blocks(node):
                setattr(holder, name, _converted(getattr(holder, name), context, visible))
        made.append(node)
    return made


def _constructs(statements: Sequence[ast.stmt]) -> Iterator[ast.stmt]:
    """The converted statements of a function that are not inside of others."""
    for node in statements:
        if is_converted(node):
            yield node
        elif not isinstance(node, INNER):
            for holder, name in inner_blocks(node):
                yield from _constructs(getattr(holder, name))


def _direct(statements: Sequence[ast.stmt]) -> Iterator[ast.AST]:
    """The parts of the statements that stay in the function itself."""
    for node in statements:
        if is_converted(node):
            yield from _outside_of_arms(node)
        elif isinstance(node, INNER) or not inner_blocks(node):
            yield node
        else:
            yield from _headers(node)
            for holder, name in inner_blocks(node):
                yield from _direct(getattr(holder, name))


def _headers(node: ast.stmt) -> Iterator[ast.AST]:
    """What of a compound statement is no block of statements."""
    match node:
        case ast.With():
            yield from node.items
        case ast.Try() | ast.TryStar():
            for handler in node.handlers:
                # Without its block: the type, and the variable that is bound.
                yield ast.ExceptHandler(handler.type, handler.name, [])
        case ast.Match():
            yield node.subject
            for case in node.cases:
                yield from (part for part in (case.pattern, case.guard) if part is not None)
        case ast.If():
            yield node.test


def _outside_of_arms(node: ast.stmt) -> Iterator[ast.AST]:
    if isinstance(node, ast.If):
        yield node.test
    elif isinstance(node, ast.For):
        yield node.iter


def _owned(statements: Block, constructs: Sequence[ast.stmt], context: Context) -> Names:
    """The variables that arms assign and that somebody else in this function names, or a loop's next round reads."""
    arms = [arm for node in constructs for arm in arms_of(node)]
    counts = Counter(name for arm in arms for name in mentioned(arm))
    outside = mentioned(list(_direct(statements)))
    carried = frozenset().union(*(context.liveness.again.get(id(node), frozenset()) for node in constructs))
    in_arms = frozenset().union(*map(assigned, arms))
    stops = {node.stop for node in constructs if getattr(node, "stop", None)}  # type: ignore[attr-defined]  # loops have it
    return frozenset(one for one in in_arms if counts[one] > 1 or one in outside | carried | stops)


def arm(context: Context, stem: str, body: Block, visible: Names, at: ast.AST) -> Block:
    """A function made of a block: its definition; `made[0].name` is what it is called."""
    shared = context.assigned(body) & visible
    name = context.fresh(stem)
    made = fill(
        "def name():\n    global declared\n    nonlocal shared\n    inner",
        at,
        name=name,
        declared=sorted(shared & context.globals),
        shared=sorted(shared - context.globals),
        inner=converted_block(body, context, visible),
    )
    made[0].is_generated = True  # type: ignore[attr-defined]  # tells it from the user's functions
    return made


def handed_on(node: ast.stmt, context: Context, parts: Sequence[ast.AST], visible: Names, wanted: Names) -> list[str]:
    """What a branch or loop assigns and somebody reads later; `name?` for a variable that may stay unset."""
    names = sorted((context.assigned(parts) & wanted & visible) - context.globals)
    context.tracked.update(names)
    return [f"{name}?" if name in context.fresh.made and name.startswith("result") else name for name in names]


__all__: list[str] = []
