"""From a Python function to one whose control flow goes into graphs.

The converted code has the user's file and lines; it shares globals, defaults and enclosing variables with the
function that it was made from. It is made once for each code object.
"""

from __future__ import annotations

import ast
import threading
from collections.abc import Iterator
from types import CellType, CodeType, FunctionType
from typing import Any

from graphjit.runtime.fields import dataclass

from .blocks import Context, Convert, converted_block
from .branches import convert_if
from .expressions import Expressions, Facts, shadowed_names
from .jumps import Fresh, lower_jumps
from .lists import changed_containers
from .loops import convert_for, convert_while
from .names import Liveness, all_nodes, assigned_by_inner, declared, parameters, unsure_reads
from .policy import reason_against
from .source import SourceMissingError, tree_of

OPERATORS = "_gj"
_CONVERTERS: dict[type[ast.stmt], Convert] = {ast.If: convert_if, ast.For: convert_for, ast.While: convert_while}
_MOST_KEPT = 4096


@dataclass(frozen=True)
class Conversion:
    """What was made of a code object.

    Attributes:
      code: the converted code, None if the function stays as it is.
      tree: its syntax tree.
      reason: why there is none.
    """

    code: CodeType | None = None
    tree: ast.FunctionDef | None = None
    reason: str = ""


_lock = threading.RLock()
conversions: dict[Any, Conversion] = {}
_converted_code: set[CodeType] = set()


def conversion_of(function: FunctionType) -> Conversion:
    """The conversion of a function's code; made now if it is asked for the first time."""
    found = conversions.get(function.__code__)
    if found is None:
        with _lock:
            found = conversions.get(function.__code__) or _convert(function)
            if len(conversions) >= _MOST_KEPT:
                conversions.clear()
            conversions[function.__code__] = found
    return found


def converted_function(function: FunctionType, operators: Any) -> FunctionType:
    """The function with converted control flow; the function itself where that is not possible or not wanted."""
    if function.__code__ in _converted_code or reason_against(function):
        return function
    code = conversion_of(function).code
    if code is None:
        return function
    made = FunctionType(
        code, function.__globals__, function.__name__, function.__defaults__, _cells(function, code, operators)
    )
    made.__kwdefaults__ = function.__kwdefaults__
    made.__qualname__ = function.__qualname__
    made.__module__ = function.__module__
    made.__dict__.update(function.__dict__)
    return made


def why_not_converted(function: FunctionType) -> str:
    """Why a function's control flow is Python's, in words; "" if it is converted."""
    return reason_against(function) or conversion_of(function).reason


def is_converted_code(code: CodeType) -> bool:
    """Whether it is code that the conversion made, or a part of it."""
    return code in _converted_code


def _cells(function: FunctionType, code: CodeType, operators: Any) -> tuple[CellType, ...]:
    """The enclosing variables that the converted code names: the function's own cells, and the operators."""
    known = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    return tuple(known[name] if name in known else CellType(operators) for name in code.co_freevars)


# --- making it ------------------------------------------------------------------------------------


def _convert(function: FunctionType) -> Conversion:
    try:
        tree = tree_of(function)
    except SourceMissingError as error:
        return Conversion(reason=str(error))
    definition = _as_definition(tree)
    _mangle(definition, _class_of(function))
    names = Fresh(definition)
    definition.name = names(definition.name)
    operators = names(OPERATORS)
    _convert_definition(definition, names, operators, function)
    code = _compiled(definition, operators, names, function.__code__)
    _converted_code.update(_generated_parts(code))
    return Conversion(code, definition)


def _as_definition(tree: ast.FunctionDef | ast.Lambda) -> ast.FunctionDef:
    """A `def` without what the function has already: decorators, defaults, annotations."""
    if isinstance(tree, ast.Lambda):
        body: list[ast.stmt] = [ast.copy_location(ast.Return(tree.body), tree.body)]
        definition = ast.parse("def name(): pass").body[0]
        assert isinstance(definition, ast.FunctionDef)
        definition.body, definition.args = body, tree.args
        ast.copy_location(definition, tree)
    else:
        definition = tree
    definition.name = "converted_"  # not the user's name, which is to mean the user's function inside
    definition.decorator_list = []
    definition.returns = None
    definition.args.defaults = []
    definition.args.kw_defaults = [None for _ in definition.args.kwonlyargs]
    for one in all_nodes(definition.args):
        if isinstance(one, ast.arg):
            one.annotation = None
    return definition


def _convert_definition(definition: ast.FunctionDef, fresh: Fresh, operators: str, function: FunctionType) -> None:
    own = parameters(definition.args)
    outer = declared(definition.body, ast.Nonlocal)
    globals_ = declared(definition.body, ast.Global)
    shadowed = shadowed_names(definition, function.__globals__) | frozenset(function.__code__.co_freevars)
    changed = changed_containers(definition.body)
    _WithoutAnnotations().visit(definition)
    lower_jumps(definition, fresh)
    declarations = _take_declarations(definition)
    unsure = unsure_reads(definition.body, own | outer | globals_)
    liveness = Liveness(definition.body, outer | globals_)
    by_others = assigned_by_inner(definition.body) - outer
    context = Context(fresh, liveness, globals_, operators, _CONVERTERS, by_others)
    body = converted_block(definition.body, context, outer | globals_, own)
    first = definition.args.posonlyargs + definition.args.args
    facts = Facts(
        operators,
        fresh,
        unsure,
        frozenset(context.tracked),
        shadowed,
        changed,
        globals_,
        first[0].arg if first else None,
    )
    definition.body = [*declarations, *Expressions(facts).block(body)]


