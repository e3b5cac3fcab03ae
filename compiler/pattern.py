"""Patterns of expressions, written as Python expressions: the two sides of an algebraic rule.

x, y        a lower-case name stands for any value, the same name for the same value
p, q        the same, where a boolean is meant
C, D        an upper-case name stands for a constant array
1, -0.0     a constant array all of whose elements have the bits of this number
x * y, -x   operators stand for the ops of their meaning (add, multiply, negative ...)
f(x, k=a)   the op f with these attributes and no others; the name after k= stands for any constant,
            the same name for the same one, (a,) for a tuple of one
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from typing import Any

from graphjit.runtime.errors import FormatError
from graphjit.runtime.fields import dataclass


@dataclass(frozen=True, slots=True)
class Variable:
    """Any value."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """Any constant array."""

    name: str


@dataclass(frozen=True, slots=True)
class Number:
    """A constant array of one repeated number."""

    value: bool | int | float


@dataclass(frozen=True, slots=True)
class AttributeName:
    """Any attribute constant."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """What an op makes of operands; exactly these attributes."""

    op: str
    operands: tuple[Pattern, ...]
    attributes: tuple[tuple[str, Any], ...] = ()


Pattern = Variable | Constant | Number | Call

_BINARY: dict[type[ast.operator], str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply", ast.Div: "divide", ast.FloorDiv: "floordiv",
    ast.Mod: "mod", ast.Pow: "pow", ast.BitAnd: "bitwise_and", ast.BitOr: "bitwise_or",
    ast.BitXor: "bitwise_xor", ast.LShift: "left_shift", ast.RShift: "right_shift",
}  # fmt: skip
_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "less", ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal",
    ast.Eq: "equal", ast.NotEq: "not_equal",
}  # fmt: skip


def parse_pattern(text: str) -> Pattern:
    """The pattern that an expression stands for.

    Raises:
      FormatError: if the expression has a part that no pattern has.

    >>> parse_pattern("x * 1")
    Call(op='multiply', operands=(Variable(name='x'), Number(value=1)), attributes=())
    """
    return _pattern(ast.parse(text, mode="eval").body)


def _pattern(node: ast.expr) -> Pattern:
    for kind, read in _READERS:
        if isinstance(node, kind):
            return read(node)
    raise FormatError(f"{ast.unparse(node)!r} cannot be part of a pattern")


def _name(node: Any) -> Pattern:
    return Constant(node.id) if node.id.isupper() else Variable(node.id)


def _number(node: Any) -> Pattern:
    if not isinstance(node.value, bool | int | float):
        raise FormatError(f"{node.value!r} cannot be part of a pattern")
    return Number(node.value)


def _unary(node: Any) -> Pattern:
    operand = node.operand
    if isinstance(node.op, ast.USub) and isinstance(operand, ast.Constant) and isinstance(operand.value, int | float):
        return Number(-operand.value)
    return Call("negative" if isinstance(node.op, ast.USub) else "invert", (_pattern(operand),))


def _binary(node: Any) -> Pattern:
    return Call(_BINARY[type(node.op)], (_pattern(node.left), _pattern(node.right)))


def _comparison(node: Any) -> Pattern:
    return Call(_COMPARISONS[type(node.ops[0])], (_pattern(node.left), _pattern(node.comparators[0])))


def _call(node: Any) -> Pattern:
    operands = tuple(_pattern(one) for one in node.args)
    attributes = tuple((keyword.arg, _attribute(keyword.value)) for keyword in node.keywords)
    return Call(node.func.id, operands, attributes)


def _attribute(node: ast.expr) -> Any:
    if isinstance(node, ast.Tuple):
        return tuple(_attribute(one) for one in node.elts)
    return AttributeName(node.id) if isinstance(node, ast.Name) else ast.literal_eval(node)


_READERS: tuple[tuple[type[ast.expr], Callable[[Any], Pattern]], ...] = (
    (ast.Name, _name), (ast.Constant, _number), (ast.UnaryOp, _unary), (ast.BinOp, _binary),
    (ast.Compare, _comparison), (ast.Call, _call),
)  # fmt: skip
