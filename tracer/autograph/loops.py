"""`for` and `while` become functions that Python's own loop calls, or that an operator traces.

    for v in x:            def body(item):
        s = s + v              nonlocal s
                               v = item
                               s = s + v
                           for item in _gj.each(x, body, ('s',), None):
                               body(item)

Where the loop goes into the graph the operator gives no items. Behind each round it looks whether the variable that
stands in for `break` has become a traced value: then it writes the other rounds into the graph.
"""

from __future__ import annotations

import ast

from .blocks import Context, arm, handed_on
from .jumps import Block, is_endless
from .names import Names
from .templates import constant, fill, fill_expression, load, strings


def convert_for(node: ast.stmt, context: Context, visible: Names) -> Block:
    """The statements that stand for a `for`."""
    assert isinstance(node, ast.For)
    at = node.iter
    stop: str | None = node.stop  # type: ignore[attr-defined]  # `jumps` sets it
    wanted = context.liveness.after[id(node)] | context.liveness.again[id(node)] | _stops(stop)
    names = handed_on(node, context, [node.target, *node.body], visible, wanted)
    item = context.fresh("item")
    first = ast.copy_location(ast.Assign([node.target], load(item, node.target), None), node.target)
    body = arm(context, "body", [first, *node.body], visible, node.target)
    name: str = body[0].name  # type: ignore[attr-defined]  # a function
    body[0].args.args.append(ast.copy_location(ast.arg(item), node.target))  # type: ignore[attr-defined]  # a function
    loop = fill(
        "for item in gj.each(iterable, body, names, stop):\n    body(item)",
        at,
        item=item,
        gj=context.operators,
        iterable=node.iter,
        body=name,
        names=strings(names, at),
        stop=constant(stop, at),
    )
    return [*body, *loop]


def convert_while(node: ast.stmt, context: Context, visible: Names) -> Block:
    """The statements that stand for a `while`."""
    assert isinstance(node, ast.While)
    at = node.test
    stop: str | None = node.stop  # type: ignore[attr-defined]  # `jumps` sets it
    wanted = context.liveness.after[id(node)] | context.liveness.again[id(node)] | _stops(stop)
    names = handed_on(node, context, [node.test, *node.body], visible, wanted)
    returned = ast.copy_location(ast.Return(_whole_test(node, stop)), at)
    test = arm(context, "test", [returned], visible, at)
    body = arm(context, "body", node.body, visible, at)
    loop = fill(
        "while gj.goes_on(test, body, names):\n    body()",
        at,
        gj=context.operators,
        test=test[0].name,  # type: ignore[attr-defined]  # a function
        body=body[0].name,  # type: ignore[attr-defined]  # a function
        names=strings(names, at),
    )
    return [*test, *body, *loop]


def _whole_test(node: ast.While, stop: str | None) -> ast.expr:
    if stop is None:
        return node.test
    goes_on = fill_expression("not stop", node.test, stop=stop)
    if is_endless(node):
        return goes_on
    return ast.copy_location(ast.BoolOp(ast.And(), [goes_on, node.test]), node.test)


def _stops(stop: str | None) -> Names:
    return frozenset() if stop is None else frozenset({stop})


__all__: list[str] = []