class _WithoutAnnotations(ast.NodeTransformer):
    """Takes the annotations of variables away, which Python does not look at and `nonlocal` does not allow."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.stmt:
        if not isinstance(node.target, ast.Name):
            return node
        if node.value is None:
            return ast.copy_location(ast.Pass(), node)
        return ast.copy_location(ast.Assign([node.target], node.value, None), node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.stmt:
        return node


def _take_declarations(definition: ast.FunctionDef) -> list[ast.stmt]:
    """Move `nonlocal` and `global` to the beginning, as the blocks that they stand in may become functions."""
    taker = _DeclarationTaker()
    definition.body = [made for made in map(taker.visit, definition.body) if made is not None]
    if not definition.body:
        definition.body = [ast.copy_location(ast.Pass(), definition)]
    return taker.taken


class _DeclarationTaker(ast.NodeTransformer):
    def __init__(self) -> None:
        self.taken: list[ast.stmt] = []

    def _take(self, node: ast.stmt) -> ast.stmt:
        self.taken.append(node)
        return ast.copy_location(ast.Pass(), node)

    visit_Nonlocal = _take  # noqa: N815 -- ast's name
    visit_Global = _take  # noqa: N815 -- ast's name

    def _leave(self, node: ast.AST) -> ast.AST:
        return node

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = visit_ClassDef = _leave  # noqa: N815 -- ast's names


def _class_of(function: FunctionType) -> str:
    """The class in whose body the function stands, "" if in none."""
    parts = function.__code__.co_qualname.split(".")[:-1]
    for place in reversed(range(len(parts))):
        if parts[place] != "<locals>" and parts[place + 1 : place + 2] != ["<locals>"]:
            return parts[place]
    return ""


def _mangle(definition: ast.FunctionDef, cls: str) -> None:
    """Names with two underscores in front mean something else in a class; the converted code stands in none."""
    prefix = f"_{cls.lstrip('_')}" if cls.strip("_") else ""
    for node in all_nodes(definition) if prefix else ():
        if isinstance(node, ast.Nonlocal | ast.Global):
            node.names = [_mangled(one, prefix) for one in node.names]
        elif not isinstance(node, ast.keyword | ast.FunctionDef | ast.MatchMapping):
            _mangle_names(node, prefix)


def _mangle_names(node: ast.AST, prefix: str) -> None:
    for field in ("id", "attr", "arg", "name", "asname"):
        value = getattr(node, field, None)
        if isinstance(value, str) and value.startswith("__"):
            setattr(node, field, _mangled(value, prefix))


def _mangled(name: str, prefix: str) -> str:
    private = name.startswith("__") and not name.endswith("__") and "." not in name
    return prefix + name if private else name


def _generated_parts(code: CodeType) -> Iterator[CodeType]:
    """The code and that of the blocks in it, which have its name."""
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType) and constant.co_qualname == code.co_qualname:
            yield from _generated_parts(constant)


# --- compiling it ---------------------------------------------------------------------------------


def _compiled(definition: ast.FunctionDef, operators: str, fresh: Fresh, original: CodeType) -> CodeType:
    """The code of the converted function, which names enclosing variables as the original does."""
    around = ast.parse("def factory(): pass")
    factory = around.body[0]
    assert isinstance(factory, ast.FunctionDef)
    outer = [operators, *original.co_freevars]
    if "__class__" not in outer and _needs_class(definition):
        outer.append("__class__")
    factory.args.args = [ast.arg(name) for name in outer]
    factory.body = [definition]
    ast.copy_location(factory, definition)
    ast.fix_missing_locations(around)
    module = compile(around, original.co_filename, "exec", dont_inherit=True, flags=original.co_flags & _FUTURE)
    made = _code_inside(_code_inside(module, "factory"), definition.name)
    return _renamed(made, original, fresh.made)


def _needs_class(definition: ast.FunctionDef) -> bool:
    return any(isinstance(node, ast.Name) and node.id == "__class__" for node in all_nodes(definition))


_FUTURE = 0x1000000  # CO_FUTURE_ANNOTATIONS


def _code_inside(code: CodeType, name: str) -> CodeType:
    return next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == name)


def _renamed(code: CodeType, original: CodeType, generated: set[str]) -> CodeType:
    """The code under the user's name; so are the functions that blocks became, as they stand in tracebacks."""
    return _with_names(code, original.co_name, original.co_qualname, generated)


def _with_names(code: CodeType, name: str, qualname: str, generated: set[str]) -> CodeType:
    constants = tuple(_inner_named(one, name, qualname, generated) for one in code.co_consts)
    return code.replace(co_consts=constants, co_name=name, co_qualname=qualname)


def _inner_named(constant: Any, name: str, qualname: str, generated: set[str]) -> Any:
    if not isinstance(constant, CodeType):
        return constant
    if constant.co_name in generated:
        return _with_names(constant, name, qualname, generated)
    return _with_names(constant, constant.co_name, f"{qualname}.<locals>.{constant.co_name}", generated)


__all__: list[str] = []
