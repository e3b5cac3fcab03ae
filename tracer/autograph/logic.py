"""`and`, `or`, `not`, chained comparisons, `in` and conditional expressions become calls of operators.

a and b            _gj.and_(a, lambda: b)
not a              _gj.not_(a)
a < f(b) < c       _gj.and_(a < (middle := f(b)), lambda: middle < c)
x in items         _gj.in_(x, items)
a if t else b      _gj.choose(t, lambda: a, lambda: b)
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from .blocks import is_plain_test
from .jumps import Fresh
from .templates import constant, fill_expression, load

Later = Callable[[ast.expr], ast.expr]
"""Makes an expression a function without arguments, so that it is run only where it is needed."""


def convert_bool_op(node: ast.BoolOp, operators: str, later: Later) -> ast.expr:
    """`and` and `or`."""
    text = "gj.and_(first)" if isinstance(node.op, ast.And) else "gj.or_(first)"
    call = fill_expression(text, node, gj=operators, first=node.values[0])
    assert isinstance(call, ast.Call)
    call.args.extend(later(one) for one in node.values[1:])
    return call


def convert_not(node: ast.UnaryOp, operators: str) -> ast.expr:
    """`not`."""
    if is_plain_test(node.operand):
        return node
    return fill_expression("gj.not_(operand)", node, gj=operators, operand=node.operand)


def convert_choice(node: ast.IfExp, operators: str, later: Later) -> ast.expr:
    """`a if t else b`."""
    return fill_expression(
        "gj.choose(test, then, otherwise)",
        node,
        gj=operators,
        test=node.test,
        then=later(node.body),
        otherwise=later(node.orelse),
    )


def convert_compare(node: ast.Compare, operators: str, fresh: Fresh, later: Later) -> ast.expr:
    """Chains become `and`s of comparisons, each middle operand being computed once; `in` becomes a call."""
    if len(node.ops) == 1:
        return _compare(node.left, node.ops[0], node.comparators[0], node, operators)
    parts: list[ast.expr] = []
    left = node.left
    for place, (op, right) in enumerate(zip(node.ops, node.comparators, strict=True)):
        again = right
        if place + 1 < len(node.ops) and not isinstance(right, ast.Name | ast.Constant):
            middle = fresh("middle")
            stored = ast.copy_location(ast.Name(middle, ast.Store()), right)
            right = ast.copy_location(ast.NamedExpr(stored, right), right)
            again = load(middle, right)
        parts.append(_compare(left, op, right, node, operators))
        left = again
    chain = ast.copy_location(ast.BoolOp(ast.And(), parts), node)
    nested = parts[-1]
    # Each comparison is run only if the one before holds, inside of whose function its middle operand is known.
    for part in reversed(chain.values[:-1]):
        nested = fill_expression("gj.and_(first, rest)", node, gj=operators, first=part, rest=later(nested))
    return nested


def _compare(left: ast.expr, op: ast.cmpop, right: ast.expr, at: ast.AST, operators: str) -> ast.expr:
    if not isinstance(op, ast.In | ast.NotIn):
        return ast.copy_location(ast.Compare(left, [op], [right]), at)
    negated = isinstance(op, ast.NotIn)
    return fill_expression(
        "gj.in_(left, right, negated)" if negated else "gj.in_(left, right)",
        at,
        gj=operators,
        left=left,
        right=right,
        negated=constant(True, at),
    )


__all__: list[str] = []
