"""Goes through the expressions and simple statements of a function whose branches and loops are converted."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Any

from graphjit.runtime.fields import dataclass

from .blocks import is_plain_test
from .calls import called, convert_call, explicit_super, is_bare_super, rows, truth
from .checks import convert_assert, convert_raise
from .jumps import Block, Fresh
from .lists import convert_target, convert_value
from .logic import convert_bool_op, convert_choice, convert_compare, convert_not
from .names import Names, all_nodes, declared, mentioned
from .templates import constant, fill, fill_expression, load


@dataclass(frozen=True)
class Facts:
    """What is known of the function.

    Attributes:
      operators: the name under which the generated code knows the operators.
      fresh: gives new names.
      unsure: the `id`s of names that are read where they may not be assigned yet.
      tracked: the variables that branches and loops hand on.
      shadowed: names that do not mean Python's builtins.
      changed: variables that hold containers which are changed.
      globals: what the function declares `global`.
      first: the name of the first parameter, for `super()`.
    """

    operators: str
    fresh: Fresh
    unsure: set[int]
    tracked: Names
    shadowed: Names
    changed: Names
    globals: Names
    first: str | None


_GIVE_BLOCKS = frozenset({"branch", "guard", "returned", "called"})
"""Operators whose results are called in generated code; others give what the user calls."""


class Expressions(ast.NodeTransformer):
    """Converts what is in one function; the user's inner functions stay as they are."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._gj = facts.operators
        self._hoisted: list[Block] = []
        self._nonlocals: list[Names] = []
        self._caught = 0
        self._inside_expression = 0

    # --- statements ---

    def block(self, statements: Sequence[ast.stmt]) -> Block:
        """The converted statements; functions that they need stand before each."""
        made: Block = []
        for node in statements:
            self._hoisted.append([])
            found = self.visit(node)
            made.extend(self._hoisted.pop())
            made.extend(found if isinstance(found, list) else [found])
        return made

    def generic_visit(self, node: ast.AST) -> Any:
        for field, value in ast.iter_fields(node):
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                setattr(node, field, self.block(value))
            elif isinstance(value, list):
                setattr(node, field, [self.visit(one) if isinstance(one, ast.AST) else one for one in value])
            elif isinstance(value, ast.AST):
                setattr(node, field, self.visit(value))
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        if getattr(node, "is_generated", False):
            self._nonlocals.append(declared(node.body))
            node.body = self.block(node.body)
            self._nonlocals.pop()
            return node
        self._visit_definition(node)
        node.decorator_list = [called(one, self._gj) for one in node.decorator_list]
        return node

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> Any:
        self._visit_definition(node)
        return node

    def visit_Lambda(self, node: ast.Lambda) -> Any:
        if getattr(node, "is_generated", False):
            return self.generic_visit(node)
        self._visit_definition(node)
        return node

    def visit_ClassDef(self, node: ast.ClassDef) -> Any:
        node.bases = [self.visit(one) for one in node.bases]
        node.decorator_list = [self.visit(one) for one in node.decorator_list]
        return node

    def _visit_definition(self, node: Any) -> None:
        arguments = node.args
        arguments.defaults = [self.visit(one) for one in arguments.defaults]
        arguments.kw_defaults = [None if one is None else self.visit(one) for one in arguments.kw_defaults]
        if not isinstance(node, ast.Lambda):
            node.decorator_list = [self.visit(one) for one in node.decorator_list]

    def visit_Assign(self, node: ast.Assign) -> Any:
        value = self.visit(node.value)
        node.value = convert_value(node.targets[0], value, self._facts.changed, self._gj)
        node.targets = [self.visit(one) for one in node.targets]
        return [*self._global_changes(node), node]

    def visit_AnnAssign(self, node: ast.AnnAssign) -> Any:
        if node.value is not None:
            node.value = convert_value(node.target, self.visit(node.value), self._facts.changed, self._gj)
        node.target = self.visit(node.target)
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> Any:
        before = self._global_changes(node)
        if isinstance(node.target, ast.Name) and id(node.target) in self._facts.unsure & self._tracked(node.target):
            name = node.target.id
            before += fill("name = gj.value(name)", node, name=name, gj=self._gj)
        self.generic_visit(node)
        return [*before, node]

    def _tracked(self, node: ast.Name) -> set[int]:
        return {id(node)} if node.id in self._facts.tracked else set()

    def _global_changes(self, node: ast.Assign | ast.AugAssign) -> Block:
        """Announce that globals are assigned."""
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        names = {one.id for target in targets for one in all_nodes(target) if isinstance(one, ast.Name)}
        return [
            made
            for name in sorted(names & self._facts.globals)
            for made in fill("gj.changing(globals(), name)", node, gj=self._gj, name=constant(name, node))
        ]

    def visit_Assert(self, node: ast.Assert) -> Any:
        test = self.visit(node.test)
        return convert_assert(ast.copy_location(ast.Assert(test, node.msg), node), self._gj, self._later)

    def visit_Raise(self, node: ast.Raise) -> Any:
        self.generic_visit(node)
        return convert_raise(node, self._gj, bool(self._caught))

    def visit_Try(self, node: Any) -> Any:
        caught = bool(node.handlers)
        self._caught += caught
        node.body = self.block(node.body)
        self._caught -= caught
        for handler in node.handlers:
            if handler.type is not None:
                handler.type = self.visit(handler.type)
            handler.body = self.block(handler.body)
        node.orelse, node.finalbody = self.block(node.orelse), self.block(node.finalbody)
        return node

    visit_TryStar = visit_Try  # noqa: N815 -- ast's name

    # --- expressions ---

    def visit_Name(self, node: ast.Name) -> Any:
        if id(node) in self._facts.unsure & self._tracked(node) and isinstance(node.ctx, ast.Load):
            operator = "settled" if node.id in self._facts.fresh.made else "value"
            return fill_expression(f"gj.{operator}(name)", node, gj=self._gj, name=node)
        return node

    def visit_Attribute(self, node: ast.Attribute) -> Any:
        self.generic_visit(node)
        return convert_target(node, self._gj)

    def visit_Subscript(self, node: ast.Subscript) -> Any:
        self.generic_visit(node)
        return convert_target(node, self._gj)

    def visit_BoolOp(self, node: ast.BoolOp) -> Any:
        node.values[0] = self.visit(node.values[0])
        return convert_bool_op(node, self._gj, self._later)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> Any:
        self.generic_visit(node)
        return convert_not(node, self._gj) if isinstance(node.op, ast.Not) else node

    def visit_IfExp(self, node: ast.IfExp) -> Any:
        if is_plain_test(node.test):
            return self.generic_visit(node)
        node.test = self.visit(node.test)
        return convert_choice(node, self._gj, self._later)

    def visit_Compare(self, node: ast.Compare) -> Any:
        # The comparisons behind the first are visited as parts of the functions that they become.
        return self._visit_chain(node) if len(node.ops) > 1 else self._visit_comparison(node)

    def _visit_comparison(self, node: ast.Compare) -> Any:
        self.generic_visit(node)
        return convert_compare(node, self._gj, self._facts.fresh, self._later)

    def _visit_chain(self, node: ast.Compare) -> Any:
        node.left = self.visit(node.left)
        node.comparators = [self.visit(one) for one in node.comparators]
        return convert_compare(node, self._gj, self._facts.fresh, self._thunk)

    def visit_Call(self, node: ast.Call) -> Any:
        if is_bare_super(node) and self._facts.first is not None:
            return explicit_super(node, self._facts.first)
        self.generic_visit(node)
        if self._is_generated(node.func):
            return node
        return convert_call(node, self._gj, self._facts.shadowed)

    def visit_comprehension(self, node: ast.comprehension) -> Any:
        self.generic_visit(node)
        node.iter = rows(node.iter, self._gj)
        node.ifs = [truth(one, self._gj) for one in node.ifs]
        return node

    def _is_generated(self, function: ast.expr) -> bool:
        """Whether what is called is an operator, what an operator gave, or a block that became a function."""
        match function:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=operator)):
                return name == self._gj and operator in _GIVE_BLOCKS
            case ast.Attribute(value=ast.Name(id=name)):
                return name == self._gj
            case ast.Name(id=name):
                return name in self._facts.fresh.made
        return False

    # --- functions of expressions ---

    def _later(self, node: ast.expr) -> ast.expr:
        """A function without arguments that gives the expression, which is converted too."""
        bound = frozenset(
            one.target.id
            for one in all_nodes(node)
            if isinstance(one, ast.NamedExpr) and isinstance(one.target, ast.Name)
        )
        return self._function(node, bound) if bound else self._thunk(self.visit(node))

    def _thunk(self, node: ast.expr) -> ast.expr:
        arguments = ast.arguments(posonlyargs=[], args=[], kwonlyargs=[], kw_defaults=[], defaults=[])
        made = ast.copy_location(ast.Lambda(arguments, node), node)
        made.is_generated = True  # type: ignore[attr-defined]  # tells it from the user's functions
        return made

    def _function(self, node: ast.expr, bound: Names) -> ast.expr:
        """A function that stands before the statement, as a lambda cannot assign to variables outside of it."""
        name = self._facts.fresh("value")
        inner = bound - self._facts.globals
        around = self._nonlocals[-1] if self._nonlocals else frozenset()
        declarations = [one for name in sorted(inner - around) for one in fill("name: object", node, name=name)]
        made = fill(
            "def name():\n    global declared\n    nonlocal shared\n    return node",
            node,
            name=name,
            declared=sorted(bound & self._facts.globals),
            shared=sorted(inner),
            node=node,
        )
        made[0].is_generated = True  # type: ignore[attr-defined]  # tells it from the user's functions
        self._hoisted[-1].extend([*declarations, self.visit(made[0])])
        return load(name, node)


def shadowed_names(function: ast.AST, namespace: dict[str, Any]) -> Names:
    """What the function names that is not a builtin of Python because a global or a variable has the name."""
    names = mentioned(function)
    return frozenset(name for name in names if name in namespace) | _bound(function)


def _bound(function: ast.AST) -> Names:
    stored = {one.id for one in all_nodes(function) if isinstance(one, ast.Name) and not isinstance(one.ctx, ast.Load)}
    return frozenset(stored | {one.arg for one in all_nodes(function) if isinstance(one, ast.arg)})


__all__: list[str] = []
